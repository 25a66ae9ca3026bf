//! Operators that sort the elements of a followed tensor of integers, or put them in places: with them TensorFlow Lite's
//! converter multiplies the extents of a shape segment by segment.
use super::fold::{Folded, broadcast};
use super::node::{attribute, int_or};
use super::number::Number;
use super::wire::proto::NodeProto;
use crate::ops::index::strides;
use crate::ops::position;

/// The results of an operator that sorts a tensor of one axis.
pub fn sorted(node: &NodeProto, op_type: &str, inputs: &[Option<&Folded>]) -> Option<Vec<Folded>> {
    let x = inputs.first().copied()??;
    if x.dtype.is_float() || x.shape.len() != 1 {
        return None;
    }
    let values = x.ints()?;
    let list = |all: Vec<i64>| {
        let items = all.into_iter().map(Number::from).collect::<Vec<_>>();
        Folded {
            dtype: crate::tensor::DType::I64,
            ..x.with(vec![items.len()], items)
        }
    };
    let of_x = |all: Vec<i64>| Folded {
        dtype: x.dtype,
        ..list(all)
    };
    match op_type {
        "TopK" if int_or(node, "sorted", 1) != 0 => {
            let count = match inputs.get(1).copied()??.ints()?[..] {
                [count] => usize::try_from(count).ok()?,
                _ => return None,
            };
            let mut order: Vec<usize> = (0..values.len()).collect();
            match int_or(node, "largest", 1) {
                0 => order.sort_by_key(|i| values[*i]),
                _ => order.sort_by_key(|i| std::cmp::Reverse(values[*i])),
            }
            let order = order.get(..count)?;
            Some(vec![
                of_x(order.iter().map(|i| values[*i]).collect()),
                list(order.iter().map(|i| *i as i64).collect()),
            ])
        }
        "Unique" => {
            // Each value once, by its first place; in the order of these where none is asked for.
            let mut firsts: Vec<usize> = (0..values.len())
                .filter(|i| !values[..*i].contains(&values[*i]))
                .collect();
            if int_or(node, "sorted", 1) != 0 {
                firsts.sort_by_key(|i| values[*i]);
            }
            let place = |x: &i64| firsts.iter().position(|i| values[*i] == *x);
            let back: Option<Vec<i64>> = values.iter().map(|x| Some(place(x)? as i64)).collect();
            let back = back?;
            let count = |at: usize| back.iter().filter(|b| **b == at as i64).count() as i64;
            let mut all = vec![
                of_x(firsts.iter().map(|i| values[*i]).collect()),
                list(firsts.iter().map(|i| *i as i64).collect()),
                list(back.clone()),
                list((0..firsts.len()).map(count).collect()),
            ];
            all.truncate(node.output.len());
            Some(all)
        }
        _ => None,
    }
}

/// A tensor with some of its elements, or lines of them, replaced.
pub fn placed(node: &NodeProto, inputs: &[Option<&Folded>]) -> Option<Folded> {
    let [Some(x), Some(places), Some(new)] = inputs else {
        return None;
    };
    if attribute(node, "reduction").is_some() || x.dtype.is_float() {
        return None;
    }
    let (width, rows) = places.shape.split_last()?;
    let (named, line) = x.shape.split_at_checked(*width)?;
    let shape = broadcast(&[&[rows, line].concat()])?;
    let size: usize = line.iter().product();
    if new.shape != shape || *width == 0 {
        return None;
    }
    let (step, places) = (strides(&x.shape), places.ints()?);
    let mut items = x.items.clone();
    for (row, place) in places.chunks_exact(*width).enumerate() {
        let mut at = 0;
        for (axis, (i, n)) in place.iter().zip(named).enumerate() {
            at += position(*i, *n)? * step[axis];
        }
        let from = new.items.get(row * size..(row + 1) * size)?;
        items.get_mut(at..at + size)?.clone_from_slice(from);
    }
    Some(x.with(x.shape.clone(), items))
}
