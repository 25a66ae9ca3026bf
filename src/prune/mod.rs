//! Groups, plans, selection, shrink, masked, verification.
mod inputs;
mod keep;
mod masked;
mod runner;
mod shrink;
mod unshare;
mod verify;

pub use inputs::Binding;
pub use keep::Keep;
pub use masked::{Masked, masked};
pub use runner::{Run, RunError, Runner};
pub use shrink::shrink;
pub use unshare::{Clones, reshare, unshare};
pub use verify::{Verification, Verified, VerifyError, verify, verify_outputs};
