//! Elements repeated along axes.
use super::movement::{every, moves, pick, target, wrong};
use super::*;
use crate::dims::{Dim, Mismatch, Reason};
use crate::tensor::Tensor;

/// `expand(x) : type`: numpy's broadcasting to the result's type, which is the target.
pub struct Expand;

impl Operator for Expand {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let target = target(cx)?;
        let Some(lead) = target.len().checked_sub(x.axes.len()) else {
            return cx.wrong(format!(
                "{} axes do not become {}",
                x.axes.len(),
                target.len()
            ));
        };
        let mut axes = vec![];
        for (i, extent) in target.iter().enumerate() {
            let from = i.checked_sub(lead).map(|i| x.axes[i]);
            axes.push(match from {
                Some(d) if cx.dims.extent(d) == extent => d,
                Some(d) if cx.known(d) != Some(1) => {
                    let y = cx.dims.axis(extent.clone());
                    cx.equate(d, y)?;
                    y
                }
                _ => cx.dims.axis(extent.clone()),
            });
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (_, shape) = cx.result(0)?;
        let Some(lead) = shape.len().checked_sub(x.shape.len()) else {
            return wrong("it has more axes than the result");
        };
        let own = [&vec![1; lead], &x.shape[..]].concat();
        let places = |(from, to): (&usize, &usize)| match from {
            1 => vec![Some(0); *to],
            _ => every(*to),
        };
        let places: Vec<_> = own.iter().zip(shape).map(places).collect();
        Ok(vec![pick(&x.reshape(&own)?, &places, &[])?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

/// `tile(x) {repeats}`: each axis stands `repeats` times, one behind the other: `times * x`.
pub struct Tile;

impl Operator for Tile {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("repeats", Kind::Extents)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let repeats = cx.extents("repeats")?.unwrap_or_default();
        if repeats.len() != x.axes.len() {
            return cx.wrong(format!(
                "`repeats` has {} items, the operand {} axes",
                repeats.len(),
                x.axes.len()
            ));
        }
        let mut axes = vec![];
        for (i, (d, times)) in x.axes.iter().zip(repeats).enumerate() {
            axes.push(tiled(cx, i, *d, times)?);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (_, shape) = cx.result(0)?;
        if shape.len() != x.shape.len() {
            return wrong("the result has another number of axes");
        }
        let places = |(n, all): (&usize, &usize)| (0..*all).map(|i| i.checked_rem(*n)).collect();
        let places: Vec<Vec<_>> = x.shape.iter().zip(shape).map(places).collect();
        Ok(vec![pick(x, &places, &vec![0; x.dtype.size()])?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

fn tiled(cx: &mut Rule<'_>, i: usize, x: Dim, times: Extent) -> Result<Dim, RuleError> {
    let all = cx.dims.extent(x).checked_mul(&times);
    let all = all.ok_or(Mismatch::Overflow)?;
    match (times.known(), cx.known(x)) {
        (Some(1), _) => Ok(x),
        (Some(n), _) if n < 0 => cx.wrong("a repeat is negative"),
        (Some(0), _) | (_, Some(0)) => {
            cx.freeze(x, Reason::SinglePosition);
            Ok(cx.dims.axis(all))
        }
        (Some(n), Some(_)) => {
            let times = cx.dims.part(n);
            cx.dims.count(times);
            cx.attr_is("repeats", Some(i), vec![times]);
            Ok(cx.dims.product(&[times, x]))
        }
        _ => {
            cx.freeze(x, Reason::RuntimeExtent);
            let y = cx.dims.axis(all);
            cx.freeze(y, Reason::RuntimeExtent);
            Ok(y)
        }
    }
}
