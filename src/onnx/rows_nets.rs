//! Rows of the operators that networks are built of: contractions, pools, norms, recurrences.
use super::rows::{Field, Form::*, Row, field, row, same, since};

pub(super) const fn stride() -> Field {
    field("strides", "stride", Ints)
}
pub(super) const fn pad() -> Field {
    field("pads", "pad", Ints)
}
pub(super) const fn dilation() -> Field {
    field("dilations", "dilation", Ints)
}
pub(super) const fn kernel() -> Field {
    field("kernel_shape", "kernel", Ints)
}
pub(super) const fn auto_pad() -> Field {
    same("auto_pad", Capitals)
}
const fn groups() -> Field {
    field("group", "groups", Extent)
}
pub(super) const fn ceil() -> Field {
    field("ceil_mode", "ceil", Bool)
}
pub(super) const fn epsilon() -> Field {
    same("epsilon", Float)
}
pub(super) const fn axis() -> Field {
    same("axis", Int)
}
const fn stash() -> Field {
    field("stash_type", "stash", Int)
}

pub(super) const CONV: &[Field] = &[stride(), pad(), dilation(), auto_pad(), groups(), kernel()];
const SOFTMAX: &[Field] = &[axis()];
const RECURRENT: &[Field] = &[
    same("hidden_size", Extent),
    same("direction", Text),
    same("clip", Float),
    same("layout", Int),
    same("input_forget", Int),
    same("linear_before_reset", Int),
    same("activations", Special),
    same("activation_alpha", Floats),
    same("activation_beta", Floats),
];

pub(super) const QUANTIZE: &[Field] = &[
    axis(),
    same("block_size", Int),
    same("saturate", Int),
    same("precision", Int),
    field("output_dtype", "dtype", DType),
];

/// The rows.
pub const NETS: &[Row] = &[
    row("Conv", "conv", CONV),
    row(
        "ConvTranspose",
        "conv_transpose",
        &[
            stride(),
            pad(),
            dilation(),
            auto_pad(),
            groups(),
            kernel(),
            field("output_padding", "output_pad", Ints),
            same("output_shape", Ints),
        ],
    ),
    row(
        "Gemm",
        "linear",
        &[
            same("alpha", Float),
            same("beta", Float),
            field("transA", "trans_a", Bool),
            field("transB", "trans_b", Bool),
        ],
    ),
    row("MatMul", "matmul", &[]),
    since(12, "Einsum", "einsum", &[same("equation", Text)]),
    row(
        "MaxPool",
        "max_pool",
        &[
            stride(),
            pad(),
            dilation(),
            auto_pad(),
            kernel(),
            ceil(),
            same("storage_order", Fixed(0)),
        ],
    ),
    row(
        "AveragePool",
        "average_pool",
        &[
            stride(),
            pad(),
            dilation(),
            auto_pad(),
            kernel(),
            ceil(),
            same("count_include_pad", Bool),
        ],
    ),
    row(
        "LpPool",
        "lp_pool",
        &[
            stride(),
            pad(),
            dilation(),
            auto_pad(),
            kernel(),
            ceil(),
            same("p", Int),
        ],
    ),
    row("GlobalAveragePool", "global_average_pool", &[]),
    row("GlobalMaxPool", "global_max_pool", &[]),
    row("GlobalLpPool", "global_lp_pool", &[same("p", Int)]),
    row(
        "BatchNormalization",
        "batch_norm",
        &[
            epsilon(),
            same("momentum", Float),
            field("training_mode", "training", Bool),
        ],
    ),
    // Of set 17; ONNX Runtime's optimizer writes it into older ones, and they run there.
    row(
        "LayerNormalization",
        "layer_norm",
        &[axis(), epsilon(), stash()],
    ),
    since(
        18,
        "GroupNormalization",
        "group_norm",
        &[field("num_groups", "groups", Extent), epsilon(), stash()],
    ),
    row("InstanceNormalization", "instance_norm", &[epsilon()]),
    since(
        23,
        "RMSNormalization",
        "rms_norm",
        &[axis(), epsilon(), stash()],
    ),
    row(
        "LRN",
        "lrn",
        &[
            same("size", Int),
            same("alpha", Float),
            same("beta", Float),
            same("bias", Float),
        ],
    ),
    row("LpNormalization", "lp_norm", &[axis(), same("p", Int)]),
    row(
        "MeanVarianceNormalization",
        "mean_variance_norm",
        &[same("axes", Ints)],
    ),
    row("Softmax", "softmax", SOFTMAX),
    row("LogSoftmax", "log_softmax", SOFTMAX),
    row("Hardmax", "hardmax", SOFTMAX),
    row(
        "Dropout",
        "dropout",
        &[
            same("ratio", Float).at(1, 12),
            same("training_mode", Fixed(0)).at(2, 12),
            same("seed", Dropped),
        ],
    ),
    row(
        "Resize",
        "resize",
        &[
            same("mode", Text),
            same("coordinate_transformation_mode", Text),
            same("nearest_mode", Text),
            same("cubic_coeff_a", Float),
            same("exclude_outside", Bool),
            same("extrapolation_value", Float),
            same("antialias", Bool),
            same("keep_aspect_ratio_policy", Special),
            same("axes", Special),
            same("roi", Special).at(1, 11),
            same("scales", Special).at(2, 11),
            same("sizes", Special).at(3, 11),
        ],
    ),
    row("LSTM", "lstm", RECURRENT),
    row("GRU", "gru", RECURRENT),
    row("RNN", "rnn", RECURRENT),
    since(
        23,
        "Attention",
        "attention",
        &[
            field("is_causal", "causal", Bool),
            field("q_num_heads", "heads", Extent),
            field("kv_num_heads", "kv_heads", Extent),
            same("scale", Float),
            same("softcap", Float),
            same("qk_matmul_output_mode", Int),
            same("softmax_precision", Int),
            same("left_window_size", Int),
            same("right_window_size", Int),
        ],
    ),
    since(
        23,
        "RotaryEmbedding",
        "rotary_embedding",
        &[
            field("num_heads", "heads", Extent),
            same("interleaved", Bool),
            field("rotary_embedding_dim", "rotated", Extent),
        ],
    ),
    since(
        19,
        "DeformConv",
        "deform_conv",
        &[
            stride(),
            pad(),
            dilation(),
            groups(),
            kernel(),
            field("offset_group", "offset_groups", Int),
        ],
    ),
    row("QLinearConv", "qlinear_conv", CONV),
    row("QLinearMatMul", "qlinear_matmul", &[]),
    row("ConvInteger", "conv_integer", CONV),
    row("MatMulInteger", "matmul_integer", &[]),
    row("DynamicQuantizeLinear", "dynamic_quantize", &[]),
    row("QuantizeLinear", "quantize", QUANTIZE),
    row("DequantizeLinear", "dequantize", QUANTIZE),
];
