//! Groups of norms that are written as reductions: where a statistic is taken over part of an axis, the part before it is
//! an index of groups.
use super::{Facts, Module};
use crate::dims::{Dim, Term};
use std::collections::{HashMap, HashSet};

/// States of solved dims which are groups of a norm: `g` where a mean over `c`, and not over `g`, goes back to where it was
/// taken, and `g * c` is an axis.
pub(super) fn state(module: &Module, facts: &mut Facts) {
    let mut norms = vec![];
    for node in &module.nodes {
        let axes = node.operands.first().copied().flatten();
        if let Some(axes) = axes.and_then(|x| facts.axes(x)) {
            let over = node.op.operator().statistics(&node.attrs, axes.len());
            if !over.is_empty() && over.len() < axes.len() {
                norms.push((axes, over));
            }
        }
    }
    if norms.is_empty() {
        return;
    }
    let outer = outer(facts);
    let mut found = vec![];
    for (axes, over) in norms {
        let (mut own, mut others) = (HashSet::new(), HashSet::new());
        for (axis, d) in axes.iter().enumerate() {
            let side = match over.contains(&axis) {
                true => &mut own,
                false => &mut others,
            };
            side.extend(facts.dims.term(*d).atoms());
        }
        let before = own.iter().filter_map(|c| outer.get(c)).flatten();
        found.extend(before.filter(|g| others.contains(*g)).copied());
    }
    found.into_iter().for_each(|g| facts.dims.count(g));
}

/// By atom, those that stand before it in a product, where both can lose positions.
fn outer(facts: &Facts) -> HashMap<Dim, Vec<Dim>> {
    let mut all: HashMap<Dim, Vec<Dim>> = HashMap::new();
    let mut seen = HashSet::new();
    for d in facts
        .values
        .iter()
        .filter_map(|v| v.axes.as_ref())
        .flatten()
    {
        if seen.insert(facts.dims.find(*d)) {
            visit(facts, &facts.dims.term(*d), &mut all);
        }
    }
    all
}

fn visit(facts: &Facts, term: &Term, all: &mut HashMap<Dim, Vec<Dim>>) {
    let is_free = |d: &Dim| {
        let extent = facts.dims.extent(*d).known();
        facts.dims.frozen(*d).is_none() && extent.is_some_and(|n| n > 1)
    };
    match term {
        Term::Atom(_) => {}
        Term::Sum(parts) => parts.iter().for_each(|p| visit(facts, p, all)),
        Term::Product(factors) => {
            factors.iter().for_each(|f| visit(facts, f, all));
            let atoms: Vec<Dim> = term.atoms().into_iter().filter(is_free).collect();
            for (i, inner) in atoms.iter().enumerate() {
                let known = all.entry(*inner).or_default();
                let new = atoms[..i].iter().filter(|a| *a != inner);
                known.extend(new.filter(|a| !known.contains(a)).collect::<Vec<_>>());
            }
        }
    }
}
