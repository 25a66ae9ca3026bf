//! The program as a graph: order, components, and who comes before whom.
use super::{Module, NodeId, ValueId};
use petgraph::algo::toposort;
use petgraph::graph::DiGraph;

/// The operations of a module as a graph; an edge is a value that one makes and another uses.
pub struct Graph {
    /// Weights are the operations and values.
    pub graph: DiGraph<NodeId, ValueId>,
}

impl Graph {
    /// The graph of a module.
    pub fn new(module: &Module) -> Graph {
        let mut graph = DiGraph::with_capacity(module.nodes.len(), module.values.len());
        let nodes: Vec<_> = (0..module.nodes.len())
            .map(|i| graph.add_node(NodeId(i as u32)))
            .collect();
        let mut maker = vec![None; module.values.len()];
        for (i, node) in module.nodes.iter().enumerate() {
            node.results
                .iter()
                .flatten()
                .for_each(|v| maker[v.at()] = Some(i));
        }
        for (i, node) in module.nodes.iter().enumerate() {
            for v in node.operands.iter().flatten() {
                if let Some(from) = maker[v.at()] {
                    graph.add_edge(nodes[from], nodes[i], *v);
                }
            }
        }
        Graph { graph }
    }
    /// After which operation each value is no longer used (none: it is an output, or never used).
    pub fn last_uses(module: &Module) -> Vec<Option<NodeId>> {
        let mut last = vec![None; module.values.len()];
        for (i, node) in module.nodes.iter().enumerate() {
            node.operands
                .iter()
                .flatten()
                .for_each(|v| last[v.at()] = Some(NodeId(i as u32)));
        }
        module.outputs.iter().for_each(|(v, _)| last[v.at()] = None);
        last
    }
}

/// An order in which `count` things can run, given who needs whom; the least indices first where there is a choice
/// of none. Gives a member of a cycle if there is no order.
pub fn sort(
    count: usize,
    needs: impl IntoIterator<Item = (usize, usize)>,
) -> Result<Vec<usize>, usize> {
    let edges: Vec<(usize, usize)> = needs.into_iter().collect();
    if edges.iter().all(|(from, to)| from < to) {
        return Ok((0..count).collect());
    }
    let mut graph = DiGraph::<usize, ()>::with_capacity(count, edges.len());
    // Depth-first search visits the last-added first: add backwards to keep the order that is there.
    let nodes: Vec<_> = (0..count).rev().map(|i| graph.add_node(i)).collect();
    for (from, to) in edges {
        graph.add_edge(nodes[count - 1 - from], nodes[count - 1 - to], ());
    }
    match toposort(&graph, None) {
        Ok(order) => Ok(order.into_iter().map(|n| graph[n]).collect()),
        Err(cycle) => Err(graph[cycle.node_id()]),
    }
}
