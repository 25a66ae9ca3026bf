//! Convolution, plain, grouped and depthwise, over any number of spatial axes.
use super::context::product;
use super::index::{strides, unravel};
use super::window::Window;
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;
use std::ops::{AddAssign, Mul};

/// `conv(x, weight, bias?)`: `n (g i) ..., (g o) i ... -> n (g o) ...`.
pub struct Conv;

/// The attributes of a sliding window.
pub const WINDOW: &[AttrSpec] = &[
    ("stride", Kind::Ints),
    ("pad", Kind::Ints),
    ("dilation", Kind::Ints),
    ("auto_pad", Kind::Str),
    ("groups", Kind::Extent),
    ("kernel", Kind::Ints),
];

/// The kernel of a weight: its extents after the first two, which must be numbers.
fn kernel(cx: &Rule<'_>, weight: &Operand<'_>) -> Result<Vec<i64>, RuleError> {
    let known: Option<Vec<i64>> = weight.axes[2..].iter().map(|d| cx.known(*d)).collect();
    known.ok_or_else(|| RuleError::Wrong("the kernel's extents are not known".into()))
}

/// The convolution of elements and a weight, each with its shape, to a shape; `first` is what the sums of a channel
/// begin with.
pub(super) fn slide<T: Copy + Mul<Output = T> + AddAssign>(
    (xs, x_shape): (&[T], &[usize]),
    (ws, w_shape): (&[T], &[usize]),
    window: &Window,
    shape: &[usize],
    first: impl Fn(usize) -> T,
) -> Vec<T> {
    let (inner, kernel) = (w_shape[1], &w_shape[2..]);
    let groups = x_shape[1] / inner.max(1);
    let per_group = shape[1] / groups.max(1);
    let (spatial, volume) = (&x_shape[2..], x_shape[2..].iter().product::<usize>());
    let (step, taps) = (strides(spatial), kernel.iter().product::<usize>());
    let before: Vec<i64> = (0..kernel.len())
        .map(|a| window.pad_before(a, spatial[a], shape[a + 2]))
        .collect();
    let places: usize = shape[2..].iter().product();
    let channel = |i: usize| first(i / places % shape[1]);
    let mut out: Vec<T> = (0..shape.iter().product()).map(channel).collect();
    for place in 0..places {
        let o = unravel(place, &shape[2..]);
        // Offset in the input plane of every tap that is no padding.
        let reads: Vec<(usize, usize)> = (0..taps)
            .filter_map(|tap| {
                let k = unravel(tap, kernel);
                let mut offset = 0;
                for a in 0..kernel.len() {
                    offset += step[a] * window.source(a, before[a], o[a], k[a], spatial[a])?;
                }
                Some((tap, offset))
            })
            .collect();
        for n in 0..shape[0] {
            for c in 0..shape[1] {
                let group = c / per_group;
                let to = (n * shape[1] + c) * places + place;
                let mut sum = out[to];
                for i in 0..inner {
                    let plane = (n * x_shape[1] + group * inner + i) * volume;
                    let row = (c * inner + i) * taps;
                    for (tap, offset) in &reads {
                        sum += xs[plane + offset] * ws[row + tap];
                    }
                }
                out[to] = sum;
            }
        }
    }
    out
}

impl Operator for Conv {
    fn attrs(&self) -> &'static [AttrSpec] {
        WINDOW
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, w) = (cx.operand(0)?, cx.operand(1)?);
        if x.axes.len() < 3 || x.axes.len() != w.axes.len() {
            return cx.wrong(format!(
                "input and weight have {} and {} axes",
                x.axes.len(),
                w.axes.len()
            ));
        }
        let groups = cx.amount("groups")?.unwrap_or(Extent::from(1i64));
        let out = if groups.known() == Some(1) {
            cx.apply("n i, o i -> n o", &[&x.axes[..2], &w.axes[..2]], &[])?
        } else {
            let g = cx.dims.axis(groups);
            cx.attr_is("groups", None, vec![g]);
            let of_each = cx.dims.extent(w.axes[0]).exact_div(cx.dims.extent(g));
            let Some(o) = of_each.map(|n| cx.dims.axis(n)) else {
                return cx.wrong("the groups do not divide the weight's first axis");
            };
            // A depthwise convolution's groups are its channels, a width, and how many it makes of each is a count.
            match cx.known(w.axes[1]) {
                Some(1) => cx.dims.count(o),
                _ => cx.dims.count(g),
            }
            cx.apply(
                "n (g i), (g o) i -> n (g o)",
                &[&x.axes[..2], &w.axes[..2]],
                &[("g", g), ("o", o)],
            )?
        };
        let mut axes = out.results[0].clone();
        if let Some(bias) = cx.optional(2) {
            cx.apply("o, o -> o", &[bias.axes, &axes[1..2]], &[])?;
        }
        let window = Window::new(cx.attrs, kernel(cx, &w)?)?;
        for axis in 0..window.kernel.len() {
            cx.freeze(w.axes[axis + 2], Reason::SpatialAxis);
            if window.is_point(axis) {
                axes.push(x.axes[axis + 2]);
                continue;
            }
            cx.freeze(x.axes[axis + 2], Reason::SpatialAxis);
            let extent = window.output(axis, cx.dims.extent(x.axes[axis + 2]))?;
            let d = cx.dims.axis(extent);
            cx.freeze(d, Reason::SpatialAxis);
            axes.push(d);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let per_output = view
            .operand(1)
            .map_or(Extent::from(0i64), |w| product(&w.axes[1..]));
        product(&[view.result_count(0), per_output])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, w) = (cx.operand(0)?, cx.operand(1)?);
        let (dtype, shape) = cx.result(0)?;
        let window = Window::new(cx.attrs, w.shape[2..].iter().map(|n| *n as i64).collect())
            .map_err(|e| EvalError::Wrong(e.to_string()))?;
        let (xs, ws) = (x.to_f32()?, w.to_f32()?);
        let bias = cx.optional(2).map(|b| b.to_f32()).transpose()?;
        let first = |c: usize| bias.as_ref().map_or(0.0, |b| b[c]);
        let out = slide((&xs, &x.shape), (&ws, &w.shape), &window, shape, first);
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // Depthwise: no channel sees another.
        match mask.axes(1).get(1) {
            Some(Expr::Num(1)) => mask.apart(),
            _ => mask.filled(&[(0, &[1], 0.0)]),
        }
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let depthwise =
            view.extent(1, 1).known() == Some(1) && view.extent(0, 1).known() != Some(1);
        match k {
            0 => all_axes(view, k, Role::Other),
            1 => {
                let mut roles = vec![Role::Window; view.operand(1).map_or(0, |w| w.axes.len())];
                if roles.len() >= 2 {
                    roles[0] = if depthwise {
                        Role::Depthwise
                    } else {
                        Role::Out
                    };
                    roles[1] = Role::In;
                }
                Use::Roles(roles)
            }
            _ => all_axes(view, k, Role::Bias),
        }
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        // Channels of a group beside their groups, which are a factor of the weight's first axis.
        let apart = |p: &Place| p.is_one() || (p.operand, p.inner, p.outer) == (1, 1, 0);
        pairs.places.iter().all(apart)
    }
}
