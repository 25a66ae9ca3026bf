//! What operators that pick or place positions need besides their row when a node is read: the extents they give.
use super::node::{attribute, int_or};
use super::rows::Row;
use super::special::{fresh, product};
use super::take::{Call, Inputs, Refusal};
use crate::ops::normalize_axis;
use crate::tensor::Extent;

/// The extents of what is chosen: a condition in the file tells how much.
pub fn compress(inputs: &mut Inputs<'_>, call: &mut Call) -> Result<(), Refusal> {
    let mut axes = inputs.shape(0)?.axes.clone();
    let axis = match attribute(inputs.node, "axis") {
        Some(_) => {
            let axis = int_or(inputs.node, "axis", 0);
            normalize_axis(axis, axes.len()).map_err(|e| Refusal::Wrong(e.to_string()))?
        }
        None => {
            axes = vec![product(&axes).ok_or(Refusal::Opaque)?];
            0
        }
    };
    let folded = inputs.folded.get(1).and_then(Option::as_ref);
    let known = folded.and_then(|f| f.ints());
    axes[axis] = match (known, axes[axis].known()) {
        (Some(all), Some(n)) => {
            let n = usize::try_from(n).unwrap_or(0);
            Extent::from(all.iter().take(n).filter(|c| **c != 0).count())
        }
        _ => fresh(inputs, axis),
    };
    call.stated = vec![Some(axes)];
    Ok(())
}

/// The extents that a crop gives.
pub fn crop(inputs: &Inputs<'_>, row: &'static Row, call: &mut Call) -> Result<(), Refusal> {
    let mut all = inputs.shape(0)?.axes.clone();
    let sizes = inputs
        .extents(Inputs::field(row, "shape")?)?
        .ok_or(Refusal::Opaque)?;
    let given = attribute(inputs.node, "axes").and_then(super::node::ints);
    let axes: Vec<i64> = given.map_or_else(|| (0..all.len() as i64).collect(), <[i64]>::to_vec);
    if axes.len() != sizes.len() {
        return Refusal::wrong("a crop has another number of extents than axes");
    }
    for (axis, extent) in axes.iter().zip(sizes) {
        let axis = normalize_axis(*axis, all.len()).map_err(|e| Refusal::Wrong(e.to_string()))?;
        all[axis] = extent;
    }
    call.stated = vec![Some(all)];
    Ok(())
}

/// The extents that maxima are put back into: what the pool had, or what is stated.
pub fn unpool(inputs: &Inputs<'_>, call: &mut Call) -> Result<(), Refusal> {
    if let Some(folded) = inputs.folded(2)? {
        call.stated = vec![Some(folded.extents().ok_or(Refusal::Opaque)?)];
        return Ok(());
    }
    let x = inputs.shape(0)?.axes.clone();
    let spatial = x.len().saturating_sub(2);
    let ints = |name: &str, n: usize, default: i64| {
        let given = call.attrs.ints(name);
        given
            .filter(|all| all.len() == n)
            .unwrap_or_else(|| vec![default; n])
    };
    let (kernel, stride) = (ints("kernel", spatial, 1), ints("stride", spatial, 1));
    let pad = ints("pad", 2 * spatial, 0);
    let mut all = x;
    for axis in 0..spatial {
        let edge = (kernel[axis].checked_sub(pad[axis]))
            .and_then(|n| n.checked_sub(pad[axis + spatial]))
            .and_then(|n| n.checked_sub(stride[axis]))
            .ok_or(Refusal::Opaque)?;
        let along = all[axis + 2].checked_mul(&Extent::from(stride[axis]));
        let along = along.and_then(|n| n.checked_add(&Extent::from(edge)));
        all[axis + 2] = along.ok_or(Refusal::Opaque)?;
    }
    call.stated = vec![Some(all)];
    Ok(())
}
