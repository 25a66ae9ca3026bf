//! Local response normalization: a window that slides along the channels.
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `lrn(x) {size, alpha, beta, bias}`: divided by a power of the mean square of neighbouring channels.
pub struct Lrn;

impl Operator for Lrn {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("size", Kind::Int),
            ("alpha", Kind::Float),
            ("beta", Kind::Float),
            ("bias", Kind::Float),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        if x.axes.len() < 2 {
            return cx.wrong("the input has fewer than 2 axes");
        }
        if !(1..=1 << 20).contains(&cx.attrs.int_or("size", 0)) {
            return cx.wrong("`size` is missing, or no window");
        }
        // A removed channel would change who is whose neighbour.
        cx.freeze(x.axes[1], Reason::SpatialAxis);
        cx.result_like(0)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let size = cx.attrs.int_or("size", 1) as usize;
        let alpha = cx.attrs.float_or("alpha", 1e-4) / size as f32;
        let beta = cx.attrs.float_or("beta", 0.75);
        let bias = cx.attrs.float_or("bias", 1.0);
        let values = x.to_f32()?;
        let (channels, plane) = (shape[1], shape[2..].iter().product::<usize>());
        let out = (0..values.len()).map(|at| {
            let c = at / plane.max(1) % channels;
            let first = c.saturating_sub((size - 1) / 2);
            let last = (c + size / 2).min(channels - 1);
            let base = at - c * plane;
            let square = |c: usize| values[base + c * plane].powi(2);
            let sum: f32 = (first..=last).map(square).sum();
            values[at] / (bias + alpha * sum).powf(beta)
        });
        Ok(vec![Tensor::from_f32(shape, out.collect())?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
}
