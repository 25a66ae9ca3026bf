//! Random modules through propagation, against what each of their operators says of single positions.
use crate::oracle::{Axis, Oracle};
use crate::program::Rng;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use tpc::diag::Source;
use tpc::ir::{ValueId, propagate};
use tpc::syntax::{Seeded, parse};

/// The most elements that a value may have.
const LARGEST: usize = 96;

/// A module as text, and the same told to the oracle: two axes a value, in the order of definition.
#[derive(Default)]
struct Graph {
    text: String,
    oracle: Oracle,
    values: Vec<(String, [Axis; 2])>,
}

impl Graph {
    fn value(&mut self, name: String, shape: [usize; 2]) -> [Axis; 2] {
        let axes = shape.map(|n| self.oracle.axis(n));
        self.values.push((name, axes));
        axes
    }
    fn result(&mut self, shape: [usize; 2], call: &str) -> [Axis; 2] {
        let name = format!("v{}", self.values.len());
        let [r, c] = shape;
        writeln!(self.text, "%{name} = {call} : f32[{r}, {c}]").unwrap();
        self.value(name, shape)
    }
    /// A param, which is read through an activation.
    fn param(&mut self, shape: [usize; 2]) {
        let name = format!("w{}", self.values.len());
        let [r, c] = shape;
        writeln!(self.text, "param @{name} : f32[{r}, {c}]").unwrap();
        let from = self.value(name.clone(), shape);
        let to = self.result(shape, &format!("relu(@{name})"));
        self.tie(from, to);
    }
    fn tie(&mut self, a: [Axis; 2], b: [Axis; 2]) {
        self.oracle.equate(b[0], a[0]);
        self.oracle.equate(b[1], a[1]);
    }
    /// A result that has other positions along one axis: position `i` there is position `at[i]` of the operand.
    fn moved(&mut self, from: [Axis; 2], axis: usize, at: &[usize], call: &str) {
        let mut shape = from.map(|a| self.oracle.extent(a));
        shape[axis] = at.len();
        let to = self.result(shape, call);
        self.oracle.gather(to[axis], from[axis], |i| at[i]);
        self.oracle.equate(to[1 - axis], from[1 - axis]);
    }
    fn grow(&mut self, rng: &mut Rng) {
        let results = self.values.iter().filter(|v| v.0.starts_with('v'));
        let results: Vec<_> = results.cloned().collect();
        let ((x, a), (y, b)) = (rng.pick(&results), rng.pick(&results));
        let extents = |of: [Axis; 2]| of.map(|a| self.oracle.extent(a));
        let ([r, c], [s, d]) = (extents(a), extents(b));
        let axis = rng.below(2);
        let n = [r, c][axis];
        match rng.below(8) {
            0 if [r, c] == [s, d] && r > 1 && c > 1 => {
                let to = self.result([r, c], &format!("add(%{x}, %{y})"));
                self.tie(a, to);
                self.tie(b, to);
            }
            1 if [r, c][1 - axis] == [s, d][1 - axis] && r * c + s * d <= LARGEST => {
                let mut shape = [r, c];
                shape[axis] += [s, d][axis];
                let call = format!("concat(%{x}, %{y}) {{axis = {axis}}}");
                let to = self.result(shape, &call);
                self.oracle.concat(to[axis], &[a[axis], b[axis]]);
                self.oracle.equate(to[1 - axis], a[1 - axis]);
                self.oracle.equate(to[1 - axis], b[1 - axis]);
            }
            2 if n > 1 => {
                let start = rng.below(n);
                let end = start + 1 + rng.below(n - start);
                let at: Vec<usize> = (start..end).collect();
                let cut = format!("axes = [{axis}], starts = [{start}], ends = [{end}]");
                self.moved(a, axis, &at, &format!("slice(%{x}) {{{cut}}}"));
            }
            3 => {
                let rows: Vec<usize> = (1..=r * c).filter(|k| r * c % k == 0).collect();
                let rows = rng.pick(&rows);
                let to = self.result([rows, r * c / rows], &format!("reshape(%{x})"));
                self.oracle.reshape(&a, &to);
            }
            4 => {
                let to = self.result([c, r], &format!("transpose(%{x}) {{perm = [1, 0]}}"));
                self.tie([a[1], a[0]], to);
            }
            5 if c == s && r * d <= LARGEST => {
                let to = self.result([r, d], &format!("matmul(%{x}, %{y})"));
                self.oracle.equate(a[1], b[0]);
                self.tie([a[0], b[1]], to);
            }
            6 => {
                let mut at: Vec<usize> = (0..n).collect();
                if rng.below(2) == 0 {
                    at.reverse();
                } else {
                    at.rotate_left(rng.below(n));
                }
                let name = format!("i{}", self.values.len());
                writeln!(self.text, "const @{name} : i64[{n}] = {at:?}").unwrap();
                let call = format!("gather(%{x}, @{name}) {{axis = {axis}}}");
                self.moved(a, axis, &at, &call);
            }
            _ => self.param([r, c]),
        }
    }
}

#[test]
fn modules_are_sound() {
    let (mut lost, mut all, mut undecided) = (BTreeMap::new(), 0, 0);
    for seed in 0..1500 {
        let mut rng = Rng(seed * 6_700_417 + 11);
        let mut graph = Graph::default();
        for _ in 0..2 {
            let shape = [1 + rng.below(6), 1 + rng.below(8)];
            graph.param(shape);
        }
        for _ in 0..3 + rng.below(8) {
            graph.grow(&mut rng);
        }
        let (last, _) = graph.values[graph.values.len() - 1].clone();
        let sum = "{axes = [0, 1], keep_dims = false}";
        write!(graph.text, "%y = reduce_sum(%{last}) {sum}\noutput %y\n").unwrap();
        let text = graph.text.clone();
        let source = Source {
            name: "random.tir".into(),
            text: text.clone(),
        };
        let module = parse(&Arc::new(source), &Seeded::new(1)).unwrap_or_else(|e| panic!("{e}"));
        let facts = propagate(&module).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut ids = vec![];
        for (name, _) in &graph.values {
            let v = module.values.iter().position(|v| *v.name == **name);
            ids.extend(facts.axes(ValueId(v.unwrap() as u32)).unwrap());
        }
        let sound = graph.oracle.sound(&facts.dims, &ids);
        assert_eq!(sound, Ok(()), "seed {seed}:\n{text}");
        all += ids
            .iter()
            .map(|d| facts.dims.needs(*d).len())
            .sum::<usize>();
        for (_, _, why) in graph.oracle.losses(&facts.dims, &ids, &mut undecided) {
            let why = why.map_or("coarse atoms".to_string(), |r| r.to_string());
            *lost.entry(why).or_insert(0usize) += 1;
        }
    }
    let mut out = format!("1500 modules, {all} positions, {undecided} undecided\n");
    for (why, count) in lost {
        let share = count as f64 / all as f64 * 100.0;
        writeln!(out, "lost to {why}: {count} positions, {share:.2} %").unwrap();
    }
    crate::shown("axes_of_modules", out);
}
