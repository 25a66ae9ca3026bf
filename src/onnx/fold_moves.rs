//! Operators that move the elements of a followed tensor.
use super::fold::{Folded, MOST, broadcast};
use super::node::{attribute, int_or, ints, text};
use super::number::Number;
use super::wire::proto::NodeProto;
use crate::ops::index::{broadcast_strides, strides, unravel, walk};
use crate::ops::{normalize_axis, position};

/// Which axes are named.
pub fn axes_of(axes: &[i64], rank: usize) -> Option<Vec<bool>> {
    let mut named = vec![false; rank];
    for axis in axes {
        named[normalize_axis(*axis, rank).ok()?] = true;
    }
    Some(named)
}

/// The result of an operator that moves elements.
pub fn moved(node: &NodeProto, op_type: &str, inputs: &[Option<&Folded>]) -> Option<Folded> {
    let x = inputs.first().copied()??;
    let second = inputs.get(1).copied().flatten();
    let listed = || match second {
        Some(axes) => axes.ints(),
        None => Some(attribute(node, "axes").and_then(ints)?.to_vec()),
    };
    match op_type {
        "Unsqueeze" => {
            let axes = listed()?;
            let new = axes_of(&axes, x.shape.len().checked_add(axes.len())?)?;
            let mut old = x.shape.iter();
            let shape: Option<Vec<usize>> = new
                .iter()
                .map(|new| if *new { Some(1) } else { old.next().copied() })
                .collect();
            x.shaped(shape?)
        }
        "Squeeze" => {
            let gone = match listed() {
                Some(axes) => axes_of(&axes, x.shape.len())?,
                None => x.shape.iter().map(|n| *n == 1).collect(),
            };
            let left = x.shape.iter().zip(gone).filter(|(_, gone)| !gone);
            x.shaped(left.map(|(n, _)| *n).collect())
        }
        "Reshape" => reshape(node, x, second?),
        "Flatten" => {
            let axis = int_or(node, "axis", 1);
            let axis = if axis == x.shape.len() as i64 {
                x.shape.len()
            } else {
                normalize_axis(axis, x.shape.len()).ok()?
            };
            let (rows, columns) = x.shape.split_at(axis);
            x.shaped(vec![rows.iter().product(), columns.iter().product()])
        }
        "Concat" => concat(node, inputs),
        "Gather" => gather(node, x, second?),
        "Slice" => slice(x, inputs),
        "Pad" => pad(node, x, inputs),
        "Transpose" => transpose(node, x),
        "Expand" => {
            let target = extents_of(second?)?;
            let shape = broadcast(&[&x.shape, &target])?;
            let mut items = vec![];
            walk(&shape, [&broadcast_strides(&x.shape, &shape)], |[i]| {
                items.push(x.items[i].clone());
            });
            Some(x.with(shape, items))
        }
        "Tile" => {
            let repeats = extents_of(second?)?;
            if repeats.len() != x.shape.len() {
                return None;
            }
            let places: Option<Vec<Vec<usize>>> = x
                .shape
                .iter()
                .zip(&repeats)
                .map(|(n, r)| {
                    let count = n.checked_mul(*r).filter(|n| *n <= MOST)?;
                    Some((0..count).map(|i| i % n).collect())
                })
                .collect();
            pick(x, &places?)
        }
        _ => None,
    }
}

/// The elements as extents of a small tensor.
fn extents_of(f: &Folded) -> Option<Vec<usize>> {
    f.ints()?
        .into_iter()
        .map(|n| usize::try_from(n).ok())
        .collect()
}

/// The elements at the given positions of each axis.
fn pick(x: &Folded, places: &[Vec<usize>]) -> Option<Folded> {
    let shape: Vec<usize> = places.iter().map(Vec::len).collect();
    let shape = broadcast(&[&shape])?;
    let step = strides(&x.shape);
    let count: usize = shape.iter().product();
    let items: Option<Vec<Number>> = (0..count)
        .map(|at| {
            let index = unravel(at, &shape);
            let from: usize = (0..shape.len())
                .map(|a| places[a][index[a]] * step[a])
                .sum();
            x.items.get(from).cloned()
        })
        .collect();
    Some(x.with(shape, items?))
}

fn every(x: &Folded) -> Vec<Vec<usize>> {
    x.shape.iter().map(|n| (0..*n).collect()).collect()
}

fn reshape(node: &NodeProto, x: &Folded, target: &Folded) -> Option<Folded> {
    let target = target.ints()?;
    let copies = int_or(node, "allowzero", 0) == 0;
    let (mut shape, mut open) = (vec![], None);
    for (i, n) in target.iter().enumerate() {
        shape.push(match n {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if copies => *x.shape.get(i)?,
            n => usize::try_from(*n).ok()?,
        });
    }
    if let Some(i) = open {
        let rest = shape
            .iter()
            .try_fold(1usize, |all, n| all.checked_mul(*n))?;
        shape[i] = x.items.len().checked_div(rest)?;
    }
    x.shaped(shape)
}

fn concat(node: &NodeProto, inputs: &[Option<&Folded>]) -> Option<Folded> {
    let first = inputs.first().copied()??;
    let axis = normalize_axis(int_or(node, "axis", 0), first.shape.len()).ok()?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for input in inputs {
        let input = (*input)?;
        let fits = |(a, (n, m)): (usize, (&usize, &usize))| a == axis || n == m;
        if input.shape.len() != shape.len()
            || !input.shape.iter().zip(&first.shape).enumerate().all(fits)
        {
            return None;
        }
        shape[axis] += input.shape[axis];
    }
    let shape = broadcast(&[&shape])?;
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let mut items = vec![];
    for row in 0..outer {
        for input in inputs.iter().flatten() {
            let run = input.shape[axis] * inner;
            items.extend_from_slice(&input.items[row * run..(row + 1) * run]);
        }
    }
    Some(first.with(shape, items))
}

fn gather(node: &NodeProto, x: &Folded, indices: &Folded) -> Option<Folded> {
    let axis = normalize_axis(int_or(node, "axis", 0), x.shape.len()).ok()?;
    let mut places = every(x);
    places[axis] = indices
        .ints()?
        .into_iter()
        .map(|at| position(at, x.shape[axis]))
        .collect::<Option<_>>()?;
    let picked = pick(x, &places)?;
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    picked.shaped(shape)
}

fn slice(x: &Folded, inputs: &[Option<&Folded>]) -> Option<Folded> {
    let list = |k: usize| inputs.get(k).copied().flatten().map(Folded::ints);
    let (starts, ends) = (list(1)??, list(2)??);
    let axes = match list(3) {
        Some(axes) => axes?,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match list(4) {
        Some(steps) => steps?,
        None => vec![1; starts.len()],
    };
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return None;
    }
    let mut places = every(x);
    for i in 0..axes.len() {
        let axis = normalize_axis(axes[i], x.shape.len()).ok()?;
        let n = x.shape[axis] as i64;
        let back = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
        let (start, end, step) = (back(starts[i]), back(ends[i]), steps[i]);
        let mut at = if step > 0 {
            start.clamp(0, n)
        } else {
            start.clamp(-1, n - 1)
        };
        let end = if step > 0 {
            end.clamp(0, n)
        } else {
            end.clamp(-1, n - 1)
        };
        let mut found = vec![];
        while step != 0 && (step > 0 && at < end || step < 0 && at > end) {
            found.push(usize::try_from(at).ok()?);
            at = at.saturating_add(step);
        }
        places[axis] = found;
    }
    pick(x, &places)
}

/// Borders of one number; a negative border cuts.
fn pad(node: &NodeProto, x: &Folded, inputs: &[Option<&Folded>]) -> Option<Folded> {
    if attribute(node, "mode").is_some_and(|mode| text(mode) != Some("constant")) {
        return None;
    }
    let input = |k: usize| inputs.get(k).copied().flatten();
    let rank = x.shape.len();
    let axes = match input(3) {
        Some(axes) => axes.ints()?,
        None => (0..rank as i64).collect(),
    };
    let pads = input(1)?.ints()?;
    let (before, after) = pads.split_at_checked(axes.len())?;
    let value = match input(2) {
        Some(value) => value.items.first()?.clone(),
        None => Number::from(0),
    };
    let mut borders = vec![[0i64; 2]; rank];
    for (axis, border) in axes.iter().zip(before.iter().zip(after)) {
        borders[normalize_axis(*axis, rank).ok()?] = [*border.0, *border.1];
    }
    let extents = x.shape.iter().zip(&borders);
    let shape: Option<Vec<usize>> = extents
        .map(|(n, [before, after])| {
            let n = i64::try_from(*n).ok()?.checked_add(*before)?;
            usize::try_from(n.checked_add(*after)?).ok()
        })
        .collect();
    let (shape, step) = (broadcast(&[&shape?])?, strides(&x.shape));
    let item = |at: usize| {
        let index = unravel(at, &shape);
        let mut from = 0;
        for axis in 0..rank {
            match usize::try_from(index[axis] as i64 - borders[axis][0]) {
                Ok(at) if at < x.shape[axis] => from += at * step[axis],
                _ => return Some(value.clone()),
            }
        }
        x.items.get(from).cloned()
    };
    let items: Option<Vec<Number>> = (0..shape.iter().product()).map(item).collect();
    let items = items.filter(|_| after.len() == before.len())?;
    Some(x.with(shape.clone(), items))
}

fn transpose(node: &NodeProto, x: &Folded) -> Option<Folded> {
    let rank = x.shape.len();
    let perm: Vec<usize> = match attribute(node, "perm").and_then(ints) {
        Some(perm) => perm
            .iter()
            .map(|a| usize::try_from(*a).ok().filter(|a| *a < rank))
            .collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    if perm.len() != rank {
        return None;
    }
    let shape: Vec<usize> = perm.iter().map(|a| x.shape[*a]).collect();
    // An axis that is named twice makes a tensor of another size.
    let (shape, step) = (broadcast(&[&shape])?, strides(&x.shape));
    let moved: Vec<usize> = perm.iter().map(|a| step[*a]).collect();
    let mut items = vec![];
    walk(&shape, [&moved], |[i]| items.push(x.items.get(i).cloned()));
    let items: Option<Vec<Number>> = items.into_iter().collect();
    items
        .filter(|all| all.len() == x.items.len())
        .map(|items| x.with(shape, items))
}

/// The parts of a split.
pub fn split(node: &NodeProto, x: &Folded, sizes: Option<&Folded>) -> Option<Vec<Folded>> {
    let axis = normalize_axis(int_or(node, "axis", 0), x.shape.len()).ok()?;
    let sizes = match (sizes, attribute(node, "split").and_then(ints)) {
        (Some(sizes), _) => sizes.ints()?,
        (None, Some(sizes)) => sizes.to_vec(),
        (None, None) => {
            let part = x.shape[axis].div_ceil(node.output.len().max(1));
            (0..node.output.len())
                .map(|k| (x.shape[axis].saturating_sub(k * part)).min(part) as i64)
                .collect()
        }
    };
    let mut at = 0usize;
    let mut parts = vec![];
    for size in sizes {
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        if end > x.shape[axis] {
            return None;
        }
        let mut places = every(x);
        places[axis] = (at..end).collect();
        parts.push(pick(x, &places)?);
        at = end;
    }
    Some(parts)
}
