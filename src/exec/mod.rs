//! Schedules, and the devices that run them.
mod bind;
mod cpu;

pub use cpu::Cpu;
