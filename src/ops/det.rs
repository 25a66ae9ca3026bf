//! The determinant of matrices.
use super::movement::{apart, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::Tensor;

/// `det(x)`: the determinant of each matrix of the last two axes, which stay whole.
pub struct Det;

impl Operator for Det {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let [before @ .., rows, columns] = x.axes else {
            return cx.wrong("it takes matrices");
        };
        cx.equate(*rows, *columns)?;
        cx.freeze(*rows, Reason::Barrier);
        cx.result(x.dtype, before.to_vec());
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let [.., n, columns] = x.shape[..] else {
            return wrong("it takes matrices");
        };
        if n != columns {
            return wrong("a matrix is not square");
        }
        let values = x.to_f64();
        let matrices = shape.iter().product();
        let all = (0..matrices).map(|i| determinant(values[i * n * n..][..n * n].to_vec(), n));
        Ok(vec![
            Tensor::from_vec(shape, all.collect::<Vec<f64>>())?.cast(dtype)?,
        ])
    }
    apart!();
}

/// Elimination with the largest pivot of each column.
fn determinant(mut a: Vec<f64>, n: usize) -> f64 {
    let mut product = 1.0;
    for k in 0..n {
        let largest = |i: &usize, j: &usize| a[i * n + k].abs().total_cmp(&a[j * n + k].abs());
        let pivot = (k..n).max_by(largest).unwrap_or(k);
        if a[pivot * n + k] == 0.0 {
            return 0.0;
        }
        if pivot != k {
            (0..n).for_each(|j| a.swap(pivot * n + j, k * n + j));
            product = -product;
        }
        product *= a[k * n + k];
        for i in k + 1..n {
            let factor = a[i * n + k] / a[k * n + k];
            for j in k..n {
                a[i * n + j] -= factor * a[k * n + j];
            }
        }
    }
    product
}
