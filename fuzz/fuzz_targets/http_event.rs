//! `cargo fuzz run http_event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lingqian_fuzz::http_event(data));
