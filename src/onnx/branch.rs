//! Branches: the arms of an `If` written out beside it, as operations like any other, and gathered again.
//!
//! An operation of an arm carries the arm's name; `if` takes the condition and the results of both arms. An arm's own
//! weights become weights of the graph, which its operations use from outside.
use super::node::{
    attribute, attribute_graph, entry, is_standard, name_of, op_type, rename_captures,
};
use super::wire::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::ir::ARM;
use std::collections::{HashMap, HashSet};

/// Deepest nesting of branches that is written out.
const DEEPEST: usize = 16;

/// What is done with an `If`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Branch {
    /// Its condition holds in every run: only its first arm is left.
    Then,
    /// Its condition holds in no run.
    Else,
    /// Its arms are not understood: it is carried through as it is.
    Carried,
}

/// By the name of its first result, what is done with an `If`; both arms of the others are written out.
pub type Decided = HashMap<String, Branch>;

/// The arm that an operation stands in: the name of the `If`, and whether it is the first arm.
pub fn arm_of(text: &str) -> Option<(&str, bool)> {
    match text.rsplit_once(':')? {
        (name, "then") => Some((name, true)),
        (name, "else") => Some((name, false)),
        _ => None,
    }
}

/// The mark of an arm.
pub fn arm(name: &str, first: bool) -> String {
    format!("{name}:{}", if first { "then" } else { "else" })
}

/// The arm that a node stands in.
pub fn in_arm(node: &NodeProto) -> Option<&str> {
    let own = node
        .metadata_props
        .iter()
        .find(|e| e.key.as_deref() == Some(ARM));
    own.and_then(|e| e.value.as_deref())
}

/// Whether a graph has branches.
pub fn are_in(graph: &GraphProto) -> bool {
    graph.node.iter().any(|node| arms(node).is_some())
}

/// Writes out the arms of every `If` of a graph that is not decided otherwise.
pub fn write_out(graph: &mut GraphProto, decided: &Decided) {
    let inputs = graph.input.iter().map(|v| name_of(v).to_string());
    let weights = graph.initializer.iter().filter_map(|t| t.name.clone());
    let results = graph.node.iter().flat_map(|n| n.output.iter().cloned());
    let mut writer = Writer {
        taken: inputs.chain(weights).chain(results).collect(),
        decided,
        made: GraphProto::default(),
    };
    let nodes = std::mem::take(&mut graph.node);
    writer.nodes(nodes, None, 0);
    graph.node = writer.made.node;
    graph.initializer.append(&mut writer.made.initializer);
    graph.value_info.append(&mut writer.made.value_info);
}

struct Writer<'a> {
    taken: HashSet<String>,
    decided: &'a Decided,
    made: GraphProto,
}

/// The arms of an `If` that can be written out.
fn arms(node: &NodeProto) -> Option<[&GraphProto; 2]> {
    let all = ["then_branch", "else_branch"].map(|name| attribute(node, name)?.g.as_ref());
    let [Some(one), Some(other)] = all else {
        return None;
    };
    let plain = |g: &GraphProto| {
        g.input.is_empty() && g.sparse_initializer.is_empty() && g.output.len() == node.output.len()
    };
    (is_standard(node) && op_type(node) == "If" && plain(one) && plain(other))
        .then_some([one, other])
}

impl Writer<'_> {
    fn nodes(&mut self, nodes: Vec<NodeProto>, inside: Option<&str>, depth: usize) {
        for mut node in nodes {
            if let Some(arm) = inside {
                node.metadata_props.push(entry(ARM, arm));
            }
            let name = node.output.first().cloned().unwrap_or_default();
            match (arms(&node), self.decided.get(&name)) {
                (Some(_), None) if depth < DEEPEST && !name.is_empty() => {
                    self.both(&node, &name, depth);
                }
                (Some([first, second]), Some(branch @ (Branch::Then | Branch::Else))) => {
                    let only = if *branch == Branch::Then {
                        first
                    } else {
                        second
                    };
                    let results = self.arm(only.clone(), &node.output, &name, inside, depth);
                    self.identities(results, &node.output, inside);
                }
                _ => self.made.node.push(node),
            }
        }
    }
    fn both(&mut self, node: &NodeProto, name: &str, depth: usize) {
        let mut made = node.clone();
        made.attribute.clear();
        for (first, graph) in [true, false]
            .into_iter()
            .zip(arms(node).into_iter().flatten())
        {
            let mark = arm(name, first);
            let results = self.arm(graph.clone(), &[], &mark, Some(&mark), depth);
            made.input.extend(self.computed(results, &mark));
        }
        self.made.node.push(made);
    }
    /// Writes out one arm, and gives the names of its results; those of `results` take the place of their own names.
    fn arm(
        &mut self,
        mut graph: GraphProto,
        results: &[String],
        base: &str,
        inside: Option<&str>,
        depth: usize,
    ) -> Vec<String> {
        let mut names: HashMap<String, String> = HashMap::new();
        let outputs: Vec<String> = graph
            .output
            .iter()
            .map(|v| name_of(v).to_string())
            .collect();
        // An inner `If` keeps a name of its own: what is decided of the outer one is not said of it.
        let own = graph.node.iter().flat_map(|n| {
            let is_branch = arms(n).is_some();
            n.output.iter().map(move |name| (name, is_branch))
        });
        for (name, is_branch) in own.filter(|(n, _)| !n.is_empty()) {
            let result = outputs.iter().position(|o| o == name);
            let new = match result.and_then(|k| results.get(k)) {
                Some(result) if !is_branch => result.clone(),
                _ => self.free(name, base),
            };
            names.entry(name.clone()).or_insert(new);
        }
        for proto in &graph.initializer {
            let name = proto.name.clone().unwrap_or_default();
            let new = self.free(&name, base);
            names.insert(name, new);
        }
        let new = |name: &str| names.get(name).cloned();
        for node in &mut graph.node {
            for name in node.input.iter_mut().chain(&mut node.output) {
                *name = new(name).unwrap_or(std::mem::take(name));
            }
            rename_captures(node, &new);
        }
        for proto in &mut graph.initializer {
            proto.name = proto.name.as_deref().and_then(new);
        }
        for info in graph.value_info.iter_mut().chain(&mut graph.output) {
            info.name = info
                .name
                .as_deref()
                .map(|n| new(n).unwrap_or(n.to_string()));
        }
        self.made.initializer.append(&mut graph.initializer);
        self.made.value_info.append(&mut graph.value_info);
        self.made
            .value_info
            .extend(graph.output.iter().filter(|o| o.r#type.is_some()).cloned());
        self.nodes(graph.node, inside, depth + 1);
        graph
            .output
            .iter()
            .map(|v| name_of(v).to_string())
            .collect()
    }
    /// The name itself, or one after it, that nothing has.
    fn free(&mut self, name: &str, base: &str) -> String {
        let tries = (0..).map(|i| match i {
            0 => name.to_string(),
            1 => format!("{base}/{name}"),
            _ => format!("{base}/{name}.{i}"),
        });
        let free = tries.into_iter().find(|n| !self.taken.contains(n));
        let free = free.unwrap_or_default();
        self.taken.insert(free.clone());
        free
    }
    /// The results of an arm, each of an operation of its own: a writer needs one there.
    fn computed(&mut self, results: Vec<String>, mark: &str) -> Vec<String> {
        let nodes = self.made.node.iter().filter(|n| op_type(n) != "Constant");
        let inner = nodes
            .filter(|n| in_arm(n) == Some(mark))
            .flat_map(|n| &n.output);
        let inner: HashSet<String> = inner.cloned().collect();
        let own: Vec<String> = results
            .iter()
            .map(|name| match inner.contains(name) {
                true => name.clone(),
                false => self.free(name, mark),
            })
            .collect();
        self.identities(results, &own, Some(mark));
        own
    }
    /// What an arm gives that it does not compute itself.
    fn identities(&mut self, from: Vec<String>, to: &[String], inside: Option<&str>) {
        for (from, to) in from.into_iter().zip(to).filter(|(from, to)| from != *to) {
            let mut node = identity(&from, to);
            node.metadata_props
                .extend(inside.map(|arm| entry(ARM, arm)));
            self.made.node.push(node);
        }
    }
}

fn identity(from: &str, to: &str) -> NodeProto {
    NodeProto {
        op_type: Some("Identity".into()),
        input: vec![from.into()],
        output: vec![to.into()],
        ..NodeProto::default()
    }
}

/// Gathers the nodes of both arms into an `If` whose operands are the condition and the results of the arms, with their
/// types. What an arm gives and does not compute goes through a node of its own.
pub fn gather(
    made: &mut NodeProto,
    mut arms: [Vec<NodeProto>; 2],
    types: [Vec<ValueInfoProto>; 2],
    free: &mut dyn FnMut(&str) -> String,
) {
    let given = made.input.split_off(1);
    let count = given.len() / 2;
    let halves = [&given[..count], &given[count..]];
    for (k, (name, types)) in ["then_branch", "else_branch"]
        .into_iter()
        .zip(types)
        .enumerate()
    {
        let mut output = vec![];
        for (result, mut info) in halves[k].iter().zip(types) {
            let inner = arms[k].iter().any(|n| n.output.contains(result));
            let twice = output.iter().any(|o| name_of(o) == result);
            if !inner || twice {
                let own = free(result);
                arms[k].push(identity(result, &own));
                info.name = Some(own);
            }
            output.push(info);
        }
        let graph = GraphProto {
            name: Some(name.into()),
            node: std::mem::take(&mut arms[k]),
            output,
            ..GraphProto::default()
        };
        made.attribute.push(attribute_graph(name, graph));
    }
}
