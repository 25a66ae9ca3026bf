//! What an ONNX file says beside its graph, as a module carries it: keys that begin with `onnx.`, and the file's own.
use super::node::{entries, entry, op_type};
use super::rows::of_op;
use super::wire::proto::{Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::ir::ARM;
use crate::ops::Op;
use crate::tensor::Extent;
use std::sync::Arc;

/// The key of an operation's name in ONNX where it could be called otherwise.
pub const OP: &str = "onnx.op";
/// What stands before a file's own keys that begin as these do.
const ASIDE: &str = "onnx.metadata.";

/// Keys and values beside a module or an operation.
pub type Meta = Vec<(Arc<str>, Arc<str>)>;

/// The value of a key.
pub fn get<'a>(meta: &'a Meta, key: &str) -> Option<&'a str> {
    meta.iter().find(|(k, _)| &**k == key).map(|(_, v)| &**v)
}

fn put(meta: &mut Meta, key: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|v| !v.is_empty()) {
        meta.push((key.into(), value.into()));
    }
}

/// What is beside the graph of a model.
pub fn of_model(model: &ModelProto, graph: &GraphProto) -> Meta {
    let mut meta = vec![];
    let number = |n: Option<i64>| n.map(|n| n.to_string());
    put(
        &mut meta,
        "onnx.ir_version",
        number(model.ir_version).as_deref(),
    );
    for set in &model.opset_import {
        let key = match set.domain.as_deref() {
            None | Some("" | "ai.onnx") => "onnx.opset".to_string(),
            Some(domain) => format!("onnx.opset.{domain}"),
        };
        put(&mut meta, &key, number(set.version).as_deref());
    }
    put(
        &mut meta,
        "onnx.producer_name",
        model.producer_name.as_deref(),
    );
    put(
        &mut meta,
        "onnx.producer_version",
        model.producer_version.as_deref(),
    );
    put(&mut meta, "onnx.domain", model.domain.as_deref());
    put(
        &mut meta,
        "onnx.model_version",
        number(model.model_version).as_deref(),
    );
    put(&mut meta, "onnx.doc", model.doc_string.as_deref());
    put(&mut meta, "onnx.graph_doc", graph.doc_string.as_deref());
    for (key, value) in entries(&graph.metadata_props) {
        meta.push((format!("onnx.graph.{key}").into(), value));
    }
    for (key, value) in entries(&model.metadata_props) {
        meta.push((aside(key), value));
    }
    meta.dedup_by(|a, b| a.0 == b.0);
    meta
}

/// The set of operators that a module is written in.
pub fn opset(meta: &Meta) -> Option<i64> {
    get(meta, "onnx.opset")?.parse().ok()
}

/// A model without a graph, from what was beside it; `opset` and `ir` where nothing was.
pub fn model(meta: &Meta, opset: i64, ir: i64) -> ModelProto {
    let text = |key: &str| get(meta, key).map(str::to_string);
    let number = |key: &str| get(meta, key).and_then(|n| n.parse().ok());
    let mut model = ModelProto {
        ir_version: number("onnx.ir_version").or(Some(ir)),
        producer_name: text("onnx.producer_name"),
        producer_version: text("onnx.producer_version"),
        domain: text("onnx.domain"),
        model_version: number("onnx.model_version"),
        doc_string: text("onnx.doc"),
        ..ModelProto::default()
    };
    if get(meta, "onnx.ir_version").is_none() {
        model.producer_name = model.producer_name.or(Some("tpc".into()));
    }
    model.opset_import.push(OperatorSetIdProto {
        domain: Some(String::new()),
        version: Some(opset),
    });
    for (key, value) in meta {
        if let (Some(domain), Ok(version)) = (key.strip_prefix("onnx.opset."), value.parse()) {
            model.opset_import.push(OperatorSetIdProto {
                domain: Some(domain.into()),
                version: Some(version),
            });
        } else if let Some(key) = of_file(key) {
            model.metadata_props.push(entry(key, value));
        }
    }
    model
}

/// The graph's own part of a module's meta.
pub fn graph(meta: &Meta) -> GraphProto {
    let own =
        |(key, value): &(Arc<str>, Arc<str>)| Some(entry(key.strip_prefix("onnx.graph.")?, value));
    GraphProto {
        doc_string: get(meta, "onnx.graph_doc").map(str::to_string),
        metadata_props: meta.iter().filter_map(own).collect(),
        ..GraphProto::default()
    }
}

/// What rides along with a node besides its name.
pub fn of_node(node: &NodeProto, op: Op) -> Meta {
    let mut meta = vec![];
    let domain = node.domain.as_deref();
    put(&mut meta, "onnx.domain", domain);
    if op != Op::Opaque && of_op(op, domain, None).is_some_and(|row| row.onnx != op_type(node)) {
        put(&mut meta, OP, Some(op_type(node)));
    }
    put(&mut meta, "onnx.doc", node.doc_string.as_deref());
    for (key, value) in entries(&node.metadata_props) {
        let key = if *key == *ARM { key } else { aside(key) };
        if !meta.iter().any(|(k, _)| *k == key) {
            meta.push((key, value));
        }
    }
    meta
}

/// Gives a node what rode along.
pub fn to_node(meta: &Meta, node: &mut NodeProto) {
    node.domain = get(meta, "onnx.domain").map(str::to_string);
    node.doc_string = get(meta, "onnx.doc").map(str::to_string);
    for (key, value) in meta {
        if let Some(key) = of_file(key) {
            node.metadata_props.push(entry(key, value));
        }
    }
}

/// The key of a file's own entry, where it would be taken for one of these.
fn aside(key: Arc<str>) -> Arc<str> {
    match key.starts_with("onnx.") {
        true => format!("{ASIDE}{key}").into(),
        false => key,
    }
}

/// What a file calls an entry, if it is the file's own.
fn of_file(key: &str) -> Option<&str> {
    match key.strip_prefix(ASIDE) {
        Some(key) => Some(key),
        None => (!key.starts_with("onnx.")).then_some(key),
    }
}

/// The key under which a module keeps how the file wrote an axis of an input or output.
pub fn axis_key(value: &str, axis: usize) -> String {
    format!("onnx.axis.{value}.{axis}")
}

/// The key under which a module keeps the code of an output's elements that it cannot hold.
pub fn elements_key(value: &str) -> String {
    format!("onnx.elements.{value}")
}

/// How the file wrote an axis, if an extent does not tell: a name, nothing, or a number after `=`.
pub fn axis_text(dim: &Dimension, extent: &Extent) -> Option<String> {
    if extent.is_known() {
        return None;
    }
    let text = match (dim.dim_param.as_deref(), dim.dim_value) {
        (Some(name), _) if !name.is_empty() => name.to_string(),
        (_, Some(n)) => format!("={n}"),
        _ => String::new(),
    };
    (symbol(extent).as_ref() != Some(&text)).then_some(text)
}

/// The symbol that an extent is, if it is one.
pub fn symbol(extent: &Extent) -> Option<String> {
    match super::take::expr(extent) {
        crate::ops::Expr::Name(name) => Some(name.to_string()),
        _ => None,
    }
}

/// An axis as a file writes it.
pub fn dimension(extent: &Extent, text: Option<&str>) -> Dimension {
    let mut dim = Dimension::default();
    match (extent.known(), text.map(|t| (t, t.strip_prefix('=')))) {
        (Some(n), _) => dim.dim_value = Some(n),
        (None, Some((_, Some(number)))) => dim.dim_value = number.parse().ok(),
        (None, Some((name, None))) => {
            dim.dim_param = Some(name.into()).filter(|n: &String| !n.is_empty())
        }
        (None, None) => dim.dim_param = symbol(extent),
    }
    dim
}
