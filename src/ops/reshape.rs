//! Reshape: the same elements in row-major order under other axes.
use super::context::product;
use super::*;
use crate::dims::{Dim, Mismatch};
use crate::tensor::Tensor;

/// `reshape(x) : type`: the target is the result's type.
pub struct Reshape;

impl Operator for Reshape {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let Some(target) = cx.stated(0) else {
            return cx.wrong("its result type must be stated: it is the target");
        };
        splits(cx, x.axes, target)?;
        let axes: Vec<_> = target.iter().map(|e| cx.dims.axis(e.clone())).collect();
        cx.dims.reshape(x.axes, &axes, cx.cause)?;
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![cx.operand(0)?.reshape(cx.result(0)?.1)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, _: &View<'_>, _: usize) -> Use {
        Use::Seen
    }
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

/// Whatever extents are known at run time only, a known number of elements is a multiple of the others.
fn splits(cx: &Rule<'_>, from: &[Dim], to: &[Extent]) -> Result<(), Mismatch> {
    let from: Vec<Extent> = from.iter().map(|d| cx.dims.extent(*d).clone()).collect();
    for (whole, parts) in [(&from[..], to), (to, &from[..])] {
        let known: Vec<Extent> = parts.iter().filter(|e| e.is_known()).cloned().collect();
        let (all, each) = (product(whole), product(&known));
        let is_open = known.len() < parts.len() && all.known().is_some_and(|n| n != 0);
        if is_open && all.exact_div(&each).is_none() {
            return Err(Mismatch::Split(all, each));
        }
    }
    Ok(())
}
