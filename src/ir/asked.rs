//! Which extents of a shape the program reads, where it takes a shape for a value.
use super::{Module, NodeId};
use crate::ops::Op;
use std::collections::{BTreeSet, HashMap};

/// Per `shape_of` whose result nothing but gathers of known positions read: these positions, counted as they are written.
pub(super) fn asked(module: &Module) -> HashMap<NodeId, BTreeSet<i64>> {
    let shapes = module.nodes.iter().enumerate();
    let shapes = shapes.filter(|(_, node)| node.op == Op::ShapeOf);
    let mut makers: HashMap<_, NodeId> = shapes
        .filter_map(|(i, node)| Some(((*node.results.first()?)?, NodeId(i as u32))))
        .collect();
    let mut asked: HashMap<NodeId, BTreeSet<i64>> = HashMap::new();
    if makers.is_empty() {
        return asked;
    }
    for (v, _) in &module.outputs {
        makers.remove(v);
    }
    for node in &module.nodes {
        for (k, v) in node.operands.iter().enumerate() {
            let Some((v, maker)) = v.and_then(|v| Some((v, *makers.get(&v)?))) else {
                continue;
            };
            let positions = match (node.op, k, &node.operands[..]) {
                (Op::Gather, 0, [_, Some(index)]) => module.value(*index).tensor(),
                _ => None,
            };
            match positions.and_then(|t| t.to_i64().ok()) {
                Some(positions) => asked.entry(maker).or_default().extend(positions),
                None => drop(makers.remove(&v)),
            }
        }
    }
    let left: BTreeSet<NodeId> = makers.into_values().collect();
    asked.retain(|maker, _| left.contains(maker));
    asked
}
