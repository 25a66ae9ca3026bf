//! From a graph of ONNX nodes to a module: names resolved, nodes in order, each node one operation.
use super::fold::{Folded, fold, plain_constant};
use super::meta;
use super::node::{attribute, captures, int_or, is_standard, op_type};
use super::rows::of_onnx;
use super::take::{Call, Inputs, Refusal, call, expr};
use super::wire::proto::{GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto};
use super::wire::{Files, dtype_of, tensor};
use super::{infer, inline, opaque, wire};
use crate::diag::{Diagnostic, Place, Span};
use crate::ir::{Def, DimDef, DimTable, Module, Node, Origin, Type, ValueId, sort};
use crate::ops::{Attr, Attrs, Op, RuleError, Shape};
use crate::tensor::{DType, Extent, Tensor};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Most axes that a value may have.
const MOST_AXES: usize = 64;
/// Deepest nesting of attributes that are operands of operations that are carried through.
const DEEPEST: usize = 256;

/// Reads a module from an ONNX file.
///
/// What is wrong with the file is a diagnostic that names the part of it.
pub fn read(path: &Path) -> Result<Module, Diagnostic> {
    let plain = |e: &dyn std::fmt::Display| Diagnostic::new(e.to_string());
    let model = wire::read(path).map_err(|e| plain(&e))?;
    let file = path.display().to_string();
    let model = inline::functions(model)
        .map_err(|e| Diagnostic::new(e).at(Place::Part(file.clone(), "functions".into())))?;
    let empty = GraphProto::default();
    let graph = model.graph.as_ref().unwrap_or(&empty);
    let files = Files::beside(path);
    let mut import = Import {
        opset: opset(&model)
            .map_err(|e| Diagnostic::new(e).at(Place::Part(file.clone(), "opset_import".into())))?,
        module: Module::new(
            graph.name.as_deref().unwrap_or_default(),
            Origin::File(file),
        ),
        files: &files,
        graph,
        shapes: vec![],
        known: HashMap::new(),
        types: HashMap::new(),
        used: HashSet::new(),
        places: vec![],
        depth: 0,
    };
    import.module.meta = meta::of_model(&model, graph);
    import.run()?;
    Ok(import.module)
}

/// The version of ONNX's own set of operators.
fn opset(model: &ModelProto) -> Result<i64, String> {
    let own = |d: Option<&str>| matches!(d, None | Some("" | "ai.onnx"));
    let set = model.opset_import.iter().find(|s| own(s.domain.as_deref()));
    match set.map(|s| s.version.unwrap_or(0)) {
        Some(version) if version >= 11 => Ok(version),
        Some(version) => Err(format!(
            "the model is written in operator set {version}; sets from 11 on are read"
        )),
        None if model.opset_import.is_empty() => Err("no operator set is stated".into()),
        None => Ok(17),
    }
}

/// What is known of a name of the graph.
#[derive(Default)]
struct Known {
    /// The value, once the module has it.
    value: Option<ValueId>,
    /// The elements in the file.
    tensor: Option<Tensor>,
    /// The elements over run-time symbols, once they were asked for.
    folded: Option<Rc<Folded>>,
    /// The node that makes it, if that is not an operation yet.
    node: Option<usize>,
}

struct Import<'a> {
    opset: i64,
    module: Module,
    files: &'a Files,
    graph: &'a GraphProto,
    /// Types and extents by value; none where the rank is unknown.
    shapes: Vec<Option<Shape>>,
    known: HashMap<&'a str, Known>,
    /// The types that the file states, for what is carried through.
    types: HashMap<&'a str, &'a TypeProto>,
    /// Names that something uses.
    used: HashSet<&'a str>,
    /// By node, its place in the order.
    places: Vec<usize>,
    /// How many calls of `demand` are under way.
    depth: usize,
}

fn name_of(info: &ValueInfoProto) -> &str {
    info.name.as_deref().unwrap_or_default()
}

/// A run-time symbol of a name that the table does not have.
fn fresh(dims: &mut DimTable, base: &str) -> Extent {
    let free = |name: &String| !dims.contains_key(&name[..]);
    let name = (0..)
        .map(|i| {
            if i == 0 {
                base.to_string()
            } else {
                format!("{base}.{i}")
            }
        })
        .find(free)
        .unwrap_or_default();
    dims.insert(name[..].into(), DimDef::Runtime);
    Extent::symbol(&name)
}

impl<'a> Import<'a> {
    fn wrong<T>(&self, part: String, message: impl Into<String>) -> Result<T, Diagnostic> {
        let place = self.module.place(Span::default(), &part);
        Err(Diagnostic::new(message).at(place))
    }
    fn wrong_node<T>(&self, at: usize, message: impl Into<String>) -> Result<T, Diagnostic> {
        let node = &self.graph.node[at];
        let name = match node.name.as_deref() {
            Some(name) if !name.is_empty() => name,
            _ => node.output.first().map_or("", String::as_str),
        };
        self.wrong(format!("node `{name}`"), message)
    }
    fn run(&mut self) -> Result<(), Diagnostic> {
        let graph = self.graph;
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().and_then(|t| t.name.as_deref());
            let part = format!("initializer `{}`", name.unwrap_or_default());
            return self.wrong(part, "sparse initializers are not supported");
        }
        for info in graph.value_info.iter().chain(&graph.output) {
            if let Some(ty) = &info.r#type {
                self.types.insert(name_of(info), ty);
            }
        }
        self.initializers()?;
        self.inputs()?;
        let order = self.order()?;
        self.places = vec![0; order.len()];
        for (place, at) in order.iter().enumerate() {
            self.places[*at] = place;
        }
        for at in order {
            self.node(at)?;
        }
        self.outputs()
    }
    fn initializers(&mut self) -> Result<(), Diagnostic> {
        for proto in &self.graph.initializer {
            let name = proto.name.as_deref().unwrap_or_default();
            let part = || format!("initializer `{name}`");
            let tensor = match tensor(proto, self.files) {
                Ok(tensor) => tensor,
                Err(e) => return self.wrong(part(), e.to_string()),
            };
            let known = Known {
                tensor: Some(tensor),
                ..Known::default()
            };
            if name.is_empty() || self.known.insert(name, known).is_some() {
                return self.wrong(part(), format!("two values have the name `{name}`"));
            }
        }
        Ok(())
    }
    fn inputs(&mut self) -> Result<(), Diagnostic> {
        let mut params = 0;
        for info in &self.graph.input {
            let name = name_of(info);
            match self.known.get(name) {
                Some(known) if known.tensor.is_some() => {
                    params += 1;
                    continue;
                }
                Some(_) => {
                    return self.wrong(
                        format!("input `{name}`"),
                        format!("two values have the name `{name}`"),
                    );
                }
                None if name.is_empty() => {
                    return self.wrong("inputs".into(), "an input has no name");
                }
                None => {}
            }
            let Some((dtype, axes)) = self.type_of(info.r#type.as_ref(), name, true)? else {
                return self.wrong(
                    format!("input `{name}`"),
                    "its type is not supported: it is no tensor, or one of unusual elements",
                );
            };
            let ty = Type {
                dtype,
                axes: axes.as_ref().map(|axes| axes.iter().map(expr).collect()),
            };
            let value = self.add(
                name,
                Some(ty),
                Def::Input,
                axes.map(|axes| Shape { dtype, axes }),
            );
            self.known.insert(name, value);
        }
        if params > 0 && params == self.graph.initializer.len() {
            self.module.meta.push(("onnx.inputs".into(), "all".into()));
        }
        Ok(())
    }
    fn add(&mut self, name: &str, ty: Option<Type>, def: Def, shape: Option<Shape>) -> Known {
        self.shapes.push(shape);
        Known {
            value: Some(self.module.add_value(name, ty, def, Span::default())),
            ..Known::default()
        }
    }
    /// Element type and extents as a file states them; none where the value is no tensor that can be held. An extent of 0
    /// of an input is taken for one that is not known.
    fn type_of(
        &mut self,
        ty: Option<&TypeProto>,
        name: &str,
        is_input: bool,
    ) -> Result<Option<(DType, Option<Vec<Extent>>)>, Diagnostic> {
        let Some(ty) = ty.and_then(|t| t.tensor_type.as_ref()) else {
            return Ok(None);
        };
        let Some(dtype) = dtype_of(ty.elem_type.unwrap_or(0)) else {
            return Ok(None);
        };
        let Some(shape) = &ty.shape else {
            return Ok(Some((dtype, None)));
        };
        if shape.dim.len() > MOST_AXES {
            return self.wrong(
                format!("value `{name}`"),
                format!("{} axes", shape.dim.len()),
            );
        }
        let mut axes = vec![];
        for (i, dim) in shape.dim.iter().enumerate() {
            let param = dim.dim_param.as_deref().unwrap_or_default();
            let extent = match dim.dim_value {
                Some(n) if n > 0 || n == 0 && !is_input => Extent::from(n),
                _ if param.chars().any(char::is_alphabetic) => {
                    self.module
                        .dims
                        .entry(param.into())
                        .or_insert(DimDef::Runtime);
                    Extent::symbol(param)
                }
                _ => fresh(&mut self.module.dims, &format!("{name}.{i}")),
            };
            if is_input && let Some(text) = meta::axis_text(dim, &extent) {
                let key = meta::axis_key(name, i);
                self.module.meta.push((key.into(), text.into()));
            }
            axes.push(extent);
        }
        Ok(Some((dtype, Some(axes))))
    }
    /// The order in which nodes can run; checks that names are defined, once.
    fn order(&mut self) -> Result<Vec<usize>, Diagnostic> {
        let graph = self.graph;
        let mut makers: HashMap<&str, usize> = HashMap::new();
        for (at, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|n| !n.is_empty()) {
                if self.known.contains_key(&name[..]) || makers.insert(name, at).is_some() {
                    return self.wrong_node(at, format!("two values have the name `{name}`"));
                }
            }
        }
        let mut needs = vec![];
        for (at, node) in graph.node.iter().enumerate() {
            let inputs = node.input.iter().map(String::as_str);
            for name in inputs.filter(|n| !n.is_empty()).chain(captures(node)) {
                self.used.insert(name);
                match makers.get(name) {
                    Some(maker) => needs.push((*maker, at)),
                    None if self.known.contains_key(name) => {}
                    None => return self.wrong_node(at, format!("`{name}` is not defined")),
                }
            }
        }
        for info in &graph.output {
            let name = name_of(info);
            self.used.insert(name);
            if !makers.contains_key(name) && !self.known.contains_key(name) {
                return self.wrong(
                    format!("output `{name}`"),
                    format!("`{name}` is not defined"),
                );
            }
        }
        sort(graph.node.len(), needs)
            .or_else(|at| self.wrong_node(at, "the nodes form a cycle: one needs its own result"))
    }
    fn outputs(&mut self) -> Result<(), Diagnostic> {
        let mut seen = HashSet::new();
        for info in &self.graph.output {
            let name = name_of(info);
            if !seen.insert(name) {
                return self.wrong(format!("output `{name}`"), "it is listed twice");
            }
            let value = self.demand(name)?;
            self.module.outputs.push((value, None));
            let stated = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
            let stated = stated.and_then(|t| t.shape.as_ref());
            let Some(shape) = self.shapes[value.at()].as_ref() else {
                continue;
            };
            let is_input = matches!(self.module.value(value).def, Def::Input);
            for (i, dim) in stated.iter().flat_map(|s| &s.dim).enumerate() {
                let text = shape.axes.get(i).and_then(|e| meta::axis_text(dim, e));
                if let Some(text) = text.filter(|t| !t.is_empty() && !is_input) {
                    let key = meta::axis_key(name, i);
                    self.module.meta.push((key.into(), text.into()));
                }
            }
        }
        Ok(())
    }
    /// Takes in a node: evaluates it, if it is part of a shape, or makes it an operation.
    fn node(&mut self, at: usize) -> Result<(), Diagnostic> {
        let node = &self.graph.node[at];
        if is_standard(node) && op_type(node) == "Constant" && node.output.len() == 1 {
            let made = match attribute(node, "value").and_then(|a| a.t.as_ref()) {
                Some(proto) if proto.data_type != Some(8) => match tensor(proto, self.files) {
                    Ok(tensor) => Some(tensor),
                    Err(e) => return self.wrong_node(at, e.to_string()),
                },
                _ => plain_constant(node),
            };
            if made.is_some() {
                let known = Known {
                    tensor: made,
                    ..Known::default()
                };
                self.known.insert(&node.output[0], known);
                return Ok(());
            }
        }
        let made = if is_standard(node) {
            self.fold(node)
        } else {
            None
        };
        let Some(made) = made.filter(|all| all.len() == node.output.len()) else {
            return self.emit(at);
        };
        for (name, folded) in node.output.iter().zip(made) {
            let known = Known {
                folded: Some(Rc::new(folded)),
                node: Some(at),
                ..Known::default()
            };
            self.known.insert(name, known);
        }
        Ok(())
    }
    fn fold(&mut self, node: &'a NodeProto) -> Option<Vec<Folded>> {
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
        let inputs: Vec<Option<Rc<Folded>>> =
            node.input.iter().map(|name| self.folded(name)).collect();
        let all = node.input.iter().zip(&inputs);
        if node.input.is_empty() || all.clone().any(|(n, f)| !n.is_empty() && f.is_none()) {
            return None;
        }
        let inputs: Vec<Option<&Folded>> = inputs.iter().map(Option::as_deref).collect();
        fold(node, op_type(node), &inputs)
    }
    fn folded(&mut self, name: &str) -> Option<Rc<Folded>> {
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
    fn shape(&self, name: &str) -> Option<Shape> {
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
    fn demand(&mut self, name: &str) -> Result<ValueId, Diagnostic> {
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
                let row = of_onnx(op_type(node));
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
    fn emit(&mut self, at: usize) -> Result<(), Diagnostic> {
        let node = &self.graph.node[at];
        let dims = self.module.dims.len();
        let made = self.call(at).and_then(|call| self.results(node, call));
        match made {
            Ok((operands, call, shapes)) => {
                self.add_node(at, operands, call, shapes);
                Ok(())
            }
            Err(Refusal::Opaque) => {
                self.module.dims.truncate(dims);
                self.carry(at)
            }
            Err(Refusal::Wrong(message)) => self.wrong_node(at, message),
        }
    }
    fn call(&mut self, at: usize) -> Result<Call, Refusal> {
        let node = &self.graph.node[at];
        let folded = node.input.iter().map(|n| self.folded(n)).collect();
        let shapes = node.input.iter().map(|n| self.shape(n)).collect();
        let Import { module, opset, .. } = self;
        call(Inputs {
            node,
            opset: *opset,
            folded,
            shapes,
            fresh: &mut |base| fresh(&mut module.dims, base),
        })
    }
    fn results(&mut self, node: &'a NodeProto, call: Call) -> Result<Made, Refusal> {
        let mut operands = vec![];
        for k in &call.operands {
            operands.push(match k {
                None => None,
                Some(k) => {
                    if self.shape(&node.input[*k]).is_none() {
                        return Err(Refusal::Opaque);
                    }
                    let value = self.demand(&node.input[*k]);
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
        mut results: Vec<Option<(&'a str, Option<Type>, Option<Shape>)>>,
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
            meta: meta::of_node(node),
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
        for name in &node.output {
            let (dtype, axes) = match self.types.get(&name[..]).copied() {
                Some(ty) => self.type_of(Some(ty), name, false)?,
                None => None,
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

/// Operands, call and shapes of the results of a node.
type Made = (Vec<Option<ValueId>>, Call, Vec<Option<Shape>>);

impl Known {
    /// Whether its value needs no operation that is not there: constants of shapes keep the number they had.
    fn is_ready(&self) -> bool {
        let number = |f: &Rc<Folded>| f.of_shape && f.items.iter().all(|n| n.known().is_some());
        self.value.is_some() || self.tensor.is_some() || self.folded.as_ref().is_some_and(number)
    }
}

/// Whether a tensor of the file is a parameter; the others are constants of the program.
fn is_param(tensor: &Tensor) -> bool {
    let small = matches!(tensor.dtype, DType::I8 | DType::U8);
    tensor.dtype.is_float() && !tensor.shape.is_empty() || small && tensor.shape.len() > 1
}
