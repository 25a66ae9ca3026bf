//! Convolution whose taps lie where other operands say.
use super::conv;
use super::movement::{as_eval, wrong};
use super::window::Window;
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `deform_conv(x, weight, offset, bias?, mask?) {..., offset_groups}`: a convolution over two spatial axes in which the tap
/// `k` of each place is moved by `offset`, `n (q k 2) ...`, and weighed by `mask`, `n (q k) ...`; channels of one of `q`
/// offset groups move together.
pub struct DeformConv;

const CONV: &[usize] = &[0, 1, 3];

impl Operator for DeformConv {
    fn attrs(&self) -> &'static [AttrSpec] {
        const ALL: &[AttrSpec] = &[
            conv::WINDOW[0],
            conv::WINDOW[1],
            conv::WINDOW[2],
            conv::WINDOW[4],
            conv::WINDOW[5],
            ("offset_groups", Kind::Int),
        ];
        ALL
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=5
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let results = cx.as_if(Op::Conv, cx.attrs, CONV)?;
        let (x, w, offset) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let Some([n, _, places @ ..]) = results.first().and_then(|r| r.axes.as_deref()) else {
            return cx.wrong("the result has no known rank");
        };
        let kernel: Option<Vec<i64>> = w.axes[2..].iter().map(|d| cx.known(*d)).collect();
        let (Some(kernel), 2) = (kernel, places.len()) else {
            return cx.wrong("there are not two spatial axes");
        };
        let groups = cx.attrs.int_or("offset_groups", 1).max(1);
        let taps = kernel.iter().try_fold(groups, |all, n| all.checked_mul(*n));
        let both = taps.and_then(|taps| taps.checked_mul(2));
        for (operand, all) in [(Some(offset), both), (cx.optional(4), taps)] {
            let Some(operand) = operand else { continue };
            let [own, channels, spatial @ ..] = operand.axes else {
                return cx.wrong("offsets have four axes");
            };
            if spatial.len() != 2 || cx.known(*channels).is_some_and(|n| Some(n) != all) {
                return cx.wrong("offsets or mask do not fit the kernel");
            }
            cx.equate(*n, *own)?;
            cx.freeze(*channels, Reason::Index);
            for (a, b) in spatial.iter().zip(places) {
                cx.equate(*a, *b)?;
            }
        }
        if groups > 1 {
            let q = cx.dims.part(groups);
            cx.freeze(q, Reason::Index);
            cx.apply("(q c) -> c", &[&x.axes[1..2]], &[("q", q)])?;
        }
        cx.results.extend(results);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        Op::Conv.operator().macs(view)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, w, offset) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let (dtype, shape) = cx.result(0)?;
        let ([_, all, height, width], [_, inner, tall, wide]) = (&x.shape[..], &w.shape[..]) else {
            return wrong("there are not two spatial axes");
        };
        let window = Window::new(cx.attrs, vec![*tall as i64, *wide as i64]).map_err(as_eval)?;
        let (xs, ws, moved) = (x.to_f32()?, w.to_f32()?, offset.to_f32()?);
        let mask = cx.optional(4).map(Tensor::to_f32).transpose()?;
        let bias = cx.optional(3).map(Tensor::to_f32).transpose()?;
        let groups = usize::try_from(cx.attrs.int_or("offset_groups", 1))
            .unwrap_or(1)
            .max(1);
        let (taps, together) = (tall * wide, (all / groups).max(1));
        let per_group = shape[1] / (all / (*inner).max(1)).max(1);
        let places = shape[2] * shape[3];
        let weighed = cx
            .optional(4)
            .is_none_or(|m| m.len() == shape[0] * groups * taps * places);
        if offset.len() != shape[0] * groups * taps * 2 * places || !weighed {
            return wrong("offsets or mask do not fit the kernel");
        }
        let before =
            [0, 1].map(|axis| window.pad_before(axis, x.shape[axis + 2], shape[axis + 2]) as f64);
        // A point between four pixels, those outside being 0.
        let between = |plane: &[f32], y: f64, x: f64| {
            let mut sum = 0f64;
            for (row, v) in [
                (y.floor(), 1.0 - (y - y.floor())),
                (y.floor() + 1.0, y - y.floor()),
            ] {
                for (column, u) in [
                    (x.floor(), 1.0 - (x - x.floor())),
                    (x.floor() + 1.0, x - x.floor()),
                ] {
                    let inside = row >= 0.0
                        && row < *height as f64
                        && column >= 0.0
                        && column < *width as f64;
                    if inside {
                        sum += u * v * f64::from(plane[row as usize * width + column as usize]);
                    }
                }
            }
            sum
        };
        let mut out = vec![0f32; shape.iter().product()];
        for n in 0..shape[0] {
            for place in 0..places {
                let at = [place / shape[3], place % shape[3]];
                // Every channel as each tap sees it.
                let mut seen = Vec::with_capacity(all * taps);
                for channel in 0..*all {
                    let group = channel / together;
                    let plane = &xs[(n * all + channel) * height * width..][..height * width];
                    for tap in 0..taps {
                        let k = [tap / wide, tap % wide];
                        let point = [0, 1].map(|axis| {
                            let of = ((n * groups + group) * taps + tap) * 2 + axis;
                            let own = at[axis] as i64 * window.stride[axis]
                                + k[axis] as i64 * window.dilation[axis];
                            own as f64 - before[axis] + f64::from(moved[of * places + place])
                        });
                        let weight = mask.as_ref().map_or(1.0, |m| {
                            m[((n * groups + group) * taps + tap) * places + place]
                        });
                        seen.push(between(plane, point[0], point[1]) * f64::from(weight));
                    }
                }
                for c in 0..shape[1] {
                    let first = c / per_group.max(1) * inner * taps;
                    let row = &ws[c * inner * taps..(c + 1) * inner * taps];
                    let pairs = row.iter().zip(&seen[first..]);
                    let sum: f64 = pairs.map(|(w, x)| f64::from(*w) * x).sum();
                    let bias = bias.as_ref().map_or(0.0, |b| b[c]);
                    out[(n * shape[1] + c) * places + place] = sum as f32 + bias;
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        Op::Conv.operator().masked(mask)
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match CONV.iter().position(|place| *place == k) {
            Some(own) => Op::Conv.operator().usage(view, own),
            None => all_axes(view, k, Role::Other),
        }
    }
}
