//! Programs of one text, run by the reference and by a device.
use std::sync::Arc;
use tpc::diag::Source;
use tpc::exec::Cpu;
use tpc::ir::{Facts, Module, NodeId, propagate};
use tpc::ops::{Attr, Attrs, Eval, Expr};
use tpc::prune::Runner;
use tpc::syntax::{Seeded, parse};
use tpc::tensor::{DType, Tensor, difference};

pub fn read(text: &str) -> (Module, Facts) {
    let source = Source {
        name: "test.tir".into(),
        text: format!("model \"test\"\n{text}\n"),
    };
    let module = parse(&Arc::new(source), &Seeded::new(3)).unwrap_or_else(|e| panic!("{e:?}"));
    let facts = propagate(&module).unwrap_or_else(|e| panic!("{text}\n{}", e.render()));
    (module, facts)
}

/// Elements that differ from one another and have both signs.
pub fn floats(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values = (0..shape.iter().product()).map(|_| 2.0 * next()).collect();
    Tensor::from_f32(shape, values).unwrap()
}

/// Every value by the reference; all extents must be numbers.
fn by_reference(module: &Module, facts: &Facts, inputs: &[Tensor]) -> Vec<Option<Tensor>> {
    let mut values: Vec<Option<Tensor>> =
        module.values.iter().map(|v| v.tensor().cloned()).collect();
    for (v, input) in module.inputs.iter().zip(inputs) {
        values[v.at()] = Some(input.clone());
    }
    for node in &module.nodes {
        let operands: Vec<Option<&Tensor>> = node
            .operands
            .iter()
            .map(|v| values[(*v)?.at()].as_ref())
            .collect();
        let results = node.results.iter().map(|v| {
            let shape = facts.shape(v.unwrap()).unwrap();
            let axes = shape.axes.iter().map(|e| e.known().unwrap() as usize);
            (shape.dtype, axes.collect())
        });
        let results: Vec<(DType, Vec<usize>)> = results.collect();
        let attrs = node.attrs.iter().fold(Attrs::new(), |all, (name, attr)| {
            all.with(name, number(attr))
        });
        let cx = Eval {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let made = node.op.operator().eval(&cx);
        let made = made.unwrap_or_else(|e| panic!("{}: {e}", node.op.name()));
        for (v, tensor) in node.results.iter().zip(made) {
            values[v.unwrap().at()] = Some(tensor);
        }
    }
    values
}

fn number(attr: &Attr) -> Attr {
    match attr {
        Attr::Expr(e) => {
            let extent = e.extent(&|_| None).unwrap();
            Attr::Expr(Expr::Num(extent.known().unwrap()))
        }
        Attr::List(items) => Attr::List(items.iter().map(number).collect()),
        other => other.clone(),
    }
}

/// Inputs that fit a module without run-time symbols.
pub fn inputs(module: &Module, facts: &Facts) -> Vec<Tensor> {
    let input = |(i, v): (usize, &tpc::ir::ValueId)| {
        let shape = facts.shape(*v).unwrap();
        let axes: Vec<usize> = shape
            .axes
            .iter()
            .map(|e| e.known().unwrap() as usize)
            .collect();
        floats(&axes, i as u64 + 1).cast(shape.dtype).unwrap()
    };
    module.inputs.iter().enumerate().map(input).collect()
}

/// Runs a text whole and an operation at a time, and compares every value with the reference.
pub fn agrees(text: &str) {
    let (module, facts) = read(text);
    let inputs = inputs(&module, &facts);
    let expected = by_reference(&module, &facts, &inputs);
    let check = |v: tpc::ir::ValueId, got: &Tensor, how: &str| {
        let want = expected[v.at()].as_ref().unwrap();
        let error = difference(got, want);
        let name = &module.value(v).name;
        assert!(
            error < 2e-6,
            "{how}: `{name}` differs by {error:.1e}\n{text}"
        );
    };
    let mut run = Cpu.start(&module, &facts, &inputs).unwrap();
    for (i, node) in module.nodes.iter().enumerate() {
        run.step(NodeId(i as u32))
            .unwrap_or_else(|e| panic!("{e}\n{text}"));
        for v in node.results.iter().flatten() {
            check(*v, &run.value(*v).unwrap(), "step by step");
        }
    }
    let whole = Cpu.run(&module, &facts, &inputs);
    let whole = whole.unwrap_or_else(|e| panic!("{e}\n{text}"));
    for ((v, _), got) in module.outputs.iter().zip(&whole) {
        check(*v, got, "whole");
    }
}
