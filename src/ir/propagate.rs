//! Propagation: every axis of every value gets a dim, every operation states its equations, and the algebra solves them.
use super::asked::asked;
use super::{Def, DimDef, Module, NodeId, Type, ValueId, assumed, groups};
use crate::diag::Diagnostic;
use crate::dims::{Cause, Dim, Dims, Reason};
use crate::ops::{AttrDims, Expr, Operand, Rule, RuleError, Shape, ValueType, View};
use crate::tensor::{DType, Extent};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What an operation's rule said besides equations.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Attributes that are extents.
    pub attrs: Vec<AttrDims>,
    /// Operands whose values are positions along a dim, or along several in turn.
    pub indices: Vec<(usize, Dim)>,
}

/// What is derived from a module; it lies beside it, and is computed again after a rewrite.
pub struct Facts {
    /// The solved algebra.
    pub dims: Dims,
    /// Type and dims of every value.
    pub values: Vec<ValueType>,
    /// Per operation.
    pub nodes: Vec<NodeFacts>,
    /// The dims of the table's names.
    pub names: HashMap<Arc<str>, Dim>,
}

impl Facts {
    /// The dims of a value; none where its rank is unknown.
    pub fn axes(&self, v: ValueId) -> Option<&[Dim]> {
        self.values[v.at()].axes.as_deref()
    }
    /// Type and extents of a value; none where its rank is unknown.
    pub fn shape(&self, v: ValueId) -> Option<Shape> {
        let value = &self.values[v.at()];
        let axes = value
            .axes
            .as_ref()?
            .iter()
            .map(|d| self.dims.extent(*d).clone())
            .collect();
        Some(Shape {
            dtype: value.dtype,
            axes,
        })
    }
    /// Shapes of an operation's operands and results.
    pub fn shapes(&self, module: &Module, id: NodeId) -> (Vec<Option<Shape>>, Vec<Option<Shape>>) {
        let node = module.node(id);
        let of = |all: &[Option<ValueId>]| all.iter().map(|v| self.shape((*v)?)).collect();
        (of(&node.operands), of(&node.results))
    }
    /// Calls `look` with a view of an operation.
    pub fn view<T>(&self, module: &Module, id: NodeId, look: impl FnOnce(&View<'_>) -> T) -> T {
        let (operands, results) = self.shapes(module, id);
        look(&View {
            attrs: &module.node(id).attrs,
            operands: &operands,
            results: &results,
        })
    }
}

/// The state of one propagation.
struct Propagation<'m> {
    module: &'m Module,
    extents: HashMap<Arc<str>, Extent>,
    /// Extents that are read of a shape, where not all may be.
    asked: HashMap<NodeId, BTreeSet<i64>>,
    facts: Facts,
}

/// Computes the facts of a module.
///
/// Inputs and outputs are frozen. Fails with a diagnostic where an operation does not fit its operands, or a stated
/// type does not fit what the operation gives.
pub fn propagate(module: &Module) -> Result<Facts, Diagnostic> {
    let extents = module
        .extents()
        .map_err(|e| Diagnostic::new(e.to_string()))?;
    let facts = Facts {
        dims: Dims::new(),
        values: vec![],
        nodes: vec![],
        names: HashMap::new(),
    };
    let mut p = Propagation {
        module,
        extents,
        asked: asked(module),
        facts,
    };
    p.declare_dims()?;
    p.declare_values()?;
    for i in 0..module.nodes.len() {
        p.node(NodeId(i as u32))?;
    }
    for (v, ty) in &module.outputs {
        let cause = module.value_cause(*v);
        if let (
            Some(Type {
                axes: Some(axes), ..
            }),
            Some(dims),
        ) = (ty, p.facts.axes(*v).map(<[Dim]>::to_vec))
        {
            p.state(*v, axes, &dims, cause)?;
        }
        for d in p.facts.axes(*v).map(<[Dim]>::to_vec).unwrap_or_default() {
            p.facts.dims.freeze(d, Reason::Output, cause);
        }
    }
    p.facts.dims.solve().map_err(|e| module.conflict(&e))?;
    if let Some(conflict) = assumed::contradiction(&p.facts) {
        return Err(module.conflict(&conflict));
    }
    groups::state(module, &mut p.facts);
    Ok(p.facts)
}

impl Propagation<'_> {
    fn declare_dims(&mut self) -> Result<(), Diagnostic> {
        for (name, def) in &self.module.dims {
            let d = match def {
                DimDef::Fixed(_) | DimDef::Runtime => {
                    self.facts.dims.part(self.extents[name].clone())
                }
                DimDef::Term(expr) => self.term(expr)?,
            };
            self.facts.names.insert(name.clone(), d);
        }
        Ok(())
    }
    fn extent(&self, expr: &Expr) -> Result<Extent, Diagnostic> {
        expr.extent(&|name| self.extents.get(name).cloned())
            .map_err(|e| Diagnostic::new(e.to_string()))
    }
    /// The dim of an expression: names are shared, numbers are fresh.
    fn term(&mut self, expr: &Expr) -> Result<Dim, Diagnostic> {
        let extent = self.extent(expr)?;
        if extent.known().is_some_and(|n| n < 0) {
            return Err(Diagnostic::new(format!(
                "an extent is negative: `{expr}` is {extent}"
            )));
        }
        Ok(match expr {
            Expr::Name(name) => self.facts.names[name],
            Expr::Sum(parts) if extent.is_known() => {
                let parts = parts
                    .iter()
                    .map(|p| self.term(p))
                    .collect::<Result<Vec<_>, _>>()?;
                self.facts.dims.concat(&parts)
            }
            // With run-time factors, too, where one of the others is a dim: a number beside them only counts.
            Expr::Product(factors)
                if extent.is_known() || factors.iter().any(|f| self.is_dim(f)) =>
            {
                let factors = factors
                    .iter()
                    .map(|f| self.term(f))
                    .collect::<Result<Vec<_>, _>>()?;
                self.facts.dims.product(&factors)
            }
            _ => self.facts.dims.part(extent),
        })
    }
    fn is_dim(&self, expr: &Expr) -> bool {
        !matches!(expr, Expr::Num(_)) && self.extent(expr).is_ok_and(|e| e.is_known())
    }
    /// States that dims are what a written type says.
    fn state(
        &mut self,
        v: ValueId,
        axes: &[Expr],
        dims: &[Dim],
        cause: Cause,
    ) -> Result<(), Diagnostic> {
        let wrong = |message: String| {
            let value = self.module.value(v);
            Diagnostic::new(message).at(self
                .module
                .place(value.span, &format!("value `{}`", value.name)))
        };
        if axes.len() != dims.len() {
            return Err(wrong(format!(
                "`{}` is stated with {} axes and has {}",
                self.module.value(v).name,
                axes.len(),
                dims.len()
            )));
        }
        for (expr, d) in axes.iter().zip(dims) {
            if let (Expr::Num(n), Some(known)) = (expr, self.facts.dims.extent(*d).known())
                && *n == known
            {
                continue;
            }
            let stated = self.term(expr)?;
            if let Err(e) = self.facts.dims.equate(*d, stated, cause) {
                return Err(wrong(format!(
                    "`{}` does not fit its type: {e}",
                    self.module.value(v).name
                )));
            }
        }
        Ok(())
    }
    fn declare_values(&mut self) -> Result<(), Diagnostic> {
        for (i, value) in self.module.values.iter().enumerate() {
            let v = ValueId(i as u32);
            let cause = self.module.value_cause(v);
            let place = || {
                self.module
                    .place(value.span, &format!("value `{}`", value.name))
            };
            let unknown = ValueType {
                dtype: value.ty.as_ref().map_or(DType::F32, |t| t.dtype),
                axes: None,
            };
            self.facts.values.push(unknown);
            if matches!(value.def, Def::Result(..)) {
                continue;
            }
            let Some(ty) = &value.ty else {
                return Err(Diagnostic::new(format!("`{}` has no type", value.name)).at(place()));
            };
            let Some(axes) = &ty.axes else { continue };
            let mut dims = vec![];
            for expr in axes {
                let extent = self.extent(expr).map_err(|e| e.at(place()))?;
                if extent.known().is_some_and(|n| n < 0) {
                    return Err(Diagnostic::new(format!(
                        "an extent of `{}` is negative: {extent}",
                        value.name
                    ))
                    .at(place()));
                }
                let d = self.facts.dims.axis(extent);
                if !matches!(expr, Expr::Num(_)) {
                    let term = self.term(expr)?;
                    self.facts
                        .dims
                        .equate(d, term, cause)
                        .map_err(|e| Diagnostic::new(e.to_string()).at(place()))?;
                }
                if matches!(value.def, Def::Input) {
                    self.facts.dims.freeze(d, Reason::Input, cause);
                }
                dims.push(d);
            }
            if let Some(tensor) = value.tensor() {
                let shape: Option<Vec<usize>> = dims
                    .iter()
                    .map(|d| usize::try_from(self.facts.dims.extent(*d).known()?).ok())
                    .collect();
                if shape.as_deref() != Some(&tensor.shape) || ty.dtype != tensor.dtype {
                    let message = format!(
                        "the data of `{}` is {}{:?}, its type says otherwise",
                        value.name,
                        tensor.dtype.name(),
                        tensor.shape
                    );
                    return Err(Diagnostic::new(message).at(place()));
                }
            }
            self.facts.values[i].axes = Some(dims);
        }
        Ok(())
    }
    fn node(&mut self, id: NodeId) -> Result<(), Diagnostic> {
        let module = self.module;
        let (node, cause) = (module.node(id), module.node_cause(id));
        let wrong = |e: RuleError| {
            let message = match e {
                RuleError::Mismatch(e) => format!("`{}` does not fit: {e}", node.op.name()),
                other => format!("`{}`: {other}", node.op.name()),
            };
            Diagnostic::new(message).at(module.node_place(id))
        };
        let stated: Vec<Option<Vec<Extent>>> = node
            .results
            .iter()
            .map(|v| {
                let axes = v
                    .and_then(|v| module.value(v).ty.as_ref())
                    .and_then(|t| t.axes.as_ref());
                let all = axes.map(|axes| axes.iter().map(|e| self.extent(e)).collect());
                all.transpose()
            })
            .collect::<Result<_, _>>()?;
        let ranked = node
            .operands
            .iter()
            .flatten()
            .all(|v| self.facts.axes(*v).is_some());
        let mut results = vec![];
        let mut facts = NodeFacts::default();
        let opaque = !ranked || node.op == crate::ops::Op::Opaque;
        if ranked {
            let Facts { dims, values, .. } = &mut self.facts;
            let operands: Vec<Option<Operand<'_>>> = node
                .operands
                .iter()
                .map(|v| {
                    let v = (*v)?;
                    let ty = &values[v.at()];
                    Some(Operand {
                        dtype: ty.dtype,
                        axes: ty.axes.as_deref()?,
                        value: module.value(v).tensor(),
                    })
                })
                .collect();
            let extents = &self.extents;
            let mut rule = Rule {
                dims,
                attrs: &node.attrs,
                operands: &operands,
                stated: &stated,
                cause,
                lookup: &|name| extents.get(name).cloned(),
                asked: self.asked.get(&id),
                results: vec![],
                attr_dims: vec![],
                indices: vec![],
            };
            node.op.operator().rule(&mut rule).map_err(wrong)?;
            results = rule.results;
            facts = NodeFacts {
                attrs: rule.attr_dims,
                indices: rule.indices,
            };
        } else {
            for d in node
                .operands
                .iter()
                .flatten()
                .flat_map(|v| self.facts.axes(*v).unwrap_or_default().to_vec())
                .collect::<Vec<_>>()
            {
                self.facts.dims.freeze(d, Reason::Opaque, cause);
            }
        }
        for (k, v) in node.results.iter().enumerate() {
            let Some(v) = *v else { continue };
            let ty = module.value(v).ty.as_ref();
            if opaque {
                let axes = stated[k].as_ref().map(|stated| {
                    let axes: Vec<Dim> = stated
                        .iter()
                        .map(|e| self.facts.dims.axis(e.clone()))
                        .collect();
                    axes.iter()
                        .for_each(|d| self.facts.dims.freeze(*d, Reason::Opaque, cause));
                    axes
                });
                self.facts.values[v.at()] = ValueType {
                    dtype: ty.map_or(DType::F32, |t| t.dtype),
                    axes,
                };
                continue;
            }
            let Some(ValueType {
                dtype,
                axes: Some(made),
            }) = results.get(k)
            else {
                return Err(wrong(RuleError::Wrong(format!(
                    "it has {} results, {} are used",
                    results.len(),
                    k + 1
                ))));
            };
            // Every value has axes of its own, so that an explanation has a step for every operation.
            let mut axes = vec![];
            for d in made {
                let own = self.facts.dims.axis(self.facts.dims.extent(*d).clone());
                self.facts
                    .dims
                    .equate(own, *d, cause)
                    .map_err(|e| wrong(e.into()))?;
                axes.push(own);
            }
            if let Some(ty) = ty {
                if ty.dtype != *dtype {
                    let message = format!(
                        "`{}` is {}, its type says {}",
                        module.value(v).name,
                        dtype.name(),
                        ty.dtype.name()
                    );
                    return Err(Diagnostic::new(message).at(module.node_place(id)));
                }
                if let Some(stated) = &ty.axes {
                    self.state(v, stated, &axes, module.value_cause(v))?;
                }
            }
            self.facts.values[v.at()] = ValueType {
                dtype: *dtype,
                axes: Some(axes),
            };
        }
        self.facts.nodes.push(facts);
        Ok(())
    }
}
