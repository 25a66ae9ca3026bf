//! Nodes of a graph as operations of a module, made when something needs them.
use super::branch::Branch;
use super::fold::{Folded, fold};
use super::import::{Import, Known, fresh};
use super::node::{captures, int_or, is_standard, op_type};
use super::rows::of_node;
use super::take::{Call, Inputs, Refusal, call, expr};
use super::wire::proto::NodeProto;
use super::{infer, meta, opaque};
use crate::diag::{Diagnostic, Span};
use crate::ir::{Def, Node, Type, ValueId};
use crate::ops::{Attr, Attrs, Op, RuleError, Shape};
use crate::tensor::{DType, Extent, Tensor};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// Deepest nesting of attributes that are operands of operations that are carried through.
const DEEPEST: usize = 256;

/// Operands, call and shapes of the results of a node.
type Made = (Vec<Option<ValueId>>, Call, Vec<Option<Shape>>);

/// A result: its name, its stated type, and its shape where the rank is known.
type Named<'a> = (&'a str, Option<Type>, Option<Shape>);

impl<'a> Import<'a> {
    pub(super) fn fold(&mut self, node: &'a NodeProto) -> Option<Vec<Folded>> {
        if let ("Shape" | "Size", Some(x)) = (op_type(node), node.input.first()) {
            let axes = self.shape(x)?.axes;
            if op_type(node) == "Size" {
                let all = axes
                    .iter()
                    .try_fold(Extent::from(1i64), |all, e| all.checked_mul(e))?;
                return Some(vec![Folded::of_shape(&[all]).shaped(vec![])?]);
            }
            let rank = axes.len() as i64;
            let at = |name, default| {
                let n = int_or(node, name, default);
                (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize
            };
            let (start, end) = (at("start", 0), at("end", rank));
            return Some(vec![Folded::of_shape(axes.get(start..end.max(start))?)]);
        }
        // What is absent at the end is not there, here as in calls.
        let last = node.input.iter().rposition(|name| !name.is_empty());
        let names = &node.input[..last.map_or(0, |last| last + 1)];
        let inputs: Vec<Option<Rc<Folded>>> = names.iter().map(|name| self.folded(name)).collect();
        let all = names.iter().zip(&inputs);
        if names.is_empty() || all.clone().any(|(n, f)| !n.is_empty() && f.is_none()) {
            return None;
        }
        let inputs: Vec<Option<&Folded>> = inputs.iter().map(Option::as_deref).collect();
        fold(node, op_type(node), &inputs)
    }
    pub(super) fn folded(&mut self, name: &str) -> Option<Rc<Folded>> {
        let known = self.known.get_mut(name)?;
        if known.folded.is_none() {
            let tensor = match (&known.tensor, known.value) {
                (Some(tensor), _) => Some(tensor),
                (None, Some(value)) => self.module.value(value).tensor(),
                (None, None) => None,
            };
            known.folded = tensor.and_then(Folded::of).map(Rc::new);
        }
        known.folded.clone()
    }
    /// Type and extents of a name, if its rank is known.
    pub(super) fn shape(&self, name: &str) -> Option<Shape> {
        let known = self.known.get(name)?;
        let of = |dtype: DType, shape: &[usize]| Shape {
            dtype,
            axes: shape.iter().map(|n| Extent::from(*n)).collect(),
        };
        match (known.value, &known.folded, &known.tensor) {
            (Some(value), ..) => self.shapes[value.at()].clone(),
            (None, _, Some(t)) => Some(of(t.dtype, &t.shape)),
            (None, Some(f), None) => Some(of(f.dtype, &f.shape)),
            (None, None, None) => None,
        }
    }
    /// The value of a name, with the operations that it needs.
    pub(super) fn demand(&mut self, name: &str) -> Result<ValueId, Diagnostic> {
        let (mut open, mut nodes) = (vec![name.to_string()], BTreeSet::new());
        while let Some(name) = open.pop() {
            let Some(known) = self.known.get(&name[..]) else {
                continue;
            };
            let Some(at) = known.node.filter(|_| !known.is_ready()) else {
                continue;
            };
            if nodes.insert(at) {
                let node = &self.graph.node[at];
                let row = of_node(node);
                let is_attribute = |k: usize| {
                    row.is_some_and(|row| row.fields.iter().any(|f| f.place(self.opset) == Some(k)))
                };
                let inputs = node.input.iter().enumerate();
                open.extend(
                    inputs
                        .filter(|(k, _)| !is_attribute(*k))
                        .map(|(_, n)| n.clone()),
                );
            }
        }
        let mut nodes: Vec<usize> = nodes.into_iter().collect();
        nodes.sort_by_key(|at| self.places[*at]);
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.wrong(format!("value `{name}`"), "shapes of shapes, without end");
        }
        for at in nodes {
            self.emit(at)?;
        }
        self.depth -= 1;
        self.ready(name)
    }
    /// Whether all elements of a name are known without running anything.
    fn is_decided(&self, name: &str) -> bool {
        let known = self.known.get(name);
        let folded = known.and_then(|known| known.folded.as_ref());
        folded.is_some_and(|f| f.items.iter().all(|n| n.known().is_some()))
    }
    /// The value of a name that needs no operation that is not there.
    fn ready(&mut self, name: &str) -> Result<ValueId, Diagnostic> {
        let Some((&key, known)) = self.known.get_key_value(name) else {
            return self.wrong(
                format!("value `{name}`"),
                format!("`{name}` is not defined"),
            );
        };
        if let Some(value) = known.value {
            return Ok(value);
        }
        let made = known.tensor.clone();
        let made = made.or_else(|| known.folded.as_ref().and_then(|f| f.tensor()));
        let Some(tensor) = made else {
            return self.wrong(
                format!("value `{name}`"),
                format!("`{name}` cannot be computed"),
            );
        };
        let shape = Shape {
            dtype: tensor.dtype,
            axes: tensor.shape.iter().map(|n| Extent::from(*n)).collect(),
        };
        let ty = Type::of(&tensor);
        let def = if is_param(&tensor) {
            Def::Param(tensor)
        } else {
            Def::Const(tensor)
        };
        let made = self.add(key, Some(ty), def, Some(shape));
        let value = made.value;
        if let Some(known) = self.known.get_mut(key) {
            known.value = value;
        }
        self.ready(name)
    }
    /// Makes a node an operation.
    pub(super) fn emit(&mut self, at: usize) -> Result<(), Diagnostic> {
        let node = &self.graph.node[at];
        let dims = self.module.dims.len();
        let is_branch = is_standard(node) && op_type(node) == "If" && node.attribute.is_empty();
        if let (true, Some(condition)) = (is_branch, self.condition(at)) {
            let branch = if condition {
                Branch::Then
            } else {
                Branch::Else
            };
            return self.decide(at, branch);
        }
        let made = self.call(at).and_then(|call| self.results(node, call));
        match made {
            Ok((operands, call, shapes)) => {
                if call.op == Op::Gather && self.is_reshape(&operands, &shapes) {
                    let stated = shapes[..1].iter().map(|s| Some(s.as_ref()?.axes.clone()));
                    let call = Call {
                        op: Op::Reshape,
                        attrs: Attrs::new(),
                        operands: vec![Some(0)],
                        stated: stated.collect(),
                    };
                    self.add_node(at, operands[..1].to_vec(), call, shapes);
                } else {
                    self.add_node(at, operands, call, shapes);
                }
                Ok(())
            }
            Err(_) if is_branch => self.decide(at, Branch::Carried),
            Err(Refusal::Opaque) => {
                self.module.dims.truncate(dims);
                self.carry(at)
            }
            Err(Refusal::Wrong(message)) => self.wrong_node(at, message),
        }
    }
    /// What the condition of a branch is in every run, if shapes and constants tell.
    fn condition(&mut self, at: usize) -> Option<bool> {
        let folded = self.folded(self.graph.node[at].input.first()?)?;
        match &folded.items[..] {
            [one] => Some(one.known()? != 0.0),
            _ => None,
        }
    }
    /// Ends the import: it is to be done again with a branch in this way.
    fn decide(&mut self, at: usize, branch: Branch) -> Result<(), Diagnostic> {
        let name = self.graph.node[at].output.first().cloned();
        self.branch = Some((name.unwrap_or_default(), branch));
        self.wrong_node(at, "its condition is known")
    }
    fn call(&mut self, at: usize) -> Result<Call, Refusal> {
        let node = &self.graph.node[at];
        let folded = node.input.iter().map(|n| self.folded(n)).collect();
        let shapes = node.input.iter().map(|n| self.shape(n)).collect();
        let sequence = self.sequence(at);
        let Import { module, opset, .. } = self;
        call(Inputs {
            node,
            opset: *opset,
            folded,
            shapes,
            sequence,
            fresh: &mut |base| fresh(&mut module.dims, base),
        })
    }
    fn results(&mut self, node: &'a NodeProto, call: Call) -> Result<Made, Refusal> {
        let mut operands = vec![];
        for (place, k) in call.operands.iter().enumerate() {
            operands.push(match k {
                None => None,
                Some(k) => {
                    let name = &node.input[*k];
                    if self.shape(name).is_none() {
                        return Err(Refusal::Opaque);
                    }
                    let value = match holds_positions(call.op, place) && self.is_decided(name) {
                        true => self.ready(name),
                        false => self.demand(name),
                    };
                    Some(value.map_err(|e| Refusal::Wrong(e.message))?)
                }
            });
        }
        let given: Vec<infer::Given<'_>> = operands
            .iter()
            .map(|v| {
                let v = (*v)?;
                Some((self.shapes[v.at()].as_ref()?, self.module.value(v).tensor()))
            })
            .collect();
        let shapes = match infer::results(call.op, &call.attrs, &given, &call.stated) {
            Ok(shapes) => shapes,
            Err(RuleError::Wrong(_)) => return Err(Refusal::Opaque),
            Err(e) => return Refusal::wrong(format!("`{}` does not fit: {e}", op_type(node))),
        };
        let is_used = |name: &String| self.used.contains(&name[..]);
        let fits = |(k, name): (usize, &String)| {
            name.is_empty() || !is_used(name) || shapes.get(k).is_some_and(Option::is_some)
        };
        if !node.output.iter().enumerate().all(fits) {
            return Err(Refusal::Opaque);
        }
        Ok((operands, call, shapes))
    }
    fn add_node(
        &mut self,
        at: usize,
        operands: Vec<Option<ValueId>>,
        call: Call,
        shapes: Vec<Option<Shape>>,
    ) {
        let node = &self.graph.node[at];
        let mut results = vec![];
        for (k, name) in node.output.iter().enumerate() {
            let shape = shapes.get(k).cloned().flatten();
            let stated = call.stated.get(k).cloned().flatten();
            results.push(match shape {
                Some(shape) if !name.is_empty() => {
                    let axes = stated.map(|all| all.iter().map(expr).collect());
                    let ty = axes.map(|axes| Type {
                        dtype: shape.dtype,
                        axes: Some(axes),
                    });
                    Some((&name[..], ty, Some(shape)))
                }
                _ => None,
            });
        }
        self.push(node, call.op, operands, call.attrs, results);
    }
    fn push(
        &mut self,
        node: &'a NodeProto,
        op: Op,
        operands: Vec<Option<ValueId>>,
        attrs: Attrs,
        mut results: Vec<Option<Named<'a>>>,
    ) {
        while results.last().is_some_and(Option::is_none) {
            results.pop();
        }
        let named = results
            .iter()
            .map(|r| r.as_ref().map(|(n, ty, _)| (Arc::from(*n), ty.clone())))
            .collect();
        let made = Node {
            op,
            operands,
            results: vec![],
            attrs,
            name: node
                .name
                .as_deref()
                .filter(|n| !n.is_empty())
                .map(Arc::from),
            meta: meta::of_node(node, op),
            span: Span::default(),
        };
        let id = self.module.add_node(made, named);
        let values = self.module.node(id).results.clone();
        for (value, result) in values.into_iter().zip(results) {
            let (Some(value), Some((name, _, shape))) = (value, result) else {
                continue;
            };
            self.shapes.push(shape);
            let known = self.known.entry(name).or_default();
            known.value = Some(value);
        }
    }
    /// Carries a node through unchanged.
    fn carry(&mut self, at: usize) -> Result<(), Diagnostic> {
        let node = &self.graph.node[at];
        let mut operands = vec![];
        for name in node.input.iter().map(String::as_str).chain(captures(node)) {
            operands.push(if name.is_empty() {
                None
            } else {
                Some(self.demand(name)?)
            });
        }
        let bytes = match opaque::encode(node, self.files) {
            Ok(bytes) => bytes,
            Err(e) => return self.wrong_node(at, e.to_string()),
        };
        let attrs = Attrs::new()
            .with("type", Attr::str(&opaque::type_name(node)))
            .with("node", Attr::Bytes(bytes));
        let mut results = vec![];
        for (k, name) in node.output.iter().enumerate() {
            let (dtype, axes) = match self.types.get(&name[..]).copied() {
                Some(ty) => self.type_of(Some(ty), name, false)?,
                None => self.of_body(node, k).map(|s| (s.dtype, Some(s.axes))),
            }
            .unwrap_or((DType::F32, None));
            let ty = Type {
                dtype,
                axes: axes.as_ref().map(|all| all.iter().map(expr).collect()),
            };
            let shape = axes.map(|axes| Shape { dtype, axes });
            results.push((!name.is_empty()).then_some((&name[..], Some(ty), shape)));
        }
        self.push(node, Op::Opaque, operands, attrs, results);
        Ok(())
    }
}

impl Known {
    /// Whether its value needs no operation that is not there: constants of shapes keep the number they had.
    fn is_ready(&self) -> bool {
        let number = |f: &Rc<Folded>| f.of_shape && f.items.iter().all(|n| n.known().is_some());
        self.value.is_some() || self.tensor.is_some() || self.folded.as_ref().is_some_and(number)
    }
}

/// Whether an operand holds positions along axes of another: computed from constants, it is one, so that the positions
/// can be counted anew where some go.
fn holds_positions(op: Op, place: usize) -> bool {
    let picks = matches!(op, Op::Gather | Op::GatherElements | Op::GatherNd);
    place == 1 && (picks || matches!(op, Op::ScatterElements | Op::ScatterNd))
}

/// Whether a tensor of the file is a parameter; the others are constants of the program.
fn is_param(tensor: &Tensor) -> bool {
    tensor.dtype.is_float() && !tensor.shape.is_empty()
        || tensor.dtype.is_quantized() && tensor.shape.len() > 1
}
