//! What two models have different: dims, params, operations.
use crate::ir::{Facts, Module};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The differences of two models, a line each; empty where there are none.
pub fn diff(a: (&Module, &Facts), b: (&Module, &Facts)) -> String {
    let mut out = String::new();
    let (x, y) = (types(a), types(b));
    compare(&mut out, &x, &y);
    let (x, y) = (operations(a.0), operations(b.0));
    compare(&mut out, &x, &y);
    for (name, tensor) in a.0.tensors().map(|(v, t)| (&a.0.value(v).name, t)) {
        let other = b.0.tensors().find(|(v, _)| b.0.value(*v).name == *name);
        if let Some((_, other)) = other
            && other.shape == tensor.shape
            && other.dtype == tensor.dtype
            && other.bytes() != tensor.bytes()
        {
            let _ = writeln!(out, "~ {name}: other elements");
        }
    }
    out
}

fn compare(out: &mut String, x: &BTreeMap<String, String>, y: &BTreeMap<String, String>) {
    for (name, was) in x {
        match y.get(name) {
            None => drop(writeln!(out, "- {name}: {was}")),
            Some(is) if is != was => drop(writeln!(out, "~ {name}: {was} => {is}")),
            Some(_) => {}
        }
    }
    for (name, is) in y.iter().filter(|(name, _)| !x.contains_key(*name)) {
        let _ = writeln!(out, "+ {name}: {is}");
    }
}

/// Types of params, constants, inputs and outputs.
fn types((module, facts): (&Module, &Facts)) -> BTreeMap<String, String> {
    let tensors = module.tensors().map(|(v, _)| v);
    let ports = module
        .inputs
        .iter()
        .copied()
        .chain(module.outputs.iter().map(|(v, _)| *v));
    let all = tensors.chain(ports).map(|v| {
        let text = match facts.shape(v) {
            Some(shape) => {
                let axes: Vec<String> = shape.axes.iter().map(|e| e.to_string()).collect();
                format!("{}[{}]", shape.dtype.name(), axes.join(", "))
            }
            None => "of unknown rank".into(),
        };
        (module.value(v).name.to_string(), text)
    });
    all.collect()
}

/// Operations by their first result: operator, operands, attributes that are no extents of dims.
fn operations(module: &Module) -> BTreeMap<String, String> {
    let name =
        |v: &Option<crate::ir::ValueId>| v.map_or("_".into(), |v| module.value(v).name.to_string());
    let all = module.nodes.iter().map(|node| {
        let result = node.results.first().map_or(String::new(), name);
        let operands: Vec<String> = node.operands.iter().map(name).collect();
        (
            format!("%{result}"),
            format!("{}({})", node.op.name(), operands.join(", ")),
        )
    });
    all.collect()
}
