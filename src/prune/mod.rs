//! Groups, plans, selection, shrink, masked, verification.
mod criteria;
mod groups;
mod inputs;
mod keep;
mod masked;
mod matching;
mod plan;
mod runner;
mod select;
mod shrink;
mod unshare;
mod verify;

pub use criteria::{Magnitude, Normalize, Reduce};
pub use groups::{Class, Frozen, Group, Groups, ParamAxis, groups};
pub use inputs::Binding;
pub use keep::Keep;
pub use masked::{Masked, masked};
pub use matching::protect;
pub use plan::{Plan, Scope};
pub use runner::{Run, RunError, Runner};
pub use select::{Choice, Chosen, ranges, select};
pub use shrink::shrink;
pub use unshare::{Clones, reshare, unshare};
pub use verify::{Verification, Verified, VerifyError, verify, verify_outputs};
