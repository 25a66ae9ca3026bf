//! Convolution: as matrix products over unrolled windows, or by themselves where they are depthwise.
use super::super::step::{Conv, Slide};
use super::depthwise::depthwise;
use super::gemm::{Matrix, product};
use super::wide::wide;
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;

/// Elements of windows that are unrolled at a time: they stay in the cache until they are multiplied.
const TILE: usize = 1 << 19;

thread_local! {
    /// Room for unrolled windows, kept from one convolution to the next.
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(vec![]) };
}

/// The convolution.
pub fn conv(step: &Conv, x: &[f32], w: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let slide = &step.slide;
    let (volume, places, taps) = (slide.volume(), slide.places(), slide.taps());
    let (inner, outer, groups) = (step.inner, step.outer, step.groups);
    for (plane, out) in out.chunks_mut(places).enumerate() {
        out.fill(bias.map_or(0.0, |b| b[plane % (groups * outer)]));
    }
    if inner == 1 && outer == 1 {
        return depthwise(slide, groups, x, w, out);
    }
    let depth = inner * taps;
    let threads = match groups * step.batch {
        1 => rayon::current_num_threads(),
        _ => 1,
    };
    let parts = out.par_chunks_mut(outer * places).enumerate();
    parts.for_each(|(part, out)| {
        let x = &x[part * inner * volume..][..inner * volume];
        let w = Matrix::new(
            &w[part % groups * outer * depth..][..outer * depth],
            outer,
            depth,
        );
        if is_plain(slide) {
            let x = Matrix::new(x, inner, volume);
            return product(w, x, out, places, true, threads);
        }
        let mut columns = SCRATCH.take();
        for tile in tiles(slide, depth) {
            let width = tile.rows.len() * tile.columns.len();
            columns.resize(columns.len().max(depth * width), 0.0);
            let planes = columns
                .par_chunks_mut(taps * width)
                .zip(x.par_chunks(volume));
            planes.for_each(|(columns, plane)| {
                wide(|| {
                    for (tap, row) in columns.chunks_mut(width).enumerate() {
                        unroll(slide, plane, tap, &tile, row);
                    }
                });
            });
            let columns = Matrix::new(&columns[..depth * width], depth, width);
            let from = tile.rows.start * slide.output[2] + tile.columns.start;
            product(w, columns, &mut out[from..], places, true, threads);
        }
        SCRATCH.set(columns);
    });
}

/// Whether the windows are the input's elements one by one.
fn is_plain(slide: &Slide) -> bool {
    slide.kernel == [1; 3] && slide.stride == [1; 3] && slide.input == slide.output
}

/// Windows that are unrolled together, and lie together in the output: several rows whole, or a part of one.
struct Tile {
    rows: Range<usize>,
    columns: Range<usize>,
}

fn tiles(slide: &Slide, depth: usize) -> Vec<Tile> {
    let (rows, width) = (slide.output[0] * slide.output[1], slide.output[2]);
    let most = (TILE / depth).max(64);
    let at_once = (most / width).max(1);
    let mut tiles = vec![];
    for row in (0..rows).step_by(at_once) {
        for column in (0..width).step_by(most) {
            tiles.push(Tile {
                rows: row..(row + at_once).min(rows),
                columns: column..(column + most).min(width),
            });
        }
    }
    tiles
}

/// What element `tap` of each of the tile's windows reads in one input plane.
#[inline(always)]
fn unroll(slide: &Slide, plane: &[f32], tap: usize, tile: &Tile, out: &mut [f32]) {
    let [_, kh, kw] = slide.kernel;
    let (a, b, c) = (tap / (kh * kw), tap / kw % kh, tap % kw);
    let (over, down, along) = (slide.span(0, a), slide.span(1, b), slide.span(2, c));
    let (first, end) = (tile.columns.start, tile.columns.end);
    let (start, stop) = (along.start.clamp(first, end), along.end.clamp(first, end));
    let stop = stop.max(start);
    let stride = slide.stride[2];
    for (row, out) in tile.rows.clone().zip(out.chunks_mut(end - first)) {
        let (i, j) = (row / slide.output[1], row % slide.output[1]);
        if start == stop || !over.contains(&i) || !down.contains(&j) {
            out.fill(0.0);
            continue;
        }
        let at = slide.source(0, i, a) * slide.input[1] + slide.source(1, j, b);
        let from = at * slide.input[2] + slide.source(2, start, c);
        out[..start - first].fill(0.0);
        out[stop - first..].fill(0.0);
        let out = &mut out[start - first..stop - first];
        match stride {
            1 => out.copy_from_slice(&plane[from..from + out.len()]),
            _ => {
                let reads = plane[from..].iter().step_by(stride);
                out.iter_mut().zip(reads).for_each(|(o, x)| *o = *x);
            }
        }
    }
}

/// The transposed convolution.
pub fn spread(step: &Conv, x: &[f32], w: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let slide = &step.slide;
    let (volume, places, taps) = (slide.volume(), slide.places(), slide.taps());
    let (inner, outer, groups) = (step.inner, step.outer, step.groups);
    let depth = outer * taps;
    let stride = slide.stride[2];
    let threads = match groups * step.batch {
        1 => rayon::current_num_threads(),
        _ => 1,
    };
    let parts = out.par_chunks_mut(outer * volume).enumerate();
    parts.for_each(|(part, out)| {
        let group = part % groups;
        let w = &w[group * inner * depth..][..inner * depth];
        let x = &x[part * inner * places..][..inner * places];
        let mut windows = SCRATCH.take();
        windows.resize(windows.len().max(depth * places), 0.0);
        let (w, x) = (Matrix::new(w, inner, depth), Matrix::new(x, inner, places));
        product(w.transposed(), x, &mut windows, places, false, threads);
        let planes = out
            .par_chunks_mut(volume)
            .zip(windows.par_chunks(taps * places));
        planes.enumerate().for_each(|(o, (out, windows))| {
            out.fill(bias.map_or(0.0, |b| b[group * outer + o]));
            slide.rows(|tap, row, to| {
                let windows = &windows[tap * places..][row];
                let out = out[to..].iter_mut().step_by(stride);
                out.zip(windows).for_each(|(o, x)| *o += x);
            });
        });
        SCRATCH.set(windows);
    });
}
