//! Windows that slide along spatial axes: convolutions and pools.
use super::{Attrs, RuleError};
use crate::tensor::Extent;

/// The attributes of a sliding window, with the defaults filled in; one entry per spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Extent of the window.
    pub kernel: Vec<i64>,
    /// Distance between neighbouring windows.
    pub stride: Vec<i64>,
    /// Distance between neighbouring elements of a window.
    pub dilation: Vec<i64>,
    /// Padding: all begins, then all ends.
    pub pad: Vec<i64>,
    /// `notset`, `same_upper`, `same_lower` or `valid`.
    pub auto_pad: String,
    /// Whether a last window that does not fit counts.
    pub ceil: bool,
}

impl Window {
    /// Reads the attributes of a window with the given kernel.
    pub fn new(attrs: &Attrs, kernel: Vec<i64>) -> Result<Window, RuleError> {
        let n = kernel.len();
        let list = |name: &str, default: i64, len: usize| match attrs.ints(name) {
            Some(all) if all.len() == len => Ok(all),
            Some(all) => Err(RuleError::Wrong(format!(
                "`{name}` has {} entries, {len} are needed",
                all.len()
            ))),
            None => Ok(vec![default; len]),
        };
        let window = Window {
            stride: list("stride", 1, n)?,
            dilation: list("dilation", 1, n)?,
            pad: list("pad", 0, 2 * n)?,
            auto_pad: attrs.str_or("auto_pad", "notset").to_string(),
            ceil: attrs.flag("ceil"),
            kernel,
        };
        let positive = window
            .stride
            .iter()
            .chain(&window.dilation)
            .chain(&window.kernel);
        if positive.clone().any(|n| *n < 1)
            || positive
                .chain(&window.pad)
                .any(|n| n.unsigned_abs() > i32::MAX as u64)
        {
            return Err(RuleError::Wrong(
                "strides, dilations and kernels are at least 1, and no number is huge".into(),
            ));
        }
        Ok(window)
    }
    /// Whether what stands at a position of spatial axis `axis` depends on that position alone.
    pub fn is_point(&self, axis: usize) -> bool {
        let pads = [self.pad[axis], self.pad[axis + self.kernel.len()]];
        let padded = self.auto_pad == "notset" && pads != [0, 0];
        self.kernel[axis] == 1 && self.stride[axis] == 1 && !padded
    }
    fn span(&self, axis: usize) -> i64 {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }
    /// The extent that spatial axis `axis` has after the window.
    pub fn output(&self, axis: usize, input: &Extent) -> Result<Extent, RuleError> {
        let stride = Extent::from(self.stride[axis]);
        let overflow = || RuleError::Wrong("a spatial extent overflows".into());
        let out = match &self.auto_pad[..] {
            "same_upper" | "same_lower" => input
                .checked_add(&Extent::from(self.stride[axis] - 1))
                .and_then(|e| e.floor_div(&stride))
                .ok_or_else(overflow)?,
            _ => {
                let pad = if self.auto_pad == "valid" {
                    0
                } else {
                    self.pad[axis] + self.pad[axis + self.kernel.len()]
                };
                let round = if self.ceil { self.stride[axis] - 1 } else { 0 };
                let out = input
                    .checked_add(&Extent::from(pad - self.span(axis) + round))
                    .and_then(|e| e.floor_div(&stride))
                    .and_then(|e| e.checked_add(&Extent::from(1i64)))
                    .ok_or_else(overflow)?;
                match (out.known(), input.known()) {
                    // A window that would begin in the padding at the end does not count.
                    (Some(o), Some(i))
                        if self.ceil
                            && (o - 1).saturating_mul(self.stride[axis])
                                >= i.saturating_add(self.pad[axis]) =>
                    {
                        Extent::from(o - 1)
                    }
                    _ => out,
                }
            }
        };
        match out.known() {
            Some(n) if n < 1 => Err(RuleError::Wrong(format!(
                "a window of {} does not fit an axis of {input}",
                self.span(axis)
            ))),
            _ => Ok(out),
        }
    }
    /// The padding before spatial axis `axis` when extents are numbers.
    pub fn pad_before(&self, axis: usize, input: usize, output: usize) -> i64 {
        let total =
            ((output as i64 - 1) * self.stride[axis] + self.span(axis) - input as i64).max(0);
        match &self.auto_pad[..] {
            "same_upper" => total / 2,
            "same_lower" => total - total / 2,
            "valid" => 0,
            _ => self.pad[axis],
        }
    }
    /// The input position that element `k` of window `o` reads along `axis`, if it is no padding.
    pub fn source(
        &self,
        axis: usize,
        before: i64,
        o: usize,
        k: usize,
        input: usize,
    ) -> Option<usize> {
        let at = o as i64 * self.stride[axis] + k as i64 * self.dilation[axis] - before;
        usize::try_from(at).ok().filter(|at| *at < input)
    }
    /// How many elements of a window lie on the input or its padding (under `ceil` a window may reach past both).
    pub fn covered(&self, o: &[usize], before: &[i64], input: &[usize]) -> usize {
        let along = |axis: usize| {
            let behind = match self.auto_pad == "notset" {
                true => self.pad[axis + self.kernel.len()],
                false => i64::from(i32::MAX),
            };
            let end = input[axis] as i64 + behind;
            let first = o[axis] as i64 * self.stride[axis] - before[axis];
            let inside = |k: &i64| first + k * self.dilation[axis] < end;
            (0..self.kernel[axis]).filter(inside).count()
        };
        (0..self.kernel.len()).map(along).product()
    }
}
