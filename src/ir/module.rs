//! The module: what was written, and nothing derived.
use crate::diag::{Diagnostic, Lines, Place, Source, Span};
use crate::dims::{Cause, Conflict};
use crate::ops::{Attrs, Expr, ExprError, Op};
use crate::tensor::{DType, Extent, Tensor};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;

/// A value of a module: index into [`Module::values`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// An operation of a module: index into [`Module::nodes`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl ValueId {
    /// The index.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// The index.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// Element type and axes of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Element type.
    pub dtype: DType,
    /// One dimension expression per axis; none where the rank is unknown.
    pub axes: Option<Vec<Expr>>,
}

impl Type {
    /// A type of plain numbers.
    pub fn of(tensor: &Tensor) -> Type {
        Type {
            dtype: tensor.dtype,
            axes: Some(tensor.shape.iter().map(|n| Expr::Num(*n as i64)).collect()),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Def {
    /// An input of the model.
    Input,
    /// A parameter, whose elements live in the weights file.
    Param(Tensor),
    /// A constant of the program text.
    Const(Tensor),
    /// A result of an operation.
    Result(NodeId, usize),
}

/// A value: named, typed, defined once.
#[derive(Clone, Debug)]
pub struct Value {
    /// The name, without sigil; unique among the module's values.
    pub name: Arc<str>,
    /// The stated type; a result may have none.
    pub ty: Option<Type>,
    /// Where it comes from.
    pub def: Def,
    /// Where it is defined.
    pub span: Span,
}

impl Value {
    /// Whether an operation makes it.
    pub fn is_result(&self) -> bool {
        matches!(self.def, Def::Result(..))
    }
    /// The elements of a parameter or constant.
    pub fn tensor(&self) -> Option<&Tensor> {
        match &self.def {
            Def::Param(tensor) | Def::Const(tensor) => Some(tensor),
            Def::Input | Def::Result(..) => None,
        }
    }
}

/// An operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// The operands; none where an optional one is absent.
    pub operands: Vec<Option<ValueId>>,
    /// The results; none where one is not used.
    pub results: Vec<Option<ValueId>>,
    /// The attributes.
    pub attrs: Attrs,
    /// The node's name in the file it came from.
    pub name: Option<Arc<str>>,
    /// What else rode along with the node (domain, doc string, metadata), by key.
    pub meta: Vec<(Arc<str>, Arc<str>)>,
    /// Where it is written.
    pub span: Span,
}

/// The key under which an operation keeps the arm of the `if` that it stands in.
pub const ARM: &str = "onnx.arm";

impl Node {
    /// The arm of an `if` that it stands in: it may fail where the condition chooses the other one.
    pub fn arm(&self) -> Option<&str> {
        let own = self.meta.iter().find(|(key, _)| &**key == ARM);
        own.map(|(_, arm)| &**arm)
    }
}

/// What a name in the table of dims stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum DimDef {
    /// `dim a = 64`
    Fixed(i64),
    /// `dim N = ?`: known at run time only.
    Runtime,
    /// `dim c = a + b`: a term over names above it.
    Term(Expr),
}

/// The names of dims and run-time symbols, in order of definition.
pub type DimTable = IndexMap<Arc<str>, DimDef>;

/// Where a module was read from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A text.
    Text(Arc<Source>),
    /// A file without lines, by its path.
    File(String),
}

/// A program: dims, inputs, params, operations in an order in which they can run, outputs.
#[derive(Clone, Debug)]
pub struct Module {
    /// The model's name.
    pub name: Arc<str>,
    /// Named dims and run-time symbols.
    pub dims: DimTable,
    /// Where each name of the table is defined.
    pub dim_spans: HashMap<Arc<str>, Span>,
    /// All values.
    pub values: Vec<Value>,
    /// All operations, each after what it uses.
    pub nodes: Vec<Node>,
    /// Inputs, in order.
    pub inputs: Vec<ValueId>,
    /// Outputs, in order, each with its type as the file stated it.
    pub outputs: Vec<(ValueId, Option<Type>)>,
    /// What else rode along with the file (opset, producer, metadata), by key.
    pub meta: Vec<(Arc<str>, Arc<str>)>,
    /// Where it was read from.
    pub origin: Origin,
}

impl Module {
    /// An empty module.
    pub fn new(name: &str, origin: Origin) -> Module {
        Module {
            name: name.into(),
            dims: DimTable::new(),
            dim_spans: HashMap::new(),
            values: vec![],
            nodes: vec![],
            inputs: vec![],
            outputs: vec![],
            meta: vec![],
            origin,
        }
    }
    /// The value of that id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.at()]
    }
    /// The run-time symbol that the type of an input, or of what an operation gives that is carried through, states for an
    /// axis, whatever it is equal to besides: nothing else says what it is called.
    pub fn own_symbol(&self, id: ValueId, axis: usize) -> Option<&Arc<str>> {
        let value = self.value(id);
        let axes = value.ty.as_ref().and_then(|ty| ty.axes.as_ref())?;
        let is_stated = match value.def {
            Def::Input => true,
            Def::Result(node, _) => self.node(node).op == Op::Opaque,
            Def::Param(_) | Def::Const(_) => false,
        };
        match axes.get(axis)? {
            Expr::Name(name) if is_stated => {
                let own = self.dims.get_key_value(name);
                own.filter(|(_, def)| matches!(def, DimDef::Runtime))
                    .map(|(name, _)| name)
            }
            _ => None,
        }
    }
    /// The operation of that id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.at()]
    }
    /// Adds a value.
    pub fn add_value(
        &mut self,
        name: impl Into<Arc<str>>,
        ty: Option<Type>,
        def: Def,
        span: Span,
    ) -> ValueId {
        let id = ValueId(self.values.len() as u32);
        if matches!(def, Def::Input) {
            self.inputs.push(id);
        }
        self.values.push(Value {
            name: name.into(),
            ty,
            def,
            span,
        });
        id
    }
    /// Adds a parameter.
    pub fn add_param(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.add_value(
            name,
            Some(Type::of(&tensor)),
            Def::Param(tensor),
            Span::default(),
        )
    }
    /// Adds a constant.
    pub fn add_const(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.add_value(
            name,
            Some(Type::of(&tensor)),
            Def::Const(tensor),
            Span::default(),
        )
    }
    /// Adds an operation and its results, given their names and stated types.
    pub fn add_node(
        &mut self,
        mut node: Node,
        results: Vec<Option<(Arc<str>, Option<Type>)>>,
    ) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        node.results = results
            .into_iter()
            .enumerate()
            .map(|(k, result)| {
                result.map(|(name, ty)| self.add_value(name, ty, Def::Result(id, k), node.span))
            })
            .collect();
        self.nodes.push(node);
        id
    }
    /// Params and constants, in the order of their definition.
    pub fn tensors(&self) -> impl Iterator<Item = (ValueId, &Tensor)> {
        self.values
            .iter()
            .enumerate()
            .filter_map(|(i, v)| Some((ValueId(i as u32), v.tensor()?)))
    }
    /// The operations that use each value (with the operand's place), in program order; indexed by value.
    pub fn users(&self) -> Vec<Vec<(NodeId, usize)>> {
        let mut users = vec![vec![]; self.values.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for (k, operand) in node.operands.iter().enumerate() {
                if let Some(v) = operand {
                    users[v.at()].push((NodeId(i as u32), k));
                }
            }
        }
        users
    }
    /// The extents of all names in the table of dims.
    pub fn extents(&self) -> Result<HashMap<Arc<str>, Extent>, ExprError> {
        let mut all: HashMap<Arc<str>, Extent> = HashMap::new();
        for (name, def) in &self.dims {
            let extent = match def {
                DimDef::Fixed(n) => Extent::from(*n),
                DimDef::Runtime => Extent::symbol(name),
                DimDef::Term(expr) => expr.extent(&|n| all.get(n).cloned())?,
            };
            all.insert(name.clone(), extent);
        }
        Ok(all)
    }
    /// Puts other values in the place of some, which are gone afterwards; only params and constants can go.
    pub fn replace(&mut self, instead: &HashMap<ValueId, ValueId>) {
        let stays = |i| !instead.contains_key(&ValueId(i as u32));
        let stays: Vec<bool> = (0..self.values.len()).map(stays).collect();
        self.renumber(&stays, instead);
    }
    /// Drops values, and puts others in their place where they are used.
    pub(super) fn renumber(&mut self, stays: &[bool], instead: &HashMap<ValueId, ValueId>) {
        let mut new = vec![ValueId(0); self.values.len()];
        let mut kept = 0;
        for (id, stays) in new.iter_mut().zip(stays) {
            *id = ValueId(kept);
            kept += u32::from(*stays);
        }
        let new_id = |v: ValueId| new[instead.get(&v).copied().unwrap_or(v).at()];
        for node in &mut self.nodes {
            let all = node.operands.iter_mut().chain(&mut node.results);
            all.flatten().for_each(|v| *v = new_id(*v));
        }
        self.inputs.iter_mut().for_each(|v| *v = new_id(*v));
        self.outputs.iter_mut().for_each(|(v, _)| *v = new_id(*v));
        let mut stay = stays.iter();
        self.values.retain(|_| stay.next().copied().unwrap_or(true));
    }
    /// The same module with its operations in the order in which another one has those with results of the same names;
    /// none where it cannot be in that order.
    pub fn in_order_of(&self, other: &Module) -> Option<Module> {
        let name = |module: &Module, node: &Node| {
            let first = node.results.iter().flatten().next()?;
            Some(module.value(*first).name.clone())
        };
        let own = self.nodes.iter().enumerate();
        let places: Option<HashMap<Arc<str>, usize>> =
            own.map(|(i, node)| Some((name(self, node)?, i))).collect();
        let mut places = places?;
        let mut made = Module {
            nodes: vec![],
            ..self.clone()
        };
        let mut there: Vec<bool> = self.values.iter().map(|v| !v.is_result()).collect();
        for node in &other.nodes {
            let node = self.nodes[places.remove(&name(other, node)?)?].clone();
            if node.operands.iter().flatten().any(|v| !there[v.at()]) {
                return None;
            }
            let id = NodeId(made.nodes.len() as u32);
            for (k, v) in node.results.iter().enumerate() {
                if let Some(v) = v {
                    there[v.at()] = true;
                    made.values[v.at()].def = Def::Result(id, k);
                }
            }
            made.nodes.push(node);
        }
        places.is_empty().then_some(made)
    }
    /// The cause to give for what operation `id` states.
    pub fn node_cause(&self, id: NodeId) -> Cause {
        Cause(id.0)
    }
    /// The cause to give for what the declaration of a value states.
    pub fn value_cause(&self, id: ValueId) -> Cause {
        Cause(self.nodes.len() as u32 + id.0)
    }
    /// Where a cause is, and what it is in a few words.
    pub fn cause(&self, cause: Cause) -> (Place, String) {
        let at = cause.0 as usize;
        match at.checked_sub(self.nodes.len()) {
            None => (
                self.node_place(NodeId(cause.0)),
                format!("`{}`", self.nodes[at].op.name()),
            ),
            Some(v) if v < self.values.len() => {
                let value = &self.values[v];
                let kind = match value.def {
                    Def::Input => "input",
                    Def::Param(_) => "param",
                    Def::Const(_) => "const",
                    Def::Result(..) => "value",
                };
                (
                    self.place(value.span, &format!("{kind} `{}`", value.name)),
                    format!("{kind} `{}`", value.name),
                )
            }
            Some(_) => (self.place(Span::default(), "plan"), "the plan".into()),
        }
    }
    /// What a cause is and where, in a few words: `` `conv` at net.tir:4:1 ``, `` `conv` (node `/conv1/Conv`) ``.
    pub fn describe(&self, cause: Cause, lines: &Lines) -> String {
        match self.cause(cause) {
            (Place::Part(_, part), words) if part == words => words,
            (Place::Part(_, part), words) => format!("{words} ({part})"),
            (place, words) => format!("{words} at {}", lines.show(&place)),
        }
    }
    /// The lines of the text that it was read from, if it was.
    pub fn lines(&self) -> Lines {
        match &self.origin {
            Origin::Text(source) => Lines::new(&source.text),
            Origin::File(_) => Lines::default(),
        }
    }
    /// A diagnostic for dimensions that turn out not to fit when all equations are put together.
    pub fn conflict(&self, conflict: &Conflict) -> Diagnostic {
        match conflict.cause.map(|cause| self.cause(cause)) {
            Some((place, words)) => {
                Diagnostic::new(format!("{words} does not fit: {conflict}")).at(place)
            }
            None => Diagnostic::new(conflict.to_string()),
        }
    }
    /// A place in the module's origin: a span of its text, or a part named in words.
    pub fn place(&self, span: Span, part: &str) -> Place {
        match &self.origin {
            Origin::Text(source) => Place::Text(source.clone(), span),
            Origin::File(path) => Place::Part(path.clone(), part.to_string()),
        }
    }
    /// Where an operation is.
    pub fn node_place(&self, id: NodeId) -> Place {
        let node = self.node(id);
        let name = node
            .name
            .as_deref()
            .filter(|n| !n.is_empty())
            .map(str::to_string);
        let name = name.or_else(|| {
            node.results
                .iter()
                .flatten()
                .next()
                .map(|v| self.value(*v).name.to_string())
        });
        self.place(node.span, &format!("node `{}`", name.unwrap_or_default()))
    }
}
