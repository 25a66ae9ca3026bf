//! Interpolation along axes.
use super::index::strides;
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `resize(x) {mode, coordinate_transformation_mode, scales, ...}`; without `scales` the result type states the sizes.
pub struct Resize;

/// Largest denominator of a scale that is applied to a run-time extent.
const DENOMINATOR: i64 = 64;

/// `extent * scale`, rounded down.
fn scaled(extent: &Extent, scale: f32) -> Result<Extent, RuleError> {
    let wrong = |message: &str| Err(RuleError::Wrong(message.into()));
    if !(scale > 0.0 && scale < 1e6) {
        return wrong("a scale is not a positive number");
    }
    if let Some(n) = extent.known() {
        return Ok(Extent::from((n as f64 * scale as f64).floor() as i64));
    }
    for q in 1..=DENOMINATOR {
        let p = scale * q as f32;
        if p.fract() == 0.0 {
            let scaled = extent.checked_mul(&Extent::from(p as i64));
            let scaled = scaled.and_then(|e| e.floor_div(&Extent::from(q)));
            return scaled.ok_or_else(|| RuleError::Wrong("an extent overflows".into()));
        }
    }
    wrong("a run-time extent is scaled by what is no simple fraction")
}

impl Operator for Resize {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("mode", Kind::Str),
            ("coordinate_transformation_mode", Kind::Str),
            ("nearest_mode", Kind::Str),
            ("cubic_coeff_a", Kind::Float),
            ("exclude_outside", Kind::Bool),
            ("extrapolation_value", Kind::Float),
            ("antialias", Kind::Bool),
            ("scales", Kind::Floats),
            ("roi", Kind::Floats),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let rank = x.axes.len();
        let mut target = vec![];
        match cx.attrs.floats("scales") {
            Some(scales) if scales.len() == rank => {
                for (d, scale) in x.axes.iter().zip(scales) {
                    target.push(scaled(cx.dims.extent(*d), scale)?);
                }
            }
            Some(scales) => {
                return cx.wrong(format!("{} scales for {rank} axes", scales.len()));
            }
            None => target = super::movement::target(cx)?.to_vec(),
        }
        if target.len() != rank {
            return cx.wrong(format!("{} sizes for {rank} axes", target.len()));
        }
        let crops = cx.attrs.get("roi").is_some();
        let mut axes = vec![];
        for (d, extent) in x.axes.iter().zip(target) {
            if extent == *cx.dims.extent(*d) && !crops {
                axes.push(*d);
                continue;
            }
            cx.freeze(*d, Reason::SpatialAxis);
            let to = cx.dims.axis(extent);
            cx.freeze(to, Reason::SpatialAxis);
            axes.push(to);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let resampling = Resampling::new(cx)?;
        let mut values = x.to_f32()?.into_owned();
        let mut now = x.shape.clone();
        // Places that lie outside of the region of interest get a value of their own.
        let mut outside = vec![vec![]; now.len()];
        for axis in 0..now.len() {
            let taps = resampling.taps(axis, now[axis], shape[axis]);
            outside[axis] = taps.iter().map(|t| t.outside).collect();
            let same = now[axis] == shape[axis]
                && taps
                    .iter()
                    .enumerate()
                    .all(|(i, t)| t.weights[..] == [(i, 1.0)]);
            if same {
                continue;
            }
            let inner: usize = now[axis + 1..].iter().product();
            let block = (now[axis] * inner).max(1);
            let outer = values.len() / block;
            let mut out = Vec::with_capacity(outer * shape[axis] * inner);
            for o in 0..outer {
                for tap in &taps {
                    for i in 0..inner {
                        let read =
                            |(at, w): &(usize, f64)| values[o * block + at * inner + i] as f64 * w;
                        out.push(tap.weights.iter().map(read).sum::<f64>() as f32);
                    }
                }
            }
            values = out;
            now[axis] = shape[axis];
        }
        if outside.iter().flatten().any(|o| *o) {
            let value = cx.attrs.float_or("extrapolation_value", 0.0);
            let steps = strides(shape);
            for (at, out) in values.iter_mut().enumerate() {
                let off = |a: usize| outside[a][at / steps[a] % shape[a]];
                if (0..shape.len()).any(off) {
                    *out = value;
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, values)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        pairs.on_one_axis()
    }
}

/// How positions and weights are found, as ONNX's definition of `Resize` says.
struct Resampling<'a> {
    mode: &'a str,
    transformation: &'a str,
    nearest: &'a str,
    cubic: f64,
    exclude: bool,
    antialias: bool,
    scales: Option<Vec<f32>>,
    roi: Vec<f32>,
}

/// What one position of the result reads.
struct Tap {
    weights: Vec<(usize, f64)>,
    outside: bool,
}

impl<'a> Resampling<'a> {
    fn new(cx: &Eval<'a>) -> Result<Resampling<'a>, EvalError> {
        let mode = cx.attrs.str_or("mode", "nearest");
        if !["nearest", "linear", "cubic"].contains(&mode) {
            return Err(EvalError::Wrong(format!("there is no mode `{mode}`")));
        }
        Ok(Resampling {
            mode,
            transformation: cx
                .attrs
                .str_or("coordinate_transformation_mode", "half_pixel"),
            nearest: cx.attrs.str_or("nearest_mode", "round_prefer_floor"),
            cubic: cx.attrs.float_or("cubic_coeff_a", -0.75) as f64,
            exclude: cx.attrs.flag("exclude_outside"),
            antialias: cx.attrs.flag("antialias"),
            scales: cx.attrs.floats("scales"),
            roi: cx.attrs.floats("roi").unwrap_or_default(),
        })
    }
    fn taps(&self, axis: usize, input: usize, output: usize) -> Vec<Tap> {
        let scales = self.scales.as_ref().map(|s| s[axis] as f64);
        let scale = scales.unwrap_or(output as f64 / input as f64);
        (0..output)
            .map(|o| {
                let x = self.source(axis, o as f64, input as f64, output as f64, scale);
                let crops = self.transformation == "tf_crop_and_resize";
                Tap {
                    weights: self.weights(x, input, scale),
                    outside: crops && (x < 0.0 || x > input as f64 - 1.0),
                }
            })
            .collect()
    }
    /// Where a position of the result lies in the operand.
    fn source(&self, axis: usize, o: f64, input: f64, output: f64, scale: f64) -> f64 {
        match self.transformation {
            "align_corners" if output <= 1.0 => 0.0,
            "align_corners" => o * (input - 1.0) / (output - 1.0),
            "asymmetric" => o / scale,
            "pytorch_half_pixel" if output <= 1.0 => 0.0,
            "half_pixel_symmetric" => {
                let adjustment = output / (input * scale);
                input / 2.0 * (1.0 - adjustment) + (o + 0.5) / scale - 0.5
            }
            "tf_half_pixel_for_nn" => (o + 0.5) / scale,
            "tf_crop_and_resize" => {
                let roi = |i: usize| self.roi.get(i).copied().unwrap_or(0.0) as f64;
                let (start, end) = (roi(axis), roi(axis + self.roi.len() / 2));
                match output <= 1.0 {
                    true => 0.5 * (start + end) * (input - 1.0),
                    false => {
                        start * (input - 1.0) + o * (end - start) * (input - 1.0) / (output - 1.0)
                    }
                }
            }
            _ => (o + 0.5) / scale - 0.5,
        }
    }
    fn weights(&self, x: f64, input: usize, scale: f64) -> Vec<(usize, f64)> {
        let last = input as i64 - 1;
        if self.mode == "nearest" {
            let at = match self.nearest {
                "floor" => x.floor(),
                "ceil" => x.ceil(),
                "round_prefer_ceil" => (x + 0.5).floor(),
                _ => (x - 0.5).ceil(),
            };
            return vec![((at as i64).clamp(0, last) as usize, 1.0)];
        }
        // A smaller result reads through a wider filter where that is asked for.
        let squeeze = if self.antialias { scale.min(1.0) } else { 1.0 };
        let reach = match self.mode {
            "linear" => 1.0,
            _ => 2.0,
        } / squeeze;
        let (from, to) = (
            (x - reach).floor() as i64 + 1,
            (x + reach).ceil() as i64 - 1,
        );
        let mut all: Vec<(usize, f64)> = vec![];
        for at in from.min(x.floor() as i64)..=to.max(x.floor() as i64) {
            let mut w = self.filter((at as f64 - x) * squeeze);
            if self.exclude && !(0..=last).contains(&at) {
                w = 0.0;
            }
            if w != 0.0 {
                all.push((at.clamp(0, last) as usize, w));
            }
        }
        let sum: f64 = all.iter().map(|(_, w)| w).sum();
        if (self.exclude || self.antialias) && sum != 0.0 {
            all.iter_mut().for_each(|(_, w)| *w /= sum);
        }
        all
    }
    fn filter(&self, d: f64) -> f64 {
        let (d, a) = (d.abs(), self.cubic);
        match self.mode {
            "linear" => (1.0 - d).max(0.0),
            _ if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
            _ if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
            _ => 0.0,
        }
    }
}
