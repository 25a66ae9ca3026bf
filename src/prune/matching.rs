//! What the globs of a plan mean: params, values, dims and module paths.
use super::groups::{Groups, stated};
use super::inputs;
use super::plan::Plan;
use crate::diag::{Diagnostic, nearest};
use crate::dims::{Cause, Dim, Reason};
use crate::ir::{Facts, Module, ValueId, atom_names, display_names, module_path};
use globset::GlobBuilder;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Everything that a glob can name, with the axes it stands for.
struct Named {
    /// Values (params among them) by every name they go by.
    values: Vec<(String, ValueId)>,
    /// Values by the path of the module that has them.
    paths: Vec<(String, ValueId)>,
    /// Atoms by name.
    atoms: Vec<(Arc<str>, Dim)>,
}

impl Named {
    fn new(
        module: &Module,
        names: &HashMap<Dim, Arc<str>>,
        shown: &HashMap<ValueId, String>,
    ) -> Named {
        let mut values = vec![];
        for (i, value) in module.values.iter().enumerate() {
            let v = ValueId(i as u32);
            values.push((value.name.to_string(), v));
            if let Some(shown) = shown.get(&v).filter(|s| **s != *value.name) {
                values.push((shown.clone(), v));
            }
        }
        let mut paths = vec![];
        for node in &module.nodes {
            // A module is its params, what its operations give, and the modules in it.
            let Some(path) = module_path(node.name.as_deref(), &node.meta) else {
                continue;
            };
            let tensors = node.operands.iter().flatten();
            let tensors = tensors.filter(|v| module.value(**v).tensor().is_some());
            for v in tensors.chain(node.results.iter().flatten()) {
                paths.push((path.clone(), *v));
            }
        }
        let mut atoms: Vec<_> = names.iter().map(|(d, n)| (n.clone(), *d)).collect();
        atoms.sort();
        Named {
            values,
            paths,
            atoms,
        }
    }
    /// The axes that a pattern (`glob` or `glob:axis`) means.
    ///
    /// For positions it must be clear of which axis they are: `free` says which atoms can lose some, a dim comes before
    /// a param of its name, and of a param with several such axes one must be named.
    fn axes(
        &self,
        facts: &Facts,
        plan: &Plan,
        pattern: &str,
        at: Range<usize>,
        free: Option<&BTreeSet<Dim>>,
    ) -> Result<Vec<Dim>, Diagnostic> {
        let (glob, axis) = match pattern.rsplit_once(':') {
            Some((glob, axis)) if !axis.is_empty() && axis.bytes().all(|c| c.is_ascii_digit()) => {
                (glob, axis.parse::<usize>().ok())
            }
            _ => (pattern, None),
        };
        let matcher = GlobBuilder::new(glob)
            .build()
            .map_err(|e| plan.wrong(at.clone(), format!("`{glob}` is no glob: {}", e.kind())))?
            .compile_matcher();
        let mut axes: BTreeSet<Dim> = BTreeSet::new();
        let mut found = false;
        let mut rank = None;
        let is_free = |d: &Dim| {
            let atoms = facts.dims.term(*d).atoms();
            free.is_some_and(|free| atoms.iter().any(|a| free.contains(a)))
        };
        let is_dim = self.atoms.iter().any(|(name, _)| matcher.is_match(&**name));
        if axis.is_none() && free.is_some() && is_dim {
            let meant = self.atoms.iter().filter(|(n, _)| matcher.is_match(&**n));
            return Ok(meant.map(|(_, atom)| *atom).collect());
        }
        let own = self.values.iter();
        let own = own.filter(|(name, _)| matcher.is_match(name));
        let inside = self.paths.iter();
        let inside = inside.filter(|(path, _)| outwards(path).any(|path| matcher.is_match(path)));
        for (name, v) in own.chain(inside) {
            found = true;
            let own = facts.axes(*v).unwrap_or_default();
            match axis {
                None => {
                    let can: Vec<usize> = (0..own.len()).filter(|i| is_free(&own[*i])).collect();
                    if let [first, _, ..] = can[..] {
                        let message = format!("`{name}` can lose positions of several axes");
                        let help = format!("name one: `{name}:{first}`");
                        return Err(plan.wrong(at, message).help(help));
                    }
                    axes.extend(own);
                }
                Some(axis) => match own.get(axis) {
                    Some(d) => drop(axes.insert(*d)),
                    None => rank = rank.or(Some((name.clone(), own.len()))),
                },
            }
        }
        let named = self
            .atoms
            .iter()
            .filter(|(name, _)| matcher.is_match(&**name));
        if axis.is_none() {
            for (_, atom) in named {
                found = true;
                axes.insert(*atom);
            }
        }
        if let (true, Some((name, rank))) = (axes.is_empty(), rank) {
            let axes = if rank == 1 { "axis" } else { "axes" };
            let message = format!("`{name}` has {rank} {axes}, counted from 0");
            return Err(plan.wrong(at, message));
        }
        if !found {
            let all = self.values.iter().map(|(name, _)| &**name);
            let all = all.chain(self.paths.iter().flat_map(|(path, _)| outwards(path)));
            let all = all.chain(self.atoms.iter().map(|(name, _)| &**name));
            let wrong = plan.wrong(at, format!("nothing is called `{glob}`"));
            return Err(match nearest(glob, all) {
                Some(near) => wrong.help(format!("do you mean `{near}`?")),
                None => wrong.help("`tpc groups` lists what can be named"),
            });
        }
        Ok(axes.into_iter().collect())
    }
}

/// A module path, and those of the modules that it is in.
fn outwards(path: &str) -> impl Iterator<Item = &str> {
    let outer = path.rmatch_indices('.').map(|(at, _)| &path[..at]);
    std::iter::once(path).chain(outer)
}

/// Freezes what the plan protects, and checks that what it binds for verification is there.
pub fn protect(module: &Module, facts: &mut Facts, plan: &Plan) -> Result<(), Diagnostic> {
    let (symbols, _) = inputs::symbols(module, facts);
    for (name, bound) in &plan.verify.extents {
        if !symbols.contains(&**name) {
            let message = format!("no input has an extent `{name}`");
            let wrong = plan.wrong(bound.span(), message);
            return Err(match nearest(name, symbols.iter().map(|s| &**s)) {
                Some(near) => wrong.help(format!("do you mean `{near}`?")),
                None => wrong,
            });
        }
    }
    if plan.protect.freeze.is_empty() {
        return Ok(());
    }
    let named = Named::new(module, &atom_names(module, facts), &display_names(module));
    let cause = Cause((module.nodes.len() + module.values.len()) as u32);
    for glob in &plan.protect.freeze {
        let axes = named.axes(facts, plan, glob.get_ref(), glob.span(), None)?;
        for d in axes {
            facts.dims.freeze(d, Reason::Plan, cause);
        }
    }
    facts.dims.solve().map_err(|e| module.conflict(&e))
}

/// The axes that each `[[prune]]` means, in the order of the plan; each holds something that is free.
pub fn by_hand(
    module: &Module,
    facts: &Facts,
    groups: &Groups,
    plan: &Plan,
) -> Result<Vec<Vec<Dim>>, Diagnostic> {
    if plan.prune.is_empty() {
        return Ok(vec![]);
    }
    let names = groups.groups.iter().map(|g| (g.atom, g.name.clone()));
    let named = Named::new(module, &names.collect(), &groups.shown);
    let free: BTreeSet<Dim> = groups.groups.iter().map(|g| g.atom).collect();
    let mut all = vec![];
    for by_hand in &plan.prune {
        let (pattern, at) = (by_hand.pattern.get_ref(), by_hand.pattern.span());
        let positions = by_hand.remove.as_ref().map(|_| &free);
        let axes = named.axes(facts, plan, pattern, at.clone(), positions)?;
        let is_free = |d: &&Dim| {
            facts
                .dims
                .term(**d)
                .atoms()
                .iter()
                .any(|a| free.contains(a))
        };
        let axes_free: Vec<Dim> = axes.iter().filter(is_free).copied().collect();
        if axes_free.is_empty() {
            let wrong = plan.wrong(at, format!("all of `{pattern}` is frozen"));
            let why = axes.iter().find_map(|d| facts.dims.explain_frozen(*d));
            return Err(match why {
                Some((_, reason, cause)) => {
                    wrong.help(match stated(module, cause, &module.lines()) {
                        by if by.is_empty() => format!("the reason is: {reason}"),
                        by => format!("the reason is: {reason}, by {by}"),
                    })
                }
                None => wrong,
            });
        }
        all.push(axes_free);
    }
    Ok(all)
}
