//! The main job: read, choose, shrink, write, prove, publish.
use super::{Failure, Form, Output, load, source};
use crate::diag::Source;
use crate::exec::Cpu;
use crate::ir::{Facts, Module, annotate, propagate};
use crate::prune::{
    self, Choice, Convention, Cost, Groups, Lock, Plan, Verification, Verified, groups, reshare,
    select, shrink, unshare,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// Forms to write besides, under the same stem.
    pub also: Vec<Form>,
    /// Whether the result is verified.
    pub verify: bool,
}

/// What was chosen, and from what.
pub struct Chosen {
    /// The original, one param a use.
    pub original: Module,
    /// Its facts, with what the plan protects frozen.
    pub facts: Facts,
    /// Its groups.
    pub groups: Groups,
    /// What is removed.
    pub choice: Choice,
    /// Globs of what the plan protects.
    pub protect: Vec<String>,
    /// How it is to be verified.
    pub verification: Verification,
    clones: prune::Clones,
}

/// What a compile did.
pub struct Compiled {
    /// What was chosen.
    pub chosen: Chosen,
    /// The lock.
    pub lock: Lock,
    /// What was found when it was verified.
    pub verified: Option<Verified>,
    /// Where the result is.
    pub output: PathBuf,
    /// Where the lock is.
    pub lock_path: PathBuf,
}

/// Prunes a model by a plan, or converts it. `note` is told what is being done.
pub fn compile(asked: &Compile, note: &dyn Fn(&str)) -> Result<Option<Compiled>, Failure> {
    note("reading");
    let read = load(&asked.model, asked.init)?;
    let Some(plan) = &asked.plan else {
        let to = asked.output.as_deref().ok_or_else(|| {
            Failure::Usage("neither a plan (`--prune`) nor a place to convert to (`-o`)".into())
        })?;
        convert(&read, to, &asked.also)?;
        return Ok(None);
    };
    note("choosing");
    let chosen = choose(&read, &source(plan)?)?;
    let Chosen {
        original,
        facts,
        choice,
        verification,
        ..
    } = &chosen;
    note("shrinking");
    let mut pruned = shrink(original, facts, &choice.keep)?;
    reshare(&mut pruned, &chosen.clones);
    let of_pruned = propagate(&pruned)?;
    let after = prune::cost(&pruned, &of_pruned, Convention::Own);
    note("writing");
    let to = match &asked.output {
        Some(to) => to.clone(),
        None => beside(&asked.model, Form::of(&asked.model)?.extension()),
    };
    let mut output = Output::beside(&to)?;
    let mut written = vec![output.model(&pruned, &of_pruned, &to)?];
    for form in asked
        .also
        .iter()
        .filter(|f| Form::of(&to).ok() != Some(**f))
    {
        let to = to.with_extension(form.extension());
        written.push(output.model(&pruned, &of_pruned, &to)?);
    }
    drop((pruned, of_pruned));
    let mut verified = None;
    if asked.verify {
        for path in written {
            note("verifying");
            let back = load(&path, None)?;
            let keep = &choice.keep;
            let found = prune::verify(original, facts, keep, &back, &Cpu, verification)?;
            verified.get_or_insert(found);
        }
    }
    let lock = lock(&chosen, &after, verified.as_ref());
    let lock_path = to.with_extension("lock");
    output.text(&lock.text()?, &lock_path)?;
    output.publish()?;
    Ok(Some(Compiled {
        chosen,
        lock,
        verified,
        output: to,
        lock_path,
    }))
}

/// Chooses what a plan or lock removes of a model.
pub fn choose(read: &Module, plan: &Arc<Source>) -> Result<Chosen, Failure> {
    let (original, clones) = unshare(read);
    let mut facts = propagate(&original)?;
    if Lock::is_lock(&plan.text) {
        let lock = Lock::read(plan)?;
        let (groups, choice) = lock.replay(plan, &original, &mut facts)?;
        return Ok(Chosen {
            original,
            facts,
            groups,
            choice,
            protect: lock.protect.iter().map(|g| g.get_ref().clone()).collect(),
            verification: lock.verification(),
            clones,
        });
    }
    let plan = Plan::read(plan)?;
    prune::protect(&original, &mut facts, &plan)?;
    let groups = groups(&original, &facts);
    let choice = select(&original, &facts, &groups, &plan)?;
    let globs = plan.protect.freeze.iter();
    Ok(Chosen {
        original,
        facts,
        groups,
        choice,
        protect: globs.map(|g| g.get_ref().clone()).collect(),
        verification: verification(&plan),
        clones,
    })
}

/// Chooses, and writes the lock alone.
pub fn plan(
    model: &Path,
    init: Option<u64>,
    plan: &Path,
    to: Option<&Path>,
) -> Result<(Chosen, Lock, PathBuf), Failure> {
    let chosen = choose(&load(model, init)?, &source(plan)?)?;
    let pruned = shrink(&chosen.original, &chosen.facts, &chosen.choice.keep)?;
    let after = prune::cost(&pruned, &propagate(&pruned)?, Convention::Own);
    let lock = lock(&chosen, &after, None);
    let to = to.map_or_else(|| beside(model, "lock"), Path::to_path_buf);
    let mut output = Output::beside(&to)?;
    output.text(&lock.text()?, &to)?;
    output.publish()?;
    Ok((chosen, lock, to))
}

fn lock(chosen: &Chosen, after: &Cost, verified: Option<&Verified>) -> Lock {
    let Chosen {
        original,
        facts,
        groups,
        choice,
        protect,
        verification,
        ..
    } = chosen;
    let before = prune::cost(original, facts, Convention::Own);
    let at = prune::standard_binding(original, facts);
    let verified = verified.map(|v| (v, verification));
    Lock::new(
        original,
        protect,
        groups,
        choice,
        [&before, after],
        &at,
        verified,
    )
}

/// Writes a model in the form that the path says, and in others under the same stem.
fn convert(module: &Module, to: &Path, also: &[Form]) -> Result<(), Failure> {
    let facts = propagate(module)?;
    let mut output = Output::beside(to)?;
    let first = Form::of(to)?;
    let forms = std::iter::once(&first).chain(also.iter().filter(|f| **f != first));
    for form in forms {
        let to = to.with_extension(form.extension());
        match form {
            Form::Onnx => output.model(module, &facts, &to)?,
            Form::Tir => output.model(&annotated(module)?, &facts, &to)?,
        };
    }
    output.publish()
}

/// A module with terms where numbers stood, one param a use taken into account.
pub fn annotated(module: &Module) -> Result<Module, Failure> {
    let (unshared, clones) = unshare(module);
    let mut out = annotate(&unshared, &propagate(&unshared)?);
    reshare(&mut out, &clones);
    Ok(out)
}

/// `STEM.pruned.EXT` beside the model.
fn beside(model: &Path, extension: &str) -> PathBuf {
    let stem = model.file_stem().unwrap_or_default().to_string_lossy();
    model.with_file_name(format!("{stem}.pruned.{extension}"))
}

/// What a plan says of verification.
fn verification(plan: &Plan) -> Verification {
    let standard = Verification::default();
    let stated = plan.verify.tolerance.as_ref();
    let extents = plan.verify.extents.iter();
    Verification {
        tolerance: stated.map_or(standard.tolerance, |t| *t.get_ref()),
        extents: extents
            .map(|(name, all)| (name.clone(), all.get_ref().clone()))
            .collect(),
        seed: plan.select.seed,
        budget: plan.budget(),
    }
}

impl From<prune::VerifyError> for Failure {
    fn from(error: prune::VerifyError) -> Failure {
        Failure::Verification(error)
    }
}
