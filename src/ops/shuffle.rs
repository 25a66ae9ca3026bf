//! Between channels and space: depth to space and back.
use super::movement::permute;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

/// `depth_to_space(x) {block, mode}`: channels are `block * block * c` (mode `dcr`) or `c * block * block` (`crd`).
pub struct DepthToSpace;

/// `space_to_depth(x) {block}`: channels become `block * block * c`.
pub struct SpaceToDepth;

const ATTRS: &[AttrSpec] = &[("block", Kind::Int), ("mode", Kind::Str)];

fn block(attrs: &Attrs) -> Result<i64, RuleError> {
    match attrs.int_or("block", 0) {
        b if (1..=1 << 16).contains(&b) => Ok(b),
        b => Err(RuleError::Wrong(format!("`block` is {b}"))),
    }
}

/// The four axes of an image, its spatial ones frozen.
fn image(cx: &mut Rule<'_>) -> Result<[Dim; 4], RuleError> {
    let x = cx.operand(0)?;
    let &[n, c, h, w] = x.axes else {
        return cx.wrong(format!("an input of {} axes, and not of 4", x.axes.len()));
    };
    cx.freeze(h, Reason::SpatialAxis);
    cx.freeze(w, Reason::SpatialAxis);
    Ok([n, c, h, w])
}

/// A spatial axis of the result.
fn spatial(cx: &mut Rule<'_>, extent: Option<Extent>) -> Result<Dim, RuleError> {
    let Some(extent) = extent else {
        return cx.wrong("a spatial extent does not divide by the block, or overflows");
    };
    let d = cx.dims.axis(extent);
    cx.freeze(d, Reason::SpatialAxis);
    Ok(d)
}

/// The two factors that say where in a block a channel lies.
fn factors(cx: &mut Rule<'_>, block: i64) -> [Dim; 2] {
    [0, 1].map(|_| {
        let d = cx.dims.part(block);
        cx.freeze(d, Reason::SpatialAxis);
        d
    })
}

impl Operator for DepthToSpace {
    fn attrs(&self) -> &'static [AttrSpec] {
        ATTRS
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let block = block(cx.attrs)?;
        let [n, c, h, w] = image(cx)?;
        let [p, q] = factors(cx, block);
        let rule = match cx.attrs.str_or("mode", "dcr") {
            "dcr" => "(p q c) -> c",
            "crd" => "(c p q) -> c",
            other => return cx.wrong(format!("there is no mode `{other}`: `dcr`, `crd`")),
        };
        let channels = cx.apply(rule, &[&[c]], &[("p", p), ("q", q)])?.results[0][0];
        let block = Extent::from(block);
        let extents = [h, w].map(|d| cx.dims.extent(d).checked_mul(&block));
        let [h, w] = extents;
        let (h, w) = (spatial(cx, h)?, spatial(cx, w)?);
        let dtype = cx.operand(0)?.dtype;
        cx.result(dtype, vec![n, channels, h, w]);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (_, shape) = cx.result(0)?;
        let b = cx.attrs.int_or("block", 1) as usize;
        let (n, c, h, w) = (shape[0], shape[1], x.shape[2], x.shape[3]);
        let moved = match cx.attrs.str_or("mode", "dcr") {
            "dcr" => permute(&x.reshape(&[n, b, b, c, h, w])?, &[0, 3, 4, 1, 5, 2])?,
            _ => permute(&x.reshape(&[n, c, b, b, h, w])?, &[0, 1, 4, 2, 5, 3])?,
        };
        Ok(vec![moved.reshape(shape)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, _: &View<'_>, _: usize) -> Use {
        Use::Seen
    }
}

impl Operator for SpaceToDepth {
    fn attrs(&self) -> &'static [AttrSpec] {
        &ATTRS[..1]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let block = block(cx.attrs)?;
        let [n, c, h, w] = image(cx)?;
        let [p, q] = factors(cx, block);
        let channels = cx.dims.product(&[p, q, c]);
        let block = Extent::from(block);
        let [h, w] = [h, w].map(|d| cx.dims.extent(d).exact_div(&block));
        let (h, w) = (spatial(cx, h)?, spatial(cx, w)?);
        let dtype = cx.operand(0)?.dtype;
        cx.result(dtype, vec![n, channels, h, w]);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (_, shape) = cx.result(0)?;
        let b = cx.attrs.int_or("block", 1) as usize;
        let (n, c, h, w) = (shape[0], x.shape[1], shape[2], shape[3]);
        let moved = permute(&x.reshape(&[n, c, h, b, w, b])?, &[0, 3, 5, 1, 2, 4])?;
        Ok(vec![moved.reshape(shape)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, _: &View<'_>, _: usize) -> Use {
        Use::Seen
    }
}
