//! Cutting one axis into parts.
use super::movement::{every, moves, pick};
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `split(x) {axis, sizes}`: as many results as `sizes`; the axis is their sum.
pub struct Split;

/// The axis that is cut as `axis` and `sizes` say, and its parts, whose sum it is.
pub(super) fn parts(cx: &mut Rule<'_>) -> Result<(usize, Vec<Dim>), RuleError> {
    let x = cx.operand(0)?;
    let axis = cx.axis("axis", 0, x.axes.len())?;
    let Some(sizes) = cx.extents("sizes")? else {
        return cx.wrong("`sizes` is missing");
    };
    if sizes.is_empty() || sizes.iter().any(|s| s.known().is_some_and(|n| n < 0)) {
        return cx.wrong("`sizes` is empty, or one of them is negative");
    }
    let whole = x.axes[axis];
    let known = sizes.iter().all(Extent::is_known) && cx.known(whole).is_some();
    let parts: Vec<Dim> = sizes.into_iter().map(|s| cx.dims.axis(s)).collect();
    let sum = cx.dims.concat(&parts);
    cx.equate(whole, sum)?;
    for (k, part) in parts.iter().enumerate() {
        if !known {
            cx.freeze(*part, Reason::RuntimeExtent);
        } else if cx.known(*part) == Some(0) {
            cx.freeze(*part, Reason::SinglePosition);
        }
        cx.attr_is("sizes", Some(k), vec![*part]);
    }
    if !known {
        cx.freeze(whole, Reason::RuntimeExtent);
    }
    Ok((axis, parts))
}

impl Operator for Split {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int), ("sizes", Kind::Extents)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let (axis, parts) = parts(cx)?;
        for part in parts {
            let mut axes = x.axes.to_vec();
            axes[axis] = part;
            cx.result(x.dtype, axes);
        }
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let axis = cx.axis("axis", 0, x.shape.len())?;
        let mut places: Vec<_> = x.shape.iter().map(|n| every(*n)).collect();
        let mut at = 0;
        let mut parts = vec![];
        for (_, shape) in cx.results {
            let size = shape.get(axis).copied().unwrap_or(0);
            places[axis] = (at..at + size).map(Some).collect();
            parts.push(pick(x, &places, &[])?);
            at += size;
        }
        Ok(parts)
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
