//! Flattening to a matrix.
use super::context::product;
use super::movement::moves;
use super::*;
use crate::dims::Dim;
use crate::tensor::Tensor;

/// `flatten(x) {axis}`: the axes before `axis` (1 where it is absent) are the rows, the others the columns.
pub struct Flatten;

impl Operator for Flatten {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let at = match (cx.attrs.int_or("axis", 1), x.axes.len()) {
            (axis, rank) if axis == rank as i64 => rank,
            (axis, rank) => normalize_axis(axis, rank)?,
        };
        let mut axes = vec![];
        for part in [&x.axes[..at], &x.axes[at..]] {
            axes.push(flat(cx, part)?);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![cx.operand(0)?.reshape(cx.result(0)?.1)?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

/// Some axes as one.
fn flat(cx: &mut Rule<'_>, axes: &[Dim]) -> Result<Dim, RuleError> {
    if let [one] = axes {
        return Ok(*one);
    }
    let extents: Vec<Extent> = axes.iter().map(|d| cx.dims.extent(*d).clone()).collect();
    let all = cx.dims.axis(product(&extents));
    cx.dims.reshape(axes, &[all], cx.cause)?;
    Ok(all)
}
