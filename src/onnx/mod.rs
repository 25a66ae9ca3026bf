//! ONNX in and out: one node is one operation, and goes back as one node.
mod branch;
mod export;
mod fold;
mod fold_moves;
mod give;
mod import;
mod import_nodes;
mod infer;
mod inline;
mod meta;
mod node;
mod number;
mod opaque;
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
mod take;
pub mod wire;

pub use export::{WriteError, write};
pub use import::read;
