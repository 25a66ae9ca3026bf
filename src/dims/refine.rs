//! Refinement on a work list: what two forms of one class say of each other, said of smaller classes.
//!
//! * Concatenation is n-ary, never nested. Every class keeps one form; one that was refined against it is dropped.
//! * Distribution happens only where a concatenation meets a product, and only for the pieces asked for.
//! * A unit factor is frozen only where its removal would empty an axis; else it stays, and `1*(b+c) = 1*b + 1*c`.
//! * Rows that do not fit freeze only the coprime core; common inner and outer factors stay free.
//! * Of run-time extents only products are refined, as far as one extent divides another; what is concatenated freezes.
use super::factor::Factored;
use super::terms::{Fact, Node};
use super::{Cause, Conflict, Dims, Reason};
use egg::Id;
use std::collections::BTreeSet;

/// What a round counts as, as a part of all the work before it.
const WORK_A_ROUND: usize = 256;

/// How deep cutting may nest; what lies deeper is cut in later rounds.
const DEEPEST: usize = 256;

/// The cause of what no statement caused alone.
pub(super) const NOBODY: Cause = Cause(u32::MAX);

impl Dims {
    /// Refines until nothing changes. Fails where two different numbers became one dimension.
    ///
    /// May be called again after more was stated or frozen; it looks only at what changed. What takes too long to refine
    /// is frozen, with that reason.
    pub fn solve(&mut self) -> Result<(), Conflict> {
        self.memo.get_mut().clear();
        let enough = self.enough();
        loop {
            // Rebuilding, and looking for cycles and long terms, goes through all that there is; freezing alone makes no
            // new ones.
            if self.terms_and_classes() != self.settled {
                self.graph.rebuild();
                self.work += self.work / WORK_A_ROUND;
            }
            let dirty = std::mem::take(&mut self.graph.analysis.dirty);
            let work: BTreeSet<Id> = dirty.into_iter().map(|id| self.graph.find(id)).collect();
            if let Some(conflict) = self.conflict() {
                return Err(conflict);
            }
            if work.is_empty() {
                if self.terms_and_classes() == self.settled {
                    return Ok(());
                }
                if !self.break_cycles() && !self.freeze_heavy() {
                    self.settled = self.terms_and_classes();
                    return Ok(());
                }
            }
            for id in work {
                if self.work > enough {
                    // A class with several forms was not refined since it got them, so it comes by here: all that it is
                    // made of is frozen, and nothing is left to be said of it.
                    self.freeze_class(id, (Reason::WorkLimit, NOBODY));
                }
                self.refine(id, self.work > enough);
            }
        }
    }

    /// Any term or union that is new changes one of the two.
    fn terms_and_classes(&self) -> (usize, usize) {
        (self.graph.total_size(), self.graph.number_of_classes())
    }

    fn refine(&mut self, id: Id, enough: bool) {
        self.work += 1;
        let id = self.graph.find(id);
        let Fact {
            frozen,
            needed,
            count,
            ..
        } = *self.fact(id);
        if !self.graph[id]
            .nodes
            .iter()
            .any(|n| !matches!(n, Node::Sym(_)))
        {
            if needed && frozen.is_none() && self.ext(id) == 1 {
                self.freeze_class(id, (Reason::SinglePosition, NOBODY));
            } else if frozen.is_some() && self.ext(id) == 1 {
                self.drop_frozen_unit(id);
            }
            return;
        }
        let known = self.is_known(id);
        if known && self.ext(id) == 0 {
            return;
        }
        if known && self.ext(id) == 1 && needed && frozen.is_none() {
            return self.freeze_class(id, (Reason::SinglePosition, NOBODY));
        }
        let (mut cats, mut muls) = self.forms_of(id);
        if frozen.is_some() || count {
            self.hand_down(id);
        }
        if frozen.is_some() && known && self.ext(id) == 1 {
            self.drop_frozen_unit(id);
        }
        let mut parts = cats.iter().flatten().chain(muls.iter().flatten());
        if !known || parts.any(|p| !self.is_known(*p)) {
            if frozen.is_some() {
                return;
            }
            if known || !cats.is_empty() {
                return self.freeze_class(id, (Reason::RuntimeExtent, NOBODY));
            }
        }
        if needed {
            muls.iter().flatten().for_each(|part| self.need(*part));
        }
        let whole: Vec<[Id; 2]> = std::mem::take(&mut muls);
        for [a, b] in whole {
            let unit = [(a, b), (b, a)].into_iter().find(|(u, rest)| {
                self.ext(*u) == 1
                    && (self.fact(*u).frozen.is_some()
                        || self.graph.find(*rest) == self.graph.find(id))
            });
            match unit {
                Some((u, rest)) => {
                    self.freeze_class(u, (Reason::SinglePosition, NOBODY));
                    self.drop_form(id, Node::Mul([a, b]), None);
                    self.unite(id, rest);
                }
                None => muls.push([a, b]),
            }
        }
        if enough {
            return;
        }
        while muls.len() > 1 {
            let Some(other) = muls.pop() else { break };
            match self.factor(muls[0], other) {
                Factored::Done => {}
                Factored::UnitsFirst => return self.graph.analysis.dirty.push(id),
                Factored::Never => {
                    return self.freeze_class(id, (Reason::RuntimeExtent, NOBODY));
                }
            }
            self.drop_form(id, Node::Mul(other), Some(Node::Mul(muls[0])));
        }
        cats.sort_by_key(|c| (c.len(), c.clone()));
        while cats.len() > 1 {
            let Some(other) = cats.pop() else { break };
            self.zip(&cats[0], &other);
            self.drop_form(
                id,
                Node::Cat(other.into()),
                Some(Node::Cat(cats[0].clone().into())),
            );
        }
        if let ([cat], [mul]) = (&cats[..], &muls[..]) {
            let cuts = self.cuts(cat);
            let pieces = self.product_pieces(*mul, &cuts);
            for (part, piece) in cat.iter().zip(pieces) {
                self.unite(*part, piece);
            }
            self.drop_form(id, Node::Cat(cat.clone().into()), None);
        }
    }

    /// What is frozen or a count is made of what is: at once for all that lies below, as a round a level would take long.
    fn hand_down(&mut self, id: Id) {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let Fact { frozen, count, .. } = *self.fact(id);
            let (cats, muls) = self.forms_of(id);
            for part in cats.iter().flatten().chain(muls.iter().flatten()) {
                let before = (self.fact(*part).frozen, self.fact(*part).count);
                if let Some(why) = frozen {
                    self.freeze_class(*part, why);
                }
                if count {
                    self.count_class(*part);
                }
                if before != (self.fact(*part).frozen, self.fact(*part).count) {
                    open.push(*part);
                }
            }
        }
    }

    /// A frozen unit drops out of the products it is a factor of: they are looked at again.
    fn drop_frozen_unit(&mut self, id: Id) {
        let parents: Vec<Id> = self.graph[id]
            .parents()
            .map(|p| self.graph.find(p))
            .collect();
        for p in parents {
            let is_factor = |n: &Node| matches!(n, Node::Mul(ab) if ab.iter().any(|c| self.graph.find(*c) == id));
            if self.graph[p].nodes.iter().any(is_factor) {
                self.graph.analysis.dirty.push(p);
            }
        }
    }

    /// Inner boundaries of a concatenation.
    fn cuts(&self, parts: &[Id]) -> Vec<usize> {
        let mut at = 0;
        parts[..parts.len() - 1]
            .iter()
            .map(|p| {
                at += self.ext(*p);
                at
            })
            .collect()
    }

    /// Two concatenations: between boundaries that both have, one part equals the other's parts, or all are cut at all
    /// boundaries.
    fn zip(&mut self, one: &[Id], two: &[Id]) {
        let (mut i, mut j) = (0, 0);
        while i < one.len() && j < two.len() {
            let (mut a, mut b) = (vec![one[i]], vec![two[j]]);
            let (mut to_a, mut to_b) = (self.ext(one[i]), self.ext(two[j]));
            (i, j) = (i + 1, j + 1);
            while to_a != to_b {
                let (list, all, to, at) = if to_a < to_b {
                    (one, &mut a, &mut to_a, &mut i)
                } else {
                    (two, &mut b, &mut to_b, &mut j)
                };
                let Some(next) = list.get(*at) else { return };
                *to += self.ext(*next);
                all.push(*next);
                *at += 1;
            }
            if a.len() == 1 || b.len() == 1 {
                let (x, y) = (self.cat(&a), self.cat(&b));
                self.unite(x, y);
            } else {
                let (cuts_a, cuts_b) = (self.cuts(&a), self.cuts(&b));
                let (x, y) = (
                    self.list_pieces(&a, &cuts_b, true),
                    self.list_pieces(&b, &cuts_a, true),
                );
                for (x, y) in x.into_iter().zip(y) {
                    self.unite(x, y);
                }
            }
        }
    }

    /// Cuts a list of parts at the given places; with `keep`, at the boundaries of the parts too.
    fn list_pieces(&mut self, parts: &[Id], cuts: &[usize], keep: bool) -> Vec<Id> {
        let (mut done, mut open, mut at, mut k) = (vec![], vec![], 0, 0);
        for part in parts {
            let end = at + self.ext(*part);
            let from = k;
            while k < cuts.len() && cuts[k] < end {
                k += 1;
            }
            let inside: Vec<usize> = cuts[from..k]
                .iter()
                .filter(|c| **c > at)
                .map(|c| c - at)
                .collect();
            if from < k && cuts[from] == at && !open.is_empty() {
                done.push(self.cat(&std::mem::take(&mut open)));
            }
            let pieces = self.pieces(*part, &inside);
            for (n, piece) in pieces.iter().enumerate() {
                open.push(*piece);
                if n + 1 < pieces.len() {
                    done.push(self.cat(&std::mem::take(&mut open)));
                }
            }
            at = end;
            if keep {
                done.push(self.cat(&std::mem::take(&mut open)));
            }
        }
        if !open.is_empty() {
            done.push(self.cat(&open));
        }
        done
    }

    /// The classes between the cuts of a class.
    fn pieces(&mut self, id: Id, cuts: &[usize]) -> Vec<Id> {
        if cuts.is_empty() {
            return vec![id];
        }
        self.depth += 1;
        let pieces = self.pieces_of_form(id, cuts);
        self.depth -= 1;
        pieces
    }

    fn pieces_of_form(&mut self, id: Id, cuts: &[usize]) -> Vec<Id> {
        let id = self.graph.find(id);
        let (mut cats, mut muls) = self.forms_of(id);
        if self.depth > DEEPEST {
            (cats, muls) = (vec![], vec![]);
        }
        cats.sort_by_key(|c| (c.len(), c.clone()));
        if let Some(cat) = cats.first() {
            return self.list_pieces(cat, cuts, false);
        }
        // A class may be, for now, a factor of itself through unit factors: then it is cut as a leaf, and the cycle is
        // broken later.
        if let Some(mul) = muls.first()
            && !self.path.contains(&id)
        {
            self.path.push(id);
            let pieces = self.product_pieces(*mul, cuts);
            self.path.pop();
            return pieces;
        }
        let ends: Vec<usize> = cuts.iter().copied().chain([self.ext(id)]).collect();
        let mut at = 0;
        let mut parts = vec![];
        for end in ends {
            parts.push(self.fresh(end - at));
            at = end;
        }
        let sum = self.cat(&parts);
        self.unite(id, sum);
        parts
    }

    /// The pieces of `c*d`: whole rows are `rows * d`; a row cut inside is `1 * (b + c) = 1*b + 1*c`.
    fn product_pieces(&mut self, [c, d]: [Id; 2], cuts: &[usize]) -> Vec<Id> {
        let row = self.ext(d);
        let mut outer: Vec<usize> = cuts
            .iter()
            .flat_map(|at| [at / row, at.div_ceil(row)])
            .collect();
        outer.retain(|r| *r > 0 && *r < self.ext(c));
        outer.sort();
        outer.dedup();
        let rows = self.pieces(c, &outer);
        let (mut done, mut open, mut at, mut k) = (vec![], vec![], 0, 0);
        for r in rows {
            let end = at + self.ext(r) * row;
            if k < cuts.len() && cuts[k] == at {
                done.push(self.cat(&std::mem::take(&mut open)));
                k += 1;
            }
            let from = k;
            while k < cuts.len() && cuts[k] < end {
                k += 1;
            }
            let inside: Vec<usize> = cuts[from..k].iter().map(|c| c - at).collect();
            let columns = self.pieces(d, &inside);
            for (n, column) in columns.iter().enumerate() {
                open.push(self.times(r, *column));
                if n + 1 < columns.len() {
                    done.push(self.cat(&std::mem::take(&mut open)));
                }
            }
            at = end;
        }
        done.push(self.cat(&open));
        done
    }
}
