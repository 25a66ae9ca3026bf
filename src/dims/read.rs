//! Reading a solved algebra: terms, atoms, kept positions.
use super::{Dim, Dims};
use crate::tensor::Extent;
use egg::Id;

/// A dimension in terms of atoms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// A leaf: the class of a coupled group.
    Atom(Dim),
    /// A concatenation of two or more, not nested.
    Sum(Vec<Term>),
    /// A row-major product of two or more, not nested.
    Product(Vec<Term>),
}

impl Term {
    /// The atoms, left to right; one may stand several times.
    pub fn atoms(&self) -> Vec<Dim> {
        fn visit(term: &Term, all: &mut Vec<Dim>) {
            match term {
                Term::Atom(atom) => all.push(*atom),
                Term::Sum(parts) | Term::Product(parts) => parts.iter().for_each(|p| visit(p, all)),
            }
        }
        let mut all = vec![];
        visit(self, &mut all);
        all
    }
}

/// The number of positions that an extent stands for, where that is told.
pub type Sizes<'s> = dyn Fn(&Extent) -> Option<usize> + 's;

/// That of extents which are numbers.
pub fn known(extent: &Extent) -> Option<usize> {
    extent.known().and_then(|n| usize::try_from(n).ok())
}

impl Dims {
    /// The term of a dimension, as solved.
    pub fn term(&self, d: Dim) -> Term {
        self.read(d.id(), &mut vec![])
    }

    fn read(&self, id: Id, path: &mut Vec<Id>) -> Term {
        let id = self.graph.find(id);
        if let Some(known) = self.memo.borrow().get(&id) {
            return known.clone();
        }
        if self.heavy.contains(&id) || path.contains(&id) {
            return Term::Atom(Dim::from(id));
        }
        let (cats, muls) = match self.is_known(id) {
            true => self.forms_of(id),
            false => (vec![], self.product_of(id).into_iter().collect()),
        };
        path.push(id);
        let flat = |term: Term, sum: bool| match (term, sum) {
            (Term::Sum(parts), true) | (Term::Product(parts), false) => parts,
            (other, _) => vec![other],
        };
        let term = if let Some(parts) = cats.first() {
            Term::Sum(
                parts
                    .iter()
                    .flat_map(|p| flat(self.read(*p, path), true))
                    .collect(),
            )
        } else if let Some(factors) = muls.first() {
            Term::Product(
                factors
                    .iter()
                    .flat_map(|f| flat(self.read(*f, path), false))
                    .collect(),
            )
        } else {
            Term::Atom(Dim::from(id))
        };
        path.pop();
        self.memo.borrow_mut().insert(id, term.clone());
        term
    }

    /// The kept positions of a dimension with a known extent, in order, given those of atoms; none where all are kept.
    pub fn kept<'k>(
        &self,
        d: Dim,
        keep: &dyn Fn(Dim) -> Option<&'k [usize]>,
    ) -> Option<Vec<usize>> {
        self.kept_at(d, keep, &known)
    }

    /// The same of any dimension, given the number of positions of extents.
    pub fn kept_at<'k>(
        &self,
        d: Dim,
        keep: &dyn Fn(Dim) -> Option<&'k [usize]>,
        sizes: &Sizes<'_>,
    ) -> Option<Vec<usize>> {
        let term = self.term(d);
        if !term.atoms().into_iter().any(|atom| keep(atom).is_some()) {
            return None;
        }
        Some(self.positions(&term, keep, sizes))
    }

    fn positions<'k>(
        &self,
        term: &Term,
        keep: &dyn Fn(Dim) -> Option<&'k [usize]>,
        sizes: &Sizes<'_>,
    ) -> Vec<usize> {
        match term {
            Term::Atom(atom) => match keep(*atom) {
                Some(kept) => kept.to_vec(),
                None => (0..self.size_at(term, sizes)).collect(),
            },
            Term::Sum(parts) => {
                let (mut all, mut at) = (vec![], 0);
                for part in parts {
                    let own = self.positions(part, keep, sizes);
                    all.extend(own.into_iter().map(|p| at + p));
                    at += self.size_at(part, sizes);
                }
                all
            }
            Term::Product(factors) => factors.iter().fold(vec![0], |rows, factor| {
                let n = self.size_at(factor, sizes);
                let columns = self.positions(factor, keep, sizes);
                rows.iter()
                    .flat_map(|r| columns.iter().map(move |c| r * n + c))
                    .collect()
            }),
        }
    }

    /// The number of positions of a term; 0 where it is not known.
    pub fn size(&self, term: &Term) -> usize {
        self.size_at(term, &known)
    }

    /// The number of positions of a term, given that of extents; 0 where it is not known.
    pub fn size_at(&self, term: &Term, sizes: &Sizes<'_>) -> usize {
        match term {
            Term::Atom(atom) => sizes(self.extent(*atom)).unwrap_or(0),
            Term::Sum(parts) => parts.iter().map(|p| self.size_at(p, sizes)).sum(),
            Term::Product(factors) => factors.iter().map(|f| self.size_at(f, sizes)).product(),
        }
    }

    /// Per position of a dimension, which positions of which atoms it needs: it is kept when all of them are.
    pub fn needs(&self, d: Dim) -> Vec<Vec<(Dim, usize)>> {
        self.needs_at(d, &known)
    }

    /// The same, given the number of positions of extents.
    pub fn needs_at(&self, d: Dim, sizes: &Sizes<'_>) -> Vec<Vec<(Dim, usize)>> {
        self.term_needs(&self.term(d), sizes)
    }

    fn term_needs(&self, term: &Term, sizes: &Sizes<'_>) -> Vec<Vec<(Dim, usize)>> {
        let below = |part| self.term_needs(part, sizes);
        match term {
            Term::Atom(atom) => (0..self.size_at(term, sizes))
                .map(|i| vec![(*atom, i)])
                .collect(),
            Term::Sum(parts) => parts.iter().flat_map(below).collect(),
            Term::Product(factors) => factors.iter().fold(vec![vec![]], |rows, factor| {
                let columns = below(factor);
                rows.iter()
                    .flat_map(|r| {
                        columns.iter().map(move |c| {
                            let mut both = [&r[..], &c[..]].concat();
                            both.sort();
                            both.dedup();
                            both
                        })
                    })
                    .collect()
            }),
        }
    }
}
