//! Images looked at between their pixels: at the points of a grid, and in boxes.
use super::index::{strides, unravel};
use super::movement::{apart, position, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `grid_sample(x, grid) {mode, padding_mode, align_corners}`: `x` is `n c ...`, the grid `n ... k` with the `k` coordinates of
/// each point, the last axis first, where -1 and 1 are the borders. `mode` is `linear` (the default), `nearest` or `cubic`.
pub struct GridSample;

/// `roi_align(x, boxes, batches) {mode, coordinate_transformation_mode, height, width, sampling_ratio, spatial_scale}`: the mean
/// or maximum of points in each part of boxes `x1 y1 x2 y2`.
pub struct RoiAlign;

/// `affine_grid(theta) {size, align_corners}`: the points of a grid over an image of `size`, mapped by `theta`, `n k (k + 1)`.
pub struct AffineGrid;

/// A coordinate reflected at two borders until it lies between them.
fn reflected(x: f64, least: f64, most: f64) -> f64 {
    let range = most - least;
    if range <= 0.0 {
        return least;
    }
    let far = (x - least).rem_euclid(2.0 * range);
    least + if far > range { 2.0 * range - far } else { far }
}

/// How coordinates beyond the borders are taken.
#[derive(Copy, Clone, PartialEq)]
enum Beyond {
    Zeros,
    Border,
    Reflection,
}

/// One axis of an image.
#[derive(Copy, Clone)]
struct Line {
    extent: usize,
    beyond: Beyond,
    /// The borders at which coordinates are reflected.
    borders: (f64, f64),
}

impl Line {
    /// The coordinate of a point between -1 and 1.
    fn coordinate(&self, x: f64, align_corners: bool) -> f64 {
        let n = self.extent as f64;
        match align_corners {
            true => (x + 1.0) / 2.0 * (n - 1.0),
            false => ((x + 1.0) * n - 1.0) / 2.0,
        }
    }
    fn inside(&self, x: f64) -> f64 {
        let (least, most) = self.borders;
        match self.beyond {
            Beyond::Zeros => x,
            Beyond::Border => x.clamp(0.0, self.extent as f64 - 1.0),
            Beyond::Reflection if x < least || x > most => reflected(x, least, most),
            Beyond::Reflection => x,
        }
    }
    /// The pixel at a place, if there is one.
    fn pixel(&self, at: i64) -> Option<usize> {
        let last = self.extent as i64 - 1;
        let at = match self.beyond {
            Beyond::Zeros => at,
            Beyond::Border => at.clamp(0, last),
            Beyond::Reflection => {
                let (least, most) = self.borders;
                match (least..=most).contains(&(at as f64)) {
                    true => at,
                    false => reflected(at as f64, least, most) as i64,
                }
            }
        };
        usize::try_from(at).ok().filter(|at| *at < self.extent)
    }
    /// The pixels that a coordinate is made of, and their shares.
    fn taps(&self, x: f64, mode: &str) -> Vec<(Option<usize>, f64)> {
        let floor = x.floor();
        let (t, at) = (x - floor, floor as i64);
        let cubic = |t: f64| {
            let (a, t) = (-0.75, t.abs());
            match t <= 1.0 {
                true => ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0,
                false => ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a,
            }
        };
        match mode {
            "nearest" => vec![(self.pixel(x.round_ties_even() as i64), 1.0)],
            "cubic" => (-1..3)
                .map(|i| (self.pixel(at.saturating_add(i)), cubic(t - i as f64)))
                .collect(),
            _ => vec![
                (self.pixel(at), 1.0 - t),
                (self.pixel(at.saturating_add(1)), t),
            ],
        }
    }
}

impl Operator for GridSample {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("mode", Kind::Str),
            ("padding_mode", Kind::Str),
            ("align_corners", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, grid) = (cx.operand(0)?, cx.operand(1)?);
        let ([n, c, spatial @ ..], [own, points @ .., last]) = (x.axes, grid.axes) else {
            return cx.wrong("an image has at least two axes, and a grid too");
        };
        if spatial.len() != points.len() || cx.known(*last) != Some(spatial.len() as i64) {
            return cx.wrong("the grid has other axes than the image");
        }
        cx.equate(*n, *own)?;
        for d in spatial.iter().chain(points).chain([last]) {
            cx.freeze(*d, Reason::SpatialAxis);
        }
        let mut axes = vec![*n, *c];
        axes.extend(points);
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, grid) = (cx.operand(0)?, cx.operand(1)?);
        let (dtype, shape) = cx.result(0)?;
        let align = cx.attrs.flag("align_corners");
        let beyond = match cx.attrs.str_or("padding_mode", "zeros") {
            "zeros" => Beyond::Zeros,
            "border" => Beyond::Border,
            "reflection" => Beyond::Reflection,
            other => return wrong(format!("there is no padding mode `{other}`")),
        };
        let mode = match cx.attrs.str_or("mode", "linear") {
            "bilinear" => "linear",
            "bicubic" => "cubic",
            other => other,
        };
        if !matches!(mode, "linear" | "nearest" | "cubic") {
            return wrong(format!("there is no mode `{mode}`"));
        }
        let spatial = &x.shape[2..];
        if spatial.contains(&0) {
            return wrong("there is no pixel");
        }
        let lines: Vec<Line> = spatial
            .iter()
            .map(|n| Line {
                extent: *n,
                beyond,
                borders: match align {
                    true => (0.0, *n as f64 - 1.0),
                    false => (-0.5, *n as f64 - 0.5),
                },
            })
            .collect();
        let (steps, volume) = (strides(spatial), spatial.iter().product::<usize>());
        let points: usize = shape[2..].iter().product();
        let (values, grid) = (x.to_f32()?, grid.to_f32()?);
        let rank = lines.len();
        let mut out = vec![0f32; shape.iter().product()];
        for n in 0..shape[0] {
            for point in 0..points {
                let place = &grid[(n * points + point) * rank..][..rank];
                // All pixels that the point is made of: offsets and shares.
                let mut taps = vec![(0usize, 1f64)];
                for (axis, line) in lines.iter().enumerate() {
                    // Single precision decides what is nearest.
                    let at = line.coordinate(f64::from(place[rank - 1 - axis]), align) as f32;
                    let at = if mode == "nearest" {
                        at.round_ties_even()
                    } else {
                        at
                    };
                    // A cubic curve goes on beyond the border; only its pixels are taken from inside.
                    let at = match mode {
                        "cubic" => f64::from(at),
                        _ => line.inside(f64::from(at)),
                    };
                    let own = line.taps(at, mode);
                    let there = || own.iter().filter_map(|(pixel, w)| Some(((*pixel)?, *w)));
                    let step = steps[axis];
                    let next = |(offset, share): &(usize, f64)| {
                        let one = |(p, w): (usize, f64)| (offset + p * step, share * w);
                        there().map(one).collect::<Vec<_>>()
                    };
                    taps = taps.iter().flat_map(next).collect();
                }
                for c in 0..shape[1] {
                    let plane = &values[(n * shape[1] + c) * volume..][..volume];
                    let sum: f64 = taps.iter().map(|(at, w)| w * f64::from(plane[*at])).sum();
                    out[(n * shape[1] + c) * points + point] = sum as f32;
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    apart!();
}

impl Operator for AffineGrid {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("size", Kind::Extents), ("align_corners", Kind::Bool)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let theta = cx.operand(0)?;
        let size = cx.amounts("size")?.unwrap_or_default();
        let [n, rows, columns] = theta.axes[..] else {
            return cx.wrong("`theta` has not three axes");
        };
        let rank = size.len().saturating_sub(2);
        if rank == 0 || cx.known(rows) != Some(rank as i64) {
            return cx.wrong("`theta` does not fit `size`");
        }
        let mut axes = vec![n];
        for extent in &size[2..] {
            axes.push(cx.dims.axis(extent.clone()));
        }
        axes.push(rows);
        for d in axes.iter().chain([&columns]) {
            cx.freeze(*d, Reason::SpatialAxis);
        }
        cx.result(theta.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let theta = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let align = cx.attrs.flag("align_corners");
        let [n, spatial @ .., rank] = shape else {
            return wrong("the grid has less than two axes");
        };
        let values = theta.to_f32()?;
        let along = |at: usize, extent: usize| match align {
            true if extent > 1 => 2.0 * at as f32 / (extent as f32 - 1.0) - 1.0,
            true => 0.0,
            false => (2.0 * at as f32 + 1.0) / extent as f32 - 1.0,
        };
        let mut out = Vec::with_capacity(shape.iter().product());
        for b in 0..*n {
            for point in 0..spatial.iter().product() {
                let place = unravel(point, spatial);
                for row in 0..*rank {
                    let row = &values[(b * rank + row) * (rank + 1)..][..rank + 1];
                    let axes = place
                        .iter()
                        .zip(spatial)
                        .rev()
                        .map(|(at, n)| along(*at, *n));
                    let sum: f32 = row.iter().zip(axes).map(|(w, x)| w * x).sum();
                    out.push(sum + row[*rank]);
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    apart!();
}

impl Operator for RoiAlign {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("mode", Kind::Str),
            ("coordinate_transformation_mode", Kind::Str),
            ("height", Kind::Int),
            ("width", Kind::Int),
            ("sampling_ratio", Kind::Int),
            ("spatial_scale", Kind::Float),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=3
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, boxes, batches) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let ([n, c, h, w], [r, four], [own]) = (x.axes, boxes.axes, batches.axes) else {
            return cx.wrong("the image has not four axes, or the boxes have not two");
        };
        if cx.known(*four) != Some(4) {
            return cx.wrong("a box has four numbers");
        }
        cx.equate(*r, *own)?;
        for d in [*n, *h, *w, *r, *four] {
            cx.freeze(d, Reason::SpatialAxis);
        }
        let mut axes = vec![*r, *c];
        for name in ["height", "width"] {
            let d = cx.dims.axis(cx.attrs.int_or(name, 1).max(1));
            cx.freeze(d, Reason::SpatialAxis);
            axes.push(d);
        }
        cx.result(x.dtype, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, boxes, batches) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let (dtype, shape) = cx.result(0)?;
        let ([n, _, h, w], [count, c, rows, columns]) = (&x.shape[..], shape) else {
            return wrong("the image has not four axes");
        };
        if *h == 0 || *w == 0 {
            return wrong("there is no pixel");
        }
        let half = cx
            .attrs
            .str_or("coordinate_transformation_mode", "half_pixel")
            == "half_pixel";
        let offset = if half { 0.5 } else { 0.0 };
        let scale = f64::from(cx.attrs.float_or("spatial_scale", 1.0));
        let ratio = usize::try_from(cx.attrs.int_or("sampling_ratio", 0)).unwrap_or(0);
        let is_max = cx.attrs.str_or("mode", "avg") == "max";
        let (values, boxes, batches) = (x.to_f32()?, boxes.to_f32()?, batches.to_i64()?);
        // A point's pixels along one axis, with their shares; none where it lies outside.
        let along = |at: f64, extent: usize| {
            if at < -1.0 || at > extent as f64 {
                return [(0, 0.0), (0, 0.0)];
            }
            let (at, last) = (at.max(0.0), extent - 1);
            let low = (at as usize).min(last);
            let t = if low == last { 0.0 } else { at - low as f64 };
            [(low, 1.0 - t), ((low + 1).min(last), t)]
        };
        let mut out = Vec::with_capacity(shape.iter().product());
        for r in 0..*count {
            let Some(batch) = position(batches[r], *n) else {
                return wrong("a box belongs to no image");
            };
            let corner = |i: usize| f64::from(boxes[r * 4 + i]) * scale - offset;
            let least = if half { f64::NEG_INFINITY } else { 1.0 };
            let (width, height) = (
                (corner(2) - corner(0)).max(least),
                (corner(3) - corner(1)).max(least),
            );
            let (tall, wide) = (height / *rows as f64, width / *columns as f64);
            let samples = |each: f64| match ratio {
                0 => each.ceil().max(0.0) as usize,
                ratio => ratio,
            };
            let (down, across) = (samples(tall), samples(wide));
            for channel in 0..*c {
                let plane = &values[(batch * c + channel) * h * w..][..h * w];
                for row in 0..*rows {
                    for column in 0..*columns {
                        let (mut sum, mut most) = (0f64, f64::NEG_INFINITY);
                        for i in 0..down {
                            let y =
                                corner(1) + tall * (row as f64 + (i as f64 + 0.5) / down as f64);
                            for j in 0..across {
                                let x = corner(0)
                                    + wide * (column as f64 + (j as f64 + 0.5) / across as f64);
                                for (y, v) in along(y, *h) {
                                    for (x, u) in along(x, *w) {
                                        let part = u * v * f64::from(plane[y * w + x]);
                                        sum += part;
                                        most = most.max(part);
                                    }
                                }
                            }
                        }
                        out.push(match is_max {
                            true if most > f64::NEG_INFINITY => most as f32,
                            true => 0.0,
                            false => (sum / (down * across).max(1) as f64) as f32,
                        });
                    }
                }
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    apart!();
}
