//! Numbers for run-time symbols: what the inputs of a run say, and what results say that only the data decide.
use crate::ir::{Facts, Module};
use crate::ops::{Attr, Attrs, Expr};
use crate::prune::RunError;
use crate::tensor::{Extent, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// Most elements of a value that a run begins with; an empty axis counts as one position.
const MOST: i64 = 1 << 34;

/// The numbers of one run.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    symbols: HashMap<String, i64>,
}

impl Bindings {
    /// What the inputs say. Fails where their number, types, ranks or extents do not fit the model, and where an
    /// equality does not hold that the model takes for granted, and where a value is too large for any memory.
    pub fn of(module: &Module, facts: &Facts, inputs: &[Tensor]) -> Result<Bindings, RunError> {
        if inputs.len() != module.inputs.len() {
            let message = format!(
                "the model has {} inputs, {} are given",
                module.inputs.len(),
                inputs.len()
            );
            return Err(RunError::Input(message));
        }
        let mut bindings = Bindings::default();
        let mut later = vec![];
        for (v, tensor) in module.inputs.iter().zip(inputs) {
            let name = &module.value(*v).name;
            let ty = &facts.values[v.at()];
            if tensor.dtype != ty.dtype {
                return Err(RunError::Input(format!(
                    "input `{name}` is {}, the model takes {}",
                    tensor.dtype.name(),
                    ty.dtype.name()
                )));
            }
            let Some(axes) = &ty.axes else { continue };
            if axes.len() != tensor.shape.len() {
                return Err(RunError::Input(format!(
                    "input `{name}` has {} axes, the model takes {}",
                    tensor.shape.len(),
                    axes.len()
                )));
            }
            for (axis, (d, n)) in axes.iter().zip(&tensor.shape).enumerate() {
                let extent = facts.dims.extent(*d).clone();
                match plain(&extent) {
                    Some(symbol) if !bindings.symbols.contains_key(&*symbol) => {
                        bindings.symbols.insert(symbol.to_string(), *n as i64);
                    }
                    _ => later.push((name.clone(), axis, extent, *n as i64)),
                }
            }
        }
        for (name, axis, extent, n) in later {
            if let Some(expected) = bindings.number(&extent)
                && expected != n
            {
                let says = match extent.is_known() {
                    true => String::new(),
                    false => format!("{extent} = "),
                };
                return Err(RunError::Input(format!(
                    "axis {axis} of input `{name}` is {n}, the model takes {says}{expected}"
                )));
            }
        }
        for (a, b, cause) in facts.dims.assumptions() {
            if let (Some(x), Some(y)) = (bindings.number(a), bindings.number(b))
                && x != y
            {
                let (_, words) = module.cause(*cause);
                return Err(RunError::Input(format!(
                    "{words} takes for granted that {a} = {b}, and they are {x} and {y}"
                )));
            }
        }
        bindings.sizes(module, facts)?;
        Ok(bindings)
    }
    /// What no memory holds is refused before anything is computed.
    fn sizes(&self, module: &Module, facts: &Facts) -> Result<(), RunError> {
        for (value, ty) in module.values.iter().zip(&facts.values) {
            let axes = ty.axes.as_deref().unwrap_or_default();
            let count = axes.iter().try_fold(1i64, |all, d| {
                let n = self.number(facts.dims.extent(*d))?;
                Some(all.saturating_mul(n.max(1)))
            });
            if count.is_some_and(|n| n > MOST) {
                let message = "it has more elements than memory holds";
                return Err(RunError::Failed(value.name.to_string(), message.into()));
            }
        }
        Ok(())
    }
    /// The number of an extent, where all of its symbols are bound.
    pub fn number(&self, extent: &Extent) -> Option<i64> {
        extent.eval(&|symbol| self.symbols.get(symbol).copied())
    }
    /// Takes from a result what only the data decided.
    pub fn learn(&mut self, extents: &[Extent], shape: &[usize]) {
        for (extent, n) in extents.iter().zip(shape) {
            if let Some(symbol) = plain(extent) {
                self.symbols.entry(symbol.to_string()).or_insert(*n as i64);
            }
        }
    }
    /// Attributes with a number for every expression that has one.
    pub fn attrs(&self, attrs: &Attrs, extents: &HashMap<Arc<str>, Extent>) -> Attrs {
        let all = attrs.iter();
        all.fold(Attrs::new(), |all, (name, attr)| {
            all.with(name, self.attr(attr, extents))
        })
    }
    fn attr(&self, attr: &Attr, extents: &HashMap<Arc<str>, Extent>) -> Attr {
        match attr {
            Attr::Expr(Expr::Num(_)) => attr.clone(),
            Attr::Expr(expr) => {
                let extent = expr.extent(&|name| extents.get(name).cloned()).ok();
                match extent.and_then(|e| self.number(&e)) {
                    Some(n) => Attr::Expr(Expr::Num(n)),
                    None => attr.clone(),
                }
            }
            Attr::List(items) => Attr::List(items.iter().map(|i| self.attr(i, extents)).collect()),
            other => other.clone(),
        }
    }
}

/// The symbol that an extent is, if it is one.
fn plain(extent: &Extent) -> Option<Arc<str>> {
    let symbols = extent.symbols();
    let mut all = symbols.into_iter();
    let (first, more) = (all.next()?, all.next());
    (more.is_none() && *extent == Extent::symbol(&first)).then_some(first)
}
