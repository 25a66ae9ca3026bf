//! Recurrent layers: the dimension rule they share, and their reference.
//!
//! Every gate has as many units as the hidden state: the weights' rows are `gates * hidden`, and one hidden atom goes
//! through weights, biases, peepholes, states and results. Time is a barrier: each step needs the one before.
use super::movement::wrong;
use super::table::family;
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

family! {
    /// `lstm(x, w, r, b?, lengths?, h?, c?, peepholes?)`, `gru(x, w, r, b?, lengths?, h?)` and `rnn(...)` like `gru`.
    ///
    /// `x` is `[time, batch, in]`, or `[batch, time, in]` under `layout = 1`; `activations` are names with commas in
    /// between, one list per direction.
    Recurrent { Lstm "lstm" Gru "gru" Rnn "rnn" }
}

impl Recurrent {
    /// How many gates a layer has.
    fn gates(self) -> usize {
        match self {
            Recurrent::Lstm => 4,
            Recurrent::Gru => 3,
            Recurrent::Rnn => 1,
        }
    }
    /// The activations of one direction, where none are named.
    fn activations(self) -> &'static [&'static str] {
        match self {
            Recurrent::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Recurrent::Gru => &["Sigmoid", "Tanh"],
            Recurrent::Rnn => &["Tanh"],
        }
    }
}

/// Whether the batch comes before time.
fn batch_first(attrs: &Attrs) -> bool {
    attrs.int_or("layout", 0) != 0
}

impl Operator for Recurrent {
    fn attrs(&self) -> &'static [AttrSpec] {
        &[
            ("hidden_size", Kind::Extent),
            ("direction", Kind::Str),
            ("activations", Kind::Str),
            ("activation_alpha", Kind::Floats),
            ("activation_beta", Kind::Floats),
            ("clip", Kind::Float),
            ("input_forget", Kind::Int),
            ("linear_before_reset", Kind::Int),
            ("layout", Kind::Int),
        ]
    }
    fn operands(&self) -> RangeInclusive<usize> {
        match self {
            Recurrent::Lstm => 3..=8,
            Recurrent::Gru | Recurrent::Rnn => 3..=6,
        }
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let (x, w, r) = (cx.operand(0)?, cx.operand(1)?, cx.operand(2)?);
        let gates = fixed(cx, self.gates());
        let main = match batch_first(cx.attrs) {
            false => "t n i, d (q h) i, d (q h) h -> t d n h, d n h",
            true => "n t i, d (q h) i, d (q h) h -> n t d h, n d h",
        };
        let all = cx.apply(main, &[x.axes, w.axes, r.axes], &[("q", gates)])?;
        let named = |name: &'static str| Some((name, all.get(name)?));
        let names: Vec<(&str, Dim)> = ["n", "d", "h"].into_iter().filter_map(named).collect();
        let state = match batch_first(cx.attrs) {
            false => "d n h ->",
            true => "n d h ->",
        };
        let (both, peeps) = (fixed(cx, 2 * self.gates()), fixed(cx, 3));
        let rules = ["d (q h) ->", "n ->", state, state, "d (q h) ->"];
        for (k, rule) in rules.into_iter().enumerate() {
            if let Some(operand) = cx.optional(k + 3) {
                let factor = ("q", if k == 0 { both } else { peeps });
                cx.apply(rule, &[operand.axes], &[&names[..], &[factor]].concat())?;
            }
        }
        for (name, reason) in [("t", Reason::Barrier), ("d", Reason::Index)] {
            if let Some(d) = all.get(name) {
                cx.freeze(d, reason);
            }
        }
        let directions = match cx.attrs.str_or("direction", "forward") {
            "bidirectional" => 2,
            "forward" | "reverse" => 1,
            other => return cx.wrong(format!("there is no direction `{other}`")),
        };
        if w.axes.first().and_then(|d| cx.known(*d)) != Some(directions) {
            return cx.wrong(format!("the weights are not of {directions} directions"));
        }
        cx.attr_is("hidden_size", None, all.get("h").into_iter().collect());
        cx.result(x.dtype, all.results[0].clone());
        cx.result(x.dtype, all.results[1].clone());
        if *self == Recurrent::Lstm {
            cx.result(x.dtype, all.results[1].clone());
        }
        Ok(())
    }
    fn macs(&self, view: &View<'_>) -> Extent {
        let steps = [view.extent(0, 0), view.extent(0, 1)];
        let weights = |k| view.operand(k).map_or(Extent::from(0i64), Shape::count);
        let each = weights(1).checked_add(&weights(2));
        let [a, b] = steps;
        context::product(&[a, b, each.unwrap_or(Extent::from(i64::MAX))])
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let (x, w) = (cx.operand(0)?, cx.operand(1)?);
        let (&[first, second, width], &[directions, rows, _]) = (&x.shape[..], &w.shape[..]) else {
            return wrong("the operands do not have 3 axes");
        };
        let (time, batch) = match batch_first(cx.attrs) {
            false => (first, second),
            true => (second, first),
        };
        let hidden = rows / self.gates();
        let layer = Layer::new(*self, cx, [width, hidden, directions])?;
        let lengths = match cx.optional(4) {
            Some(lengths) => lengths.to_i64()?,
            None => vec![time as i64; batch],
        };
        if lengths.len() != batch || lengths.iter().any(|n| !(0..=time as i64).contains(n)) {
            return wrong("the lengths do not fit the operand");
        }
        let size = batch * directions * hidden;
        let start = |k: usize| match cx.optional(k) {
            Some(state) => Ok::<_, EvalError>(state.to_f32()?.into_owned()),
            None => Ok(vec![0.0; size]),
        };
        let (mut h, mut c) = (start(5)?, vec![]);
        if *self == Recurrent::Lstm {
            c = start(6)?;
        }
        c.resize(size, 0.0);
        if h.len() != size {
            return wrong("the states do not fit the weights");
        }
        let xs = x.to_f32()?;
        let mut y = vec![0f32; time * size];
        let reverse = cx.attrs.str_or("direction", "forward") == "reverse";
        for d in 0..directions {
            for (n, length) in lengths.iter().enumerate() {
                // Where the state of this direction and batch lies, and one step's input and output.
                let (state, at): (usize, &dyn Fn(usize) -> (usize, usize)) =
                    match batch_first(cx.attrs) {
                        false => (d * batch + n, &|t| {
                            (t * batch + n, (t * directions + d) * batch + n)
                        }),
                        true => (n * directions + d, &|t| {
                            (n * time + t, (n * time + t) * directions + d)
                        }),
                    };
                let own = state * hidden..(state + 1) * hidden;
                for step in 0..*length as usize {
                    let back = reverse || d == 1;
                    let (from, to) = at(if back {
                        *length as usize - 1 - step
                    } else {
                        step
                    });
                    let input = &xs[from * width..(from + 1) * width];
                    layer.step(d, input, &mut h[own.clone()], &mut c[own.clone()]);
                    y[to * hidden..(to + 1) * hidden].copy_from_slice(&h[own.clone()]);
                }
            }
        }
        // A result that is not used has no shape of its own.
        let (of_y, of_state) = match batch_first(cx.attrs) {
            false => (
                [time, directions, batch, hidden],
                [directions, batch, hidden],
            ),
            true => (
                [batch, time, directions, hidden],
                [batch, directions, hidden],
            ),
        };
        let all = [(y, &of_y[..]), (h, &of_state), (c, &of_state)];
        let all = all.into_iter().zip(cx.results);
        all.map(|((values, shape), (dtype, _))| Ok(Tensor::from_f32(shape, values)?.cast(*dtype)?))
            .collect()
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.filled(&[(0, &[2], 0.0), (2, &[2], 0.0)])
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        match k {
            1 | 2 => Use::Roles(vec![Role::Other, Role::Out, Role::In]),
            3 => all_axes(view, k, Role::Bias),
            _ => all_axes(view, k, Role::Other),
        }
    }
}

/// A factor that is what it is.
fn fixed(cx: &mut Rule<'_>, n: usize) -> Dim {
    let d = cx.dims.part(n);
    cx.freeze(d, Reason::Index);
    d
}

type Activation = Box<dyn Fn(f32) -> f32>;

/// The weights of a layer, and what its gates do.
struct Layer {
    kind: Recurrent,
    width: usize,
    hidden: usize,
    w: Vec<f32>,
    r: Vec<f32>,
    bias: Vec<f32>,
    peepholes: Vec<f32>,
    activations: Vec<Activation>,
    clip: f32,
    input_forget: bool,
    linear_before_reset: bool,
}

impl Layer {
    fn new(
        kind: Recurrent,
        cx: &Eval<'_>,
        [width, hidden, directions]: [usize; 3],
    ) -> Result<Layer, EvalError> {
        let optional = |k: usize, rows: usize| match cx.optional(k) {
            Some(values) => Ok::<_, EvalError>(values.to_f32()?.into_owned()),
            None => Ok(vec![0.0; directions * rows * hidden]),
        };
        let gates = kind.gates();
        let lstm = kind == Recurrent::Lstm;
        let layer = Layer {
            kind,
            width,
            hidden,
            w: cx.operand(1)?.to_f32()?.into_owned(),
            r: cx.operand(2)?.to_f32()?.into_owned(),
            bias: optional(3, 2 * gates)?,
            peepholes: if lstm { optional(7, 3)? } else { vec![] },
            activations: activations(kind, cx.attrs, directions)?,
            clip: cx.attrs.float_or("clip", f32::INFINITY),
            input_forget: cx.attrs.int_or("input_forget", 0) != 0,
            linear_before_reset: cx.attrs.int_or("linear_before_reset", 0) != 0,
        };
        let rows = directions * gates * hidden;
        let fits = layer.w.len() == rows * width
            && layer.r.len() == rows * hidden
            && layer.bias.len() == 2 * rows
            && (!lstm || layer.peepholes.len() == directions * 3 * hidden);
        match fits {
            true => Ok(layer),
            false => wrong("the weights do not fit each other"),
        }
    }
    /// Activation `k` of direction `d`, after clipping.
    fn apply(&self, d: usize, k: usize, x: f32) -> f32 {
        let x = match self.clip.is_finite() {
            true => x.clamp(-self.clip.abs(), self.clip.abs()),
            false => x,
        };
        self.activations[d * self.kind.activations().len() + k](x)
    }
    /// One unit's sum over the input with its bias, and over the state with its bias.
    fn sums(&self, d: usize, gate: usize, j: usize, x: &[f32], h: &[f32]) -> (f32, f32) {
        let rows = self.kind.gates() * self.hidden;
        let (unit, bias) = (gate * self.hidden + j, d * 2 * rows);
        let row = d * rows + unit;
        let dot = |weights: &[f32], x: &[f32]| -> f32 {
            let row = &weights[row * x.len()..(row + 1) * x.len()];
            row.iter().zip(x).map(|(a, b)| a * b).sum()
        };
        debug_assert_eq!(x.len(), self.width);
        (
            dot(&self.w, x) + self.bias[bias + unit],
            dot(&self.r, h) + self.bias[bias + rows + unit],
        )
    }
    /// One step of direction `d` from the states `h` and `c` to the next.
    fn step(&self, d: usize, x: &[f32], h: &mut [f32], c: &mut [f32]) {
        let old = h.to_vec();
        let sum = |gate: usize, j: usize| {
            let (input, state) = self.sums(d, gate, j, x, &old);
            input + state
        };
        match self.kind {
            Recurrent::Rnn => {
                for (j, h) in h.iter_mut().enumerate() {
                    *h = self.apply(d, 0, sum(0, j));
                }
            }
            Recurrent::Gru => {
                let gate = |gate, j| self.apply(d, 0, sum(gate, j));
                let reset: Vec<f32> = (0..self.hidden).map(|j| gate(1, j)).collect();
                let seen: Vec<f32> = reset.iter().zip(&old).map(|(r, h)| r * h).collect();
                for (j, h) in h.iter_mut().enumerate() {
                    let (input, state) = match self.linear_before_reset {
                        true => self.sums(d, 2, j, x, &old),
                        false => self.sums(d, 2, j, x, &seen),
                    };
                    let factor = if self.linear_before_reset {
                        reset[j]
                    } else {
                        1.0
                    };
                    let new = self.apply(d, 1, input + factor * state);
                    let keep = gate(0, j);
                    *h = (1.0 - keep) * new + keep * old[j];
                }
            }
            Recurrent::Lstm => {
                let peep = |gate: usize, j: usize| self.peepholes[(d * 3 + gate) * self.hidden + j];
                for j in 0..self.hidden {
                    let input = self.apply(d, 0, sum(0, j) + peep(0, j) * c[j]);
                    let forget = match self.input_forget {
                        true => 1.0 - input,
                        false => self.apply(d, 0, sum(2, j) + peep(2, j) * c[j]),
                    };
                    let new = self.apply(d, 1, sum(3, j));
                    c[j] = forget * c[j] + input * new;
                    let output = self.apply(d, 0, sum(1, j) + peep(1, j) * c[j]);
                    h[j] = output * self.apply(d, 2, c[j]);
                }
            }
        }
    }
}

/// The activations of all directions. Those that take an alpha or a beta take the next one given, in order.
fn activations(
    kind: Recurrent,
    attrs: &Attrs,
    directions: usize,
) -> Result<Vec<Activation>, EvalError> {
    let text = attrs.str_or("activations", "");
    let names: Vec<&str> = match text.is_empty() {
        true => kind.activations().repeat(directions),
        false => text.split(',').map(str::trim).collect(),
    };
    if names.len() != kind.activations().len() * directions {
        return wrong(format!("there are {} activations", names.len()));
    }
    let given = |name| attrs.floats(name).unwrap_or_default().into_iter();
    let (mut alphas, mut betas) = (given("activation_alpha"), given("activation_beta"));
    let mut alpha = |default: f32| alphas.next().unwrap_or(default);
    let mut beta = |default: f32| betas.next().unwrap_or(default);
    let mut all: Vec<Activation> = vec![];
    for name in names {
        all.push(match &name.to_ascii_lowercase()[..] {
            "relu" => Box::new(|x| x.max(0.0)),
            "tanh" => Box::new(f32::tanh),
            "sigmoid" => Box::new(|x| 1.0 / (1.0 + (-x).exp())),
            "softsign" => Box::new(|x| x / (1.0 + x.abs())),
            "softplus" => Box::new(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
            "affine" => {
                let (a, b) = (alpha(1.0), beta(0.0));
                Box::new(move |x| a * x + b)
            }
            "leakyrelu" => {
                let a = alpha(0.01);
                Box::new(move |x| if x < 0.0 { a * x } else { x })
            }
            "thresholdedrelu" => {
                let a = alpha(1.0);
                Box::new(move |x| if x > a { x } else { 0.0 })
            }
            "scaledtanh" => {
                let (a, b) = (alpha(1.0), beta(1.0));
                Box::new(move |x| a * (b * x).tanh())
            }
            "hardsigmoid" => {
                let (a, b) = (alpha(0.2), beta(0.5));
                Box::new(move |x| (a * x + b).clamp(0.0, 1.0))
            }
            "elu" => {
                let a = alpha(1.0);
                Box::new(move |x| if x < 0.0 { a * x.exp_m1() } else { x })
            }
            other => return wrong(format!("there is no activation `{other}`")),
        });
    }
    Ok(all)
}
