//! Scaled dot-product attention, with groups of query heads that share keys and values, and a cache.
use super::attend::{Heads, Scores, attend, floats};
use super::context::product;
use super::index::broadcast_strides;
use super::movement::wrong;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `attention(q, k, v, mask?, past_key?, past_value?, lengths?)`: operands `b heads t d`, or `b t (heads d)` with `heads`
/// and `kv_heads` stated. Gives the output and, on request, keys and values with the cache before them, and scores.
///
/// `softmax(softcap(scale * q k) + mask) v`, where `scale` is `1 / sqrt(d)` unless it is stated. `causal` masks what comes
/// later, windows what is farther than they are wide, and `lengths` what is behind that many keys of a batch.
pub struct Attention;

const WINDOWS: [&str; 2] = ["left_window_size", "right_window_size"];

fn has_window(attrs: &Attrs) -> bool {
    WINDOWS.iter().any(|name| attrs.int_or(name, -1) >= 0)
}

/// The heads that are stated, of queries and of keys.
fn stated(attrs: &Attrs) -> (usize, usize) {
    let number = |name| usize::try_from(attrs.int_or(name, 0)).unwrap_or(0);
    (number("heads"), number("kv_heads"))
}

/// Heads of keys, and how many query heads share one of them.
fn shared(cx: &mut Rule<'_>, heads: &Extent, kv: &Extent) -> Result<(Dim, Dim), RuleError> {
    let Some(repeats) = heads.exact_div(kv) else {
        return cx.wrong(format!("{heads} heads do not share those of {kv}"));
    };
    let (k, r) = (cx.dims.axis(kv.clone()), cx.dims.axis(repeats));
    cx.dims.count(k);
    cx.dims.count(r);
    Ok((k, r))
}

impl Operator for Attention {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("causal", Kind::Bool),
            ("heads", Kind::Extent),
            ("kv_heads", Kind::Extent),
            ("scale", Kind::Float),
            ("softcap", Kind::Float),
            ("qk_matmul_output_mode", Kind::Int),
            ("softmax_precision", Kind::Int),
            ("left_window_size", Kind::Int),
            ("right_window_size", Kind::Int),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=7
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (q, k, v) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let rank = q.axes.len();
        let (wide, heads, kv) = match rank {
            3 => (true, cx.amount("heads")?, cx.amount("kv_heads")?),
            4 if k.axes.len() == 4 => {
                let extent = |d: Dim| Some(cx.dims.extent(d).clone());
                (false, extent(q.axes[1]), extent(k.axes[1]))
            }
            _ => return cx.wrong(format!("the queries have {rank} axes, and not 3 or 4")),
        };
        let (Some(heads), Some(kv)) = (heads, kv) else {
            return cx.wrong("operands of 3 axes need `heads` and `kv_heads`");
        };
        let (g, r) = shared(cx, &heads, &kv)?;
        let given = [("g", g), ("r", r)];
        let operands = [q.axes, k.axes, v.axes];
        let rule = match (wide, heads == kv) {
            (true, true) => "b s (g d), b t (g d), b t (g e) -> b s (g e), b t d e",
            (true, false) => "b s (g r d), b t (g d), b t (g e) -> b s (g r e), b t d e",
            (false, true) => "b g s d, b g t d, b g t e -> b g s e, b t d e",
            (false, false) => "b (g r) s d, b g t d, b g t e -> b (g r) s e, b t d e",
        };
        let made = cx.apply(rule, &operands, &given)?.results;
        let [b, t, d, e] = made[1][..] else {
            return cx.wrong("the operands do not fit");
        };
        if wide {
            let all = match heads == kv {
                true => g,
                false => cx.dims.product(&[g, r]),
            };
            cx.attr_is("heads", None, vec![all]);
            cx.attr_is("kv_heads", None, vec![g]);
        }
        let s = if wide { q.axes[1] } else { q.axes[2] };
        cx.freeze(t, Reason::SpatialAxis);
        if cx.attrs.flag("causal") || has_window(cx.attrs) {
            cx.freeze(s, Reason::SpatialAxis);
        }
        if cx.attrs.get("scale").is_none() {
            // By default the scale depends on the number of features, which would change with them.
            cx.freeze(d, Reason::Barrier);
        }
        let mut total = t;
        let past = [(4, d), (5, e)].map(|(k, width)| (cx.optional(k), width));
        for (past, width) in past {
            let Some(past) = past else { continue };
            let made = cx.apply(
                "b g p w -> p",
                &[past.axes],
                &[("b", b), ("g", g), ("w", width)],
            )?;
            let p = made.results[0][0];
            cx.freeze(p, Reason::SpatialAxis);
            let extent = cx.dims.extent(p).checked_add(cx.dims.extent(t));
            let Some(extent) = extent else {
                return cx.wrong("an extent overflows");
            };
            if total == t {
                total = cx.dims.axis(extent);
                cx.freeze(total, Reason::SpatialAxis);
            }
        }
        if let Some(lengths) = cx.optional(6) {
            cx.apply("b, b -> b", &[&[b], lengths.axes], &[])?;
        }
        let all = match (wide, heads == kv) {
            (false, _) => q.axes[1],
            (true, true) => g,
            (true, false) => cx.dims.product(&[g, r]),
        };
        if let Some((last, before)) = cx.optional(3).and_then(|m| m.axes.split_last()) {
            cx.freeze(*last, Reason::SpatialAxis);
            cx.broadcast(&[&[b, all, s], before])?;
        }
        cx.result(q.dtype, made[0].clone());
        cx.result(k.dtype, vec![b, g, total, d]);
        cx.result(v.dtype, vec![b, g, total, e]);
        cx.result(q.dtype, vec![b, all, s, total]);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        // Each query meets each key once with its features, and each value once with theirs.
        let elements = |k: usize| view.operand(k).map_or(Extent::from(0i64), Shape::count);
        let length = |k: usize| match view.operand(k).map_or(0, |s| s.axes.len()) {
            3 => view.extent(k, 1),
            _ => view.extent(k, 2),
        };
        let past = match view.operand(4) {
            Some(_) => view.extent(4, 2),
            None => Extent::from(0i64),
        };
        let most = || Extent::from(i64::MAX);
        let keys = length(1).checked_add(&past).unwrap_or_else(most);
        let both = product(&[elements(0), keys.clone()])
            .checked_add(&product(&[view.result_count(0), keys]));
        both.unwrap_or_else(most)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (heads, kv) = stated(cx.attrs);
        let q = Heads::of(cx.operand(0)?, heads)?;
        let own = Heads::of(cx.operand(1)?, kv)?;
        let new = own.length;
        let k = own.behind(cx.optional(4))?;
        let v = Heads::of(cx.operand(2)?, kv)?.behind(cx.optional(5))?;
        if k.length != v.length || k.heads != v.heads || k.width != q.width {
            return wrong("keys and values do not fit");
        }
        let lengths = cx.optional(6).map(Tensor::to_i64).transpose()?;
        let total = k.length as i64;
        let length = |b: usize| {
            lengths
                .as_ref()
                .map_or(Some(total), |all| all.get(b).copied())
        };
        // Where the first query stands among the keys.
        let before = |b: usize| match lengths.is_some() && cx.optional(4).is_none() {
            true => length(b).map_or(0, |n| n - q.length as i64),
            false => total - new as i64,
        };
        let mask = Bias::new(cx, [q.batch, q.heads, q.length, k.length])?;
        let causal = cx.attrs.flag("causal");
        let [left, right] = WINDOWS.map(|name| cx.attrs.int_or(name, -1));
        let bias = |[b, h, s, t]: [usize; 4]| {
            let ahead = t as i64 - s as i64 - before(b);
            let hidden = causal && ahead > 0
                || left >= 0 && -ahead > left
                || right >= 0 && ahead > right
                || length(b).is_none_or(|n| t as i64 >= n);
            match hidden {
                true => f64::NEG_INFINITY,
                false => mask.at(b, h, s, t),
            }
        };
        let scale = cx.attrs.float_or("scale", 1.0 / (q.width as f32).sqrt());
        let how = Scores {
            scale: f64::from(scale),
            softcap: f64::from(cx.attrs.float_or("softcap", 0.0)),
            bias: &bias,
            stage: cx.attrs.int_or("qk_matmul_output_mode", 0),
        };
        let (out, scores) = attend(&q, &k, &v, &how);
        let mut all = vec![out.result(cx, 0)?];
        for (at, cache) in [(1, k), (2, v)] {
            if cx.result(at).is_ok() {
                all.push(cache.result(cx, at)?);
            }
        }
        if cx.result(3).is_ok() {
            all.push(floats(cx, 3, scores)?);
        }
        Ok(all)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // What is multiplied by 0 need not be 0 itself.
        let last = mask.rank(0) - 1;
        mask.filled(&[(0, &[last], 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        // Heads are a batch index, and features are their last axis.
        let apart = |p: &Place| p.is_one() || (p.outer, p.inner) == (1, 3);
        pairs.places.iter().all(apart)
    }
}

/// What is added to the scores: nothing, or the mask, in which truth values are 0 and minus infinity.
struct Bias {
    values: Vec<f64>,
    step: Vec<usize>,
    /// What a mask that is shorter than the keys does not reach is masked.
    reach: usize,
}

impl Bias {
    fn new(cx: &Eval<'_>, shape: [usize; 4]) -> Result<Bias, EvalError> {
        let Some(mask) = cx.optional(3) else {
            return Ok(Bias {
                values: vec![0.0],
                step: vec![0; 4],
                reach: usize::MAX,
            });
        };
        let truth = mask.dtype == crate::tensor::DType::Bool;
        let bias = |x: f64| match (truth, x == 0.0) {
            (true, true) => f64::NEG_INFINITY,
            (true, false) => 0.0,
            (false, _) => x,
        };
        let Some(reach) = mask.shape.last().copied() else {
            return Err(EvalError::Wrong("the mask is a scalar".into()));
        };
        let mut seen = shape;
        seen[3] = reach;
        let fits = mask.shape.len() <= 4
            && mask
                .shape
                .iter()
                .rev()
                .zip(seen.iter().rev())
                .all(|(m, s)| m == s || *m == 1);
        if !fits {
            return Err(EvalError::Wrong("the mask does not fit the scores".into()));
        }
        Ok(Bias {
            values: mask.to_f64().into_iter().map(bias).collect(),
            step: broadcast_strides(&mask.shape, &seen),
            reach,
        })
    }
    fn at(&self, b: usize, h: usize, s: usize, t: usize) -> f64 {
        if t >= self.reach {
            return f64::NEG_INFINITY;
        }
        let at: usize = [b, h, s, t]
            .iter()
            .zip(&self.step)
            .map(|(i, s)| i * s)
            .sum();
        self.values[at]
    }
}
