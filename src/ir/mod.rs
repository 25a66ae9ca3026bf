//! The program: modules, values, params, the table of dims, and what is derived from them.
mod annotate;
mod asked;
mod assumed;
mod graph;
mod groups;
mod module;
mod names;
mod propagate;
mod unused;

pub use annotate::{annotate, atom_names, dim_expr};
pub use graph::{Graph, sort};
pub use module::{ARM, Def, DimDef, DimTable, Module, Node, NodeId, Origin, Type, Value, ValueId};
pub use names::{display_names, module_path};
pub use propagate::{Facts, NodeFacts, propagate};
