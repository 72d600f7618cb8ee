//! `cargo fuzz run wechat_signature`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lingqian_fuzz::wechat_signature(data));
