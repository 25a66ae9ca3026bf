//! Texts of modules.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tpc_fuzz::tir(data));
