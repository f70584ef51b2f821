//! See `checks/wire.rs`.
#![no_main]

#[path = "../checks/wire.rs"]
#[allow(dead_code)]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::h2_request(data));
