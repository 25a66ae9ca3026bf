//! Why axes are coupled, and why one is frozen.
use super::Failure;
use crate::diag::{Diagnostic, nearest};
use crate::dims::{Dim, Step};
use crate::ir::{Facts, Module, ValueId, atom_names, dim_expr, display_names};
use crate::prune::stated;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// An axis that can be asked about: what it is called, and its dim.
struct Axis {
    name: String,
    dim: Dim,
}

/// Why two axes are coupled, or what one is coupled with and why it is frozen.
pub fn explain(
    module: &Module,
    facts: &Facts,
    a: &str,
    b: Option<&str>,
) -> Result<String, Failure> {
    let explanation = Explanation {
        module,
        facts,
        shown: display_names(module),
        names: atom_names(module, facts),
    };
    let a = explanation.find(a)?;
    match b {
        Some(b) => explanation.both(&a, &explanation.find(b)?),
        None => Ok(explanation.one(&a)),
    }
}

struct Explanation<'m> {
    module: &'m Module,
    facts: &'m Facts,
    shown: HashMap<ValueId, String>,
    names: HashMap<Dim, Arc<str>>,
}

impl Explanation<'_> {
    fn name(&self, v: ValueId) -> &str {
        let own = &self.module.value(v).name;
        self.shown.get(&v).map_or(own, |s| s)
    }
    fn find(&self, asked: &str) -> Result<Axis, Failure> {
        let named = |name: &str| {
            let mut all = (0..self.module.values.len()).map(|i| ValueId(i as u32));
            all.find(|v| self.name(*v) == name || &*self.module.value(*v).name == name)
        };
        if let Some((name, axis)) = asked.rsplit_once(':')
            && let (Some(v), Ok(axis)) = (named(name), axis.parse::<usize>())
        {
            let axes = self.facts.axes(v).unwrap_or_default();
            let dim = axes.get(axis).copied().ok_or_else(|| {
                Diagnostic::new(format!("`{name}` has {} axes, counted from 0", axes.len()))
            })?;
            let name = asked.to_string();
            return Ok(Axis { name, dim });
        }
        let names = &self.names;
        let found = names.iter().find(|(_, n)| &***n == asked);
        let dim = found
            .map(|(d, _)| *d)
            .or_else(|| self.facts.names.get(asked).copied());
        if let Some(dim) = dim {
            let name = asked.to_string();
            return Ok(Axis { name, dim });
        }
        if let Some(v) = named(asked) {
            let axes = self.facts.axes(v).map_or(0, <[_]>::len);
            let help = format!("say which of its {axes} axes: `{asked}:0`");
            return Err(Diagnostic::new(format!("`{asked}` is no axis"))
                .help(help)
                .into());
        }
        let base = asked.rsplit_once(':').map_or(asked, |(base, _)| base);
        let all = (0..self.module.values.len()).map(|i| self.name(ValueId(i as u32)));
        let all = all.chain(names.values().map(|n| &**n));
        let unknown = Diagnostic::new(format!("nothing is called `{base}`"));
        Err(match nearest(base, all) {
            Some(near) => unknown.help(format!("do you mean `{near}`?")).into(),
            None => unknown.into(),
        })
    }
    /// A dim as a term.
    fn term(&self, d: Dim) -> String {
        dim_expr(self.facts, &self.names, d).to_string()
    }
    fn both(&self, a: &Axis, b: &Axis) -> Result<String, Failure> {
        let mut out = format!(
            "{} = {}\n{} = {}\n",
            a.name,
            self.term(a.dim),
            b.name,
            self.term(b.dim)
        );
        let shared = self.facts.dims.shared(a.dim, b.dim);
        if shared.is_empty() {
            out.push_str("they share nothing: positions of one can go without the other's\n");
        }
        for atom in shared {
            let extent = self.facts.dims.extent(atom);
            if extent.known() == Some(1) && self.facts.dims.frozen(atom).is_some() {
                continue;
            }
            let _ = writeln!(out, "both hold {} ({extent} positions):", self.term(atom));
            let steps = self.facts.dims.explain(a.dim, b.dim, atom);
            self.steps(&steps, &mut out);
        }
        Ok(out)
    }
    fn one(&self, a: &Axis) -> String {
        let mut out = format!("{} = {}\n", a.name, self.term(a.dim));
        match self.facts.dims.explain_frozen(a.dim) {
            Some((steps, reason, cause)) => {
                let by = stated(self.module, cause, &self.module.lines());
                let by = if by.is_empty() {
                    by
                } else {
                    format!(", by {by}")
                };
                let _ = writeln!(out, "frozen: {reason}{by}");
                if !steps.is_empty() {
                    out.push_str("it is tied to that by\n");
                    self.steps(&steps, &mut out);
                }
            }
            None => out.push_str("nothing in it is frozen\n"),
        }
        let atoms = self.facts.dims.term(a.dim).atoms();
        let free: Vec<Dim> = atoms
            .into_iter()
            .filter(|atom| self.facts.dims.frozen(*atom).is_none())
            .collect();
        for atom in free {
            let _ = writeln!(out, "{} is in", self.term(atom));
            for (v, _) in self.module.tensors() {
                for (axis, d) in self.facts.axes(v).unwrap_or_default().iter().enumerate() {
                    if self.facts.dims.term(*d).atoms().contains(&atom) {
                        let _ = writeln!(out, "  {}:{axis} = {}", self.name(v), self.term(*d));
                    }
                }
            }
        }
        out
    }
    fn steps(&self, steps: &[Step], out: &mut String) {
        let lines = self.module.lines();
        for step in steps {
            let stated = self.module.describe(step.cause, &lines);
            let _ = writeln!(out, "  {stated}: {}", self.term(step.to));
        }
    }
}
