//! Choice between operands: element by element, or of all at once.
use super::index::{broadcast_strides, walk};
use super::movement::apart;
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `if(condition, then..., else...)`: the first half of the values where the condition holds, else the second.
///
/// Both halves are operands, so that what computes them is a part of the program like any other, and both are pruned alike.
pub struct If;

impl Operator for If {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=usize::MAX
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        for d in cx.operand(0)?.axes {
            cx.freeze(*d, Reason::Barrier);
        }
        let count = cx.operands.len() / 2;
        if cx.operands.len() != 2 * count + 1 {
            return cx.wrong("it gives one half of its operands or the other");
        }
        for k in 1..=count {
            let (one, other) = (cx.operand(k)?, cx.operand(k + count)?);
            if one.dtype != other.dtype || one.axes.len() != other.axes.len() {
                return cx.wrong("its halves are of different types or ranks");
            }
            let mut axes = one.axes.to_vec();
            for (i, (a, b)) in one.axes.iter().zip(other.axes).enumerate() {
                if cx.dims.extent(*a) == cx.dims.extent(*b) {
                    cx.equate(*a, *b)?;
                    continue;
                }
                // Which extent it has is known when it ran.
                let Some(extent) = cx.stated(k - 1).and_then(|all| all.get(i)) else {
                    return cx
                        .wrong("its halves have different extents, and its type is not stated");
                };
                cx.freeze(*a, Reason::Barrier);
                cx.freeze(*b, Reason::Barrier);
                axes[i] = cx.dims.axis(extent.clone());
            }
            cx.result(one.dtype, axes);
        }
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let holds = cx.operand(0)?.to_i64()?.first().is_some_and(|x| *x != 0);
        let count = cx.operands.len() / 2;
        let first = if holds { 1 } else { 1 + count };
        (first..first + count)
            .map(|k| Ok(cx.operand(k)?.clone()))
            .collect()
    }
    apart!();
}

/// `where(condition, x, y)`, with numpy's broadcasting.
pub struct Where;

impl Operator for Where {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (condition, x, y) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let axes = cx.broadcast(&[condition.axes, x.axes, y.axes])?;
        cx.result(x.dtype, axes);
        Ok(())
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
    apart!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
