//! Extents: integer expressions over run-time symbols in a normal form.
//!
//! A normal form is a polynomial with integer coefficients over factors that are symbols or floor divisions of normal
//! forms. Equal normal forms are equal for every value of the symbols; the converse is not decided.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// An integer expression over run-time symbols.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Extent(Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    Known(i64),
    Poly(Arc<Poly>),
}

/// Coefficients by monomial; the empty monomial is the constant. No coefficient is 0.
type Poly = BTreeMap<Monomial, i64>;
/// Factors in order, repeated for powers.
type Monomial = Vec<Factor>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Factor {
    Symbol(Arc<str>),
    Floor(Box<(Extent, Extent)>),
}

/// Longest polynomial that is still computed with; beyond, operations fail as on overflow.
const LONGEST: usize = 256;
/// The most factors in all of a normal form, those in floor divisions counted: bounds degree and nesting.
const LARGEST: usize = 1024;

impl From<i64> for Extent {
    fn from(n: i64) -> Extent {
        Extent(Form::Known(n))
    }
}

impl From<usize> for Extent {
    fn from(n: usize) -> Extent {
        Extent(Form::Known(i64::try_from(n).unwrap_or(i64::MAX)))
    }
}

impl Extent {
    /// A run-time symbol.
    pub fn symbol(name: &str) -> Extent {
        Extent::factor(Factor::Symbol(name.into()))
    }
    fn factor(factor: Factor) -> Extent {
        Extent(Form::Poly(Arc::new(Poly::from([(vec![factor], 1)]))))
    }
    fn normal(mut poly: Poly) -> Option<Extent> {
        poly.retain(|_, c| *c != 0);
        match poly.len() {
            0 => Some(Extent::from(0i64)),
            1 if poly.contains_key(&vec![]) => Some(Extent::from(poly[&vec![]])),
            n if n > LONGEST => None,
            _ => Extent(Form::Poly(Arc::new(poly))).bounded(),
        }
    }
    /// The same, if it is not too large to compute with.
    fn bounded(self) -> Option<Extent> {
        fn count(e: &Extent, left: &mut usize) -> Option<()> {
            if let Form::Poly(poly) = &e.0 {
                for factor in poly.keys().flatten() {
                    *left = left.checked_sub(1)?;
                    if let Factor::Floor(inner) = factor {
                        count(&inner.0, left)?;
                        count(&inner.1, left)?;
                    }
                }
            }
            Some(())
        }
        count(&self, &mut LARGEST.clone()).map(|()| self)
    }
    fn poly(&self) -> Poly {
        match &self.0 {
            Form::Known(0) => Poly::new(),
            Form::Known(n) => Poly::from([(vec![], *n)]),
            Form::Poly(poly) => (**poly).clone(),
        }
    }
    /// The number, if no symbol is in it.
    pub fn known(&self) -> Option<i64> {
        match self.0 {
            Form::Known(n) => Some(n),
            Form::Poly(_) => None,
        }
    }
    /// Whether it is a number.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }
    /// The sum; none on overflow.
    pub fn checked_add(&self, other: &Extent) -> Option<Extent> {
        if let (Some(a), Some(b)) = (self.known(), other.known()) {
            return a.checked_add(b).map(Extent::from);
        }
        let mut sum = self.poly();
        for (monomial, c) in other.poly() {
            let entry = sum.entry(monomial).or_insert(0);
            *entry = entry.checked_add(c)?;
        }
        Extent::normal(sum)
    }
    /// The difference; none on overflow.
    pub fn checked_sub(&self, other: &Extent) -> Option<Extent> {
        self.checked_add(&other.checked_mul(&Extent::from(-1i64))?)
    }
    /// The product; none on overflow.
    pub fn checked_mul(&self, other: &Extent) -> Option<Extent> {
        if let (Some(a), Some(b)) = (self.known(), other.known()) {
            return a.checked_mul(b).map(Extent::from);
        }
        let mut product = Poly::new();
        for (a, ca) in &self.poly() {
            for (b, cb) in &other.poly() {
                let mut monomial = [&a[..], &b[..]].concat();
                monomial.sort();
                let entry = product.entry(monomial).or_insert(0);
                *entry = entry.checked_add(ca.checked_mul(*cb)?)?;
            }
        }
        Extent::normal(product)
    }
    /// The quotient where the division leaves nothing, as polynomials.
    pub fn exact_div(&self, by: &Extent) -> Option<Extent> {
        if let (Some(a), Some(b)) = (self.known(), by.known()) {
            return (a.checked_rem(b) == Some(0)).then(|| Extent::from(a / b));
        }
        if self == by {
            return Some(Extent::from(1i64));
        }
        // Long division by the greatest monomial.
        let by = by.poly();
        let (lead, c) = by.iter().max_by_key(|(m, _)| (m.len(), (*m).clone()))?;
        let (mut rest, mut quotient) = (self.clone(), Extent::from(0i64));
        for _ in 0..LONGEST {
            let poly = rest.poly();
            let Some((monomial, d)) = poly.iter().max_by_key(|(m, _)| (m.len(), (*m).clone()))
            else {
                return Some(quotient);
            };
            let mut left = monomial.clone();
            for factor in lead {
                left.remove(left.iter().position(|f| f == factor)?);
            }
            if d.checked_rem(*c) != Some(0) {
                return None;
            }
            let term = Extent::normal(Poly::from([(left, d / c)]))?;
            quotient = quotient.checked_add(&term)?;
            rest = rest.checked_sub(&term.checked_mul(&Extent::normal(by.clone())?)?)?;
        }
        None
    }
    /// The quotient rounded down; none for a division by zero, or on overflow.
    pub fn floor_div(&self, by: &Extent) -> Option<Extent> {
        match (self.known(), by.known()) {
            (_, Some(0)) => return None,
            (Some(a), Some(b)) => {
                return a
                    .checked_div_euclid(b)
                    .map(|q| {
                        if b < 0 && a.rem_euclid(b) != 0 {
                            q - 1
                        } else {
                            q
                        }
                    })
                    .map(Extent::from);
            }
            _ => {}
        }
        if let Some(exact) = self.exact_div(by) {
            return Some(exact);
        }
        if let Some(n) = by.known().filter(|n| *n > 0) {
            // floor((n a + r) / n) = a + floor(r / n), and floor((floor(a / m) + r) / n) = floor((a + r m) / (m n)).
            let (mut whole, mut rest) = (Poly::new(), Poly::new());
            for (monomial, c) in self.poly() {
                whole.insert(monomial.clone(), c.div_euclid(n));
                rest.insert(monomial, c.rem_euclid(n));
            }
            let (whole, rest) = (Extent::normal(whole)?, Extent::normal(rest)?);
            if rest.is_known() {
                return Some(whole);
            }
            let floor = match rest.floor_and_rest() {
                Some((a, m, r)) => {
                    let shifted = a.checked_add(&m.checked_mul(&Extent::from(r))?)?;
                    shifted.floor_div(&m.checked_mul(by)?)?
                }
                None => Extent::factor(Factor::Floor(Box::new((rest, by.clone())))),
            };
            return whole.checked_add(&floor);
        }
        Extent::factor(Factor::Floor(Box::new((self.clone(), by.clone())))).bounded()
    }
    /// What it divides, by what number, and what it adds, if it is one floor division and a number.
    fn floor_and_rest(&self) -> Option<(Extent, Extent, i64)> {
        let Form::Poly(poly) = &self.0 else {
            return None;
        };
        let rest = poly.get(&vec![]).copied();
        let mut others = poly.iter().filter(|(monomial, _)| !monomial.is_empty());
        let (Some((monomial, 1)), None) = (others.next(), others.next()) else {
            return None;
        };
        match &monomial[..] {
            [Factor::Floor(inner)] if inner.1.known().is_some_and(|m| m > 0) => {
                Some((inner.0.clone(), inner.1.clone(), rest.unwrap_or(0)))
            }
            _ => None,
        }
    }
    /// All run-time symbols in it.
    pub fn symbols(&self) -> BTreeSet<Arc<str>> {
        let mut all = BTreeSet::new();
        self.visit(&mut all);
        all
    }
    fn visit(&self, all: &mut BTreeSet<Arc<str>>) {
        if let Form::Poly(poly) = &self.0 {
            for factor in poly.keys().flatten() {
                match factor {
                    Factor::Symbol(name) => drop(all.insert(name.clone())),
                    Factor::Floor(inner) => {
                        inner.0.visit(all);
                        inner.1.visit(all);
                    }
                }
            }
        }
    }
    /// The value for given values of the symbols; none where one is missing, or on overflow.
    pub fn eval(&self, value: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        let poly = match &self.0 {
            Form::Known(n) => return Some(*n),
            Form::Poly(poly) => poly,
        };
        let mut sum = 0i64;
        for (monomial, c) in poly.iter() {
            let mut product = *c;
            for factor in monomial {
                let f = match factor {
                    Factor::Symbol(name) => value(name)?,
                    Factor::Floor(inner) => {
                        let (a, b) = (inner.0.eval(value)?, inner.1.eval(value)?);
                        Extent::from(a).floor_div(&Extent::from(b))?.known()?
                    }
                };
                product = product.checked_mul(f)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }
    /// The terms of the polynomial as (coefficient, factors); a factor is a symbol or a floor division.
    pub fn terms(&self) -> Vec<(i64, Vec<ExtentFactor>)> {
        self.poly()
            .into_iter()
            .map(|(monomial, c)| {
                let factors = monomial.into_iter().map(|f| match f {
                    Factor::Symbol(name) => ExtentFactor::Symbol(name),
                    Factor::Floor(inner) => ExtentFactor::Floor(inner.0, inner.1),
                });
                (c, factors.collect())
            })
            .collect()
    }
}

/// A factor in a term of an extent.
#[derive(Clone, Debug, PartialEq)]
pub enum ExtentFactor {
    /// A run-time symbol.
    Symbol(Arc<str>),
    /// A floor division.
    Floor(Extent, Extent),
}

/// A symbol as the language writes it: bare if it is a plain identifier, quoted otherwise.
pub fn quoted(name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .split('.')
            .all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain {
        name.to_string()
    } else {
        format!("{name:?}")
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let poly = match &self.0 {
            Form::Known(n) => return write!(f, "{n}"),
            Form::Poly(poly) => poly,
        };
        // Higher powers first, the constant last; the first term is not negative where that can be.
        let mut terms: Vec<(&Monomial, i64)> = poly.iter().map(|(m, c)| (m, *c)).collect();
        terms.sort_by_key(|(m, c)| {
            (
                *c < 0 && !m.is_empty(),
                std::cmp::Reverse(m.len()),
                (*m).clone(),
            )
        });
        for (i, (monomial, c)) in terms.iter().enumerate() {
            let magnitude = c.unsigned_abs();
            match (i, *c < 0) {
                (0, true) => f.write_str("0 - ")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            let mut words = vec![];
            if magnitude != 1 || monomial.is_empty() {
                words.push(magnitude.to_string());
            }
            for factor in monomial.iter() {
                words.push(match factor {
                    Factor::Symbol(name) => quoted(name),
                    // A division binds like a product from the left, so that behind another factor it needs brackets.
                    Factor::Floor(inner) => {
                        let group = |e: &Extent| match &e.0 {
                            Form::Known(n) if *n >= 0 => e.to_string(),
                            Form::Poly(p)
                                if p.len() == 1
                                    && p.iter().all(|(m, c)| {
                                        *c == 1 && matches!(&m[..], [Factor::Symbol(_)])
                                    }) =>
                            {
                                e.to_string()
                            }
                            _ => format!("({e})"),
                        };
                        let text = format!("{} / {}", group(&inner.0), group(&inner.1));
                        if words.is_empty() && monomial.len() == 1 {
                            text
                        } else {
                            format!("({text})")
                        }
                    }
                });
            }
            f.write_str(&words.join(" * "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n() -> Extent {
        Extent::symbol("N")
    }
    fn num(n: i64) -> Extent {
        Extent::from(n)
    }

    #[test]
    fn products_cancel() {
        let a = n().checked_mul(&num(768)).unwrap();
        let b = n().checked_mul(&num(64)).unwrap();
        assert_eq!(a.exact_div(&b), Some(num(12)));
        assert_eq!(a.exact_div(&n()), Some(num(768)));
        assert_eq!(b.exact_div(&a), None);
        assert_eq!(a.checked_sub(&a), Some(num(0)));
    }

    #[test]
    fn windows_print_as_people_write_them() {
        let half = n()
            .checked_sub(&num(1))
            .unwrap()
            .floor_div(&num(2))
            .unwrap();
        let out = half.checked_add(&num(1)).unwrap();
        assert_eq!(out.eval(&|_| Some(23)), Some(12));
        assert_eq!(out.eval(&|_| Some(16)), Some(8));
        let twice = out
            .checked_sub(&num(1))
            .unwrap()
            .floor_div(&num(2))
            .unwrap();
        let next = out
            .checked_add(&num(1))
            .unwrap()
            .floor_div(&num(2))
            .unwrap();
        assert_eq!(next.to_string(), "(N + 3) / 4");
        for v in 1..50 {
            assert_eq!(
                twice.eval(&|_| Some(v)),
                Some((v - 1).div_euclid(2).div_euclid(2))
            );
        }
    }

    #[test]
    fn overflow_is_none() {
        assert_eq!(num(i64::MAX).checked_add(&num(1)), None);
        assert_eq!(
            num(i64::MAX)
                .checked_mul(&n())
                .unwrap()
                .checked_mul(&num(2)),
            None
        );
        assert_eq!(n().floor_div(&num(0)), None);
    }
}
