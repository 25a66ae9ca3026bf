//! Elements kept or moved by where they stand: triangles, reversed sequences, places of what is not zero.
use super::index::unravel;
use super::movement::{apart, moves, one_int, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};

/// `trilu(x, k?) {upper}`: the upper (where `upper` is absent) or lower triangle of the last two axes, zero elsewhere.
pub struct Trilu;

/// `reverse_sequence(x, lengths) {batch_axis, time_axis}`: per batch, the first positions in time turned around.
pub struct ReverseSequence;

/// `non_zero(x) : type`: the places of all elements that are not zero, one column each.
pub struct NonZero;

impl Operator for Trilu {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("upper", Kind::Bool)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=2
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let Some(first) = x.axes.len().checked_sub(2) else {
            return cx.wrong("it takes a matrix");
        };
        for d in &x.axes[first..] {
            cx.freeze(*d, Reason::Barrier);
        }
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let [.., rows, columns] = x.shape[..] else {
            return wrong("it takes a matrix");
        };
        let shift = match cx.optional(1).map(one_int) {
            Some(None) => return wrong("`k` is no integer"),
            Some(Some(k)) => k,
            None => 0,
        };
        let (upper, size) = (cx.attrs.int_or("upper", 1) != 0, x.dtype.size());
        let mut out = x.bytes().to_vec();
        for (at, element) in out.chunks_mut(size).enumerate() {
            let (row, column) = ((at / columns % rows) as i64, (at % columns) as i64);
            let diagonal = row.saturating_add(shift);
            let kept = if upper {
                column >= diagonal
            } else {
                column <= diagonal
            };
            if !kept {
                element.fill(0);
            }
        }
        Ok(vec![Tensor::new(x.dtype, &x.shape, out.into())?])
    }
    moves!();
}

impl Operator for ReverseSequence {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("batch_axis", Kind::Int), ("time_axis", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, lengths) = (cx.operand(0)?, cx.operand(1)?);
        let batch = cx.axis("batch_axis", 1, x.axes.len())?;
        let time = cx.axis("time_axis", 0, x.axes.len())?;
        if batch == time {
            return cx.wrong("batch and time are one axis");
        }
        let [one] = lengths.axes else {
            return cx.wrong("the lengths are no vector");
        };
        cx.equate(*one, x.axes[batch])?;
        cx.freeze(x.axes[time], Reason::Barrier);
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, lengths) = (cx.operand(0)?, cx.operand(1)?.to_i64()?);
        let batch = cx.axis("batch_axis", 1, x.shape.len())?;
        let time = cx.axis("time_axis", 0, x.shape.len())?;
        let (n, size) = (x.shape[time], x.dtype.size());
        let fits = |length: &i64| (0..=n as i64).contains(length);
        if lengths.len() != x.shape[batch] || !lengths.iter().all(fits) {
            return wrong("the lengths do not fit the operand");
        }
        let step = super::index::strides(&x.shape)[time];
        let mut out = Vec::with_capacity(x.bytes().len());
        for at in 0..x.len() {
            let place = unravel(at, &x.shape);
            let (i, length) = (place[time], lengths[place[batch]] as usize);
            let from = match i < length {
                true => at - i * step + (length - 1 - i) * step,
                false => at,
            };
            out.extend_from_slice(&x.bytes()[from * size..(from + 1) * size]);
        }
        Ok(vec![Tensor::new(x.dtype, &x.shape, out.into())?])
    }
    moves!();
}

/// `eye_like(x) {dtype, k}`: ones on a diagonal, that of `k` columns to the right, of a matrix of that shape.
pub struct EyeLike;

impl Operator for EyeLike {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("dtype", Kind::DType), ("k", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        if x.axes.len() != 2 {
            return cx.wrong("it takes a matrix");
        }
        x.axes.iter().for_each(|d| cx.freeze(*d, Reason::Barrier));
        let dtype = cx.attrs.dtype("dtype").unwrap_or(x.dtype);
        cx.result(dtype, x.axes.to_vec());
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (dtype, shape) = cx.result(0)?;
        let [rows, columns] = shape[..] else {
            return wrong("it takes a matrix");
        };
        let shift = cx.attrs.int_or("k", 0);
        let diagonal = |row: usize| (row as i64).saturating_add(shift);
        let one = |at: usize| (at % columns) as i64 == diagonal(at / columns);
        let all = (0..rows * columns).map(|at| i64::from(one(at))).collect();
        Ok(vec![Tensor::from_i64(shape, all)?.cast(dtype)?])
    }
    apart!();
}

impl Operator for NonZero {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let Some([_, count]) = cx.stated(0) else {
            return cx.wrong("its result type must be stated: the number of columns is not known");
        };
        let axes = [cx.dims.axis(x.axes.len()), cx.dims.axis(count.clone())];
        for d in x.axes.iter().chain(&axes) {
            cx.freeze(*d, Reason::Barrier);
        }
        cx.result(DType::I64, axes.to_vec());
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let places: Vec<Vec<usize>> = x
            .to_f64()
            .iter()
            .enumerate()
            .filter(|(_, v)| **v != 0.0)
            .map(|(at, _)| unravel(at, &x.shape))
            .collect();
        let all = (0..x.shape.len()).flat_map(|axis| places.iter().map(move |p| p[axis] as i64));
        let all = Tensor::from_i64(&[x.shape.len(), places.len()], all.collect())?;
        Ok(vec![all])
    }
    apart!();
}
