//! Keeping some positions of some axes: the shrink's inner loop.
use super::{Tensor, TensorError};
use std::ops::Range;

impl Tensor {
    /// The tensor at the kept positions of each axis (none: all of them).
    pub fn gather(&self, keep: &[Option<Vec<usize>>]) -> Result<Tensor, TensorError> {
        let shape: Vec<usize> = self
            .shape
            .iter()
            .enumerate()
            .map(|(axis, n)| {
                keep.get(axis)
                    .and_then(|k| k.as_ref())
                    .map_or(*n, |k| k.len())
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
            keep.get(last).and_then(|k| k.as_deref()),
            self.shape.get(last).copied().unwrap_or(1),
        );
        let pitch = self.shape.get(last).copied().unwrap_or(1) * inner;
        self.rows(keep, 0, last, 0, &mut |row| {
            let at = row * pitch;
            for run in &runs {
                if let Some(bytes) = self.data.get(at + run.start * inner..at + run.end * inner) {
                    out.extend_from_slice(bytes);
                }
            }
        });
        Tensor::new(self.dtype, &shape, out.into())
    }
    /// Calls `visit` with the flat index of every kept row of the axes before `last`.
    fn rows(
        &self,
        keep: &[Option<Vec<usize>>],
        axis: usize,
        last: usize,
        row: usize,
        visit: &mut dyn FnMut(usize),
    ) {
        if axis == last {
            return visit(row);
        }
        let n = self.shape[axis];
        match keep.get(axis).and_then(|k| k.as_ref()) {
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
}
