//! The program as a user meets it: exit codes, what is written and what is not, on good input and bad.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NET: &str = r#"model "net"
param @c1.weight : f32[16, 3, 3, 3]
param @c2.weight : f32[8, 16, 3, 3]
param @fc.weight : f32[4, 8]
input %x : f32[1, 3, 8, 8]
%0 = conv(%x, @c1.weight) {pad = [1, 1, 1, 1]}
%1 = relu(%0)
%2 = conv(%1, @c2.weight) {pad = [1, 1, 1, 1]}
%3 = global_average_pool(%2)
%4 = flatten(%3) {axis = 1}
%y = linear(%4, @fc.weight) {trans_b = true}
output %y
"#;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ch_ppocr_mobile_v2.0_cls_infer.onnx")
}

/// A folder with a network (`net.tir`, `net.safetensors`) and a plan (`plan.toml`).
struct Folder {
    dir: TempDir,
}

impl Folder {
    fn new() -> Folder {
        let folder = Folder {
            dir: tempfile::tempdir().unwrap(),
        };
        folder.write("seed.tir", NET);
        folder.write("plan.toml", "[target]\nratio = 0.5\n");
        let made = folder.run(&["compile", "seed.tir", "--init", "7", "-o", "net.tir"]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        folder
    }
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }
    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn names(&self) -> Vec<String> {
        let all = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = all
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tpc"))
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }
    /// Runs what must fail: with that exit code, a message that has `says`, no panic, no file written, quickly.
    fn fails(&self, arguments: &[&str], code: i32, says: &str) {
        let (before, start) = (self.names(), Instant::now());
        let output = self.run(arguments);
        let took = start.elapsed();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(says), "{arguments:?}: {message}");
        assert!(!message.contains("panicked"), "{message}");
        assert_eq!(self.names(), before, "{arguments:?} wrote something");
        // A second on an idle machine; tests run beside each other.
        assert!(
            took < Duration::from_secs(10),
            "{arguments:?} took {took:?}"
        );
    }
    /// The network with a change of its text, compiled by the plan.
    fn fails_text(&self, from: &str, to: &str, says: &str) {
        let changed = NET.replace(from, to);
        assert_ne!(changed, NET, "{from}");
        self.write("bad.tir", changed);
        self.write("bad.safetensors", self.read("net.safetensors"));
        self.fails(
            &[
                "compile",
                "bad.tir",
                "--prune",
                "plan.toml",
                "-o",
                "out.onnx",
            ],
            1,
            says,
        );
    }
    fn fails_plan(&self, plan: &str, says: &str) {
        self.write("bad.toml", plan);
        self.fails(
            &[
                "compile", "net.tir", "--prune", "bad.toml", "-o", "out.onnx",
            ],
            1,
            says,
        );
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn compiles_verifies_and_replays() {
    let folder = Folder::new();
    let done = folder.run(&["compile", "net.tir", "--prune", "plan.toml"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let report = text(&done.stdout);
    assert!(report.contains("verified: 6 values"), "{report}");
    for name in [
        "net.pruned.tir",
        "net.pruned.safetensors",
        "net.pruned.lock",
    ] {
        assert!(folder.path(name).is_file(), "{name}");
    }
    // The lock is a plan, and gives the same bytes.
    let again = folder.run(&[
        "compile",
        "net.tir",
        "--prune",
        "net.pruned.lock",
        "-o",
        "again.tir",
    ]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    for extension in ["tir", "safetensors", "lock"] {
        let (a, b) = (
            format!("net.pruned.{extension}"),
            format!("again.{extension}"),
        );
        assert_eq!(folder.read(&a), folder.read(&b), "{extension}");
    }
    // The text differs in the lines of dims alone.
    let (dense, pruned) = (
        text(&folder.read("net.tir")),
        text(&folder.read("net.pruned.tir")),
    );
    let differs = dense.lines().zip(pruned.lines()).filter(|(a, b)| a != b);
    let lines: Vec<_> = differs.collect();
    assert!(
        lines.iter().all(|(a, _)| a.starts_with("dim ")),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
    let verified = folder.run(&["verify", "net.tir", "net.pruned.tir"]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}",
        text(&verified.stderr)
    );
    let verified = folder.run(&[
        "verify",
        "net.tir",
        "net.pruned.tir",
        "--lock",
        "net.pruned.lock",
    ]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}",
        text(&verified.stderr)
    );
}

#[test]
fn a_lock_says_again_what_was_protected_and_how_it_was_verified() {
    let folder = Folder::new();
    let net = NET.replace("f32[1, 3, 8, 8]", "f32[N, 3, 8, 8]");
    let net = net.replace("model \"net\"", "model \"net\"\ndim N = ?");
    folder.write("free.tir", net);
    folder.write(
        "plan.toml",
        "[target]\nratio = 0.5\n[select]\nseed = 9\n[protect]\nfreeze = [\"c1.*:0\"]\n\
         [verify]\nextents = { N = [2, 5] }\ntolerance = 1e-4\n",
    );
    let compile = |plan: &str, out: &str| {
        let args = [
            "compile", "free.tir", "--init", "7", "--prune", plan, "-o", out,
        ];
        let made = folder.run(&args);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    };
    compile("plan.toml", "first.tir");
    compile("first.lock", "again.tir");
    let (first, again) = (folder.read("first.lock"), folder.read("again.lock"));
    assert_eq!(text(&first), text(&again));
    assert_eq!(folder.read("first.tir"), folder.read("again.tir"));
    assert!(text(&first).contains("reason = \"plan\""));
}

#[test]
fn the_readme_example_works_in_both_forms() {
    let folder = Folder::new();
    let model = example();
    let model = model.to_str().unwrap();
    let done = folder.run(&[
        "compile",
        model,
        "--prune",
        "plan.toml",
        "-o",
        "cls.onnx",
        "--emit",
        "tir,report",
    ]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    for name in [
        "cls.onnx",
        "cls.tir",
        "cls.safetensors",
        "cls.lock",
        "cls.report.json",
    ] {
        assert!(folder.path(name).is_file(), "{name}");
    }
    let same = folder.run(&["diff", "cls.onnx", "cls.tir"]);
    assert_eq!(
        (same.status.code(), text(&same.stdout)),
        (Some(0), String::new())
    );
    let run = folder.run(&["run", "cls.onnx", "-o", "y.npy", "--json"]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    assert!(folder.path("y.npy").is_file());
    for command in [
        &["groups", "cls.onnx"][..],
        &["stats", "cls.tir"],
        &["show", "cls.onnx"],
    ] {
        let done = folder.run(command);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert!(!done.stdout.is_empty());
    }
}

#[test]
fn a_wrong_model_is_caught_by_verify() {
    let folder = Folder::new();
    folder.run(&["compile", "net.tir", "--prune", "plan.toml"]);
    let mut weights = folder.read("net.pruned.safetensors");
    let last = weights.len() - 1;
    weights[last] ^= 0x40;
    folder.write("net.pruned.safetensors", weights);
    let arguments = [
        "verify",
        "net.tir",
        "net.pruned.tir",
        "--lock",
        "net.pruned.lock",
    ];
    folder.fails(&arguments, 4, "verification failed");
}

#[test]
fn broken_onnx_files() {
    let folder = Folder::new();
    let whole = std::fs::read(example()).unwrap();
    let compile = |bytes: &[u8]| {
        folder.write("bad.onnx", bytes);
        folder.fails(
            &[
                "compile",
                "bad.onnx",
                "--prune",
                "plan.toml",
                "-o",
                "out.onnx",
            ],
            1,
            "error",
        );
    };
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        compile(&whole[..length]);
    }
    // A length that reaches past everything, in a field of the model and of the graph.
    compile(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    compile(&[0x3a, 0x06, 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    compile(b"not protobuf at all, but a text");
    folder.fails(&["compile", "none.onnx", "-o", "out.onnx"], 2, "none.onnx");
    folder.fails(
        &["compile", "plan.toml", "-o", "out.onnx"],
        2,
        "ends neither",
    );
}

#[test]
fn broken_weights() {
    let folder = Folder::new();
    let weights = folder.read("net.safetensors");
    let arguments = [
        "compile",
        "bad.tir",
        "--prune",
        "plan.toml",
        "-o",
        "out.onnx",
    ];
    folder.write("bad.tir", NET);
    folder.fails(&arguments, 1, "is missing");
    folder.write("bad.safetensors", &weights[..weights.len() - 4]);
    folder.fails(&arguments, 1, "not safetensors");
    let mut past = weights.clone();
    past[..8].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
    folder.write("bad.safetensors", past);
    folder.fails(&arguments, 1, "not safetensors");
    let mut nan = weights.clone();
    let last = nan.len() - 4;
    nan[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.write("bad.safetensors", nan);
    folder.fails(&arguments, 1, "not a number");
    folder.fails_text("f32[8, 16, 3, 3]", "f32[8, 16, 3, 4]", "c2.weight");
    folder.fails_text("f32[8, 16, 3, 3]", "f16[8, 16, 3, 3]", "c2.weight");
}

#[test]
fn broken_texts() {
    let folder = Folder::new();
    folder.fails_text("%1 = relu(%0)", "%0 = relu(%0)", "%0");
    folder.fails_text("relu(%0)", "relo(%0)", "relu");
    folder.fails_text("relu(%0)", "relu(%2)", "%2");
    folder.fails_text("f32[1, 3, 8, 8]", "f32[1, 4, 8, 8]", "4");
    folder.fails_text("f32[1, 3, 8, 8]", "f32[1, 3, 0, 8]", "window");
    folder.fails_text("f32[1, 3, 8, 8]", "f32[1, 3, -8, 8]", "-8");
    folder.fails_text(
        "f32[1, 3, 8, 8]",
        "f32[1, 3, 99999999999999999999, 8]",
        "9999",
    );
    folder.fails_text(
        "f32[16, 3, 3, 3]",
        "f32[9223372036854775807, 3, 3, 3]",
        "c1.weight",
    );
    let deep = format!(
        "f32[1, 3, {}8{}, 8]",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    folder.fails_text("f32[1, 3, 8, 8]", &deep, "deep");
    folder.write("bad.tir", [0xff, 0xfe, 0x00]);
    folder.fails(&["compile", "bad.tir", "-o", "out.onnx"], 1, "not a text");
}

#[test]
fn broken_plans() {
    let folder = Folder::new();
    folder.fails_plan("[target]\nratoi = 0.5\n", "do you mean `ratio`?");
    folder.fails_plan("[target]\nratio = 1.5\n", "`ratio` is 1.5");
    folder.fails_plan("[target]\nratio = nan\n", "`ratio` is NaN");
    folder.fails_plan("[target]\nratio = -0.1\n", "`ratio` is -0.1");
    folder.fails_plan("[target]\nratio = \"half\"\n", "expected");
    folder.fails_plan("[target\n", "error");
    folder.fails_plan("[target]\nmacs = \"50%\"\n", "not supported yet");
    folder.fails_plan(
        "[select]\ncriterion = \"magnitud\"\n",
        "do you mean `magnitude`?",
    );
    folder.fails_plan("[select]\nscope = \"globl\"\n", "do you mean `global`?");
    folder.fails_plan("[select]\nround_to = 0\n", "round_to");
    folder.fails_plan(
        "[protect]\nfreeze = [\"c3.*\"]\n",
        "nothing is called `c3.*`",
    );
    folder.fails_plan(
        "[[prune]]\nmatch = \"c1.weight:0\"\nremove = [16]\n",
        "out of range",
    );
    folder.fails_plan(
        "[[prune]]\nmatch = \"c1.weight:0\"\nremove = [-1]\n",
        "out of range",
    );
    folder.fails_plan(
        "[[prune]]\nmatch = \"c1.weight:0\"\nremove = [1, 1]\n",
        "twice",
    );
    folder.fails_plan(
        "[[prune]]\nmatch = \"c1.weight:1\"\nremove = [1]\n",
        "frozen",
    );
    folder.fails_plan(
        "[[prune]]\nmatch = \"c1.weight:7\"\nratio = 0.5\n",
        "4 axes",
    );
    folder.fails_plan(
        "[[prune]]\nmatch = \"c9.weight:0\"\nratio = 0.5\n",
        "do you mean",
    );
    folder.fails_plan("[[prune]]\nmatch = \"c1.weight:0\"\n", "neither");
    folder.fails_plan("[[prune]]\nmatch = \"c[1\"\nratio = 0.5\n", "no glob");
}

#[test]
fn locks_are_refused_where_they_do_not_fit() {
    let folder = Folder::new();
    folder.run(&["compile", "net.tir", "--prune", "plan.toml"]);
    let lock = text(&folder.read("net.pruned.lock"));
    let refuse = |from: &str, to: &str, says: &str| {
        let changed = lock.replacen(from, to, 1);
        assert_ne!(changed, lock, "{from}");
        folder.write("bad.lock", changed);
        folder.fails(
            &["compile", "net.tir", "--prune", "bad.lock", "-o", "out.tir"],
            1,
            says,
        );
    };
    refuse("lock = 1", "lock = 2", "version 2");
    refuse("name = \"c1\"", "name = \"c9\"", "no free dim `c9`");
    refuse("extent = [16, 8]", "extent = [16, 9]", "16 positions");
    refuse("kept = \"", "kept = \"99, ", "no ascending list");
    folder.write("other.tir", NET);
    folder.run(&["compile", "other.tir", "--init", "8", "-o", "second.tir"]);
    folder.fails(
        &[
            "compile",
            "second.tir",
            "--prune",
            "net.pruned.lock",
            "-o",
            "out.tir",
        ],
        1,
        "another model",
    );
}

#[test]
fn arguments_that_make_no_sense() {
    let folder = Folder::new();
    folder.fails(&["compile"], 2, "Usage");
    folder.fails(&["prune", "net.tir"], 2, "unrecognized subcommand");
    folder.fails(&["compile", "net.tir"], 2, "neither a plan");
    folder.fails(
        &[
            "compile",
            "net.tir",
            "--prune",
            "plan.toml",
            "-o",
            "out.txt",
        ],
        2,
        "ends neither",
    );
    folder.fails(
        &[
            "compile",
            "net.tir",
            "--prune",
            "plan.toml",
            "-o",
            "no/where/out.tir",
        ],
        2,
        "no/where",
    );
    folder.fails(
        &["explain", "net.tir", "c1.wieght:0"],
        1,
        "do you mean `c1.weight`?",
    );
    folder.fails(&["run", "net.tir", "-i", "z=x.npy"], 2, "x.npy");
}

#[test]
fn fmt_and_explain() {
    let folder = Folder::new();
    folder.write(
        "loose.tir",
        "model   \"m\"\ninput %x:f32[2]\n%y=relu( %x )\noutput %y",
    );
    folder.fails(&["fmt", "--check", "loose.tir"], 1, "laid out otherwise");
    assert_eq!(folder.run(&["fmt", "loose.tir"]).status.code(), Some(0));
    assert_eq!(
        folder.run(&["fmt", "--check", "loose.tir"]).status.code(),
        Some(0)
    );
    let explained = folder.run(&[
        "explain",
        "seed.tir",
        "--init",
        "7",
        "c1.weight:0",
        "c2.weight:1",
    ]);
    let explained = text(&explained.stdout);
    assert!(
        explained.contains("both hold c1 (16 positions)"),
        "{explained}"
    );
    assert!(explained.contains("`relu`"), "{explained}");
    let frozen = text(&folder.run(&["explain", "net.tir", "c1.weight:2"]).stdout);
    assert!(
        frozen.contains("frozen: spatial axis, by `conv`"),
        "{frozen}"
    );
}
