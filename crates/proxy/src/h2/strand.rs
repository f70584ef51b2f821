//! One stream of a connection.
//!
//! Owns what the peer said on it, as HTTP/1 text that was not taken yet, and its windows. Must never decide about the
//! connection: `mux.rs` does.

use super::Code;
use super::mux::STREAM_WINDOW;
use super::outlet::Outlet;
use super::text::Body;
use crate::proto::emit;

/// A stream.
#[derive(Debug)]
pub(super) struct Strand {
    /// Who is to be told of news; 0 for nobody yet.
    pub(super) owner: u64,
    /// Told, and has not looked since.
    pub(super) rung: bool,
    inbox: Vec<u8>,
    taken: usize,
    /// Bytes of the peer's that are in the inbox, or were and are not granted again.
    pub(super) owed: u32,
    /// What the peer may send yet.
    pub(super) recv_window: i64,
    /// What the peer takes yet.
    pub(super) send_window: i64,
    pub(super) body: Body,
    /// The peer's head is here; with a client's role interim ones do not count.
    pub(super) headed: bool,
    /// The peer has said everything.
    pub(super) ended: bool,
    /// The peer takes no more, but what it said stands.
    pub(super) deaf: bool,
    /// It was ended before it was over.
    pub(super) gone: Option<Code>,
    pub(super) outlet: Outlet,
    pub(super) to_head: bool,
    /// Its owner wants to write and cannot.
    pub(super) waiting: bool,
    /// It counts among the open ones.
    pub(super) live: bool,
    /// Bytes of bodies written in which round.
    pub(super) wrote: (u64, usize),
}

/// The peer says more, or less, than it announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadLength;

impl Strand {
    pub(super) fn new(owner: u64, send_window: i64) -> Self {
        Self {
            owner,
            rung: false,
            inbox: Vec::new(),
            taken: 0,
            owed: 0,
            recv_window: STREAM_WINDOW,
            send_window,
            body: Body::None,
            headed: false,
            ended: false,
            deaf: false,
            gone: None,
            outlet: Outlet::default(),
            to_head: false,
            waiting: false,
            live: true,
            wrote: (0, 0),
        }
    }

    /// Where text of the peer is appended.
    pub(super) fn inbox(&mut self) -> &mut Vec<u8> {
        &mut self.inbox
    }

    /// Text that was not taken yet.
    pub(super) fn news(&self) -> &[u8] {
        &self.inbox[self.taken..]
    }

    /// Takes text.
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let count = self.news().len().min(into.len());
        into[..count].copy_from_slice(&self.inbox[self.taken..self.taken + count]);
        self.taken += count;
        if self.taken == self.inbox.len() {
            self.forget();
        }
        count
    }

    /// Drops text that was not taken.
    pub(super) fn forget(&mut self) {
        self.taken = 0;
        self.inbox.clear();
        if self.inbox.capacity() > 4096 {
            self.inbox = Vec::new();
        }
    }

    /// Takes data of a body.
    pub(super) fn data(&mut self, data: &[u8], end: bool) -> Result<(), BadLength> {
        match &mut self.body {
            Body::None if data.is_empty() => {}
            Body::None => return Err(BadLength),
            Body::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(BadLength)?;
                if end && *left > 0 {
                    return Err(BadLength);
                }
                self.inbox.extend_from_slice(data);
            }
            Body::Chunks => {
                emit::chunk(data, &mut self.inbox);
                if end {
                    emit::last_chunk(&[], &mut self.inbox);
                }
            }
        }
        self.ended |= end;
        Ok(())
    }

    /// Takes the trailers that end a body, as lines.
    pub(super) fn trailers(&mut self, lines: &[u8]) -> Result<(), BadLength> {
        match self.body {
            Body::Length(1..) => return Err(BadLength),
            Body::Chunks => emit::last_chunk(lines, &mut self.inbox),
            // HTTP/1 has no place for them.
            Body::None | Body::Length(0) => {}
        }
        self.ended = true;
        Ok(())
    }

    /// Whether what the peer says on is of no interest.
    pub(super) fn is_shut(&self) -> bool {
        self.gone.is_some() || (self.deaf && self.ended)
    }

    /// Whether nothing more goes either way.
    pub(super) fn is_over(&self) -> bool {
        self.gone.is_some() || (self.ended && self.outlet.is_done())
    }
}
