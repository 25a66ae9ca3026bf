//! Attention as an optimizer joins it with what is around: with the projections, or with their biases.
use super::attend::{Heads, Scores, attend};
use super::context::product;
use super::index::broadcast_strides;
use super::movement::wrong;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `packed_attention(x, weights, bias?, mask?, _, scores?) {heads, widths, scale, unidirectional, filter}`: `x` is `b t i`, the
/// weights are `i (q + k + v)` with `widths` columns each.
pub struct PackedAttention;

/// `multi_head_attention(q, k, v, bias?, mask?, scores?) {heads, scale, unidirectional, filter}`: `q` is `b s (heads d)`, keys and
/// values are so or `b heads t d`; the bias is of all three, one behind the other.
pub struct MultiHeadAttention;

/// What is added to a score that a mask hides, unless it is stated.
const FILTER: f32 = -10000.0;

/// A number of heads as a dim that is a count.
fn heads(cx: &mut Rule<'_>, name: &'static str) -> Result<Dim, RuleError> {
    match cx.amount(name)? {
        Some(heads) if heads.known() != Some(0) => {
            let heads = cx.dims.axis(heads);
            cx.dims.count(heads);
            cx.attr_is(name, None, vec![heads]);
            Ok(heads)
        }
        _ => cx.wrong(format!("`{name}` is missing")),
    }
}

/// What each head has of `all` columns.
fn width(cx: &mut Rule<'_>, all: &Extent, heads: Dim) -> Result<Dim, RuleError> {
    let width = all.exact_div(cx.dims.extent(heads));
    match width {
        Some(width) => Ok(cx.dims.axis(width)),
        None => cx.wrong(format!("{all} features do not split into heads")),
    }
}

/// The scale depends on the number of features, unless it is stated.
fn scaled(cx: &mut Rule<'_>, features: Dim) {
    if cx.attrs.get("scale").is_none() {
        cx.freeze(features, Reason::Barrier);
    }
}

/// States what a mask of ids and scores that are added are along.
fn masks(cx: &mut Rule<'_>, mask: usize, [b, n, s, t]: [Dim; 4]) -> Result<(), RuleError> {
    cx.freeze(t, Reason::SpatialAxis);
    if cx.attrs.flag("unidirectional") {
        cx.freeze(s, Reason::SpatialAxis);
    }
    match cx.optional(mask).map(|mask| mask.axes) {
        None => {}
        Some(axes @ [_]) => drop(cx.broadcast(&[&[b], axes])?),
        Some(axes @ [_, _]) => drop(cx.broadcast(&[&[b, t], axes])?),
        Some(axes @ [_, _, _]) => drop(cx.broadcast(&[&[b, s, t], axes])?),
        Some(_) => return cx.wrong("the mask has not one to three axes"),
    }
    if let Some(added) = cx.optional(mask + 1 + usize::from(mask == 3)) {
        cx.broadcast(&[&[b, n, s, t], added.axes])?;
    }
    Ok(())
}

/// What is added to scores: by the mask at one place, and by the scores that stand behind it.
struct Added {
    filter: f64,
    mask: Option<(Vec<i64>, Vec<usize>)>,
    scores: Option<(Vec<f64>, Vec<usize>)>,
    unidirectional: bool,
}

impl Added {
    fn of(cx: &Eval<'_>, mask: usize, shape: [usize; 4]) -> Result<Added, EvalError> {
        let fits = |own: &[usize], all: &[usize]| {
            let pairs = own.iter().rev().zip(all.iter().rev());
            own.len() <= all.len() && pairs.clone().all(|(a, b)| a == b || *a == 1)
        };
        let [b, _, s, t] = shape;
        let ids = cx.optional(mask);
        let ids = match ids.map(|mask| (mask, mask.shape.len())) {
            None => None,
            Some((mask, 1)) if mask.shape == [b] => Some((mask.to_i64()?, vec![])),
            Some((mask, 2)) if fits(&mask.shape, &[b, t]) => {
                let steps = broadcast_strides(&mask.shape, &[b, t]);
                Some((mask.to_i64()?, vec![steps[0], 0, steps[1]]))
            }
            Some((mask, 3)) if fits(&mask.shape, &[b, s, t]) => {
                Some((mask.to_i64()?, broadcast_strides(&mask.shape, &[b, s, t])))
            }
            Some(_) => return wrong("the mask does not fit the scores"),
        };
        let scores = match cx.optional(mask + 1 + usize::from(mask == 3)) {
            Some(added) if fits(&added.shape, &shape) => {
                Some((added.to_f64(), broadcast_strides(&added.shape, &shape)))
            }
            Some(_) => return wrong("what is added does not fit the scores"),
            None => None,
        };
        Ok(Added {
            filter: f64::from(cx.attrs.float_or("filter", FILTER)),
            mask: ids,
            scores,
            unidirectional: cx.attrs.flag("unidirectional"),
        })
    }
    fn at(&self, [b, h, s, t]: [usize; 4]) -> f64 {
        if self.unidirectional && t > s {
            return f64::NEG_INFINITY;
        }
        let hidden = match &self.mask {
            None => false,
            // How many keys there are.
            Some((all, steps)) if steps.is_empty() => t as i64 >= all[b],
            Some((all, steps)) => all[b * steps[0] + s * steps[1] + t * steps[2]] <= 0,
        };
        let added = self.scores.as_ref().map_or(0.0, |(all, steps)| {
            let places = [b, h, s, t];
            let at = places.iter().zip(steps).map(|(i, step)| i * step);
            all[at.sum::<usize>()]
        });
        added + if hidden { self.filter } else { 0.0 }
    }
}

fn run(cx: &Eval<'_>, q: &Heads, k: &Heads, v: &Heads, mask: usize) -> Result<Heads, EvalError> {
    if k.length != v.length || k.heads != v.heads || k.width != q.width || k.batch != q.batch {
        return wrong("keys and values do not fit");
    }
    let added = Added::of(cx, mask, [q.batch, q.heads, q.length, k.length])?;
    let scale = cx.attrs.float_or("scale", 1.0 / (q.width as f32).sqrt());
    let how = Scores {
        scale: f64::from(scale),
        softcap: 0.0,
        bias: &|place| added.at(place),
        stage: -1,
    };
    Ok(attend(q, k, v, &how).0)
}

/// A number of heads.
pub(super) fn number(attrs: &Attrs, name: &str) -> usize {
    usize::try_from(attrs.int_or(name, 0)).unwrap_or(0)
}

/// Columns of queries, keys and values among all.
fn widths(attrs: &Attrs, all: usize) -> Option<[usize; 3]> {
    let stated = attrs.ints("widths").unwrap_or_default();
    let stated: Vec<usize> = stated
        .into_iter()
        .filter_map(|n| n.try_into().ok())
        .collect();
    match stated[..] {
        [] if all.is_multiple_of(3) => Some([all / 3; 3]),
        [q, k, v] if q == k && q.checked_add(k)?.checked_add(v)? == all => Some([q, k, v]),
        _ => None,
    }
}

impl Operator for PackedAttention {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("heads", Kind::Extent),
            ("widths", Kind::Extents),
            ("scale", Kind::Float),
            ("unidirectional", Kind::Bool),
            ("filter", Kind::Float),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=6
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, weights) = (cx.operand(0)?, cx.operand(1)?);
        let ([b, s, i], [own, all]) = (x.axes, weights.axes) else {
            return cx.wrong("the operand has not three axes, or the weights have not two");
        };
        if cx.optional(4).is_some() {
            return cx.wrong("a cache is not known here");
        }
        cx.equate(*i, *own)?;
        let n = heads(cx, "heads")?;
        let each = match cx.amounts("widths")? {
            Some(each) => each,
            None => match cx.dims.extent(*all).exact_div(&Extent::from(3i64)) {
                Some(third) => vec![third; 3],
                None => return cx.wrong("the columns are not those of three"),
            },
        };
        let [q, k, v] = &each[..] else {
            return cx.wrong("`widths` are not three");
        };
        if q != k {
            return cx.wrong("queries and keys have different widths");
        }
        let d = width(cx, q, n)?;
        let e = match cx.attrs.get("widths") {
            Some(_) => width(cx, v, n)?,
            None => d,
        };
        scaled(cx, d);
        let [q, k, v] = [d, d, e].map(|d| cx.dims.product(&[n, d]));
        let columns = cx.dims.concat(&[q, k, v]);
        cx.equate(*all, columns)?;
        if let Some(bias) = cx.optional(2) {
            cx.apply("c, c -> c", &[&[columns], bias.axes], &[])?;
        }
        if cx.attrs.get("widths").is_some() {
            for (i, part) in [q, k, v].into_iter().enumerate() {
                cx.attr_is("widths", Some(i), vec![part]);
            }
        }
        masks(cx, 3, [*b, n, *s, *s])?;
        cx.result(x.dtype, vec![*b, *s, v]);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let rows = product(&[view.extent(0, 0), view.extent(0, 1)]);
        let [inner, all] = [view.extent(1, 0), view.extent(1, 1)];
        // Each query meets each key, and each value: two thirds of the columns, or what is stated of them.
        let values = view.results.first().and_then(|r| r.as_ref());
        let values = values.and_then(|r| r.axes.last().cloned());
        let most = || Extent::from(i64::MAX);
        let keys = values.and_then(|v| {
            all.checked_sub(&v)?
                .floor_div(&Extent::from(2i64))?
                .checked_add(&v)
        });
        let each = product(&[view.extent(0, 1), keys.unwrap_or_else(most)]);
        let projected = product(&[inner, all]);
        product(&[rows, projected.checked_add(&each).unwrap_or_else(most)])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, weights) = (cx.operand(0)?, cx.operand(1)?);
        let ([b, s, _], [_, all]) = (&x.shape[..], &weights.shape[..]) else {
            return wrong("the operand has not three axes, or the weights have not two");
        };
        let shape = [*b, *s, *all];
        let (xs, ws) = (x.to_f32()?, weights.to_f32()?);
        let mut columns = super::matmul::multiply((&xs, &x.shape), (&ws, &weights.shape), &shape);
        if let Some(bias) = cx.optional(2) {
            let bias = bias.to_f32()?;
            let add = |(i, x): (usize, &mut f32)| *x += bias[i % all];
            columns.iter_mut().enumerate().for_each(add);
        }
        let n = number(cx.attrs, "heads").max(1);
        let Some([q, k, v]) = widths(cx.attrs, *all) else {
            return wrong("`widths` are not those of the weights");
        };
        let part = |first, width: usize| Heads::columns(&columns, shape, first, [n, width / n]);
        let (q, k, v) = (part(0, q), part(q, k), part(q + k, v));
        Ok(vec![run(cx, &q, &k, &v, 3)?.result(cx, 0)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // Lost features of a head become 0 in queries and keys, lost inputs add nothing.
        let bias: &[usize] = if mask.operand(2).is_some() { &[0] } else { &[] };
        mask.filled(&[
            (0, &[2], 0.0),
            (1, &[1], 0.0),
            (2.min(mask.operand_count() - 1), bias, 0.0),
        ])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            1 => Use::Roles(vec![Role::In, Role::Out]),
            2 => all_axes(view, k, Role::Bias),
            _ => all_axes(view, k, Role::Other),
        }
    }
}

impl Operator for MultiHeadAttention {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("heads", Kind::Extent),
            ("scale", Kind::Float),
            ("unidirectional", Kind::Bool),
            ("filter", Kind::Float),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=6
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (q, k, v) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let n = heads(cx, "heads")?;
        let keys = match (k.axes.len(), v.axes.len()) {
            (3, 3) => "b s (n d), b t (n d), b t (n e) -> b s (n e), b s t d e",
            (4, 4) => "b s (n d), b n t d, b n t e -> b s (n e), b s t d e",
            _ => return cx.wrong("keys and values have not 3 or 4 axes each"),
        };
        let made = cx
            .apply(keys, &[q.axes, k.axes, v.axes], &[("n", n)])?
            .results;
        let [b, s, t, d, e] = made[1][..] else {
            return cx.wrong("the operands do not fit");
        };
        scaled(cx, d);
        if let Some(bias) = cx.optional(3) {
            let [q, k, v] = [d, d, e].map(|d| cx.dims.product(&[n, d]));
            let all = cx.dims.concat(&[q, k, v]);
            cx.apply("c, c -> c", &[&[all], bias.axes], &[])?;
        }
        masks(cx, 4, [b, n, s, t])?;
        cx.result(q.dtype, made[0].clone());
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let keys = view.operand(1).map_or(0, |k| k.axes.len());
        let length = view.extent(1, if keys == 4 { 2 } else { 1 });
        let queries = view.operand(0).map_or(Extent::from(0i64), Shape::count);
        let both = queries.checked_add(&view.result_count(0));
        product(&[length, both.unwrap_or_else(|| Extent::from(i64::MAX))])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let n = number(cx.attrs, "heads");
        let of = |k: usize| Heads::of(cx.operand(k)?, n);
        let mut all = [of(0)?, of(1)?, of(2)?];
        if let Some(bias) = cx.optional(3) {
            let bias = bias.to_f32()?;
            let mut first = 0;
            for part in &mut all {
                let (length, width) = (part.length, part.width);
                let columns = part.heads * width;
                let Some(bias) = bias.get(first..first + columns) else {
                    return wrong("the bias does not fit");
                };
                for (i, x) in part.values.iter_mut().enumerate() {
                    let head = i / (length * width).max(1) % n.max(1);
                    *x += bias[head * width + i % width];
                }
                first += columns;
            }
        }
        let [q, k, v] = &all;
        Ok(vec![run(cx, q, k, v, 4)?.result(cx, 0)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // Lost features of queries are 0, and stay so under the bias.
        match mask.operand_count() > 3 && mask.operand(3).is_some() {
            true => mask.filled(&[(0, &[2], 0.0), (3, &[0], 0.0)]),
            false => mask.filled(&[(0, &[2], 0.0)]),
        }
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let role = if k == 3 { Role::Bias } else { Role::Other };
        all_axes(view, k, role)
    }
}
