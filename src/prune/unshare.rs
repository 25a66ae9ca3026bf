//! One parameter a use: exporters merge equal tensors, so that a coupling would be read into them that nobody meant.
use crate::ir::{Def, Module, Node, Type, ValueId};
use crate::ops::{Op, Unary};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// What every cloned tensor was before: the clone, and the value whose clone it is.
#[derive(Clone, Debug, Default)]
pub struct Clones(Vec<(ValueId, ValueId)>);

/// Clones, for every use but the first, each param and constant that is the same along an axis (so that the other uses
/// may lose other positions), and each tensor of integers (so that each use may count along another axis).
///
/// A use through `identity` is a use of what lies before it. The bytes are shared; [`reshare`] takes back what was
/// not needed.
pub fn unshare(module: &Module) -> (Module, Clones) {
    let mut out = module.clone();
    let mut clones = vec![];
    let users = module.users();
    let tensors: Vec<(ValueId, Tensor)> = module.tensors().map(|(v, t)| (v, t.clone())).collect();
    let mut names = Names::new(module);
    for (v, tensor) in tensors {
        let all = final_uses(module, &users, v);
        if all.len() < 2 || !worth_cloning(&tensor) {
            continue;
        }
        // What an unknown operator uses may be named inside of it, and stays.
        let opaque = |(node, _): &(usize, usize)| module.nodes[*node].op == Op::Opaque;
        let (stay, mut uses): (Vec<_>, Vec<_>) = all.into_iter().partition(opaque);
        if stay.is_empty() {
            uses.remove(0);
        }
        for (node, k) in uses {
            let value = module.value(v);
            let def = match &value.def {
                Def::Param(t) => Def::Param(t.clone()),
                _ => Def::Const(tensor.clone()),
            };
            let clone = out.add_value(names.fresh(&value.name), value.ty.clone(), def, value.span);
            out.nodes[node].operands[k] = Some(clone);
            clones.push((clone, v));
        }
    }
    (out, Clones(clones))
}

/// Gives clones that are equal to their original, or to another clone of it, back to one value; where their types name
/// different dims, that of the one value names none.
pub fn reshare(module: &mut Module, clones: &Clones) {
    let mut kept: HashMap<ValueId, Vec<ValueId>> = HashMap::new();
    let mut instead: HashMap<ValueId, ValueId> = HashMap::new();
    for (clone, original) in &clones.0 {
        let known = kept.entry(*original).or_insert_with(|| vec![*original]);
        let same = |v: &&ValueId| module.value(**v).tensor() == module.value(*clone).tensor();
        let Some(v) = known.iter().find(same).copied() else {
            known.push(*clone);
            continue;
        };
        instead.insert(*clone, v);
        if module.value(v).ty != module.value(*clone).ty {
            let plain = module.value(v).tensor().map(Type::of);
            module.values[v.at()].ty = plain;
        }
    }
    module.replace(&instead);
}

/// The operands that read a tensor, in program order; `identity` is looked through where its result has several uses.
fn final_uses(
    module: &Module,
    users: &[Vec<(crate::ir::NodeId, usize)>],
    v: ValueId,
) -> Vec<(usize, usize)> {
    let mut uses = vec![];
    for (node, k) in &users[v.at()] {
        uses.push((node.at(), *k));
        if let Some(result) = moved(module.node(*node)) {
            // The first use of the result reads it through the identity; the others come to read a clone themselves.
            let further = final_uses(module, users, result);
            uses.extend(further.into_iter().skip(1));
        }
    }
    uses.sort();
    uses
}

fn moved(node: &Node) -> Option<ValueId> {
    (node.op == Op::Unary(Unary::Identity))
        .then(|| node.results.first().copied().flatten())
        .flatten()
}

fn worth_cloning(tensor: &Tensor) -> bool {
    let worth = tensor.dtype.is_integer() || tensor.uniform_axes().contains(&true);
    tensor.release();
    worth
}

/// Names that no value has yet.
struct Names {
    taken: std::collections::HashSet<String>,
}

impl Names {
    fn new(module: &Module) -> Names {
        let taken = module.values.iter().map(|v| v.name.to_string()).collect();
        Names { taken }
    }
    fn fresh(&mut self, base: &str) -> String {
        let all = (1..).map(|i| format!("{base}.{i}"));
        let name = all.into_iter().find(|n| !self.taken.contains(n));
        let name = name.unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }
}
