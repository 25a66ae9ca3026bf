//! Two products of one class: what each says of the other's factors.
use super::refine::NOBODY;
use super::{Dims, Reason};
use egg::Id;

impl Dims {
    /// Equates the factors of `a * b` and `c * d`. False when a unit had to be frozen first.
    pub(super) fn factor(&mut self, one: [Id; 2], two: [Id; 2]) -> bool {
        let ([a, b], [c, d]) = if self.ext(one[1]) <= self.ext(two[1]) {
            (one, two)
        } else {
            (two, one)
        };
        let (small, large) = (self.ext(b), self.ext(d));
        if small == large {
            self.unite(a, c);
            self.unite(b, d);
            return true;
        }
        let units: Vec<Id> = [a, b, c, d]
            .into_iter()
            .filter(|u| self.ext(*u) == 1)
            .collect();
        if !units.is_empty() {
            units
                .iter()
                .for_each(|u| self.freeze_class(*u, (Reason::SinglePosition, NOBODY)));
            return false;
        }
        if large % small == 0 {
            // (c * r) * b = c * (r * b); the r of a factorization that is already there.
            let known = self
                .forms_of(d)
                .1
                .into_iter()
                .find(|m| self.ext(m[1]) == small)
                .map(|m| m[0])
                .or_else(|| {
                    self.forms_of(a)
                        .1
                        .into_iter()
                        .find(|m| self.ext(m[1]) == large / small)
                        .map(|m| m[1])
                });
            let r = known.unwrap_or_else(|| self.fresh(large / small));
            let (inner, outer) = (self.times(r, b), self.times(c, r));
            self.unite(inner, d);
            self.unite(outer, a);
            return true;
        }
        // a = k * q, b = p * t, c = k * p, d = q * t with p, q coprime: k and t stay free, p and q do not.
        let t = gcd(small, large);
        let (p, q) = (small / t, large / t);
        let k = self.ext(a) / q;
        let (outer, inner) = (self.fresh(k), self.fresh(t));
        for (id, free, core, left) in [
            (a, k, q, true),
            (c, k, p, true),
            (b, t, p, false),
            (d, t, q, false),
        ] {
            let core = self.fresh(core);
            self.freeze_class(core, (Reason::NoFit, NOBODY));
            let term = match (free, left) {
                (1, _) => core,
                (_, true) => self.times(outer, core),
                (_, false) => self.times(core, inner),
            };
            self.unite(id, term);
        }
        true
    }
}

pub(crate) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
