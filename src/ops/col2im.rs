//! Columns of blocks put back into an image: where blocks overlap, they add up.
use super::index::{strides, unravel};
use super::movement::{apart, as_eval, wrong};
use super::window::Window;
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `col2im(x) {image, kernel, stride, pad, dilation}`: `n (c k) l -> n c ...`, where `k` are the places of a block, `l` the
/// blocks, and `image` the extents behind the channels.
pub struct Col2Im;

impl Operator for Col2Im {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("image", Kind::Ints),
            ("kernel", Kind::Ints),
            ("stride", Kind::Ints),
            ("pad", Kind::Ints),
            ("dilation", Kind::Ints),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let (image, window) = (
            cx.attrs.ints("image").unwrap_or_default(),
            Window::new(cx.attrs, cx.attrs.ints("kernel").unwrap_or_default())?,
        );
        let [n, columns, blocks] = x.axes[..] else {
            return cx.wrong("the operand has not three axes");
        };
        if image.len() != window.kernel.len() || image.is_empty() || image.iter().any(|n| *n < 1) {
            return cx.wrong("`image` and `kernel` do not fit each other");
        }
        let all = |all: &[i64]| all.iter().try_fold(1i64, |all, n| all.checked_mul(*n));
        let mut places = 1i64;
        for (axis, n) in image.iter().enumerate() {
            let along = window.output(axis, &Extent::from(*n))?.known();
            match along.and_then(|n| places.checked_mul(n)) {
                Some(n) => places = n,
                None => return cx.wrong("the number of blocks overflows"),
            }
        }
        if cx.known(blocks).is_some_and(|n| n != places) {
            return cx.wrong(format!("an image has {places} blocks"));
        }
        let Some(kernel) = all(&window.kernel) else {
            return cx.wrong("the block overflows");
        };
        let kernel = cx.dims.part(kernel);
        cx.freeze(kernel, Reason::SpatialAxis);
        cx.freeze(blocks, Reason::SpatialAxis);
        let made = cx.apply("(c k) -> c", &[&[columns]], &[("k", kernel)])?;
        let mut axes = vec![n, made.results[0][0]];
        for n in image {
            let d = cx.dims.axis(n);
            cx.freeze(d, Reason::SpatialAxis);
            axes.push(d);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let kernel = cx.attrs.ints("kernel").unwrap_or_default();
        let window = Window::new(cx.attrs, kernel).map_err(as_eval)?;
        let ([_, columns, blocks], image) = (&x.shape[..], &shape[2..]) else {
            return wrong("the operand has not three axes");
        };
        let mut places = vec![];
        for (axis, n) in image.iter().enumerate() {
            let along = window.output(axis, &Extent::from(*n)).map_err(as_eval)?;
            places.push(
                along
                    .known()
                    .and_then(|n| usize::try_from(n).ok())
                    .unwrap_or(0),
            );
        }
        let block: Vec<usize> = window.kernel.iter().map(|n| *n as usize).collect();
        let taps: usize = block.iter().product();
        let (values, steps) = (x.to_f32()?, strides(image));
        let volume: usize = image.iter().product();
        let mut out = vec![0f32; shape.iter().product()];
        for l in 0..*blocks {
            let at = unravel(l, &places);
            for tap in 0..taps {
                let k = unravel(tap, &block);
                let along = (0..image.len()).map(|axis| {
                    let source =
                        window.source(axis, window.pad[axis], at[axis], k[axis], image[axis]);
                    source.map(|source| source * steps[axis])
                });
                let Some(offset) = along.sum::<Option<usize>>() else {
                    continue;
                };
                for plane in 0..shape[0] * shape[1] {
                    let (n, c) = (plane / shape[1], plane % shape[1]);
                    let from = (n * columns + c * taps + tap) * blocks + l;
                    out[plane * volume + offset] += values[from];
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    apart!();
}
