//! ONNX in and out: one node is one operation, and goes back as one node.
mod bodies;
mod branch;
mod export;
mod fold;
mod fold_moves;
mod fold_order;
mod give;
mod import;
mod import_nodes;
mod infer;
mod inline;
mod meta;
mod node;
mod number;
mod opaque;
mod ramp;
mod rows;
mod rows_contrib;
mod rows_moves;
mod rows_nets;
mod rows_pointwise;
mod sequence;
mod shapes;
mod special;
mod special_contrib;
mod special_picks;
mod special_slice;
mod take;
pub mod wire;

pub use export::{WriteError, write};
pub use import::read;

/// ONNX's operators that are read: name, operator of the language, and the first set of operators that has it in the form
/// read (11 stands for all before).
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str, i64)> {
    rows::all().map(|row| (row.onnx, row.op, row.since))
}
