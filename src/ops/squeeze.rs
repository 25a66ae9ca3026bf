//! Axes of extent 1 that go, and that come.
use super::movement::{distinct_axes, moves};
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `squeeze(x) {axes}`: axes of extent 1 go; all of them where none is named.
pub struct Squeeze;

impl Operator for Squeeze {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axes", Kind::Ints)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let gone = match cx.attrs.ints("axes") {
            Some(axes) => distinct_axes(&axes, x.axes.len())?,
            None => (0..x.axes.len())
                .filter(|a| cx.known(x.axes[*a]) == Some(1))
                .collect(),
        };
        for axis in &gone {
            let unit = cx.dims.axis(1i64);
            cx.equate(x.axes[*axis], unit)?;
            cx.freeze(unit, Reason::SinglePosition);
        }
        let axes = (0..x.axes.len())
            .filter(|a| !gone.contains(a))
            .map(|a| x.axes[a])
            .collect();
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![cx.operand(0)?.reshape(cx.result(0)?.1)?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

/// `unsqueeze(x) {axes}`: axes of extent 1 come; `axes` says where they stand in the result.
pub struct Unsqueeze;

impl Operator for Unsqueeze {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axes", Kind::Ints)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let Some(axes) = cx.attrs.ints("axes") else {
            return cx.wrong("`axes` is missing");
        };
        let rank = x.axes.len() + axes.len();
        let new = distinct_axes(&axes, rank)?;
        let mut old = x.axes.iter();
        let mut all = vec![];
        for axis in 0..rank {
            match new.contains(&axis) {
                true => all.push(cx.dims.axis(1i64)),
                false => all.extend(old.next()),
            }
        }
        cx.result(x.dtype, all);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        Ok(vec![cx.operand(0)?.reshape(cx.result(0)?.1)?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
