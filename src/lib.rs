//! `tpc` makes neural networks narrower: a model and a plan in, a narrower model that is proved right out.
//!
//! Layers, lowest first; a lower one never imports a higher one (`tests/layers.rs` holds the table):
//! [`tensor`], [`diag`] · [`dims`] · [`ops`] · [`ir`] · [`syntax`], [`onnx`], [`weights`], [`prune`], [`exec`] ·
//! [`driver`], [`report`] · [`cli`].
pub mod cli;
pub mod diag;
pub mod dims;
pub mod driver;
pub mod exec;
pub mod ir;
pub mod onnx;
pub mod ops;
pub mod prune;
pub mod report;
pub mod syntax;
pub mod tensor;
pub mod weights;
