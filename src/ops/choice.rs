//! Choice between two operands, element by element.
use super::index::{broadcast_strides, walk};
use super::*;
use crate::tensor::Tensor;

/// `where(condition, x, y)`, with numpy's broadcasting.
pub struct Where;

impl Operator for Where {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=3
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (condition, x, y) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let axes = cx.broadcast(&[condition.axes, x.axes, y.axes])?;
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (c, x, y) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let (dtype, shape) = cx.result(0)?;
        let steps = [c, x, y].map(|t| broadcast_strides(&t.shape, shape));
        let steps = [&steps[0][..], &steps[1][..], &steps[2][..]];
        let c = c.to_i64()?;
        let mut places = Vec::with_capacity(shape.iter().product());
        let out = if x.dtype.is_float() {
            let (x, y) = (x.to_f32()?, y.to_f32()?);
            walk(shape, steps, |[c_at, i, j]| {
                places.push(if c[c_at] != 0 { x[i] } else { y[j] });
            });
            Tensor::from_f32(shape, places)?
        } else {
            let (x, y) = (x.to_i64()?, y.to_i64()?);
            let mut places = Vec::with_capacity(shape.iter().product());
            walk(shape, steps, |[c_at, i, j]| {
                places.push(if c[c_at] != 0 { x[i] } else { y[j] });
            });
            Tensor::from_i64(shape, places)?
        };
        Ok(vec![out.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
}
