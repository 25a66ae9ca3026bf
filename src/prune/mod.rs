//! Groups, plans, selection, shrink, masked, verification.
mod keep;
mod runner;
mod shrink;
mod unshare;

pub use keep::Keep;
pub use runner::{Run, RunError, Runner};
pub use shrink::shrink;
pub use unshare::{Clones, reshare, unshare};
