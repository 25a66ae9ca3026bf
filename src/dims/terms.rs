//! The terms on egg, and the facts of a class.
use super::read::known;
use super::refine::NOBODY;
use super::{Cause, Dims, Mismatch, Reason};
use crate::tensor::Extent;
use egg::{Analysis, DidMerge, EGraph, Id, Language, define_language};

define_language! {
    /// A dimension: a symbol, an ordered concatenation, a row-major product.
    pub enum Node { "cat" = Cat(Box<[Id]>), "mul" = Mul([Id; 2]), Sym(u32), }
}

/// What all classes share.
#[derive(Default)]
pub struct Table {
    /// Extent of each symbol, and whether it is an axis.
    symbols: Vec<(Extent, bool)>,
    /// Classes that changed.
    pub dirty: Vec<Id>,
    /// Equalities between run-time extents.
    pub assumptions: Vec<(Extent, Extent, Cause)>,
    /// The first union of two different numbers, or number that does not fit, if there was one.
    pub conflict: Option<Mismatch>,
}

/// What is known of a class.
#[derive(Clone, Debug)]
pub struct Fact {
    pub extent: Extent,
    pub frozen: Option<(Reason, Cause)>,
    /// Must keep at least one position: the axis of a tensor, or a factor of one.
    pub needed: bool,
    /// Carried as a batch or group index.
    pub count: bool,
}

impl Analysis<Node> for Table {
    type Data = Fact;
    fn make(graph: &mut EGraph<Node, Self>, node: &Node, _: Id) -> Fact {
        let of = |id: &Id| &graph[*id].data.extent;
        let (extent, needed) = match node {
            Node::Cat(parts) => (
                parts
                    .iter()
                    .try_fold(Extent::from(0i64), |sum, p| sum.checked_add(of(p))),
                false,
            ),
            Node::Mul([a, b]) => (of(a).checked_mul(of(b)), false),
            Node::Sym(s) => {
                let (extent, needed) = &graph.analysis.symbols[*s as usize];
                (Some(extent.clone()), *needed)
            }
        };
        let extent = extent.unwrap_or_else(|| {
            let conflict = &mut graph.analysis.conflict;
            conflict.get_or_insert(Mismatch::Overflow);
            Extent::from(i64::MAX)
        });
        Fact {
            extent,
            frozen: None,
            needed,
            count: false,
        }
    }
    fn merge(&mut self, a: &mut Fact, b: Fact) -> DidMerge {
        let before = (a.frozen, a.needed, a.count, a.extent.is_known());
        let theirs = (b.frozen, b.needed, b.count, b.extent.is_known());
        if a.extent != b.extent {
            // Equal by assumption: what one is made of, the other need not be.
            if !(a.extent.is_known() && b.extent.is_known()) {
                let why = (Reason::RuntimeExtent, NOBODY);
                a.frozen = Some(a.frozen.map_or(why, |old| old.min(why)));
            }
            match (a.extent.known(), b.extent.known()) {
                (Some(_), Some(_)) => {
                    let (x, y) = (
                        a.extent.clone().min(b.extent.clone()),
                        a.extent.clone().max(b.extent.clone()),
                    );
                    self.conflict.get_or_insert(Mismatch::Extents(x, y));
                }
                (Some(_), None) => {}
                (None, Some(_)) => a.extent = b.extent.clone(),
                // The least, so that the order of unions does not show.
                (None, None) => a.extent = a.extent.clone().min(b.extent.clone()),
            }
        }
        a.frozen = match (a.frozen, b.frozen) {
            (Some(x), Some(y)) => Some(x.min(y)),
            (x, y) => x.or(y),
        };
        a.needed |= b.needed;
        a.count |= b.count;
        let after = (a.frozen, a.needed, a.count, a.extent.is_known());
        DidMerge(before != after, theirs != after)
    }
    fn modify(graph: &mut EGraph<Node, Self>, id: Id) {
        graph.analysis.dirty.push(id);
    }
}

/// The forms of a class besides symbols, children canonical, without repeats, in a fixed order.
pub type Forms = (Vec<Vec<Id>>, Vec<[Id; 2]>);

impl Dims {
    pub(super) fn fact(&self, id: Id) -> &Fact {
        &self.graph[id].data
    }
    /// The extent where it is a number, else 0.
    pub(super) fn ext(&self, id: Id) -> usize {
        known(&self.fact(id).extent).unwrap_or(0)
    }
    pub(super) fn is_known(&self, id: Id) -> bool {
        self.fact(id).extent.is_known()
    }
    pub(super) fn symbol(&mut self, extent: Extent, needed: bool) -> Id {
        self.work += 1;
        self.graph.analysis.symbols.push((extent, needed));
        self.graph
            .add(Node::Sym(self.graph.analysis.symbols.len() as u32 - 1))
    }
    pub(super) fn fresh(&mut self, extent: usize) -> Id {
        self.symbol(Extent::from(extent), false)
    }
    pub(super) fn cat(&mut self, parts: &[Id]) -> Id {
        self.work += parts.len();
        let zero = |id: &Id| self.fact(*id).extent.known() == Some(0);
        let kept: Vec<Id> = parts.iter().copied().filter(|p| !zero(p)).collect();
        match kept.len() {
            0 => parts[0],
            1 => kept[0],
            _ => self.graph.add(Node::Cat(kept.into())),
        }
    }
    pub(super) fn times(&mut self, a: Id, b: Id) -> Id {
        self.work += 1;
        self.graph.add(Node::Mul([a, b]))
    }
    pub(super) fn unite(&mut self, a: Id, b: Id) {
        if self.graph.find(a) != self.graph.find(b) {
            self.graph.union(a, b);
        }
    }
    fn mark(&mut self, id: Id, change: impl Fn(&mut Fact)) {
        let id = self.graph.find(id);
        change(&mut self.graph[id].data);
        self.graph.analysis.dirty.push(id);
    }
    pub(super) fn freeze_class(&mut self, id: Id, why: (Reason, Cause)) {
        if self.fact(id).frozen.is_none_or(|old| why < old) {
            self.mark(id, |f| f.frozen = Some(why));
        }
    }
    pub(super) fn need(&mut self, id: Id) {
        if !self.fact(id).needed {
            self.mark(id, |f| f.needed = true);
        }
    }
    pub(super) fn count_class(&mut self, id: Id) {
        if !self.fact(id).count {
            self.mark(id, |f| f.count = true);
        }
    }
    pub(super) fn forms_of(&self, id: Id) -> Forms {
        let (mut cats, mut muls) = (vec![], vec![]);
        for node in &self.graph[id].nodes {
            match node {
                Node::Cat(parts) => cats.push(parts.iter().map(|p| self.graph.find(*p)).collect()),
                Node::Mul([a, b]) => muls.push([self.graph.find(*a), self.graph.find(*b)]),
                Node::Sym(_) => {}
            }
        }
        cats.sort();
        cats.dedup();
        muls.sort();
        muls.dedup();
        (cats, muls)
    }
    /// What a form said is now said by smaller classes: it leaves its class (and stays in the table of terms), unless
    /// it has become the form that is kept.
    pub(super) fn drop_form(&mut self, id: Id, form: Node, keep: Option<Node>) {
        let id = self.graph.find(id);
        let canonical = |node: Node| node.map_children(|c| self.graph.find(c));
        let form = canonical(form);
        if keep.is_some_and(|keep| canonical(keep) == form) {
            return;
        }
        let mut nodes = std::mem::take(&mut self.graph[id].nodes);
        nodes.retain(|n| n.clone().map_children(|c| self.graph.find(c)) != form);
        self.graph[id].nodes = nodes;
    }
}
