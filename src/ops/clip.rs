//! Values held between two bounds.
use super::*;
use crate::tensor::Tensor;

/// `clip(x, min?, max?)`: the bounds are scalars.
pub struct Clip;

impl Operator for Clip {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        for k in 1..3 {
            if let Some(bound) = cx.optional(k) {
                let one = bound.axes.iter().all(|d| cx.known(*d) == Some(1));
                if !one {
                    return cx.wrong("a bound has more than one element");
                }
            }
        }
        cx.result_like(0)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, _) = cx.result(0)?;
        let bound = |k: usize| cx.optional(k).filter(|b| !b.is_empty());
        if x.dtype.is_float() {
            let bound = |k: usize, none: f32| -> Result<f32, EvalError> {
                Ok(bound(k)
                    .map(|b| b.to_f32().map(|b| b[0]))
                    .transpose()?
                    .unwrap_or(none))
            };
            let (least, most) = (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?);
            let values = x.to_f32()?;
            let clipped = values.iter().map(|x| match x.is_nan() {
                true => *x,
                false => x.max(least).min(most),
            });
            return Ok(vec![
                Tensor::from_f32(&x.shape, clipped.collect())?.cast(dtype)?,
            ]);
        }
        let bound = |k: usize, none: i64| -> Result<i64, EvalError> {
            Ok(bound(k)
                .map(|b| b.to_i64().map(|b| b[0]))
                .transpose()?
                .unwrap_or(none))
        };
        let (least, most) = (bound(1, i64::MIN)?, bound(2, i64::MAX)?);
        let values = x.to_i64()?;
        let clipped = values.iter().map(|x| (*x).max(least).min(most));
        Ok(vec![
            Tensor::from_i64(&x.shape, clipped.collect())?.cast(dtype)?,
        ])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
