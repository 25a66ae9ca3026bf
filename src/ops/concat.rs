//! Concatenation along one axis.
use super::*;
use crate::tensor::Tensor;

/// `concat(a, b, ...) {axis}`: the axis is the sum of the operands' axes.
pub struct Concat;

impl Operator for Concat {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let first = cx.operand(0)?;
        let axis = cx.axis("axis", 0, first.axes.len())?;
        let mut parts = vec![];
        for k in 0..cx.operands.len() {
            let operand = cx.operand(k)?;
            if operand.axes.len() != first.axes.len() {
                return cx.wrong(format!(
                    "operands have {} and {} axes",
                    first.axes.len(),
                    operand.axes.len()
                ));
            }
            for (i, (a, b)) in first.axes.iter().zip(operand.axes).enumerate() {
                if i != axis {
                    cx.equate(*a, *b)?;
                }
            }
            parts.push(operand.axes[axis]);
        }
        let mut axes = first.axes.to_vec();
        axes[axis] = cx.dims.concat(&parts);
        cx.result(first.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let axis = cx.axis("axis", 0, shape.len())?;
        let inner: usize = shape[axis + 1..].iter().product::<usize>() * dtype.size();
        let outer: usize = shape[..axis].iter().product();
        let mut out = Vec::with_capacity(shape.iter().product::<usize>() * dtype.size());
        for row in 0..outer {
            for k in 0..cx.operands.len() {
                let operand = cx.operand(k)?;
                let run = operand.shape[axis] * inner;
                out.extend_from_slice(&operand.bytes()[row * run..(row + 1) * run]);
            }
        }
        Ok(vec![Tensor::new(dtype, shape, out.into())?])
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
