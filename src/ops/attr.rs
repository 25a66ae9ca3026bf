//! Attributes: the named constants of an operation.
use super::expr::Expr;
use crate::tensor::DType;
use bytes::Bytes;
use std::sync::Arc;

/// The value of one attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    /// `true` or `false`.
    Bool(bool),
    /// An integer, or an extent over dims.
    Expr(Expr),
    /// A float; printed so that it reads back the same.
    Float(f32),
    /// A text.
    Str(Arc<str>),
    /// A data type.
    DType(DType),
    /// Bytes that `tpc` carries and does not read.
    Bytes(Bytes),
    /// A list; its items are of one kind.
    List(Vec<Attr>),
}

impl Attr {
    /// An integer.
    pub fn int(n: i64) -> Attr {
        Attr::Expr(Expr::Num(n))
    }
    /// A list of integers.
    pub fn ints(all: impl IntoIterator<Item = i64>) -> Attr {
        Attr::List(all.into_iter().map(Attr::int).collect())
    }
    /// A list of expressions.
    pub fn exprs(all: impl IntoIterator<Item = Expr>) -> Attr {
        Attr::List(all.into_iter().map(Attr::Expr).collect())
    }
    /// A text.
    pub fn str(text: &str) -> Attr {
        Attr::Str(text.into())
    }
}

/// The attributes of one operation, in the order in which they were given; names are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attrs(Vec<(Arc<str>, Attr)>);

impl Attrs {
    /// No attributes.
    pub fn new() -> Attrs {
        Attrs::default()
    }
    /// The attribute of that name.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, a)| a)
    }
    /// The same, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Attr> {
        self.0
            .iter_mut()
            .find(|(n, _)| &**n == name)
            .map(|(_, a)| a)
    }
    /// Sets an attribute, in its place if it is there.
    pub fn set(&mut self, name: &str, value: Attr) {
        match self.get_mut(name) {
            Some(old) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }
    /// The same with one more attribute.
    pub fn with(mut self, name: &str, value: Attr) -> Attrs {
        self.set(name, value);
        self
    }
    /// Takes an attribute out.
    pub fn remove(&mut self, name: &str) -> Option<Attr> {
        let at = self.0.iter().position(|(n, _)| &**n == name)?;
        Some(self.0.remove(at).1)
    }
    /// All attributes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().map(|(n, a)| (&**n, a))
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The integer of that name, or a default where it is absent or no plain number.
    pub fn int_or(&self, name: &str, default: i64) -> i64 {
        match self.get(name) {
            Some(Attr::Expr(Expr::Num(n))) => *n,
            Some(Attr::Bool(b)) => *b as i64,
            _ => default,
        }
    }
    /// The truth value of that name, or false.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Attr::Bool(true)))
    }
    /// The float of that name, or a default.
    pub fn float_or(&self, name: &str, default: f32) -> f32 {
        match self.get(name) {
            Some(Attr::Float(x)) => *x,
            Some(Attr::Expr(Expr::Num(n))) => *n as f32,
            _ => default,
        }
    }
    /// The text of that name, or a default.
    pub fn str_or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        match self.get(name) {
            Some(Attr::Str(text)) => text,
            _ => default,
        }
    }
    /// The data type of that name.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        match self.get(name) {
            Some(Attr::DType(dtype)) => Some(*dtype),
            _ => None,
        }
    }
    /// The plain integers of that name; none where it is absent, or holds something else.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        match self.get(name) {
            Some(Attr::List(items)) => items
                .iter()
                .map(|item| match item {
                    Attr::Expr(Expr::Num(n)) => Some(*n),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
    /// The floats of that name.
    pub fn floats(&self, name: &str) -> Option<Vec<f32>> {
        match self.get(name) {
            Some(Attr::List(items)) => items
                .iter()
                .map(|item| match item {
                    Attr::Float(x) => Some(*x),
                    Attr::Expr(Expr::Num(n)) => Some(*n as f32),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
    /// Calls `change` with every expression.
    pub fn each_expr(&mut self, change: &mut dyn FnMut(&mut Expr)) {
        fn visit(attr: &mut Attr, change: &mut dyn FnMut(&mut Expr)) {
            match attr {
                Attr::Expr(expr) => change(expr),
                Attr::List(items) => items.iter_mut().for_each(|item| visit(item, change)),
                _ => {}
            }
        }
        self.0.iter_mut().for_each(|(_, attr)| visit(attr, change));
    }
    /// The expressions of that name: a list of them, or one.
    pub fn exprs(&self, name: &str) -> Option<Vec<&Expr>> {
        match self.get(name) {
            Some(Attr::Expr(e)) => Some(vec![e]),
            Some(Attr::List(items)) => items
                .iter()
                .map(|item| match item {
                    Attr::Expr(e) => Some(e),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

/// What an attribute may hold.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A plain integer.
    Int,
    /// A float (or an integer, read as one).
    Float,
    /// A text.
    Str,
    /// A data type.
    DType,
    /// Bytes.
    Bytes,
    /// An extent: a dimension expression.
    Extent,
    /// A list of plain integers.
    Ints,
    /// A list of floats.
    Floats,
    /// A list of extents.
    Extents,
}

impl Kind {
    /// Whether a value is of this kind.
    pub fn fits(self, attr: &Attr) -> bool {
        let all =
            |kind: Kind| matches!(attr, Attr::List(items) if items.iter().all(|i| kind.fits(i)));
        match self {
            Kind::Bool => matches!(attr, Attr::Bool(_)),
            Kind::Int => matches!(attr, Attr::Expr(Expr::Num(_))),
            Kind::Float => matches!(attr, Attr::Float(_) | Attr::Expr(Expr::Num(_))),
            Kind::Str => matches!(attr, Attr::Str(_)),
            Kind::DType => matches!(attr, Attr::DType(_)),
            Kind::Bytes => matches!(attr, Attr::Bytes(_)),
            Kind::Extent => matches!(attr, Attr::Expr(_)),
            Kind::Ints => all(Kind::Int),
            Kind::Floats => all(Kind::Float),
            Kind::Extents => all(Kind::Extent),
        }
    }
    /// The kind as a person says it.
    pub fn describe(self) -> &'static str {
        match self {
            Kind::Bool => "`true` or `false`",
            Kind::Int => "an integer",
            Kind::Float => "a number",
            Kind::Str => "a quoted text",
            Kind::DType => "a data type",
            Kind::Bytes => "bytes",
            Kind::Extent => "a dimension expression",
            Kind::Ints => "a list of integers",
            Kind::Floats => "a list of numbers",
            Kind::Extents => "a list of dimension expressions",
        }
    }
}
