//! What single operators need besides their row when a node is read: targets of shapes, normal forms, old defaults.
use super::fold::Folded;
use super::node::{attribute, int_or, text};
use super::rows::Row;
use super::sequence;
use super::take::{Call, Inputs, Refusal, expr};
use super::wire::{Files, tensor};
use super::{special_contrib, special_picks, special_slice};
use crate::ops::{Attr, normalize_axis};
use crate::tensor::Extent;
use std::path::Path;

/// Completes a call whose row has been read.
pub fn complete(
    inputs: &mut Inputs<'_>,
    row: &'static Row,
    call: &mut Call,
) -> Result<(), Refusal> {
    let opset = inputs.opset;
    if !row.domain.is_empty() {
        return special_contrib::complete(inputs, row, call);
    }
    match row.onnx {
        "Reshape" => call.stated = vec![Some(reshape(inputs)?)],
        "Expand" => call.stated = vec![Some(expand(inputs)?)],
        "ConstantOfShape" => constant_of_shape(inputs, call)?,
        "Range" => range(inputs, call)?,
        "NonZero" => {
            let rank = Extent::from(inputs.shape(0)?.axes.len());
            let columns = fresh(inputs, 1);
            call.stated = vec![Some(vec![rank, columns])];
        }
        "NonMaxSuppression" => {
            let boxes = fresh(inputs, 0);
            call.stated = vec![Some(vec![boxes, Extent::from(3i64)])];
        }
        "If" => call.stated = either(inputs)?,
        "Compress" => special_picks::compress(inputs, call)?,
        "CenterCropPad" => special_picks::crop(inputs, row, call)?,
        "MaxUnpool" => special_picks::unpool(inputs, call)?,
        // Another axis is meant from set 20 on, where none is stated.
        "DFT" if call.attrs.get("axis").is_none() => {
            let axis = if opset < 20 { 1 } else { -2 };
            call.attrs.set("axis", Attr::int(axis));
        }
        "OneHot" => one_hot(inputs, call)?,
        "Slice" => special_slice::slice(inputs, row, call)?,
        "Split" => split(inputs, row, call)?,
        "SplitToSequence" => sequence::split(inputs, row, call)?,
        "SequenceAt" => sequence::item(inputs, call)?,
        "Pad" => pad(inputs, row, call)?,
        "Resize" => resize(inputs, row, call)?,
        // Before set 13 the operand is seen as a matrix, cut at the axis.
        "Softmax" | "LogSoftmax" | "Hardmax" if opset < 13 => {
            let axis = int_or(inputs.node, "axis", 1);
            let last = inputs.shape(0)?.axes.len() as i64 - 1;
            call.attrs.set("axis", Attr::int(axis));
            if axis != last && axis != -1 {
                call.attrs.set("flatten", Attr::Bool(true));
            }
        }
        // The scale keeps the value that it has, whatever becomes of the features.
        "Attention" if call.attrs.get("scale").is_none() => {
            let heads = int_or(inputs.node, "q_num_heads", 0);
            let q = &inputs.shape(0)?.axes;
            let heads = if q.len() == 4 { 1 } else { heads };
            set_scale(call, q.last(), heads);
        }
        // Before set 21 there is one scale for each group.
        "GroupNormalization" if opset < 21 => call.attrs.set("per_group", Attr::Bool(true)),
        "LSTM" | "GRU" | "RNN" => {
            if let Some(names) = attribute(inputs.node, "activations") {
                let names: Option<Vec<&str>> = names
                    .strings
                    .iter()
                    .map(|s| std::str::from_utf8(s).ok())
                    .collect();
                let names = names.ok_or(Refusal::Opaque)?.join(", ");
                call.attrs.set("activations", Attr::str(&names));
            }
        }
        _ => {}
    }
    Ok(())
}

/// States the scale of scores that follows from the features of all heads.
pub(super) fn set_scale(call: &mut Call, features: Option<&Extent>, heads: i64) {
    let each = features.and_then(|all| all.exact_div(&Extent::from(heads)));
    if let Some(each) = each.and_then(|each| each.known()).filter(|n| *n > 0) {
        let scale = 1.0 / (each as f64).sqrt();
        call.attrs.set("scale", Attr::Float(scale as f32));
    }
}

/// The extents of what an `If` gives, where those of its arms differ: known when it ran.
fn either(inputs: &mut Inputs<'_>) -> Result<Vec<Option<Vec<Extent>>>, Refusal> {
    let count = inputs.node.input.len() / 2;
    let mut stated = vec![];
    for k in 1..=count {
        let (one, other) = (inputs.shape(k)?.clone(), inputs.shape(k + count)?.clone());
        let differ = one.axes.len() == other.axes.len() && one.axes != other.axes;
        let pairs = one.axes.into_iter().zip(other.axes);
        let base = inputs.node.output.get(k - 1).cloned().unwrap_or_default();
        let both = pairs.enumerate().map(|(axis, (a, b))| match a == b {
            true => a,
            false => (inputs.fresh)(&format!("{base}.{axis}")),
        });
        stated.push(differ.then(|| both.collect()));
    }
    Ok(stated)
}

/// A run-time symbol for an axis of the first result that nothing tells.
pub(super) fn fresh(inputs: &mut Inputs<'_>, axis: usize) -> Extent {
    let name = inputs.node.output.first().map_or("", String::as_str);
    (inputs.fresh)(&format!("{name}.{axis}"))
}

pub(super) fn product(all: &[Extent]) -> Option<Extent> {
    all.iter()
        .try_fold(Extent::from(1i64), |product, e| product.checked_mul(e))
}

/// The extents that a reshape gives, with 0 and -1 resolved.
fn reshape(inputs: &Inputs<'_>) -> Result<Vec<Extent>, Refusal> {
    let x = &inputs.shape(0)?.axes;
    let target = inputs.folded(1)?.and_then(Folded::extents);
    let target = target.ok_or(Refusal::Opaque)?;
    let copies = int_or(inputs.node, "allowzero", 0) == 0;
    let (mut shape, mut open) = (vec![], None);
    for (i, extent) in target.iter().enumerate() {
        match extent.known() {
            Some(-1) if open.is_none() => {
                open = Some(i);
                shape.push(Extent::from(1i64));
            }
            Some(n) if n < 0 => return Refusal::wrong(format!("a reshape to an extent of {n}")),
            Some(0) if copies => match x.get(i) {
                Some(extent) => shape.push(extent.clone()),
                None => return Refusal::wrong("a reshape copies an axis that is not there"),
            },
            _ => shape.push(extent.clone()),
        }
    }
    if let Some(i) = open {
        let (all, rest) = (product(x), product(&shape));
        let (Some(all), Some(rest)) = (all, rest) else {
            return Refusal::wrong("a reshape whose number of elements overflows");
        };
        shape[i] = match all.exact_div(&rest) {
            Some(extent) => extent,
            None if all.is_known() && rest.is_known() => {
                return Refusal::wrong(format!("a reshape of {all} elements to rows of {rest}"));
            }
            None => all.floor_div(&rest).ok_or(Refusal::Opaque)?,
        };
    }
    Ok(shape)
}

/// The extents that an expansion gives.
fn expand(inputs: &Inputs<'_>) -> Result<Vec<Extent>, Refusal> {
    let x = &inputs.shape(0)?.axes;
    let target = inputs.folded(1)?.and_then(Folded::extents);
    let target = target.ok_or(Refusal::Opaque)?;
    let rank = x.len().max(target.len());
    let at = |all: &[Extent], i: usize| (i + all.len()).checked_sub(rank).map(|i| all[i].clone());
    (0..rank)
        .map(|i| match (at(x, i), at(&target, i)) {
            (Some(x), None) => Ok(x),
            (Some(x), Some(t)) if t.known() == Some(1) => Ok(x),
            (None, Some(t)) => Ok(t),
            (Some(x), Some(t)) if x.known() == Some(1) => Ok(t),
            (Some(x), Some(t)) if x.is_known() && t.is_known() && x != t => {
                Refusal::wrong(format!("an axis of {x} does not expand to {t}"))
            }
            (Some(x), Some(_)) => Ok(x),
            (None, None) => Err(Refusal::Opaque),
        })
        .collect()
}

fn constant_of_shape(inputs: &Inputs<'_>, call: &mut Call) -> Result<(), Refusal> {
    let shape = inputs.folded(0)?.and_then(Folded::extents);
    call.stated = vec![Some(shape.ok_or(Refusal::Opaque)?)];
    let Some(value) = attribute(inputs.node, "value") else {
        return Ok(());
    };
    let nowhere = Files::beside(Path::new(""));
    let value = value.t.as_ref().ok_or(Refusal::Opaque)?;
    let value = tensor(value, &nowhere).map_err(|e| Refusal::Wrong(e.to_string()))?;
    let one = match value.to_i64().ok().as_deref() {
        Some([n]) => Attr::int(*n),
        Some(_) => return Refusal::wrong("a constant of a shape has not one value"),
        None => match value.to_f64()[..] {
            [x] if x as f32 as f64 == x || x.is_nan() => Attr::Float(x as f32),
            _ => return Err(Refusal::Opaque),
        },
    };
    call.attrs.set("value", one);
    call.attrs.set("dtype", Attr::DType(value.dtype));
    Ok(())
}

/// The extent of a range whose bounds are run-time extents.
fn range(inputs: &mut Inputs<'_>, call: &mut Call) -> Result<(), Refusal> {
    let one = |k: usize| -> Option<Extent> {
        let folded = inputs.folded.get(k)?.as_ref()?;
        folded.items.first()?.extent().cloned()
    };
    let count = || {
        let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
        let step = step.known().filter(|n| *n > 0)?;
        let up = limit
            .checked_sub(&start)?
            .checked_add(&Extent::from(step - 1))?;
        let count = up.floor_div(&Extent::from(step))?;
        (count.known().is_none_or(|n| n >= 0)).then_some(count)
    };
    let count = match count() {
        Some(count) => count,
        None => fresh(inputs, 0),
    };
    call.stated = vec![Some(vec![count])];
    Ok(())
}

/// The extents of one-hot codes whose depth is a run-time extent.
fn one_hot(inputs: &mut Inputs<'_>, call: &mut Call) -> Result<(), Refusal> {
    let depth = inputs.folded.get(1).and_then(Option::as_ref);
    let depth = depth.and_then(|f| f.items.first()?.extent().cloned());
    if depth.as_ref().is_some_and(Extent::is_known) {
        return Ok(());
    }
    let mut axes = inputs.shape(0)?.axes.clone();
    let axis = int_or(inputs.node, "axis", -1);
    let axis = normalize_axis(axis, axes.len() + 1).map_err(|e| Refusal::Wrong(e.to_string()))?;
    let depth = match depth {
        Some(depth) => depth,
        None => fresh(inputs, axis),
    };
    axes.insert(axis, depth);
    call.stated = vec![Some(axes)];
    Ok(())
}

fn split(inputs: &Inputs<'_>, row: &'static Row, call: &mut Call) -> Result<(), Refusal> {
    let x = &inputs.shape(0)?.axes;
    let axis = int_or(inputs.node, "axis", 0);
    let axis = normalize_axis(axis, x.len()).map_err(|e| Refusal::Wrong(e.to_string()))?;
    let parts = inputs.node.output.len();
    let sizes = match inputs.extents(Inputs::field(row, "split")?)? {
        Some(sizes) => sizes,
        None => equal_parts(&x[axis], parts).ok_or(Refusal::Opaque)?,
    };
    if sizes.len() != parts {
        return Refusal::wrong(format!("a split into {} has {parts} results", sizes.len()));
    }
    call.attrs.set("sizes", Attr::exprs(sizes.iter().map(expr)));
    Ok(())
}

/// Equal parts of an axis, of which the last may be smaller.
fn equal_parts(whole: &Extent, parts: usize) -> Option<Vec<Extent>> {
    let count = i64::try_from(parts).ok().filter(|n| *n > 0)?;
    let Some(n) = whole.known() else {
        let part = whole.exact_div(&Extent::from(count))?;
        return Some(vec![part; parts]);
    };
    let part = n / count + (n % count != 0) as i64;
    let size = |k: i64| (n - k * part).clamp(0, part);
    Some((0..count).map(|k| Extent::from(size(k))).collect())
}

fn pad(inputs: &Inputs<'_>, row: &'static Row, call: &mut Call) -> Result<(), Refusal> {
    let rank = inputs.shape(0)?.axes.len();
    let Some(pads) = inputs.extents(Inputs::field(row, "pads")?)? else {
        return Refusal::wrong("a pad without pads");
    };
    let pads = match inputs.ints(Inputs::field(row, "axes")?)? {
        None => pads,
        Some(axes) => {
            if pads.len() != 2 * axes.len() {
                return Refusal::wrong("pads and axes do not fit each other");
            }
            let mut all = vec![Extent::from(0i64); 2 * rank];
            for (i, axis) in axes.iter().enumerate() {
                let axis =
                    normalize_axis(*axis, rank).map_err(|e| Refusal::Wrong(e.to_string()))?;
                all[axis] = pads[i].clone();
                all[axis + rank] = pads[i + axes.len()].clone();
            }
            all
        }
    };
    call.attrs.set("pads", Attr::exprs(pads.iter().map(expr)));
    Ok(())
}

fn resize(inputs: &Inputs<'_>, row: &'static Row, call: &mut Call) -> Result<(), Refusal> {
    let node = inputs.node;
    let x = &inputs.shape(0)?.axes;
    let policy = attribute(node, "keep_aspect_ratio_policy").and_then(text);
    if policy.is_some_and(|p| p != "stretch") {
        return Err(Refusal::Opaque);
    }
    let given = attribute(node, "axes").and_then(super::node::ints);
    let places: Vec<usize> = match given {
        None => (0..x.len()).collect(),
        Some(axes) => axes
            .iter()
            .map(|a| normalize_axis(*a, x.len()).map_err(|e| Refusal::Wrong(e.to_string())))
            .collect::<Result<_, _>>()?,
    };
    let mode = attribute(node, "coordinate_transformation_mode").and_then(text);
    if mode == Some("tf_crop_and_resize") {
        let roi = inputs.floats(Inputs::field(row, "roi")?)?;
        match roi.filter(|roi| given.is_none() && roi.len() == 2 * x.len()) {
            Some(roi) => call.attrs.set(
                "roi",
                Attr::List(roi.into_iter().map(Attr::Float).collect()),
            ),
            None => return Err(Refusal::Opaque),
        }
    }
    let scales = inputs.floats(Inputs::field(row, "scales")?)?;
    if let Some(scales) = scales.filter(|all| !all.is_empty()) {
        if scales.len() != places.len() {
            return Refusal::wrong("a resize has another number of scales than axes");
        }
        let mut all = vec![1.0; x.len()];
        places.iter().zip(scales).for_each(|(a, s)| all[*a] = s);
        call.attrs.set(
            "scales",
            Attr::List(all.into_iter().map(Attr::Float).collect()),
        );
        return Ok(());
    }
    let Some(sizes) = inputs.extents(Inputs::field(row, "sizes")?)? else {
        return Refusal::wrong("a resize without scales and sizes");
    };
    if sizes.len() != places.len() {
        return Refusal::wrong("a resize has another number of sizes than axes");
    }
    let mut all = x.clone();
    places.iter().zip(sizes).for_each(|(a, n)| all[*a] = n);
    call.stated = vec![Some(all)];
    Ok(())
}
