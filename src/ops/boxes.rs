//! What picks positions by what stands there: chosen rows, boxes that do not overlap, maxima put back.
use super::movement::{apart, pick, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};

/// `compress(x, condition) {axis} : type`: the positions of an axis at which the condition is true, or (without `axis`) of the
/// flat operand; how many there are is what the type says.
pub struct Compress;

/// `non_max_suppression(boxes, scores, most?, overlap?, score?) {centers} : i64[n, 3]`: batch, class and box of the boxes of
/// highest score that overlap none of a higher one by more than `overlap`.
pub struct NonMaxSuppression;

/// `max_unpool(x, indices, shape?) {kernel, stride, pad} : type`: zeros, with the elements of `x` at the flat indices.
pub struct MaxUnpool;

impl Operator for Compress {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let flat = cx.attrs.get("axis").is_none();
        let axis = if flat {
            0
        } else {
            cx.axis("axis", 0, x.axes.len())?
        };
        let Some(count) = cx.stated(0).and_then(|all| all.get(axis)).cloned() else {
            return cx.wrong("its result type must be stated: how many are chosen is not known");
        };
        let chosen = cx.dims.axis(count);
        cx.freeze(chosen, Reason::Barrier);
        if let Some(condition) = cx.optional(1) {
            condition
                .axes
                .iter()
                .for_each(|d| cx.freeze(*d, Reason::Barrier));
        }
        if flat {
            x.axes.iter().for_each(|d| cx.freeze(*d, Reason::Barrier));
            cx.result(x.dtype, vec![chosen]);
            return Ok(());
        }
        cx.freeze(x.axes[axis], Reason::Barrier);
        let mut axes = x.axes.to_vec();
        axes[axis] = chosen;
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, condition) = (cx.operand(0)?, cx.operand(1)?.to_i64()?);
        let flat = cx.attrs.get("axis").is_none();
        let x = if flat {
            x.reshape(&[x.len()])?
        } else {
            x.clone()
        };
        let axis = if flat {
            0
        } else {
            cx.axis("axis", 0, x.shape.len())?
        };
        let mut places: Vec<Vec<Option<usize>>> =
            x.shape.iter().map(|n| super::movement::every(*n)).collect();
        places[axis] = (0..x.shape[axis])
            .filter(|i| condition.get(*i).is_some_and(|c| *c != 0))
            .map(Some)
            .collect();
        Ok(vec![pick(&x, &places, &[])?])
    }
    apart!();
}

/// The corners of a box, the lesser ones first.
fn corners(at: &[f32], centers: bool) -> [f32; 4] {
    match (centers, at) {
        (true, [x, y, w, h]) => [y - h / 2.0, x - w / 2.0, y + h / 2.0, x + w / 2.0],
        (false, [y1, x1, y2, x2]) => [y1.min(*y2), x1.min(*x2), y1.max(*y2), x1.max(*x2)],
        _ => [0.0; 4],
    }
}

/// What two boxes share, as a part of what they cover together.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |a: [f32; 4]| (a[2] - a[0]) * (a[3] - a[1]);
    let shared = side(0) * side(1);
    match area(a) + area(b) - shared {
        all if all > 0.0 => shared / all,
        _ => 0.0,
    }
}

impl Operator for NonMaxSuppression {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("centers", Kind::Bool)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=5
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (boxes, scores) = (cx.operand(0)?, cx.operand(1)?);
        let ([batch, n, four], [scored, _, own]) = (boxes.axes, scores.axes) else {
            return cx.wrong("boxes and scores have three axes each");
        };
        if cx.known(*four) != Some(4) {
            return cx.wrong("a box has four numbers");
        }
        cx.equate(*batch, *scored)?;
        cx.equate(*n, *own)?;
        for d in boxes.axes.iter().chain(scores.axes) {
            cx.freeze(*d, Reason::Barrier);
        }
        let Some(count) = cx.stated(0).and_then(|all| all.first()).cloned() else {
            return cx.wrong("its result type must be stated: how many boxes stay is not known");
        };
        let axes = vec![cx.dims.axis(count), cx.dims.axis(3i64)];
        axes.iter().for_each(|d| cx.freeze(*d, Reason::Barrier));
        cx.result(DType::I64, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (boxes, scores) = (cx.operand(0)?, cx.operand(1)?);
        let [batches, classes, n] = scores.shape[..] else {
            return wrong("the scores have not three axes");
        };
        let number = |k: usize| cx.optional(k).and_then(|t| t.to_f64().first().copied());
        let most = number(2).unwrap_or(0.0).max(0.0) as usize;
        let (limit, least) = (number(3).unwrap_or(0.0) as f32, number(4).map(|x| x as f32));
        let (boxes, scores) = (boxes.to_f32()?, scores.to_f32()?);
        let centers = cx.attrs.flag("centers");
        let mut out: Vec<i64> = vec![];
        for batch in 0..batches {
            let at = |i: usize| corners(&boxes[(batch * n + i) * 4..][..4], centers);
            for class in 0..classes {
                let own = &scores[(batch * classes + class) * n..][..n];
                let mut order: Vec<usize> = (0..n)
                    .filter(|i| least.is_none_or(|least| own[*i] > least))
                    .collect();
                order.sort_by(|a, b| own[*b].total_cmp(&own[*a]));
                let mut kept: Vec<usize> = vec![];
                for i in order {
                    if kept.len() < most && kept.iter().all(|k| overlap(at(*k), at(i)) <= limit) {
                        kept.push(i);
                        out.extend([batch as i64, class as i64, i as i64]);
                    }
                }
            }
        }
        Ok(vec![Tensor::from_i64(&[out.len() / 3, 3], out)?])
    }
    apart!();
}

impl Operator for MaxUnpool {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("kernel", Kind::Ints),
            ("stride", Kind::Ints),
            ("pad", Kind::Ints),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=3
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, indices) = (cx.operand(0)?, cx.operand(1)?);
        let stated = cx.stated(0).filter(|all| all.len() == x.axes.len());
        let Some(stated) = stated else {
            return cx.wrong("its result type must be stated, and have the operand's axes");
        };
        if x.axes.len() != indices.axes.len() || x.axes.len() < 3 {
            return cx.wrong("the indices do not fit the operand");
        }
        // An index counts through all channels and batches.
        for (a, b) in x.axes.iter().zip(indices.axes) {
            cx.equate(*a, *b)?;
            cx.freeze(*a, Reason::Index);
        }
        let mut axes = x.axes[..2].to_vec();
        for extent in &stated[2..] {
            let d = cx.dims.axis(extent.clone());
            cx.freeze(d, Reason::Index);
            axes.push(d);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, indices) = (cx.operand(0)?, cx.operand(1)?.to_i64()?);
        let (dtype, shape) = cx.result(0)?;
        // Indices are those of the extents that the attributes give; a larger result has them at the front of each axis.
        let ints = |name: &str, n: usize, default| {
            cx.attrs
                .ints(name)
                .filter(|all| all.len() == n)
                .unwrap_or_else(|| vec![default; n])
        };
        let spatial = x.shape.len() - 2;
        let (kernel, stride, pad) = (
            ints("kernel", spatial, 1),
            ints("stride", spatial, 1),
            ints("pad", 2 * spatial, 0),
        );
        let mut inner = x.shape[..2].to_vec();
        for axis in 0..spatial {
            let edge = kernel[axis]
                .saturating_sub(pad[axis])
                .saturating_sub(pad[axis + spatial]);
            let steps = x.shape[axis + 2] as i64 - 1;
            let n = steps.saturating_mul(stride[axis]).saturating_add(edge);
            inner.push(usize::try_from(n).unwrap_or(0));
        }
        let steps = super::index::strides(shape);
        let values = x.to_f32()?;
        let mut out = vec![0f32; shape.iter().product()];
        let all = inner
            .iter()
            .try_fold(1usize, |all, n| all.checked_mul(*n))
            .unwrap_or(0);
        for (value, index) in values.iter().zip(indices) {
            let at = usize::try_from(index).ok().filter(|at| *at < all);
            let at = at.map(|at| super::index::unravel(at, &inner));
            let at = at.map(|at| at.iter().zip(&steps).map(|(i, s)| i * s).sum::<usize>());
            match at.and_then(|at| out.get_mut(at)) {
                Some(to) => *to = *value,
                None => return wrong(format!("index {index} lies outside of the result")),
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    apart!();
}
