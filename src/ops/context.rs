//! What an operator sees: of dimensions in its rule, of shapes in its cost, and of tensors in its reference.
use super::{Attrs, ExprError, Op};
use crate::dims::{Applied, Cause, Dim, Dims, Mismatch, Reason};
use crate::tensor::{DType, Extent, Tensor, TensorError};
use std::collections::BTreeSet;

/// An operand in a dimension rule.
#[derive(Copy, Clone)]
pub struct Operand<'a> {
    /// Element type.
    pub dtype: DType,
    /// One dim per axis.
    pub axes: &'a [Dim],
    /// The elements, where the operand is a parameter or constant.
    pub value: Option<&'a Tensor>,
}

/// Type and dims of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueType {
    /// Element type.
    pub dtype: DType,
    /// One dim per axis; none where the rank is unknown.
    pub axes: Option<Vec<Dim>>,
}

/// An attribute that is an extent: item `index` of attribute `name` is the sum of the extents of `dims`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrDims {
    /// The attribute.
    pub name: &'static str,
    /// Which item of the list; none where the attribute is no list.
    pub index: Option<usize>,
    /// The dims whose extents are added (none: 0).
    pub dims: Vec<Dim>,
}

/// Why a rule does not hold. The caller adds the operator and the place.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RuleError {
    /// Two extents that must be equal are not.
    #[error("{0}")]
    Mismatch(#[from] Mismatch),
    /// An attribute's expression cannot be evaluated.
    #[error("{0}")]
    Expr(#[from] ExprError),
    /// Anything else that is wrong.
    #[error("{0}")]
    Wrong(String),
}

/// One application of a dimension rule.
pub struct Rule<'a> {
    /// The algebra.
    pub dims: &'a mut Dims,
    /// The operation's attributes.
    pub attrs: &'a Attrs,
    /// The operands; none where an optional one is absent.
    pub operands: &'a [Option<Operand<'a>>],
    /// The extents that the results' types state, where they do.
    pub stated: &'a [Option<Vec<Extent>>],
    /// What to give as the cause of each equation.
    pub cause: Cause,
    /// Extents of named dims.
    pub lookup: &'a dyn Fn(&str) -> Option<Extent>,
    /// Positions of a shape that are read, as they are written, where not all may be.
    pub asked: Option<&'a BTreeSet<i64>>,
    /// Filled by the rule: the results.
    pub results: Vec<ValueType>,
    /// Filled by the rule: attributes that shrink with dims.
    pub attr_dims: Vec<AttrDims>,
    /// Filled by the rule: operands whose *values* are positions along a dim; an operand that stands several times holds
    /// positions along one dim after the other, over and over.
    pub indices: Vec<(usize, Dim)>,
}

impl<'a> Rule<'a> {
    /// Operand `k`, which must be there.
    pub fn operand(&self, k: usize) -> Result<Operand<'a>, RuleError> {
        self.optional(k)
            .ok_or_else(|| RuleError::Wrong(format!("operand {k} is missing")))
    }
    /// Operand `k`, if it is there.
    pub fn optional(&self, k: usize) -> Option<Operand<'a>> {
        self.operands.get(k).copied().flatten()
    }
    /// The extents that the type of result `k` states, if it does.
    pub fn stated(&self, k: usize) -> Option<&'a [Extent]> {
        self.stated.get(k).and_then(|s| s.as_deref())
    }
    /// An error of the rule's own.
    pub fn wrong<T>(&self, message: impl Into<String>) -> Result<T, RuleError> {
        Err(RuleError::Wrong(message.into()))
    }
    /// The extents of attribute `name` (one, or a list).
    pub fn extents(&self, name: &str) -> Result<Option<Vec<Extent>>, RuleError> {
        let Some(exprs) = self.attrs.exprs(name) else {
            return Ok(None);
        };
        let all: Result<Vec<Extent>, ExprError> =
            exprs.into_iter().map(|e| e.extent(self.lookup)).collect();
        Ok(Some(all?))
    }
    /// The single extent of attribute `name`.
    pub fn extent(&self, name: &str) -> Result<Option<Extent>, RuleError> {
        Ok(self.extents(name)?.and_then(|all| all.into_iter().next()))
    }
    /// The extents of attribute `name` where they say how many there are: none is negative.
    pub fn amounts(&self, name: &str) -> Result<Option<Vec<Extent>>, RuleError> {
        let all = self.extents(name)?;
        let negative = |e: &&Extent| e.known().is_some_and(|n| n < 0);
        match all.iter().flatten().find(negative) {
            Some(negative) => self.wrong(format!("`{name}` is negative: {negative}")),
            None => Ok(all),
        }
    }
    /// The single extent of attribute `name` where it says how many there are.
    pub fn amount(&self, name: &str) -> Result<Option<Extent>, RuleError> {
        Ok(self.amounts(name)?.and_then(|all| all.into_iter().next()))
    }
    /// Attribute `axis`-like `name`, counted from the front; `default` where it is absent.
    pub fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, RuleError> {
        normalize_axis(self.attrs.int_or(name, default), rank)
    }
    /// Equates two dims, with this operation as the cause.
    pub fn equate(&mut self, a: Dim, b: Dim) -> Result<(), RuleError> {
        Ok(self.dims.equate(a, b, self.cause)?)
    }
    /// Freezes a dim, with this operation as the cause.
    pub fn freeze(&mut self, d: Dim, reason: Reason) {
        self.dims.freeze(d, reason, self.cause);
    }
    /// Applies a rule in the notation of [`Dims::apply`].
    pub fn apply(
        &mut self,
        rule: &str,
        operands: &[&[Dim]],
        given: &[(&str, Dim)],
    ) -> Result<Applied, RuleError> {
        Ok(self.dims.apply(rule, operands, given, self.cause)?)
    }
    /// The known extent of a dim, if it is no run-time extent.
    pub fn known(&self, d: Dim) -> Option<i64> {
        self.dims.extent(d).known()
    }
    /// Adds a result.
    pub fn result(&mut self, dtype: DType, axes: Vec<Dim>) {
        self.results.push(ValueType {
            dtype,
            axes: Some(axes),
        });
    }
    /// A result of the same type and dims as operand `k`.
    pub fn result_like(&mut self, k: usize) -> Result<(), RuleError> {
        let operand = self.operand(k)?;
        self.result(operand.dtype, operand.axes.to_vec());
        Ok(())
    }
    /// Item `index` of attribute `name` is the sum of the extents of `dims`.
    pub fn attr_is(&mut self, name: &'static str, index: Option<usize>, dims: Vec<Dim>) {
        self.attr_dims.push(AttrDims { name, index, dims });
    }
    /// The results that another operator's rule gives for some of the operands, by place.
    pub fn as_if(
        &mut self,
        op: Op,
        attrs: &Attrs,
        places: &[usize],
    ) -> Result<Vec<ValueType>, RuleError> {
        let operands: Vec<Option<Operand<'_>>> = places.iter().map(|k| self.optional(*k)).collect();
        self.rule_of(op, attrs, &operands)
    }
    /// The results that another operator's rule gives for operands, of which it addresses none by index.
    pub fn rule_of(
        &mut self,
        op: Op,
        attrs: &Attrs,
        operands: &[Option<Operand<'_>>],
    ) -> Result<Vec<ValueType>, RuleError> {
        let mut rule = Rule {
            dims: self.dims,
            attrs,
            operands,
            stated: self.stated,
            cause: self.cause,
            lookup: self.lookup,
            asked: None,
            results: vec![],
            attr_dims: vec![],
            indices: vec![],
        };
        op.operator().rule(&mut rule)?;
        let (results, attr_dims) = (rule.results, rule.attr_dims);
        self.attr_dims.extend(attr_dims);
        Ok(results)
    }
    /// The dims that operands `k...` have together under numpy's broadcasting.
    pub fn broadcast(&mut self, operands: &[&[Dim]]) -> Result<Vec<Dim>, RuleError> {
        Ok(self.dims.broadcast(operands, self.cause)?)
    }
}

/// An axis counted from the front; negative ones count from the back.
pub fn normalize_axis(axis: i64, rank: usize) -> Result<usize, RuleError> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at)
        .ok()
        .filter(|at| *at < rank)
        .ok_or_else(|| RuleError::Wrong(format!("axis {axis} of a value of rank {rank}")))
}

/// Type and extents of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Element type.
    pub dtype: DType,
    /// One extent per axis.
    pub axes: Vec<Extent>,
}

impl Shape {
    /// The number of elements.
    pub fn count(&self) -> Extent {
        product(&self.axes)
    }
}

/// The product of extents; where it does not fit, the largest number there is.
pub fn product(axes: &[Extent]) -> Extent {
    axes.iter()
        .try_fold(Extent::from(1i64), |all, e| all.checked_mul(e))
        .unwrap_or_else(|| Extent::from(i64::MAX))
}

/// An operation with its shapes: what cost and roles look at.
pub struct View<'a> {
    /// The attributes; extents in them may be expressions.
    pub attrs: &'a Attrs,
    /// The operands' shapes; none where one is absent or its rank is unknown.
    pub operands: &'a [Option<Shape>],
    /// The results' shapes.
    pub results: &'a [Option<Shape>],
}

impl View<'_> {
    /// The shape of operand `k`.
    pub fn operand(&self, k: usize) -> Option<&Shape> {
        self.operands.get(k).and_then(|o| o.as_ref())
    }
    /// The shapes of some operands, by place.
    pub fn pick(&self, places: &[usize]) -> Vec<Option<Shape>> {
        places.iter().map(|k| self.operand(*k).cloned()).collect()
    }
    /// The elements of result `k`; 0 where its rank is unknown.
    pub fn result_count(&self, k: usize) -> Extent {
        self.results
            .get(k)
            .and_then(|r| r.as_ref())
            .map_or(Extent::from(0i64), Shape::count)
    }
    /// Extent `axis` of operand `k`; 1 where it is absent.
    pub fn extent(&self, k: usize, axis: usize) -> Extent {
        self.operand(k)
            .and_then(|s| s.axes.get(axis))
            .cloned()
            .unwrap_or(Extent::from(1i64))
    }
}

/// One execution by the reference.
pub struct Eval<'a> {
    /// The attributes, every expression a number.
    pub attrs: &'a Attrs,
    /// The operands; none where an optional one is absent.
    pub operands: &'a [Option<&'a Tensor>],
    /// Types and shapes of the results, as the rule gives them for these operands.
    pub results: &'a [(DType, Vec<usize>)],
}

/// Why the reference cannot run an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A tensor of the wrong type or size.
    #[error("{0}")]
    Tensor(#[from] TensorError),
    /// What is not supported, or wrong in the operands.
    #[error("{0}")]
    Wrong(String),
}

impl<'a> Eval<'a> {
    /// Operand `k`, which must be there.
    pub fn operand(&self, k: usize) -> Result<&'a Tensor, EvalError> {
        self.optional(k)
            .ok_or_else(|| EvalError::Wrong(format!("operand {k} is missing")))
    }
    /// Operand `k`, if it is there.
    pub fn optional(&self, k: usize) -> Option<&'a Tensor> {
        self.operands.get(k).copied().flatten()
    }
    /// Type and shape of result `k`.
    pub fn result(&self, k: usize) -> Result<(DType, &[usize]), EvalError> {
        self.results
            .get(k)
            .map(|(dtype, shape)| (*dtype, &shape[..]))
            .ok_or_else(|| EvalError::Wrong(format!("result {k} has no known shape")))
    }
    /// An axis attribute, counted from the front.
    pub fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, EvalError> {
        normalize_axis(self.attrs.int_or(name, default), rank)
            .map_err(|e| EvalError::Wrong(e.to_string()))
    }
}
