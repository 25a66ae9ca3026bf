//! ONNX files as bytes: messages, reading with bounds, streaming out.
mod packed;
pub mod proto;
mod read;
mod write;

pub use read::{Files, WireError, dtype_of, read, tensor};
pub use write::{Initializer, code_of, tensor_proto, write};
