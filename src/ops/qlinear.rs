//! Operators on quantized operands: each is an operator on floats between dequantizing and quantizing.
use super::movement::{apart, wrong};
use super::quantize::rounded;
use super::table::family;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::{DType, Tensor};

family! {
    /// `qlinear_add(a, a_scale, a_zero?, b, b_scale, b_zero?, scale, zero?)`, `qlinear_sigmoid(x, x_scale, x_zero?, scale,
    /// zero?)`, `qlinear_concat(scale, zero, a, a_scale, a_zero, ...)`: what the operator of that name gives, with one
    /// scale and zero point for each operand and for the result.
    Qlinear {
        Add "qlinear_add" Mul "qlinear_mul" Sigmoid "qlinear_sigmoid" LeakyRelu "qlinear_leaky_relu"
        Softmax "qlinear_softmax" AveragePool "qlinear_average_pool"
        GlobalAveragePool "qlinear_global_average_pool" Concat "qlinear_concat"
    }
}

/// Scale and zero point of an operand or result.
pub(super) struct Scaled {
    pub scale: Tensor,
    pub zero: Option<Tensor>,
}

impl Scaled {
    /// Those that stand at two places.
    pub fn of(cx: &Eval<'_>, scale: usize, zero: usize) -> Result<Scaled, EvalError> {
        Ok(Scaled {
            scale: cx.operand(scale)?.cast(DType::F32)?,
            zero: cx.optional(zero).cloned(),
        })
    }
    /// One scale and one zero point.
    pub fn one(&self) -> Result<(f32, i64), EvalError> {
        let zero = self.zero.as_ref().map(Tensor::to_i64).transpose()?;
        match (&self.scale.to_f32()?[..], zero.as_deref()) {
            ([scale], None) => Ok((*scale, 0)),
            ([scale], Some([zero])) => Ok((*scale, *zero)),
            _ => wrong("there is more than one scale"),
        }
    }
}

/// States that operand `k`, if it is there, is one number.
pub(super) fn single(cx: &mut Rule<'_>, k: usize) -> Result<(), RuleError> {
    let one = |d: &Dim| cx.known(*d) == Some(1);
    match cx.optional(k) {
        Some(scale) if !scale.axes.iter().all(one) => {
            cx.wrong("there is more than one scale or zero point")
        }
        _ => Ok(()),
    }
}

/// States that operand `k`, if it is there, is one number, or has one for each position of `axis`.
pub(super) fn single_or_per(cx: &mut Rule<'_>, k: usize, axis: Dim) -> Result<(), RuleError> {
    let Some(scale) = cx.optional(k) else {
        return Ok(());
    };
    match scale.axes {
        [one] if cx.known(*one) != Some(1) => cx.equate(*one, axis),
        [] | [_] => Ok(()),
        _ => cx.wrong("scales and zero points have at most one axis here"),
    }
}

/// The type of a result: its zero point's, else that of operand `k`.
pub(super) fn quantized_as(cx: &Rule<'_>, zero: usize, k: usize) -> Result<DType, RuleError> {
    match cx.optional(zero) {
        Some(zero) => Ok(zero.dtype),
        None => Ok(cx.operand(k)?.dtype),
    }
}

impl Qlinear {
    /// The operator on floats, and its attributes.
    fn inner(self, attrs: &Attrs) -> (Op, Attrs) {
        let mut attrs = attrs.clone();
        let op = match self {
            Qlinear::Add => Op::Binary(Binary::Add),
            Qlinear::Mul => Op::Binary(Binary::Mul),
            Qlinear::Sigmoid => Op::Unary(Unary::Sigmoid),
            Qlinear::LeakyRelu => Op::Unary(Unary::LeakyRelu),
            Qlinear::Softmax => {
                // Before set 13 the operand is seen as a matrix, cut at the axis.
                let old = attrs.int_or("opset", 13) < 13;
                attrs.remove("opset");
                attrs.set("flatten", Attr::Bool(old));
                Op::Softmax(Softmax::Soft)
            }
            Qlinear::AveragePool => Op::Pool(Pool::Average),
            Qlinear::GlobalAveragePool => Op::Pool(Pool::GlobalAverage),
            Qlinear::Concat => Op::Concat,
        };
        (op, attrs)
    }
    /// Where the operands stand, of `count`; scale and zero point stand behind each.
    fn data(self, count: usize) -> Vec<usize> {
        match self {
            Qlinear::Add | Qlinear::Mul => vec![0, 3],
            Qlinear::Concat => (2..count).step_by(3).collect(),
            Qlinear::Sigmoid
            | Qlinear::LeakyRelu
            | Qlinear::Softmax
            | Qlinear::AveragePool
            | Qlinear::GlobalAveragePool => vec![0],
        }
    }
    /// Where the result's scale stands; its zero point stands behind it.
    fn scale(self) -> usize {
        match self {
            Qlinear::Add | Qlinear::Mul => 6,
            Qlinear::Concat => 0,
            Qlinear::Sigmoid
            | Qlinear::LeakyRelu
            | Qlinear::Softmax
            | Qlinear::AveragePool
            | Qlinear::GlobalAveragePool => 3,
        }
    }
}

impl Operator for Qlinear {
    fn attrs(&self) -> &'static [AttrSpec] {
        match self {
            Qlinear::Softmax => &[("axis", Kind::Int), ("opset", Kind::Int)],
            _ => self.inner(&Attrs::new()).0.operator().attrs(),
        }
    }
    fn operands(&self) -> RangeInclusive<usize> {
        match self {
            Qlinear::Concat => 5..=usize::MAX,
            _ => self.scale() + 1..=self.scale() + 2,
        }
    }
    fn removal(&self) -> Removal {
        match self {
            Qlinear::Softmax => Removal::Reestimated,
            Qlinear::Add
            | Qlinear::Mul
            | Qlinear::Sigmoid
            | Qlinear::LeakyRelu
            | Qlinear::AveragePool
            | Qlinear::GlobalAveragePool
            | Qlinear::Concat => Removal::Exact,
        }
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let data = self.data(cx.operands.len());
        let (op, attrs) = self.inner(cx.attrs);
        let results = cx.as_if(op, &attrs, &data)?;
        let scales = data.iter().map(|at| at + 1).chain([self.scale()]);
        for scale in scales {
            single(cx, scale)?;
            single(cx, scale + 1)?;
        }
        if *self == Qlinear::Softmax {
            // The least integer is no minus infinity: no position can be left out of the sum.
            let x = cx.operand(0)?;
            let axis = cx.axis("axis", -1, x.axes.len())?;
            let last = match attrs.flag("flatten") {
                true => x.axes.len(),
                false => axis + 1,
            };
            (axis..last).for_each(|a| cx.freeze(x.axes[a], Reason::Barrier));
        }
        if *self == Qlinear::GlobalAveragePool {
            // Nor is a mean of integers one over fewer of them.
            let spatial = cx.operand(0)?.axes;
            spatial[2..]
                .iter()
                .for_each(|d| cx.freeze(*d, Reason::SpatialAxis));
        }
        let dtype = quantized_as(cx, self.scale() + 1, data[0])?;
        for result in results {
            cx.results.push(ValueType { dtype, ..result });
        }
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let mut floats = vec![];
        for k in self.data(cx.operands.len()) {
            let x = cx.operand(k)?;
            let (scale, zero) = Scaled::of(cx, k + 1, k + 2)?.one()?;
            let float = |n: i64| n.wrapping_sub(zero) as f32 * scale;
            let all = x.to_i64()?.into_iter().map(float).collect();
            floats.push(Tensor::from_f32(&x.shape, all)?);
        }
        let (op, attrs) = self.inner(cx.attrs);
        let (dtype, shape) = cx.result(0)?;
        let operands: Vec<Option<&Tensor>> = floats.iter().map(Some).collect();
        let made = op.operator().eval(&Eval {
            attrs: &attrs,
            operands: &operands,
            results: &[(DType::F32, shape.to_vec())],
        })?;
        let (scale, zero) = Scaled::of(cx, self.scale(), self.scale() + 1)?.one()?;
        let mut all = vec![];
        for tensor in made {
            let values = tensor.to_f32()?;
            let quantized = values.iter().map(|x| (x / scale, zero));
            all.push(rounded(shape, quantized, dtype)?);
        }
        Ok(all)
    }
    apart!();
}
