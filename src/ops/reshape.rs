//! Reshape: the same elements in row-major order under other axes.
use super::*;
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
