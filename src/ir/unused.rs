//! Dropping what nothing uses: operations, and the params and constants that only they used.
use super::{Def, DimDef, Module, Node, NodeId};
use crate::ops::{Attr, Expr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Module {
    /// Drops operations whose results nothing uses, and the params and constants that only they used.
    ///
    /// An operation is used, too, where its result is what says the extent of a run-time symbol.
    pub fn drop_unused(&mut self) {
        let sources = self.sources();
        let mut used = vec![false; self.values.len()];
        let mut symbols: HashSet<Arc<str>> = HashSet::new();
        self.inputs.iter().for_each(|v| used[v.at()] = true);
        self.outputs.iter().for_each(|(v, _)| used[v.at()] = true);
        let mut stays = vec![false; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let says = sources.get(&i).is_some_and(|all| {
                let mut all = all.iter();
                all.any(|symbol| symbols.contains(symbol))
            });
            stays[i] = says || node.results.iter().flatten().any(|v| used[v.at()]);
            if stays[i] {
                let all = node.operands.iter().chain(&node.results).flatten();
                all.for_each(|v| used[v.at()] = true);
                self.symbols(node, &mut symbols);
            }
        }
        let mut places = vec![NodeId(0); self.nodes.len()];
        let mut kept = 0;
        for (place, stays) in places.iter_mut().zip(&stays) {
            *place = NodeId(kept);
            kept += u32::from(*stays);
        }
        for value in &mut self.values {
            if let Def::Result(id, _) = &mut value.def {
                *id = places[id.at()];
            }
        }
        let mut stay = stays.into_iter();
        self.nodes.retain(|_| stay.next().unwrap_or(true));
        self.renumber(&used, &HashMap::new());
    }
    /// By operation, the run-time symbols that no input has and of which the type of its result is the first to be one.
    fn sources(&self) -> HashMap<usize, Vec<Arc<str>>> {
        let mut all: HashMap<usize, Vec<Arc<str>>> = HashMap::new();
        let mut seen: HashSet<&str> = HashSet::new();
        let own = |v| {
            let ty = self.value(v).ty.as_ref();
            let axes = ty.and_then(|ty| ty.axes.as_ref()).into_iter().flatten();
            axes.filter_map(|axis| match axis {
                Expr::Name(name) => Some(name),
                _ => None,
            })
        };
        for v in &self.inputs {
            seen.extend(own(*v).map(|name| &**name));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            for name in node.results.iter().flatten().flat_map(|v| own(*v)) {
                let is_symbol = matches!(self.dims.get(name), Some(DimDef::Runtime));
                if seen.insert(name) && is_symbol {
                    all.entry(i).or_default().push(name.clone());
                }
            }
        }
        all
    }
    /// Adds the symbols in an operation's attributes and in the types that its results state.
    fn symbols(&self, node: &Node, all: &mut HashSet<Arc<str>>) {
        fn of_expr(expr: &Expr, all: &mut HashSet<Arc<str>>) {
            if let Expr::Extent(extent) = expr {
                all.extend(extent.symbols());
            }
            expr.names(&mut |name| {
                all.insert(name.clone());
            });
        }
        fn of_attr(attr: &Attr, all: &mut HashSet<Arc<str>>) {
            match attr {
                Attr::Expr(expr) => of_expr(expr, all),
                Attr::List(items) => items.iter().for_each(|item| of_attr(item, all)),
                _ => {}
            }
        }
        node.attrs.iter().for_each(|(_, attr)| of_attr(attr, all));
        for v in node.results.iter().flatten() {
            let ty = self.value(*v).ty.as_ref();
            let axes = ty.and_then(|ty| ty.axes.as_ref()).into_iter().flatten();
            axes.for_each(|axis| of_expr(axis, all));
        }
    }
}
