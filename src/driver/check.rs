//! Verifying one model against another, whichever tool made it.
use super::{Failure, choose, load, source};
use crate::diag::Diagnostic;
use crate::exec::Cpu;
use crate::ir::propagate;
use crate::prune::{self, Keep, Verification, Verified, unshare};
use std::path::Path;

/// Checks that `pruned` is `original` without the positions that a lock says, or that its weights lack.
pub fn check(
    original: &Path,
    init: Option<u64>,
    pruned: &Path,
    lock: Option<&Path>,
    tolerance: f64,
) -> Result<Verified, Failure> {
    let read = load(original, init)?;
    let other = load(pruned, init)?;
    let verification = Verification {
        tolerance,
        ..Verification::default()
    };
    if let Some(lock) = lock {
        let chosen = choose(&read, &source(lock)?)?;
        let (module, facts, keep) = (&chosen.original, &chosen.facts, &chosen.choice.keep);
        return Ok(prune::verify(
            module,
            facts,
            keep,
            &other,
            &Cpu,
            &verification,
        )?);
    }
    let (module, _) = unshare(&read);
    let facts = propagate(&module)?;
    let keep: Keep = prune::recover(&module, &facts, &other).map_err(|why| {
        Diagnostic::new(format!(
            "what was removed cannot be told from the weights: {why}"
        ))
        .help("`--lock` says what was removed")
    })?;
    match prune::verify(&module, &facts, &keep, &other, &Cpu, &verification) {
        Err(prune::VerifyError::Structure(_)) if keep.is_empty() => Ok(prune::verify_outputs(
            &module,
            &facts,
            &other,
            &Cpu,
            &verification,
        )?),
        verified => Ok(verified?),
    }
}
