//! See `checks/differ.rs`.
#![no_main]

#[path = "../checks/differ.rs"]
mod differ;
#[path = "../checks/wire.rs"]
#[allow(dead_code)]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    differ::request_meaning(data);
});
