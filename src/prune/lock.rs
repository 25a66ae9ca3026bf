//! Locks: what was done to a model, made to be read in a diff and to be replayed.
use super::groups::{Class, Groups, groups};
use super::inputs::Binding;
use super::keep::{Keep, Kept, Rows, positions, ranges};
use super::matching::protect;
use super::plan::{Plan, wrong_toml};
use super::ragged::{Ragged, ragged};
use super::select::{Choice, Chosen};
use super::{Cost, Verification, Verified};
use crate::diag::{Diagnostic, Place, Source, Span, nearest};
use crate::ir::{Facts, Module};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use toml::Spanned;

/// The version of the format.
const VERSION: u32 = 1;

/// What a compile did. It is itself a plan: a compile by it gives the same bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The version of the format.
    pub lock: u32,
    /// The program that wrote it.
    pub tool: String,
    /// The hash of the model it was made for: BLAKE3 over the operations' operators and the names of what they take and
    /// give, and the name, type, shape and bytes of every param and constant.
    pub model: String,
    /// What the plan protects: globs, which say again what is frozen when the lock is replayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<Spanned<String>>,
    /// What the model costs, before and after.
    pub cost: CostRecord,
    /// How the result was verified; absent where it was not.
    pub verified: Option<VerifiedRecord>,
    /// Dims that lose positions.
    #[serde(default, rename = "dim")]
    pub dims: Vec<Spanned<DimRecord>>,
    /// Dims that a ratio was meant for and that stay whole.
    #[serde(default)]
    pub whole: Vec<WholeRecord>,
    /// Dims that cannot lose any.
    #[serde(default)]
    pub frozen: Vec<FrozenRecord>,
}

/// Costs before and after.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostRecord {
    /// Elements of float params.
    pub params: [u64; 2],
    /// Bytes of params and constants.
    pub bytes: [u64; 2],
    /// Multiply-accumulates, where they are numbers.
    pub macs: Option<[u64; 2]>,
    /// What run-time symbols were taken for.
    #[serde(default, skip_serializing_if = "Binding::is_empty")]
    pub at: Binding,
}

/// A verification.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifiedRecord {
    /// The largest difference that would have passed, relative to the largest magnitude of a value.
    pub tolerance: f64,
    /// What decided the inputs.
    #[serde(default)]
    pub seed: u64,
    /// How many multiply-accumulates were to be spent at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// How many operations were run, and how many were not as the budget did not pay for them, over all runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<[usize; 2]>,
    /// The largest difference.
    pub error: f64,
    /// The value in which it was.
    pub value: String,
    /// How many values were compared, over all runs.
    pub compared: usize,
    /// How many could not be.
    pub skipped: usize,
    /// Operations that cannot be run.
    pub cuts: Vec<String>,
    /// What run-time symbols were bound to in each run.
    pub runs: Vec<Binding>,
}

/// A dim that loses positions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimRecord {
    /// Its name.
    pub name: String,
    /// The extent before and after.
    pub extent: [usize; 2],
    /// The positions that stay, as ranges.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kept: String,
    /// The same for each position of the dim that they go by, where each has positions of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// Width or count.
    pub class: Class,
    /// What decided it.
    pub why: String,
    /// The least score that stays, where scores decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<f64>,
}

/// A dim that stays whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeRecord {
    /// Its name.
    pub name: String,
    /// The extent.
    pub extent: usize,
    /// Why.
    pub why: String,
}

/// A frozen dim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenRecord {
    /// The axis in which it is first seen.
    pub axis: String,
    /// The extent.
    pub extent: String,
    /// Why.
    pub reason: String,
    /// What stated it, and where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// The hash of a model, as [`Lock::model`] says.
pub fn hash(module: &Module) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut word = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update_rayon(bytes);
    };
    for node in &module.nodes {
        word(node.op.name().as_bytes());
        for v in node.operands.iter().chain(&node.results) {
            word(v.map_or("", |v| &module.value(v).name).as_bytes());
        }
    }
    let all = module.tensors().map(|(v, t)| (&*module.value(v).name, t));
    let mut all: Vec<(&str, &Tensor)> = all.collect();
    all.sort_by_key(|(name, _)| *name);
    for (name, tensor) in all {
        word(name.as_bytes());
        word(format!("{tensor:?}").as_bytes());
        word(&tensor.bytes());
        tensor.release();
    }
    hasher.finalize().to_hex().to_string()
}

/// The frozen dims of a module, as records; several alike in one value are one.
pub fn frozen(module: &Module, groups: &Groups) -> Vec<FrozenRecord> {
    let shown = |(v, axis): (crate::ir::ValueId, usize)| {
        let name = &module.value(v).name;
        format!("{}:{axis}", groups.shown.get(&v).map_or(&**name, |s| s))
    };
    let mut seen = BTreeSet::new();
    let records = groups.frozen.iter().map(|f| FrozenRecord {
        axis: shown(f.axis),
        extent: f.extent.clone(),
        reason: f.reason.to_string(),
        by: f.stated.clone(),
    });
    let first =
        |r: &FrozenRecord| seen.insert((r.axis.clone(), r.extent.clone(), r.reason.clone()));
    records.filter(first).collect()
}

impl Lock {
    /// The lock of a compile.
    pub fn new(
        module: &Module,
        protect: &[String],
        groups: &Groups,
        choice: &Choice,
        costs: [&Cost; 2],
        at: &Binding,
        verified: Option<(&Verified, &Verification)>,
    ) -> Lock {
        let by_atom: HashMap<_, _> = groups.groups.iter().map(|g| (g.atom, g)).collect();
        let macs = costs.map(|c| c.macs_at(at));
        Lock {
            lock: VERSION,
            tool: format!("tpc {}", env!("CARGO_PKG_VERSION")),
            model: hash(module),
            protect: protect
                .iter()
                .map(|glob| Spanned::new(0..0, glob.clone()))
                .collect(),
            cost: CostRecord {
                params: costs.map(|c| c.params),
                bytes: costs.map(|c| c.bytes),
                macs: macs[0].zip(macs[1]).map(|(a, b)| [a, b]),
                at: at.clone(),
            },
            verified: verified.map(|(v, asked)| VerifiedRecord {
                tolerance: asked.tolerance,
                seed: asked.seed,
                budget: asked.budget,
                operations: asked.budget.map(|_| [v.operations, v.left_out]),
                error: v.worst,
                value: v.worst_value.clone(),
                compared: v.compared,
                skipped: v.skipped,
                cuts: v.cuts.clone(),
                runs: v.runs.iter().filter(|r| !r.is_empty()).cloned().collect(),
            }),
            dims: choice
                .chosen
                .iter()
                .map(|c| {
                    let group = by_atom[&c.atom];
                    let record = DimRecord {
                        name: group.name.to_string(),
                        extent: [group.extent, c.kept.count()],
                        kept: match &c.kept {
                            Kept::Same(kept) => ranges(kept),
                            Kept::Rows(_) => String::new(),
                        },
                        rows: match &c.kept {
                            Kept::Same(_) => vec![],
                            Kept::Rows(rows) => rows.kept.iter().map(|k| ranges(k)).collect(),
                        },
                        class: group.class,
                        why: c.why.clone(),
                        cut: c.cut,
                    };
                    Spanned::new(0..0, record)
                })
                .collect(),
            whole: choice
                .whole
                .iter()
                .map(|(atom, why)| WholeRecord {
                    name: by_atom[atom].name.to_string(),
                    extent: by_atom[atom].extent,
                    why: why.clone(),
                })
                .collect(),
            frozen: frozen(module, groups),
        }
    }
    /// Whether a text is a lock, and not a plan.
    pub fn is_lock(text: &str) -> bool {
        text.lines().any(|line| {
            let key = line.split('=').next().unwrap_or_default();
            key.trim() == "lock"
        })
    }
    /// Reads a lock.
    pub fn read(source: &Arc<Source>) -> Result<Lock, Diagnostic> {
        let lock: Lock = toml::from_str(&source.text).map_err(|e| wrong_toml(source, &e))?;
        match lock.lock {
            VERSION => Ok(lock),
            other => {
                let message = format!("a lock of version {other}, this program reads {VERSION}");
                let place = Place::Text(source.clone(), Span::default());
                Err(Diagnostic::new(message).at(place))
            }
        }
    }
    /// The text of the lock.
    pub fn text(&self) -> Result<String, Diagnostic> {
        toml::to_string(self)
            .map_err(|e| Diagnostic::new(format!("the lock cannot be written: {e}")))
    }
    /// How the result was verified: with the same inputs, of the same extents.
    pub fn verification(&self) -> Verification {
        let Some(verified) = &self.verified else {
            return Verification::default();
        };
        let mut extents: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (symbol, extent) in verified.runs.iter().flatten() {
            extents.entry(symbol.clone()).or_default().push(*extent);
        }
        Verification {
            tolerance: verified.tolerance,
            extents,
            seed: verified.seed,
            budget: verified.budget,
        }
    }
    /// Freezes again what was protected, and says what was removed. A lock that was made for another model is refused.
    pub fn replay(
        &self,
        source: &Arc<Source>,
        module: &Module,
        facts: &mut Facts,
    ) -> Result<(Groups, Choice), Diagnostic> {
        let at = |span: std::ops::Range<usize>| {
            Place::Text(source.clone(), Span::new(span.start, span.end))
        };
        let hash = hash(module);
        if hash != self.model {
            let start = source.text.find("model").unwrap_or(0);
            let end = source.text[start..].find('\n').map_or(start, |n| start + n);
            let wrong = Diagnostic::new("the lock was made for another model");
            let help = format!("the hash of this model is {hash}");
            return Err(wrong.at(at(start..end)).help(help));
        }
        let mut plan = Plan {
            source: Some(source.clone()),
            ..Plan::default()
        };
        plan.protect.freeze = self.protect.clone();
        protect(module, facts, &plan)?;
        let groups = groups(module, facts);
        let ragged = match self.dims.iter().any(|d| !d.get_ref().rows.is_empty()) {
            true => ragged(module, facts, &groups),
            false => Ragged::default(),
        };
        let choice = self.choice(facts, &groups, &ragged, &at)?;
        Ok((groups, choice))
    }

    fn choice(
        &self,
        facts: &Facts,
        groups: &Groups,
        ragged: &Ragged,
        at: &dyn Fn(std::ops::Range<usize>) -> Place,
    ) -> Result<Choice, Diagnostic> {
        let by_name: HashMap<&str, _> = groups.groups.iter().map(|g| (&*g.name, g)).collect();
        let (mut keep, mut chosen) = (Keep::all(), vec![]);
        for spanned in &self.dims {
            let record = spanned.get_ref();
            let wrong = |message: String| Diagnostic::new(message).at(at(spanned.span()));
            let Some(group) = by_name.get(&record.name[..]) else {
                let unknown = wrong(format!("the model has no free dim `{}`", record.name));
                return Err(match nearest(&record.name, by_name.keys().copied()) {
                    Some(near) => unknown.help(format!("do you mean `{near}`?")),
                    None => unknown,
                });
            };
            let list = |text: &String| {
                positions(text, group.extent).ok_or_else(|| {
                    wrong(format!(
                        "`{text}` is no ascending list of positions below {}",
                        group.extent
                    ))
                })
            };
            let kept = if record.rows.is_empty() {
                Kept::Same(list(&record.kept)?)
            } else {
                let kept = record.rows.iter().map(list).collect::<Result<_, _>>()?;
                let by = ragged.by.get(&group.atom).copied();
                let rows = by.and_then(|by| Rows::new(&facts.dims, by, kept));
                Kept::Rows(rows.ok_or_else(|| {
                    wrong(format!(
                        "the rows of `{}` do not fit the model",
                        record.name
                    ))
                })?)
            };
            if record.extent != [group.extent, kept.count()] {
                return Err(wrong(format!(
                    "`{}` has {} positions, of which {} are kept, and not {:?}",
                    record.name,
                    group.extent,
                    kept.count(),
                    record.extent
                )));
            }
            keep.put(group.atom, kept.clone());
            chosen.push(Chosen {
                atom: group.atom,
                kept,
                why: record.why.clone(),
                cut: record.cut,
            });
        }
        let whole = self.whole.iter().filter_map(|w| {
            let group = by_name.get(&w.name[..])?;
            Some((group.atom, w.why.clone()))
        });
        Ok(Choice {
            keep,
            chosen,
            whole: whole.collect(),
        })
    }
}
