//! What a module costs: parameters, bytes, multiply-accumulates.
use super::inputs::{Binding, symbols};
use crate::ir::{Def, Facts, Module, NodeId, ValueId, module_path};
use crate::ops::{Binary, Norm, Op, Role, Unary, Use, View};
use crate::tensor::Extent;
use std::collections::BTreeSet;

/// How params and multiply-accumulates are counted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Convention {
    /// Every element of every float param and constant, and of every quantized weight; the multiply-accumulates of contractions.
    Own,
    /// As `torch_pruning.utils.count_ops_and_params` counts: no running statistics and no constants; biases,
    /// normalizations, activations and pools count, functions that are no modules do not. A batch is 1.
    TorchPruning,
}

/// What a module costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Elements of float params and of quantized weights.
    pub params: u64,
    /// Bytes of all params and constants.
    pub bytes: u64,
    /// Multiply-accumulates, as a polynomial in the run-time symbols.
    pub macs: Extent,
}

impl Cost {
    /// The multiply-accumulates under a binding; none where it leaves symbols open or they are too many.
    pub fn macs_at(&self, binding: &Binding) -> Option<u64> {
        let macs = self.macs.eval(&|symbol| binding.get(symbol).copied())?;
        u64::try_from(macs).ok()
    }
}

/// What to bind run-time symbols to where a number is wanted: batches 1, all others 224.
pub fn standard_binding(module: &Module, facts: &Facts) -> Binding {
    let (symbols, batches) = symbols(module, facts);
    let number = |s: &std::sync::Arc<str>| if batches.contains(s) { 1 } else { 224 };
    symbols.iter().map(|s| (s.to_string(), number(s))).collect()
}

/// Counts what a module costs.
pub fn cost(module: &Module, facts: &Facts, convention: Convention) -> Cost {
    let (mut params, mut bytes) = (0, 0);
    let uncounted = match convention {
        Convention::Own => BTreeSet::new(),
        Convention::TorchPruning => statistics_and_constants(module, facts),
    };
    for (v, tensor) in module.tensors() {
        bytes += (tensor.len() * tensor.dtype.bits()).div_ceil(8) as u64;
        let is_param = matches!(module.value(v).def, Def::Param(_));
        let quantized = is_param && tensor.dtype.is_quantized();
        if (tensor.dtype.is_float() || quantized) && !uncounted.contains(&v) {
            params += tensor.len() as u64;
        }
    }
    let functions = match convention {
        Convention::Own => BTreeSet::new(),
        Convention::TorchPruning => functions(module),
    };
    let mut macs = Extent::from(0i64);
    for (i, node) in module.nodes.iter().enumerate() {
        let id = NodeId(i as u32);
        let own = facts.view(module, id, |view| match convention {
            Convention::Own => node.op.operator().macs(view),
            Convention::TorchPruning => torch_pruning(module, facts, &functions, id, view),
        });
        macs = macs
            .checked_add(&own)
            .unwrap_or_else(|| Extent::from(i64::MAX));
    }
    Cost {
        params,
        bytes,
        macs,
    }
}

/// Running statistics, and constants: `Module.parameters()` has none of them.
fn statistics_and_constants(module: &Module, facts: &Facts) -> BTreeSet<ValueId> {
    let mut all = BTreeSet::new();
    for (i, node) in module.nodes.iter().enumerate() {
        for (k, v) in node.operands.iter().enumerate() {
            let Some(v) = v else { continue };
            let usage = facts.view(module, NodeId(i as u32), |view| {
                node.op.operator().usage(view, k)
            });
            if matches!(usage, Use::Roles(roles) if roles.contains(&Role::Statistic)) {
                all.insert(*v);
            }
        }
    }
    let constants = module.tensors().map(|(v, _)| v);
    all.extend(constants.filter(|v| matches!(module.value(*v).def, Def::Const(_))));
    all
}

fn torch_pruning(
    module: &Module,
    facts: &Facts,
    functions: &BTreeSet<NodeId>,
    id: NodeId,
    view: &View<'_>,
) -> Extent {
    let node = module.node(id);
    let zero = || Extent::from(0i64);
    let count = |k: usize| view.operand(k).map_or_else(zero, |s| s.count());
    let plus = |a: Extent, b: Extent| a.checked_add(&b).unwrap_or(Extent::from(i64::MAX));
    let is_param = |k: usize| {
        let v = node.operands.get(k).copied().flatten();
        v.is_some_and(|v| module.value(v).tensor().is_some())
    };
    match node.op {
        Op::Conv => {
            let bias = match view.operand(2) {
                Some(_) => view.result_count(0),
                None => zero(),
            };
            plus(node.op.operator().macs(view), bias)
        }
        Op::Linear => plus(node.op.operator().macs(view), count(2)),
        // A linear layer on tokens: the product with a param, and the bias that is added to it, once.
        Op::Matmul if is_param(1) => {
            let result = node.results.first().copied().flatten();
            let bias = result.and_then(|v| bias_of(module, facts, v));
            plus(node.op.operator().macs(view), bias.unwrap_or_else(zero))
        }
        Op::BatchNorm | Op::Norm(Norm::Layer | Norm::Group | Norm::Instance) => {
            let x = count(0);
            plus(x.clone(), x)
        }
        _ if functions.contains(&id) => zero(),
        Op::Unary(Unary::Relu | Unary::Elu | Unary::LeakyRelu | Unary::Gelu)
        | Op::Binary(Binary::Prelu)
        | Op::Clip => view.result_count(0),
        Op::Pool(_) => count(0),
        _ => zero(),
    }
}

/// Operations that are functions and no modules, by their scopes: others lie inside the scope they are in, or they are
/// in none.
fn functions(module: &Module) -> BTreeSet<NodeId> {
    let path = |node: &crate::ir::Node| module_path(node.name.as_deref(), &node.meta);
    let paths: Vec<Option<String>> = module.nodes.iter().map(path).collect();
    let all: BTreeSet<&str> = paths.iter().flatten().map(|p| &**p).collect();
    let inside = |path: &str| {
        let inner = format!("{path}.");
        all.range(&*inner..)
            .next()
            .is_some_and(|p| p.starts_with(&inner))
    };
    let is_function = |(i, path): (usize, &Option<String>)| {
        let scoped = module.nodes[i]
            .name
            .as_deref()
            .is_some_and(|n| n.starts_with('/'));
        match path {
            None => scoped,
            Some(path) => inside(path),
        }
        .then_some(NodeId(i as u32))
    };
    paths.iter().enumerate().filter_map(is_function).collect()
}

/// The elements of the param that is added to a value, if that is what is done with it.
fn bias_of(module: &Module, facts: &Facts, v: ValueId) -> Option<Extent> {
    let users = module
        .nodes
        .iter()
        .filter(|n| n.operands.contains(&Some(v)));
    let [add] = users.collect::<Vec<_>>()[..] else {
        return None;
    };
    let other = add.operands.iter().flatten().find(|o| **o != v)?;
    let is_bias = add.op == Op::Binary(Binary::Add) && module.value(*other).tensor().is_some();
    is_bias
        .then(|| facts.shape(*other).map(|s| s.count()))
        .flatten()
}
