//! Counts and choices beside Torch-Pruning 1.6's: the tables of its behaviour, as programs with stated weights.
mod common;
use common::Net;
use std::sync::Arc;
use tpc::diag::Source;
use tpc::ir::Def;
use tpc::prune::{Choice, Plan, groups, select};
use tpc::tensor::Tensor;

/// What a plan removes of a network.
struct Selected {
    net: Net,
    choice: Choice,
}

impl Selected {
    fn new(net: Net, plan: &str) -> Selected {
        let source = Source {
            name: "plan.toml".into(),
            text: plan.into(),
        };
        let plan = Plan::read(&Arc::new(source)).unwrap_or_else(|e| panic!("{e}"));
        let groups = groups(&net.module, &net.facts);
        let choice = select(&net.module, &net.facts, &groups, &plan);
        let choice = choice.unwrap_or_else(|e| panic!("{e}"));
        Selected { net, choice }
    }
    /// The positions of an axis that stay.
    fn kept(&self, name: &str, axis: usize) -> Vec<usize> {
        let d = self.net.facts.axes(self.net.value(name)).unwrap()[axis];
        let kept = self.choice.keep.positions(&self.net.facts.dims, d);
        let all = || (0..self.net.facts.dims.size(&self.net.facts.dims.term(d))).collect();
        kept.unwrap_or_else(all)
    }
}

/// Layers of one input, of the given rows.
///
/// A layer by the name of `a` has `@a`, of which rows are the scores, and `@a.to`, which is zero and adds nothing.
fn layers(layers: &[(&str, &[f32])]) -> Net {
    let mut text = String::from("input %x : f32[1, 1]\n");
    for (name, rows) in layers {
        let n = rows.len();
        text += &format!(
            "param @{name} : f32[{n}, 1]\nparam @{name}.to : f32[2, {n}]\n\
             %{name}.0 = linear(%x, @{name}) {{trans_b = true}}\n\
             %{name}.1 = linear(%{name}.0, @{name}.to) {{trans_b = true}}\noutput %{name}.1\n"
        );
    }
    let mut net = Net::new(&text);
    for (name, rows) in layers {
        set(&mut net, name, rows);
        set(&mut net, &format!("{name}.to"), &vec![0.0; 2 * rows.len()]);
    }
    net
}

fn set(net: &mut Net, name: &str, values: &[f32]) {
    let v = net.value(name);
    let value = &mut net.module.values[v.at()];
    let Def::Param(tensor) = &value.def else {
        panic!("`{name}` is no param")
    };
    value.def = Def::Param(Tensor::from_f32(&tensor.shape, values.to_vec()).unwrap());
}

/// One layer of `n` scores that rise.
fn rising(n: usize) -> Net {
    let rows: Vec<f32> = (1..=n).map(|i| i as f32).collect();
    layers(&[("a", &rows)])
}

fn stay(n: usize, plan: &str) -> usize {
    Selected::new(rising(n), plan).kept("a", 0).len()
}

#[test]
fn counts() {
    let table: [(usize, &[(f64, usize)]); 6] = [
        (7, &[(0.1, 6), (0.25, 5), (0.3, 4), (0.5, 3), (0.75, 1)]),
        (
            10,
            &[
                (0.1, 9),
                (0.25, 7),
                (0.3, 7),
                (0.5, 5),
                (0.7, 3),
                (0.75, 2),
                (0.9, 10),
            ],
        ),
        (20, &[(0.9, 1)]),
        (16, &[(0.9, 1)]),
        (8, &[(0.9, 8)]),
        (2, &[(0.6, 2)]),
    ];
    for (n, row) in table {
        for (ratio, kept) in row {
            let plan = format!("[target]\nratio = {ratio}");
            assert_eq!(stay(n, &plan), *kept, "{n} at {ratio}");
        }
    }
}

#[test]
fn lowest_go() {
    let net = layers(&[("a", &[5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 0.5])]);
    let selected = Selected::new(net, "[target]\nratio = 0.5\n[select]\np = 1.0");
    assert_eq!(selected.kept("a", 0), [0, 2, 5]);
    // What reads a width loses the same positions.
    assert_eq!(selected.kept("a.to", 1), [0, 2, 5]);
}

#[test]
fn ties() {
    let tied = || layers(&[("a", &[1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0])]);
    // As many as asked for, and the same ones each time.
    let local = Selected::new(tied(), "[target]\nratio = 0.25");
    assert_eq!(local.kept("a", 0).len(), 6);
    let again = Selected::new(tied(), "[target]\nratio = 0.25");
    assert_eq!(local.kept("a", 0), again.kept("a", 0));
    // All up to the common score.
    let global = Selected::new(
        tied(),
        "[target]\nratio = 0.25\n[select]\nscope = \"global\"",
    );
    assert_eq!(global.kept("a", 0), [5, 6, 7]);
}

#[test]
fn global() {
    let net = || {
        layers(&[
            ("a", &[1.0, 2.0, 3.0, 4.0]),
            ("b", &[10.0, 20.0, 30.0, 40.0]),
        ])
    };
    let plan = |normalize: &str| {
        format!(
            "[target]\nratio = 0.5\n[select]\np = 1.0\nscope = \"global\"\nreduce = \"first\"\n\
             normalize = \"{normalize}\""
        )
    };
    for normalize in ["mean", "max", "sum"] {
        let selected = Selected::new(net(), &plan(normalize));
        for layer in ["a", "b"] {
            assert_eq!(selected.kept(layer, 0), [2, 3], "{layer} by {normalize}");
        }
    }
    // As they are, one layer would lose everything, and loses nothing; it is said so.
    let selected = Selected::new(net(), &plan("none"));
    assert_eq!(selected.kept("a", 0).len(), 4);
    assert_eq!(selected.kept("b", 0).len(), 4);
    assert_eq!(selected.choice.whole.len(), 1);
}

#[test]
fn rounding() {
    type Row = (usize, usize, &'static [(f64, usize)]);
    let table: [Row; 2] = [
        (20, 8, &[(0.1, 16), (0.3, 8), (0.5, 8), (0.7, 20)]),
        (64, 16, &[(0.1, 48), (0.3, 32), (0.9, 64)]),
    ];
    for (n, to, row) in table {
        for (ratio, kept) in row {
            let plan = format!("[target]\nratio = {ratio}\n[select]\nround_to = {to}");
            assert_eq!(stay(n, &plan), *kept, "{n} at {ratio} by {to}");
        }
    }
    // Nothing goes, so nothing is rounded.
    assert_eq!(
        stay(20, "[target]\nratio = 0.0\n[select]\nround_to = 8"),
        20
    );
}

#[test]
fn limits() {
    let plan = |select: &str| format!("[target]\nratio = 0.75\n[select]\n{select}");
    assert_eq!(stay(16, &plan("min_keep = 6")), 6);
    assert_eq!(stay(16, &plan("min_keep = 6\nround_to = 4")), 8);
    assert_eq!(stay(16, &plan("min_keep = 99")), 16);
    assert_eq!(stay(16, &plan("max_ratio = 0.5")), 8);
    assert_eq!(stay(16, &plan("max_ratio = 0.0")), 16);
    assert_eq!(stay(10, &plan("max_ratio = 0.25")), 8);
}

/// Heads of a projection that is taken apart: every head loses the same positions.
fn attention(heads: usize, width: usize) -> Net {
    let all = heads * width;
    Net::new(&format!(
        r#"
param @q.weight : f32[6, {all}]
param @k.weight : f32[6, {all}]
param @v.weight : f32[6, {all}]
param @o.weight : f32[{all}, 6]
input %x : f32[1, 5, 6]
%0 = matmul(%x, @q.weight)
%1 = matmul(%x, @k.weight)
%2 = matmul(%x, @v.weight)
%3 = reshape(%0) : f32[1, 5, {heads}, {width}]
%4 = reshape(%1) : f32[1, 5, {heads}, {width}]
%5 = reshape(%2) : f32[1, 5, {heads}, {width}]
%6 = transpose(%3) {{perm = [0, 2, 1, 3]}}
%7 = transpose(%4) {{perm = [0, 2, 3, 1]}}
%8 = transpose(%5) {{perm = [0, 2, 1, 3]}}
%9 = matmul(%6, %7)
%10 = softmax(%9) {{axis = -1}}
%11 = matmul(%10, %8)
%12 = transpose(%11) {{perm = [0, 2, 1, 3]}}
%13 = reshape(%12) : f32[1, 5, {all}]
%y = matmul(%13, @o.weight)
output %y"#
    ))
}

#[test]
fn rounding_of_heads() {
    // Counts stay; each head is a multiple, which is what its own axis asks for.
    let plan = "[target]\nratio = 0.5\n[select]\nround_to = 4";
    let selected = Selected::new(attention(3, 12), plan);
    for (name, axis) in [("q.weight", 1), ("v.weight", 1), ("o.weight", 0)] {
        let kept = selected.kept(name, axis);
        let heads: Vec<Vec<usize>> = (0..3)
            .map(|h| {
                kept.iter()
                    .filter(|i| *i / 12 == h)
                    .map(|i| i % 12)
                    .collect()
            })
            .collect();
        assert_eq!(heads[0].len(), 4, "{name}");
        assert_eq!([&heads[0], &heads[0]], [&heads[1], &heads[2]], "{name}");
    }
    // Heads of queries and keys lose the same, values others.
    assert_eq!(selected.kept("q.weight", 1), selected.kept("k.weight", 1));
    // Asked for, counts go like widths.
    let plan = "[target]\nratio = 0.5\n[select]\ncounts = true";
    let selected = Selected::new(attention(4, 6), plan);
    assert_eq!(selected.kept("q.weight", 1).len(), 2 * 3);
}

#[test]
fn channel_groups() {
    // Scores are averaged over the groups: [5, 1.5, 2], and the lowest position goes in each.
    let mut net = Net::new(
        r#"
param @c.weight : f32[6, 1, 1, 1]
param @n.scale : f32[6]
param @n.bias : f32[6]
param @d.weight : f32[1, 6, 1, 1]
input %x : f32[1, 1, 2, 2]
%0 = conv(%x, @c.weight)
%1 = group_norm(%0, @n.scale, @n.bias) {groups = 2, epsilon = 1e-5}
%y = conv(%1, @d.weight)
output %y"#,
    );
    set(&mut net, "c.weight", &[1.0, 2.0, 3.0, 9.0, 1.0, 1.0]);
    set(&mut net, "n.scale", &[0.0; 6]);
    set(&mut net, "d.weight", &[0.0; 6]);
    let selected = Selected::new(net, "[target]\nratio = 0.3333\n[select]\np = 1.0");
    assert_eq!(selected.kept("c.weight", 0), [0, 2, 3, 5]);
    assert_eq!(selected.kept("n.scale", 0), [0, 2, 3, 5]);
}

/// A convolution of rows [3, 4, 1], a norm of scales [1, 2, .5], and what reads them by columns [2, 4, 2].
fn entries() -> Net {
    let mut net = Net::new(
        r#"
param @c.weight : f32[3, 1, 1, 1]
param @c.bias : f32[3]
param @bn.scale : f32[3]
param @bn.bias : f32[3]
param @bn.mean : f32[3]
param @bn.var : f32[3]
param @d.weight : f32[2, 3, 1, 1]
input %x : f32[1, 1, 2, 2]
%0 = conv(%x, @c.weight, @c.bias)
%1 = batch_norm(%0, @bn.scale, @bn.bias, @bn.mean, @bn.var) {epsilon = 1e-5}
%y = conv(%1, @d.weight)
output %y"#,
    );
    set(&mut net, "c.weight", &[3.0, -4.0, 1.0]);
    set(&mut net, "c.bias", &[0.0, 0.0, 100.0]);
    set(&mut net, "bn.scale", &[-1.0, 2.0, 0.5]);
    set(&mut net, "bn.mean", &[0.0, 0.0, 100.0]);
    set(&mut net, "d.weight", &[1.0, 2.0, -1.0, 1.0, 2.0, 1.0]);
    net
}

#[test]
fn reductions() {
    let cut = |reduce: &str, normalize: &str| {
        let plan = format!(
            "[[prune]]\nmatch = \"c.weight:0\"\nratio = 0.34\n[select]\np = 1.0\nreduce = \"{reduce}\"\n\
             normalize = \"{normalize}\""
        );
        let selected = Selected::new(entries(), &plan);
        assert_eq!(selected.kept("c.weight", 0), [1], "{reduce}");
        selected.choice.chosen[0].cut.unwrap()
    };
    let table = [
        ("sum", "none", 10.0),
        ("mean", "none", 3.333_333),
        ("max", "none", 4.0),
        ("prod", "none", 32.0),
        ("first", "none", 4.0),
        ("mean", "sum", 0.512_8),
        ("mean", "mean", 1.538_5),
        ("mean", "max", 1.0),
    ];
    for (reduce, normalize, score) in table {
        let got = cut(reduce, normalize);
        assert!((got - score).abs() < 1e-4, "{reduce}, {normalize}: {got}");
    }
}

#[test]
fn flattened_positions_add_up() {
    // A column of a linear layer for each place of a channel: the sum over the places is what the channel counts.
    let mut net = Net::new(
        r#"
param @c.weight : f32[3, 1, 1, 1]
param @fc.weight : f32[1, 12]
input %x : f32[1, 1, 2, 2]
%0 = conv(%x, @c.weight)
%1 = flatten(%0) {axis = 1}
%y = linear(%1, @fc.weight) {trans_b = true}
output %y"#,
    );
    set(&mut net, "c.weight", &[0.0; 3]);
    let columns = [1.0, 1.0, 1.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.5];
    set(&mut net, "fc.weight", &columns);
    let selected = Selected::new(net, "[target]\nratio = 0.6\n[select]\np = 1.0");
    assert_eq!(selected.kept("c.weight", 0), [0]);
    assert_eq!(selected.kept("fc.weight", 1), [0, 1, 2, 3]);
}

#[test]
fn depthwise_counts_nothing() {
    let mut net = Net::new(
        r#"
param @c.weight : f32[4, 1, 1, 1]
param @dw.weight : f32[4, 1, 1, 1]
param @d.weight : f32[1, 4, 1, 1]
input %x : f32[1, 1, 2, 2]
%0 = conv(%x, @c.weight)
%1 = conv(%0, @dw.weight) {groups = 4}
%y = conv(%1, @d.weight)
output %y"#,
    );
    set(&mut net, "c.weight", &[4.0, 3.0, 2.0, 1.0]);
    set(&mut net, "dw.weight", &[0.0, 0.0, 90.0, 90.0]);
    set(&mut net, "d.weight", &[0.0; 4]);
    let selected = Selected::new(net, "[target]\nratio = 0.5");
    assert_eq!(selected.kept("dw.weight", 0), [0, 1]);
}

#[test]
fn what_is_named_overrides_the_ratio() {
    let net = || layers(&[("a", &[1.0, 2.0, 3.0, 4.0]), ("b", &[4.0, 3.0, 2.0, 1.0])]);
    let plan = "[target]\nratio = 0.5\n[[prune]]\nmatch = \"b:0\"\nratio = 0.25";
    let selected = Selected::new(net(), plan);
    assert_eq!(selected.kept("a", 0), [2, 3]);
    assert_eq!(selected.kept("b", 0), [0, 1, 2]);
    let plan =
        "[[prune]]\nmatch = \"b:0\"\nremove = [0, 2]\n[[prune]]\nmatch = \"b.to:1\"\nremove = [1]";
    let selected = Selected::new(net(), plan);
    assert_eq!(selected.kept("a", 0), [0, 1, 2, 3]);
    assert_eq!(selected.kept("b", 0), [3]);
}

/// A window's table of indices, of which a smaller window reads the first rows: nothing weighs less without the others.
#[test]
fn what_nobody_reads_of_a_table_of_indices_stays() {
    let net = Net::new(
        "param @bias : f32[9, 4]
const @index : i64[6, 2] = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 0], [1, 2]]
param @w : f32[4, 3]
input %x : f32[2, 2, 3]
%rows = slice(@index) {axes = [0], starts = [0], ends = [2]}
%b = gather(@bias, %rows) {axis = 0}
%y = matmul(%b, @w)
%z = add(%y, %x)
output %z",
    );
    let selected = Selected::new(net, "[target]\nratio = 0.5");
    assert_eq!(selected.kept("index", 0).len(), 6);
    assert_eq!(selected.kept("w", 0).len(), 2);
    let whole: Vec<&str> = (selected.choice.whole.iter())
        .map(|(_, why)| &**why)
        .collect();
    assert_eq!(whole, ["no param has it"]);
}
