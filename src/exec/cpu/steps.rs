//! The CPU's match over steps.
use super::super::step::{After, Step};
use super::wide::wide;
use super::{conv, copy, lines, pointwise, pool, product};
use rayon::prelude::*;

/// Runs a step on floats; `out` may hold anything before. False for the reference, which needs tensors.
///
/// # Panics
/// Where slices are not of the lengths that the step's extents say.
pub fn run(step: &Step, operands: &[Option<&[f32]>], out: &mut [f32]) -> bool {
    let x = |k: usize| operands.get(k).copied().flatten();
    let must = |k: usize| x(k).unwrap_or_default();
    match step {
        Step::Conv(conv) => conv::conv(conv, must(0), must(1), x(2), out),
        Step::Spread(conv) => conv::spread(conv, must(0), must(1), x(2), out),
        Step::Product(product) => product::products(product, must(0), must(1), x(2), out),
        Step::Map(f, attrs) => pointwise::map(*f, attrs, x(0), out),
        Step::Clip => pointwise::clip(must(0), x(1), x(2), out),
        Step::Zip(f, attrs, zip) => pointwise::zip(*f, attrs, zip, [must(0), must(1)], out),
        Step::BatchNorm(channels) => {
            pointwise::batch_norm(channels, [0, 1, 2, 3, 4].map(must), out);
        }
        Step::Softmax(kind, line) => lines::softmax(*kind, *line, must(0), out),
        Step::Norm(norm) => lines::norm(norm, must(0), must(1), x(2), out),
        Step::Reduce(reduce) => lines::reduce(reduce, must(0), out),
        Step::Pool(kind, slide) => pool::pool(*kind, slide, must(0), out),
        Step::Copy(blocks) => copy::copy(blocks, operands, out),
        Step::Reference => return false,
    }
    true
}

/// Does with every element of `out` what is done at once; `other` is what is added.
pub fn after(after: &After, other: Option<&[f32]>, out: &mut [f32]) {
    match after {
        After::Map(f, attrs) => pointwise::map(*f, attrs, None, out),
        After::Clip(least, most) => pointwise::hold(None, (*least, *most), out),
        After::Add(_) => pointwise::add(other.unwrap_or_default(), out),
    }
}

/// Elements that are worth a thread.
const GRAIN: usize = 1 << 14;

/// Splits `out` into runs of whole units among the threads; `each` gets the first unit of a run, and the run.
pub fn split(out: &mut [f32], unit: usize, each: impl Fn(usize, &mut [f32]) + Sync) {
    split_weighted(out, unit, 1, each);
}

/// The same where every element of `out` is made from `weight` others.
pub fn split_weighted(
    out: &mut [f32],
    unit: usize,
    weight: usize,
    each: impl Fn(usize, &mut [f32]) + Sync,
) {
    let unit = unit.max(1);
    let units = out.len() / unit;
    let work = out.len().saturating_mul(weight);
    if work <= GRAIN || units < 2 {
        return wide(|| each(0, out));
    }
    let runs = (work / GRAIN + 1).min(4 * rayon::current_num_threads());
    let share = units.div_ceil(runs).max(1);
    out.par_chunks_mut(share * unit)
        .enumerate()
        .for_each(|(i, run)| wide(|| each(i * share, run)));
}
