//! How long analysis takes: `cargo bench --bench propagate -- MODEL ...` (of `.tir`, weights are not read; without a
//! model: the example model, and the large programs of `tests/common/large.rs`).
//!
//! Per model: parsing of a text, propagation (dims of every axis, solved), groups, and selection at half of every width;
//! then, for a text, annotation and printing. The median of up to 20 repetitions after one to warm up, and the spread
//! between the 10th and the 90th percentile.
#[path = "../tests/common/large.rs"]
mod large;

use large::{Decoder, concatenations, dense, residual};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tpc::diag::{Diagnostic, Source};
use tpc::ir::{Module, annotate, propagate};
use tpc::prune::{Plan, groups, select, unshare};
use tpc::syntax::{Weights, parse, print};
use tpc::tensor::{DType, Tensor, mapped};

/// The longest that one thing is repeated for.
const LONGEST: Duration = Duration::from_secs(2);

fn measure<T>(mut run: impl FnMut() -> T) -> (Duration, Duration, Duration) {
    let mut times = vec![];
    let start = Instant::now();
    std::hint::black_box(run());
    while times.is_empty() || (times.len() < 20 && start.elapsed() < LONGEST) {
        let start = Instant::now();
        std::hint::black_box(run());
        times.push(start.elapsed());
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    (at(0.5), at(0.1), at(0.9))
}

fn shown((median, low, high): (Duration, Duration, Duration)) -> String {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    format!("{:8.2} ms ({:.2} to {:.2})", ms(median), ms(low), ms(high))
}

/// Zeros for every param; the large ones lie in files that have no blocks on disk.
struct Sparse {
    directory: PathBuf,
}

impl Weights for Sparse {
    fn get(&self, _: &str, dtype: DType, shape: &[usize]) -> Result<Tensor, Diagnostic> {
        let wrong = |e: String| Diagnostic::new(e);
        let length = shape.iter().product::<usize>() * dtype.size();
        if length < 1 << 20 {
            let zeros = bytes::Bytes::from(vec![0; length]);
            return Tensor::new(dtype, shape, zeros).map_err(|e| wrong(e.to_string()));
        }
        let path = self.directory.join(length.to_string());
        if !path.exists() {
            let file = std::fs::File::create(&path).map_err(|e| wrong(e.to_string()))?;
            file.set_len(length as u64)
                .map_err(|e| wrong(e.to_string()))?;
        }
        let bytes = mapped::map(&path).map_err(|e| wrong(e.to_string()))?;
        Tensor::new(dtype, shape, bytes).map_err(|e| wrong(e.to_string()))
    }
}

fn text(source: &Arc<Source>, weights: &Sparse) {
    println!("  parse     {}", shown(measure(|| parse(source, weights))));
    match parse(source, weights) {
        Ok(module) => {
            analyse(&module);
            let Ok(facts) = propagate(&module) else {
                return;
            };
            let annotated = annotate(&module, &facts);
            println!(
                "  annotate  {}",
                shown(measure(|| annotate(&module, &facts)))
            );
            println!("  print     {}", shown(measure(|| print(&annotated))));
        }
        Err(e) => eprint!("{}", e.render()),
    }
}

fn analyse(read: &Module) {
    let plan = Source {
        name: "plan.toml".into(),
        text: "[target]\nratio = 0.5\n".into(),
    };
    let plan = Plan::read(&Arc::new(plan)).expect("the plan is right");
    let (module, _) = unshare(read);
    let facts = match propagate(&module) {
        Ok(facts) => facts,
        Err(e) => return eprint!("{}", e.render()),
    };
    let found = groups(&module, &facts);
    println!("  {} operations", module.nodes.len());
    println!("  propagate {}", shown(measure(|| propagate(&module))));
    println!("  groups    {}", shown(measure(|| groups(&module, &facts))));
    let tensors = module.tensors().map(|(_, t)| t.len() as u64);
    if tensors.sum::<u64>() < 1 << 30 {
        let selected = measure(|| select(&module, &facts, &found, &plan));
        println!("  select    {}", shown(selected));
    }
}

fn of_file(path: &Path, weights: &Sparse) {
    if path.extension().is_none_or(|e| e != "tir") {
        return match tpc::onnx::read(path) {
            Ok(read) => analyse(&read),
            Err(e) => eprint!("{}", e.render()),
        };
    }
    match std::fs::read_to_string(path) {
        Ok(read) => {
            let name = path.display().to_string();
            text(&Arc::new(Source { name, text: read }), weights);
        }
        Err(e) => eprintln!("{e}"),
    }
}

fn main() -> std::io::Result<()> {
    let directory = std::env::temp_dir().join(format!("tpc-bench-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let weights = Sparse { directory };
    let given = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let models: Vec<PathBuf> = given.map(PathBuf::from).collect();
    for path in &models {
        println!("{}", path.file_name().unwrap_or_default().to_string_lossy());
        of_file(path, &weights);
    }
    if models.is_empty() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let example = "examples/ch_ppocr_mobile_v2.0_cls_infer.onnx";
        println!("{example}");
        of_file(&root.join(example), &weights);
        let fused = Decoder {
            fused: true,
            ..Decoder::LARGE
        };
        let all = [
            ("decoder", Decoder::LARGE.text()),
            ("decoder, fused", fused.text()),
            ("residual", residual(100_000)),
            ("concatenations", concatenations(100_000)),
            ("dense", dense(100_000, 16)),
        ];
        for (name, program) in all {
            println!("{name}");
            let name = format!("{name}.tir");
            let source = Source {
                name,
                text: program,
            };
            text(&Arc::new(source), &weights);
        }
    }
    std::fs::remove_dir_all(&weights.directory)
}
