//! Operators that compare the positions of an axis: which is the largest, which are the first, what came before.
use super::movement::{apart, one_int, wrong};
use super::table::family;
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};
use std::cmp::Ordering;

family! {
    /// `arg_max(x) {axis, keep_dims, select_last_index}`: the position of the extreme along an axis.
    Arg { Max "arg_max" Min "arg_min" }
}

/// `top_k(x, k?) {axis, k, largest, sorted}`: the extreme elements along an axis and where they stand. `largest` and
/// `sorted` are true where they are absent; the result is always sorted.
pub struct TopK;

family! {
    /// `cumsum(x) {axis, exclusive, reverse}`, `cumprod(x) {...}`: the sum or product of all before, and of the element
    /// itself unless `exclusive`.
    Running { Sum "cumsum" Product "cumprod" }
}

/// The elements of a tensor, as what compares exactly.
enum Keys {
    Float(Vec<f64>),
    Int(Vec<i64>),
}

impl Keys {
    fn of(x: &Tensor) -> Result<Keys, EvalError> {
        Ok(match x.dtype.is_float() {
            true => Keys::Float(x.to_f64()),
            false => Keys::Int(x.to_i64()?),
        })
    }
    /// NaN counts as larger than all numbers.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Keys::Int(all) => all[a].cmp(&all[b]),
            Keys::Float(all) => all[a]
                .partial_cmp(&all[b])
                .unwrap_or_else(|| all[a].is_nan().cmp(&all[b].is_nan())),
        }
    }
}

/// Every line of elements along an axis, as offsets.
fn lines(shape: &[usize], axis: usize) -> impl Iterator<Item = Vec<usize>> {
    let inner: usize = shape[axis + 1..].iter().product();
    let (outer, n) = (shape[..axis].iter().product::<usize>(), shape[axis]);
    (0..outer * inner).map(move |line| {
        let first = line / inner * n * inner + line % inner;
        (0..n).map(|i| first + i * inner).collect()
    })
}

impl Operator for Arg {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("axis", Kind::Int),
            ("keep_dims", Kind::Bool),
            ("select_last_index", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let axis = cx.axis("axis", 0, x.axes.len())?;
        cx.freeze(x.axes[axis], Reason::Barrier);
        let mut axes = x.axes.to_vec();
        match cx.attrs.flag("keep_dims") {
            true => axes[axis] = cx.dims.axis(1i64),
            false => {
                axes.remove(axis);
            }
        }
        cx.result(DType::I64, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let axis = cx.axis("axis", 0, x.shape.len())?;
        let last = cx.attrs.flag("select_last_index");
        let keys = Keys::of(x)?;
        let mut out = vec![];
        for line in lines(&x.shape, axis) {
            let mut best = 0;
            for i in 1..line.len() {
                let order = match self {
                    Arg::Max => keys.compare(line[i], line[best]),
                    Arg::Min => keys.compare(line[best], line[i]),
                };
                if order == Ordering::Greater || (last && order == Ordering::Equal) {
                    best = i;
                }
            }
            out.push(best as i64);
        }
        Ok(vec![Tensor::from_i64(cx.result(0)?.1, out)?])
    }
    apart!();
}

impl Operator for TopK {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("axis", Kind::Int),
            ("k", Kind::Extent),
            ("largest", Kind::Bool),
            ("sorted", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=2
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let axis = cx.axis("axis", -1, x.axes.len())?;
        let value = cx.optional(1).and_then(|k| one_int(k.value?));
        let stated = cx.stated(0).and_then(|all| all.get(axis)).cloned();
        let count = cx.extent("k")?.or(value.map(Extent::from)).or(stated);
        let Some(count) = count else {
            return cx.wrong("`k` is not known, and the result type is not stated");
        };
        let all = cx.known(x.axes[axis]);
        if count
            .known()
            .is_some_and(|k| k < 0 || all.is_some_and(|n| k > n))
        {
            return cx.wrong(format!("there are no {count} positions"));
        }
        let y = cx.dims.axis(count);
        cx.attr_is("k", None, vec![y]);
        cx.freeze(x.axes[axis], Reason::Barrier);
        cx.freeze(y, Reason::Barrier);
        let mut axes = x.axes.to_vec();
        axes[axis] = y;
        cx.result(x.dtype, axes.clone());
        cx.result(DType::I64, axes);
        Ok(())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let axis = cx.axis("axis", -1, x.shape.len())?;
        let (_, shape) = cx.result(0)?;
        let (keys, size) = (Keys::of(x)?, x.dtype.size());
        let (mut values, mut places) = (vec![0; shape.iter().product::<usize>() * size], vec![]);
        places.resize(shape.iter().product(), 0);
        for (line, into) in lines(&x.shape, axis).zip(lines(shape, axis)) {
            let mut order: Vec<usize> = (0..line.len()).collect();
            order.sort_by(|a, b| {
                let order = keys.compare(line[*a], line[*b]);
                match cx.attrs.int_or("largest", 1) {
                    0 => order,
                    _ => order.reverse(),
                }
            });
            if into.len() > line.len() {
                return wrong("there are fewer positions than `k`");
            }
            for (to, from) in into.into_iter().zip(order) {
                let at = line[from] * size;
                values[to * size..(to + 1) * size].copy_from_slice(&x.bytes()[at..at + size]);
                places[to] = from as i64;
            }
        }
        Ok(vec![
            Tensor::new(x.dtype, shape, values.into())?,
            Tensor::from_i64(shape, places)?,
        ])
    }
    apart!();
}

impl Operator for Running {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("axis", Kind::Int),
            ("exclusive", Kind::Bool),
            ("reverse", Kind::Bool),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Barrier
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let axis = cx.axis("axis", 0, x.axes.len())?;
        cx.freeze(x.axes[axis], Reason::Barrier);
        cx.result_like(0)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, _) = cx.result(0)?;
        let axis = cx.axis("axis", 0, x.shape.len())?;
        let exclusive = cx.attrs.flag("exclusive");
        let lines = lines(&x.shape, axis).map(|mut line| {
            if cx.attrs.flag("reverse") {
                line.reverse();
            }
            line
        });
        let out = match Keys::of(x)? {
            Keys::Float(all) => {
                let mut out = vec![0f64; all.len()];
                for line in lines {
                    let how: (f64, fn(f64, f64) -> f64) = match self {
                        Running::Sum => (0.0, |a, b| a + b),
                        Running::Product => (1.0, |a, b| a * b),
                    };
                    running(&line, &all, &mut out, exclusive, how);
                }
                Tensor::from_vec(&x.shape, out)?
            }
            Keys::Int(all) => {
                let mut out = vec![0i64; all.len()];
                for line in lines {
                    let how: (i64, fn(i64, i64) -> i64) = match self {
                        Running::Sum => (0, i64::wrapping_add),
                        Running::Product => (1, i64::wrapping_mul),
                    };
                    running(&line, &all, &mut out, exclusive, how);
                }
                Tensor::from_i64(&x.shape, out)?
            }
        };
        Ok(vec![out.cast(dtype)?])
    }
    apart!();
}

/// What runs along one line, from a first value on.
fn running<T: Copy>(
    line: &[usize],
    all: &[T],
    out: &mut [T],
    exclusive: bool,
    (first, join): (T, fn(T, T) -> T),
) {
    let mut so_far = first;
    for at in line {
        let next = join(so_far, all[*at]);
        out[*at] = if exclusive { so_far } else { next };
        so_far = next;
    }
}
