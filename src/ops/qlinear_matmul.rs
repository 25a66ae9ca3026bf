//! Products of integer matrices: as they are, with scales to floats, or to integers again.
use super::context::product;
use super::index::{broadcast_strides, walk};
use super::matmul::multiply;
use super::movement::wrong;
use super::qlinear::{quantized_as, single};
use super::quantize::{dynamic, rounded};
use super::table::family;
use super::*;
use crate::tensor::{DType, Tensor};
use std::num::Wrapping;

family! {
    /// The matrix product of what is above the zero points; these and the scales are one for all, or one for each row of
    /// the left and column of the right operand.
    ///
    /// `qlinear_matmul(a, a_scale, a_zero, b, b_scale, b_zero, scale, zero)` gives integers,
    /// `matmul_integer(a, b, a_zero?, b_zero?)` the sums, `matmul_integer_to_float(a, b, a_scale, b_scale, a_zero?, b_zero?,
    /// bias?)` floats, `dynamic_quantize_matmul(a, b, b_scale, b_zero?, bias?)` quantizes floats first, and `qgemm(a,
    /// a_scale, a_zero, b, b_scale, b_zero, c?, scale?, zero?) {alpha, trans_a, trans_b}` is `linear`.
    IntegerProduct {
        Quantized "qlinear_matmul" Sums "matmul_integer" Floats "matmul_integer_to_float"
        Dynamic "dynamic_quantize_matmul" Linear "qgemm"
    }
}

/// Where operands stand: data, scale and zero point of both sides; what is added; scale and zero point of the result.
struct Places {
    data: [usize; 2],
    scales: [Option<usize>; 2],
    zeros: [Option<usize>; 2],
    bias: Option<usize>,
    result: Option<usize>,
}

/// Elements above their zero points, and their shape.
type Side = (Vec<Wrapping<i32>>, Vec<usize>);

/// A tensor along the rows of the left operand (one axis stands upright) or the columns of the right one.
fn aligned(x: &Tensor, side: usize) -> Result<Tensor, EvalError> {
    match (x.shape[..].as_ref(), side) {
        ([n], 0) => Ok(x.reshape(&[*n, 1])?),
        _ => Ok(x.clone()),
    }
}

/// The elements of `x` broadcast to a shape.
fn spread<T: Copy>(x: &[T], own: &[usize], shape: &[usize]) -> Result<Vec<T>, EvalError> {
    let fits = |(n, all): (&usize, &usize)| *n == 1 || n == all;
    let fits = own.iter().rev().zip(shape.iter().rev()).all(fits);
    // Axes of one position in front say nothing.
    let extra = own.len().saturating_sub(shape.len());
    if !fits || own[..extra].iter().any(|n| *n != 1) {
        return wrong("scales or zero points do not fit their operand");
    }
    let mut all = Vec::with_capacity(shape.iter().product());
    walk(shape, [&broadcast_strides(&own[extra..], shape)], |[i]| {
        all.push(x[i])
    });
    Ok(all)
}

impl IntegerProduct {
    fn places(self) -> Places {
        let quantized = Places {
            data: [0, 3],
            scales: [Some(1), Some(4)],
            zeros: [Some(2), Some(5)],
            bias: None,
            result: Some(6),
        };
        match self {
            IntegerProduct::Quantized => quantized,
            IntegerProduct::Linear => Places {
                bias: Some(6),
                result: Some(7),
                ..quantized
            },
            IntegerProduct::Sums => Places {
                data: [0, 1],
                scales: [None, None],
                zeros: [Some(2), Some(3)],
                bias: None,
                result: None,
            },
            IntegerProduct::Floats => Places {
                data: [0, 1],
                scales: [Some(2), Some(3)],
                zeros: [Some(4), Some(5)],
                bias: Some(6),
                result: None,
            },
            IntegerProduct::Dynamic => Places {
                data: [0, 1],
                scales: [None, Some(2)],
                zeros: [None, Some(3)],
                bias: Some(4),
                result: None,
            },
        }
    }
    /// The operator on floats, and the axis of operand `side` that is summed over.
    fn inner(self, attrs: &Attrs, side: usize, rank: usize) -> (Op, usize) {
        match (self, side) {
            (IntegerProduct::Linear, 0) => (Op::Linear, usize::from(!attrs.flag("trans_a"))),
            (IntegerProduct::Linear, _) => (Op::Linear, usize::from(attrs.flag("trans_b"))),
            (_, 0) => (Op::Matmul, rank - 1),
            _ => (Op::Matmul, rank.saturating_sub(2)),
        }
    }
    /// States that a scale or zero point of operand `side` is one number, one for each position of the axis that the
    /// result keeps, or a tensor that repeats over the axis that is summed over.
    fn scaled(self, cx: &mut Rule<'_>, k: Option<usize>, side: usize) -> Result<(), RuleError> {
        let Some(scale) = k.and_then(|k| cx.optional(k)) else {
            return Ok(());
        };
        let data = cx.operand(self.places().data[side])?;
        let rank = data.axes.len();
        let (_, summed) = self.inner(cx.attrs, side, rank);
        match scale.axes {
            [] => Ok(()),
            [one] if cx.known(*one) == Some(1) => Ok(()),
            [one] if rank >= 2 => {
                // Of the last two axes, the one that is not summed over.
                cx.equate(*one, data.axes[2 * rank - 3 - summed])
            }
            axes => {
                let at = (summed + axes.len()).checked_sub(rank);
                let repeats = at.is_some_and(|i| cx.known(axes[i]) == Some(1));
                if !repeats || axes.len() > rank {
                    return cx.wrong("the scales do not fit the operand");
                }
                cx.broadcast(&[data.axes, axes]).map(|_| ())
            }
        }
    }
    /// Left and right operand above their zero points, as matrices that do not lie transposed.
    fn sides(self, cx: &Eval<'_>) -> Result<[Side; 2], EvalError> {
        let places = self.places();
        let mut all = [(vec![], vec![]), (vec![], vec![])];
        for side in 0..2 {
            let x = cx.operand(places.data[side])?;
            let (x, zero) = match (self, side) {
                (IntegerProduct::Dynamic, 0) => {
                    let [x, _, zero] = dynamic(x)?;
                    (x, Some(zero))
                }
                _ => {
                    let zero = places.zeros[side].and_then(|k| cx.optional(k));
                    (x.clone(), zero.cloned())
                }
            };
            let flipped =
                self == IntegerProduct::Linear && cx.attrs.flag(["trans_a", "trans_b"][side]);
            let x = match flipped {
                true => super::movement::permute(&x, &[1, 0])?,
                false => x,
            };
            let values = x.to_i64()?;
            let zeros = match zero {
                None => vec![0; values.len()],
                Some(zero) => {
                    let zero = aligned(&zero, side)?;
                    spread(&zero.to_i64()?, &zero.shape, &x.shape)?
                }
            };
            let above = values.iter().zip(zeros);
            let above = above.map(|(n, zero)| Wrapping(n.wrapping_sub(zero) as i32));
            all[side] = (above.collect(), x.shape.clone());
        }
        Ok(all)
    }
    /// What one unit of each element of the result is worth.
    fn worth(self, cx: &Eval<'_>, shape: &[usize]) -> Result<Vec<f32>, EvalError> {
        let places = self.places();
        let alpha = cx.attrs.float_or("alpha", 1.0);
        let mut all = vec![alpha; shape.iter().product()];
        for side in 0..2 {
            let scale = match (self, side) {
                (IntegerProduct::Dynamic, 0) => dynamic(cx.operand(0)?)?[1].clone(),
                _ => match places.scales[side] {
                    Some(k) => aligned(cx.operand(k)?, side)?,
                    None => continue,
                },
            };
            let scales = spread(&scale.to_f32()?, &scale.shape, shape)?;
            all.iter_mut().zip(scales).for_each(|(x, s)| *x *= s);
        }
        Ok(all)
    }
}

impl Operator for IntegerProduct {
    fn attrs(&self) -> &'static [AttrSpec] {
        match self {
            IntegerProduct::Linear => &[
                ("alpha", Kind::Float),
                ("trans_a", Kind::Bool),
                ("trans_b", Kind::Bool),
            ],
            _ => &[],
        }
    }
    fn operands(&self) -> RangeInclusive<usize> {
        match self {
            IntegerProduct::Quantized => 8..=8,
            IntegerProduct::Sums => 2..=4,
            IntegerProduct::Floats => 4..=7,
            IntegerProduct::Dynamic => 3..=5,
            IntegerProduct::Linear => 6..=9,
        }
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let places = self.places();
        let (op, _) = self.inner(cx.attrs, 0, 1);
        let results = cx.as_if(op, cx.attrs, &places.data)?;
        for side in 0..2 {
            self.scaled(cx, places.scales[side], side)?;
            self.scaled(cx, places.zeros[side], side)?;
        }
        let Some(axes) = results.into_iter().next().and_then(|r| r.axes) else {
            return cx.wrong("the result has no known rank");
        };
        if let Some(bias) = places.bias.and_then(|k| cx.optional(k)) {
            cx.broadcast(&[&axes, bias.axes])?;
        }
        let dtype = match (self, places.result) {
            (IntegerProduct::Sums, _) => DType::I32,
            (IntegerProduct::Floats, _) => cx.operand(2)?.dtype,
            (IntegerProduct::Dynamic, _) => DType::F32,
            (_, Some(k)) if cx.optional(k).is_some() => {
                single(cx, k)?;
                single(cx, k + 1)?;
                quantized_as(cx, k + 1, 0)?
            }
            _ => DType::F32,
        };
        cx.result(dtype, axes);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let rank = view.operand(0).map_or(1, |a| a.axes.len());
        let (_, summed) = self.inner(view.attrs, 0, rank.max(1));
        product(&[view.result_count(0), view.extent(0, summed)])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let [(a, a_shape), (b, b_shape)] = self.sides(cx)?;
        let sums = multiply((&a, &a_shape), (&b, &b_shape), shape);
        if *self == IntegerProduct::Sums {
            let sums = sums.into_iter().map(|sum| sum.0).collect();
            return Ok(vec![Tensor::from_vec(shape, sums)?]);
        }
        let places = self.places();
        let bias = places.bias.and_then(|k| cx.optional(k));
        let mut worth = self.worth(cx, shape)?;
        let mut sums: Vec<i32> = sums.into_iter().map(|sum| sum.0).collect();
        let mut added = vec![0f32; sums.len()];
        match bias {
            // In units of the product.
            Some(c) if *self == IntegerProduct::Linear => {
                let own = spread(&c.to_i64()?, &c.shape, shape)?;
                let add = |(sum, c): (&mut i32, i64)| *sum = sum.wrapping_add(c as i32);
                sums.iter_mut().zip(own).for_each(add);
            }
            Some(c) => added = spread(&c.to_f32()?, &c.shape, shape)?,
            None => {}
        }
        let scale = places.result.filter(|k| cx.optional(*k).is_some());
        if let Some(k) = scale {
            let (scale, zero) = super::qlinear::Scaled::of(cx, k, k + 1)?.one()?;
            worth.iter_mut().for_each(|w| *w /= scale);
            let all = sums
                .iter()
                .zip(worth)
                .map(|(sum, w)| (*sum as f32 * w, zero));
            return Ok(vec![rounded(shape, all, dtype)?]);
        }
        let all = sums.iter().zip(worth).zip(added);
        let all = all.map(|((sum, w), c)| *sum as f32 * w + c).collect();
        Ok(vec![Tensor::from_f32(shape, all)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // What is quantized here must not see what is lost in any axis; 0 is always within the range.
        if *self == IntegerProduct::Dynamic {
            let axes: Vec<usize> = (0..mask.rank(0)).collect();
            return mask.filled(&[(0, &axes, 0.0)]);
        }
        let (_, summed) = self.inner(mask.attrs(), 0, mask.rank(0));
        let zero = self.places().zeros[0];
        match zero.filter(|k| mask.operand(*k).is_some() && mask.rank(*k) == 1) {
            // One for each row: it stands upright.
            Some(k) if *self != IntegerProduct::Linear => {
                let attrs = Attrs::new().with("axes", Attr::ints([-1]));
                let zero = mask.operand(k);
                let zero = mask.emit(Op::Unsqueeze, &[zero], attrs);
                mask.zeroed(0, &[summed], Some(zero))
            }
            _ => {
                let zero = zero.and_then(|k| mask.operand(k));
                mask.zeroed(0, &[summed], zero)
            }
        }
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let places = self.places();
        if let Some(own) = places.data.iter().position(|place| *place == k) {
            let operands = view.pick(&places.data);
            let view = View {
                operands: &operands,
                ..*view
            };
            let (op, _) = self.inner(view.attrs, 0, 1);
            return op.operator().usage(&view, own);
        }
        let role = if places.bias == Some(k) {
            Role::Bias
        } else {
            Role::Other
        };
        all_axes(view, k, role)
    }
}
