//! One function a command: read, do, print.
use super::args::{Arguments, Command};
use crate::diag::Diagnostic;
use crate::driver::{self, Failure, load, source};
use crate::ir::{annotate, propagate};
use crate::syntax;
use clap::CommandFactory;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Does what the arguments say.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Show { model } => {
            let module = load(&model.model, model.init)?;
            let facts = propagate(&module)?;
            print(&syntax::print(&annotate(&module, &facts)))
        }
        Command::Compile {
            model,
            prune,
            output,
            emit: _,
            no_verify,
            json: _,
        } => {
            let asked = driver::Compile {
                model: model.model,
                init: model.init,
                plan: prune,
                output,
                verify: !no_verify,
            };
            let compiled = driver::compile(&asked, &|_| ())?;
            if let Some(compiled) = compiled {
                print(&format!("{:?}\n", compiled.verified))?;
            }
            Ok(())
        }
        Command::Fmt { files, check } => fmt(&files, check),
        Command::Completions { shell } => {
            let mut out = vec![];
            clap_complete::generate(shell, &mut Arguments::command(), "tpc", &mut out);
            print(&String::from_utf8_lossy(&out))
        }
        _ => Err(Failure::Usage("not there yet".into())),
    }
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
        false => Err(
            Diagnostic::new(format!("laid out otherwise: {}", unlike.join(", ")))
                .help("`tpc fmt` without `--check` lays them out")
                .into(),
        ),
    }
}
