//! The CPU: code of its own for every step, the reference for operations that have none.
mod conv;
mod copy;
mod depthwise;
mod gemm;
mod lines;
mod pointwise;
mod pool;
mod product;
mod program;
mod steps;
mod trace;
mod wide;

use super::bind::Bindings;
use crate::ir::{Facts, Module, NodeId};
use crate::prune::{Run, RunError, Runner};
use crate::tensor::Tensor;
pub use program::Program;
use trace::Trace;

/// Runs modules on the CPU.
#[derive(Copy, Clone, Debug, Default)]
pub struct Cpu;

impl Runner for Cpu {
    fn run(
        &self,
        module: &Module,
        facts: &Facts,
        inputs: &[Tensor],
    ) -> Result<Vec<Tensor>, RunError> {
        if let Some(mut program) = Program::new(module, facts, inputs)? {
            return program.run(inputs);
        }
        let mut run = self.start(module, facts, inputs)?;
        for i in 0..module.nodes.len() {
            run.step(NodeId(i as u32))?;
        }
        let outputs = module.outputs.iter().map(|(v, _)| {
            let name = &module.value(*v).name;
            let missing = || RunError::Failed(name.to_string(), "it has no value".into());
            let tensor = run.value(*v).ok_or_else(missing)?;
            let cast = tensor.cast(facts.values[v.at()].dtype);
            cast.map_err(|e| RunError::Failed(name.to_string(), e.to_string()))
        });
        outputs.collect()
    }
    fn start<'m>(
        &self,
        module: &'m Module,
        facts: &'m Facts,
        inputs: &[Tensor],
    ) -> Result<Box<dyn Run + 'm>, RunError> {
        let bindings = Bindings::of(module, facts, inputs)?;
        Ok(Box::new(Trace::new(module, facts, bindings, inputs)?))
    }
}
