//! Devices against the reference: every step on awkward extents, whole runs, run-time symbols, and inputs that do not fit.
mod bind;
mod reference;
mod steps;
