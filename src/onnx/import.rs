//! From a graph of ONNX nodes to a module: names resolved, nodes in order, each node one operation.
use super::branch::{self, Branch, Decided};
use super::fold::{Folded, plain_constant};
use super::meta;
use super::node::{attribute, captures, is_standard, name_of, op_type};
use super::take::expr;
use super::wire::proto::{GraphProto, ModelProto, TypeProto};
use super::wire::{Files, dtype_of, tensor};
use super::{inline, opaque, wire};
use crate::diag::{Diagnostic, Place, Span};
use crate::ir::{Def, DimDef, DimTable, Module, Origin, Type, ValueId, sort};
use crate::ops::Shape;
use crate::tensor::{DType, Extent, Tensor};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

/// Most axes that a value may have.
pub(super) const MOST_AXES: usize = 64;

/// Reads a module from an ONNX file.
///
/// What is wrong with the file is a diagnostic that names the part of it.
pub fn read(path: &Path) -> Result<Module, Diagnostic> {
    let plain = |e: &dyn std::fmt::Display| Diagnostic::new(e.to_string());
    let model = wire::read(path).map_err(|e| plain(&e))?;
    let file = path.display().to_string();
    let mut model = inline::functions(model)
        .map_err(|e| Diagnostic::new(e).at(Place::Part(file.clone(), "functions".into())))?;
    if let Some(graph) = &mut model.graph {
        opaque::unusual_initializers(graph);
    }
    let opset = opset(&model)
        .map_err(|e| Diagnostic::new(e).at(Place::Part(file.clone(), "opset_import".into())))?;
    let files = Files::beside(path);
    // What cannot be done with a branch shows on the way through the graph; then it is done again without.
    let mut decided = Decided::new();
    let mut whole = model.graph.take().unwrap_or_default();
    let branches = branch::are_in(&whole);
    loop {
        let mut graph = match branches {
            true => whole.clone(),
            false => std::mem::take(&mut whole),
        };
        branch::write_out(&mut graph, &decided);
        let mut import = Import {
            opset,
            module: Module::new(
                graph.name.as_deref().unwrap_or_default(),
                Origin::File(file.clone()),
            ),
            files: &files,
            graph: &graph,
            shapes: vec![],
            known: HashMap::new(),
            types: HashMap::new(),
            used: HashSet::new(),
            places: vec![],
            depth: 0,
            branch: None,
        };
        import.module.meta = meta::of_model(&model, &graph);
        match (import.run(), import.branch.take()) {
            (Err(_), Some((name, branch))) if branches && decided.get(&name) != Some(&branch) => {
                decided.insert(name, branch);
            }
            (Err(e), _) => return Err(e),
            (Ok(()), _) => return Ok(import.module),
        }
    }
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
pub(super) struct Known {
    /// The value, once the module has it.
    pub(super) value: Option<ValueId>,
    /// The elements in the file.
    pub(super) tensor: Option<Tensor>,
    /// The elements over run-time symbols, once they were asked for.
    pub(super) folded: Option<Rc<Folded>>,
    /// The node that makes it, if that is not an operation yet.
    pub(super) node: Option<usize>,
}

/// A module under construction, and the graph it is made from.
pub(super) struct Import<'a> {
    pub(super) opset: i64,
    pub(super) module: Module,
    pub(super) files: &'a Files,
    pub(super) graph: &'a GraphProto,
    /// Types and extents by value; none where the rank is unknown.
    pub(super) shapes: Vec<Option<Shape>>,
    pub(super) known: HashMap<&'a str, Known>,
    /// The types that the file states, for what is carried through.
    pub(super) types: HashMap<&'a str, &'a TypeProto>,
    /// Names that something uses.
    pub(super) used: HashSet<&'a str>,
    /// By node, its place in the order.
    pub(super) places: Vec<usize>,
    /// How many calls of `demand` are under way.
    pub(super) depth: usize,
    /// What is to be done with a branch, where that ended the import.
    pub(super) branch: Option<(String, Branch)>,
}

/// Element type and extents as a file states them; none of these where the rank is unknown.
pub(super) type Stated = (DType, Option<Vec<Extent>>);

/// A run-time symbol of a name that the table does not have.
pub(super) fn fresh(dims: &mut DimTable, base: &str) -> Extent {
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
    pub(super) fn wrong<T>(
        &self,
        part: String,
        message: impl Into<String>,
    ) -> Result<T, Diagnostic> {
        let place = self.module.place(Span::default(), &part);
        Err(Diagnostic::new(message).at(place))
    }
    pub(super) fn wrong_node<T>(
        &self,
        at: usize,
        message: impl Into<String>,
    ) -> Result<T, Diagnostic> {
        let node = &self.graph.node[at];
        let name = match node.name.as_deref() {
            Some(name) if !name.is_empty() => name,
            _ => node.output.first().map_or("", String::as_str),
        };
        self.wrong(format!("node `{name}`"), message)
    }
    fn run(&mut self) -> Result<(), Diagnostic> {
        let graph = self.graph;
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
            self.node(at).map_err(|e| self.within(at, e))?;
        }
        self.outputs()?;
        // What only shapes needed, and what nothing needs.
        self.module.drop_unused();
        Ok(())
    }
    /// A node that is wrong inside an arm leaves the whole branch to be carried through.
    fn within(&mut self, at: usize, error: Diagnostic) -> Diagnostic {
        let arm = branch::in_arm(&self.graph.node[at]).and_then(branch::arm_of);
        if let (Some((name, _)), None) = (arm, &self.branch) {
            self.branch = Some((name.to_string(), Branch::Carried));
        }
        error
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
    pub(super) fn add(
        &mut self,
        name: &str,
        ty: Option<Type>,
        def: Def,
        shape: Option<Shape>,
    ) -> Known {
        self.shapes.push(shape);
        Known {
            value: Some(self.module.add_value(name, ty, def, Span::default())),
            ..Known::default()
        }
    }
    /// Element type and extents as a file states them; none where the value is no tensor that can be held. An extent of 0
    /// of an input is taken for one that is not known.
    pub(super) fn type_of(
        &mut self,
        ty: Option<&TypeProto>,
        name: &str,
        is_input: bool,
    ) -> Result<Option<Stated>, Diagnostic> {
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
        if self.graph.output.is_empty() {
            return self.wrong("outputs".into(), "the model has no output");
        }
        let mut seen = HashSet::new();
        for info in &self.graph.output {
            let name = name_of(info);
            if !seen.insert(name) {
                return self.wrong(format!("output `{name}`"), "it is listed twice");
            }
            let ty = info.r#type.as_ref();
            if ty.is_some_and(|t| t.tensor_type.is_none()) {
                return self.wrong(
                    format!("output `{name}`"),
                    "its type is not supported: it is no tensor",
                );
            }
            let value = self.demand(name)?;
            self.module.outputs.push((value, None));
            let stated = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
            if let Some(code) = stated
                .and_then(|t| t.elem_type)
                .filter(|c| dtype_of(*c).is_none())
            {
                let key = meta::elements_key(name);
                self.module.meta.push((key.into(), code.to_string().into()));
            }
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
                Some(proto) if dtype_of(proto.data_type.unwrap_or(0)).is_some() => {
                    match tensor(proto, self.files) {
                        Ok(tensor) => Some(tensor),
                        Err(e) => return self.wrong_node(at, e.to_string()),
                    }
                }
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
        let made = node.output.iter().zip(made);
        for (name, folded) in made.filter(|(name, _)| !name.is_empty()) {
            let known = Known {
                folded: Some(Rc::new(folded)),
                node: Some(at),
                ..Known::default()
            };
            self.known.insert(name, known);
        }
        Ok(())
    }
}
