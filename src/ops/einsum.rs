//! Einstein's summation: letters name dims.
use super::index::strides;
use super::*;
use crate::dims::Dim;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// `einsum(a, b, ...) {equation}`: letters that the result lacks are summed over.
pub struct Einsum;

/// One operand or result: a letter per axis; axes under an ellipsis are numbered from the last, as capitals cannot be.
type Letters = Vec<Letter>;

/// What an axis is called.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Letter {
    /// A letter of the equation.
    Named(char),
    /// An axis under the ellipsis, counted from the last.
    Rest(usize),
}

/// The letters of the operands and of the result.
fn parse(equation: &str, ranks: &[usize]) -> Result<(Vec<Letters>, Letters), RuleError> {
    let wrong = |message: String| Err(RuleError::Wrong(message));
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&text[..], None),
    };
    let sides: Vec<&str> = left.split(',').collect();
    if sides.len() != ranks.len() {
        return wrong(format!(
            "`{equation}` is of {} operands, {} are given",
            sides.len(),
            ranks.len()
        ));
    }
    let mut rest = 0;
    let mut operands: Vec<Letters> = vec![];
    for (side, rank) in sides.iter().zip(ranks) {
        let named = side.replace("...", "").chars().count();
        let own = match (side.contains("..."), rank.checked_sub(named)) {
            (true, Some(own)) => own,
            (false, Some(0)) => 0,
            _ => return wrong(format!("`{side}` does not fit an operand of {rank} axes")),
        };
        rest = rest.max(own);
        operands.push(letters(side, own)?);
    }
    let result = match right {
        Some(right) => letters(right, rest)?,
        None => {
            // The letters that stand once, in the order of the alphabet.
            let all: Vec<Letter> = operands.iter().flatten().copied().collect();
            let mut once: Letters = (0..rest).rev().map(Letter::Rest).collect();
            let mut named: Letters = all
                .iter()
                .filter(|l| matches!(l, Letter::Named(_)))
                .filter(|l| all.iter().filter(|other| other == l).count() == 1)
                .copied()
                .collect();
            named.sort();
            once.extend(named);
            once
        }
    };
    match result
        .iter()
        .find(|l| !operands.iter().flatten().any(|o| o == *l))
    {
        Some(letter) => wrong(format!("no operand has `{letter:?}` of the result")),
        None => Ok((operands, result)),
    }
}

fn letters(side: &str, rest: usize) -> Result<Letters, RuleError> {
    let (before, behind) = match side.split_once("...") {
        Some((before, behind)) => (before, Some(behind)),
        None => (side, None),
    };
    let mut all: Letters = before.chars().map(Letter::Named).collect();
    if let Some(behind) = behind {
        all.extend((0..rest).rev().map(Letter::Rest));
        all.extend(behind.chars().map(Letter::Named));
    }
    let bad = all
        .iter()
        .find(|l| matches!(l, Letter::Named(c) if !c.is_ascii_alphabetic()));
    match bad {
        Some(Letter::Named(c)) => Err(RuleError::Wrong(format!("`{c}` in an equation"))),
        _ => Ok(all),
    }
}

fn ranks(view: &View<'_>) -> Vec<usize> {
    let rank = |o: &Option<Shape>| o.as_ref().map_or(0, |s| s.axes.len());
    view.operands.iter().map(rank).collect()
}

impl Operator for Einsum {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("equation", Kind::Str)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let operands: Vec<Operand<'_>> = (0..cx.operands.len())
            .map(|k| cx.operand(k))
            .collect::<Result<_, _>>()?;
        let ranks: Vec<usize> = operands.iter().map(|o| o.axes.len()).collect();
        let (sides, result) = parse(cx.attrs.str_or("equation", ""), &ranks)?;
        let mut dims: BTreeMap<Letter, Dim> = BTreeMap::new();
        for (side, operand) in sides.iter().zip(&operands) {
            for (letter, d) in side.iter().zip(operand.axes) {
                match dims.get(letter) {
                    None => drop(dims.insert(*letter, *d)),
                    // An axis of extent 1 under the ellipsis is repeated.
                    Some(known) if matches!(letter, Letter::Rest(_)) => {
                        let both = cx.broadcast(&[&[*known], &[*d]])?;
                        dims.insert(*letter, both[0]);
                    }
                    Some(known) => {
                        let known = *known;
                        cx.equate(known, *d)?;
                    }
                }
            }
        }
        // What all operands carry through to the result is a batch index.
        for letter in &result {
            if operands.len() > 1 && sides.iter().all(|s| s.contains(letter)) {
                cx.dims.count(dims[letter]);
            }
        }
        let axes = result.iter().map(|l| dims[l]).collect();
        cx.result(operands[0].dtype, axes);
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let Ok((sides, _)) = parse(view.attrs.str_or("equation", ""), &ranks(view)) else {
            return Extent::from(0i64);
        };
        if sides.len() < 2 {
            return Extent::from(0i64);
        }
        let mut extents: BTreeMap<Letter, Extent> = BTreeMap::new();
        for (side, shape) in sides.iter().zip(view.operands) {
            for (letter, extent) in side.iter().zip(shape.iter().flat_map(|s| &s.axes)) {
                let known = extents.entry(*letter).or_insert(Extent::from(1i64));
                if known.known() == Some(1) {
                    *known = extent.clone();
                }
            }
        }
        context::product(&extents.into_values().collect::<Vec<_>>())
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let operands: Vec<&Tensor> = (0..cx.operands.len())
            .map(|k| cx.operand(k))
            .collect::<Result<_, _>>()?;
        let (dtype, shape) = cx.result(0)?;
        let ranks: Vec<usize> = operands.iter().map(|o| o.shape.len()).collect();
        let (sides, result) = parse(cx.attrs.str_or("equation", ""), &ranks)
            .map_err(|e| EvalError::Wrong(e.to_string()))?;
        // All letters, those of the result first: their extents, and the steps of each operand along them.
        let mut order = result.clone();
        for letter in sides.iter().flatten() {
            if !order.contains(letter) {
                order.push(*letter);
            }
        }
        let mut extents = vec![1usize; order.len()];
        let mut steps = vec![vec![0usize; order.len()]; operands.len()];
        for ((side, operand), steps) in sides.iter().zip(&operands).zip(&mut steps) {
            let own = strides(&operand.shape);
            for (axis, letter) in side.iter().enumerate() {
                let at = order.iter().position(|l| l == letter).unwrap_or(0);
                extents[at] = extents[at].max(operand.shape[axis]);
                if operand.shape[axis] > 1 {
                    steps[at] += own[axis];
                }
            }
        }
        let values: Vec<_> = operands
            .iter()
            .map(|o| o.to_f32())
            .collect::<Result<_, _>>()?;
        let inner: usize = extents[result.len()..].iter().product();
        let total: usize = extents.iter().product();
        let mut out = vec![0f32; shape.iter().product()];
        let mut index = vec![0usize; order.len()];
        let mut at = vec![0usize; operands.len()];
        let mut sum = 0f64;
        for i in 0..total {
            sum += values
                .iter()
                .zip(&at)
                .map(|(v, at)| v[*at] as f64)
                .product::<f64>();
            if (i + 1) % inner == 0 {
                if let Some(out) = out.get_mut(i / inner) {
                    *out = sum as f32;
                }
                sum = 0.0;
            }
            for axis in (0..order.len()).rev() {
                index[axis] += 1;
                at.iter_mut().zip(&steps).for_each(|(at, s)| *at += s[axis]);
                if index[axis] < extents[axis] {
                    break;
                }
                at.iter_mut()
                    .zip(&steps)
                    .for_each(|(at, s)| *at -= s[axis] * extents[axis]);
                index[axis] = 0;
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let ranks: Vec<usize> = (0..mask.operand_count()).map(|k| mask.rank(k)).collect();
        let Ok((sides, result)) = parse(mask.attrs().str_or("equation", ""), &ranks) else {
            return mask.apart();
        };
        let summed: Vec<Vec<usize>> = sides
            .iter()
            .map(|side| {
                (0..side.len())
                    .filter(|a| !result.contains(&side[*a]))
                    .collect()
            })
            .collect();
        let fills: Vec<(usize, &[usize], f32)> = summed
            .iter()
            .enumerate()
            .map(|(k, axes)| (k, &axes[..], 0.0))
            .collect();
        mask.filled(&fills)
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let Ok((sides, result)) = parse(view.attrs.str_or("equation", ""), &ranks(view)) else {
            return all_axes(view, k, Role::Other);
        };
        let role = |l: &Letter| match result.contains(l) {
            true => Role::Out,
            false => Role::In,
        };
        Use::Roles(
            sides
                .get(k)
                .map_or(vec![], |side| side.iter().map(role).collect()),
        )
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        let equation = pairs.view.attrs.str_or("equation", "");
        parse(equation, &ranks(&pairs.view)).is_ok_and(|(sides, result)| {
            pairs.contracted(|k, axis| sides[k][axis], |letter| !result.contains(letter))
        })
    }
}
