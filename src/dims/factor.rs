//! Two products of one class: what each says of the other's factors.
use super::refine::NOBODY;
use super::{Dims, Reason};
use crate::tensor::Extent;
use egg::Id;

/// What became of two products of one class.
pub(super) enum Factored {
    /// All is said of their factors.
    Done,
    /// Units had to be frozen first.
    UnitsFirst,
    /// Run-time extents of which neither divides the other.
    Never,
}

impl Dims {
    /// The factors of a class with a run-time extent, some of which may be free.
    pub(super) fn product_of(&self, id: Id) -> Option<[Id; 2]> {
        let (_, muls) = self.forms_of(id);
        let stays = self.fact(id).frozen.is_some();
        muls.into_iter().next().filter(|_| !stays)
    }

    fn over(&self, a: Id, b: Id) -> Option<Extent> {
        self.fact(a).extent.exact_div(&self.fact(b).extent)
    }

    /// Equates the factors of `a * b` and `c * d`.
    pub(super) fn factor(&mut self, one: [Id; 2], two: [Id; 2]) -> Factored {
        if self.fact(one[1]).extent == self.fact(two[1]).extent {
            self.unite(one[0], two[0]);
            self.unite(one[1], two[1]);
            return Factored::Done;
        }
        let all = [one[0], one[1], two[0], two[1]];
        let units: Vec<Id> = all.into_iter().filter(|u| self.ext(*u) == 1).collect();
        if !units.is_empty() {
            units
                .iter()
                .for_each(|u| self.freeze_class(*u, (Reason::SinglePosition, NOBODY)));
            return Factored::UnitsFirst;
        }
        for ([a, b], [c, d]) in [(one, two), (two, one)] {
            let Some(rest) = self.over(d, b) else {
                continue;
            };
            // (c * r) * b = c * (r * b); the r of a factorization that is already there.
            let extent = |id: Id| &self.fact(id).extent;
            let of_d = self.forms_of(d).1.into_iter();
            let of_a = self.forms_of(a).1.into_iter();
            let known = of_d
                .filter(|m| extent(m[1]) == extent(b))
                .map(|m| m[0])
                .chain(of_a.filter(|m| *extent(m[1]) == rest).map(|m| m[1]))
                .next();
            let r = known.unwrap_or_else(|| self.symbol(rest, false));
            let (inner, outer) = (self.times(r, b), self.times(c, r));
            self.unite(inner, d);
            self.unite(outer, a);
            return Factored::Done;
        }
        if all.iter().any(|id| !self.is_known(*id)) {
            return Factored::Never;
        }
        let ([a, b], [c, d]) = match self.ext(one[1]) <= self.ext(two[1]) {
            true => (one, two),
            false => (two, one),
        };
        let (small, large) = (self.ext(b), self.ext(d));
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
        Factored::Done
    }
}

pub(crate) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
