//! What was taken for granted of run-time extents is looked at again when all is solved: some are numbers by then.
use super::Facts;
use crate::dims::{Conflict, Mismatch};
use crate::tensor::{Extent, ExtentFactor};
use std::collections::HashMap;

/// An assumption that cannot hold for the numbers that run-time extents turned out to be.
pub(super) fn contradiction(facts: &Facts) -> Option<Conflict> {
    let numbers: HashMap<&str, i64> = facts
        .names
        .iter()
        .filter_map(|(name, d)| Some((&**name, facts.dims.extent(*d).known()?)))
        .collect();
    facts.dims.assumptions().iter().find_map(|(a, b, cause)| {
        let (x, y) = (with(a, &numbers)?, with(b, &numbers)?);
        // Where one is a multiple of the other, only no position at all would make them equal: where there is none, it does.
        let part = |x: &Extent, y: &Extent| {
            let times = x.exact_div(y).and_then(|n| n.known());
            times.filter(|n| *n != 0)
        };
        let parts = [part(&x, &y), part(&y, &x)];
        let apart = x != y && (x.is_known() && y.is_known() || parts.iter().any(Option::is_some));
        apart.then_some(Conflict {
            mismatch: Mismatch::Extents(x, y),
            cause: Some(*cause),
        })
    })
}

/// An extent with numbers in the place of symbols; none on overflow.
fn with(extent: &Extent, numbers: &HashMap<&str, i64>) -> Option<Extent> {
    extent
        .terms()
        .iter()
        .try_fold(Extent::from(0i64), |sum, (c, factors)| {
            let term = factors
                .iter()
                .try_fold(Extent::from(*c), |product, factor| {
                    product.checked_mul(&match factor {
                        ExtentFactor::Symbol(name) => match numbers.get(&**name) {
                            Some(n) => Extent::from(*n),
                            None => Extent::symbol(name),
                        },
                        ExtentFactor::Floor(a, b) => {
                            with(a, numbers)?.floor_div(&with(b, numbers)?)?
                        }
                    })
                });
            sum.checked_add(&term?)
        })
}
