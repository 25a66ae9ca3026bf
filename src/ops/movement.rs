//! What operators share that only move elements: they need no type, only bytes.
use super::index::{strides, walk};
use super::*;
use crate::tensor::Tensor;

/// The part of [`Operator`] that is the same for all that move the elements of operand 0 and address it, if at all,
/// by the other operands: they cost nothing, treat positions apart, and leave it to the consumer what a param is.
macro_rules! moves {
    () => {
        fn macs(&self, _: &View<'_>) -> Extent {
            Extent::from(0i64)
        }
        fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
            mask.apart()
        }
        fn usage(&self, view: &View<'_>, k: usize) -> Use {
            match k {
                0 => Use::Seen,
                _ => all_axes(view, k, Role::Index),
            }
        }
    };
}
pub(super) use moves;

/// The part of [`Operator`] that is the same for all that cost no multiplications and treat the positions apart that
/// their rule leaves free.
macro_rules! apart {
    () => {
        fn macs(&self, _: &View<'_>) -> Extent {
            Extent::from(0i64)
        }
        fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
            mask.apart()
        }
        fn usage(&self, view: &View<'_>, k: usize) -> Use {
            all_axes(view, k, Role::Other)
        }
    };
}
pub(super) use apart;

/// An error of the reference.
pub(super) fn wrong<T>(message: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::Wrong(message.into()))
}

/// A rule's error as one of the reference.
pub(super) fn as_eval(e: RuleError) -> EvalError {
    EvalError::Wrong(e.to_string())
}

/// The outer product of choices: along each axis of `x`, which positions stand in the result; `fill` (one element's
/// bytes) stands where there is none.
pub(super) fn pick(
    x: &Tensor,
    places: &[Vec<Option<usize>>],
    fill: &[u8],
) -> Result<Tensor, EvalError> {
    let shape: Vec<usize> = places.iter().map(Vec::len).collect();
    let outside = |(p, n): (&Vec<Option<usize>>, &usize)| p.iter().flatten().any(|i| i >= n);
    if shape.len() != x.shape.len() || places.iter().zip(&x.shape).any(outside) {
        return wrong("a position lies outside of the operand");
    }
    // Axes at the end that stay as they are move as one run.
    let stays = |axis: usize| {
        places[axis].len() == x.shape[axis]
            && places[axis].iter().enumerate().all(|(i, p)| *p == Some(i))
    };
    let last = (0..shape.len())
        .rposition(|a| !stays(a))
        .map_or(0, |a| a + 1);
    let run = shape[last..].iter().product::<usize>() * x.dtype.size();
    let blank = fill.repeat(run / x.dtype.size());
    let mut out = Vec::with_capacity(shape.iter().product::<usize>() * x.dtype.size());
    let mut rows = vec![Some(0)];
    for (places, n) in places.iter().zip(&x.shape).take(last) {
        let next = |row: &Option<usize>| {
            let row = *row;
            places.iter().map(move |p| Some(row? * n + (*p)?))
        };
        rows = rows.iter().flat_map(next).collect();
    }
    for row in rows {
        match row {
            Some(row) => out.extend_from_slice(&x.bytes()[row * run..(row + 1) * run]),
            None => out.extend_from_slice(&blank),
        }
    }
    Ok(Tensor::new(x.dtype, &shape, out.into())?)
}

/// All positions of an axis.
pub(super) fn every(n: usize) -> Vec<Option<usize>> {
    (0..n).map(Some).collect()
}

/// The elements of `x` under other axes: result axis `i` is axis `perm[i]`.
pub(super) fn permute(x: &Tensor, perm: &[usize]) -> Result<Tensor, EvalError> {
    let own = strides(&x.shape);
    let shape: Vec<usize> = perm.iter().map(|a| x.shape[*a]).collect();
    let steps: Vec<usize> = perm.iter().map(|a| own[*a]).collect();
    let size = x.dtype.size();
    let mut out = Vec::with_capacity(x.bytes().len());
    walk(&shape, [&steps], |[at]| {
        out.extend_from_slice(&x.bytes()[at * size..(at + 1) * size])
    });
    Ok(Tensor::new(x.dtype, &shape, out.into())?)
}

/// A tensor of one element as an integer, which a float must be without rounding.
pub(super) fn one_int(x: &Tensor) -> Option<i64> {
    match x.len() {
        1 if !x.dtype.is_float() => x.to_i64().ok()?.first().copied(),
        1 => x
            .to_f64()
            .first()
            .filter(|v| v.fract() == 0.0)
            .map(|v| *v as i64),
        _ => None,
    }
}

/// The extents of the result's type, where they are the target.
pub(super) fn target<'a>(cx: &Rule<'a>) -> Result<&'a [Extent], RuleError> {
    let Some(target) = cx.stated(0) else {
        return cx.wrong("its result type must be stated: it is the target");
    };
    match target.iter().find(|e| e.known().is_some_and(|n| n < 0)) {
        Some(extent) => cx.wrong(format!("an extent of its target is negative: {extent}")),
        None => Ok(target),
    }
}

/// A position counted from the front; negative ones count from the back.
pub fn position(index: i64, extent: usize) -> Option<usize> {
    let from_front = match index < 0 {
        true => index.checked_add(i64::try_from(extent).ok()?)?,
        false => index,
    };
    usize::try_from(from_front).ok().filter(|at| *at < extent)
}

/// Axes counted from the front, each once.
pub(super) fn distinct_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, RuleError> {
    let mut all: Vec<usize> = vec![];
    for axis in axes {
        let at = normalize_axis(*axis, rank)?;
        if all.contains(&at) {
            return Err(RuleError::Wrong(format!("axis {axis} stands twice")));
        }
        all.push(at);
    }
    Ok(all)
}
