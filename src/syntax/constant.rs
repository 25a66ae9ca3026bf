//! Constants: their elements as text, and back.
use super::ast::{Item, Term, TermKind};
use super::token::Mistake;
use crate::diag::Span;
use crate::tensor::{DType, Element, I4, Tensor, U4};
use half::{bf16, f16};
use std::fmt::Write;

/// A number or a word, with its sign.
pub struct Literal<'s> {
    /// Whether `-` stands before it.
    pub negative: bool,
    /// The rest.
    pub text: &'s str,
}

impl<'s> Literal<'s> {
    /// The literal that an expression is, if it is one.
    pub fn of(term: &Term<'s>) -> Option<Literal<'s>> {
        match &term.kind {
            TermKind::Int(text) | TermKind::Float(text) | TermKind::Word(text) => Some(Literal {
                negative: false,
                text,
            }),
            TermKind::Negative(of) => match Literal::of(of)? {
                Literal { negative: true, .. } => None,
                literal => Some(Literal {
                    negative: true,
                    ..literal
                }),
            },
            _ => None,
        }
    }
    /// The value as a whole number.
    pub fn integer(&self) -> Option<i128> {
        let magnitude = i128::from(self.text.parse::<u64>().ok()?);
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// A float type: how its literals are read and written.
pub trait Float: Copy {
    /// The value of digits; infinite if it is too large.
    fn parse(text: &str) -> Option<Self>;
    /// The value as the widest float.
    fn wide(self) -> f64;
    /// The value of the widest float; exact where this type has it.
    fn narrow(wide: f64) -> Self;
    /// The shortest digits that read back the same.
    fn digits(self) -> String;
}

macro_rules! floats {
    ($($ty:ty, $via:ty, $wide:expr, $narrow:expr;)*) => {$(
        impl Float for $ty {
            fn parse(text: &str) -> Option<$ty> { text.parse::<$via>().ok().map(|x| <$ty>::narrow(x as f64)) }
            fn wide(self) -> f64 { $wide(self) }
            fn narrow(wide: f64) -> $ty { $narrow(wide) }
            fn digits(self) -> String { format!("{:?}", self.wide() as $via) }
        }
    )*};
}
floats! {
    f32, f32, f64::from, |x| x as f32;
    f64, f64, |x| x, |x| x;
    f16, f32, f16::to_f64, f16::from_f64;
    bf16, f32, bf16::to_f64, bf16::from_f64;
}

/// The float of a literal: a number, `inf` or `nan`. None if it is none of these, or does not fit.
pub fn float<T: Float>(literal: &Literal<'_>) -> Option<T> {
    let magnitude = match literal.text {
        "inf" => T::narrow(f64::INFINITY),
        "nan" => T::narrow(f64::NAN),
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            T::parse(digits).filter(|x| x.wide().is_finite())?
        }
        _ => return None,
    };
    Some(match literal.negative {
        true => T::narrow(-magnitude.wide()),
        false => magnitude,
    })
}

/// The text of a float; always recognisable as one.
pub fn float_text<T: Float>(value: T) -> String {
    match value.wide() {
        x if x.is_nan() && x.is_sign_negative() => "-nan".into(),
        x if x.is_nan() => "nan".into(),
        _ => value.digits(),
    }
}

/// The tensor of a constant's text: a nested list of its shape, or all elements in one list.
pub fn tensor(item: &Item<'_>, dtype: DType, shape: &[usize]) -> Result<Tensor, Mistake> {
    let mut terms = vec![];
    flatten(item, shape, &mut terms)?;
    match dtype {
        DType::F64 => elements(&terms, dtype, shape, float::<f64>),
        DType::F32 => elements(&terms, dtype, shape, float::<f32>),
        DType::F16 => elements(&terms, dtype, shape, float::<f16>),
        DType::BF16 => elements(&terms, dtype, shape, float::<bf16>),
        DType::I64 => elements(&terms, dtype, shape, |l| i64::try_from(l.integer()?).ok()),
        DType::I32 => elements(&terms, dtype, shape, |l| i32::try_from(l.integer()?).ok()),
        DType::I16 => elements(&terms, dtype, shape, |l| i16::try_from(l.integer()?).ok()),
        DType::I8 => elements(&terms, dtype, shape, |l| i8::try_from(l.integer()?).ok()),
        DType::I4 => elements(&terms, dtype, shape, |l| I4::new(l.integer()?)),
        DType::U64 => elements(&terms, dtype, shape, |l| u64::try_from(l.integer()?).ok()),
        DType::U32 => elements(&terms, dtype, shape, |l| u32::try_from(l.integer()?).ok()),
        DType::U16 => elements(&terms, dtype, shape, |l| u16::try_from(l.integer()?).ok()),
        DType::U8 => elements(&terms, dtype, shape, |l| u8::try_from(l.integer()?).ok()),
        DType::U4 => elements(&terms, dtype, shape, |l| U4::new(l.integer()?)),
        DType::Bool => elements(&terms, dtype, shape, |l| match (l.negative, l.text) {
            (false, "true") => Some(true),
            (false, "false") => Some(false),
            _ => None,
        }),
    }
}

fn elements<T: Element>(
    terms: &[&Term<'_>],
    dtype: DType,
    shape: &[usize],
    read: impl Fn(&Literal<'_>) -> Option<T>,
) -> Result<Tensor, Mistake> {
    let element = |term: &&Term<'_>| {
        let literal = Literal::of(term);
        let fits = literal.as_ref().and_then(&read);
        fits.ok_or_else(|| {
            let number = literal.is_some_and(|l| match dtype.is_float() {
                true => l.text.starts_with(|c: char| c.is_ascii_digit()),
                false => dtype != DType::Bool && l.text.bytes().all(|c| c.is_ascii_digit()),
            });
            let dtype = dtype.name();
            match number {
                true => Mistake::new(term.span, format!("the number does not fit {dtype}")),
                false => Mistake::new(term.span, format!("this is no element of type {dtype}")),
            }
        })
    };
    let values = terms.iter().map(element).collect::<Result<Vec<T>, _>>()?;
    let whole = terms.first().map_or(Span::default(), |t| t.span);
    Tensor::from_vec(shape, values).map_err(|e| Mistake::new(whole, e.to_string()))
}

fn flatten<'a, 's>(
    item: &'a Item<'s>,
    shape: &[usize],
    out: &mut Vec<&'a Term<'s>>,
) -> Result<(), Mistake> {
    let count = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
    let (items, outer) = match (item, shape) {
        (Item::Term(term), []) => {
            out.push(term);
            return Ok(());
        }
        (Item::List(_, items), [outer, ..]) => (items, *outer),
        (item, []) => {
            return Err(Mistake::new(
                item.span(),
                "a scalar has one element and no list",
            ));
        }
        (item, _) => {
            let message = format!("a list of {outer} is needed here", outer = shape[0]);
            return Err(Mistake::new(item.span(), message));
        }
    };
    let flat = items.iter().all(|i| matches!(i, Item::Term(_)));
    if flat && Some(items.len()) == count {
        out.extend(items.iter().filter_map(|i| match i {
            Item::Term(term) => Some(term),
            _ => None,
        }));
        return Ok(());
    }
    if items.len() != outer || flat {
        let message = match count {
            Some(count) if flat => format!(
                "{count} elements are needed here, {} are given",
                items.len()
            ),
            _ => format!(
                "a list of {outer} is needed here, {} are given",
                items.len()
            ),
        };
        return Err(Mistake::new(item.span(), message));
    }
    items.iter().try_for_each(|i| flatten(i, &shape[1..], out))
}

/// The text of a constant's elements.
pub fn text(tensor: &Tensor) -> String {
    fn all<T: Element>(tensor: &Tensor, text: impl Fn(T) -> String) -> Vec<String> {
        let bytes = tensor.bytes();
        let bytes = bytes.chunks_exact(tensor.dtype.size());
        bytes.map(|b| text(T::read(b))).collect()
    }
    let elements = match tensor.dtype {
        DType::F64 => all(tensor, float_text::<f64>),
        DType::F32 => all(tensor, float_text::<f32>),
        DType::F16 => all(tensor, float_text::<f16>),
        DType::BF16 => all(tensor, float_text::<bf16>),
        DType::I64 => all(tensor, |n: i64| n.to_string()),
        DType::I32 => all(tensor, |n: i32| n.to_string()),
        DType::I16 => all(tensor, |n: i16| n.to_string()),
        DType::I8 => all(tensor, |n: i8| n.to_string()),
        DType::I4 => all(tensor, |n: I4| n.get().to_string()),
        DType::U64 => all(tensor, |n: u64| n.to_string()),
        DType::U32 => all(tensor, |n: u32| n.to_string()),
        DType::U16 => all(tensor, |n: u16| n.to_string()),
        DType::U8 => all(tensor, |n: u8| n.to_string()),
        DType::U4 => all(tensor, |n: U4| n.get().to_string()),
        DType::Bool => all(tensor, |b: bool| b.to_string()),
    };
    let mut out = String::new();
    match elements.is_empty() {
        true => out.push_str("[]"),
        false => nested(&elements, &tensor.shape, &mut out),
    }
    out
}

fn nested(elements: &[String], shape: &[usize], out: &mut String) {
    let Some((outer, inner)) = shape.split_first() else {
        let _ = write!(out, "{}", elements[0]);
        return;
    };
    out.push('[');
    for (i, part) in elements.chunks(elements.len() / outer).enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        nested(part, inner, out);
    }
    out.push(']');
}
