//! Signals: window functions and the discrete Fourier transform.
use super::movement::{apart, wrong};
use super::table::family;
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};
use std::f64::consts::TAU;

family! {
    /// `hann_window() {size, periodic, dtype}`: a window of `size` positions, which ends before it repeats unless `periodic` is
    /// false.
    WindowFunction { Hann "hann_window" Hamming "hamming_window" Blackman "blackman_window" }
}

/// `dft(x) {length, axis, inverse, onesided}`: the Fourier transform along an axis; the last axis has real and imaginary part.
/// `onesided` leaves out the mirrored half, of the operand if it is `inverse`.
pub struct Dft;

impl Operator for WindowFunction {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("size", Kind::Extent),
            ("periodic", Kind::Bool),
            ("dtype", Kind::DType),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        0..=0
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let Some(size) = cx.amount("size")? else {
            return cx.wrong("`size` is missing");
        };
        let d = cx.dims.axis(size);
        cx.freeze(d, Reason::Barrier);
        let dtype = cx.attrs.dtype("dtype").unwrap_or(DType::F32);
        cx.result(dtype, vec![d]);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let n = shape.first().copied().unwrap_or(0);
        let period = match cx.attrs.int_or("periodic", 1) {
            0 => n.saturating_sub(1),
            _ => n,
        };
        let weights: [f64; 3] = match self {
            WindowFunction::Hann => [0.5, 0.5, 0.0],
            WindowFunction::Hamming => [25.0 / 46.0, 21.0 / 46.0, 0.0],
            WindowFunction::Blackman => [0.42, 0.5, 0.08],
        };
        let value = |i: usize| {
            let turn = TAU * i as f64 / period.max(1) as f64;
            weights[0] - weights[1] * turn.cos() + weights[2] * (2.0 * turn).cos()
        };
        let all: Vec<f64> = (0..n).map(value).collect();
        Ok(vec![Tensor::from_vec(shape, all)?.cast(dtype)?])
    }
    apart!();
}

impl Operator for Dft {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("length", Kind::Int),
            ("axis", Kind::Int),
            ("inverse", Kind::Bool),
            ("onesided", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let rank = x.axes.len();
        let axis = cx.axis("axis", -2, rank)?;
        if axis + 1 == rank {
            return cx.wrong("the last axis has the parts of a number");
        }
        let (inverse, onesided) = (cx.attrs.flag("inverse"), cx.attrs.flag("onesided"));
        let Some(n) = cx.known(x.axes[axis]) else {
            return cx.wrong("the extent of the signal is not known");
        };
        let length = match cx.attrs.int_or("length", 0) {
            0 if inverse && onesided => (n - 1).saturating_mul(2),
            0 => n,
            stated => stated,
        };
        let (out, parts) = match (inverse, onesided) {
            (false, true) => (length / 2 + 1, 2i64),
            (true, true) => (length, 1),
            _ => (length, 2),
        };
        if length < 1 {
            return cx.wrong("the signal is empty");
        }
        let mut axes = x.axes.to_vec();
        axes[axis] = cx.dims.axis(out);
        axes[rank - 1] = cx.dims.axis(parts);
        for at in [axis, rank - 1] {
            cx.freeze(x.axes[at], Reason::Barrier);
            cx.freeze(axes[at], Reason::Barrier);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let rank = shape.len();
        let axis = cx.axis("axis", -2, rank)?;
        let (inverse, onesided) = (cx.attrs.flag("inverse"), cx.attrs.flag("onesided"));
        let (n, parts) = (x.shape[axis], x.shape[rank - 1]);
        if parts == 0 || parts > 2 {
            return wrong("a number has one or two parts");
        }
        let length = match (cx.attrs.int_or("length", 0), inverse && onesided) {
            (0, true) => 2 * (n - 1),
            (0, false) => n,
            (stated, _) => usize::try_from(stated).unwrap_or(0),
        };
        let inner: usize = x.shape[axis + 1..rank - 1].iter().product();
        let outer: usize = x.shape[..axis].iter().product();
        let (values, results) = (x.to_f64(), shape[axis]);
        let out_parts = shape[rank - 1];
        let mut out = vec![0f64; shape.iter().product()];
        for line in 0..outer * inner {
            let (o, i) = (line / inner.max(1), line % inner.max(1));
            let at = |k: usize| {
                let first = ((o * n + k) * inner + i) * parts;
                let imaginary = if parts == 2 { values[first + 1] } else { 0.0 };
                (values[first], imaginary)
            };
            // The signal, cut or padded with zeros; the mirrored half of a one-sided one is conjugate.
            let signal: Vec<(f64, f64)> = (0..length)
                .map(|k| match k {
                    k if inverse && onesided && k > length / 2 => match length - k {
                        m if m < n => (at(m).0, -at(m).1),
                        _ => (0.0, 0.0),
                    },
                    k if k < n => at(k),
                    _ => (0.0, 0.0),
                })
                .collect();
            for k in 0..results {
                let (mut real, mut imaginary) = (0.0, 0.0);
                for (t, (a, b)) in signal.iter().enumerate() {
                    let turn = TAU * (k * t % length) as f64 / length as f64;
                    let (cos, sin) = (turn.cos(), if inverse { turn.sin() } else { -turn.sin() });
                    real += a * cos - b * sin;
                    imaginary += a * sin + b * cos;
                }
                let scale = if inverse { 1.0 / length as f64 } else { 1.0 };
                let first = ((o * results + k) * inner + i) * out_parts;
                out[first] = real * scale;
                if out_parts == 2 {
                    out[first + 1] = imaginary * scale;
                }
            }
        }
        Ok(vec![Tensor::from_vec(shape, out)?.cast(dtype)?])
    }
    apart!();
}
