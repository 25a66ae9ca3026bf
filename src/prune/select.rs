//! Selection: how many positions of each group stay, and which.
use super::criteria::Sums;
use super::groups::{Class, Group, Groups};
use super::keep::{Keep, Kept};
use super::plan::{Plan, Scope};
use super::{matching, pairs, ragged};
use crate::diag::Diagnostic;
use crate::dims::{Dim, Term, gcd};
use crate::ir::{Def, Facts, Module, ValueId};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What was decided for one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The atom.
    pub atom: Dim,
    /// What stays.
    pub kept: Kept,
    /// What decided it, in words.
    pub why: String,
    /// The least score that stays, where scores decided.
    pub cut: Option<f64>,
}

/// What is removed.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The kept positions.
    pub keep: Keep,
    /// Groups that lose positions, in the order of the groups.
    pub chosen: Vec<Chosen>,
    /// Groups that a ratio was meant for and that stay whole, with the reason.
    pub whole: Vec<(Dim, String)>,
}

/// What the plan asks of one group by hand.
enum Asked {
    Ratio(f64),
    Positions(BTreeSet<usize>),
}

/// Chooses what a plan removes.
///
/// Counts and choices are Torch-Pruning's: `(n as f64 * (1 - ratio)) as usize` positions stay, those of the lowest
/// scores go; in a global scope everything up to a common score goes; and a group that would be emptied stays whole.
pub fn select(
    module: &Module,
    facts: &Facts,
    groups: &Groups,
    plan: &Plan,
) -> Result<Choice, Diagnostic> {
    let asked = asked(module, facts, groups, plan)?;
    let ratio = plan.target.ratio.as_ref().map_or(0.0, |r| *r.get_ref());
    // Tables of indices and masks weigh nothing: what nobody reads of them costs nothing.
    let weighs = |g: &Group| {
        let mut values = g.axes.iter().map(|a| module.value(a.value));
        values.any(|value| matches!(value.def, Def::Param(_)))
    };
    let stays = |g: &Group| match g.class {
        Class::Branch if !plan.select.branches => {
            Some("it goes into an `if` (`branches = true` prunes it)")
        }
        Class::Count if !plan.select.counts => Some("a count (`counts = true` prunes it)"),
        _ if !weighs(g) => Some("no param has it"),
        _ => None,
    };
    let weighed = |g: &&Group| ratio > 0.0 && !g.axes.is_empty() && !asked.contains_key(&g.atom);
    let (by_ratio, staying): (Vec<&Group>, Vec<&Group>) =
        (groups.groups.iter().filter(weighed)).partition(|g| stays(g).is_none());
    let by_hand = groups.groups.iter().filter(|g| asked.contains_key(&g.atom));
    let by_hand: Vec<&Group> = by_hand.collect();
    let scored: Vec<&Group> = by_ratio.iter().chain(&by_hand).copied().collect();
    let magnitude = plan.magnitude();
    let sums = Sums::new(module, &scored, magnitude.p);
    let selection = Selection {
        facts,
        plan,
        steps: steps(module, facts, plan.round_to()),
    };
    let mut decided: HashMap<Dim, Result<Chosen, String>> = HashMap::new();
    let scores: Vec<Vec<f64>> = by_ratio
        .iter()
        .map(|g| sums.scores(facts, g, magnitude))
        .collect();
    let threshold = match plan.select.scope {
        Scope::Local => None,
        Scope::Global => {
            let mut all: Vec<f64> = scores.iter().flatten().copied().collect();
            let go = all.len() - kept_of(all.len(), ratio);
            all.sort_by(f64::total_cmp);
            Some(go.checked_sub(1).and_then(|last| all.get(last)).copied())
        }
    };
    for (group, scores) in by_ratio.iter().zip(&scores) {
        let go = match threshold {
            None => scores.len() - kept_of(scores.len(), ratio),
            Some(None) => 0,
            Some(Some(threshold)) => scores.iter().filter(|s| **s <= threshold).count(),
        };
        let why = format!("ratio {ratio}");
        decided.insert(group.atom, selection.lowest(group, scores, go, why));
    }
    for group in by_hand {
        let chosen = match &asked[&group.atom] {
            Asked::Ratio(ratio) => {
                let scores = sums.scores(facts, group, magnitude);
                let go = scores.len() - kept_of(scores.len(), *ratio);
                selection.lowest(group, &scores, go, format!("ratio {ratio}, by hand"))
            }
            Asked::Positions(gone) => Ok(Chosen {
                atom: group.atom,
                kept: Kept::Same((0..group.extent).filter(|i| !gone.contains(i)).collect()),
                why: "by hand".into(),
                cut: None,
            }),
        };
        decided.insert(group.atom, chosen);
    }
    for group in staying {
        let why = stays(group).unwrap_or_default();
        decided.insert(group.atom, Err(why.into()));
    }
    let ragged = match plan.select.ragged {
        true => ragged::ragged(module, facts, groups),
        false => ragged::Ragged::default(),
    };
    let mut choice = Choice::default();
    for group in &groups.groups {
        match decided.remove(&group.atom) {
            Some(Ok(mut chosen)) if chosen.kept.count() < group.extent => {
                let by_score = !matches!(asked.get(&group.atom), Some(Asked::Positions(_)));
                if let Some(by) = ragged.by.get(&group.atom).filter(|_| by_score) {
                    let scores = pairs::scores(module, facts, group, *by, magnitude);
                    let stay = chosen.kept.count();
                    let (rows, cut) = pairs::highest(*by, &scores, stay);
                    let by = groups.groups.iter().find(|g| g.atom == *by);
                    let by = by.map(|g| format!("`{}`", g.name));
                    let by = by.unwrap_or_else(|| format!("{} rows", rows.kept.len()));
                    chosen.why += &format!(", ragged by {by}");
                    (chosen.kept, chosen.cut) = (Kept::Rows(rows), cut);
                } else if let Some(why) = ragged.uniform.get(&group.atom).filter(|_| by_score) {
                    chosen.why += &format!(", not ragged: {why}");
                }
                choice.keep.put(group.atom, chosen.kept.clone());
                choice.chosen.push(chosen);
            }
            Some(Err(why)) => choice.whole.push((group.atom, why)),
            Some(Ok(_)) | None => {}
        }
    }
    Ok(choice)
}

/// How many of `n` stay, as Torch-Pruning computes it.
fn kept_of(n: usize, ratio: f64) -> usize {
    (n as f64 * (1.0 - ratio)) as usize
}

struct Selection<'a> {
    facts: &'a Facts,
    plan: &'a Plan,
    /// What the number of positions that stay is a multiple of, per atom.
    steps: HashMap<Dim, usize>,
}

impl Selection<'_> {
    /// Removes the `go` positions of the lowest scores, or fewer where a limit says so.
    fn lowest(
        &self,
        group: &Group,
        scores: &[f64],
        go: usize,
        why: String,
    ) -> Result<Chosen, String> {
        let n = scores.len();
        let most = *self.plan.select.max_ratio.get_ref();
        let least = usize::try_from(*self.plan.select.min_keep.get_ref()).unwrap_or(n);
        let mut stay = n - go;
        if go > 0 {
            stay = stay.max(kept_of(n, most).max(n - (n as f64 * most).floor() as usize));
            let step = self.steps.get(&group.atom).copied().unwrap_or(1);
            if (1..step).contains(&stay) {
                return Err(format!(
                    "{stay} of {n} would stay, and `round_to` makes steps of {step}"
                ));
            }
            stay -= stay % step;
            if stay == 0 {
                return Err(format!("all of {n} positions would go"));
            }
            if stay < least {
                stay = least.div_ceil(step) * step;
            }
            stay = stay.min(n);
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let mut kept = order.split_off(n - stay);
        let cut = kept.first().map(|i| scores[*i]);
        kept.sort();
        debug_assert_eq!(self.facts.dims.size(&Term::Atom(group.atom)), n);
        Ok(Chosen {
            atom: group.atom,
            kept: Kept::Same(kept),
            why,
            cut,
        })
    }
}

/// What each `[[prune]]` asks of the atoms it names.
fn asked(
    module: &Module,
    facts: &Facts,
    groups: &Groups,
    plan: &Plan,
) -> Result<HashMap<Dim, Asked>, Diagnostic> {
    let extents: HashMap<Dim, usize> = groups.groups.iter().map(|g| (g.atom, g.extent)).collect();
    let mut asked: HashMap<Dim, Asked> = HashMap::new();
    let meant = matching::by_hand(module, facts, groups, plan)?;
    for (by_hand, axes) in plan.prune.iter().zip(meant) {
        if let Some(ratio) = &by_hand.ratio {
            let atoms = axes.iter().flat_map(|d| facts.dims.term(*d).atoms());
            for atom in atoms.filter(|a| extents.contains_key(a)) {
                asked.insert(atom, Asked::Ratio(*ratio.get_ref()));
            }
        }
        let Some(remove) = &by_hand.remove else {
            continue;
        };
        let wrong = |message: String| plan.wrong(remove.span(), message);
        for d in axes {
            let needs = facts.dims.needs(d);
            let mut seen = HashSet::new();
            for i in remove.get_ref() {
                let need = usize::try_from(*i).ok().and_then(|i| needs.get(i));
                let need = need.ok_or_else(|| {
                    wrong(format!(
                        "position {i} is out of range: the axis has {}, counted from 0",
                        needs.len()
                    ))
                })?;
                if !seen.insert(*i) {
                    return Err(wrong(format!("position {i} is there twice")));
                }
                let free: Vec<_> = need
                    .iter()
                    .filter(|(a, _)| extents.contains_key(a))
                    .collect();
                let [(atom, position)] = free[..] else {
                    let message = match free.is_empty() {
                        true => format!("position {i} is frozen"),
                        false => format!("position {i} belongs to several dims"),
                    };
                    return Err(
                        wrong(message).help("name the dim instead (`tpc groups` lists them)")
                    );
                };
                let known = asked
                    .entry(*atom)
                    .or_insert(Asked::Positions(BTreeSet::new()));
                if let Asked::Ratio(_) = known {
                    *known = Asked::Positions(BTreeSet::new());
                }
                if let Asked::Positions(gone) = known {
                    gone.insert(*position);
                    if gone.len() == extents[atom] {
                        return Err(wrong("all positions would go".into()));
                    }
                }
            }
        }
    }
    Ok(asked)
}

/// What the number of positions of each atom is a multiple of, so that every axis of a param or value in which it is a
/// factor is a multiple of `round_to`.
fn steps(module: &Module, facts: &Facts, round_to: usize) -> HashMap<Dim, usize> {
    let mut steps = HashMap::new();
    if round_to == 1 {
        return steps;
    }
    let mut seen = HashSet::new();
    for i in 0..module.values.len() {
        for d in facts.axes(ValueId(i as u32)).unwrap_or_default() {
            let class = facts.dims.find(*d);
            if seen.insert(class) {
                step(facts, &facts.dims.term(class), round_to, &mut steps);
            }
        }
    }
    steps
}

/// The steps that one term asks for: parts of a sum are rounded each.
fn step(facts: &Facts, term: &Term, round_to: usize, steps: &mut HashMap<Dim, usize>) {
    match term {
        Term::Atom(atom) => raise(steps, *atom, round_to),
        Term::Sum(parts) => parts.iter().for_each(|p| step(facts, p, round_to, steps)),
        Term::Product(factors) => {
            for (i, factor) in factors.iter().enumerate() {
                let others = factors.iter().enumerate().filter(|(j, _)| *j != i);
                let others: usize = others.map(|(_, f)| facts.dims.size(f)).product();
                let own = round_to / gcd(round_to, others.max(1));
                step(facts, factor, own, steps);
            }
        }
    }
}

fn raise(steps: &mut HashMap<Dim, usize>, atom: Dim, to: usize) {
    let step = steps.entry(atom).or_insert(1);
    *step = *step / gcd(*step, to) * to;
}
