//! Tensors made of little: ranges, constants of a shape, one-hot codes.
use super::index::strides;
use super::movement::{apart, one_int, target, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};

/// `range(start, limit, step)`: the numbers from `start` to before `limit`.
pub struct Range;

/// `constant_of_shape() {value, dtype} : type`: one value everywhere; the shape is the result's type.
pub struct ConstantOfShape;

/// `one_hot(indices, depth, values) {axis}`: along a new axis of `depth` positions, the second value at the index, and
/// the first elsewhere.
pub struct OneHot;

/// How many steps lie between two numbers.
fn steps(start: f64, limit: f64, step: f64) -> Option<i64> {
    let count = ((limit - start) / step).ceil().max(0.0);
    (step != 0.0 && count < 1e15).then_some(count as i64)
}

/// The three scalars of a range.
fn scalars<'t>(operand: impl Fn(usize) -> Option<&'t Tensor>) -> Option<[f64; 3]> {
    let one = |k| operand(k)?.to_f64().first().copied();
    Some([one(0)?, one(1)?, one(2)?])
}

impl Operator for Range {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=3
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let start = cx.operand(0)?;
        let values = scalars(|k| cx.optional(k)?.value);
        let known = values.and_then(|[start, limit, step]| steps(start, limit, step));
        let stated = cx.stated(0).and_then(|all| all.first()).cloned();
        let Some(extent) = known.map(Extent::from).or(stated) else {
            return cx.wrong("its extent is not known: its result type must be stated");
        };
        let y = cx.dims.axis(extent);
        cx.freeze(y, Reason::Index);
        cx.result(start.dtype, vec![y]);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let (start, step) = (cx.operand(0)?, cx.operand(2)?);
        let count = scalars(|k| cx.optional(k)).and_then(|[a, b, c]| steps(a, b, c));
        let Some(count) = count.filter(|n| shape.iter().product::<usize>() as i64 == *n) else {
            return wrong("the range does not have the extent that its type states");
        };
        let all = if start.dtype.is_float() {
            let (start, step) = (start.to_f64()[0], step.to_f64()[0]);
            let value = |i| start + i as f64 * step;
            Tensor::from_vec(shape, (0..count).map(value).collect())?
        } else {
            let (start, step) = (start.to_i64()?[0], step.to_i64()?[0]);
            let value = |i| step.wrapping_mul(i).wrapping_add(start);
            Tensor::from_i64(shape, (0..count).map(value).collect())?
        };
        Ok(vec![all.cast(dtype)?])
    }
    apart!();
}

impl Operator for ConstantOfShape {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("value", Kind::Float), ("dtype", Kind::DType)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        0..=0
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let axes = target(cx)?
            .iter()
            .map(|e| cx.dims.axis(e.clone()))
            .collect();
        let dtype = cx.attrs.dtype("dtype").unwrap_or(DType::F32);
        cx.result(dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let one = match cx.attrs.get("value") {
            Some(Attr::Expr(Expr::Num(n))) => Tensor::scalar(*n),
            _ => Tensor::scalar(cx.attrs.float_or("value", 0.0)),
        };
        let one = one.cast(dtype)?;
        let all = one.bytes().repeat(shape.iter().product());
        Ok(vec![Tensor::new(dtype, shape, all.into())?])
    }
    apart!();
}

impl OneHot {
    /// Where the new axis stands.
    fn axis(attrs: &Attrs, rank: usize) -> Result<usize, RuleError> {
        normalize_axis(attrs.int_or("axis", -1), rank + 1)
    }
}

impl Operator for OneHot {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=3
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (indices, depth, values) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let axis = OneHot::axis(cx.attrs, indices.axes.len())?;
        let stated = cx.stated(0).and_then(|all| all.get(axis)).cloned();
        let extent = depth.value.and_then(one_int).map(Extent::from).or(stated);
        let extent = extent.filter(|e| e.known().is_none_or(|n| n >= 0));
        let Some(extent) = extent else {
            return cx.wrong("the depth is not known, and the result type is not stated");
        };
        let codes = cx.dims.axis(extent);
        for d in [codes].iter().chain(depth.axes).chain(values.axes) {
            cx.freeze(*d, Reason::Index);
        }
        let mut axes = indices.axes.to_vec();
        axes.insert(axis, codes);
        cx.result(values.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (indices, values) = (cx.operand(0)?, cx.operand(2)?);
        let (dtype, shape) = cx.result(0)?;
        let axis = OneHot::axis(cx.attrs, indices.shape.len()).map_err(super::movement::as_eval)?;
        let values = values.cast(dtype)?;
        if values.len() != 2 || shape.len() != indices.shape.len() + 1 {
            return wrong("there are not two values, or the result has other axes");
        }
        let (size, depth) = (dtype.size(), shape[axis]);
        let values = values.bytes();
        let (off, on) = values.split_at(size);
        let mut out = off.repeat(shape.iter().product());
        let step = strides(shape)[axis];
        let indices = match indices.dtype.is_float() {
            true => indices.to_f64().iter().map(|x| *x as i64).collect(),
            false => indices.to_i64()?,
        };
        for (i, index) in indices.into_iter().enumerate() {
            // An index outside of the depth has no position.
            if let Some(place) = super::movement::position(index, depth) {
                let at = (i / step * depth + place) * step + i % step;
                out[at * size..(at + 1) * size].copy_from_slice(on);
            }
        }
        Ok(vec![Tensor::new(dtype, shape, out.into())?])
    }
    apart!();
}
