//! Groups: what goes together, where it is seen, and what cannot go.
use super::standard_binding;
use crate::diag::Lines;
use crate::dims::{Cause, Dim, Reason, Term};
use crate::ir::{Facts, Module, NodeId, ValueId, atom_names, display_names};
use crate::ops::{Op, Role, Use};
use crate::tensor::Extent;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Most positions that are chosen from, one by one; a param without elements may claim any number of them.
const MOST: i64 = 1 << 24;

/// What kind of extent an atom is.
#[derive(
    Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Channels, features: what a ratio prunes.
    Width,
    /// Heads, groups, repeats: some operator carries it as a batch or group index.
    Count,
    /// What goes into an arm of an `if`, or is inside of one.
    Branch,
}

/// An axis of a param in which an atom appears.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ParamAxis {
    /// The param or constant.
    pub value: ValueId,
    /// The axis.
    pub axis: usize,
    /// What the axis is to the operator that finally consumes the param.
    pub role: Role,
}

/// One free atom: the same position goes everywhere at once or nowhere.
#[derive(Clone, Debug)]
pub struct Group {
    /// The atom.
    pub atom: Dim,
    /// Its name.
    pub name: Arc<str>,
    /// How many positions it has.
    pub extent: usize,
    /// Whether ratios prune it.
    pub class: Class,
    /// Every param axis that holds it, in program order.
    pub axes: Vec<ParamAxis>,
    /// Operations that give values with it, and take none.
    pub producers: Vec<NodeId>,
    /// Operations that take values with it, and give none.
    pub consumers: Vec<NodeId>,
    /// The elements of the params that hold it.
    pub params: u64,
    /// The multiply-accumulates of the operations that see it.
    pub macs: Work,
    /// The bytes of the values that hold it, params and constants not counted.
    pub memory: Work,
}

/// What grows with the run-time symbols.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// A polynomial in the run-time symbols.
    pub formula: Extent,
    /// The same with symbols as in [`standard_binding`]; 0 where they do not tell.
    pub at: u64,
}

/// An atom that keeps all its positions.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// The axis in which it is first seen: a value and a number.
    pub axis: (ValueId, usize),
    /// The extent, as an expression where it is not a number.
    pub extent: String,
    /// Why.
    pub reason: Reason,
    /// What stated it, and where, in words; empty where no part of the program did.
    pub stated: String,
}

/// All groups of a module, and what is frozen.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The groups, in the order in which the program first sees them.
    pub groups: Vec<Group>,
    /// Frozen atoms, in the same order.
    pub frozen: Vec<Frozen>,
    /// What params are shown and addressed as.
    pub shown: HashMap<ValueId, String>,
}

/// Reads the groups off a module and its facts.
pub fn groups(module: &Module, facts: &Facts) -> Groups {
    let names = atom_names(module, facts);
    let mut reading = Reading {
        module,
        facts,
        lines: module.lines(),
        users: module.users(),
        atoms: HashMap::new(),
    };
    let mut order: Vec<Dim> = vec![];
    let mut seen: HashSet<Dim> = HashSet::new();
    let mut frozen = vec![];
    let mut axes: HashMap<Dim, Vec<ParamAxis>> = HashMap::new();
    for v in values_in_order(module) {
        let own = facts.axes(v).unwrap_or_default();
        for (axis, d) in own.iter().enumerate() {
            for atom in reading.atoms(*d).iter() {
                if seen.insert(*atom) {
                    match reading.frozen(*atom, (v, axis)) {
                        Some(why) => frozen.push(why),
                        None => order.push(*atom),
                    }
                }
            }
        }
        if module.value(v).tensor().is_some() {
            for (axis, d) in own.iter().enumerate() {
                for atom in reading.atoms(*d).iter().collect::<BTreeSet<_>>() {
                    let role = reading.role(v, axis, *atom);
                    let value = v;
                    axes.entry(*atom)
                        .or_default()
                        .push(ParamAxis { value, axis, role });
                }
            }
        }
    }
    let (producers, consumers) = reading.neighbours();
    let macs = reading.macs();
    let memory = reading.memory();
    let at = standard_binding(module, facts);
    let work = |all: &BTreeMap<Dim, Extent>, atom: &Dim| {
        let formula = all.get(atom).cloned().unwrap_or(Extent::from(0i64));
        let number = formula.eval(&|symbol| at.get(symbol).copied());
        let at = number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Work { formula, at }
    };
    let branches = reading.branches();
    let mut groups = vec![];
    for atom in order {
        let axes = axes.remove(&atom).unwrap_or_default();
        let values: BTreeSet<ValueId> = axes.iter().map(|a| a.value).collect();
        let elements = |v: &ValueId| module.value(*v).tensor().map_or(0, |t| t.len() as u64);
        let extent = facts.dims.size(&Term::Atom(atom));
        let class = match facts.dims.is_count(atom) {
            _ if branches.contains(&atom) => Class::Branch,
            true => Class::Count,
            false => Class::Width,
        };
        groups.push(Group {
            atom,
            name: names.get(&atom).cloned().unwrap_or_else(|| "?".into()),
            extent,
            class,
            params: values.iter().map(elements).sum(),
            macs: work(&macs, &atom),
            memory: work(&memory, &atom),
            axes,
            producers: producers.get(&atom).cloned().unwrap_or_default(),
            consumers: consumers.get(&atom).cloned().unwrap_or_default(),
        });
    }
    Groups {
        groups,
        frozen,
        shown: display_names(module),
    }
}

/// Inputs, then params where they are first used and results where they are made.
fn values_in_order(module: &Module) -> Vec<ValueId> {
    let mut seen = HashSet::new();
    let mut order = module.inputs.clone();
    seen.extend(order.iter().copied());
    for node in &module.nodes {
        for v in node.operands.iter().chain(&node.results).flatten() {
            if seen.insert(*v) {
                order.push(*v);
            }
        }
    }
    order
}

/// What of the program stated something, and where; nothing where the plan or the algebra did.
pub fn stated(module: &Module, cause: Cause, lines: &Lines) -> String {
    if cause.0 as usize >= module.nodes.len() + module.values.len() {
        return String::new();
    }
    module.describe(cause, lines)
}

struct Reading<'m> {
    module: &'m Module,
    facts: &'m Facts,
    lines: Lines,
    users: Vec<Vec<(NodeId, usize)>>,
    /// Atoms by class of an axis.
    atoms: HashMap<Dim, Arc<Vec<Dim>>>,
}

impl Reading<'_> {
    fn atoms(&mut self, d: Dim) -> Arc<Vec<Dim>> {
        let class = self.facts.dims.find(d);
        let facts = self.facts;
        let read = || Arc::new(facts.dims.term(class).atoms());
        self.atoms.entry(class).or_insert_with(read).clone()
    }
    fn frozen(&self, atom: Dim, axis: (ValueId, usize)) -> Option<Frozen> {
        let extent = self.facts.dims.extent(atom);
        let (reason, stated) = match self.facts.dims.frozen(atom) {
            Some((reason, cause)) => (reason, stated(self.module, cause, &self.lines)),
            None if extent.known() == Some(1) => (Reason::SinglePosition, String::new()),
            None if extent.known().is_some_and(|n| n > MOST) => (Reason::WorkLimit, String::new()),
            None => return None,
        };
        let extent = extent.to_string();
        Some(Frozen {
            axis,
            extent,
            reason,
            stated,
        })
    }
    /// What an axis of a param is to the operator that finally consumes it, as far as an atom of it goes.
    fn role(&mut self, v: ValueId, axis: usize, atom: Dim) -> Role {
        let mut roles: Vec<Role> = vec![];
        let (mut open, mut seen) = (vec![v], HashSet::new());
        while let Some(u) = open.pop() {
            if !seen.insert(u) {
                continue;
            }
            for (id, k) in self.users[u.at()].clone() {
                let node = self.module.node(id);
                let usage = |view: &crate::ops::View<'_>| node.op.operator().usage(view, k);
                match self.facts.view(self.module, id, usage) {
                    Use::Seen => open.extend(node.results.iter().flatten()),
                    Use::Roles(all) if u == v => roles.extend(all.get(axis)),
                    Use::Roles(all) => {
                        let axes = self.facts.axes(u).unwrap_or_default().to_vec();
                        let holds = |d: &Dim| self.atoms(*d).contains(&atom);
                        let at = axes.iter().position(holds);
                        roles.extend(at.and_then(|at| all.get(at)));
                    }
                }
            }
        }
        let scored = |r: &&Role| matches!(r, Role::Out | Role::In | Role::Scale);
        let found = roles.iter().find(scored).or(roles.first());
        found.copied().unwrap_or(Role::Other)
    }
    /// Who makes values with an atom, and who uses them up.
    #[allow(clippy::type_complexity)]
    fn neighbours(&mut self) -> (HashMap<Dim, Vec<NodeId>>, HashMap<Dim, Vec<NodeId>>) {
        let (mut producers, mut consumers) = (HashMap::new(), HashMap::new());
        for (i, node) in self.module.nodes.iter().enumerate() {
            let module = self.module;
            let activations = |v: &&ValueId| module.value(**v).tensor().is_none();
            let taken = self.all(node.operands.iter().flatten().filter(activations));
            let given = self.all(node.results.iter().flatten());
            let id = NodeId(i as u32);
            let push = |to: &mut HashMap<Dim, Vec<NodeId>>, atom: &Dim| {
                to.entry(*atom).or_default().push(id);
            };
            given
                .difference(&taken)
                .for_each(|a| push(&mut producers, a));
            taken
                .difference(&given)
                .for_each(|a| push(&mut consumers, a));
        }
        (producers, consumers)
    }
    /// What operations in the arms of an `if` see, and the `if` itself.
    fn branches(&mut self) -> BTreeSet<Dim> {
        let mut all = BTreeSet::new();
        for node in &self.module.nodes {
            if node.op == Op::If || node.arm().is_some() {
                all.extend(self.all(node.operands.iter().chain(&node.results).flatten()));
            }
        }
        all
    }
    fn all<'v>(&mut self, values: impl Iterator<Item = &'v ValueId>) -> BTreeSet<Dim> {
        let mut all = BTreeSet::new();
        for v in values {
            for d in self.facts.axes(*v).unwrap_or_default() {
                all.extend(self.atoms(*d).iter().copied());
            }
        }
        all
    }
    fn macs(&mut self) -> BTreeMap<Dim, Extent> {
        let mut macs = BTreeMap::new();
        for (i, node) in self.module.nodes.iter().enumerate() {
            let operator = node.op.operator();
            let look = |view: &crate::ops::View<'_>| operator.macs(view);
            let cost = self.facts.view(self.module, NodeId(i as u32), look);
            if cost.known() != Some(0) {
                for atom in self.all(node.operands.iter().chain(&node.results).flatten()) {
                    add(&mut macs, atom, &cost);
                }
            }
        }
        macs
    }
    /// The bytes of the values that hold each atom.
    fn memory(&mut self) -> BTreeMap<Dim, Extent> {
        let mut memory = BTreeMap::new();
        for (i, value) in self.module.values.iter().enumerate() {
            let v = ValueId(i as u32);
            if value.tensor().is_none()
                && let Some(bytes) = super::memory::bytes(self.facts, v)
            {
                for atom in self.all([v].iter()) {
                    add(&mut memory, atom, &bytes);
                }
            }
        }
        memory
    }
}

/// Adds to what an atom has; where it does not fit, the largest number there is.
fn add(all: &mut BTreeMap<Dim, Extent>, atom: Dim, more: &Extent) {
    let entry = all.entry(atom).or_insert(Extent::from(0i64));
    *entry = entry.checked_add(more).unwrap_or(Extent::from(i64::MAX));
}
