//! Annotation: terms over named dims written where numbers stood, in types and in attributes that are extents.
use super::{Def, DimDef, Facts, Module, Type, ValueId};
use crate::dims::{Dim, Term};
use crate::ops::{Attr, Expr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The names of all free atoms: what the text calls them, else after the first param axis they fill, else that axis
/// with a number. They depend on the program text alone.
pub fn atom_names(module: &Module, facts: &Facts) -> HashMap<Dim, Arc<str>> {
    let mut names = Names {
        facts,
        names: HashMap::new(),
        taken: module.dims.keys().cloned().collect(),
    };
    for (name, def) in &module.dims {
        if !matches!(def, DimDef::Term(_))
            && let Term::Atom(atom) = facts.dims.term(facts.names[name])
            && is_free(facts, atom)
        {
            names.names.entry(atom).or_insert_with(|| name.clone());
        }
    }
    let order = values_in_order(module);
    let shown = super::display_names(module);
    // Whole axes first, then parts; params before other values.
    for params in [true, false] {
        for whole in [true, false] {
            for v in &order {
                let value = module.value(*v);
                if value.tensor().is_some() != params {
                    continue;
                }
                let base = base_name(shown.get(v).map_or(&*value.name, |s| s));
                for d in facts.axes(*v).unwrap_or_default() {
                    let term = facts.dims.term(*d);
                    match (&term, whole) {
                        (Term::Atom(atom), true) => names.give(*atom, &base),
                        (Term::Atom(_), false) => {}
                        (_, true) => {}
                        (_, false) => {
                            atoms_of(&term)
                                .into_iter()
                                .for_each(|atom| names.give(atom, &format!("{base}.0")));
                        }
                    }
                }
            }
        }
    }
    names.names
}

/// Params and constants where they are first used, results where they are made, in program order.
fn values_in_order(module: &Module) -> Vec<ValueId> {
    let mut seen = HashSet::new();
    let mut order = vec![];
    for node in &module.nodes {
        for v in node.operands.iter().chain(&node.results).flatten() {
            if seen.insert(*v) {
                order.push(*v);
            }
        }
    }
    // What nothing uses has a type all the same.
    order.extend(
        (0..module.values.len() as u32)
            .map(ValueId)
            .filter(|v| !seen.contains(v)),
    );
    order
}

/// A param's name without what every weight's name ends in.
fn base_name(name: &str) -> String {
    name.strip_suffix(".weight")
        .or_else(|| name.strip_suffix(".bias"))
        .unwrap_or(name)
        .to_string()
}

fn is_free(facts: &Facts, atom: Dim) -> bool {
    facts.dims.frozen(atom).is_none()
}

/// The atoms of a term, left to right.
pub(super) fn atoms_of(term: &Term) -> Vec<Dim> {
    match term {
        Term::Atom(atom) => vec![*atom],
        Term::Sum(parts) | Term::Product(parts) => parts.iter().flat_map(atoms_of).collect(),
    }
}

struct Names<'a> {
    facts: &'a Facts,
    names: HashMap<Dim, Arc<str>>,
    taken: HashSet<Arc<str>>,
}

impl Names<'_> {
    fn give(&mut self, atom: Dim, base: &str) {
        if self.names.contains_key(&atom) || !is_free(self.facts, atom) {
            return;
        }
        let name = free_name(base, &self.taken);
        self.taken.insert(name.clone());
        self.names.insert(atom, name);
    }
}

/// `base`, or the first of `base.1`, `base.2`, ... that is not taken (a number at the end is counted up).
fn free_name(base: &str, taken: &HashSet<Arc<str>>) -> Arc<str> {
    let (stem, first) = match base
        .rsplit_once('.')
        .and_then(|(s, n)| Some((s, n.parse::<usize>().ok()?)))
    {
        Some((stem, n)) if !taken.contains(base) || base.ends_with(".0") => (stem, n),
        _ => (base, 0),
    };
    let candidate = |n: usize| -> Arc<str> {
        if n == 0 && stem == base {
            base.into()
        } else {
            format!("{stem}.{n}").into()
        }
    };
    (first..)
        .map(candidate)
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| base.into())
}

/// The expression of a dim: free atoms by name, frozen ones by number, run-time extents as they are.
pub fn dim_expr(facts: &Facts, names: &HashMap<Dim, Arc<str>>, d: Dim) -> Expr {
    expr(facts, names, d, &facts.dims.term(d))
}

fn expr(facts: &Facts, names: &HashMap<Dim, Arc<str>>, d: Dim, term: &Term) -> Expr {
    if !atoms_of(term).iter().any(|a| names.contains_key(a)) {
        return number(facts.dims.extent(d));
    }
    of_term(facts, names, term)
}

fn number(extent: &crate::tensor::Extent) -> Expr {
    extent.known().map_or_else(|| runtime(extent), Expr::Num)
}

fn runtime(extent: &crate::tensor::Extent) -> Expr {
    let text = extent.to_string();
    if extent
        .symbols()
        .iter()
        .any(|s| crate::ops::quoted(s) == text)
        && extent.symbols().len() == 1
    {
        return extent
            .symbols()
            .into_iter()
            .next()
            .map_or(Expr::Num(0), Expr::Name);
    }
    Expr::Extent(extent.clone())
}

fn of_term(facts: &Facts, names: &HashMap<Dim, Arc<str>>, term: &Term) -> Expr {
    match term {
        Term::Atom(atom) => match names.get(atom) {
            Some(name) => Expr::Name(name.clone()),
            None => number(facts.dims.extent(*atom)),
        },
        Term::Sum(parts) => merge_numbers(parts.iter().map(|p| of_term(facts, names, p)).collect()),
        Term::Product(parts) => {
            // Frozen factors beside each other are one number.
            let mut factors: Vec<Expr> = vec![];
            for part in parts {
                match (factors.last_mut(), of_term(facts, names, part)) {
                    (Some(Expr::Num(a)), Expr::Num(b)) => *a *= b,
                    (_, factor) => factors.push(factor),
                }
            }
            Expr::product(factors)
        }
    }
}

/// A sum whose frozen parts beside each other are one number.
fn merge_numbers(parts: Vec<Expr>) -> Expr {
    let mut merged: Vec<Expr> = vec![];
    for part in parts {
        match (merged.last_mut(), part) {
            (Some(Expr::Num(a)), Expr::Num(b)) => *a += b,
            (_, part) => merged.push(part),
        }
    }
    Expr::sum(merged)
}

/// The module with terms where numbers stood, and a table of dims to match.
///
/// Named are the atoms, and every term that is used twice or has more than three parts.
pub fn annotate(module: &Module, facts: &Facts) -> Module {
    let names = atom_names(module, facts);
    let mut out = module.clone();
    let mut axes: Vec<Option<Vec<Expr>>> = vec![None; module.values.len()];
    for (i, axes) in axes.iter_mut().enumerate() {
        *axes = facts
            .axes(ValueId(i as u32))
            .map(|all| all.iter().map(|d| dim_expr(facts, &names, *d)).collect());
    }
    let mut attrs: Vec<(usize, crate::ops::AttrDims, Expr)> = vec![];
    for (i, node) in facts.nodes.iter().enumerate() {
        for attr in &node.attrs {
            attrs.push((
                i,
                attr.clone(),
                merge_numbers(
                    attr.dims
                        .iter()
                        .map(|d| dim_expr(facts, &names, *d))
                        .collect(),
                ),
            ));
        }
    }
    // The table: run-time symbols, then atoms in order of first use, then terms.
    let order = values_in_order(module);
    let mut atoms: Vec<Arc<str>> = vec![];
    let mut seen = HashSet::new();
    let extent_of: HashMap<&Arc<str>, i64> = names
        .iter()
        .filter_map(|(atom, name)| Some((name, facts.dims.extent(*atom).known()?)))
        .collect();
    let mut visit = |expr: &Expr| {
        expr.names(&mut |name| {
            if extent_of.contains_key(name) && seen.insert(name.clone()) {
                atoms.push(name.clone());
            }
        });
    };
    for v in &order {
        axes[v.at()].iter().flatten().for_each(&mut visit);
    }
    attrs.iter().for_each(|(_, _, expr)| visit(expr));
    let terms = name_terms(module, facts, &order, &axes, &names);
    out.dims = module
        .dims
        .iter()
        .filter(|(_, d)| matches!(d, DimDef::Runtime))
        .map(|(n, d)| (n.clone(), d.clone()))
        .collect();
    for name in atoms {
        let extent = extent_of[&name];
        out.dims.insert(name, DimDef::Fixed(extent));
    }
    let named: HashMap<Expr, Expr> = terms
        .iter()
        .map(|(name, term)| (term.clone(), Expr::Name(name.clone())))
        .collect();
    for (i, (name, term)) in terms.iter().enumerate() {
        // A term is written over the terms before it where one is its beginning.
        let shorter = match term {
            Expr::Sum(parts) => terms[..i]
                .iter()
                .filter_map(|(n, t)| match t {
                    Expr::Sum(prefix)
                        if prefix.len() < parts.len() && parts.starts_with(prefix) =>
                    {
                        Some((prefix.len(), n))
                    }
                    _ => None,
                })
                .max()
                .map(|(len, n)| {
                    Expr::Sum([vec![Expr::Name(n.clone())], parts[len..].to_vec()].concat())
                }),
            _ => None,
        };
        out.dims.insert(
            name.clone(),
            DimDef::Term(shorter.unwrap_or_else(|| term.clone())),
        );
    }
    let short = |expr: Expr| named.get(&expr).cloned().unwrap_or(expr);
    for (i, axes) in axes.into_iter().enumerate() {
        let value = &mut out.values[i];
        let dtype = facts.values[i].dtype;
        let known = axes.is_some() || value.ty.is_some() || !matches!(value.def, Def::Input);
        if known {
            let own = |axis: usize| module.own_symbol(ValueId(i as u32), axis);
            let one = |(axis, expr): (usize, Expr)| match own(axis) {
                Some(symbol) => Expr::Name(symbol.clone()),
                None => short(expr),
            };
            let axes = axes.map(|all| all.into_iter().enumerate().map(one).collect());
            value.ty = Some(Type { dtype, axes });
        }
    }
    // Extents in attributes that are no dims are the numbers that they were.
    if let Ok(extents) = module.extents() {
        let value = |expr: &Expr| expr.extent(&|name| extents.get(name).cloned()).ok();
        for node in &mut out.nodes {
            node.attrs.each_expr(&mut |expr| {
                if let Some(value) = value(expr) {
                    *expr = number(&value);
                }
            });
        }
    }
    for (node, attr, expr) in attrs {
        let expr = Attr::Expr(short(expr));
        match (out.nodes[node].attrs.get_mut(attr.name), attr.index) {
            (Some(Attr::List(items)), Some(at)) if at < items.len() => items[at] = expr,
            (Some(_), Some(_)) | (None, _) => {}
            (Some(old), None) => *old = expr,
        }
    }
    for (v, ty) in &mut out.outputs {
        if let Some(ty) = ty {
            ty.axes = out.values[v.at()]
                .ty
                .as_ref()
                .and_then(|t| t.axes.clone())
                .or(ty.axes.take());
        }
    }
    out
}

/// Sums and products that get a name: those that the text names, those used as an axis of several values, and those
/// longer than three parts.
fn name_terms(
    module: &Module,
    facts: &Facts,
    order: &[ValueId],
    axes: &[Option<Vec<Expr>>],
    names: &HashMap<Dim, Arc<str>>,
) -> Vec<(Arc<str>, Expr)> {
    let mut uses: HashMap<&Expr, (usize, ValueId)> = HashMap::new();
    let mut found: Vec<&Expr> = vec![];
    for v in order {
        for expr in axes[v.at()].iter().flatten() {
            if matches!(expr, Expr::Sum(_) | Expr::Product(_)) {
                let entry = uses.entry(expr).or_insert_with(|| {
                    found.push(expr);
                    (0, *v)
                });
                entry.0 += 1;
            }
        }
    }
    let mut given: HashMap<Expr, Arc<str>> = HashMap::new();
    let mut taken: HashSet<Arc<str>> = names.values().cloned().collect();
    for (name, def) in &module.dims {
        match def {
            DimDef::Term(_) => {
                let term = dim_expr(facts, names, facts.names[name]);
                given.entry(term).or_insert_with(|| name.clone());
            }
            DimDef::Fixed(_) | DimDef::Runtime => drop(taken.insert(name.clone())),
        }
    }
    taken.extend(found.iter().filter_map(|e| given.get(*e).cloned()));
    let mut terms = vec![];
    for expr in found {
        let (count, v) = uses[expr];
        let long = matches!(expr, Expr::Sum(parts) | Expr::Product(parts) if parts.len() > 3);
        if let Some(name) = given.get(expr) {
            terms.push((name.clone(), expr.clone()));
        } else if count >= 2 || long {
            let base = base_name(&module.value(v).name);
            let base = match (crate::ops::quoted(&base) == base, expr) {
                (true, _) => base,
                (false, Expr::Sum(_)) => "sum".into(),
                (false, _) => "product".into(),
            };
            let name = free_name(&base, &taken);
            taken.insert(name.clone());
            terms.push((name, expr.clone()));
        }
    }
    terms
}
