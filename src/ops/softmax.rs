//! Softmax and its kin: over one axis, or (in old models) over all axes from one on.
use super::table::family;
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

family! {
    /// `softmax(x) {axis, flatten}`; under `flatten` all axes from `axis` on are one.
    Softmax { Soft "softmax" Log "log_softmax" Hard "hardmax" }
}

impl Softmax {
    fn axes(attrs: &Attrs, rank: usize) -> Result<Vec<usize>, RuleError> {
        let axis = normalize_axis(attrs.int_or("axis", -1), rank)?;
        Ok(match attrs.flag("flatten") {
            true => (axis..rank).collect(),
            false => vec![axis],
        })
    }
}

impl Operator for Softmax {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int), ("flatten", Kind::Bool)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        match self {
            Softmax::Soft | Softmax::Log => Removal::Reestimated,
            Softmax::Hard => Removal::Barrier,
        }
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let axes = Softmax::axes(cx.attrs, x.axes.len())?;
        if *self == Softmax::Hard {
            // The largest position decides all others.
            axes.iter()
                .for_each(|a| cx.freeze(x.axes[*a], Reason::Barrier));
        }
        cx.result_like(0)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let axes =
            Softmax::axes(cx.attrs, shape.len()).map_err(|e| EvalError::Wrong(e.to_string()))?;
        let (first, last) = (axes[0], axes[axes.len() - 1]);
        let inner: usize = shape[last + 1..].iter().product();
        let n: usize = shape[first..=last].iter().product();
        let values = x.to_f32()?;
        let mut out = vec![0f32; values.len()];
        for at in (0..values.len()).step_by((n * inner).max(1)) {
            for i in 0..inner {
                let place = |k: usize| at + k * inner + i;
                let line = || (0..n).map(|k| values[place(k)] as f64);
                let top = line().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = line().map(|x| (x - top).exp()).sum();
                let hard = (0..n).find(|k| values[place(*k)] as f64 == top);
                for k in 0..n {
                    let x = values[place(k)] as f64;
                    out[place(k)] = match self {
                        Softmax::Soft => ((x - top).exp() / sum) as f32,
                        Softmax::Log => (x - top - sum.ln()) as f32,
                        Softmax::Hard => f32::from(hard == Some(k)),
                    };
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let axes = Softmax::axes(mask.attrs(), mask.rank(0)).unwrap_or_default();
        mask.filled(&[(0, &axes, f32::NEG_INFINITY)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        let rank = pairs.view.operand(0).map_or(0, |x| x.axes.len());
        Softmax::axes(pairs.view.attrs, rank).is_ok_and(|axes| pairs.within_rows(&axes))
    }
}
