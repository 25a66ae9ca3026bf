//! The program as it is written: every part with its span, names as in the text, nothing checked.
use crate::diag::Span;

/// A name or literal, as in the text.
#[derive(Copy, Clone, Debug)]
pub struct Name<'s> {
    /// Where it is.
    pub span: Span,
    /// The text, with sigil and quotes.
    pub text: &'s str,
}

impl<'s> Name<'s> {
    /// The text between two bytes.
    pub fn new(start: usize, end: usize, text: &'s str) -> Name<'s> {
        let span = Span::new(start, end);
        Name { span, text }
    }
}

/// A statement.
#[derive(Debug)]
pub struct Statement<'s> {
    /// Where it is.
    pub span: Span,
    /// Which.
    pub kind: StatementKind<'s>,
}

/// What a statement says.
#[derive(Debug)]
pub enum StatementKind<'s> {
    /// `model "name"`
    Model(Name<'s>),
    /// `meta "key" = "value"`
    Meta(Name<'s>, Name<'s>),
    /// `dim a = 64, b = ?`
    Dims(Vec<Dim<'s>>),
    /// `param @name : type`
    Param(Name<'s>, TypeText<'s>),
    /// `const @name : type = value`
    Const(Name<'s>, TypeText<'s>, Option<Item<'s>>),
    /// `input %name : type`
    Input(Name<'s>, TypeText<'s>),
    /// `output %name : type`
    Output(Operand<'s>, Option<TypeText<'s>>),
    /// `%a, _ = op(operands) {attributes} : types`
    Call(Vec<Option<Name<'s>>>, Call<'s>),
}

/// One definition of a `dim` statement.
#[derive(Debug)]
pub struct Dim<'s> {
    /// The name.
    pub name: Name<'s>,
    /// The term; none for `?`.
    pub value: Option<Term<'s>>,
}

/// An operation without its results.
#[derive(Debug)]
pub struct Call<'s> {
    /// The operator's name.
    pub op: Name<'s>,
    /// The quoted type behind `opaque`.
    pub opaque: Option<Name<'s>>,
    /// The operands; none for `_`.
    pub operands: Vec<Option<Operand<'s>>>,
    /// The attributes.
    pub attrs: Vec<(Name<'s>, Item<'s>)>,
    /// The results' types, where they are stated; none for `_`.
    pub types: Option<Vec<Option<TypeText<'s>>>>,
}

/// A value where it is used.
#[derive(Copy, Clone, Debug)]
pub enum Operand<'s> {
    /// `%name`
    Value(Name<'s>),
    /// `@name`
    Stored(Name<'s>),
}

impl<'s> Operand<'s> {
    /// The name, with its sigil.
    pub fn name(self) -> Name<'s> {
        match self {
            Operand::Value(name) | Operand::Stored(name) => name,
        }
    }
}

/// A type.
#[derive(Debug)]
pub struct TypeText<'s> {
    /// Where it is.
    pub span: Span,
    /// The element type's name.
    pub dtype: Name<'s>,
    /// The axes; none for `*`.
    pub axes: Option<Vec<Term<'s>>>,
}

/// An attribute's or constant's value.
#[derive(Debug)]
pub enum Item<'s> {
    /// A number, a word, a text, or an expression over them.
    Term(Term<'s>),
    /// `b"..."`
    Bytes(Name<'s>),
    /// `[..., ...]`
    List(Span, Vec<Item<'s>>),
}

impl Item<'_> {
    /// Where it is.
    pub fn span(&self) -> Span {
        match self {
            Item::Term(term) => term.span,
            Item::Bytes(name) => name.span,
            Item::List(span, _) => *span,
        }
    }
}

/// An expression.
#[derive(Debug)]
pub struct Term<'s> {
    /// Where it is.
    pub span: Span,
    /// Which.
    pub kind: TermKind<'s>,
    /// Whether it stands in parentheses: then `+` and `*` behind it do not continue it.
    closed: bool,
}

/// What an expression is.
#[derive(Debug)]
pub enum TermKind<'s> {
    /// A whole number.
    Int(&'s str),
    /// A number with a fraction or an exponent.
    Float(&'s str),
    /// A bare word.
    Word(&'s str),
    /// A quoted text.
    Text(&'s str),
    /// `-a`
    Negative(Box<Term<'s>>),
    /// `a + b + ...`
    Sum(Vec<Term<'s>>),
    /// `a * b * ...`
    Product(Vec<Term<'s>>),
    /// `a - b`
    Difference(Box<(Term<'s>, Term<'s>)>),
    /// `a / b`
    Quotient(Box<(Term<'s>, Term<'s>)>),
}

impl<'s> Term<'s> {
    /// An expression between two bytes.
    pub fn new(start: usize, end: usize, kind: TermKind<'s>) -> Term<'s> {
        Term {
            span: Span::new(start, end),
            kind,
            closed: false,
        }
    }
    /// A bare word.
    pub fn of_word(name: Name<'s>) -> Term<'s> {
        Term {
            span: name.span,
            kind: TermKind::Word(name.text),
            closed: false,
        }
    }
    /// The same in parentheses.
    pub fn close(self, start: usize, end: usize) -> Term<'s> {
        Term {
            span: Span::new(start, end),
            closed: true,
            ..self
        }
    }
    /// `a + b`; continues a sum on the left.
    pub fn add(mut a: Term<'s>, b: Term<'s>) -> Term<'s> {
        match &mut a.kind {
            TermKind::Sum(parts) if !a.closed => {
                a.span.end = b.span.end;
                parts.push(b);
                a
            }
            _ => Term::join(a.span, b.span, TermKind::Sum(vec![a, b])),
        }
    }
    /// `a * b`; continues a product on the left.
    pub fn multiply(mut a: Term<'s>, b: Term<'s>) -> Term<'s> {
        match &mut a.kind {
            TermKind::Product(factors) if !a.closed => {
                a.span.end = b.span.end;
                factors.push(b);
                a
            }
            _ => Term::join(a.span, b.span, TermKind::Product(vec![a, b])),
        }
    }
    /// `a - b` or `a / b`.
    pub fn binary(
        make: fn(Box<(Term<'s>, Term<'s>)>) -> TermKind<'s>,
        a: Term<'s>,
        b: Term<'s>,
    ) -> Term<'s> {
        Term::join(a.span, b.span, make(Box::new((a, b))))
    }
    fn join(from: Span, to: Span, kind: TermKind<'s>) -> Term<'s> {
        Term::new(from.start as usize, to.end as usize, kind)
    }
}
