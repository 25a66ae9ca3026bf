//! `docs/operators.md` says what the code says: the table is made again from it and compared.
//!
//! `UPDATE_DOCS=1 cargo test --test operators` writes it. The counts of ONNX's tests are those of `docs/conformance.json`, which
//! `scripts/conformance.py --json` writes.
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use tpc::ops::{Op, Removal};

const HEAD: &str = "# Operators

Written by `UPDATE_DOCS=1 cargo test --test operators`; not by hand.

- **ONNX**: the operators that it is read from and written as, and the set of operators since when the form read holds (those before 11 are as of 11).
- **rule**: the dimension rule in the notation of `tpc::dims`, all forms of it, or what the operator's file says first.
- **removal**: what removing positions of the axes that it works along does to its meaning. *exact*: it treats positions apart, or sums over them;
  *re-estimated*: it is computed over the survivors; *barrier*: those axes are frozen. Along other axes, every operator treats positions apart.
- **run by**: a *step* that devices have code for, where extents and types are usual, or the operator's own *reference*.
- **tests**: ONNX's own tests of the operator alone that pass, of those that were run; tests of forms that are carried through a compile unchanged are not run.

| operator | ONNX | rule | removal | run by | tests |
|---|---|---|---|---|---|
";

/// What gives integers or truth values, whatever its family: steps give floats.
const GIVE_NO_FLOATS: &[&str] = &[
    "not",
    "is_nan",
    "is_inf",
    "equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "and",
    "or",
    "xor",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bit_shift",
    "bit_not",
];

/// What an operator's file says of it: its docs, the docs of its rule, the notation in its rule.
#[derive(Default)]
struct Said {
    docs: String,
    rule_docs: String,
    notation: Vec<String>,
}

#[test]
fn the_table_of_operators_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let mut said = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("src/ops")).unwrap() {
        let file = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        read_file(&file, &mut said);
    }
    let lower = read("src/exec/lower.rs");
    let by_reference = without_step(&lower);
    let counts: Value = serde_json::from_str(&read("docs/conformance.json")).unwrap();
    let (mut passed, mut all) = (0, 0);
    let mut text = HEAD.to_string();
    for op in Op::all() {
        let variant = format!("{op:?}");
        let kind = variant.split('(').next().unwrap();
        let said = said
            .get(kind)
            .unwrap_or_else(|| panic!("no file has `{kind}`"));
        let rows: Vec<_> = tpc::onnx::operators()
            .filter(|(_, name, _)| *name == op.name())
            .collect();
        let onnx: Vec<String> = rows
            .iter()
            .map(|(onnx, _, since)| format!("{onnx} ({since})"))
            .collect();
        let mut tests = [0, 0];
        for (onnx, _, _) in &rows {
            let of = |what: &str| counts["operators"][*onnx][what].as_u64().unwrap_or(0);
            tests[0] += of("passed");
            tests[1] += of("passed") + of("failed");
        }
        (passed, all) = (passed + tests[0], all + tests[1]);
        let removal = match op.operator().removal() {
            Removal::Exact => "exact",
            Removal::Reestimated => "re-estimated",
            Removal::Barrier => "barrier",
        };
        let run = match by_reference.contains(&kind) || GIVE_NO_FLOATS.contains(&op.name()) {
            _ if op == Op::Opaque => "-",
            true => "reference",
            false => "step",
        };
        let tests = match tests[1] {
            0 => "-".to_string(),
            n => format!("{} of {n}", tests[0]),
        };
        let onnx = onnx.join(", ");
        writeln!(
            text,
            "| `{}` | {onnx} | {} | {removal} | {run} | {tests} |",
            op.name(),
            rule(said)
        )
        .unwrap();
    }
    let of = |what: &str| counts["several"][what].as_u64().unwrap_or(0);
    writeln!(
        text,
        "\nIn all {passed} of {all} pass; of tests that are made of several operators, {} of {}. ONNX {}.",
        of("passed"),
        of("passed") + of("failed"),
        counts["onnx"].as_str().unwrap()
    )
    .unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|set| !set.is_empty()) {
        std::fs::write(root.join("docs/operators.md"), &text).unwrap();
    }
    let current = read("docs/operators.md") == text;
    assert!(
        current,
        "docs/operators.md is not current: run `UPDATE_DOCS=1 cargo test --test operators`"
    );
}

fn rule(said: &Said) -> String {
    let first = |docs: &str| {
        docs.split(". ")
            .next()
            .unwrap()
            .trim_end_matches('.')
            .replace('|', "\\|")
    };
    match (said.notation.is_empty(), said.rule_docs.is_empty()) {
        (false, _) => {
            let all: Vec<String> = said.notation.iter().map(|n| format!("`{n}`")).collect();
            all.join("; ")
        }
        (true, false) => first(&said.rule_docs),
        (true, true) => first(&said.docs),
    }
}

/// The docs that end before line `at`, as one line.
fn docs_before(lines: &[&str], at: usize) -> String {
    let is_doc = |l: &&&str| l.trim_start().starts_with("///") || l.trim_start().starts_with("#[");
    let mut docs: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .take_while(is_doc)
        .copied()
        .collect();
    docs.reverse();
    let words = docs
        .iter()
        .filter_map(|l| l.trim_start().strip_prefix("///"));
    words.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Reads what a file says of the operators and families in it.
fn read_file(text: &str, said: &mut BTreeMap<String, Said>) {
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let structure = line
            .strip_prefix("pub struct ")
            .map(|l| l.trim_end_matches(';'));
        let family = line
            .strip_prefix("    ")
            .filter(|_| at > 0 && lines[at - 1].starts_with("    ///"));
        let family = family.and_then(|l| l.split(" {").next().filter(|_| l.contains(" {")));
        if let Some(name) = structure.or(family) {
            said.entry(name.to_string()).or_default().docs = docs_before(&lines, at);
        }
        let Some(name) = line.strip_prefix("impl Operator for ") else {
            continue;
        };
        let entry = said
            .entry(name.trim_end_matches(" {").to_string())
            .or_default();
        let rule = (at..lines.len())
            .find(|i| lines[*i].starts_with("    fn rule("))
            .unwrap();
        let end = (rule..lines.len()).find(|i| lines[*i] == "    }").unwrap();
        entry.rule_docs = docs_before(&lines, rule);
        let body = lines[rule..end].join("\n");
        for literal in body
            .split('"')
            .skip(1)
            .step_by(2)
            .filter(|l| l.contains(" -> "))
        {
            entry.notation.push(literal.to_string());
        }
    }
}

/// The operators that no step is made of: those of the arm that gives nothing, whatever the operands.
fn without_step(lower: &str) -> Vec<&str> {
    let end = lower
        .find(" => None,\n        }\n")
        .expect("the arm is not where it was");
    let start = lower[..end].rfind("=> ").expect("no arm before it");
    let names = lower[start..end].split("Op::").skip(1);
    let all: Vec<&str> = names
        .map(|n| n.split(|c: char| !c.is_alphanumeric()).next().unwrap())
        .collect();
    assert!(all.contains(&"Opaque"), "another arm: {all:?}");
    all
}
