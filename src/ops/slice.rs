//! Runs of positions along axes, with a step.
use super::movement::{as_eval, distinct_axes, every, moves, pick, wrong};
use super::*;
use crate::dims::{Dim, Mismatch, Reason, gcd};
use crate::tensor::{ExtentFactor, Tensor};

/// `slice(x) {axes, starts, ends, steps}`: along each listed axis, positions `start`, `start + step`, ... before `end`.
///
/// Negative starts, and negative ends of a positive step, count from the back; what lies outside is clamped. The end
/// of a negative step is a position, of which -1 is before the first. Where an axis of run-time extent may end before a
/// bound, how many positions there are is what the result's type says.
pub struct Slice;

/// A bound from here on means "to the end": exporters write the largest integer of 64 or of 32 bits, or 1,000,000,000.
pub const FAR: i64 = 1_000_000_000;

/// More positions than this are not turned around one by one: the axis freezes.
const MOST_TURNED: i64 = 1024;

/// The attributes of one listed axis.
struct Cut<T> {
    axis: usize,
    start: T,
    end: T,
    step: i64,
}

impl Slice {
    /// What is cut, in the order of the attributes' lists.
    fn cuts<T: Clone>(
        attrs: &Attrs,
        rank: usize,
        starts: Option<Vec<T>>,
        ends: Option<Vec<T>>,
    ) -> Result<Vec<Cut<T>>, RuleError> {
        let (Some(starts), Some(ends)) = (starts, ends) else {
            return Err(RuleError::Wrong("`starts` or `ends` is missing".into()));
        };
        let axes = match attrs.ints("axes") {
            Some(axes) => distinct_axes(&axes, rank)?,
            None => (0..starts.len()).collect(),
        };
        let steps = attrs.ints("steps").unwrap_or(vec![1; axes.len()]);
        if starts.len() != axes.len()
            || ends.len() != axes.len()
            || steps.len() != axes.len()
            || axes.iter().any(|a| *a >= rank)
        {
            let message = "`axes`, `starts`, `ends` and `steps` do not fit each other";
            return Err(RuleError::Wrong(message.into()));
        }
        if steps.contains(&0) {
            return Err(RuleError::Wrong("a step is 0".into()));
        }
        let all = axes.into_iter().zip(starts).zip(ends).zip(steps);
        Ok(all
            .map(|(((axis, start), end), step)| Cut {
                axis,
                start,
                end,
                step,
            })
            .collect())
    }
}

/// The first position and how many there are, along an axis of `n` positions.
fn span(n: i64, start: i64, end: i64, step: i64) -> (i64, i64) {
    let back = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
    if step > 0 {
        let (start, end) = (back(start).clamp(0, n), back(end).clamp(0, n));
        let gap = (end - start).max(0);
        (start, gap / step + (gap % step != 0) as i64)
    } else {
        let (start, end) = (back(start).clamp(-1, n - 1), end.clamp(-1, n - 1));
        let (gap, step) = ((start - end).max(0), step.unsigned_abs());
        (start, (gap as u64).div_ceil(step) as i64)
    }
}

impl Operator for Slice {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("axes", Kind::Ints),
            ("starts", Kind::Extents),
            ("ends", Kind::Extents),
            ("steps", Kind::Ints),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let (starts, ends) = (cx.extents("starts")?, cx.extents("ends")?);
        let cuts = Slice::cuts(cx.attrs, x.axes.len(), starts, ends)?;
        let mut axes = x.axes.to_vec();
        for (i, cut) in cuts.iter().enumerate() {
            let from = x.axes[cut.axis];
            let numbers = (cx.known(from), cut.start.known(), cut.end.known());
            axes[cut.axis] = match numbers {
                (Some(n), Some(start), Some(end)) => {
                    let (start, count) = span(n, start, end, cut.step);
                    known(cx, i, from, (start, count), cut.step)?
                }
                _ => runtime(cx, from, cut)?,
            };
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (starts, ends) = (cx.attrs.ints("starts"), cx.attrs.ints("ends"));
        let mut places: Vec<_> = x.shape.iter().map(|n| every(*n)).collect();
        for cut in Slice::cuts(cx.attrs, x.shape.len(), starts, ends).map_err(as_eval)? {
            let n = x.shape[cut.axis] as i64;
            let (start, count) = span(n, cut.start, cut.end, cut.step);
            let places = &mut places[cut.axis];
            *places = (0..count)
                .map(|k| usize::try_from(start + k * cut.step).ok())
                .collect();
            if places.contains(&None) {
                return wrong("a position is negative");
            }
        }
        Ok(vec![pick(x, &places, &[])?])
    }
    moves!();
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}

/// The result's axis where all is known: `start`, and how many positions there are.
fn known(
    cx: &mut Rule<'_>,
    i: usize,
    x: Dim,
    (start, count): (i64, i64),
    step: i64,
) -> Result<Dim, RuleError> {
    let bounds = |cx: &mut Rule<'_>, start: Vec<Dim>, end: Vec<Dim>| {
        cx.attr_is("starts", Some(i), start);
        cx.attr_is("ends", Some(i), end);
    };
    let all = cx.known(x).unwrap_or(0);
    if count == 0 {
        return Ok(empty(cx));
    }
    match step {
        1 if count == all => {
            bounds(cx, vec![], vec![x]);
            Ok(x)
        }
        1 => {
            let y = cx.dims.axis(count);
            let (before, _) = cx.dims.slice(x, start as usize, y, cx.cause)?;
            bounds(cx, vec![before], vec![before, y]);
            Ok(y)
        }
        // `before + rows * step + last + behind`, of which the result is `rows + last`: whole rows can go. Where there
        // are `step` positions for the last one too, it is a row like the others.
        2.. => {
            let over = count
                .saturating_mul(step)
                .saturating_add(start - all)
                .max(0);
            let whole = (over < step && over <= start).then_some(over);
            let row = cx.dims.part(step);
            cx.freeze(row, Reason::Index);
            let (shift, rows) = whole.map_or((0, count - 1), |r| (r, count));
            let before = cx.dims.part(start - shift);
            let rows = cx.dims.part(rows);
            let covered = cx.dims.product(&[rows, row]);
            let last = cx.dims.part(count - cx.known(rows).unwrap_or(0));
            let rows_end = cx.known(rows).unwrap_or(0).checked_mul(step);
            let used = rows_end.and_then(|end| end.checked_add(start - shift));
            let used = used.ok_or(Mismatch::Overflow)?;
            let behind = cx.dims.part(all - used - cx.known(last).unwrap_or(0));
            let sum = cx.dims.concat(&[before, covered, last, behind]);
            cx.equate(x, sum)?;
            let y = cx.dims.axis(count);
            let parts = cx.dims.concat(&[rows, last]);
            cx.equate(y, parts)?;
            let shift = number(cx, shift);
            bounds(cx, vec![before, shift], vec![before, covered, last]);
            Ok(y)
        }
        -1 if count <= MOST_TURNED => {
            let (before, y) = (start + 1 - count, cx.dims.axis(count));
            let (region, backwards) = (cx.dims.axis(count), (0..count as usize).rev());
            let (before, _) = cx.dims.slice(x, before as usize, region, cx.cause)?;
            cx.dims
                .gather(region, y, &backwards.collect::<Vec<_>>(), cx.cause)?;
            let one_less = number(cx, -1);
            bounds(cx, vec![before, region, one_less], vec![before, one_less]);
            Ok(y)
        }
        _ => {
            let y = cx.dims.axis(count);
            cx.freeze(x, Reason::Index);
            cx.freeze(y, Reason::Index);
            Ok(y)
        }
    }
}

/// An axis without positions.
fn empty(cx: &mut Rule<'_>) -> Dim {
    let d = cx.dims.axis(0i64);
    cx.freeze(d, Reason::SinglePosition);
    d
}

/// A number beside dims in an attribute.
fn number(cx: &mut Rule<'_>, n: i64) -> Dim {
    let d = cx.dims.part(n);
    cx.freeze(d, Reason::Index);
    d
}

/// Whether an axis of run-time extent `all` may end before a bound, so that what lies within is not what the bounds say.
///
/// A run-time extent has a position; a bound that is one itself is within; and nothing is said of bounds between which
/// nothing may be left.
pub fn is_open(all: &Extent, start: &Extent, end: &Extent, step: i64) -> bool {
    // Positions before the higher bound, and those behind the lower one.
    let next = |at: &Extent| match step {
        1.. => Some(at.clone()),
        _ => at.checked_add(&Extent::from(1i64)),
    };
    let (low, high) = if step > 0 { (start, end) } else { (end, start) };
    let before = next(high).and_then(|high| high.known());
    let behind = match low.known() {
        Some(n) if n < 0 && step > 0 => n.checked_neg(),
        Some(_) => None,
        None => next(low).and_then(|low| all.checked_sub(&low)?.known()),
    };
    let needed = |n: &i64| (2..FAR).contains(n) && !has(all, *n);
    !all.is_known() && (before.filter(needed).is_some() || behind.filter(needed).is_some())
}

/// Whether an extent is at least `n` for any extents of its symbols that leave it a position: as a multiple of so much, or
/// by the number in it.
fn has(all: &Extent, n: i64) -> bool {
    let terms = all.terms();
    let amounts = terms.iter().map(|(c, _)| c.unsigned_abs() as usize);
    let step = amounts.fold(0, gcd);
    let is_symbol = |f: &ExtentFactor| matches!(f, ExtentFactor::Symbol(_));
    let plain = |(c, factors): &(i64, Vec<_>)| *c >= 0 && factors.iter().all(is_symbol);
    let number = terms.iter().find(|(_, factors)| factors.is_empty());
    n <= i64::try_from(step).unwrap_or(i64::MAX)
        || terms.iter().all(plain) && number.is_some_and(|(c, _)| *c >= n)
}

/// The result's axis where a bound or the axis is known at run time only: both are frozen.
fn runtime(cx: &mut Rule<'_>, x: Dim, cut: &Cut<Extent>) -> Result<Dim, RuleError> {
    let all = cx.dims.extent(x).clone();
    if is_open(&all, &cut.start, &cut.end, cut.step) {
        let Some(count) = cx.stated(0).and_then(|axes| axes.get(cut.axis)).cloned() else {
            return cx.wrong(format!(
                "its result type must be stated: how many of {all} positions its bounds hold is known at run time only"
            ));
        };
        let y = cx.dims.axis(count);
        cx.freeze(x, Reason::RuntimeExtent);
        cx.freeze(y, Reason::RuntimeExtent);
        return Ok(y);
    }
    let overflow = || RuleError::Mismatch(Mismatch::Overflow);
    let bound = |at: &Extent| match at.known() {
        Some(n) if n >= FAR => Some(all.clone()),
        Some(n) if n < 0 => all.checked_add(at),
        _ => Some(at.clone()),
    };
    let one = Extent::from(1i64);
    let width = Extent::from(cut.step.checked_abs().ok_or_else(overflow)?);
    let gap = match cut.step {
        1.. => bound(&cut.end).and_then(|end| end.checked_sub(&bound(&cut.start)?)),
        _ => {
            let start = match cut.start.known() {
                Some(n) if n >= FAR => all.checked_sub(&one),
                _ => bound(&cut.start),
            };
            let end = match cut.end.known() {
                Some(n) if n < 0 => Extent::from(-1i64),
                _ => cut.end.clone(),
            };
            start.and_then(|start| start.checked_sub(&end))
        }
    };
    let count = gap
        .and_then(|gap| {
            gap.checked_add(&width)?
                .checked_sub(&one)?
                .floor_div(&width)
        })
        .ok_or_else(overflow)?;
    let y = match count.known() {
        Some(n) if n < 0 => empty(cx),
        _ => cx.dims.axis(count),
    };
    cx.freeze(x, Reason::RuntimeExtent);
    cx.freeze(y, Reason::RuntimeExtent);
    Ok(y)
}
