//! Quantized networks: what is free is removed at random, and proved; scales of channels shrink with them.
use super::{all, image};
use crate::common::Net;

/// Scales and zero points that are one for all.
const ONE: &str = "const @s : f32[] = 0.05\nconst @z : u8[] = 131\nconst @t : f32[1] = [0.11]\nconst @u : u8[1] = [117]
const @i : i8[] = 3";
/// What makes integers of `%x`.
const QUANTIZE: &str = "%q = quantize(%x, @s, @z)";

/// `body` makes `%r : u8` of `%q : u8[2, 12, 7, 5]`.
fn quantized(params: &str, body: &str, channels: usize, free: &[usize]) {
    let body = format!("{QUANTIZE}\n{body}\n%y = dequantize(%r, @t, @u)");
    image(&format!("{ONE}\n{params}"), &body, channels, free);
}

#[test]
fn convolutions_of_integers() {
    let cases: &[(&str, &str, usize, &[usize])] = &[
        (
            "param @w : i8[6, 12, 3, 3]\nparam @ws : f32[6]\nparam @wz : i8[6]\nparam @b : i32[6]",
            "%r = qlinear_conv(%q, @s, @z, @w, @ws, @wz, @t, @u, @b) {pad = [1, 1, 1, 1]}",
            6,
            &[12],
        ),
        (
            "param @w : i8[12, 1, 3, 3]\nparam @ws : f32[12]\nparam @wz : i8[12]",
            "%r = qlinear_conv(%q, @s, @z, @w, @ws, @wz, @t, @u) {groups = 12, stride = [2, 1]}",
            12,
            &[12],
        ),
        (
            "param @w : u8[8, 3, 2, 2]\nparam @ws : f32[1]",
            "%r = qlinear_conv(%q, @s, @z, @w, @ws, @z, @t, @u) {groups = 4}",
            8,
            &[4, 3],
        ),
        (
            "param @w : i8[6, 12, 3, 3]\nparam @wz : i8[6]\nparam @f : f32[6, 1, 1]",
            "%c = conv_integer(%q, @w, @z, @wz)\n%d = cast(%c) {to = f32}\n%e = mul(%d, @f)\n%r = quantize(%e, @t, @u)",
            6,
            &[12],
        ),
        (
            "param @w : u8[6, 12, 1, 1]\nparam @f : f32[6, 1, 1]",
            "%c = conv_integer(%q, @w)\n%d = cast(%c) {to = f32}\n%e = mul(%d, @f)\n%r = quantize(%e, @t, @u)",
            6,
            &[12],
        ),
    ];
    all(cases, |(params, body, channels, free)| {
        quantized(params, body, channels, free)
    });
}

#[test]
fn functions_between_scales() {
    let cases = [
        "%r = qlinear_add(%q, @s, @z, %q, @s, @z, @t, @u)",
        "%r = qlinear_mul(%q, @s, @z, @m, @t, _, @t, @u)",
        "%r = qlinear_sigmoid(%q, @s, @z, @t, @u)",
        "%r = qlinear_leaky_relu(%q, @s, @z, @t, @u) {alpha = 0.2}",
        "%r = qlinear_average_pool(%q, @s, @z, @t, @u) {kernel = [2, 3], pad = [1, 1, 0, 1]}",
        "%r = qlinear_global_average_pool(%q, @s, @z, @t, @u)",
        "%r = qlinear_softmax(%q, @s, @z, @t, @u) {axis = 3, opset = 13}",
    ];
    all(&cases, |body| {
        quantized("param @m : u8[12, 1, 1]", body, 12, &[12])
    });
    // No integer is minus infinity, so no position can be left out of a sum.
    for axis in ["axis = 1, opset = 13", "axis = 1, opset = 11"] {
        let body = format!("%r = qlinear_softmax(%q, @s, @z, @t, @u) {{{axis}}}");
        quantized("", &body, 12, &[]);
    }
    quantized(
        "",
        "%p = qlinear_sigmoid(%q, @s, @z, @t, @u)
%r = qlinear_concat(@t, @u, %q, @s, @z, %p, @t, @u) {axis = 1}",
        24,
        &[12],
    );
}

#[test]
fn products_of_integers() {
    let cases: &[(&str, &str)] = &[
        (
            "param @w : i8[6, 5]\nparam @ws : f32[5]\nparam @wz : i8[5]",
            "%r = qlinear_matmul(%q, @s, @z, @w, @ws, @wz, @t, @u)\n%y = dequantize(%r, @t, @u)",
        ),
        (
            "param @w : i8[6, 5]\nparam @wz : i8[5]\nparam @qz : u8[4]",
            "%c = matmul_integer(%q, @w, @qz, @wz)\n%y = cast(%c) {to = f32}",
        ),
        (
            "param @w : u8[6, 5]",
            "%c = matmul_integer(%q, @w)\n%y = cast(%c) {to = f32}",
        ),
        (
            "param @w : u8[6, 5]\nparam @ws : f32[5]\nparam @b : f32[5]",
            "%d, %ds, %dz = dynamic_quantize(%x)
%y = matmul_integer_to_float(%d, @w, %ds, @ws, %dz, @z, @b)",
        ),
        (
            "param @w : i8[6, 5]\nparam @ws : f32[5]\nparam @wz : i8[5]\nparam @b : f32[5]",
            "%y = dynamic_quantize_matmul(%x, @w, @ws, @wz, @b)",
        ),
        (
            "param @w : i8[5, 6]\nparam @ws : f32[5]\nparam @wz : i8[5]\nparam @c : i32[5]",
            "%y = qgemm(%q, @s, @z, @w, @ws, @wz, @c) {alpha = 0.5, trans_b = true}",
        ),
        (
            "param @w : i8[6, 5]\nparam @c : i32[1, 5]",
            "%r = qgemm(%q, @s, @z, @w, @t, @i, @c, @t, @u)\n%y = dequantize(%r, @t, @u)",
        ),
    ];
    all(cases, |(params, body)| {
        let text = format!(
            "param @a : f32[3, 6]\nparam @e : f32[5, 2]\n{ONE}\n{params}\ninput %in : f32[4, 3]
%x = matmul(%in, @a)\n{QUANTIZE}\n{body}\n%end = matmul(%y, @e)\noutput %end"
        );
        let net = Net::new(&text);
        assert_eq!(net.free("a:1"), [6], "{body}");
        assert_eq!(net.free("e:0"), [5], "{body}");
        net.prunes();
    });
}

#[test]
fn products_with_packed_blocks() {
    // Blocks of 8 columns go as a whole, and with zeros that are packed into bytes, two at a time.
    let cases: &[(&str, &str, &[usize])] = &[
        ("param @s : f32[32, 4]", "", &[4]),
        ("param @s : f32[128]\nparam @z : u8[64]", ", @z", &[2]),
        ("param @s : f32[32, 4]\nparam @z : f32[32, 4]", ", @z", &[4]),
        (
            "param @s : f32[32, 4]\nparam @z : u8[32, 2]\nparam @b : f32[32]",
            ", @z, _, @b",
            &[2],
        ),
        (
            "param @s : f32[32, 4]\nparam @b : f32[32]",
            ", _, _, @b",
            &[4],
        ),
    ];
    all(cases, |(params, more, free)| {
        let text = format!(
            "param @a : f32[3, 32]\nparam @w : u8[32, 4, 4]\n{params}\nparam @e : u8[2, 4, 8]
param @f : f32[8]\ninput %in : f32[4, 3]\n%x = matmul(%in, @a)
%y = matmul_blocks(%x, @w, @s{more}) {{k = 32, n = 32, bits = 4, block = 8}}
%end = matmul_blocks(%y, @e, @f) {{k = 32, n = 2, bits = 8, block = 8}}\noutput %end"
        );
        let net = Net::new(&text);
        assert_eq!(net.free("w:1"), *free, "{more}");
        assert_eq!(net.free("w:0"), [4], "{more}");
        net.prunes();
    });
    let odd = "param @w : u8[3, 2, 4]\nparam @s : f32[6]\ninput %x : f32[2, 13]
%y = matmul_blocks(%x, @w, @s) {k = 13, n = 3, bits = 4, block = 8}\noutput %y";
    assert_eq!(Net::new(odd).free("w:1"), [0; 0]);
}

#[test]
fn weights_of_four_bits_in_blocks() {
    // Whole blocks go, with their scales and zeros; what does not fill its last block stays.
    let cases: &[(&str, &str, &[usize])] = &[
        ("param @s : f32[4, 12]", "", &[4]),
        ("param @s : f32[4, 12]\nparam @z : i4[4, 12]", ", @z", &[4]),
        ("param @s : f32[5, 12]", "", &[]),
    ];
    all(cases, |(params, more, free)| {
        let block = if params.contains("[4") { 8 } else { 7 };
        let text = format!(
            "param @a : f32[3, 32]\nparam @w : i4[32, 12]\n{params}\nparam @e : f32[12, 2]
input %in : f32[4, 3]\n%x = matmul(%in, @a)\n%d = dequantize(@w, @s{more}) {{axis = 0, block_size = {block}}}
%y = matmul(%x, %d)\n%end = matmul(%y, @e)\noutput %end"
        );
        let net = Net::new(&text);
        assert_eq!(net.free("w:0"), *free, "{params}");
        assert_eq!(net.free("w:1"), [12], "{params}");
        net.prunes();
    });
}

#[test]
fn tables_with_packed_blocks() {
    let cases: &[(&str, &str, &[usize])] = &[("", "", &[6]), ("param @z : u8[7, 3]", ", @z", &[3])];
    all(cases, |(params, more, free)| {
        let text = format!(
            "param @t : u8[7, 24]\nparam @s : f32[7, 6]\n{params}\nparam @a : f32[48, 5]
input %in : i64[2, 3]\n%x = gather_blocks(@t, %in, @s{more}) {{bits = 4, block = 8}}
%end = matmul(%x, @a)\noutput %end"
        );
        let net = Net::new(&text);
        for axis in ["a:0", "t:1", "s:1"] {
            assert_eq!(net.free(axis), *free, "{axis} {more}");
        }
        net.prunes();
    });
}
