//! Attention as the exporters of real networks write it: whatever heads, repeats and head dims go, the rest is right.
mod common;
use common::{Net, Random};
use tpc::ir::propagate;
use tpc::prune::{Class, Keep, groups};

/// The networks of `tests/filetests/groups` that attend, with the counts (heads, key-value heads, repeats) they have.
const NETS: [(&str, &[usize]); 7] = [
    ("attention", &[3, 2]),
    ("fused_grouped_query", &[3, 2]),
    ("head_norms", &[3]),
    ("fused_sequence", &[2]),
    ("cross_attention", &[3]),
    ("run_time_heads", &[3, 2, 2]),
    ("run_time_rows", &[]),
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

/// Of the shape of a value only one extent is read, to count to it: the others may shrink.
#[test]
fn extents_that_nothing_reads_shrink() {
    let net = Net::new(
        r#"
dim N = ?, T = ?
input %x : f32[N, T, 4]
param @a.weight : f32[4, 10]
param @b.weight : f32[10, 3]
const @one : i64[] = 1
const @zero : i64[] = 0
%0 = matmul(%x, @a.weight)
%shape = shape_of(%0)
%length = gather(%shape, @one) {axis = 0}
%places = range(@zero, %length, @one) : i64[T]
%1 = cast(%places) {to = f32}
%2 = unsqueeze(%1) {axes = [1]}
%3 = add(%0, %2)
%y = matmul(%3, @b.weight)
output %y"#,
    );
    assert_eq!(net.free("a.weight:1"), [10]);
    net.prunes();
}

/// The same where all of it is read.
#[test]
fn extents_that_are_read_stay() {
    let net = Net::new(
        r#"
input %x : f32[2, 5, 4]
param @a.weight : f32[4, 10]
param @b.weight : f32[10, 3]
const @last : i64[] = -1
%0 = matmul(%x, @a.weight)
%shape = shape_of(%0)
%width = gather(%shape, @last) {axis = 0}
%1 = cast(%width) {to = f32}
%2 = div(%0, %1)
%y = matmul(%2, @b.weight)
output %y"#,
    );
    assert!(net.free("a.weight:1").is_empty());
}

/// As decoders are written for ONNX Runtime: positions are counted by a mask, which is as long as what was there and what is
/// new. Verification has to find such sizes, and a mask that hides nothing.
#[test]
fn attention_behind_a_cache_is_run() {
    let net = Net::new(
        "dim N = ?, S = ?, P = ?, T = ?
param @e : f32[7, 16]\nparam @w : f32[16, 32]\nparam @o : f32[16, 12]\nparam @end : f32[12, 5]
const @one : i64[] = 1\nconst @n : i32[] = 0
input %ids : i64[N, S]\ninput %mask : i64[N, T]
input %pk : f32[N, 1, P, 8]\ninput %pv : f32[N, 1, P, 8]
%x = gather(@e, %ids) {axis = 0}\n%q = matmul(%x, @w)
%all = reduce_sum(%mask) {axes = [1], keep_dims = false}\n%before = sub(%all, @one)\n%last = cast(%before) {to = i32}
%y, %k, %v = grouped_query_attention(%q, _, _, %pk, %pv, %last, @n) {heads = 2, kv_heads = 1}
%z = matmul(%y, @o)\n%last_z = matmul(%z, @end)\noutput %last_z\noutput %k\noutput %v",
    );
    assert_eq!(net.free("o:1"), [12]);
    let keep = net.keep(&mut Random(5));
    let verified = net.verify(&keep, &net.shrunk(&keep)).unwrap();
    assert!(verified.cuts.is_empty(), "{:?}", verified.cuts);
    let all_is_sum = |run: &tpc::prune::Binding| run["T"] == run["S"] + run["P"];
    assert!(verified.runs.iter().all(all_is_sum), "{:?}", verified.runs);
}
