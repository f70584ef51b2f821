//! HTTP/1 text that the road wrote for one stream, on its way into frames.
//!
//! Owns where that text stands: head, body, trailers. Must never hold a byte of a body: what does not fit into the windows
//! is not taken. The text was written by [`crate::proto::emit`], and is read with the same readers as everybody's.

use super::frame::{self, PAYLOAD_LIMIT, flag, kind};
use super::mux::Role;
use super::{hpack, text};
use crate::proto::{BodyReader, Framing, Parsed, Piece, RequestHead, ResponseHead, Scanner};

/// Where the text stands.
#[derive(Debug)]
pub(super) enum Outlet {
    Head { held: Vec<u8>, scanner: Scanner },
    Body { reader: BodyReader, trailers: Vec<u8> },
    Done,
}

impl Default for Outlet {
    fn default() -> Self {
        Self::Head { held: Vec::new(), scanner: Scanner::default() }
    }
}

/// The text is not what the road writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadText;

/// Where frames go.
pub(super) struct Pipe<'a> {
    pub(super) role: Role,
    pub(super) stream: u32,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) block: &'a mut Vec<u8>,
    /// The connection has yet to write its first block.
    pub(super) fresh: &'a mut bool,
    /// Bytes of bodies that may be written.
    pub(super) room: usize,
    /// The request is, or was, HEAD.
    pub(super) to_head: &'a mut bool,
}

impl Pipe<'_> {
    fn block(&mut self, end: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.block.clear();
        if std::mem::take(self.fresh) {
            hpack::begin(self.block);
        }
        write(self.block);
        frame::block(self.stream, self.block, end, self.out);
        // A long head is rare.
        if self.block.capacity() > PAYLOAD_LIMIT {
            *self.block = Vec::new();
        }
    }

    fn data(&mut self, mut data: &[u8], end: bool) {
        loop {
            let (part, rest) = data.split_at(data.len().min(PAYLOAD_LIMIT));
            let flags = if end && rest.is_empty() { flag::END_STREAM } else { 0 };
            frame::head(part.len(), kind::DATA, flags, self.stream, self.out);
            self.out.extend_from_slice(part);
            data = rest;
            if data.is_empty() {
                return;
            }
        }
    }
}

impl Outlet {
    /// Whether the stream's last frame is written.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Takes what fits, and says how many bytes that was.
    pub(super) fn write(&mut self, bytes: &[u8], pipe: &mut Pipe<'_>) -> Result<usize, BadText> {
        let mut at = 0;
        while at < bytes.len() {
            match self {
                Self::Done => return Err(BadText),
                Self::Head { held, scanner } => {
                    let before = held.len();
                    let used = if before == 0 {
                        read_head(&bytes[at..], scanner, pipe)?
                    } else {
                        held.extend_from_slice(&bytes[at..]);
                        read_head(held, scanner, pipe)?
                    };
                    let Some((used, next)) = used else {
                        if before == 0 {
                            held.extend_from_slice(&bytes[at..]);
                        }
                        return Ok(bytes.len());
                    };
                    at += used - before;
                    *self = next;
                }
                Self::Body { reader, trailers } => {
                    let rest = &bytes[at..];
                    let (before, mut after) = (*reader, rest);
                    match reader.next(&mut after).map_err(|_| BadText)? {
                        Piece::Data(data) if data.len() > pipe.room => {
                            let framed = rest.len() - after.len() - data.len();
                            let mut fitting = &rest[..framed + pipe.room];
                            *reader = before;
                            if let Piece::Data(data) = reader.next(&mut fitting).map_err(|_| BadText)? {
                                pipe.data(data, false);
                            }
                            at += framed + std::mem::take(&mut pipe.room);
                            return Ok(at);
                        }
                        Piece::Data(data) => {
                            // The end of a stated length is known with its last byte.
                            let end = reader.is_done();
                            pipe.room -= data.len();
                            pipe.data(data, end);
                            if end {
                                *self = Self::Done;
                            }
                        }
                        Piece::Trailer(lines) => trailers.extend_from_slice(lines),
                        Piece::More => {}
                        Piece::End => self.end(pipe),
                    }
                    at = bytes.len() - after.len();
                }
            }
            // A chunked body ends with bytes of its own: they may be the last of these.
            if let Self::Body { reader, .. } = self
                && reader.is_done()
                && at == bytes.len()
            {
                self.end(pipe);
            }
        }
        Ok(at)
    }

    fn end(&mut self, pipe: &mut Pipe<'_>) {
        if let Self::Body { trailers, .. } = std::mem::replace(self, Self::Done) {
            if trailers.is_empty() {
                pipe.data(&[], true);
            } else {
                pipe.block(true, |block| text::trailer_block(&trailers, block));
            }
        }
    }
}

/// Reads a head from `bytes` and writes its block; says how many bytes it was, and what comes next.
fn read_head(bytes: &[u8], scanner: &mut Scanner, pipe: &mut Pipe<'_>) -> Result<Option<(usize, Outlet)>, BadText> {
    let (len, framing) = match pipe.role {
        Role::Server => match ResponseHead::read(bytes, scanner, *pipe.to_head).map_err(|_| BadText)? {
            None => return Ok(None),
            Some(head) => {
                let interim = head.status < 200;
                pipe.block(!interim && text::is_empty(head.framing), |block| text::answer_block(bytes, &head, block));
                if interim {
                    return Ok(Some((head.len, Outlet::default())));
                }
                (head.len, head.framing)
            }
        },
        Role::Client { scheme } => match RequestHead::read(bytes, scanner) {
            Parsed::More => return Ok(None),
            Parsed::Refused(_) => return Err(BadText),
            Parsed::Head(head) => {
                *pipe.to_head = head.is_head;
                pipe.block(text::is_empty(head.framing), |block| text::request_block(bytes, &head, scheme, block));
                (head.len, head.framing)
            }
        },
    };
    let next = match framing {
        Framing::UntilClose => return Err(BadText),
        empty if text::is_empty(empty) => Outlet::Done,
        framing => Outlet::Body { reader: BodyReader::new(framing), trailers: Vec::new() },
    };
    Ok(Some((len, next)))
}
