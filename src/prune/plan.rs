//! Plans: what a user asks of pruning, in TOML.
use super::criteria::{Magnitude, Normalize, Reduce};
use crate::diag::{Diagnostic, Place, Source, Span, nearest};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;

/// What a user asks of pruning.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// What to reach.
    pub target: Target,
    /// How to choose.
    pub select: Select,
    /// What to leave alone.
    pub protect: Protect,
    /// What to remove by hand.
    pub prune: Vec<ByHand>,
    /// What the result must look like.
    pub constraints: Constraints,
    /// How the result is verified.
    pub verify: VerifyPlan,
    /// Where the plan was read from.
    #[serde(skip)]
    pub source: Option<Arc<Source>>,
}

/// `[target]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// The share of every width that goes.
    pub ratio: Option<Spanned<f64>>,
    macs: Option<Spanned<toml::Value>>,
    params: Option<Spanned<toml::Value>>,
    memory: Option<Spanned<toml::Value>>,
    latency: Option<Spanned<toml::Value>>,
}

/// Which groups are ranked together.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Each group by itself.
    Local,
    /// All groups together.
    Global,
}

/// `[select]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    criterion: Spanned<String>,
    p: Spanned<f64>,
    reduce: Reduce,
    normalize: Normalize,
    /// Which groups are ranked together.
    pub scope: Scope,
    /// What remains of an axis is a multiple of this.
    pub round_to: Spanned<toml::Value>,
    /// The most that goes of one group, as a share.
    pub max_ratio: Spanned<f64>,
    /// The least that stays of one group.
    pub min_keep: Spanned<i64>,
    steps: Spanned<i64>,
    /// Decides what is random.
    pub seed: u64,
    /// Whether ratios prune counts (heads, groups) too.
    pub counts: bool,
    /// Whether ratios prune what goes into the arms of an `if`, and what is inside, too.
    pub branches: bool,
    /// Whether each head or group keeps positions of its own where it can.
    pub ragged: bool,
}

fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

impl Default for Select {
    fn default() -> Select {
        Select {
            criterion: unplaced("magnitude".into()),
            p: unplaced(2.0),
            reduce: Reduce::Mean,
            normalize: Normalize::Mean,
            scope: Scope::Local,
            round_to: unplaced(toml::Value::Integer(1)),
            max_ratio: unplaced(1.0),
            min_keep: unplaced(1),
            steps: unplaced(1),
            seed: 0,
            counts: false,
            branches: false,
            ragged: false,
        }
    }
}

/// `[protect]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protect {
    /// Globs over params, values, dims and module paths.
    pub freeze: Vec<Spanned<String>>,
}

/// `[[prune]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// A glob, with `:axis` behind it where one axis is meant.
    #[serde(rename = "match")]
    pub pattern: Spanned<String>,
    /// The share that goes.
    pub ratio: Option<Spanned<f64>>,
    /// The positions that go.
    pub remove: Option<Spanned<Vec<i64>>>,
}

/// `[constraints]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constraints {
    profile: Option<Spanned<String>>,
    equal: Option<Spanned<Vec<Vec<String>>>>,
}

/// `[verify]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyPlan {
    /// The largest difference that passes, relative to the largest magnitude of a value.
    pub tolerance: Option<Spanned<f64>>,
    budget: Option<Spanned<toml::Value>>,
    /// What run-time symbols are bound to, in the first run and the second.
    pub extents: BTreeMap<String, Spanned<Vec<i64>>>,
}

impl Plan {
    /// Reads a plan, and checks what can be checked without a model.
    pub fn read(source: &Arc<Source>) -> Result<Plan, Diagnostic> {
        let mut plan: Plan = toml::from_str(&source.text).map_err(|e| wrong_toml(source, &e))?;
        plan.source = Some(source.clone());
        plan.check()?;
        Ok(plan)
    }
    /// A diagnostic at a range of the plan's text.
    pub fn wrong(&self, at: Range<usize>, message: impl Into<String>) -> Diagnostic {
        let diagnostic = Diagnostic::new(message);
        match &self.source {
            Some(source) => diagnostic.at(Place::Text(source.clone(), Span::new(at.start, at.end))),
            None => diagnostic,
        }
    }
    /// The criterion.
    pub fn magnitude(&self) -> Magnitude {
        Magnitude {
            p: *self.select.p.get_ref(),
            reduce: self.select.reduce,
            normalize: self.select.normalize,
        }
    }
    /// What remains of an axis is a multiple of this.
    pub fn round_to(&self) -> usize {
        let round_to = self.select.round_to.get_ref().as_integer();
        round_to
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(1)
            .max(1)
    }

    /// How many multiply-accumulates verification may spend.
    pub fn budget(&self) -> Option<u64> {
        amount(self.verify.budget.as_ref()?.get_ref())
    }

    fn check(&self) -> Result<(), Diagnostic> {
        let (target, select) = (&self.target, &self.select);
        let share = |value: &Spanned<f64>, what: &str, whole: bool| {
            let n = *value.get_ref();
            match (0.0..=1.0).contains(&n) && (whole || n < 1.0) {
                true => Ok(()),
                false => Err(self
                    .wrong(value.span(), format!("`{what}` is {n}, and not a share"))
                    .help(match whole {
                        true => "it is at least 0 and at most 1",
                        false => "it is at least 0 and less than 1: half of everything is 0.5",
                    })),
            }
        };
        if let Some(ratio) = &target.ratio {
            share(ratio, "ratio", false)?;
        }
        share(&select.max_ratio, "max_ratio", true)?;
        let budgets = [
            ("macs", &target.macs),
            ("params", &target.params),
            ("memory", &target.memory),
            ("latency", &target.latency),
        ];
        for (name, budget) in budgets {
            if let Some(budget) = budget {
                let message = format!("a target of `{name}` is not supported yet");
                return Err(self.wrong(budget.span(), message).help("`ratio` is"));
            }
        }
        let criterion = select.criterion.get_ref();
        if criterion != "magnitude" {
            const PLANNED: [&str; 9] = [
                "magnitude",
                "bn_scale",
                "lamp",
                "fpgm",
                "taylor",
                "hessian",
                "activation",
                "random",
                "file",
            ];
            let span = select.criterion.span();
            if PLANNED.contains(&&criterion[..]) {
                let message = format!("the criterion `{criterion}` is not supported yet");
                return Err(self.wrong(span, message).help("`magnitude` is"));
            }
            let wrong = self.wrong(span, format!("there is no criterion `{criterion}`"));
            return Err(wrong.help(match nearest(criterion, PLANNED) {
                Some(near) => format!("do you mean `{near}`?"),
                None => "`magnitude` is one".into(),
            }));
        }
        let p = *select.p.get_ref();
        if !(p > 0.0 && p.is_finite()) {
            return Err(self.wrong(
                select.p.span(),
                format!("`p` is {p}, and not a power above 0"),
            ));
        }
        let round_to = &select.round_to;
        match round_to.get_ref() {
            toml::Value::Integer(n) if (1..=1 << 20).contains(n) => {}
            toml::Value::String(text) if text == "auto" => {
                let message = "`round_to = \"auto\"` is not supported yet";
                return Err(self.wrong(round_to.span(), message).help("a number is"));
            }
            other => {
                let message = format!("`round_to` is {other}, and not a number from 1 on");
                return Err(self.wrong(round_to.span(), message));
            }
        }
        if *select.min_keep.get_ref() < 1 {
            return Err(self.wrong(select.min_keep.span(), "`min_keep` is at least 1"));
        }
        if *select.steps.get_ref() != 1 {
            let message = "pruning in several steps is not supported yet";
            return Err(self.wrong(select.steps.span(), message));
        }
        if let Some(profile) = &self.constraints.profile
            && profile.get_ref() != "free"
        {
            let message = format!("the profile `{}` is not supported yet", profile.get_ref());
            return Err(self.wrong(profile.span(), message).help("`free` is"));
        }
        if let Some(equal) = &self.constraints.equal {
            let message = "`equal` is not supported yet";
            return Err(self.wrong(equal.span(), message));
        }
        for by_hand in &self.prune {
            match (&by_hand.ratio, &by_hand.remove) {
                (Some(ratio), None) => share(ratio, "ratio", false)?,
                (None, Some(_)) => {}
                (Some(both), Some(_)) => {
                    let message = "both a `ratio` and positions to `remove`";
                    return Err(self.wrong(both.span(), message).help("state one of them"));
                }
                (None, None) => {
                    let message = "neither a `ratio` nor positions to `remove`";
                    return Err(self.wrong(by_hand.pattern.span(), message));
                }
            }
        }
        if let Some(tolerance) = &self.verify.tolerance
            && !(*tolerance.get_ref() > 0.0 && *tolerance.get_ref() <= 1.0)
        {
            let message = format!(
                "`tolerance` is {}, and not above 0 and at most 1",
                tolerance.get_ref()
            );
            return Err(self.wrong(tolerance.span(), message));
        }
        if let Some(budget) = &self.verify.budget
            && self.budget().is_none()
        {
            let message = format!(
                "`budget` is {}, and not a number of multiply-accumulates from 1 on",
                budget.get_ref()
            );
            let help = "it is written as `20e9` or `\"20 G\"`";
            return Err(self.wrong(budget.span(), message).help(help));
        }
        for (name, bound) in &self.verify.extents {
            let all = bound.get_ref();
            if !(1..=2).contains(&all.len()) || all.iter().any(|n| *n < 1) {
                let message = format!("`{name}` is not bound to one or two extents from 1 on");
                let help = "there are two runs, and nothing is compared where an extent is 0";
                return Err(self.wrong(bound.span(), message).help(help));
            }
        }
        Ok(())
    }
}

/// A number from 1 on, or one before `k`, `M`, `G` or `T`.
fn amount(value: &toml::Value) -> Option<u64> {
    let number = match value {
        toml::Value::Integer(n) => *n as f64,
        toml::Value::Float(x) => *x,
        toml::Value::String(text) => {
            let text = text.trim();
            let unit = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e');
            let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
            let unit = match unit {
                "" => 1.0,
                "k" => 1e3,
                "M" => 1e6,
                "G" => 1e9,
                "T" => 1e12,
                _ => return None,
            };
            number.trim().parse::<f64>().ok()? * unit
        }
        _ => return None,
    };
    (1.0..=1e18).contains(&number).then_some(number as u64)
}

/// What the TOML reader says, in our words, with the nearest name where one is unknown.
pub(super) fn wrong_toml(source: &Arc<Source>, error: &toml::de::Error) -> Diagnostic {
    let message = error.message().trim().to_string();
    let span = error.span().unwrap_or(0..0);
    let place = Place::Text(source.clone(), Span::new(span.start, span.end));
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    match (&names[..], unknown) {
        ([name, expected @ ..], true) => {
            let what = match message.starts_with("unknown field") {
                true => "key",
                false => "choice",
            };
            let diagnostic = Diagnostic::new(format!("unknown {what} `{name}`")).at(place);
            diagnostic.help(match nearest(name, expected.iter().copied()) {
                Some(near) => format!("do you mean `{near}`?"),
                None => format!("known here: {}", expected.join(", ")),
            })
        }
        _ => Diagnostic::new(plain(&message)).at(place),
    }
}

/// The reader's names of types and keys, in a user's words.
fn plain(message: &str) -> String {
    let words = [
        ("missing field", "missing key"),
        ("expected f64", "expected a number"),
        ("expected i64", "expected a whole number"),
        ("expected u64", "expected a whole number from 0 on"),
        ("expected a sequence", "expected a list"),
    ];
    let message = message.to_string();
    words
        .iter()
        .fold(message, |text, (from, to)| text.replace(from, to))
}
