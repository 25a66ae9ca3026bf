//! Operators with code of their own, where the reference would take too long.
use super::conv::conv;
use super::gemm::{Matrix, product};
use crate::ops::index::{broadcast_strides, walk};
use crate::ops::{Eval, EvalError, Op};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// Runs an operation by code of its own, if there is some for the operator.
pub fn eval(op: Op, cx: &Eval<'_>) -> Option<Result<Vec<Tensor>, EvalError>> {
    match op {
        Op::Conv => Some(conv(cx)),
        Op::Linear => Some(linear(cx)),
        Op::Matmul => Some(matmul(cx)),
        _ => None,
    }
}

fn linear(cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
    let (a, b) = (cx.operand(0)?, cx.operand(1)?);
    let (dtype, shape) = cx.result(0)?;
    let (x, y) = (a.to_f32()?, b.to_f32()?);
    let side = |t: &Tensor, values, flag: &str| {
        let matrix = Matrix::new(values, t.shape[0], t.shape[1]);
        match cx.attrs.flag(flag) {
            true => matrix.transposed(),
            false => matrix,
        }
    };
    let (x, y) = (side(a, &x, "trans_a"), side(b, &y, "trans_b"));
    let mut out = vec![0f32; shape.iter().product()];
    product(
        x,
        y,
        &mut out,
        shape[1],
        false,
        rayon::current_num_threads(),
    );
    let alpha = cx.attrs.float_or("alpha", 1.0);
    if alpha != 1.0 {
        out.iter_mut().for_each(|x| *x *= alpha);
    }
    if let Some(c) = cx.optional(2) {
        let (values, beta) = (c.to_f32()?, cx.attrs.float_or("beta", 1.0));
        let mut at = 0;
        walk(shape, [&broadcast_strides(&c.shape, shape)], |[i]| {
            out[at] += beta * values[i];
            at += 1;
        });
    }
    Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
}

fn matmul(cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
    let (a, b) = (cx.operand(0)?, cx.operand(1)?);
    let (dtype, shape) = cx.result(0)?;
    let two = |shape: &[usize], row: bool| match (shape, row) {
        ([n], true) => vec![1, *n],
        ([n], false) => vec![*n, 1],
        _ => shape.to_vec(),
    };
    let (sa, sb) = (two(&a.shape, true), two(&b.shape, false));
    let (m, k, n) = (sa[sa.len() - 2], sa[sa.len() - 1], sb[sb.len() - 1]);
    let own = (a.shape.len() > 1) as usize + (b.shape.len() > 1) as usize;
    let batch = &shape[..shape.len() - own];
    let (x, y) = (a.to_f32()?, b.to_f32()?);
    let mut out = vec![0f32; shape.iter().product()];
    let threads = rayon::current_num_threads();
    if sb.len() == 2 {
        // One matrix for all of the batch: its rows are those of one product.
        let rows = out.len() / n.max(1);
        let (x, y) = (Matrix::new(&x, rows, k), Matrix::new(&y, k, n));
        product(x, y, &mut out, n, false, threads);
        return Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?]);
    }
    let (ba, bb) = (&sa[..sa.len() - 2], &sb[..sb.len() - 2]);
    let mut pairs = vec![];
    let steps = [
        &broadcast_strides(ba, batch)[..],
        &broadcast_strides(bb, batch),
    ];
    walk(batch, steps, |pair| pairs.push(pair));
    let size = (m * n).max(1);
    out.par_chunks_mut(size)
        .zip(&pairs)
        .for_each(|(out, [p, q])| {
            let x = Matrix::new(&x[p * m * k..(p + 1) * m * k], m, k);
            let y = Matrix::new(&y[q * k * n..(q + 1) * k * n], k, n);
            product(x, y, out, n, false, 1);
        });
    Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
}
