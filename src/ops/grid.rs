//! Constant indices that are a grid: what they name along an axis depends on the place along one of their own.
use super::gather::chosen;
use super::movement::position;
use super::*;
use crate::dims::{Dim, Reason};

/// What the tuples of constant indices, operand 1, address: a choice of positions along each of some axes.
pub(super) struct Grid {
    /// By component of the tuples.
    lines: Vec<Line>,
}

/// What one component is, wherever a tuple stands.
struct Line {
    /// The axis of the indices that it goes by; none where it is the same everywhere.
    axis: Option<usize>,
    /// The positions along that axis, or the one that there is.
    places: Vec<usize>,
}

impl Grid {
    /// The grid that indices are whose tuples stand along their last axis, behind `rows`, and address the axes
    /// `addressed`; none where they are no grid, or not known.
    pub(super) fn of(
        cx: &Rule<'_>,
        addressed: &[Dim],
        rows: &[Dim],
    ) -> Result<Option<Grid>, RuleError> {
        let known = |d: &Dim| cx.known(*d).and_then(|n| usize::try_from(n).ok());
        let extents: Option<Vec<usize>> = addressed.iter().map(known).collect();
        let shape: Option<Vec<usize>> = rows.iter().map(known).collect();
        let (Some(value), Some(extents), Some(shape)) = (cx.operand(1)?.value, extents, shape)
        else {
            return Ok(None);
        };
        let values = value.to_i64().unwrap_or_default();
        if values.is_empty() || values.len() != shape.iter().product::<usize>() * extents.len() {
            return Ok(None);
        }
        let mut lines = vec![];
        for (component, extent) in extents.iter().enumerate() {
            let own = values.iter().skip(component).step_by(extents.len());
            let places: Option<Vec<usize>> = own.map(|i| position(*i, *extent)).collect();
            let Some(places) = places else {
                return cx.wrong(format!("an index lies outside of {extent} positions"));
            };
            let Some(line) = line(&places, &shape) else {
                return Ok(None);
            };
            lines.push(line);
        }
        Ok(Some(Grid { lines }))
    }
    /// How many components go by an axis of the indices.
    pub(super) fn go_by(&self, axis: usize) -> usize {
        let own = self.lines.iter().filter(|line| line.axis == Some(axis));
        own.count()
    }
    /// States what is chosen, and that the indices are counted anew where positions go.
    pub(super) fn state(
        &self,
        cx: &mut Rule<'_>,
        addressed: &[Dim],
        rows: &[Dim],
    ) -> Result<(), RuleError> {
        for (line, table) in self.lines.iter().zip(addressed) {
            let to = match line.axis {
                Some(axis) => rows[axis],
                // A position that is named everywhere stays.
                None => {
                    let one = cx.dims.axis(Extent::from(1i64));
                    cx.freeze(one, Reason::Index);
                    one
                }
            };
            cx.indices.push((1, *table));
            chosen(cx, *table, &[to], &line.places)?;
        }
        Ok(())
    }
}

/// The axis of `shape` that places of that shape go by, if it is one.
fn line(places: &[usize], shape: &[usize]) -> Option<Line> {
    if places.iter().all(|p| *p == places[0]) {
        return Some(Line {
            axis: None,
            places: vec![places[0]],
        });
    }
    let steps = super::index::strides(shape);
    (0..shape.len()).find_map(|axis| {
        let (n, step) = (shape[axis], steps[axis]);
        let own: Vec<usize> = (0..n).map(|i| places[i * step]).collect();
        let goes_by = |(at, place): (usize, &usize)| own[at / step % n] == *place;
        places.iter().enumerate().all(goes_by).then_some(Line {
            axis: Some(axis),
            places: own,
        })
    })
}
