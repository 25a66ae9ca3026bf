//! Dimension expressions as they are written: numbers, names, and `+ - * /` over them.
use crate::tensor::{Extent, quoted};
use std::fmt;
use std::sync::Arc;

/// An expression over dims and run-time symbols, as types and extent attributes hold it.
///
/// `+` and `*` of dims are ordered: concatenation and row-major product. `-` and `/` (floor) occur only where
/// a run-time symbol does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A number.
    Num(i64),
    /// A dim or run-time symbol of the module's table.
    Name(Arc<str>),
    /// Concatenation of two or more.
    Sum(Vec<Expr>),
    /// Row-major product of two or more.
    Product(Vec<Expr>),
    /// A difference of extents.
    Difference(Box<Expr>, Box<Expr>),
    /// A floor division of extents.
    Quotient(Box<Expr>, Box<Expr>),
    /// An extent over run-time symbols in its normal form (made by analysis, never by the parser).
    Extent(Extent),
}

/// What an expression cannot be evaluated for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// A name that the table does not have.
    #[error("unknown dim `{0}`")]
    Unknown(Arc<str>),
    /// More than 64 bits, or a division by zero.
    #[error("`{0}` cannot be computed: it overflows or divides by zero")]
    Overflow(String),
}

impl Expr {
    /// A name.
    pub fn name(name: &str) -> Expr {
        Expr::Name(name.into())
    }
    /// A sum, flat: none is 0, one is itself.
    pub fn sum(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = vec![];
        for part in parts {
            match part {
                Expr::Sum(inner) => flat.extend(inner),
                Expr::Num(0) => {}
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Expr::Num(0),
            1 => flat.swap_remove(0),
            _ => Expr::Sum(flat),
        }
    }
    /// A product, flat: none is 1, one is itself.
    pub fn product(factors: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = vec![];
        for factor in factors {
            match factor {
                Expr::Product(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Expr::Num(1),
            1 => flat.swap_remove(0),
            _ => Expr::Product(flat),
        }
    }
    /// The value as an extent, with names looked up in a table.
    pub fn extent(&self, lookup: &dyn Fn(&str) -> Option<Extent>) -> Result<Extent, ExprError> {
        let overflow = || ExprError::Overflow(self.to_string());
        match self {
            Expr::Num(n) => Ok(Extent::from(*n)),
            Expr::Extent(extent) => Ok(extent.clone()),
            Expr::Name(name) => lookup(name).ok_or_else(|| ExprError::Unknown(name.clone())),
            Expr::Sum(parts) => parts.iter().try_fold(Extent::from(0i64), |sum, part| {
                sum.checked_add(&part.extent(lookup)?).ok_or_else(overflow)
            }),
            Expr::Product(parts) => parts.iter().try_fold(Extent::from(1i64), |product, part| {
                product
                    .checked_mul(&part.extent(lookup)?)
                    .ok_or_else(overflow)
            }),
            Expr::Difference(a, b) => a
                .extent(lookup)?
                .checked_sub(&b.extent(lookup)?)
                .ok_or_else(overflow),
            Expr::Quotient(a, b) => a
                .extent(lookup)?
                .floor_div(&b.extent(lookup)?)
                .ok_or_else(overflow),
        }
    }
    /// What a sign stands before: a number with a sign is another number.
    fn negated(&self) -> Option<&Expr> {
        match self {
            Expr::Difference(a, b) if **a == Expr::Num(0) => {
                Some(&**b).filter(|b| !matches!(b, Expr::Num(_)))
            }
            _ => None,
        }
    }
    /// Calls `visit` with every name in the expression.
    pub fn names<'a>(&'a self, visit: &mut dyn FnMut(&'a Arc<str>)) {
        match self {
            Expr::Num(_) | Expr::Extent(_) => {}
            Expr::Name(name) => visit(name),
            Expr::Sum(parts) | Expr::Product(parts) => parts.iter().for_each(|p| p.names(visit)),
            Expr::Difference(a, b) | Expr::Quotient(a, b) => {
                a.names(visit);
                b.names(visit);
            }
        }
    }
}

impl From<i64> for Expr {
    fn from(n: i64) -> Expr {
        Expr::Num(n)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn level(e: &Expr) -> u8 {
            match e {
                Expr::Num(n) if *n < 0 => 0,
                e if e.negated().is_some() => 2,
                Expr::Sum(_) | Expr::Difference(..) | Expr::Extent(_) => 0,
                Expr::Product(_) | Expr::Quotient(..) => 1,
                Expr::Num(_) | Expr::Name(_) => 2,
            }
        }
        fn part(e: &Expr, least: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if level(e) < least {
                write!(f, "({e})")
            } else {
                write!(f, "{e}")
            }
        }
        match self {
            Expr::Num(n) => write!(f, "{n}"),
            Expr::Extent(extent) => write!(f, "{extent}"),
            Expr::Name(name) => f.write_str(&quoted(name)),
            Expr::Sum(parts) => {
                for (i, p) in parts.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" + ")?;
                    }
                    part(p, 1, f)?;
                }
                Ok(())
            }
            Expr::Product(parts) => {
                for (i, p) in parts.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" * ")?;
                    }
                    part(p, 2, f)?;
                }
                Ok(())
            }
            Expr::Difference(a, b) => {
                if let Some(of) = self.negated() {
                    f.write_str("-")?;
                    return part(of, 2, f);
                }
                part(a, 0, f)?;
                f.write_str(" - ")?;
                part(b, 1, f)
            }
            Expr::Quotient(a, b) => {
                part(a, 1, f)?;
                f.write_str(" / ")?;
                part(b, 2, f)
            }
        }
    }
}
