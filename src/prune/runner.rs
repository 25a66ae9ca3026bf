//! What pruning needs of an executor: to run a module, as a whole or an operation at a time.
use crate::ir::{Facts, Module, NodeId, ValueId};
use crate::tensor::Tensor;

/// Why a module does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// No device can run this operation (an operator that is not known, a value whose rank is not known).
    #[error("`{0}` cannot be run: {1}")]
    Unsupported(String, String),
    /// The inputs do not fit: another number, type, rank or extent, or an assumption between extents that does not hold.
    #[error("{0}")]
    Input(String),
    /// An operation failed on its operands.
    #[error("`{0}` failed: {1}")]
    Failed(String, String),
}

/// Runs modules on a device.
pub trait Runner {
    /// Runs a module on one tensor per input, in their order; gives one per output.
    fn run(
        &self,
        module: &Module,
        facts: &Facts,
        inputs: &[Tensor],
    ) -> Result<Vec<Tensor>, RunError>;
    /// Begins a run that goes an operation at a time, and in which every value can be looked at. Half-precision floats
    /// are computed, and seen, as f32.
    fn start<'m>(
        &self,
        module: &'m Module,
        facts: &'m Facts,
        inputs: &[Tensor],
    ) -> Result<Box<dyn Run + 'm>, RunError>;
}

/// A run that goes an operation at a time.
pub trait Run {
    /// Runs one operation, whose operands are there. Afterwards operands that nothing later uses are dropped.
    fn step(&mut self, node: NodeId) -> Result<(), RunError>;
    /// A value that is there: an input, a param, a constant, or a result that is still of use.
    fn value(&self, value: ValueId) -> Option<Tensor>;
    /// Puts a value in place of what an operation would give (for an operation that cannot be run).
    fn set(&mut self, value: ValueId, tensor: Tensor);
    /// The number that an extent expression has in this run, where the inputs decide it.
    fn extent(&self, extent: &crate::tensor::Extent) -> Option<i64>;
}
