//! Criteria: how much each position of an atom matters.
use super::groups::{Group, ParamAxis};
use crate::dims::{Dim, Term};
use crate::ir::{Facts, Module, ValueId};
use crate::ops::Role;
use crate::tensor::Tensor;
use rayon::prelude::*;
use std::collections::HashMap;

/// How the entries of a group become one score (Torch-Pruning's `group_reduction`).
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// The sum of all entries.
    Sum,
    /// Their mean.
    Mean,
    /// The largest.
    Max,
    /// Their product.
    Prod,
    /// The first.
    First,
}

/// What scores are divided by, so that those of different groups compare (Torch-Pruning's `normalizer`).
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Nothing.
    None,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest.
    Max,
}

/// The magnitude criterion: per param axis the sum of `|w|^p`, no root taken.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Magnitude {
    /// The power.
    pub p: f64,
    /// Over the entries of a group.
    pub reduce: Reduce,
    /// Over the positions of a group.
    pub normalize: Normalize,
}

/// Sums of `|w|^p` along axes of params: computed once for all groups that a param is in.
pub struct Sums {
    sums: HashMap<(ValueId, usize), Vec<f64>>,
}

/// Whether a param axis of this role counts.
fn scored(role: Role) -> bool {
    matches!(role, Role::Out | Role::In | Role::Scale)
}

/// The param axes that a group is scored by: weights and scales, or whatever there is.
pub(super) fn entries(group: &Group) -> impl Iterator<Item = &ParamAxis> {
    let some = group.axes.iter().any(|a| scored(a.role));
    let counts = move |a: &&ParamAxis| scored(a.role) || !some;
    group.axes.iter().filter(counts)
}

impl Sums {
    /// Reads every param once, several at a time, a block at a time; pages of mapped files are given back.
    pub fn new(module: &Module, groups: &[&Group], p: f64) -> Sums {
        let mut wanted: HashMap<ValueId, Vec<usize>> = HashMap::new();
        for axis in groups.iter().flat_map(|g| entries(g)) {
            let axes = wanted.entry(axis.value).or_default();
            if !axes.contains(&axis.axis) {
                axes.push(axis.axis);
            }
        }
        let all: Vec<(ValueId, Vec<usize>)> = wanted.into_iter().collect();
        let sums = all
            .par_iter()
            .flat_map_iter(|(v, axes)| {
                let tensor = module.value(*v).tensor();
                let sums = tensor.map(|t| sums(t, axes, p)).unwrap_or_default();
                axes.iter().map(|axis| (*v, *axis)).zip(sums)
            })
            .collect();
        Sums { sums }
    }
    /// The score of each position of a group.
    ///
    /// Positions of a param axis that hold the same position of the atom add up, except over counts (groups of a
    /// convolution, heads), over which they are averaged.
    pub fn scores(&self, facts: &Facts, group: &Group, by: Magnitude) -> Vec<f64> {
        let all = entries(group).filter_map(|entry| {
            let sums = self.sums.get(&(entry.value, entry.axis))?;
            let d = facts.axes(entry.value).unwrap_or_default()[entry.axis];
            Some(onto(facts, d, group, sums))
        });
        combined(all, group.extent, by)
    }
}

/// The scores of `extent` positions from those that single entries give.
pub(super) fn combined(
    all: impl IntoIterator<Item = Vec<f64>>,
    extent: usize,
    by: Magnitude,
) -> Vec<f64> {
    let mut scores: Option<Vec<f64>> = None;
    let mut count = 0;
    for own in all {
        count += 1;
        let Some(scores) = &mut scores else {
            scores = Some(own);
            continue;
        };
        for (score, own) in scores.iter_mut().zip(own) {
            match by.reduce {
                Reduce::Sum | Reduce::Mean => *score += own,
                Reduce::Max => *score = score.max(own),
                Reduce::Prod => *score *= own,
                Reduce::First => {}
            }
        }
    }
    let mut scores = scores.unwrap_or_else(|| vec![0.0; extent]);
    if by.reduce == Reduce::Mean {
        scores.iter_mut().for_each(|s| *s /= count.max(1) as f64);
    }
    let sum: f64 = scores.iter().sum();
    let by = match by.normalize {
        Normalize::None => 1.0,
        Normalize::Sum => sum,
        Normalize::Mean => sum / scores.len().max(1) as f64,
        Normalize::Max => scores.iter().fold(0.0, |a: f64, b| a.max(*b)),
    };
    if by > 0.0 {
        scores.iter_mut().for_each(|s| *s /= by);
    }
    scores
}

/// Sums along an axis, gathered by the position of the atom that each position of the axis needs.
fn onto(facts: &Facts, d: Dim, group: &Group, sums: &[f64]) -> Vec<f64> {
    let term = facts.dims.term(d);
    if term == Term::Atom(group.atom) {
        return sums.to_vec();
    }
    let mut own = vec![0.0; group.extent];
    let mut add = |at: usize, factor: f64, position: usize| {
        if let (Some(sum), Some(own)) = (sums.get(at), own.get_mut(position)) {
            *own += sum * factor;
        }
    };
    visit(facts, &term, group.atom, 0, &mut add);
    own
}

/// Calls `add` with every position of a term in which the atom has a part, by what it counts, and which position of
/// the atom it is.
pub(super) fn visit(
    facts: &Facts,
    term: &Term,
    atom: Dim,
    at: usize,
    add: &mut dyn FnMut(usize, f64, usize),
) {
    match term {
        Term::Atom(own) if *own == atom => {
            (0..facts.dims.size(term)).for_each(|i| add(at + i, 1.0, i));
        }
        Term::Atom(_) => {}
        Term::Sum(parts) => {
            let mut at = at;
            for part in parts {
                visit(facts, part, atom, at, add);
                at += facts.dims.size(part);
            }
        }
        Term::Product(factors) => {
            let Some(k) = factors.iter().position(|f| f.atoms().contains(&atom)) else {
                return;
            };
            let size = |f: &Term| facts.dims.size(f);
            let counts = factors.iter().filter(
                |f| matches!(f, Term::Atom(other) if *other != atom && facts.dims.is_count(*other)),
            );
            let share = 1.0 / counts.map(size).product::<usize>().max(1) as f64;
            let inner: usize = factors[k + 1..].iter().map(size).product();
            let outer: usize = factors[..k].iter().map(size).product();
            let own = size(&factors[k]);
            visit(facts, &factors[k], atom, 0, &mut |i, factor, position| {
                for o in 0..outer {
                    for j in 0..inner {
                        add(at + (o * own + i) * inner + j, factor * share, position);
                    }
                }
            });
        }
    }
}

/// Per wanted axis, the sum of `|w|^p` over all other axes.
fn sums(tensor: &Tensor, axes: &[usize], p: f64) -> Vec<Vec<f64>> {
    // The usual powers get loops of their own.
    match p {
        2.0 => sums_of(tensor, axes, |x| (x as f64) * (x as f64)),
        1.0 => sums_of(tensor, axes, |x| (x as f64).abs()),
        p => sums_of(tensor, axes, |x| power(x, p)),
    }
}

/// `|x|^p`.
pub(super) fn power(x: f32, p: f64) -> f64 {
    (x as f64).abs().powf(p)
}

fn sums_of(tensor: &Tensor, axes: &[usize], power: impl Fn(f32) -> f64 + Copy) -> Vec<Vec<f64>> {
    let mut sums: Vec<Vec<f64>> = axes.iter().map(|a| vec![0.0; tensor.shape[*a]]).collect();
    let last = axes.iter().copied().max().unwrap_or(0);
    // Behind the last wanted axis everything adds up.
    let inner: usize = tensor.shape[last + 1..].iter().product();
    let n = tensor.shape[last].max(1);
    let mut row = vec![0.0; n];
    // How many positions of rows were read.
    let mut at = 0;
    for block in tensor.blocks(if inner == 1 { n } else { inner }) {
        let Ok(values) = block.to_f32() else {
            return sums;
        };
        for run in values.chunks(if inner == 1 { n } else { inner.max(1) }) {
            if inner == 1 {
                let powers = row.iter_mut().zip(run);
                powers.for_each(|(sum, x)| *sum = power(*x));
                at += n;
            } else {
                row[at % n] = total(run.iter().map(|x| power(*x)));
                at += 1;
                if at % n > 0 {
                    continue;
                }
            }
            let whole = match axes.len() {
                1 => 0.0,
                _ => total(row.iter().copied()),
            };
            for (axis, sums) in axes.iter().zip(&mut sums) {
                if *axis == last {
                    sums.iter_mut().zip(&row).for_each(|(s, r)| *s += r);
                    continue;
                }
                // The position along an earlier axis, counted from the rows before.
                let step: usize = tensor.shape[axis + 1..last].iter().product();
                sums[(at / n - 1) / step % tensor.shape[*axis]] += whole;
            }
        }
        block.release();
    }
    sums
}

/// A sum in four parts, so that an addition need not wait for the one before.
fn total(mut values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let mut parts = [0.0; 4];
    while values.len() >= 4 {
        for part in &mut parts {
            *part += values.next().unwrap_or(0.0);
        }
    }
    values.sum::<f64>() + (parts[0] + parts[1]) + (parts[2] + parts[3])
}
