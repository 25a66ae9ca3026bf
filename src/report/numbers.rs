//! Numbers and polynomials for people.
use crate::prune::Binding;
use crate::tensor::{Extent, ExtentFactor};

/// How many terms of a polynomial are shown.
const TERMS: usize = 6;

/// A number for people: `11.7 M`.
pub fn short(n: u64) -> String {
    let steps = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match steps.iter().find(|(unit, _)| n as f64 >= *unit) {
        Some((unit, letter)) => format!("{:.2} {letter}", n as f64 / unit),
        None => n.to_string(),
    }
}

/// A polynomial for people: powers as such, coefficients shortened, the terms that weigh most at a binding first, and of
/// the others how many they are.
pub fn polynomial(extent: &Extent, at: &Binding) -> String {
    let weight = |factor: &ExtentFactor| {
        let value = match factor {
            ExtentFactor::Symbol(name) => at.get(&**name).copied(),
            ExtentFactor::Floor(a, b) => a
                .floor_div(b)
                .and_then(|e| e.eval(&|symbol| at.get(symbol).copied())),
        };
        value.unwrap_or(1) as f64
    };
    let mut terms: Vec<(f64, i64, Vec<ExtentFactor>)> = vec![];
    for (c, factors) in extent.terms() {
        let value = factors.iter().map(weight).product::<f64>() * c as f64;
        terms.push((value.abs(), c, factors));
    }
    terms.sort_by(|a, b| b.0.total_cmp(&a.0));
    let more = terms.len().saturating_sub(TERMS);
    let mut out = String::new();
    for (i, (_, c, factors)) in terms.iter().take(TERMS).enumerate() {
        out.push_str(match (i, *c < 0) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        });
        let mut words = powers(factors);
        if c.unsigned_abs() != 1 || words.is_empty() {
            words.insert(0, short(c.unsigned_abs()));
        }
        out.push_str(&words.join(" * "));
    }
    match (terms.is_empty(), more) {
        (true, _) => "0".into(),
        (_, 0) => out,
        (_, n) => format!("{out} and {n} smaller terms"),
    }
}

/// Factors in words, those that repeat as powers.
fn powers(factors: &[ExtentFactor]) -> Vec<String> {
    let mut words: Vec<(String, usize)> = vec![];
    for factor in factors {
        let word = match factor {
            ExtentFactor::Symbol(name) => name.to_string(),
            ExtentFactor::Floor(a, b) => {
                let side = |e: &Extent| match e.is_known() || e.to_string() == plain(e) {
                    true => e.to_string(),
                    false => format!("({e})"),
                };
                format!("({} / {})", side(a), side(b))
            }
        };
        match words.last_mut().filter(|(last, _)| *last == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    let written = |(word, count)| match count {
        1 => word,
        n => format!("{word}^{n}"),
    };
    words.into_iter().map(written).collect()
}

/// The only symbol of an extent, if it is nothing else.
fn plain(e: &Extent) -> String {
    match &e.terms()[..] {
        [(1, factors)] => match &factors[..] {
            [ExtentFactor::Symbol(name)] => name.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_short() {
        let (n, s) = (Extent::symbol("n"), Extent::symbol("s"));
        let mul = |a: &Extent, b: &Extent| a.checked_mul(b).unwrap();
        let square = mul(&mul(&n, &s), &mul(&s, &Extent::from(512i64)));
        let linear = mul(&mul(&n, &s), &Extent::from(393_216i64));
        let half = s.checked_add(&Extent::from(1i64)).unwrap();
        let half = half.floor_div(&Extent::from(2i64)).unwrap();
        let all = square.checked_add(&linear).unwrap();
        let at = |s: i64| Binding::from([("n".to_string(), 1), ("s".to_string(), s)]);
        assert_eq!(
            polynomial(&all, &at(16)),
            "393.22 k * n * s + 512 * n * s^2"
        );
        assert_eq!(
            polynomial(&all, &at(1000)),
            "512 * n * s^2 + 393.22 k * n * s"
        );
        assert_eq!(polynomial(&mul(&half, &half), &at(16)), "((s + 1) / 2)^2");
        assert_eq!(polynomial(&Extent::from(0i64), &at(1)), "0");
        let less = n.checked_sub(&s).unwrap();
        assert_eq!(polynomial(&less, &at(16)), "-s + n");
    }
}
