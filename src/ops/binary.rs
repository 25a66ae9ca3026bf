//! Pointwise operators of two or more operands, with numpy's broadcasting.
use super::index::{broadcast_strides, walk};
use super::table::family;
use super::*;
use crate::tensor::{DType, Tensor};

family! {
    /// A pointwise operator of two operands (`max`, `min`, `sum`, `mean`: of any number).
    Binary {
        Add "add" Sub "sub" Mul "mul" Div "div" Pow "pow" Mod "mod" Prelu "prelu"
        Max "max" Min "min" Sum "sum" Mean "mean"
        Equal "equal" Less "less" LessEqual "less_equal" Greater "greater" GreaterEqual "greater_equal"
        And "and" Or "or" Xor "xor"
        BitAnd "bit_and" BitOr "bit_or" BitXor "bit_xor" BitShift "bit_shift"
    }
}

impl Binary {
    /// Whether the result is a truth value.
    pub fn is_test(self) -> bool {
        use Binary::*;
        matches!(
            self,
            Equal | Less | LessEqual | Greater | GreaterEqual | And | Or | Xor
        )
    }
    /// The function on two floats. `mean` adds; the caller divides.
    pub fn float(self, attrs: &Attrs) -> Option<fn(f32, f32) -> f32> {
        let truth: fn(f32, f32) -> f32 = match self {
            Binary::Add | Binary::Sum | Binary::Mean => |a, b| a + b,
            Binary::Sub => |a, b| a - b,
            Binary::Mul => |a, b| a * b,
            Binary::Div => |a, b| a / b,
            Binary::Pow => f32::powf,
            Binary::Mod if attrs.int_or("fmod", 0) != 0 => |a, b| a % b,
            // Of the sign of the divisor, as Python's.
            Binary::Mod => |a, b| {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                    rest + b
                } else {
                    rest
                }
            },
            Binary::Prelu => |a, slope| if a < 0.0 { a * slope } else { a },
            Binary::Max => |a, b| if a.is_nan() || a > b { a } else { b },
            Binary::Min => |a, b| if a.is_nan() || a < b { a } else { b },
            Binary::Equal => |a, b| (a == b) as u8 as f32,
            Binary::Less => |a, b| (a < b) as u8 as f32,
            Binary::LessEqual => |a, b| (a <= b) as u8 as f32,
            Binary::Greater => |a, b| (a > b) as u8 as f32,
            Binary::GreaterEqual => |a, b| (a >= b) as u8 as f32,
            Binary::And
            | Binary::Or
            | Binary::Xor
            | Binary::BitAnd
            | Binary::BitOr
            | Binary::BitXor
            | Binary::BitShift => return None,
        };
        Some(truth)
    }
    fn integer(self, attrs: &Attrs) -> fn(i64, i64) -> Option<i64> {
        match self {
            Binary::Add | Binary::Sum | Binary::Mean => |a, b| Some(a.wrapping_add(b)),
            Binary::Sub => |a, b| Some(a.wrapping_sub(b)),
            Binary::Mul => |a, b| Some(a.wrapping_mul(b)),
            Binary::Div => i64::checked_div,
            Binary::Pow => |a, b| a.checked_pow(u32::try_from(b).ok()?),
            Binary::Mod if attrs.int_or("fmod", 0) != 0 => i64::checked_rem,
            Binary::Mod => |a, b| a.checked_rem(b)?.checked_add(b)?.checked_rem(b),
            Binary::Prelu => |a, slope| Some(if a < 0 { a.wrapping_mul(slope) } else { a }),
            Binary::Max => |a, b| Some(a.max(b)),
            Binary::Min => |a, b| Some(a.min(b)),
            Binary::Equal => |a, b| Some((a == b) as i64),
            Binary::Less => |a, b| Some((a < b) as i64),
            Binary::LessEqual => |a, b| Some((a <= b) as i64),
            Binary::Greater => |a, b| Some((a > b) as i64),
            Binary::GreaterEqual => |a, b| Some((a >= b) as i64),
            Binary::And => |a, b| Some((a != 0 && b != 0) as i64),
            Binary::Or => |a, b| Some((a != 0 || b != 0) as i64),
            Binary::Xor => |a, b| Some(((a != 0) ^ (b != 0)) as i64),
            Binary::BitAnd => |a, b| Some(a & b),
            Binary::BitOr => |a, b| Some(a | b),
            Binary::BitXor => |a, b| Some(a ^ b),
            // Of integers without a sign; what is shifted out is gone.
            Binary::BitShift if attrs.str_or("direction", "left") == "right" => |a, b| {
                let by = u32::try_from(b).ok();
                Some(by.and_then(|by| (a as u64).checked_shr(by)).unwrap_or(0) as i64)
            },
            Binary::BitShift => |a, b| {
                let by = u32::try_from(b).ok();
                Some(by.and_then(|by| (a as u64).checked_shl(by)).unwrap_or(0) as i64)
            },
        }
    }
    fn two(
        self,
        cx: &Eval<'_>,
        a: &Tensor,
        b: &Tensor,
        shape: &[usize],
    ) -> Result<Tensor, EvalError> {
        let (sa, sb) = (
            broadcast_strides(&a.shape, shape),
            broadcast_strides(&b.shape, shape),
        );
        if a.dtype.is_float() || b.dtype.is_float() {
            let Some(f) = self.float(cx.attrs) else {
                return Err(EvalError::Wrong(format!("`{}` of floats", self.name())));
            };
            let (a, b) = (a.to_f32()?, b.to_f32()?);
            let mut out = Vec::with_capacity(shape.iter().product());
            walk(shape, [&sa, &sb], |[i, j]| out.push(f(a[i], b[j])));
            return Ok(Tensor::from_f32(shape, out)?);
        }
        let f = self.integer(cx.attrs);
        let (x, y) = (a.to_i64()?, b.to_i64()?);
        let mut out = Vec::with_capacity(shape.iter().product());
        walk(shape, [&sa, &sb], |[i, j]| out.push(f(x[i], y[j])));
        let out: Option<Vec<i64>> = out.into_iter().collect();
        Ok(Tensor::from_i64(
            shape,
            out.ok_or_else(|| EvalError::Wrong("division by zero or overflow".into()))?,
        )?)
    }
}

impl Operator for Binary {
    fn attrs(&self) -> &'static [AttrSpec] {
        match self {
            Binary::Mod => &[("fmod", Kind::Int)],
            Binary::BitShift => &[("direction", Kind::Str)],
            _ => &[],
        }
    }
    fn operands(&self) -> RangeInclusive<usize> {
        use Binary::*;
        if matches!(self, Max | Min | Sum | Mean) {
            1..=usize::MAX
        } else {
            2..=2
        }
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let operands: Vec<Operand<'_>> = (0..cx.operands.len())
            .map(|k| cx.operand(k))
            .collect::<Result<_, _>>()?;
        let axes: Vec<&[crate::dims::Dim]> = operands.iter().map(|o| o.axes).collect();
        let signed = [DType::I8, DType::I16, DType::I32, DType::I64];
        if *self == Binary::BitShift && signed.contains(&operands[0].dtype) {
            return cx.wrong("integers with a sign are not shifted");
        }
        let result = cx.broadcast(&axes)?;
        cx.result(
            if self.is_test() {
                DType::Bool
            } else {
                operands[0].dtype
            },
            result,
        );
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let mut all = cx.operand(0)?.clone();
        for k in 1..cx.operands.len() {
            all = self.two(cx, &all, cx.operand(k)?, shape)?;
        }
        if *self == Binary::Mean {
            let n = cx.operands.len() as f32;
            all = Tensor::from_f32(&all.shape, all.to_f32()?.iter().map(|x| x / n).collect())?;
        }
        Ok(vec![all.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(
            view,
            k,
            if *self == Binary::Add {
                Role::Bias
            } else {
                Role::Other
            },
        )
    }
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
