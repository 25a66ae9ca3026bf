//! The pipelines, as straight lines.
mod check;
mod compile;
mod diff;
mod explain;
mod files;
mod run;

pub use check::check;
pub use compile::{Chosen, Compile, Compiled, annotated, choose, compile, plan};
pub use diff::diff;
pub use explain::explain;
pub use files::{Form, Output, load, source};
pub use run::{inputs, run};

use crate::diag::Diagnostic;
use crate::onnx;
use crate::prune::VerifyError;
use crate::weights::WeightsError;
use std::path::Path;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// The model or the plan is wrong.
    Wrong(Diagnostic),
    /// What was asked for makes no sense, or a file or device gives trouble.
    Usage(String),
    /// Whoever reads the output does not want more of it.
    Closed,
    /// The pruned model is not what the original is at the kept positions.
    Verification(VerifyError),
}

impl Failure {
    /// Trouble with a file.
    pub fn io(path: &Path, error: std::io::Error) -> Failure {
        Failure::Usage(format!("`{}`: {error}", path.display()))
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Failure {
        Failure::Wrong(diagnostic)
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Failure {
        match error {
            WeightsError::Io(..) => Failure::Usage(error.to_string()),
            WeightsError::Content(..) => Failure::Wrong(Diagnostic::new(error.to_string())),
        }
    }
}

impl From<onnx::WriteError> for Failure {
    fn from(error: onnx::WriteError) -> Failure {
        match error {
            onnx::WriteError::Module(diagnostic) => Failure::Wrong(diagnostic),
            onnx::WriteError::Io(..) => Failure::Usage(error.to_string()),
        }
    }
}
