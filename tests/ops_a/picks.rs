//! What picks positions, or looks between them: channels are free, what is picked along is not.
use super::{all, image};

#[test]
fn channels_are_free_where_places_are_picked() {
    let cases = [
        "const @g : f32[2, 3, 2, 2] = [[[[-1.0, 0.2], [0.5, 0.5]], [[0.0, 0.0], [1.2, -0.4]], [[0.9, 0.9], [-0.3, 1.0]]], [[[0.1, 0.2], [-0.5, 0.5]], [[0.3, 0.0], [-1.2, -0.4]], [[0.4, -0.9], [0.3, 1.0]]]]
%y = grid_sample(%x, @g) {mode = \"linear\", padding_mode = \"reflection\"}",
        "const @r : f32[2, 4] = [[0.0, 0.0, 3.0, 4.0], [1.0, 2.0, 4.5, 6.0]]\nconst @i : i64[2] = [1, 0]
%y = roi_align(%x, @r, @i) {height = 2, width = 3, sampling_ratio = 2}",
        "const @r : f32[1, 4] = [[0.0, 0.0, 3.0, 4.0]]\nconst @i : i64[1] = [1]\n%z = roi_align(%x, @r, @i) {mode = \"max\"}
%y = expand(%z) : f32[2, 12, 1, 1]",
        "const @c : bool[5] = [true, false, true, true, false]\n%y = compress(%x, @c) {axis = 3} : f32[2, 12, 7, 3]",
        "%y = center_crop_pad(%x) {axes = [2, 3]} : f32[2, 12, 4, 8]",
        "const @i : i64[2] = [1, 3]\n%u = slice(%x) {axes = [2], starts = [0], ends = [3]}\n%y = tensor_scatter(%x, %u, @i) {axis = 2}",
        "%y = cumprod(%x) {axis = 3, reverse = true, exclusive = true}",
        "%y = swiglu(%x, %x) {alpha = 1.5}",
        "%y = shrink(%x) {lambda = 0.2, bias = 0.1}",
        "const @n : u8[] = 2\n%c = cast(%x) {to = u8}\n%s = bit_shift(%c, @n) {direction = \"right\"}\n%t = bit_not(%s)\n%y = cast(%t) {to = f32}",
    ];
    all(&cases, |body| image("", body, 12, &[12]));
}

#[test]
fn blocks_put_back_leave_channels() {
    let block = "%s = slice(%x) {axes = [2, 3], starts = [0, 0], ends = [2, 3]}\n%r = reshape(%s) : f32[2, 12, 6]";
    let body =
        format!("{block}\n%y = col2im(%r) {{image = [3, 4], kernel = [2, 2], stride = [1, 1]}}");
    image("", &body, 3, &[3]);
}

#[test]
fn convolutions_whose_taps_move() {
    let offset = "param @o.weight : f32[8, 12, 1, 1]\nparam @m.weight : f32[4, 12, 1, 1]";
    let taps = "%o = conv(%x, @o.weight)\n%m = conv(%x, @m.weight)";
    let cases: [(&str, &str, &[usize]); 3] = [
        ("[6, 12, 2, 2]", "pad = [1, 0, 0, 1]", &[12]),
        ("[6, 4, 2, 2]", "groups = 3, pad = [0, 1, 1, 0]", &[3, 4]),
        ("[12, 1, 2, 2]", "groups = 12, pad = [0, 1, 1, 0]", &[12]),
    ];
    all(&cases, |(weight, attrs, free)| {
        let channels = weight[1..].split(',').next().and_then(|n| n.parse().ok());
        let channels = channels.expect("a weight has output channels");
        let params = format!("{offset}\nparam @w : f32{weight}\nparam @b : f32[{channels}]");
        let body = format!("{taps}\n%y = deform_conv(%x, @w, %o, @b, %m) {{{attrs}}}");
        image(&params, &body, channels, free);
    });
}

#[test]
fn what_is_picked_along_is_frozen() {
    let cases = [
        "const @c : bool[12] = [true, true, true, true, true, true, true, true, true, true, true, true]
%y = compress(%x, @c) {axis = 1} : f32[2, 12, 7, 5]",
        "%y = center_crop_pad(%x) {axes = [1]} : f32[2, 12, 7, 5]",
        "%y = cumprod(%x) {axis = 1}",
        "%c = slice(%x) {axes = [2, 3], starts = [0, 0], ends = [6, 4]}
%p, %i = max_pool(%c) {kernel = [2, 2], stride = [2, 2]}
%y = max_unpool(%p, %i) {kernel = [2, 2], stride = [2, 2]} : f32[2, 12, 6, 4]",
    ];
    all(&cases, |body| image("", body, 12, &[]));
}
