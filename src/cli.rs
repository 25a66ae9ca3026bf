//! Arguments, printing, exit codes.
mod args;
mod commands;

use crate::driver::Failure;
use args::Arguments;
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// How the program ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done = 0,
    /// The model or the plan is wrong.
    Wrong = 1,
    /// The arguments make no sense, or a file or device gives trouble.
    Usage = 2,
    /// What the plan asks for cannot be reached.
    Infeasible = 3,
    /// Verification failed.
    Unverified = 4,
    /// The result is not faster, under `--require-speedup`.
    NotFaster = 5,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

/// Runs the program on the arguments it was called with.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            // Help and version are printed like this, too, and are no mistakes.
            let _ = e.print();
            let status = match e.use_stderr() {
                true => ExitStatus::Usage,
                false => ExitStatus::Done,
            };
            return status.into();
        }
    };
    match commands::run(arguments) {
        Ok(()) => ExitStatus::Done.into(),
        Err(failure) => {
            report(&failure);
            status(&failure).into()
        }
    }
}

fn status(failure: &Failure) -> ExitStatus {
    match failure {
        Failure::Wrong(_) => ExitStatus::Wrong,
        Failure::Usage(_) => ExitStatus::Usage,
        Failure::Verification(_) => ExitStatus::Unverified,
        // A reader that closes its end of a pipe has seen enough.
        Failure::Closed => ExitStatus::Done,
    }
}

fn report(failure: &Failure) {
    let mut out = std::io::stderr().lock();
    let text = match failure {
        Failure::Wrong(diagnostic) if out.is_terminal() => diagnostic.render_styled(),
        Failure::Wrong(diagnostic) => diagnostic.render(),
        Failure::Usage(message) => format!("error: {message}\n"),
        Failure::Verification(e) => format!("error: verification failed: {e}\n"),
        Failure::Closed => return,
    };
    // Nobody is left to be told when this fails.
    let _ = out.write_all(text.as_bytes());
}
