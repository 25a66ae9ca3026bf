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
        let mut edges: HashMap<Dim, Vec<(Dim, Option<Cause>)>> = HashMap::new();
        for (x, y, cause) in &self.edges {
            edges.entry(*x).or_default().push((*y, *cause));
            edges.entry(*y).or_default().push((*x, *cause));
        }
        let mut contains: HashMap<Dim, bool> = HashMap::new();
        let mut contains = |d: Dim| {
            let class = self.find(d);
            *contains
                .entry(class)
                .or_insert_with(|| self.term(class).atoms().contains(&atom))
        };
        let mut before: HashMap<Dim, (Dim, Option<Cause>)> = HashMap::new();
        let mut queue = VecDeque::from([a]);
        let mut end = None;
        while let Some(d) = queue.pop_front() {
            if d != a && reached(d) {
                end = Some(d);
                break;
            }
            for (next, cause) in edges.get(&d).into_iter().flatten() {
                if *next != a && !before.contains_key(next) && contains(*next) {
                    before.insert(*next, (d, *cause));
                    queue.push_back(*next);
                }
            }
        }
        let mut steps: Vec<Step> = vec![];
        let mut open: Option<Dim> = None;
        while let Some(d) = end.filter(|d| *d != a) {
            let Some((from, cause)) = before.get(&d).copied() else {
                break;
            };
            let to = open.take().unwrap_or(d);
            match (cause, steps.last_mut()) {
                // Steps into and out of a term belong to the statement beside them.
                (None, _) => open = Some(to),
                (Some(cause), Some(last)) if last.cause == cause => last.from = from,
                (Some(cause), _) => steps.push(Step { from, to, cause }),
            }
            end = Some(from);
        }
        steps.reverse();
        steps
    }
}
