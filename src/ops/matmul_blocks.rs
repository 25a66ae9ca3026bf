//! The product with a weight whose blocks of columns are packed into few bits, each with a scale of its own.
use super::matmul::multiply;
use super::movement::wrong;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::{DType, Tensor};

/// `matmul_blocks(x, weight, scales, zeros?, _?, bias?) {k, n, bits, block}`: `... k -> ... n`. Row `n` of the weight has
/// a run of bytes for each `block` of the `k`, lowest bits first; `scales` and `zeros` have one entry for each. Zeros
/// that are bytes are packed, too; where there are none, the middle of the range is zero.
///
/// Blocks go as a whole, since what stands in one shares its scale; of zeros that share a byte, all or none.
pub struct MatmulBlocks;

/// The attributes, checked.
struct Packing {
    bits: i64,
    block: i64,
}

impl Packing {
    fn new(attrs: &Attrs) -> Result<Packing, RuleError> {
        let (bits, block) = (attrs.int_or("bits", 4), attrs.int_or("block", 0));
        if !matches!(bits, 2 | 4 | 8) || block < 8 || block > i64::from(u16::MAX) {
            let message = format!("blocks of {block} entries of {bits} bits are not supported");
            return Err(RuleError::Wrong(message));
        }
        Ok(Packing { bits, block })
    }
    /// Entries in a byte.
    fn each(&self) -> i64 {
        8 / self.bits
    }
    /// Entry `at` of a run of bytes.
    fn entry(&self, bytes: &[u8], at: usize) -> f32 {
        let each = self.each() as usize;
        let shift = at % each * self.bits as usize;
        let mask = (1u16 << self.bits) - 1;
        let byte = bytes.get(at / each).copied().unwrap_or(0);
        f32::from((u16::from(byte) >> shift) & mask)
    }
}

/// How many runs of `each` hold `all`, the last of which need not be full.
fn parts(all: i64, each: i64) -> i64 {
    all / each + i64::from(all % each != 0)
}

impl MatmulBlocks {
    /// What has an entry for each row and block is flat, or has two axes.
    fn table(cx: &mut Rule<'_>, axes: &[Dim], rows: Dim, blocks: Dim) -> Result<(), RuleError> {
        match axes {
            [flat] => {
                let all = cx.dims.product(&[rows, blocks]);
                cx.equate(*flat, all)
            }
            [n, b] => {
                cx.equate(*n, rows)?;
                cx.equate(*b, blocks)
            }
            _ => cx.wrong("scales or zeros have neither one axis nor two"),
        }
    }
    /// The weight, by column and row.
    fn weight(cx: &Eval<'_>, packing: &Packing, k: usize) -> Result<Vec<f32>, EvalError> {
        let (weight, scales) = (cx.operand(1)?, cx.operand(2)?);
        let [n, blocks, run] = weight.shape[..] else {
            return wrong("the weight has not three axes");
        };
        let (bytes, scales, block) = (weight.bytes(), scales.to_f32()?, packing.block as usize);
        let zeros = cx.optional(3);
        let given = match zeros {
            Some(zeros) if zeros.dtype.is_float() => Some(zeros.to_f32()?),
            _ => None,
        };
        let line = blocks.div_ceil(packing.each() as usize);
        let packed = zeros.filter(|_| given.is_none()).map(Tensor::bytes);
        let fits = given.as_ref().is_none_or(|z| z.len() == n * blocks)
            && packed.as_ref().is_none_or(|z| z.len() == n * line);
        if scales.len() != n * blocks || k > blocks * block || !fits {
            return wrong("scales or zeros do not fit the weight");
        }
        let mut out = vec![0.0; k * n];
        for row in 0..n {
            for b in 0..blocks {
                let at = row * blocks + b;
                let zero = match (&given, &packed) {
                    (Some(given), _) => given[at],
                    (None, Some(packed)) => packing.entry(&packed[row * line..], b),
                    (None, None) => f32::from(1u8 << (packing.bits - 1)),
                };
                let own = &bytes[at * run..(at + 1) * run];
                for i in 0..block.min(k.saturating_sub(b * block)) {
                    let entry = packing.entry(own, i) - zero;
                    out[(b * block + i) * n + row] = entry * scales[at];
                }
            }
        }
        Ok(out)
    }
}

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
        let (x, weight, scales) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let packing = Packing::new(cx.attrs)?;
        let (Some((k, front)), [n, blocks, run]) = (x.axes.split_last(), weight.axes) else {
            return cx.wrong("the weight has not three axes, or there are no columns");
        };
        let zeros = cx.optional(3);
        let packed = zeros.filter(|z| !z.dtype.is_float());
        let all = packed.iter().chain([&weight]);
        if !scales.dtype.is_float() || all.into_iter().any(|x| x.dtype != DType::U8) {
            return cx.wrong("the weight and its zeros are no bytes, or the scales no floats");
        }
        if cx.optional(4).is_some() {
            return cx.wrong("columns in another order are not supported");
        }
        let (Some(columns), Some(count)) = (cx.known(*k), cx.known(*blocks)) else {
            return cx.wrong("the columns or their blocks are not known");
        };
        let stated = [cx.extent("k")?, cx.extent("n")?];
        let own = [cx.dims.extent(*k).clone(), cx.dims.extent(*n).clone()];
        let fits = stated.iter().zip(&own).all(|(s, o)| s.as_ref() == Some(o));
        let bytes = packing.block.checked_mul(packing.bits).map(|n| n / 8);
        if !fits || count != parts(columns, packing.block) || cx.known(*run) != bytes {
            return cx.wrong(format!(
                "a weight of {} rows of {count} blocks does not take {columns} columns",
                own[1]
            ));
        }
        cx.attr_is("k", None, vec![*k]);
        cx.attr_is("n", None, vec![*n]);
        cx.freeze(*run, Reason::Barrier);
        if columns % packing.block == 0 {
            let within = cx.dims.axis(Extent::from(packing.block));
            cx.freeze(within, Reason::Barrier);
            let all = cx.dims.product(&[*blocks, within]);
            cx.equate(*k, all)?;
        } else {
            // The last block has less than the others.
            cx.freeze(*k, Reason::Barrier);
            cx.freeze(*blocks, Reason::Barrier);
        }
        MatmulBlocks::table(cx, scales.axes, *n, *blocks)?;
        if let Some(zeros) = zeros {
            let each = packed.map_or(1, |_| packing.each());
            let bytes = cx.dims.axis(Extent::from(parts(count, each)));
            if count % each == 0 {
                let within = cx.dims.axis(Extent::from(each));
                cx.freeze(within, Reason::Barrier);
                let all = cx.dims.product(&[bytes, within]);
                cx.equate(*blocks, all)?;
            } else {
                cx.freeze(*blocks, Reason::Barrier);
                cx.freeze(bytes, Reason::Barrier);
            }
            MatmulBlocks::table(cx, zeros.axes, *n, bytes)?;
        }
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
        let packing = Packing::new(cx.attrs).map_err(super::movement::as_eval)?;
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let (Some(k), Some(n)) = (x.shape.last(), shape.last()) else {
            return wrong("an operand is a scalar");
        };
        let weight = MatmulBlocks::weight(cx, &packing, *k)?;
        let xs = x.to_f32()?;
        let mut out = multiply((&xs, &x.shape), (&weight, &[*k, *n]), shape);
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
