//! Blocks of elements that go elsewhere in another order.
use super::super::step::Block;
use crate::ops::index::walk;
use rayon::prelude::*;

/// Edge of the squares in which two axes change places.
const SQUARE: usize = 16;

/// Copies all blocks.
pub fn copy(blocks: &[Block], operands: &[Option<&[f32]>], out: &mut [f32]) {
    for block in blocks {
        let Some(x) = operands.get(block.operand).copied().flatten() else {
            continue;
        };
        // The first axis is shared among the threads where its parts lie apart in the result.
        let pitch = block.to[0];
        let (inner, from) = (&block.shape[1..], block.from[0]);
        let extent: usize = inner
            .iter()
            .zip(&block.to[1..])
            .map(|(n, s)| (n - 1) * s)
            .sum();
        let out = &mut out[block.at..];
        let size: usize = block.shape.iter().product();
        if inner.is_empty() || extent >= pitch || size < 1 << 15 {
            rows(block, 0, x, out);
            continue;
        }
        out.par_chunks_mut(pitch)
            .take(block.shape[0])
            .enumerate()
            .for_each(|(i, out)| rows(block, 1, &x[i * from..], out));
    }
}

/// Copies the axes of a block from `first` on.
fn rows(block: &Block, first: usize, x: &[f32], out: &mut [f32]) {
    let (shape, from, to) = (
        &block.shape[first..],
        &block.from[first..],
        &block.to[first..],
    );
    let last = shape.len() - 1;
    if last > 0 && to[last] == 1 && from[last] != 1 && from[last - 1] == 1 {
        // Reads would jump along the last axis; squares keep what is read together in the cache.
        let outer = last - 1;
        let [down, along] = [shape[outer], shape[last]];
        return walk(&shape[..outer], [&from[..outer], &to[..outer]], |[i, o]| {
            for a in (0..down).step_by(SQUARE) {
                for b in (0..along).step_by(SQUARE) {
                    for a in a..(a + SQUARE).min(down) {
                        let to = &mut out[o + a * to[outer] + b..][..SQUARE.min(along - b)];
                        let mut at = i + a + b * from[last];
                        for to in to {
                            *to = x[at];
                            at += from[last];
                        }
                    }
                }
            }
        });
    }
    walk(&shape[..last], [&from[..last], &to[..last]], |[i, o]| {
        let n = shape[last];
        match (from[last], to[last]) {
            (1, 1) => out[o..o + n].copy_from_slice(&x[i..i + n]),
            (0, 1) => out[o..o + n].fill(x[i]),
            (from, to) => (0..n).for_each(|k| out[o + k * to] = x[i + k * from]),
        }
    });
}
