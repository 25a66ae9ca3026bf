//! What a budget pays for, where a model is too large to be verified as a whole.
//!
//! Each operation is judged by itself, on the values of the original. So one that is left out can be replaced by the same
//! random values in both programs, and what follows is judged all the same.
use super::inputs::Binding;
use crate::ir::{Facts, Module, NodeId, ValueId};
use crate::tensor::Random;
use std::collections::HashSet;

/// What a run does with an operation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// It is run, and what it gives is compared.
    Run,
    /// Random values stand for what it gives.
    Replaced,
    /// Nothing that is run needs what it gives.
    Idle,
}

/// What to do with each operation of a run that may spend `budget` multiply-accumulates.
///
/// One half of the budget goes to operations in program order, so that what belongs together is seen together; the other
/// half to those that the seed draws from the rest. What has no multiply-accumulates is always run, but for what is
/// computed of params alone (a weight that is transposed or converted): that is run for whoever is run on it.
pub fn sample(
    module: &Module,
    facts: &Facts,
    binding: &Binding,
    budget: Option<u64>,
    seed: u64,
) -> Vec<Share> {
    let mut shares = vec![Share::Run; module.nodes.len()];
    let Some(budget) = budget else {
        return shares;
    };
    let costs: Vec<u64> = (0..module.nodes.len())
        .map(|i| cost(module, facts, binding, NodeId(i as u32)))
        .collect();
    let mut open: Vec<usize> = (0..costs.len()).filter(|i| costs[*i] > 0).collect();
    if open
        .iter()
        .fold(0u64, |all, i| all.saturating_add(costs[*i]))
        <= budget
    {
        return shares;
    }
    open.iter().for_each(|i| shares[*i] = Share::Replaced);
    let mut left = budget;
    let mut pay = |i: usize, least: u64| {
        let pays = left.saturating_sub(least) >= costs[i];
        if pays {
            left -= costs[i];
            shares[i] = Share::Run;
        }
        pays
    };
    let first = open.iter().take_while(|i| pay(**i, budget / 2)).count();
    open.drain(..first);
    let mut random = Random(seed);
    while !open.is_empty() {
        let drawn = (random.next() % open.len() as u64) as usize;
        pay(open.swap_remove(drawn), 0);
    }
    idle(module, &costs, &mut shares);
    shares
}

/// The multiply-accumulates of an operation; what only the data decide counts nothing.
fn cost(module: &Module, facts: &Facts, binding: &Binding, id: NodeId) -> u64 {
    let op = module.node(id).op.operator();
    let macs = facts.view(module, id, |view| op.macs(view));
    let macs = macs.eval(&|symbol| binding.get(symbol).copied());
    macs.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

/// Marks what is computed of params alone, and that nothing which is run needs.
fn idle(module: &Module, costs: &[u64], shares: &mut [Share]) {
    let mut of_params: HashSet<ValueId> = module.tensors().map(|(v, _)| v).collect();
    let mut candidates = vec![];
    for (i, node) in module.nodes.iter().enumerate() {
        let mut operands = node.operands.iter().flatten().peekable();
        if costs[i] == 0 && operands.peek().is_some() && operands.all(|v| of_params.contains(v)) {
            of_params.extend(node.results.iter().flatten());
            candidates.push(i);
        }
    }
    let candidates: HashSet<usize> = candidates.into_iter().collect();
    let mut needed: HashSet<ValueId> = module.outputs.iter().map(|(v, _)| *v).collect();
    for (i, node) in module.nodes.iter().enumerate().rev() {
        let is_needed = node.results.iter().flatten().any(|v| needed.contains(v));
        if candidates.contains(&i) && !is_needed {
            shares[i] = Share::Idle;
        }
        if shares[i] == Share::Run {
            needed.extend(node.operands.iter().flatten());
        }
    }
}
