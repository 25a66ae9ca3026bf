//! What was removed, told from the weights of a model that any tool has pruned.
use super::Keep;
use crate::dims::{Dim, Term};
use crate::ir::{Facts, Module};
use crate::tensor::Tensor;
use std::collections::{BTreeSet, HashMap};

/// The kept positions by which params of `pruned` are those of the original at some positions.
///
/// Params are matched by name. Only an axis that is one atom tells; other axes follow, or the verification fails.
pub fn recover(module: &Module, facts: &Facts, pruned: &Module) -> Result<Keep, String> {
    let others: HashMap<&str, &Tensor> = pruned
        .tensors()
        .map(|(v, t)| (&*pruned.value(v).name, t))
        .collect();
    let mut found: HashMap<Dim, Vec<usize>> = HashMap::new();
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
            if let Term::Atom(atom) = facts.dims.term(*d)
                && !found.contains_key(&atom)
                && let Some(kept) = matched(tensor, other, axis)
            {
                found.insert(atom, kept);
            }
        }
    }
    let mut keep = Keep::all();
    for (atom, kept) in found {
        if facts.dims.frozen(atom).is_some() {
            return Err("a frozen dimension has lost positions".into());
        }
        keep.set(atom, kept);
    }
    Ok(keep)
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
