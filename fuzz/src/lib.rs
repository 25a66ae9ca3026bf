//! What must hold of whatever the readers are given: no panic, and what was read survives being written and read again.
//!
//! Each function is one target of the fuzzer; the tests call the same functions with what the fuzzer found.
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tpc::diag::{Diagnostic, Source};
use tpc::ir::{Facts, Module, propagate};
use tpc::prune::{Groups, Keep, Lock, Plan, groups, protect, select, shrink, unshare};
use tpc::syntax::{Seeded, Weights, format, parse, print, stored};
use tpc::tensor::{DType, Tensor};

/// Elements of the largest param that is filled: the fuzzer looks for mistakes, not for what does not fit its memory.
const MOST_ELEMENTS: usize = 1 << 16;

/// The network that plans and locks are for.
const NET: &str = include_str!("../../tests/filetests/plan/net.tir");

/// The plan that texts are pruned by.
const HALF: &str = "target.ratio = 0.5\nselect.counts = true";

/// Params of random values, none of them large.
struct Small(Seeded);

impl Weights for Small {
    fn get(&self, name: &str, dtype: DType, shape: &[usize]) -> Result<Tensor, Diagnostic> {
        let count = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
        match count {
            Some(count) if count <= MOST_ELEMENTS => self.0.get(name, dtype, shape),
            _ => Err(Diagnostic::new(format!("`{name}` is large"))),
        }
    }
}

fn small() -> Small {
    Small(Seeded::new(0))
}

/// Bytes as a text that diagnostics can point into.
fn source(data: &[u8]) -> Option<Arc<Source>> {
    let text = std::str::from_utf8(data).ok()?.to_string();
    let name = "fuzz".to_string();
    Some(Arc::new(Source { name, text }))
}

/// Shows a diagnostic, whose place must be one; there is nothing more to do where something is wrong.
fn shown<T>(result: Result<T, Diagnostic>) -> Option<T> {
    result.map_err(|e| e.render()).ok()
}

/// Prints a module, parses that, and prints it again.
fn survives(module: &Module) -> String {
    let text = print(module);
    let weights: HashMap<String, Tensor> = stored(module)
        .map(|(name, tensor)| (name.to_string(), tensor.clone()))
        .collect();
    let printed = source(text.as_bytes()).expect("a text");
    match parse(&printed, &weights) {
        Ok(again) => assert_eq!(text, print(&again), "printed twice"),
        Err(e) => panic!("what was printed is not parsed: {}", e.render()),
    }
    text
}

/// A text of a module: what is laid out or printed is the same module; where its operations fit, they do when it is pruned.
pub fn tir(data: &[u8]) {
    let Some(text) = source(data) else { return };
    let laid_out = shown(format(&text));
    if let Some(laid_out) = &laid_out {
        let again = source(laid_out.as_bytes()).expect("a text");
        let again = format(&again).unwrap_or_else(|e| panic!("{}", e.render()));
        assert_eq!(*laid_out, again, "laid out twice");
    }
    let Some(module) = shown(parse(&text, &small())) else {
        return;
    };
    let printed = survives(&module);
    let laid_out = laid_out.expect("what is parsed is laid out");
    let laid_out = source(laid_out.as_bytes()).expect("a text");
    match parse(&laid_out, &small()) {
        Ok(again) => assert_eq!(printed, print(&again), "laid out and printed"),
        Err(e) => panic!("what was laid out is not parsed: {}", e.render()),
    }
    if shown(propagate(&module)).is_some() {
        let plan = source(HALF.as_bytes()).expect("a text");
        let plan = Plan::read(&plan).unwrap_or_else(|e| panic!("{}", e.render()));
        prunes(&module, &plan);
    }
}

/// An ONNX file: what is taken in survives as a text and as a file.
pub fn onnx(data: &[u8]) {
    with_file("model.onnx", data, |path| {
        let Some(module) = shown(tpc::onnx::read(path)) else {
            return;
        };
        survives(&module);
        let Some(facts) = shown(propagate(&module)) else {
            return;
        };
        let out = path.with_file_name("out.onnx");
        if tpc::onnx::write(&module, &facts, &out).is_ok() {
            let again = tpc::onnx::read(&out).unwrap_or_else(|e| panic!("{}", e.render()));
            propagate(&again).unwrap_or_else(|e| panic!("{}", e.render()));
        }
    });
}

/// A weights file, in whichever form its beginning says: safetensors, an index of shards, or numpy's.
pub fn safetensors(data: &[u8]) {
    let name = match data {
        [0x93, ..] => "weights.npy",
        [b'P', b'K', ..] => "weights.npz",
        [b'{', ..] => "weights.json",
        _ => "weights.safetensors",
    };
    with_file(name, data, |path| {
        let read = match name {
            "weights.json" | "weights.safetensors" => tpc::weights::read(path),
            _ => tpc::weights::read_arrays(path),
        };
        let Ok(tensors) = read else { return };
        let (again, read): (_, fn(&Path) -> _) = match name {
            "weights.npy" | "weights.npz" => ("again.npz", tpc::weights::read_arrays),
            _ => ("again.safetensors", tpc::weights::read),
        };
        let again = path.with_file_name(again);
        let all = tensors.iter().map(|(name, tensor)| (&**name, tensor));
        match name {
            "weights.npy" | "weights.npz" => tpc::weights::write_arrays(&tensors, &again),
            _ => tpc::weights::write(all, &again).map(drop),
        }
        .expect("written");
        let mut back = read(&again).expect("what was written is read");
        assert_eq!(tensors.len(), back.len());
        for (name, tensor) in &tensors {
            let back = back.shift_remove(name).expect("no name is lost");
            assert_eq!((tensor.dtype, &tensor.shape), (back.dtype, &back.shape));
            assert_eq!(tensor.bytes(), back.bytes(), "{name}");
        }
    });
}

/// A plan, and what it removes of a small network.
pub fn plan(data: &[u8]) {
    let Some(text) = source(data) else { return };
    let Some(plan) = shown(Plan::read(&text)) else {
        return;
    };
    prunes(&net(), &plan);
}

/// Chooses by a plan; what is chosen can be taken out.
fn prunes(module: &Module, plan: &Plan) {
    let (module, _) = unshare(module);
    let mut facts = propagate(&module).unwrap_or_else(|e| panic!("{}", e.render()));
    if shown(protect(&module, &mut facts, plan)).is_none() {
        return;
    }
    let groups = groups(&module, &facts);
    if let Some(choice) = shown(select(&module, &facts, &groups, plan)) {
        shrinks(&module, &facts, &groups, &choice.keep);
    }
}

/// A lock, and what it removes of a small network; the same lock comes back from its text.
pub fn lock(data: &[u8]) {
    let Some(text) = source(data) else { return };
    Lock::is_lock(&text.text);
    let Some(lock) = shown(Lock::read(&text)) else {
        return;
    };
    if let Some(written) = shown(lock.text()) {
        let again = Lock::read(&source(written.as_bytes()).expect("a text"));
        let again = again.unwrap_or_else(|e| panic!("{}", e.render()));
        assert_eq!(shown(again.text()), Some(written), "written twice");
    }
    let (module, _) = unshare(&net());
    let mut facts = propagate(&module).unwrap_or_else(|e| panic!("{}", e.render()));
    if let Some((groups, choice)) = shown(lock.replay(&text, &module, &mut facts)) {
        shrinks(&module, &facts, &groups, &choice.keep);
    }
}

/// The network that plans and locks are for.
fn net() -> Module {
    let text = source(NET.as_bytes()).expect("a text");
    parse(&text, &small()).unwrap_or_else(|e| panic!("{}", e.render()))
}

/// What was chosen leaves a network that fits, and something of every group.
fn shrinks(module: &Module, facts: &Facts, groups: &Groups, keep: &Keep) {
    for (atom, kept) in keep.iter() {
        let group = groups.groups.iter().find(|g| g.atom == atom);
        let group = group.expect("only what is free loses positions");
        assert!(
            (1..=group.extent).contains(&kept.count()),
            "{}: {kept}",
            group.name
        );
    }
    let pruned = shrink(module, facts, keep).unwrap_or_else(|e| panic!("{}", e.render()));
    propagate(&pruned).unwrap_or_else(|e| panic!("{}", e.render()));
}

/// Calls `look` with a file of these bytes, alone in a directory.
fn with_file(name: &str, data: &[u8], look: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    std::fs::write(&path, data).expect("a file");
    look(&path);
}
