//! Convolution of integers: with scales to integers again, or as it is.
use super::context::product;
use super::conv::{self, slide};
use super::movement::{as_eval, wrong};
use super::qlinear::{Scaled, quantized_as, single, single_or_per};
use super::quantize::rounded;
use super::window::Window;
use super::*;
use crate::tensor::{DType, Tensor};
use std::num::Wrapping;

/// `qlinear_conv(x, x_scale, x_zero, weight, w_scale, w_zero, scale, zero, bias?)`: the convolution of quantized operands,
/// quantized; the weight's scale and zero point may be one for each output channel.
pub struct QlinearConv;

/// `conv_integer(x, weight, x_zero?, w_zero?)`: the convolution of what is above the zero points.
pub struct ConvInteger;

/// Where an operator's operands stand.
struct Places {
    data: [usize; 2],
    zeros: [usize; 2],
    bias: usize,
}

const QLINEAR: Places = Places {
    data: [0, 3],
    zeros: [2, 5],
    bias: 8,
};
const INTEGER: Places = Places {
    data: [0, 1],
    zeros: [2, 3],
    bias: 4,
};

impl Places {
    fn conv(&self) -> [usize; 3] {
        [self.data[0], self.data[1], self.bias]
    }
    /// The convolution's rule, and those of the zero points.
    fn rule(&self, cx: &mut Rule<'_>) -> Result<Vec<ValueType>, RuleError> {
        let results = cx.as_if(Op::Conv, cx.attrs, &self.conv())?;
        single(cx, self.zeros[0])?;
        let weight = cx.operand(self.data[1])?;
        single_or_per(cx, self.zeros[1], weight.axes[0])?;
        Ok(results)
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let weight = view.operand(self.data[1]);
        let each = weight.map_or(Extent::from(0i64), |w| product(&w.axes[1..]));
        product(&[view.result_count(0), each])
    }
    /// The sums, without scales.
    fn sums(&self, cx: &Eval<'_>) -> Result<Vec<Wrapping<i32>>, EvalError> {
        let [x, w] = [cx.operand(self.data[0])?, cx.operand(self.data[1])?];
        let (_, shape) = cx.result(0)?;
        let kernel = w.shape[2..].iter().map(|n| *n as i64).collect();
        let window = Window::new(cx.attrs, kernel).map_err(as_eval)?;
        let each = w.shape[1..].iter().product::<usize>();
        let xs = above(x, cx.optional(self.zeros[0]), |_| 0)?;
        let ws = above(w, cx.optional(self.zeros[1]), |i| i / each.max(1))?;
        let bias = cx.optional(self.bias).map(Tensor::to_i64).transpose()?;
        let first = |c: usize| Wrapping(bias.as_ref().map_or(0, |b| b[c] as i32));
        Ok(slide(
            (&xs, &x.shape),
            (&ws, &w.shape),
            &window,
            shape,
            first,
        ))
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // Depthwise: no channel sees another.
        match mask.axes(self.data[1]).get(1) {
            Some(Expr::Num(1)) => mask.apart(),
            _ => {
                let zero = mask.operand(self.zeros[0]);
                mask.zeroed(self.data[0], &[1], zero)
            }
        }
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let Some(own) = self.conv().iter().position(|place| *place == k) else {
            return all_axes(view, k, Role::Other);
        };
        let operands = view.pick(&self.conv());
        let view = View {
            operands: &operands,
            ..*view
        };
        Op::Conv.operator().usage(&view, own)
    }
}

/// Integers above their zero points, of which element `i` has that at `place(i)` if there is more than one.
pub(super) fn above(
    x: &Tensor,
    zero: Option<&Tensor>,
    place: impl Fn(usize) -> usize,
) -> Result<Vec<Wrapping<i32>>, EvalError> {
    let zeros = zero.map(Tensor::to_i64).transpose()?;
    let zeros = zeros.unwrap_or_else(|| vec![0]);
    let mut all = Vec::with_capacity(x.len());
    for (i, n) in x.to_i64()?.into_iter().enumerate() {
        let at = if zeros.len() == 1 { 0 } else { place(i) };
        let Some(zero) = zeros.get(at) else {
            return wrong("the zero points do not fit the operand");
        };
        all.push(Wrapping(n.wrapping_sub(*zero) as i32));
    }
    Ok(all)
}

impl Operator for QlinearConv {
    fn attrs(&self) -> &'static [AttrSpec] {
        conv::WINDOW
    }
    fn operands(&self) -> RangeInclusive<usize> {
        8..=9
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let results = QLINEAR.rule(cx)?;
        let weight = cx.operand(3)?;
        single_or_per(cx, 4, weight.axes[0])?;
        for k in [1, 6, 7] {
            single(cx, k)?;
        }
        let dtype = quantized_as(cx, 7, 0)?;
        let typed = |result| ValueType { dtype, ..result };
        cx.results.extend(results.into_iter().map(typed));
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        QLINEAR.macs(view)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let sums = QLINEAR.sums(cx)?;
        let (dtype, shape) = cx.result(0)?;
        let (x_scale, _) = Scaled::of(cx, 1, 2)?.one()?;
        let (scale, zero) = Scaled::of(cx, 6, 7)?.one()?;
        let w_scale = cx.operand(4)?.to_f32()?.into_owned();
        if w_scale.len() != 1 && w_scale.len() != shape[1] {
            return wrong("the weight's scales do not fit it");
        }
        let factors: Vec<f32> = w_scale.iter().map(|w| x_scale * w / scale).collect();
        let places: usize = shape[2..].iter().product();
        let factor = |i: usize| factors[i / places % shape[1] % factors.len()];
        let all = sums.iter().enumerate();
        let all = all.map(|(i, sum)| (sum.0 as f32 * factor(i), zero));
        Ok(vec![rounded(shape, all, dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        QLINEAR.masked(mask)
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        QLINEAR.usage(view, k)
    }
}

impl Operator for ConvInteger {
    fn attrs(&self) -> &'static [AttrSpec] {
        conv::WINDOW
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=4
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let dtype = DType::I32;
        let typed = |result| ValueType { dtype, ..result };
        let results = INTEGER.rule(cx)?;
        cx.results.extend(results.into_iter().map(typed));
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        INTEGER.macs(view)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let sums = INTEGER.sums(cx)?.into_iter().map(|sum| sum.0).collect();
        Ok(vec![Tensor::from_vec(cx.result(0)?.1, sums)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        INTEGER.masked(mask)
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        INTEGER.usage(view, k)
    }
}
