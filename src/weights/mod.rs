//! Weights files: safetensors, mapped when read and streamed when written; and numpy's, for what goes into a run.
mod arrays;
mod npy;
mod read;
mod write;

pub use arrays::{read_arrays, write_arrays};
pub use read::read;
pub use write::write;

use crate::tensor::DType;
use safetensors::Dtype;

/// What a weights file cannot be read or written for.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file is not there, or cannot be read or written.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// What it holds is wrong.
    #[error("{0}: {1}")]
    Content(String, String),
}

/// The element types that both sides know; others are written as the one that holds their values in whole bytes.
const TYPES: [(DType, Dtype); 13] = [
    (DType::F64, Dtype::F64),
    (DType::F32, Dtype::F32),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::I64, Dtype::I64),
    (DType::I32, Dtype::I32),
    (DType::I16, Dtype::I16),
    (DType::I8, Dtype::I8),
    (DType::U64, Dtype::U64),
    (DType::U32, Dtype::U32),
    (DType::U16, Dtype::U16),
    (DType::U8, Dtype::U8),
    (DType::Bool, Dtype::BOOL),
];
