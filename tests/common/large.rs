//! Large programs as text: a decoder of the shape of Llama's, and deep and wide networks of any number of operations.
#![allow(dead_code)] // Each user of this module needs a part of it.
use std::fmt::Write;

/// The shape of a decoder.
#[derive(Copy, Clone, Debug)]
pub struct Decoder {
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Width of a head.
    pub head: usize,
    /// Width between the two halves of the feed-forward part.
    pub hidden: usize,
    /// Rows of the table of tokens.
    pub vocabulary: usize,
    /// Most positions, which the tables of cosines and sines hold.
    pub positions: usize,
    /// Whether gate and up-projection are one weight, and query, key and value another.
    pub fused: bool,
    /// Element type of the weights.
    pub dtype: &'static str,
}

impl Decoder {
    /// 32 layers, 6.4 billion elements.
    pub const LARGE: Decoder = Decoder {
        layers: 32,
        width: 4096,
        heads: 32,
        kv_heads: 8,
        head: 128,
        hidden: 12288,
        vocabulary: 32000,
        positions: 4096,
        fused: false,
        dtype: "bf16",
    };
    /// The same in all but its extents.
    pub const SMALL: Decoder = Decoder {
        layers: 2,
        width: 16,
        heads: 4,
        kv_heads: 2,
        head: 8,
        hidden: 24,
        vocabulary: 40,
        positions: 64,
        fused: false,
        dtype: "f32",
    };

    /// The program: norms in parts, weights as `[out, in]`, rotary tables, keys and values repeated, a causal mask.
    pub fn text(&self) -> String {
        let Decoder {
            layers,
            width,
            heads,
            kv_heads,
            head,
            hidden,
            vocabulary,
            positions,
            fused,
            dtype,
        } = *self;
        let (half, rep, ty) = (head / 2, heads / kv_heads, dtype);
        let mut t = Text("model \"decoder\"\ndim N = ?, T = ?\n".into());
        t.line(format!(
            "param @model.embed_tokens.weight : {ty}[{vocabulary}, {width}]"
        ));
        for i in 0..layers {
            let p = format!("@model.layers.{i}");
            let mut param = |name: &str, shape: &[usize]| {
                t.line(format!("param {p}.{name}.weight : {ty}{shape:?}"));
            };
            param("input_layernorm", &[width]);
            if fused {
                param(
                    "self_attn.qkv_proj",
                    &[(heads + 2 * kv_heads) * head, width],
                );
            } else {
                param("self_attn.q_proj", &[heads * head, width]);
                param("self_attn.k_proj", &[kv_heads * head, width]);
                param("self_attn.v_proj", &[kv_heads * head, width]);
            }
            param("self_attn.o_proj", &[width, heads * head]);
            param("post_attention_layernorm", &[width]);
            if fused {
                param("mlp.gate_up_proj", &[2 * hidden, width]);
            } else {
                param("mlp.gate_proj", &[hidden, width]);
                param("mlp.up_proj", &[hidden, width]);
            }
            param("mlp.down_proj", &[width, hidden]);
        }
        t.line(format!("param @model.norm.weight : {ty}[{width}]"));
        t.line(format!(
            "param @lm_head.weight : {ty}[{vocabulary}, {width}]"
        ));
        t.line(format!("param @cos : {ty}[{positions}, {head}]"));
        t.line(format!("param @sin : {ty}[{positions}, {head}]"));
        t.line("const @two : f32[] = 2.0".into());
        t.line("const @epsilon : f32[] = 1e-5".into());
        t.line(format!(
            "const @scale : {ty}[] = {}",
            (head as f64).powf(-0.5)
        ));
        t.line("input %ids : i64[N, T]".into());
        t.line("input %positions : i64[1, T]".into());
        t.line(format!("input %mask : {ty}[N, 1, T, T]"));
        t.line("%x = gather(@model.embed_tokens.weight, %ids) {axis = 0}".into());
        t.line("%turn_cos = gather(@cos, %positions) {axis = 0}".into());
        t.line("%turn_sin = gather(@sin, %positions) {axis = 0}".into());
        let mut x = "x".to_string();
        for i in 0..layers {
            let (w, v) = (format!("model.layers.{i}"), format!("l{i}"));
            let n = t.norm(
                &x,
                &format!("{w}.input_layernorm"),
                &format!("{v}.n"),
                dtype,
            );
            if fused {
                t.project(&n, &format!("{w}.self_attn.qkv_proj"), &format!("{v}.qkv"));
                let sizes = [heads * head, kv_heads * head, kv_heads * head];
                t.line(format!(
                    "%{v}.q0, %{v}.k0, %{v}.v0 = split(%{v}.qkv) {{axis = -1, sizes = {sizes:?}}}"
                ));
            } else {
                for p in ["q", "k", "v"] {
                    t.project(&n, &format!("{w}.self_attn.{p}_proj"), &format!("{v}.{p}0"));
                }
            }
            for (p, heads) in [("q", heads), ("k", kv_heads), ("v", kv_heads)] {
                t.line(format!(
                    "%{v}.{p}1 = reshape(%{v}.{p}0) : {ty}[N, T, {heads}, {head}]"
                ));
                t.line(format!(
                    "%{v}.{p} = transpose(%{v}.{p}1) {{perm = [0, 2, 1, 3]}}"
                ));
            }
            for p in ["q", "k"] {
                let x = format!("{v}.{p}");
                t.line(format!(
                    "%{x}a = slice(%{x}) {{axes = [3], starts = [0], ends = [{half}]}}"
                ));
                t.line(format!(
                    "%{x}b = slice(%{x}) {{axes = [3], starts = [{half}], ends = [{head}]}}"
                ));
                t.line(format!("%{x}n = neg(%{x}b)"));
                t.line(format!("%{x}h = concat(%{x}n, %{x}a) {{axis = 3}}"));
                t.line(format!("%{x}c = mul(%{x}, %turn_cos)"));
                t.line(format!("%{x}s = mul(%{x}h, %turn_sin)"));
                t.line(format!("%{x}r = add(%{x}c, %{x}s)"));
            }
            for (p, from) in [("k", "kr"), ("v", "v")] {
                let x = format!("{v}.{p}");
                t.line(format!("%{x}u = unsqueeze(%{v}.{from}) {{axes = [2]}}"));
                t.line(format!(
                    "%{x}e = expand(%{x}u) : {ty}[N, {kv_heads}, {rep}, T, {head}]"
                ));
                t.line(format!(
                    "%{x}g = reshape(%{x}e) : {ty}[N, {heads}, T, {head}]"
                ));
            }
            t.line(format!(
                "%{v}.kt = transpose(%{v}.kg) {{perm = [0, 1, 3, 2]}}"
            ));
            t.line(format!("%{v}.s0 = matmul(%{v}.qr, %{v}.kt)"));
            t.line(format!("%{v}.s1 = mul(%{v}.s0, @scale)"));
            t.line(format!("%{v}.s2 = add(%{v}.s1, %mask)"));
            t.line(format!("%{v}.p = softmax(%{v}.s2) {{axis = -1}}"));
            t.line(format!("%{v}.a = matmul(%{v}.p, %{v}.vg)"));
            t.line(format!(
                "%{v}.at = transpose(%{v}.a) {{perm = [0, 2, 1, 3]}}"
            ));
            t.line(format!(
                "%{v}.ar = reshape(%{v}.at) : {ty}[N, T, {}]",
                heads * head
            ));
            t.project(
                &format!("{v}.ar"),
                &format!("{w}.self_attn.o_proj"),
                &format!("{v}.o"),
            );
            t.line(format!("%{v}.x = add(%{x}, %{v}.o)"));
            let m = t.norm(
                &format!("{v}.x"),
                &format!("{w}.post_attention_layernorm"),
                &format!("{v}.m"),
                dtype,
            );
            if fused {
                t.project(&m, &format!("{w}.mlp.gate_up_proj"), &format!("{v}.gu"));
                t.line(format!("%{v}.gate, %{v}.up = split(%{v}.gu) {{axis = -1, sizes = [{hidden}, {hidden}]}}"));
            } else {
                t.project(&m, &format!("{w}.mlp.gate_proj"), &format!("{v}.gate"));
                t.project(&m, &format!("{w}.mlp.up_proj"), &format!("{v}.up"));
            }
            t.line(format!("%{v}.sigma = sigmoid(%{v}.gate)"));
            t.line(format!("%{v}.silu = mul(%{v}.gate, %{v}.sigma)"));
            t.line(format!("%{v}.gated = mul(%{v}.silu, %{v}.up)"));
            t.project(
                &format!("{v}.gated"),
                &format!("{w}.mlp.down_proj"),
                &format!("{v}.down"),
            );
            t.line(format!("%{v}.y = add(%{v}.x, %{v}.down)"));
            x = format!("{v}.y");
        }
        let n = t.norm(&x, "model.norm", "n", dtype);
        t.project(&n, "lm_head", "logits");
        t.line("output %logits".into());
        t.0
    }
}

/// A chain of residual blocks of convolution, normalization, activation and sum, of at least `count` operations.
pub fn residual(count: usize) -> String {
    let blocks = count.div_ceil(6);
    let mut t = Text("model \"residual\"\ndim N = ?\n".into());
    for i in 0..blocks {
        for (k, [o, c]) in [[6, 4], [4, 6]].into_iter().enumerate() {
            t.line(format!("param @b{i}.conv{k}.weight : f32[{o}, {c}, 1, 1]"));
        }
        for name in ["scale", "bias", "mean", "var"] {
            t.line(format!("param @b{i}.bn.{name} : f32[6]"));
        }
    }
    t.line("input %image : f32[N, 4, 8, 8]".into());
    t.line("param @stem.weight : f32[4, 4, 1, 1]".into());
    t.line("%stem = conv(%image, @stem.weight)".into());
    let mut x = "stem".to_string();
    for i in 0..blocks {
        t.line(format!("%b{i}.0 = conv(%{x}, @b{i}.conv0.weight)"));
        let statistics = ["scale", "bias", "mean", "var"].map(|n| format!("@b{i}.bn.{n}"));
        t.line(format!(
            "%b{i}.1 = batch_norm(%b{i}.0, {})",
            statistics.join(", ")
        ));
        t.line(format!("%b{i}.2 = relu(%b{i}.1)"));
        t.line(format!("%b{i}.3 = conv(%b{i}.2, @b{i}.conv1.weight)"));
        t.line(format!("%b{i}.4 = add(%{x}, %b{i}.3)"));
        t.line(format!("%b{i}.5 = relu(%b{i}.4)"));
        x = format!("b{i}.5");
    }
    t.line(format!("output %{x}"));
    t.0
}

/// Stages of many parallel convolutions that are concatenated and mixed, of at least `count` operations.
pub fn concatenations(count: usize) -> String {
    const PARTS: usize = 100;
    let stages = count.div_ceil(2 * PARTS + 2);
    let mut t = Text("model \"concatenations\"\ndim N = ?\n".into());
    for i in 0..stages {
        for k in 0..PARTS {
            t.line(format!("param @s{i}.{k}.weight : f32[2, 4, 1, 1]"));
        }
        t.line(format!(
            "param @s{i}.mix.weight : f32[4, {}, 1, 1]",
            2 * PARTS
        ));
    }
    t.line("input %image : f32[N, 4, 8, 8]".into());
    let mut x = "image".to_string();
    for i in 0..stages {
        let mut parts = vec![];
        for k in 0..PARTS {
            t.line(format!("%s{i}.{k}.0 = conv(%{x}, @s{i}.{k}.weight)"));
            t.line(format!("%s{i}.{k}.1 = relu(%s{i}.{k}.0)"));
            parts.push(format!("%s{i}.{k}.1"));
        }
        t.line(format!(
            "%s{i}.all = concat({}) {{axis = 1}}",
            parts.join(", ")
        ));
        t.line(format!("%s{i}.mix = conv(%s{i}.all, @s{i}.mix.weight)"));
        x = format!("s{i}.mix");
    }
    t.line(format!("output %{x}"));
    t.0
}

/// Blocks that see what all blocks before them gave, `width` blocks a stage, of at least `count` operations.
pub fn dense(count: usize, width: usize) -> String {
    let stages = count.div_ceil(3 * width + 1);
    let mut t = Text("model \"dense\"\ndim N = ?\n".into());
    let mut body = String::new();
    let mut x = "image".to_string();
    for i in 0..stages {
        let mut parts = vec![format!("%{x}")];
        for k in 0..width {
            let p = format!("s{i}.{k}");
            t.line(format!("param @{p}.weight : f32[2, {}, 1, 1]", 4 + 2 * k));
            let all = parts.join(", ");
            let _ = writeln!(body, "%{p}.0 = concat({all}) {{axis = 1}}");
            let _ = writeln!(body, "%{p}.1 = conv(%{p}.0, @{p}.weight)");
            let _ = writeln!(body, "%{p}.2 = relu(%{p}.1)");
            parts.push(format!("%{p}.2"));
        }
        t.line(format!("param @s{i}.mix.weight : f32[4, 2, 1, 1]"));
        let _ = writeln!(
            body,
            "%s{i}.mix = conv(%s{i}.{}.2, @s{i}.mix.weight)",
            width - 1
        );
        x = format!("s{i}.mix");
    }
    t.line("input %image : f32[N, 4, 8, 8]".into());
    t.0 + &body + &format!("output %{x}\n")
}

struct Text(String);

impl Text {
    fn line(&mut self, line: String) {
        self.0.push_str(&line);
        self.0.push('\n');
    }
    /// The product with a weight that lies as `[out, in]`.
    fn project(&mut self, x: &str, weight: &str, to: &str) {
        self.line(format!(
            "%{to}.t = transpose(@{weight}.weight) {{perm = [1, 0]}}"
        ));
        self.line(format!("%{to} = matmul(%{x}, %{to}.t)"));
    }
    /// A root-mean-square norm, in f32, in parts; gives the name of its result.
    fn norm(&mut self, x: &str, weight: &str, to: &str, dtype: &str) -> String {
        self.line(format!("%{to}.0 = cast(%{x}) {{to = f32}}"));
        self.line(format!("%{to}.1 = pow(%{to}.0, @two)"));
        self.line(format!(
            "%{to}.2 = reduce_mean(%{to}.1) {{axes = [-1], keep_dims = true}}"
        ));
        self.line(format!("%{to}.3 = add(%{to}.2, @epsilon)"));
        self.line(format!("%{to}.4 = sqrt(%{to}.3)"));
        self.line(format!("%{to}.5 = reciprocal(%{to}.4)"));
        self.line(format!("%{to}.6 = mul(%{to}.0, %{to}.5)"));
        self.line(format!("%{to}.7 = cast(%{to}.6) {{to = {dtype}}}"));
        self.line(format!("%{to}.8 = mul(@{weight}.weight, %{to}.7)"));
        format!("{to}.8")
    }
}
