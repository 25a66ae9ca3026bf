//! A run that goes an operation at a time, unfused, so that every value can be looked at.
use super::super::bind::Bindings;
use super::super::lower::{Form, lower};
use super::super::schedule::computed;
use super::super::step::Step;
use super::steps;
use crate::ir::{Def, Facts, Graph, Module, NodeId, ValueId};
use crate::ops::{Eval, Op};
use crate::prune::{Run, RunError};
use crate::tensor::{DType, Extent, Tensor, TensorError};
use std::collections::HashMap;
use std::sync::Arc;

/// The state of a run.
pub struct Trace<'m> {
    module: &'m Module,
    facts: &'m Facts,
    bindings: Bindings,
    extents: HashMap<Arc<str>, Extent>,
    values: Vec<Option<Tensor>>,
    last_uses: Vec<Option<NodeId>>,
}

impl<'m> Trace<'m> {
    /// A run before its first operation.
    pub fn new(
        module: &'m Module,
        facts: &'m Facts,
        bindings: Bindings,
        inputs: &[Tensor],
    ) -> Result<Trace<'m>, RunError> {
        let mut values = vec![None; module.values.len()];
        for (v, tensor) in module.inputs.iter().zip(inputs) {
            let wide = tensor.cast(computed(tensor.dtype));
            values[v.at()] = Some(wide.map_err(|e| RunError::Input(e.to_string()))?);
        }
        let extents = module
            .extents()
            .map_err(|e| RunError::Input(e.to_string()))?;
        Ok(Trace {
            module,
            facts,
            bindings,
            extents,
            values,
            last_uses: Graph::last_uses(module),
        })
    }
    fn known(&self, v: ValueId) -> Option<Tensor> {
        match &self.module.value(v).def {
            Def::Param(tensor) | Def::Const(tensor) => tensor.cast(computed(tensor.dtype)).ok(),
            Def::Input | Def::Result(..) => self.values[v.at()].clone(),
        }
    }
    /// The name under which an operation is known to its author.
    fn name(&self, node: NodeId) -> String {
        let node = self.module.node(node);
        let first = node.results.iter().flatten().next();
        first.map_or_else(
            || node.op.name().to_string(),
            |v| self.module.value(*v).name.to_string(),
        )
    }
}

impl Run for Trace<'_> {
    fn step(&mut self, id: NodeId) -> Result<(), RunError> {
        let node = self.module.node(id);
        let name = self.name(id);
        let unsupported = |why: &str| RunError::Unsupported(name.clone(), why.to_string());
        // An arm of an `if` need not run where the condition chooses the other one.
        let failed = |why: String| match node.arm() {
            None => RunError::Failed(name.clone(), why),
            Some(_) => RunError::Unsupported(name.clone(), why),
        };
        if node.op == Op::Opaque {
            return Err(unsupported("the operator is not known"));
        }
        let mut operands: Vec<Option<Tensor>> = vec![];
        for v in &node.operands {
            let tensor = v.map(|v| {
                let missing = || failed(format!("`{}` has no value", self.module.value(v).name));
                self.known(v).ok_or_else(missing)
            });
            operands.push(tensor.transpose()?);
        }
        let mut results: Vec<Form> = vec![];
        let mut extents = vec![];
        let mut decided = true;
        for v in &node.results {
            let Some(v) = v else {
                results.push((DType::F32, vec![]));
                extents.push(vec![]);
                continue;
            };
            let shape = self.facts.shape(*v);
            let shape = shape.ok_or_else(|| unsupported("the rank of its result is not known"))?;
            // What only the data decide is not known yet; the operator finds it out.
            let known: Option<Vec<usize>> = shape
                .axes
                .iter()
                .map(|e| usize::try_from(self.bindings.number(e)?).ok())
                .collect();
            let negative = |e| self.bindings.number(e).is_some_and(|n| n < 0);
            if shape.axes.iter().any(negative) {
                return Err(failed("an extent is negative".into()));
            }
            decided &= known.is_some();
            results.push((computed(shape.dtype), known.unwrap_or_default()));
            extents.push(shape.axes);
        }
        let attrs = self.bindings.attrs(&node.attrs, &self.extents);
        let borrowed: Vec<Option<&Tensor>> = operands.iter().map(Option::as_ref).collect();
        let step = match decided {
            true => {
                let form = |t: &Option<Tensor>| t.as_ref().map(|t| (t.dtype, t.shape.clone()));
                let forms: Vec<Option<Form>> = operands.iter().map(form).collect();
                lower(node.op, &attrs, &forms, &results)
            }
            false => Step::Reference,
        };
        let made = match by_step(&step, &borrowed, &results).map_err(|e| failed(e.to_string()))? {
            Some(made) => vec![made],
            None => {
                let cx = Eval {
                    attrs: &attrs,
                    operands: &borrowed,
                    results: &results,
                };
                let made = node.op.operator().eval(&cx);
                made.map_err(|e| failed(e.to_string()))?
            }
        };
        for ((v, tensor), extents) in node.results.iter().zip(made).zip(extents) {
            let Some(v) = *v else { continue };
            let expected: Vec<Option<i64>> =
                extents.iter().map(|e| self.bindings.number(e)).collect();
            let fits = expected.len() == tensor.shape.len()
                && expected
                    .iter()
                    .zip(&tensor.shape)
                    .all(|(e, n)| e.is_none_or(|e| e == *n as i64));
            if !fits {
                return Err(failed(format!(
                    "it gives a shape of {:?}, which is not what was derived",
                    tensor.shape
                )));
            }
            self.bindings.learn(&extents, &tensor.shape);
            let wide = tensor.cast(computed(tensor.dtype));
            self.values[v.at()] = Some(wide.map_err(|e| failed(e.to_string()))?);
        }
        for v in node.operands.iter().flatten() {
            match &self.module.value(*v).def {
                Def::Param(tensor) | Def::Const(tensor) => tensor.release(),
                Def::Input | Def::Result(..) if self.last_uses[v.at()] == Some(id) => {
                    self.values[v.at()] = None;
                }
                Def::Input | Def::Result(..) => {}
            }
        }
        Ok(())
    }
    fn value(&self, value: ValueId) -> Option<Tensor> {
        self.known(value)
    }
    fn set(&mut self, value: ValueId, tensor: Tensor) {
        if let Some(shape) = self.facts.shape(value) {
            self.bindings.learn(&shape.axes, &tensor.shape);
        }
        self.values[value.at()] = tensor.cast(computed(tensor.dtype)).ok();
    }
    fn extent(&self, extent: &Extent) -> Option<i64> {
        self.bindings.number(extent)
    }
}

/// Runs a step into a tensor of its own; none where it is one for the reference.
fn by_step(
    step: &Step,
    operands: &[Option<&Tensor>],
    results: &[Form],
) -> Result<Option<Tensor>, TensorError> {
    let [(_, shape)] = results else {
        return Ok(None);
    };
    if matches!(step, Step::Reference) {
        return Ok(None);
    }
    let floats = operands.iter().map(|t| t.map(Tensor::to_f32).transpose());
    let floats = floats.collect::<Result<Vec<_>, _>>()?;
    let floats: Vec<Option<&[f32]>> = floats.iter().map(Option::as_deref).collect();
    let mut out = vec![0f32; shape.iter().product()];
    match steps::run(step, &floats, &mut out) {
        true => Tensor::from_f32(shape, out).map(Some),
        false => Ok(None),
    }
}
