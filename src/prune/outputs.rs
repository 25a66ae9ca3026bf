//! Two programs that are not built alike, compared by their outputs alone.
use super::inputs::{NORMAL, bindings, random_inputs};
use super::{Runner, Verification, Verified, VerifyError};
use crate::ir::{Facts, Module, propagate};
use crate::tensor::difference;
use std::collections::HashMap;

/// Compares two programs by their outputs alone, matched by name.
pub fn verify_outputs(
    original: &Module,
    facts: &Facts,
    other: &Module,
    runner: &dyn Runner,
    asked: &Verification,
) -> Result<Verified, VerifyError> {
    let of_other = propagate(other).map_err(VerifyError::Module)?;
    let names: HashMap<&str, usize> = (other.outputs.iter().enumerate())
        .map(|(k, (v, _))| (&*other.value(*v).name, k))
        .collect();
    let mut verified = Verified {
        scale: 1.0,
        outputs_only: true,
        ..Verified::default()
    };
    for tries in bindings(original, facts, &asked.extents) {
        let mut unfit = String::new();
        let mut found = None;
        for binding in &tries {
            let inputs = random_inputs(original, facts, binding, NORMAL, asked.seed);
            let ran = inputs.and_then(|inputs| {
                let ran = runner
                    .run(original, facts, &inputs)
                    .map_err(|e| e.to_string())?;
                Ok((inputs, ran))
            });
            match ran {
                Ok((inputs, ran)) => {
                    found = Some((binding, inputs, ran));
                    break;
                }
                Err(why) => unfit = why,
            }
        }
        let Some((binding, inputs, expected)) = found else {
            return Err(VerifyError::Inputs(unfit));
        };
        let got = runner
            .run(other, &of_other, &inputs)
            .map_err(VerifyError::Run)?;
        for ((v, _), expected) in original.outputs.iter().zip(&expected) {
            let name = &original.value(*v).name;
            let Some(got) = names.get(&**name).and_then(|k| got.get(*k)) else {
                let message = format!("the other model has no output `{name}`");
                return Err(VerifyError::Structure(message));
            };
            let error = difference(got, expected);
            if error > asked.tolerance {
                return Err(VerifyError::Differs {
                    value: name.to_string(),
                    op: "output".into(),
                    error,
                    tolerance: asked.tolerance,
                });
            }
            verified.compared += 1;
            if error >= verified.worst {
                (verified.worst, verified.worst_value) = (error, name.to_string());
            }
        }
        verified.runs.push(binding.clone());
    }
    Ok(verified)
}
