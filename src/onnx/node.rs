//! Looking at ONNX nodes: attributes by name and type, and the outer values that subgraphs use.
use super::wire::proto::{
    AttributeProto, GraphProto, NodeProto, SparseTensorProto, StringStringEntryProto, TensorProto,
    ValueInfoProto,
};
use std::collections::HashSet;
use std::sync::Arc;

/// ONNX's codes of attribute types.
pub mod code {
    #![allow(missing_docs)]
    pub const FLOAT: i32 = 1;
    pub const INT: i32 = 2;
    pub const STRING: i32 = 3;
    pub const TENSOR: i32 = 4;
    pub const GRAPH: i32 = 5;
    pub const FLOATS: i32 = 6;
    pub const INTS: i32 = 7;
    pub const STRINGS: i32 = 8;
    pub const SPARSE_TENSOR: i32 = 11;
}

/// The name of a value.
pub fn name_of(info: &ValueInfoProto) -> &str {
    info.name.as_deref().unwrap_or_default()
}

/// The operator's name.
pub fn op_type(node: &NodeProto) -> &str {
    node.op_type.as_deref().unwrap_or_default()
}

/// Whether the operator is of ONNX's own set.
pub fn is_standard(node: &NodeProto) -> bool {
    matches!(node.domain.as_deref(), None | Some("" | "ai.onnx"))
}

/// The attribute of that name.
pub fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute
        .iter()
        .find(|a| a.name.as_deref() == Some(name))
}

/// An integer attribute; a writer may leave out a 0.
pub fn int(attribute: &AttributeProto) -> Option<i64> {
    match attribute.r#type {
        None | Some(0) => attribute.i,
        Some(code::INT) => Some(attribute.i.unwrap_or(0)),
        _ => None,
    }
}

/// The integer attribute of that name, or a default.
pub fn int_or(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).and_then(int).unwrap_or(default)
}

/// A float attribute.
pub fn float(attribute: &AttributeProto) -> Option<f32> {
    match attribute.r#type {
        None | Some(0) => attribute.f,
        Some(code::FLOAT) => Some(attribute.f.unwrap_or(0.0)),
        _ => None,
    }
}

/// A text attribute.
pub fn text(attribute: &AttributeProto) -> Option<&str> {
    match attribute.r#type {
        None | Some(0 | code::STRING) => std::str::from_utf8(attribute.s.as_deref()?).ok(),
        _ => None,
    }
}

/// A list of integers.
pub fn ints(attribute: &AttributeProto) -> Option<&[i64]> {
    match attribute.r#type {
        None | Some(0 | code::INTS) => Some(&attribute.ints),
        _ => None,
    }
}

/// A list of floats.
pub fn floats(attribute: &AttributeProto) -> Option<&[f32]> {
    match attribute.r#type {
        None | Some(0 | code::FLOATS) => Some(&attribute.floats),
        _ => None,
    }
}

/// Keys and values as a module holds them.
pub fn entries(
    all: &[StringStringEntryProto],
) -> impl Iterator<Item = (Arc<str>, Arc<str>)> + use<'_> {
    all.iter().map(|e| {
        let text = |t: &Option<String>| Arc::from(t.as_deref().unwrap_or_default());
        (text(&e.key), text(&e.value))
    })
}

/// A key and a value as the file holds them.
pub fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto {
        key: Some(key.into()),
        value: Some(value.into()),
    }
}

/// The subgraphs of a node.
pub fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute
        .iter()
        .flat_map(|a| a.g.iter().chain(&a.graphs))
}

/// The outer values that a node's subgraphs use, in order of first use.
pub fn captures(node: &NodeProto) -> Vec<&str> {
    let (mut found, mut seen) = (vec![], HashSet::new());
    for graph in subgraphs(node) {
        captured(graph, &mut vec![], &mut |name| {
            if seen.insert(name) {
                found.push(name);
            }
        });
    }
    found
}

fn captured<'a>(
    graph: &'a GraphProto,
    scopes: &mut Vec<HashSet<&'a str>>,
    visit: &mut dyn FnMut(&'a str),
) {
    scopes.push(defined(graph));
    let outer = |scopes: &[HashSet<&str>], name: &str| {
        !name.is_empty() && !scopes.iter().any(|s| s.contains(name))
    };
    for node in &graph.node {
        for name in &node.input {
            if outer(scopes, name) {
                visit(name);
            }
        }
        for inner in subgraphs(node) {
            captured(inner, scopes, visit);
        }
    }
    for name in graph.output.iter().filter_map(|o| o.name.as_deref()) {
        if outer(scopes, name) {
            visit(name);
        }
    }
    scopes.pop();
}

/// The names that a graph defines itself.
fn defined(graph: &GraphProto) -> HashSet<&str> {
    let mut names: HashSet<&str> = graph
        .input
        .iter()
        .filter_map(|i| i.name.as_deref())
        .collect();
    names.extend(graph.initializer.iter().filter_map(|t| t.name.as_deref()));
    names.extend(
        graph
            .sparse_initializer
            .iter()
            .filter_map(|t| t.values.as_ref()?.name.as_deref()),
    );
    names.extend(
        graph
            .node
            .iter()
            .flat_map(|n| &n.output)
            .map(String::as_str),
    );
    names
}

/// Renames what a node's subgraphs use from outside.
pub fn rename_captures(node: &mut NodeProto, rename: &dyn Fn(&str) -> Option<String>) {
    for attribute in &mut node.attribute {
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            rename_graph(graph, rename);
        }
    }
}

fn rename_graph(graph: &mut GraphProto, rename: &dyn Fn(&str) -> Option<String>) {
    let own: HashSet<String> = defined(graph).into_iter().map(str::to_string).collect();
    let rename = |name: &str| {
        if own.contains(name) {
            None
        } else {
            rename(name)
        }
    };
    let outputs = graph.output.iter_mut().filter_map(|o| o.name.as_mut());
    let inputs = graph.node.iter_mut().flat_map(|n| &mut n.input);
    for name in inputs.chain(outputs) {
        if let Some(new) = rename(name) {
            *name = new;
        }
    }
    for node in &mut graph.node {
        rename_captures(node, &rename);
    }
}

fn named(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(r#type),
        ..AttributeProto::default()
    }
}

/// An attribute that is an integer.
pub fn attribute_int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i: Some(i),
        ..named(name, code::INT)
    }
}

/// An attribute that is a float.
pub fn attribute_float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f: Some(f),
        ..named(name, code::FLOAT)
    }
}

/// An attribute that is a text.
pub fn attribute_text(name: &str, text: &str) -> AttributeProto {
    AttributeProto {
        s: Some(text.as_bytes().to_vec().into()),
        ..named(name, code::STRING)
    }
}

/// An attribute that is a list of integers.
pub fn attribute_ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto {
        ints,
        ..named(name, code::INTS)
    }
}

/// An attribute that is a tensor.
pub fn attribute_tensor(name: &str, tensor: TensorProto) -> AttributeProto {
    AttributeProto {
        t: Some(tensor),
        ..named(name, code::TENSOR)
    }
}

/// An attribute that is a graph.
pub fn attribute_graph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        g: Some(graph),
        ..named(name, code::GRAPH)
    }
}

/// An attribute that is a list of floats.
pub fn attribute_floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto {
        floats,
        ..named(name, code::FLOATS)
    }
}

/// An attribute that is a list of texts.
pub fn attribute_texts<'t>(name: &str, texts: impl Iterator<Item = &'t str>) -> AttributeProto {
    AttributeProto {
        strings: texts.map(|t| t.as_bytes().to_vec().into()).collect(),
        ..named(name, code::STRINGS)
    }
}

/// An attribute that is a sparse tensor.
pub fn attribute_sparse(name: &str, tensor: SparseTensorProto) -> AttributeProto {
    AttributeProto {
        sparse_tensor: Some(tensor),
        ..named(name, code::SPARSE_TENSOR)
    }
}
