//! Pools, norms, choices and conversions, shuffles, sums by letters: what is free of each is removed at random, and proved.
#[path = "../common/mod.rs"]
mod common;
mod fused;
mod fused_values;
mod picks;
mod picks_values;
mod quantized;
mod quantized_values;
#[allow(dead_code)] // Values only: removals are proved with masks here.
#[path = "../ops_b/run.rs"]
mod run;
mod values;
use common::Net;

/// Channels between two convolutions: `body` makes `%y` of `%x : f32[2, 12, 7, 5]`; the second convolution reads
/// `channels` of it. `free` are the extents that can lose positions, of the first one's channels.
fn image(params: &str, body: &str, channels: usize, free: &[usize]) {
    let text = format!(
        "param @a.weight : f32[12, 3, 3, 3]\nparam @a.bias : f32[12]\nparam @b.weight : f32[5, {channels}, 1, 1]
{params}\ninput %image : f32[2, 3, 7, 5]
%x = conv(%image, @a.weight, @a.bias) {{pad = [1, 1, 1, 1]}}\n{body}\n%end = conv(%y, @b.weight)\noutput %end"
    );
    let net = Net::new(&text);
    assert_eq!(net.free("a.weight:0"), free, "{body}");
    net.prunes();
}

/// Runs all, and names those that fail.
fn all<T: Copy + std::fmt::Debug + std::panic::RefUnwindSafe>(
    cases: &[T],
    run: impl Fn(T) + Copy + std::panic::RefUnwindSafe,
) {
    let failed: Vec<&T> = cases
        .iter()
        .filter(|case| std::panic::catch_unwind(|| run(**case)).is_err())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_treats_channels_apart() {
    let cases = [
        "%y = max_pool(%x) {kernel = [3, 2], stride = [2, 1], pad = [1, 0, 1, 1], dilation = [2, 1]}",
        "%y = max_pool(%x) {kernel = [3, 3], stride = [2, 2], ceil = true}",
        "%y = average_pool(%x) {kernel = [3, 2], stride = [2, 2], pad = [1, 0, 1, 1], ceil = true, count_include_pad = true}",
        "%y = average_pool(%x) {kernel = [2, 2], auto_pad = \"same_upper\"}",
        "%y = lp_pool(%x) {kernel = [2, 3], p = 3}",
        "%y = global_max_pool(%x)",
        "%y = global_average_pool(%x)",
        "%y = global_lp_pool(%x) {p = 1}",
        "const @lo : f32[] = -0.25\nconst @hi : f32[] = 0.5\n%y = clip(%x, @lo, @hi)",
        "const @hi : f32[] = 0.5\n%y = clip(%x, _, @hi)",
        "%h = cast(%x) {to = f16}\n%y = cast_like(%h, %image)",
        "%b = cast(%x) {to = bool}\n%y = cast(%b) {to = f32}",
        "const @zero : f32[] = 0.0\n%c = greater(%x, @zero)\n%y = where(%c, %x, @zero)",
        "%d, %kept = dropout(%x) {ratio = 0.3}\n%k = cast(%kept) {to = f32}\n%y = mul(%d, %k)",
        "%y = resize(%x) {mode = \"linear\", scales = [1.0, 1.0, 2.0, 1.5]}",
        "%y = resize(%x) {mode = \"cubic\", coordinate_transformation_mode = \"align_corners\"} : f32[2, 12, 4, 9]",
        "%y = resize(%x) {mode = \"nearest\", nearest_mode = \"floor\"} : f32[2, 12, 3, 5]",
        "%y = softmax(%x) {axis = 3}",
    ];
    all(&cases, |body| image("", body, 12, &[12]));
}

#[test]
fn what_compares_channels_is_taken_over_the_survivors() {
    let cases = [
        "%y = softmax(%x) {axis = 1}",
        "%y = softmax(%x) {axis = 1, flatten = true}",
        "%y = log_softmax(%x) {axis = -3}",
        "%y = layer_norm(%x, @s, @t) {axis = 1, epsilon = 1e-5}",
        "%y = layer_norm(%x, @s) {axis = 1}",
        "%z, %m, %v = layer_norm(%x, @s, @t) {axis = 1}\n%w = mul(%z, %v)\n%y = add(%w, %m)",
        "%y = rms_norm(%x, @s) {axis = 1}",
        "%y = lp_norm(%x) {axis = 1, p = 1}",
        "%y = lp_norm(%x) {axis = 1, p = 2}",
        "%y = mean_variance_norm(%x) {axes = [1]}",
        "%y = mean_variance_norm(%x)",
        "%y = mean_variance_norm(%x) {axes = [0, 1, 2, 3]}",
    ];
    all(&cases, |body| {
        image(
            "param @s : f32[12, 1, 1]\nparam @t : f32[12, 1, 1]",
            body,
            12,
            &[12],
        )
    });
}

#[test]
fn pools_over_whole_axes_are_taken_over_the_survivors() {
    // The channels stand where an image has its columns, as TensorFlow's exporter writes means over the last axis.
    let cases = [
        "%m = global_average_pool(%t)\n%z = sub(%t, %m)",
        "%m = global_max_pool(%t)\n%z = mul(%t, %m)",
        "%m = global_lp_pool(%t) {p = 1}\n%z = div(%t, %m)",
    ];
    all(&cases, |body| {
        let body = format!(
            "%t = transpose(%x) {{perm = [0, 2, 3, 1]}}\n{body}\n%y = transpose(%z) {{perm = [0, 3, 1, 2]}}"
        );
        // The mean is over the columns of the image, too.
        image("", &body, 12, &[12]);
    });
}

#[test]
fn what_orders_channels_is_frozen() {
    let cases = [
        "%y = hardmax(%x) {axis = 1}",
        "%y = lrn(%x) {size = 5, alpha = 0.1, beta = 0.5, bias = 2.0}",
        "%z, %i = max_pool(%x) {kernel = [2, 2]}\n%f = cast(%i) {to = f32}\n%y = add(%z, %f)",
    ];
    all(&cases, |body| image("", body, 12, &[]));
}

#[test]
fn norms_by_channel_and_by_group() {
    let params = "param @s : f32[12]\nparam @t : f32[12]";
    image(
        params,
        "%y = instance_norm(%x, @s, @t) {epsilon = 1e-4}",
        12,
        &[12],
    );
    image(
        params,
        "%y = group_norm(%x, @s, @t) {groups = 3}",
        12,
        &[3, 4],
    );
    image(
        params,
        "%y = group_norm(%x, @s, @t) {groups = 12}",
        12,
        &[12],
    );
    image(
        params,
        "%y = group_norm(%x, @s, @t) {groups = 1}",
        12,
        &[12],
    );
    image(
        "param @s : f32[3]\nparam @t : f32[3]",
        "%y = group_norm(%x, @s, @t) {groups = 3, per_group = true}",
        12,
        &[3, 4],
    );
}

#[test]
fn norms_in_half_precision() {
    // What is masked is computed as f32: an epsilon or a share of the channels that f16 rounds would show.
    let params = "param @s : f16[12]\nparam @t : f16[12]\nconst @small : f32[] = 0.001";
    for norm in [
        "instance_norm(%h, @s, @t) {epsilon = 1e-6}",
        "group_norm(%h, @s, @t) {groups = 1, epsilon = 1e-6}",
        "mean_variance_norm(%h) {axes = [1, 2, 3]}",
    ] {
        let body = format!(
            "%m = mul(%x, @small)\n%h = cast(%m) {{to = f16}}\n%n = {norm}\n%y = cast(%n) {{to = f32}}"
        );
        image(params, &body, 12, &[12]);
    }
}

#[test]
fn shuffles() {
    let down = "%y = space_to_depth(%p) {block = 2}";
    let pad = "%p = pad(%x) {pads = [0, 0, 0, 0, 0, 0, 1, 1]}";
    image("", &format!("{pad}\n{down}"), 48, &[12]);
    image(
        "",
        "%y = depth_to_space(%x) {block = 2, mode = \"dcr\"}",
        3,
        &[3],
    );
    image(
        "",
        "%y = depth_to_space(%x) {block = 2, mode = \"crd\"}",
        3,
        &[3],
    );
}

#[test]
fn transposed_convolutions() {
    let cases = [
        (
            "param @t.weight : f32[12, 4, 3, 2]\nparam @t.bias : f32[4]",
            "%y = conv_transpose(%x, @t.weight, @t.bias) {stride = [2, 1], pad = [1, 0, 0, 1], output_pad = [1, 0]}",
            4,
            &[12][..],
        ),
        (
            "param @t.weight : f32[12, 4, 3, 3]",
            "%y = conv_transpose(%x, @t.weight) {dilation = [2, 1], stride = [2, 2], output_shape = [14, 11]}",
            4,
            &[12],
        ),
        (
            "param @t.weight : f32[12, 2, 2, 2]\nparam @t.bias : f32[6]",
            "%y = conv_transpose(%x, @t.weight, @t.bias) {groups = 3, auto_pad = \"same_lower\", stride = [2, 2]}",
            6,
            &[3, 4],
        ),
        (
            "param @t.weight : f32[12, 1, 3, 3]",
            "%y = conv_transpose(%x, @t.weight) {groups = 12}",
            12,
            &[12],
        ),
    ];
    all(&cases, |(params, body, channels, free)| {
        image(params, body, channels, free)
    });
}

/// Axes of params, and the extents on them that can lose positions.
type Free = &'static [(&'static str, &'static [usize])];

/// `%y` of two operands whose axes are free, multiplied into the output.
fn einsum(equation: &str, a: &str, b: &str, free: Free) {
    let text = format!(
        "param @a : f32{a}\nparam @b : f32{b}\n%y = einsum(@a, @b) {{equation = \"{equation}\"}}
%end = reduce_sum(%y)\noutput %end"
    );
    let net = Net::new(&text);
    for (axis, extents) in free {
        assert_eq!(net.free(axis), *extents, "{equation} {axis}");
    }
    net.prunes();
}

#[test]
fn sums_by_letters() {
    let cases: [(&str, &str, &str, Free); 7] = [
        (
            "ij,jk->ik",
            "[6, 4]",
            "[4, 5]",
            &[("a:0", &[6]), ("a:1", &[4]), ("b:1", &[5])],
        ),
        ("ij,jk", "[6, 4]", "[4, 5]", &[("a:1", &[4])]),
        (
            "bij,bj->bi",
            "[3, 6, 4]",
            "[3, 4]",
            &[("a:0", &[3]), ("b:1", &[4])],
        ),
        (
            "...ij,...jk->...ik",
            "[2, 3, 6, 4]",
            "[3, 4, 5]",
            &[("a:0", &[2]), ("b:0", &[3])],
        ),
        ("...i,i...->...", "[3, 6]", "[6, 1]", &[("a:1", &[6])]),
        ("ii,i->i", "[6, 6]", "[6]", &[("a:0", &[6]), ("b:0", &[6])]),
        ("i,j->ji", "[6]", "[4]", &[("a:0", &[6]), ("b:0", &[4])]),
    ];
    all(&cases, |(equation, a, b, free)| {
        einsum(equation, a, b, free)
    });
}
