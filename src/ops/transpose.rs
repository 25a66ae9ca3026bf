//! Axes in another order.
use super::movement::{as_eval, distinct_axes, moves, permute};
use super::*;
use crate::tensor::Tensor;

/// `transpose(x) {perm}`: axis `i` of the result is axis `perm[i]` of `x`; reversed where `perm` is absent.
pub struct Transpose;

impl Transpose {
    fn perm(attrs: &Attrs, rank: usize) -> Result<Vec<usize>, RuleError> {
        let Some(perm) = attrs.ints("perm") else {
            return Ok((0..rank).rev().collect());
        };
        if perm.len() != rank {
            let message = format!("`perm` has {} axes, the operand {rank}", perm.len());
            return Err(RuleError::Wrong(message));
        }
        distinct_axes(&perm, rank)
    }
}

impl Operator for Transpose {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("perm", Kind::Ints)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let perm = Transpose::perm(cx.attrs, x.axes.len())?;
        cx.result(x.dtype, perm.iter().map(|a| x.axes[*a]).collect());
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let perm = Transpose::perm(cx.attrs, x.shape.len()).map_err(as_eval)?;
        Ok(vec![permute(x, &perm)?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
