//! Keeping some positions of some axes: the shrink's inner loop.
use super::{Chosen, Data, Tensor, TensorError};
use std::borrow::Borrow;
use std::ops::Range;
use std::sync::Arc;

/// Which positions of an axis stay, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// All.
    All,
    /// These.
    Some(Vec<usize>),
    /// At each position of another axis, as many others.
    Rows {
        /// The other axis; no rows are picked of it.
        axis: usize,
        /// Per position of it.
        of: Vec<Vec<usize>>,
    },
}

impl Pick {
    /// How many positions stay of an axis that loses some.
    pub fn count(&self) -> Option<usize> {
        match self {
            Pick::All => None,
            Pick::Some(kept) => Some(kept.len()),
            Pick::Rows { of, .. } => Some(of.first().map_or(0, Vec::len)),
        }
    }
    /// Whether all positions are below `n`, and those of rows as many as the other axis has.
    pub fn fits(&self, n: usize, shape: &[usize]) -> bool {
        match self {
            Pick::All => true,
            Pick::Some(kept) => kept.iter().all(|i| *i < n),
            Pick::Rows { axis, of } => {
                let count = self.count().unwrap_or(n);
                let fits = |row: &Vec<usize>| row.len() == count && row.iter().all(|i| *i < n);
                shape.get(*axis) == Some(&of.len()) && of.iter().all(fits)
            }
        }
    }
}

impl Tensor {
    /// The tensor at the kept positions of each axis (none: all of them).
    pub fn gather(&self, keep: &[Option<Vec<usize>>]) -> Result<Tensor, TensorError> {
        let keep: Vec<Option<&[usize]>> = keep.iter().map(Option::as_deref).collect();
        self.gather_slices(&keep)
    }
    /// The tensor at the picked positions of each axis.
    pub fn pick<P: Borrow<Pick>>(&self, picks: &[P]) -> Result<Tensor, TensorError> {
        let lists: Option<Vec<Option<&[usize]>>> = picks
            .iter()
            .map(|pick| match pick.borrow() {
                Pick::All => Some(None),
                Pick::Some(kept) => Some(Some(&kept[..])),
                Pick::Rows { .. } => None,
            })
            .collect();
        match lists {
            Some(lists) => self.gather_slices(&lists),
            None => self.pick_rows(picks),
        }
    }
    /// The same, gathered each time that the elements are asked for: nothing is held but what they are picked from. None
    /// where a position is not there.
    pub fn choose(&self, picks: Vec<Arc<Pick>>) -> Option<Tensor> {
        let mut each = self.shape.iter().zip(&picks);
        if picks.len() != self.shape.len() || !each.all(|(n, pick)| pick.fits(*n, &self.shape)) {
            return None;
        }
        let counts = self.shape.iter().zip(&picks);
        let shape = counts.map(|(n, pick)| pick.count().unwrap_or(*n)).collect();
        let whole = self.clone();
        Some(Tensor {
            dtype: self.dtype,
            shape,
            data: Data::Chosen(Arc::new(Chosen { whole, picks })),
        })
    }
    fn gather_slices(&self, keep: &[Option<&[usize]>]) -> Result<Tensor, TensorError> {
        let shape: Vec<usize> = self
            .shape
            .iter()
            .enumerate()
            .map(|(axis, n)| {
                let kept = keep.get(axis).copied().flatten();
                kept.map_or(*n, <[usize]>::len)
            })
            .collect();
        if shape == self.shape && keep.iter().all(Option::is_none) {
            return Ok(self.clone());
        }
        let size = self.dtype.size();
        let mut out = Vec::with_capacity(shape.iter().product::<usize>() * size);
        let last = keep
            .iter()
            .rposition(Option::is_some)
            .unwrap_or(0)
            .min(self.shape.len().saturating_sub(1));
        // Behind the last axis that loses positions everything is contiguous: runs of it are copied whole.
        let inner = self
            .shape
            .get(last + 1..)
            .map_or(1, |rest| rest.iter().product::<usize>())
            * size;
        let runs = runs(
            keep.get(last).copied().flatten(),
            self.shape.get(last).copied().unwrap_or(1),
        );
        let pitch = self.shape.get(last).copied().unwrap_or(1) * inner;
        let bytes = self.bytes();
        self.rows(keep, 0, last, 0, &mut |row| {
            let at = row * pitch;
            for run in &runs {
                if let Some(bytes) = bytes.get(at + run.start * inner..at + run.end * inner) {
                    out.extend_from_slice(bytes);
                }
            }
        });
        Tensor::new(self.dtype, &shape, out.into())
    }
    /// Where an axis has a say in another's positions: the axes that are told alone come first.
    fn pick_rows<P: Borrow<Pick>>(&self, picks: &[P]) -> Result<Tensor, TensorError> {
        let all = &Pick::All;
        let picks: Vec<&Pick> = (0..self.shape.len())
            .map(|axis| picks.get(axis).map_or(all, Borrow::borrow))
            .collect();
        let counts = picks.iter().zip(&self.shape);
        let shape: Vec<usize> = counts.map(|(p, n)| p.count().unwrap_or(*n)).collect();
        // The last axis that loses positions or has a say in another's.
        let others = picks.iter().filter_map(|pick| match pick {
            Pick::Rows { axis, .. } => Some(*axis),
            Pick::All | Pick::Some(_) => None,
        });
        let own = picks.iter().rposition(|pick| **pick != Pick::All);
        let last = others
            .chain(own)
            .max()
            .unwrap_or(0)
            .min(self.shape.len() - 1);
        let (alone, rows): (Vec<usize>, Vec<usize>) =
            (0..=last).partition(|axis| !matches!(picks[*axis], Pick::Rows { .. }));
        let size = self.dtype.size();
        let mut out = vec![0; shape.iter().product::<usize>() * size];
        let copy = Copy {
            from: &self.bytes(),
            shape: &self.shape,
            picks: &picks,
            order: &[alone, rows].concat(),
            steps: [steps(&self.shape, size), steps(&shape, size)],
            run: self.shape[last + 1..].iter().product::<usize>() * size,
        };
        copy.axis(0, [0, 0], &mut vec![0; self.shape.len()], &mut out);
        Tensor::new(self.dtype, &shape, out.into())
    }
    /// Calls `visit` with the flat index of every kept row of the axes before `last`.
    fn rows(
        &self,
        keep: &[Option<&[usize]>],
        axis: usize,
        last: usize,
        row: usize,
        visit: &mut dyn FnMut(usize),
    ) {
        if axis == last {
            return visit(row);
        }
        let n = self.shape[axis];
        match keep.get(axis).copied().flatten() {
            Some(kept) => kept
                .iter()
                .for_each(|i| self.rows(keep, axis + 1, last, row * n + i, visit)),
            None => (0..n).for_each(|i| self.rows(keep, axis + 1, last, row * n + i, visit)),
        }
    }
}

/// Kept positions as runs.
fn runs(kept: Option<&[usize]>, all: usize) -> Vec<Range<usize>> {
    let Some(kept) = kept else {
        return std::iter::once(0..all).collect();
    };
    let mut runs: Vec<Range<usize>> = vec![];
    for i in kept {
        match runs.last_mut() {
            Some(run) if run.end == *i => run.end += 1,
            _ => runs.push(*i..*i + 1),
        }
    }
    runs
}

/// Bytes between neighbours along each axis.
fn steps(shape: &[usize], size: usize) -> Vec<usize> {
    let after = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    (0..shape.len()).map(|axis| after(axis) * size).collect()
}

/// A copy of picked positions, one axis within another.
struct Copy<'a> {
    from: &'a [u8],
    shape: &'a [usize],
    picks: &'a [&'a Pick],
    /// The axes, each after the one that has a say in it.
    order: &'a [usize],
    /// Bytes between neighbours in the tensor and in what is made.
    steps: [Vec<usize>; 2],
    /// Bytes that lie together behind the last axis.
    run: usize,
}

impl Copy<'_> {
    /// Goes along the axes of the order from `depth` on; `at` is where the tensor is read along those before.
    fn axis(&self, depth: usize, [from, to]: [usize; 2], at: &mut Vec<usize>, out: &mut [u8]) {
        let Some(axis) = self.order.get(depth).copied() else {
            let run = self.from.get(from..from + self.run);
            if let (Some(run), Some(out)) = (run, out.get_mut(to..to + self.run)) {
                out.copy_from_slice(run);
            }
            return;
        };
        let row = match self.picks[axis] {
            Pick::Rows { axis: other, of } => of.get(at[*other]).map(Vec::as_slice),
            Pick::All | Pick::Some(_) => None,
        };
        let mut go = |new: usize, old: usize| {
            at[axis] = old;
            let from = from + old * self.steps[0][axis];
            self.axis(depth + 1, [from, to + new * self.steps[1][axis]], at, out);
        };
        match self.picks[axis] {
            Pick::All => (0..self.shape[axis]).for_each(|i| go(i, i)),
            Pick::Some(kept) => kept.iter().enumerate().for_each(|(new, old)| go(new, *old)),
            Pick::Rows { .. } => {
                let row = row.unwrap_or_default().iter().enumerate();
                row.for_each(|(new, old)| go(new, *old));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_like_indexing() {
        let x = Tensor::from_i64(&[3, 4, 2], (0..24).collect()).unwrap();
        let keep = [Some(vec![0, 2]), Some(vec![1, 2]), None];
        let y = x.gather(&keep).unwrap();
        assert_eq!(y.shape, [2, 2, 2]);
        assert_eq!(y.to_i64().unwrap(), [2, 3, 4, 5, 18, 19, 20, 21]);
        let y = x.gather(&[None, None, Some(vec![1])]).unwrap();
        assert_eq!(
            y.to_i64().unwrap(),
            (0..12).map(|i| 2 * i + 1).collect::<Vec<_>>()
        );
        let scalar = Tensor::scalar(7i64);
        assert_eq!(scalar.gather(&[]).unwrap(), scalar);
    }

    #[test]
    fn picks_other_positions_in_each_row() {
        let x = Tensor::from_i64(&[2, 3, 2], (0..12).collect()).unwrap();
        let rows = |axis, of: [&[usize]; 2]| Pick::Rows {
            axis,
            of: of.map(<[usize]>::to_vec).to_vec(),
        };
        let y = x.pick(&[Pick::All, rows(0, [&[0, 1], &[0, 2]]), Pick::All]);
        let y = y.unwrap();
        assert_eq!(y.shape, [2, 2, 2]);
        assert_eq!(y.to_i64().unwrap(), [0, 1, 2, 3, 6, 7, 10, 11]);
        // The axis that decides may lie behind.
        let y = x.pick(&[Pick::All, rows(2, [&[2], &[0]]), Pick::All]);
        let y = y.unwrap();
        assert_eq!(y.shape, [2, 1, 2]);
        assert_eq!(y.to_i64().unwrap(), [4, 1, 10, 7]);
        // And may lose positions itself.
        let y = x.pick(&[
            Pick::Some(vec![1]),
            rows(0, [&[0], &[2]]),
            Pick::Some(vec![1]),
        ]);
        assert_eq!(y.unwrap().to_i64().unwrap(), [11]);
    }
}
