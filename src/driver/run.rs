//! Running a model on arrays of the user's, or on random ones.
use super::Failure;
use crate::diag::Diagnostic;
use crate::exec::Cpu;
use crate::ir::{Facts, Module};
use crate::prune::{NORMAL, RunError, Runner, random_inputs, standard_binding};
use crate::tensor::Tensor;
use crate::weights::read_arrays;
use indexmap::IndexMap;
use std::path::Path;

/// The inputs that arguments (`name=file.npy`, or a `.npz`) give; random ones where there are none.
pub fn inputs(
    module: &Module,
    facts: &Facts,
    given: &[String],
    seed: u64,
) -> Result<Vec<Tensor>, Failure> {
    if given.is_empty() {
        let binding = standard_binding(module, facts);
        let inputs = random_inputs(module, facts, &binding, NORMAL, seed);
        return inputs.map_err(|e| Failure::Usage(format!("no random inputs: {e}")));
    }
    let mut arrays: IndexMap<String, Tensor> = IndexMap::new();
    for one in given {
        match one.split_once('=') {
            Some((name, path)) => {
                let mut read = read_arrays(Path::new(path))?;
                let Some((_, tensor)) = read.pop().filter(|_| read.is_empty()) else {
                    return Err(Failure::Usage(format!("`{path}` does not hold one array")));
                };
                arrays.insert(name.to_string(), tensor);
            }
            None => arrays.extend(read_arrays(Path::new(one))?),
        }
    }
    let mut inputs = vec![];
    for v in &module.inputs {
        let name = &module.value(*v).name;
        let Some(tensor) = arrays.shift_remove(&**name) else {
            let wanted: Vec<&str> = module
                .inputs
                .iter()
                .map(|v| &*module.value(*v).name)
                .collect();
            return Err(Failure::Usage(format!(
                "input `{name}` is not given; the model takes `{}`",
                wanted.join("`, `")
            )));
        };
        inputs.push(tensor);
    }
    match arrays.keys().next() {
        Some(more) => Err(Failure::Usage(format!("the model has no input `{more}`"))),
        None => Ok(inputs),
    }
}

/// Runs a model; gives its outputs by name.
pub fn run(
    module: &Module,
    facts: &Facts,
    inputs: &[Tensor],
) -> Result<IndexMap<String, Tensor>, Failure> {
    let outputs = Cpu.run(module, facts, inputs).map_err(|e| match e {
        RunError::Input(message) => Failure::Usage(message),
        e => Failure::Wrong(Diagnostic::new(e.to_string())),
    })?;
    let names = module
        .outputs
        .iter()
        .map(|(v, _)| module.value(*v).name.to_string());
    Ok(names.zip(outputs).collect())
}
