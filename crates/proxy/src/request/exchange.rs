//! One request and its answer, as a session holds them: where they stand, and what must still be kept of them.
//!
//! Owns the memory of exchanges, also of those that are over: a thread keeps some, so that a kept-alive request allocates
//! nothing. Must never decide what happens next: that is [`super::Session`]'s.

use std::cell::RefCell;

use super::stick::Stick;
use super::switch::Asked;
use super::{REPLAY_LIMIT, UNSENT_LIMIT};
use crate::fault::Fault;
use crate::proto::{BodyReader, Framing, Scanner};

/// Exchanges that are over and whose memory a thread keeps for the next ones.
const SPARES: usize = 512;
/// Bytes that the buffer of a kept exchange may have: enough for nearly every request without a body.
const SPARE_BUFFER: usize = 2048;

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The request as the instance reads it; all of it while `whole`.
    pub(super) up: Vec<u8>,
    pub(super) sent: usize,
    pub(super) whole: bool,
    /// The kernel took at least a byte for the connection at hand.
    pub(super) accepted: bool,
    pub(super) idempotent: bool,
    /// The instance may say that it never looked at the request: then it is sent elsewhere.
    pub(super) refusable: bool,
    pub(super) to_head: bool,
    pub(super) minor: u8,
    pub(super) persists: bool,
    /// Nothing may follow it on the instance's connection.
    pub(super) alone: bool,
    /// What it asks to go on in.
    pub(super) asks: Option<Box<Asked>>,
    pub(super) body: BodyReader,
    pub(super) chunked: bool,
    /// What followed the request's body; `None` where nothing may.
    pub(super) trailers: Option<Vec<u8>>,
    /// The instance takes no more of the request, but may still answer.
    pub(super) deaf: bool,
    pub(super) attempts: u8,
    pub(super) failed: Option<Fault>,
    pub(super) stage: Stage,
    pub(super) answer: Answer,
    /// A byte of an answer has come on the connection at hand.
    pub(super) heard: bool,
    /// What it is hashed by.
    pub(super) key: Option<u64>,
    /// Where its client's requests go to the same instance.
    pub(super) stick: Option<Box<Stick>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A connection is wanted.
    Borrowing,
    /// A connection is held.
    Holding,
    /// It is let go of, and the request is tried again.
    Retrying,
    /// The client and the holder of the connection are left to each other.
    Switched,
    /// It is let go of, and the exchange is over.
    Leaving { reuse: bool },
}

#[derive(Debug)]
pub(super) enum Answer {
    Head { held: Vec<u8>, scanner: Scanner, interim: u8 },
    Body { reader: BodyReader, framing: Framing, reuse: bool, trailers: Option<Vec<u8>> },
}

impl Answer {
    pub(super) fn expected() -> Self {
        Self::Head { held: Vec::new(), scanner: Scanner::default(), interim: 0 }
    }
}

thread_local! {
    /// Kept so that a request on a connection that is kept alive allocates nothing: a connection that idles owns none.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    static KEPT: RefCell<Vec<Box<Exchange>>> = const { RefCell::new(Vec::new()) };
}

impl Exchange {
    /// One that is over, whose memory may be used.
    pub(super) fn spare() -> Option<Box<Self>> {
        KEPT.try_with(|kept| kept.borrow_mut().pop()).ok().flatten()
    }

    /// Leaves its memory to the next one, unless that is much.
    pub(super) fn keep(self: Box<Self>) {
        if self.up.capacity() > SPARE_BUFFER {
            return;
        }
        // A thread that is ending has nowhere to keep it.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < SPARES {
                kept.push(self);
            }
        });
    }

    /// Lets go of bytes that need not be sent again.
    pub(super) fn forget_sent(&mut self) {
        let may_return = self.idempotent || self.refusable;
        let harmless = may_return && self.whole && self.up.len() <= REPLAY_LIMIT + crate::proto::scan::HEAD_LIMIT;
        if harmless || self.sent == 0 {
            return;
        }
        self.whole = false;
        if self.sent == self.up.len() {
            self.up.clear();
            self.sent = 0;
        } else if self.sent >= UNSENT_LIMIT {
            self.up.drain(..self.sent);
            self.sent = 0;
        }
    }
}
