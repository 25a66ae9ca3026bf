//! The proof: the pruned program, as it was written, against the masked original, value by value.
use super::inputs::{Binding, Draw, NORMAL, bindings, random_inputs, random_like};
use super::keep::Picks;
use super::sample::{Share, sample};
use super::{Keep, Masked, Run, RunError, Runner, masked};
use crate::diag::Diagnostic;
use crate::ir::{Facts, Module, NodeId, ValueId, propagate};
use crate::tensor::{Extent, Tensor, difference};
use std::collections::{BTreeMap, HashSet};

/// What a verification is asked for.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The largest difference that passes, relative to the largest magnitude of the value.
    pub tolerance: f64,
    /// What to bind run-time symbols to, in turn; where nothing is stated, batches are 1 and 3, others 16 and 23, or
    /// more where the model needs more.
    pub extents: BTreeMap<String, Vec<i64>>,
    /// Decides the inputs, and what a budget pays for.
    pub seed: u64,
    /// How many multiply-accumulates of the original are spent, over all runs; none: as many as it has.
    pub budget: Option<u64>,
}

impl Default for Verification {
    fn default() -> Verification {
        Verification {
            tolerance: 1e-5,
            extents: BTreeMap::new(),
            seed: 0,
            budget: None,
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// The largest difference, relative to the largest magnitude of its value.
    pub worst: f64,
    /// The value in which it was.
    pub worst_value: String,
    /// How many values were compared, over all runs.
    pub compared: usize,
    /// How many could not be, as an operator that cannot be run decides their shape.
    pub skipped: usize,
    /// Operations that cannot be run: what goes in was compared, what comes out was replaced by the same in both.
    pub cuts: Vec<String>,
    /// How many operations were run, over all runs.
    pub operations: usize,
    /// How many were not, as the budget did not pay for them.
    pub left_out: usize,
    /// What the run-time symbols were bound to in each run.
    pub runs: Vec<Binding>,
    /// By how much inputs were scaled down, as the original was not finite on larger ones (1: they were not).
    pub scale: f32,
    /// Whether only outputs were compared, as the two programs are not built alike.
    pub outputs_only: bool,
}

/// Why a verification did not pass.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// A value is not what it must be.
    #[error(
        "`{value}` of `{op}` differs by {error:.1e} of its largest magnitude, {tolerance:.0e} is allowed"
    )]
    Differs {
        /// The first value that differs.
        value: String,
        /// The operator that makes it.
        op: String,
        /// By how much.
        error: f64,
        /// How much is allowed.
        tolerance: f64,
    },
    /// The pruned program does not fit the original.
    #[error("{0}")]
    Structure(String),
    /// The pruned program does not stand by itself.
    #[error("the pruned model is wrong: {0}")]
    Module(Diagnostic),
    /// No inputs were found on which the original runs and is finite.
    #[error("{0}")]
    Inputs(String),
    /// The pruned program fails where the original runs.
    #[error("the pruned model does not run where the original does: {0}")]
    Run(RunError),
}

/// Compares every value of `pruned` with the value of the original at the positions that `keep` leaves.
pub fn verify(
    original: &Module,
    facts: &Facts,
    keep: &Keep,
    pruned: &Module,
    runner: &dyn Runner,
    asked: &Verification,
) -> Result<Verified, VerifyError> {
    let masked = masked(original, facts, keep);
    compare(original, facts, keep, &masked, pruned, runner, asked)
}

/// The same, where the masked program is there already.
pub fn compare(
    original: &Module,
    facts: &Facts,
    keep: &Keep,
    masked: &Masked,
    pruned: &Module,
    runner: &dyn Runner,
    asked: &Verification,
) -> Result<Verified, VerifyError> {
    // A file may list operations in another order.
    let reordered = match parting(original, pruned) {
        None => None,
        Some(i) => match pruned.in_order_of(original) {
            Some(pruned) if parting(original, &pruned).is_none() => Some(pruned),
            _ => return Err(VerifyError::Structure(unlike(original, pruned, i))),
        },
    };
    let pruned = reordered.as_ref().unwrap_or(pruned);
    let of_masked = propagate(&masked.module).map_err(VerifyError::Module)?;
    let of_pruned = propagate(pruned).map_err(VerifyError::Module)?;
    let comparison = Comparison {
        original,
        facts,
        keep,
        masked,
        of_masked: &of_masked,
        pruned,
        of_pruned: &of_pruned,
        runner,
        asked,
    };
    comparison.all()
}

/// The first operation in which two programs part: another operator, or results of other names; or the one that only
/// one of them has. None if they are built alike.
fn parting(original: &Module, pruned: &Module) -> Option<usize> {
    let name = |module: &Module, v: Option<ValueId>| v.map(|v| module.value(v).name.clone());
    let mut pairs = original.nodes.iter().zip(&pruned.nodes);
    let parted = pairs.position(|(a, b)| {
        let mut results = a.results.iter().zip(&b.results);
        a.op != b.op
            || a.results.len() != b.results.len()
            || results.any(|(x, y)| name(original, *x) != name(pruned, *y))
    });
    let (all, others) = (original.nodes.len(), pruned.nodes.len());
    parted.or((all != others).then_some(all.min(others)))
}

fn unlike(original: &Module, pruned: &Module, i: usize) -> String {
    let shown = |module: &Module, i: usize| {
        let node = module.nodes.get(i)?;
        let v = node.results.iter().flatten().next()?;
        let name = &module.value(*v).name;
        Some(format!("`{name}` of `{}`", node.op.name()))
    };
    let nothing = || "nothing".to_string();
    format!(
        "the two are not built alike: at operation {i} one has {}, the other {}",
        shown(original, i).unwrap_or_else(nothing),
        shown(pruned, i).unwrap_or_else(nothing)
    )
}

/// What one run came to.
enum Outcome {
    Passed,
    /// These inputs will not do: the original does not run on them, or is not finite.
    Unfit(String),
}

struct Comparison<'a> {
    original: &'a Module,
    facts: &'a Facts,
    keep: &'a Keep,
    masked: &'a Masked,
    of_masked: &'a Facts,
    pruned: &'a Module,
    of_pruned: &'a Facts,
    runner: &'a dyn Runner,
    asked: &'a Verification,
}

impl Comparison<'_> {
    /// Runs both on every binding; of what is tried instead of one another, the first that the original can run.
    fn all(&self) -> Result<Verified, VerifyError> {
        let mut verified = Verified {
            scale: 1.0,
            ..Verified::default()
        };
        let runs = bindings(self.original, self.facts, &self.asked.extents);
        let budget = self.asked.budget.map(|all| all / runs.len().max(1) as u64);
        for tries in runs {
            let mut unfit = String::new();
            let mut passed = false;
            let draws = [1.0, 0.1, 0.01].map(|scale| Draw { scale, ..NORMAL });
            let strict = (tries.iter()).flat_map(|b| draws.map(|draw| (b, draw, false)));
            let ones = Draw {
                ones: true,
                ..NORMAL
            };
            let open = tries.iter().map(|b| (b, ones, false));
            // What fails on all of them (boxes found on noise, say) is like what cannot be run.
            let at_last = tries.iter().map(|b| (b, NORMAL, true));
            for (binding, draw, failures_cut) in strict.chain(open).chain(at_last) {
                match self.once(binding, draw, failures_cut, budget, &mut verified)? {
                    Outcome::Passed => {
                        verified.runs.push(binding.clone());
                        verified.scale = verified.scale.min(draw.scale);
                        passed = true;
                        break;
                    }
                    Outcome::Unfit(why) if unfit.is_empty() => unfit = why,
                    Outcome::Unfit(_) => {}
                }
            }
            if !passed {
                return Err(VerifyError::Inputs(format!(
                    "no inputs were found on which the original can be checked: {unfit}"
                )));
            }
        }
        Ok(verified)
    }

    fn once(
        &self,
        binding: &Binding,
        draw: Draw,
        failures_cut: bool,
        budget: Option<u64>,
        verified: &mut Verified,
    ) -> Result<Outcome, VerifyError> {
        let inputs = match random_inputs(self.original, self.facts, binding, draw, self.asked.seed)
        {
            Ok(inputs) => inputs,
            Err(why) => return Ok(Outcome::Unfit(why)),
        };
        let start = |module, facts| self.runner.start(module, facts, &inputs);
        let mut left = match start(&self.masked.module, self.of_masked) {
            Ok(run) => run,
            Err(e) => return Ok(Outcome::Unfit(e.to_string())),
        };
        let mut right = start(self.pruned, self.of_pruned).map_err(VerifyError::Run)?;
        let mut record = Verified::default();
        let mut unknown: HashSet<ValueId> = HashSet::new();
        // The runs are not alike in what they leave out.
        let seed = self.asked.seed.wrapping_add(verified.runs.len() as u64);
        let shares = sample(self.original, self.facts, binding, budget, seed);
        for (i, node) in self.original.nodes.iter().enumerate() {
            if shares[i] != Share::Run {
                record.left_out += 1;
                if shares[i] == Share::Replaced {
                    self.cut(i, &mut *left, &mut *right, &mut unknown);
                }
                continue;
            }
            record.operations += 1;
            if node.operands.iter().flatten().any(|v| unknown.contains(v)) {
                unknown.extend(node.results.iter().flatten());
                record.skipped += node.results.iter().flatten().count();
                continue;
            }
            let steps = self.masked.nodes[i].clone();
            let mut stepped = Ok(());
            for at in steps {
                stepped = stepped.and_then(|()| left.step(NodeId(at as u32)));
            }
            match stepped {
                Ok(()) => {}
                Err(e) if failures_cut || matches!(e, RunError::Unsupported(..)) => {
                    record.cuts.push(self.shown(i));
                    self.cut(i, &mut *left, &mut *right, &mut unknown);
                    continue;
                }
                Err(e) => return Ok(Outcome::Unfit(e.to_string())),
            }
            right.step(NodeId(i as u32)).map_err(VerifyError::Run)?;
            if let Some(unfit) = self.compare(i, &*left, &mut *right, &mut record)? {
                return Ok(unfit);
            }
        }
        if record.worst >= verified.worst {
            (verified.worst, verified.worst_value) = (record.worst, record.worst_value);
        }
        verified.compared += record.compared;
        verified.skipped += record.skipped;
        verified.operations += record.operations;
        verified.left_out += record.left_out;
        verified.cuts = record.cuts;
        Ok(Outcome::Passed)
    }

    /// The name of an operation's first result.
    fn shown(&self, i: usize) -> String {
        let first = self.original.nodes[i].results.iter().flatten().next();
        first.map_or(String::new(), |v| self.original.value(*v).name.to_string())
    }

    /// Compares what an operation gave. Afterwards the pruned run goes on with the original's values, so that rounding
    /// does not add up, and each operation is judged by itself.
    fn compare(
        &self,
        i: usize,
        left: &dyn Run,
        right: &mut dyn Run,
        record: &mut Verified,
    ) -> Result<Option<Outcome>, VerifyError> {
        let node = &self.original.nodes[i];
        let results = &self.pruned.nodes[i].results;
        for (v, other) in node.results.iter().zip(results) {
            let (Some(v), Some(other)) = (*v, *other) else {
                continue;
            };
            let name = &self.original.value(v).name;
            let whole = self.masked.values[v.at()].and_then(|m| left.value(m));
            let (Some(whole), Some(found)) = (whole, right.value(other)) else {
                return Err(VerifyError::Structure(format!("`{name}` is not there")));
            };
            let expected = self.at_kept(v, &whole, left).ok_or_else(|| {
                VerifyError::Structure(format!("`{name}` is not of the shape that was derived"))
            })?;
            let error = difference(&found, &expected);
            if error > self.asked.tolerance {
                if expected.has_nan() {
                    let why = format!("`{name}` is not a number in the original");
                    return Ok(Some(Outcome::Unfit(why)));
                }
                return Err(VerifyError::Differs {
                    value: name.to_string(),
                    op: node.op.name().to_string(),
                    error,
                    tolerance: self.asked.tolerance,
                });
            }
            record.compared += 1;
            if error >= record.worst {
                (record.worst, record.worst_value) = (error, name.to_string());
            }
            if error > 0.0 {
                right.set(other, expected);
            }
        }
        Ok(None)
    }

    /// A value of the original at its kept positions, in a run.
    fn at_kept(&self, v: ValueId, whole: &Tensor, run: &dyn Run) -> Option<Tensor> {
        let Some(axes) = self.facts.axes(v) else {
            return Some(whole.clone());
        };
        if axes.len() != whole.shape.len() {
            return None;
        }
        let sizes = |e: &Extent| usize::try_from(run.extent(e)?).ok();
        let kept = Picks::new(&self.facts.dims, self.keep, &sizes).of(axes)?;
        let mut each = kept.iter().zip(&whole.shape);
        let inside = each.all(|(pick, n)| pick.fits(*n, &whole.shape));
        inside.then(|| whole.pick(&kept).ok()).flatten()
    }

    /// Goes on behind an operation that cannot be run, or is not, with the same random results in both.
    fn cut(
        &self,
        i: usize,
        left: &mut dyn Run,
        right: &mut dyn Run,
        unknown: &mut HashSet<ValueId>,
    ) {
        let node = &self.original.nodes[i];
        let results = &self.pruned.nodes[i].results;
        for (v, other) in node.results.iter().zip(results) {
            let (Some(v), Some(other)) = (*v, *other) else {
                continue;
            };
            let shape = self.facts.shape(v).and_then(|shape| {
                let axes: Option<Vec<usize>> = shape
                    .axes
                    .iter()
                    .map(|e| usize::try_from(left.extent(e)?).ok())
                    .collect();
                Some((shape.dtype, axes?))
            });
            let made = shape.and_then(|(dtype, axes)| {
                let whole = random_like(dtype, &axes, self.asked.seed ^ (i as u64 + 1))?;
                let kept = self.at_kept(v, &whole, left)?;
                Some((whole, kept))
            });
            match (made, self.masked.values[v.at()]) {
                (Some((whole, kept)), Some(masked)) => {
                    left.set(masked, whole);
                    right.set(other, kept);
                }
                _ => drop(unknown.insert(v)),
            }
        }
    }
}
