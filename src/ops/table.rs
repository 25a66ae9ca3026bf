//! The table: one line an operator.
use super::Operator;

/// Makes the enum of all operators, and name look-up both ways.
macro_rules! operators {
    (one { $($one:ident $file:ident $name:literal)* } families { $($family:ident $module:ident)* }) => {
        /// An operator.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Op { $($one,)* $($family($family),)* }
        $(pub use super::$module::$family;)*
        impl Op {
            /// What the operator says of itself.
            pub fn operator(self) -> &'static dyn Operator {
                match self { $(Op::$one => &super::$file::$one,)* $(Op::$family(member) => member.operator(),)* }
            }
            /// The name in the language.
            pub fn name(self) -> &'static str {
                match self { $(Op::$one => $name,)* $(Op::$family(member) => member.name(),)* }
            }
            /// The operator of that name.
            pub fn from_name(name: &str) -> Option<Op> {
                match name {
                    $($name => return Some(Op::$one),)*
                    _ => {}
                }
                $(if let Some(member) = $family::from_name(name) { return Some(Op::$family(member)); })*
                None
            }
            /// All operators.
            pub fn all() -> Vec<Op> {
                let mut all = vec![$(Op::$one),*];
                $(all.extend($family::ALL.iter().map(|member| Op::$family(*member)));)*
                all
            }
        }
    };
}

/// Makes a family: an enum whose members are operators of one kind.
macro_rules! family {
    ($(#[$doc:meta])* $family:ident { $($member:ident $name:literal)* }) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum $family { $($member),* }
        impl $family {
            /// All members.
            pub const ALL: &'static [$family] = &[$($family::$member),*];
            /// The name in the language.
            pub fn name(self) -> &'static str { match self { $($family::$member => $name),* } }
            /// The member of that name.
            pub fn from_name(name: &str) -> Option<$family> { match name { $($name => Some($family::$member),)* _ => None } }
            /// The member as an operator.
            pub fn operator(self) -> &'static dyn $crate::ops::Operator { match self { $($family::$member => &$family::$member),* } }
        }
    };
}
pub(crate) use family;

operators! {
    one {
        AffineGrid sample "affine_grid"
        CenterCropPad place "center_crop_pad"
        Col2Im col2im "col2im"
        Compress boxes "compress"
        Conv conv "conv"
        Linear linear "linear"
        Matmul matmul "matmul"
        BatchNorm batch_norm "batch_norm"
        Reshape reshape "reshape"
        Clip clip "clip"
        Attention attention "attention"
        Cast cast "cast"
        CastLike cast "cast_like"
        Concat concat "concat"
        ConvTranspose conv_transpose "conv_transpose"
        DepthToSpace shuffle "depth_to_space"
        Dropout cast "dropout"
        Einsum einsum "einsum"
        EyeLike trilu "eye_like"
        GridSample sample "grid_sample"
        MatmulBlocks matmul_blocks "matmul_blocks"
        MaxUnpool boxes "max_unpool"
        NonMaxSuppression boxes "non_max_suppression"
        RoiAlign sample "roi_align"
        Swiglu gated "swiglu"
        TensorScatter place "tensor_scatter"
        Lrn lrn "lrn"
        Resize resize "resize"
        SpaceToDepth shuffle "space_to_depth"
        ConstantOfShape fill "constant_of_shape"
        ConvInteger qlinear_conv "conv_integer"
        DeformConv deform_conv "deform_conv"
        Dequantize quantize "dequantize"
        Det det "det"
        Dft signal "dft"
        DynamicQuantize quantize "dynamic_quantize"
        EmbedLayerNorm skip_norm "embed_layer_norm"
        Expand expand "expand"
        Flatten flatten "flatten"
        FusedConv fused "fused_conv"
        FusedMatmul fused "fused_matmul"
        Gather gather "gather"
        GatherBlocks gather_blocks "gather_blocks"
        If choice "if"
        GatherElements elements "gather_elements"
        GatherNd gather_nd "gather_nd"
        GroupedQueryAttention attention_grouped "grouped_query_attention"
        MultiHeadAttention attention_fused "multi_head_attention"
        NonZero trilu "non_zero"
        OneHot fill "one_hot"
        PackedAttention attention_fused "packed_attention"
        Pad pad "pad"
        QlinearConv qlinear_conv "qlinear_conv"
        Quantize quantize "quantize"
        Range fill "range"
        ReverseSequence trilu "reverse_sequence"
        ScatterElements elements "scatter_elements"
        ScatterNd gather_nd "scatter_nd"
        SequenceAt sequence "sequence_at"
        ShapeOf shape_of "shape_of"
        SizeOf shape_of "size_of"
        Slice slice "slice"
        Split split "split"
        SplitToSequence sequence "split_to_sequence"
        Squeeze squeeze "squeeze"
        Tile expand "tile"
        TopK order "top_k"
        Transpose transpose "transpose"
        Trilu trilu "trilu"
        Where choice "where"
        Unsqueeze squeeze "unsqueeze"
        Opaque opaque "opaque"
    }
    families {
        Arg order
        BiasedGelu fused
        IntegerProduct qlinear_matmul
        Norm norm
        Pool pool
        Qlinear qlinear
        SkipNorm skip_norm
        WindowFunction signal
        Softmax softmax
        Unary unary
        Binary binary
        Recurrent recurrent
        Reduce reduce
        Rotary rotary
        Running order
    }
}
