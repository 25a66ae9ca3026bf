//! Rotary position embedding: pairs of features, turned by tables of cosines and sines.
use super::attend::Heads;
use super::movement::{position, wrong};
use super::table::family;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

family! {
    /// `rotary_embedding(x, cos, sin, place_ids?) {heads, interleaved, rotated}` and `rotary_embedding_cached(x, place_ids,
    /// cos, sin) {heads, interleaved, rotated, scale}`, where one id is where the first position stands: the first
    /// `rotated` features of each head (all, unless stated) in pairs, neighbours under `interleaved`, else of the two
    /// halves, turned. Operands are `b heads t d`, or `b t (heads d)`.
    Rotary { Plain "rotary_embedding" Cached "rotary_embedding_cached" }
}

/// The features of a head as what rotation sees of them, and the dim of the pairs.
///
/// Of halves, both lose the same positions; a pair of neighbours goes whole.
pub(super) fn rotated(cx: &mut Rule<'_>, features: Dim, pairs: &Extent) -> Result<Dim, RuleError> {
    let half = cx.dims.axis(pairs.clone());
    let turned = match cx.attrs.flag("interleaved") {
        true => {
            let two = cx.dims.part(2i64);
            cx.freeze(two, Reason::Barrier);
            cx.dims.product(&[half, two])
        }
        false => cx.dims.concat(&[half, half]),
    };
    let whole = cx.dims.extent(features).clone();
    let rest = pairs
        .checked_mul(&Extent::from(2i64))
        .and_then(|turned| whole.checked_sub(&turned));
    match rest.as_ref().and_then(Extent::known) {
        Some(0) => cx.equate(features, turned)?,
        Some(n) if n > 0 => {
            let rest = cx.dims.part(n);
            let all = cx.dims.concat(&[turned, rest]);
            cx.equate(features, all)?;
            if cx.attrs.get("rotated").is_none() {
                return cx.wrong("the tables do not fit the features of a head");
            }
            cx.attr_is("rotated", None, vec![turned]);
        }
        _ => return cx.wrong("more features would be turned than a head has"),
    }
    Ok(half)
}

/// Turns the features of every head; `row` says which row of the tables belongs to a position of a batch.
pub(super) fn turn(
    x: &mut Heads,
    [cos, sin]: [&[f32]; 2],
    pairs: usize,
    interleaved: bool,
    row: impl Fn(usize, usize) -> Option<usize>,
) -> Result<(), EvalError> {
    if 2 * pairs > x.width {
        return wrong("more features would be turned than a head has");
    }
    for b in 0..x.batch {
        for h in 0..x.heads {
            for t in 0..x.length {
                let at = row(b, t).map(|row| row * pairs..(row + 1) * pairs);
                let rows = at.and_then(|at| Some((cos.get(at.clone())?, sin.get(at)?)));
                let Some((cos, sin)) = rows else {
                    return wrong("a position lies outside of the tables");
                };
                let first = ((b * x.heads + h) * x.length + t) * x.width;
                for i in 0..pairs {
                    let (left, right) = match interleaved {
                        true => (first + 2 * i, first + 2 * i + 1),
                        false => (first + i, first + pairs + i),
                    };
                    let (a, b) = (x.values[left], x.values[right]);
                    x.values[left] = cos[i] * a - sin[i] * b;
                    x.values[right] = sin[i] * a + cos[i] * b;
                }
            }
        }
    }
    Ok(())
}

impl Rotary {
    /// Where cosines, sines and positions stand.
    fn places(self) -> [usize; 3] {
        match self {
            Rotary::Plain => [1, 2, 3],
            Rotary::Cached => [2, 3, 1],
        }
    }
}

impl Operator for Rotary {
    fn attrs(&self) -> &'static [AttrSpec] {
        const ALL: &[AttrSpec] = &[
            ("heads", Kind::Extent),
            ("interleaved", Kind::Bool),
            ("rotated", Kind::Extent),
            ("scale", Kind::Float),
        ];
        match self {
            Rotary::Plain => &ALL[..3],
            Rotary::Cached => ALL,
        }
    }
    fn operands(&self) -> RangeInclusive<usize> {
        match self {
            Rotary::Plain => 3..=4,
            Rotary::Cached => 4..=4,
        }
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let [cos, sin, ids] = self.places();
        let (x, cos, sin) = (cx.operand(0)?, cx.operand(cos)?, cx.operand(sin)?);
        let Some(last) = cos.axes.last().copied() else {
            return cx.wrong("the tables are scalars");
        };
        if cos.axes.len() != sin.axes.len() {
            return cx.wrong("the tables have different axes");
        }
        for (a, b) in cos.axes.iter().zip(sin.axes) {
            cx.equate(*a, *b)?;
        }
        let pairs = cx.dims.extent(last).clone();
        let (batch, length, features) = match x.axes[..] {
            [b, _, t, d] => (b, t, d),
            [b, t, all] => {
                let whole = cx.dims.extent(all).clone();
                let each = pairs.checked_mul(&Extent::from(2i64));
                let heads = match cx.amount("heads")? {
                    Some(heads) if heads.known() != Some(0) => Some(heads),
                    _ => each.and_then(|each| whole.exact_div(&each)),
                };
                let width = heads.as_ref().and_then(|heads| whole.exact_div(heads));
                let (Some(heads), Some(width)) = (heads, width) else {
                    return cx.wrong(format!("{whole} features do not split into heads"));
                };
                let (heads, width) = (cx.dims.axis(heads), cx.dims.axis(width));
                cx.dims.count(heads);
                if cx.attrs.get("heads").is_some() {
                    cx.attr_is("heads", None, vec![heads]);
                }
                let product = cx.dims.product(&[heads, width]);
                cx.equate(all, product)?;
                (b, t, width)
            }
            _ => return cx.wrong("the operand has not 3 or 4 axes"),
        };
        let half = rotated(cx, features, &pairs)?;
        cx.equate(last, half)?;
        match (cx.optional(ids), cos.axes) {
            (None, [b, t, _]) => {
                cx.broadcast(&[&[batch, length], &[*b, *t]])?;
            }
            (Some(ids), [rows, _]) => {
                cx.freeze(*rows, Reason::Index);
                match ids.axes {
                    [_, _] => drop(cx.broadcast(&[&[batch, length], ids.axes])?),
                    // Where the first stands; the others follow.
                    _ => cx.freeze(length, Reason::Index),
                }
            }
            _ => return cx.wrong("the tables do not fit the positions"),
        }
        cx.result_like(0)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let [cos, sin, ids] = self.places();
        let (x, cos, sin) = (cx.operand(0)?, cx.operand(cos)?, cx.operand(sin)?);
        let pairs = cos.shape.last().copied().unwrap_or(0).max(1);
        let ids = cx
            .optional(ids)
            .map(|t| Ok::<_, EvalError>((t.to_i64()?, t)));
        let ids = ids.transpose()?;
        let heads = usize::try_from(cx.attrs.int_or("heads", 0)).unwrap_or(0);
        let heads = match (heads, &x.shape[..]) {
            (0, [_, _, features]) => features / (2 * pairs),
            (heads, _) => heads,
        };
        let mut all = Heads::of(x, heads)?;
        let (length, rows) = (all.length, cos.shape[0]);
        let row = |b: usize, t: usize| match &ids {
            Some((ids, of)) if of.shape.len() == 2 => {
                let first = if of.shape[0] == 1 { 0 } else { b * length };
                position(*ids.get(first + t)?, rows)
            }
            Some((ids, _)) => position(ids.first()?.checked_add(t as i64)?, rows),
            None if rows == 1 => Some(t),
            None => Some(b * length + t),
        };
        let (cos, sin) = (cos.to_f32()?, sin.to_f32()?);
        turn(
            &mut all,
            [&cos, &sin],
            pairs,
            cx.attrs.flag("interleaved"),
            row,
        )?;
        let scale = cx.attrs.float_or("scale", 1.0);
        all.values.iter_mut().for_each(|x| *x *= scale);
        Ok(vec![all.result(cx, 0)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // A pair goes whole, and turning sees no other.
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let [_, _, ids] = self.places();
        let role = if k == ids { Role::Index } else { Role::Other };
        all_axes(view, k, role)
    }
}
