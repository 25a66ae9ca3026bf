//! What would take too long is frozen with that reason; hostile extents are mismatches; solving again is cheap.
use std::time::{Duration, Instant};
use tpc::dims::{Cause, Dim, Dims, Mismatch, Reason, Term};

/// Well above what any of this takes, well below what an exponential takes.
const SOON: Duration = Duration::from_secs(60);

/// Solves, in time, and gives the reason why a dimension is frozen.
fn reason(dims: &mut Dims, d: Dim) -> Option<Reason> {
    let start = Instant::now();
    dims.solve().unwrap();
    dims.term(d);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    dims.frozen(d).map(|(reason, _)| reason)
}

#[test]
fn doubling() {
    let mut dims = Dims::new();
    let first = dims.axis(2i64);
    let mut last = first;
    for _ in 0..40 {
        last = dims.concat(&[last, last]);
    }
    assert_eq!(reason(&mut dims, last), Some(Reason::WorkLimit));
    assert_eq!(dims.term(last), Term::Atom(dims.find(last)));
    assert!(dims.frozen(first).is_some());
}

#[test]
fn doubling_through_axes_and_a_reshape() {
    let mut dims = Dims::new();
    let mut last = dims.axis(3i64);
    for i in 0..30 {
        let axis = dims.axis(3i64 << (i + 1));
        let sum = dims.concat(&[last, last]);
        dims.equate(axis, sum, Cause(i)).unwrap();
        last = axis;
    }
    let (a, b) = (dims.axis(3i64 << 16), dims.axis(1i64 << 14));
    dims.reshape(&[last], &[a, b], Cause(99)).unwrap();
    assert_eq!(reason(&mut dims, last), Some(Reason::WorkLimit));
}

#[test]
fn a_long_chain() {
    let mut dims = Dims::new();
    let mut last = dims.axis(2i64);
    for i in 0..20_000u32 {
        let more = dims.axis(1i64);
        let (sum, axis) = (dims.concat(&[last, more]), dims.axis(i as i64 + 3));
        dims.equate(axis, sum, Cause(i)).unwrap();
        last = axis;
    }
    let (front, back) = (dims.axis(10_001i64), dims.axis(10_001i64));
    let halves = dims.concat(&[front, back]);
    dims.equate(last, halves, Cause(20_000)).unwrap();
    assert_eq!(reason(&mut dims, last), Some(Reason::WorkLimit));
    assert!(dims.frozen(front).is_some() && dims.frozen(back).is_some());
}

#[test]
fn every_position_tied_to_the_next() {
    let mut dims = Dims::new();
    let x = dims.axis(1i64 << 40);
    let y = dims.axis((1i64 << 40) - 1);
    dims.slice(x, 0, y, Cause(0)).unwrap();
    dims.slice(x, 1, y, Cause(1)).unwrap();
    assert_eq!(reason(&mut dims, x), Some(Reason::WorkLimit));
    assert!(dims.frozen(y).is_some());
}

#[test]
fn more_than_64_bits() {
    let mut dims = Dims::new();
    let (x, y) = (dims.axis(i64::MAX), dims.axis(i64::MAX));
    let sum = dims.concat(&[x, y]);
    assert_eq!(dims.equate(x, sum, Cause(0)), Err(Mismatch::Overflow));
    assert!(dims.solve().is_err());
    let mut dims = Dims::new();
    let (x, y) = (dims.axis(i64::MAX), dims.axis(2i64));
    dims.product(&[x, y]);
    assert_eq!(dims.solve().unwrap_err().mismatch, Mismatch::Overflow);
}

#[test]
fn no_positions() {
    let mut dims = Dims::new();
    let (none, x, y) = (dims.axis(0i64), dims.axis(4i64), dims.axis(4i64));
    let sum = dims.concat(&[none, x]);
    dims.equate(sum, y, Cause(0)).unwrap();
    let (a, b) = (dims.axis(0i64), dims.axis(7i64));
    dims.reshape(&[none, x], &[b, a], Cause(1)).unwrap();
    let product = dims.product(&[none, y]);
    dims.equate(product, a, Cause(2)).unwrap();
    dims.solve().unwrap();
    assert_eq!(dims.find(x), dims.find(y));
    assert_eq!(dims.needs(product), Vec::<Vec<_>>::new());
}

#[test]
fn numbers_that_meet_through_what_was_assumed() {
    use tpc::tensor::Extent;
    let mut dims = Dims::new();
    let n = dims.axis(Extent::symbol("N"));
    let three = dims.part(3i64);
    let (more, nine) = (dims.concat(&[n, three]), dims.axis(9i64));
    dims.equate(more, nine, Cause(4)).unwrap();
    let five = dims.axis(5i64);
    let wrong = dims
        .equate(n, five, Cause(7))
        .map_err(|e| (e, None))
        .and_then(|()| dims.solve().map_err(|e| (e.mismatch, e.cause)));
    let both = Mismatch::Extents(Extent::from(8i64), Extent::from(9i64));
    assert_eq!(wrong, Err((both, Some(Cause(7)))));
}

/// A chain of residual blocks: `blocks` axes of one class, with a free atom in between each.
fn blocks(dims: &mut Dims, blocks: u32) -> Vec<Dim> {
    let mut inner = vec![];
    let stream = dims.axis(64i64);
    for i in 0..blocks {
        let (hidden, out) = (dims.axis(256i64), dims.axis(64i64));
        let parts = [dims.axis(128i64), dims.axis(128i64)];
        let sum = dims.concat(&parts);
        dims.equate(hidden, sum, Cause(i)).unwrap();
        dims.equate(stream, out, Cause(i)).unwrap();
        inner.push(parts[0]);
    }
    inner
}

#[test]
fn freezing_after_solving_costs_what_it_changes() {
    let mut dims = Dims::new();
    let inner = blocks(&mut dims, 5_000);
    let start = Instant::now();
    dims.solve().unwrap();
    let first = start.elapsed();
    let start = Instant::now();
    for d in inner.iter().take(20) {
        assert_eq!(dims.frozen(*d), None);
        dims.freeze(*d, Reason::Plan, Cause(0));
        dims.solve().unwrap();
        assert_eq!(dims.frozen(*d), Some((Reason::Plan, Cause(0))));
    }
    let again = start.elapsed() / 20;
    assert!(again < first, "{again:?} after {first:?}");
    assert_eq!(dims.frozen(inner[20]), None);
}
