//! Steps: what a device knows how to do. Every extent in a step is a number.
use crate::ir::ValueId;
use crate::ops::{Attrs, Binary, Pool, Softmax, Unary};

/// What is done with operands to make results, all of them f32 where nothing else is said.
#[derive(Clone, Debug)]
pub enum Step {
    /// A convolution: input, weight, bias if there is one.
    Conv(Conv),
    /// A transposed convolution: its window slides over the result, and has one place for each element of the input.
    Spread(Conv),
    /// Matrix products: the two sides, and for some a matrix that is added.
    Product(Product),
    /// A function of every element.
    Map(Unary, Attrs),
    /// Every element between two bounds, each of which may be absent.
    Clip,
    /// A function of two elements.
    Zip(Binary, Attrs, Zip),
    /// Input, scale, bias, mean, variance: `(x - mean) * scale / sqrt(variance + epsilon) + bias` by channel.
    BatchNorm(Channels),
    /// Lines of so many elements that each become a distribution.
    Softmax(Softmax, usize),
    /// Lines that are normalized.
    Norm(Norm),
    /// Lines that each become one element.
    Reduce(Reduce),
    /// A maximum or a mean over a window.
    Pool(Pool, Slide),
    /// Blocks of elements that go elsewhere in another order.
    Copy(Vec<Block>),
    /// Whatever else there is, of any types: the operator's reference.
    Reference,
}

/// What is done at once with every element of a result, in its place.
#[derive(Clone, Debug)]
pub enum After {
    /// A function of it.
    Map(Unary, Attrs),
    /// It is held between two bounds.
    Clip(f32, f32),
    /// Another value is added, of the same shape or repeated over the first axes.
    Add(ValueId),
}

/// A window that slides over up to three spatial axes; missing ones come first and have extent 1.
#[derive(Clone, Debug)]
pub struct Slide {
    /// Extents before.
    pub input: [usize; 3],
    /// Extents after.
    pub output: [usize; 3],
    /// Extents of the window.
    pub kernel: [usize; 3],
    /// Distance between windows.
    pub stride: [usize; 3],
    /// Distance between a window's elements.
    pub dilation: [usize; 3],
    /// Padding before the first element.
    pub before: [i64; 3],
    /// By what a mean divides, by place, where that is not the number of elements read.
    pub counts: Option<Vec<f32>>,
}

impl Slide {
    /// Elements of an input plane.
    pub fn volume(&self) -> usize {
        self.input.iter().product()
    }
    /// Elements of an output plane.
    pub fn places(&self) -> usize {
        self.output.iter().product()
    }
    /// Elements of a window.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }
    /// The windows along `axis` whose element `k` lies on the input.
    pub fn span(&self, axis: usize, k: usize) -> std::ops::Range<usize> {
        let stride = self.stride[axis] as i64;
        let shift = self.before[axis] - k as i64 * self.dilation[axis] as i64;
        // `o * stride - shift` lies in `0..input`.
        let first = shift.div_euclid(stride) + i64::from(shift.rem_euclid(stride) != 0);
        let end = (self.input[axis] as i64 - 1 + shift).div_euclid(stride) + 1;
        let first = first.clamp(0, self.output[axis] as i64);
        let end = end.clamp(first, self.output[axis] as i64);
        first as usize..end as usize
    }
    /// What element `k` of window `o` reads along `axis`, for windows of [`Slide::span`].
    pub fn source(&self, axis: usize, o: usize, k: usize) -> usize {
        let at = (o * self.stride[axis] + k * self.dilation[axis]) as i64 - self.before[axis];
        at as usize
    }
    /// Calls `visit` for every element of the window and every row of outputs that it reaches: the element, where the
    /// row's outputs begin and end in the output plane, and where the first reads in the input plane.
    #[inline(always)]
    pub fn rows(&self, mut visit: impl FnMut(usize, std::ops::Range<usize>, usize)) {
        let [kd, kh, kw] = self.kernel;
        for tap in 0..self.taps() {
            let (a, b, c) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            debug_assert!(a < kd);
            let along = self.span(2, c);
            if along.is_empty() {
                continue;
            }
            for i in self.span(0, a) {
                let plane = self.source(0, i, a) * self.input[1];
                for j in self.span(1, b) {
                    let row = (plane + self.source(1, j, b)) * self.input[2];
                    let out = (i * self.output[1] + j) * self.output[2];
                    let from = row + self.source(2, along.start, c);
                    visit(tap, out + along.start..out + along.end, from);
                }
            }
        }
    }
}

/// The extents of a convolution.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Independent inputs.
    pub batch: usize,
    /// Independent groups of channels.
    pub groups: usize,
    /// Channels of the input by group.
    pub inner: usize,
    /// Channels of the output by group.
    pub outer: usize,
    /// The window.
    pub slide: Slide,
}

/// The extents of matrix products of one kind.
#[derive(Clone, Debug)]
pub struct Product {
    /// Where each product's two sides begin.
    pub pairs: Vec<[usize; 2]>,
    /// Rows of the result, length of the sums, columns of the result.
    pub shape: [usize; 3],
    /// Elements between rows and between columns of the left side.
    pub left: (usize, usize),
    /// Elements between rows and between columns of the right side.
    pub right: (usize, usize),
    /// Factor of the products.
    pub alpha: f32,
    /// Factor of what is added, and elements between its rows and its columns; none where nothing is.
    pub add: Option<(f32, usize, usize)>,
}

/// Two operands under one shape, whose neighbouring axes are one where both operands allow it.
#[derive(Clone, Debug)]
pub struct Zip {
    /// The shape.
    pub shape: Vec<usize>,
    /// Elements between neighbours, by axis; 0 where an operand is repeated.
    pub strides: [Vec<usize>; 2],
}

/// The extents of what is done by channel.
#[derive(Clone, Debug)]
pub struct Channels {
    /// How many channels.
    pub count: usize,
    /// Elements of a channel that lie together.
    pub plane: usize,
    /// Added to a variance.
    pub epsilon: f32,
}

/// Lines that are normalized.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Elements of a line.
    pub line: usize,
    /// Whether the mean is taken away.
    pub centered: bool,
    /// Added to a variance.
    pub epsilon: f32,
    /// Whether scale (operand 1) and bias (operand 2) differ inside of lines or between channels, of so many elements
    /// each and so many in a row.
    pub channels: Option<(usize, usize)>,
}

/// How lines become one element.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fold {
    Sum,
    Mean,
    Max,
    Min,
    SumSquare,
}

/// Lines that each become one element.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// How.
    pub fold: Fold,
    /// Elements of a line.
    pub line: usize,
    /// Elements between neighbours of a line; so many lines lie between each other.
    pub inner: usize,
}

/// A block of elements of one operand that goes to a block of the result.
#[derive(Clone, Debug)]
pub struct Block {
    /// The operand.
    pub operand: usize,
    /// The extents of the block.
    pub shape: Vec<usize>,
    /// Elements between neighbours in the operand, by axis.
    pub from: Vec<usize>,
    /// Where the block begins in the result.
    pub at: usize,
    /// Elements between neighbours in the result, by axis.
    pub to: Vec<usize>,
}

/// A shape and strides in which neighbouring axes are one where all strides allow it; axes of extent 1 are gone.
pub fn merge<const N: usize>(
    shape: &[usize],
    strides: [&[usize]; N],
) -> (Vec<usize>, [Vec<usize>; N]) {
    let mut merged: Vec<usize> = vec![];
    let mut steps: [Vec<usize>; N] = std::array::from_fn(|_| vec![]);
    for axis in (0..shape.len()).filter(|a| shape[*a] != 1) {
        let n = shape[axis];
        let joins = merged.last().is_some()
            && (0..N).all(|k| steps[k].last() == Some(&(strides[k][axis] * n)));
        match merged.last_mut() {
            Some(last) if joins => {
                *last *= n;
                (0..N).for_each(|k| {
                    steps[k]
                        .iter_mut()
                        .next_back()
                        .into_iter()
                        .for_each(|s| *s = strides[k][axis])
                });
            }
            _ => {
                merged.push(n);
                (0..N).for_each(|k| steps[k].push(strides[k][axis]));
            }
        }
    }
    if merged.is_empty() {
        merged.push(1);
        steps.iter_mut().for_each(|s| s.push(1));
    }
    (merged, steps)
}
