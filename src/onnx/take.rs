//! A node as a call of the language: its operator, attributes, operands, and the shapes that it states.
use super::fold::Folded;
use super::node::{attribute, float, floats, int, ints, op_type, text};
use super::rows::{Field, Form, Row, of_node};
use super::special;
use super::wire::dtype_of;
use super::wire::proto::NodeProto;
use crate::ops::{Attr, Attrs, Expr, Op, Shape};
use crate::tensor::{Extent, ExtentFactor};
use std::rc::Rc;

/// Why a node is no call.
#[derive(Debug)]
pub enum Refusal {
    /// The language has no such operator, or not with these attributes: it is carried through.
    Opaque,
    /// The node itself is wrong.
    Wrong(String),
}

impl Refusal {
    /// A node that is wrong.
    pub fn wrong<T>(message: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal::Wrong(message.into()))
    }
}

/// A node and what is known of its operands.
pub struct Inputs<'a> {
    /// The node.
    pub node: &'a NodeProto,
    /// The set of operators that the file is written in.
    pub opset: i64,
    /// The operands that depend on constants and shapes alone.
    pub folded: Vec<Option<Rc<Folded>>>,
    /// Types and extents of the operands; none where one is absent or its rank is unknown.
    pub shapes: Vec<Option<Shape>>,
    /// Of the sequence that the node makes or takes an item of, how it was cut, if it is followed.
    pub sequence: Option<Attrs>,
    /// Makes a run-time symbol after a name.
    pub fresh: &'a mut dyn FnMut(&str) -> Extent,
}

/// A call of the language.
pub struct Call {
    /// The operator.
    pub op: Op,
    /// Its attributes.
    pub attrs: Attrs,
    /// The node's operands that are operands here.
    pub operands: Vec<Option<usize>>,
    /// The extents of results that are attributes of the node.
    pub stated: Vec<Option<Vec<Extent>>>,
}

impl Inputs<'_> {
    /// Whether operand `k` is there.
    pub fn has(&self, k: usize) -> bool {
        self.node.input.get(k).is_some_and(|name| !name.is_empty())
    }
    /// The elements of operand `k`, if it is there; they must be known up to run-time symbols.
    pub fn folded(&self, k: usize) -> Result<Option<&Folded>, Refusal> {
        match self.folded.get(k) {
            _ if !self.has(k) => Ok(None),
            Some(Some(folded)) => Ok(Some(folded)),
            _ => Err(Refusal::Opaque),
        }
    }
    /// The shape of operand `k`.
    pub fn shape(&self, k: usize) -> Result<&Shape, Refusal> {
        self.shapes
            .get(k)
            .and_then(Option::as_ref)
            .ok_or(Refusal::Opaque)
    }
    /// The extents of an attribute that is an operand from some set on.
    pub fn extents(&self, field: &Field) -> Result<Option<Vec<Extent>>, Refusal> {
        if let Some(k) = field.place(self.opset) {
            return match self.folded(k)? {
                Some(folded) => folded.extents().map(Some).ok_or(Refusal::Opaque),
                None => Ok(None),
            };
        }
        match attribute(self.node, field.onnx) {
            None => Ok(None),
            Some(a) => match (int(a), ints(a)) {
                (Some(n), _) => Ok(Some(vec![Extent::from(n)])),
                (None, Some(all)) => Ok(Some(all.iter().map(|n| Extent::from(*n)).collect())),
                (None, None) => mistyped(field),
            },
        }
    }
    /// The same, all known.
    pub fn ints(&self, field: &Field) -> Result<Option<Vec<i64>>, Refusal> {
        let Some(all) = self.extents(field)? else {
            return Ok(None);
        };
        let all: Option<Vec<i64>> = all.iter().map(Extent::known).collect();
        all.map(Some).ok_or(Refusal::Opaque)
    }
    /// The floats of an attribute that is an operand from some set on.
    pub fn floats(&self, field: &Field) -> Result<Option<Vec<f32>>, Refusal> {
        if let Some(k) = field.place(self.opset) {
            return match self.folded(k)? {
                Some(folded) => folded.floats().map(Some).ok_or(Refusal::Opaque),
                None => Ok(None),
            };
        }
        match attribute(self.node, field.onnx) {
            None => Ok(None),
            Some(a) => match (float(a), floats(a)) {
                (Some(x), _) => Ok(Some(vec![x])),
                (None, Some(all)) => Ok(Some(all.to_vec())),
                (None, None) => mistyped(field),
            },
        }
    }
    /// A field of the row by its ONNX name.
    pub fn field(row: &'static Row, onnx: &str) -> Result<&'static Field, Refusal> {
        row.fields
            .iter()
            .find(|f| f.onnx == onnx)
            .ok_or(Refusal::Opaque)
    }
}

fn mistyped<T>(field: &Field) -> Result<T, Refusal> {
    Refusal::wrong(format!("attribute `{}` is of another type", field.onnx))
}

/// An extent as it is written in types and attributes.
pub fn expr(extent: &Extent) -> Expr {
    if let Some(n) = extent.known() {
        return Expr::Num(n);
    }
    match &extent.terms()[..] {
        [(1, factors)] => match &factors[..] {
            [ExtentFactor::Symbol(name)] => Expr::Name(name.clone()),
            _ => Expr::Extent(extent.clone()),
        },
        _ => Expr::Extent(extent.clone()),
    }
}

/// The node as a call.
pub fn call(mut inputs: Inputs<'_>) -> Result<Call, Refusal> {
    let node = inputs.node;
    let row = of_node(node).filter(|row| row.is_in(inputs.opset));
    let row = row.ok_or(Refusal::Opaque)?;
    let op = Op::from_name(row.op).ok_or(Refusal::Opaque)?;
    let named = |a: &super::wire::proto::AttributeProto| {
        let name = a.name.as_deref().unwrap_or_default();
        row.fields
            .iter()
            .any(|f| f.onnx == name && f.place(inputs.opset).is_none())
    };
    if !node.attribute.iter().all(named) {
        return Err(Refusal::Opaque);
    }
    let mut attrs = Attrs::new();
    for field in row.fields {
        if let Some(attr) = read(&inputs, field)? {
            attrs.set(field.name, attr);
        }
    }
    let moved: Vec<usize> = row
        .fields
        .iter()
        .filter_map(|f| f.place(inputs.opset))
        .collect();
    let mut operands: Vec<Option<usize>> = (0..node.input.len())
        .filter(|k| !moved.contains(k))
        .map(|k| inputs.has(k).then_some(k))
        .collect();
    while operands.last() == Some(&None) {
        operands.pop();
    }
    let mut call = Call {
        op,
        attrs,
        operands,
        stated: vec![],
    };
    special::complete(&mut inputs, row, &mut call)?;
    let known = op.operator().attrs();
    if call
        .attrs
        .iter()
        .any(|(name, attr)| !known.iter().any(|(n, kind)| *n == name && kind.fits(attr)))
    {
        return Err(Refusal::Opaque);
    }
    let count = op.operator().operands();
    if !count.contains(&call.operands.len()) {
        return Refusal::wrong(format!(
            "`{}` has {} operands",
            op_type(node),
            node.input.len()
        ));
    }
    Ok(call)
}

/// The attribute of a field, if it is there.
fn read(inputs: &Inputs<'_>, field: &Field) -> Result<Option<Attr>, Refusal> {
    let one = |all: Option<Vec<Extent>>| match all.as_deref() {
        None => Ok(None),
        Some([one]) => Ok(Some(one.clone())),
        Some(_) => mistyped(field),
    };
    let number = |inputs: &Inputs<'_>| -> Result<Option<i64>, Refusal> {
        match one(inputs.extents(field)?)? {
            None => Ok(None),
            Some(n) => n.known().map(Some).ok_or(Refusal::Opaque),
        }
    };
    let written =
        attribute(inputs.node, field.onnx).filter(|_| field.place(inputs.opset).is_none());
    Ok(match field.form {
        Form::Special | Form::Dropped => None,
        Form::Fixed(must) => match number(inputs)? {
            Some(n) if n != must => return Err(Refusal::Opaque),
            _ => None,
        },
        Form::Int => number(inputs)?.map(Attr::int),
        Form::Bool => number(inputs)?.map(|n| Attr::Bool(n != 0)),
        Form::True | Form::On => Some(Attr::Bool(number(inputs)?.unwrap_or(1) != 0)),
        Form::Extent => one(inputs.extents(field)?)?.map(|e| Attr::Expr(expr(&e))),
        Form::Ints => inputs.ints(field)?.map(Attr::ints),
        Form::Extents => inputs
            .extents(field)?
            .map(|all| Attr::exprs(all.iter().map(expr))),
        Form::Float => match inputs.floats(field)?.as_deref() {
            None => None,
            Some([x]) => Some(Attr::Float(*x)),
            Some(_) => return mistyped(field),
        },
        Form::Floats => inputs
            .floats(field)?
            .map(|all| Attr::List(all.into_iter().map(Attr::Float).collect())),
        Form::Text | Form::Capitals => match written {
            None => None,
            Some(a) => match text(a) {
                Some(text) if field.form == Form::Text => Some(Attr::str(text)),
                Some(text) => Some(Attr::str(&text.to_ascii_lowercase())),
                None => return mistyped(field),
            },
        },
        Form::DType => match number(inputs)? {
            None | Some(0) => None,
            Some(code) => {
                let dtype = i32::try_from(code).ok().and_then(dtype_of);
                Some(Attr::DType(dtype.ok_or(Refusal::Opaque)?))
            }
        },
    })
}
