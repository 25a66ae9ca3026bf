//! Runs modules by the reference, whole and with positions removed.
//!
//! `shrinks` removes random positions of every free atom from the params, evaluates both programs, and compares every
//! value at its kept positions: operators that only move elements are exact, so nothing needs to be masked.
use std::collections::HashMap;
use std::sync::Arc;
use tpc::diag::Source;
use tpc::dims::Dim;
use tpc::ir::{Def, DimDef, Facts, Module, NodeId, ValueId, annotate, atom_names, propagate};
use tpc::ops::{Attr, Attrs, Eval, Expr, Op};
use tpc::syntax::{Seeded, parse, print};
use tpc::tensor::{Extent, Tensor};

pub fn read(text: &str) -> Module {
    let source = Source {
        name: "test.tir".into(),
        text: format!("model \"test\"\n{text}\n"),
    };
    parse(&Arc::new(source), &Seeded::new(1)).unwrap_or_else(|e| panic!("{}", e.render()))
}

pub fn facts(module: &Module) -> Facts {
    propagate(module).unwrap_or_else(|e| panic!("{}\n{}", e.render(), print(module)))
}

/// Attributes with every expression a number.
fn numbers(attrs: &Attrs, extents: &HashMap<Arc<str>, Extent>) -> Attrs {
    fn number(attr: &Attr, extents: &HashMap<Arc<str>, Extent>) -> Attr {
        match attr {
            Attr::Expr(e) => {
                let extent = e.extent(&|name| extents.get(name).cloned()).unwrap();
                Attr::Expr(extent.known().map_or(Expr::Extent(extent), Expr::Num))
            }
            Attr::List(items) => Attr::List(items.iter().map(|i| number(i, extents)).collect()),
            other => other.clone(),
        }
    }
    attrs.iter().fold(Attrs::new(), |all, (name, attr)| {
        all.with(name, number(attr, extents))
    })
}

/// Every value of a module, run by the reference.
fn run(module: &Module, facts: &Facts) -> Vec<Tensor> {
    let extents = module.extents().unwrap();
    let mut values: Vec<Option<Tensor>> =
        module.values.iter().map(|v| v.tensor().cloned()).collect();
    for node in &module.nodes {
        let operands: Vec<Option<&Tensor>> = node
            .operands
            .iter()
            .map(|v| values[(*v)?.at()].as_ref())
            .collect();
        let results: Vec<_> = node
            .results
            .iter()
            .map(|v| {
                let shape = facts.shape(v.unwrap()).unwrap();
                let axes = shape.axes.iter().map(|e| e.known().unwrap() as usize);
                (shape.dtype, axes.collect())
            })
            .collect();
        let cx = Eval {
            attrs: &numbers(&node.attrs, &extents),
            operands: &operands,
            results: &results,
        };
        let made = node.op.operator().eval(&cx);
        let made = made.unwrap_or_else(|e| panic!("{}: {e}\n{}", node.op.name(), print(module)));
        for ((tensor, v), (dtype, shape)) in made.into_iter().zip(&node.results).zip(&results) {
            assert_eq!((tensor.dtype, &tensor.shape), (*dtype, shape));
            values[v.unwrap().at()] = Some(tensor);
        }
    }
    values.into_iter().map(Option::unwrap).collect()
}

/// The module with the atoms' other positions gone.
fn shrink(module: &Module, facts: &Facts, keep: &HashMap<Dim, Vec<usize>>) -> Module {
    let names = atom_names(module, facts);
    let mut small = annotate(module, facts);
    for (atom, kept) in keep {
        let name = &names[atom];
        assert!(small.dims.contains_key(name), "{name} is not in the table");
        small
            .dims
            .insert(name.clone(), DimDef::Fixed(kept.len() as i64));
    }
    let kept = |d: Dim| facts.dims.kept(d, &|atom| keep.get(&atom).map(|k| &k[..]));
    for (i, facts_of) in facts.nodes.iter().enumerate() {
        for (k, dim) in &facts_of.indices {
            let v = small.node(NodeId(i as u32)).operands[*k].unwrap();
            let extent = facts.dims.extent(*dim).known().unwrap();
            let Some(kept) = kept(*dim) else { continue };
            let moved = |i: &i64| {
                let from = if *i < 0 { i + extent } else { *i } as usize;
                kept.iter()
                    .position(|p| *p == from)
                    .map_or(-99, |p| p as i64)
            };
            let old = small.value(v).tensor().unwrap().clone();
            let new = old.to_i64().unwrap().iter().map(moved).collect();
            let new = Tensor::from_i64(&old.shape, new).unwrap();
            small.values[v.at()].def = Def::Const(new.cast(old.dtype).unwrap());
        }
    }
    for i in 0..module.values.len() {
        let v = ValueId(i as u32);
        let Some(tensor) = small.value(v).tensor() else {
            continue;
        };
        let places: Vec<_> = facts.axes(v).unwrap().iter().map(|d| kept(*d)).collect();
        let tensor = tensor.gather(&places).unwrap();
        small.values[i].def = match &small.values[i].def {
            Def::Param(_) => Def::Param(tensor),
            _ => Def::Const(tensor),
        };
    }
    small
}

/// The free atoms of the params, in the order of their names.
fn atoms(module: &Module, facts: &Facts) -> Vec<(String, Dim)> {
    let mut all: Vec<_> = atom_names(module, facts)
        .into_iter()
        .map(|(atom, name)| (name.to_string(), atom))
        .collect();
    all.sort();
    all
}

/// Removes positions and compares; returns the annotated text.
pub fn shrinks(text: &str) -> String {
    shrinks_where(text, &[], 0.0)
}

/// The same, where what is lost of some axes of some params is 0 in the original.
pub fn shrinks_where(text: &str, zeros: &[(&str, usize)], tolerance: f64) -> String {
    let mut module = read(text);
    let original = module.clone();
    let facts = facts(&module);
    let mut state = 7u64;
    let mut random = move |n: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let atoms = atoms(&module, &facts);
    for _ in 0..8 {
        let mut keep = HashMap::new();
        for (_, atom) in &atoms {
            let n = facts.dims.extent(*atom).known().unwrap() as usize;
            let mut kept: Vec<usize> = (0..n).filter(|_| random(3) > 0).collect();
            if kept.is_empty() && n > 0 {
                kept.push(random(n));
            }
            keep.insert(*atom, kept);
        }
        let small = shrink(&original, &facts, &keep);
        let again = self::facts(&small);
        let kept = |d: &Dim| facts.dims.kept(*d, &|atom| keep.get(&atom).map(|k| &k[..]));
        for (name, axis) in zeros {
            let v = module.values.iter().position(|v| &*v.name == *name);
            let v = v.unwrap();
            let tensor = original.values[v].tensor().unwrap();
            let kept = kept(&facts.axes(ValueId(v as u32)).unwrap()[*axis]);
            let inner: usize = tensor.shape[axis + 1..].iter().product();
            let mut values = tensor.to_f32().unwrap().into_owned();
            for (at, value) in values.iter_mut().enumerate() {
                let place = at / inner % tensor.shape[*axis];
                if kept.as_ref().is_some_and(|kept| !kept.contains(&place)) {
                    *value = 0.0;
                }
            }
            module.values[v].def = Def::Param(Tensor::from_f32(&tensor.shape, values).unwrap());
        }
        let all = run(&module, &facts);
        for (i, (big, small)) in all.iter().zip(run(&small, &again)).enumerate() {
            let v = ValueId(i as u32);
            let zeroed = zeros
                .iter()
                .any(|(name, _)| *name == &*module.value(v).name);
            if zeroed
                || matches!(module.value(v).def, Def::Result(n, _)
                if matches!(module.node(n).op, Op::Reduce(_) | Op::Matmul))
                || facts.nodes.iter().enumerate().any(|(n, f)| {
                    f.indices
                        .iter()
                        .any(|(k, _)| module.nodes[n].operands[*k] == Some(v))
                })
            {
                continue;
            }
            let places: Vec<_> = facts.axes(v).unwrap().iter().map(kept).collect();
            let expected = big.gather(&places).unwrap();
            assert_eq!(expected.shape, small.shape);
            let pairs = expected.to_f64().into_iter().zip(small.to_f64());
            assert!(
                pairs.into_iter().all(|(a, b)| (a - b).abs() <= tolerance),
                "{}\n{}",
                module.value(v).name,
                print(&annotate(&module, &facts))
            );
        }
    }
    print(&annotate(&module, &facts))
}

/// The last value, computed.
pub fn last(text: &str) -> (Vec<usize>, Vec<f64>) {
    let module = read(text);
    let values = run(&module, &facts(&module));
    let v = module.outputs.last().unwrap().0;
    (values[v.at()].shape.clone(), values[v.at()].to_f64())
}
