//! Small networks, pruned at random and proved.
#![allow(dead_code)] // Each test that has this module uses a part of it.
use std::sync::Arc;
use tpc::diag::Source;
use tpc::dims::Term;
use tpc::exec::Cpu;
use tpc::ir::{Facts, Module, ValueId, propagate};
use tpc::prune::{
    Keep, Kept, Rows, Verification, Verified, VerifyError, groups, ragged, reshare, shrink,
    unshare, verify,
};
use tpc::syntax::{Seeded, parse, print};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
    /// Some of `0..n`, ascending: not all, and not none.
    pub fn some_of(&mut self, n: usize) -> Vec<usize> {
        let mut kept: Vec<usize> = (0..n).filter(|_| self.below(2) == 0).collect();
        if kept.is_empty() {
            kept.push(self.below(n));
        }
        if kept.len() == n {
            kept.remove(self.below(n));
        }
        kept
    }
}

/// A network with its facts, one param a use.
pub struct Net {
    pub module: Module,
    pub facts: Facts,
    pub clones: tpc::prune::Clones,
}

impl Net {
    /// Reads a text; params are filled at random.
    pub fn new(text: &str) -> Net {
        let source = Source {
            name: "net.tir".into(),
            text: format!("model \"net\"\n{text}\n"),
        };
        let read = parse(&Arc::new(source), &Seeded::new(3));
        let read = read.unwrap_or_else(|e| panic!("{}", e.render()));
        let (module, clones) = unshare(&read);
        let facts = propagate(&module).unwrap_or_else(|e| panic!("{}\n{text}", e.render()));
        Net {
            module,
            facts,
            clones,
        }
    }
    /// The value of that name.
    pub fn value(&self, name: &str) -> ValueId {
        let found = self.module.values.iter().position(|v| &*v.name == name);
        ValueId(found.unwrap_or_else(|| panic!("there is no `{name}`")) as u32)
    }
    /// Free atoms of an axis, `name:axis`, with their extents.
    pub fn free(&self, axis: &str) -> Vec<usize> {
        let (name, axis) = axis.split_once(':').unwrap();
        let d = self.facts.axes(self.value(name)).unwrap()[axis.parse::<usize>().unwrap()];
        let all = groups(&self.module, &self.facts).groups;
        let mut atoms = self.facts.dims.term(d).atoms();
        atoms.dedup();
        let extent = |a: &tpc::dims::Dim| all.iter().find(|g| g.atom == *a).map(|g| g.extent);
        atoms.iter().filter_map(extent).collect()
    }
    /// Random positions of every group.
    pub fn keep(&self, random: &mut Random) -> Keep {
        let mut keep = Keep::all();
        for group in groups(&self.module, &self.facts).groups {
            if group.extent > 1 && random.below(4) > 0 {
                keep.set(group.atom, random.some_of(group.extent));
            }
        }
        keep
    }
    /// Random positions of every group, and of those that can be ragged others in each row.
    pub fn rows(&self, random: &mut Random) -> Keep {
        let mut keep = self.keep(random);
        let all = groups(&self.module, &self.facts);
        for (atom, by) in ragged(&self.module, &self.facts, &all).by {
            let size = |d| self.facts.dims.size(&Term::Atom(d));
            let stay = random.some_of(size(atom)).len();
            let mut row = || {
                let mut all: Vec<usize> = (0..size(atom)).collect();
                while all.len() > stay {
                    all.remove(random.below(all.len()));
                }
                all
            };
            let kept = (0..size(by)).map(|_| row()).collect();
            keep.put(atom, Kept::Rows(Rows { by, kept }));
        }
        keep
    }
    /// The network without what `keep` leaves out.
    pub fn shrunk(&self, keep: &Keep) -> Module {
        let mut pruned =
            shrink(&self.module, &self.facts, keep).unwrap_or_else(|e| panic!("{}", e.render()));
        reshare(&mut pruned, &self.clones);
        pruned
    }
    /// What verification says of a pruned program.
    pub fn verify(&self, keep: &Keep, pruned: &Module) -> Result<Verified, VerifyError> {
        verify(
            &self.module,
            &self.facts,
            keep,
            pruned,
            &Cpu,
            &Verification::default(),
        )
    }
    /// Prunes at random, several times, and proves each.
    pub fn prunes(&self) {
        let mut random = Random(11);
        for _ in 0..6 {
            let keep = self.keep(&mut random);
            let pruned = self.shrunk(&keep);
            if let Err(e) = self.verify(&keep, &pruned) {
                panic!("{e}\n{}\n{}", print(&self.module), print(&pruned));
            }
        }
    }
}
