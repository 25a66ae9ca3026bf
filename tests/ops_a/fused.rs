//! What optimizers of graphs join: what is free is removed at random, and proved.
use super::{Free, all, image};
use crate::common::Net;

/// Params, a body that makes `%y : f32[2, 5, width]` of `%x : f32[2, 5, 12]`, the axes that have free atoms, and how
/// many rows the last weight takes.
type Case<'c> = (&'c str, &'c str, usize, Free);

fn tokens((params, body, width, free): Case<'_>) {
    let text = format!(
        "param @a : f32[3, 12]\nparam @e : f32[{width}, 2]\n{params}\ninput %in : f32[2, 5, 3]
%x = matmul(%in, @a)\n{body}\n%end = matmul(%y, @e)\noutput %end"
    );
    let net = Net::new(&text);
    for (axis, extents) in free {
        assert_eq!(net.free(axis), *extents, "{axis} of {body}");
    }
    net.prunes();
}

#[test]
fn activations_with_biases() {
    let cases: &[Case<'_>] = &[
        (
            "param @b : f32[12]",
            "%y = bias_gelu(%x, @b)",
            12,
            &[("a:1", &[12])],
        ),
        ("", "%y = fast_gelu(%x)", 12, &[("a:1", &[12])]),
        (
            "param @b : f32[12]",
            "%y = fast_gelu(%x, @b)",
            12,
            &[("b:0", &[12])],
        ),
        (
            "param @b : f32[12]",
            "%y = bias_split_gelu(%x, @b)",
            6,
            &[("a:1", &[6]), ("e:0", &[6])],
        ),
    ];
    all(cases, tokens);
}

#[test]
fn norms_of_sums() {
    let params =
        "param @s : f32[12]\nparam @t : f32[12]\nparam @b : f32[12]\nparam @p : f32[5, 12]";
    let cases: &[Case<'_>] = &[
        (
            params,
            "%y = skip_layer_norm(%x, %x, @s, @t, @b)",
            12,
            &[("a:1", &[12])],
        ),
        (
            params,
            "%y = skip_layer_norm(%x, @p, @s)",
            12,
            &[("p:1", &[12])],
        ),
        (
            params,
            "%n, %mean, %inverse, %sum = skip_layer_norm(%x, @p, @s, _, @b) {epsilon = 0.001}
%m = mul(%n, %inverse)\n%o = add(%m, %mean)\n%y = add(%o, %sum)",
            12,
            &[("a:1", &[12])],
        ),
        (
            params,
            "%y = skip_rms_norm(%x, %x, @s)",
            12,
            &[("a:1", &[12])],
        ),
        (
            params,
            "%n, %mean, %inverse, %sum = skip_rms_norm(%x, @p, @s, @b)\n%y = add(%n, %sum)",
            12,
            &[("a:1", &[12])],
        ),
    ];
    all(cases, tokens);
}

#[test]
fn a_sum_that_nothing_takes_is_compared() {
    let net = Net::new(
        "param @a : f32[3, 12]\nparam @g : f32[12]\nparam @e : f32[12, 2]\ninput %in : f32[2, 4, 3]
%x = matmul(%in, @a)\n%y, _, _, %sum = skip_rms_norm(%x, %x, @g)\n%end = matmul(%y, @e)\noutput %end",
    );
    assert_eq!(net.free("e:0"), [12]);
    net.prunes();
}

#[test]
fn norms_of_embeddings() {
    let tables = "param @w : f32[9, 12]\nparam @p : f32[7, 12]\nparam @g : f32[2, 12]\nparam @s : f32[12]\nparam @b : f32[12]
param @e : f32[12, 2]\nconst @ids : i64[2, 5] = [[1, 8, 0, 3, 3], [2, 2, 7, 5, 1]]
const @ones : i64[2, 5] = [[1, 1, 0, 1, 0], [0, 0, 1, 1, 0]]\ninput %in : f32[2, 5, 12]";
    let cases = [
        "%n, %m, %sum = embed_layer_norm(@ids, @ones, @w, @p, @g, @s, @b, @ones, @ids)\n%y = add(%n, %sum)",
        "%n, %m = embed_layer_norm(@ids, _, @w, @p, _, @s, @b, @ones)\n%f = cast(%m) {to = f32}
%r = reshape(%f) : f32[2, 1, 1]\n%y = mul(%n, %r)",
        "%y = embed_layer_norm(@ids, @ones, @w, @p, @g, @s, @b)",
    ];
    all(&cases, |body| {
        // Every id is below the places that there are.
        let text = format!(
            "{tables}\n{body}\n%h = matmul(%y, @e)\n%i = matmul(%in, @e2)\n%end = add(%h, %i)\noutput %end"
        );
        let text = text
            .replace("param @e :", "param @e2 : f32[12, 2]\nparam @e :")
            .replace("f32[7, 12]", "f32[9, 12]");
        let net = Net::new(&text);
        assert_eq!(net.free("e:0"), [12], "{body}");
        net.prunes();
    });
}

#[test]
fn products_and_convolutions() {
    let cases: &[Case<'_>] = &[
        (
            "param @w : f32[12, 6]",
            "%y = fused_matmul(%x, @w) {alpha = 0.5}",
            6,
            &[("a:1", &[12]), ("e:0", &[6])],
        ),
        (
            "param @w : f32[6, 12]",
            "%y = fused_matmul(%x, @w) {trans_b = true}",
            6,
            &[("a:1", &[12]), ("e:0", &[6])],
        ),
        (
            "param @w : f32[5, 6]",
            "%t = fused_matmul(%x, @w) {trans_a = true}\n%y = transpose(%t) {perm = [0, 2, 1]}",
            12,
            &[("e:0", &[12])],
        ),
        (
            "param @w : f32[12, 6]",
            "%t = transpose(%x) {perm = [1, 0, 2]}\n%y = fused_matmul(%t, @w) {batch_a = true}",
            6,
            &[("a:1", &[12]), ("e:0", &[6])],
        ),
    ];
    all(cases, tokens);
    let cases = [
        (
            "param @w : f32[6, 12, 3, 3]",
            "%y = fused_conv(%x, @w) {activation = \"Relu\"}",
            6,
            &[12][..],
        ),
        (
            "param @w : f32[12, 1, 3, 3]\nparam @o : f32[12]",
            "%y = fused_conv(%x, @w, @o, %x) {groups = 12, pad = [1, 1, 1, 1], activation = \"Clip\", activation_params = [0.0, 0.7]}",
            12,
            &[12],
        ),
    ];
    all(&cases, |(params, body, channels, free)| {
        image(params, body, channels, free)
    });
}

#[test]
fn attention_with_its_projections() {
    let cases: &[Case<'_>] = &[
        (
            "param @w : f32[12, 22]\nparam @b : f32[22]",
            "%y = packed_attention(%x, @w, @b) {heads = 2, widths = [8, 8, 6], scale = 0.5}",
            6,
            &[
                ("a:1", &[12]),
                ("e:0", &[2, 3]),
                ("w:1", &[2, 4, 2, 4, 2, 3]),
            ],
        ),
        (
            "param @w : f32[12, 18]\nconst @m : i32[2, 5] = [[1, 1, 0, 1, 1], [1, 1, 1, 1, 0]]",
            "%y = packed_attention(%x, @w, _, @m) {heads = 3, unidirectional = true, scale = 0.7}",
            6,
            &[("e:0", &[3, 2])],
        ),
        (
            "param @w : f32[12, 18]",
            "%y = packed_attention(%x, @w) {heads = 3, widths = [6, 6, 6]}",
            6,
            &[("e:0", &[3, 2]), ("w:1", &[3, 3, 3, 2])],
        ),
        (
            "param @k : f32[12, 12]\nparam @v : f32[12, 6]\nparam @b : f32[30]\nparam @s : f32[1, 3, 5, 5]",
            "%kk = matmul(%x, @k)\n%vv = matmul(%x, @v)
%y = multi_head_attention(%x, %kk, %vv, @b, _, @s) {heads = 3, scale = 0.5}",
            6,
            &[("a:1", &[3, 4]), ("e:0", &[3, 2])],
        ),
        (
            "param @k : f32[2, 3, 6, 4]\nparam @v : f32[2, 3, 6, 2]\nconst @m : i32[2] = [5, 6]",
            "%y = multi_head_attention(%x, @k, @v, _, @m) {heads = 3, scale = 0.5}",
            6,
            &[("k:1", &[3]), ("k:3", &[4]), ("e:0", &[3, 2])],
        ),
    ];
    all(cases, tokens);
}

#[test]
fn attention_of_groups() {
    let base = "const @l : i32[2] = [4, 4]\nconst @n : i32[] = 5";
    let cache = "const @l : i32[2] = [7, 7]\nconst @n : i32[] = 8\nparam @pk : f32[2, 2, 3, 2]\nparam @pv : f32[2, 2, 3, 2]";
    let keys =
        "param @k : f32[12, 4]\nparam @v : f32[12, 4]\nparam @c : f32[9, 1]\nparam @s : f32[9, 1]";
    let wide =
        "param @k : f32[12, 8]\nparam @v : f32[12, 8]\nparam @c : f32[9, 2]\nparam @s : f32[9, 2]";
    let project = "%kk = matmul(%x, @k)\n%vv = matmul(%x, @v)";
    let cases: &[(String, String, usize, Free)] = &[
        (
            format!("{base}\n{keys}"),
            format!("{project}\n%y = grouped_query_attention(%x, %kk, %vv, _, _, @l, @n) {{heads = 6, kv_heads = 2, scale = 0.8, softcap = 5.0}}"),
            12,
            &[("k:1", &[2]), ("e:0", &[2, 3])],
        ),
        (
            format!("{base}\nparam @w : f32[12, 32]\nparam @c : f32[9, 2]\nparam @s : f32[9, 2]"),
            "%q = matmul(%x, @w)\n%y = grouped_query_attention(%q, _, _, _, _, @l, @n, @c, @s) {heads = 4, kv_heads = 2, scale = 0.8, rotates = true, window = 3}".into(),
            16,
            &[("c:1", &[]), ("e:0", &[2, 2])],
        ),
        (
            format!("{cache}\n{keys}"),
            format!("{project}\n%y, %ko, %vo = grouped_query_attention(%x, %kk, %vv, @pk, @pv, @l, @n, @c, @s) {{heads = 6, kv_heads = 2, scale = 0.8, rotates = true, interleaved = true}}"),
            12,
            &[("c:1", &[]), ("e:0", &[2, 3])],
        ),
        (
            format!("{base}\n{wide}\nparam @wq : f32[12, 16]"),
            format!("{project}\n%q = matmul(%x, @wq)\n%y = grouped_query_attention(%q, %kk, %vv, _, _, @l, @n, @c, @s) {{heads = 4, kv_heads = 2, scale = 0.8, rotates = true, interleaved = true}}"),
            16,
            &[("c:1", &[]), ("e:0", &[2, 2])],
        ),
    ];
    let cases: Vec<Case<'_>> = cases
        .iter()
        .map(|(params, body, width, free)| (&params[..], &body[..], *width, *free))
        .collect();
    all(&cases, tokens);
}

#[test]
fn rotations() {
    let ids = "const @i : i64[2, 5] = [[0, 1, 2, 3, 4], [3, 4, 5, 6, 7]]";
    let cases: &[(String, &str, Free)] = &[
        (
            format!("{ids}\nparam @c : f32[8, 3]\nparam @s : f32[8, 3]"),
            "%y = rotary_embedding(%x, @c, @s, @i) {heads = 2}",
            &[("c:1", &[3]), ("a:1", &[2, 3])],
        ),
        (
            "param @c : f32[2, 5, 2]\nparam @s : f32[2, 5, 2]".into(),
            "%y = rotary_embedding(%x, @c, @s) {heads = 3, interleaved = true}",
            &[("c:2", &[2]), ("a:1", &[3, 2])],
        ),
        (
            format!("{ids}\nparam @c : f32[8, 2]\nparam @s : f32[8, 2]"),
            "%y = rotary_embedding_cached(%x, @i, @c, @s) {heads = 2, rotated = 4, scale = 2.0}",
            &[("c:1", &[2]), ("a:1", &[2, 2, 2])],
        ),
        (
            "const @i : i64[1] = [2]\nparam @c : f32[8, 3]\nparam @s : f32[8, 3]".into(),
            "%y = rotary_embedding_cached(%x, @i, @c, @s)",
            &[("c:1", &[3])],
        ),
        (
            format!("{ids}\nparam @c : f32[8, 2]\nparam @s : f32[8, 2]"),
            "%r = reshape(%x) : f32[2, 5, 3, 4]\n%t = transpose(%r) {perm = [0, 2, 1, 3]}
%u = rotary_embedding(%t, @c, @s, @i)\n%v = transpose(%u) {perm = [0, 2, 1, 3]}\n%y = reshape(%v) : f32[2, 5, 12]",
            &[("c:1", &[2]), ("a:1", &[3, 2])],
        ),
    ];
    let cases: Vec<Case<'_>> = cases
        .iter()
        .map(|(params, body, free)| (&params[..], *body, 12, *free))
        .collect();
    all(&cases, tokens);
}

#[test]
fn attention_with_lengths_windows_and_scores() {
    let base = "param @k : f32[12, 12]\nparam @v : f32[12, 6]\nconst @l : i64[2] = [5, 3]";
    let cases: &[Case<'_>] = &[
        (
            base,
            "%kk = matmul(%x, @k)\n%vv = matmul(%x, @v)
%y = attention(%x, %kk, %vv, _, _, _, @l) {heads = 3, kv_heads = 3, scale = 0.5, left_window_size = 2}",
            6,
            &[("a:1", &[3, 4]), ("e:0", &[3, 2])],
        ),
        (
            base,
            "%kk = matmul(%x, @k)\n%vv = matmul(%x, @v)
%z, %ko, %vo, %scores = attention(%x, %kk, %vv) {heads = 3, kv_heads = 3, scale = 0.5, qk_matmul_output_mode = 3}
%sum = reduce_sum(%scores) {axes = [1, 2, 3], keep_dims = true}\n%s = reshape(%sum) : f32[2, 1, 1]\n%y = mul(%z, %s)",
            6,
            &[("e:0", &[3, 2])],
        ),
    ];
    all(cases, tokens);
}
