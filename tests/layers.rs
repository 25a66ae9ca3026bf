//! Layers point down: a file imports its own layer and lower ones, and only some layers know some crates.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lowest first; siblings share a line and do not import each other.
const LAYERS: &[&[&str]] = &[
    &["tensor", "diag"],
    &["dims"],
    &["ops"],
    &["ir"],
    &["syntax", "onnx", "weights", "prune", "exec"],
    &["driver", "report"],
    &["cli"],
];

/// What may be imported besides: `prune` states what it needs of an executor, and `exec` implements it; tables show
/// what the driver did.
const ALSO: &[(&str, &str)] = &[("exec", "prune")];

/// Crates that one place alone knows.
const ALONE: &[(&str, &[&str])] = &[
    ("memmap2", &["tensor/mapped"]),
    ("annotate_snippets", &["diag"]),
    ("egg", &["dims"]),
    ("petgraph", &["ir/graph"]),
    ("logos", &["syntax"]),
    ("lalrpop_util", &["syntax"]),
    ("prost", &["onnx/wire", "onnx"]),
    ("safetensors", &["weights"]),
    ("npyz", &["weights"]),
    ("zip", &["weights"]),
    ("toml", &["prune"]),
    ("globset", &["prune"]),
    ("blake3", &["prune"]),
    ("gemm", &["exec/cpu"]),
    ("comfy_table", &["report"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
];

fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
}

/// Every source file by its path without `src/` and extension, with its text without comments.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = vec![];
    sources(&root, &mut all);
    all.into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
            (
                name.display().to_string(),
                code.collect::<Vec<_>>().join("\n"),
            )
        })
        .collect()
}

fn level(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|all| all.contains(&layer))
}

/// The layers that a text names behind `crate::`, alone or in braces.
fn imports(code: &str) -> Vec<String> {
    let mut found = vec![];
    for rest in code.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => {
                // The first words of the list's parts, at its own depth.
                let (mut depth, mut part, mut parts) = (0, String::new(), vec![]);
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
                        _ => {}
                    }
                    part.push(c);
                }
                parts.push(part);
                parts
            }
            None => vec![rest.to_string()],
        };
        for name in names {
            let word = name.trim_start_matches(|c: char| !c.is_alphanumeric());
            let word: String = word
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            found.push(word);
        }
    }
    found
}

#[test]
fn layers_point_down() {
    let mut wrong = vec![];
    for (file, code) in files() {
        let own = file.split('/').next().unwrap();
        let Some(own_level) = level(own) else {
            assert!(["lib", "main"].contains(&own), "`{file}` is in no layer");
            continue;
        };
        for other in imports(&code) {
            let Some(other_level) = level(&other) else {
                continue;
            };
            let allowed = other == own || other_level < own_level || ALSO.contains(&(own, &other));
            if !allowed {
                wrong.push(format!("{file} imports {other}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn crates_are_known_in_one_place() {
    let files = files();
    let mut wrong = vec![];
    for (krate, places) in ALONE {
        let mut used = false;
        for (file, code) in &files {
            let uses = [
                format!("use {krate}::"),
                format!("{krate}::"),
                format!("use {krate};"),
            ];
            let names = |u: &String| {
                code.match_indices(&**u).any(|(at, _)| {
                    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                })
            };
            if uses.iter().any(names) {
                used = true;
                if !places
                    .iter()
                    .any(|p| file == p || file.starts_with(&format!("{p}/")))
                {
                    wrong.push(format!("{file} knows {krate}"));
                }
            }
        }
        assert!(used, "`{krate}` is not used: the table is old");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn printing_is_for_the_command_line() {
    let files = files();
    let prints = files.iter().filter(|(file, code)| {
        !file.starts_with("cli")
            && ["print!(", "println!(", "eprint!(", "eprintln!("]
                .iter()
                .any(|p| code.contains(p))
    });
    let prints: Vec<&String> = prints.map(|(file, _)| file).collect();
    assert!(prints.is_empty(), "{prints:?}");
}
