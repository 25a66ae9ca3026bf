//! ONNX files.
#![no_main]
mod mutate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tpc_fuzz::onnx(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match mutate::model(&data[..size], seed) {
        Some(made) if made.len() <= max_size => {
            data[..made.len()].copy_from_slice(&made);
            made.len()
        }
        _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
});

libfuzzer_sys::fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| {
    match mutate::joined(data1, data2, seed) {
        Some(made) if made.len() <= out.len() => {
            out[..made.len()].copy_from_slice(&made);
            made.len()
        }
        _ => 0,
    }
});
