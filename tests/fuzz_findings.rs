//! What the fuzzer found stays fixed: every file of `fuzz/TARGET/`, and of what the fuzzer begins with, is given to its
//! target again.
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn again(target: &str, check: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/fuzz", "fuzz/corpus"].map(|folder| root.join(folder).join(target));
    let files: Vec<_> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty(), "nothing is kept of `{target}`");
    let fails = |path: &Path| {
        let data = std::fs::read(path).unwrap();
        catch_unwind(AssertUnwindSafe(|| check(&data))).is_err()
    };
    let failed: Vec<_> = files.iter().filter(|path| fails(path)).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn texts() {
    again("tir", targets::tir);
}

#[test]
fn onnx_files() {
    again("onnx", targets::onnx);
}

#[test]
fn weights_files() {
    again("safetensors", targets::safetensors);
}

#[test]
fn plans() {
    again("plan", targets::plan);
}

#[test]
fn locks() {
    again("lock", targets::lock);
}
