//! Transposed convolution: every input element adds a window to the output.
use super::context::product;
use super::index::{strides, unravel};
use super::window::Window;
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `conv_transpose(x, weight, bias?)`: `n (g i) ..., (g i) o ... -> n (g o) ...`.
pub struct ConvTranspose;

/// The window, and what it adds at the end of each axis.
fn window(attrs: &Attrs, kernel: Vec<i64>) -> Result<(Window, Vec<i64>), RuleError> {
    let n = kernel.len();
    let window = Window::new(attrs, kernel)?;
    match attrs.ints("output_pad") {
        None => Ok((window, vec![0; n])),
        Some(all) if all.len() == n && all.iter().all(|p| (0..=1 << 20).contains(p)) => {
            Ok((window, all))
        }
        Some(_) => Err(RuleError::Wrong("`output_pad` does not fit".into())),
    }
}

/// Extent of spatial axis `axis` of the output, and the padding at its beginning where extents are numbers.
fn output(
    window: &Window,
    attrs: &Attrs,
    more: i64,
    axis: usize,
    input: &Extent,
) -> Result<Extent, RuleError> {
    let overflow = || RuleError::Wrong("a spatial extent overflows".into());
    let stride = Extent::from(window.stride[axis]);
    if let Some(shape) = attrs.ints("output_shape") {
        // The whole output's shape, or that of its spatial axes.
        let at = (axis + shape.len()).checked_sub(window.kernel.len());
        return at
            .and_then(|at| shape.get(at))
            .map(|n| Extent::from(*n))
            .ok_or_else(|| RuleError::Wrong("`output_shape` does not fit".into()));
    }
    if window.auto_pad.starts_with("same") {
        return input.checked_mul(&stride).ok_or_else(overflow);
    }
    let pad = match &window.auto_pad[..] {
        "valid" => 0,
        _ => window.pad[axis] + window.pad[axis + window.kernel.len()],
    };
    let span = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
    input
        .checked_sub(&Extent::from(1i64))
        .and_then(|e| e.checked_mul(&stride))
        .and_then(|e| e.checked_add(&Extent::from(span + more - pad)))
        .ok_or_else(overflow)
}

/// The window, and what of the output lies before its first element, by axis: where element `k` of window `i` is added
/// is `i * stride + k * dilation` less that.
pub fn spread(
    attrs: &Attrs,
    kernel: &[usize],
    spatial: &[usize],
    space: &[usize],
) -> Result<(Window, Vec<i64>), RuleError> {
    let (window, more) = window(attrs, kernel.iter().map(|n| *n as i64).collect())?;
    let before = (0..kernel.len()).map(|a| {
        let span = window.dilation[a] * (window.kernel[a] - 1) + 1;
        let full = (spatial[a] as i64 - 1) * window.stride[a] + span + more[a];
        let total = (full - space[a] as i64).max(0);
        match &window.auto_pad[..] {
            "same_upper" => total / 2,
            "same_lower" => total - total / 2,
            // A stated shape leaves the padding to be found: of an odd one, more is at the beginning.
            _ if attrs.get("output_shape").is_some() => total - total / 2,
            "valid" => 0,
            _ => window.pad[a],
        }
    });
    let before = before.collect();
    Ok((window, before))
}

impl Operator for ConvTranspose {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("stride", Kind::Ints),
            ("pad", Kind::Ints),
            ("dilation", Kind::Ints),
            ("auto_pad", Kind::Str),
            ("groups", Kind::Extent),
            ("kernel", Kind::Ints),
            ("output_pad", Kind::Ints),
            ("output_shape", Kind::Ints),
        ]
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
            cx.apply("n i, i o -> n o", &[&x.axes[..2], &w.axes[..2]], &[])?
        } else {
            let g = cx.dims.axis(groups.clone());
            cx.attr_is("groups", None, vec![g]);
            // A depthwise one's groups are its channels: a width. Any other's are a count.
            if *cx.dims.extent(x.axes[1]) != groups {
                cx.dims.count(g);
            }
            cx.apply(
                "n (g i), (g i) o -> n (g o)",
                &[&x.axes[..2], &w.axes[..2]],
                &[("g", g)],
            )?
        };
        let mut axes = out.results[0].clone();
        if let Some(bias) = cx.optional(2) {
            cx.apply("o, o -> o", &[bias.axes, &axes[1..2]], &[])?;
        }
        let kernel: Option<Vec<i64>> = w.axes[2..].iter().map(|d| cx.known(*d)).collect();
        let Some(kernel) = kernel else {
            return cx.wrong("the kernel's extents are not known");
        };
        let (window, more) = window(cx.attrs, kernel)?;
        for (axis, more) in more.iter().enumerate() {
            cx.freeze(w.axes[axis + 2], Reason::SpatialAxis);
            if window.is_point(axis) && *more == 0 && cx.attrs.get("output_shape").is_none() {
                axes.push(x.axes[axis + 2]);
                continue;
            }
            cx.freeze(x.axes[axis + 2], Reason::SpatialAxis);
            let input = cx.dims.extent(x.axes[axis + 2]).clone();
            let extent = output(&window, cx.attrs, *more, axis, &input)?;
            if extent.known().is_some_and(|n| n < 1) {
                return cx.wrong("its padding leaves nothing of an axis");
            }
            let d = cx.dims.axis(extent);
            cx.freeze(d, Reason::SpatialAxis);
            axes.push(d);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let per_input = view
            .operand(1)
            .map_or(Extent::from(0i64), |w| product(&w.axes[1..]));
        let inputs = view.operand(0).map_or(Extent::from(0i64), Shape::count);
        product(&[inputs, per_input])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, w) = (cx.operand(0)?, cx.operand(1)?);
        let (dtype, shape) = cx.result(0)?;
        let wrong = |e: RuleError| EvalError::Wrong(e.to_string());
        let kernel = &w.shape[2..];
        let (xs, ws) = (x.to_f32()?, w.to_f32()?);
        let groups = usize::try_from(cx.attrs.int_or("groups", 1))
            .unwrap_or(1)
            .max(1);
        let (inner, per_group) = (x.shape[1] / groups, w.shape[1]);
        let (spatial, space) = (&x.shape[2..], &shape[2..]);
        let (window, before) = spread(cx.attrs, kernel, spatial, space).map_err(wrong)?;
        let (volume, places) = (
            spatial.iter().product::<usize>(),
            space.iter().product::<usize>(),
        );
        let (taps, step) = (kernel.iter().product::<usize>(), strides(space));
        let mut out = vec![0f32; shape.iter().product()];
        if let Some(bias) = cx.optional(2) {
            let bias = bias.to_f32()?;
            for (plane, out) in out.chunks_mut(places.max(1)).enumerate() {
                out.fill(bias[plane % shape[1]]);
            }
        }
        for place in 0..volume {
            let i = unravel(place, spatial);
            let writes: Vec<(usize, usize)> = (0..taps)
                .filter_map(|tap| {
                    let k = unravel(tap, kernel);
                    let mut offset = 0;
                    for a in 0..kernel.len() {
                        let at = i[a] as i64 * window.stride[a] + k[a] as i64 * window.dilation[a]
                            - before[a];
                        let at = usize::try_from(at).ok().filter(|at| *at < space[a])?;
                        offset += step[a] * at;
                    }
                    Some((tap, offset))
                })
                .collect();
            for n in 0..x.shape[0] {
                for c in 0..x.shape[1] {
                    let value = xs[(n * x.shape[1] + c) * volume + place];
                    let group = c / inner.max(1);
                    for o in 0..per_group {
                        let plane = (n * shape[1] + group * per_group + o) * places;
                        let row = (c * per_group + o) * taps;
                        for (tap, offset) in &writes {
                            out[plane + offset] += value * ws[row + tap];
                        }
                    }
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.filled(&[(0, &[1], 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            0 => all_axes(view, k, Role::Other),
            1 => {
                let mut roles = vec![Role::Window; view.operand(1).map_or(0, |w| w.axes.len())];
                let groups = view.attrs.int_or("groups", 1);
                if roles.len() >= 2 {
                    // Depthwise where each group has one channel that comes in.
                    let depthwise = groups > 1 && view.extent(1, 0).known() == Some(groups);
                    roles[0] = if depthwise { Role::Depthwise } else { Role::In };
                    roles[1] = Role::Out;
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
