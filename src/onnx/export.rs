//! From a module to an ONNX file: one operation is one node, under the names, types and sets of operators it came with.
use super::give::Giving;
use super::meta::{self, axis_key, dimension, elements_key};
use super::rows::{Row, of_op};
use super::shapes::Graph;
use super::wire::proto::{
    ModelProto, NodeProto, OperatorSetIdProto, ShapeProto, TypeProto, TypeTensor, ValueInfoProto,
};
use super::wire::{Initializer, code_of};
use super::{branch, opaque, wire};
use crate::diag::Diagnostic;
use crate::ir::{Facts, Module, Node, NodeId, ValueId};
use crate::ops::{Attr, Op};
use crate::tensor::Extent;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Why a module is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It cannot be said in ONNX.
    #[error("{0}")]
    Module(Diagnostic),
    /// The file cannot be written.
    #[error("cannot write `{0}`: {1}")]
    Io(String, std::io::Error),
}

/// The set of operators, and the version of the format, for a module that came without.
const OPSET: i64 = 21;

/// Writes a module as an ONNX file.
///
/// Weights of more than 2 GiB go to a file of the same name with `.data` behind it, in the same directory; the model
/// names it. Who writes aside and renames does so in a directory of its own, and moves both.
pub fn write(module: &Module, facts: &Facts, path: &Path) -> Result<(), WriteError> {
    let extents = module
        .extents()
        .map_err(|e| WriteError::Module(Diagnostic::new(e.to_string())))?;
    let opset = meta::opset(&module.meta).unwrap_or_else(|| least_opset(module));
    let mut export = Export {
        module,
        facts,
        opset,
        extents,
        graph: Graph::new(module.values.iter().map(|v| v.name.to_string()).collect()),
    };
    let nodes = export.nodes().map_err(WriteError::Module)?;
    let (inputs, outputs) = export.ports();
    let carried = export.carried_types();
    let constants = std::mem::take(&mut export.graph.constants);
    let mut model = meta::model(&module.meta, opset, format_of(opset));
    import_domains(&nodes, &mut model);
    let mut graph = meta::graph(&module.meta);
    let name = if module.name.is_empty() {
        "main"
    } else {
        &module.name
    };
    graph.name = Some(name.to_string());
    (graph.node, graph.input, graph.output) = (nodes, inputs, outputs);
    graph.value_info = carried;
    let named = module
        .tensors()
        .map(|(v, tensor)| (&*module.value(v).name, tensor));
    let named: Vec<_> = named
        .chain(constants.iter().map(|(name, tensor)| (&name[..], tensor)))
        .collect();
    let old = model.ir_version.is_some_and(|v| v < 4);
    if old || meta::get(&module.meta, "onnx.inputs").is_some() {
        let own = if old {
            named.len()
        } else {
            named.len() - constants.len()
        };
        for (name, tensor) in &named[..own] {
            let axes: Vec<Extent> = tensor.shape.iter().map(|n| Extent::from(*n)).collect();
            graph
                .input
                .push(info(name, code_of(tensor.dtype), Some(&axes), |_| None));
        }
    }
    model.graph = Some(graph);
    let weights: Vec<Initializer<'_>> = named
        .into_iter()
        .map(|(name, tensor)| Initializer { name, tensor })
        .collect();
    let mut external = path.as_os_str().to_owned();
    external.push(".data");
    wire::write(path, &model, &weights, Path::new(&external))
        .map_err(|e| WriteError::Io(path.display().to_string(), e))
}

/// The least set of operators from the usual one on that has all operators of a module.
fn least_opset(module: &Module) -> i64 {
    let rows = module.nodes.iter().filter_map(row_of);
    rows.map(|row| row.since).fold(OPSET, i64::max)
}

/// How an operation is written.
fn row_of(node: &Node) -> Option<&'static Row> {
    let beside = |key| meta::get(&node.meta, key);
    of_op(node.op, beside("onnx.domain"), beside(meta::OP))
}

/// States the domains of operators that the model does not state.
fn import_domains(nodes: &[NodeProto], model: &mut ModelProto) {
    for domain in nodes.iter().filter_map(|n| n.domain.as_deref()) {
        let standard = matches!(domain, "" | "ai.onnx");
        let mut stated = model
            .opset_import
            .iter()
            .filter_map(|s| s.domain.as_deref());
        if !standard && !stated.any(|d| d == domain) {
            model.opset_import.push(OperatorSetIdProto {
                domain: Some(domain.into()),
                version: Some(1),
            });
        }
    }
}

/// The version of the format that came with a set of operators.
fn format_of(opset: i64) -> i64 {
    10 + (opset - 22).clamp(0, 3)
}

struct Export<'a> {
    module: &'a Module,
    facts: &'a Facts,
    opset: i64,
    extents: HashMap<Arc<str>, Extent>,
    graph: Graph,
}

impl<'a> Export<'a> {
    fn name(&self, v: Option<ValueId>) -> Option<&'a str> {
        v.map(|v| &*self.module.value(v).name)
    }
    /// All nodes, with those that compute run-time extents before their users.
    fn nodes(&mut self) -> Result<Vec<NodeProto>, Diagnostic> {
        for v in &self.module.inputs {
            self.define(*v);
        }
        let all = self.module.nodes.iter().enumerate();
        let results = all
            .filter(|(_, n)| n.op == Op::If)
            .flat_map(|(_, n)| n.results.first());
        let ifs: HashSet<&str> = results.filter_map(|v| self.name(*v)).collect();
        let mut arms: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, node) in self.module.nodes.iter().enumerate() {
            let arm = node
                .arm()
                .filter(|arm| branch::arm_of(arm).is_some_and(|(name, _)| ifs.contains(name)));
            arms.entry(arm.unwrap_or_default()).or_default().push(i);
        }
        self.part("", &arms)?;
        Ok(std::mem::take(&mut self.graph.nodes))
    }
    /// The nodes of an arm of an `If`, or of what stands in none.
    fn part(&mut self, arm: &str, arms: &HashMap<&str, Vec<usize>>) -> Result<(), Diagnostic> {
        for i in arms.get(arm).into_iter().flatten() {
            let (id, node) = (NodeId(*i as u32), &self.module.nodes[*i]);
            let made = match node.op {
                Op::Opaque => self.carried(node),
                _ => self.node(id),
            };
            let made = made.map_err(|e| {
                let message = format!("`{}` cannot be written as ONNX: {e}", node.op.name());
                Diagnostic::new(message).at(self.module.node_place(id))
            })?;
            let made = match node.op {
                Op::If => self.gathered(node, made, arms)?,
                _ => made,
            };
            self.graph.nodes.push(made);
            node.results.iter().flatten().for_each(|v| self.define(*v));
        }
        Ok(())
    }
    /// An `If` with its arms inside.
    fn gathered(
        &mut self,
        node: &Node,
        mut made: NodeProto,
        arms: &HashMap<&str, Vec<usize>>,
    ) -> Result<NodeProto, Diagnostic> {
        let name = self.name(node.results.first().copied().flatten());
        let marks = [true, false].map(|first| branch::arm(name.unwrap_or_default(), first));
        let mut inner = vec![];
        for mark in &marks {
            let outer = self.graph.enter();
            let done = self.part(mark, arms);
            inner.push(self.graph.leave(outer));
            done?;
        }
        let given = node.operands.iter().skip(1).flatten();
        let mut types: Vec<ValueInfoProto> = given.map(|v| self.port(*v, |_| None)).collect();
        let second = types.split_off(types.len() / 2);
        let (Some(two), Some(one)) = (inner.pop(), inner.pop()) else {
            return Ok(made);
        };
        branch::gather(&mut made, [one, two], [types, second], &mut |n| {
            self.graph.free(n)
        });
        Ok(made)
    }
    fn define(&mut self, v: ValueId) {
        if let Some(shape) = self.facts.shape(v) {
            self.graph.define(&self.module.value(v).name, &shape.axes);
        }
    }
    fn carried(&mut self, node: &Node) -> Result<NodeProto, String> {
        let Some(Attr::Bytes(bytes)) = node.attrs.get("node") else {
            return Err("attribute `node` is missing".into());
        };
        let names = |all: &[Option<ValueId>]| -> Vec<Option<&str>> {
            all.iter().map(|v| self.name(*v)).collect()
        };
        let mut made = opaque::decode(bytes, &names(&node.operands), &names(&node.results))?;
        let domain = made.domain.take();
        self.beside(node, &mut made);
        made.domain = domain;
        Ok(made)
    }
    /// Name and meta of an operation.
    fn beside(&self, node: &Node, made: &mut NodeProto) {
        made.name = node.name.as_deref().map(str::to_string);
        meta::to_node(&node.meta, made);
    }
    fn node(&mut self, id: NodeId) -> Result<NodeProto, String> {
        let node = self.module.node(id);
        let row = row_of(node).ok_or("ONNX has no such operator")?;
        if !row.is_in(self.opset) {
            return Err(format!(
                "it needs operator set {}, the model is written in {}",
                row.since, self.opset
            ));
        }
        let (operands, results) = self.facts.shapes(self.module, id);
        let first = node.results.iter().flatten().next();
        let Export {
            module,
            extents,
            graph,
            opset,
            ..
        } = self;
        let giving = Giving {
            row,
            opset: *opset,
            attrs: &node.attrs,
            lookup: &|name| extents.get(name).cloned(),
            operands: &operands,
            results: &results,
            base: first.map_or("", |v| &module.value(*v).name),
        };
        let given = giving.give(graph)?;
        let mut made = NodeProto {
            op_type: Some(row.onnx.into()),
            attribute: given.attributes,
            output: node
                .results
                .iter()
                .map(|v| self.name(*v).unwrap_or_default().to_string())
                .collect(),
            ..NodeProto::default()
        };
        let moved: HashSet<usize> = row
            .fields
            .iter()
            .filter_map(|f| f.place(self.opset))
            .collect();
        let mut rest = node.operands.iter();
        let last = given.slots.keys().next_back().map_or(0, |k| k + 1);
        for k in 0.. {
            if moved.contains(&k) {
                made.input
                    .push(given.slots.get(&k).cloned().unwrap_or_default());
            } else if let Some(v) = rest.next() {
                made.input
                    .push(self.name(*v).unwrap_or_default().to_string());
            } else if k >= last {
                break;
            } else {
                made.input.push(String::new());
            }
        }
        while made.input.last().is_some_and(String::is_empty) {
            made.input.pop();
        }
        self.beside(node, &mut made);
        if !row.domain.is_empty() {
            made.domain = Some(row.domain.into());
        }
        Ok(made)
    }
    /// Types of what comes out of operations that are carried through: no rule tells a reader of the file.
    fn carried_types(&self) -> Vec<ValueInfoProto> {
        let outputs: HashSet<ValueId> = self.module.outputs.iter().map(|(v, _)| *v).collect();
        let carried = self.module.nodes.iter().filter(|n| n.op == Op::Opaque);
        let results = carried.flat_map(|n| n.results.iter().flatten());
        let inner = results.filter(|v| !outputs.contains(v));
        let typed = inner.filter_map(|v| {
            let axes = self.axes(*v)?;
            let code = code_of(self.facts.values[v.at()].dtype);
            let name = &self.module.value(*v).name;
            Some(info(name, code, Some(&axes), |_| None))
        });
        typed.collect()
    }
    /// Inputs and outputs with the types they have now, run-time axes as the file wrote them.
    fn ports(&self) -> (Vec<ValueInfoProto>, Vec<ValueInfoProto>) {
        let beside: HashMap<&str, &str> =
            self.module.meta.iter().map(|(k, v)| (&**k, &**v)).collect();
        let port = |v: ValueId| self.port(v, |key| beside.get(key).copied());
        (
            self.module.inputs.iter().map(|v| port(*v)).collect(),
            self.module.outputs.iter().map(|(v, _)| port(*v)).collect(),
        )
    }
}

impl Export<'_> {
    /// The extents of a value, under the names that its own type gives them.
    fn axes(&self, v: ValueId) -> Option<Vec<Extent>> {
        let mut axes = self.facts.shape(v)?.axes;
        for (axis, extent) in axes.iter_mut().enumerate() {
            if let Some(symbol) = self.module.own_symbol(v, axis) {
                *extent = Extent::symbol(symbol);
            }
        }
        Some(axes)
    }
    /// Name and type of a value, with what rode along with it by its key.
    fn port<'t>(&self, v: ValueId, beside: impl Fn(&str) -> Option<&'t str>) -> ValueInfoProto {
        let name = &*self.module.value(v).name;
        let dtype = self.facts.values[v.at()].dtype;
        let axes = self.axes(v);
        let code = beside(&elements_key(name)).and_then(|c| c.parse().ok());
        let code = code.unwrap_or(code_of(dtype));
        info(name, code, axes.as_deref(), |i| beside(&axis_key(name, i)))
    }
}

/// Name and type of a value: the code of its elements, and its axes as the file wrote them.
fn info<'t>(
    name: &str,
    code: i32,
    axes: Option<&[Extent]>,
    text: impl Fn(usize) -> Option<&'t str>,
) -> ValueInfoProto {
    let shape = axes.map(|axes| ShapeProto {
        dim: axes
            .iter()
            .enumerate()
            .map(|(i, e)| dimension(e, text(i)))
            .collect(),
    });
    let tensor = TypeTensor {
        elem_type: Some(code),
        shape,
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
