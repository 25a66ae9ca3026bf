//! Functions of each element, alone or with another; in forms that become vector code.
use super::super::step::{Channels, Zip};
use super::steps::split;
use crate::ops::index::unravel;
use crate::ops::{Attrs, Binary, Unary};

/// `e^x` without branches, to about one unit in the last place; 0 below what f32 has without denormals.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 89.0);
    // x = n ln 2 + r, where ln 2 is in two parts so that the difference is exact.
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * 0.693_359_4) + n * 2.121_944_4e-4;
    // The polynomial of Cephes' `expf`.
    let p = ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
        + 1.666_666_5e-1)
        * r
        + 0.5;
    let y = p * r * r + r + 1.0;
    // The last bits of the sum are n. Two factors, as 2^128 alone is no f32.
    let whole = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = whole >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    let all = y * power(half) * power(whole.wrapping_sub(half));
    match x < -87.3 {
        true => 0.0,
        false => all,
    }
}

/// The error function as a quotient of polynomials, to a few units in the last place.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let z = x * x;
    let over =
        (((((-2.726_142_3e-10 * z + 2.770_681_4e-8) * z - 2.101_024e-6) * z - 5.692_506_4e-5) * z
            - 7.349_906e-4)
            * z
            - 2.954_6e-3)
            * z
            - 1.609_603_3e-2;
    let under = (((-1.456_607_2e-5 * z - 2.133_740_6e-4) * z - 1.682_827e-3) * z - 7.373_329e-3)
        * z
        - 1.426_473_9e-2;
    x * over / under
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    // Near 0 the quotient loses what makes the difference; there it is a short odd polynomial (Cephes' `tanhf`).
    let z = x * x;
    let near = ((((-5.704_988_7e-3 * z + 2.063_909e-2) * z - 5.373_971_5e-2) * z + 1.333_144_2e-1)
        * z
        - 3.333_328e-1)
        * z
        * x
        + x;
    let far = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    if x.abs() < 0.625 { near } else { far }
}

/// A function of every element; of those that are in `out` where there is no `x`.
pub fn map(f: Unary, attrs: &Attrs, x: Option<&[f32]>, out: &mut [f32]) {
    let tanh_gelu = attrs.str_or("approximate", "none") == "tanh";
    match f {
        Unary::Relu => each(x, out, |x| if x < 0.0 { 0.0 } else { x }),
        Unary::Sigmoid => each(x, out, sigmoid),
        Unary::Swish => {
            let a = attrs.float_or("alpha", 1.0);
            each(x, out, move |x| x * sigmoid(a * x));
        }
        Unary::Tanh => each(x, out, tanh),
        Unary::Exp => each(x, out, exp),
        Unary::Erf => each(x, out, erf),
        Unary::Gelu if !tanh_gelu => each(x, out, |x| {
            0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
        }),
        Unary::HardSwish => each(x, out, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        Unary::HardSigmoid => {
            let (a, b) = (attrs.float_or("alpha", 0.2), attrs.float_or("beta", 0.5));
            each(x, out, move |x| (a * x + b).clamp(0.0, 1.0));
        }
        Unary::Sqrt => each(x, out, f32::sqrt),
        Unary::Neg => each(x, out, |x| -x),
        Unary::Abs => each(x, out, f32::abs),
        Unary::Reciprocal => each(x, out, |x| 1.0 / x),
        other => {
            let f = other.function(attrs);
            each(x, out, f);
        }
    }
}

fn each(x: Option<&[f32]>, out: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    split(out, 1, |first, out| match x {
        Some(x) => {
            let x = &x[first..first + out.len()];
            out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x));
        }
        None => out.iter_mut().for_each(|o| *o = f(*o)),
    });
}

/// Every element between two bounds.
pub fn clip(x: &[f32], least: Option<&[f32]>, most: Option<&[f32]>, out: &mut [f32]) {
    let bound = |b: Option<&[f32]>, none| b.and_then(|b| b.first().copied()).unwrap_or(none);
    let bounds = (bound(least, f32::NEG_INFINITY), bound(most, f32::INFINITY));
    hold(Some(x), bounds, out);
}

/// The same, with bounds that are known, and of what is in `out` where there is no `x`.
pub fn hold(x: Option<&[f32]>, (least, most): (f32, f32), out: &mut [f32]) {
    each(x, out, |x| {
        let x = if x < least { least } else { x };
        if x > most { most } else { x }
    });
}

/// Adds `x`, again and again where it is shorter.
pub fn add(x: &[f32], out: &mut [f32]) {
    match x {
        [] => {}
        [one] => each(None, out, |o| o + one),
        _ if x.len() == out.len() => split(out, 1, |first, out| {
            let pairs = out.iter_mut().zip(&x[first..]);
            pairs.for_each(|(o, x)| *o += x);
        }),
        _ => split(out, x.len(), |_, out| {
            for out in out.chunks_mut(x.len()) {
                out.iter_mut().zip(x).for_each(|(o, x)| *o += x);
            }
        }),
    }
}

/// A function of two elements.
pub fn zip(f: Binary, attrs: &Attrs, step: &Zip, x: [&[f32]; 2], out: &mut [f32]) {
    match f {
        Binary::Add | Binary::Sum => pairs(step, x, out, |a, b| a + b),
        Binary::Sub => pairs(step, x, out, |a, b| a - b),
        Binary::Mul => pairs(step, x, out, |a, b| a * b),
        Binary::Div => pairs(step, x, out, |a, b| a / b),
        other => match other.float(attrs) {
            Some(f) => pairs(step, x, out, f),
            None => out.fill(f32::NAN),
        },
    }
}

fn pairs(step: &Zip, [a, b]: [&[f32]; 2], out: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    let last = step.shape.len() - 1;
    let n = step.shape[last];
    let (outer, down, along) = (
        &step.shape[..last],
        step.strides.each_ref().map(|s| &s[..last]),
        step.strides.each_ref().map(|s| s[last]),
    );
    if last == 0 && along == [1, 1] {
        return split(out, 1, |first, out| {
            let rows = a[first..].iter().zip(&b[first..]);
            out.iter_mut()
                .zip(rows)
                .for_each(|(o, (a, b))| *o = f(*a, *b));
        });
    }
    split(out, n, |first, out| {
        let mut index = unravel(first, outer);
        let at = |k: usize, index: &[usize]| -> usize {
            index.iter().zip(down[k]).map(|(i, s)| i * s).sum()
        };
        let (mut i, mut j) = (at(0, &index), at(1, &index));
        for out in out.chunks_mut(n) {
            row([&a[i..], &b[j..]], along, out, &f);
            for axis in (0..last).rev() {
                index[axis] += 1;
                (i, j) = (i + down[0][axis], j + down[1][axis]);
                if index[axis] < outer[axis] {
                    break;
                }
                index[axis] = 0;
                i -= down[0][axis] * outer[axis];
                j -= down[1][axis] * outer[axis];
            }
        }
    });
}

#[inline(always)]
fn row([a, b]: [&[f32]; 2], along: [usize; 2], out: &mut [f32], f: &impl Fn(f32, f32) -> f32) {
    match along {
        [1, 1] => {
            let rows = a[..out.len()].iter().zip(&b[..out.len()]);
            out.iter_mut()
                .zip(rows)
                .for_each(|(o, (a, b))| *o = f(*a, *b));
        }
        [1, 0] => {
            let b = b[0];
            out.iter_mut().zip(a).for_each(|(o, a)| *o = f(*a, b));
        }
        [0, 1] => {
            let a = a[0];
            out.iter_mut().zip(b).for_each(|(o, b)| *o = f(a, *b));
        }
        [p, q] => {
            let places = out.iter_mut().enumerate();
            places.for_each(|(k, o)| *o = f(a[k * p], b[k * q]));
        }
    }
}

/// Operands: input, scale, bias, mean, variance.
pub fn batch_norm(step: &Channels, [x, scale, bias, mean, var]: [&[f32]; 5], out: &mut [f32]) {
    let plane = step.plane;
    split(out, plane, |first, out| {
        let x = x[first * plane..].chunks(plane);
        for (i, (x, out)) in x.zip(out.chunks_mut(plane)).enumerate() {
            let c = (first + i) % step.count;
            let factor = scale[c] / (var[c] + step.epsilon).sqrt();
            let (mean, bias) = (mean[c], bias[c]);
            let pairs = out.iter_mut().zip(x);
            pairs.for_each(|(o, x)| *o = (x - mean) * factor + bias);
        }
    });
}
