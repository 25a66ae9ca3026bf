//! Operators that an optimizer joined: activations with a bias, products with a factor, convolutions with an activation.
use super::conv;
use super::matmul::multiply;
use super::movement::{permute, wrong};
use super::table::family;
use super::*;
use crate::tensor::{DType, Tensor};

family! {
    /// `bias_gelu(x, bias)` and `fast_gelu(x, bias?)` (by the hyperbolic tangent): `gelu` of the sum; `bias_split_gelu(x,
    /// bias)`: the first half of the sum's last axis times the `gelu` of the second.
    BiasedGelu { Plain "bias_gelu" Fast "fast_gelu" Split "bias_split_gelu" }
}

/// `fused_matmul(a, b) {alpha, trans_a, trans_b, batch_a, batch_b}`: `alpha` times the matrix product; `trans_` says of which
/// operand the last two axes lie transposed, `batch_` of which the last but one stands before all others.
pub struct FusedMatmul;

/// `fused_conv(x, weight, bias?, add?) {..., activation, activation_params}`: an activation of a convolution and a sum.
pub struct FusedConv;

impl Operator for BiasedGelu {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        match self {
            BiasedGelu::Fast => 1..=2,
            BiasedGelu::Plain | BiasedGelu::Split => 2..=2,
        }
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let Some((last, before)) = x.axes.split_last() else {
            return cx.wrong("the operand is a scalar");
        };
        if let Some(bias) = cx.optional(1) {
            let [own] = bias.axes else {
                return cx.wrong("the bias has not one axis");
            };
            cx.equate(*own, *last)?;
        }
        let mut axes = before.to_vec();
        axes.push(match self {
            BiasedGelu::Split => {
                let half = cx.dims.extent(*last).exact_div(&Extent::from(2i64));
                let Some(half) = half else {
                    return cx.wrong("the last axis has no halves");
                };
                let half = cx.dims.axis(half);
                let both = cx.dims.concat(&[half, half]);
                cx.equate(*last, both)?;
                half
            }
            BiasedGelu::Plain | BiasedGelu::Fast => *last,
        });
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let bias = cx.optional(1).map(Tensor::to_f32).transpose()?;
        let attrs = match self {
            BiasedGelu::Fast => Attrs::new().with("approximate", Attr::str("tanh")),
            BiasedGelu::Plain | BiasedGelu::Split => Attrs::new(),
        };
        let gelu = Unary::Gelu.function(&attrs);
        let n = x.shape.last().copied().unwrap_or(1).max(1);
        let values = x.to_f32()?;
        let sums = values.iter().enumerate();
        let sums: Vec<f32> = sums
            .map(|(i, x)| x + bias.as_ref().map_or(0.0, |b| b[i % n]))
            .collect();
        let all = match self {
            BiasedGelu::Plain | BiasedGelu::Fast => sums.into_iter().map(gelu).collect(),
            BiasedGelu::Split => {
                let rows = sums.chunks(n).map(|row| row.split_at(n / 2));
                rows.flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * gelu(*b)))
                    .collect()
            }
        };
        Ok(vec![Tensor::from_f32(shape, all)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let role = if k == 1 { Role::Bias } else { Role::Other };
        all_axes(view, k, role)
    }
}

impl FusedMatmul {
    /// Operand `k` as the product takes it: an order of its axes. A vector does not lie transposed.
    fn order(attrs: &Attrs, k: usize, rank: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rank).collect();
        if rank > 1 && attrs.flag(["batch_a", "batch_b"][k]) {
            order[..rank - 1].rotate_left(1);
        }
        if rank > 1 && attrs.flag(["trans_a", "trans_b"][k]) {
            order.swap(rank - 1, rank - 2);
        }
        order
    }
    /// The axis of the left operand that is summed over.
    fn summed(attrs: &Attrs, rank: usize) -> usize {
        FusedMatmul::order(attrs, 0, rank).pop().unwrap_or_default()
    }
}

impl Operator for FusedMatmul {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("alpha", Kind::Float),
            ("trans_a", Kind::Bool),
            ("trans_b", Kind::Bool),
            ("batch_a", Kind::Bool),
            ("batch_b", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (a, b) = (cx.operand(0)?, cx.operand(1)?);
        let axes = |k: usize, axes: &[crate::dims::Dim]| -> Vec<crate::dims::Dim> {
            let order = FusedMatmul::order(cx.attrs, k, axes.len());
            order.into_iter().map(|i| axes[i]).collect()
        };
        let (left, right) = (axes(0, a.axes), axes(1, b.axes));
        let operands = [
            Some(Operand { axes: &left, ..a }),
            Some(Operand { axes: &right, ..b }),
        ];
        let results = cx.rule_of(Op::Matmul, &Attrs::new(), &operands)?;
        cx.results.extend(results);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let rank = view.operand(0).map_or(1, |a| a.axes.len());
        let k = FusedMatmul::summed(view.attrs, rank);
        context::product(&[view.result_count(0), view.extent(0, k)])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let side = |k: usize| {
            let x = cx.operand(k)?;
            permute(x, &FusedMatmul::order(cx.attrs, k, x.shape.len()))
        };
        let (a, b) = (side(0)?, side(1)?);
        let alpha = cx.attrs.float_or("alpha", 1.0);
        let mut out = multiply((&a.to_f32()?, &a.shape), (&b.to_f32()?, &b.shape), shape);
        out.iter_mut().for_each(|x| *x *= alpha);
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // What is multiplied by 0 need not be 0 itself.
        let k = FusedMatmul::summed(mask.attrs(), mask.rank(0));
        mask.filled(&[(0, &[k], 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let rank = view.operand(k).map_or(0, |o| o.axes.len());
        match Op::Matmul.operator().usage(view, k) {
            Use::Roles(taken) => {
                let order = FusedMatmul::order(view.attrs, k, rank);
                let mut roles = taken.clone();
                for (axis, role) in order.into_iter().zip(taken) {
                    roles[axis] = role;
                }
                Use::Roles(roles)
            }
            other => other,
        }
    }
}

const CONV: &[usize] = &[0, 1, 2];

impl FusedConv {
    /// The activation as a function of one float.
    fn activation(attrs: &Attrs) -> Option<Box<dyn Fn(f32) -> f32 + Sync>> {
        let params = attrs.floats("activation_params").unwrap_or_default();
        let param = |i: usize, default: f32| params.get(i).copied().unwrap_or(default);
        let with = |names: &[(&str, f32)]| {
            let all = names.iter().enumerate();
            all.fold(Attrs::new(), |attrs, (i, (name, default))| {
                attrs.with(name, Attr::Float(param(i, *default)))
            })
        };
        Some(match attrs.str_or("activation", "") {
            "" => Box::new(|x| x),
            "Relu" => Unary::Relu.function(&with(&[])),
            "Tanh" => Unary::Tanh.function(&with(&[])),
            "Sigmoid" => Unary::Sigmoid.function(&with(&[])),
            "LeakyRelu" => Unary::LeakyRelu.function(&with(&[("alpha", 0.01)])),
            "HardSigmoid" => Unary::HardSigmoid.function(&with(&[("alpha", 0.2), ("beta", 0.5)])),
            "Clip" => {
                let (least, most) = (param(0, f32::MIN), param(1, f32::MAX));
                Box::new(move |x: f32| x.max(least).min(most))
            }
            _ => return None,
        })
    }
}

impl Operator for FusedConv {
    fn attrs(&self) -> &'static [AttrSpec] {
        const ALL: &[AttrSpec] = &[
            conv::WINDOW[0],
            conv::WINDOW[1],
            conv::WINDOW[2],
            conv::WINDOW[3],
            conv::WINDOW[4],
            conv::WINDOW[5],
            ("activation", Kind::Str),
            ("activation_params", Kind::Floats),
        ];
        ALL
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=4
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        if FusedConv::activation(cx.attrs).is_none() {
            return cx.wrong("the activation is not known");
        }
        let results = cx.as_if(Op::Conv, cx.attrs, CONV)?;
        let axes = results.first().and_then(|r| r.axes.clone());
        if let (Some(axes), Some(add)) = (axes, cx.optional(3)) {
            if axes.len() != add.axes.len() {
                return cx.wrong("what is added has other axes");
            }
            for (a, b) in axes.iter().zip(add.axes) {
                cx.equate(*a, *b)?;
            }
        }
        cx.results.extend(results);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        Op::Conv.operator().macs(view)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let operands: Vec<Option<&Tensor>> = CONV.iter().map(|k| cx.optional(*k)).collect();
        let made = Op::Conv.operator().eval(&Eval {
            attrs: cx.attrs,
            operands: &operands,
            results: &[(DType::F32, shape.to_vec())],
        })?;
        let mut out = match made.first() {
            Some(made) => made.to_f32()?.into_owned(),
            None => return wrong("the convolution gives nothing"),
        };
        if let Some(add) = cx.optional(3) {
            out.iter_mut()
                .zip(add.to_f32()?.iter())
                .for_each(|(x, z)| *x += z);
        }
        let Some(f) = FusedConv::activation(cx.attrs) else {
            return wrong("the activation is not known");
        };
        out.iter_mut().for_each(|x| *x = f(*x));
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        Op::Conv.operator().masked(mask)
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            3 => all_axes(view, k, Role::Other),
            _ => Op::Conv.operator().usage(view, k),
        }
    }
}
