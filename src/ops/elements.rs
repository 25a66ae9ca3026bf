//! Elements taken and put one by one along an axis.
//!
//! Constant indices that differ along that axis alone cut it into the runs of positions that they name; any others
//! freeze it.
use super::grid::Grid;
use super::index::strides;
use super::movement::{moves, position, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `gather_elements(x, indices) {axis}`: `y[i][j] = x[indices[i][j]][j]` for axis 0.
pub struct GatherElements;

/// `scatter_elements(x, indices, updates) {axis, reduction}`: `y[indices[i][j]][j] = updates[i][j]` for axis 0, and `x`
/// elsewhere; `reduction` (`none`, `add`, `mul`, `max`, `min`) combines the two.
pub struct ScatterElements;

impl Operator for GatherElements {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
        addressed(cx)?;
        cx.result(x.dtype, indices.axes.to_vec());
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let size = x.dtype.size();
        let mut out = vec![];
        for at in offsets(cx)? {
            out.extend_from_slice(&x.bytes()[at * size..(at + 1) * size]);
        }
        Ok(vec![Tensor::new(
            x.dtype,
            &cx.operand(1)?.shape,
            out.into(),
        )?])
    }
    moves!();
}

impl Operator for ScatterElements {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int), ("reduction", Kind::Str)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (indices, updates) = (cx.operand(1)?, cx.operand(2)?);
        if updates.axes.len() != indices.axes.len() {
            return cx.wrong("the indices and the updates have different axes");
        }
        for (a, b) in indices.axes.iter().zip(updates.axes) {
            cx.equate(*a, *b)?;
        }
        if let Some(axis) = addressed(cx)? {
            // Without a position of the indices, what it writes would stay as it was.
            cx.freeze(indices.axes[axis], Reason::Index);
        }
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, updates) = (cx.operand(0)?, cx.operand(2)?);
        let moves = offsets(cx)?.into_iter().enumerate().map(|(i, at)| (at, i));
        scatter(cx.attrs, x, updates, moves.collect())
    }
    moves!();
}

/// Ties the axes that are not addressed by index, and the one that is, if constant indices say how; else freezes it, and
/// returns which.
fn addressed(cx: &mut Rule<'_>) -> Result<Option<usize>, RuleError> {
    let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
    let axis = cx.axis("axis", 0, x.axes.len())?;
    if x.axes.len() != indices.axes.len() || !indices.dtype.is_integer() {
        return cx.wrong("the indices are no integers, or have different axes");
    }
    for (i, (a, b)) in x.axes.iter().zip(indices.axes).enumerate() {
        if i == axis {
            continue;
        }
        if cx.dims.extent(*a) == cx.dims.extent(*b) {
            cx.equate(*a, *b)?;
            continue;
        }
        // Fewer positions than there are: the first ones.
        match (cx.known(*a), cx.known(*b)) {
            (Some(a), Some(b)) if b > a => {
                return cx.wrong("there are more indices than positions");
            }
            (Some(_), Some(_)) => {
                cx.dims.slice(*a, 0, *b, cx.cause)?;
            }
            _ => {
                cx.freeze(*a, Reason::Index);
                cx.freeze(*b, Reason::Index);
            }
        }
    }
    let table = &x.axes[axis..=axis];
    let is_line = |grid: &Grid| {
        let mut others = (0..indices.axes.len()).filter(|i| *i != axis);
        others.all(|i| grid.go_by(i) == 0)
            && grid.go_by(axis) == usize::from(cx.known(indices.axes[axis]) != Some(1))
    };
    match Grid::of(cx, table, indices.axes)?.filter(is_line) {
        Some(grid) => {
            grid.state(cx, table, indices.axes)?;
            Ok(None)
        }
        None => {
            cx.freeze(table[0], Reason::Index);
            Ok(Some(axis))
        }
    }
}

/// For each index, the offset in operand 0 that it means.
fn offsets(cx: &Eval<'_>) -> Result<Vec<usize>, EvalError> {
    let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
    let axis = cx.axis("axis", 0, x.shape.len())?;
    let too_many = indices
        .shape
        .iter()
        .zip(&x.shape)
        .enumerate()
        .any(|(i, (a, b))| i != axis && a > b);
    if x.shape.len() != indices.shape.len() || too_many {
        return wrong("the indices do not fit the operand");
    }
    let step = strides(&x.shape);
    let mut all = vec![];
    for (flat, index) in indices.to_i64()?.into_iter().enumerate() {
        let Some(index) = position(index, x.shape[axis]) else {
            return wrong(format!(
                "index {index} lies outside of {} positions",
                x.shape[axis]
            ));
        };
        let mut place = super::index::unravel(flat, &indices.shape);
        place[axis] = index;
        all.push(place.iter().zip(&step).map(|(i, s)| i * s).sum());
    }
    Ok(all)
}

/// `x` with elements of `updates` put in, for pairs (where in `x`, which of `updates`), in order.
pub(super) fn scatter(
    attrs: &Attrs,
    x: &Tensor,
    updates: &Tensor,
    moves: Vec<(usize, usize)>,
) -> Result<Vec<Tensor>, EvalError> {
    let updates = updates.cast(x.dtype)?;
    let reduction = attrs.str_or("reduction", "none");
    if moves
        .iter()
        .any(|(to, from)| *to >= x.len() || *from >= updates.len())
    {
        return wrong("the updates do not fit the indices");
    }
    if reduction == "none" {
        let (size, mut out) = (x.dtype.size(), x.bytes().to_vec());
        for (to, from) in moves {
            let element = &updates.bytes()[from * size..(from + 1) * size];
            out[to * size..(to + 1) * size].copy_from_slice(element);
        }
        return Ok(vec![Tensor::new(x.dtype, &x.shape, out.into())?]);
    }
    let out = if x.dtype.is_float() {
        let f: fn(f32, f32) -> f32 = match reduction {
            "add" => |a, b| a + b,
            "mul" => |a, b| a * b,
            "max" => f32::max,
            "min" => f32::min,
            other => return wrong(format!("there is no reduction `{other}`")),
        };
        let (mut out, updates) = (x.to_f32()?.into_owned(), updates.to_f32()?);
        moves
            .iter()
            .for_each(|(to, from)| out[*to] = f(out[*to], updates[*from]));
        Tensor::from_f32(&x.shape, out)?
    } else {
        let f: fn(i64, i64) -> i64 = match reduction {
            "add" => i64::wrapping_add,
            "mul" => i64::wrapping_mul,
            "max" => i64::max,
            "min" => i64::min,
            other => return wrong(format!("there is no reduction `{other}`")),
        };
        let (mut out, updates) = (x.to_i64()?, updates.to_i64()?);
        moves
            .iter()
            .for_each(|(to, from)| out[*to] = f(out[*to], updates[*from]));
        Tensor::from_i64(&x.shape, out)?
    };
    Ok(vec![out.cast(x.dtype)?])
}
