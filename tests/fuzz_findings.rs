//! What the fuzzer found stays fixed: every file of `fuzz/TARGET/`, and of what the fuzzer begins with, is given to its
//! target again.
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tpc::prune::Runner;

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

#[test]
fn values_that_no_memory_holds() {
    let text = "param @s : f32[4, 4]\n%y = tile(@s) {repeats = [1, 1099511627776]}\noutput %y";
    let source = tpc::diag::Source {
        name: "large.tir".into(),
        text: text.into(),
    };
    let module = tpc::syntax::parse(&source.into(), &tpc::syntax::Seeded::new(0)).unwrap();
    let facts = tpc::ir::propagate(&module).unwrap();
    let said = tpc::exec::Cpu.run(&module, &facts, &[]).unwrap_err();
    assert_eq!(
        said.to_string(),
        "`y` failed: it has more elements than memory holds"
    );
}
