//! Lines of elements that are normalized, become distributions, or become one element.
use super::super::step::{Fold, Norm, Reduce};
use super::pointwise::exp;
use super::steps::split;
use crate::ops::Softmax;

/// Elements that are added in f32 before the sum goes on in f64.
const BLOCK: usize = 512;

/// The sum of a function of the elements; the order of adding is fixed, and its error does not grow with the length.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut total = 0f64;
    for block in x.chunks(BLOCK) {
        let mut lanes = [0f32; 8];
        let eights = block.chunks_exact(8);
        let rest: f32 = eights.remainder().iter().map(|x| f(*x)).sum();
        for eight in eights {
            lanes.iter_mut().zip(eight).for_each(|(s, x)| *s += f(*x));
        }
        total += (lanes.iter().sum::<f32>() + rest) as f64;
    }
    total
}

/// The largest element; a number that is none where one is.
#[inline(always)]
fn top(x: &[f32]) -> f32 {
    x.iter().fold(
        f32::NEG_INFINITY,
        |a, x| if *x > a || x.is_nan() { *x } else { a },
    )
}

/// Every line as a distribution, or its logarithm.
pub fn softmax(kind: Softmax, line: usize, x: &[f32], out: &mut [f32]) {
    split(out, line, |first, out| {
        let x = x[first * line..].chunks(line);
        for (x, out) in x.zip(out.chunks_mut(line)) {
            let top = top(x);
            out.iter_mut().zip(x).for_each(|(o, x)| *o = exp(x - top));
            let sum = sum(out, |x| x);
            match kind {
                Softmax::Log => {
                    let log = sum.ln() as f32;
                    out.iter_mut().zip(x).for_each(|(o, x)| *o = x - top - log);
                }
                _ => {
                    let factor = (1.0 / sum) as f32;
                    out.iter_mut().for_each(|o| *o *= factor);
                }
            }
        }
    });
}

/// Every line normalized, then scaled and moved.
pub fn norm(step: &Norm, x: &[f32], scale: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let line = step.line;
    split(out, line, |first, out| {
        let x = x[first * line..].chunks(line);
        for (i, (x, out)) in x.zip(out.chunks_mut(line)).enumerate() {
            let mean = match step.centered {
                true => (sum(x, |x| x) / line as f64) as f32,
                false => 0.0,
            };
            let spread = sum(x, |x| (x - mean) * (x - mean)) / line as f64;
            let factor = (1.0 / (spread + step.epsilon as f64).sqrt()) as f32;
            let Some((channels, plane)) = step.channels else {
                for ((o, x), s) in out.iter_mut().zip(x).zip(scale) {
                    *o = (x - mean) * factor * s;
                }
                if let Some(bias) = bias {
                    out.iter_mut().zip(bias).for_each(|(o, b)| *o += b);
                }
                continue;
            };
            let channel = (first + i) * line / plane.max(1);
            let planes = x.chunks(plane).zip(out.chunks_mut(plane));
            for (c, (x, out)) in planes.enumerate() {
                let c = (channel + c) % channels;
                let (s, b) = (factor * scale[c], bias.map_or(0.0, |b| b[c]));
                out.iter_mut()
                    .zip(x)
                    .for_each(|(o, x)| *o = (x - mean) * s + b);
            }
        }
    });
}

/// Every line as one element.
pub fn reduce(step: &Reduce, x: &[f32], out: &mut [f32]) {
    let (line, inner, n) = (step.line, step.inner, step.line as f64);
    if inner == 1 {
        return super::steps::split_weighted(out, 1, line, |first, out| {
            let x = x[first * line..].chunks(line);
            for (x, o) in x.zip(out) {
                *o = match step.fold {
                    Fold::Sum => sum(x, |x| x) as f32,
                    Fold::Mean => (sum(x, |x| x) / n) as f32,
                    Fold::SumSquare => sum(x, |x| x * x) as f32,
                    Fold::Max => top(x),
                    Fold::Min => x.iter().fold(f32::INFINITY, |a, x| least(a, *x)),
                };
            }
        });
    }
    super::steps::split_weighted(out, inner, line, |first, out| {
        let mut sums = vec![0f64; inner];
        let blocks = x[first * line * inner..].chunks(line * inner);
        for (x, out) in blocks.zip(out.chunks_mut(inner)) {
            sums.fill(0.0);
            match step.fold {
                Fold::Max => out.fill(f32::NEG_INFINITY),
                Fold::Min => out.fill(f32::INFINITY),
                Fold::Sum | Fold::Mean | Fold::SumSquare => {}
            }
            for x in x.chunks(inner) {
                let pairs = out.iter_mut().zip(x);
                let sums = sums.iter_mut().zip(x);
                match step.fold {
                    Fold::Sum | Fold::Mean => sums.for_each(|(s, x)| *s += *x as f64),
                    Fold::SumSquare => sums.for_each(|(s, x)| *s += *x as f64 * *x as f64),
                    Fold::Max => {
                        pairs.for_each(|(o, x)| *o = if *x > *o || x.is_nan() { *x } else { *o })
                    }
                    Fold::Min => pairs.for_each(|(o, x)| *o = least(*o, *x)),
                }
            }
            let share = if step.fold == Fold::Mean { n } else { 1.0 };
            if !matches!(step.fold, Fold::Max | Fold::Min) {
                out.iter_mut()
                    .zip(&sums)
                    .for_each(|(o, s)| *o = (s / share) as f32);
            }
        }
    });
}

#[inline(always)]
fn least(a: f32, x: f32) -> f32 {
    if x < a || x.is_nan() { x } else { a }
}
