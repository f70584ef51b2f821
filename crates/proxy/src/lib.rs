//! The road: the data plane that every byte of a client passes through.
//!
//! Owns listeners, connections, the framing guard, the choice of an instance, health probes and what was measured.
//! Must never know `World` or AWS: it drives by [`evenkeel_core::routes::Routes`] alone, and goes on driving by the last
//! ones when nobody publishes new ones.
#![forbid(unsafe_code)]

pub mod probe;
pub mod target;
