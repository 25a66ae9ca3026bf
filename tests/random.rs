//! Random networks, pruned by random positions and by random plans, written, read back and proved.
mod common;
use common::{Net, Random};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use tpc::diag::Source;
use tpc::prune::{Keep, Kept, Plan, groups, protect, select};
use tpc::syntax::{parse, print, stored};
use tpc::tensor::Tensor;

/// A value of the network: `[N, channels, side, side]`.
#[derive(Clone, Debug)]
struct Map {
    name: String,
    channels: usize,
    side: usize,
}

/// A network in the making.
struct Making {
    random: Random,
    params: String,
    body: String,
    names: usize,
    maps: Vec<Map>,
    used: Vec<bool>,
}

impl Making {
    /// A text of about `length` layers.
    fn network(seed: u64, length: usize) -> String {
        let mut making = Making {
            random: Random(seed),
            params: String::new(),
            body: String::new(),
            names: 0,
            maps: vec![],
            used: vec![],
        };
        making.map("image", 3, 4);
        let image = making.take();
        making.conv(&image, 1);
        for _ in 0..length {
            making.layer();
        }
        making.classify();
        let (params, body) = (making.params, making.body);
        format!("dim N = ?\ninput %image : f32[N, 3, 4, 4]\n{params}{body}")
    }

    fn map(&mut self, name: &str, channels: usize, side: usize) {
        let name = name.into();
        self.maps.push(Map {
            name,
            channels,
            side,
        });
        self.used.push(false);
    }
    /// A value to go on from: mostly the last.
    fn take(&mut self) -> Map {
        let n = self.maps.len();
        let at = match self.random.below(3) {
            0 => self.random.below(n),
            _ => n - 1,
        };
        // The image itself is read once, by the first convolution.
        let at = if n > 1 { at.max(1) } else { at };
        self.used[at] = true;
        self.maps[at].clone()
    }
    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }
    fn param(&mut self, shape: &[usize]) -> String {
        self.names += 1;
        let name = format!("p{}", self.names);
        let _ = writeln!(self.params, "param @{name} : f32{shape:?}");
        format!("@{name}")
    }
    /// A statement with one result.
    fn state(&mut self, call: &str) -> String {
        let name = self.fresh();
        let _ = writeln!(self.body, "%{name} = {call}");
        name
    }
    fn divisor(&mut self, n: usize) -> usize {
        let all: Vec<usize> = (1..=n).filter(|d| n.is_multiple_of(*d)).collect();
        all[self.random.below(all.len())]
    }
    fn conv(&mut self, x: &Map, groups: usize) {
        let out = groups * (1 + self.random.below(8 / groups.min(8)));
        let kernel = [1, 3][self.random.below(2)];
        let weight = self.param(&[out, x.channels / groups, kernel, kernel]);
        let bias = match self.random.below(2) {
            0 => String::new(),
            _ => format!(", {}", self.param(&[out])),
        };
        let pad = [kernel / 2; 4];
        let call = format!(
            "conv(%{}, {weight}{bias}) {{pad = {pad:?}, groups = {groups}}}",
            x.name
        );
        let y = self.state(&call);
        self.map(&y, out, x.side);
    }
    /// A value of the same shape.
    fn same(&mut self, x: &Map, call: &str) {
        let y = self.state(call);
        self.map(&y, x.channels, x.side);
    }

    fn layer(&mut self) {
        let x = self.take();
        let (name, c, side) = (x.name.clone(), x.channels, x.side);
        match self.random.below(19) {
            0 | 1 => self.conv(&x, 1),
            2 => {
                let groups = self.divisor(c);
                self.conv(&x, groups);
            }
            3 => {
                let weight = self.param(&[c, 1, 3, 3]);
                let call = format!("conv(%{name}, {weight}) {{pad = [1, 1, 1, 1], groups = {c}}}");
                self.same(&x, &call);
            }
            4 => {
                let all: Vec<String> = (0..4).map(|_| self.param(&[c])).collect();
                let call = format!("batch_norm(%{name}, {}) {{epsilon = 1e-3}}", all.join(", "));
                self.same(&x, &call);
            }
            5 => {
                let (scale, bias, groups) = (self.param(&[c]), self.param(&[c]), self.divisor(c));
                let attrs = format!("{{groups = {groups}, epsilon = 1e-3}}");
                self.same(&x, &format!("group_norm(%{name}, {scale}, {bias}) {attrs}"));
            }
            6 => {
                let unary = ["relu", "sigmoid", "tanh", "hard_swish", "exp"];
                let unary = unary[self.random.below(unary.len())];
                // An exponential of a sum of exponentials is not finite.
                let call = match unary {
                    "exp" => format!("exp(%{})", self.state(&format!("tanh(%{name})"))),
                    _ => format!("{unary}(%{name})"),
                };
                self.same(&x, &call);
            }
            7 | 8 => {
                let fits = |m: &Map| m.channels == c && m.side == side && m.name != name;
                let all: Vec<usize> = (1..self.maps.len())
                    .filter(|i| fits(&self.maps[*i]))
                    .collect();
                if let Some(at) = all.get(self.random.below(all.len().max(1))) {
                    self.used[*at] = true;
                    let other = self.maps[*at].name.clone();
                    let op = ["add", "sub", "mul"][self.random.below(3)];
                    self.same(&x, &format!("{op}(%{name}, %{other})"));
                }
            }
            9 | 10 => {
                let all: Vec<usize> = (1..self.maps.len())
                    .filter(|i| self.maps[*i].side == side && self.maps[*i].channels + c < 20)
                    .collect();
                if let Some(at) = all.get(self.random.below(all.len().max(1))) {
                    self.used[*at] = true;
                    let other = self.maps[*at].clone();
                    let call = format!("concat(%{name}, %{}) {{axis = 1}}", other.name);
                    let y = self.state(&call);
                    self.map(&y, c + other.channels, side);
                }
            }
            11 if c > 1 => {
                let left = 1 + self.random.below(c - 1);
                let (a, b) = (self.fresh(), self.fresh());
                let sizes = [left, c - left];
                let _ = writeln!(
                    self.body,
                    "%{a}, %{b} = split(%{name}) {{axis = 1, sizes = {sizes:?}}}"
                );
                self.map(&a, sizes[0], side);
                self.map(&b, sizes[1], side);
            }
            12 => {
                let rows = self.divisor(c);
                let inner = c / rows;
                let a = self.state(&format!(
                    "reshape(%{name}) : f32[N, {rows}, {inner}, {side}, {side}]"
                ));
                let b = self.state(&format!("transpose(%{a}) {{perm = [0, 2, 1, 3, 4]}}"));
                self.same(&x, &format!("reshape(%{b}) : f32[N, {c}, {side}, {side}]"));
            }
            13 => {
                let order: Vec<usize> = match self.random.below(2) {
                    0 => (0..c).rev().collect(),
                    _ => (0..c).map(|_| self.random.below(c)).collect(),
                };
                self.names += 1;
                let index = format!("@i{}", self.names);
                let _ = writeln!(self.params, "const {index} : i64[{c}] = {order:?}");
                self.same(&x, &format!("gather(%{name}, {index}) {{axis = 1}}"));
            }
            14 => {
                let pooled = self.state(&format!("global_average_pool(%{name})"));
                let middle = 1 + self.random.below(4);
                let (down, up) = (
                    self.param(&[middle, c, 1, 1]),
                    self.param(&[c, middle, 1, 1]),
                );
                let a = self.state(&format!("conv(%{pooled}, {down})"));
                let b = self.state(&format!("relu(%{a})"));
                let d = self.state(&format!("conv(%{b}, {up})"));
                let e = self.state(&format!("sigmoid(%{d})"));
                self.same(&x, &format!("mul(%{name}, %{e})"));
            }
            15 => {
                let a = self.state(&format!("softmax(%{name}) {{axis = 1}}"));
                let b = self.state(&format!(
                    "reduce_max(%{name}) {{axes = [1], keep_dims = true}}"
                ));
                self.same(&x, &format!("mul(%{a}, %{b})"));
            }
            16 => {
                let out = 1 + self.random.below(7);
                let weight = self.param(&[c, out]);
                let a = self.state(&format!("transpose(%{name}) {{perm = [0, 2, 3, 1]}}"));
                let b = self.state(&format!("matmul(%{a}, {weight})"));
                let y = self.state(&format!("transpose(%{b}) {{perm = [0, 3, 1, 2]}}"));
                self.map(&y, out, side);
            }
            17 => {
                let table = self.table(c, side);
                self.same(&x, &format!("add(%{name}, %{table})"));
            }
            _ => self.attention(&x),
        }
    }
    /// A table into which others are written, and from which rows are taken, at constant places of which some stand twice.
    fn table(&mut self, c: usize, side: usize) -> String {
        let (rows, columns) = (1 + self.random.below(c), 1 + self.random.below(side));
        let own: Vec<usize> = (0..rows).map(|_| self.random.below(c)).collect();
        let across: Vec<usize> = (0..columns).map(|_| self.random.below(side)).collect();
        let picked: Vec<usize> = (0..c).map(|_| self.random.below(c)).collect();
        let mut constant = |shape: &[usize], items: String| {
            self.names += 1;
            let _ = writeln!(
                self.params,
                "const @i{} : i64{shape:?} = {items}",
                self.names
            );
            format!("@i{}", self.names)
        };
        let tuple = |r: &usize| across.iter().map(|a| [*r, *a]).collect::<Vec<_>>();
        let tuples: Vec<_> = own.iter().map(tuple).collect();
        let tuples = constant(&[rows, columns, 2], format!("{tuples:?}"));
        let line: Vec<_> = own.iter().map(|r| vec![vec![*r; side]; columns]).collect();
        let line = constant(&[rows, columns, side], format!("{line:?}"));
        let elements: Vec<_> = picked.iter().map(|r| vec![vec![*r; side]; side]).collect();
        let elements = constant(&[c, side, side], format!("{elements:?}"));
        let tuple: Vec<_> = picked.iter().map(|r| [*r]).collect();
        let last = constant(&[c, 1], format!("{tuple:?}"));
        let (table, update) = (
            self.param(&[c, side, side]),
            self.param(&[rows, columns, side]),
        );
        let reduction = ["none", "add"][self.random.below(2)];
        match self.random.below(4) {
            0 => self.state(&format!(
                "scatter_nd({table}, {tuples}, {update}) {{reduction = \"{reduction}\"}}"
            )),
            1 => self.state(&format!(
                "scatter_elements({table}, {line}, {update}) {{reduction = \"{reduction}\"}}"
            )),
            2 => self.state(&format!("gather_elements({table}, {elements})")),
            _ => self.state(&format!("gather_nd({table}, {last})")),
        }
    }
    /// Places attend to places, in heads.
    fn attention(&mut self, x: &Map) {
        let (c, places) = (x.channels, x.side * x.side);
        let (heads, width, inner) = (
            1 + self.random.below(3),
            1 + self.random.below(4),
            1 + self.random.below(4),
        );
        let tokens = self.state(&format!("reshape(%{}) : f32[N, {c}, {places}]", x.name));
        let tokens = self.state(&format!("transpose(%{tokens}) {{perm = [0, 2, 1]}}"));
        let mut part = |width: usize, perm: &str| {
            let weight = self.param(&[c, heads * width]);
            let a = self.state(&format!("matmul(%{tokens}, {weight})"));
            let b = self.state(&format!(
                "reshape(%{a}) : f32[N, {places}, {heads}, {width}]"
            ));
            self.state(&format!("transpose(%{b}) {{perm = {perm}}}"))
        };
        let q = part(width, "[0, 2, 1, 3]");
        let k = part(width, "[0, 2, 3, 1]");
        let v = part(inner, "[0, 2, 1, 3]");
        let a = self.state(&format!("matmul(%{q}, %{k})"));
        let a = self.state(&format!("softmax(%{a}) {{axis = -1}}"));
        let a = self.state(&format!("matmul(%{a}, %{v})"));
        let a = self.state(&format!("transpose(%{a}) {{perm = [0, 2, 1, 3]}}"));
        let all = heads * inner;
        let a = self.state(&format!("reshape(%{a}) : f32[N, {places}, {all}]"));
        let weight = self.param(&[all, c]);
        let a = self.state(&format!("matmul(%{a}, {weight})"));
        let a = self.state(&format!("transpose(%{a}) {{perm = [0, 2, 1]}}"));
        let (name, side) = (&x.name, x.side);
        let a = self.state(&format!("reshape(%{a}) : f32[N, {c}, {side}, {side}]"));
        self.same(x, &format!("add(%{a}, %{name})"));
    }
    /// What nothing reads, and the last value, goes through a linear layer to an output: flattened, or pooled.
    fn classify(&mut self) {
        for at in 1..self.maps.len() {
            if self.used[at] && at + 1 < self.maps.len() {
                continue;
            }
            let Map {
                name,
                channels,
                side,
            } = self.maps[at].clone();
            let (pooled, columns) = match self.random.below(2) {
                0 => (name, channels * side * side),
                _ => (
                    self.state(&format!("global_average_pool(%{name})")),
                    channels,
                ),
            };
            let flat = self.state(&format!("flatten(%{pooled}) {{axis = 1}}"));
            let weight = self.param(&[2, columns]);
            let y = self.state(&format!("linear(%{flat}, {weight}) {{trans_b = true}}"));
            let _ = writeln!(self.body, "output %{y}");
        }
    }
}

/// Prunes, writes, reads back and proves; how many params went.
fn proved(net: &Net, keep: &Keep, what: &str) -> usize {
    let pruned = net.shrunk(keep);
    let weights: HashMap<String, Tensor> = stored(&pruned)
        .map(|(name, tensor)| (name.to_string(), tensor.clone()))
        .collect();
    let source = Source {
        name: "pruned.tir".into(),
        text: print(&pruned),
    };
    let back = parse(&Arc::new(source), &weights);
    let back = back.unwrap_or_else(|e| panic!("{what}: {}", e.render()));
    if let Err(e) = net.verify(keep, &back) {
        panic!("{what}: {e}\n{}\n{}", print(&net.module), print(&back));
    }
    let elements =
        |module: &tpc::ir::Module| -> usize { module.tensors().map(|(_, t)| t.len()).sum() };
    elements(&net.module) - elements(&back)
}

#[test]
fn random_positions() {
    let mut gone = 0;
    for seed in 0..400 {
        let net = Net::new(&Making::network(seed, 4 + seed as usize % 12));
        let mut random = Random(seed ^ 0x5eed);
        for round in 0..2 {
            let keep = net.keep(&mut random);
            gone += proved(&net, &keep, &format!("network {seed}, round {round}"));
        }
    }
    assert!(gone > 0);
}

#[test]
fn random_rows() {
    let mut gone = 0;
    for seed in 0..400 {
        let net = Net::new(&Making::network(seed + 3000, 4 + seed as usize % 12));
        let keep = net.rows(&mut Random(seed ^ 0xbeef));
        if keep.iter().any(|(_, kept)| matches!(kept, Kept::Rows(_))) {
            gone += proved(&net, &keep, &format!("network {seed}"));
        }
    }
    assert!(gone > 0);
}

#[test]
fn random_plans() {
    let mut gone = 0;
    for seed in 0..400 {
        let mut net = Net::new(&Making::network(seed + 1000, 4 + seed as usize % 12));
        let mut random = Random(seed ^ 0xfeed);
        let text = plan(&net, &mut random);
        let source = Source {
            name: "plan.toml".into(),
            text: text.clone(),
        };
        let read = Plan::read(&Arc::new(source)).unwrap_or_else(|e| panic!("{}", e.render()));
        protect(&net.module, &mut net.facts, &read).unwrap_or_else(|e| panic!("{}", e.render()));
        let groups = groups(&net.module, &net.facts);
        let choice = select(&net.module, &net.facts, &groups, &read);
        let choice = choice.unwrap_or_else(|e| panic!("network {seed}: {}", e.render()));
        gone += proved(&net, &choice.keep, &format!("network {seed}, plan\n{text}"));
    }
    assert!(gone > 0);
}

/// A plan for a network: a ratio, and at random a scope, a rounding, limits, a frozen param, a group by hand.
fn plan(net: &Net, random: &mut Random) -> String {
    let ratio = [0.2, 0.34, 0.5, 0.75, 0.9][random.below(5)];
    let mut text = format!("[target]\nratio = {ratio}\n[select]\n");
    let mut say = |line: &str, random: &mut Random| {
        if random.below(3) == 0 {
            text += line;
        }
    };
    say("scope = \"global\"\n", random);
    say("round_to = 2\n", random);
    say("counts = true\n", random);
    say("ragged = true\n", random);
    say("min_keep = 2\n", random);
    say("max_ratio = 0.6\n", random);
    let frozen = random.below(net.module.tensors().count());
    let frozen = net.module.tensors().nth(frozen).unwrap().0;
    let frozen = &net.module.value(frozen).name;
    say(&format!("[protect]\nfreeze = [\"{frozen}:0\"]\n"), random);
    text
}
