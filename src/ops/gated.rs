//! A gate: one operand through an activation, times the other.
use super::movement::{apart, wrong};
use super::*;
use crate::tensor::Tensor;

/// `swiglu(gate, x) {alpha}`: `swish` of the gate times `x`, of the same shape.
pub struct Swiglu;

impl Operator for Swiglu {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("alpha", Kind::Float)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (gate, x) = (cx.operand(0)?, cx.operand(1)?);
        if gate.axes.len() != x.axes.len() {
            return cx.wrong("the operands have different axes");
        }
        for (a, b) in gate.axes.iter().zip(x.axes) {
            cx.equate(*a, *b)?;
        }
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (gate, x) = (cx.operand(0)?, cx.operand(1)?);
        if gate.shape != x.shape {
            return wrong("the operands have different shapes");
        }
        let (dtype, _) = cx.result(0)?;
        let swish = Unary::Swish.function(cx.attrs);
        let (gates, values) = (gate.to_f32()?, x.to_f32()?);
        let all = gates.iter().zip(values.iter()).map(|(a, b)| swish(*a) * b);
        Ok(vec![
            Tensor::from_f32(&x.shape, all.collect())?.cast(dtype)?,
        ])
    }
    apart!();
}
