//! Integers with a scale: from floats and back.
use super::index::strides;
use super::movement::wrong;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::{DType, Tensor};

/// `quantize(x, scale, zero?) {axis, block_size, dtype}`: `x / scale + zero`, rounded to even and saturated. The type is
/// the zero point's, else `dtype`, else u8.
pub struct Quantize;

/// `dequantize(x, scale, zero?) {axis, block_size}`: `(x - zero) * scale`, of the scale's type.
pub struct Dequantize;

/// `dynamic_quantize(x)`: `x` as u8, scale and zero point such that 0 and all of `x` are within the range.
pub struct DynamicQuantize;

const ATTRS: &[AttrSpec] = &[
    ("axis", Kind::Int),
    ("block_size", Kind::Int),
    ("dtype", Kind::DType),
    ("saturate", Kind::Int),
    ("precision", Kind::Int),
];

impl Operator for Quantize {
    fn attrs(&self) -> &'static [AttrSpec] {
        ATTRS
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        scaled(cx)?;
        let zero = cx.optional(2).map(|zero| zero.dtype);
        let dtype = zero.or(cx.attrs.dtype("dtype")).unwrap_or(DType::U8);
        cx.result(dtype, x.axes.to_vec());
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, (dtype, _)) = (cx.operand(0)?, cx.result(0)?);
        let values = x.to_f32()?;
        let scales = Scales::of(cx, x)?;
        let quantized = |(i, x): (usize, &f32)| {
            let (scale, zero) = scales.at(i);
            (x / scale, zero)
        };
        let all = values.iter().enumerate().map(quantized);
        Ok(vec![rounded(&x.shape, all, dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        usage(view, k)
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        pairs.on_one_axis()
    }
}

impl Operator for Dequantize {
    fn attrs(&self) -> &'static [AttrSpec] {
        ATTRS
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, scale) = (cx.operand(0)?, cx.operand(1)?);
        scaled(cx)?;
        let dtype = cx.attrs.dtype("dtype").unwrap_or(scale.dtype);
        cx.result(dtype, x.axes.to_vec());
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, (dtype, _)) = (cx.operand(0)?, cx.result(0)?);
        let scales = Scales::of(cx, x)?;
        let all = x.to_i64()?.into_iter().enumerate().map(|(i, x)| {
            let (scale, zero) = scales.at(i);
            x.wrapping_sub(zero) as f32 * scale
        });
        Ok(vec![
            Tensor::from_f32(&x.shape, all.collect())?.cast(dtype)?,
        ])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        usage(view, k)
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        pairs.on_one_axis()
    }
}

impl Operator for DynamicQuantize {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Reestimated
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        cx.result(DType::U8, x.axes.to_vec());
        cx.result(DType::F32, vec![]);
        cx.result(DType::U8, vec![]);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Ok(dynamic(cx.operand(0)?)?.to_vec())
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // All axes are looked at; 0 is always within the range.
        let axes: Vec<usize> = (0..mask.rank(0)).collect();
        mask.filled(&[(0, &axes, 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
}

/// A tensor as u8, with the scale and zero point that fit it.
pub(super) fn dynamic(x: &Tensor) -> Result<[Tensor; 3], EvalError> {
    let values = x.to_f32()?;
    let (least, most) = values.iter().fold((0f32, 0f32), |(least, most), x| {
        (least.min(*x), most.max(*x))
    });
    let scale = match most - least {
        range if range > 0.0 => range / 255.0,
        _ => 1.0,
    };
    let zero = (-least / scale).round_ties_even().clamp(0.0, 255.0) as u8;
    let all = values.iter().map(|x| (x / scale, i64::from(zero)));
    Ok([
        rounded(&x.shape, all, DType::U8)?,
        Tensor::scalar(scale),
        Tensor::scalar(zero),
    ])
}

/// Numbers and their zero points as a tensor of integers: rounded to even, and saturated.
pub(super) fn rounded(
    shape: &[usize],
    all: impl Iterator<Item = (f32, i64)>,
    dtype: DType,
) -> Result<Tensor, EvalError> {
    let Some((least, most)) = dtype.range() else {
        return wrong(format!("quantization to {}", dtype.name()));
    };
    let one = |(x, zero): (f32, i64)| {
        let sum = x.round_ties_even() as f64 + zero as f64;
        sum.clamp(least as f64, most as f64) as i64
    };
    Ok(Tensor::from_i64(shape, all.map(one).collect())?.cast(dtype)?)
}

/// The numbers are seen through; the scales are none of a normalization.
fn usage(view: &View<'_>, k: usize) -> Use {
    match k {
        0 => Use::Seen,
        _ => all_axes(view, k, Role::Other),
    }
}

/// Ties scales and zero points to the axis they belong to: one for all, one a position, or one a block of positions.
fn scaled(cx: &mut Rule<'_>) -> Result<(), RuleError> {
    let (x, scale) = (cx.operand(0)?, cx.operand(1)?);
    let one_for_all = |cx: &Rule<'_>, axes: &[Dim]| match axes {
        [] => true,
        [one] => cx.known(*one) == Some(1),
        _ => false,
    };
    let single = one_for_all(cx, scale.axes);
    if let Some(zero) = cx.optional(2) {
        // One scale and one zero point may be a scalar and a list of one.
        let both = single && one_for_all(cx, zero.axes);
        if zero.axes.len() != scale.axes.len() && !both {
            return cx.wrong("scales and zero points have different axes");
        }
        for (a, b) in scale.axes.iter().zip(zero.axes) {
            cx.equate(*a, *b)?;
        }
    }
    if single {
        return Ok(());
    }
    let axis = cx.axis("axis", 1, x.axes.len())?;
    match (scale.axes, cx.attrs.int_or("block_size", 0)) {
        ([one], 0) => cx.equate(*one, x.axes[axis]),
        (blocks, size) if size > 0 && blocks.len() == x.axes.len() => {
            for (i, (a, b)) in x.axes.iter().zip(blocks).enumerate() {
                let own = if i == axis {
                    blocks_of(cx, *b, size)
                } else {
                    *b
                };
                let fits = i != axis || cx.known(*a) == cx.known(own);
                if fits {
                    cx.equate(*a, own)?;
                } else {
                    // The last block is not full.
                    cx.freeze(*a, Reason::Index);
                    cx.freeze(*b, Reason::Index);
                }
            }
            Ok(())
        }
        _ => cx.wrong("the scales do not fit the operand"),
    }
}

/// The positions of so many blocks: whole ones can go.
fn blocks_of(cx: &mut Rule<'_>, blocks: Dim, size: i64) -> Dim {
    let within = cx.dims.axis(Extent::from(size));
    cx.freeze(within, Reason::Index);
    cx.dims.product(&[blocks, within])
}

/// Scales and zero points, and how the elements reach them.
struct Scales {
    scale: Vec<f32>,
    zero: Vec<i64>,
    shape: Vec<usize>,
    /// Per axis of the operand: how many positions share a scale, and how far the next scale is.
    steps: Vec<(usize, usize)>,
}

impl Scales {
    fn of(cx: &Eval<'_>, x: &Tensor) -> Result<Scales, EvalError> {
        let scale = cx.operand(1)?;
        let zero = match cx.optional(2) {
            Some(zero) => zero.to_i64()?,
            None => vec![0; scale.len()],
        };
        let mut steps = vec![(1, 0); x.shape.len()];
        if scale.len() != 1 {
            let axis = cx.axis("axis", 1, x.shape.len())?;
            if scale.shape.len() == 1 {
                steps[axis] = (1, 1);
            } else {
                let own = strides(&scale.shape);
                steps = own.into_iter().map(|step| (1, step)).collect();
                let size = usize::try_from(cx.attrs.int_or("block_size", 1)).unwrap_or(1);
                steps[axis].0 = size.max(1);
            }
        }
        let reach = x.shape.iter().zip(&steps);
        let last: usize = reach
            .map(|(n, (size, step))| n.saturating_sub(1) / size * step)
            .sum();
        if zero.len() != scale.len() || steps.len() != x.shape.len() || last >= scale.len() {
            return wrong("the scales do not fit the operand");
        }
        Ok(Scales {
            scale: scale.to_f32()?.into_owned(),
            zero,
            shape: x.shape.clone(),
            steps,
        })
    }
    /// Scale and zero point of element `i`.
    fn at(&self, i: usize) -> (f32, i64) {
        let place = super::index::unravel(i, &self.shape);
        let steps = place.iter().zip(&self.steps);
        let at: usize = steps.map(|(p, (size, step))| p / size * step).sum();
        (self.scale[at], self.zero[at])
    }
}
