//! How long analysis takes: `cargo bench --bench propagate -- MODEL.onnx ...` (the example model where none is given).
//!
//! Per model: propagation (dims of every axis, solved), groups, and selection at half of every width; the median of at
//! least 20 repetitions after 3 to warm up, and the spread between the 10th and the 90th percentile.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tpc::diag::Source;
use tpc::ir::propagate;
use tpc::prune::{Plan, groups, select, unshare};

fn measure<T>(mut run: impl FnMut() -> T) -> (Duration, Duration, Duration) {
    for _ in 0..3 {
        std::hint::black_box(run());
    }
    let mut times = vec![];
    let start = Instant::now();
    while times.len() < 20 || start.elapsed() < Duration::from_millis(300) {
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

fn main() {
    let given = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut models: Vec<PathBuf> = given.map(PathBuf::from).collect();
    if models.is_empty() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        models.push(root.join("examples/ch_ppocr_mobile_v2.0_cls_infer.onnx"));
    }
    let plan = Source {
        name: "plan.toml".into(),
        text: "[target]\nratio = 0.5\n".into(),
    };
    let plan = Plan::read(&Arc::new(plan)).expect("the plan is right");
    for path in models {
        let read = match tpc::onnx::read(&path) {
            Ok(read) => read,
            Err(e) => {
                eprint!("{}", e.render());
                continue;
            }
        };
        let (module, _) = unshare(&read);
        let facts = match propagate(&module) {
            Ok(facts) => facts,
            Err(e) => {
                eprint!("{}", e.render());
                continue;
            }
        };
        let found = groups(&module, &facts);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        println!("{name}: {} operations", module.nodes.len());
        println!("  propagate {}", shown(measure(|| propagate(&module))));
        println!("  groups    {}", shown(measure(|| groups(&module, &facts))));
        println!(
            "  select    {}",
            shown(measure(|| select(&module, &facts, &found, &plan)))
        );
    }
}
