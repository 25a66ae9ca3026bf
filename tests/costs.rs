//! Costs as polynomials in the run-time symbols: multiply-accumulates, memory, and how far pruning reaches.
mod common;
use common::Net;
use tpc::prune::{Binding, Convention, cost, groups, peak, reach};

const MLP: &str = "dim N = ?, T = ?
param @up : f32[4, 64]
param @down : f32[64, 8]
input %x : f32[N, T, 4]
%h = matmul(%x, @up)
%a = relu(%h)
%y = matmul(%a, @down)
output %y";

fn at(n: i64, t: i64) -> Binding {
    Binding::from([("N".to_string(), n), ("T".to_string(), t)])
}

#[test]
fn macs_and_memory_are_polynomials() {
    let net = Net::new(MLP);
    let all = cost(&net.module, &net.facts, Convention::Own);
    assert_eq!(all.macs.to_string(), "768 * N * T");
    assert_eq!(all.macs_at(&at(2, 5)), Some(7680));
    // While `relu` runs, its operand and its result are there: 64 numbers of 4 bytes each.
    let peak = peak(&net.module, &net.facts, &at(2, 5)).unwrap();
    assert_eq!(peak.bytes.to_string(), "512 * N * T");
    assert_eq!((peak.at, peak.left_out), (5120, 0));
    assert_eq!(peak.node.map(|id| id.at()), Some(1));
}

#[test]
fn groups_cost_what_sees_them() {
    let net = Net::new(MLP);
    let groups = groups(&net.module, &net.facts);
    let [hidden] = &groups.groups[..] else {
        panic!("{:?}", groups.groups);
    };
    assert_eq!(hidden.macs.formula.to_string(), "768 * N * T");
    // Batches are 1, all else 224.
    assert_eq!(hidden.macs.at, 768 * 224);
    assert_eq!(hidden.memory.formula.to_string(), "512 * N * T");
}

#[test]
fn what_stays_is_told_by_its_reason() {
    let net = Net::new(
        "param @a : f32[6, 4]
param @b : f32[4, 6]
param @c : f32[6, 5]
param @d : f32[6, 5]
input %x : f32[1, 3, 6]
%h = matmul(%x, @a)
%k = matmul(%h, @b)
%y = matmul(%k, @c)
%z = matmul(%x, @d)
output %y
output %z",
    );
    let reach = reach(&net.module, &net.facts);
    // The last product has inputs and outputs only, and no free dim; of the others one position of each width is left.
    assert_eq!(
        (reach.macs, reach.widths),
        (3 * (24 + 24 + 30 + 30), 3 * (24 + 24 + 30))
    );
    assert_eq!(reach.least, 3 * (6 + 1 + 5 + 30));
    assert_eq!(reach.outputs, 3 * (24 + 24));
    let told: Vec<(&str, u64)> = reach.kept.iter().map(|k| (&*k.reason, k.macs)).collect();
    assert_eq!(told, [("input, output", 3 * 35), ("input", 3 * 6 + 3)]);
}
