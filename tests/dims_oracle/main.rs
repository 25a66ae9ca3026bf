//! The algebra against the truth at the level of positions, on thousands of random programs of axis operators.
//!
//! Sound: every choice that the atoms allow satisfies what each operator says of single positions. Complete: what could go
//! and cannot has a reason, and a snapshot holds how much is lost to each. Nothing is endless, and the order of the
//! equations does not matter (but for the few programs that the snapshot counts).
mod explanations;
mod graphs;
mod later;
mod limits;
mod oracle;
mod program;
mod runtime;

use oracle::{Unit, free};
use program::{Program, Rng};
use std::collections::BTreeMap;
use std::fmt::Write;
use tpc::dims::{Dim, Dims};

fn solve(program: &Program, order: &[usize]) -> Result<(Dims, Vec<Dim>), String> {
    let mut dims = Dims::new();
    let ids = program.state(&mut dims, order).map_err(|e| e.to_string())?;
    dims.solve().map_err(|e| e.to_string())?;
    Ok((dims, ids))
}

fn in_order(program: &Program) -> Vec<usize> {
    (0..program.ops.len()).collect()
}

/// What every position of every axis needs, with units named by where they are: equal for equal solutions.
fn shape(dims: &Dims, ids: &[Dim]) -> Vec<Vec<Vec<usize>>> {
    let all: Vec<_> = ids.iter().map(|id| dims.needs(*id)).collect();
    let mut places: BTreeMap<Unit, Vec<(usize, usize)>> = BTreeMap::new();
    for (axis, needs) in all.iter().enumerate() {
        for (i, units) in needs.iter().enumerate() {
            for unit in free(dims, units) {
                places.entry(unit).or_default().push((axis, i));
            }
        }
    }
    let mut names: Vec<&Vec<(usize, usize)>> = places.values().collect();
    names.sort();
    let name = |unit: &Unit| names.binary_search(&&places[unit]).unwrap();
    let named = |units: &Vec<Unit>| {
        let mut all: Vec<usize> = free(dims, units).iter().map(name).collect();
        all.sort();
        all
    };
    all.iter()
        .map(|needs| needs.iter().map(named).collect())
        .collect()
}

/// Runs random programs; what is wrong fails, what is lost is counted.
fn judge(programs: u64, longest: usize, freezes: bool) -> String {
    let (mut positions, mut orders, mut undecided) = (0usize, 0, 0);
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..programs {
        let mut rng = Rng(seed * 7919 + 13);
        let length = 2 + rng.below(longest);
        let program = Program::random(&mut rng, length, freezes);
        let (dims, ids) = match solve(&program, &in_order(&program)) {
            Ok(solved) => solved,
            Err(why) => {
                let small = program.shrink(&|p| solve(p, &in_order(p)).is_err());
                panic!("seed {seed}: {why}: {}", small.text());
            }
        };
        let oracle = program.oracle();
        if let Err(why) = oracle.sound(&dims, &ids) {
            let small = program.shrink(&|p| {
                solve(p, &in_order(p))
                    .is_ok_and(|(dims, ids)| p.oracle().sound(&dims, &ids).is_err())
            });
            panic!("seed {seed} is unsound: {why}: {}", small.text());
        }
        let mut other = in_order(&program);
        rng.shuffle(&mut other);
        let (again, others) = solve(&program, &other).unwrap();
        orders += usize::from(shape(&dims, &ids) != shape(&again, &others));
        positions += ids.iter().map(|id| dims.needs(*id).len()).sum::<usize>();
        for (_, _, why) in oracle.losses(&dims, &ids, &mut undecided) {
            // Without a reason: the atoms are coarser than they need be.
            let why = why.map_or("coarse atoms".to_string(), |r| r.to_string());
            *lost.entry(why).or_default() += 1;
        }
    }
    let mut out = String::new();
    writeln!(
        out,
        "{programs} programs of up to {} operators",
        longest + 1
    )
    .unwrap();
    writeln!(
        out,
        "{positions} positions, {orders} programs depend on the order, {undecided} undecided"
    )
    .unwrap();
    for (why, count) in lost {
        writeln!(
            out,
            "lost to {why}: {count} positions, {:.2} %",
            count as f64 / positions as f64 * 100.0
        )
        .unwrap();
    }
    out
}

fn shown(name: &str, text: String) {
    insta::with_settings!({snapshot_path => "../../snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn without_freezing() {
    shown("axes_without_freezing", judge(3000, 8, false));
}

#[test]
fn with_freezing() {
    shown("axes_with_freezing", judge(3000, 8, true));
}

#[test]
fn long_programs() {
    shown("axes_long_programs", judge(500, 24, true));
}
