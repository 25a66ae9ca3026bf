//! The truth at the level of positions. Every axis of extent n has n variables ("this position is removed"); each operator
//! states what its plain meaning says of single positions, without the algebra:
//! * an operator that moves positions ties them (`r(y[i]) = r(x[index(i)])`),
//! * a reshape ties a flat position to one position of every axis on either side, and as a tensor keeps a rectangle only,
//!   `r(flat) = r(i1) or r(i2) or ...`: a flat position goes exactly when one of its coordinates goes.
//!
//! A *legal removal* is a set of positions that satisfies every operator, spares frozen positions, and leaves no axis empty.
//! (Legal removals are closed under union but for the last condition, so single units tell about all choices.)
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tpc::dims::{Dim, Dims, Reason};

/// An axis of a program, by number.
pub type Axis = usize;
/// One position of one atom.
pub type Unit = (Dim, usize);

#[derive(Default, Clone)]
pub struct Oracle {
    parent: Vec<u32>,
    pub axes: Vec<Vec<u32>>,
    /// `flat` is removed exactly when one of these is.
    ors: Vec<(u32, Vec<u32>)>,
    frozen: Vec<u32>,
    /// What every run-time symbol is.
    pub symbols: i64,
}

impl Oracle {
    /// What every position of a dim needs, with run-time symbols as they are here.
    fn needs(&self, dims: &Dims, d: Dim) -> Vec<Vec<Unit>> {
        dims.needs_at(d, &|extent| {
            let n = extent.eval(&|_| Some(self.symbols))?;
            usize::try_from(n).ok()
        })
    }
    fn var(&mut self) -> u32 {
        self.parent.push(self.parent.len() as u32);
        self.parent.len() as u32 - 1
    }
    fn find(&self, mut v: u32) -> u32 {
        while self.parent[v as usize] != v {
            v = self.parent[v as usize];
        }
        v
    }
    fn tie(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }
    pub fn axis(&mut self, extent: usize) -> Axis {
        let vars = (0..extent).map(|_| self.var()).collect();
        self.axes.push(vars);
        self.axes.len() - 1
    }
    pub fn extent(&self, a: Axis) -> usize {
        self.axes[a].len()
    }
    pub fn equate(&mut self, a: Axis, b: Axis) {
        self.gather(a, b, |i| i);
    }
    /// `y[i] = x[index(i)]`
    pub fn gather(&mut self, y: Axis, x: Axis, index: impl Fn(usize) -> usize) {
        for i in 0..self.extent(y) {
            let (a, b) = (self.axes[y][i], self.axes[x][index(i)]);
            self.tie(a, b);
        }
    }
    pub fn concat(&mut self, y: Axis, parts: &[Axis]) {
        let mut at = 0;
        for p in parts {
            for i in 0..self.extent(*p) {
                let (a, b) = (self.axes[y][at], self.axes[*p][i]);
                self.tie(a, b);
                at += 1;
            }
        }
        assert_eq!(at, self.extent(y));
    }
    /// Row-major reshape of a tensor with axes `ins` to one with axes `outs`.
    pub fn reshape(&mut self, ins: &[Axis], outs: &[Axis]) {
        let total: usize = ins.iter().map(|a| self.extent(*a)).product();
        assert_eq!(
            total,
            outs.iter().map(|a| self.extent(*a)).product::<usize>()
        );
        for p in 0..total {
            let flat = self.var();
            for side in [ins, outs] {
                let mut rest = p;
                let mut vars = vec![];
                for a in side.iter().rev() {
                    vars.push(self.axes[*a][rest % self.extent(*a)]);
                    rest /= self.extent(*a);
                }
                self.ors.push((flat, vars));
            }
        }
    }
    pub fn freeze(&mut self, a: Axis) {
        self.frozen.extend(&self.axes[a]);
    }

    /// Every choice that the atoms allow is consistent exactly when both sides of every tie need the same free units.
    pub fn sound(&self, dims: &Dims, ids: &[Dim]) -> Result<(), String> {
        let mut value: HashMap<u32, Vec<Unit>> = HashMap::new();
        for (axis, id) in ids.iter().enumerate() {
            let needs = self.needs(dims, *id);
            if needs.len() != self.axes[axis].len() {
                return Err(format!("axis {axis} has another extent"));
            }
            for (i, var) in self.axes[axis].iter().enumerate() {
                let free = free(dims, &needs[i]);
                let known = value.entry(self.find(*var)).or_insert_with(|| free.clone());
                if *known != free {
                    return Err(format!("axis {axis}[{i}] parts from what it is tied to"));
                }
            }
        }
        for (flat, vars) in &self.ors {
            let all = vars
                .iter()
                .fold(vec![], |all, v| union(&all, &value[&self.find(*v)]));
            let known = value.entry(self.find(*flat)).or_insert_with(|| all.clone());
            if *known != all {
                return Err("a reshape would not be a rectangle".into());
            }
        }
        for var in &self.frozen {
            if !value[&self.find(*var)].is_empty() {
                return Err("a frozen position could go".into());
            }
        }
        Ok(())
    }

    /// Positions with a legal removal that no choice of atoms makes: axis, position, and why the atoms do not.
    pub fn losses(
        &self,
        dims: &Dims,
        ids: &[Dim],
        undecided: &mut usize,
    ) -> Vec<(Axis, usize, Option<Reason>)> {
        let needs: Vec<_> = ids.iter().map(|id| self.needs(dims, *id)).collect();
        let mut takes: BTreeMap<Unit, BTreeSet<u32>> = BTreeMap::new();
        for (axis, needs) in needs.iter().enumerate() {
            for (i, units) in needs.iter().enumerate() {
                for unit in free(dims, units) {
                    takes
                        .entry(unit)
                        .or_default()
                        .insert(self.find(self.axes[axis][i]));
                }
            }
        }
        let mut sat = Sat::new(self.parent.len());
        for (flat, vars) in &self.ors {
            let flat = self.find(*flat);
            let vars: Vec<u32> = vars.iter().map(|v| self.find(*v)).collect();
            for v in &vars {
                sat.clause(vec![lit(*v, false), lit(flat, true)]);
            }
            sat.clause(
                vars.iter()
                    .map(|v| lit(*v, true))
                    .chain([lit(flat, false)])
                    .collect(),
            );
        }
        for var in &self.frozen {
            sat.clause(vec![lit(self.find(*var), false)]);
        }
        for vars in self.axes.iter().filter(|vars| !vars.is_empty()) {
            sat.clause(vars.iter().map(|v| lit(self.find(*v), false)).collect());
        }
        let mut seen = BTreeSet::new();
        let mut lost = vec![];
        for (axis, needs) in needs.iter().enumerate() {
            for (i, units) in needs.iter().enumerate() {
                let var = self.find(self.axes[axis][i]);
                if !seen.insert(var) {
                    continue;
                }
                let mark = sat.clauses.len();
                sat.clause(vec![lit(var, true)]);
                for unit in free(dims, units) {
                    sat.clause(takes[&unit].iter().map(|v| lit(*v, false)).collect());
                }
                match sat.solve(2_000) {
                    Some(true) => {
                        let why = units.iter().find_map(|(atom, _)| dims.frozen(*atom));
                        lost.push((axis, i, why.map(|(reason, _)| reason)));
                    }
                    Some(false) => {}
                    None => *undecided += 1,
                }
                sat.forget(mark);
            }
        }
        lost
    }
}

/// Without what is frozen.
pub fn free(dims: &Dims, units: &[Unit]) -> Vec<Unit> {
    units
        .iter()
        .filter(|(atom, _)| dims.frozen(*atom).is_none())
        .copied()
        .collect()
}

fn union(a: &[Unit], b: &[Unit]) -> Vec<Unit> {
    let mut all: Vec<Unit> = a.iter().chain(b).copied().collect();
    all.sort();
    all.dedup();
    all
}

fn lit(v: u32, sign: bool) -> u32 {
    v * 2 + sign as u32
}

/// A small DPLL: decisions only on clauses that are not yet satisfied with everything else kept.
struct Sat {
    clauses: Vec<Vec<u32>>,
    uses: Vec<Vec<u32>>,
    value: Vec<i8>,
}

impl Sat {
    fn new(vars: usize) -> Sat {
        Sat {
            clauses: vec![],
            uses: vec![vec![]; vars * 2],
            value: vec![-1; vars],
        }
    }
    fn clause(&mut self, mut lits: Vec<u32>) {
        lits.sort();
        lits.dedup();
        for l in &lits {
            self.uses[*l as usize].push(self.clauses.len() as u32);
        }
        self.clauses.push(lits);
    }
    fn forget(&mut self, mark: usize) {
        while self.clauses.len() > mark {
            for l in self.clauses.pop().unwrap() {
                self.uses[l as usize].pop();
            }
        }
    }
    fn is(&self, l: u32) -> i8 {
        match self.value[l as usize / 2] {
            -1 => -1,
            v => (v == (l & 1) as i8) as i8,
        }
    }
    fn set(&mut self, l: u32, trail: &mut Vec<u32>) {
        self.value[l as usize / 2] = (l & 1) as i8;
        trail.push(l);
    }
    /// Unit propagation from `trail[from..]`; false on a conflict.
    fn propagate(&mut self, trail: &mut Vec<u32>, mut from: usize) -> bool {
        while from < trail.len() {
            let falsified = trail[from] ^ 1;
            from += 1;
            for k in 0..self.uses[falsified as usize].len() {
                let c = self.uses[falsified as usize][k] as usize;
                let (mut open, mut last, mut done) = (0, 0, false);
                for l in &self.clauses[c] {
                    match self.is(*l) {
                        1 => {
                            done = true;
                            break;
                        }
                        -1 => {
                            open += 1;
                            last = *l;
                        }
                        _ => {}
                    }
                }
                if done {
                    continue;
                }
                if open == 0 {
                    return false;
                }
                if open == 1 {
                    self.set(last, trail);
                }
            }
        }
        true
    }
    fn solve(&mut self, mut budget: usize) -> Option<bool> {
        self.value.fill(-1);
        let mut trail = vec![];
        for c in 0..self.clauses.len() {
            if self.clauses[c].len() == 1 {
                let l = self.clauses[c][0];
                match self.is(l) {
                    0 => return Some(false),
                    -1 => self.set(l, &mut trail),
                    _ => {}
                }
            }
        }
        if !self.propagate(&mut trail, 0) {
            return Some(false);
        }
        self.search(&mut trail, &mut budget)
    }
    fn search(&mut self, trail: &mut Vec<u32>, budget: &mut usize) -> Option<bool> {
        // With every open variable kept (false), is some clause unsatisfied?
        let open = self.clauses.iter().find(|c| {
            !c.iter()
                .any(|l| self.is(*l) == 1 || (self.is(*l) == -1 && l & 1 == 0))
        });
        let Some(open) = open else { return Some(true) };
        let lits: Vec<u32> = open.iter().cloned().filter(|l| self.is(*l) == -1).collect();
        for l in lits {
            if *budget == 0 {
                return None;
            }
            *budget -= 1;
            let mark = trail.len();
            self.set(l, trail);
            if self.propagate(trail, mark) {
                match self.search(trail, budget) {
                    Some(false) => {}
                    other => return other,
                }
            }
            while trail.len() > mark {
                let l = trail.pop().unwrap();
                self.value[l as usize / 2] = -1;
            }
            // This literal failed: from here on it is false.
            self.set(l ^ 1, trail);
            if !self.propagate(trail, trail.len() - 1) {
                return Some(false);
            }
        }
        Some(false)
    }
}
