//! `cargo fuzz run http_lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lingqian_fuzz::http_lines(data));
