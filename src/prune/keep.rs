//! What stays: the kept positions of every atom that loses some.
use crate::dims::{Dim, Dims};
use std::collections::BTreeMap;

/// Kept positions per atom; an atom that is not here keeps all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    atoms: BTreeMap<Dim, Vec<usize>>,
}

impl Keep {
    /// Nothing is removed.
    pub fn all() -> Keep {
        Keep::default()
    }
    /// States the kept positions of an atom (as [`Dims::find`] gives it), ascending and without repetition.
    pub fn set(&mut self, atom: Dim, positions: Vec<usize>) {
        self.atoms.insert(atom, positions);
    }
    /// The kept positions of an atom; none where it keeps all.
    pub fn of(&self, atom: Dim) -> Option<&[usize]> {
        self.atoms.get(&atom).map(Vec::as_slice)
    }
    /// The kept positions of an axis; none where it keeps all.
    pub fn positions(&self, dims: &Dims, axis: Dim) -> Option<Vec<usize>> {
        dims.kept(axis, &|atom| self.of(atom))
    }
    /// Atoms that lose positions, with what they keep.
    pub fn iter(&self) -> impl Iterator<Item = (Dim, &[usize])> {
        self.atoms.iter().map(|(atom, kept)| (*atom, &kept[..]))
    }
    /// Whether nothing is removed.
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }
}
