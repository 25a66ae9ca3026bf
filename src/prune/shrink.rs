//! The only rewrite: smaller extents in the table of dims, and params at their kept positions.
use super::keep::{Keep, Picks};
use crate::diag::Diagnostic;
use crate::dims::known;
use crate::ir::{Def, DimDef, Facts, Module, ValueId, annotate, atom_names};
use crate::tensor::{Pick, Tensor};
use std::collections::HashMap;

/// The module without the positions that `keep` leaves out.
///
/// The result is annotated: its types and extent attributes are terms over the table of dims, where the new extents
/// stand. Constants that hold positions along an axis are renumbered. Elements are not gathered before they are asked
/// for, so that no more of them are held at a time than whoever writes them holds.
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
        *def = DimDef::Fixed(kept.count() as i64);
    }
    let indexed = indexed(module, facts, keep);
    let mut picks = Picks::new(&facts.dims, keep, &known);
    let kept: Vec<_> = (0..module.values.len())
        .map(|i| ValueId(i as u32))
        .map(|v| match module.value(v).tensor() {
            Some(_) => picks.of(facts.axes(v).unwrap_or_default()),
            None => Some(vec![]),
        })
        .collect();
    for (i, value) in out.values.iter_mut().enumerate() {
        let v = ValueId(i as u32);
        let (Def::Param(tensor) | Def::Const(tensor)) = &mut value.def else {
            continue;
        };
        let wrong = |why: String| {
            let place = module.place(value.span, &format!("value `{}`", value.name));
            Diagnostic::new(format!("`{}` cannot be shrunk: {why}", value.name)).at(place)
        };
        let kept = kept[i].as_ref();
        let kept =
            kept.ok_or_else(|| wrong("the positions of an axis go by a dim that it lacks".into()))?;
        if kept.iter().any(|pick| **pick != Pick::All) {
            let chosen = tensor.choose(kept.clone());
            *tensor = chosen.ok_or_else(|| wrong("positions are kept that it lacks".into()))?;
        }
        if let Some(by) = indexed.get(&v) {
            let new = renumbered(tensor, by);
            *tensor = new.ok_or_else(|| wrong("it counts a removed position".into()))?;
        }
    }
    Ok(out)
}

/// What elements count along an axis: the positions that are kept, and of how many; none where all are.
type Counted = Option<(i64, Vec<usize>)>;

/// Params and constants whose values are positions along dims that lose some: one dim, or one for each place along the
/// last axis.
fn indexed(module: &Module, facts: &Facts, keep: &Keep) -> HashMap<ValueId, Vec<Counted>> {
    let dims = &facts.dims;
    let mut all = HashMap::new();
    for (node, facts) in module.nodes.iter().zip(&facts.nodes) {
        let mut own: HashMap<ValueId, Vec<Counted>> = HashMap::new();
        for (k, d) in &facts.indices {
            if let Some(v) = node.operands[*k] {
                let kept = keep.positions(dims, *d);
                let extent = dims.extent(*d).known().unwrap_or(0);
                own.entry(v).or_default().push(kept.map(|k| (extent, k)));
            }
        }
        all.extend(
            own.into_iter()
                .filter(|(_, by)| by.iter().any(Option::is_some)),
        );
    }
    all
}

/// Positions counted among the kept ones instead; negative ones count from the end.
fn renumbered(tensor: &Tensor, by: &[Counted]) -> Option<Tensor> {
    let new = |(all, kept): &(i64, Vec<usize>)| -> (i64, HashMap<i64, i64>) {
        let kept = kept.iter().enumerate();
        (
            *all,
            kept.map(|(new, old)| (*old as i64, new as i64)).collect(),
        )
    };
    let by: Vec<Option<(i64, HashMap<i64, i64>)>> =
        by.iter().map(|c| c.as_ref().map(new)).collect();
    let values = tensor.to_i64().ok()?;
    let values: Option<Vec<i64>> = values
        .into_iter()
        .zip(by.iter().cycle())
        .map(|(i, by)| match by {
            Some((all, new)) => new.get(&if i < 0 { i + all } else { i }).copied(),
            None => Some(i),
        })
        .collect();
    let values = Tensor::from_i64(&tensor.shape, values?).ok()?;
    values.cast(tensor.dtype).ok()
}
