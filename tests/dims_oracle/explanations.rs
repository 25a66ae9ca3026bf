//! Explanations of random programs: a chain for whatever two axes share, connected and without detours.
use crate::program::{Program, Rng};
use crate::{in_order, solve};
use std::collections::BTreeSet;
use tpc::dims::{Cause, Dim, Dims, Reason, Step};

/// Each step begins where the one before ends, and none is taken twice. (A dimension may be passed twice: two parts of one
/// sum are tied by what says more of the sum.)
fn connected(steps: &[Step], a: Dim, b: Option<Dim>) -> bool {
    let joined = steps.windows(2).all(|two| two[0].to == two[1].from);
    let ends = steps.first().is_none_or(|s| s.from == a)
        && b.is_none_or(|b| steps.last().is_some_and(|s| s.to == b));
    let distinct: BTreeSet<_> = steps.iter().map(|s| (s.from, s.to, s.cause)).collect();
    joined && ends && distinct.len() == steps.len()
}

#[test]
fn whatever_two_axes_share_has_a_chain() {
    for seed in 0..400 {
        let mut rng = Rng(seed * 104_729 + 5);
        let length = 2 + rng.below(10);
        let program = Program::random(&mut rng, length, true);
        let (dims, ids) = solve(&program, &in_order(&program)).unwrap();
        for (i, a) in ids.iter().enumerate() {
            for b in &ids[..i] {
                let wide = |atom: &Dim| dims.extent(*atom).known() > Some(1);
                for atom in dims.shared(*a, *b).into_iter().filter(wide) {
                    let steps = dims.explain(*a, *b, atom);
                    assert!(
                        connected(&steps, *a, Some(*b)),
                        "seed {seed}: {a:?} {b:?} {atom:?}: {steps:?}: {}",
                        program.text()
                    );
                }
            }
            if let Some((steps, reason, cause)) = dims.explain_frozen(*a) {
                assert!(connected(&steps, *a, None), "seed {seed}: {steps:?}");
                if reason == Reason::Plan && !steps.is_empty() {
                    let last = steps[steps.len() - 1].to;
                    assert_eq!(dims.frozen(last), Some((reason, cause)), "seed {seed}");
                }
            }
        }
    }
}

#[test]
fn the_shortest_chain_is_given() {
    let mut dims = Dims::new();
    let all: Vec<Dim> = (0..6).map(|_| dims.axis(8i64)).collect();
    for (i, two) in all.windows(2).enumerate() {
        dims.equate(two[0], two[1], Cause(i as u32)).unwrap();
    }
    dims.equate(all[1], all[4], Cause(9)).unwrap();
    dims.solve().unwrap();
    let causes: Vec<u32> = dims
        .explain(all[0], all[5], dims.find(all[0]))
        .iter()
        .map(|step| step.cause.0)
        .collect();
    assert_eq!(causes, [0, 9, 4]);
}

#[test]
fn the_way_goes_through_what_holds_the_atom() {
    let mut dims = Dims::new();
    let (x, y, whole) = (dims.axis(2i64), dims.axis(3i64), dims.axis(5i64));
    let sum = dims.concat(&[x, y]);
    dims.equate(whole, sum, Cause(0)).unwrap();
    let (p, q) = (dims.axis(2i64), dims.axis(3i64));
    let split = dims.concat(&[p, q]);
    dims.equate(whole, split, Cause(1)).unwrap();
    dims.freeze(q, Reason::Output, Cause(2));
    dims.solve().unwrap();
    assert_eq!(dims.shared(x, q), []);
    let steps = dims.explain(x, p, dims.find(x));
    let causes: Vec<u32> = steps.iter().map(|step| step.cause.0).collect();
    assert_eq!(causes, [0, 1]);
    let (steps, reason, cause) = dims.explain_frozen(y).unwrap();
    assert_eq!((reason, cause), (Reason::Output, Cause(2)));
    let causes: Vec<u32> = steps.iter().map(|step| step.cause.0).collect();
    assert_eq!(causes, [0, 1]);
    assert_eq!(dims.explain_frozen(x), None);
}
