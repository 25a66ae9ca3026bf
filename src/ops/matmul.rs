//! The matrix product with numpy's batch axes.
use super::index::{broadcast_strides, walk};
use super::*;
use crate::tensor::Tensor;
use std::ops::{AddAssign, Mul};

/// `matmul(a, b)`: `... m k, ... k n -> ... m n`; an operand of rank 1 is a row or a column.
pub struct Matmul;

/// The product of elements, each with their shape, in a shape.
pub(super) fn multiply<T: Copy + Default + Mul<Output = T> + AddAssign>(
    (x, a): (&[T], &[usize]),
    (y, b): (&[T], &[usize]),
    shape: &[usize],
) -> Vec<T> {
    let two = |shape: &[usize], front: bool| match (shape.len(), front) {
        (1, true) => vec![1, shape[0]],
        (1, false) => vec![shape[0], 1],
        _ => shape.to_vec(),
    };
    let (sa, sb) = (two(a, true), two(b, false));
    let (m, k, n) = (sa[sa.len() - 2], sa[sa.len() - 1], sb[sb.len() - 1]);
    let own = usize::from(a.len() > 1) + usize::from(b.len() > 1);
    let batch = &shape[..shape.len() - own];
    let (ba, bb) = (&sa[..sa.len() - 2], &sb[..sb.len() - 2]);
    let mut out = Vec::with_capacity(shape.iter().product());
    walk(
        batch,
        [&broadcast_strides(ba, batch), &broadcast_strides(bb, batch)],
        |[p, q]| {
            let (x, y) = (&x[p * m * k..], &y[q * k * n..]);
            for i in 0..m {
                let at = out.len();
                out.resize(at + n, T::default());
                for l in 0..k {
                    for j in 0..n {
                        out[at + j] += x[i * k + l] * y[l * n + j];
                    }
                }
            }
        },
    );
    out
}

impl Operator for Matmul {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        2..=2
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (a, b) = (cx.operand(0)?, cx.operand(1)?);
        let rule = match (a.axes.len(), b.axes.len()) {
            (0, _) | (_, 0) => return cx.wrong("an operand is a scalar"),
            (1, 1) => "k, k ->",
            (1, _) => "k, ... k n -> ... n",
            (_, 1) => "... m k, k -> ... m",
            _ => "... m k, ... k n -> ... m n",
        };
        // What both operands carry as a batch index (heads) is a count.
        let (ra, rb) = (a.axes.len(), b.axes.len());
        for back in 3..=ra.min(rb) {
            for d in [a.axes[ra - back], b.axes[rb - back]] {
                cx.dims.count(d);
            }
        }
        let axes = cx.apply(rule, &[a.axes, b.axes], &[])?.results[0].clone();
        cx.result(a.dtype, axes);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let k = view
            .operand(0)
            .and_then(|a| a.axes.last().cloned())
            .unwrap_or(Extent::from(0i64));
        context::product(&[view.result_count(0), k])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (a, b) = (cx.operand(0)?, cx.operand(1)?);
        let (dtype, shape) = cx.result(0)?;
        let (x, y) = (a.to_f32()?, b.to_f32()?);
        let out = multiply((&x, &a.shape), (&y, &b.shape), shape);
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        // What is multiplied by 0 need not be 0 itself.
        let last = mask.rank(0) - 1;
        mask.filled(&[(0, &[last], 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let rank = view.operand(k).map_or(0, |o| o.axes.len());
        let mut roles = vec![Role::Other; rank];
        match (rank, k) {
            (0, _) => {}
            (1, _) => roles[0] = Role::In,
            (_, 0) => (roles[rank - 2], roles[rank - 1]) = (Role::Out, Role::In),
            _ => (roles[rank - 2], roles[rank - 1]) = (Role::In, Role::Out),
        }
        Use::Roles(roles)
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        let rank = |k: usize| pairs.view.operand(k).map_or(0, |x| x.axes.len());
        // What is summed over, the rows of the one and the columns of the other; batches are counted from the back.
        let label = |k: usize, axis: usize| match (k, rank(k), rank(k) - axis) {
            (_, 1, _) | (0, _, 1) | (1, _, 2) => 0,
            (0, _, 2) => 1,
            (1, _, 1) => 2,
            (_, _, back) => back,
        };
        pairs.contracted(label, |l| *l == 0)
    }
}
