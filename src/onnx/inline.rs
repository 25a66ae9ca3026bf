//! Local functions of a model, written out where they are called.
use super::node::{attribute, op_type, rename_captures};
use super::wire::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};
use std::collections::{HashMap, HashSet};

/// Most nodes that a model may have once its functions are written out.
const MOST: usize = 1 << 18;
/// Most calls of functions: they may call each other and write out to nothing.
const MOST_CALLS: usize = 1 << 16;
/// Most bytes of the names that are made for what is written out: each has those of all calls around it.
const MOST_NAMED: usize = 1 << 25;
/// Deepest nesting of calls and subgraphs.
const DEEPEST: usize = 64;

/// Domain, name and overload of a function.
type Key<'a> = (&'a str, &'a str, &'a str);

fn key(node: &NodeProto) -> Key<'_> {
    (
        node.domain.as_deref().unwrap_or_default(),
        op_type(node),
        node.overload.as_deref().unwrap_or_default(),
    )
}

/// The model without functions; says what is wrong with them otherwise.
pub fn functions(mut model: ModelProto) -> Result<ModelProto, String> {
    if model.functions.is_empty() {
        return Ok(model);
    }
    let functions = std::mem::take(&mut model.functions);
    let table: HashMap<Key<'_>, &FunctionProto> = functions
        .iter()
        .map(|f| {
            let key = (
                f.domain.as_deref().unwrap_or_default(),
                f.name.as_deref().unwrap_or_default(),
                f.overload.as_deref().unwrap_or_default(),
            );
            (key, f)
        })
        .collect();
    let mut inliner = Inliner {
        table,
        calls: 0,
        nodes: 0,
        named: 0,
    };
    if let Some(graph) = &mut model.graph {
        inliner.graph(graph, 0)?;
    }
    // Sets of operators that only functions used stay stated, which does no harm.
    for set in functions.iter().flat_map(|f| &f.opset_import) {
        let domain = |d: &Option<String>| d.clone().unwrap_or_default();
        match model
            .opset_import
            .iter()
            .find(|s| domain(&s.domain) == domain(&set.domain))
        {
            Some(own) if own.version != set.version => {
                return Err(format!(
                    "a local function is written in set {} of `{}`, the model in set {}",
                    set.version.unwrap_or(0),
                    domain(&set.domain),
                    own.version.unwrap_or(0)
                ));
            }
            Some(_) => {}
            None => model.opset_import.push(set.clone()),
        }
    }
    Ok(model)
}

struct Inliner<'a> {
    table: HashMap<Key<'a>, &'a FunctionProto>,
    calls: usize,
    nodes: usize,
    named: usize,
}

impl Inliner<'_> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) -> Result<(), String> {
        let nodes = std::mem::take(&mut graph.node);
        for node in nodes {
            self.node(node, depth, &mut graph.node)?;
        }
        Ok(())
    }
    fn node(
        &mut self,
        mut node: NodeProto,
        depth: usize,
        out: &mut Vec<NodeProto>,
    ) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("local functions call each other without end".into());
        }
        let Some(function) = self.table.get(&key(&node)).copied() else {
            for attribute in &mut node.attribute {
                for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    self.graph(graph, depth + 1)?;
                }
            }
            self.nodes += 1;
            if self.nodes > MOST {
                return Err("local functions write out to too many nodes".into());
            }
            out.push(node);
            return Ok(());
        };
        self.calls += 1;
        if self.calls > MOST_CALLS {
            return Err("local functions call each other too often".into());
        }
        let name = match node.name.as_deref() {
            Some(name) if !name.is_empty() => name.to_string(),
            _ => format!("{}.{}", op_type(&node), self.calls),
        };
        let names = Names::new(function, &node, &name);
        for inner in &function.node {
            let mut inner = inner.clone();
            attributes(&mut inner, function, &node);
            names.rename(&mut inner);
            let made = inner.input.iter().chain(&inner.output).chain(&inner.name);
            self.named += made.map(String::len).sum::<usize>();
            if self.named > MOST_NAMED {
                return Err("local functions write out to names that are too long".into());
            }
            self.node(inner, depth + 1, out)?;
        }
        for (k, outer) in node.output.iter().enumerate() {
            let through = function
                .output
                .get(k)
                .filter(|n| function.input.contains(n));
            if let (Some(inner), false) = (through, outer.is_empty()) {
                out.push(NodeProto {
                    op_type: Some("Identity".into()),
                    input: vec![names.of(inner).unwrap_or_default()],
                    output: vec![outer.clone()],
                    ..NodeProto::default()
                });
            }
        }
        Ok(())
    }
}

/// What a function's values are called where it is written out.
struct Names {
    given: HashMap<String, String>,
    own: HashSet<String>,
    prefix: String,
}

impl Names {
    fn new(function: &FunctionProto, call: &NodeProto, prefix: &str) -> Names {
        let mut given = HashMap::new();
        for (k, name) in function.input.iter().enumerate() {
            given.insert(name.clone(), call.input.get(k).cloned().unwrap_or_default());
        }
        for (k, name) in function.output.iter().enumerate() {
            if let Some(outer) = call.output.get(k).filter(|n| !n.is_empty()) {
                given.entry(name.clone()).or_insert_with(|| outer.clone());
            }
        }
        Names {
            given,
            own: function
                .node
                .iter()
                .flat_map(|n| &n.output)
                .cloned()
                .collect(),
            prefix: prefix.to_string(),
        }
    }
    fn of(&self, name: &str) -> Option<String> {
        match self.given.get(name) {
            Some(outer) => Some(outer.clone()),
            None => self
                .own
                .contains(name)
                .then(|| format!("{}/{name}", self.prefix)),
        }
    }
    fn rename(&self, node: &mut NodeProto) {
        for name in node.input.iter_mut().chain(&mut node.output) {
            if let Some(new) = self.of(name).filter(|_| !name.is_empty()) {
                *name = new;
            }
        }
        if let Some(name) = node.name.as_mut().filter(|n| !n.is_empty()) {
            *name = format!("{}/{name}", self.prefix);
        }
        rename_captures(node, &|name| self.of(name));
    }
}

/// Puts the call's attributes, or the function's defaults, where the function's nodes refer to them.
fn attributes(node: &mut NodeProto, function: &FunctionProto, call: &NodeProto) {
    let value = |reference: &str| {
        let default = function
            .attribute_proto
            .iter()
            .find(|a| a.name.as_deref() == Some(reference));
        attribute(call, reference).or(default)
    };
    let resolved = std::mem::take(&mut node.attribute)
        .into_iter()
        .filter_map(|a| match a.ref_attr_name.as_deref() {
            None | Some("") => Some(a),
            Some(reference) => value(reference).map(|v| AttributeProto {
                name: a.name,
                ref_attr_name: None,
                ..v.clone()
            }),
        });
    node.attribute = resolved.collect();
    for inner in &mut node.attribute {
        for graph in inner.g.iter_mut().chain(&mut inner.graphs) {
            graph
                .node
                .iter_mut()
                .for_each(|n| attributes(n, function, call));
        }
    }
}
