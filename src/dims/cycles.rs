//! Cycles: classes that are, through free unit factors, factors of themselves.
use super::refine::NOBODY;
use super::terms::Node;
use super::{Dims, Reason};
use egg::Id;
use std::collections::HashMap;

impl Dims {
    /// Freezes the units of cycles; whether there is one.
    pub(super) fn break_cycles(&mut self) -> bool {
        // Edges from a class to the other factor of its products with a free unit factor; depth-first search.
        let mut edges: HashMap<Id, Vec<(Id, Id)>> = HashMap::new();
        for class in self.graph.classes() {
            for node in &class.nodes {
                let Node::Mul([a, b]) = node else { continue };
                for (u, rest) in [(*a, *b), (*b, *a)] {
                    if self.is_known(u) && self.ext(u) == 1 && self.fact(u).frozen.is_none() {
                        edges
                            .entry(class.id)
                            .or_default()
                            .push((self.graph.find(rest), u));
                    }
                }
            }
        }
        let mut starts: Vec<Id> = edges.keys().copied().collect();
        starts.sort();
        let mut finished: HashMap<Id, bool> = HashMap::new();
        let mut guilty = vec![];
        for start in starts {
            let mut stack = vec![(start, 0usize)];
            while let Some((id, next)) = stack.last().copied() {
                if next == 0 && finished.contains_key(&id) {
                    stack.pop();
                    continue;
                }
                finished.entry(id).or_insert(false);
                match edges.get(&id).and_then(|e| e.get(next)).copied() {
                    Some((rest, u)) => {
                        if let Some(top) = stack.last_mut() {
                            top.1 += 1;
                        }
                        match finished.get(&rest) {
                            Some(false) => guilty.push(u),
                            Some(true) => {}
                            None => stack.push((rest, 0)),
                        }
                    }
                    None => {
                        finished.insert(id, true);
                        stack.pop();
                    }
                }
            }
        }
        guilty
            .iter()
            .for_each(|u| self.freeze_class(*u, (Reason::SinglePosition, NOBODY)));
        !guilty.is_empty()
    }
}
