//! Ragged dims: which can keep other positions at each position of another dim, and why the rest cannot.
//!
//! A dim is ragged by another one (heads, groups) if every value and param that has the former has the latter beside
//! it, once: as a factor outside of it on the same axis, or on one other axis; and if no operation lets positions of the
//! latter meet while it keeps those of the former.
use super::groups::{Class, Groups};
use crate::dims::{Dim, Dims, Term};
use crate::ir::{Facts, Module, NodeId, ValueId, atom_names};
use crate::ops::{Pairs, Place, View};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What can be ragged.
#[derive(Clone, Debug, Default)]
pub struct Ragged {
    /// Per dim that can be, the dim that its rows go by.
    pub by: BTreeMap<Dim, Dim>,
    /// Per dim that is a factor inside of another and cannot be, why.
    pub uniform: BTreeMap<Dim, String>,
}

/// How an axis holds atoms.
struct Axis {
    /// Every place of an atom, with the atoms that are factors outside of it.
    places: Vec<(Dim, Vec<Dim>)>,
    /// The atoms of which every position of the axis has one.
    factors: Vec<Dim>,
    /// Whether its extent is known at run time only.
    runtime: bool,
}

impl Axis {
    fn new(dims: &Dims, d: Dim) -> Axis {
        let term = dims.term(d);
        let mut axis = Axis {
            places: vec![],
            factors: factors(&term),
            runtime: !dims.extent(d).is_known(),
        };
        axis.visit(&term, &[]);
        axis
    }
    fn visit(&mut self, term: &Term, outside: &[Dim]) {
        match term {
            Term::Atom(atom) => self.places.push((*atom, outside.to_vec())),
            Term::Sum(parts) => parts.iter().for_each(|part| self.visit(part, outside)),
            Term::Product(all) => {
                let mut outside = outside.to_vec();
                for factor in all {
                    self.visit(factor, &outside);
                    outside.extend(factors(factor));
                }
            }
        }
    }
}

fn factors(term: &Term) -> Vec<Dim> {
    match term {
        Term::Atom(atom) => vec![*atom],
        Term::Sum(_) => vec![],
        Term::Product(all) => all.iter().flat_map(factors).collect(),
    }
}

fn count(all: &[Dim], atom: Dim) -> usize {
    all.iter().filter(|a| **a == atom).count()
}

/// Finds what can be ragged.
pub fn ragged(module: &Module, facts: &Facts, groups: &Groups) -> Ragged {
    let mut reading = Reading {
        module,
        facts,
        axes: HashMap::new(),
        names: atom_names(module, facts),
        values: HashMap::new(),
        nodes: HashMap::new(),
        found: Ragged::default(),
    };
    let free: BTreeSet<Dim> = groups.groups.iter().map(|g| g.atom).collect();
    reading.index(&free);
    // Widths first: by what counts are ragged, they cannot be.
    for class in [Class::Width, Class::Count, Class::Branch] {
        for group in groups.groups.iter().filter(|g| g.class == class) {
            reading.judge(group.atom);
        }
    }
    reading.found
}

struct Reading<'m> {
    module: &'m Module,
    facts: &'m Facts,
    /// By class.
    axes: HashMap<Dim, Arc<Axis>>,
    names: HashMap<Dim, Arc<str>>,
    /// Values that have a free atom.
    values: HashMap<Dim, Vec<ValueId>>,
    /// Operations with an operand that has it.
    nodes: HashMap<Dim, Vec<NodeId>>,
    found: Ragged,
}

impl Reading<'_> {
    fn axes(&mut self, v: ValueId) -> Vec<Arc<Axis>> {
        let facts = self.facts;
        let own = facts.axes(v).unwrap_or_default();
        let mut read = |d: &Dim| {
            let class = facts.dims.find(*d);
            let new = || Arc::new(Axis::new(&facts.dims, class));
            self.axes.entry(class).or_insert_with(new).clone()
        };
        own.iter().map(&mut read).collect()
    }
    fn index(&mut self, free: &BTreeSet<Dim>) {
        let of = |axes: &[Arc<Axis>]| -> BTreeSet<Dim> {
            let all = axes.iter().flat_map(|axis| &axis.places);
            all.map(|(atom, _)| *atom)
                .filter(|a| free.contains(a))
                .collect()
        };
        for i in 0..self.module.values.len() {
            let v = ValueId(i as u32);
            for atom in of(&self.axes(v)) {
                self.values.entry(atom).or_default().push(v);
            }
        }
        for (i, node) in self.module.nodes.iter().enumerate() {
            let mut all = BTreeSet::new();
            for v in node.operands.iter().flatten() {
                all.extend(of(&self.axes(*v)));
            }
            for atom in all {
                self.nodes.entry(atom).or_default().push(NodeId(i as u32));
            }
        }
    }
    /// Decides whether an atom can be ragged, and by which other: the largest that fits.
    fn judge(&mut self, atom: Dim) {
        if self.found.by.values().any(|by| *by == atom) {
            return;
        }
        let mut first: Option<String> = None;
        for (by, is_outside) in self.candidates(atom) {
            match self.refused(atom, by) {
                None => {
                    self.found.by.insert(atom, by);
                    return;
                }
                Some(why) if is_outside => drop(first.get_or_insert(why)),
                Some(_) => {}
            }
        }
        if let Some(why) = first {
            self.found.uniform.insert(atom, why);
        }
    }
    /// What an atom may be ragged by, and whether it is outside of it in a product: these come first, and the largest.
    fn candidates(&mut self, atom: Dim) -> Vec<(Dim, bool)> {
        let (mut outside, mut beside): (Vec<Dim>, Vec<Dim>) = (vec![], vec![]);
        for v in self.values.get(&atom).cloned().unwrap_or_default() {
            let axes = self.axes(v);
            let places = axes.iter().flat_map(|axis| &axis.places);
            places
                .filter(|(a, _)| *a == atom)
                .for_each(|(_, all)| outside.extend(all));
            if self.module.value(v).tensor().is_some() {
                beside.extend(axes.iter().flat_map(|axis| &axis.factors));
            }
        }
        let dims = &self.facts.dims;
        let mut all: Vec<(Dim, bool)> = vec![];
        let both = outside.iter().map(|a| (*a, true));
        for (by, is_outside) in both.chain(beside.iter().map(|a| (*a, false))) {
            let rows = dims.size(&Term::Atom(by));
            let is_ragged = self.found.by.contains_key(&by);
            if by != atom && rows > 1 && !is_ragged && !all.iter().any(|(a, _)| *a == by) {
                all.push((by, is_outside));
            }
        }
        let rows = |by: Dim| dims.size(&Term::Atom(by));
        all.sort_by_key(|(by, is_outside)| (!is_outside, std::cmp::Reverse(rows(*by))));
        all
    }
    /// Where an axis has `atom`, the axis that has `by` for it; none where it is not there, or not once.
    fn beside(axes: &[Arc<Axis>], axis: usize, atom: Dim, by: Dim) -> Option<usize> {
        let own = axes[axis].places.iter().filter(|(a, _)| *a == atom);
        let own: BTreeSet<usize> = own.map(|(_, outside)| count(outside, by)).collect();
        match own.into_iter().collect::<Vec<_>>()[..] {
            [1] => return Some(axis),
            [0] => {}
            _ => return None,
        }
        let others = || (0..axes.len()).filter(|other| *other != axis);
        let held = |other: usize| axes[other].places.iter().filter(|(a, _)| *a == by).count();
        let [other] = others().filter(|o| held(*o) > 0).collect::<Vec<_>>()[..] else {
            return None;
        };
        (count(&axes[other].factors, by) == 1).then_some(other)
    }
    /// Why an atom cannot be ragged by another.
    fn refused(&mut self, atom: Dim, by: Dim) -> Option<String> {
        let rows = self.shown(by);
        for v in self.values.get(&atom).cloned().unwrap_or_default() {
            let axes = self.axes(v);
            for axis in holding(&axes, atom) {
                if Self::beside(&axes, axis, atom, by).is_none() {
                    let name = &self.module.value(v).name;
                    return Some(format!("`{name}:{axis}` does not have {rows} beside it"));
                }
            }
            let has = |axis: &Arc<Axis>| axis.places.iter().any(|(a, _)| [atom, by].contains(a));
            if axes.iter().any(|axis| axis.runtime && has(axis)) {
                let name = &self.module.value(v).name;
                return Some(format!(
                    "`{name}` has it beside a run-time extent in one axis"
                ));
            }
            if !self.told(&axes, atom, by) {
                let name = &self.module.value(v).name;
                return Some(format!("several dims of `{name}` would go by others of it"));
            }
        }
        for id in self.nodes.get(&atom).cloned().unwrap_or_default() {
            if !self.stays(id, atom, by) {
                let cause = self.module.node_cause(id);
                let who = self.module.describe(cause, &self.module.lines());
                return Some(format!("positions of {rows} meet in {who}"));
            }
        }
        None
    }
    /// Whether it is clear which positions of each axis stay: those of one axis go by at most one other, which tells its
    /// own.
    fn told(&self, axes: &[Arc<Axis>], atom: Dim, by: Dim) -> bool {
        let mut goes_by: Vec<BTreeSet<usize>> = vec![];
        for axis in 0..axes.len() {
            let mut others = BTreeSet::new();
            for (a, _) in &axes[axis].places {
                let by = match *a == atom {
                    true => Some(by),
                    false => self.found.by.get(a).copied(),
                };
                let other = by.and_then(|by| Self::beside(axes, axis, *a, by));
                others.extend(other.filter(|other| *other != axis));
            }
            goes_by.push(others);
        }
        let mut all = goes_by.iter();
        all.all(|own| own.len() <= 1 && own.iter().all(|other| goes_by[*other].is_empty()))
    }
    /// Whether an operation stays what it is if an atom is ragged by another.
    fn stays(&mut self, id: NodeId, atom: Dim, by: Dim) -> bool {
        let node = self.module.node(id);
        let mut places = vec![];
        for (operand, v) in node.operands.iter().enumerate() {
            let axes = v.map(|v| self.axes(v)).unwrap_or_default();
            for inner in holding(&axes, atom) {
                if let Some(outer) = Self::beside(&axes, inner, atom, by) {
                    places.push(Place {
                        operand,
                        inner,
                        outer,
                    });
                }
            }
        }
        // Positions that are counted along an axis have one meaning only.
        for (_, d) in &self.facts.nodes[id.at()].indices {
            let axis = Axis::new(&self.facts.dims, *d);
            let mut own = axis.places.iter().filter(|(a, _)| *a == atom);
            if own.any(|(_, outside)| !outside.contains(&by)) {
                return false;
            }
        }
        let (operands, results) = self.facts.shapes(self.module, id);
        let view = View {
            attrs: &node.attrs,
            operands: &operands,
            results: &results,
        };
        node.op.operator().ragged(&Pairs { view, places })
    }
    fn shown(&self, atom: Dim) -> String {
        match self.names.get(&atom) {
            Some(name) => format!("`{name}`"),
            None => format!("its {} rows", self.facts.dims.extent(atom)),
        }
    }
}

/// The axes that have an atom.
fn holding(axes: &[Arc<Axis>], atom: Dim) -> Vec<usize> {
    let holds = |axis: &usize| axes[*axis].places.iter().any(|(a, _)| *a == atom);
    (0..axes.len()).filter(holds).collect()
}
