//! Batch normalization with running statistics, or with those of the batch.
use super::norm::{binary, unary};
use super::table::{Binary, Unary};
use super::*;
use crate::tensor::Tensor;

/// `batch_norm(x, scale, bias, mean, var) {training}`: `n c ..., c, c, c, c -> n c ...`.
///
/// With `training`, statistics are taken over all axes but the channels, and the second and third results are the
/// running ones after this batch: the old times `momentum`, and the batch's times what is left to 1.
pub struct BatchNorm;

/// The axes over which a batch's statistics are taken.
fn batch_axes(rank: usize) -> Vec<usize> {
    (0..rank).filter(|a| *a != 1).collect()
}

impl Operator for BatchNorm {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("epsilon", Kind::Float),
            ("momentum", Kind::Float),
            ("spatial", Kind::Int),
            ("training", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        5..=5
    }
    fn removal(&self) -> Removal {
        Removal::Exact
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
        cx.result_like(0)?;
        if cx.attrs.flag("training") {
            for k in 3..5 {
                cx.result_like(k)?;
            }
        }
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let mut params = (1..5)
            .map(|k| Ok(cx.operand(k)?.to_f32()?.into_owned()))
            .collect::<Result<Vec<_>, EvalError>>()?;
        let epsilon = cx.attrs.float_or("epsilon", 1e-5);
        let (channels, plane) = (shape[1], shape[2..].iter().product::<usize>());
        let mut out = x.to_f32()?.into_owned();
        let mut running = vec![];
        if cx.attrs.flag("training") {
            let momentum = cx.attrs.float_or("momentum", 0.9);
            for (k, of_batch) in (2..4).zip(statistics(&out, channels, plane)) {
                let old = std::mem::replace(&mut params[k], of_batch);
                let pairs = old.iter().zip(&params[k]);
                let new = pairs.map(|(old, new)| old * momentum + new * (1.0 - momentum));
                running.push(Tensor::from_f32(&[channels], new.collect())?);
            }
        }
        for (i, rows) in out.chunks_mut(plane.max(1)).enumerate() {
            let c = i % channels;
            let factor = params[0][c] / (params[3][c] + epsilon).sqrt();
            for x in rows {
                *x = (*x - params[2][c]) * factor + params[1][c];
            }
        }
        let mut all = vec![Tensor::from_f32(shape, out)?.cast(dtype)?];
        for (k, tensor) in running.into_iter().enumerate() {
            let dtype = cx.result(k + 1).map_or(tensor.dtype, |(dtype, _)| dtype);
            all.push(tensor.cast(dtype)?);
        }
        Ok(all)
    }
    /// Exact with running statistics; a batch's are taken over the survivors.
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let rank = mask.rank(0);
        let axes = batch_axes(rank);
        let of_batch = mask.attrs().flag("training");
        if !of_batch || axes.iter().all(|a| mask.lost(0, *a).is_none()) {
            return mask.apart();
        }
        let all: Option<Vec<Handle>> = (0..5).map(|k| mask.operand(k)).collect();
        let Some(&[x, scale, bias, mean, var]) = all.as_deref() else {
            return mask.apart();
        };
        let (epsilon, momentum) = (
            mask.attrs().float_or("epsilon", 1e-5),
            mask.attrs().float_or("momentum", 0.9),
        );
        let channels = mask.axes(1);
        let mut column = vec![Expr::Num(1); rank];
        column[1] = channels[0].clone();
        let new_mean = mask.mean(x, 0, &axes);
        let center = binary(mask, Binary::Sub, x, new_mean);
        let square = binary(mask, Binary::Mul, center, center);
        let new_var = mask.mean(square, 0, &axes);
        let epsilon = mask.scalar(0, epsilon);
        let sum = binary(mask, Binary::Add, new_var, epsilon);
        let deviation = unary(mask, Unary::Sqrt, sum);
        let mut y = binary(mask, Binary::Div, center, deviation);
        for (op, param) in [(Binary::Mul, scale), (Binary::Add, bias)] {
            let param = mask.reshape(param, column.clone());
            y = binary(mask, op, y, param);
        }
        let mut results = vec![y];
        for (old, new) in [(mean, new_mean), (var, new_var)] {
            let new = mask.reshape(new, channels.clone());
            let (keep, take) = (mask.scalar(3, momentum), mask.scalar(3, 1.0 - momentum));
            let (old, new) = (
                binary(mask, Binary::Mul, old, keep),
                binary(mask, Binary::Mul, new, take),
            );
            results.push(binary(mask, Binary::Add, old, new));
        }
        results.truncate(mask.result_count());
        results
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
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

/// Means and variances of the channels of a batch.
fn statistics(x: &[f32], channels: usize, plane: usize) -> [Vec<f32>; 2] {
    let count = (x.len() / channels.max(1)).max(1) as f64;
    let of = |value: &dyn Fn(usize, f32) -> f64| -> Vec<f64> {
        let mut sums = vec![0f64; channels];
        for (i, rows) in x.chunks(plane.max(1)).enumerate() {
            let c = i % channels;
            sums[c] += rows.iter().map(|x| value(c, *x)).sum::<f64>();
        }
        sums.iter().map(|sum| sum / count).collect()
    };
    let means = of(&|_, x| x as f64);
    let variances = of(&|c, x| (x as f64 - means[c]).powi(2));
    [means, variances].map(|all| all.iter().map(|x| *x as f32).collect())
}
