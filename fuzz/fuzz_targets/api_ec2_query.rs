//! See `checks/codec.rs`.
#![no_main]

#[path = "../checks/codec.rs"]
#[allow(dead_code)]
mod codec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec::api_ec2_query(data));
