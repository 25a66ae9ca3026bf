//! The `tpc` program.
fn main() -> std::process::ExitCode {
    tpc::cli::main()
}
