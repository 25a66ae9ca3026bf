//! Ragged dims: where they are found, where they are refused and why, that what is pruned by them is right, and that what
//! is pruned wrongly is caught.
mod common;
use common::{Net, Random};
use std::collections::BTreeSet;
use std::sync::Arc;
use tpc::diag::Source;
use tpc::dims::{Term, known};
use tpc::ir::Def;
use tpc::prune::{Keep, Kept, Lock, Picks, Plan, Ragged, Rows, groups, ragged, recover, select};
use tpc::tensor::Pick;

/// Heads of queries, keys and values in projections of their own.
const HEADS: &str = r#"
dim N = ?, T = ?
input %x : f32[N, T, 6]
param @q.weight : f32[6, 15]
param @q.bias : f32[15]
param @k.weight : f32[6, 15]
param @v.weight : f32[6, 12]
param @v.bias : f32[12]
param @o.weight : f32[12, 6]
%0 = matmul(%x, @q.weight)
%1 = add(%0, @q.bias)
%2 = reshape(%1) : f32[N, T, 3, 5]
%3 = transpose(%2) {perm = [0, 2, 1, 3]}
%4 = matmul(%x, @k.weight)
%5 = reshape(%4) : f32[N, T, 3, 5]
%6 = transpose(%5) {perm = [0, 2, 3, 1]}
%7 = matmul(%x, @v.weight)
%8 = add(%7, @v.bias)
%9 = reshape(%8) : f32[N, T, 3, 4]
%10 = transpose(%9) {perm = [0, 2, 1, 3]}
%11 = matmul(%3, %6)
%12 = softmax(%11) {axis = -1}
%13 = matmul(%12, %10)
%14 = transpose(%13) {perm = [0, 2, 1, 3]}
%15 = reshape(%14) : f32[N, T, 12]
%y = matmul(%15, @o.weight)
output %y"#;

/// Channels inside of the groups of a convolution, before it and behind it.
const GROUPED: &str = r#"
dim N = ?
input %x : f32[N, 3, 6, 6]
param @a.weight : f32[12, 3, 1, 1]
param @a.bias : f32[12]
param @n.scale : f32[12]
param @n.bias : f32[12]
param @b.weight : f32[9, 4, 3, 3]
param @c.weight : f32[5, 9, 1, 1]
%0 = conv(%x, @a.weight, @a.bias)
%1 = group_norm(%0, @n.scale, @n.bias) {groups = 3, epsilon = 1e-5}
%2 = max_pool(%1) {kernel = [2, 2]}
%3 = conv(%2, @b.weight) {groups = 3}
%4 = relu(%3)
%y = conv(%4, @c.weight)
output %y"#;

/// A mixer whose channels are mixed in groups: weights with an axis for the groups.
const MIXER: &str = r#"
dim N = ?
input %x : f32[N, 5, 8]
param @in.weight : f32[8, 12]
param @a.weight : f32[3, 4, 7]
param @a.bias : f32[3, 1, 7]
param @n.scale : f32[3, 1, 7]
param @b.weight : f32[3, 7, 2]
param @out.weight : f32[6, 8]
%0 = matmul(%x, @in.weight)
%1 = reshape(%0) : f32[N, 5, 3, 4]
%2 = transpose(%1) {perm = [0, 2, 1, 3]}
%3 = matmul(%2, @a.weight)
%4 = add(%3, @a.bias)
%5 = rms_norm(%4, @n.scale) {axis = -1, epsilon = 1e-5}
%6 = gelu(%5)
%7 = matmul(%6, @b.weight)
%8 = transpose(%7) {perm = [0, 2, 1, 3]}
%9 = reshape(%8) : f32[N, 5, 6]
%y = matmul(%9, @out.weight)
output %y"#;

/// The same contractions by letters.
const LETTERS: &str = r#"
input %x : f32[5, 6]
param @q.weight : f32[3, 6, 4]
param @k.weight : f32[6, 3, 4]
param @v.weight : f32[6, 5, 3]
param @o.weight : f32[3, 5, 6]
%q = einsum(%x, @q.weight) {equation = "ti,hid->thd"}
%k = einsum(%x, @k.weight) {equation = "si,ihd->hsd"}
%v = einsum(%x, @v.weight) {equation = "si,ieh->hes"}
%0 = einsum(%q, %k) {equation = "thd,hsd->hts"}
%1 = softmax(%0) {axis = -1}
%2 = einsum(%1, %v) {equation = "hts,hes->the"}
%y = einsum(%2, @o.weight) {equation = "the,heo->to"}
output %y"#;

fn found(net: &Net) -> Ragged {
    ragged(&net.module, &net.facts, &groups(&net.module, &net.facts))
}

/// Ragged dims by the extents of dim and rows, in program order.
fn extents(net: &Net) -> Vec<(usize, usize)> {
    let found = found(net);
    let size = |d| net.facts.dims.size(&Term::Atom(d));
    let all = groups(&net.module, &net.facts).groups;
    let of = |atom| found.by.get(&atom).map(|by| (size(atom), size(*by)));
    all.iter().filter_map(|g| of(g.atom)).collect()
}

/// Why the dims of an axis are not ragged.
fn refused(net: &Net, axis: &str) -> String {
    let (name, axis) = axis.split_once(':').unwrap();
    let d = net.facts.axes(net.value(name)).unwrap()[axis.parse::<usize>().unwrap()];
    let found = found(net);
    let atoms = net.facts.dims.term(d).atoms();
    assert!(
        atoms.iter().all(|a| !found.by.contains_key(a)),
        "{axis} is ragged"
    );
    let all = atoms.iter().filter_map(|a| found.uniform.get(a));
    all.cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn dims_inside_of_heads_and_groups_are_ragged() {
    assert_eq!(extents(&Net::new(HEADS)), [(5, 3), (4, 3)]);
    assert_eq!(extents(&Net::new(GROUPED)), [(4, 3), (3, 3)]);
    assert_eq!(extents(&Net::new(MIXER)), [(4, 3), (7, 3), (2, 3)]);
    assert_eq!(extents(&Net::new(LETTERS)), [(4, 3), (5, 3)]);
}

#[test]
fn rows_are_pruned_and_proved() {
    for text in [HEADS, GROUPED, MIXER, LETTERS] {
        let net = Net::new(text);
        let mut random = Random(3);
        for _ in 0..8 {
            let keep = net.rows(&mut random);
            let pruned = net.shrunk(&keep);
            if let Err(e) = net.verify(&keep, &pruned) {
                panic!("{e}\n{text}\n{keep:?}");
            }
        }
    }
}

/// Each row with the positions of another, one position of a row by a removed one, and the same positions in all rows:
/// in each param alone.
#[test]
fn rows_in_each_others_place_are_caught() {
    for text in [HEADS, GROUPED, MIXER, LETTERS] {
        let net = Net::new(text);
        let found = found(&net);
        let size = |d| net.facts.dims.size(&Term::Atom(d));
        let mut mutants = 0;
        for (atom, by) in &found.by {
            let (n, count) = (size(*atom), size(*by));
            // Row by row another position goes.
            let row = |r: usize| (0..n).filter(|i| *i != r % n).collect::<Vec<_>>();
            let rows = |kept| Kept::Rows(Rows { by: *by, kept });
            let right: Vec<_> = (0..count).map(row).collect();
            let mut keep = Keep::all();
            keep.put(*atom, rows(right.clone()));
            let pruned = net.shrunk(&keep);
            net.verify(&keep, &pruned).unwrap();
            let mut swapped = right.clone();
            swapped.swap(0, 1);
            let mut replaced = right.clone();
            replaced[count - 1] = row(0);
            let wrongs = [swapped, replaced, vec![row(0); count]];
            for (v, whole) in net.module.tensors() {
                for wrong in wrongs.iter().filter(|w| **w != right) {
                    let mut other = Keep::all();
                    other.put(*atom, rows(wrong.clone()));
                    let picks = Picks::new(&net.facts.dims, &other, &known);
                    let picks = { picks }.of(net.facts.axes(v).unwrap()).unwrap();
                    if picks.iter().all(|p| **p == Pick::All) {
                        continue;
                    }
                    let mut mutant = pruned.clone();
                    let name = &net.module.value(v).name;
                    let value = mutant.values.iter_mut().find(|v| v.name == *name);
                    value.unwrap().def = Def::Param(whole.pick(&picks).unwrap());
                    assert!(net.verify(&keep, &mutant).is_err(), "{name} {wrong:?}");
                    mutants += 1;
                }
            }
        }
        assert!(mutants >= 12, "{mutants}");
    }
}

/// One table of angles for all heads, as rotary embeddings have it.
#[test]
fn a_param_that_heads_share_refuses() {
    let text = HEADS.replace(
        "%11 = matmul(%3, %6)",
        "%turned = mul(%3, @cos)\n%11 = matmul(%turned, %6)",
    );
    let net = Net::new(&format!("param @cos : f32[5]\n{text}"));
    assert_eq!(extents(&net), [(4, 3)]);
    assert_eq!(
        refused(&net, "cos:0"),
        "`cos:0` does not have `q.0` beside it"
    );
}

#[test]
fn operations_in_which_heads_meet_refuse() {
    let with = |op: &str| {
        let text = HEADS.replace(
            "%11 = matmul(%3, %6)",
            &format!("{op}\n%11 = matmul(%met, %6)"),
        );
        Net::new(&text)
    };
    for (op, why) in [
        ("%met = softmax(%3) {axis = 1}", "`softmax`"),
        ("%met = lp_norm(%3) {axis = 1}", "`lp_norm`"),
        ("%met = cumsum(%3) {axis = 2}", "`cumsum`"),
        (
            "%sum = reduce_sum(%3) {axes = [1], keep_dims = true}\n%met = sub(%3, %sum)",
            "`sum:3`",
        ),
        (
            "%a = reshape(%3) : f32[N, 3, T, 5]\n%b = transpose(%a) {perm = [0, 2, 1, 3]}\n%c = transpose(%b) {perm = [0, 1, 3, 2]}\n%d = matmul(%b, %c)\n%e = matmul(%d, %b)\n%met = transpose(%e) {perm = [0, 2, 1, 3]}",
            "`matmul`",
        ),
    ] {
        let net = with(op);
        let why_not = refused(&net, "2:3");
        assert!(why_not.contains(why), "{op}: {why_not}");
        // Values are as they were.
        assert_eq!(extents(&net), [(4, 3)], "{op}");
    }
    // Over the features of each head, all is well.
    let net = with("%met = softmax(%3) {axis = -1}");
    assert_eq!(extents(&net), [(5, 3), (4, 3)]);
}

#[test]
fn gates_share_the_hidden_state() {
    let net = Net::new(
        r#"
input %x : f32[4, 1, 5]
param @w : f32[1, 24, 5]
param @r : f32[1, 24, 6]
param @b : f32[1, 48]
param @o.weight : f32[6, 4]
%0 = lstm(%x, @w, @r, @b) {hidden_size = 6}
%1 = squeeze(%0) {axes = [1]}
%y = matmul(%1, @o.weight)
output %y"#,
    );
    assert_eq!(extents(&net), []);
    assert_eq!(
        refused(&net, "r:2"),
        "`w:1` does not have its 8 rows beside it"
    );
}

/// A linear layer from features within heads to all heads: its weight has heads beside the features, on the other side.
#[test]
fn a_weight_with_heads_on_its_other_side_refuses() {
    let net = Net::new(
        r#"
dim N = ?
input %x : f32[N, 6]
param @a.weight : f32[6, 12]
param @m.weight : f32[4, 15]
param @s : f32[3, 15]
param @o.weight : f32[45, 6]
%0 = matmul(%x, @a.weight)
%1 = reshape(%0) : f32[N, 3, 4]
%2 = matmul(%1, @m.weight)
%3 = reshape(%2) : f32[N, 3, 3, 5]
%4 = transpose(%3) {perm = [0, 2, 1, 3]}
%5 = add(%4, %3)
%6 = reshape(%5) : f32[N, 45]
%y = matmul(%6, @o.weight)
output %y"#,
    );
    assert!(refused(&net, "m.weight:0").contains("`matmul`"));
    assert_eq!(extents(&net), []);
}

/// Without a lock, the weights alone tell: heads that went, dims of heads, and rows.
#[test]
fn rows_are_told_from_the_weights() {
    for text in [HEADS, GROUPED] {
        let net = Net::new(text);
        let mut random = Random(9);
        for round in 0..8 {
            let keep = match round % 2 {
                0 => net.rows(&mut random),
                _ => net.keep(&mut random),
            };
            let pruned = net.shrunk(&keep);
            let told = recover(&net.module, &net.facts, &pruned).unwrap();
            net.verify(&told, &pruned)
                .unwrap_or_else(|e| panic!("{e}: {told:?}, and not {keep:?}"));
        }
    }
}

fn plan(text: &str) -> Arc<Source> {
    Arc::new(Source {
        name: "plan.toml".into(),
        text: text.into(),
    })
}

/// The best positions of each row are those of the largest weights there, and a lock says so and says it again.
#[test]
fn the_best_of_each_row_stay_and_a_lock_replays() {
    let mut net = Net::new(HEADS);
    // Of head `h`, feature `h` of the values has the least weight, then the one after.
    for name in ["v.weight", "v.bias", "o.weight"] {
        let v = net.value(name);
        let whole = net.module.value(v).tensor().unwrap().clone();
        let at = |i: usize| match name {
            "o.weight" => i / 6,
            _ => i % 12,
        };
        let weight = |i: usize| 1.0 + ((at(i) % 4 + 4 - at(i) / 4) % 4) as f32;
        let all = (0..whole.len()).map(weight).collect();
        let value = tpc::tensor::Tensor::from_f32(&whole.shape, all).unwrap();
        net.module.values[v.at()].def = Def::Param(value);
    }
    let text = "[target]\nratio = 0.5\n[select]\nragged = true\n";
    let read = Plan::read(&plan(text)).unwrap();
    let all = groups(&net.module, &net.facts);
    let choice = select(&net.module, &net.facts, &all, &read).unwrap();
    let d = net.facts.axes(net.value("10")).unwrap()[3];
    let atom = net.facts.dims.find(d);
    let chosen = choice.chosen.iter().find(|c| c.atom == atom).unwrap();
    assert_eq!(chosen.kept.to_string(), "2-3 | 0, 3 | 0-1");
    let pruned = net.shrunk(&choice.keep);
    net.verify(&choice.keep, &pruned).unwrap();
    let cost = |module| {
        let facts = tpc::ir::propagate(module).unwrap();
        tpc::prune::cost(module, &facts, tpc::prune::Convention::Own)
    };
    let (before, after) = (cost(&net.module), cost(&pruned));
    let at = tpc::prune::standard_binding(&net.module, &net.facts);
    let lock = Lock::new(
        &net.module,
        &[],
        &all,
        &choice,
        [&before, &after],
        &at,
        None,
    );
    let text = lock.text().unwrap();
    let source = plan(&text);
    let mut again = Net::new(HEADS);
    again.module = net.module.clone();
    let replay = |source: &Arc<Source>, facts: &mut tpc::ir::Facts| {
        Lock::read(source)?.replay(source, &net.module, facts)
    };
    let (all, same) = replay(&source, &mut again.facts).unwrap();
    assert_eq!(same.keep, choice.keep);
    let lock = Lock::new(&net.module, &[], &all, &same, [&before, &after], &at, None);
    assert_eq!(lock.text().unwrap(), text);
    // Rows that are missing, of different lengths, or of a dim that has none.
    for (from, to) in [
        ("\"2-3\", ", ""),
        ("\"2-3\"", "\"2\""),
        ("\"2-3\"", "\"2-4\""),
        ("\"2-3\"", "\"3, 2\""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert!(replay(&plan(&changed), &mut again.facts).is_err(), "{to}");
    }
}
