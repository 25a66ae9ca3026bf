//! The operator set: one file per operator or family, and the table that names them all.
//!
//! An operator's file holds its attributes, its dimension rule (shape, coupling and check at once), its cost, its
//! reference execution, and what removing positions does to its meaning (`masked`).
mod attend;
mod attention;
mod attention_fused;
mod attention_grouped;
mod attr;
mod context;
mod expr;
pub mod index;
mod mask;
mod pairs;
mod table;
pub mod window;

mod batch_norm;
mod binary;
mod blocks;
mod boxes;
mod cast;
mod choice;
mod clip;
mod col2im;
mod concat;
mod conv;
mod conv_transpose;
mod deform_conv;
mod det;
mod einsum;
mod elements;
mod expand;
mod fill;
mod flatten;
mod fused;
mod gated;
mod gather;
mod gather_blocks;
mod gather_nd;
mod grid;
mod linear;
mod lrn;
mod matmul;
mod matmul_blocks;
mod movement;
mod norm;
mod opaque;
mod order;
mod pad;
mod place;
mod pool;
mod qlinear;
mod qlinear_conv;
mod qlinear_matmul;
mod quantize;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod rotary;
mod sample;
mod sequence;
mod shape_of;
mod shuffle;
mod signal;
mod skip_norm;
pub mod slice;
mod softmax;
mod split;
mod squeeze;
mod transpose;
mod trilu;
mod unary;

pub use crate::tensor::quoted;
pub use attr::{Attr, Attrs, Kind};
pub use context::{
    AttrDims, Eval, EvalError, Operand, Rule, RuleError, Shape, ValueType, View, normalize_axis,
};
pub use conv_transpose::spread;
pub use expr::{Expr, ExprError};
pub use mask::{Handle, Mask};
pub use movement::position;
pub use pairs::{Pairs, Place};
pub use slice::FAR;
pub use table::{
    Arg, BiasedGelu, Binary, IntegerProduct, Norm, Op, Pool, Qlinear, Recurrent, Reduce, Rotary,
    Running, SkipNorm, Softmax, Unary, WindowFunction,
};

use crate::tensor::{Extent, Tensor};
use std::ops::RangeInclusive;

/// An attribute that an operator knows: its name and what it holds.
pub type AttrSpec = (&'static str, Kind);

/// What a parameter's axis is to the operator that consumes it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Output channels of a contraction's weight.
    Out,
    /// Input channels of a contraction's weight.
    In,
    /// The channels of a depthwise convolution's weight: in and out at once.
    Depthwise,
    /// A normalization's scale.
    Scale,
    /// Added after a contraction or a normalization.
    Bias,
    /// Running statistics of a normalization.
    Statistic,
    /// The width of an embedding table.
    Table,
    /// The rows of a table, addressed by index.
    Index,
    /// A kernel's window.
    Window,
    /// Anything else (an element-wise factor, a mask).
    Other,
}

/// How an operator consumes one of its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is data; each axis has a role if the operand is a parameter.
    Roles(Vec<Role>),
    /// The operator only moves or converts the elements: who consumes the result decides.
    Seen,
}

/// What removing positions of the axes that an operator works along does to its meaning. Along other axes, every operator
/// treats positions apart.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Removal {
    /// It treats positions apart, too, or sums over them: removing one is the same as having a zero there.
    Exact,
    /// It is computed over the survivors: statistics, maxima, distributions.
    Reestimated,
    /// The axes are frozen: the order, the neighbourhood or the number of positions matters.
    Barrier,
}

/// What an operator must say of itself. Nothing has a default that could be wrong.
pub trait Operator: Sync {
    /// The attributes it knows.
    fn attrs(&self) -> &'static [AttrSpec];
    /// How many operands it takes (absent optional ones in the middle count).
    fn operands(&self) -> RangeInclusive<usize>;
    /// What removing positions does to its meaning.
    fn removal(&self) -> Removal;
    /// The dimension rule: states equations between the axes of operands and results, and the results' types.
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError>;
    /// Multiply-accumulates of one execution, as a polynomial in the run-time symbols. Element-wise work counts 0.
    fn macs(&self, view: &View<'_>) -> Extent;
    /// The reference execution: slow and obvious.
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError>;
    /// The operation in the masked program, where operands still have their removed positions.
    ///
    /// *Exact* operators that treat the removed axis apart emit themselves; those that sum, take maxima or statistics
    /// over it first fill the removed positions with the identity, or are rewritten over the survivors.
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle>;
    /// How operand `k` is consumed.
    fn usage(&self, view: &View<'_>, k: usize) -> Use;
    /// The axes of operand 0, of `rank` axes, over which a statistic is taken that goes back to where it was taken: a norm's.
    fn statistics(&self, _: &Attrs, _rank: usize) -> Vec<usize> {
        vec![]
    }
    /// Whether the operation stays what it is where, at each position of one dim, other positions of a second one go.
    ///
    /// An operator that does not say so is taken to let positions of the former meet.
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        false
    }
}

/// All axes of operand `k` in one role.
pub fn all_axes(view: &View<'_>, k: usize, role: Role) -> Use {
    Use::Roles(vec![
        role;
        view.operands
            .get(k)
            .and_then(|o| o.as_ref())
            .map_or(0, |s| s.axes.len())
    ])
}
