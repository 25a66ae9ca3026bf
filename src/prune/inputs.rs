//! What verification runs on: extents for the run-time symbols, and random inputs.
use crate::ir::{Facts, Module, NodeId, ValueId};
use crate::ops::{Attrs, Op};
use crate::tensor::{DType, Extent, Random, Tensor};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Numbers for run-time symbols, by name.
pub type Binding = BTreeMap<String, i64>;

/// What run-time symbols other than batches are bound to in the two runs; later pairs where a model needs more, or the
/// one size that a table of its positions was made for.
const PAIRS: [[i64; 2]; 9] = [
    [16, 23],
    [32, 48],
    [64, 96],
    [128, 160],
    [224, 256],
    [256, 224],
    [384, 384],
    [299, 299],
    [512, 512],
];

/// What to bind run-time symbols to: per run, what to try in turn.
pub(super) fn bindings(
    module: &Module,
    facts: &Facts,
    stated: &BTreeMap<String, Vec<i64>>,
) -> Vec<Vec<Binding>> {
    let (symbols, batches) = symbols(module, facts);
    if symbols.is_empty() {
        return vec![vec![Binding::new()]];
    }
    let run = |k: usize| {
        let bound = |pair: &[i64; 2]| -> Binding {
            let number = |symbol: &Arc<str>| match stated.get(&**symbol) {
                Some(all) if !all.is_empty() => all[k % all.len()],
                _ if batches.contains(symbol) => [1, 3][k],
                _ => pair[k],
            };
            let numbers = symbols.iter().map(|s| (s.to_string(), number(s)));
            numbers.collect()
        };
        let mut tries: Vec<Binding> = PAIRS.iter().map(bound).collect();
        // Behind a cache one is the sum of two others: all, of what was there and what is new.
        let lengths = symbols
            .iter()
            .filter(|s| !batches.contains(*s) && !stated.contains_key(&***s));
        let lengths: Vec<&Arc<str>> = lengths.collect();
        if let [first, second, rest @ ..] = &lengths[..]
            && !rest.is_empty()
        {
            for sum in rest.iter().chain([second, first]) {
                let mut behind = bound(&PAIRS[0]);
                behind.insert(sum.to_string(), 2 * PAIRS[0][k]);
                tries.push(behind);
            }
        }
        tries.dedup();
        tries
    };
    vec![run(0), run(1)]
}

/// How inputs are drawn.
#[derive(Copy, Clone)]
pub struct Draw {
    /// What normal floats are multiplied by.
    pub scale: f32,
    /// Whether integers that index nothing are 1, as those of masks that hide nothing, and not 0 or 1.
    pub ones: bool,
}

/// The usual one.
pub const NORMAL: Draw = Draw {
    scale: 1.0,
    ones: false,
};

/// The run-time symbols of the inputs, and which of them are batches: those of a first axis, or called so.
pub(super) fn symbols(module: &Module, facts: &Facts) -> (BTreeSet<Arc<str>>, BTreeSet<Arc<str>>) {
    let mut symbols: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut batches: BTreeSet<Arc<str>> = BTreeSet::new();
    for v in &module.inputs {
        let shape = facts.shape(*v);
        for (axis, extent) in shape.iter().flat_map(|s| s.axes.iter().enumerate()) {
            for symbol in extent.symbols() {
                if axis == 0 || symbol.to_lowercase().contains("batch") {
                    batches.insert(symbol.clone());
                }
                symbols.insert(symbol);
            }
        }
    }
    (symbols, batches)
}

/// Random inputs under a binding; integers stay below what they index.
pub fn random_inputs(
    module: &Module,
    facts: &Facts,
    binding: &Binding,
    draw: Draw,
    seed: u64,
) -> Result<Vec<Tensor>, String> {
    let users = module.users();
    let mut inputs = vec![];
    for (i, v) in module.inputs.iter().enumerate() {
        let name = &module.value(*v).name;
        let shape = facts
            .shape(*v)
            .ok_or_else(|| format!("the rank of input `{name}` is not known"))?;
        let extent = |e: &Extent| {
            let n = e.eval(&|symbol| binding.get(symbol).copied())?;
            usize::try_from(n).ok()
        };
        let axes: Option<Vec<usize>> = shape.axes.iter().map(extent).collect();
        let axes = axes.ok_or_else(|| format!("the shape of input `{name}` is not known"))?;
        let mut random = seeded(seed.wrapping_add(i as u64));
        let integers = match shape.dtype.is_integer() {
            true => below(module, facts, &users, *v).map(|n| 0..n),
            false => None,
        };
        let integers = integers.unwrap_or(i64::from(draw.ones)..2);
        let tensor = filled(shape.dtype, &axes, draw.scale, integers, &mut random);
        inputs.push(tensor.ok_or_else(|| format!("input `{name}` is too large"))?);
    }
    Ok(inputs)
}

/// A random tensor: floats are normal, integers 0 or 1.
pub(super) fn random_like(dtype: DType, axes: &[usize], seed: u64) -> Option<Tensor> {
    filled(dtype, axes, 1.0, 0..2, &mut seeded(seed))
}

/// Most elements of an input.
const MOST: usize = 1 << 30;

fn filled(
    dtype: DType,
    axes: &[usize],
    scale: f32,
    integers: Range<i64>,
    random: &mut Random,
) -> Option<Tensor> {
    let count = axes
        .iter()
        .try_fold(1usize, |all, n| all.checked_mul(*n))
        .filter(|n| *n <= MOST)?;
    let tensor = if dtype.is_float() {
        Tensor::from_f32(axes, (0..count).map(|_| normal(random) * scale).collect())
    } else {
        let most = if dtype.size() == 1 {
            100
        } else {
            i32::MAX as i64
        };
        let count_of = (integers.end - integers.start).clamp(1, most) as u64;
        let value = |_| integers.start + (random.next() % count_of) as i64;
        Tensor::from_i64(axes, (0..count).map(value).collect())
    };
    tensor.and_then(|t| t.cast(dtype)).ok()
}

/// The least extent of an axis that the elements of a value index, if they do.
fn below(
    module: &Module,
    facts: &Facts,
    users: &[Vec<(NodeId, usize)>],
    v: ValueId,
) -> Option<i64> {
    let mut least: Option<i64> = None;
    let (mut at, mut seen) = (vec![v], HashMap::new());
    while let Some(v) = at.pop() {
        if seen.insert(v, ()).is_some() {
            continue;
        }
        for (id, k) in &users[v.at()] {
            let node = module.node(*id);
            let table = node.operands.first().copied().flatten();
            let axes = table.and_then(|t| facts.shape(t)).map(|s| s.axes);
            let extents: Vec<i64> = match (node.op, k, axes) {
                (Op::Gather | Op::GatherElements | Op::ScatterElements, 1, Some(axes)) => {
                    let axis = axis(&node.attrs, axes.len());
                    axes.get(axis).and_then(Extent::known).into_iter().collect()
                }
                (Op::GatherNd | Op::ScatterNd, 1, Some(axes)) => {
                    axes.iter().filter_map(Extent::known).collect()
                }
                _ => vec![],
            };
            match extents.into_iter().min() {
                Some(n) => least = Some(least.map_or(n, |l| l.min(n))),
                None if facts.view(module, *id, |view| {
                    node.op.operator().usage(view, *k) == crate::ops::Use::Seen
                }) =>
                {
                    at.extend(node.results.iter().flatten());
                }
                None => {}
            }
        }
    }
    least
}

fn axis(attrs: &Attrs, rank: usize) -> usize {
    let axis = attrs.int_or("axis", 0);
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).unwrap_or(0)
}

/// The numbers of a seed; seeds beside each other have nothing in common.
fn seeded(seed: u64) -> Random {
    Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
}

/// A number of the normal distribution: the sum of four uniform ones, which is near enough, and cheap.
fn normal(random: &mut Random) -> f32 {
    let sum: f32 = (0..4).map(|_| random.unit()).sum();
    (sum - 2.0) * 1.732_050_8
}
