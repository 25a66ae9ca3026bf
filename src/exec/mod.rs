//! Schedules, and the devices that run them.
mod bind;
mod cpu;
mod fuse;
mod lower;
mod schedule;
pub mod step;
mod windows;

pub use bind::Bindings;
pub use cpu::{Cpu, Program};
pub use lower::{Form, lower};
pub use schedule::{Bound, Place, Schedule, Slot, Task, schedule};
