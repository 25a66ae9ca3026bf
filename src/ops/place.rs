//! A tensor put into another: cut or padded around its middle, or written into a cache.
use super::movement::{distinct_axes, moves, pick, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `center_crop_pad(x) {axes} : type`: the middle of each of the axes, or zeros around it, as the result's extents are.
pub struct CenterCropPad;

/// `tensor_scatter(cache, update, first?) {axis, mode}`: the cache with the update along an axis, from the position that
/// `first` has for each batch; under `circular` the end is followed by the beginning.
pub struct TensorScatter;

impl CenterCropPad {
    fn axes(attrs: &Attrs, rank: usize) -> Result<Vec<usize>, RuleError> {
        match attrs.ints("axes") {
            Some(axes) => distinct_axes(&axes, rank),
            None => Ok((0..rank).collect()),
        }
    }
}

impl Operator for CenterCropPad {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axes", Kind::Ints)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let target = super::movement::target(cx)?.to_vec();
        if target.len() != x.axes.len() {
            return cx.wrong("the result has other axes than the operand");
        }
        let mut axes = x.axes.to_vec();
        for axis in CenterCropPad::axes(cx.attrs, axes.len())? {
            // Where the middle lies depends on all positions.
            axes[axis] = cx.dims.axis(target[axis].clone());
            cx.freeze(x.axes[axis], Reason::Barrier);
            cx.freeze(axes[axis], Reason::Barrier);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (_, shape) = cx.result(0)?;
        let places = x.shape.iter().zip(shape).map(|(from, to)| {
            let first = match from >= to {
                true => ((from - to) / 2) as i64,
                false => -(((to - from) / 2) as i64),
            };
            (0..*to as i64)
                .map(|i| usize::try_from(i + first).ok().filter(|at| at < from))
                .collect()
        });
        let places: Vec<Vec<Option<usize>>> = places.collect();
        Ok(vec![pick(x, &places, &vec![0; x.dtype.size()])?])
    }
    moves!();
}

impl Operator for TensorScatter {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("axis", Kind::Int), ("mode", Kind::Str)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=3
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (cache, update) = (cx.operand(0)?, cx.operand(1)?);
        let axis = cx.axis("axis", -2, cache.axes.len())?;
        if cache.axes.len() != update.axes.len() || axis == 0 {
            return cx.wrong("the update does not fit the cache");
        }
        for (i, (a, b)) in cache.axes.iter().zip(update.axes).enumerate() {
            if i == axis {
                cx.freeze(*a, Reason::Index);
                cx.freeze(*b, Reason::Index);
            } else {
                cx.equate(*a, *b)?;
            }
        }
        if let Some(first) = cx.optional(2) {
            cx.apply("b, b -> b", &[&cache.axes[..1], first.axes], &[])?;
        }
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (cache, update) = (cx.operand(0)?, cx.operand(1)?);
        let axis = cx.axis("axis", -2, cache.shape.len())?;
        let first = cx.optional(2).map(Tensor::to_i64).transpose()?;
        let circular = cx.attrs.str_or("mode", "linear") == "circular";
        let run = cache.shape[axis + 1..].iter().product::<usize>() * cache.dtype.size();
        let (whole, new) = (cache.shape[axis], update.shape[axis]);
        let lines: usize = cache.shape[..axis].iter().product();
        let batch = cache.shape[1..axis].iter().product::<usize>().max(1);
        let update = update.cast(cache.dtype)?;
        let mut out = cache.bytes().to_vec();
        for line in 0..lines {
            let first = first
                .as_ref()
                .map_or(Some(0), |all| all.get(line / batch).copied());
            for i in 0..new {
                let at = first.and_then(|first| usize::try_from(first.checked_add(i as i64)?).ok());
                let at = at.map(|at| if circular { at % whole.max(1) } else { at });
                let Some(at) = at.filter(|at| *at < whole) else {
                    return wrong("the update does not lie within the cache");
                };
                let from = (line * new + i) * run;
                let to = (line * whole + at) * run;
                out[to..to + run].copy_from_slice(&update.bytes()[from..from + run]);
            }
        }
        Ok(vec![Tensor::new(cache.dtype, &cache.shape, out.into())?])
    }
    moves!();
}
