//! Attribute values: what the text says, read as the kind that the operator's attribute has.
use super::ast::{Item, Name, Term, TermKind};
use super::base64;
use super::constant::{Literal, float};
use super::token::{Mistake, unquote};
use crate::ops::{Attr, Expr, Kind};
use crate::tensor::DType;

/// Reads an attribute's value; `expr` reads dimension expressions.
pub fn attr(
    op: &str,
    name: Name<'_>,
    kind: Kind,
    item: &Item<'_>,
    expr: &dyn Fn(&Term<'_>) -> Result<Expr, Mistake>,
) -> Result<Attr, Mistake> {
    let wrong = || {
        let message = format!("`{}` of `{op}` must be {}", name.text, kind.describe());
        let mistake = Mistake::new(item.span(), message);
        match (kind, item) {
            (
                Kind::Str,
                Item::Term(Term {
                    kind: TermKind::Word(word),
                    ..
                }),
            ) => mistake.help(format!("write `\"{word}\"`")),
            (Kind::Bytes, _) => mistake.help("bytes are written `b\"base64\"`"),
            (Kind::Ints | Kind::Floats | Kind::Extents, Item::Term(_)) => {
                mistake.help("a list stands in square brackets")
            }
            _ => mistake,
        }
    };
    let of = match kind {
        Kind::Ints => Kind::Int,
        Kind::Floats => Kind::Float,
        Kind::Extents => Kind::Extent,
        single => return one(single, item, expr)?.ok_or_else(wrong),
    };
    let Item::List(_, items) = item else {
        return Err(wrong());
    };
    let items = items
        .iter()
        .map(|item| one(of, item, expr)?.ok_or_else(wrong))
        .collect::<Result<_, _>>()?;
    Ok(Attr::List(items))
}

/// A single value of a kind; none if it is of another.
fn one(
    kind: Kind,
    item: &Item<'_>,
    expr: &dyn Fn(&Term<'_>) -> Result<Expr, Mistake>,
) -> Result<Option<Attr>, Mistake> {
    let term = match (kind, item) {
        (Kind::Bytes, Item::Bytes(name)) => {
            let text = name.text.trim_start_matches('b').trim_matches('"');
            let bytes =
                base64::decode(text).ok_or_else(|| Mistake::new(name.span, "this is no base64"))?;
            return Ok(Some(Attr::Bytes(bytes.into())));
        }
        (_, Item::Term(term)) => term,
        _ => return Ok(None),
    };
    let integer = |literal: &Literal<'_>| match literal.integer().map(i64::try_from) {
        Some(Ok(n)) => Ok(Some(Attr::int(n))),
        _ => Err(Mistake::new(term.span, "the number does not fit 64 bits")),
    };
    let is_int = |term: &Term<'_>| match &term.kind {
        TermKind::Int(_) => true,
        TermKind::Negative(of) => matches!(of.kind, TermKind::Int(_)),
        _ => false,
    };
    Ok(match (kind, &term.kind) {
        (Kind::Bool, TermKind::Word("true")) => Some(Attr::Bool(true)),
        (Kind::Bool, TermKind::Word("false")) => Some(Attr::Bool(false)),
        (Kind::Str, TermKind::Text(text)) => Some(Attr::str(&unquote(text, term.span.start)?)),
        (Kind::DType, TermKind::Word(word)) => DType::from_name(word).map(Attr::DType),
        (Kind::Int | Kind::Float, _) if is_int(term) => match Literal::of(term) {
            Some(literal) => integer(&literal)?,
            None => None,
        },
        (Kind::Float, TermKind::Float(_))
            if Literal::of(term).is_some_and(|l| float::<f32>(&l).is_none()) =>
        {
            return Err(Mistake::new(term.span, "the number does not fit f32"));
        }
        (Kind::Float, _) => Literal::of(term).and_then(|l| float(&l)).map(Attr::Float),
        (Kind::Extent, TermKind::Float(_)) => None,
        (Kind::Extent, _) => Some(Attr::Expr(expr(term)?)),
        _ => None,
    })
}
