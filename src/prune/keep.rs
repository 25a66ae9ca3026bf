//! What stays: the kept positions of every atom that loses some, the same everywhere or others at each position of another.
use crate::dims::{Dim, Dims, Sizes, Term, known};
use crate::tensor::Pick;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// The kept positions of an atom at each position of another one: as many at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The other atom.
    pub by: Dim,
    /// Per position of it, ascending and without repetition.
    pub kept: Vec<Vec<usize>>,
}

impl Rows {
    /// Rows by a dim; none where they are not as many as it has positions, or not of one length.
    pub fn new(dims: &Dims, by: Dim, kept: Vec<Vec<usize>>) -> Option<Rows> {
        let first = kept.first()?.len();
        let fits =
            kept.len() == dims.size(&Term::Atom(by)) && kept.iter().all(|k| k.len() == first);
        fits.then_some(Rows { by, kept })
    }
}

/// What stays of an atom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The same positions everywhere, ascending and without repetition.
    Same(Vec<usize>),
    /// Others at each position of another atom.
    Rows(Rows),
}

impl Kept {
    /// How many positions stay.
    pub fn count(&self) -> usize {
        match self {
            Kept::Same(kept) => kept.len(),
            Kept::Rows(rows) => rows.kept.first().map_or(0, Vec::len),
        }
    }
}

/// Ranges, for people: `0-3, 7`; those of rows between bars.
impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kept::Same(kept) => f.write_str(&ranges(kept)),
            Kept::Rows(rows) => {
                let rows: Vec<String> = rows.kept.iter().map(|row| ranges(row)).collect();
                f.write_str(&rows.join(" | "))
            }
        }
    }
}

/// Kept positions per atom; an atom that is not here keeps all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    atoms: BTreeMap<Dim, Kept>,
}

/// Where a position stands along the atoms that rows go by.
type Place = Vec<(Dim, usize)>;

impl Keep {
    /// Nothing is removed.
    pub fn all() -> Keep {
        Keep::default()
    }
    /// States the kept positions of an atom (as [`Dims::find`] gives it), ascending and without repetition.
    pub fn set(&mut self, atom: Dim, positions: Vec<usize>) {
        self.put(atom, Kept::Same(positions));
    }
    /// States what stays of an atom (as [`Dims::find`] gives it).
    pub fn put(&mut self, atom: Dim, kept: Kept) {
        self.atoms.insert(atom, kept);
    }
    /// The kept positions of an axis, as far as it tells them alone; none where it keeps all.
    pub fn positions(&self, dims: &Dims, axis: Dim) -> Option<Vec<usize>> {
        match self.alone(dims, axis, &known)? {
            Pick::Some(kept) => Some(kept),
            Pick::All | Pick::Rows { .. } => None,
        }
    }
    /// Atoms that lose positions, with what they keep.
    pub fn iter(&self) -> impl Iterator<Item = (Dim, &Kept)> {
        self.atoms.iter().map(|(atom, kept)| (*atom, kept))
    }
    /// Whether nothing is removed.
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// What an axis keeps, if no other axis has a say in it.
    fn alone(&self, dims: &Dims, axis: Dim, sizes: &Sizes<'_>) -> Option<Pick> {
        let term = dims.term(axis);
        if !term.atoms().iter().any(|a| self.atoms.contains_key(a)) {
            return Some(Pick::All);
        }
        if self.rows_by(&term).is_empty() {
            let same = |atom: Dim| match self.atoms.get(&atom) {
                Some(Kept::Same(kept)) => Some(&kept[..]),
                _ => None,
            };
            return dims.kept_at(axis, &same, sizes).map(Pick::Some);
        }
        let kept = self.walk(dims, &term, &vec![], sizes)?;
        Some(Pick::Some(kept.into_iter().map(|(at, _)| at).collect()))
    }
    /// The kept positions of a term in the order in which they stand afterwards, each with its place; none where the rows
    /// of an atom go by one that is neither in `place` nor outside of it in the term.
    fn walk(
        &self,
        dims: &Dims,
        term: &Term,
        place: &Place,
        sizes: &Sizes<'_>,
    ) -> Option<Vec<(usize, Place)>> {
        match term {
            Term::Atom(atom) => {
                let all: Vec<usize> = match self.atoms.get(atom) {
                    None => (0..dims.size_at(term, sizes)).collect(),
                    Some(Kept::Same(kept)) => kept.clone(),
                    Some(Kept::Rows(rows)) => {
                        // The innermost of several places counts.
                        let (_, at) = place.iter().rfind(|(by, _)| *by == rows.by)?;
                        rows.kept.get(*at)?.clone()
                    }
                };
                let here = |at: usize| {
                    let mut place = place.clone();
                    place.push((*atom, at));
                    (at, place)
                };
                Some(all.into_iter().map(here).collect())
            }
            Term::Sum(parts) => {
                let (mut all, mut before) = (vec![], 0);
                for part in parts {
                    let own = self.walk(dims, part, place, sizes)?;
                    all.extend(own.into_iter().map(|(at, place)| (before + at, place)));
                    before += dims.size_at(part, sizes);
                }
                Some(all)
            }
            Term::Product(factors) => {
                let mut rows = vec![(0, place.clone())];
                for factor in factors {
                    let size = dims.size_at(factor, sizes);
                    let mut next = vec![];
                    for (row, place) in &rows {
                        let columns = self.walk(dims, factor, place, sizes)?;
                        next.extend(columns.into_iter().map(|(at, p)| (row * size + at, p)));
                    }
                    rows = next;
                }
                Some(rows)
            }
        }
    }
    /// The atoms that rows of atoms of a term go by.
    fn rows_by(&self, term: &Term) -> BTreeSet<Dim> {
        let by = |atom: Dim| match self.atoms.get(&atom) {
            Some(Kept::Rows(rows)) => Some(rows.by),
            _ => None,
        };
        term.atoms().into_iter().filter_map(by).collect()
    }
}

/// What the axes of values keep. Axes of one class that are told alone are looked up once.
pub struct Picks<'a> {
    dims: &'a Dims,
    keep: &'a Keep,
    sizes: &'a Sizes<'a>,
    /// By class; none where another axis has a say.
    known: HashMap<Dim, Option<Arc<Pick>>>,
}

impl<'a> Picks<'a> {
    /// Nothing is looked up yet. `sizes` tells the number of positions of extents.
    pub fn new(dims: &'a Dims, keep: &'a Keep, sizes: &'a Sizes<'a>) -> Picks<'a> {
        Picks {
            dims,
            keep,
            sizes,
            known: HashMap::new(),
        }
    }
    /// What each axis of a value keeps; none where the rows of an atom go by one that the value does not have.
    pub fn of(&mut self, axes: &[Dim]) -> Option<Vec<Arc<Pick>>> {
        (0..axes.len()).map(|axis| self.axis(axes, axis)).collect()
    }
    fn axis(&mut self, axes: &[Dim], axis: usize) -> Option<Arc<Pick>> {
        let (dims, keep, sizes) = (self.dims, self.keep, self.sizes);
        let class = dims.find(axes[axis]);
        let look = || keep.alone(dims, class, sizes).map(Arc::new);
        if let Some(alone) = self.known.entry(class).or_insert_with(look) {
            return Some(alone.clone());
        }
        let term = dims.term(class);
        let by = keep.rows_by(&term);
        let mut others = (0..axes.len()).filter(|other| *other != axis);
        let other = others.find(|other| {
            let atoms = dims.term(axes[*other]).atoms();
            by.iter().any(|by| atoms.contains(by))
        })?;
        let mut of = vec![];
        for place in dims.needs_at(axes[other], sizes) {
            let kept = keep.walk(dims, &term, &place, sizes)?;
            of.push(kept.into_iter().map(|(at, _)| at).collect());
        }
        Some(Arc::new(Pick::Rows { axis: other, of }))
    }
}

/// Positions as ranges, for people: `0-3, 7, 9-12`.
pub fn ranges(positions: &[usize]) -> String {
    let mut runs: Vec<Range<usize>> = vec![];
    for i in positions {
        match runs.last_mut() {
            Some(run) if run.end == *i => run.end += 1,
            _ => runs.push(*i..*i + 1),
        }
    }
    let shown: Vec<String> = runs
        .iter()
        .map(|run| match run.len() {
            1 => run.start.to_string(),
            _ => format!("{}-{}", run.start, run.end - 1),
        })
        .collect();
    shown.join(", ")
}

/// The positions of a list of ranges, which ascend and lie below `extent`; there is at least one.
pub(super) fn positions(text: &str, extent: usize) -> Option<Vec<usize>> {
    let mut all: Vec<usize> = vec![];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let ascends = all.last().is_none_or(|l| *l < first) && first <= last && last < extent;
        if !ascends {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}
