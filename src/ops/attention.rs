//! Scaled dot-product attention, with groups of query heads that share keys and values, and a cache.
use super::context::product;
use super::index::broadcast_strides;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `attention(q, k, v, mask?, past_key?, past_value?)`: operands `b heads t d`, or `b t (heads d)` with `heads` and
/// `kv_heads` stated. Gives the output and, on request, keys and values with the cache before them.
///
/// `softmax(softcap(scale * q k) + mask) v`, where `scale` is `1 / sqrt(d)` unless it is stated, and `causal` masks
/// what comes later.
pub struct Attention;

/// The axes of an operand as heads, positions and features.
struct Heads {
    batch: usize,
    heads: usize,
    length: usize,
    width: usize,
    /// Elements between neighbours along batch, heads, positions and features.
    step: [usize; 4],
}

impl Heads {
    fn new(x: &Tensor, heads: usize) -> Result<Heads, EvalError> {
        match x.shape[..] {
            [batch, heads, length, width] => Ok(Heads {
                batch,
                heads,
                length,
                width,
                step: [heads * length * width, length * width, width, 1],
            }),
            [batch, length, all] if heads > 0 && all % heads == 0 => Ok(Heads {
                batch,
                heads,
                length,
                width: all / heads,
                step: [length * all, all / heads, all, 1],
            }),
            _ => Err(EvalError::Wrong(
                "an operand does not split into heads".into(),
            )),
        }
    }
    fn at(&self, b: usize, h: usize, t: usize) -> usize {
        b * self.step[0] + h * self.step[1] + t * self.step[2]
    }
}

/// Keys or values: those of the cache, then those of the operand, by batch, heads, positions and features.
fn cached(past: Option<&Tensor>, x: &Tensor, heads: usize) -> Result<Tensor, EvalError> {
    let own = Heads::new(x, heads)?;
    let before = match past {
        Some(past) => Some((Heads::new(past, own.heads)?, past.to_f32()?)),
        None => None,
    };
    let first = before.as_ref().map_or(0, |(p, _)| p.length);
    let values = x.to_f32()?;
    let shape = [own.batch, own.heads, first + own.length, own.width];
    let mut all = Vec::with_capacity(shape.iter().product());
    for b in 0..own.batch {
        for h in 0..own.heads {
            if let Some((past, values)) = &before {
                for t in 0..first {
                    let at = past.at(b, h, t);
                    all.extend_from_slice(&values[at..at + own.width]);
                }
            }
            for t in 0..own.length {
                let at = own.at(b, h, t);
                all.extend_from_slice(&values[at..at + own.width]);
            }
        }
    }
    Ok(Tensor::from_f32(&shape, all)?)
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
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=6
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (q, k, v) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let rank = q.axes.len();
        let (wide, heads, kv) = match rank {
            3 => (true, cx.extent("heads")?, cx.extent("kv_heads")?),
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
        if cx.attrs.flag("causal") {
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
        if let Some((last, before)) = cx.optional(3).and_then(|m| m.axes.split_last()) {
            cx.freeze(*last, Reason::SpatialAxis);
            let all = match (wide, heads == kv) {
                (false, _) => q.axes[1],
                (true, true) => g,
                (true, false) => cx.dims.product(&[g, r]),
            };
            cx.broadcast(&[&[b, all, s], before])?;
        }
        cx.result(q.dtype, made[0].clone());
        cx.result(k.dtype, vec![b, g, total, d]);
        cx.result(v.dtype, vec![b, g, total, e]);
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
        let (q, k, v) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let (heads, kv) = stated(cx.attrs);
        let queries = Heads::new(q, heads)?;
        let keys = cached(cx.optional(4), k, kv)?;
        let values = cached(cx.optional(5), v, kv)?;
        let ([_, groups, total, width], [_, _, _, wide]) = (&keys.shape[..], &values.shape[..])
        else {
            return Err(EvalError::Wrong("keys and values do not fit".into()));
        };
        let (groups, total, width, wide) = (*groups, *total, *width, *wide);
        let repeats = queries.heads / groups.max(1);
        let before = total - Heads::new(k, kv)?.length;
        let scale = cx.attrs.float_or("scale", 1.0 / (width as f32).sqrt()) as f64;
        let softcap = cx.attrs.float_or("softcap", 0.0) as f64;
        let (qs, ks, vs) = (q.to_f32()?, keys.to_f32()?, values.to_f32()?);
        let mask = Bias::new(cx, [queries.batch, queries.heads, queries.length, total])?;
        let (dtype, shape) = cx.result(0)?;
        let mut out = vec![0f32; queries.batch * queries.heads * queries.length * wide];
        let place = |b: usize, h: usize, s: usize| match shape.len() {
            3 => ((b * queries.length + s) * queries.heads + h) * wide,
            _ => ((b * queries.heads + h) * queries.length + s) * wide,
        };
        let causal = cx.attrs.flag("causal");
        for b in 0..queries.batch {
            for h in 0..queries.heads {
                let first = (b * groups + h / repeats.max(1)) * total;
                for s in 0..queries.length {
                    let query = &qs[queries.at(b, h, s)..][..width];
                    let mut open = false;
                    let mut scores = Vec::with_capacity(total);
                    for t in 0..total {
                        let key = &ks[(first + t) * width..][..width];
                        let dot: f64 = query.iter().zip(key).map(|(x, y)| (x * y) as f64).sum();
                        let mut score = dot * scale;
                        if softcap > 0.0 {
                            score = softcap * (score / softcap).tanh();
                        }
                        let later = causal && t > s + before;
                        let bias = if later {
                            f64::NEG_INFINITY
                        } else {
                            mask.at(b, h, s, t)
                        };
                        open |= bias > f64::NEG_INFINITY;
                        scores.push(score + bias);
                    }
                    if !open {
                        continue;
                    }
                    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    scores.iter_mut().for_each(|x| *x = (*x - top).exp());
                    let sum: f64 = scores.iter().sum();
                    let to = &mut out[place(b, h, s)..][..wide];
                    for (t, score) in scores.iter().enumerate() {
                        let value = &vs[(first + t) * wide..][..wide];
                        let share = (score / sum) as f32;
                        to.iter_mut().zip(value).for_each(|(o, x)| *o += share * x);
                    }
                }
            }
        }
        let mut all = vec![Tensor::from_f32(shape, out)?.cast(dtype)?];
        for (result, tensor) in [(1, keys), (2, values)] {
            if let Ok((dtype, _)) = cx.result(result) {
                all.push(tensor.cast(dtype)?);
            }
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
