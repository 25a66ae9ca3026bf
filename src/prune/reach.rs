//! How far pruning reaches: the share of the multiply-accumulates that free dims make fewer, and what keeps the rest.
use super::groups::Class;
use super::standard_binding;
use crate::dims::{Cause, Dim, Reason, Term};
use crate::ir::{Facts, Module, NodeId, ValueId};
use crate::ops::{Op, Role, Shape, Use, View};
use crate::tensor::Extent;
use std::collections::{BTreeMap, BTreeSet};

/// How far pruning reaches, in multiply-accumulates with run-time symbols as in [`standard_binding`].
///
/// `widths`, `all` and `outputs` count an operation with all of its multiply-accumulates or with none; `least` asks how
/// many are left.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reach {
    /// Of all operations.
    pub macs: u64,
    /// Of operations that have a free width in an axis of an operand or a result: fewer when it loses a position.
    pub widths: u64,
    /// Of operations that have any free dim there, counts among them.
    pub all: u64,
    /// Of operations with params.
    pub weighted: u64,
    /// Of operations with params whose output channels hold a free width.
    pub outputs: u64,
    /// Of all operations, when every free width has one position left.
    pub least: u64,
    /// How many operations are not counted: the rank of an operand is not known, since it comes from an operator that is carried
    /// through.
    pub unknown: usize,
    /// What `least` is made of, by what keeps it, the largest first.
    pub kept: Vec<Rest>,
}

/// Multiply-accumulates that stay for one reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rest {
    /// Why.
    pub reason: String,
    /// How many they are.
    pub macs: u64,
    /// In how many operations.
    pub operations: usize,
    /// The first of these.
    pub first: String,
}

/// Sums up what free dims reach.
pub fn reach(module: &Module, facts: &Facts) -> Reach {
    let at = standard_binding(module, facts);
    let (fixed, lines) = (fixed(module), module.lines());
    let mut reach = Reach {
        macs: 0,
        widths: 0,
        all: 0,
        weighted: 0,
        outputs: 0,
        least: 0,
        unknown: 0,
        kept: vec![],
    };
    let mut kept: BTreeMap<String, Rest> = BTreeMap::new();
    for (i, node) in module.nodes.iter().enumerate() {
        let id = NodeId(i as u32);
        if node
            .operands
            .iter()
            .flatten()
            .any(|v| facts.axes(*v).is_none())
        {
            reach.unknown += 1;
        }
        let macs = |view: &View<'_>| {
            let macs = node.op.operator().macs(view);
            let macs = macs.eval(&|symbol| at.get(symbol).copied()).unwrap_or(0);
            u64::try_from(macs).unwrap_or(0)
        };
        let own = facts.view(module, id, macs);
        if own == 0 {
            continue;
        }
        let add = |to: &mut u64| *to = to.saturating_add(own);
        add(&mut reach.macs);
        let values = node.operands.iter().chain(&node.results).flatten();
        let axes = values.flat_map(|v| facts.axes(*v).unwrap_or_default());
        let classes: BTreeSet<Class> = axes.flat_map(|d| classes(facts, *d)).collect();
        if classes.contains(&Class::Width) {
            add(&mut reach.widths);
        }
        if !classes.is_empty() {
            add(&mut reach.all);
        }
        let channels = channels(module, facts, id);
        if node.operands.iter().flatten().any(|v| fixed[v.at()]) {
            add(&mut reach.weighted);
            let is_free = |(v, role, d): &(ValueId, Role, Dim)| {
                fixed[v.at()]
                    && matches!(role, Role::Out | Role::Depthwise)
                    && self::classes(facts, *d).contains(&Class::Width)
            };
            if channels.iter().any(is_free) {
                add(&mut reach.outputs);
            }
        }
        let shapes = |all: &[Option<ValueId>]| -> Vec<Option<Shape>> {
            let least = |v: &Option<ValueId>| v.and_then(|v| least(facts, v));
            all.iter().map(least).collect()
        };
        let left = macs(&View {
            attrs: &node.attrs,
            operands: &shapes(&node.operands),
            results: &shapes(&node.results),
        });
        reach.least = reach.least.saturating_add(left);
        let reason = why(module, facts, id, &channels);
        let entry = kept.entry(reason.clone()).or_insert_with(|| Rest {
            reason,
            macs: 0,
            operations: 0,
            first: module.describe(module.node_cause(id), &lines),
        });
        entry.macs = entry.macs.saturating_add(left);
        entry.operations += 1;
    }
    reach.kept = kept.into_values().collect();
    reach.kept.sort_by_key(|k| std::cmp::Reverse(k.macs));
    reach
}

/// Which values are params and constants, or made of nothing else.
fn fixed(module: &Module) -> Vec<bool> {
    let tensor = |v: &crate::ir::Value| v.tensor().is_some();
    let mut fixed: Vec<bool> = module.values.iter().map(tensor).collect();
    for node in &module.nodes {
        let mut operands = node.operands.iter().flatten().peekable();
        let made = operands.peek().is_some() && operands.all(|v| fixed[v.at()]);
        if made && node.op != Op::Opaque {
            node.results
                .iter()
                .flatten()
                .for_each(|v| fixed[v.at()] = true);
        }
    }
    fixed
}

fn is_free(facts: &Facts, atom: Dim) -> bool {
    facts.dims.frozen(atom).is_none() && facts.dims.extent(atom).known().is_some_and(|n| n > 1)
}

/// The classes of the free dims that an axis holds.
fn classes(facts: &Facts, d: Dim) -> BTreeSet<Class> {
    let atoms = facts.dims.term(d).atoms().into_iter();
    atoms
        .filter(|a| is_free(facts, *a))
        .map(|a| match facts.dims.is_count(a) {
            true => Class::Count,
            false => Class::Width,
        })
        .collect()
}

/// The shape of a value when every free width has one position left.
fn least(facts: &Facts, v: ValueId) -> Option<Shape> {
    fn size(facts: &Facts, term: &Term) -> Option<Extent> {
        let mut parts = match term {
            Term::Sum(parts) | Term::Product(parts) => parts.iter().map(|p| size(facts, p)),
            Term::Atom(a) if is_free(facts, *a) && !facts.dims.is_count(*a) => {
                return Some(Extent::from(1i64));
            }
            Term::Atom(a) => return Some(facts.dims.extent(*a).clone()),
        };
        let first = parts.next()??;
        parts.try_fold(first, |all, part| match term {
            Term::Sum(_) => all.checked_add(&part?),
            _ => all.checked_mul(&part?),
        })
    }
    let mut shape = facts.shape(v)?;
    for (extent, d) in shape.axes.iter_mut().zip(facts.axes(v)?) {
        if let Some(least) = size(facts, &facts.dims.term(*d)) {
            *extent = least;
        }
    }
    Some(shape)
}

/// The axes of an operation's operands that are input or output channels.
fn channels(module: &Module, facts: &Facts, id: NodeId) -> Vec<(ValueId, Role, Dim)> {
    let node = module.node(id);
    let mut channels = vec![];
    for (k, v) in node.operands.iter().enumerate() {
        let Some((v, axes)) = v.and_then(|v| Some((v, facts.axes(v)?))) else {
            continue;
        };
        let usage = facts.view(module, id, |view| node.op.operator().usage(view, k));
        if let Use::Roles(roles) = usage {
            let of = axes.iter().zip(roles).map(|(d, role)| (v, role, *d));
            channels
                .extend(of.filter(|(_, r, _)| matches!(r, Role::In | Role::Out | Role::Depthwise)));
        }
    }
    channels
}

/// Why not all of an operation goes: the reasons of its channels that are frozen, or of all its axes where it has no
/// channels. That an axis is an image's or of one position only says little beside another reason.
fn why(module: &Module, facts: &Facts, id: NodeId, channels: &[(ValueId, Role, Dim)]) -> String {
    let node = module.node(id);
    let mut axes: Vec<Dim> = channels.iter().map(|(_, _, d)| *d).collect();
    if axes.is_empty() {
        let values = node.operands.iter().chain(&node.results).flatten();
        axes.extend(values.flat_map(|v| facts.axes(*v).unwrap_or_default()));
    }
    let mut reasons: BTreeSet<(Reason, String)> = BTreeSet::new();
    let mut has_count = false;
    for atom in axes.iter().flat_map(|d| facts.dims.term(*d).atoms()) {
        match facts.dims.frozen(atom) {
            Some((reason, cause)) => drop(reasons.insert((reason, by(module, reason, cause)))),
            None => has_count |= is_free(facts, atom) && facts.dims.is_count(atom),
        }
    }
    let plain = |r: &Reason| {
        matches!(
            r,
            Reason::RuntimeExtent | Reason::SpatialAxis | Reason::SinglePosition
        )
    };
    if reasons.iter().any(|(r, _)| !plain(r)) {
        reasons.retain(|(r, _)| !plain(r));
    }
    let mut words: Vec<String> = reasons.iter().map(|(r, by)| format!("{r}{by}")).collect();
    if has_count {
        words.push("count".into());
    }
    match words.is_empty() {
        true => "last position".into(),
        false => words.join(", "),
    }
}

/// The operator that froze a dim, where the reason alone does not tell what is in the way.
fn by(module: &Module, reason: Reason, cause: Cause) -> String {
    let open = matches!(
        reason,
        Reason::Index
            | Reason::Barrier
            | Reason::Opaque
            | Reason::NoFit
            | Reason::Overlap
            | Reason::WorkLimit
    );
    let node = module.nodes.get(cause.0 as usize).filter(|_| open);
    node.map_or_else(String::new, |node| match node.op {
        Op::Opaque => format!(" (`{}`)", node.attrs.str_or("type", "opaque")),
        op => format!(" (`{}`)", op.name()),
    })
}
