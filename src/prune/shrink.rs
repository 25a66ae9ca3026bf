//! The only rewrite: smaller extents in the table of dims, and params at their kept positions.
use super::Keep;
use crate::diag::Diagnostic;
use crate::dims::Dim;
use crate::ir::{Def, DimDef, Facts, Module, NodeId, ValueId, annotate, atom_names};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// The module without the positions that `keep` leaves out.
///
/// The result is annotated: its types and extent attributes are terms over the table of dims, where the new extents
/// stand. Constants that hold positions along an axis are renumbered.
pub fn shrink(module: &Module, facts: &Facts, keep: &Keep) -> Result<Module, Diagnostic> {
    let mut out = annotate(module, facts);
    let names = atom_names(module, facts);
    for (atom, kept) in keep.iter() {
        let def = names.get(&atom).and_then(|name| out.dims.get_mut(name));
        let Some(def) = def else {
            return Err(Diagnostic::new(
                "positions of a frozen dimension are to be removed",
            ));
        };
        *def = DimDef::Fixed(kept.len() as i64);
    }
    let indexed = indexed(module, facts);
    // Axes of one class lose the same positions: they are looked up once.
    let mut known: HashMap<Dim, Option<Vec<usize>>> = HashMap::new();
    for (i, value) in out.values.iter_mut().enumerate() {
        let v = ValueId(i as u32);
        let (Def::Param(tensor) | Def::Const(tensor)) = &mut value.def else {
            continue;
        };
        let kept: Vec<Option<Vec<usize>>> = facts
            .axes(v)
            .unwrap_or_default()
            .iter()
            .map(|d| {
                let class = facts.dims.find(*d);
                let look = || keep.positions(&facts.dims, class);
                known.entry(class).or_insert_with(look).clone()
            })
            .collect();
        let place = || {
            Diagnostic::new(format!("`{}` cannot be shrunk", value.name))
                .at(module.place(value.span, &format!("value `{}`", value.name)))
        };
        if kept.iter().any(Option::is_some) {
            let whole = tensor.clone();
            *tensor = whole
                .gather(&kept)
                .map_err(|e| place().help(e.to_string()))?;
            whole.release();
        }
        if let Some((node, d)) = indexed.get(&v) {
            let Some(kept) = keep.positions(&facts.dims, *d) else {
                continue;
            };
            let all = facts.dims.extent(*d).known().unwrap_or(0);
            *tensor = renumbered(tensor, &kept, all)
                .ok_or_else(|| place().help("it counts a removed position"))
                .map_err(|e| e.at(module.node_place(*node)))?;
        }
    }
    Ok(out)
}

/// Params and constants whose values are positions along a dim, with the operation that counts.
fn indexed(module: &Module, facts: &Facts) -> HashMap<ValueId, (NodeId, Dim)> {
    let mut all = HashMap::new();
    for (i, (node, facts)) in module.nodes.iter().zip(&facts.nodes).enumerate() {
        for (k, d) in &facts.indices {
            if let Some(v) = node.operands[*k] {
                all.insert(v, (NodeId(i as u32), *d));
            }
        }
    }
    all
}

/// Positions among `all`, counted among the kept ones instead; negative ones count from the end.
fn renumbered(tensor: &Tensor, kept: &[usize], all: i64) -> Option<Tensor> {
    let new: HashMap<i64, i64> = kept
        .iter()
        .enumerate()
        .map(|(new, old)| (*old as i64, new as i64))
        .collect();
    let values = tensor.to_i64().ok()?;
    let values: Option<Vec<i64>> = values
        .into_iter()
        .map(|i| new.get(&if i < 0 { i + all } else { i }).copied())
        .collect();
    let values = Tensor::from_i64(&tensor.shape, values?).ok()?;
    values.cast(tensor.dtype).ok()
}
