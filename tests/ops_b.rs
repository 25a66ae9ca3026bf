//! Operators that move elements: what they compute, and that what their rules tie can be removed.
//!
//! `shrinks` removes random positions of every free atom from the params, evaluates both programs, and compares every
//! value at its kept positions: operators that only move elements are exact, so nothing needs to be masked.
use std::collections::HashMap;
use std::sync::Arc;
use tpc::diag::Source;
use tpc::dims::Dim;
use tpc::ir::{Def, DimDef, Facts, Module, NodeId, ValueId, annotate, atom_names, propagate};
use tpc::ops::{Attr, Attrs, Eval, Expr, Op};
use tpc::syntax::{Seeded, parse, print};
use tpc::tensor::{Extent, Tensor};

fn read(text: &str) -> Module {
    let source = Source {
        name: "test.tir".into(),
        text: format!("model \"test\"\n{text}\n"),
    };
    parse(&Arc::new(source), &Seeded::new(1)).unwrap_or_else(|e| panic!("{}", e.render()))
}

fn facts(module: &Module) -> Facts {
    propagate(module).unwrap_or_else(|e| panic!("{}\n{}", e.render(), print(module)))
}

/// Attributes with every expression a number.
fn numbers(attrs: &Attrs, extents: &HashMap<Arc<str>, Extent>) -> Attrs {
    fn number(attr: &Attr, extents: &HashMap<Arc<str>, Extent>) -> Attr {
        match attr {
            Attr::Expr(e) => {
                let extent = e.extent(&|name| extents.get(name).cloned()).unwrap();
                Attr::Expr(extent.known().map_or(Expr::Extent(extent), Expr::Num))
            }
            Attr::List(items) => Attr::List(items.iter().map(|i| number(i, extents)).collect()),
            other => other.clone(),
        }
    }
    attrs.iter().fold(Attrs::new(), |all, (name, attr)| {
        all.with(name, number(attr, extents))
    })
}

/// Every value of a module, run by the reference.
fn run(module: &Module, facts: &Facts) -> Vec<Tensor> {
    let extents = module.extents().unwrap();
    let mut values: Vec<Option<Tensor>> =
        module.values.iter().map(|v| v.tensor().cloned()).collect();
    for node in &module.nodes {
        let operands: Vec<Option<&Tensor>> = node
            .operands
            .iter()
            .map(|v| values[(*v)?.at()].as_ref())
            .collect();
        let results: Vec<_> = node
            .results
            .iter()
            .map(|v| {
                let shape = facts.shape(v.unwrap()).unwrap();
                let axes = shape.axes.iter().map(|e| e.known().unwrap() as usize);
                (shape.dtype, axes.collect())
            })
            .collect();
        let cx = Eval {
            attrs: &numbers(&node.attrs, &extents),
            operands: &operands,
            results: &results,
        };
        let made = node.op.operator().eval(&cx);
        let made = made.unwrap_or_else(|e| panic!("{}: {e}\n{}", node.op.name(), print(module)));
        for ((tensor, v), (dtype, shape)) in made.into_iter().zip(&node.results).zip(&results) {
            assert_eq!((tensor.dtype, &tensor.shape), (*dtype, shape));
            values[v.unwrap().at()] = Some(tensor);
        }
    }
    values.into_iter().map(Option::unwrap).collect()
}

/// The module with the atoms' other positions gone.
fn shrink(module: &Module, facts: &Facts, keep: &HashMap<Dim, Vec<usize>>) -> Module {
    let names = atom_names(module, facts);
    let mut small = annotate(module, facts);
    for (atom, kept) in keep {
        let name = &names[atom];
        assert!(small.dims.contains_key(name), "{name} is not in the table");
        small
            .dims
            .insert(name.clone(), DimDef::Fixed(kept.len() as i64));
    }
    let kept = |d: Dim| facts.dims.kept(d, &|atom| keep.get(&atom).map(|k| &k[..]));
    for (i, facts_of) in facts.nodes.iter().enumerate() {
        for (k, dim) in &facts_of.indices {
            let v = small.node(NodeId(i as u32)).operands[*k].unwrap();
            let extent = facts.dims.extent(*dim).known().unwrap();
            let Some(kept) = kept(*dim) else { continue };
            let moved = |i: &i64| {
                let from = if *i < 0 { i + extent } else { *i } as usize;
                kept.iter()
                    .position(|p| *p == from)
                    .map_or(-99, |p| p as i64)
            };
            let old = small.value(v).tensor().unwrap().clone();
            let new = old.to_i64().unwrap().iter().map(moved).collect();
            let new = Tensor::from_i64(&old.shape, new).unwrap();
            small.values[v.at()].def = Def::Const(new.cast(old.dtype).unwrap());
        }
    }
    for i in 0..module.values.len() {
        let v = ValueId(i as u32);
        let Some(tensor) = small.value(v).tensor() else {
            continue;
        };
        let places: Vec<_> = facts.axes(v).unwrap().iter().map(|d| kept(*d)).collect();
        let tensor = tensor.gather(&places).unwrap();
        small.values[i].def = match &small.values[i].def {
            Def::Param(_) => Def::Param(tensor),
            _ => Def::Const(tensor),
        };
    }
    small
}

/// The free atoms of the params, in the order of their names.
fn atoms(module: &Module, facts: &Facts) -> Vec<(String, Dim)> {
    let mut all: Vec<_> = atom_names(module, facts)
        .into_iter()
        .map(|(atom, name)| (name.to_string(), atom))
        .collect();
    all.sort();
    all
}

/// Removes positions and compares; returns the annotated text.
fn shrinks(text: &str) -> String {
    let module = read(text);
    let facts = facts(&module);
    let all = run(&module, &facts);
    let mut state = 7u64;
    let mut random = move |n: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let atoms = atoms(&module, &facts);
    for _ in 0..8 {
        let mut keep = HashMap::new();
        for (_, atom) in &atoms {
            let n = facts.dims.extent(*atom).known().unwrap() as usize;
            let mut kept: Vec<usize> = (0..n).filter(|_| random(3) > 0).collect();
            if kept.is_empty() && n > 0 {
                kept.push(random(n));
            }
            keep.insert(*atom, kept);
        }
        let small = shrink(&module, &facts, &keep);
        let again = self::facts(&small);
        let kept = |d: &Dim| facts.dims.kept(*d, &|atom| keep.get(&atom).map(|k| &k[..]));
        for (i, (big, small)) in all.iter().zip(run(&small, &again)).enumerate() {
            let v = ValueId(i as u32);
            if matches!(module.value(v).def, Def::Result(n, _)
                if matches!(module.node(n).op, Op::Reduce(_) | Op::Matmul))
                || facts.nodes.iter().enumerate().any(|(n, f)| {
                    f.indices
                        .iter()
                        .any(|(k, _)| module.nodes[n].operands[*k] == Some(v))
                })
            {
                continue;
            }
            let places: Vec<_> = facts.axes(v).unwrap().iter().map(kept).collect();
            let expected = big.gather(&places).unwrap();
            assert_eq!(
                expected.to_f64(),
                small.to_f64(),
                "{}\n{}",
                module.value(v).name,
                print(&annotate(&module, &facts))
            );
        }
    }
    print(&annotate(&module, &facts))
}

/// The last value, computed.
fn last(text: &str) -> (Vec<usize>, Vec<f64>) {
    let module = read(text);
    let values = run(&module, &facts(&module));
    let v = module.outputs.last().unwrap().0;
    (values[v.at()].shape.clone(), values[v.at()].to_f64())
}

/// A reduction at the end leaves the axes above it free.
fn moved(params: &str, body: &str) -> String {
    shrinks(&format!(
        "{params}\n{body}\n%end = reduce_sum(%y)\noutput %end"
    ))
}

#[test]
fn movement_shrinks() {
    let cases = [
        (
            "param @x : f32[6, 4, 5]",
            "%y = transpose(@x) {perm = [2, 0, 1]}",
        ),
        ("param @x : f32[6, 4]", "%y = transpose(@x)"),
        ("param @x : f32[6, 1, 4]", "%y = squeeze(@x) {axes = [-2]}"),
        (
            "param @x : f32[6, 4]",
            "%y = unsqueeze(@x) {axes = [0, -1]}",
        ),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x)"),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x) {axis = 3}"),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x) {axis = -1}"),
        ("param @x : f32[3, 4, 5]", "%y = flatten(@x) {axis = 0}"),
        // A stack: three vectors side by side, flattened.
        (
            "param @p : f32[5]\nparam @q : f32[5]",
            "%a = unsqueeze(@p) {axes = [1]}\n%b = unsqueeze(@q) {axes = [1]}\n%c = concat(%a, %b) {axis = 1}\n\
             %y = reshape(%c) : f32[10]",
        ),
        (
            "param @p : f32[5]\nparam @q : f32[5]",
            "%a = unsqueeze(@p) {axes = [0]}\n%b = unsqueeze(@q) {axes = [0]}\n%c = concat(%a, %b) {axis = 0}\n\
             %y = reshape(%c) : f32[10]",
        ),
        (
            "param @x : f32[12, 3]",
            "%a, %y, %c = split(@x) {sizes = [4, 3, 5]}",
        ),
        (
            "param @x : f32[12, 3]",
            "%a, %y, %c = split(@x) {sizes = [4, 0, 8]}",
        ),
        (
            "param @x : f32[12, 3]",
            "%a, %b = split(@x) {sizes = [6, 6]}\n%y = add(%a, %b)\n%z = mul(%a, %y)",
        ),
        (
            "param @x : f32[8, 5]",
            "%y = slice(@x) {axes = [0], starts = [2], ends = [5], steps = [1]}",
        ),
        (
            "param @x : f32[8, 5]",
            "%y = slice(@x) {starts = [2, -3], ends = [9223372036854775807, -1]}",
        ),
        (
            "param @x : f32[8, 5]",
            "%y = slice(@x) {axes = [1], starts = [0], ends = [9]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [0], ends = [8], steps = [2]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [1], ends = [8], steps = [2]}",
        ),
        (
            "param @x : f32[9]",
            "%y = slice(@x) {starts = [0], ends = [9], steps = [2]}",
        ),
        (
            "param @x : f32[11]",
            "%y = slice(@x) {starts = [4], ends = [11], steps = [3]}",
        ),
        (
            "param @x : f32[11]",
            "%y = slice(@x) {starts = [5], ends = [11], steps = [3]}",
        ),
        (
            "param @x : f32[11]",
            "%y = slice(@x) {starts = [1], ends = [3], steps = [7]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [7], ends = [-1], steps = [-1]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [-1], ends = [-9223372036854775807], steps = [-1]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [5], ends = [1], steps = [-1]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [6], ends = [0], steps = [-2]}",
        ),
        (
            "param @x : f32[8]",
            "%y = slice(@x) {starts = [6], ends = [2]}",
        ),
        // A roll.
        (
            "param @x : f32[9]",
            "%a = slice(@x) {starts = [3], ends = [9]}\n%b = slice(@x) {starts = [0], ends = [3]}\n\
             %c = concat(%a, %b) {axis = 0}\n%y = add(%c, @x)",
        ),
        // Every other position, and the others: one behind the other.
        (
            "param @x : f32[10]",
            "%a = slice(@x) {starts = [0], ends = [10], steps = [2]}\n\
             %b = slice(@x) {starts = [1], ends = [10], steps = [2]}\n%y = concat(%a, %b) {axis = 0}",
        ),
        // A flip that meets what it flips.
        (
            "param @x : f32[6]",
            "%a = slice(@x) {starts = [5], ends = [-1], steps = [-1]}\n%y = add(%a, @x)",
        ),
        ("param @x : f32[6, 4]", "%y = pad(@x) {pads = [2, 0, 3, 1]}"),
        (
            "param @x : f32[6, 4]\nconst @v : f32[] = 5.0",
            "%y = pad(@x, @v) {pads = [2, -1, -3, 1], mode = \"constant\"}",
        ),
        (
            "param @x : f32[6, 4]",
            "%y = pad(@x) {pads = [1, 0], axes = [-1]}",
        ),
        (
            "param @x : f32[6, 4]",
            "%y = pad(@x) {pads = [2, 0, 3, 0], mode = \"reflect\"}",
        ),
        (
            "param @x : f32[4]\nparam @z : f32[9]",
            "%p = pad(@x) {pads = [2, 3]}\n%y = add(%p, @z)",
        ),
        ("param @x : f32[6, 1]", "%y = expand(@x) : f32[3, 6, 4]"),
        (
            "param @x : f32[6, 1]",
            "%e = expand(@x) : f32[6, 4]\n%y = reshape(%e) : f32[24]",
        ),
        ("param @x : f32[6, 2]", "%y = tile(@x) {repeats = [3, 1]}"),
        ("param @x : f32[6, 2]", "%y = tile(@x) {repeats = [1, 4]}"),
        // Repeated key-value heads.
        (
            "param @x : f32[2, 3, 4]\nparam @q : f32[6, 4, 4]",
            "%u = unsqueeze(@x) {axes = [1]}\n%e = expand(%u) : f32[2, 3, 3, 4]\n\
             %k = reshape(%e) : f32[6, 3, 4]\n%y = matmul(%k, @q)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[] = 2",
            "%y = gather(@x, @i) {axis = 0}",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[] = -1",
            "%y = gather(@x, @i) {axis = 1}",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[3] = [1, 2, 5]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[6] = [5, 4, 3, 2, 1, 0]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[7] = [0, 1, 1, 1, -1, 4, 5]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[2, 3] = [[0, 1, 2], [3, 4, 5]]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[2, 2] = [[0, 1], [1, 0]]",
            "%y = gather(@x, @i)",
        ),
        (
            "param @x : f32[6, 4]\nconst @i : i64[1, 6] = [[0, 1, 2, 3, 4, 5]]",
            "%y = gather(@x, @i)",
        ),
        // Query, key and value of one packed projection.
        (
            "param @x : f32[3, 5, 4]\nconst @i : i64[] = 0\nconst @j : i64[] = 1",
            "%q = gather(@x, @i) {axis = 0}\n%k = gather(@x, @j) {axis = 0}\n%y = add(%q, %k)",
        ),
        (
            "param @x : f32[3, 5]\nconst @i : i64[2, 5] = [[0, 1, 2, 0, 1], [2, 1, 0, 1, 0]]",
            "%y = gather_elements(@x, @i)",
        ),
        (
            "param @x : f32[3, 5, 4]\nconst @i : i64[2, 1] = [[1], [-3]]",
            "%y = gather_nd(@x, @i)",
        ),
        (
            "param @x : f32[3, 5, 4]\nconst @i : i64[3, 1] = [[1], [4], [0]]",
            "%y = gather_nd(@x, @i) {batch_dims = 1}",
        ),
        (
            "param @x : f32[5, 4]\nconst @i : i64[2, 1] = [[1], [4]]\nparam @u : f32[2, 4]",
            "%y = scatter_nd(@x, @i, @u) {reduction = \"add\"}",
        ),
        (
            "param @x : f32[5, 4]\nconst @i : i64[2, 4] = [[1, 0, 2, 3], [4, 4, 4, 0]]\nparam @u : f32[2, 4]",
            "%y = scatter_elements(@x, @i, @u)",
        ),
        ("param @x : f32[5, 4]", "%y = arg_max(@x) {axis = 1}"),
        (
            "param @x : f32[5, 4]",
            "%y, %i = top_k(@x) {axis = 0, k = 2}",
        ),
        (
            "param @x : f32[5, 4]",
            "%y = cumsum(@x) {axis = 0, reverse = true}",
        ),
        ("param @x : f32[2, 5, 4]", "%y = trilu(@x)"),
        (
            "param @x : f32[2, 5]",
            "%c = constant_of_shape() {value = 2.5} : f32[3, 5]\n%y = concat(@x, %c) {axis = 0}",
        ),
        (
            "param @x : f32[2, 5]\nconst @l : i64[5] = [2, 1, 2, 0, 1]",
            "%y = reverse_sequence(@x, @l)",
        ),
        ("param @x : f32[2, 5]", "%y = shape_of(@x) {start = 1}"),
    ];
    let mut failed = vec![];
    let mut texts = vec![];
    for (params, body) in cases {
        match std::panic::catch_unwind(|| moved(params, body)) {
            Ok(text) => texts.push(text),
            Err(_) => failed.push(body),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("ops_b__movement", texts.join("\n"));
    });
}

/// Expectations are those of the reference evaluator that comes with ONNX.
#[test]
fn values_are_onnx() {
    #[rustfmt::skip]
    let cases: &[(&str, &[usize], &[f64])] = &[
        (r#"const @i0 : f32[2, 3, 2] = [[[7.0, 3.0], [0.0, -4.0], [-4.0, -9.0]], [[-8.0, -9.0], [-6.0, 6.0], [3.0, 8.0]]]
%o0 = transpose(@i0) {perm = [2, 0, 1]}
output %o0"#, &[2, 2, 3], &[7.0, 0.0, -4.0, -8.0, -6.0, 3.0, 3.0, -4.0, -9.0, -9.0, 6.0, 8.0]),
        (r#"const @i0 : f32[3, 5] = [[0.0, 2.0, 9.0, 4.0, 3.0], [1.0, 1.0, 8.0, -4.0, 6.0], [3.0, -9.0, -2.0, 7.0, 1.0]]
%o0 = slice(@i0) {axes = [0, 1], starts = [1, 0], ends = [3, 4], steps = [1, 2]}
output %o0"#, &[2, 2], &[1.0, 8.0, 3.0, -2.0]),
        (r#"const @i0 : f32[3, 5] = [[0.0, 2.0, 9.0, 4.0, 3.0], [1.0, 1.0, 8.0, -4.0, 6.0], [3.0, -9.0, -2.0, 7.0, 1.0]]
%o0 = slice(@i0) {axes = [1], starts = [4], ends = [-1], steps = [-1]}
output %o0"#, &[3, 5], &[3.0, 4.0, 9.0, 2.0, 0.0, 6.0, -4.0, 8.0, 1.0, 1.0, 1.0, 7.0, -2.0, -9.0, 3.0]),
        (r#"const @i0 : f32[3, 5] = [[0.0, 2.0, 9.0, 4.0, 3.0], [1.0, 1.0, 8.0, -4.0, 6.0], [3.0, -9.0, -2.0, 7.0, 1.0]]
%o0 = slice(@i0) {axes = [1], starts = [3], ends = [-1], steps = [-2]}
output %o0"#, &[3, 2], &[4.0, 2.0, -4.0, 1.0, 7.0, -9.0]),
        (r#"const @i0 : f32[3, 5] = [[0.0, 2.0, 9.0, 4.0, 3.0], [1.0, 1.0, 8.0, -4.0, 6.0], [3.0, -9.0, -2.0, 7.0, 1.0]]
%o0 = slice(@i0) {axes = [-1], starts = [-3], ends = [1000]}
output %o0"#, &[3, 3], &[9.0, 4.0, 3.0, 8.0, -4.0, 6.0, -2.0, 7.0, 1.0]),
        (r#"const @i0 : f32[2, 4] = [[-9.0, 5.0, 4.0, 7.0], [-6.0, -8.0, 7.0, -9.0]]
%o0 = pad(@i0) {mode = "reflect", pads = [0, 2, 0, 3]}
output %o0"#, &[2, 9], &[4.0, 5.0, -9.0, 5.0, 4.0, 7.0, 4.0, 5.0, -9.0, 7.0, -8.0, -6.0, -8.0, 7.0, -9.0, 7.0, -8.0, -6.0]),
        (r#"const @i0 : f32[2, 4] = [[1.0, -8.0, -4.0, 0.0], [-1.0, -2.0, -9.0, -9.0]]
%o0 = pad(@i0) {mode = "edge", pads = [0, 2, 0, 3]}
output %o0"#, &[2, 9], &[1.0, 1.0, 1.0, -8.0, -4.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0, -1.0, -2.0, -9.0, -9.0, -9.0, -9.0, -9.0]),
        (r#"const @i0 : f32[2, 4] = [[-7.0, -9.0, 3.0, 0.0], [3.0, -5.0, 2.0, 5.0]]
%o0 = pad(@i0) {mode = "wrap", pads = [0, 2, 0, 3]}
output %o0"#, &[2, 9], &[3.0, 0.0, -7.0, -9.0, 3.0, 0.0, -7.0, -9.0, 3.0, 2.0, 5.0, 3.0, -5.0, 2.0, 5.0, 3.0, -5.0, 2.0]),
        (r#"const @i0 : bool[1, 2] = [[true, false]]
%o0 = pad(@i0) {pads = [0, 1, 1, 0]}
output %o0"#, &[2, 3], &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
        (r#"const @i0 : f32[3, 1] = [[3.0], [6.0], [4.0]]
%o0 = expand(@i0) : f32[2, 3, 4]
output %o0"#, &[2, 3, 4], &[3.0, 3.0, 3.0, 3.0, 6.0, 6.0, 6.0, 6.0, 4.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0, 6.0, 6.0, 6.0, 6.0, 4.0, 4.0, 4.0, 4.0]),
        (r#"const @i0 : f32[2, 3] = [[4.0, -2.0, 7.0], [-7.0, 1.0, 4.0]]
%o0 = tile(@i0) {repeats = [2, 3]}
output %o0"#, &[4, 9], &[4.0, -2.0, 7.0, 4.0, -2.0, 7.0, 4.0, -2.0, 7.0, -7.0, 1.0, 4.0, -7.0, 1.0, 4.0, -7.0, 1.0, 4.0, 4.0, -2.0, 7.0, 4.0, -2.0, 7.0, 4.0, -2.0, 7.0, -7.0, 1.0, 4.0, -7.0, 1.0, 4.0, -7.0, 1.0, 4.0]),
        (r#"const @i0 : f32[3, 4] = [[7.0, 0.0, -2.0, -4.0], [-1.0, 0.0, 4.0, 7.0], [-8.0, 8.0, 1.0, -3.0]]
const @i1 : i64[2, 2] = [[0, -1], [2, 1]]
%o0 = gather(@i0, @i1) {axis = 1}
output %o0"#, &[3, 2, 2], &[7.0, -4.0, -2.0, 0.0, -1.0, 7.0, 4.0, 0.0, -8.0, -3.0, 1.0, 8.0]),
        (r#"const @i0 : i32[3] = [3, 1, 2]
const @i1 : i32[] = -2
%o0 = gather(@i0, @i1)
output %o0"#, &[], &[1.0]),
        (r#"const @i0 : f32[3, 3] = [[3.0, 1.0, -5.0], [-3.0, 4.0, 2.0], [0.0, -3.0, 5.0]]
const @i1 : i64[2, 3] = [[1, -1, 0], [2, 0, 1]]
%o0 = gather_elements(@i0, @i1) {axis = 0}
output %o0"#, &[2, 3], &[-3.0, -3.0, -5.0, 0.0, 1.0, 2.0]),
        (r#"const @i0 : f32[2, 3, 2] = [[[5.0, -3.0], [-5.0, 6.0], [7.0, -8.0]], [[-8.0, 3.0], [-3.0, 1.0], [-7.0, 7.0]]]
const @i1 : i64[2, 1] = [[1], [2]]
%o0 = gather_nd(@i0, @i1) {batch_dims = 1}
output %o0"#, &[2, 2], &[-5.0, 6.0, -7.0, 7.0]),
        (r#"const @i0 : f32[2, 3, 2] = [[[-1.0, 8.0], [6.0, 4.0], [-5.0, 5.0]], [[-9.0, 1.0], [-2.0, 9.0], [-6.0, 8.0]]]
const @i1 : i64[2, 1, 2] = [[[0, 1]], [[1, -1]]]
%o0 = gather_nd(@i0, @i1)
output %o0"#, &[2, 1, 2], &[6.0, 4.0, -6.0, 8.0]),
        (r#"const @i0 : f32[4, 3] = [[-8.0, 2.0, 2.0], [8.0, -4.0, 8.0], [3.0, 7.0, -6.0], [5.0, 8.0, -9.0]]
const @i1 : i64[2, 1] = [[1], [3]]
const @i2 : f32[2, 3] = [[-3.0, 3.0, -7.0], [0.0, 2.0, 5.0]]
%o0 = scatter_nd(@i0, @i1, @i2) {reduction = "none"}
output %o0"#, &[4, 3], &[-8.0, 2.0, 2.0, -3.0, 3.0, -7.0, 3.0, 7.0, -6.0, 0.0, 2.0, 5.0]),
        (r#"const @i0 : f32[3, 4] = [[8.0, -2.0, -1.0, 0.0], [9.0, -6.0, 0.0, -9.0], [-1.0, 8.0, 2.0, -3.0]]
const @i1 : i64[1, 3] = [[1, 0, -1]]
const @i2 : f32[1, 3] = [[9.0, 2.0, 9.0]]
%o0 = scatter_elements(@i0, @i1, @i2) {axis = 1, reduction = "none"}
output %o0"#, &[3, 4], &[2.0, 9.0, -1.0, 9.0, 9.0, -6.0, 0.0, -9.0, -1.0, 8.0, 2.0, -3.0]),
        (r#"const @i0 : f32[4, 3] = [[-9.0, -1.0, 6.0], [5.0, -2.0, 0.0], [-2.0, 1.0, -5.0], [5.0, -8.0, -2.0]]
const @i1 : i64[3, 1] = [[1], [3], [1]]
const @i2 : f32[3, 3] = [[-4.0, 4.0, 5.0], [4.0, 8.0, 8.0], [-6.0, -7.0, -7.0]]
%o0 = scatter_nd(@i0, @i1, @i2) {reduction = "add"}
output %o0"#, &[4, 3], &[-9.0, -1.0, 6.0, -5.0, -5.0, -2.0, -2.0, 1.0, -5.0, 9.0, 0.0, 6.0]),
        (r#"const @i0 : f32[3, 4] = [[4.0, 9.0, 8.0, 3.0], [9.0, 7.0, -9.0, -7.0], [7.0, -8.0, 9.0, 6.0]]
const @i1 : i64[1, 3] = [[1, 1, -1]]
const @i2 : f32[1, 3] = [[9.0, -3.0, -7.0]]
%o0 = scatter_elements(@i0, @i1, @i2) {axis = 1, reduction = "add"}
output %o0"#, &[3, 4], &[4.0, 15.0, 8.0, -4.0, 9.0, 7.0, -9.0, -7.0, 7.0, -8.0, 9.0, 6.0]),
        (r#"const @i0 : f32[4, 3] = [[0.0, 9.0, -3.0], [7.0, -2.0, 6.0], [-5.0, 0.0, -3.0], [-5.0, 7.0, 6.0]]
const @i1 : i64[3, 1] = [[1], [3], [1]]
const @i2 : f32[3, 3] = [[-7.0, 8.0, 9.0], [-4.0, -1.0, 1.0], [3.0, -1.0, -7.0]]
%o0 = scatter_nd(@i0, @i1, @i2) {reduction = "mul"}
output %o0"#, &[4, 3], &[0.0, 9.0, -3.0, -147.0, 16.0, -378.0, -5.0, 0.0, -3.0, 20.0, -7.0, 6.0]),
        (r#"const @i0 : f32[3, 4] = [[8.0, 4.0, -9.0, 6.0], [4.0, -6.0, 2.0, 0.0], [-9.0, 8.0, 4.0, -4.0]]
const @i1 : i64[1, 3] = [[1, 1, -1]]
const @i2 : f32[1, 3] = [[-9.0, -8.0, 5.0]]
%o0 = scatter_elements(@i0, @i1, @i2) {axis = 1, reduction = "mul"}
output %o0"#, &[3, 4], &[8.0, 288.0, -9.0, 30.0, 4.0, -6.0, 2.0, 0.0, -9.0, 8.0, 4.0, -4.0]),
        (r#"const @i0 : f32[4, 3] = [[-7.0, 0.0, 8.0], [8.0, -4.0, -8.0], [0.0, 6.0, 2.0], [-8.0, 3.0, -3.0]]
const @i1 : i64[3, 1] = [[1], [3], [1]]
const @i2 : f32[3, 3] = [[-5.0, -1.0, 7.0], [9.0, -7.0, 1.0], [5.0, -5.0, -4.0]]
%o0 = scatter_nd(@i0, @i1, @i2) {reduction = "max"}
output %o0"#, &[4, 3], &[-7.0, 0.0, 8.0, 8.0, -1.0, 7.0, 0.0, 6.0, 2.0, 9.0, 3.0, 1.0]),
        (r#"const @i0 : f32[3, 4] = [[-5.0, -6.0, 7.0, -5.0], [-5.0, -7.0, -7.0, 5.0], [-4.0, 6.0, 2.0, 7.0]]
const @i1 : i64[1, 3] = [[1, 1, -1]]
const @i2 : f32[1, 3] = [[1.0, 5.0, 6.0]]
%o0 = scatter_elements(@i0, @i1, @i2) {axis = 1, reduction = "max"}
output %o0"#, &[3, 4], &[-5.0, 5.0, 7.0, 6.0, -5.0, -7.0, -7.0, 5.0, -4.0, 6.0, 2.0, 7.0]),
        (r#"const @i0 : f32[4, 3] = [[-8.0, 1.0, -1.0], [-4.0, -1.0, -2.0], [0.0, 6.0, 6.0], [2.0, 4.0, 9.0]]
const @i1 : i64[3, 1] = [[1], [3], [1]]
const @i2 : f32[3, 3] = [[3.0, -2.0, -8.0], [1.0, -5.0, 2.0], [-9.0, 7.0, 8.0]]
%o0 = scatter_nd(@i0, @i1, @i2) {reduction = "min"}
output %o0"#, &[4, 3], &[-8.0, 1.0, -1.0, -9.0, -2.0, -8.0, 0.0, 6.0, 6.0, 1.0, -5.0, 2.0]),
        (r#"const @i0 : f32[3, 4] = [[-7.0, 6.0, -2.0, -9.0], [8.0, 8.0, -9.0, 2.0], [6.0, 6.0, -2.0, 7.0]]
const @i1 : i64[1, 3] = [[1, 1, -1]]
const @i2 : f32[1, 3] = [[6.0, -7.0, -9.0]]
%o0 = scatter_elements(@i0, @i1, @i2) {axis = 1, reduction = "min"}
output %o0"#, &[3, 4], &[-7.0, -7.0, -2.0, -9.0, 8.0, 8.0, -9.0, 2.0, 6.0, 6.0, -2.0, 7.0]),
        (r#"const @i0 : f32[2, 4] = [[2.0, 7.0, 7.0, 1.0], [5.0, 5.0, 3.0, 5.0]]
%o0 = arg_max(@i0) {axis = 1, keep_dims = true}
output %o0"#, &[2, 1], &[1.0, 0.0]),
        (r#"const @i0 : f32[2, 4] = [[2.0, 7.0, 7.0, 1.0], [5.0, 5.0, 3.0, 5.0]]
%o0 = arg_max(@i0) {axis = 1, select_last_index = true}
output %o0"#, &[2], &[2.0, 3.0]),
        (r#"const @i0 : f32[2, 4] = [[2.0, 7.0, 7.0, 1.0], [5.0, 5.0, 3.0, 5.0]]
%o0 = arg_min(@i0) {axis = 0}
output %o0"#, &[4], &[0.0, 1.0, 1.0, 0.0]),
        (r#"const @i0 : f32[2, 5] = [[0.5, 3.0, -2.0, 8.0, 1.0], [4.0, -7.0, 6.0, 2.0, 0.0]]
%o0, %o1 = top_k(@i0) {k = 2}
output %o0"#, &[2, 2], &[8.0, 3.0, 6.0, 4.0]),
        (r#"const @i0 : f32[2, 5] = [[0.5, 3.0, -2.0, 8.0, 1.0], [4.0, -7.0, 6.0, 2.0, 0.0]]
const @i1 : i64[1] = [3]
%o0, %o1 = top_k(@i0, @i1) {largest = false}
output %o1"#, &[2, 3], &[2.0, 0.0, 4.0, 1.0, 4.0, 3.0]),
        (r#"const @i0 : f32[2, 5] = [[0.5, 3.0, -2.0, 8.0, 1.0], [4.0, -7.0, 6.0, 2.0, 0.0]]
%o0, %o1 = top_k(@i0) {axis = 0, k = 1}
output %o1"#, &[1, 5], &[1.0, 0.0, 1.0, 0.0, 0.0]),
        (r#"const @i0 : f32[2, 4] = [[-8.0, -3.0, -7.0, -8.0], [-5.0, 3.0, 0.0, -4.0]]
%o0 = cumsum(@i0) {axis = 1, exclusive = false, reverse = false}
output %o0"#, &[2, 4], &[-8.0, -11.0, -18.0, -26.0, -5.0, -2.0, -2.0, -6.0]),
        (r#"const @i0 : f32[2, 4] = [[9.0, 4.0, 3.0, 8.0], [5.0, -7.0, -9.0, 7.0]]
%o0 = cumsum(@i0) {axis = 1, exclusive = false, reverse = true}
output %o0"#, &[2, 4], &[24.0, 15.0, 11.0, 8.0, -4.0, -9.0, -2.0, 7.0]),
        (r#"const @i0 : f32[2, 4] = [[-2.0, -8.0, 0.0, -2.0], [-1.0, -1.0, -4.0, 0.0]]
%o0 = cumsum(@i0) {axis = 1, exclusive = true, reverse = false}
output %o0"#, &[2, 4], &[0.0, -2.0, -10.0, -10.0, 0.0, -1.0, -2.0, -6.0]),
        (r#"const @i0 : f32[2, 4] = [[0.0, 9.0, 4.0, 5.0], [-9.0, -4.0, 9.0, -4.0]]
%o0 = cumsum(@i0) {axis = 1, exclusive = true, reverse = true}
output %o0"#, &[2, 4], &[18.0, 9.0, 5.0, 0.0, 1.0, 5.0, -4.0, 0.0]),
        (r#"const @i0 : i64[2, 2] = [[1, -1], [0, 5]]
const @i1 : i64[] = 3
const @i2 : f32[2] = [2.0, 7.0]
%o0 = one_hot(@i0, @i1, @i2) {axis = 1}
output %o0"#, &[2, 3, 2], &[2.0, 2.0, 7.0, 2.0, 2.0, 7.0, 7.0, 2.0, 2.0, 2.0, 2.0, 2.0]),
        (r#"const @i0 : i64[2] = [1, -3]
const @i1 : i64[] = 3
const @i2 : i64[2] = [0, 1]
%o0 = one_hot(@i0, @i1, @i2)
output %o0"#, &[2, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
        (r#"const @i0 : i64[3, 4] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
const @i1 : i64[] = -1
%o0 = trilu(@i0, @i1) {upper = false}
output %o0"#, &[3, 4], &[0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 9.0, 10.0, 0.0, 0.0]),
        (r#"const @i0 : i64[3, 4] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
const @i1 : i64[] = 0
%o0 = trilu(@i0, @i1) {upper = false}
output %o0"#, &[3, 4], &[1.0, 0.0, 0.0, 0.0, 5.0, 6.0, 0.0, 0.0, 9.0, 10.0, 11.0, 0.0]),
        (r#"const @i0 : i64[3, 4] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
const @i1 : i64[] = 2
%o0 = trilu(@i0, @i1) {upper = false}
output %o0"#, &[3, 4], &[1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]),
        (r#"const @i0 : i64[3, 4] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
const @i1 : i64[] = -1
%o0 = trilu(@i0, @i1) {upper = true}
output %o0"#, &[3, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.0, 10.0, 11.0, 12.0]),
        (r#"const @i0 : i64[3, 4] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
const @i1 : i64[] = 0
%o0 = trilu(@i0, @i1) {upper = true}
output %o0"#, &[3, 4], &[1.0, 2.0, 3.0, 4.0, 0.0, 6.0, 7.0, 8.0, 0.0, 0.0, 11.0, 12.0]),
        (r#"const @i0 : i64[3, 4] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
const @i1 : i64[] = 2
%o0 = trilu(@i0, @i1) {upper = true}
output %o0"#, &[3, 4], &[0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0]),
        (r#"const @i0 : f32[4, 3] = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0], [9.0, 10.0, 11.0]]
const @i1 : i64[3] = [4, 1, 2]
%o0 = reverse_sequence(@i0, @i1)
output %o0"#, &[4, 3], &[9.0, 1.0, 5.0, 6.0, 4.0, 2.0, 3.0, 7.0, 8.0, 0.0, 10.0, 11.0]),
        (r#"const @i0 : f32[3, 4] = [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 10.0, 11.0]]
const @i1 : i64[3] = [4, 1, 2]
%o0 = reverse_sequence(@i0, @i1) {batch_axis = 0, time_axis = 1}
output %o0"#, &[3, 4], &[3.0, 2.0, 1.0, 0.0, 4.0, 5.0, 6.0, 7.0, 9.0, 8.0, 10.0, 11.0]),
        (r#"const @i0 : f32[2, 3] = [[1.0, 0.0, 3.0], [0.0, 0.0, -1.0]]
%o0 = non_zero(@i0) : i64[2, 3]
output %o0"#, &[2, 3], &[0.0, 0.0, 1.0, 0.0, 2.0, 2.0]),
        (r#"const @i0 : f32[] = 1.0
const @i1 : f32[] = 4.0
const @i2 : f32[] = 0.75
%o0 = range(@i0, @i1, @i2)
output %o0"#, &[4], &[1.0, 1.75, 2.5, 3.25]),
        (r#"const @i0 : i64[] = 10
const @i1 : i64[] = 3
const @i2 : i64[] = -3
%o0 = range(@i0, @i1, @i2)
output %o0"#, &[3], &[10.0, 7.0, 4.0]),
        (r#"const @i0 : f32[2, 6] = [[0.0, 7.0, 3.0, 7.0, -6.0, 0.0], [3.0, -3.0, 1.0, 9.0, 4.0, -3.0]]
%o0, %o1, %o2 = split(@i0) {axis = 1, sizes = [1, 2, 3]}
output %o2"#, &[2, 3], &[7.0, -6.0, 0.0, 9.0, 4.0, -3.0]),
        (r#"const @i0 : f32[2, 3, 4] = [[[-8.0, -6.0, -4.0, 7.0], [-4.0, 6.0, -4.0, 3.0], [1.0, 9.0, 1.0, 8.0]], [[9.0, 5.0, 2.0, 7.0], [9.0, -5.0, 1.0, -7.0], [-8.0, 3.0, -9.0, 4.0]]]
%o0 = shape_of(@i0) {start = -2, end = -1}
output %o0"#, &[1], &[3.0]),
        (r#"const @i0 : f32[2, 3, 4] = [[[6.0, -6.0, 3.0, -2.0], [7.0, 8.0, 1.0, 1.0], [4.0, 1.0, 5.0, -6.0]], [[5.0, 0.0, 5.0, 0.0], [-4.0, -8.0, 0.0, 9.0], [-9.0, 1.0, -1.0, -9.0]]]
%o0 = size_of(@i0)
output %o0"#, &[], &[24.0]),
        (r#"const @i0 : f32[1, 3, 1] = [[[1.0], [5.0], [5.0]]]
%o0 = squeeze(@i0) {axes = [0, -1]}
output %o0"#, &[3], &[1.0, 5.0, 5.0]),
    ];
    for (text, shape, values) in cases {
        assert_eq!(last(text), (shape.to_vec(), values.to_vec()), "{text}");
    }
}
