//! The language survives what is random, large, and broken.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tpc::diag::{Diagnostic, Source};
use tpc::ir::{DimDef, Module, Node, Origin, Type};
use tpc::ops::{Attr, Attrs, Expr, Kind, Op};
use tpc::syntax::{Seeded, Weights, format, parse, print, stored};
use tpc::tensor::{DType, Extent, Tensor};

fn source(text: impl Into<String>) -> Arc<Source> {
    Arc::new(Source {
        name: "test.tir".into(),
        text: text.into(),
    })
}

/// A small generator (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) % n as u64) as usize
    }
    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
    fn text(&mut self) -> String {
        const PARTS: [&str; 24] = [
            "a",
            "Z",
            "_",
            ".",
            "0",
            "9",
            "/",
            ":",
            " ",
            "\"",
            "\\",
            "\n",
            "\t",
            "\0",
            "\r",
            "%",
            "@",
            "//",
            "é",
            "\u{301}",
            "\u{1F600}",
            "\u{7f}",
            "model",
            "'",
        ];
        let count = self.below(6);
        (0..count).map(|_| *self.pick(&PARTS)).collect()
    }
    fn float(&mut self) -> f32 {
        let bits = f32::from_bits(self.below(1 << 32) as u32);
        match bits.is_nan() {
            true => f32::NAN.copysign(bits),
            false => *self.pick(&[
                bits,
                0.0,
                -0.0,
                1.0,
                1e-5,
                f32::INFINITY,
                f32::MIN_POSITIVE,
                1e-45,
            ]),
        }
    }
    fn int(&mut self) -> i64 {
        *self.pick(&[0, 1, 2, 3, -1, -2, 64, i64::MAX, i64::MIN, 1 << 40])
    }
    /// An expression over names; run-time ones where the normal form needs them.
    fn expr(&mut self, names: &[Arc<str>], symbols: &[Arc<str>], depth: usize) -> Expr {
        let part = |random: &mut Random| random.expr(names, symbols, depth.saturating_sub(1));
        match self.below(if depth == 0 { 2 } else { 8 }) {
            0 => Expr::Num(self.below(9) as i64 - 2),
            1 | 2 => Expr::Name(self.pick(names).clone()),
            3 => Expr::Sum((0..2 + self.below(2)).map(|_| part(self)).collect()),
            4 => Expr::Product((0..2 + self.below(2)).map(|_| part(self)).collect()),
            5 => Expr::Difference(Box::new(part(self)), Box::new(part(self))),
            6 => Expr::Quotient(Box::new(part(self)), Box::new(Expr::Num(3))),
            _ => Expr::Extent(self.extent(symbols, 3)),
        }
    }
    fn extent(&mut self, symbols: &[Arc<str>], depth: usize) -> Extent {
        if depth == 0 {
            return Extent::symbol(&self.pick(symbols).clone());
        }
        let (a, b) = (
            self.extent(symbols, depth - 1),
            self.extent(symbols, depth - 1),
        );
        let n = Extent::from(self.below(7) as i64 - 3);
        let made = match self.below(5) {
            0 => a.checked_add(&b),
            1 => a.checked_mul(&n).and_then(|a| a.checked_sub(&b)),
            2 => a.checked_mul(&b),
            3 => a.floor_div(&Extent::from(2 + self.below(3))),
            _ => a.checked_add(&n),
        };
        made.unwrap_or(n)
    }
    fn attr(&mut self, kind: Kind, names: &[Arc<str>], symbols: &[Arc<str>]) -> Attr {
        let list = |random: &mut Random, kind| {
            let count = random.below(4);
            Attr::List(
                (0..count)
                    .map(|_| random.attr(kind, names, symbols))
                    .collect(),
            )
        };
        match kind {
            Kind::Bool => Attr::Bool(self.below(2) == 0),
            Kind::Int => Attr::int(self.int()),
            Kind::Float if self.below(4) == 0 => Attr::int(self.int()),
            Kind::Float => Attr::Float(self.float()),
            Kind::Str => Attr::str(&self.text()),
            Kind::DType => Attr::DType(*self.pick(&DType::ALL)),
            Kind::Bytes => Attr::Bytes((0..self.below(9)).map(|i| (i * 77) as u8).collect()),
            Kind::Extent => Attr::Expr(self.expr(names, symbols, 3)),
            Kind::Ints => list(self, Kind::Int),
            Kind::Floats => list(self, Kind::Float),
            Kind::Extents => list(self, Kind::Extent),
        }
    }
    fn tensor(&mut self) -> Tensor {
        let rank = self.below(4);
        let shape: Vec<usize> = (0..rank).map(|_| *self.pick(&[0, 1, 1, 2, 3, 5])).collect();
        let count = shape.iter().product();
        let dtype = *self.pick(&DType::ALL);
        if !dtype.is_float() {
            let values = (0..count).map(|_| self.int()).collect();
            return Tensor::from_i64(&shape, values)
                .unwrap()
                .cast(dtype)
                .unwrap();
        }
        let values = (0..count).map(|_| self.float()).collect();
        Tensor::from_f32(&shape, values)
            .unwrap()
            .cast(dtype)
            .unwrap()
    }
    /// A module that is well-formed as text; its operations need not fit each other.
    fn module(&mut self) -> Module {
        let mut module = Module::new(&self.text(), Origin::File("random".into()));
        for _ in 0..self.below(3) {
            module.meta.push((self.text().into(), self.text().into()));
        }
        let symbols: Vec<Arc<str>> = vec!["N".into(), self.text().into(), "x.0".into()];
        let mut names = symbols.clone();
        for name in &symbols {
            module.dims.insert(name.clone(), DimDef::Runtime);
        }
        for name in ["inf", "true", "f32", "model", "_"]
            .map(str::to_string)
            .into_iter()
            .chain([self.text()])
        {
            let name: Arc<str> = name.into();
            module
                .dims
                .entry(name.clone())
                .or_insert(DimDef::Fixed(self.below(90) as i64));
            names.push(name);
        }
        let term = Expr::Sum(names[3..6].iter().cloned().map(Expr::Name).collect());
        module.dims.insert("term".into(), DimDef::Term(term));
        let mut values = vec![];
        for i in 0..4 {
            let name = format!("{}{i}", self.text());
            let tensor = self.tensor();
            values.push(match i % 2 {
                0 => module.add_param(&name, tensor),
                _ => module.add_const(&name, tensor),
            });
        }
        let ty = Type {
            dtype: DType::F32,
            axes: Some(vec![Expr::name("N"), Expr::name("_")]),
        };
        let name = format!("{}input", self.text());
        values.push(module.add_value(name, Some(ty), tpc::ir::Def::Input, Default::default()));
        let all = Op::all();
        for i in 0..12 {
            let op = *self.pick(&all);
            let takes = op.operator().operands();
            let count = takes.start() + self.below((takes.end() - takes.start()).min(3) + 1);
            let operands = (0..count)
                .map(|_| (self.below(5) > 0).then(|| *self.pick(&values)))
                .collect();
            let mut attrs = Attrs::new();
            if op == Op::Opaque {
                attrs.set("type", Attr::str(&self.text()));
            }
            for (name, kind) in op.operator().attrs() {
                if self.below(2) == 0 && (*name, op) != ("type", Op::Opaque) {
                    attrs.set(name, self.attr(*kind, &names, &symbols));
                }
            }
            let node = Node {
                op,
                operands,
                results: vec![],
                attrs,
                name: (self.below(2) == 0).then(|| self.text().into()),
                meta: (0..self.below(3))
                    .map(|_| (self.text().into(), self.text().into()))
                    .collect(),
                span: Default::default(),
            };
            let results = (0..1 + self.below(2))
                .map(|k| {
                    let axes = (self.below(2) == 0)
                        .then(|| vec![Expr::Num(3), Expr::Extent(Extent::symbol("N"))]);
                    let ty = (op == Op::Opaque || self.below(2) == 0).then_some(Type {
                        dtype: DType::F32,
                        axes,
                    });
                    (self.below(4) > 0).then(|| (format!("{}{i}.{k}", self.text()).into(), ty))
                })
                .collect();
            let id = module.add_node(node, results);
            values.extend(module.node(id).results.iter().flatten());
        }
        module.outputs.push((values[values.len() - 1], None));
        module
    }
}

fn weights(module: &Module) -> HashMap<String, Tensor> {
    stored(module)
        .map(|(name, tensor)| (name.to_string(), tensor.clone()))
        .collect()
}

#[test]
fn random_modules_survive_the_text() {
    for seed in 0..400 {
        let module = Random(seed).module();
        let text = print(&module);
        let again =
            parse(&source(&text), &weights(&module)).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(text, print(&again));
        assert_eq!(text, format(&source(&text)).unwrap());
        assert_eq!(module.name, again.name);
        assert_eq!(module.meta, again.meta);
        assert_eq!(module.dims, again.dims);
        for (a, b) in module.nodes.iter().zip(&again.nodes) {
            let names = |m: &Module, all: &[Option<tpc::ir::ValueId>]| -> Vec<Option<Arc<str>>> {
                all.iter()
                    .map(|v| v.map(|v| m.value(v).name.clone()))
                    .collect()
            };
            assert_eq!(names(&module, &a.operands), names(&again, &b.operands));
            assert_eq!(names(&module, &a.results), names(&again, &b.results));
            assert_eq!((a.op, &a.name, &a.meta), (b.op, &b.name, &b.meta));
        }
        let elements = |m: &Module| -> Vec<(Arc<str>, Vec<u8>)> {
            let mut all: Vec<_> = m
                .tensors()
                .map(|(v, t)| (m.value(v).name.clone(), t.bytes().to_vec()))
                .collect();
            all.sort();
            all
        };
        assert_eq!(elements(&module), elements(&again));
    }
}

/// Refuses what would be large.
struct Small(Seeded);

impl Weights for Small {
    fn get(&self, name: &str, dtype: DType, shape: &[usize]) -> Result<Tensor, Diagnostic> {
        match shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n)) {
            Some(..=65536) => self.0.get(name, dtype, shape),
            _ => Err(Diagnostic::new("too large")),
        }
    }
}

#[test]
fn broken_texts_are_diagnostics() {
    let mut texts: Vec<String> = vec![];
    for folder in ["syntax", "fmt", "errors"] {
        for entry in std::fs::read_dir(format!("tests/filetests/{folder}")).unwrap() {
            texts.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
        }
    }
    texts.retain(|t| t.len() < 2000);
    texts.sort();
    let mut random = Random(7);
    for round in 0..6000 {
        let text = random.pick(&texts).clone();
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..1 + random.below(3) {
            if chars.is_empty() {
                break;
            }
            let at = random.below(chars.len());
            match random.below(5) {
                0 => drop(chars.remove(at)),
                1 => chars.truncate(at),
                2 => chars.insert(
                    at,
                    *random.pick(&[
                        '%', '@', '"', '\\', '(', '[', '-', '9', '.', 'é', '\0', '/', '\n', ',',
                    ]),
                ),
                3 => {
                    let other = random.below(chars.len());
                    chars.swap(at, other);
                }
                _ => {
                    let other: Vec<char> = random.pick(&texts).chars().collect();
                    let from = random.below(other.len() + 1);
                    chars.splice(
                        at..at,
                        other[from..(from + 20).min(other.len())].iter().copied(),
                    );
                }
            }
        }
        let text = source(chars.into_iter().collect::<String>());
        if let Err(mistake) = parse(&text, &Small(Seeded::new(0))) {
            assert!(!mistake.render().is_empty(), "round {round}");
        }
        if let Ok(laid_out) = format(&text) {
            let laid_out = source(laid_out);
            assert_eq!(laid_out.text, format(&laid_out).unwrap(), "{}", text.text);
            let words = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(
                words(&text.text).replace('\u{feff}', ""),
                words(&laid_out.text)
            );
        }
    }
}

#[test]
fn depth_is_bounded() {
    for text in [
        format!(
            "dim a = {}1{}",
            "(".repeat(1_000_000),
            ")".repeat(1_000_000)
        ),
        format!("dim a = {}1", "-".repeat(1_000_000)),
        format!("dim a = 1{}", " / 1".repeat(1_000_000)),
        format!("const @a : f32[1] = {}", "[".repeat(1_000_000)),
        format!("%a = relu({}", "(".repeat(1_000_000)),
    ] {
        let start = Instant::now();
        assert!(parse(&source(text.clone()), &Seeded::new(0)).is_err());
        assert!(format(&source(text)).is_err());
        assert!(start.elapsed().as_secs() < 5);
    }
    // Terms over terms grow without being deep as text.
    for step in ["x * x", "x / M", "(x / M) * (x / N)", "x + x / M * x"] {
        let lines = (1..20_000).map(|i| {
            let term = step.replace('x', &format!("d{}", i - 1));
            format!("dim d{i} = {term}\n")
        });
        let text = format!(
            "dim N = ?, M = ?, d0 = N + 1\n{}",
            lines.collect::<String>()
        );
        let mistake = parse(&source(text), &Seeded::new(0)).unwrap_err();
        assert!(mistake.message.contains("cannot be computed"), "{mistake}");
    }
    // What is allowed is read without harm.
    let deep = format!("dim a = {}1{}", "(".repeat(128), ")".repeat(128));
    let long = format!("dim b = 600{}", " - 1".repeat(512));
    let text = format!(
        "{deep}\n{long}\ndim c = 1{}\ninput %x : f32[c]\noutput %x\n",
        " + 1".repeat(100_000)
    );
    let module = parse(&source(text), &Seeded::new(0)).unwrap();
    assert_eq!(module.extents().unwrap()["b"].known(), Some(88));
    print(&module);
}

#[test]
fn weights_are_compared_with_the_text() {
    let text = source("param @conv1.weight : f32[2, 3]\noutput @conv1.weight\n");
    let of = |name: &str, dtype: DType, shape: &[usize]| -> String {
        let tensor = Seeded::new(0).get(name, dtype, shape).unwrap();
        let weights = HashMap::from([(name.to_string(), tensor)]);
        match parse(&text, &weights) {
            Ok(_) => "fine\n".into(),
            Err(mistake) => mistake.render(),
        }
    };
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let all = [
        of("conv1.weight", DType::F32, &[2, 3]),
        of("conv1.wieght", DType::F32, &[2, 3]),
        of("other", DType::F32, &[2, 3]),
        of("conv1.weight", DType::F16, &[2, 3]),
        of("conv1.weight", DType::F32, &[3, 2]),
        of("conv1.weight", DType::F32, &[6]),
    ];
    settings.bind(|| insta::assert_snapshot!("syntax__weights", all.join("\n")));
}

#[test]
fn large_texts_are_read_quickly() {
    let mut text = String::from("input %0 : f32[1, 64, 8, 8]\nparam @w : f32[64, 64, 3, 3]\n");
    let count = 100_000;
    for i in 0..count {
        let next = i + 1;
        text += &format!(
            "%{next} = conv(%{i}, @w) {{pad = [1, 1, 1, 1], name = \"/layer/{i}\"}} : f32[1, 64, 8, 8]\n"
        );
    }
    text += &format!("output %{count}\n");
    let text = source(text);
    let start = Instant::now();
    let module = parse(&text, &Seeded::new(0)).unwrap();
    let parsed = start.elapsed();
    let printed = print(&module);
    let all = start.elapsed();
    println!(
        "{count} statements: parsed in {parsed:?}, printed in {:?}",
        all - parsed
    );
    assert_eq!(printed.len(), text.text.len());
    assert!(parsed.as_secs() < 10);
}
