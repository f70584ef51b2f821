//! Frames: their heads, and those that the road writes.
//!
//! Owns the layout (RFC 9113 §4, §6). Must never decide what a frame means: `mux.rs` does.

use super::Code;

/// What a client says first.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's head.
pub const HEAD: usize = 9;
/// Bytes of a frame's payload, both ways: what every peer must take, and all that the road takes.
pub const PAYLOAD_LIMIT: usize = 16_384;

/// Kinds of frames.
pub mod kind {
    #![allow(missing_docs)]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![allow(missing_docs)]
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

/// Numbers of settings (RFC 9113 §6.5.2).
pub mod setting {
    #![allow(missing_docs)]
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes that follow.
    pub len: usize,
    /// What it is, [`kind`].
    pub kind: u8,
    /// [`flag`]s.
    pub flags: u8,
    /// The stream, 0 for the connection.
    pub stream: u32,
}

impl Head {
    /// Reads one; `None` when it is not all there.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<HEAD>()?;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Self { len, kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff })
    }

    /// Whether a flag is set.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame's head.
pub fn head(len: usize, kind: u8, flags: u8, stream: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(len as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a block of header fields, in as many frames as it takes.
pub fn block(stream: u32, block: &[u8], end: bool, out: &mut Vec<u8>) {
    let mut kind = kind::HEADERS;
    let mut flags = if end { flag::END_STREAM } else { 0 };
    let mut rest = block;
    loop {
        let (part, more) = rest.split_at(rest.len().min(PAYLOAD_LIMIT));
        if more.is_empty() {
            flags |= flag::END_HEADERS;
        }
        head(part.len(), kind, flags, stream, out);
        out.extend_from_slice(part);
        if more.is_empty() {
            return;
        }
        (kind, flags, rest) = (kind::CONTINUATION, 0, more);
    }
}

/// Appends settings.
pub fn settings(list: &[(u16, u32)], out: &mut Vec<u8>) {
    head(list.len() * 6, kind::SETTINGS, 0, 0, out);
    for (number, value) in list {
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the end of a stream.
pub fn reset(stream: u32, code: Code, out: &mut Vec<u8>) {
    head(4, kind::RST_STREAM, 0, stream, out);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends the end of a connection: streams up to `last` were, or will be, looked at.
pub fn goaway(last: u32, code: Code, out: &mut Vec<u8>) {
    head(8, kind::GOAWAY, 0, 0, out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends leave to send that many bytes more.
pub fn window(stream: u32, bytes: u32, out: &mut Vec<u8>) {
    head(4, kind::WINDOW_UPDATE, 0, stream, out);
    out.extend_from_slice(&bytes.to_be_bytes());
}

/// Appends a question whether the peer is there, or the answer to one.
pub fn ping(mark: [u8; 8], answer: bool, out: &mut Vec<u8>) {
    head(8, kind::PING, if answer { flag::ACK } else { 0 }, 0, out);
    out.extend_from_slice(&mark);
}
