//! Attention as the exporters of real networks write it: whatever heads, repeats and head dims go, the rest is right.
mod common;
use common::{Net, Random};
use tpc::ir::propagate;
use tpc::prune::{Class, Keep, groups};

/// The networks of `tests/filetests/groups` that attend, with the counts (heads, key-value heads, repeats) they have.
const NETS: [(&str, &[usize]); 5] = [
    ("attention", &[3, 2]),
    ("fused_grouped_query", &[3, 2]),
    ("head_norms", &[3]),
    ("fused_sequence", &[2]),
    ("cross_attention", &[3]),
];

fn net(name: &str) -> Net {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("tests/filetests/groups/{name}.tir"));
    Net::new(&std::fs::read_to_string(path).unwrap())
}

#[test]
fn widths_and_counts_are_pruned_and_proved() {
    for (name, counts) in NETS {
        let net = net(name);
        let all = groups(&net.module, &net.facts).groups;
        let found: Vec<usize> = all
            .iter()
            .filter(|g| g.class == Class::Count)
            .map(|g| g.extent)
            .collect();
        assert_eq!(found, counts, "{name}");
        net.prunes();
    }
}

/// Each atom alone, so that no other removal hides what it does.
#[test]
fn every_atom_is_pruned_alone() {
    for (name, _) in NETS {
        let net = net(name);
        for group in groups(&net.module, &net.facts).groups {
            let mut keep = Keep::all();
            keep.set(group.atom, Random(7).some_of(group.extent));
            let pruned = net.shrunk(&keep);
            net.verify(&keep, &pruned)
                .unwrap_or_else(|e| panic!("{name}, {}: {e}", group.name));
        }
    }
}

/// A sequence goes to an ONNX file and comes back as it was.
#[test]
fn sequences_survive_a_file() {
    let net = net("fused_sequence");
    let keep = net.keep(&mut Random(2));
    let pruned = net.shrunk(&keep);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.onnx");
    tpc::onnx::write(&pruned, &propagate(&pruned).unwrap(), &path).unwrap();
    let back = tpc::onnx::read(&path).unwrap();
    assert_eq!(
        pruned.nodes.iter().map(|n| n.op).collect::<Vec<_>>(),
        back.nodes.iter().map(|n| n.op).collect::<Vec<_>>()
    );
    net.verify(&keep, &back).unwrap();
}
