//! The canonical text of a module.
use super::{LARGEST_CONST, base64, constant, sigiled};
use crate::ir::{Def, DimDef, Module, Node, Type, Value, ValueId};
use crate::ops::{Attr, Expr, Op, quoted};
use crate::tensor::{Extent, ExtentFactor, Tensor};
use std::fmt::Write;

/// The text of a module: what [`super::parse`] reads back as the same module, given [`stored`] as the weights.
///
/// One statement a line: model, meta, dims, params, constants, inputs, operations, outputs. Printing what was parsed
/// from it gives the same bytes.
pub fn print(module: &Module) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = statements(module, &mut out);
    out
}

/// What belongs in the weights file, by name: params, and constants that the text does not hold.
pub fn stored(module: &Module) -> impl Iterator<Item = (&str, &Tensor)> {
    module.values.iter().filter_map(|value| match &value.def {
        Def::Param(tensor) => Some((&*value.name, tensor)),
        Def::Const(tensor) if tensor.len() > LARGEST_CONST => Some((&*value.name, tensor)),
        Def::Const(_) | Def::Input | Def::Result(..) => None,
    })
}

fn statements(module: &Module, out: &mut String) -> std::fmt::Result {
    if !module.name.is_empty() {
        writeln!(out, "model {:?}", module.name)?;
    }
    for (key, value) in &module.meta {
        writeln!(out, "meta {key:?} = {value:?}")?;
    }
    for (name, def) in &module.dims {
        write!(out, "dim {} = ", quoted(name))?;
        match def {
            DimDef::Fixed(n) => writeln!(out, "{n}")?,
            DimDef::Runtime => writeln!(out, "?")?,
            DimDef::Term(term) => writeln!(out, "{}", expr(term))?,
        }
    }
    params(module, out)?;
    for value in &module.values {
        if let Def::Const(tensor) = &value.def {
            write!(
                out,
                "const {} : {}",
                sigiled('@', &value.name),
                tensor_type(value, tensor)
            )?;
            if tensor.len() <= LARGEST_CONST {
                write!(out, " = {}", constant::text(tensor))?;
            }
            out.push('\n');
        }
    }
    for v in &module.inputs {
        let value = module.value(*v);
        write!(out, "input {}", sigiled('%', &value.name))?;
        if let Some(ty) = &value.ty {
            write!(out, " : {}", type_text(ty))?;
        }
        out.push('\n');
    }
    for node in &module.nodes {
        operation(module, node, out)?;
    }
    for (v, ty) in &module.outputs {
        write!(out, "output {}", reference(module, *v))?;
        if let Some(ty) = ty {
            write!(out, " : {}", type_text(ty))?;
        }
        out.push('\n');
    }
    Ok(())
}

/// The params, aligned at `:`.
fn params(module: &Module, out: &mut String) -> std::fmt::Result {
    let all: Vec<(String, String)> = module
        .values
        .iter()
        .filter_map(|value| match &value.def {
            Def::Param(tensor) => Some((sigiled('@', &value.name), tensor_type(value, tensor))),
            _ => None,
        })
        .collect();
    let width = all.iter().map(|(name, _)| name.chars().count()).max();
    for (name, ty) in &all {
        writeln!(
            out,
            "param {name:width$} : {ty}",
            width = width.unwrap_or(0)
        )?;
    }
    Ok(())
}

fn tensor_type(value: &Value, tensor: &Tensor) -> String {
    match &value.ty {
        Some(ty) if ty.axes.is_some() => type_text(ty),
        _ => type_text(&Type::of(tensor)),
    }
}

fn type_text(ty: &Type) -> String {
    let axes = match &ty.axes {
        None => "*".into(),
        Some(axes) => axes.iter().map(expr).collect::<Vec<_>>().join(", "),
    };
    format!("{}[{axes}]", ty.dtype.name())
}

fn reference(module: &Module, v: ValueId) -> String {
    let value = module.value(v);
    let sigil = if value.tensor().is_some() { '@' } else { '%' };
    sigiled(sigil, &value.name)
}

fn operation(module: &Module, node: &Node, out: &mut String) -> std::fmt::Result {
    let names = |all: &[Option<ValueId>]| {
        let all = all
            .iter()
            .map(|v| v.map_or("_".into(), |v| reference(module, v)));
        all.collect::<Vec<String>>().join(", ")
    };
    if !node.results.is_empty() {
        write!(out, "{} = ", names(&node.results))?;
    }
    match node.op {
        Op::Opaque => write!(out, "opaque {:?}", node.attrs.str_or("type", ""))?,
        op => out.push_str(op.name()),
    }
    write!(out, "({})", names(&node.operands))?;
    let attrs = node
        .attrs
        .iter()
        .filter(|(name, _)| node.op != Op::Opaque || *name != "type")
        .map(|(name, attr)| format!("{name} = {}", attr_text(attr)))
        .chain(node.name.iter().map(|name| format!("name = {name:?}")))
        .chain((!node.meta.is_empty()).then(|| {
            let words = node
                .meta
                .iter()
                .flat_map(|(k, v)| [format!("{k:?}"), format!("{v:?}")]);
            format!("meta = [{}]", words.collect::<Vec<_>>().join(", "))
        }));
    let attrs = attrs.collect::<Vec<_>>().join(", ");
    if !attrs.is_empty() {
        write!(out, " {{{attrs}}}")?;
    }
    let types: Vec<Option<String>> = node
        .results
        .iter()
        .map(|v| match &module.value((*v)?).ty {
            Some(ty) => Some(type_text(ty)),
            None => (node.op == Op::Opaque).then(|| "f32[*]".into()),
        })
        .collect();
    if types.iter().any(Option::is_some) {
        let types: Vec<String> = types.into_iter().map(|t| t.unwrap_or("_".into())).collect();
        write!(out, " : {}", types.join(", "))?;
    }
    out.push('\n');
    Ok(())
}

fn attr_text(attr: &Attr) -> String {
    match attr {
        Attr::Bool(b) => b.to_string(),
        Attr::Expr(e) => expr(e),
        Attr::Float(x) => constant::float_text(*x),
        Attr::Str(text) => format!("{text:?}"),
        Attr::DType(dtype) => dtype.name().into(),
        Attr::Bytes(bytes) => format!("b\"{}\"", base64::encode(bytes)),
        Attr::List(items) => {
            let items: Vec<String> = items.iter().map(attr_text).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// An expression as the parser builds it: normal forms are written out, so that they read back as what is printed.
fn expr(e: &Expr) -> String {
    written(e).to_string()
}

fn written(e: &Expr) -> Expr {
    let all = |parts: &[Expr]| parts.iter().map(written).collect::<Vec<_>>();
    match e {
        Expr::Num(_) | Expr::Name(_) => e.clone(),
        Expr::Extent(extent) => of_extent(extent),
        Expr::Sum(parts) if parts.len() < 2 => Expr::sum(all(parts)),
        Expr::Sum(parts) => Expr::Sum(all(parts)),
        Expr::Product(factors) if factors.len() < 2 => Expr::product(all(factors)),
        Expr::Product(factors) => Expr::Product(all(factors)),
        Expr::Difference(a, b) => Expr::Difference(Box::new(written(a)), Box::new(written(b))),
        Expr::Quotient(a, b) => Expr::Quotient(Box::new(written(a)), Box::new(written(b))),
    }
}

/// A normal form as an expression: positive terms first, higher powers first, the constant last.
fn of_extent(extent: &Extent) -> Expr {
    let mut terms = extent.terms();
    terms.sort_by_key(|(c, factors)| (*c < 0, std::cmp::Reverse(factors.len())));
    let mut positive = vec![];
    let mut negative = vec![];
    for (c, factors) in terms {
        // The least 64-bit number has no positive counterpart: it stays as a factor.
        let (sign, c) = match c.checked_neg() {
            Some(minus) if c < 0 => (&mut negative, minus),
            _ => (&mut positive, c),
        };
        let number = (c != 1 || factors.is_empty()).then_some(Expr::Num(c));
        let factors = factors.iter().map(|factor| match factor {
            ExtentFactor::Symbol(name) => Expr::Name(name.clone()),
            ExtentFactor::Floor(a, b) => {
                Expr::Quotient(Box::new(of_extent(a)), Box::new(of_extent(b)))
            }
        });
        sign.push(Expr::product(number.into_iter().chain(factors)));
    }
    let positive = match positive.len() {
        0 => Expr::Num(0),
        1 => positive.swap_remove(0),
        _ => Expr::Sum(positive),
    };
    negative.into_iter().fold(positive, |all, term| {
        Expr::Difference(Box::new(all), Box::new(term))
    })
}
