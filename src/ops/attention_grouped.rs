//! Attention of groups of queries as decoders run it: with rotation, behind a cache.
use super::attend::{Heads, Scores, attend};
use super::attention_fused::number;
use super::context::product;
use super::movement::{position, wrong};
use super::rotary::{rotated, turn};
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `grouped_query_attention(q, k?, v?, past_key?, past_value?, lengths, total, cos?, sin?) {heads, kv_heads, scale, rotates,
/// interleaved, window, slides, softcap}`: causal attention behind a cache; without `k` and `v`, `q` has their columns too.
/// `lengths` are the last positions of each batch. Gives the output, and keys and values with the cache before them; one that
/// slides keeps its size, and is not run here.
pub struct GroupedQueryAttention;

impl Operator for GroupedQueryAttention {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("heads", Kind::Extent),
            ("kv_heads", Kind::Extent),
            ("scale", Kind::Float),
            ("softcap", Kind::Float),
            ("rotates", Kind::Bool),
            ("interleaved", Kind::Bool),
            ("window", Kind::Int),
            ("slides", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        7..=9
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let q = cx.operand(0)?;
        let [b, s, all] = q.axes[..] else {
            return cx.wrong("the queries have not three axes");
        };
        let (Some(heads), Some(kv)) = (cx.amount("heads")?, cx.amount("kv_heads")?) else {
            return cx.wrong("`heads` and `kv_heads` are missing");
        };
        let Some(repeats) = heads.exact_div(&kv) else {
            return cx.wrong(format!("{heads} heads do not share those of {kv}"));
        };
        let (g, r) = (cx.dims.axis(kv.clone()), cx.dims.axis(repeats));
        cx.dims.count(g);
        cx.dims.count(r);
        let n = match heads == kv {
            true => g,
            false => cx.dims.product(&[g, r]),
        };
        cx.attr_is("heads", None, vec![n]);
        cx.attr_is("kv_heads", None, vec![g]);
        let packed = cx.optional(1).is_none();
        let columns = match packed {
            true => heads.checked_add(&kv).and_then(|all| all.checked_add(&kv)),
            false => Some(heads),
        };
        let each = columns.and_then(|columns| cx.dims.extent(all).exact_div(&columns));
        let Some(each) = each else {
            return cx.wrong("the queries do not split into heads");
        };
        let d = cx.dims.axis(each);
        let (own, keys) = (cx.dims.product(&[n, d]), cx.dims.product(&[g, d]));
        match packed {
            true => {
                let parts = cx.dims.concat(&[own, keys, keys]);
                cx.equate(all, parts)?;
            }
            false => {
                cx.equate(all, own)?;
                for k in [1, 2] {
                    let other = cx.operand(k)?;
                    cx.apply("b s c, b s c -> b", &[&[b, s, keys], other.axes], &[])?;
                }
            }
        }
        // ONNX Runtime, whose operator it is, takes multiples of 8 alone, and of 16 where it turns them.
        cx.freeze(d, Reason::Barrier);
        cx.freeze(s, Reason::SpatialAxis);
        if cx.attrs.flag("rotates") {
            let (cos, sin) = (cx.operand(7)?, cx.operand(8)?);
            let [rows, last] = cos.axes[..] else {
                return cx.wrong("the tables have not two axes");
            };
            let pairs = cx.dims.extent(last).clone();
            let half = rotated(cx, d, &pairs)?;
            cx.apply("r h, r h, h -> r", &[cos.axes, sin.axes, &[half]], &[])?;
            cx.freeze(rows, Reason::Index);
        }
        let mut total = s;
        for k in [3, 4] {
            let Some(past) = cx.optional(k) else { continue };
            let given = [("b", b), ("g", g), ("d", d)];
            let made = cx.apply("b g p d -> p", &[past.axes], &given)?;
            let p = made.results[0][0];
            cx.freeze(p, Reason::SpatialAxis);
            if cx.attrs.flag("slides") {
                total = p;
            } else if total == s {
                let Some(extent) = cx.dims.extent(p).checked_add(cx.dims.extent(s)) else {
                    return cx.wrong("an extent overflows");
                };
                total = cx.dims.axis(extent);
                cx.freeze(total, Reason::SpatialAxis);
            }
        }
        if let Some(lengths) = cx.optional(5) {
            cx.broadcast(&[&[b], lengths.axes])?;
        }
        cx.result(q.dtype, vec![b, s, own]);
        cx.result(q.dtype, vec![b, g, total, d]);
        cx.result(q.dtype, vec![b, g, total, d]);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let past = match view.operand(3) {
            Some(_) => view.extent(3, 2),
            None => Extent::from(0i64),
        };
        let most = || Extent::from(i64::MAX);
        let keys = view.extent(0, 1).checked_add(&past).unwrap_or_else(most);
        product(&[view.result_count(0), keys, Extent::from(2i64)])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (n, g) = (number(cx.attrs, "heads"), number(cx.attrs, "kv_heads"));
        let x = cx.operand(0)?;
        let [mut q, mut k, v] = match (cx.optional(1), cx.optional(2)) {
            (Some(k), Some(v)) => [Heads::of(x, n)?, Heads::of(k, g)?, Heads::of(v, g)?],
            _ => {
                let [b, s, all] = x.shape[..] else {
                    return wrong("the queries have not three axes");
                };
                let (xs, width) = (x.to_f32()?, all / (n + 2 * g).max(1));
                let part = |first, heads| Heads::columns(&xs, [b, s, all], first, [heads, width]);
                [part(0, n), part(n * width, g), part((n + g) * width, g)]
            }
        };
        let past = cx.optional(3).map_or(0, |past| past.shape[2]);
        let last = cx.operand(5)?.to_i64()?;
        // Each batch must fill the cache: what is not there would stand between.
        if last.iter().any(|last| last + 1 != (past + q.length) as i64) {
            return wrong("caches that are not filled are not supported");
        }
        if cx.attrs.flag("slides") {
            return wrong("caches that slide are not supported");
        }
        if cx.attrs.flag("rotates") {
            let (cos, sin) = (cx.operand(7)?, cx.operand(8)?);
            let [rows, pairs] = cos.shape[..] else {
                return wrong("the tables have not two axes");
            };
            let (cos, sin) = (cos.to_f32()?, sin.to_f32()?);
            let row = |_: usize, t: usize| position((past + t) as i64, rows);
            for x in [&mut q, &mut k] {
                turn(x, [&cos, &sin], pairs, cx.attrs.flag("interleaved"), row)?;
            }
        }
        let (k, v) = (k.behind(cx.optional(3))?, v.behind(cx.optional(4))?);
        let window = cx.attrs.int_or("window", -1);
        let bias = |[_, _, s, t]: [usize; 4]| {
            let behind = (past + s) as i64 - t as i64;
            match behind < 0 || window > 0 && behind >= window {
                true => f64::NEG_INFINITY,
                false => 0.0,
            }
        };
        let scale = cx.attrs.float_or("scale", 1.0 / (q.width as f32).sqrt());
        let how = Scores {
            scale: f64::from(scale),
            softcap: f64::from(cx.attrs.float_or("softcap", 0.0)),
            bias: &bias,
            stage: -1,
        };
        let mut all = vec![attend(&q, &k, &v, &how).0.result(cx, 0)?];
        for (at, cache) in [(1, k), (2, v)] {
            if cx.result(at).is_ok() {
                all.push(cache.result(cx, at)?);
            }
        }
        Ok(all)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // What is multiplied by 0 need not be 0 itself.
        mask.filled(&[(0, &[2], 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        all_axes(view, k, Role::Other)
    }
}
