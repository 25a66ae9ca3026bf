//! Weights in few bits: entries packed into bytes, lowest bits first, and a scale and a zero for each block of a row.
use super::movement::wrong;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::{DType, Tensor};
use std::borrow::Cow;

/// How many bits an entry has, and how many entries a block.
#[derive(Copy, Clone)]
pub(super) struct Packing {
    bits: i64,
    block: i64,
}

impl Packing {
    /// The attributes `bits` and `block`, checked.
    pub(super) fn new(attrs: &Attrs) -> Result<Packing, RuleError> {
        let (bits, block) = (attrs.int_or("bits", 4), attrs.int_or("block", 128));
        if !matches!(bits, 2 | 4 | 8) || block < 8 || block > i64::from(u16::MAX) {
            let message = format!("blocks of {block} entries of {bits} bits are not supported");
            return Err(RuleError::Wrong(message));
        }
        Ok(Packing { bits, block })
    }
    /// Entries in a block.
    pub(super) fn block(self) -> i64 {
        self.block
    }
    /// Bytes of a block, where it has bytes of its own.
    pub(super) fn run(self) -> i64 {
        self.block * self.bits / 8
    }
    /// Blocks of a row of that many entries; the last need not be full.
    pub(super) fn blocks(self, entries: i64) -> i64 {
        parts(entries, self.block)
    }
    /// Entries in a byte.
    fn each(self) -> i64 {
        8 / self.bits
    }
    /// Entry `at` of a run of bytes.
    fn entry(self, bytes: &[u8], at: usize) -> f32 {
        let each = self.each() as usize;
        let shift = at % each * self.bits as usize;
        let mask = (1u16 << self.bits) - 1;
        let byte = bytes.get(at / each).copied().unwrap_or(0);
        f32::from((u16::from(byte) >> shift) & mask)
    }
    /// States the axes of scales and zeros, operands `at` and behind it, which have an entry for each row and block.
    /// Zeros that are bytes are packed, too: of those that share a byte, all go or none.
    pub(super) fn state(
        self,
        cx: &mut Rule<'_>,
        at: usize,
        rows: Dim,
        blocks: Dim,
    ) -> Result<(), RuleError> {
        let scales = cx.operand(at)?;
        table(cx, scales.axes, rows, blocks)?;
        let zeros = cx.optional(at + 1);
        let is_packed = zeros.is_some_and(|z| z.dtype == DType::U8);
        if !scales.dtype.is_float() || zeros.is_some_and(|z| !is_packed && !z.dtype.is_float()) {
            return cx.wrong("the scales are no floats, or the zeros neither floats nor bytes");
        }
        let (Some(zeros), Some(count)) = (zeros, cx.known(blocks)) else {
            return Ok(());
        };
        let each = if is_packed { self.each() } else { 1 };
        let bytes = cx.dims.axis(Extent::from(parts(count, each)));
        if count % each == 0 {
            let within = cx.dims.axis(Extent::from(each));
            cx.freeze(within, Reason::Barrier);
            let all = cx.dims.product(&[bytes, within]);
            cx.equate(blocks, all)?;
        } else {
            cx.freeze(blocks, Reason::Barrier);
            cx.freeze(bytes, Reason::Barrier);
        }
        table(cx, zeros.axes, rows, bytes)
    }
}

/// How many runs of `each` hold `all`; the last need not be full.
fn parts(all: i64, each: i64) -> i64 {
    all / each + i64::from(all % each != 0)
}

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

/// A weight of some rows and blocks, to be read.
pub(super) struct Blocks<'t> {
    packing: Packing,
    bytes: Cow<'t, bytes::Bytes>,
    scales: Cow<'t, [f32]>,
    zeros: Option<Cow<'t, [f32]>>,
    packed: Option<Cow<'t, bytes::Bytes>>,
    count: usize,
}

impl<'t> Blocks<'t> {
    /// The weight, its scales, and its zeros.
    pub(super) fn new(
        packing: Packing,
        [rows, count]: [usize; 2],
        weight: &'t Tensor,
        scales: &'t Tensor,
        zeros: Option<&'t Tensor>,
    ) -> Result<Blocks<'t>, EvalError> {
        let is_float = zeros.is_some_and(|z| z.dtype.is_float());
        let made = Blocks {
            packing,
            bytes: weight.bytes(),
            scales: scales.to_f32()?,
            zeros: zeros.filter(|_| is_float).map(Tensor::to_f32).transpose()?,
            packed: zeros.filter(|_| !is_float).map(Tensor::bytes),
            count,
        };
        let all = rows * count;
        let fits = made.bytes.len() == all * packing.run() as usize
            && made.scales.len() == all
            && made.zeros.as_ref().is_none_or(|z| z.len() == all)
            && made
                .packed
                .as_ref()
                .is_none_or(|z| z.len() == rows * made.line());
        match fits {
            true => Ok(made),
            false => wrong("the weight, its scales and its zeros do not fit together"),
        }
    }
    /// Bytes of a row of packed zeros.
    fn line(&self) -> usize {
        self.count.div_ceil(self.packing.each() as usize)
    }
    /// The entries of a row, or 0 behind its end; where no zeros are given, the middle of the range is 0.
    pub(super) fn row(&self, row: usize, entries: usize) -> impl Iterator<Item = f32> {
        let (packing, run) = (self.packing, self.packing.run() as usize);
        let block = packing.block as usize;
        (0..entries).map(move |i| {
            let at = row * self.count + i / block;
            let zero = match (&self.zeros, &self.packed) {
                (Some(zeros), _) => zeros[at],
                (None, Some(packed)) => packing.entry(&packed[row * self.line()..], i / block),
                (None, None) => f32::from(1u8 << (packing.bits - 1)),
            };
            (packing.entry(&self.bytes[at * run..], i % block) - zero) * self.scales[at]
        })
    }
}
