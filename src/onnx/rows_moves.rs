//! Rows of the operators that move elements, address them, or reduce over axes.
use super::rows::{Field, Form::*, Row, field, row, same, since};

const fn axis() -> Field {
    same("axis", Int)
}
const fn keep() -> Field {
    field("keepdims", "keep_dims", True)
}

const REDUCE: &[Field] = &[
    same("axes", Ints).at(1, 18),
    keep(),
    same("noop_with_empty_axes", Bool),
];
const REDUCE_SUM: &[Field] = &[
    same("axes", Ints).at(1, 13),
    keep(),
    same("noop_with_empty_axes", Bool),
];
const ARG: &[Field] = &[axis(), keep(), same("select_last_index", Bool)];

const WINDOW: &[Field] = &[
    same("size", Int).at(0, 17),
    same("periodic", On),
    field("output_datatype", "dtype", DType),
];

/// The rows.
pub const MOVES: &[Row] = &[
    row(
        "Reshape",
        "reshape",
        &[same("shape", Special).at(1, 5), same("allowzero", Special)],
    ),
    row("Flatten", "flatten", &[axis()]),
    row("Squeeze", "squeeze", &[same("axes", Ints).at(1, 13)]),
    row("Unsqueeze", "unsqueeze", &[same("axes", Ints).at(1, 13)]),
    row("Transpose", "transpose", &[same("perm", Ints)]),
    row("Concat", "concat", &[axis()]),
    row(
        "Split",
        "split",
        &[
            axis(),
            field("split", "sizes", Special).at(1, 13),
            same("num_outputs", Special),
        ],
    ),
    row(
        "SplitToSequence",
        "split_to_sequence",
        &[
            axis(),
            field("split", "sizes", Special).at(1, 11),
            // Of no meaning where the sizes are stated.
            same("keepdims", Dropped),
        ],
    ),
    row(
        "SequenceAt",
        "sequence_at",
        &[field("position", "index", Int).at(1, 11)],
    ),
    row(
        "Slice",
        "slice",
        &[
            same("starts", Special).at(1, 10),
            same("ends", Special).at(2, 10),
            same("axes", Special).at(3, 10),
            same("steps", Special).at(4, 10),
        ],
    ),
    row(
        "Pad",
        "pad",
        &[
            same("mode", Text),
            same("pads", Special).at(1, 11),
            same("axes", Special).at(3, 18),
        ],
    ),
    row("Expand", "expand", &[same("shape", Special).at(1, 8)]),
    row("Tile", "tile", &[same("repeats", Extents).at(1, 6)]),
    row(
        "ConstantOfShape",
        "constant_of_shape",
        &[same("shape", Special).at(0, 9), same("value", Special)],
    ),
    row("Gather", "gather", &[axis()]),
    row("GatherElements", "gather_elements", &[axis()]),
    row("GatherND", "gather_nd", &[same("batch_dims", Int)]),
    row("ScatterND", "scatter_nd", &[same("reduction", Text)]),
    row(
        "ScatterElements",
        "scatter_elements",
        &[axis(), same("reduction", Text)],
    ),
    row("ArgMax", "arg_max", ARG),
    row("ArgMin", "arg_min", ARG),
    row(
        "TopK",
        "top_k",
        &[
            axis(),
            field("K", "k", Extent).at(1, 10),
            same("largest", On),
            same("sorted", On),
        ],
    ),
    row(
        "CumSum",
        "cumsum",
        &[
            axis().at(1, 11),
            same("exclusive", Bool),
            same("reverse", Bool),
        ],
    ),
    row("Shape", "shape_of", &[same("start", Int), same("end", Int)]),
    row("Size", "size_of", &[]),
    row("Range", "range", &[]),
    row("OneHot", "one_hot", &[axis()]),
    since(14, "Trilu", "trilu", &[same("upper", On)]),
    row(
        "ReverseSequence",
        "reverse_sequence",
        &[same("batch_axis", Int), same("time_axis", Int)],
    ),
    row("If", "if", &[]),
    row("NonZero", "non_zero", &[]),
    row(
        "DepthToSpace",
        "depth_to_space",
        &[field("blocksize", "block", Int), same("mode", Capitals)],
    ),
    row(
        "SpaceToDepth",
        "space_to_depth",
        &[field("blocksize", "block", Int)],
    ),
    row("ReduceSum", "reduce_sum", REDUCE_SUM),
    row("ReduceMean", "reduce_mean", REDUCE),
    row("ReduceMax", "reduce_max", REDUCE),
    row("ReduceMin", "reduce_min", REDUCE),
    row("ReduceProd", "reduce_prod", REDUCE),
    row("ReduceL1", "reduce_l1", REDUCE),
    row("ReduceL2", "reduce_l2", REDUCE),
    row("ReduceSumSquare", "reduce_sum_square", REDUCE),
    row("ReduceLogSum", "reduce_log_sum", REDUCE),
    row("ReduceLogSumExp", "reduce_log_sum_exp", REDUCE),
    since(
        26,
        "CumProd",
        "cumprod",
        &[
            axis().at(1, 26),
            same("exclusive", Bool),
            same("reverse", Bool),
        ],
    ),
    row(
        "EyeLike",
        "eye_like",
        &[same("dtype", DType), same("k", Int)],
    ),
    row("Compress", "compress", &[axis()]),
    since(
        18,
        "Col2Im",
        "col2im",
        &[
            field("image_shape", "image", Ints).at(1, 18),
            field("block_shape", "kernel", Ints).at(2, 18),
            field("dilations", "dilation", Ints),
            field("pads", "pad", Ints),
            field("strides", "stride", Ints),
        ],
    ),
    since(
        18,
        "CenterCropPad",
        "center_crop_pad",
        &[same("axes", Ints), same("shape", Special).at(1, 18)],
    ),
    since(
        24,
        "TensorScatter",
        "tensor_scatter",
        &[axis(), same("mode", Text)],
    ),
    since(
        16,
        "GridSample",
        "grid_sample",
        &[
            same("mode", Text),
            same("padding_mode", Text),
            same("align_corners", Bool),
        ],
    ),
    since(
        20,
        "AffineGrid",
        "affine_grid",
        &[same("size", Extents).at(1, 20), same("align_corners", Bool)],
    ),
    since(
        16,
        "RoiAlign",
        "roi_align",
        &[
            same("mode", Text),
            same("coordinate_transformation_mode", Text),
            field("output_height", "height", Int),
            field("output_width", "width", Int),
            same("sampling_ratio", Int),
            same("spatial_scale", Float),
        ],
    ),
    row(
        "NonMaxSuppression",
        "non_max_suppression",
        &[field("center_point_box", "centers", Bool)],
    ),
    row(
        "MaxUnpool",
        "max_unpool",
        &[
            field("kernel_shape", "kernel", Ints),
            field("pads", "pad", Ints),
            field("strides", "stride", Ints),
        ],
    ),
    row("Det", "det", &[]),
    since(
        17,
        "DFT",
        "dft",
        &[
            field("dft_length", "length", Int).at(1, 17),
            axis().at(2, 20),
            same("inverse", Bool),
            same("onesided", Bool),
        ],
    ),
    since(17, "HannWindow", "hann_window", WINDOW),
    since(17, "HammingWindow", "hamming_window", WINDOW),
    since(17, "BlackmanWindow", "blackman_window", WINDOW),
];
