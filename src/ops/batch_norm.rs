//! Batch normalization with running statistics.
use super::*;
use crate::tensor::Tensor;

/// `batch_norm(x, scale, bias, mean, var)`: `n c ..., c, c, c, c -> n c ...`.
pub struct BatchNorm;

impl Operator for BatchNorm {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("epsilon", Kind::Float),
            ("momentum", Kind::Float),
            ("spatial", Kind::Int),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        5..=5
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        if x.axes.len() < 2 {
            return cx.wrong("the input has fewer than 2 axes");
        }
        for k in 1..5 {
            let param = cx.operand(k)?;
            cx.apply("c, c -> c", &[&x.axes[1..2], param.axes], &[])?;
        }
        cx.result_like(0)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let params = (1..5)
            .map(|k| cx.operand(k)?.to_f32().map_err(EvalError::from))
            .collect::<Result<Vec<_>, _>>()?;
        let epsilon = cx.attrs.float_or("epsilon", 1e-5);
        let (channels, plane) = (shape[1], shape[2..].iter().product::<usize>());
        let mut out = x.to_f32()?.into_owned();
        for (i, rows) in out.chunks_mut(plane.max(1)).enumerate() {
            let c = i % channels;
            let factor = params[0][c] / (params[3][c] + epsilon).sqrt();
            for x in rows {
                *x = (*x - params[2][c]) * factor + params[1][c];
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let role = match k {
            0 => Role::Other,
            1 => Role::Scale,
            2 => Role::Bias,
            _ => Role::Statistic,
        };
        all_axes(view, k, role)
    }
}
