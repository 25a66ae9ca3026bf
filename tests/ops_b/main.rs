//! Operators that move elements: what their rules tie can be removed, and what they compute.
mod recurrent;
mod run;
mod values;

use run::shrinks;

/// A reduction at the end leaves the axes above it free.
fn moved(params: &str, body: &str) -> String {
    shrinks(&format!(
        "{params}\n{body}\n%end = reduce_sum(%y)\noutput %end"
    ))
}

#[test]
fn movement_shrinks() {
    let cases = [
        (
            "param @x : f32[6, 4, 5]",
            "%y = transpose(@x) {perm = [2, 0, 1]}",
        ),
        ("param @x : f32[6, 4]", "%y = transpose(@x)"),
        ("param @x : f32[6, 1, 4]", "%y = squeeze(@x) {axes = [-2]}"),
        (
            "param @x : f32[6, 4]",
            "%y = unsqueeze(@x) {axes = [0, -1]}",
        ),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x)"),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x) {axis = 3}"),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x) {axis = -1}"),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x) {axis = 0}"),
        // A stack: three vectors side by side, flattened.
        (
            "param @p : f32[5]\nparam @q : f32[5]",
            "%a = unsqueeze(@p) {axes = [1]}\n%b = unsqueeze(@q) {axes = [1]}\n%c = concat(%a, %b) {axis = 1}\n\
             %y = reshape(%c) : f32[10]",
        ),
        (
            "param @p : f32[5]\nparam @q : f32[5]",
            "%a = unsqueeze(@p) {axes = [0]}\n%b = unsqueeze(@q) {axes = [0]}\n%c = concat(%a, %b) {axis = 0}\n\
             %y = reshape(%c) : f32[10]",
        ),
        (
            "param @x : f32[12, 3]",
            "%a, %y, %c = split(@x) {sizes = [4, 3, 5]}",
        ),
        (
            "param @x : f32[12, 3]",
            "%a, %y, %c = split(@x) {sizes = [4, 0, 8]}",
        ),
        (
            "param @x : f32[12, 3]",
            "%a, %b = split(@x) {sizes = [6, 6]}\n%y = add(%a, %b)\n%z = mul(%a, %y)",
        ),
        (
            "param @x : f32[8, 5]",
            "%y = slice(@x) {axes = [0], starts = [2], ends = [5], steps = [1]}",
        ),
        (
            "param @x : f32[8, 5]",
            "%y = slice(@x) {starts = [2, -3], ends = [9223372036854775807, -1]}",
        ),
        (
            "param @x : f32[8, 5]",
            "%y = slice(@x) {axes = [1], starts = [0], ends = [9]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [0], ends = [8], steps = [2]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [1], ends = [8], steps = [2]}",
        ),
        (
            "param @x : f32[9]",
            "%y = slice(@x) {starts = [0], ends = [9], steps = [2]}",
        ),
        (
            "param @x : f32[11]",
            "%y = slice(@x) {starts = [4], ends = [11], steps = [3]}",
        ),
        (
            "param @x : f32[11]",
            "%y = slice(@x) {starts = [5], ends = [11], steps = [3]}",
        ),
        (
            "param @x : f32[11]",
            "%y = slice(@x) {starts = [1], ends = [3], steps = [7]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [7], ends = [-1], steps = [-1]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [-1], ends = [-9223372036854775807], steps = [-1]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [5], ends = [1], steps = [-1]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [6], ends = [0], steps = [-2]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [6], ends = [2]}",
        ),
        // A roll.
        (
            "param @x : f32[9]",
            "%a = slice(@x) {starts = [3], ends = [9]}\n%b = slice(@x) {starts = [0], ends = [3]}\n\
             %c = concat(%a, %b) {axis = 0}\n%y = add(%c, @x)",
        ),
        // Every other position, and the others: one behind the other.
        (
            "param @x : f32[10]",
            "%a = slice(@x) {starts = [0], ends = [10], steps = [2]}\n\
             %b = slice(@x) {starts = [1], ends = [10], steps = [2]}\n%y = concat(%a, %b) {axis = 0}",
        ),
        // A flip that meets what it flips.
        (
            "param @x : f32[6]",
            "%a = slice(@x) {starts = [5], ends = [-1], steps = [-1]}\n%y = add(%a, @x)",
        ),
        ("param @x : f32[6, 4]", "%y = pad(@x) {pads = [2, 0, 3, 1]}"),
        (
            "param @x : f32[6, 4]\nconst @v : f32[] = 5.0",
            "%y = pad(@x, @v) {pads = [2, -1, -3, 1], mode = \"constant\"}",
        ),
        (
            "param @x : f32[6, 4]",
            "%y = pad(@x) {pads = [1, 0], axes = [-1]}",
        ),
        (
            "param @x : f32[6, 4]",
            "%y = pad(@x) {pads = [2, 0, 3, 0], mode = \"reflect\"}",
        ),
        (
            "param @x : f32[4]\nparam @z : f32[9]",
            "%p = pad(@x) {pads = [2, 3]}\n%y = add(%p, @z)",
        ),
        ("param @x : f32[6, 1]", "%y = expand(@x) : f32[3, 6, 4]"),
        (
            "param @x : f32[6, 1]",
            "%e = expand(@x) : f32[6, 4]\n%y = reshape(%e) : f32[24]",
        ),
        ("param @x : f32[6, 2]", "%y = tile(@x) {repeats = [3, 1]}"),
        ("param @x : f32[6, 2]", "%y = tile(@x) {repeats = [1, 4]}"),
        // Repeated key-value heads.
        (
            "param @x : f32[2, 3, 4]\nparam @q : f32[6, 4, 4]",
            "%u = unsqueeze(@x) {axes = [1]}\n%e = expand(%u) : f32[2, 3, 3, 4]\n\
             %k = reshape(%e) : f32[6, 3, 4]\n%y = matmul(%k, @q)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[] = 2",
            "%y = gather(@x, @i) {axis = 0}",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[] = -1",
            "%y = gather(@x, @i) {axis = 1}",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[3] = [1, 2, 5]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[6] = [5, 4, 3, 2, 1, 0]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[7] = [0, 1, 1, 1, -1, 4, 5]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[2, 3] = [[0, 1, 2], [3, 4, 5]]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[2, 2] = [[0, 1], [1, 0]]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[1, 6] = [[0, 1, 2, 3, 4, 5]]",
            "%y = gather(@x, @i)",
        ),
        // Query, key and value of one packed projection.
        (
            "param @x : f32[3, 5, 4]\nconst @i : i64[] = 0\nconst @j : i64[] = 1",
            "%q = gather(@x, @i) {axis = 0}\n%k = gather(@x, @j) {axis = 0}\n%y = add(%q, %k)",
        ),
        (
            "param @x : f32[3, 5]\nconst @i : i64[2, 5] = [[0, 1, 2, 0, 1], [2, 1, 0, 1, 0]]",
            "%y = gather_elements(@x, @i)",
        ),
        (
            "param @x : f32[3, 5, 4]\nconst @i : i64[2, 1] = [[1], [-3]]",
            "%y = gather_nd(@x, @i)",
        ),
        (
            "param @x : f32[3, 5, 4]\nconst @i : i64[3, 1] = [[1], [4], [0]]",
            "%y = gather_nd(@x, @i) {batch_dims = 1}",
        ),
        (
            "param @x : f32[5, 4]\nconst @i : i64[2, 1] = [[1], [4]]\nparam @u : f32[2, 4]",
            "%y = scatter_nd(@x, @i, @u) {reduction = \"add\"}",
        ),
        (
            "param @x : f32[5, 4]\nconst @i : i64[2, 4] = [[1, 0, 2, 3], [4, 4, 4, 0]]\nparam @u : f32[2, 4]",
            "%y = scatter_elements(@x, @i, @u)",
        ),
        ("param @x : f32[5, 4]", "%y = arg_max(@x) {axis = 1}"),
        (
            "param @x : f32[5, 4]",
            "%y, %i = top_k(@x) {axis = 0, k = 2}",
        ),
        (
            "param @x : f32[5, 4]",
            "%y = cumsum(@x) {axis = 0, reverse = true}",
        ),
        ("param @x : f32[2, 5, 4]", "%y = trilu(@x)"),
        (
            "param @x : f32[2, 5]",
            "%c = constant_of_shape() {value = 2.5} : f32[3, 5]\n%y = concat(@x, %c) {axis = 0}",
        ),
        (
            "param @x : f32[2, 5]\nconst @l : i64[5] = [2, 1, 2, 0, 1]",
            "%y = reverse_sequence(@x, @l)",
        ),
        ("param @x : f32[2, 5]", "%y = shape_of(@x) {start = 1}"),
    ];
    let mut failed = vec![];
    let mut texts = vec![];
    for (params, body) in cases {
        match std::panic::catch_unwind(|| moved(params, body)) {
            Ok(text) => texts.push(text),
            Err(_) => failed.push(body),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    insta::with_settings!({snapshot_path => "../../snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("ops_b__movement", texts.join("\n"));
    });
}

/// A window's table of relative positions: each index is the difference of two places.
#[test]
fn relative_positions_shrink() {
    let (side, count) = (5, 625);
    let places = |i: i64| (i / side, i % side);
    let difference = |i: i64| {
        let ((a, b), (c, d)) = (places(i / 25), places(i % 25));
        ((a - c + 4) * 9 + b - d + 4).to_string()
    };
    let index: Vec<String> = (0..count).map(difference).collect();
    let text = format!(
        "param @table : f32[81, 4]\nconst @index : i64[625] = [{}]\nparam @scores : f32[4, 25, 25]
%0 = gather(@table, @index) {{axis = 0}}
%1 = reshape(%0) : f32[25, 25, 4]
%2 = transpose(%1) {{perm = [2, 0, 1]}}
%3 = add(@scores, %2)
%4 = reduce_sum(%3)
output %4",
        index.join(", ")
    );
    let start = std::time::Instant::now();
    let text = shrinks(&text);
    assert!(text.contains("param @table  : f32[81, table]"), "{text}");
    assert!(start.elapsed().as_secs() < 5);
}
