//! The main job: read, choose, shrink, write, prove, publish.
use super::{Failure, Form, Output, load, source};
use crate::exec::Cpu;
use crate::ir::{Facts, Module, annotate, propagate};
use crate::prune::{
    self, Choice, Groups, Plan, Verification, Verified, groups, reshare, select, shrink, unshare,
};
use std::path::{Path, PathBuf};

/// What a compile is asked for.
#[derive(Debug)]
pub struct Compile {
    /// The model.
    pub model: PathBuf,
    /// Fill the params of a text with random values of this seed.
    pub init: Option<u64>,
    /// The plan or lock; without one the model is converted.
    pub plan: Option<PathBuf>,
    /// Where to; beside the model where it is not said.
    pub output: Option<PathBuf>,
    /// Whether the result is verified.
    pub verify: bool,
}

/// What a compile did.
pub struct Compiled {
    /// The original, one param a use.
    pub original: Module,
    /// Its facts.
    pub facts: Facts,
    /// Its groups.
    pub groups: Groups,
    /// What was removed.
    pub choice: Choice,
    /// What was found when it was verified.
    pub verified: Option<Verified>,
    /// Where the result is.
    pub output: PathBuf,
}

/// Prunes a model by a plan, or converts it.
pub fn compile(asked: &Compile, note: &dyn Fn(&str)) -> Result<Option<Compiled>, Failure> {
    note("reading");
    let read = load(&asked.model, asked.init)?;
    let Some(plan) = &asked.plan else {
        let to = asked.output.as_deref().ok_or_else(|| {
            Failure::Usage("neither a plan (`--prune`) nor a place to convert to (`-o`)".into())
        })?;
        convert(&read, to)?;
        return Ok(None);
    };
    let plan = Plan::read(&source(plan)?)?;
    note("choosing");
    let (original, clones) = unshare(&read);
    let mut facts = propagate(&original)?;
    prune::protect(&original, &mut facts, &plan)?;
    let groups = groups(&original, &facts);
    let choice = select(&original, &facts, &groups, &plan)?;
    note("shrinking");
    let mut pruned = shrink(&original, &facts, &choice.keep)?;
    reshare(&mut pruned, &clones);
    note("writing");
    let to = match &asked.output {
        Some(to) => to.clone(),
        None => beside(&asked.model)?,
    };
    let mut output = Output::beside(&to)?;
    let aside = output.model(&pruned, &propagate(&pruned)?, &to)?;
    drop(pruned);
    let verified = match asked.verify {
        true => {
            note("verifying");
            let verification = verification(&plan);
            let written = load(&aside, None)?;
            let keep = &choice.keep;
            let verified = prune::verify(&original, &facts, keep, &written, &Cpu, &verification)?;
            Some(verified)
        }
        false => None,
    };
    output.publish()?;
    Ok(Some(Compiled {
        original,
        facts,
        groups,
        choice,
        verified,
        output: to,
    }))
}

/// Writes a model in the form that the path says.
fn convert(module: &Module, to: &Path) -> Result<(), Failure> {
    let facts = propagate(module)?;
    let mut output = Output::beside(to)?;
    match Form::of(to)? {
        Form::Onnx => output.model(module, &facts, to)?,
        Form::Tir => output.model(&annotate(module, &facts), &facts, to)?,
    };
    output.publish()
}

/// `STEM.pruned.EXT` beside the model.
fn beside(model: &Path) -> Result<PathBuf, Failure> {
    let form = Form::of(model)?;
    let stem = model.file_stem().unwrap_or_default().to_string_lossy();
    Ok(model.with_file_name(format!("{stem}.pruned.{}", form.extension())))
}

/// What a plan says of verification.
fn verification(plan: &Plan) -> Verification {
    let standard = Verification::default();
    Verification {
        tolerance: plan
            .verify
            .tolerance
            .as_ref()
            .map_or(standard.tolerance, |t| *t.get_ref()),
        extents: plan.verify.extents.clone(),
        seed: plan.select.seed,
    }
}

impl From<prune::VerifyError> for Failure {
    fn from(error: prune::VerifyError) -> Failure {
        Failure::Verification(error)
    }
}
