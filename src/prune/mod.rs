//! Groups, plans, selection, shrink, masked, verification.
mod keep;
mod runner;

pub use keep::Keep;
pub use runner::{Run, RunError, Runner};
