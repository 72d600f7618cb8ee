//! `cargo fuzz run wechat_resource`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lingqian_fuzz::wechat_resource(data));
