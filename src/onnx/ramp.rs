//! Indices that count: a gather of a flat tensor at all of its positions in order is a reshape.
//!
//! PyTorch's exporter writes `as_strided` as a gather at computed positions; where strides are those of a whole tensor,
//! nothing moves. With a run-time extent among them the indices are no constant, and would have to be followed.
use super::import::Import;
use crate::ir::{Def, ValueId};
use crate::ops::{Binary, Op, Shape, normalize_axis};
use crate::tensor::{DType, Extent, Tensor};

/// How many operations are followed on the way to what indices are made of.
const DEEPEST: usize = 64;

/// A tensor of `start + step_0 * i_0 + step_1 * i_1 + ...` at the position `i_0, i_1, ...`.
struct Ramp {
    axes: Vec<Extent>,
    start: i64,
    steps: Vec<i64>,
}

impl Ramp {
    fn of(tensor: &Tensor) -> Option<Ramp> {
        let items = tensor.to_i64().ok()?;
        let start = *items.first()?;
        let mut inner = 1;
        let mut steps = vec![0; tensor.shape.len()];
        for (axis, n) in tensor.shape.iter().enumerate().rev() {
            if *n > 1 {
                steps[axis] = items.get(inner)?.checked_sub(start)?;
            }
            inner *= n;
        }
        let ramp = Ramp {
            axes: tensor.shape.iter().map(|n| Extent::from(*n)).collect(),
            start,
            steps,
        };
        let counts = items.iter().enumerate().all(|(at, item)| {
            let mut rest = at as i64;
            let mut all = Some(start);
            for (n, step) in tensor.shape.iter().zip(&ramp.steps).rev() {
                let n = (*n).max(1) as i64;
                let along = step.checked_mul(rest % n);
                all = all.and_then(|all| all.checked_add(along?));
                rest /= n;
            }
            all == Some(*item)
        });
        counts.then_some(ramp)
    }
    /// The element that all are.
    fn same(&self) -> Option<i64> {
        self.steps.iter().all(|s| *s == 0).then_some(self.start)
    }
    fn times(mut self, n: i64) -> Option<Ramp> {
        self.start = self.start.checked_mul(n)?;
        for step in &mut self.steps {
            *step = step.checked_mul(n)?;
        }
        Some(self)
    }
    fn plus(self, other: Ramp) -> Option<Ramp> {
        let (mut a, mut b) = (self, other);
        let rank = a.axes.len().max(b.axes.len());
        for ramp in [&mut a, &mut b] {
            let lead = rank - ramp.axes.len();
            ramp.axes.splice(0..0, vec![Extent::from(1i64); lead]);
            ramp.steps.splice(0..0, vec![0; lead]);
        }
        a.start = a.start.checked_add(b.start)?;
        for k in 0..rank {
            match (a.axes[k].known(), b.axes[k].known()) {
                _ if a.axes[k] == b.axes[k] => a.steps[k] = a.steps[k].checked_add(b.steps[k])?,
                (_, Some(1)) => {}
                (Some(1), _) => (a.axes[k], a.steps[k]) = (b.axes[k].clone(), b.steps[k]),
                _ => return None,
            }
        }
        Some(a)
    }
    /// Whether it counts all positions of a tensor in row-major order.
    fn counts(&self) -> bool {
        let mut inner = Some(Extent::from(1i64));
        let mut steps = self.axes.iter().zip(&self.steps).rev();
        let in_order = steps.all(|(extent, step)| {
            let fits = extent.known() == Some(1) || inner == Some(Extent::from(*step));
            inner = inner.as_ref().and_then(|n| n.checked_mul(extent));
            fits
        });
        in_order && self.start == 0
    }
}

impl Import<'_> {
    /// Whether a gather takes all positions of a vector in order.
    pub(super) fn is_reshape(&self, operands: &[Option<ValueId>], made: &[Option<Shape>]) -> bool {
        let ([Some(x), Some(indices)], [Some(made)]) = (operands, made) else {
            return false;
        };
        let of = |shape: &Shape| {
            let one = Some(Extent::from(1i64));
            shape.axes.iter().fold(one, |all, e| all?.checked_mul(e))
        };
        let all = self.shapes[x.at()].as_ref().filter(|x| x.axes.len() == 1);
        let whole = all.is_some_and(|x| of(x).is_some() && of(x) == of(made));
        whole && self.ramp(*indices, 0).is_some_and(|ramp| ramp.counts())
    }
    fn ramp(&self, v: ValueId, depth: usize) -> Option<Ramp> {
        let node = match &self.module.value(v).def {
            Def::Param(tensor) | Def::Const(tensor) => return Ramp::of(tensor),
            Def::Input => return None,
            Def::Result(id, _) => self.module.node(*id),
        };
        let axes = || Some(self.shapes[v.at()].as_ref()?.axes.clone());
        let operand = |k: usize| node.operands.get(k).copied().flatten();
        let of = |k: usize| (depth < DEEPEST).then(|| self.ramp(operand(k)?, depth + 1))?;
        match node.op {
            Op::Range => Some(Ramp {
                axes: axes()?,
                start: of(0)?.same()?,
                steps: vec![of(2)?.same()?],
            }),
            Op::Binary(Binary::Add) => of(0)?.plus(of(1)?),
            Op::Binary(Binary::Mul) => {
                let (a, b) = (of(0)?, of(1)?);
                match (a.same(), b.same()) {
                    // Axes of the factor that is the same everywhere are broadcast as in a sum with zeros.
                    (_, Some(n)) => a.times(n)?.plus(b.times(0)?),
                    (Some(n), _) => b.times(n)?.plus(a.times(0)?),
                    _ => None,
                }
            }
            Op::Unsqueeze => {
                let (mut ramp, axes) = (of(0)?, axes()?);
                let new = node.attrs.ints("axes")?.into_iter();
                let new = new.map(|axis| normalize_axis(axis, axes.len()).ok());
                let mut new = new.collect::<Option<Vec<_>>>()?;
                new.sort();
                for axis in new {
                    ramp.steps.insert(axis.min(ramp.steps.len()), 0);
                }
                ramp.axes = axes;
                Some(ramp)
            }
            Op::Cast => of(0).filter(|_| self.dtype(v) == Some(DType::I64)),
            _ => None,
        }
    }
    fn dtype(&self, v: ValueId) -> Option<DType> {
        Some(self.shapes[v.at()].as_ref()?.dtype)
    }
}
