//! Reductions over axes.
use super::index::{strides, walk};
use super::table::family;
use super::*;
use crate::tensor::Tensor;

family! {
    /// A reduction over `axes` (all where they are absent), which stay with extent 1 under `keep_dims`.
    Reduce {
        Sum "reduce_sum" Mean "reduce_mean" Max "reduce_max" Min "reduce_min" Prod "reduce_prod" L1 "reduce_l1"
        L2 "reduce_l2" SumSquare "reduce_sum_square" LogSum "reduce_log_sum" LogSumExp "reduce_log_sum_exp"
    }
}

impl Reduce {
    /// Which axes go.
    fn axes(attrs: &Attrs, rank: usize) -> Result<Vec<usize>, RuleError> {
        match attrs.ints("axes") {
            Some(axes) if !axes.is_empty() => {
                axes.iter().map(|a| normalize_axis(*a, rank)).collect()
            }
            _ if attrs.flag("noop_with_empty_axes") => Ok(vec![]),
            _ => Ok((0..rank).collect()),
        }
    }
    /// What a removed position is replaced with.
    fn identity(self) -> f32 {
        match self {
            Reduce::Max | Reduce::LogSumExp => f32::NEG_INFINITY,
            Reduce::Min => f32::INFINITY,
            Reduce::Prod => 1.0,
            Reduce::Sum
            | Reduce::Mean
            | Reduce::L1
            | Reduce::L2
            | Reduce::SumSquare
            | Reduce::LogSum => 0.0,
        }
    }
}

impl Operator for Reduce {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("axes", Kind::Ints),
            ("keep_dims", Kind::Bool),
            ("noop_with_empty_axes", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        match self {
            Reduce::Sum | Reduce::SumSquare | Reduce::L1 | Reduce::L2 | Reduce::LogSum => {
                Removal::Exact
            }
            Reduce::Mean | Reduce::Max | Reduce::Min | Reduce::Prod | Reduce::LogSumExp => {
                Removal::Reestimated
            }
        }
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let reduced = Reduce::axes(cx.attrs, x.axes.len())?;
        let mut axes = vec![];
        for (i, d) in x.axes.iter().enumerate() {
            match (reduced.contains(&i), cx.attrs.flag("keep_dims")) {
                (false, _) => axes.push(*d),
                (true, true) => axes.push(cx.dims.axis(1i64)),
                (true, false) => {}
            }
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let reduced =
            Reduce::axes(cx.attrs, x.shape.len()).map_err(|e| EvalError::Wrong(e.to_string()))?;
        let kept: Vec<usize> = x
            .shape
            .iter()
            .enumerate()
            .map(|(i, n)| if reduced.contains(&i) { 1 } else { *n })
            .collect();
        let mut into = strides(&kept);
        reduced.iter().for_each(|a| into[*a] = 0);
        let values = x.to_f32()?;
        let count = reduced.iter().map(|a| x.shape[*a]).product::<usize>() as f64;
        let size = kept.iter().product::<usize>();
        // Sums are taken in f64, so that the order of adding does not show; `log_sum_exp` needs the maximum first.
        let mut top = vec![f64::NEG_INFINITY; size];
        if *self == Reduce::LogSumExp {
            walk(&x.shape, [&strides(&x.shape), &into], |[i, o]| {
                top[o] = top[o].max(values[i] as f64)
            });
            top.iter_mut()
                .filter(|t| t.is_infinite())
                .for_each(|t| *t = 0.0);
        }
        let mut out = vec![
            match (self, x.dtype) {
                (Reduce::LogSumExp, _) | (Reduce::Max, crate::tensor::DType::Bool) => 0.0,
                _ => self.identity() as f64,
            };
            size
        ];
        walk(&x.shape, [&strides(&x.shape), &into], |[i, o]| {
            let x = values[i] as f64;
            out[o] = match self {
                Reduce::Sum | Reduce::Mean | Reduce::LogSum => out[o] + x,
                Reduce::Max if x.is_nan() || x > out[o] => x,
                Reduce::Min if x.is_nan() || x < out[o] => x,
                Reduce::Max | Reduce::Min => out[o],
                Reduce::Prod => out[o] * x,
                Reduce::L1 => out[o] + x.abs(),
                Reduce::L2 | Reduce::SumSquare => out[o] + x * x,
                Reduce::LogSumExp => out[o] + (x - top[o]).exp(),
            };
        });
        for (o, top) in out.iter_mut().zip(top) {
            *o = match self {
                Reduce::Mean => *o / count,
                Reduce::L2 => o.sqrt(),
                Reduce::LogSum => o.ln(),
                Reduce::LogSumExp => o.ln() + top,
                Reduce::Sum
                | Reduce::Max
                | Reduce::Min
                | Reduce::Prod
                | Reduce::L1
                | Reduce::SumSquare => *o,
            };
        }
        let out = Tensor::from_f32(shape, out.into_iter().map(|x| x as f32).collect())?;
        Ok(vec![out.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let axes = Reduce::axes(mask.attrs(), mask.rank(0)).unwrap_or_default();
        match self {
            Reduce::Mean => mask.averaged(&axes),
            _ => mask.filled(&[(0, &axes, self.identity())]),
        }
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
    fn statistics(&self, attrs: &Attrs, rank: usize) -> Vec<usize> {
        match self {
            Reduce::Mean if attrs.flag("keep_dims") => {
                Reduce::axes(attrs, rank).unwrap_or_default()
            }
            _ => vec![],
        }
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        let rank = pairs.view.operand(0).map_or(0, |x| x.axes.len());
        Reduce::axes(pairs.view.attrs, rank).is_ok_and(|axes| pairs.within_rows(&axes))
    }
}
