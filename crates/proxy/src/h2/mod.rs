//! HTTP/2 in both roles, without I/O, with HTTP/1 text at its edge.
//!
//! Owns what stands between the `h2` crate, which speaks the protocol (RFC 9113, RFC 7541), and the life of a request: a
//! connection is a [`Mux`], and what a stream says is turned into strict HTTP/1 text ([`text`]), so that a request over
//! HTTP/2 lives the one life that [`crate::request`] describes. Must never touch a socket, and must never let through what
//! HTTP/1 could read in another way. Read `mux.rs` first; `io/h2.rs` drives it.

pub mod mux;
mod outlet;
mod strand;
pub mod text;
mod watch;
pub(crate) mod websocket;
mod wire;

pub use h2::Reason;
pub use mux::{Mux, Role};

/// What a client begins with (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
