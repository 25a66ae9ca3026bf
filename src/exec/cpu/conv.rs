//! Convolution: as matrix products over unrolled windows, or plane by plane where it is depthwise.
use super::gemm::{Matrix, product};
use crate::ops::index::{strides, unravel};
use crate::ops::window::Window;
use crate::ops::{Eval, EvalError};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// Windows that are unrolled at a time.
const TILE: usize = 256;
/// What a tap reads that lies in the padding.
const PADDING: u32 = u32::MAX;

/// The convolution, as its reference defines it.
pub fn conv(cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
    let (x, w) = (cx.operand(0)?, cx.operand(1)?);
    let (dtype, shape) = cx.result(0)?;
    let kernel = w.shape[2..].to_vec();
    let window = Window::new(cx.attrs, kernel.iter().map(|n| *n as i64).collect())
        .map_err(|e| EvalError::Wrong(e.to_string()))?;
    let (xs, ws) = (x.to_f32()?, w.to_f32()?);
    let bias = cx.optional(2).map(|b| b.to_f32()).transpose()?;
    let (inner, spatial) = (w.shape[1], &x.shape[2..]);
    let groups = x.shape[1] / inner.max(1);
    let per_group = shape[1] / groups.max(1);
    let volume: usize = spatial.iter().product();
    let places: usize = shape[2..].iter().product();
    let taps: usize = kernel.iter().product();
    if volume >= PADDING as usize || shape.contains(&0) || x.is_empty() {
        return Err(EvalError::Wrong(
            "an input plane is empty or too large".into(),
        ));
    }
    let reads = reads(&window, &kernel, spatial, &shape[2..]);
    let plain =
        taps == 1 && volume == places && reads.iter().enumerate().all(|(i, r)| *r == i as u32);
    let mut out = vec![0f32; shape.iter().product()];
    if let Some(bias) = &bias {
        for (c, plane) in out.chunks_mut(places).enumerate() {
            plane.fill(bias[c % shape[1]]);
        }
    }
    if inner == 1 && per_group == 1 {
        out.par_chunks_mut(places)
            .enumerate()
            .for_each(|(plane, out)| {
                let c = plane % groups;
                let x = &xs[plane * volume..(plane + 1) * volume];
                for (tap, reads) in reads.chunks(places).enumerate() {
                    let w = ws[c * taps + tap];
                    for (o, at) in out.iter_mut().zip(reads) {
                        if *at != PADDING {
                            *o += w * x[*at as usize];
                        }
                    }
                }
            });
        return Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?]);
    }
    let depth = inner * taps;
    let per_task = per_group * places;
    out.par_chunks_mut(per_task)
        .enumerate()
        .for_each(|(task, out)| {
            let (n, g) = (task / groups, task % groups);
            let x = &xs[(n * groups + g) * inner * volume..][..inner * volume];
            let w = Matrix::new(
                &ws[g * per_group * depth..][..per_group * depth],
                per_group,
                depth,
            );
            if plain {
                let threads = if groups == 1 {
                    rayon::current_num_threads()
                } else {
                    1
                };
                let x = Matrix::new(x, inner, volume);
                return product(w, x, out, places, true, threads);
            }
            let tiles = places.div_ceil(TILE);
            let made: Vec<(usize, usize, Vec<f32>)> = (0..tiles)
                .into_par_iter()
                .map(|tile| {
                    let (from, to) = (tile * TILE, ((tile + 1) * TILE).min(places));
                    let width = to - from;
                    let mut columns = vec![0f32; depth * width];
                    for i in 0..inner {
                        let plane = &x[i * volume..(i + 1) * volume];
                        for tap in 0..taps {
                            let row = &mut columns[(i * taps + tap) * width..][..width];
                            let reads = &reads[tap * places + from..tap * places + to];
                            for (column, at) in row.iter_mut().zip(reads) {
                                if *at != PADDING {
                                    *column = plane[*at as usize];
                                }
                            }
                        }
                    }
                    let mut block = vec![0f32; per_group * width];
                    let columns = Matrix::new(&columns, depth, width);
                    product(w, columns, &mut block, width, false, 1);
                    (from, width, block)
                })
                .collect();
            for (from, width, block) in made {
                for (row, block) in out.chunks_mut(places).zip(block.chunks(width)) {
                    row[from..from + width]
                        .iter_mut()
                        .zip(block)
                        .for_each(|(o, b)| *o += b);
                }
            }
        });
    Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
}

/// Per tap and place of the output, the offset in the input plane that is read.
fn reads(window: &Window, kernel: &[usize], spatial: &[usize], output: &[usize]) -> Vec<u32> {
    let step = strides(spatial);
    let before: Vec<i64> = (0..kernel.len())
        .map(|a| window.pad_before(a, spatial[a], output[a]))
        .collect();
    let (taps, places) = (
        kernel.iter().product::<usize>(),
        output.iter().product::<usize>(),
    );
    let mut all = Vec::with_capacity(taps * places);
    for tap in 0..taps {
        let k = unravel(tap, kernel);
        // What each axis adds, by place along it.
        let along: Vec<Vec<Option<usize>>> = (0..kernel.len())
            .map(|a| {
                let source = |o| window.source(a, before[a], o, k[a], spatial[a]);
                (0..output[a])
                    .map(|o| source(o).map(|i| i * step[a]))
                    .collect()
            })
            .collect();
        for place in 0..places {
            let (mut rest, mut offset) = (place, Some(0));
            for a in (0..kernel.len()).rev() {
                let o = rest % output[a];
                rest /= output[a];
                offset = offset.and_then(|sum: usize| Some(sum + along[a][o]?));
            }
            all.push(offset.map_or(PADDING, |o| o as u32));
        }
    }
    all
}
