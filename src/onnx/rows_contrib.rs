//! Rows of the operators that ONNX Runtime adds: what its quantizer and its optimizer write.
use super::rows::{Field, Form::*, Row, contrib, field, same};
use super::rows_nets::{QUANTIZE, auto_pad, axis, ceil, dilation, kernel, pad, stride};

/// Only channels behind the first axis are known.
const fn channels() -> Field {
    same("channels_last", Fixed(0))
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
];
