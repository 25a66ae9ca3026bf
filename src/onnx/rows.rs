//! Rows: how ONNX's operators are called in the language, one row each.
//!
//! A row says since when the form it describes holds (older sets of operators are not read), what attributes are called
//! on either side, and which of them are operands from some set on.
use super::node::{is_standard, op_type};
use super::rows_contrib::CONTRIB;
use super::rows_moves::MOVES;
use super::rows_nets::NETS;
use super::rows_pointwise::POINTWISE;
use super::wire::proto::NodeProto;
use crate::ops::Op;
use std::collections::HashMap;
use std::sync::LazyLock;

/// One ONNX operator.
#[derive(Debug)]
pub struct Row {
    /// Its name in ONNX.
    pub onnx: &'static str,
    /// Whose set it is of; empty for ONNX's own.
    pub domain: &'static str,
    /// The operator's name in the language.
    pub op: &'static str,
    /// The first set of operators that has it in this form (11 stands for all before); of ONNX's own sets alone.
    pub since: i64,
    /// Attributes, and operands that are attributes in the language.
    pub fields: &'static [Field],
}

/// An attribute.
#[derive(Copy, Clone, Debug)]
pub struct Field {
    /// Its name in ONNX.
    pub onnx: &'static str,
    /// Its name in the language.
    pub name: &'static str,
    /// What it holds.
    pub form: Form,
    /// Which operand it is, and from which set on; before that (if it is there) it is an attribute.
    pub input: Option<(usize, i64)>,
}

/// What an attribute holds, and how it is written.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Form {
    /// An integer.
    Int,
    /// An integer that is a truth value, false where it is absent.
    Bool,
    /// An integer that is a truth value, true where it is absent in ONNX, and false where it is absent in the language.
    True,
    /// An integer that is a truth value, true where it is absent on either side.
    On,
    /// A float.
    Float,
    /// A text.
    Text,
    /// A text in capitals, in small letters in the language.
    Capitals,
    /// Integers.
    Ints,
    /// Floats.
    Floats,
    /// An extent.
    Extent,
    /// Extents.
    Extents,
    /// An element type, by its code; 0 is none.
    DType,
    /// Read and written by the operator's own code in `special`; no attribute of that name in the language need be.
    Special,
    /// An integer (or truth value) that must be this one; the language leaves it out.
    Fixed(i64),
    /// Left out, whatever it is.
    Dropped,
}

/// An attribute of one name on either side.
pub const fn same(name: &'static str, form: Form) -> Field {
    field(name, name, form)
}

/// An attribute.
pub const fn field(onnx: &'static str, name: &'static str, form: Form) -> Field {
    Field {
        onnx,
        name,
        form,
        input: None,
    }
}

impl Field {
    /// The attribute that is operand `place` from set `since` on.
    pub const fn at(mut self, place: usize, since: i64) -> Field {
        self.input = Some((place, since));
        self
    }
    /// Which operand it is in a set, if it is one.
    pub fn place(&self, opset: i64) -> Option<usize> {
        self.input
            .filter(|(_, since)| opset >= *since)
            .map(|(place, _)| place)
    }
}

/// An operator in the form that it has had since set 11 or before.
pub const fn row(onnx: &'static str, op: &'static str, fields: &'static [Field]) -> Row {
    since(11, onnx, op, fields)
}

/// An operator in the form that it has had since a set.
pub const fn since(
    since: i64,
    onnx: &'static str,
    op: &'static str,
    fields: &'static [Field],
) -> Row {
    Row {
        onnx,
        domain: "",
        op,
        since,
        fields,
    }
}

/// The domain of the operators that ONNX Runtime adds.
pub const CONTRIB_DOMAIN: &str = "com.microsoft";

/// An operator that ONNX Runtime adds.
pub const fn contrib(onnx: &'static str, op: &'static str, fields: &'static [Field]) -> Row {
    Row {
        domain: CONTRIB_DOMAIN,
        ..row(onnx, op, fields)
    }
}

impl Row {
    /// Whether a set of ONNX's own operators has it, or need not.
    pub fn is_in(&self, opset: i64) -> bool {
        !self.domain.is_empty() || self.since <= opset
    }
}

/// All rows; the first row of an operator is how it is written unless a file wrote it in another way.
pub fn all() -> impl Iterator<Item = &'static Row> {
    NETS.iter().chain(MOVES).chain(POINTWISE).chain(CONTRIB)
}

/// The row of a node.
pub fn of_node(node: &NodeProto) -> Option<&'static Row> {
    static ROWS: LazyLock<HashMap<(&'static str, &'static str), &'static Row>> =
        LazyLock::new(|| all().map(|row| ((row.domain, row.onnx), row)).collect());
    let domain = match is_standard(node) {
        true => "",
        false => node.domain.as_deref().unwrap_or_default(),
    };
    ROWS.get(&(domain, op_type(node))).copied()
}

/// The row of an operator: under the domain and the name that it came with, if it has such a row.
pub fn of_op(op: Op, domain: Option<&str>, name: Option<&str>) -> Option<&'static Row> {
    static ROWS: LazyLock<HashMap<Op, Vec<&'static Row>>> = LazyLock::new(|| {
        let mut rows: HashMap<Op, Vec<&'static Row>> = HashMap::new();
        for row in all() {
            if let Some(op) = Op::from_name(row.op) {
                rows.entry(op).or_default().push(row);
            }
        }
        rows
    });
    let rows = ROWS.get(&op)?;
    let domain = domain.filter(|d| *d != "ai.onnx").unwrap_or_default();
    let came = |row: &&&Row| row.domain == domain && name.is_none_or(|n| n == row.onnx);
    rows.iter().find(came).or(rows.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Kind;

    /// Every attribute that a row makes is one that the operator knows, of that kind.
    #[test]
    fn rows_agree_with_the_operators() {
        let mut wrong = vec![];
        for row in all() {
            let Some(op) = Op::from_name(row.op) else {
                continue;
            };
            for field in row.fields {
                let kinds: &[Kind] = match field.form {
                    Form::Int => &[Kind::Int, Kind::Extent],
                    Form::Bool | Form::True | Form::On => &[Kind::Bool],
                    Form::Float => &[Kind::Float],
                    Form::Text | Form::Capitals => &[Kind::Str],
                    Form::Ints => &[Kind::Ints, Kind::Extents],
                    Form::Floats => &[Kind::Floats],
                    Form::Extent => &[Kind::Extent],
                    Form::Extents => &[Kind::Extents],
                    Form::DType => &[Kind::DType],
                    Form::Special | Form::Fixed(_) | Form::Dropped => continue,
                };
                let known = op.operator().attrs().iter().find(|(n, _)| *n == field.name);
                if !known.is_some_and(|(_, kind)| kinds.contains(kind)) {
                    wrong.push(format!(
                        "{}.{}: {:?}, {known:?}",
                        row.op, field.name, field.form
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Every operator of the language can be written, but those that are written in another way.
    #[test]
    fn every_operator_has_a_row() {
        let without: Vec<&str> = Op::all()
            .into_iter()
            .filter(|op| *op != Op::Opaque && of_op(*op, None, None).is_none())
            .map(Op::name)
            .collect();
        assert!(without.is_empty(), "{without:?}");
    }
}
