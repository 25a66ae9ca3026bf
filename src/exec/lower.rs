//! From operations to steps, once all extents are numbers.
use super::step::{Block, Channels, Fold, Norm, Product, Reduce, Step, Zip, merge};
use crate::ops::index::{broadcast_strides, strides, walk};
use crate::ops::{self, Attrs, Binary, Op, Softmax, Unary, normalize_axis};
use crate::tensor::DType;

/// Type and shape.
pub type Form = (DType, Vec<usize>);

/// The step of an operation; the reference where there is no other, or something is unusual.
pub fn lower(op: Op, attrs: &Attrs, operands: &[Option<Form>], results: &[Form]) -> Step {
    let cx = Forms {
        attrs,
        operands,
        results,
    };
    // Where there is nothing, there is nothing to gain.
    let mut forms = operands.iter().flatten().chain(results);
    if forms.any(|(_, shape)| shape.contains(&0)) || results.len() != 1 {
        return Step::Reference;
    }
    cx.lower(op).unwrap_or(Step::Reference)
}

/// Whether an operation gives the elements of operand 0 as they are, under another shape.
pub fn is_view(op: Op) -> bool {
    matches!(
        op,
        Op::Reshape | Op::Flatten | Op::Squeeze | Op::Unsqueeze | Op::Unary(Unary::Identity)
    )
}

/// What lowering looks at. Its methods give nothing where the reference must do it.
pub(super) struct Forms<'a> {
    pub(super) attrs: &'a Attrs,
    operands: &'a [Option<Form>],
    results: &'a [Form],
}

impl Forms<'_> {
    /// The shape of operand `k`, which must be of floats.
    pub(super) fn shape(&self, k: usize) -> Option<&[usize]> {
        let (dtype, shape) = self.operands.get(k)?.as_ref()?;
        (*dtype == DType::F32).then_some(shape)
    }
    pub(super) fn is_there(&self, k: usize) -> bool {
        self.operands.get(k).is_some_and(Option::is_some)
    }
    /// The shape of the result, which must be of floats.
    fn result(&self) -> Option<&[usize]> {
        let (dtype, shape) = self.results.first()?;
        (*dtype == DType::F32).then_some(shape)
    }
    fn axis(&self, default: i64, rank: usize) -> Option<usize> {
        normalize_axis(self.attrs.int_or("axis", default), rank).ok()
    }

    fn lower(&self, op: Op) -> Option<Step> {
        let shape = self.result()?;
        match op {
            Op::Conv => self.conv(shape).map(Step::Conv),
            Op::ConvTranspose => self.spread(shape).map(Step::Spread),
            Op::Linear => self.linear(shape).map(Step::Product),
            Op::Matmul => self.matmul(shape).map(Step::Product),
            // The reference need not copy.
            Op::Unary(Unary::Identity) => None,
            Op::Unary(f) => {
                self.shape(0)?;
                Some(Step::Map(f, self.attrs.clone()))
            }
            Op::Clip => {
                self.shape(0)?;
                let fits = |k| !self.is_there(k) || self.shape(k).is_some();
                (fits(1) && fits(2)).then_some(Step::Clip)
            }
            Op::Binary(f) => self.zip(f, shape),
            Op::BatchNorm if self.attrs.flag("training") => None,
            Op::BatchNorm => {
                let x = self.shape(0)?;
                (1..5).all(|k| self.shape(k).is_some()).then(|| {
                    Step::BatchNorm(Channels {
                        count: x[1],
                        plane: x[2..].iter().product(),
                        epsilon: self.attrs.float_or("epsilon", 1e-5),
                    })
                })
            }
            Op::Softmax(kind) => self.softmax(kind),
            Op::Norm(kind) => self.norm(kind).map(Step::Norm),
            Op::Reduce(kind) => self.reduce(kind).map(Step::Reduce),
            Op::Pool(kind) => self.pool(kind, shape),
            Op::Transpose | Op::Concat | Op::Expand => self.copy(op, shape).map(Step::Copy),
            Op::Reshape
            | Op::Cast
            | Op::CastLike
            | Op::DepthToSpace
            | Op::Dropout
            | Op::Attention
            | Op::Einsum
            | Op::Lrn
            | Op::Resize
            | Op::SpaceToDepth
            | Op::ConstantOfShape
            | Op::AffineGrid
            | Op::CenterCropPad
            | Op::Col2Im
            | Op::Compress
            | Op::EyeLike
            | Op::GridSample
            | Op::MatmulBlocks
            | Op::MaxUnpool
            | Op::NonMaxSuppression
            | Op::RoiAlign
            | Op::Swiglu
            | Op::TensorScatter
            | Op::ConvInteger
            | Op::DeformConv
            | Op::Dequantize
            | Op::Det
            | Op::Dft
            | Op::DynamicQuantize
            | Op::EmbedLayerNorm
            | Op::Flatten
            | Op::FusedConv
            | Op::FusedMatmul
            | Op::Gather
            | Op::GatherBlocks
            | Op::GatherElements
            | Op::GatherNd
            | Op::GroupedQueryAttention
            | Op::MultiHeadAttention
            | Op::NonZero
            | Op::OneHot
            | Op::PackedAttention
            | Op::Pad
            | Op::QlinearConv
            | Op::Quantize
            | Op::Range
            | Op::ReverseSequence
            | Op::ScatterElements
            | Op::ScatterNd
            | Op::ShapeOf
            | Op::SizeOf
            | Op::Slice
            | Op::SequenceAt
            | Op::Split
            | Op::SplitToSequence
            | Op::Squeeze
            | Op::Tile
            | Op::TopK
            | Op::Trilu
            | Op::If
            | Op::Where
            | Op::Unsqueeze
            | Op::Opaque
            | Op::Arg(_)
            | Op::BiasedGelu(_)
            | Op::IntegerProduct(_)
            | Op::Qlinear(_)
            | Op::Rotary(_)
            | Op::Running(_)
            | Op::SkipNorm(_)
            | Op::WindowFunction(_)
            | Op::Recurrent(_) => None,
        }
    }

    fn linear(&self, shape: &[usize]) -> Option<Product> {
        let side = |k: usize, flag| {
            let shape = self.shape(k)?;
            Some(match self.attrs.flag(flag) {
                true => (shape[0], (1, shape[1])),
                false => (shape[1], (shape[1], 1)),
            })
        };
        let (k, left) = side(0, "trans_a")?;
        let (_, right) = side(1, "trans_b")?;
        let add = match self.is_there(2) {
            true => {
                let steps = broadcast_strides(self.shape(2)?, shape);
                Some((self.attrs.float_or("beta", 1.0), steps[0], steps[1]))
            }
            false => None,
        };
        Some(Product {
            pairs: vec![[0, 0]],
            shape: [shape[0], k, shape[1]],
            left,
            right,
            alpha: self.attrs.float_or("alpha", 1.0),
            add,
        })
    }

    fn matmul(&self, shape: &[usize]) -> Option<Product> {
        let (a, b) = (self.shape(0)?, self.shape(1)?);
        let own = usize::from(a.len() > 1) + usize::from(b.len() > 1);
        let batch = &shape[..shape.len() - own];
        let (outer_a, [m, k]) = match a {
            [k] => (&a[..0], [1, *k]),
            [outer @ .., m, k] => (outer, [*m, *k]),
            [] => return None,
        };
        let (outer_b, n) = match b {
            [_] => (&b[..0], 1),
            [outer @ .., _, n] => (outer, *n),
            [] => return None,
        };
        let mut pairs = vec![];
        let steps = [
            broadcast_strides(outer_a, batch),
            broadcast_strides(outer_b, batch),
        ];
        walk(batch, [&steps[0], &steps[1]], |[i, j]| {
            pairs.push([i * m * k, j * k * n])
        });
        let mut rows = m;
        if outer_b.iter().all(|n| *n == 1) && outer_a == batch {
            // One right side for all: the rows of all are those of one product.
            rows *= pairs.len();
            pairs.truncate(1);
        }
        Some(Product {
            pairs,
            shape: [rows, k, n],
            left: (k, 1),
            right: (n, 1),
            alpha: 1.0,
            add: None,
        })
    }

    fn zip(&self, f: Binary, shape: &[usize]) -> Option<Step> {
        if self.operands.len() != 2 || f == Binary::Mean {
            return None;
        }
        f.float(self.attrs)?;
        let a = broadcast_strides(self.shape(0)?, shape);
        let b = broadcast_strides(self.shape(1)?, shape);
        let (shape, strides) = merge(shape, [&a, &b]);
        Some(Step::Zip(f, self.attrs.clone(), Zip { shape, strides }))
    }

    fn softmax(&self, kind: Softmax) -> Option<Step> {
        let shape = self.shape(0)?;
        let axis = self.axis(-1, shape.len())?;
        let last = axis + 1 == shape.len() || self.attrs.flag("flatten");
        let line = shape[axis..].iter().product();
        (last && kind != Softmax::Hard).then_some(Step::Softmax(kind, line))
    }

    fn norm(&self, kind: ops::Norm) -> Option<Norm> {
        let shape = self.shape(0)?;
        let scale = self.shape(1)?;
        if self.is_there(2) {
            self.shape(2)?;
        }
        let epsilon = self.attrs.float_or("epsilon", 1e-5);
        match kind {
            ops::Norm::Layer | ops::Norm::Rms => {
                let axis = self.axis(-1, shape.len())?;
                let inner = &shape[axis..];
                let bias = self.shape(2).unwrap_or(inner);
                (scale == inner && bias == inner).then(|| Norm {
                    line: inner.iter().product(),
                    centered: kind == ops::Norm::Layer,
                    epsilon,
                    channels: None,
                })
            }
            ops::Norm::Group | ops::Norm::Instance => {
                let plane: usize = shape[2..].iter().product();
                let groups = match kind {
                    ops::Norm::Group => usize::try_from(self.attrs.int_or("groups", 1)).ok()?,
                    _ => shape[1],
                };
                let each = shape[1].checked_div(groups)?;
                (!self.attrs.flag("per_group") && each * groups == shape[1]).then_some(Norm {
                    line: each * plane,
                    centered: true,
                    epsilon,
                    channels: Some((shape[1], plane)),
                })
            }
            ops::Norm::Lp | ops::Norm::MeanVariance => None,
        }
    }

    fn reduce(&self, kind: ops::Reduce) -> Option<Reduce> {
        let shape = self.shape(0)?;
        let fold = match kind {
            ops::Reduce::Sum => Fold::Sum,
            ops::Reduce::Mean => Fold::Mean,
            ops::Reduce::Max => Fold::Max,
            ops::Reduce::Min => Fold::Min,
            ops::Reduce::SumSquare => Fold::SumSquare,
            ops::Reduce::Prod
            | ops::Reduce::L1
            | ops::Reduce::L2
            | ops::Reduce::LogSum
            | ops::Reduce::LogSumExp => return None,
        };
        let named = self.attrs.ints("axes").unwrap_or_default();
        let mut axes: Vec<usize> = vec![];
        for axis in named {
            axes.push(normalize_axis(axis, shape.len()).ok()?);
        }
        axes.sort_unstable();
        axes.dedup();
        let (first, last) = match (axes.first(), axes.last()) {
            (Some(first), Some(last)) => (*first, *last),
            _ if self.attrs.flag("noop_with_empty_axes") || shape.is_empty() => return None,
            _ => (0, shape.len() - 1),
        };
        // Lines are of axes that lie side by side.
        let side_by_side = axes.is_empty() || last - first + 1 == axes.len();
        let line = shape[first..=last].iter().product();
        (side_by_side && line > 0).then(|| Reduce {
            fold,
            line,
            inner: shape[last + 1..].iter().product(),
        })
    }

    fn copy(&self, op: Op, shape: &[usize]) -> Option<Vec<Block>> {
        let whole = strides(shape);
        let block = |operand, shape: &[usize], at, from: &[usize], to: &[usize]| {
            let (shape, [from, to]) = merge(shape, [from, to]);
            Block {
                operand,
                shape,
                from,
                at,
                to,
            }
        };
        let x = self.shape(0)?;
        match op {
            Op::Transpose => {
                let own = strides(x);
                let from: Option<Vec<usize>> = match self.attrs.ints("perm") {
                    Some(perm) if perm.len() == x.len() => perm
                        .iter()
                        .map(|a| Some(own[normalize_axis(*a, x.len()).ok()?]))
                        .collect(),
                    Some(_) => None,
                    None => Some(own.into_iter().rev().collect()),
                };
                Some(vec![block(0, shape, 0, &from?, &whole)])
            }
            Op::Expand => {
                let from = broadcast_strides(x, shape);
                Some(vec![block(0, shape, 0, &from, &whole)])
            }
            Op::Concat => {
                let axis = self.axis(0, shape.len())?;
                let mut at = 0;
                let mut blocks = vec![];
                for k in 0..self.operands.len() {
                    let part = self.shape(k)?;
                    if !part.contains(&0) {
                        blocks.push(block(k, part, at * whole[axis], &strides(part), &whole));
                    }
                    at += part[axis];
                }
                Some(blocks)
            }
            _ => None,
        }
    }
}
