//! Matrix products: one that all threads share, or many, each on a thread.
use super::super::step::Product;
use super::gemm::{Matrix, product};
use super::steps::split;
use rayon::prelude::*;

/// The products of a step.
pub fn products(step: &Product, a: &[f32], b: &[f32], add: Option<&[f32]>, out: &mut [f32]) {
    let [m, k, n] = step.shape;
    let left = |at: usize| Matrix {
        data: &a[at..],
        shape: (m, k),
        step: step.left,
    };
    let right = |at: usize, columns: usize| Matrix {
        data: &b[at..],
        shape: (k, columns),
        step: step.right,
    };
    match step.pairs[..] {
        // A row times a matrix takes as long as reading the matrix: each thread reads a part of its columns.
        [[p, q]] if m == 1 => split(out, 1, |first, out| {
            let (at, columns) = (q + first * step.right.1, out.len());
            product(left(p), right(at, columns), out, columns, false, 1);
        }),
        [[p, q]] => {
            let threads = rayon::current_num_threads();
            product(left(p), right(q, n), out, n, false, threads);
        }
        _ => {
            let pairs = out.par_chunks_mut(m * n).zip(&step.pairs);
            pairs.for_each(|(out, [p, q])| product(left(*p), right(*q, n), out, n, false, 1));
        }
    }
    if step.alpha != 1.0 {
        out.iter_mut().for_each(|x| *x *= step.alpha);
    }
    if let (Some((beta, down, along)), Some(add)) = (step.add, add) {
        for (i, row) in out.chunks_mut(n).enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                *x += beta * add[i * down + j * along];
            }
        }
    }
}
