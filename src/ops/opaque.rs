//! An operator that `tpc` does not know: carried through unchanged, and everything it touches frozen.
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `opaque`: the node's bytes are an attribute; its result types are what the file says.
pub struct Opaque;

impl Operator for Opaque {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("type", Kind::Str), ("node", Kind::Bytes)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        0..=usize::MAX
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    /// Freezes every axis of every operand. The results' types are stated beside the operation, and frozen by the
    /// caller, which alone sees them.
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        for operand in cx.operands.iter().flatten() {
            for axis in operand.axes {
                cx.dims.freeze(*axis, Reason::Opaque, cx.cause);
            }
        }
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Err(EvalError::Wrong(format!(
            "`{}` is not known and cannot be run",
            cx.attrs.str_or("type", "opaque")
        )))
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
}
