//! Positions added before and behind axes.
use super::movement::{as_eval, distinct_axes, every, pick, wrong};
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `pad(x, value?) {mode, pads, axes}`: `pads` are the positions to add before each axis, then behind each; negative
/// ones are taken away. `mode` is `constant` (where it is absent), `reflect`, `edge` or `wrap`; `axes` are all where
/// they are absent.
pub struct Pad;

/// An axis, and its two pads with their places in `pads`.
type Padded<T> = (usize, [(usize, T); 2]);

impl Pad {
    /// All padded axes.
    fn pads<T: Clone>(
        attrs: &Attrs,
        rank: usize,
        pads: Option<Vec<T>>,
    ) -> Result<Vec<Padded<T>>, RuleError> {
        let axes = match attrs.ints("axes") {
            Some(axes) => distinct_axes(&axes, rank)?,
            None => (0..rank).collect(),
        };
        let n = axes.len();
        let pads = pads.ok_or_else(|| RuleError::Wrong("`pads` is missing".into()))?;
        if pads.len() != 2 * n {
            let message = format!("`pads` has {} items, and not 2 x {n}", pads.len());
            return Err(RuleError::Wrong(message));
        }
        let pair = |i: usize| [(i, pads[i].clone()), (i + n, pads[i + n].clone())];
        Ok(axes
            .into_iter()
            .enumerate()
            .map(|(i, a)| (a, pair(i)))
            .collect())
    }
    fn is_constant(attrs: &Attrs) -> bool {
        attrs.str_or("mode", "constant") == "constant"
    }
}

impl Operator for Pad {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("mode", Kind::Str),
            ("pads", Kind::Extents),
            ("axes", Kind::Ints),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let mode = cx.attrs.str_or("mode", "constant");
        if !["constant", "reflect", "edge", "wrap"].contains(&mode) {
            return cx.wrong(format!("there is no mode `{mode}`"));
        }
        let mut axes = x.axes.to_vec();
        for (axis, pads) in Pad::pads(cx.attrs, x.axes.len(), cx.extents("pads")?)? {
            axes[axis] = padded(cx, x.axes[axis], pads)?;
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let mode = cx.attrs.str_or("mode", "constant");
        let mut places: Vec<_> = x.shape.iter().map(|n| every(*n)).collect();
        let pads = Pad::pads(cx.attrs, x.shape.len(), cx.attrs.ints("pads")).map_err(as_eval)?;
        for (axis, [(_, before), (_, behind)]) in pads {
            let n = x.shape[axis] as i64;
            let count = n.saturating_add(before).saturating_add(behind);
            if count > cx.result(0)?.1.get(axis).map_or(0, |n| *n as i64) || count < 0 {
                return wrong("the pads do not fit the result");
            }
            let source = |at: i64| {
                let at = match mode {
                    _ if (0..n).contains(&at) => at,
                    _ if mode == "constant" || n == 0 => return None,
                    "edge" => at.clamp(0, n - 1),
                    "wrap" => at.rem_euclid(n),
                    _ if n == 1 => 0,
                    _ => (n - 1) - ((n - 1) - at.rem_euclid(2 * (n - 1))).abs(),
                };
                usize::try_from(at).ok()
            };
            places[axis] = (0..count).map(|i| source(i - before)).collect();
        }
        if mode != "constant" && places.iter().flatten().any(Option::is_none) {
            return wrong("there is nothing to pad with");
        }
        let fill = match cx.optional(1) {
            Some(value) if value.len() == 1 => value.cast(x.dtype)?.bytes().to_vec(),
            Some(_) => return wrong("the value is no scalar"),
            None => vec![0; x.dtype.size()],
        };
        Ok(vec![pick(x, &places, &fill)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            0 => Use::Seen,
            _ => all_axes(view, k, Role::Other),
        }
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        pairs.on_one_axis()
    }
}

/// The axis with its pads.
fn padded(cx: &mut Rule<'_>, x: Dim, pads: [(usize, Extent); 2]) -> Result<Dim, RuleError> {
    let [(i, before), (j, behind)] = pads;
    if before.known() == Some(0) && behind.known() == Some(0) {
        return Ok(x);
    }
    let frozen = cx.dims.frozen(x).map(|(reason, _)| reason);
    let known = (cx.known(x), before.known(), behind.known());
    let (Some(all), Some(before), Some(behind), true) =
        (known.0, known.1, known.2, Pad::is_constant(cx.attrs))
    else {
        let extent = cx.dims.extent(x).checked_add(&before);
        let extent = extent.and_then(|e| e.checked_add(&behind));
        let extent = extent.ok_or(crate::dims::Mismatch::Overflow)?;
        if extent.known().is_some_and(|n| n < 0) {
            return cx.wrong("more is taken away than there is");
        }
        let reason = match before.is_known() && behind.is_known() {
            true => Reason::SpatialAxis,
            false => Reason::RuntimeExtent,
        };
        let y = cx.dims.axis(extent);
        cx.freeze(x, reason);
        cx.freeze(y, frozen.unwrap_or(reason));
        return Ok(y);
    };
    let kept = all
        .checked_add(before.min(0))
        .and_then(|n| n.checked_add(behind.min(0)));
    let Some(kept) = kept.filter(|n| *n >= 0) else {
        return cx.wrong("more is taken away than there is");
    };
    // What is taken away stays what it is, as an attribute that counts backwards is no extent.
    let mut middle = x;
    if kept < all {
        middle = cx.dims.part(kept);
        let start = before.min(0).unsigned_abs() as usize;
        let (first, last) = cx.dims.slice(x, start, middle, cx.cause)?;
        cx.freeze(first, Reason::Index);
        cx.freeze(last, Reason::Index);
    }
    let mut parts = vec![middle];
    for (k, n) in [(i, before), (j, behind)] {
        if n <= 0 {
            continue;
        }
        let pad = cx.dims.part(n);
        cx.attr_is("pads", Some(k), vec![pad]);
        parts.insert(if k == i { 0 } else { parts.len() }, pad);
    }
    let y = cx.dims.concat(&parts);
    if let Some(reason) = frozen {
        cx.freeze(y, reason);
    }
    Ok(y)
}
