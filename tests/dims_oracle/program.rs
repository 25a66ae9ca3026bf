//! Random graphs of axes. A program is a list of operators over numbered axes; it can be told to the oracle (by positions)
//! and to an algebra (by terms), in any order, and shrunk to a small counterexample.
use crate::oracle::{Axis, Oracle};
use tpc::dims::{Cause, Dim, Dims, Mismatch, Reason};

#[derive(Clone, Debug)]
pub enum Op {
    Equate(Axis, Axis),
    Concat(Axis, Vec<Axis>),
    Slice {
        x: Axis,
        y: Axis,
        start: usize,
    },
    Reshape(Vec<Axis>, Vec<Axis>),
    Shuffle {
        x: Axis,
        y: Axis,
        rows: usize,
    },
    Flip {
        x: Axis,
        y: Axis,
    },
    /// Runs (start, length) of x, in the order in which y has them; they may overlap.
    Gather {
        x: Axis,
        y: Axis,
        runs: Vec<(usize, usize)>,
    },
    Stride {
        x: Axis,
        y: Axis,
        offset: usize,
        step: usize,
    },
    Tile {
        x: Axis,
        y: Axis,
        times: Axis,
    },
    Repeat {
        x: Axis,
        y: Axis,
        times: Axis,
    },
    Grouped {
        x: Axis,
        y: Axis,
        g: Axis,
        i: Axis,
        o: Axis,
    },
    Unbind {
        x: Axis,
        rows: Vec<Axis>,
    },
    Freeze(Axis),
}

#[derive(Clone, Debug, Default)]
pub struct Program {
    pub axes: Vec<usize>,
    pub ops: Vec<Op>,
}

pub struct Rng(pub u64);
impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    pub fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            let j = self.below(i + 1);
            all.swap(i, j);
        }
    }
}

const LARGEST: usize = 48;

fn divisors(n: usize) -> Vec<usize> {
    (1..=n).filter(|d| n.is_multiple_of(*d)).collect()
}
fn cuts(rng: &mut Rng, n: usize, most: usize) -> Vec<usize> {
    let mut at: Vec<usize> = (0..1 + rng.below(most))
        .map(|_| 1 + rng.below(n - 1))
        .collect();
    at.sort();
    at.dedup();
    at
}

impl Program {
    fn axis(&mut self, n: usize) -> Axis {
        self.axes.push(n);
        self.axes.len() - 1
    }
    pub fn random(rng: &mut Rng, length: usize, freezes: bool) -> Program {
        let mut p = Program::default();
        let base: Vec<usize> = (0..3).map(|_| 1 + rng.below(24)).collect();
        for n in &base {
            p.axis(*n);
        }
        for _ in 0..length {
            p.grow(rng, &base, freezes);
        }
        p
    }
    fn grow(&mut self, rng: &mut Rng, base: &[usize], freezes: bool) {
        let x = rng.below(self.axes.len());
        let n = self.axes[x];
        match rng.below(18) {
            0 => {
                let n = rng.pick(base);
                self.axis(n);
            }
            1..=4 => {
                let pairs: Vec<_> = (0..self.axes.len())
                    .flat_map(|a| (0..a).map(move |b| (a, b)))
                    .filter(|(a, b)| self.axes[*a] == self.axes[*b] && self.axes[*a] > 1)
                    .collect();
                if !pairs.is_empty() {
                    let (a, b) = rng.pick(&pairs);
                    self.ops.push(Op::Equate(a, b));
                }
            }
            5 => {
                let z = rng.below(self.axes.len());
                if n + self.axes[z] <= LARGEST {
                    let y = self.axis(n + self.axes[z]);
                    self.ops.push(Op::Concat(y, vec![x, z]));
                }
            }
            6 => {
                if n > 1 {
                    let mut at = cuts(rng, n, 3);
                    at.insert(0, 0);
                    at.push(n);
                    let parts = at.windows(2).map(|w| self.axis(w[1] - w[0])).collect();
                    self.ops.push(Op::Concat(x, parts));
                }
            }
            7 => {
                if n > 1 {
                    let start = rng.below(n);
                    let y = self.axis(1 + rng.below(n - start));
                    self.ops.push(Op::Slice { x, y, start });
                }
            }
            8 => {
                let d = rng.pick(&divisors(n));
                let (a, b) = (self.axis(d), self.axis(n / d));
                self.ops.push(Op::Reshape(vec![x], vec![a, b]));
            }
            9 => {
                let z = rng.below(self.axes.len());
                if n * self.axes[z] <= LARGEST {
                    let y = self.axis(n * self.axes[z]);
                    self.ops.push(Op::Reshape(vec![x, z], vec![y]));
                }
            }
            10 => {
                let z = rng.below(self.axes.len());
                let total = n * self.axes[z];
                if total <= LARGEST * 2 {
                    let d = rng.pick(&divisors(total));
                    let e = rng.pick(&divisors(total / d));
                    let outs = if rng.below(2) == 0 {
                        vec![self.axis(d), self.axis(total / d)]
                    } else {
                        vec![self.axis(d), self.axis(e), self.axis(total / d / e)]
                    };
                    self.ops.push(Op::Reshape(vec![x, z], outs));
                }
            }
            11 => {
                let rows = rng.pick(&divisors(n));
                let y = self.axis(n);
                self.ops.push(Op::Shuffle { x, y, rows });
            }
            12 => {
                if rng.below(3) == 0 {
                    let y = self.axis(n);
                    self.ops.push(Op::Flip { x, y });
                } else if n > 1 {
                    let runs: Vec<_> = if rng.below(2) == 0 {
                        let k = 1 + rng.below(n - 1);
                        vec![(k, n - k), (0, k)]
                    } else {
                        (0..1 + rng.below(3))
                            .map(|_| {
                                let s = rng.below(n);
                                (s, 1 + rng.below(n - s))
                            })
                            .collect()
                    };
                    let total = runs.iter().map(|r| r.1).sum();
                    if total <= LARGEST {
                        let y = self.axis(total);
                        self.ops.push(Op::Gather { x, y, runs });
                    }
                }
            }
            13 => {
                let step = rng.pick(&divisors(n));
                let y = self.axis(n / step);
                let offset = rng.below(step);
                self.ops.push(Op::Stride { x, y, offset, step });
            }
            14 => {
                let t = 1 + rng.below(4);
                if n * t <= LARGEST {
                    let (times, y) = (self.axis(t), self.axis(n * t));
                    self.ops.push(if rng.below(2) == 0 {
                        Op::Tile { x, y, times }
                    } else {
                        Op::Repeat { x, y, times }
                    });
                }
            }
            15 => {
                let d = rng.pick(&divisors(n));
                let (g, i, o) = (self.axis(d), self.axis(n / d), self.axis(1 + rng.below(3)));
                if d * self.axes[o] <= LARGEST {
                    let y = self.axis(d * self.axes[o]);
                    self.ops.push(Op::Grouped { x, y, g, i, o });
                }
            }
            16 => {
                let d = rng.pick(&divisors(n));
                if d <= 8 {
                    let rows = (0..d).map(|_| self.axis(n / d)).collect();
                    self.ops.push(Op::Unbind { x, rows });
                }
            }
            _ => {
                if freezes {
                    self.ops.push(Op::Freeze(x));
                }
            }
        }
    }

    pub fn oracle(&self) -> Oracle {
        let mut o = Oracle::default();
        for n in &self.axes {
            o.axis(*n);
        }
        for op in &self.ops {
            match op {
                Op::Equate(a, b) => o.equate(*a, *b),
                Op::Concat(y, parts) => o.concat(*y, parts),
                Op::Slice { x, y, start } => o.gather(*y, *x, |i| start + i),
                Op::Reshape(ins, outs) => o.reshape(ins, outs),
                Op::Shuffle { x, y, rows } => {
                    let k = o.extent(*x) / rows;
                    let (g, c) = (o.axis(*rows), o.axis(k));
                    o.reshape(&[*x], &[g, c]);
                    o.gather(*y, *x, |p| (p % rows) * k + p / rows);
                }
                Op::Flip { x, y } => {
                    let n = o.extent(*x);
                    o.gather(*y, *x, |i| n - 1 - i)
                }
                Op::Gather { x, y, runs } => {
                    let index: Vec<usize> = runs.iter().flat_map(|(s, n)| *s..s + n).collect();
                    o.gather(*y, *x, |i| index[i]);
                }
                Op::Stride { x, y, offset, step } => {
                    let (m, s) = (o.axis(o.extent(*x) / step), o.axis(*step));
                    o.reshape(&[*x], &[m, s]);
                    o.gather(*y, *x, |i| i * step + offset);
                }
                Op::Tile { x, y, times } => o.reshape(&[*times, *x], &[*y]),
                Op::Repeat { x, y, times } => o.reshape(&[*x, *times], &[*y]),
                Op::Grouped { x, y, g, i, o: out } => {
                    o.reshape(&[*x], &[*g, *i]);
                    o.reshape(&[*y], &[*g, *out]);
                }
                Op::Unbind { x, rows } => {
                    let n = o.extent(*x) / rows.len();
                    let (g, d) = (o.axis(rows.len()), o.axis(n));
                    o.reshape(&[*x], &[g, d]);
                    for (k, row) in rows.iter().enumerate() {
                        o.gather(*row, *x, |i| k * n + i);
                    }
                }
                Op::Freeze(a) => o.freeze(*a),
            }
        }
        o
    }

    /// States the program in the given order of operators; the dims are those of the program's axes, then
    /// those of the axes inside operators (the two axes between the reshapes of a shuffle), as in the oracle.
    pub fn state(&self, d: &mut Dims, order: &[usize]) -> Result<Vec<Dim>, Mismatch> {
        let mut ids: Vec<Dim> = self.axes.iter().map(|n| d.axis(*n)).collect();
        let mut between = std::collections::BTreeMap::new();
        for k in order {
            let cause = Cause(*k as u32);
            let all = |axes: &[Axis]| axes.iter().map(|a| ids[*a]).collect::<Vec<_>>();
            match &self.ops[*k] {
                Op::Equate(a, b) => d.equate(ids[*a], ids[*b], cause)?,
                Op::Concat(y, parts) => {
                    let sum = d.concat(&all(parts));
                    d.equate(ids[*y], sum, cause)?;
                }
                Op::Slice { x, y, start } => drop(d.slice(ids[*x], *start, ids[*y], cause)?),
                Op::Reshape(a, b) => d.reshape(&all(a), &all(b), cause)?,
                Op::Shuffle { x, y, rows } => {
                    let (g, n) = (d.axis(*rows), d.axis(self.axes[*x] / rows));
                    d.reshape(&[ids[*x]], &[g, n], cause)?;
                    d.reshape(&[n, g], &[ids[*y]], cause)?;
                    between.insert(*k, [g, n]);
                }
                Op::Flip { x, y } => {
                    let back: Vec<usize> = (0..self.axes[*x]).rev().collect();
                    d.gather(ids[*x], ids[*y], &back, cause)?;
                }
                Op::Gather { x, y, runs } => {
                    let places: Vec<usize> = runs.iter().flat_map(|(s, n)| *s..s + n).collect();
                    d.gather(ids[*x], ids[*y], &places, cause)?;
                }
                Op::Stride { x, y, offset, step } => {
                    let (m, s, one) = (d.axis(self.axes[*x] / step), d.axis(*step), d.part(1usize));
                    let rows = d.product(&[m, s]);
                    d.equate(rows, ids[*x], cause)?;
                    d.slice(s, *offset, one, cause)?;
                    let column = d.product(&[m, one]);
                    d.equate(column, ids[*y], cause)?;
                    between.insert(*k, [m, s]);
                }
                Op::Tile { x, y, times } => {
                    let m = d.product(&[ids[*times], ids[*x]]);
                    d.equate(m, ids[*y], cause)?;
                }
                Op::Repeat { x, y, times } => {
                    let m = d.product(&[ids[*x], ids[*times]]);
                    d.equate(m, ids[*y], cause)?;
                }
                Op::Grouped { x, y, g, i, o } => {
                    d.apply(
                        "(g i), (g o) -> g",
                        &[&[ids[*x]], &[ids[*y]]],
                        &[("g", ids[*g]), ("i", ids[*i]), ("o", ids[*o])],
                        cause,
                    )?;
                }
                Op::Unbind { x, rows } => {
                    let (g, w) = (d.axis(rows.len()), d.axis(self.axes[*x] / rows.len()));
                    d.reshape(&[ids[*x]], &[g, w], cause)?;
                    let ones: Vec<Dim> = rows.iter().map(|_| d.part(1usize)).collect();
                    let sum = d.concat(&ones);
                    d.equate(sum, g, cause)?;
                    for (one, row) in ones.iter().zip(rows) {
                        let m = d.product(&[*one, w]);
                        d.equate(m, ids[*row], cause)?;
                    }
                    between.insert(*k, [g, w]);
                }
                Op::Freeze(a) => d.freeze(ids[*a], Reason::Plan, cause),
            }
        }
        ids.extend(between.into_values().flatten());
        Ok(ids)
    }

    /// The smallest program (by dropping operators) that still fails.
    pub fn shrink(&self, fails: &dyn Fn(&Program) -> bool) -> Program {
        let mut best = self.clone();
        'again: loop {
            for k in 0..best.ops.len() {
                let mut less = best.clone();
                less.ops.remove(k);
                if fails(&less) {
                    best = less;
                    continue 'again;
                }
            }
            return best;
        }
    }
    pub fn text(&self) -> String {
        let name = |a: &Axis| format!("x{a}:{}", self.axes[*a]);
        let names = |all: &[Axis]| all.iter().map(name).collect::<Vec<_>>().join(", ");
        self.ops
            .iter()
            .map(|op| match op {
                Op::Equate(a, b) => format!("{} = {}", name(a), name(b)),
                Op::Concat(y, p) => format!("{} = concat({})", name(y), names(p)),
                Op::Slice { x, y, start } => format!("{} = {}[{start}..]", name(y), name(x)),
                Op::Reshape(a, b) => format!("reshape [{}] -> [{}]", names(a), names(b)),
                Op::Shuffle { x, y, rows } => {
                    format!("{} = shuffle({}, {rows} rows)", name(y), name(x))
                }
                Op::Flip { x, y } => format!("{} = flip({})", name(y), name(x)),
                Op::Gather { x, y, runs } => format!("{} = runs({}, {runs:?})", name(y), name(x)),
                Op::Stride { x, y, offset, step } => {
                    format!("{} = {}[{offset}::{step}]", name(y), name(x))
                }
                Op::Tile { x, y, times } => {
                    format!("{} = tile({}, {})", name(y), name(x), name(times))
                }
                Op::Repeat { x, y, times } => {
                    format!("{} = repeat({}, {})", name(y), name(x), name(times))
                }
                Op::Grouped { x, y, g, i, o } => format!(
                    "{} = grouped({}; g {}, i {}, o {})",
                    name(y),
                    name(x),
                    name(g),
                    name(i),
                    name(o)
                ),
                Op::Unbind { x, rows } => format!("unbind {} -> {}", name(x), names(rows)),
                Op::Freeze(a) => format!("freeze {}", name(a)),
            })
            .collect::<Vec<_>>()
            .join("; ")
    }
}
