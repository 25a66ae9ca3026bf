//! One function a command: read, do, print.
use super::args::{Arguments, Command, Convention, Emit, Model};
use crate::diag::Diagnostic;
use crate::driver::{self, Failure, Form, load, source};
use crate::ir::{Facts, Module, propagate};
use crate::prune::{self, groups, standard_binding, unshare};
use crate::{report, syntax, weights};
use clap::CommandFactory;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Does what the arguments say.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Compile {
            model,
            prune,
            output,
            emit,
            no_verify,
            json,
        } => {
            let asked = driver::Compile {
                model: model.model,
                init: model.init,
                plan: prune,
                output,
                also: forms(&emit),
                verify: !no_verify,
            };
            compile(&asked, emit.contains(&Emit::Report), json)
        }
        Command::Show { model } => {
            let module = load(&model.model, model.init)?;
            print(&syntax::print(&driver::annotated(&module)?))
        }
        Command::Fmt { files, check } => fmt(&files, check),
        Command::Groups { model, json } => {
            let (module, _) = unshare(&load(&model.model, model.init)?);
            let facts = propagate(&module)?;
            let all = groups(&module, &facts);
            let reach = prune::reach(&module, &facts);
            if json {
                return print_json(&report::groups_json(&module, &all, &reach));
            }
            let whole = prune::cost(&module, &facts, prune::Convention::Own);
            let at = standard_binding(&module, &facts);
            print(&report::groups(&module, &all, &whole, &reach, &at))
        }
        Command::Explain { model, a, b, json } => {
            let (module, _) = unshare(&load(&model.model, model.init)?);
            let facts = propagate(&module)?;
            let text = driver::explain(&module, &facts, &a, b.as_deref())?;
            match json {
                true => print_json(&json!({ "explanation": text.lines().collect::<Vec<_>>() })),
                false => print(&text),
            }
        }
        Command::Stats {
            model,
            convention,
            json,
        } => stats(&model, convention, json),
        Command::Plan {
            model,
            prune,
            output,
            json,
        } => {
            let (_, lock, path) =
                driver::plan(&model.model, model.init, &prune, output.as_deref())?;
            match json {
                true => print_json(&to_json(&lock)?),
                false => print(&format!(
                    "{}lock: {}\n",
                    report::compiled(&lock),
                    path.display()
                )),
            }
        }
        Command::Verify {
            model,
            pruned,
            lock,
            tolerance,
            json,
        } => {
            let verified = driver::check(
                &model.model,
                model.init,
                &pruned,
                lock.as_deref(),
                tolerance,
            )?;
            let what = match verified.outputs_only {
                true => "outputs",
                false => "values",
            };
            match json {
                true => print_json(&json!({
                    "compared": verified.compared,
                    "what": what,
                    "error": verified.worst,
                    "value": verified.worst_value,
                    "cuts": verified.cuts,
                    "skipped": verified.skipped,
                    "runs": verified.runs,
                })),
                false => print(&format!(
                    "verified: {} {what} are equal, error {:.1e} (`{}`), {tolerance:.0e} allowed\n",
                    verified.compared, verified.worst, verified.worst_value
                )),
            }
        }
        Command::Run {
            model,
            input,
            output,
            seed,
            json,
        } => {
            let (module, facts) = read(&model.model, model.init)?;
            let inputs = driver::inputs(&module, &facts, &input, seed)?;
            let outputs = driver::run(&module, &facts, &inputs)?;
            if let Some(path) = &output {
                let mut aside = driver::Output::beside(path)?;
                aside.with(path, |aside| {
                    weights::write_arrays(&outputs, aside).map_err(Failure::from)
                })?;
                aside.publish()?;
            }
            let summary: Vec<(String, Value)> = outputs
                .iter()
                .map(|(name, tensor)| (name.clone(), summary(tensor)))
                .collect();
            if json {
                return print_json(
                    &summary
                        .into_iter()
                        .collect::<serde_json::Map<_, _>>()
                        .into(),
                );
            }
            let line = |(name, s): &(String, Value)| {
                format!(
                    "{name}: {}{} least {} largest {} mean {}\n",
                    s["type"].as_str().unwrap_or_default(),
                    s["shape"],
                    s["least"],
                    s["largest"],
                    s["mean"]
                )
            };
            print(&summary.iter().map(line).collect::<String>())
        }
        Command::Diff { a, b, json } => {
            let (a, b) = (read(&a, None)?, read(&b, None)?);
            let text = driver::diff((&a.0, &a.1), (&b.0, &b.1));
            match json {
                true => print_json(&json!({ "differences": text.lines().collect::<Vec<_>>() })),
                false => print(&text),
            }
        }
        Command::Completions { shell } => {
            let mut out = vec![];
            clap_complete::generate(shell, &mut Arguments::command(), "tpc", &mut out);
            print(&String::from_utf8_lossy(&out))
        }
    }
}

fn read(path: &Path, init: Option<u64>) -> Result<(Module, Facts), Failure> {
    let module = load(path, init)?;
    let facts = propagate(&module)?;
    Ok((module, facts))
}

fn forms(emit: &[Emit]) -> Vec<Form> {
    let form = |e: &Emit| match e {
        Emit::Tir => Some(Form::Tir),
        Emit::Onnx => Some(Form::Onnx),
        Emit::Lock | Emit::Report => None,
    };
    emit.iter().filter_map(form).collect()
}

fn compile(asked: &driver::Compile, write_report: bool, json: bool) -> Result<(), Failure> {
    // Drawn on a terminal only, and only when the work takes long enough to be noticed.
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let compiled = driver::compile(asked, &|what| bar.set_message(what.to_string()));
    bar.finish_and_clear();
    let Some(compiled) = compiled? else {
        return Ok(());
    };
    let value = to_json(&compiled.lock)?;
    if write_report {
        let path = compiled.output.with_extension("report.json");
        let mut output = driver::Output::beside(&path)?;
        output.text(&format!("{value:#}\n"), &path)?;
        output.publish()?;
    }
    match json {
        true => print_json(&value),
        false => print(&format!(
            "{}wrote {}, {}\n",
            report::compiled(&compiled.lock),
            compiled.output.display(),
            compiled.lock_path.display()
        )),
    }
}

fn to_json(lock: &prune::Lock) -> Result<Value, Failure> {
    serde_json::to_value(lock).map_err(|e| Diagnostic::new(e.to_string()).into())
}

fn stats(model: &Model, convention: Convention, json: bool) -> Result<(), Failure> {
    let (module, facts) = read(&model.model, model.init)?;
    let convention = match convention {
        Convention::Tpc => prune::Convention::Own,
        Convention::TorchPruning => prune::Convention::TorchPruning,
    };
    let cost = prune::cost(&module, &facts, convention);
    let at = standard_binding(&module, &facts);
    let peak = prune::peak(&module, &facts, &at);
    if json {
        let peak = peak.as_ref();
        let node = peak.and_then(|p| p.node);
        return print_json(&json!({
            "params": cost.params,
            "bytes": cost.bytes,
            "macs": cost.macs_at(&at),
            "macs_formula": cost.macs.to_string(),
            "memory": peak.map(|p| p.at),
            "memory_formula": peak.map(|p| p.bytes.to_string()),
            "memory_during": node.map(|id| module.describe(module.node_cause(id), &module.lines())),
            "at": at,
            "operations": module.nodes.len(),
        }));
    }
    print(&report::stats(&module, &cost, peak.as_ref(), &at))
}

fn summary(tensor: &crate::tensor::Tensor) -> Value {
    let values = tensor.to_f64();
    let finite = || values.iter().copied().filter(|x| !x.is_nan());
    json!({
        "type": tensor.dtype.name(),
        "shape": tensor.shape,
        "least": finite().reduce(f64::min),
        "largest": finite().reduce(f64::max),
        "mean": (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
    })
}

fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::io(Path::new("standard output"), e),
    })
}

fn fmt(files: &[PathBuf], check: bool) -> Result<(), Failure> {
    let mut unlike = vec![];
    for path in files {
        let source = source(path)?;
        let text = syntax::format(&source)?;
        if text == source.text {
            continue;
        }
        if check {
            unlike.push(format!("`{}`", path.display()));
            continue;
        }
        let mut output = driver::Output::beside(path)?;
        output.text(&text, path)?;
        output.publish()?;
    }
    match unlike.is_empty() {
        true => Ok(()),
        false => {
            let wrong = Diagnostic::new(format!("laid out otherwise: {}", unlike.join(", ")));
            Err(wrong
                .help("`tpc fmt` without `--check` lays them out")
                .into())
        }
    }
}
