//! Normalizations that an optimizer joined with the sum before them: of two branches, or of embeddings.
use super::attend::floats;
use super::index::{broadcast_strides, walk};
use super::movement::{position, wrong};
use super::norm::{binary, unary};
use super::table::{Binary, Reduce, Unary, family};
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::{DType, Tensor};

family! {
    /// `skip_layer_norm(x, skip, scale, bias?, added?) {epsilon}` and `skip_rms_norm(x, skip, scale, added?) {epsilon}`:
    /// the norm over the last axis of `x + skip + added`. Gives the norm, mean, inverse deviation, and the sum.
    SkipNorm { Layer "skip_layer_norm" Rms "skip_rms_norm" }
}

/// `embed_layer_norm(ids, segment_ids?, words, places, segments?, scale, bias, mask?, place_ids?) {epsilon}`: the layer norm of
/// the sum of rows of tables. Gives the norm, how many positions the mask leaves, and the sum.
pub struct EmbedLayerNorm;

const EPSILON: f32 = 1e-12;

/// Lines along the last axis, normalized: the elements, and mean and inverse deviation of each line.
fn normalize(
    sum: &[f32],
    n: usize,
    epsilon: f32,
    is_centered: bool,
    scale: &[f32],
    bias: Option<&[f32]>,
) -> [Vec<f32>; 3] {
    let mut all = [Vec::with_capacity(sum.len()), vec![], vec![]];
    for line in sum.chunks(n.max(1)) {
        let count = line.len() as f64;
        let mean = line.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let center = if is_centered { mean } else { 0.0 };
        let square = |x: &f32| (f64::from(*x) - center).powi(2);
        let spread = line.iter().map(square).sum::<f64>() / count;
        let inverse = 1.0 / (spread + f64::from(epsilon)).sqrt();
        for (i, x) in line.iter().enumerate() {
            let y = ((f64::from(*x) - center) * inverse) as f32 * scale[i];
            all[0].push(y + bias.map_or(0.0, |b| b[i]));
        }
        all[1].push(mean as f32);
        all[2].push(inverse as f32);
    }
    all
}

/// The same in the masked program, over the survivors of the last axis, which is the last of operand `k` too.
fn masked_norm(
    mask: &mut dyn Mask,
    sum: Handle,
    k: usize,
    is_centered: bool,
    params: [Option<Handle>; 2],
) -> [Handle; 3] {
    let last = mask.rank(k) - 1;
    let epsilon = mask.attrs().float_or("epsilon", EPSILON);
    let ratio = mask.survivors(k, &[last]);
    let (ratio, epsilon) = (mask.scalar(k, ratio), mask.scalar(k, epsilon));
    let mean = |mask: &mut dyn Mask, value: Handle| {
        let value = mask.fill(value, k, &[last], 0.0);
        let attrs = Attrs::new()
            .with("axes", Attr::ints([-1]))
            .with("keep_dims", Attr::Bool(true));
        let mean = mask.emit(Op::Reduce(Reduce::Mean), &[Some(value)], attrs);
        binary(mask, Binary::Mul, mean, ratio)
    };
    let average = mean(mask, sum);
    let center = match is_centered {
        true => binary(mask, Binary::Sub, sum, average),
        false => sum,
    };
    let square = binary(mask, Binary::Mul, center, center);
    let spread = mean(mask, square);
    let spread = binary(mask, Binary::Add, spread, epsilon);
    let deviation = unary(mask, Unary::Sqrt, spread);
    let mut y = binary(mask, Binary::Div, center, deviation);
    for (param, op) in params.into_iter().zip([Binary::Mul, Binary::Add]) {
        if let Some(param) = param {
            y = binary(mask, op, y, param);
        }
    }
    let one = mask.scalar(k, 1.0);
    [y, average, binary(mask, Binary::Div, one, deviation)]
}

/// States that operand `k`, if it is there, is a vector along an axis.
fn vector(cx: &mut Rule<'_>, k: usize, axis: Dim) -> Result<(), RuleError> {
    match cx.optional(k).map(|param| param.axes) {
        None => Ok(()),
        Some([own]) => cx.equate(*own, axis),
        Some(_) => cx.wrong(format!("operand {k} has not one axis")),
    }
}

impl SkipNorm {
    /// Where the bias of the norm and what is added before it stand.
    fn biases(self) -> (Option<usize>, usize) {
        match self {
            SkipNorm::Layer => (Some(3), 4),
            SkipNorm::Rms => (None, 3),
        }
    }
}

impl Operator for SkipNorm {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("epsilon", Kind::Float)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=self.biases().1 + 1
    }
    fn removal(&self) -> Removal {
        Removal::Reestimated
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, skip) = (cx.operand(0)?, cx.operand(1)?);
        let Some((last, before)) = x.axes.split_last() else {
            return cx.wrong("the operand is a scalar");
        };
        if skip.axes.len() > x.axes.len() {
            return cx.wrong("the second branch has more axes than the first");
        }
        cx.broadcast(&[x.axes, skip.axes])?;
        for k in 2..cx.operands.len() {
            vector(cx, k, *last)?;
        }
        cx.result_like(0)?;
        for _ in 0..2 {
            let mut axes = before.to_vec();
            axes.push(cx.dims.axis(1i64));
            cx.result(DType::F32, axes);
        }
        cx.result_like(0)
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, skip) = (cx.operand(0)?, cx.operand(1)?);
        let (bias, added) = self.biases();
        let values = |k: Option<usize>| k.and_then(|k| cx.optional(k)).map(Tensor::to_f32);
        let (bias, added) = (values(bias).transpose()?, values(Some(added)).transpose()?);
        let n = x.shape.last().copied().unwrap_or(1).max(1);
        let mut sum = x.to_f32()?.into_owned();
        let (skips, mut at) = (skip.to_f32()?, 0);
        walk(
            &x.shape,
            [&broadcast_strides(&skip.shape, &x.shape)],
            |[i]| {
                sum[at] += skips[i] + added.as_ref().map_or(0.0, |b| b[at % n]);
                at += 1;
            },
        );
        let epsilon = cx.attrs.float_or("epsilon", EPSILON);
        let is_centered = *self == SkipNorm::Layer;
        let scale = cx.operand(2)?.to_f32()?;
        let [y, mean, inverse] = normalize(&sum, n, epsilon, is_centered, &scale, bias.as_deref());
        let mut all = vec![];
        for (k, values) in [y, mean, inverse, sum].into_iter().enumerate() {
            if cx.result(k).is_ok() {
                all.push(floats(cx, k, values)?);
            }
        }
        Ok(all)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let last = mask.rank(0) - 1;
        let (Some(x), Some(skip), Some(_)) = (mask.operand(0), mask.operand(1), mask.lost(0, last))
        else {
            return mask.apart();
        };
        let (bias, added) = self.biases();
        let operand = |mask: &mut dyn Mask, k: usize| match k < mask.operand_count() {
            true => mask.operand(k),
            false => None,
        };
        let mut sum = binary(mask, Binary::Add, x, skip);
        if let Some(added) = operand(mask, added) {
            sum = binary(mask, Binary::Add, sum, added);
        }
        let params = [mask.operand(2), bias.and_then(|k| operand(mask, k))];
        let [y, mean, inverse] = masked_norm(mask, sum, 0, *self == SkipNorm::Layer, params);
        vec![y, mean, inverse, sum]
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let role = match k {
            0 | 1 => Role::Other,
            2 => Role::Scale,
            _ => Role::Bias,
        };
        all_axes(view, k, role)
    }
}

impl Operator for EmbedLayerNorm {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("epsilon", Kind::Float), ("mask_index_type", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        7..=9
    }
    fn removal(&self) -> Removal {
        Removal::Reestimated
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (ids, words, places) = (cx.operand(0)?, cx.operand(2)?, cx.operand(3)?);
        let ([batch, length], [_, width]) = (ids.axes, words.axes) else {
            return cx.wrong("ids and tables have two axes each");
        };
        // Rows are addressed by index, those of places by where an id stands.
        cx.freeze(*length, Reason::Index);
        for table in [Some(words), Some(places), cx.optional(4)] {
            let Some(table) = table else { continue };
            let [rows, own] = table.axes else {
                return cx.wrong("a table has not two axes");
            };
            cx.freeze(*rows, Reason::Index);
            cx.equate(*own, *width)?;
        }
        for k in [1, 7, 8] {
            if let Some(other) = cx.optional(k) {
                cx.broadcast(&[ids.axes, other.axes])?;
            }
        }
        vector(cx, 5, *width)?;
        vector(cx, 6, *width)?;
        let axes = vec![*batch, *length, *width];
        cx.result(words.dtype, axes.clone());
        cx.result(DType::I32, vec![*batch]);
        cx.result(words.dtype, axes);
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let ids = cx.operand(0)?;
        let [batch, length] = ids.shape[..] else {
            return wrong("the ids have not two axes");
        };
        let n = cx.operand(2)?.shape[1];
        let places: Vec<i64> = (0..length as i64).collect();
        let mut sum = vec![0f32; batch * length * n];
        for (table, ids) in [(2, Some(0)), (3, cx.optional(8).map(|_| 8)), (4, Some(1))] {
            let Some(table) = cx.optional(table) else {
                continue;
            };
            let own = ids.and_then(|k| cx.optional(k));
            let own = own
                .map(|t| Ok::<_, EvalError>((t.to_i64()?, &t.shape)))
                .transpose()?;
            let values = table.to_f32()?;
            for at in 0..batch * length {
                let id = match &own {
                    Some((all, shape)) if shape.first() == Some(&1) => all.get(at % length),
                    Some((all, _)) => all.get(at),
                    None => Some(&places[at % length]),
                };
                let Some(id) = id.copied() else {
                    return wrong("the ids do not fit each other");
                };
                let Some(row) = position(id, table.shape[0]) else {
                    return wrong(format!("there is no row {id}"));
                };
                let row = &values[row * n..(row + 1) * n];
                sum[at * n..(at + 1) * n]
                    .iter_mut()
                    .zip(row)
                    .for_each(|(x, y)| *x += y);
            }
        }
        let epsilon = cx.attrs.float_or("epsilon", EPSILON);
        let (scale, bias) = (cx.operand(5)?.to_f32()?, cx.operand(6)?.to_f32()?);
        let [y, ..] = normalize(&sum, n, epsilon, true, &scale, Some(&bias));
        let mut all = vec![];
        if cx.result(0).is_ok() {
            all.push(floats(cx, 0, y)?);
        }
        if let Ok((dtype, _)) = cx.result(1) {
            let counts = match cx.optional(7) {
                Some(mask) => {
                    let rows = mask.to_i64()?;
                    rows.chunks(length.max(1))
                        .map(|row| row.iter().sum())
                        .collect()
                }
                None => vec![0; batch],
            };
            all.push(Tensor::from_i64(&[batch], counts)?.cast(dtype)?);
        }
        if cx.result(2).is_ok() {
            all.push(floats(cx, 2, sum)?);
        }
        Ok(all)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        if mask.lost(2, 1).is_none() {
            return mask.apart();
        }
        let count = mask.operand_count();
        let operand = |mask: &mut dyn Mask, k: usize| match k < count {
            true => mask.operand(k),
            false => None,
        };
        let rows = |mask: &mut dyn Mask, table: usize, ids: Option<Handle>| {
            let table = mask.operand(table);
            match ids {
                Some(_) => mask.emit(Op::Gather, &[table, ids], Attrs::new()),
                // By where an id stands: the first rows.
                None => {
                    let length = mask.axes(0)[1].clone();
                    let attrs = Attrs::new()
                        .with("axes", Attr::ints([0]))
                        .with("starts", Attr::ints([0]))
                        .with("ends", Attr::exprs([length]));
                    mask.emit(Op::Slice, &[table], attrs)
                }
            }
        };
        let ids = mask.operand(0);
        let mut sum = rows(mask, 2, ids);
        let ids = operand(mask, 8);
        let places = rows(mask, 3, ids);
        sum = binary(mask, Binary::Add, sum, places);
        let ids = operand(mask, 1);
        if let (Some(_), Some(_)) = (operand(mask, 4), ids) {
            let segments = rows(mask, 4, ids);
            sum = binary(mask, Binary::Add, sum, segments);
        }
        let params = [mask.operand(5), mask.operand(6)];
        let [y, ..] = masked_norm(mask, sum, 2, true, params);
        let counts = mask.apart();
        vec![y, counts.get(1).copied().unwrap_or(y), sum]
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            2..=4 => Use::Roles(vec![Role::Index, Role::Table]),
            5 => all_axes(view, k, Role::Scale),
            6 => all_axes(view, k, Role::Bias),
            _ => all_axes(view, k, Role::Index),
        }
    }
}
