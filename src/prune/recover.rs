//! What was removed, told from the weights of a model that any tool has pruned.
use super::keep::{Keep, Kept, Rows};
use super::{Ragged, groups, ragged};
use crate::dims::{Dim, Term};
use crate::ir::{Facts, Module};
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The kept positions by which params of `pruned` are those of the original at some positions.
///
/// Params are matched by name. Axes that are one atom tell first, then sums and products tell of their atoms what is not
/// known; what no axis tells follows, or the verification fails.
pub fn recover(module: &Module, facts: &Facts, pruned: &Module) -> Result<Keep, String> {
    let others: HashMap<&str, &Tensor> = pruned
        .tensors()
        .map(|(v, t)| (&*pruned.value(v).name, t))
        .collect();
    let mut keep = Keep::all();
    let mut composed: Vec<(Dim, Vec<usize>)> = vec![];
    let mut seen: BTreeSet<Dim> = BTreeSet::new();
    for (v, tensor) in module.tensors() {
        let name = &module.value(v).name;
        let Some(other) = others.get(&**name) else {
            continue;
        };
        if other.shape.len() != tensor.shape.len() || other.dtype != tensor.dtype {
            return Err(format!("`{name}` is of another type"));
        }
        for (axis, d) in facts.axes(v).unwrap_or_default().iter().enumerate() {
            let (all, kept) = (tensor.shape[axis], other.shape[axis]);
            if kept == all {
                continue;
            }
            if kept > all {
                return Err(format!("`{name}` has grown along axis {axis}"));
            }
            let class = facts.dims.find(*d);
            if seen.contains(&class) {
                continue;
            }
            let Some(kept) = matched(tensor, other, axis) else {
                continue;
            };
            seen.insert(class);
            match facts.dims.term(class) {
                Term::Atom(atom) if facts.dims.frozen(atom).is_some() => {
                    return Err("a frozen dimension has lost positions".into());
                }
                Term::Atom(atom) => keep.set(atom, kept),
                Term::Sum(_) | Term::Product(_) => composed.push((class, kept)),
            }
        }
    }
    for (axis, kept) in &composed {
        if keep.positions(&facts.dims, *axis).as_ref() == Some(kept) {
            continue;
        }
        let uniform = told(facts, &keep, *axis, kept, &Ragged::default());
        let told = uniform.or_else(|| {
            let all = ragged(module, facts, &groups(module, facts));
            told(facts, &keep, *axis, kept, &all)
        });
        keep = told.unwrap_or(keep);
    }
    Ok(keep)
}

/// What is kept besides if an axis keeps these positions, where atoms have rows if `ragged` says so; none where no choice
/// for the atoms keeps just these.
fn told(facts: &Facts, keep: &Keep, axis: Dim, kept: &[usize], ragged: &Ragged) -> Option<Keep> {
    let dims = &facts.dims;
    let known: BTreeSet<Dim> = keep.iter().map(|(atom, _)| atom).collect();
    let needs = dims.needs(axis);
    let at = |i: usize, atom: Dim| {
        needs
            .get(i)?
            .iter()
            .find(|(a, _)| *a == atom)
            .map(|(_, at)| *at)
    };
    let mut found = keep.clone();
    let atoms: BTreeSet<Dim> = dims.term(axis).atoms().into_iter().collect();
    for atom in atoms.into_iter().filter(|a| !known.contains(a)) {
        let stay: BTreeSet<usize> = kept.iter().filter_map(|i| at(*i, atom)).collect();
        if let Some(by) = ragged.by.get(&atom).copied() {
            let mut rows: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for i in kept {
                if let (Some(row), Some(at)) = (at(*i, by), at(*i, atom)) {
                    rows.entry(row).or_default().insert(at);
                }
            }
            // What a row that is gone would keep does not matter.
            let any = rows.values().next()?.clone();
            let count = dims.size(&Term::Atom(by));
            let row = |r: usize| rows.get(&r).unwrap_or(&any).iter().copied().collect();
            let kept: Vec<Vec<usize>> = (0..count).map(row).collect();
            if any.len() < dims.size(&Term::Atom(atom)) {
                found.put(atom, Kept::Rows(Rows::new(dims, by, kept)?));
            }
        } else if stay.len() < dims.size(&Term::Atom(atom)) {
            if dims.frozen(atom).is_some() {
                return None;
            }
            found.set(atom, stay.into_iter().collect());
        }
    }
    (found.positions(dims, axis).as_deref() == Some(kept)).then_some(found)
}

/// For each position of an axis of `part`, the position of `whole` that has all of its values, in ascending order.
fn matched(whole: &Tensor, part: &Tensor, axis: usize) -> Option<Vec<usize>> {
    let values = |t: &Tensor| -> Vec<Vec<u64>> {
        let inner: usize = t.shape[axis + 1..].iter().product();
        let n = t.shape[axis];
        let mut slices = vec![vec![]; n];
        for (at, x) in t.to_f64().into_iter().enumerate() {
            slices[at / inner.max(1) % n].push(x.to_bits());
        }
        slices
    };
    let whole: Vec<BTreeSet<u64>> = values(whole)
        .into_iter()
        .map(|v| v.into_iter().collect())
        .collect();
    let mut from = 0;
    let mut kept = vec![];
    for slice in values(part) {
        let holds = |i: &usize| slice.iter().all(|x| whole[*i].contains(x));
        let at = (from..whole.len()).find(holds)?;
        kept.push(at);
        from = at + 1;
    }
    Some(kept)
}
