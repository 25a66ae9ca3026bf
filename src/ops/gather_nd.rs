//! Slices taken and put by tuples of indices.
//!
//! Constant tuples that are a grid cut the axes that they address into the runs of positions that they name; any others
//! freeze them.
use super::elements::scatter;
use super::grid::Grid;
use super::index::strides;
use super::movement::{moves, position, wrong};
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `gather_nd(x, indices) {batch_dims}`: behind the batch axes, each row of the indices' last axis addresses a slice.
pub struct GatherNd;

/// `scatter_nd(x, indices, updates) {reduction}`: `x` with the slices that the rows address replaced by `updates`, or
/// combined with them (`none`, `add`, `mul`, `max`, `min`).
pub struct ScatterNd;

impl Operator for GatherNd {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("batch_dims", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
        let Ok(batch) = usize::try_from(cx.attrs.int_or("batch_dims", 0)) else {
            return cx.wrong("`batch_dims` is negative");
        };
        let (behind, rows) = addressed(cx, batch)?;
        for (a, b) in x.axes.iter().zip(&indices.axes[..batch]) {
            cx.equate(*a, *b)?;
        }
        let table = &x.axes[batch..behind];
        let grid = Grid::of(cx, table, rows)?;
        match grid.filter(|grid| (0..batch).all(|axis| grid.go_by(axis) == 0)) {
            Some(grid) => grid.state(cx, table, rows)?,
            None => table.iter().for_each(|d| cx.freeze(*d, Reason::Index)),
        }
        cx.result(x.dtype, [rows, &x.axes[behind..]].concat());
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let batch = usize::try_from(cx.attrs.int_or("batch_dims", 0)).unwrap_or(0);
        let (rows, run) = rows(cx, batch)?;
        let run = run * x.dtype.size();
        let mut out = Vec::with_capacity(rows.len() * run);
        for row in rows {
            out.extend_from_slice(&x.bytes()[row * run..(row + 1) * run]);
        }
        Ok(vec![Tensor::new(x.dtype, cx.result(0)?.1, out.into())?])
    }
    moves!();
}

impl Operator for ScatterNd {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("reduction", Kind::Str)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, updates) = (cx.operand(0)?, cx.operand(2)?);
        let (behind, rows) = addressed(cx, 0)?;
        let slices = [rows, &x.axes[behind..]].concat();
        if slices.len() != updates.axes.len() {
            return cx.wrong(format!(
                "the updates have {} axes, and not {}",
                updates.axes.len(),
                slices.len()
            ));
        }
        for (a, b) in slices.iter().zip(updates.axes) {
            cx.equate(*a, *b)?;
        }
        let table = &x.axes[..behind];
        // A box: then no two rows name one place, and a row goes with what it writes, and else stays.
        let is_box = |grid: &Grid| {
            let one =
                |(axis, d): (usize, &Dim)| grid.go_by(axis) == usize::from(cx.known(*d) != Some(1));
            rows.iter().enumerate().all(one)
        };
        match Grid::of(cx, table, rows)?.filter(is_box) {
            Some(grid) => grid.state(cx, table, rows)?,
            None => {
                let all = table.iter().chain(rows);
                all.for_each(|d| cx.freeze(*d, Reason::Index));
            }
        }
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, updates) = (cx.operand(0)?, cx.operand(2)?);
        let (rows, run) = rows(cx, 0)?;
        let moves = rows.iter().enumerate();
        let moves = moves.flat_map(|(i, row)| (0..run).map(move |e| (row * run + e, i * run + e)));
        scatter(cx.attrs, x, updates, moves.collect())
    }
    moves!();
}

/// Freezes the axis of the tuples; returns the first axis behind those that are addressed, and the other axes of the
/// indices.
fn addressed<'a>(cx: &mut Rule<'a>, batch: usize) -> Result<(usize, &'a [Dim]), RuleError> {
    let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
    let split = indices.axes.split_last();
    let Some((last, rows)) = split.filter(|_| indices.dtype.is_integer()) else {
        return cx.wrong("the indices are no integers, or a scalar");
    };
    let Some(width) = cx.known(*last).and_then(|n| usize::try_from(n).ok()) else {
        return cx.wrong("the extent of the indices' last axis is not known");
    };
    let behind = batch.saturating_add(width);
    if behind > x.axes.len() || batch >= indices.axes.len() {
        return cx.wrong(format!("{width} indices address {} axes", x.axes.len()));
    }
    cx.freeze(*last, Reason::Index);
    Ok((behind, rows))
}

/// The slices that the indices address, counted in slices, and the elements of one.
fn rows(cx: &Eval<'_>, batch: usize) -> Result<(Vec<usize>, usize), EvalError> {
    let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
    let width = indices.shape.last().copied().unwrap_or(0);
    let behind = batch.saturating_add(width);
    if behind > x.shape.len() || batch >= indices.shape.len() {
        return wrong("the indices do not fit the operand");
    }
    let step = strides(&x.shape[..behind]);
    let lead: usize = indices.shape[batch..indices.shape.len() - 1]
        .iter()
        .product();
    let values = indices.to_i64()?;
    let mut all = vec![];
    for row in 0..indices.shape[..indices.shape.len() - 1].iter().product() {
        let first: usize = x.shape[batch..behind].iter().product();
        let mut at = row / lead.max(1) * first;
        for k in 0..width {
            let (index, extent) = (values[row * width + k], x.shape[batch + k]);
            let Some(place) = position(index, extent) else {
                return wrong(format!("index {index} lies outside of {extent} positions"));
            };
            at += place * step[batch + k];
        }
        all.push(at);
    }
    Ok((all, x.shape[behind..].iter().product()))
}
