//! Conversions of the element type, and what is nothing at all when a network runs.
use super::*;
use crate::tensor::{DType, Tensor};

/// `cast(x) {to}`
pub struct Cast;

/// `cast_like(x, like)`: to the element type of `like`, whose elements do not matter.
pub struct CastLike;

/// `dropout(x)`: gives `x`, and on request a mask that is true everywhere.
pub struct Dropout;

fn same_axes(cx: &mut Rule<'_>, dtype: DType) -> Result<(), RuleError> {
    let axes = cx.operand(0)?.axes.to_vec();
    cx.result(dtype, axes);
    Ok(())
}

fn convert(x: &Tensor, dtype: DType) -> Result<Vec<Tensor>, EvalError> {
    Ok(vec![x.cast(dtype)?])
}

impl Operator for Cast {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("to", Kind::DType)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        match cx.attrs.dtype("to") {
            Some(dtype) => same_axes(cx, dtype),
            None => cx.wrong("`to` is missing"),
        }
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        convert(cx.operand(0)?, cx.result(0)?.0)
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

impl Operator for CastLike {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let dtype = cx.operand(1)?.dtype;
        same_axes(cx, dtype)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        convert(cx.operand(0)?, cx.result(0)?.0)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            0 => Use::Seen,
            _ => all_axes(view, k, Role::Other),
        }
    }
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

impl Operator for Dropout {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("ratio", Kind::Float)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        cx.result_like(0)?;
        same_axes(cx, DType::Bool)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let all = Tensor::from_vec(&x.shape, vec![true; x.len()])?;
        Ok(vec![x.clone(), all])
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
