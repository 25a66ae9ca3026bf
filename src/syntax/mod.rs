//! The textual form of a module.
