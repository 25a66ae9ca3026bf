//! The product with a weight whose blocks of columns are packed into few bits, each with a scale of its own.
use super::blocks::{Blocks, Packing};
use super::matmul::multiply;
use super::movement::{as_eval, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};

/// `matmul_blocks(x, weight, scales, zeros?, _, bias?) {k, n, bits, block}`: `... k -> ... n`. Row `n` of the weight has
/// a run of bytes for each `block` of the `k`; `scales` and `zeros` have one entry for each.
///
/// Blocks go as a whole, since what stands in one shares its scale.
pub struct MatmulBlocks;

impl Operator for MatmulBlocks {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("k", Kind::Extent),
            ("n", Kind::Extent),
            ("bits", Kind::Int),
            ("block", Kind::Int),
            ("accuracy", Kind::Int),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=6
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, weight) = (cx.operand(0)?, cx.operand(1)?);
        let packing = Packing::new(cx.attrs)?;
        let (Some((k, front)), [n, blocks, run]) = (x.axes.split_last(), weight.axes) else {
            return cx.wrong("the weight has not three axes, or there are no columns");
        };
        if cx.optional(4).is_some() {
            return cx.wrong("columns in another order are not supported");
        }
        let (Some(columns), Some(count)) = (cx.known(*k), cx.known(*blocks)) else {
            return cx.wrong("the columns or their blocks are not known");
        };
        let stated = [cx.extent("k")?, cx.extent("n")?];
        let own = [cx.dims.extent(*k).clone(), cx.dims.extent(*n).clone()];
        let fits = stated.iter().zip(&own).all(|(s, o)| s.as_ref() == Some(o))
            && count == packing.blocks(columns)
            && cx.known(*run) == Some(packing.run());
        if !fits || weight.dtype != DType::U8 {
            let rows = &own[1];
            return cx.wrong(format!(
                "a weight of {rows} rows of {count} blocks does not take {columns} columns"
            ));
        }
        cx.attr_is("k", None, vec![*k]);
        cx.attr_is("n", None, vec![*n]);
        cx.freeze(*run, Reason::Barrier);
        if columns % packing.block() == 0 {
            let within = cx.dims.axis(Extent::from(packing.block()));
            cx.freeze(within, Reason::Barrier);
            let all = cx.dims.product(&[*blocks, within]);
            cx.equate(*k, all)?;
        } else {
            // The last block has less than the others.
            cx.freeze(*k, Reason::Barrier);
            cx.freeze(*blocks, Reason::Barrier);
        }
        packing.state(cx, 2, *n, *blocks)?;
        if let Some(bias) = cx.optional(5) {
            cx.apply("n, n -> n", &[bias.axes, &[*n]], &[])?;
        }
        cx.result(x.dtype, [front, &[*n]].concat());
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let k = view.operand(0).and_then(|x| x.axes.last().cloned());
        let k = k.unwrap_or(Extent::from(0i64));
        context::product(&[view.result_count(0), k])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let packing = Packing::new(cx.attrs).map_err(as_eval)?;
        let (x, weight) = (cx.operand(0)?, cx.operand(1)?);
        let (dtype, shape) = cx.result(0)?;
        let (Some(k), [n, count, _]) = (x.shape.last(), &weight.shape[..]) else {
            return wrong("an operand is a scalar, or the weight has not three axes");
        };
        if packing.blocks(*k as i64) != *count as i64 {
            return wrong("the weight does not take that many columns");
        }
        let blocks = Blocks::new(
            packing,
            [*n, *count],
            weight,
            cx.operand(2)?,
            cx.optional(3),
        )?;
        let mut columns = vec![0.0; k * n];
        for row in 0..*n {
            for (i, entry) in blocks.row(row, *k).enumerate() {
                columns[i * n + row] = entry;
            }
        }
        let mut out = multiply((&x.to_f32()?, &x.shape), (&columns, &[*k, *n]), shape);
        if let Some(bias) = cx.optional(5) {
            let bias = bias.to_f32()?;
            for (y, b) in out.iter_mut().zip(bias.iter().cycle()) {
                *y += b;
            }
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let last = mask.rank(0) - 1;
        mask.filled(&[(0, &[last], 0.0)])
    }
    /// The bytes say little of how large an entry is: the scales stand for the weight.
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match (k, view.operand(k).map_or(0, |o| o.axes.len())) {
            (1, 3) => Use::Roles(vec![Role::Other, Role::Other, Role::Window]),
            (2, 1) => Use::Roles(vec![Role::Out]),
            (2, 2) => Use::Roles(vec![Role::Out, Role::In]),
            (5, _) => all_axes(view, k, Role::Bias),
            _ => all_axes(view, k, Role::Other),
        }
    }
}
