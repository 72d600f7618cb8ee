//! `cargo fuzz run sandbox_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lingqian_fuzz::sandbox_request(data));
