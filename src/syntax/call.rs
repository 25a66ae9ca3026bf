//! Operations: operators are looked up, operands counted, attributes read by the kinds that the operator states.
use super::ast::{Call, Item, Name, Term, TermKind};
use super::item;
use super::lower::{Lower, name, shown};
use super::token::{Mistake, unquote};
use crate::diag::{Span, nearest};
use crate::ir::{Node, Type};
use crate::ops::{Attr, Attrs, Op};
use std::collections::HashSet;
use std::sync::Arc;

impl<'s> Lower<'_, 's> {
    /// Adds an operation and its results.
    pub(super) fn call(
        &mut self,
        span: Span,
        results: &[Option<Name<'s>>],
        call: &Call<'s>,
    ) -> Result<(), Mistake> {
        let op = operator(call)?;
        self.count_operands(op, call)?;
        let operands = call
            .operands
            .iter()
            .map(|operand| operand.map(|of| self.operand(of)).transpose())
            .collect::<Result<_, _>>()?;
        let mut node = Node {
            op,
            operands,
            results: vec![],
            attrs: Attrs::new(),
            name: None,
            meta: vec![],
            span,
        };
        self.attrs(&mut node, call)?;
        let results = self.results(op, results, call)?;
        let named: Vec<Option<Span>> = results
            .iter()
            .map(|r| r.as_ref().map(|r| r.0.span))
            .collect();
        let made = results
            .into_iter()
            .map(|r| r.map(|(_, name, ty)| (name, ty)));
        let id = self.module.add_node(node, made.collect());
        for (result, span) in self.module.node(id).results.clone().into_iter().zip(named) {
            if let (Some(v), Some(span)) = (result, span) {
                let value = &mut self.module.values[v.at()];
                value.span = span;
                self.values.insert(value.name.clone(), v);
            }
        }
        Ok(())
    }
    fn count_operands(&self, op: Op, call: &Call<'s>) -> Result<(), Mistake> {
        let (takes, count) = (op.operator().operands(), call.operands.len());
        if takes.contains(&count) {
            return Ok(());
        }
        let takes = match (*takes.start(), *takes.end()) {
            (1, 1) => "1 operand".to_string(),
            (least, most) if least == most => format!("{least} operands"),
            (least, usize::MAX) => format!("{least} or more operands"),
            (least, most) => format!("{least} to {most} operands"),
        };
        let message = format!("`{}` takes {takes}, not {count}", op.name());
        Err(Mistake::new(call.op.span, message))
    }
    /// Reads the attributes of a call into its operation.
    fn attrs(&self, node: &mut Node, call: &Call<'s>) -> Result<(), Mistake> {
        let (op, known) = (node.op.name(), node.op.operator().attrs());
        if let Some(ty) = call.opaque {
            node.attrs.set("type", Attr::Str(name(ty)?));
        }
        for (i, (key, item)) in call.attrs.iter().enumerate() {
            if call.attrs[..i].iter().any(|(k, _)| k.text == key.text)
                || key.text == "type" && call.opaque.is_some()
            {
                return Err(Mistake::new(
                    key.span,
                    format!("`{}` is given twice", key.text),
                ));
            }
            match key.text {
                "name" => node.name = Some(text_of(op, key, item)?),
                "meta" => node.meta = pairs(op, key, item)?,
                text => {
                    let Some((_, kind)) = known.iter().find(|(name, _)| *name == text) else {
                        let names = known.iter().map(|(name, _)| *name).chain(["name", "meta"]);
                        return Err(unknown_attr(op, *key, names.collect()));
                    };
                    let expr = |term: &Term<'_>| {
                        let expr = self.expr(term)?;
                        self.extent(&expr, term.span)?;
                        Ok(expr)
                    };
                    node.attrs
                        .set(text, item::attr(op, *key, *kind, item, &expr)?);
                }
            }
        }
        Ok(())
    }
    /// Names and types of the results.
    #[allow(clippy::type_complexity)]
    fn results(
        &self,
        op: Op,
        results: &[Option<Name<'s>>],
        call: &Call<'s>,
    ) -> Result<Vec<Option<(Name<'s>, Arc<str>, Option<Type>)>>, Mistake> {
        if results.is_empty() && op != Op::Opaque {
            let message = format!("the result of `{}` has no name", op.name());
            return Err(Mistake::new(call.op.span, message)
                .help(format!("write `%name = {}(...)`", op.name())));
        }
        if let Some(types) = &call.types
            && types.len() != results.len()
        {
            let plural =
                |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
            let message = format!(
                "{} for {}",
                plural(types.len(), "type"),
                plural(results.len(), "result")
            );
            return Err(Mistake::new(call.op.span, message).help(
                "`_` stands for a type that is not stated, and for a result that is not used",
            ));
        }
        let (mut all, mut names) = (vec![], HashSet::new());
        for (k, result) in results.iter().enumerate() {
            let ty = call.types.as_ref().and_then(|types| types[k].as_ref());
            let Some(of) = result else {
                all.push(None);
                continue;
            };
            if op == Op::Opaque && ty.is_none() {
                let message = format!("`{}` needs a type: what makes it is opaque", of.text);
                return Err(
                    Mistake::new(of.span, message).help("`f32[*]` where the rank is not known")
                );
            }
            let text = self.untaken(*of)?;
            if !names.insert(text.clone()) {
                let message = format!("two results are called {}", shown(&text));
                return Err(Mistake::new(of.span, message));
            }
            let ty = ty.map(|ty| self.ty(ty)).transpose()?.map(|(ty, _)| ty);
            all.push(Some((*of, text, ty)));
        }
        Ok(all)
    }
}

fn operator(call: &Call<'_>) -> Result<Op, Mistake> {
    let text = call.op.text;
    let mistake = |message: String| Mistake::new(call.op.span, message);
    match Op::from_name(text) {
        Some(Op::Opaque) if call.opaque.is_none() => {
            Err(mistake("an opaque operation says what it is".into())
                .help("write `opaque \"domain::Type\"(...)`"))
        }
        Some(op) => Ok(op),
        None => {
            let all: Vec<&str> = Op::all().into_iter().map(Op::name).collect();
            let mistake = mistake(format!("unknown operator `{text}`"));
            Err(match nearest(text, all) {
                Some(near) => mistake.help(format!("there is `{near}`")),
                None => mistake.help("`opaque \"type\"(...)` carries one that is not known"),
            })
        }
    }
}

fn unknown_attr(op: &str, key: Name<'_>, known: Vec<&'static str>) -> Mistake {
    let mistake = Mistake::new(key.span, format!("`{op}` has no attribute `{}`", key.text));
    match nearest(key.text, known.iter().copied()) {
        Some(near) => mistake.help(format!("it has `{near}`")),
        None => mistake.help(format!("it has `{}`", known.join("`, `"))),
    }
}

fn text_of(op: &str, key: &Name<'_>, item: &Item<'_>) -> Result<Arc<str>, Mistake> {
    match item {
        Item::Term(Term {
            kind: TermKind::Text(text),
            span,
            ..
        }) => Ok(unquote(text, span.start)?.into()),
        other => {
            let message = format!("`{}` of `{op}` holds quoted texts", key.text);
            Err(Mistake::new(other.span(), message))
        }
    }
}

/// Keys and values in turn.
#[allow(clippy::type_complexity)]
fn pairs(op: &str, key: &Name<'_>, item: &Item<'_>) -> Result<Vec<(Arc<str>, Arc<str>)>, Mistake> {
    match item {
        Item::List(_, items) if items.len().is_multiple_of(2) => items
            .chunks(2)
            .map(|pair| Ok((text_of(op, key, &pair[0])?, text_of(op, key, &pair[1])?)))
            .collect(),
        other => Err(Mistake::new(
            other.span(),
            format!(
                "`{}` of `{op}` must be a list of keys and values in turn",
                key.text
            ),
        )),
    }
}
