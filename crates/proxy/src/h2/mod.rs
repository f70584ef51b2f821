//! HTTP/2 on the wire, in both roles: frames, header compression, streams, and HTTP/1 text at its edge.
//!
//! Owns RFC 9113 and RFC 7541 as the road speaks them, without I/O. A connection is a [`Mux`]; what a stream says is turned
//! into strict HTTP/1 text ([`text`]), so that a request over HTTP/2 lives the one life that [`crate::request`] describes.
//! Must never read a clock or a socket, and must never let through what HTTP/1 could read in another way. Read `mux.rs`
//! first; `io/h2.rs` drives it.

pub mod frame;
pub mod hpack;
mod huffman;
pub mod list;
pub mod mux;
mod outlet;
mod strand;
pub mod text;

pub use list::List;
pub use mux::{Mux, Role};

/// Why a stream or connection ends (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u32);

impl Code {
    /// Nothing is wrong.
    pub const NO_ERROR: Self = Self(0);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1);
    /// The road, or an instance, could not go on.
    pub const INTERNAL: Self = Self(2);
    /// The peer sent more than it may.
    pub const FLOW_CONTROL: Self = Self(3);
    /// A frame came for a stream that was ended.
    pub const STREAM_CLOSED: Self = Self(5);
    /// A frame's length is not right for its kind.
    pub const FRAME_SIZE: Self = Self(6);
    /// The stream was not looked at: it may be tried again.
    pub const REFUSED: Self = Self(7);
    /// Nobody needs the stream any more.
    pub const CANCEL: Self = Self(8);
    /// The peer's header compression is broken.
    pub const COMPRESSION: Self = Self(9);
    /// The peer makes more work than anyone honest.
    pub const CALM: Self = Self(11);
}
