//! What an operator's rule gives for operands of known types and extents, while the module is still being read.
use crate::dims::{Cause, Dim, Dims};
use crate::ops::{Attrs, Op, Operand, Rule, RuleError, Shape};
use crate::tensor::{Extent, Tensor};

/// An operand: its shape, and its elements where they are in the file.
pub type Given<'a> = Option<(&'a Shape, Option<&'a Tensor>)>;

/// Types and extents of the results; none where the rule does not know the rank.
///
/// The rule runs on dims of its own, so that nothing of it is left; propagation runs it again on the whole module.
pub fn results(
    op: Op,
    attrs: &Attrs,
    operands: &[Given<'_>],
    stated: &[Option<Vec<Extent>>],
) -> Result<Vec<Option<Shape>>, RuleError> {
    if let Some(negative) = stated.iter().flatten().flatten().find(|e| is_negative(e)) {
        return Err(RuleError::Wrong(format!(
            "an extent is negative: {negative}"
        )));
    }
    let mut dims = Dims::new();
    let axes: Vec<Vec<Dim>> = operands
        .iter()
        .map(|given| {
            given.map_or(vec![], |(shape, _)| {
                shape.axes.iter().map(|e| dims.axis(e.clone())).collect()
            })
        })
        .collect();
    let operands: Vec<Option<Operand<'_>>> = operands
        .iter()
        .zip(&axes)
        .map(|(given, axes)| {
            let (shape, value) = (*given)?;
            Some(Operand {
                dtype: shape.dtype,
                axes,
                value,
            })
        })
        .collect();
    let mut rule = Rule {
        dims: &mut dims,
        attrs,
        operands: &operands,
        stated,
        cause: Cause(0),
        lookup: &|name| Some(Extent::symbol(name)),
        asked: None,
        results: vec![],
        attr_dims: vec![],
        indices: vec![],
    };
    op.operator().rule(&mut rule)?;
    let made = rule.results;
    let shape = |ty: crate::ops::ValueType| {
        let axes = ty.axes?;
        Some(Shape {
            dtype: ty.dtype,
            axes: axes.iter().map(|d| dims.extent(*d).clone()).collect(),
        })
    };
    Ok(made.into_iter().map(shape).collect())
}

fn is_negative(extent: &Extent) -> bool {
    extent.known().is_some_and(|n| n < 0)
}
