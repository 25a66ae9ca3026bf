//! What an operator sees of the masked program under construction.
use super::{Attrs, Expr, Op};

/// A value of the masked program under construction.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Handle(pub u32);

/// The masked program under construction, at one operation of the original.
///
/// Operands keep the original's shapes; some positions of some axes are *lost*: what stands there means nothing.
pub trait Mask {
    /// How many operands the operation has.
    fn operand_count(&self) -> usize;
    /// The value of operand `k` in the masked program.
    fn operand(&self, k: usize) -> Option<Handle>;
    /// Rank of operand `k`.
    fn rank(&self, k: usize) -> usize;
    /// The extents of operand `k` in the original.
    fn axes(&self, k: usize) -> Vec<Expr>;
    /// How many results the operation has.
    fn result_count(&self) -> usize;
    /// Rank of result `k`.
    fn result_rank(&self, k: usize) -> usize;
    /// The original's attributes.
    fn attrs(&self) -> &Attrs;
    /// The operation's operator.
    fn op(&self) -> Op;
    /// Extent of an axis of operand `k` and how many of its positions are kept, if some are lost; of an axis with a run-time
    /// factor both at one position of that.
    fn lost(&self, k: usize, axis: usize) -> Option<(usize, usize)>;
    /// `value` (of the shape of operand `k`) with the lost positions of the given axes replaced by a value that broadcasts
    /// to it.
    fn fill_with(&mut self, value: Handle, k: usize, axes: &[usize], identity: Handle) -> Handle;
    /// An operation with one result.
    fn emit(&mut self, op: Op, operands: &[Option<Handle>], attrs: Attrs) -> Handle;
    /// The same elements (of the type of operand 0) under other axes.
    fn reshape(&mut self, value: Handle, axes: Vec<Expr>) -> Handle;
    /// A scalar of the element type of operand `k`.
    fn scalar(&mut self, k: usize, value: f32) -> Handle;
    /// An integer, as a scalar.
    fn integer(&mut self, value: i64) -> Handle;
    /// The original operation on other operands.
    fn same(&mut self, operands: &[Option<Handle>]) -> Vec<Handle>;
}

impl dyn Mask + '_ {
    /// `value` (of the shape of operand `k`) with the lost positions of the given axes replaced by a number.
    pub fn fill(&mut self, value: Handle, k: usize, axes: &[usize], identity: f32) -> Handle {
        if axes.iter().all(|a| self.lost(k, *a).is_none()) {
            return value;
        }
        let identity = self.scalar(k, identity);
        self.fill_with(value, k, axes, identity)
    }
    /// The original operation on its own operands: exact, whatever is lost.
    pub fn apart(&mut self) -> Vec<Handle> {
        let operands: Vec<Option<Handle>> =
            (0..self.operand_count()).map(|k| self.operand(k)).collect();
        self.same(&operands)
    }
    /// The original operation after filling the lost positions of some axes of some operands.
    pub fn filled(&mut self, fills: &[(usize, &[usize], f32)]) -> Vec<Handle> {
        let mut operands: Vec<Option<Handle>> =
            (0..self.operand_count()).map(|k| self.operand(k)).collect();
        for (k, axes, identity) in fills {
            if let Some(value) = operands[*k] {
                operands[*k] = Some(self.fill(value, *k, axes, *identity));
            }
        }
        self.same(&operands)
    }
    /// The original operation after filling the lost positions of some axes of operand `k` with its zero point, which is
    /// 0 where there is none.
    pub fn zeroed(&mut self, k: usize, axes: &[usize], zero: Option<Handle>) -> Vec<Handle> {
        let mut operands: Vec<Option<Handle>> =
            (0..self.operand_count()).map(|k| self.operand(k)).collect();
        let zero = zero.unwrap_or_else(|| self.scalar(k, 0.0));
        if let Some(value) = operands[k] {
            operands[k] = Some(self.fill_with(value, k, axes, zero));
        }
        self.same(&operands)
    }
    /// By how much a mean over `axes` of operand `k` with its lost positions filled with 0 is too small.
    pub fn survivors(&self, k: usize, axes: &[usize]) -> f32 {
        let ratio: f64 = axes
            .iter()
            .filter_map(|a| self.lost(k, *a))
            .map(|(all, kept)| all as f64 / kept as f64)
            .product();
        ratio as f32
    }
    /// The original operation, which gives one mean of operand 0 over `axes`: over the survivors.
    pub fn averaged(&mut self, axes: &[usize]) -> Vec<Handle> {
        let means = self.filled(&[(0, axes, 0.0)]);
        let ratio = self.survivors(0, axes);
        let all = means.into_iter().map(|mean| self.scaled(mean, ratio));
        all.collect()
    }
    /// `value` times a number of the element type of operand 0.
    fn scaled(&mut self, value: Handle, by: f32) -> Handle {
        if by == 1.0 {
            return value;
        }
        let by = self.scalar(0, by);
        let times = Op::Binary(super::table::Binary::Mul);
        self.emit(times, &[Some(value), Some(by)], Attrs::new())
    }
    /// The mean over `axes` (kept in the result with extent 1) of `value`, which has the shape of operand `k`:
    /// over the survivors.
    pub fn mean(&mut self, value: Handle, k: usize, axes: &[usize]) -> Handle {
        let value = self.fill(value, k, axes, 0.0);
        let attrs = Attrs::new()
            .with("axes", super::Attr::ints(axes.iter().map(|a| *a as i64)))
            .with("keep_dims", super::Attr::Bool(true));
        let mean = self.emit(
            Op::Reduce(super::table::Reduce::Mean),
            &[Some(value)],
            attrs,
        );
        let ratio = self.survivors(k, axes);
        if ratio == 1.0 {
            return mean;
        }
        let ratio = self.scalar(k, ratio);
        self.emit(
            Op::Binary(super::table::Binary::Mul),
            &[Some(mean), Some(ratio)],
            Attrs::new(),
        )
    }
}
