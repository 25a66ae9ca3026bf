//! From the program as written to a checked module: names are resolved, kinds and counts compared, weights filled in.
use super::ast::{Dim, Name, Operand, Statement, StatementKind, Term, TermKind, TypeText};
use super::constant;
use super::fill::Weights;
use super::token::{Mistake, unquote};
use crate::diag::{Source, Span, line_column, nearest};
use crate::ir::{Def, DimDef, Module, Origin, Type, ValueId};
use crate::ops::{Expr, ExprError, quoted};
use crate::tensor::{DType, Extent, Tensor, TensorError};
use std::collections::HashMap;
use std::sync::Arc;

/// The most axes that a type may have.
const MOST_AXES: usize = 64;

/// The module of a program.
pub fn module(
    source: &Arc<Source>,
    program: &[Statement<'_>],
    weights: &dyn Weights,
) -> Result<Module, Mistake> {
    let mut lower = Lower {
        source,
        program,
        weights,
        module: Module::new("", Origin::Text(source.clone())),
        extents: HashMap::new(),
        values: HashMap::new(),
        model: None,
        outputs: HashMap::new(),
    };
    for statement in program {
        lower.statement(statement)?;
    }
    if lower.module.outputs.is_empty() {
        let end = source.text.trim_end().len();
        let last = source.text[..end].char_indices().next_back();
        let span = Span::new(last.map_or(0, |(at, _)| at), end);
        return Err(Mistake::new(span, "the program has no output")
            .help("`output %name` says which value it computes"));
    }
    Ok(lower.module)
}

/// A module under construction.
pub(super) struct Lower<'a, 's> {
    source: &'a Source,
    program: &'a [Statement<'s>],
    weights: &'a dyn Weights,
    pub(super) module: Module,
    extents: HashMap<Arc<str>, Extent>,
    pub(super) values: HashMap<Arc<str>, ValueId>,
    model: Option<Span>,
    outputs: HashMap<ValueId, Span>,
}

/// What a name says.
pub(super) fn name(of: Name<'_>) -> Result<Arc<str>, Mistake> {
    Ok(unquote(of.text, of.span.start)?.into())
}

impl<'s> Lower<'_, 's> {
    fn line(&self, span: Span) -> usize {
        line_column(&self.source.text, span.start as usize).0
    }
    fn statement(&mut self, statement: &Statement<'s>) -> Result<(), Mistake> {
        match &statement.kind {
            StatementKind::Model(text) => {
                if let Some(first) = self.model.replace(statement.span) {
                    let message =
                        format!("the model is named twice: line {} does", self.line(first));
                    return Err(Mistake::new(text.span, message));
                }
                self.module.name = name(*text)?;
            }
            StatementKind::Meta(key, value) => {
                let pair = (name(*key)?, name(*value)?);
                self.module.meta.push(pair);
            }
            StatementKind::Dims(dims) => dims.iter().try_for_each(|dim| self.dim(dim))?,
            StatementKind::Param(of, ty) => {
                let (text, ty, shape) = self.stored(*of, ty)?;
                let tensor = self.weight(*of, &text, ty.dtype, &shape)?;
                self.declare(*of, Some(ty), Def::Param(tensor))?;
            }
            StatementKind::Const(of, ty, value) => {
                let (text, ty, shape) = self.stored(*of, ty)?;
                let tensor = match value {
                    Some(item) => constant::tensor(item, ty.dtype, &shape)?,
                    None => self.weight(*of, &text, ty.dtype, &shape)?,
                };
                self.declare(*of, Some(ty), Def::Const(tensor))?;
            }
            StatementKind::Input(of, ty) => {
                let ty = self.ty(ty)?.0;
                self.declare(*of, Some(ty), Def::Input)?;
            }
            StatementKind::Output(of, ty) => {
                let value = self.operand(*of)?;
                let span = of.name().span;
                if let Some(first) = self.outputs.insert(value, span) {
                    let message = format!(
                        "`{}` is an output twice: line {} says so",
                        of.name().text,
                        self.line(first)
                    );
                    return Err(Mistake::new(span, message));
                }
                let ty = ty.as_ref().map(|ty| self.ty(ty)).transpose()?;
                self.module.outputs.push((value, ty.map(|(ty, _)| ty)));
            }
            StatementKind::Call(results, call) => self.call(statement.span, results, call)?,
        }
        Ok(())
    }
    fn dim(&mut self, dim: &Dim<'s>) -> Result<(), Mistake> {
        let text = name(dim.name)?;
        if let Some(first) = self.module.dim_spans.get(&text) {
            let message = format!(
                "the dim {} is defined twice: line {} defines it",
                shown(&text),
                self.line(*first)
            );
            return Err(Mistake::new(dim.name.span, message));
        }
        let (def, extent) = match &dim.value {
            None => (DimDef::Runtime, Extent::symbol(&text)),
            Some(term) => {
                let (expr, extent) = self.axis(term)?;
                match expr {
                    Expr::Num(n) => (DimDef::Fixed(n), extent),
                    expr => (DimDef::Term(expr), extent),
                }
            }
        };
        self.module.dims.insert(text.clone(), def);
        self.module.dim_spans.insert(text.clone(), dim.name.span);
        self.extents.insert(text, extent);
        Ok(())
    }
    /// Name, type and shape of a param or constant.
    fn stored(
        &self,
        of: Name<'s>,
        ty: &TypeText<'s>,
    ) -> Result<(Arc<str>, Type, Vec<usize>), Mistake> {
        let (lowered, extents) = self.ty(ty)?;
        let (Some(axes), Some(extents)) = (&ty.axes, extents) else {
            return Err(Mistake::new(
                ty.span,
                format!("`{}` must have a known rank", of.text),
            ));
        };
        let known = |(axis, extent): (&Term<'s>, &Extent)| {
            let extent = extent.known().and_then(|n| usize::try_from(n).ok());
            extent.ok_or_else(|| {
                let message = format!("`{}` must have known extents", of.text);
                Mistake::new(axis.span, message).help("this one is known at run time only")
            })
        };
        let shape = axes
            .iter()
            .zip(&extents)
            .map(known)
            .collect::<Result<_, _>>()?;
        Ok((name(of)?, lowered, shape))
    }
    /// The elements that the weights have, compared with what the text says.
    fn weight(
        &self,
        of: Name<'s>,
        text: &str,
        dtype: DType,
        shape: &[usize],
    ) -> Result<Tensor, Mistake> {
        let mut tensor = self.weights.get(text, dtype, shape).map_err(|e| Mistake {
            span: of.span,
            message: e.message,
            help: e.help,
        })?;
        // Weights files know no four bits.
        if tensor.dtype != dtype && tensor.dtype == dtype.in_bytes() {
            let wrong = |e: TensorError| Mistake::new(of.span, e.to_string());
            let narrow = tensor.cast(dtype).map_err(wrong)?;
            if narrow.cast(tensor.dtype).map_err(wrong)? != tensor {
                let message = format!("the weights of `{}` do not fit {}", of.text, dtype.name());
                return Err(Mistake::new(of.span, message));
            }
            tensor = narrow;
        }
        if tensor.dtype != dtype || tensor.shape != shape {
            let message = format!(
                "`{}` is {}{shape:?} here and {tensor:?} in the weights",
                of.text,
                dtype.name()
            );
            return Err(Mistake::new(of.span, message));
        }
        Ok(tensor)
    }
    fn declare(&mut self, of: Name<'s>, ty: Option<Type>, def: Def) -> Result<(), Mistake> {
        let text = self.untaken(of)?;
        let id = self.module.add_value(text.clone(), ty, def, of.span);
        self.values.insert(text, id);
        Ok(())
    }
    /// A name that no value has.
    pub(super) fn untaken(&self, of: Name<'s>) -> Result<Arc<str>, Mistake> {
        let text = name(of)?;
        match self.values.get(&text) {
            None => Ok(text),
            Some(id) => {
                let first = self.module.value(*id).span;
                let message = format!(
                    "the name {} is taken: line {} defines it",
                    shown(&text),
                    self.line(first)
                );
                let help = "values, params and constants share their names";
                Err(Mistake::new(of.span, message).help(help))
            }
        }
    }
    /// The value that an operand names.
    pub(super) fn operand(&self, of: Operand<'s>) -> Result<ValueId, Mistake> {
        let (Name { span, text }, name) = (of.name(), name(of.name())?);
        let stored = |id: &ValueId| self.module.value(*id).tensor().is_some();
        if let Some(id) = self.values.get(&name) {
            return match (of, stored(id)) {
                (Operand::Value(_), false) | (Operand::Stored(_), true) => Ok(*id),
                (Operand::Value(_), true) => {
                    let message = format!("`{text}` is a param or constant");
                    Err(Mistake::new(span, message).help(format!("write `@{}`", &text[1..])))
                }
                (Operand::Stored(_), false) => {
                    let message = format!("`{text}` is no param or constant");
                    Err(Mistake::new(span, message).help(format!("write `%{}`", &text[1..])))
                }
            };
        }
        if let Some(later) = self.defined_later(&name) {
            return Err(Mistake::new(
                span,
                self.above(&format!("`{text}`"), span, later),
            ));
        }
        let mistake = Mistake::new(span, format!("`{text}` is not defined"));
        let alike = self
            .values
            .iter()
            .filter(|(_, id)| stored(id) == matches!(of, Operand::Stored(_)));
        Err(match nearest(&name, alike.map(|(name, _)| &**name)) {
            Some(near) => mistake.help(format!(
                "there is `{}`",
                super::sigiled(text.chars().next().unwrap_or('%'), near)
            )),
            None => mistake,
        })
    }
    /// What is wrong with a use before the definition.
    fn above(&self, what: &str, used: Span, defined: Span) -> String {
        let after = |s: &Statement<'_>| s.span.end <= used.start;
        let statement = self.program.get(self.program.partition_point(after));
        match statement.is_some_and(|s| s.span.end >= defined.end) {
            true => format!("{what} is used in its own definition"),
            false => format!(
                "{what} is used above its definition in line {}",
                self.line(defined)
            ),
        }
    }
    fn defined_later(&self, wanted: &str) -> Option<Span> {
        let defines = |of: &Name<'s>| name(*of).is_ok_and(|n| &*n == wanted);
        let mut all = self
            .program
            .iter()
            .flat_map(|statement| match &statement.kind {
                StatementKind::Param(of, _)
                | StatementKind::Const(of, ..)
                | StatementKind::Input(of, _) => {
                    vec![*of]
                }
                StatementKind::Call(results, _) => results.iter().flatten().copied().collect(),
                _ => vec![],
            });
        all.find(defines).map(|of| of.span)
    }
    /// A type, and its extents.
    pub(super) fn ty(&self, ty: &TypeText<'s>) -> Result<(Type, Option<Vec<Extent>>), Mistake> {
        let dtype = DType::from_name(ty.dtype.text).ok_or_else(|| {
            let mistake = Mistake::new(
                ty.dtype.span,
                format!("`{}` is no element type", ty.dtype.text),
            );
            match nearest(ty.dtype.text, DType::ALL.map(DType::name)) {
                Some(near) => mistake.help(format!("there is `{near}`")),
                None => mistake.help(format!(
                    "there are {}",
                    DType::ALL.map(DType::name).join(", ")
                )),
            }
        })?;
        let Some(terms) = &ty.axes else {
            return Ok((Type { dtype, axes: None }, None));
        };
        if terms.len() > MOST_AXES {
            let message = format!(
                "a type has at most {MOST_AXES} axes, this one has {}",
                terms.len()
            );
            return Err(Mistake::new(ty.span, message));
        }
        let (mut axes, mut extents) = (vec![], vec![]);
        for term in terms {
            let (expr, extent) = self.axis(term)?;
            axes.push(expr);
            extents.push(extent);
        }
        let axes = Some(axes);
        Ok((Type { dtype, axes }, Some(extents)))
    }
    /// An expression that is the extent of an axis: computable, and not negative.
    fn axis(&self, term: &Term<'s>) -> Result<(Expr, Extent), Mistake> {
        let expr = self.expr(term)?;
        let extent = self.extent(&expr, term.span)?;
        match extent.known() {
            Some(n) if n < 0 => Err(Mistake::new(
                term.span,
                format!("an extent is negative: {n}"),
            )),
            _ => Ok((expr, extent)),
        }
    }
    pub(super) fn extent(&self, expr: &Expr, span: Span) -> Result<Extent, Mistake> {
        let wrong = |e: ExprError| Mistake::new(span, e.to_string());
        expr.extent(&|name| self.extents.get(name).cloned())
            .map_err(wrong)
    }
    /// A dimension expression, over names that the table has.
    pub(super) fn expr(&self, term: &Term<'s>) -> Result<Expr, Mistake> {
        let all = |terms: &[Term<'s>]| -> Result<Vec<Expr>, Mistake> {
            terms.iter().map(|t| self.expr(t)).collect()
        };
        let pair = |pair: &(Term<'s>, Term<'s>)| -> Result<_, Mistake> {
            Ok((Box::new(self.expr(&pair.0)?), Box::new(self.expr(&pair.1)?)))
        };
        Ok(match &term.kind {
            TermKind::Int(text) => Expr::Num(number(text, term.span)?),
            TermKind::Float(text) => {
                let message = format!("`{text}` is no whole number");
                return Err(Mistake::new(term.span, message)
                    .help("a dimension expression is made of whole numbers and dims"));
            }
            TermKind::Word(text) | TermKind::Text(text) => {
                let name: Arc<str> = unquote(text, term.span.start)?.into();
                match self.extents.contains_key(&name) {
                    true => Expr::Name(name),
                    false => return Err(self.unknown_dim(&name, term.span)),
                }
            }
            TermKind::Negative(of) => match of.kind {
                TermKind::Int(text) => Expr::Num(number(&format!("-{text}"), term.span)?),
                _ => Expr::Difference(Box::new(Expr::Num(0)), Box::new(self.expr(of)?)),
            },
            TermKind::Sum(parts) => Expr::Sum(all(parts)?),
            TermKind::Product(factors) => Expr::Product(all(factors)?),
            TermKind::Difference(of) => pair(of).map(|(a, b)| Expr::Difference(a, b))?,
            TermKind::Quotient(of) => pair(of).map(|(a, b)| Expr::Quotient(a, b))?,
        })
    }
    fn unknown_dim(&self, wanted: &str, span: Span) -> Mistake {
        let later = self
            .program
            .iter()
            .find_map(|statement| match &statement.kind {
                StatementKind::Dims(dims) => dims
                    .iter()
                    .find(|d| name(d.name).is_ok_and(|n| &*n == wanted))
                    .map(|d| d.name.span),
                _ => None,
            });
        if let Some(later) = later {
            let what = format!("the dim {}", shown(wanted));
            return Mistake::new(span, self.above(&what, span, later));
        }
        let mistake = Mistake::new(span, format!("unknown dim {}", shown(wanted)));
        match nearest(wanted, self.extents.keys().map(|k| &**k)) {
            Some(near) => mistake.help(format!("there is `{}`", quoted(near))),
            None => mistake
                .help("`dim name = 64` defines one, `dim name = ?` one that is known at run time"),
        }
    }
}

/// A name between backticks, quoted where the language quotes it.
pub(super) fn shown(name: &str) -> String {
    format!("`{}`", quoted(name))
}

fn number(text: &str, span: Span) -> Result<i64, Mistake> {
    let wrong = |_| Mistake::new(span, "the number does not fit 64 bits");
    text.parse().map_err(wrong)
}
