//! The road: the data plane that every byte of a client passes through.
//!
//! Owns listeners, connections, the framing guard, the choice of an instance, health probes and what was measured.
//! Must never know `World` or AWS: it drives by [`evenkeel_core::routes::Routes`] alone, and goes on driving by the last
//! ones when nobody publishes new ones. Read [`road`] first, then `request` for the life of one request.
#![forbid(unsafe_code)]

pub mod challenge;
pub mod connections;
mod drain;
pub mod fault;
pub mod h2;
pub mod handover;
mod io;
mod load;
pub mod log;
pub mod meter;
pub mod probe;
pub mod proto;
pub mod request;
pub mod road;
pub mod spans;
mod surge;
pub mod target;
pub mod tls;
pub mod tunnel;
mod upstream;
mod wheel;
