//! The general matrix product of two matrices and a bias.
use super::index::{broadcast_strides, walk};
use super::*;
use crate::tensor::Tensor;

/// `linear(a, b, c?)`: `alpha * a b + beta * c`, where `trans_a` and `trans_b` say which operand lies transposed.
pub struct Linear;

impl Operator for Linear {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("alpha", Kind::Float),
            ("beta", Kind::Float),
            ("trans_a", Kind::Bool),
            ("trans_b", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (a, b) = (cx.operand(0)?, cx.operand(1)?);
        let rule = match (cx.attrs.flag("trans_a"), cx.attrs.flag("trans_b")) {
            (false, false) => "m k, k n -> m n",
            (false, true) => "m k, n k -> m n",
            (true, false) => "k m, k n -> m n",
            (true, true) => "k m, n k -> m n",
        };
        let axes = cx.apply(rule, &[a.axes, b.axes], &[])?.results[0].clone();
        if let Some(c) = cx.optional(2) {
            cx.broadcast(&[&axes, c.axes])?;
        }
        cx.result(a.dtype, axes);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let k = view.extent(0, if view.attrs.flag("trans_a") { 0 } else { 1 });
        context::product(&[view.result_count(0), k])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (a, b) = (cx.operand(0)?, cx.operand(1)?);
        let (dtype, shape) = cx.result(0)?;
        let (m, n) = (shape[0], shape[1]);
        let (trans_a, trans_b) = (cx.attrs.flag("trans_a"), cx.attrs.flag("trans_b"));
        let k = a.shape[if trans_a { 0 } else { 1 }];
        let (alpha, beta) = (
            cx.attrs.float_or("alpha", 1.0),
            cx.attrs.float_or("beta", 1.0),
        );
        let (x, y) = (a.to_f32()?, b.to_f32()?);
        let mut out = vec![0f32; m * n];
        for i in 0..m {
            for l in 0..k {
                let left = alpha * if trans_a { x[l * m + i] } else { x[i * k + l] };
                for j in 0..n {
                    out[i * n + j] += left * if trans_b { y[j * k + l] } else { y[l * n + j] };
                }
            }
        }
        if let Some(c) = cx.optional(2) {
            let values = c.to_f32()?;
            let mut at = 0;
            walk(shape, [&broadcast_strides(&c.shape, shape)], |[i]| {
                out[at] += beta * values[i];
                at += 1;
            });
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let k = if mask.attrs().flag("trans_a") { 0 } else { 1 };
        mask.filled(&[(0, &[k], 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let pair = |first_is_out: bool| {
            Use::Roles(if first_is_out {
                vec![Role::Out, Role::In]
            } else {
                vec![Role::In, Role::Out]
            })
        };
        match k {
            0 => pair(!view.attrs.flag("trans_a")),
            1 => pair(view.attrs.flag("trans_b")),
            _ => all_axes(view, k, Role::Bias),
        }
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        let flags = ["trans_a", "trans_b"].map(|name| pairs.view.attrs.flag(name));
        // Rows, what is summed over, columns.
        let label = |k: usize, axis: usize| match (k, flags) {
            (0, [trans, _]) => axis ^ usize::from(trans),
            (1, [_, trans]) => 1 + (axis ^ usize::from(trans)),
            _ => 2,
        };
        pairs.contracted(label, |l| *l == 1)
    }
}
