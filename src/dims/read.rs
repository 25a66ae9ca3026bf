//! Reading a solved algebra: terms, atoms, kept positions.
use super::{Dim, Dims};
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
        let known = self.fact(id).extent.is_known();
        if !known || self.heavy.contains(&id) || path.contains(&id) {
            return Term::Atom(Dim::from(id));
        }
        let (cats, muls) = self.forms_of(id);
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
        let term = self.term(d);
        if !term.atoms().into_iter().any(|atom| keep(atom).is_some()) {
            return None;
        }
        Some(self.positions(&term, keep))
    }

    fn positions<'k>(&self, term: &Term, keep: &dyn Fn(Dim) -> Option<&'k [usize]>) -> Vec<usize> {
        match term {
            Term::Atom(atom) => match keep(*atom) {
                Some(kept) => kept.to_vec(),
                None => (0..self.size(term)).collect(),
            },
            Term::Sum(parts) => {
                let (mut all, mut at) = (vec![], 0);
                for part in parts {
                    all.extend(self.positions(part, keep).into_iter().map(|p| at + p));
                    at += self.size(part);
                }
                all
            }
            Term::Product(factors) => factors.iter().fold(vec![0], |rows, factor| {
                let (n, columns) = (self.size(factor), self.positions(factor, keep));
                rows.iter()
                    .flat_map(|r| columns.iter().map(move |c| r * n + c))
                    .collect()
            }),
        }
    }

    /// The number of positions of a term; 0 where it is not known.
    pub fn size(&self, term: &Term) -> usize {
        match term {
            Term::Atom(atom) => self
                .extent(*atom)
                .known()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0),
            Term::Sum(parts) => parts.iter().map(|p| self.size(p)).sum(),
            Term::Product(factors) => factors.iter().map(|f| self.size(f)).product(),
        }
    }

    /// Per position of a dimension, which positions of which atoms it needs: it is kept when all of them are.
    pub fn needs(&self, d: Dim) -> Vec<Vec<(Dim, usize)>> {
        self.term_needs(&self.term(d))
    }

    fn term_needs(&self, term: &Term) -> Vec<Vec<(Dim, usize)>> {
        match term {
            Term::Atom(atom) => (0..self.size(term)).map(|i| vec![(*atom, i)]).collect(),
            Term::Sum(parts) => parts.iter().flat_map(|p| self.term_needs(p)).collect(),
            Term::Product(factors) => factors.iter().fold(vec![vec![]], |rows, factor| {
                let columns = self.term_needs(factor);
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
