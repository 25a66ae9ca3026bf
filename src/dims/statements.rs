//! Statements about axes that operators need: reshapes, slices, gathers.
use super::{Cause, Dim, Dims, Mismatch, Reason, known};
use crate::tensor::Extent;

/// A gather of more runs than this freezes instead of cutting.
const MOST_RUNS: usize = 1024;

impl Dims {
    /// A row-major reshape: the axes `ins` become the axes `outs`.
    ///
    /// Between neighbouring places where as many elements lie before on both sides, the product of the one side is the
    /// product of the other. Where run-time extents make it an assumption that they are equal, places with as many
    /// elements behind them serve as well, and what is in between is frozen.
    pub fn reshape(&mut self, ins: &[Dim], outs: &[Dim], cause: Cause) -> Result<(), Mismatch> {
        let (a, b) = (self.prefixes(ins)?, self.prefixes(outs)?);
        let (all_in, all_out) = (&a[ins.len()], &b[outs.len()]);
        if all_in != all_out {
            if all_in.is_known() && all_out.is_known() {
                return Err(Mismatch::Extents(all_in.clone(), all_out.clone()));
            }
            self.graph
                .analysis
                .assumptions
                .push((all_in.clone(), all_out.clone(), cause));
        }
        if [all_in, all_out].iter().any(|e| e.known() == Some(0)) {
            ins.iter()
                .chain(outs)
                .for_each(|d| self.freeze(*d, Reason::SinglePosition, cause));
            return Ok(());
        }
        let (mut i, mut j) = (0, 0);
        while i < ins.len() || j < outs.len() {
            // The next place, going at least one axis further on a side that has one.
            let Some((to_i, to_j)) = self.next_cut(&a, &b, i, j) else {
                return self.reshape_behind(&ins[i..], &outs[j..], cause);
            };
            self.segment(&ins[i..to_i], &outs[j..to_j], cause)?;
            (i, j) = (to_i, to_j);
        }
        Ok(())
    }

    /// The same from the last axes to the first: a reshape gives as many elements as it takes, so that what lies before
    /// is as much on both sides wherever what lies behind is.
    fn reshape_behind(&mut self, ins: &[Dim], outs: &[Dim], cause: Cause) -> Result<(), Mismatch> {
        let backwards = |all: &[Dim]| all.iter().rev().copied().collect::<Vec<_>>();
        let a = self.prefixes(&backwards(ins))?;
        let b = self.prefixes(&backwards(outs))?;
        let (mut i, mut j) = (ins.len(), outs.len());
        let cut = |this: &Self, i: usize, j: usize| {
            let (to_i, to_j) = this.next_cut(&a, &b, ins.len() - i, outs.len() - j)?;
            Some((ins.len() - to_i, outs.len() - to_j))
        };
        while let Some((to_i, to_j)) = cut(self, i, j) {
            self.segment(&ins[to_i..i], &outs[to_j..j], cause)?;
            (i, j) = (to_i, to_j);
        }
        self.segment(&ins[..i], &outs[..j], cause)
    }

    /// The products of the first 0, 1, ... axes.
    fn prefixes(&self, axes: &[Dim]) -> Result<Vec<Extent>, Mismatch> {
        let mut all = vec![Extent::from(1i64)];
        for (i, d) in axes.iter().enumerate() {
            all.push(
                all[i]
                    .checked_mul(self.extent(*d))
                    .ok_or(Mismatch::Overflow)?,
            );
        }
        Ok(all)
    }

    /// The nearest place after `(i, j)` with equal products before it. Units pair with units.
    fn next_cut(&self, a: &[Extent], b: &[Extent], i: usize, j: usize) -> Option<(usize, usize)> {
        for x in i + 1..a.len() {
            if let Some(y) = (j + 1..b.len()).find(|y| a[x] == b[*y]) {
                // A unit on one side only stands alone.
                if x == i + 1 && a[x] == a[i] && b[j + 1] != b[j] {
                    return Some((x, j));
                }
                if b[j + 1] == b[j] && a[i + 1] != a[i] {
                    return Some((i, j + 1));
                }
                return Some((x, y));
            }
        }
        if i + 1 < a.len() && a[i + 1] == a[i] {
            return Some((i + 1, j));
        }
        if j + 1 < b.len() && b[j + 1] == b[j] {
            return Some((i, j + 1));
        }
        None
    }

    fn segment(&mut self, ins: &[Dim], outs: &[Dim], cause: Cause) -> Result<(), Mismatch> {
        match (ins, outs) {
            ([], alone) | (alone, []) => {
                alone
                    .iter()
                    .for_each(|d| self.freeze(*d, Reason::SinglePosition, cause));
                Ok(())
            }
            ([a], [b]) => self.equate(*a, *b, cause),
            _ if self.prefixes(ins)?.last() == self.prefixes(outs)?.last() => {
                let (a, b) = (self.product(ins), self.product(outs));
                self.equate(a, b, cause)?;
                // The flat class is an axis of the tensor in between, whatever the terms on either side.
                self.need(a.id());
                Ok(())
            }
            _ => {
                ins.iter()
                    .chain(outs)
                    .for_each(|d| self.freeze(*d, Reason::RuntimeExtent, cause));
                // So that an explanation finds its way.
                if let Some(first) = ins.first() {
                    self.edges
                        .extend(outs.iter().map(|d| (*first, *d, Some(cause))));
                }
                Ok(())
            }
        }
    }

    /// `y = x[start .. start + |y|]`: what lies before `y` in `x`, and what lies behind it.
    pub fn slice(
        &mut self,
        x: Dim,
        start: usize,
        y: Dim,
        cause: Cause,
    ) -> Result<(Dim, Dim), Mismatch> {
        let all = self.number(x)?;
        let behind = all
            .checked_sub(start)
            .and_then(|rest| rest.checked_sub(self.number(y).ok()?));
        let Some(behind) = behind else {
            return Err(Mismatch::Extents(
                self.extent(x).clone(),
                self.extent(y).clone(),
            ));
        };
        let (before, behind) = (self.part(start), self.part(behind));
        let sum = self.concat(&[before, y, behind]);
        self.equate(x, sum, cause)?;
        Ok((before, behind))
    }

    /// `y[i] = x[indices[i]]`: both are cut into the runs of the indices, in the order in which they stand in `x`.
    pub fn gather(
        &mut self,
        x: Dim,
        y: Dim,
        indices: &[usize],
        cause: Cause,
    ) -> Result<(), Mismatch> {
        let all = self.number(x)?;
        if indices.len() != self.number(y)? || indices.iter().any(|i| *i >= all) {
            return Err(Mismatch::Extents(
                self.extent(x).clone(),
                self.extent(y).clone(),
            ));
        }
        let mut runs: Vec<(usize, usize)> = vec![];
        for i in indices {
            match runs.last_mut() {
                Some((start, length)) if *start + *length == *i => *length += 1,
                _ => runs.push((*i, 1)),
            }
        }
        if runs.len() > MOST_RUNS {
            self.edges.push((x, y, Some(cause)));
            self.freeze(x, Reason::Index, cause);
            self.freeze(y, Reason::Index, cause);
            return Ok(());
        }
        let mut at: Vec<usize> = runs
            .iter()
            .flat_map(|(s, n)| [*s, s + n])
            .chain([0, all])
            .collect();
        at.sort();
        at.dedup();
        let pieces: Vec<Dim> = at.windows(2).map(|w| self.part(w[1] - w[0])).collect();
        let sum = self.concat(&pieces);
        self.equate(x, sum, cause)?;
        let place = |p: usize| at.binary_search(&p).unwrap_or_else(|i| i);
        let parts: Vec<Dim> = runs
            .iter()
            .flat_map(|(s, n)| pieces[place(*s)..place(s + n)].to_vec())
            .collect();
        let sum = self.concat(&parts);
        self.equate(y, sum, cause)
    }

    /// A known extent as a number.
    fn number(&self, d: Dim) -> Result<usize, Mismatch> {
        known(self.extent(d))
            .ok_or_else(|| Mismatch::Split(self.extent(d).clone(), Extent::from(1i64)))
    }
}
