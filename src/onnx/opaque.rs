//! Nodes that are carried through: their bytes as an attribute, and back.
use super::node::{
    attribute_sparse, attribute_tensor, captures, name_of, op_type, rename_captures,
};
use super::wire::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use super::wire::{Files, WireError, dtype_of, tensor, tensor_proto};
use bytes::Bytes;
use prost::Message;
use std::collections::HashMap;

/// The operator's name with its domain, as the language shows it.
pub fn type_name(node: &NodeProto) -> String {
    match node.domain.as_deref() {
        None | Some("") => op_type(node).to_string(),
        Some(domain) => format!("{domain}::{}", op_type(node)),
    }
}

/// The node's bytes, with everything in them that lay in files beside the model.
pub fn encode(node: &NodeProto, files: &Files) -> Result<Bytes, WireError> {
    let mut node = node.clone();
    // What a module carries beside an operation is not kept twice.
    node.name = None;
    node.doc_string = None;
    node.metadata_props.clear();
    take_in(&mut node, files)?;
    Ok(node.encode_to_vec().into())
}

fn take_in(node: &mut NodeProto, files: &Files) -> Result<(), WireError> {
    for attribute in &mut node.attribute {
        for proto in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            take_in_tensor(proto, files)?;
        }
        let sparse = attribute.sparse_tensor.iter_mut();
        for sparse in sparse.chain(&mut attribute.sparse_tensors) {
            for proto in sparse.values.iter_mut().chain(&mut sparse.indices) {
                take_in_tensor(proto, files)?;
            }
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            take_in_graph(graph, files)?;
        }
    }
    Ok(())
}

fn take_in_graph(graph: &mut GraphProto, files: &Files) -> Result<(), WireError> {
    for proto in &mut graph.initializer {
        take_in_tensor(proto, files)?;
    }
    for node in &mut graph.node {
        take_in(node, files)?;
    }
    Ok(())
}

fn take_in_tensor(proto: &mut TensorProto, files: &Files) -> Result<(), WireError> {
    if proto.data_location == Some(1) {
        let name = proto.name.clone().unwrap_or_default();
        *proto = tensor_proto(&name, &tensor(proto, files)?);
    }
    Ok(())
}

/// The node of an attribute's bytes, under the names that its operands and results have now.
pub fn decode(
    bytes: &Bytes,
    operands: &[Option<&str>],
    results: &[Option<&str>],
) -> Result<NodeProto, String> {
    let mut node = NodeProto::decode(bytes.clone()).map_err(|e| format!("it is damaged: {e}"))?;
    let own = node.input.len();
    let inner: Vec<String> = captures(&node).into_iter().map(str::to_string).collect();
    if operands.len() < own + inner.len() {
        return Err(format!(
            "it has {} operands, its node needs {}",
            operands.len(),
            own + inner.len()
        ));
    }
    let renamed: HashMap<String, String> = inner
        .into_iter()
        .zip(&operands[own..])
        .filter_map(|(from, to)| Some((from, to.as_ref()?.to_string())))
        .filter(|(from, to)| from != to)
        .collect();
    if !renamed.is_empty() {
        rename_captures(&mut node, &|name| renamed.get(name).cloned());
    }
    let text = |v: Option<&Option<&str>>| v.copied().flatten().unwrap_or_default().to_string();
    node.input = (0..own).map(|k| text(operands.get(k))).collect();
    node.output = (0..node.output.len())
        .map(|k| text(results.get(k)))
        .collect();
    Ok(node)
}

/// Makes initializers that cannot be held (texts, packed integers, sparse ones) nodes that are carried through.
pub fn unusual_initializers(graph: &mut GraphProto) {
    let is_unusual = |t: &mut TensorProto| dtype_of(t.data_type.unwrap_or(0)).is_none();
    let dense = graph.initializer.extract_if(.., is_unusual);
    let mut made: Vec<NodeProto> = dense
        .map(|t| {
            (
                t.name.clone().unwrap_or_default(),
                attribute_tensor("value", t),
            )
        })
        .map(constant)
        .collect();
    for sparse in graph.sparse_initializer.drain(..) {
        let name = sparse.values.as_ref().and_then(|t| t.name.clone());
        made.push(constant((
            name.unwrap_or_default(),
            attribute_sparse("sparse_value", sparse),
        )));
    }
    let made_here = |info: &ValueInfoProto| made.iter().any(|n| n.output[0] == name_of(info));
    graph.input.retain(|info| !made_here(info));
    graph.node.splice(0..0, made);
}

fn constant((name, value): (String, AttributeProto)) -> NodeProto {
    NodeProto {
        op_type: Some("Constant".into()),
        output: vec![name],
        attribute: vec![value],
        ..NodeProto::default()
    }
}
