//! The most memory that the values of a module take at once.
use super::inputs::Binding;
use crate::ir::{Facts, Module, NodeId, ValueId};
use crate::tensor::Extent;

/// Where values take the most memory.
///
/// Every input and result has memory of its own, from the operation that gives it to the last one that takes it; outputs
/// stay to the end. Params and constants are not counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// The bytes of all values that are needed then, as a polynomial in the run-time symbols.
    pub bytes: Extent,
    /// The same under the binding.
    pub at: u64,
    /// The operation during which that is so; none in a module without operations.
    pub node: Option<NodeId>,
    /// How many values are left out, since their shapes are not known before they are computed.
    pub left_out: usize,
}

/// Finds where the values take the most memory under a binding; none where that overflows.
pub fn peak(module: &Module, facts: &Facts, binding: &Binding) -> Option<Peak> {
    let number = |e: &Extent| {
        let n = e.eval(&|symbol| binding.get(symbol).copied())?;
        u64::try_from(n).ok()
    };
    let zero = || Extent::from(0i64);
    let mut left_out = 0;
    let mut sizes = vec![zero(); module.values.len()];
    for (i, value) in module.values.iter().enumerate() {
        if value.tensor().is_some() {
            continue;
        }
        match bytes(facts, ValueId(i as u32)).filter(|e| number(e).is_some()) {
            Some(bytes) => sizes[i] = bytes,
            None => left_out += 1,
        }
    }
    let end = module.nodes.len();
    let mut last: Vec<Option<usize>> = vec![None; module.values.len()];
    for (i, node) in module.nodes.iter().enumerate() {
        for v in node.operands.iter().chain(&node.results).flatten() {
            last[v.at()] = Some(i);
        }
    }
    for (v, _) in &module.outputs {
        last[v.at()] = Some(end);
    }
    let mut live = zero();
    for v in &module.inputs {
        live = live.checked_add(&sizes[v.at()])?;
    }
    let mut peak = Peak {
        at: number(&live)?,
        bytes: live.clone(),
        node: None,
        left_out,
    };
    for (i, node) in module.nodes.iter().enumerate() {
        for v in node.results.iter().flatten() {
            live = live.checked_add(&sizes[v.at()])?;
        }
        let at = number(&live)?;
        if at > peak.at || peak.node.is_none() {
            peak = Peak {
                bytes: live.clone(),
                at,
                node: Some(NodeId(i as u32)),
                left_out,
            };
        }
        let mut gone: Vec<ValueId> = node
            .operands
            .iter()
            .chain(&node.results)
            .flatten()
            .copied()
            .collect();
        gone.retain(|v| last[v.at()] == Some(i));
        gone.sort();
        gone.dedup();
        for v in gone {
            live = live.checked_sub(&sizes[v.at()])?;
        }
    }
    Some(peak)
}

/// The bytes of a value; none where its rank is not known, or they are too many.
pub(super) fn bytes(facts: &Facts, v: ValueId) -> Option<Extent> {
    let shape = facts.shape(v)?;
    let one = Extent::from(shape.dtype.size());
    shape.axes.iter().try_fold(one, |all, e| all.checked_mul(e))
}
