//! Extents as tensors of a graph: constants where they are known, nodes that compute them from shapes where not.
use super::wire::proto::NodeProto;
use crate::tensor::{Extent, ExtentFactor, Tensor};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The graph under construction: its nodes, and the constants that were made for them.
pub struct Graph {
    /// The nodes so far.
    pub nodes: Vec<NodeProto>,
    /// Constants that no value of the module is.
    pub constants: Vec<(String, Tensor)>,
    taken: HashSet<String>,
    /// By symbol, the value and its axis that it is the extent of.
    sources: HashMap<Arc<str>, (String, usize)>,
    /// By value, its shape.
    shapes: HashMap<String, String>,
    /// By extent, a vector of that one number.
    numbers: HashMap<Extent, String>,
}

impl Graph {
    /// An empty graph in which some names are taken.
    pub fn new(taken: HashSet<String>) -> Graph {
        Graph {
            nodes: vec![],
            constants: vec![],
            taken,
            sources: HashMap::new(),
            shapes: HashMap::new(),
            numbers: HashMap::new(),
        }
    }
    /// Begins a subgraph, which sees all that is there; gives what is to go on with behind it.
    pub fn enter(&mut self) -> Graph {
        let inner = Graph {
            nodes: vec![],
            constants: vec![],
            taken: self.taken.clone(),
            sources: self.sources.clone(),
            shapes: self.shapes.clone(),
            numbers: self.numbers.clone(),
        };
        std::mem::replace(self, inner)
    }
    /// Ends a subgraph: nothing outside sees what was computed in it. Gives its nodes.
    pub fn leave(&mut self, outer: Graph) -> Vec<NodeProto> {
        let inner = std::mem::replace(self, outer);
        self.taken = inner.taken;
        self.constants.extend(inner.constants);
        inner.nodes
    }
    /// Says that a value with these extents is there from now on.
    pub fn define(&mut self, name: &str, axes: &[Extent]) {
        for (axis, extent) in axes.iter().enumerate() {
            if let crate::ops::Expr::Name(symbol) = super::take::expr(extent) {
                self.sources
                    .entry(symbol)
                    .or_insert_with(|| (name.to_string(), axis));
            }
        }
    }
    /// A name that nothing has.
    pub fn free(&mut self, base: &str) -> String {
        let name = (0..)
            .map(|i| {
                if i == 0 {
                    base.to_string()
                } else {
                    format!("{base}.{i}")
                }
            })
            .find(|name| !self.taken.contains(name))
            .unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }
    /// A constant with a name after `base`.
    pub fn constant(&mut self, base: &str, tensor: Tensor) -> String {
        let name = self.free(base);
        self.constants.push((name.clone(), tensor));
        name
    }
    /// A vector of integers with a name after `base`.
    pub fn ints(&mut self, base: &str, all: &[i64]) -> Result<String, String> {
        let tensor = Tensor::from_i64(&[all.len()], all.to_vec()).map_err(|e| e.to_string())?;
        Ok(self.constant(base, tensor))
    }
    /// A vector of extents with a name after `base`.
    pub fn extents(&mut self, base: &str, all: &[Extent]) -> Result<String, String> {
        let known: Option<Vec<i64>> = all.iter().map(Extent::known).collect();
        if let Some(known) = known {
            return self.ints(base, &known);
        }
        let parts: Vec<String> = all
            .iter()
            .map(|e| self.number(e))
            .collect::<Result<_, _>>()?;
        if let [one] = &parts[..] {
            return Ok(one.clone());
        }
        let mut node = op("Concat", parts);
        node.attribute.push(super::node::attribute_int("axis", 0));
        Ok(self.add(base, node))
    }
    fn add(&mut self, base: &str, mut node: NodeProto) -> String {
        let name = self.free(base);
        node.name = Some(name.clone());
        node.output = vec![name.clone()];
        self.nodes.push(node);
        name
    }
    /// A vector of the one number that an extent is.
    fn number(&mut self, extent: &Extent) -> Result<String, String> {
        if let Some(name) = self.numbers.get(extent) {
            return Ok(name.clone());
        }
        let name = match extent.known() {
            Some(n) => self.ints(&format!("tpc/number/{n}"), &[n])?,
            None => self.sum(extent)?,
        };
        self.numbers.insert(extent.clone(), name.clone());
        Ok(name)
    }
    fn sum(&mut self, extent: &Extent) -> Result<String, String> {
        // Positive terms first, so that no intermediate result is negative where the whole is not.
        let mut terms = extent.terms();
        terms.sort_by_key(|(c, _)| *c < 0);
        let mut sum: Option<String> = None;
        for (c, factors) in terms {
            let mut product: Option<String> = None;
            for factor in &factors {
                let next = self.factor(factor)?;
                product = Some(self.joined("Mul", product, next));
            }
            let size = c.checked_abs().ok_or("an extent overflows")?;
            if size != 1 || product.is_none() {
                let size = self.number(&Extent::from(size))?;
                product = Some(self.joined("Mul", product, size));
            }
            let term = product.unwrap_or_default();
            sum = Some(match (sum, c < 0) {
                (None, true) => {
                    let zero = self.number(&Extent::from(0i64))?;
                    self.joined("Sub", Some(zero), term)
                }
                (sum, true) => self.joined("Sub", sum, term),
                (sum, false) => self.joined("Add", sum, term),
            });
        }
        sum.ok_or_else(|| "an extent is empty".into())
    }
    fn joined(&mut self, op_type: &str, left: Option<String>, right: String) -> String {
        match left {
            None => right,
            Some(left) => self.add("tpc/extent", op(op_type, vec![left, right])),
        }
    }
    fn factor(&mut self, factor: &ExtentFactor) -> Result<String, String> {
        match factor {
            ExtentFactor::Floor(a, b) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                Ok(self.add("tpc/extent", op("Div", vec![a, b])))
            }
            ExtentFactor::Symbol(symbol) => {
                let (value, axis) = self
                    .sources
                    .get(symbol)
                    .cloned()
                    .ok_or_else(|| format!("`{symbol}` is the extent of no axis before"))?;
                let shape = match self.shapes.get(&value) {
                    Some(shape) => shape.clone(),
                    None => {
                        let shape =
                            self.add(&format!("{value}/shape"), op("Shape", vec![value.clone()]));
                        self.shapes.insert(value, shape.clone());
                        shape
                    }
                };
                let axis = self.number(&Extent::from(axis))?;
                Ok(self.add(&format!("tpc/{symbol}"), op("Gather", vec![shape, axis])))
            }
        }
    }
}

/// A node without attributes.
fn op(op_type: &str, input: Vec<String>) -> NodeProto {
    NodeProto {
        op_type: Some(op_type.into()),
        input,
        ..NodeProto::default()
    }
}
