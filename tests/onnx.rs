//! ONNX in and out on small models: what is kept, what is evaluated, what is refused.
#[path = "onnx/small.rs"]
mod small;

use prost::Message;
use small::*;
use tpc::ir::{Def, annotate, propagate};
use tpc::onnx::wire::proto::*;
use tpc::ops::Op;

fn op_names(module: &tpc::ir::Module) -> Vec<&str> {
    module.nodes.iter().map(|n| n.op.name()).collect()
}

/// `x [N, 4, 6, 6] -> conv -> relu`.
fn convolution() -> ModelProto {
    let conv = with(
        node("Conv", &["x", "w", "b"], &["c"]),
        ints("pads", &[1, 1, 1, 1]),
    );
    let mut relu = node("Relu", &["c"], &["y"]);
    relu.metadata_props.push(StringStringEntryProto {
        key: Some("namespace".into()),
        value: Some("a.b".into()),
    });
    // A key like one of those under which a module keeps what a file says.
    relu.metadata_props.push(StringStringEntryProto {
        key: Some("onnx.op".into()),
        value: Some("Conv".into()),
    });
    relu.doc_string = Some("the last".into());
    let mut model = model(
        17,
        vec![value("x", &["N", "4", "6", "6"])],
        vec![floats("w", &[8, 4, 3, 3]), floats("b", &[8])],
        vec![conv, relu],
        vec![value("y", &["N", "8", "6", "6"])],
    );
    model.metadata_props.push(StringStringEntryProto {
        key: Some("license".into()),
        value: Some("MIT".into()),
    });
    model
}

#[test]
fn a_model_comes_back_as_it_was() {
    let model = convolution();
    let (module, facts) = taken(&model);
    assert_eq!(op_names(&module), ["conv", "relu"]);
    let files = Files::new();
    let mut back = files.written(&module, &facts);
    let first = std::fs::read(files.path("out.onnx")).unwrap();
    let was = model.graph.clone().unwrap();
    let graph = back.graph.take().unwrap();
    assert_eq!(graph, was);
    assert_eq!(
        back,
        ModelProto {
            graph: None,
            ..model
        }
    );
    // The same again through the annotated module.
    let annotated = annotate(&module, &facts);
    files.written(&annotated, &propagate(&annotated).unwrap());
    assert_eq!(std::fs::read(files.path("out.onnx")).unwrap(), first);
}

#[test]
fn a_model_comes_back_through_text() {
    let (module, facts) = taken(&convolution());
    let files = Files::new();
    files.written(&module, &facts);
    let first = std::fs::read(files.path("out.onnx")).unwrap();
    let weights: std::collections::HashMap<String, tpc::tensor::Tensor> = module
        .tensors()
        .map(|(v, t)| (module.value(v).name.to_string(), t.clone()))
        .collect();
    let source = std::sync::Arc::new(tpc::diag::Source {
        name: "model.tir".into(),
        text: tpc::syntax::print(&annotate(&module, &facts)),
    });
    let read = tpc::syntax::parse(&source, &weights).unwrap();
    files.written(&read, &propagate(&read).unwrap());
    assert_eq!(std::fs::read(files.path("out.onnx")).unwrap(), first);
}

/// The shape of `x`, with the last two axes joined: `Shape -> Gather, Gather -> Mul -> Concat -> Reshape`.
fn flattened(batch: &str) -> ModelProto {
    model(
        17,
        vec![value("x", &[batch, "4", "6", "6"])],
        vec![
            numbers("first", &[0]),
            numbers("second", &[1]),
            numbers("minus", &[-1]),
        ],
        vec![
            node("Shape", &["x"], &["s"]),
            node("Gather", &["s", "first"], &["n"]),
            node("Gather", &["s", "second"], &["c"]),
            with(node("Concat", &["n", "c", "minus"], &["t"]), int("axis", 0)),
            node("Reshape", &["x", "t"], &["y"]),
        ],
        vec![value("y", &[batch, "4", "36"])],
    )
}

#[test]
fn shapes_are_not_values() {
    let (module, facts) = taken(&flattened("2"));
    assert_eq!(op_names(&module), ["reshape"]);
    let shape = facts.shape(module.outputs[0].0).unwrap();
    assert_eq!(
        format!(
            "{:?}",
            shape.axes.iter().map(|e| e.known()).collect::<Vec<_>>()
        ),
        "[Some(2), Some(4), Some(36)]"
    );
    let graph = there_and_back(&flattened("2"));
    assert_eq!(initializer(&graph, "y/shape"), [2, 4, 36]);
    assert_eq!(graph.initializer.len(), 1);
}

#[test]
fn one_run_time_extent_of_a_reshape_is_minus_one() {
    let graph = there_and_back(&flattened("N"));
    assert_eq!(op_types(&graph), ["Reshape"]);
    assert_eq!(initializer(&graph, "y/shape"), [-1, 4, 36]);
}

#[test]
fn run_time_extents_are_computed_where_no_short_form_does() {
    // [N, T, 8] -> [T, N * 2, 4]
    let mut model = model(
        17,
        vec![value("x", &["N", "T", "8"])],
        vec![
            numbers("0", &[0]),
            numbers("1", &[1]),
            numbers("2", &[2]),
            numbers("4", &[4]),
        ],
        vec![
            node("Shape", &["x"], &["s"]),
            node("Gather", &["s", "0"], &["n"]),
            node("Gather", &["s", "1"], &["t"]),
            node("Mul", &["n", "2"], &["m"]),
            with(
                node("Concat", &["t", "m", "4"], &["target"]),
                int("axis", 0),
            ),
            node("Reshape", &["x", "target"], &["y"]),
        ],
        vec![value("y", &["", "", "4"])],
    );
    let (module, facts) = taken(&model);
    assert_eq!(op_names(&module), ["reshape"]);
    let axes = facts.shape(module.outputs[0].0).unwrap().axes;
    let text: Vec<String> = axes.iter().map(|e| e.to_string()).collect();
    assert_eq!(text, ["T", "2 * N", "4"]);
    let graph = there_and_back(&model);
    assert_eq!(
        op_types(&graph),
        ["Shape", "Gather", "Gather", "Mul", "Concat", "Reshape"]
    );
    // With the first axis as it was, 0 and -1 do.
    let nodes = &mut model.graph.as_mut().unwrap().node;
    nodes[4].input = ["n", "t", "2", "4"].map(String::from).to_vec();
    let graph = there_and_back(&model);
    assert_eq!(op_types(&graph), ["Reshape"]);
    assert_eq!(initializer(&graph, "y/shape"), [0, 0, 2, 4]);
}

/// No more than three of the rows, and what they become.
fn first_rows(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let bounds = [numbers("zero", &[0]), numbers("three", &[3])];
    let slice = node("Slice", &["x", "zero", "three"], &["rows"]);
    model(
        17,
        vec![value("x", &["N", "8"])],
        bounds.into_iter().chain(initializer).collect(),
        [slice].into_iter().chain(nodes).collect(),
        vec![value("y", &["", ""])],
    )
}

#[test]
fn a_slice_that_may_end_before_its_bound_has_an_extent_of_its_own() {
    let target = numbers("target", &[-1, 4]);
    let reshape = node("Reshape", &["rows", "target"], &["y"]);
    let model = first_rows(vec![reshape], vec![target]);
    let (module, _) = taken(&model);
    assert!(module.dims.contains_key("rows.0"));
    let graph = there_and_back(&model);
    assert_eq!(initializer(&graph, "y/shape"), [-1, 4]);
}

#[test]
fn what_says_a_run_time_extent_stays_where_nothing_else_uses_it() {
    let shape = node("Shape", &["rows"], &["extents"]);
    let fill = node("ConstantOfShape", &["extents"], &["y"]);
    let graph = there_and_back(&first_rows(vec![shape, fill], vec![]));
    let all = op_types(&graph);
    assert_eq!(all.first(), Some(&"Slice"));
    assert_eq!(all.last(), Some(&"ConstantOfShape"));
}

/// `as_strided` as PyTorch exports it: a flat tensor at `rows * N + columns * 3`, computed at run time.
fn strided(rows: i64, columns: [i64; 3]) -> ModelProto {
    model(
        17,
        vec![value("x", &["N", "3"])],
        vec![
            number("zero", 0),
            number("one", 1),
            numbers("flat", &[-1]),
            numbers("axes", &[1]),
            number("rows", rows),
            numbers("columns", &columns),
        ],
        vec![
            node("Reshape", &["x", "flat"], &["all"]),
            node("Shape", &["x"], &["s"]),
            with(node("Gather", &["s", "zero"], &["n"]), int("axis", 0)),
            node("Range", &["zero", "n", "one"], &["i"]),
            node("Mul", &["i", "rows"], &["row"]),
            node("Unsqueeze", &["row", "axes"], &["at"]),
            node("Add", &["at", "columns"], &["indices"]),
            with(node("Gather", &["all", "indices"], &["y"]), int("axis", 0)),
        ],
        vec![value("y", &["", "3"])],
    )
}

#[test]
fn a_gather_of_all_positions_in_order_is_a_reshape() {
    let (module, facts) = taken(&strided(3, [0, 1, 2]));
    assert_eq!(op_names(&module), ["reshape", "reshape"]);
    let axes = facts.shape(module.outputs[0].0).unwrap().axes;
    assert_eq!(axes[0].to_string(), "N");
    for (rows, columns) in [(3, [0, 2, 1]), (2, [0, 1, 2]), (3, [1, 2, 3])] {
        let (module, _) = taken(&strided(rows, columns));
        assert!(op_names(&module).contains(&"gather"), "{rows} {columns:?}");
    }
}

/// `repeat_interleave` as PyTorch exports it: how often each axis is repeated is one number among ones.
#[test]
fn repeats_of_one_axis_are_folded() {
    let model = model(
        17,
        vec![value("x", &["N", "3"])],
        vec![
            numbers("axis", &[1]),
            number("rank", 2),
            numbers("one", &[1]),
            numbers("flat", &[-1]),
        ],
        vec![
            node("Shape", &["x"], &["s"]),
            with(node("Gather", &["s", "axis"], &["times"]), int("axis", 0)),
            with(
                node("Concat", &["one", "times"], &["values"]),
                int("axis", 0),
            ),
            node("OneHot", &["axis", "rank", "values"], &["row"]),
            node("Reshape", &["row", "flat"], &["repeats"]),
            node("Tile", &["x", "repeats"], &["y"]),
        ],
        vec![value("y", &["", "9"])],
    );
    let (module, facts) = taken(&model);
    assert_eq!(op_names(&module), ["tile"]);
    let axes = facts.shape(module.outputs[0].0).unwrap().axes;
    assert_eq!(axes[1].known(), Some(9));
}

#[test]
fn an_extent_used_as_a_number_keeps_the_value_it_had() {
    let model = model(
        17,
        vec![value("x", &["N", "64"])],
        vec![number("one", 1)],
        vec![
            node("Shape", &["x"], &["s"]),
            node("Gather", &["s", "one"], &["d"]),
            with(node("Cast", &["d"], &["f"]), int("to", 1)),
            node("Sqrt", &["f"], &["r"]),
            node("Div", &["x", "r"], &["y"]),
        ],
        vec![value("y", &["N", "64"])],
    );
    let (module, _) = taken(&model);
    assert_eq!(op_names(&module), ["div"]);
    let scale = module.values.iter().find(|v| &*v.name == "r").unwrap();
    assert!(matches!(&scale.def, Def::Const(t) if t.to_f64() == [8.0]));
}

#[test]
fn a_run_time_extent_used_as_a_number_stays_an_operation() {
    let model = model(
        17,
        vec![value("x", &["N", "64"])],
        vec![number("zero", 0)],
        vec![
            node("Shape", &["x"], &["s"]),
            node("Gather", &["s", "zero"], &["d"]),
            node("Identity", &["d"], &["n"]),
            node("Relu", &["x"], &["y"]),
        ],
        vec![
            value("y", &["N", "64"]),
            typed("n", 7, Some(ShapeProto::default())),
        ],
    );
    let graph = there_and_back(&model);
    assert_eq!(op_types(&graph), ["Relu", "Shape", "Gather", "Identity"]);
}

#[test]
fn minus_one_is_told_from_extents() {
    // What exporters write for `expand(-1, 4)`: where(target == -1, ones, target).
    let model = model(
        17,
        vec![value("x", &["N", "1"])],
        vec![
            numbers("target", &[-1, 4]),
            number("zero", 0),
            numbers("four", &[4]),
        ],
        vec![
            node("Shape", &["x"], &["s"]),
            node("Gather", &["s", "zero"], &["n0"]),
            with(node("Unsqueeze", &["n0", "axes"], &["n"]), int("unused", 0)),
            with(node("Concat", &["n", "four"], &["t"]), int("axis", 0)),
            node("Shape", &["t"], &["r"]),
            with(
                node("ConstantOfShape", &["r"], &["ones"]),
                AttributeProto {
                    name: Some("value".into()),
                    r#type: Some(4),
                    t: Some(numbers("", &[1])),
                    ..AttributeProto::default()
                },
            ),
            node("Equal", &["t", "minus"], &["open"]),
            node("Where", &["open", "ones", "t"], &["full"]),
            node("Expand", &["x", "full"], &["y"]),
        ],
        vec![value("y", &["N", "4"])],
    );
    let mut model = model;
    let graph = model.graph.as_mut().unwrap();
    graph.node[2].attribute.clear();
    graph.initializer.push(numbers("axes", &[0]));
    graph.initializer.push(numbers("minus", &[-1]));
    let (module, facts) = taken(&model);
    assert_eq!(op_names(&module), ["expand"]);
    let axes = facts.shape(module.outputs[0].0).unwrap().axes;
    assert_eq!(format!("{} {}", axes[0], axes[1]), "N 4");
    // The axis that stays is a 1 in the target.
    assert_eq!(initializer(&there_and_back(&model), "y/shape"), [1, 4]);
}

#[test]
fn computed_places_are_constants() {
    // What exporters write for `x[2:4] = 0`.
    let model = model(
        18,
        vec![value("x", &["6"])],
        vec![
            floats("zeros", &[2]),
            floats("weight", &[6]),
            numbers("places", &[2, 3]),
            numbers("axes", &[-1]),
        ],
        vec![
            node("Unsqueeze", &["places", "axes"], &["tuples"]),
            node("ScatterND", &["weight", "tuples", "zeros"], &["changed"]),
            node("Mul", &["x", "changed"], &["y"]),
        ],
        vec![value("y", &["6"])],
    );
    let graph = there_and_back(&model);
    assert_eq!(op_types(&graph), ["ScatterND", "Mul"]);
    assert_eq!(initializer(&graph, "tuples"), [2, 3]);
}

#[test]
fn operands_that_are_attributes_are_written_in_the_set_of_the_model() {
    let reduce = |opset: i64| {
        let old = with(node("ReduceMean", &["x"], &["y"]), ints("axes", &[1]));
        let new = node("ReduceMean", &["x", "axes"], &["y"]);
        model(
            opset,
            vec![value("x", &["2", "4"])],
            if opset < 18 {
                vec![]
            } else {
                vec![numbers("axes", &[1])]
            },
            vec![if opset < 18 { old } else { new }],
            vec![value("y", &["2", "1"])],
        )
    };
    let graph = there_and_back(&reduce(13));
    assert_eq!(graph.node[0].input, ["x"]);
    let graph = there_and_back(&reduce(18));
    assert_eq!(graph.node[0].input, ["x", "y/axes"]);
    assert_eq!(initializer(&graph, "y/axes"), [1]);
}

#[test]
fn axes_without_names_come_back_without_names() {
    let model = model(
        17,
        vec![value("x", &["?", "", "-1", "batch"])],
        vec![],
        vec![node("Relu", &["x"], &["y"])],
        vec![value("y", &["?", "", "", "batch"])],
    );
    let (module, facts) = taken(&model);
    let symbols: Vec<&str> = module.dims.keys().map(|n| &**n).collect();
    assert_eq!(symbols, ["x.0", "x.1", "x.2", "batch"]);
    let back = Files::new().written(&module, &facts).graph.unwrap();
    let was = model.graph.unwrap();
    assert_eq!(back.input, was.input);
}

#[test]
fn nodes_are_put_in_order() {
    let mut model = convolution();
    model.graph.as_mut().unwrap().node.reverse();
    let (module, _) = taken(&model);
    assert_eq!(op_names(&module), ["conv", "relu"]);
}

/// An `If` on `on` whose arms multiply by weights of their own, of some widths.
fn branching(widths: [usize; 2]) -> ModelProto {
    let arm = |name: &str, width: usize| GraphProto {
        name: Some(format!("{name}_branch")),
        node: vec![
            node("MatMul", &["x", &format!("{name}/w")], &["inner"]),
            node("Relu", &["inner"], &[name]),
        ],
        initializer: vec![floats(&format!("{name}/w"), &[4, width])],
        output: vec![value(name, &["2", &width.to_string()])],
        ..GraphProto::default()
    };
    let [one, other] = widths;
    let branch = with(
        node("If", &["on"], &["y"]),
        graph_attribute("then_branch", arm("then", one)),
    );
    let branch = with(branch, graph_attribute("else_branch", arm("else", other)));
    let inputs = vec![
        value("x", &["2", "4"]),
        typed("on", 9, Some(ShapeProto::default())),
    ];
    model(
        17,
        inputs,
        vec![],
        vec![branch],
        vec![value("y", &["2", ""])],
    )
}

#[test]
fn the_arms_of_a_branch_are_operations_and_go_back() {
    let model = branching([3, 3]);
    let (module, facts) = taken(&model);
    assert_eq!(
        op_names(&module),
        ["matmul", "relu", "matmul", "relu", "if"]
    );
    let arms: Vec<Option<&str>> = module.nodes.iter().map(|n| n.arm()).collect();
    assert_eq!(
        arms,
        [
            Some("y:then"),
            Some("y:then"),
            Some("y:else"),
            Some("y:else"),
            None
        ]
    );
    let back = Files::new().written(&module, &facts).graph.unwrap();
    assert_eq!(op_types(&back), ["If"]);
    let inner = |k: usize| back.node[0].attribute[k].g.as_ref().unwrap();
    assert_eq!(op_types(inner(0)), ["MatMul", "Relu"]);
    assert_eq!(inner(0).node[0].input, ["x", "then/w"]);
    assert_eq!(inner(1).node[0].input, ["x", "else/w"]);
    // Two values of one name in two arms are told apart.
    assert_eq!(inner(0).node[0].output, ["inner"]);
    assert_eq!(inner(1).node[0].output, ["y:else/inner"]);
    assert_eq!(inner(1).output, [value("else", &["2", "3"])]);
    let weights: Vec<&str> = back
        .initializer
        .iter()
        .map(|t| t.name.as_deref().unwrap())
        .collect();
    assert_eq!(weights, ["then/w", "else/w"]);
}

#[test]
fn arms_of_different_extents_give_one_that_is_known_at_run_time() {
    let (module, facts) = taken(&branching([3, 5]));
    let (result, _) = module.outputs[0];
    let shape = facts.shape(result).unwrap();
    assert_eq!(
        (shape.axes[0].known(), shape.axes[1].known()),
        (Some(2), None)
    );
    let back = Files::new().written(&module, &facts).graph.unwrap();
    assert_eq!(op_types(&back), ["If"]);
}

#[test]
fn arms_that_do_not_fit_are_carried_through() {
    let mut model = branching([3, 3]);
    let attributes = &mut model.graph.as_mut().unwrap().node[0].attribute;
    let arm = attributes[1].g.as_mut().unwrap();
    arm.node[1] = with(node("ReduceSum", &["inner"], &["else"]), int("keepdims", 0));
    arm.output = vec![value("else", &[])];
    let (module, facts) = taken(&model);
    assert_eq!(op_names(&module), ["opaque"]);
    let back = Files::new().written(&module, &facts).graph.unwrap();
    assert_eq!(back.node, model.graph.unwrap().node);
}

#[test]
fn a_condition_that_is_known_leaves_one_arm() {
    let mut model = branching([3, 5]);
    let graph = model.graph.as_mut().unwrap();
    graph.input.pop();
    graph.output = vec![value("y", &["2", "5"])];
    let size = node("Size", &["x"], &["size"]);
    graph.initializer.push(number("limit", 8));
    graph
        .node
        .splice(0..0, [size, node("Less", &["size", "limit"], &["on"])]);
    let back = there_and_back(&model);
    assert_eq!(op_types(&back), ["MatMul", "Relu"]);
    assert_eq!(back.node[0].input, ["x", "else/w"]);
    assert_eq!(back.node[1].output, ["y"]);
}

/// What a branch in the arm of a decided one gives is the result of both; what is decided of the one is not of the other.
#[test]
fn a_branch_in_an_arm_that_is_left_stays_open() {
    let inner = branching([3, 3]).graph.unwrap().node.remove(0);
    let arm = |name: &str, node: NodeProto, result: &str| GraphProto {
        name: Some(name.into()),
        node: vec![node],
        output: vec![value(result, &["2", "3"])],
        ..GraphProto::default()
    };
    let mut model = branching([3, 3]);
    let graph = model.graph.as_mut().unwrap();
    let outer = with(
        node("If", &["large"], &["y"]),
        graph_attribute("then_branch", arm("then_branch", inner, "y")),
    );
    let other = node("Slice", &["x", "zero", "three", "one"], &["other"]);
    let outer = with(
        outer,
        graph_attribute("else_branch", arm("else_branch", other, "other")),
    );
    graph.initializer.push(number("limit", 4));
    graph.initializer.push(numbers("zero", &[0]));
    graph.initializer.push(numbers("one", &[1]));
    graph.initializer.push(numbers("three", &[3]));
    graph.node = vec![
        node("Size", &["x"], &["size"]),
        node("Greater", &["size", "limit"], &["large"]),
        outer,
    ];
    let (module, _) = taken(&model);
    let names = op_names(&module);
    assert_eq!(names[..5], ["matmul", "relu", "matmul", "relu", "if"]);
}

/// The sum of two functions of one value, with the nodes in some order, and one that nothing uses.
fn forked(order: [usize; 2]) -> ModelProto {
    let sides = [node("Relu", &["x"], &["a"]), node("Tanh", &["x"], &["b"])];
    let mut nodes: Vec<_> = order.iter().map(|k| sides[*k].clone()).collect();
    nodes.push(node("Exp", &["a"], &["unused"]));
    nodes.push(node("Add", &["a", "b"], &["y"]));
    model(
        17,
        vec![value("x", &["2", "4"])],
        vec![],
        nodes,
        vec![value("y", &["2", "4"])],
    )
}

#[test]
fn what_nothing_uses_is_dropped_and_order_is_free() {
    let (module, _) = taken(&forked([0, 1]));
    let (other, _) = taken(&forked([1, 0]));
    assert_eq!(op_names(&module), ["relu", "tanh", "add"]);
    assert_eq!(op_names(&other), ["tanh", "relu", "add"]);
    let again = other.in_order_of(&module).unwrap();
    assert_eq!(tpc::syntax::print(&again), tpc::syntax::print(&module));
    // An order in which something runs before what it needs is none.
    let mut backwards = module.clone();
    backwards.nodes.reverse();
    assert!(other.in_order_of(&backwards).is_none());
}

#[test]
fn unknown_nodes_are_carried_through() {
    let mut special = node("Special", &["x", ""], &["z"]);
    special.domain = Some("com.acme".into());
    let model = model(
        17,
        vec![value("x", &["2", "4"])],
        vec![],
        vec![special, node("Relu", &["z"], &["out"])],
        vec![value("out", &["2", "3"])],
    );
    let (module, facts) = taken(&model);
    assert!(module.nodes.iter().all(|n| n.op == Op::Opaque));
    assert_eq!(
        module.nodes[0].attrs.str_or("type", ""),
        "com.acme::Special"
    );
    let back = Files::new().written(&module, &facts).graph.unwrap();
    let mut was = model.graph.unwrap();
    was.node[0].input.pop();
    let mut nodes = back.node.clone();
    nodes[0].input.retain(|n| !n.is_empty());
    assert_eq!(nodes, was.node);
}

#[test]
fn initializers_that_cannot_be_held_are_carried_through() {
    let labels = TensorProto {
        name: Some("labels".into()),
        data_type: Some(8),
        dims: vec![2],
        string_data: vec!["cat".into(), "dog".into()],
        ..TensorProto::default()
    };
    let mut model = convolution();
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.push(labels.clone());
    graph
        .node
        .push(node("StringNormalizer", &["labels"], &["z"]));
    graph.output.push(typed("z", 8, None));
    let (module, facts) = taken(&model);
    assert_eq!(op_names(&module), ["opaque", "conv", "relu", "opaque"]);
    let back = Files::new().written(&module, &facts).graph.unwrap();
    assert_eq!(back.node[0].output, ["labels"]);
    assert_eq!(back.node[0].attribute[0].t, Some(labels));
    assert_eq!(back.output, model.graph.unwrap().output);
}

#[test]
fn a_text_without_a_file_behind_it_is_written_in_the_usual_set() {
    let source = std::sync::Arc::new(tpc::diag::Source {
        name: "mlp.tir".into(),
        text: "dim N = ?\nparam @w : f32[3, 4]\ninput %x : f32[N, 4]\n%y = linear(%x, @w) {trans_b = true}\n\
               %z = gelu(%y)\noutput %z\n"
            .into(),
    });
    let weights = std::collections::HashMap::from([(
        "w".to_string(),
        tpc::tensor::Tensor::from_f32(&[3, 4], vec![1.0; 12]).unwrap(),
    )]);
    let module = tpc::syntax::parse(&source, &weights).unwrap();
    let back = Files::new().written(&module, &propagate(&module).unwrap());
    assert_eq!(
        (back.ir_version, back.opset_import[0].version),
        (Some(10), Some(21))
    );
    assert_eq!(op_types(back.graph.as_ref().unwrap()), ["Gemm", "Gelu"]);
}

#[test]
fn local_functions_are_written_out() {
    let mut scaled = node("Mul", &["a", "w"], &["t"]);
    scaled.name = None;
    let leaky = with(
        node("LeakyRelu", &["t"], &["b"]),
        AttributeProto {
            name: Some("alpha".into()),
            r#type: Some(1),
            ref_attr_name: Some("slope".into()),
            ..AttributeProto::default()
        },
    );
    let mut call = with(
        node("Act", &["x", "w"], &["y"]),
        AttributeProto {
            name: Some("slope".into()),
            r#type: Some(1),
            f: Some(0.5),
            ..AttributeProto::default()
        },
    );
    call.domain = Some("local".into());
    let mut model = model(
        17,
        vec![value("x", &["2", "4"])],
        vec![floats("w", &[4])],
        vec![call],
        vec![value("y", &["2", "4"])],
    );
    model.functions.push(FunctionProto {
        name: Some("Act".into()),
        domain: Some("local".into()),
        input: vec!["a".into(), "w".into()],
        output: vec!["b".into()],
        attribute: vec!["slope".into()],
        node: vec![scaled, leaky],
        opset_import: model.opset_import.clone(),
        ..FunctionProto::default()
    });
    let (module, _) = taken(&model);
    assert_eq!(op_names(&module), ["mul", "leaky_relu"]);
    assert_eq!(
        &*module.value(module.nodes[0].results[0].unwrap()).name,
        "/y/t"
    );
    assert_eq!(module.nodes[1].attrs.float_or("alpha", 0.0), 0.5);
    // One that calls itself is refused.
    let own = model.functions[0].clone();
    let mut inner = node("Act", &["a", "w"], &["b"]);
    inner.domain = Some("local".into());
    model.functions[0] = FunctionProto {
        node: vec![inner],
        ..own
    };
    assert_eq!(
        refused(&model),
        "local functions call each other without end"
    );
}

fn refused(model: &ModelProto) -> String {
    match Files::new().module(model) {
        Ok(_) => "nothing".into(),
        Err(e) => e.message,
    }
}

/// Reads the usual model after a change to its graph, which must be refused.
fn refused_after(change: impl FnOnce(&mut GraphProto)) -> String {
    let mut model = convolution();
    change(model.graph.as_mut().unwrap());
    refused(&model)
}

#[test]
fn what_is_wrong_is_said() {
    let said = [
        refused_after(|g| g.node[1].input[0] = "nothing".into()),
        refused_after(|g| g.node[1].output[0] = "x".into()),
        refused_after(|g| g.node[0].input[0] = "y".into()),
        refused_after(|g| g.output[0].name = Some("z".into())),
        refused_after(|g| g.output.push(g.output[0].clone())),
        refused_after(|g| g.input.push(g.input[0].clone())),
        refused_after(|g| g.initializer.push(g.initializer[0].clone())),
        refused_after(|g| g.initializer[0].dims[0] = -8),
        refused_after(|g| g.initializer[0].dims[0] = i64::MAX),
        refused_after(|g| g.initializer[0].raw_data = None),
        refused_after(|g| g.input[0] = value("x", &["1"; 65])),
        refused_after(|g| g.input[0].r#type = None),
        refused_after(|g| g.input[0] = value("x", &["N", "5", "6", "6"])),
        refused_after(|g| g.node[0].attribute[0].r#type = Some(3)),
        refused_after(|g| g.node[1].input.push("x".into())),
        refused(&ModelProto {
            opset_import: vec![],
            ..convolution()
        }),
        refused(&ModelProto {
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(9),
            }],
            ..convolution()
        }),
    ];
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("onnx__refused", said.join("\n"));
    });
}

#[test]
fn a_diagnostic_names_the_node() {
    let mut model = convolution();
    model.graph.as_mut().unwrap().node[1].input[0] = "nothing".into();
    let message = Files::new().module(&model).unwrap_err().render();
    assert!(
        message.starts_with("error: `nothing` is not defined\n --> "),
        "{message}"
    );
    assert!(message.ends_with("model.onnx: node `/y`\n"), "{message}");
}

#[test]
fn external_data_stays_in_its_directory() {
    let outside = |location: &str| {
        refused_after(|g| {
            let entry = |key: &str, value: &str| StringStringEntryProto {
                key: Some(key.into()),
                value: Some(value.into()),
            };
            g.initializer[0].raw_data = None;
            g.initializer[0].data_location = Some(1);
            g.initializer[0].external_data = vec![entry("location", location)];
        })
    };
    for location in ["../secret", "/etc/passwd", "", "a/../../b"] {
        let said = outside(location);
        assert!(said.contains("outside the model's directory"), "{said}");
    }
    assert!(outside("missing.data").contains("cannot be read"));
}

#[test]
fn broken_files_are_refused_or_read_but_never_panic() {
    let files = Files::new();
    let whole = {
        files.put(&flattened("N"));
        std::fs::read(files.path("model.onnx")).unwrap()
    };
    let path = files.path("broken.onnx");
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut tries: Vec<Vec<u8>> = (0..whole.len()).map(|n| whole[..n].to_vec()).collect();
    for _ in 0..3000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next() % 3 {
            let at = next() % bytes.len();
            bytes[at] = next() as u8;
        }
        tries.push(bytes);
    }
    for bytes in tries {
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(module) = tpc::onnx::read(&path)
            && let Ok(facts) = propagate(&module)
        {
            let _ = tpc::onnx::write(&module, &facts, &files.path("again.onnx"));
        }
    }
    assert!(ModelProto::decode(&whole[..]).is_ok());
}
