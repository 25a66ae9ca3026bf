//! Elements of tensors that depend on constants and shapes alone: fractions over extents, or floats.
use crate::tensor::{DType, Extent, Tensor, TensorError};

/// One element.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// An extent over a positive divisor; an integer or truth value has divisor 1.
    Exact(Extent, i64),
    /// A float that is no small fraction.
    Float(f32),
}

/// Divisors beyond this one are not followed.
const FINEST: i64 = 1 << 16;

impl From<i64> for Number {
    fn from(n: i64) -> Number {
        Number::Exact(Extent::from(n), 1)
    }
}

impl From<Extent> for Number {
    fn from(extent: Extent) -> Number {
        Number::Exact(extent, 1)
    }
}

impl From<bool> for Number {
    fn from(truth: bool) -> Number {
        Number::from(truth as i64)
    }
}

impl Number {
    /// A float, exact where it is a small fraction of a power of two.
    pub fn float(x: f32) -> Number {
        let mut divisor = 1i64;
        while divisor <= FINEST {
            let scaled = x as f64 * divisor as f64;
            if scaled.fract() == 0.0 && scaled.abs() < 1e15 {
                return Number::Exact(Extent::from(scaled as i64), divisor);
            }
            divisor *= 2;
        }
        Number::Float(x)
    }
    fn fraction(above: Extent, below: i64) -> Option<Number> {
        if below == 0 {
            return None;
        }
        let (above, below) = if below < 0 {
            (
                above.checked_mul(&Extent::from(-1i64))?,
                below.checked_neg()?,
            )
        } else {
            (above, below)
        };
        match above.exact_div(&Extent::from(below)) {
            Some(whole) => Some(Number::Exact(whole, 1)),
            None => (below <= FINEST).then_some(Number::Exact(above, below)),
        }
    }
    /// The integer over run-time symbols, if it is one.
    pub fn extent(&self) -> Option<&Extent> {
        match self {
            Number::Exact(extent, 1) => Some(extent),
            _ => None,
        }
    }
    /// The integer, if it is one and known.
    pub fn int(&self) -> Option<i64> {
        self.extent()?.known()
    }
    /// The value as a float, if it is known.
    pub fn known(&self) -> Option<f32> {
        match self {
            Number::Exact(above, below) => Some((above.known()? as f64 / *below as f64) as f32),
            Number::Float(x) => Some(*x),
        }
    }
    /// The greatest integer below.
    pub fn floor(&self) -> Option<Number> {
        match self {
            Number::Exact(above, below) => {
                Some(Number::from(above.floor_div(&Extent::from(*below))?))
            }
            Number::Float(x) => Some(Number::float(x.floor())),
        }
    }
    /// The negative.
    pub fn negated(&self) -> Option<Number> {
        match self {
            Number::Exact(above, below) => Some(Number::Exact(
                above.checked_mul(&Extent::from(-1i64))?,
                *below,
            )),
            Number::Float(x) => Some(Number::Float(-x)),
        }
    }
    /// The least integer above.
    pub fn ceil(&self) -> Option<Number> {
        self.negated()?.floor()?.negated()
    }
    /// What a cast to integers gives; extents over run-time symbols are not negative.
    pub fn truncated(&self) -> Option<Number> {
        match self.known() {
            Some(x) if x < 0.0 => self.ceil(),
            _ => self.floor(),
        }
    }
    /// The difference, if it is known.
    fn difference(&self, other: &Number) -> Option<f64> {
        if let (Number::Exact(a, c), Number::Exact(b, d)) = (self, other) {
            let left = a.checked_mul(&Extent::from(*d))?;
            let right = b.checked_mul(&Extent::from(*c))?;
            return Some(left.checked_sub(&right)?.known()? as f64);
        }
        Some(self.known()? as f64 - other.known()? as f64)
    }
    /// Whether both are equal, where that is decided. An extent over run-time symbols is no negative number.
    pub fn equals(&self, other: &Number) -> Option<bool> {
        if let Some(gap) = self.difference(other) {
            return Some(gap == 0.0);
        }
        let negative = |x: &Number| x.known().is_some_and(|x| x < 0.0);
        (negative(self) || negative(other)).then_some(false)
    }
    /// Whether the first is less, where that is decided.
    pub fn less(&self, other: &Number) -> Option<bool> {
        if let Some(gap) = self.difference(other) {
            return Some(gap < 0.0);
        }
        // What is not known yet is at least 0.
        match (self.known(), other.known()) {
            (Some(x), _) if x < 0.0 => Some(true),
            (_, Some(x)) if x <= 0.0 => Some(false),
            _ => None,
        }
    }
}

/// The arithmetic that is followed; the tests stand last.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd)]
#[allow(missing_docs)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Min,
    Max,
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Xor,
}

impl Arithmetic {
    /// The operation of an ONNX operator.
    pub fn of(op_type: &str) -> Option<Arithmetic> {
        Some(match op_type {
            "Add" => Arithmetic::Add,
            "Sub" => Arithmetic::Sub,
            "Mul" => Arithmetic::Mul,
            "Div" => Arithmetic::Div,
            "Mod" => Arithmetic::Mod,
            "Pow" => Arithmetic::Pow,
            "Min" => Arithmetic::Min,
            "Max" => Arithmetic::Max,
            "Equal" => Arithmetic::Equal,
            "Less" => Arithmetic::Less,
            "LessOrEqual" => Arithmetic::LessOrEqual,
            "Greater" => Arithmetic::Greater,
            "GreaterOrEqual" => Arithmetic::GreaterOrEqual,
            "And" => Arithmetic::And,
            "Or" => Arithmetic::Or,
            "Xor" => Arithmetic::Xor,
            _ => return None,
        })
    }
    /// Whether the result is a truth value.
    pub fn is_test(self) -> bool {
        self >= Arithmetic::Equal
    }
    /// The result on two numbers, floats or integers; none where it is not decided, or overflows.
    pub fn apply(self, a: &Number, b: &Number, float: bool) -> Option<Number> {
        let truth = |x: &Number| x.int().map(|n| n != 0);
        match self {
            Arithmetic::Equal => return a.equals(b).map(Number::from),
            Arithmetic::Less => return a.less(b).map(Number::from),
            Arithmetic::LessOrEqual => return b.less(a).map(|t| Number::from(!t)),
            Arithmetic::Greater => return b.less(a).map(Number::from),
            Arithmetic::GreaterOrEqual => return a.less(b).map(|t| Number::from(!t)),
            Arithmetic::Min | Arithmetic::Max => {
                let first = a.less(b)? == (self == Arithmetic::Min);
                return Some(if first { a.clone() } else { b.clone() });
            }
            Arithmetic::And => return Some(Number::from(truth(a)? && truth(b)?)),
            Arithmetic::Or => return Some(Number::from(truth(a)? || truth(b)?)),
            Arithmetic::Xor => return Some(Number::from(truth(a)? != truth(b)?)),
            Arithmetic::Add
            | Arithmetic::Sub
            | Arithmetic::Mul
            | Arithmetic::Div
            | Arithmetic::Mod
            | Arithmetic::Pow => {}
        }
        match (a, b) {
            _ if float && a.known().is_some() && b.known().is_some() => {
                let (a, b) = (a.known()?, b.known()?);
                Some(Number::float(match self {
                    Arithmetic::Add => a + b,
                    Arithmetic::Sub => a - b,
                    Arithmetic::Mul => a * b,
                    Arithmetic::Div => a / b,
                    Arithmetic::Pow => a.powf(b),
                    _ => return None,
                }))
            }
            (Number::Exact(a, c), Number::Exact(b, d)) => self.exact((a, *c), (b, *d), float),
            _ => None,
        }
    }
    fn exact(self, (a, c): (&Extent, i64), (b, d): (&Extent, i64), float: bool) -> Option<Number> {
        let below = c.checked_mul(d)?;
        let (left, right) = (
            a.checked_mul(&Extent::from(d))?,
            b.checked_mul(&Extent::from(c))?,
        );
        match self {
            Arithmetic::Add => Number::fraction(left.checked_add(&right)?, below),
            Arithmetic::Sub => Number::fraction(left.checked_sub(&right)?, below),
            Arithmetic::Mul => Number::fraction(a.checked_mul(b)?, below),
            Arithmetic::Div if float => match left.exact_div(&right) {
                Some(whole) => Some(Number::from(whole)),
                None => Number::fraction(left, right.known()?),
            },
            Arithmetic::Div => match (a.known(), b.known()) {
                (Some(a), Some(b)) => a.checked_div(b).map(Number::from),
                _ => Some(Number::from(a.floor_div(b)?)),
            },
            Arithmetic::Mod => {
                let whole = a.floor_div(b)?.checked_mul(b)?;
                Some(Number::from(a.checked_sub(&whole)?))
            }
            _ => None,
        }
    }
}

/// A tensor of numbers that all are known.
pub fn tensor(
    dtype: DType,
    shape: &[usize],
    all: &[Number],
) -> Option<Result<Tensor, TensorError>> {
    if dtype.is_float() {
        let values: Option<Vec<f32>> = all.iter().map(Number::known).collect();
        return Some(Tensor::from_f32(shape, values?).and_then(|t| t.cast(dtype)));
    }
    let values: Option<Vec<i64>> = all.iter().map(Number::int).collect();
    Some(Tensor::from_i64(shape, values?).and_then(|t| t.cast(dtype)))
}
