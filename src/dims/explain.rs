//! Explanations: the shortest chain of statements through which two axes share positions.
//!
//! egg explains why two *terms* are equal; people ask why two *axes* are pruned together, which may share an atom inside
//! different terms. So the statements themselves are kept as edges, and an answer is a path along which every dimension
//! contains the atom.
use super::{Cause, Dim, Dims, Reason};
use std::collections::{HashMap, VecDeque};

/// One step of an explanation: a statement that ties two dimensions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The dimension before.
    pub from: Dim,
    /// The dimension behind.
    pub to: Dim,
    /// What stated it.
    pub cause: Cause,
}

/// A statement, or that one is a part of the other, seen from one side.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
struct Edge {
    to: Dim,
    cause: Option<Cause>,
    index: usize,
    /// From a part into the term that it is a part of.
    up: bool,
}

impl Dims {
    /// The atoms that two dimensions share.
    pub fn shared(&self, a: Dim, b: Dim) -> Vec<Dim> {
        let theirs = self.term(b).atoms();
        let mut all: Vec<Dim> = self
            .term(a)
            .atoms()
            .into_iter()
            .filter(|atom| theirs.contains(atom))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// Why two dimensions share `atom`: the shortest chain of statements from one to the other along which every
    /// dimension contains it. Empty where there is none.
    pub fn explain(&self, a: Dim, b: Dim, atom: Dim) -> Vec<Step> {
        self.chain(a, &|d| d == b, atom)
    }

    /// Why a dimension is frozen: the shortest chain of statements to where freezing was stated, and what was stated
    /// there. The chain is empty where it was stated of the dimension itself.
    pub fn explain_frozen(&self, a: Dim) -> Option<(Vec<Step>, Reason, Cause)> {
        let atom = self
            .term(a)
            .atoms()
            .into_iter()
            .find(|atom| self.frozen(*atom).is_some())?;
        let why = self.frozen(atom)?;
        let stated: HashMap<Dim, (Reason, Cause)> = self
            .freezes
            .iter()
            .filter(|(_, r, c)| (*r, *c) == why)
            .map(|(d, r, c)| (*d, (*r, *c)))
            .collect();
        if stated.contains_key(&a) {
            return Some((vec![], why.0, why.1));
        }
        Some((
            self.chain(a, &|d| stated.contains_key(&d), atom),
            why.0,
            why.1,
        ))
    }

    fn chain(&self, a: Dim, reached: &dyn Fn(Dim) -> bool, atom: Dim) -> Vec<Step> {
        let mut edges: HashMap<Dim, Vec<Edge>> = HashMap::new();
        for (index, (x, y, cause)) in self.edges.iter().enumerate() {
            let (index, cause) = (index, *cause);
            for (from, to, up) in [(*x, *y, true), (*y, *x, false)] {
                let up = up && cause.is_none();
                let edge = Edge {
                    to,
                    cause,
                    index,
                    up,
                };
                edges.entry(from).or_default().push(edge);
            }
        }
        let mut contains: HashMap<Dim, bool> = HashMap::new();
        let mut contains = |d: Dim| {
            let class = self.find(d);
            *contains
                .entry(class)
                .or_insert_with(|| self.term(class).atoms().contains(&atom))
        };
        // A place is a dimension and how it was come by. Going up into a term and down at once into another part of it
        // says nothing, nor does going back by the statement that led there.
        let mut before: HashMap<(Dim, Option<Edge>), (Dim, Option<Edge>)> = HashMap::new();
        let mut queue = VecDeque::from([(a, None)]);
        let mut end = None;
        while let Some((d, came)) = queue.pop_front() {
            if d != a && reached(d) {
                end = Some((d, came));
                break;
            }
            for edge in edges.get(&d).into_iter().flatten() {
                let useless = came.is_some_and(|came: Edge| match edge.cause {
                    None => came.up && !edge.up,
                    Some(_) => came.index == edge.index,
                });
                let place = (edge.to, Some(*edge));
                if !useless && edge.to != a && !before.contains_key(&place) && contains(edge.to) {
                    before.insert(place, (d, came));
                    queue.push_back(place);
                }
            }
        }
        let mut steps: Vec<Step> = vec![];
        let mut open: Option<Dim> = None;
        while let Some((d, came)) = end {
            let (Some(edge), Some(place)) = (came, before.get(&(d, came)).copied()) else {
                break;
            };
            let (from, to) = (place.0, open.take().unwrap_or(d));
            match (edge.cause, steps.last_mut()) {
                // Steps into and out of a term belong to the statement beside them.
                (None, _) => open = Some(to),
                (Some(cause), Some(last)) if last.cause == cause => last.from = from,
                (Some(cause), _) => steps.push(Step { from, to, cause }),
            }
            end = Some(place);
        }
        // Out of what was asked for into a term: that, too, belongs to the statement beside it.
        if let (Some(_), Some(first)) = (open, steps.last_mut()) {
            first.from = a;
        }
        steps.reverse();
        steps
    }
}
