//! Shapes as values, where import could not take them for what they are.
use super::movement::apart;
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};
use std::collections::BTreeSet;

/// `shape_of(x) {start, end}`: the extents of the axes from `start` to before `end`, as a vector.
///
/// An extent that something reads must stay what it is; one that nothing reads shrinks.
pub struct ShapeOf;

/// `size_of(x)`: the number of elements.
pub struct SizeOf;

impl ShapeOf {
    /// Which axes are asked for.
    fn axes(attrs: &Attrs, rank: usize) -> std::ops::Range<usize> {
        let at = |name, default| {
            let n = attrs.int_or(name, default);
            let n = if n < 0 {
                n.saturating_add(rank as i64)
            } else {
                n
            };
            n.clamp(0, rank as i64) as usize
        };
        let (start, end) = (at("start", 0), at("end", rank as i64));
        start..end.max(start)
    }
}

impl Operator for ShapeOf {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("start", Kind::Int), ("end", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let asked = ShapeOf::axes(cx.attrs, x.axes.len());
        let count = asked.len();
        for (i, d) in x.axes[asked].iter().enumerate() {
            let (front, back) = (i as i64, i as i64 - count as i64);
            let reads = |all: &BTreeSet<i64>| all.contains(&front) || all.contains(&back);
            // A run-time extent is asked for where it is not read, too.
            if cx.asked.is_none_or(reads) || cx.known(*d).is_none() {
                cx.freeze(*d, Reason::Index);
            }
        }
        let y = cx.dims.axis(count);
        cx.freeze(y, Reason::Index);
        cx.result(DType::I64, vec![y]);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let asked = ShapeOf::axes(cx.attrs, x.shape.len());
        let extents: Vec<i64> = x.shape[asked].iter().map(|n| *n as i64).collect();
        Ok(vec![Tensor::from_i64(&[extents.len()], extents)?])
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let asked = ShapeOf::axes(mask.attrs(), mask.rank(0));
        if asked.clone().all(|axis| mask.lost(0, axis).is_none()) {
            return mask.apart();
        }
        let Some(whole) = mask.apart().first().copied() else {
            return vec![];
        };
        // As many positions as stay, where some are lost.
        let mut extents = vec![];
        for (i, axis) in asked.enumerate() {
            let at = |at: usize| Attr::ints([at as i64]);
            let extent = match mask.lost(0, axis) {
                Some((_, kept)) => {
                    let kept = mask.integer(kept as i64);
                    let attrs = Attrs::new().with("axes", at(0));
                    mask.emit(Op::Unsqueeze, &[Some(kept)], attrs)
                }
                None => {
                    let attrs = Attrs::new()
                        .with("axes", at(0))
                        .with("starts", at(i))
                        .with("ends", at(i + 1));
                    mask.emit(Op::Slice, &[Some(whole)], attrs)
                }
            };
            extents.push(Some(extent));
        }
        let attrs = Attrs::new().with("axis", Attr::int(0));
        vec![mask.emit(Op::Concat, &extents, attrs)]
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

impl Operator for SizeOf {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        for d in cx.operand(0)?.axes {
            cx.freeze(*d, Reason::Index);
        }
        cx.result(DType::I64, vec![]);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![Tensor::scalar(cx.operand(0)?.len() as i64)])
    }
    apart!();
}
