//! Couplings that Torch-Pruning 1.6 gets silently wrong, or crashes on: here each is found, pruned at random and proved.
//!
//! `free` is what must be free: an axis of a param, and the extents of the atoms of it that can lose positions.
mod common;
use common::Net;

fn couples(free: &[(&str, &[usize])], text: &str) {
    let net = Net::new(text);
    for (axis, extents) in free {
        assert_eq!(net.free(axis), *extents, "{axis}");
    }
    net.prunes();
}

#[test]
fn nhwc_flatten() {
    couples(
        &[("c.weight:0", &[6]), ("fc.weight:1", &[6])],
        r#"
param @c.weight : f32[6, 3, 3, 3]
param @fc.weight : f32[4, 96]
input %x : f32[1, 3, 6, 6]
%0 = conv(%x, @c.weight)
%1 = transpose(%0) {perm = [0, 2, 3, 1]}
%2 = flatten(%1) {axis = 1}
%y = linear(%2, @fc.weight) {trans_b = true}
output %y"#,
    );
}

#[test]
fn channel_shuffle() {
    couples(
        &[("a.weight:0", &[2, 4]), ("b.weight:1", &[4, 2])],
        r#"
param @a.weight : f32[8, 3, 1, 1]
param @b.weight : f32[5, 8, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = reshape(%0) : f32[1, 2, 4, 4, 4]
%2 = transpose(%1) {perm = [0, 2, 1, 3, 4]}
%3 = reshape(%2) : f32[1, 8, 4, 4]
%y = conv(%3, @b.weight)
output %y"#,
    );
}

#[test]
fn flip() {
    // Position i and position 5 - i meet in the sum, and go together.
    couples(
        &[("a.weight:0", &[])],
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @b.weight : f32[5, 6, 1, 1]
const @back : i64[6] = [5, 4, 3, 2, 1, 0]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = gather(%0, @back) {axis = 1}
%2 = add(%0, %1)
%y = conv(%2, @b.weight)
output %y"#,
    );
    // Alone, each may go, as long as one stays.
    Net::new(
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @b.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = slice(%0) {axes = [1], starts = [5], ends = [-9223372036854775807], steps = [-1]}
%y = conv(%1, @b.weight)
output %y"#,
    )
    .prunes();
}

#[test]
fn roll() {
    couples(
        &[("a.weight:0", &[2, 4]), ("b.weight:1", &[4, 2])],
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @b.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%front = slice(%0) {axes = [1], starts = [0], ends = [2]}
%back = slice(%0) {axes = [1], starts = [2], ends = [6]}
%1 = concat(%back, %front) {axis = 1}
%y = conv(%1, @b.weight)
output %y"#,
    );
}

#[test]
fn stack_and_flatten() {
    couples(
        &[
            ("a.weight:0", &[4]),
            ("b.weight:0", &[4]),
            ("c.weight:1", &[4]),
        ],
        r#"
param @a.weight : f32[4, 3, 1, 1]
param @b.weight : f32[4, 3, 1, 1]
param @c.weight : f32[5, 8, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = conv(%x, @b.weight)
%2 = unsqueeze(%0) {axes = [1]}
%3 = unsqueeze(%1) {axes = [1]}
%4 = concat(%2, %3) {axis = 1}
%5 = reshape(%4) : f32[1, 8, 4, 4]
%y = conv(%5, @c.weight)
output %y"#,
    );
}

#[test]
fn grouped_convolution() {
    couples(
        &[
            ("a.weight:0", &[2, 4]),
            ("g.weight:0", &[2, 3]),
            ("g.weight:1", &[4]),
            ("b.weight:1", &[2, 3]),
        ],
        r#"
param @a.weight : f32[8, 3, 1, 1]
param @g.weight : f32[6, 4, 3, 3]
param @g.bias : f32[6]
param @b.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = relu(%0)
%2 = conv(%1, @g.weight, @g.bias) {groups = 2}
%y = conv(%2, @b.weight)
output %y"#,
    );
}

#[test]
fn depthwise_with_multiplier_and_more_groups_than_inputs() {
    couples(
        &[
            ("a.weight:0", &[4]),
            ("d.weight:0", &[4, 2]),
            ("b.weight:1", &[4, 2]),
        ],
        r#"
param @a.weight : f32[4, 3, 1, 1]
param @d.weight : f32[8, 1, 3, 3]
param @b.weight : f32[5, 8, 1, 1]
input %x : f32[1, 3, 6, 6]
%0 = conv(%x, @a.weight)
%1 = conv(%0, @d.weight) {groups = 4}
%y = conv(%1, @b.weight)
output %y"#,
    );
    // Half as many channels out as in.
    couples(
        &[
            ("a.weight:0", &[4, 2]),
            ("g.weight:1", &[2]),
            ("b.weight:1", &[4]),
        ],
        r#"
param @a.weight : f32[8, 3, 1, 1]
param @g.weight : f32[4, 2, 1, 1]
param @b.weight : f32[5, 4, 1, 1]
input %x : f32[1, 3, 6, 6]
%0 = conv(%x, @a.weight)
%1 = conv(%0, @g.weight) {groups = 4}
%y = conv(%1, @b.weight)
output %y"#,
    );
}

#[test]
fn transposed_convolution_in_groups_and_depthwise() {
    couples(
        &[
            ("a.weight:0", &[2, 3]),
            ("t.weight:0", &[2, 3]),
            ("t.weight:1", &[4]),
            ("b.weight:1", &[2, 4]),
        ],
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @t.weight : f32[6, 4, 2, 2]
param @b.weight : f32[5, 8, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = conv_transpose(%0, @t.weight) {groups = 2, stride = [2, 2]}
%y = conv(%1, @b.weight)
output %y"#,
    );
    couples(
        &[("a.weight:0", &[6])],
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @t.weight : f32[6, 1, 2, 2]
param @b.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = conv_transpose(%0, @t.weight) {groups = 6, stride = [2, 2]}
%y = conv(%1, @b.weight)
output %y"#,
    );
}

#[test]
fn pixel_shuffle_and_unshuffle() {
    for mode in ["dcr", "crd"] {
        couples(
            &[("a.weight:0", &[3]), ("b.weight:1", &[3])],
            &r#"
param @a.weight : f32[12, 3, 1, 1]
param @b.weight : f32[5, 3, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = depth_to_space(%0) {block = 2, mode = "MODE"}
%y = conv(%1, @b.weight)
output %y"#
                .replace("MODE", mode),
        );
    }
    couples(
        &[("a.weight:0", &[3]), ("b.weight:1", &[3])],
        r#"
param @a.weight : f32[3, 3, 1, 1]
param @b.weight : f32[5, 12, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = space_to_depth(%0) {block = 2}
%y = conv(%1, @b.weight)
output %y"#,
    );
    // As views: reshape, transpose, reshape.
    couples(
        &[("a.weight:0", &[3]), ("b.weight:1", &[3])],
        r#"
param @a.weight : f32[12, 3, 1, 1]
param @b.weight : f32[5, 3, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = reshape(%0) : f32[1, 3, 2, 2, 4, 4]
%2 = transpose(%1) {perm = [0, 1, 4, 2, 5, 3]}
%3 = reshape(%2) : f32[1, 3, 8, 8]
%y = conv(%3, @b.weight)
output %y"#,
    );
}

#[test]
fn tokens_concatenated_along_features() {
    couples(
        &[
            ("a.weight:1", &[6]),
            ("b.weight:1", &[4]),
            ("c.weight:0", &[6, 4]),
        ],
        r#"
dim N = ?, T = ?
param @a.weight : f32[3, 6]
param @b.weight : f32[3, 4]
param @c.weight : f32[10, 5]
input %x : f32[N, T, 3]
%0 = matmul(%x, @a.weight)
%1 = matmul(%x, @b.weight)
%2 = concat(%0, %1) {axis = 2}
%y = matmul(%2, @c.weight)
output %y"#,
    );
}

#[test]
fn splits_and_slices_by_literal_sizes() {
    couples(
        &[
            ("a.weight:0", &[4, 6]),
            ("b.weight:1", &[4]),
            ("c.weight:1", &[6]),
        ],
        r#"
param @a.weight : f32[10, 3, 1, 1]
param @b.weight : f32[5, 4, 1, 1]
param @c.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1, %2 = split(%0) {axis = 1, sizes = [4, 6]}
%3 = conv(%1, @b.weight)
%4 = conv(%2, @c.weight)
%y = add(%3, %4)
output %y"#,
    );
    couples(
        &[("b.weight:1", &[4])],
        r#"
param @a.weight : f32[10, 3, 1, 1]
param @b.weight : f32[5, 4, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = slice(%0) {axes = [1], starts = [0], ends = [4]}
%y = conv(%1, @b.weight)
output %y"#,
    );
    // Every second channel.
    couples(
        &[("b.weight:1", &[5])],
        r#"
param @a.weight : f32[10, 3, 1, 1]
param @b.weight : f32[5, 5, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = slice(%0) {axes = [1], starts = [0], ends = [10], steps = [2]}
%y = conv(%1, @b.weight)
output %y"#,
    );
}

#[test]
fn chosen_and_repeated_channels() {
    let net = Net::new(
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @b.weight : f32[5, 5, 1, 1]
const @some : i64[5] = [4, 0, 1, 2, 0]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = gather(%0, @some) {axis = 1}
%y = conv(%1, @b.weight)
output %y"#,
    );
    assert!(!net.free("a.weight:0").is_empty());
    net.prunes();
    couples(
        &[("a.weight:0", &[4]), ("b.weight:1", &[2, 4])],
        r#"
param @a.weight : f32[4, 3, 1, 1]
param @b.weight : f32[5, 8, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = tile(%0) {repeats = [1, 2, 1, 1]}
%y = conv(%1, @b.weight)
output %y"#,
    );
    // Each channel twice, one behind the other.
    couples(
        &[("a.weight:0", &[4]), ("b.weight:1", &[4, 2])],
        r#"
param @a.weight : f32[4, 3, 1, 1]
param @b.weight : f32[5, 8, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = unsqueeze(%0) {axes = [2]}
%2 = tile(%1) {repeats = [1, 1, 2, 1, 1]}
%3 = reshape(%2) : f32[1, 8, 4, 4]
%y = conv(%3, @b.weight)
output %y"#,
    );
}

#[test]
fn maxout() {
    couples(
        &[("a.weight:0", &[4, 2]), ("b.weight:1", &[4])],
        r#"
param @a.weight : f32[8, 3, 1, 1]
param @b.weight : f32[5, 4, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = reshape(%0) : f32[1, 4, 2, 4, 4]
%2 = reduce_max(%1) {axes = [2], keep_dims = false}
%y = conv(%2, @b.weight)
output %y"#,
    );
}

#[test]
fn params_without_a_layer() {
    couples(
        &[("a.weight:1", &[6]), ("p:0", &[6]), ("p:1", &[8])],
        r#"
param @a.weight : f32[3, 6]
param @p : f32[6, 8]
param @q : f32[8, 5]
input %x : f32[2, 3]
%0 = matmul(%x, @a.weight)
%1 = matmul(%0, @p)
%y = matmul(%1, @q)
output %y"#,
    );
    // A position embedding of every channel and place.
    couples(
        &[("a.weight:0", &[6]), ("position:1", &[6])],
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @position : f32[1, 6, 4, 4]
param @b.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = add(%0, @position)
%y = conv(%1, @b.weight)
output %y"#,
    );
}

#[test]
fn norms() {
    couples(
        &[("a.weight:1", &[6]), ("n:0", &[6])],
        r#"
dim N = ?, T = ?
param @a.weight : f32[3, 6]
param @n : f32[6]
param @b.weight : f32[6, 5]
input %x : f32[N, T, 3]
%0 = matmul(%x, @a.weight)
%1 = rms_norm(%0, @n) {axis = -1, epsilon = 1e-5}
%y = matmul(%1, @b.weight)
output %y"#,
    );
    couples(
        &[("a.weight:0", &[6]), ("s:0", &[6])],
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @s : f32[6]
param @t : f32[6]
param @b.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = instance_norm(%0, @s, @t) {epsilon = 1e-5}
%y = conv(%1, @b.weight)
output %y"#,
    );
    couples(
        &[("a.weight:1", &[6]), ("s:0", &[6])],
        r#"
param @a.weight : f32[3, 6]
param @s : f32[6]
param @t : f32[6]
param @b.weight : f32[6, 5]
input %x : f32[2, 7, 3]
%0 = matmul(%x, @a.weight)
%1, %2, %3 = layer_norm(%0, @s, @t) {axis = -1, epsilon = 1e-5}
%4 = mul(%1, %2)
%y = matmul(%4, @b.weight)
output %y"#,
    );
    couples(
        &[("a.weight:0", &[12])],
        r#"
param @a.weight : f32[12, 3, 1, 1]
param @b.weight : f32[5, 12, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = mean_variance_norm(%0) {axes = [0, 1, 2, 3]}
%2 = lp_norm(%1) {axis = 1, p = 2}
%y = conv(%2, @b.weight)
output %y"#,
    );
}

#[test]
fn group_norm_beside_a_grouped_convolution_of_other_groups() {
    couples(
        &[("a.weight:0", &[4, 3])],
        r#"
param @a.weight : f32[12, 3, 1, 1]
param @s : f32[12]
param @t : f32[12]
param @b.weight : f32[5, 12, 1, 1]
input %x : f32[2, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = group_norm(%0, @s, @t) {groups = 4, epsilon = 1e-5}
%y = conv(%1, @b.weight)
output %y"#,
    );
    // Four groups and two: each pair of the four is one of the two.
    couples(
        &[("a.weight:0", &[2, 2, 3])],
        r#"
param @a.weight : f32[12, 3, 1, 1]
param @s : f32[12]
param @t : f32[12]
param @g.weight : f32[4, 6, 1, 1]
param @b.weight : f32[5, 4, 1, 1]
input %x : f32[2, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = group_norm(%0, @s, @t) {groups = 4, epsilon = 1e-5}
%2 = conv(%1, @g.weight) {groups = 2}
%y = conv(%2, @b.weight)
output %y"#,
    );
    // Through a reshape, as older exporters write it.
    couples(
        &[("a.weight:0", &[4, 3])],
        r#"
param @a.weight : f32[12, 3, 1, 1]
param @ones : f32[4]
param @zeros : f32[4]
param @b.weight : f32[5, 12, 1, 1]
input %x : f32[2, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = reshape(%0) : f32[2, 4, 48]
%2 = instance_norm(%1, @ones, @zeros) {epsilon = 1e-5}
%3 = reshape(%2) : f32[2, 12, 4, 4]
%y = conv(%3, @b.weight)
output %y"#,
    );
}

#[test]
fn bilinear() {
    couples(
        &[("a.weight:1", &[4]), ("b.weight:1", &[6]), ("w:0", &[5])],
        r#"
param @a.weight : f32[3, 4]
param @b.weight : f32[3, 6]
param @w : f32[5, 4, 6]
param @c.weight : f32[5, 2]
input %x : f32[2, 3]
%0 = matmul(%x, @a.weight)
%1 = matmul(%x, @b.weight)
%2 = einsum(%0, @w, %1) {equation = "bi,kij,bj->bk"}
%y = matmul(%2, @c.weight)
output %y"#,
    );
}

#[test]
fn the_input_of_the_model_in_a_residual() {
    let net = Net::new(
        r#"
param @a.weight : f32[3, 3, 1, 1]
param @b.weight : f32[5, 3, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = add(%0, %x)
%y = conv(%1, @b.weight)
output %y"#,
    );
    assert!(net.free("a.weight:0").is_empty());
}

#[test]
fn attention_heads_and_their_dims_apart() {
    // Heads of 3, of which no ratio makes the others' number: the dims of a head go, or whole heads.
    couples(
        &[
            ("q.weight:1", &[2, 3]),
            ("v.weight:1", &[2, 3]),
            ("o.weight:0", &[2, 3]),
        ],
        r#"
dim N = ?, T = ?
param @q.weight : f32[5, 6]
param @k.weight : f32[5, 6]
param @v.weight : f32[5, 6]
param @o.weight : f32[6, 5]
input %x : f32[N, T, 5]
%0 = matmul(%x, @q.weight)
%1 = reshape(%0) : f32[N, T, 2, 3]
%q = transpose(%1) {perm = [0, 2, 1, 3]}
%2 = matmul(%x, @k.weight)
%3 = reshape(%2) : f32[N, T, 2, 3]
%k = transpose(%3) {perm = [0, 2, 3, 1]}
%4 = matmul(%x, @v.weight)
%5 = reshape(%4) : f32[N, T, 2, 3]
%v = transpose(%5) {perm = [0, 2, 1, 3]}
%s = matmul(%q, %k)
%p = softmax(%s) {axis = -1}
%6 = matmul(%p, %v)
%7 = transpose(%6) {perm = [0, 2, 1, 3]}
%8 = reshape(%7) : f32[N, T, 6]
%y = matmul(%8, @o.weight)
output %y"#,
    );
}

#[test]
fn grouped_query_attention_with_rotary_embedding() {
    couples(
        &[
            ("q.weight:1", &[2, 2, 2]),
            ("k.weight:1", &[2, 2]),
            ("cos:1", &[2]),
        ],
        r#"
param @q.weight : f32[5, 16]
param @k.weight : f32[5, 8]
param @v.weight : f32[5, 8]
param @o.weight : f32[16, 5]
param @cos : f32[7, 4]
param @sin : f32[7, 4]
input %x : f32[1, 7, 5]
%0 = matmul(%x, @q.weight)
%1 = reshape(%0) : f32[1, 7, 4, 4]
%2 = transpose(%1) {perm = [0, 2, 1, 3]}
%3 = slice(%2) {axes = [3], starts = [0], ends = [2]}
%4 = slice(%2) {axes = [3], starts = [2], ends = [4]}
%5 = neg(%4)
%6 = concat(%5, %3) {axis = 3}
%7 = mul(%2, @cos)
%8 = mul(%6, @sin)
%q = add(%7, %8)
%9 = matmul(%x, @k.weight)
%10 = reshape(%9) : f32[1, 7, 2, 4]
%11 = transpose(%10) {perm = [0, 2, 1, 3]}
%12 = slice(%11) {axes = [3], starts = [0], ends = [2]}
%13 = slice(%11) {axes = [3], starts = [2], ends = [4]}
%14 = neg(%13)
%15 = concat(%14, %12) {axis = 3}
%16 = mul(%11, @cos)
%17 = mul(%15, @sin)
%18 = add(%16, %17)
%19 = unsqueeze(%18) {axes = [2]}
%20 = expand(%19) : f32[1, 2, 2, 7, 4]
%21 = reshape(%20) : f32[1, 4, 7, 4]
%k = transpose(%21) {perm = [0, 1, 3, 2]}
%22 = matmul(%x, @v.weight)
%23 = reshape(%22) : f32[1, 7, 2, 4]
%24 = transpose(%23) {perm = [0, 2, 1, 3]}
%25 = unsqueeze(%24) {axes = [2]}
%26 = expand(%25) : f32[1, 2, 2, 7, 4]
%v = reshape(%26) : f32[1, 4, 7, 4]
%s = matmul(%q, %k)
%p = softmax(%s) {axis = -1}
%27 = matmul(%p, %v)
%28 = transpose(%27) {perm = [0, 2, 1, 3]}
%29 = reshape(%28) : f32[1, 7, 16]
%y = matmul(%29, @o.weight)
output %y"#,
    );
}

#[test]
fn recurrent_layers() {
    for (op, gates) in [("lstm", 4), ("gru", 3), ("rnn", 1)] {
        let text = r#"
param @a.weight : f32[3, 6]
param @w : f32[1, GATES, 6]
param @r : f32[1, GATES, 5]
param @b : f32[1, BOTH]
param @o.weight : f32[5, 2]
input %x : f32[4, 2, 3]
%0 = matmul(%x, @a.weight)
%1, %h = OP(%0, @w, @r, @b) {hidden_size = 5}
%2 = squeeze(%1) {axes = [1]}
%y = matmul(%2, @o.weight)
output %y"#;
        let text = text
            .replace("GATES", &(gates * 5).to_string())
            .replace("BOTH", &(gates * 10).to_string())
            .replace("OP", op);
        couples(
            &[("a.weight:1", &[6]), ("r:2", &[5]), ("o.weight:0", &[5])],
            &text,
        );
    }
}

#[test]
fn softmax_over_the_channels() {
    couples(
        &[("a.weight:0", &[6])],
        r#"
param @a.weight : f32[6, 3, 1, 1]
param @b.weight : f32[5, 6, 1, 1]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @a.weight)
%1 = softmax(%0) {axis = 1}
%2 = reduce_mean(%1) {axes = [1], keep_dims = true}
%3 = mul(%1, %2)
%y = conv(%3, @b.weight)
output %y"#,
    );
}

#[test]
fn attention_as_one_operator() {
    couples(
        &[
            ("q.weight:1", &[2, 2, 3]),
            ("k.weight:1", &[2, 3]),
            ("v.weight:1", &[2, 4]),
            ("o.weight:0", &[2, 2, 4]),
        ],
        r#"
dim N = ?, T = ?
param @q.weight : f32[5, 12]
param @k.weight : f32[5, 6]
param @v.weight : f32[5, 8]
param @o.weight : f32[16, 5]
input %x : f32[N, T, 5]
%q = matmul(%x, @q.weight)
%k = matmul(%x, @k.weight)
%v = matmul(%x, @v.weight)
%0 = attention(%q, %k, %v) {heads = 4, kv_heads = 2, scale = 0.5, causal = true}
%y = matmul(%0, @o.weight)
output %y"#,
    );
    // Without a stated scale the features of q and k decide it, and stay.
    couples(
        &[("q.weight:1", &[2]), ("v.weight:1", &[2, 4])],
        r#"
param @q.weight : f32[5, 6]
param @k.weight : f32[5, 6]
param @v.weight : f32[5, 8]
param @o.weight : f32[8, 5]
input %x : f32[1, 7, 5]
%q = matmul(%x, @q.weight)
%k = matmul(%x, @k.weight)
%v = matmul(%x, @v.weight)
%0 = attention(%q, %k, %v) {heads = 2, kv_heads = 2}
%y = matmul(%0, @o.weight)
output %y"#,
    );
}
