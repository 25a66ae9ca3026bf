//! Rows of the operators that ONNX Runtime adds: what its quantizer and its optimizer write.
use super::rows::{Field, Form::*, Row, contrib, field, row, same};
use super::rows_nets::{
    CONV, QUANTIZE, auto_pad, axis, ceil, dilation, epsilon, kernel, pad, stride,
};

/// Only channels behind the first axis are known.
const fn channels() -> Field {
    same("channels_last", Fixed(0))
}

const FUSED_CONV: &[Field] = &[
    CONV[0],
    CONV[1],
    CONV[2],
    CONV[3],
    CONV[4],
    CONV[5],
    same("activation", Text),
    same("activation_params", Floats),
];

const fn heads() -> Field {
    field("num_heads", "heads", Extent)
}
const fn filter() -> Field {
    field("mask_filter_value", "filter", Float)
}

/// The rows.
pub const CONTRIB: &[Row] = &[
    contrib("QuantizeLinear", "quantize", QUANTIZE),
    contrib("DequantizeLinear", "dequantize", QUANTIZE),
    contrib("QLinearAdd", "qlinear_add", &[]),
    contrib("QLinearMul", "qlinear_mul", &[]),
    contrib("QLinearSigmoid", "qlinear_sigmoid", &[]),
    contrib(
        "QLinearLeakyRelu",
        "qlinear_leaky_relu",
        &[same("alpha", Float)],
    ),
    contrib(
        "QLinearSoftmax",
        "qlinear_softmax",
        &[axis(), same("opset", Int)],
    ),
    contrib(
        "QLinearAveragePool",
        "qlinear_average_pool",
        &[
            stride(),
            pad(),
            dilation(),
            auto_pad(),
            kernel(),
            ceil(),
            same("count_include_pad", Bool),
            channels(),
        ],
    ),
    contrib(
        "QLinearGlobalAveragePool",
        "qlinear_global_average_pool",
        &[channels()],
    ),
    contrib("QLinearConcat", "qlinear_concat", &[axis()]),
    contrib("MatMulIntegerToFloat", "matmul_integer_to_float", &[]),
    // Packed into bytes, tables are gathered from along their first axis, and have blocks along their last.
    contrib(
        "GatherBlockQuantized",
        "gather_blocks",
        &[
            same("gather_axis", Fixed(0)),
            same("quantize_axis", Fixed(1)),
            same("bits", Int),
            field("block_size", "block", Int),
        ],
    ),
    contrib(
        "MatMulNBits",
        "matmul_blocks",
        &[
            field("K", "k", Extent),
            field("N", "n", Extent),
            same("bits", Int),
            field("block_size", "block", Int),
            field("accuracy_level", "accuracy", Int),
        ],
    ),
    contrib("DynamicQuantizeMatMul", "dynamic_quantize_matmul", &[]),
    contrib(
        "QGemm",
        "qgemm",
        &[
            same("alpha", Float),
            field("transA", "trans_a", Bool),
            field("transB", "trans_b", Bool),
        ],
    ),
    // Written into ONNX's own domain, in which there is no such operator.
    row(
        "SimplifiedLayerNormalization",
        "rms_norm",
        &[axis(), epsilon(), field("stash_type", "stash", Int)],
    ),
    contrib("Gelu", "gelu", &[]),
    contrib("QuickGelu", "swish", &[same("alpha", Float)]),
    contrib("BiasGelu", "bias_gelu", &[]),
    contrib("FastGelu", "fast_gelu", &[]),
    contrib("BiasSplitGelu", "bias_split_gelu", &[]),
    contrib("SkipLayerNormalization", "skip_layer_norm", &[epsilon()]),
    contrib(
        "SkipSimplifiedLayerNormalization",
        "skip_rms_norm",
        &[epsilon()],
    ),
    contrib(
        "EmbedLayerNormalization",
        "embed_layer_norm",
        &[epsilon(), same("mask_index_type", Int)],
    ),
    contrib(
        "FusedMatMul",
        "fused_matmul",
        &[
            same("alpha", Float),
            field("transA", "trans_a", Bool),
            field("transB", "trans_b", Bool),
            field("transBatchA", "batch_a", Bool),
            field("transBatchB", "batch_b", Bool),
        ],
    ),
    contrib("FusedConv", "fused_conv", FUSED_CONV),
    contrib(
        "RotaryEmbedding",
        "rotary_embedding_cached",
        &[
            field("num_heads", "heads", Extent),
            same("interleaved", Bool),
            field("rotary_embedding_dim", "rotated", Extent),
            same("scale", Float),
            same("is_packed_batching", Fixed(0)),
        ],
    ),
    contrib(
        "Attention",
        "packed_attention",
        &[
            heads(),
            field("qkv_hidden_sizes", "widths", Extents),
            same("scale", Float),
            same("unidirectional", Bool),
            filter(),
            same("do_rotary", Fixed(0)),
            same("rotary_embedding_dim", Fixed(0)),
            same("past_present_share_buffer", Fixed(0)),
        ],
    ),
    contrib(
        "MultiHeadAttention",
        "multi_head_attention",
        &[
            heads(),
            same("scale", Float),
            same("unidirectional", Bool),
            filter(),
        ],
    ),
    contrib(
        "GroupQueryAttention",
        "grouped_query_attention",
        &[
            heads(),
            field("kv_num_heads", "kv_heads", Extent),
            same("scale", Float),
            same("softcap", Float),
            field("do_rotary", "rotates", Bool),
            field("rotary_interleaved", "interleaved", Bool),
            field("local_window_size", "window", Int),
            field("sliding_window_cache", "slides", Bool),
            same("smooth_softmax", Fixed(0)),
            same("qk_output", Fixed(0)),
        ],
    ),
];
