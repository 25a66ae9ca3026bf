//! Pools: a maximum, a mean or a norm over a sliding window, or over all spatial axes.
use super::index::{strides, unravel};
use super::table::family;
use super::window::Window;
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};

family! {
    /// A pool over the spatial axes (all but the first two).
    Pool {
        Max "max_pool" Average "average_pool" Lp "lp_pool"
        GlobalMax "global_max_pool" GlobalAverage "global_average_pool" GlobalLp "global_lp_pool"
    }
}

const WINDOW: &[AttrSpec] = &[
    ("stride", Kind::Ints),
    ("pad", Kind::Ints),
    ("dilation", Kind::Ints),
    ("auto_pad", Kind::Str),
    ("kernel", Kind::Ints),
    ("ceil", Kind::Bool),
    ("count_include_pad", Kind::Bool),
    ("p", Kind::Int),
];

impl Pool {
    fn is_global(self) -> bool {
        matches!(self, Pool::GlobalMax | Pool::GlobalAverage | Pool::GlobalLp)
    }
    fn window(attrs: &Attrs, spatial: usize) -> Result<Window, RuleError> {
        let kernel = attrs.ints("kernel").unwrap_or_default();
        if kernel.len() != spatial {
            return Err(RuleError::Wrong(format!(
                "`kernel` has {} entries, the input has {spatial} spatial axes",
                kernel.len()
            )));
        }
        Window::new(attrs, kernel)
    }
}

impl Operator for Pool {
    fn attrs(&self) -> &'static [AttrSpec] {
        match self {
            Pool::Max => &WINDOW[..6],
            Pool::Average => &WINDOW[..7],
            Pool::Lp => WINDOW,
            Pool::GlobalLp => &WINDOW[7..],
            Pool::GlobalMax | Pool::GlobalAverage => &[],
        }
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        match self {
            Pool::Max | Pool::Average | Pool::Lp | Pool::GlobalLp => Removal::Exact,
            Pool::GlobalMax | Pool::GlobalAverage => Removal::Reestimated,
        }
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        if x.axes.len() < 3 {
            return cx.wrong(format!(
                "an input of {} axes has no spatial ones",
                x.axes.len()
            ));
        }
        let mut axes = x.axes[..2].to_vec();
        let spatial = x.axes.len() - 2;
        let window = match self.is_global() {
            true => None,
            false => Some(Pool::window(cx.attrs, spatial)?),
        };
        for axis in 0..spatial {
            if window.as_ref().is_some_and(|w| w.is_point(axis)) {
                axes.push(x.axes[axis + 2]);
                continue;
            }
            // A pool over whole axes is a reduction: what stands where does not matter.
            let extent = match &window {
                Some(window) => {
                    cx.freeze(x.axes[axis + 2], Reason::SpatialAxis);
                    window.output(axis, cx.dims.extent(x.axes[axis + 2]))?
                }
                None => Extent::from(1i64),
            };
            let d = cx.dims.axis(extent);
            cx.freeze(d, Reason::SpatialAxis);
            axes.push(d);
        }
        cx.result(x.dtype, axes.clone());
        if *self == Pool::Max {
            // The second result counts over all elements of the input: they must stay where they are.
            if cx.stated.len() > 1 {
                axes.iter().for_each(|d| cx.freeze(*d, Reason::Index));
            }
            cx.result(DType::I64, axes);
        }
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let spatial = &x.shape[2..];
        let window = match self.is_global() {
            true => Window::new(&Attrs::new(), spatial.iter().map(|n| *n as i64).collect()),
            false => Pool::window(cx.attrs, spatial.len()),
        };
        let window = window.map_err(|e| EvalError::Wrong(e.to_string()))?;
        let kernel: Vec<usize> = window.kernel.iter().map(|k| *k as usize).collect();
        let (step, volume) = (strides(spatial), spatial.iter().product::<usize>());
        let taps = kernel.iter().product::<usize>();
        let before: Vec<i64> = (0..kernel.len())
            .map(|a| window.pad_before(a, spatial[a], shape[a + 2]))
            .collect();
        let planes = shape[0] * shape[1];
        let places: usize = shape[2..].iter().product();
        let values = x.to_f32()?;
        let mut out = vec![0f32; planes * places];
        let mut indices = vec![0i64; if cx.results.len() > 1 { out.len() } else { 0 }];
        let p = cx.attrs.int_or("p", 2) as f64;
        let padded = cx.attrs.flag("count_include_pad");
        for place in 0..places {
            let o = unravel(place, &shape[2..]);
            let reads: Vec<usize> = (0..taps)
                .filter_map(|tap| {
                    let k = unravel(tap, &kernel);
                    let mut offset = 0;
                    for a in 0..kernel.len() {
                        offset += step[a] * window.source(a, before[a], o[a], k[a], spatial[a])?;
                    }
                    Some(offset)
                })
                .collect();
            let count = match padded {
                true => window.covered(&o, &before, spatial),
                false => reads.len(),
            };
            for plane in 0..planes {
                let at = plane * volume;
                let read = reads.iter().map(|offset| values[at + offset] as f64);
                out[plane * places + place] = match self {
                    Pool::Max | Pool::GlobalMax => {
                        let mut best = (f32::NEG_INFINITY, at);
                        for offset in &reads {
                            let x = values[at + offset];
                            if x > best.0 || x.is_nan() {
                                best = (x, at + offset);
                            }
                        }
                        if let Some(index) = indices.get_mut(plane * places + place) {
                            *index = best.1 as i64;
                        }
                        best.0
                    }
                    Pool::Average | Pool::GlobalAverage => {
                        (read.sum::<f64>() / count.max(1) as f64) as f32
                    }
                    Pool::Lp | Pool::GlobalLp => {
                        read.map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p) as f32
                    }
                };
            }
        }
        let mut all = vec![Tensor::from_f32(shape, out)?.cast(dtype)?];
        if cx.results.len() > 1 {
            all.push(Tensor::from_i64(shape, indices)?);
        }
        Ok(all)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let spatial: Vec<usize> = (2..mask.rank(0)).collect();
        match self {
            Pool::Max | Pool::Average | Pool::Lp => mask.apart(),
            Pool::GlobalMax => mask.filled(&[(0, &spatial, f32::NEG_INFINITY)]),
            Pool::GlobalAverage => mask.averaged(&spatial),
            Pool::GlobalLp => mask.filled(&[(0, &spatial, 0.0)]),
        }
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
    fn statistics(&self, _: &Attrs, rank: usize) -> Vec<usize> {
        match self {
            Pool::GlobalAverage => (2..rank).collect(),
            _ => vec![],
        }
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        pairs.places.iter().all(|p| p.inner < 2 && p.outer < 2)
    }
}
