//! What TensorFlow's exporter writes: bounds that mean the end, shapes computed with borders, loops whose bodies state types.
#[path = "onnx/small.rs"]
#[allow(dead_code)] // Only part of it is for these models.
mod small;

use small::*;
use tpc::ir::{Facts, Module};
use tpc::onnx::wire::proto::*;
use tpc::ops::Op;

fn axes(module: &Module, facts: &Facts, k: usize) -> String {
    let shape = facts.shape(module.outputs[k].0).unwrap();
    shape.axes.iter().map(|e| format!("{e} ")).collect()
}

#[test]
fn a_thousand_million_is_the_end() {
    // A strided slice without bounds: its axes are as long as those of what it cuts, whatever they are.
    let model = model(
        15,
        vec![value("x", &["N", "T", "4"])],
        vec![
            numbers("starts", &[0, 1, 0]),
            numbers("ends", &[1_000_000_000; 3]),
            numbers("axes", &[0, 1, 2]),
        ],
        vec![node("Slice", &["x", "starts", "ends", "axes"], &["y"])],
        vec![value("y", &["N", "", "4"])],
    );
    let (module, facts) = taken(&model);
    assert_eq!(axes(&module, &facts, 0), "N T - 1 4 ");
    let graph = there_and_back(&model);
    let (module, facts) = taken(&ModelProto {
        graph: Some(graph),
        ..model
    });
    assert_eq!(axes(&module, &facts, 0), "N T - 1 4 ");
}

#[test]
fn borders_of_shapes_are_computed() {
    // [[2, 2]] with a row before and a column behind is [[0, 0, 0], [2, 2, 0]]; the borders of a pad are its columns.
    let model = model(
        15,
        vec![value("x", &["N", "4", "4", "3"])],
        vec![
            tensor_2("block", [1, 2]),
            numbers("border", &[1, 0, 0, 1]),
            numbers("flat", &[-1]),
            numbers("all", &[0, 1]),
        ],
        vec![
            node("Pad", &["block", "border"], &["padded"]),
            node("Transpose", &["padded"], &["turned"]),
            node("Reshape", &["turned", "flat"], &["borders"]),
            with(
                node("Concat", &["borders", "all"], &["pads"]),
                int("axis", 0),
            ),
            node("Pad", &["x", "pads"], &["y"]),
        ],
        vec![value("y", &["N", "", "", ""])],
    );
    let (module, facts) = taken(&model);
    assert_eq!(module.nodes.len(), 1);
    assert_eq!(module.nodes[0].op, Op::Pad);
    assert_eq!(axes(&module, &facts, 0), "N 6 4 6 ");
}

#[test]
fn extents_are_multiplied_segment_by_segment() {
    // As TensorFlow Lite's converter has it: segments 0, 0, 1, 1 of [N, T, 4, 16], sorted, counted, and put in rows.
    let axis_0 = || ints("axes", &[0]);
    let keep = |flag: i64| int("keepdims", flag);
    let column = |from: &str, to: &str| node("Unsqueeze", &[from, "one"], &[to]);
    let nodes = vec![
        node("Shape", &["x"], &["shape"]),
        with(
            with(
                node("TopK", &["segments", "four"], &["sorted", "order"]),
                int("largest", 0),
            ),
            int("axis", 0),
        ),
        with(
            node("Unique", &["sorted"], &["kinds", "", "back", "counts"]),
            int("axis", 0),
        ),
        with(
            with(node("ReduceMax", &["counts"], &["most"]), axis_0()),
            keep(1),
        ),
        with(node("Concat", &["two", "most"], &["table"]), int("axis", 0)),
        with(
            node("ConstantOfShape", &["table"], &["nothing"]),
            AttributeProto {
                name: Some("value".into()),
                r#type: Some(4),
                t: Some(numbers("", &[-1])),
                ..AttributeProto::default()
            },
        ),
        node("Gather", &["counts", "back"], &["each"]),
        node("Mod", &["range", "each"], &["place"]),
        column("sorted", "rows"),
        column("place", "columns"),
        with(
            node("Concat", &["rows", "columns"], &["places"]),
            int("axis", 1),
        ),
        node("ScatterND", &["nothing", "places", "order"], &["filled"]),
        with(node("Concat", &["shape", "one"], &["more"]), int("axis", 0)),
        node("Gather", &["more", "filled"], &["factors"]),
        with(
            with(
                node("ReduceProd", &["factors"], &["target"]),
                ints("axes", &[1]),
            ),
            keep(0),
        ),
        node("Reshape", &["x", "target"], &["y"]),
    ];
    let model = model(
        15,
        vec![value("x", &["N", "3", "4", "16"])],
        vec![
            numbers("segments", &[1, 0, 1, 0]),
            numbers("four", &[4]),
            numbers("two", &[2]),
            numbers("one", &[1]),
            numbers("range", &[0, 1, 2, 3]),
        ],
        nodes,
        vec![value("y", &["", "48"])],
    );
    let (module, facts) = taken(&model);
    assert_eq!(module.nodes.len(), 1);
    // Segment 0 has the axes 1 and 3, segment 1 the axes 0 and 2.
    assert_eq!(axes(&module, &facts, 0), "48 4 * N ");
}

fn tensor_2(name: &str, shape: [usize; 2]) -> TensorProto {
    let count = shape[0] * shape[1];
    let all = tpc::tensor::Tensor::from_i64(&shape, vec![2; count]).unwrap();
    tpc::onnx::wire::tensor_proto(name, &all)
}

/// A body whose results are of the given types; what it does is of no interest here.
fn body(inputs: Vec<ValueInfoProto>, outputs: Vec<ValueInfoProto>) -> GraphProto {
    let made = |v: &ValueInfoProto| node("Made", &[], &[v.name.as_deref().unwrap()]);
    GraphProto {
        node: outputs.iter().map(made).collect(),
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    }
}

#[test]
fn what_a_loop_gives_has_the_type_that_its_body_states() {
    let turns = vec![
        typed("i", 7, Some(ShapeProto::default())),
        typed("go", 9, Some(ShapeProto::default())),
        value("h", &["rows", "8"]),
    ];
    let given = vec![
        typed("goes", 9, Some(ShapeProto::default())),
        value("next", &["rows_too", "8"]),
        value("row", &["other", "8"]),
    ];
    let whole = with(
        node("Loop", &["count", "", "start"], &["last", "all"]),
        graph_attribute("body", body(turns, given)),
    );
    let model = model(
        15,
        vec![
            value("start", &["N", "8"]),
            typed("count", 7, Some(ShapeProto::default())),
        ],
        vec![],
        vec![
            whole,
            node("Relu", &["last"], &["a"]),
            node("Relu", &["all"], &["b"]),
        ],
        vec![value("a", &["N", "8"]), value("b", &["", "", ""])],
    );
    let (module, facts) = taken(&model);
    let ops: Vec<&str> = module.nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(ops, ["opaque", "relu", "relu"]);
    // Names of the body are not those of the graph; how many turns there are shows at run time.
    assert_eq!(axes(&module, &facts, 0), "last.0 8 ");
    assert_eq!(axes(&module, &facts, 1), "all.turns all.0 8 ");
    // Where the most turns are known, there may be fewer.
    let mut known = model.clone();
    let graph = known.graph.as_mut().unwrap();
    graph.input.pop();
    graph.initializer.push(number("count", 3));
    let (module, _) = taken(&known);
    let ops: Vec<&str> = module.nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(ops, ["opaque", "relu", "opaque"]);
    // What they turn out to be equal to is not written in their place: a reader would know more than was known.
    let mut equal = model.clone();
    let graph = equal.graph.as_mut().unwrap();
    graph.initializer.push(floats("five", &[5, 1, 8]));
    graph.node[2] = node("Add", &["all", "five"], &["b"]);
    let (module, facts) = taken(&equal);
    let back = Files::new().written(&module, &facts).graph.unwrap();
    let all = back
        .value_info
        .iter()
        .find(|v| v.name.as_deref() == Some("all"));
    assert_eq!(
        all.unwrap().r#type,
        value("", &["all.turns", "all.0", "8"]).r#type
    );
}

#[test]
fn what_a_scan_gives_has_as_many_rows_as_it_takes() {
    let given = vec![value("next", &["4"]), value("row", &["2", "8"])];
    let mut whole = with(
        node("Scan", &["start", "x"], &["last", "all"]),
        graph_attribute(
            "body",
            body(vec![value("h", &["4"]), value("t", &["3"])], given),
        ),
    );
    whole.attribute.extend([
        int("num_scan_inputs", 1),
        ints("scan_input_axes", &[1]),
        ints("scan_output_axes", &[-1]),
    ]);
    let model = model(
        15,
        vec![value("start", &["4"]), value("x", &["3", "T"])],
        vec![],
        vec![
            whole,
            node("Relu", &["last"], &["a"]),
            node("Relu", &["all"], &["b"]),
        ],
        vec![value("a", &["4"]), value("b", &["", "", ""])],
    );
    let (module, facts) = taken(&model);
    assert_eq!(axes(&module, &facts, 0), "4 ");
    assert_eq!(axes(&module, &facts, 1), "2 8 T ");
}

#[test]
fn inputs_keep_the_names_of_their_axes() {
    // Every axis of unknown extent has a name of its own, and the batches of two inputs are one all the same.
    let model = model(
        15,
        vec![value("a", &["unk_2", "4"]), value("b", &["unk_1", "4"])],
        vec![],
        vec![node("Add", &["a", "b"], &["y"])],
        vec![value("y", &["unk_3", "4"])],
    );
    let inputs = &model.graph.as_ref().unwrap().input;
    let (module, facts) = taken(&model);
    assert_eq!(axes(&module, &facts, 0), "unk_1 4 ");
    let back = Files::new().written(&module, &facts).graph.unwrap();
    assert_eq!(&back.input, inputs);
    // And through text.
    let annotated = tpc::ir::annotate(&module, &facts);
    let facts = tpc::ir::propagate(&annotated).unwrap();
    let back = Files::new().written(&annotated, &facts).graph.unwrap();
    assert_eq!(&back.input, inputs);
}
