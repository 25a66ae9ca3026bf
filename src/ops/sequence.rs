//! Sequences: a tensor cut into items along an axis, and one of the items. A sequence is held as the tensor that was cut.
use super::movement::{every, moves, pick, position, wrong};
use super::split::parts;
use super::*;
use crate::tensor::Tensor;

/// `split_to_sequence(x) {axis, sizes}`: items of these sizes; the axis is their sum.
pub struct SplitToSequence;

/// `sequence_at(sequence) {axis, sizes, index}`: the item at a place, of a sequence that is cut as `axis` and `sizes`
/// say. A negative place counts from the end.
pub struct SequenceAt;

impl Operator for SplitToSequence {
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
        parts(cx)?;
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![cx.operand(0)?.clone()])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

impl Operator for SequenceAt {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("axis", Kind::Int),
            ("sizes", Kind::Extents),
            ("index", Kind::Int),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let (axis, items) = parts(cx)?;
        let index = cx.attrs.int_or("index", 0);
        let Some(at) = position(index, items.len()) else {
            return cx.wrong(format!("item {index} of a sequence of {}", items.len()));
        };
        let mut axes = x.axes.to_vec();
        axes[axis] = items[at];
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let axis = cx.axis("axis", 0, x.shape.len())?;
        let sizes = cx.attrs.ints("sizes").unwrap_or_default();
        let at = position(cx.attrs.int_or("index", 0), sizes.len());
        let bounds = at.map(|at| (sizes[..at].iter().sum::<i64>(), sizes[at]));
        let Some((start, size)) = bounds else {
            return wrong("there is no such item");
        };
        let mut places: Vec<_> = x.shape.iter().map(|n| every(*n)).collect();
        places[axis] = (start..start + size)
            .map(|i| usize::try_from(i).ok())
            .collect();
        Ok(vec![pick(x, &places, &[])?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
