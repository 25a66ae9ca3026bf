//! Positions of one axis, by index.
use super::context::product;
use super::movement::{every, pick, position, wrong};
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `gather(x, indices) {axis}`: the indices' axes stand in the place of the axis they point into.
///
/// Constant indices cut the axis into their runs; any others freeze it, and so do those that look up a table.
pub struct Gather;

/// Indices of more runs than this, some of them twice, look up a table.
const MOST_RUNS: usize = 64;

impl Operator for Gather {
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
        let axis = cx.axis("axis", 0, x.axes.len())?;
        if !indices.dtype.is_integer() {
            return cx.wrong("the indices are no integers");
        }
        let table = x.axes[axis];
        let extent = cx.known(table).and_then(|n| usize::try_from(n).ok());
        match (indices.value, extent) {
            (Some(value), Some(extent)) => {
                let places: Option<Vec<usize>> = value
                    .to_i64()
                    .unwrap_or_default()
                    .into_iter()
                    .map(|i| position(i, extent))
                    .collect();
                let Some(places) = places else {
                    return cx.wrong(format!("an index lies outside of {extent} positions"));
                };
                cx.indices.push((1, table));
                chosen(cx, table, indices.axes, &places)?;
            }
            _ => cx.freeze(table, Reason::Index),
        }
        let axes = [&x.axes[..axis], indices.axes, &x.axes[axis + 1..]].concat();
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
        let axis = cx.axis("axis", 0, x.shape.len())?;
        let mut places: Vec<_> = x.shape.iter().map(|n| every(*n)).collect();
        let indices = indices.to_i64()?;
        places[axis] = indices
            .iter()
            .map(|i| position(*i, x.shape[axis]))
            .collect();
        if let Some(at) = places[axis].iter().position(Option::is_none) {
            let (index, extent) = (indices[at], x.shape[axis]);
            return wrong(format!("index {index} lies outside of {extent} positions"));
        }
        Ok(vec![pick(x, &places, &[])?.reshape(cx.result(0)?.1)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    /// A single position is seen through; a table is looked up, and its width is its own.
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let rank = view.operand(k).map_or(0, |o| o.axes.len());
        let single = view.operand(1).is_some_and(|o| o.axes.is_empty());
        match k {
            0 if single => Use::Seen,
            0 => {
                let mut roles = vec![Role::Table; rank];
                if let Ok(axis) = normalize_axis(view.attrs.int_or("axis", 0), rank) {
                    roles[axis] = Role::Index;
                }
                Use::Roles(roles)
            }
            _ => all_axes(view, k, Role::Index),
        }
    }
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

/// Constant indices of any rank: in row-major order they are a cut of the axis.
pub(super) fn chosen(
    cx: &mut Rule<'_>,
    table: Dim,
    indices: &[Dim],
    places: &[usize],
) -> Result<(), RuleError> {
    if places.is_empty() {
        return Ok(());
    }
    if is_table(places) {
        for d in [table].iter().chain(indices) {
            cx.freeze(*d, Reason::Index);
        }
        return Ok(());
    }
    let flat = match indices {
        [one] => *one,
        _ => {
            let extents: Vec<Extent> = indices.iter().map(|d| cx.dims.extent(*d).clone()).collect();
            let flat = cx.dims.axis(product(&extents));
            cx.dims.reshape(indices, &[flat], cx.cause)?;
            flat
        }
    };
    Ok(cx.dims.gather(table, flat, places, cx.cause)?)
}

/// Whether indices look a table up: many runs, and positions that stand more than once. Cut, there would be no more
/// left of it than single positions tied to each other.
fn is_table(places: &[usize]) -> bool {
    let runs = 1 + places.windows(2).filter(|w| w[0] + 1 != w[1]).count();
    let distinct: std::collections::HashSet<&usize> = places.iter().collect();
    runs > MOST_RUNS && distinct.len() < places.len()
}
