//! Scores of a ragged dim: one for each of its positions at each position of the dim that its rows go by.
use super::criteria::{Magnitude, combined, entries, power, visit};
use super::groups::{Group, ParamAxis};
use super::keep::Rows;
use crate::dims::{Dim, Term};
use crate::ir::{Facts, Module};
use crate::tensor::Tensor;

/// The scores, row by row.
///
/// They are those of the dim itself before positions of other rows are added up: of every param axis the sum of `|w|^p`
/// where both dims have their positions.
pub fn scores(
    module: &Module,
    facts: &Facts,
    group: &Group,
    by: Dim,
    magnitude: Magnitude,
) -> Vec<Vec<f64>> {
    let rows = facts.dims.size(&Term::Atom(by));
    let all: Vec<Vec<f64>> = entries(group)
        .filter_map(|entry| of_entry(module, facts, group, by, entry, magnitude.p))
        .collect();
    let flat = combined(all, rows * group.extent, magnitude);
    flat.chunks(group.extent).map(<[f64]>::to_vec).collect()
}

/// The `stay` positions of the highest scores of each row, and the least score that stays.
pub fn highest(by: Dim, scores: &[Vec<f64>], stay: usize) -> (Rows, Option<f64>) {
    let (mut kept, mut cut) = (vec![], None);
    for row in scores {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|a, b| row[*a].total_cmp(&row[*b]));
        let mut best = order.split_off(row.len() - stay.min(row.len()));
        let least = best.first().map(|i| row[*i]);
        cut = match (cut, least) {
            (Some(a), Some(b)) => Some(f64::min(a, b)),
            (a, b) => a.or(b),
        };
        best.sort();
        kept.push(best);
    }
    (Rows { by, kept }, cut)
}

/// What one param axis gives: a score for each pair, row by row.
fn of_entry(
    module: &Module,
    facts: &Facts,
    group: &Group,
    by: Dim,
    entry: &ParamAxis,
    p: f64,
) -> Option<Vec<f64>> {
    let dims = &facts.dims;
    let tensor = module.value(entry.value).tensor()?;
    let axes = facts.axes(entry.value)?;
    let rows = |axis: usize| -> Vec<Option<usize>> {
        let row = |needs: &Vec<(Dim, usize)>| needs.iter().find(|(a, _)| *a == by).map(|(_, i)| *i);
        dims.needs(axes[axis]).iter().map(row).collect()
    };
    let own = rows(entry.axis);
    let term = dims.term(axes[entry.axis]);
    let extent = group.extent;
    let mut all = vec![0.0; dims.size(&Term::Atom(by)) * extent];
    // Over counts scores are averaged; over the rows they are not.
    let is_own = own.iter().any(Option::is_some);
    let count = match is_own && dims.is_count(by) {
        true => dims.size(&Term::Atom(by)) as f64,
        false => 1.0,
    };
    let others = (0..axes.len()).filter(|axis| *axis != entry.axis);
    let other = others
        .map(|axis| (axis, rows(axis)))
        .find(|(_, rows)| !is_own && rows.iter().any(Option::is_some));
    let (outer, row_of) = match &other {
        Some((axis, rows)) => (*axis, rows),
        None => (entry.axis, &own),
    };
    let sums = sums(tensor, outer, entry.axis, p);
    let n = tensor.shape[entry.axis];
    visit(facts, &term, group.atom, 0, &mut |at, factor, position| {
        let lines = match &other {
            Some(_) => 0..row_of.len(),
            None => at..at + 1,
        };
        for line in lines {
            if let (Some(row), Some(sum)) = (row_of[line], sums.get(line * n + at)) {
                all[row * extent + position] += sum * factor * count;
            }
        }
    });
    Some(all)
}

/// Sums of `|w|^p` over all axes but two, as a matrix; of one axis, on its diagonal.
fn sums(tensor: &Tensor, outer: usize, inner: usize, p: f64) -> Vec<f64> {
    let n = tensor.shape[inner];
    let mut sums = vec![0.0; tensor.shape[outer] * n];
    let Ok(values) = tensor.to_f32() else {
        return sums;
    };
    let step = |axis: usize| tensor.shape[axis + 1..].iter().product::<usize>().max(1);
    let (first, second) = (step(outer), step(inner));
    for (at, x) in values.iter().enumerate() {
        let (line, column) = (at / first % tensor.shape[outer], at / second % n);
        sums[line * n + column] += power(*x, p);
    }
    tensor.release();
    sums
}
