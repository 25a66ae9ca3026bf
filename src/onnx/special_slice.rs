//! What a slice needs besides its row: its bounds in normal form, and how much of an axis of run-time extent they hold.
use super::rows::Row;
use super::take::{Call, Inputs, Refusal, expr};
use super::{infer, special};
use crate::ops::slice::is_open;
use crate::ops::{Attr, FAR, normalize_axis};
use crate::tensor::Extent;

/// Bounds counted from the front, and a run-time symbol for what lies within them where the axis may end before.
pub(super) fn slice(
    inputs: &mut Inputs<'_>,
    row: &'static Row,
    call: &mut Call,
) -> Result<(), Refusal> {
    let shape = inputs.shape(0)?.clone();
    let x = &shape.axes;
    let list = |name| inputs.extents(Inputs::field(row, name)?);
    let plain = |name| inputs.ints(Inputs::field(row, name)?);
    let (Some(starts), Some(ends)) = (list("starts")?, list("ends")?) else {
        return Refusal::wrong("a slice without starts or ends");
    };
    let axes = plain("axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = plain("steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || steps.contains(&0) {
        return Refusal::wrong("the bounds of a slice do not fit each other");
    }
    let (mut from, mut to, mut places, mut open) = (vec![], vec![], vec![], vec![]);
    for i in 0..axes.len() {
        let axis = normalize_axis(axes[i], x.len()).map_err(|e| Refusal::Wrong(e.to_string()))?;
        let (n, up) = (&x[axis], steps[i] > 0);
        let bound = |at: &Extent, is_end: bool| bound(at, n, up, is_end).ok_or(Refusal::Opaque);
        let start = bound(&starts[i], false)?;
        let mut end = bound(&ends[i], true)?;
        // An empty slice ends where it begins.
        if let (true, Some(s), Some(e)) = (up, starts[i].known(), end.known())
            && let Some(s) = bound(&Extent::from(s), false)?.known()
            && e < s
        {
            end = Extent::from(s);
        }
        if is_open(n, &start, &end, steps[i]) {
            open.push(axis);
        }
        from.push(expr(&start));
        to.push(expr(&end));
        places.push(axis as i64);
    }
    call.attrs.set("axes", Attr::ints(places));
    call.attrs.set("starts", Attr::exprs(from));
    call.attrs.set("ends", Attr::exprs(to));
    if steps.iter().any(|step| *step != 1) {
        call.attrs.set("steps", Attr::ints(steps));
    }
    if !open.is_empty() {
        let mut axes = x.clone();
        for axis in open {
            axes[axis] = special::fresh(inputs, axis);
        }
        let given = [Some((&shape, None))];
        if let Ok(made) = infer::results(call.op, &call.attrs, &given, &[Some(axes)]) {
            call.stated = made.into_iter().map(|s| s.map(|s| s.axes)).collect();
        }
    }
    Ok(())
}

/// A bound of a slice along an axis of extent `n`, as a position from the front.
fn bound(at: &Extent, n: &Extent, up: bool, is_end: bool) -> Option<Extent> {
    match (at.known(), n.known()) {
        (Some(at), Some(n)) => {
            let at = if at < 0 { at.saturating_add(n) } else { at };
            Some(Extent::from(match (up, is_end) {
                (true, _) => at.clamp(0, n),
                (false, false) => at.clamp(0, (n - 1).max(0)),
                (false, true) => at.clamp(-1, (n - 1).max(-1)),
            }))
        }
        (Some(at), None) if at >= FAR => match (up, is_end) {
            (false, false) => n.checked_sub(&Extent::from(1i64)),
            _ => Some(n.clone()),
        },
        (Some(at), None) if at <= -FAR => Some(Extent::from(if !up && is_end { -1i64 } else { 0 })),
        (Some(at), None) if at < 0 => n.checked_add(&Extent::from(at)),
        // A run-time bound of an axis of the same extent, or one that is within it.
        _ => Some(at.clone()),
    }
}
