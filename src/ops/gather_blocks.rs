//! Rows of a table whose blocks are packed into few bits, each with a scale of its own.
use super::blocks::{Blocks, Packing};
use super::movement::{as_eval, position, wrong};
use super::*;
use crate::dims::Reason;
use crate::tensor::{DType, Tensor};

/// `gather_blocks(table, indices, scales, zeros?) {bits, block}`: the rows of the table that the indices name, in the
/// place of the indices. A row has a run of bytes for each block; `scales` and `zeros` have one entry for each.
pub struct GatherBlocks;

impl Operator for GatherBlocks {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[("bits", Kind::Int), ("block", Kind::Int)]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        3..=4
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (table, indices, scales) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let packing = Packing::new(cx.attrs)?;
        let ([rows, bytes], [_, blocks]) = (table.axes, scales.axes) else {
            return cx.wrong("the table or its scales have not two axes");
        };
        if table.dtype != DType::U8 || !indices.dtype.is_integer() {
            return cx.wrong("the table is not of bytes, or the indices are no integers");
        }
        let run = cx.dims.axis(Extent::from(packing.run()));
        let within = cx.dims.axis(Extent::from(packing.block()));
        for d in [*rows, run, within] {
            cx.freeze(d, Reason::Index);
        }
        let all = cx.dims.product(&[*blocks, run]);
        cx.equate(*bytes, all)?;
        packing.state(cx, 2, *rows, *blocks)?;
        let entries = cx.dims.product(&[*blocks, within]);
        cx.result(scales.dtype, [indices.axes, &[entries]].concat());
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let packing = Packing::new(cx.attrs).map_err(as_eval)?;
        let (table, scales) = (cx.operand(0)?, cx.operand(2)?);
        let (dtype, shape) = cx.result(0)?;
        let ([rows, _], [_, count]) = (&table.shape[..], &scales.shape[..]) else {
            return wrong("the table or its scales have not two axes");
        };
        let blocks = Blocks::new(packing, [*rows, *count], table, scales, cx.optional(3))?;
        let mut out = vec![];
        for index in cx.operand(1)?.to_i64()? {
            let Some(row) = position(index, *rows) else {
                return wrong(format!("index {index} lies outside of {rows} positions"));
            };
            out.extend(blocks.row(row, count * packing.block() as usize));
        }
        Ok(vec![Tensor::from_f32(shape, out)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            0 | 2 => Use::Roles(vec![Role::Index, Role::Table]),
            _ => all_axes(view, k, Role::Index),
        }
    }
}
