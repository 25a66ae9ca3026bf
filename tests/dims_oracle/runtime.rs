//! Axes with run-time extents: the algebra, which knows a symbol, against positions at two values of it.
use crate::oracle::{Axis, Oracle};
use crate::program::Rng;
use std::collections::BTreeMap;
use tpc::dims::{Cause, Dim, Dims, Reason};
use tpc::tensor::Extent;

/// `count` positions, times the symbol so many times.
#[derive(Copy, Clone, PartialEq, Debug)]
struct Size {
    count: usize,
    power: u32,
}

impl Size {
    fn times(self, other: Size) -> Size {
        Size {
            count: self.count * other.count,
            power: self.power + other.power,
        }
    }
    fn extent(self) -> Extent {
        let n = Extent::symbol("N");
        (0..self.power).fold(Extent::from(self.count), |all, _| {
            all.checked_mul(&n).unwrap()
        })
    }
    fn at(self, n: usize) -> usize {
        self.count * n.pow(self.power)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Equate(Axis, Axis),
    Reshape(Vec<Axis>, Vec<Axis>),
    Concat(Axis, [Axis; 2]),
    Flip(Axis, Axis),
    Freeze(Axis),
}

#[derive(Default, Debug)]
struct Program {
    axes: Vec<Size>,
    ops: Vec<Op>,
}

impl Program {
    fn axis(&mut self, size: Size) -> Axis {
        self.axes.push(size);
        self.axes.len() - 1
    }
    fn random(rng: &mut Rng) -> Program {
        let mut p = Program::default();
        for _ in 0..3 {
            let count = 1 + rng.below(6);
            p.axis(Size { count, power: 0 });
        }
        p.axis(Size { count: 1, power: 1 });
        for _ in 0..3 + rng.below(8) {
            p.grow(rng);
        }
        p
    }
    /// Axes that a size is the product of, in order.
    fn split(&mut self, rng: &mut Rng, size: Size) -> Vec<Axis> {
        let mut left = size;
        let mut sizes = vec![];
        for _ in 0..rng.below(3) {
            let all: Vec<usize> = (1..=left.count)
                .filter(|d| left.count.is_multiple_of(*d))
                .collect();
            let count = rng.pick(&all);
            let power = rng.below(left.power as usize + 1) as u32;
            sizes.push(Size { count, power });
            left = Size {
                count: left.count / count,
                power: left.power - power,
            };
        }
        sizes.push(left);
        rng.shuffle(&mut sizes);
        sizes.into_iter().map(|size| self.axis(size)).collect()
    }
    fn grow(&mut self, rng: &mut Rng) {
        let x = rng.below(self.axes.len());
        let size = self.axes[x];
        match rng.below(12) {
            0..=2 => {
                let alike: Vec<Axis> = (0..self.axes.len())
                    .filter(|y| *y != x && self.axes[*y] == size)
                    .collect();
                if !alike.is_empty() {
                    let y = rng.pick(&alike);
                    self.ops.push(Op::Equate(x, y));
                }
            }
            3..=8 => {
                let mut ins = vec![x];
                let mut all = size;
                for _ in 0..rng.below(3) {
                    let y = rng.below(self.axes.len());
                    let more = all.times(self.axes[y]);
                    if more.count <= 36 && more.power <= 2 {
                        ins.push(y);
                        all = more;
                    }
                }
                let outs = self.split(rng, all);
                self.ops.push(Op::Reshape(ins, outs));
            }
            9 => {
                let y = rng.below(self.axes.len());
                if self.axes[y].power == size.power && size.count + self.axes[y].count <= 36 {
                    let count = size.count + self.axes[y].count;
                    let whole = self.axis(Size { count, ..size });
                    self.ops.push(Op::Concat(whole, [x, y]));
                }
            }
            10 if size.power == 0 => {
                let y = self.axis(size);
                self.ops.push(Op::Flip(x, y));
            }
            _ => self.ops.push(Op::Freeze(x)),
        }
    }
    fn oracle(&self, n: usize) -> Oracle {
        let mut o = Oracle::default();
        o.symbols = n as i64;
        for size in &self.axes {
            o.axis(size.at(n));
        }
        for op in &self.ops {
            match op {
                Op::Equate(a, b) => o.equate(*a, *b),
                Op::Reshape(ins, outs) => o.reshape(ins, outs),
                Op::Concat(y, parts) => o.concat(*y, parts),
                Op::Flip(x, y) => {
                    let last = o.extent(*x) - 1;
                    o.gather(*y, *x, |i| last - i);
                }
                Op::Freeze(a) => o.freeze(*a),
            }
        }
        // What there is at run time only goes as a whole, or not at all.
        for (axis, size) in self.axes.iter().enumerate() {
            if *size == (Size { count: 1, power: 1 }) {
                o.freeze(axis);
            }
        }
        o
    }
    fn solved(&self) -> (Dims, Vec<Dim>) {
        let mut d = Dims::new();
        let ids: Vec<Dim> = self.axes.iter().map(|size| d.axis(size.extent())).collect();
        for (k, op) in self.ops.iter().enumerate() {
            let cause = Cause(k as u32);
            let all = |axes: &[Axis]| axes.iter().map(|a| ids[*a]).collect::<Vec<_>>();
            match op {
                Op::Equate(a, b) => d.equate(ids[*a], ids[*b], cause),
                Op::Reshape(ins, outs) => d.reshape(&all(ins), &all(outs), cause),
                Op::Concat(y, parts) => {
                    let sum = d.concat(&all(parts));
                    d.equate(ids[*y], sum, cause)
                }
                Op::Flip(x, y) => {
                    let back: Vec<usize> = (0..self.axes[*x].count).rev().collect();
                    d.gather(ids[*x], ids[*y], &back, cause)
                }
                Op::Freeze(a) => {
                    d.freeze(ids[*a], Reason::Barrier, cause);
                    Ok(())
                }
            }
            .unwrap();
        }
        d.solve().unwrap();
        (d, ids)
    }
}

#[test]
fn run_time_extents() {
    let (mut positions, mut free, mut undecided) = (0, 0, 0);
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..4000u64 {
        let program = Program::random(&mut Rng(seed * 7919 + 17));
        let (dims, ids) = program.solved();
        for n in [2, 3] {
            if let Err(why) = program.oracle(n).sound(&dims, &ids) {
                panic!("seed {seed} at {n} is unsound: {why}: {program:#?}");
            }
        }
        for (id, size) in ids.iter().zip(&program.axes) {
            if size.power > 0 && size.count > 1 {
                let atoms = dims.term(*id).atoms();
                positions += 1;
                free += usize::from(atoms.iter().any(|a| dims.frozen(*a).is_none()));
            }
        }
        for (_, _, why) in program.oracle(3).losses(&dims, &ids, &mut undecided) {
            let why = why.map_or("coarse atoms".to_string(), |r| r.to_string());
            *lost.entry(why).or_default() += 1;
        }
    }
    crate::shown(
        "axes_with_run_time_extents",
        format!(
            "{free} of {positions} axes with run-time extents have a free factor\nlost: {lost:#?}, {undecided} undecided\n"
        ),
    );
}
