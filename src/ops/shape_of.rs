//! Shapes as values, where import could not take them for what they are.
use super::movement::apart;
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};

/// `shape_of(x) {start, end}`: the extents of the axes from `start` to before `end`, as a vector.
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
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let asked = ShapeOf::axes(cx.attrs, x.axes.len());
        let count = asked.len();
        for d in &x.axes[asked] {
            cx.freeze(*d, Reason::Index);
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
    apart!();
}

impl Operator for SizeOf {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
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
