//! What a device computes, by kind of step.
use crate::reference::agrees;

#[test]
fn convolutions() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str)] = &[
        ("1, 3, 37, 67", "1, 3, 1, 1", ""),
        ("2, 3, 37, 67", "37, 3, 3, 3", "pad = [1, 1, 1, 1]"),
        ("1, 37, 7, 9", "67, 37, 1, 1", ""),
        ("3, 37, 7, 9", "3, 37, 1, 1", "stride = [2, 2]"),
        ("1, 3, 37, 67", "5, 3, 7, 7", "stride = [2, 2], pad = [3, 3, 3, 3]"),
        ("1, 3, 19, 23", "4, 3, 3, 3", "dilation = [2, 3], pad = [2, 3, 1, 4]"),
        ("2, 6, 11, 13", "9, 2, 3, 3", "groups = 3, pad = [1, 1, 1, 1]"),
        ("2, 74, 5, 1", "37, 2, 3, 1", "groups = 37, pad = [1, 0, 1, 0]"),
        ("2, 37, 14, 15", "37, 1, 3, 3", "groups = 37, pad = [1, 1, 1, 1]"),
        ("1, 37, 14, 15", "37, 1, 5, 5", "groups = 37, pad = [2, 2, 2, 2], stride = [2, 2]"),
        ("1, 67, 9, 3", "67, 1, 3, 3", "groups = 67, pad = [2, 2, 2, 2], dilation = [2, 2]"),
        ("1, 3, 20, 40", "3, 1, 3, 5", "groups = 3, pad = [1, 2, 0, 4], stride = [1, 3]"),
        ("1, 3, 20, 40", "3, 1, 3, 5", "groups = 3, dilation = [2, 3], stride = [3, 2], pad = [3, 1, 2, 9]"),
        ("1, 3, 9, 40", "3, 1, 3, 3", "groups = 3, pad = [0, -2, 0, -1]"),
        ("2, 3, 1, 1", "3, 1, 3, 3", "groups = 3, pad = [1, 1, 1, 1]"),
        ("1, 3, 9, 9", "6, 1, 3, 3", "groups = 3"),
        ("1, 3, 14, 15", "4, 3, 3, 3", "auto_pad = \"same_upper\", stride = [2, 2]"),
        ("1, 3, 14, 15", "4, 3, 4, 3", "auto_pad = \"same_lower\", stride = [3, 2]"),
        ("1, 3, 14, 15", "4, 3, 4, 3", "auto_pad = \"valid\", stride = [3, 2]"),
        ("2, 3, 67", "37, 3, 3", "pad = [1, 1]"),
        ("2, 4, 67", "4, 1, 3", "pad = [2, 0], groups = 4"),
        ("1, 2, 5, 6, 7", "3, 2, 3, 3, 3", "pad = [1, 1, 1, 1, 1, 1], stride = [1, 2, 1]"),
        ("1, 4, 5, 6, 7", "4, 1, 3, 1, 3", "pad = [1, 0, 1, 1, 0, 1], groups = 4"),
        ("1, 2, 3, 4, 3, 4", "2, 2, 2, 2, 2, 2", ""),
    ];
    for (x, w, attrs) in cases {
        let out = w.split(',').next().unwrap();
        agrees(&format!(
            "param @w : f32[{w}]\nparam @b : f32[{out}]\ninput %x : f32[{x}]\n\
             %y = conv(%x, @w, @b) {{{attrs}}}\n%z = conv(%x, @w) {{{attrs}}}\noutput %y\noutput %z"
        ));
    }
}

#[test]
fn transposed_convolutions() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str, usize)] = &[
        ("1, 3, 7, 5", "3, 37, 2, 2", "stride = [2, 2]", 37),
        ("2, 37, 7, 5", "37, 3, 3, 3", "stride = [2, 2], pad = [1, 1, 1, 1], output_pad = [1, 1]", 3),
        ("1, 6, 7, 5", "6, 2, 3, 3", "groups = 3, dilation = [2, 1]", 6),
        ("1, 3, 7", "3, 5, 4", "stride = [2], pad = [1, 1]", 5),
        ("1, 3, 7, 5", "3, 2, 3, 3", "stride = [2, 2], auto_pad = \"same_upper\"", 2),
    ];
    for (x, w, attrs, out) in cases {
        agrees(&format!(
            "param @w : f32[{w}]\nparam @b : f32[{out}]\ninput %x : f32[{x}]\n%y = conv_transpose(%x, @w) {{{attrs}}}\n\
             %z = conv_transpose(%x, @w, @b) {{{attrs}}}\noutput %y\noutput %z"
        ));
    }
}

#[test]
fn products() {
    let cases = [
        ("3, 0", "0, 2"),
        ("37, 67", "67, 3"),
        ("1, 67", "67, 37"),
        ("3, 37, 67", "67, 5"),
        ("2, 3, 37, 5", "2, 3, 5, 67"),
        ("2, 1, 37, 5", "3, 5, 67"),
        ("3, 5, 67", "2, 1, 67, 1"),
        ("67", "67, 3"),
        ("3, 67", "67"),
        ("2, 3, 67", "67"),
        ("67", "2, 67, 3"),
        ("67", "67"),
        ("1, 1", "1, 1"),
    ];
    for (a, b) in cases {
        agrees(&format!(
            "input %a : f32[{a}]\nparam @b : f32[{b}]\n%y = matmul(%a, @b)\noutput %y"
        ));
    }
    let cases = [
        ("37, 67", "67, 3", "", "3"),
        ("67, 37", "67, 3", "trans_a = true, alpha = 0.5", "37, 1"),
        ("37, 67", "3, 67", "trans_b = true, beta = 2.0", "1, 3"),
        ("67, 37", "3, 67", "trans_a = true, trans_b = true", "37, 3"),
        ("1, 67", "37, 67", "trans_b = true", "37"),
        ("3, 1", "1, 37", "", "1"),
    ];
    for (a, b, attrs, c) in cases {
        agrees(&format!(
            "input %a : f32[{a}]\nparam @b : f32[{b}]\nparam @c : f32[{c}]\n\
             %y = linear(%a, @b, @c) {{{attrs}}}\n%z = linear(%a, @b) {{{attrs}}}\noutput %y\noutput %z"
        ));
    }
}

#[test]
fn pointwise() {
    for f in [
        "relu",
        "leaky_relu",
        "elu",
        "sigmoid",
        "hard_sigmoid",
        "hard_swish",
        "swish",
        "mish",
        "gelu",
        "softplus",
        "tanh",
        "erf",
        "exp",
        "neg",
        "abs",
        "floor",
        "round",
        "sign",
        "identity",
        "sin",
    ] {
        agrees(
            &format!("input %x : f32[3, 37, 67]\n%s = mul(%x, 3.0)\n%y = {f}(%s)\noutput %y")
                .replace("mul(%x, 3.0)", "add(%x, %x)"),
        );
    }
    agrees("input %x : f32[37, 67]\n%y = gelu(%x) {approximate = \"tanh\"}\noutput %y");
    agrees("input %x : f32[37, 67]\n%a = abs(%x)\n%y = sqrt(%a)\n%z = reciprocal(%y)\noutput %z");
    let cases = [
        ("3, 37, 67", "3, 37, 67"),
        ("3, 37, 67", "67"),
        ("3, 37, 67", "37, 1"),
        ("3, 37, 67", "1"),
        ("3, 37, 67", ""),
        ("3, 1, 67", "37, 1"),
        ("1, 37, 1", "3, 1, 67"),
        ("67", "2, 3, 67"),
        ("", ""),
        ("2, 3, 5, 7", "2, 1, 5, 1"),
        ("2, 0, 3", "3"),
    ];
    for (a, b) in cases {
        for f in ["add", "sub", "mul", "div", "max", "min", "prelu", "less"] {
            agrees(&format!(
                "input %a : f32[{a}]\ninput %b : f32[{b}]\n%y = {f}(%a, %b)\noutput %y"
            ));
        }
    }
    agrees(
        "input %a : f32[3, 37]\ninput %b : f32[37]\n%c = less(%a, %b)\n%y = where(%c, %a, %b)\noutput %y",
    );
    agrees(
        "const @l : f32[] = -0.5\nconst @u : f32[] = 0.75\ninput %x : f32[3, 37]\n%y = clip(%x, @l, @u)\noutput %y",
    );
    agrees(
        "const @u : f32[1] = [0.75]\ninput %x : f32[3, 37]\n%y = clip(%x, none, @u)\noutput %y"
            .replace(", none, ", ", _, ")
            .as_str(),
    );
}

#[test]
fn pools() {
    for (x, attrs) in [
        (
            "2, 3, 37, 67",
            "kernel = [3, 3], stride = [2, 2], pad = [1, 1, 1, 1]",
        ),
        ("1, 37, 7, 5", "kernel = [2, 3]"),
        (
            "1, 3, 8, 9",
            "kernel = [3, 3], stride = [2, 2], ceil = true",
        ),
        ("1, 3, 9", "kernel = [4], pad = [1, 2], stride = [3]"),
        ("1, 3, 4, 5, 6", "kernel = [2, 2, 2], stride = [2, 1, 2]"),
        (
            "1, 3, 8, 9",
            "kernel = [3, 2], auto_pad = \"same_upper\", stride = [2, 2]",
        ),
    ] {
        agrees(&format!(
            "input %x : f32[{x}]\n%y = max_pool(%x) {{{attrs}}}\n%z = average_pool(%x) {{{attrs}}}\n\
             %p = average_pool(%x) {{{attrs}, count_include_pad = true}}\noutput %y\noutput %z\noutput %p"
        ));
    }
    agrees(
        "input %x : f32[1, 3, 9, 8]\n%y = max_pool(%x) {kernel = [2, 2], dilation = [3, 2]}\noutput %y",
    );
    agrees(
        "input %x : f32[2, 37, 7, 5]\n%y = global_average_pool(%x)\n%z = global_max_pool(%x)\noutput %y\noutput %z",
    );
    agrees(
        "input %x : f32[1, 3, 8, 9]\n%y, %i = max_pool(%x) {kernel = [2, 2]}\noutput %y\noutput %i",
    );
}

#[test]
fn lines() {
    for (x, axis) in [
        ("3, 37, 67", -1),
        ("3, 37, 67", 1),
        ("67", 0),
        ("2, 1, 3", 1),
        ("5, 1", 1),
    ] {
        for f in ["softmax", "log_softmax"] {
            agrees(&format!(
                "input %x : f32[{x}]\n%y = {f}(%x) {{axis = {axis}}}\noutput %y"
            ));
        }
    }
    agrees("input %x : f32[3, 5, 37]\n%y = softmax(%x) {axis = 1, flatten = true}\noutput %y");
    for (x, n) in [("3, 37, 67", "67"), ("2, 1", "1"), ("3, 3", "3")] {
        agrees(&format!(
            "param @s : f32[{n}]\nparam @b : f32[{n}]\ninput %x : f32[{x}]\n%y = layer_norm(%x, @s, @b)\n\
             %z = layer_norm(%x, @s) {{epsilon = 0.1}}\n%r = rms_norm(%x, @s)\noutput %y\noutput %z\noutput %r"
        ));
    }
    agrees(
        "param @s : f32[5, 37]\nparam @b : f32[37]\ninput %x : f32[3, 5, 37]\n%y = layer_norm(%x, @s, @b) {axis = 1}\noutput %y",
    );
    agrees(
        "param @s : f32[6]\nparam @b : f32[6]\ninput %x : f32[2, 6, 5, 7]\n%y = group_norm(%x, @s, @b) {groups = 3}\n%z = instance_norm(%x, @s, @b)\noutput %y\noutput %z",
    );
    agrees(
        "param @s : f32[37]\nparam @b : f32[37]\nparam @m : f32[37]\nparam @r : f32[37]\ninput %x : f32[3, 37, 5, 1]\n%v = abs(@r)\n%y = batch_norm(%x, @s, @b, @m, %v)\noutput %y",
    );
    for f in ["sum", "mean", "max", "min", "l2", "prod", "log_sum_exp"] {
        for axes in ["[0]", "[1]", "[-1]", "[1, 2]", "[0, 2]", "[0, 1, 2]"] {
            agrees(&format!(
                "input %x : f32[3, 7, 37]\n%y = reduce_{f}(%x) {{axes = {axes}}}\n\
                 %z = reduce_{f}(%x) {{axes = {axes}, keep_dims = true}}\noutput %y\noutput %z"
            ));
        }
    }
}

#[test]
fn moves() {
    for perm in [
        "[0, 2, 1, 3]",
        "[3, 2, 1, 0]",
        "[0, 1, 3, 2]",
        "[1, 0, 2, 3]",
        "[0, 2, 3, 1]",
        "[0, 3, 1, 2]",
        "[0, 1, 2, 3]",
    ] {
        agrees(&format!(
            "input %x : f32[2, 3, 37, 17]\n%y = transpose(%x) {{perm = {perm}}}\noutput %y"
        ));
    }
    agrees("input %x : i64[5, 37]\n%y = transpose(%x)\noutput %y");
    agrees("input %x : f32[1, 67]\n%y = transpose(%x)\n%z = relu(%y)\noutput %z");
    agrees(
        "input %a : f32[2, 3, 5]\ninput %b : f32[2, 1, 5]\n%y = concat(%a, %b, %a) {axis = 1}\n%z = concat(%y, %y) {axis = -1}\noutput %z",
    );
    agrees("input %x : f32[2, 1, 5]\n%y = expand(%x) : f32[3, 2, 7, 5]\noutput %y");
    agrees(
        "input %x : f32[2, 12]\n%a, %b, %c = split(%x) {axis = 1, sizes = [3, 4, 5]}\n%y = reshape(%b) : f32[8]\n%z = relu(%y)\noutput %z\noutput %c\noutput %a",
    );
    agrees(
        "input %x : f32[4, 6]\n%y = slice(%x) {axes = [1], starts = [1], ends = [6], steps = [2]}\n%z = relu(%y)\noutput %z",
    );
    agrees(
        "input %x : f32[37, 5]\nconst @i : i64[2, 2] = [[0, -1], [3, 3]]\n%y = gather(%x, @i)\n%z = gather(%x, @i) {axis = 1}\noutput %y\noutput %z",
    );
}

/// One value in several places: an input and a param that are outputs, a view of a value that outlives it.
#[test]
fn values_shared() {
    agrees("input %x : f32[4, 6]\noutput %x");
    agrees(
        "input %x : f32[4, 6]\nparam @p : f32[3]\n%y = reshape(@p) : f32[3, 1]\n%z = reshape(%x) : f32[24]\noutput %y\noutput %z",
    );
    agrees(
        "input %x : f32[4, 6]\n%a = relu(%x)\n%v = reshape(%a) : f32[24]\n%b = neg(%a)\n%c = abs(%b)\n%d = exp(%c)\n%e = neg(%v)\n%f = reshape(%e) : f32[4, 6]\n%g = add(%d, %f)\noutput %g",
    );
    agrees(
        "input %x : f32[4, 6]\n%a = relu(%x)\n%v = flatten(%a)\n%b = neg(%x)\n%c = add(%b, %v)\noutput %v\noutput %c\noutput %a",
    );
    agrees(
        "input %x : i64[3]\n%y = neg(%x)\n%z = reshape(%y) : i64[3, 1]\n%f = cast(%z) {to = f32}\n%g = add(%f, %f)\noutput %y\noutput %g",
    );
}

#[test]
fn half_floats() {
    agrees(
        "param @w : f16[8, 5]\ninput %x : f32[3, 5]\n%h = cast(%x) {to = f32}\n%v = cast(@w) {to = f32}\n%y = linear(%h, %v) {trans_b = true}\noutput %y",
    );
}

/// What a whole run does at once: batch norms in weights, activations and sums in place.
#[test]
fn done_at_once() {
    let norm = "param @s : f32[6]\nparam @t : f32[6]\nparam @m : f32[6]\nparam @r : f32[6]\nconst @v : f32[6] = [0.5, 1.0, 2.0, 0.1, 3.0, 0.7]\n\
                const @zero : f32[] = 0.0\nconst @six : f32[] = 6.0\n";
    let conv = "param @w : f32[6, 3, 3, 3]\nparam @u : f32[6, 6, 1, 1]\ninput %x : f32[2, 3, 9, 7]\n%c = conv(%x, @w) {pad = [1, 1, 1, 1]}\n";
    let bodies = [
        "%n = batch_norm(%c, @s, @t, @m, @v)\n%y = relu(%n)\noutput %y",
        "%n = batch_norm(%c, @s, @t, @m, @v)\n%y = relu(%n)\noutput %y\noutput %c",
        "%n = batch_norm(%c, @s, @t, @m, @v)\n%a = clip(%n, @zero, @six)\n%d = conv(%a, @u, @t)\n%e = add(%d, %a)\n%y = relu(%e)\noutput %y",
        "%d = conv(%c, @u)\n%n = batch_norm(%d, @s, @t, @m, @v)\n%e = add(%c, %n)\n%f = add(%e, %d)\n%y = relu(%f)\noutput %y",
        "%a = relu(%c)\n%d = conv(%a, @u)\n%e = add(%d, %d)\n%y = sigmoid(%e)\n%z = mul(%y, %e)\noutput %z",
        "%a = conv(%c, @u)\n%b = conv(%c, @u)\n%y = add(%a, %b)\n%z = relu(%a)\noutput %y\noutput %z",
        "%a = conv(%c, @u)\n%b = neg(%a)\n%d = conv(%c, @u)\n%e = add(%b, %d)\n%y = batch_norm(%e, @s, @t, @m, @v)\noutput %y",
        "%f = reshape(%c) : f32[2, 378]\n%g = relu(%f)\n%h = reshape(%g) : f32[2, 6, 9, 7]\n%y = batch_norm(%h, @s, @t, @m, @v)\noutput %y",
        "%n = batch_norm(%c, @s, @t, @m, @v)\n%l = reshape(%n) : f32[2, 6, 63]\n%o = neg(%n)\noutput %l\noutput %o",
    ];
    for body in bodies {
        agrees(&format!("{norm}{conv}{body}"));
    }
    agrees(
        "param @w : f32[5, 7]\nparam @b : f32[7]\ninput %x : f32[2, 3, 5]\n%m = matmul(%x, @w)\n%a = add(@b, %m)\n%g = gelu(%a)\n%s = add(%g, %g)\noutput %s",
    );
    agrees(
        "param @w : f32[5, 7]\nparam @b : f32[3, 1]\ninput %x : f32[2, 3, 5]\n%m = matmul(%x, @w)\n%a = add(%m, @b)\noutput %a",
    );
    agrees(
        "param @w : f32[5, 5]\ninput %x : f32[3, 5]\n%p = matmul(%x, @w)\n%q = matmul(%p, @w)\n%a = add(%p, %q)\n%b = add(%a, %x)\n%c = relu(%b)\noutput %c",
    );
    agrees(
        "const @one : f32[] = 1.5\nparam @w : f32[5, 67]\ninput %x : f32[300, 5]\n%m = matmul(%x, @w)\n%a = add(%m, @one)\n%b = add(%a, %a)\noutput %b",
    );
    agrees(
        "param @b : f32[67]\nparam @w : f32[5, 67]\ninput %x : f32[300, 5]\n%m = matmul(%x, @w)\n%n = matmul(%x, @w)\n%a = add(%m, @b)\n%c = add(%a, %n)\noutput %c",
    );
}
