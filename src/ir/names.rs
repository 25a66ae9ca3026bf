//! What params are called by people: their own name, or the path of the module that uses them.
use super::{Module, ValueId};
use std::collections::HashMap;

/// Whether a param's name says nothing (`onnx::MatMul_2064`, `val_40`, `1213`).
fn is_mute(name: &str) -> bool {
    let tail = name.rsplit("::").next().unwrap_or(name);
    let tail = tail.rsplit_once('_').map_or(tail, |(head, tail)| {
        if tail.chars().all(|c| c.is_ascii_digit()) && !head.contains('.') {
            ""
        } else {
            name
        }
    });
    tail.chars().all(|c| c.is_ascii_digit())
}

/// The module path of an operation (`encoder.layers.0.self_attn`): out of the exporter's scopes in its metadata, or its
/// node name (`/encoder/layers.0/self_attn/MatMul`).
pub fn module_path(
    name: Option<&str>,
    meta: &[(std::sync::Arc<str>, std::sync::Arc<str>)],
) -> Option<String> {
    if let Some((_, scopes)) = meta
        .iter()
        .find(|(k, _)| &**k == "pkg.torch.onnx.name_scopes")
    {
        // A printed list: ['', 'encoder', 'encoder.layers', ..., 'node name']; the last is the node itself.
        let all: Vec<&str> = scopes
            .split('\'')
            .skip(1)
            .step_by(2)
            .filter(|s| !s.is_empty())
            .collect();
        if all.len() >= 2 {
            return Some(all[all.len() - 2].to_string());
        }
    }
    let words: Vec<&str> = name?.split('/').filter(|w| !w.is_empty()).collect();
    let (_, scopes) = words.split_last()?;
    // TorchScript repeats the path in every scope (`/layer1/layer1.0/conv1`): a scope that continues the last replaces it.
    let mut path: Vec<&str> = vec![];
    for scope in scopes {
        if path.last().is_some_and(|last| {
            scope
                .strip_prefix(last)
                .is_some_and(|rest| rest.starts_with('.'))
        }) {
            path.pop();
        }
        path.push(scope);
    }
    (!path.is_empty()).then(|| path.join("."))
}

/// What every param and constant is shown and addressed as; indexed by value, unique.
pub fn display_names(module: &Module) -> HashMap<ValueId, String> {
    let users = module.users();
    let mut names: HashMap<ValueId, String> = HashMap::new();
    let mut taken: HashMap<String, usize> = module
        .tensors()
        .map(|(v, _)| (module.value(v).name.to_string(), 1))
        .collect();
    for (v, _) in module.tensors() {
        let name = &module.value(v).name;
        let spoken = is_mute(name)
            .then(|| spoken_name(module, &users, v))
            .flatten();
        let shown = match spoken {
            None => name.to_string(),
            Some(base) => {
                let count = taken.entry(base.clone()).or_insert(0);
                *count += 1;
                if *count == 1 {
                    base
                } else {
                    format!("{base}.{}", *count - 1)
                }
            }
        };
        names.insert(v, shown);
    }
    names
}

/// `path.weight` or `path.bias` after the operation that finally consumes the param.
fn spoken_name(
    module: &Module,
    users: &[Vec<(super::NodeId, usize)>],
    v: ValueId,
) -> Option<String> {
    let mut at = v;
    for _ in 0..8 {
        let (node, k) = *users[at.at()].first()?;
        let node = module.node(node);
        let view = crate::ops::View {
            attrs: &node.attrs,
            operands: &[],
            results: &[],
        };
        if node.op.operator().usage(&view, k) == crate::ops::Use::Seen {
            at = (*node.results.first()?)?;
            continue;
        }
        let path = module_path(node.name.as_deref(), &node.meta)?;
        let bias = k == 2 || node.op == crate::ops::Op::Binary(crate::ops::Binary::Add);
        return Some(format!("{path}.{}", if bias { "bias" } else { "weight" }));
    }
    None
}
