//! Limits: what would take too long to refine or to read is frozen, and says so.
use super::refine::NOBODY;
use super::{Conflict, Dims, Reason};
use egg::Id;
use std::collections::{HashMap, HashSet};

/// The most atoms that a term may have, each counted as often as it stands there.
const LONGEST: u32 = 2048;

/// Work that refining may always take.
const LEAST_WORK: usize = 1_000_000;
/// Work that refining may take for each part that was stated.
const WORK_A_PART: usize = 64;

impl Dims {
    /// How much work may be done in all when refining begins now.
    pub(super) fn enough(&self) -> usize {
        let more = self.work.saturating_mul(WORK_A_PART);
        self.work.saturating_add(more.max(LEAST_WORK))
    }

    /// The mismatch that came up, with its likely cause: only what was assumed of run-time extents can bring two numbers
    /// together that did not meet when they were stated.
    pub(super) fn conflict(&self) -> Option<Conflict> {
        let mismatch = self.graph.analysis.conflict.clone()?;
        let cause = self.assumptions().last().map(|(_, _, cause)| *cause);
        let cause = cause.or_else(|| self.edges.iter().rev().find_map(|(_, _, cause)| *cause));
        Some(Conflict { mismatch, cause })
    }

    /// Freezes classes whose terms are too long; whether there is a new one.
    ///
    /// Shared parts make a term grow with two to the power of its depth, though the graph stays small.
    pub(super) fn freeze_heavy(&mut self) -> bool {
        let heavy: HashSet<Id> = self
            .lengths()
            .into_iter()
            .filter_map(|(id, length)| (length > LONGEST).then_some(id))
            .collect();
        let free: Vec<Id> = heavy
            .iter()
            .copied()
            .filter(|id| self.fact(*id).frozen.is_none())
            .collect();
        for id in &free {
            self.freeze_class(*id, (Reason::WorkLimit, NOBODY));
        }
        self.heavy = heavy;
        !free.is_empty()
    }

    /// How many atoms the term of each class has, up to one more than the most there may be.
    fn lengths(&self) -> HashMap<Id, u32> {
        let mut lengths: HashMap<Id, u32> = HashMap::new();
        for class in self.graph.classes() {
            let mut stack = vec![class.id];
            while let Some(id) = stack.last().copied() {
                if lengths.get(&id).is_some_and(|n| *n > 0) {
                    stack.pop();
                    continue;
                }
                // Zero while those below are counted: what leads back to itself is a leaf there.
                let seen = lengths.insert(id, 0).is_some();
                let form = self.form(id);
                if !seen {
                    stack.extend(form.iter().filter(|p| !lengths.contains_key(p)));
                    if stack.last() != Some(&id) {
                        continue;
                    }
                }
                let of = |p: &Id| lengths.get(p).copied().unwrap_or(1).max(1);
                let sum = form.iter().fold(0u32, |sum, p| sum.saturating_add(of(p)));
                lengths.insert(id, sum.clamp(1, LONGEST + 1));
                stack.pop();
            }
        }
        lengths
    }

    /// The parts or factors of the form in which a class is read.
    fn form(&self, id: Id) -> Vec<Id> {
        if !self.is_known(id) {
            return self.product_of(id).map_or(vec![], |p| p.to_vec());
        }
        let (cats, muls) = self.forms_of(id);
        let cat = cats.into_iter().next();
        cat.or_else(|| muls.first().map(|m| m.to_vec()))
            .unwrap_or_default()
    }
}
