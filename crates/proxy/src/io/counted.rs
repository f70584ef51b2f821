//! How many clients and streams there are, and what each has carried.
//!
//! Owns the counts' ends: whoever holds one is counted in, and counted out when it is dropped, whatever the way. Must never
//! decide anything.

use std::cell::Cell;
use std::sync::Arc;

use super::shared::Shared;
use crate::meter::NodeBlock;

/// How a client counts.
pub(super) enum Counted {
    /// As a connection.
    Connection(Presence),
    /// As a stream of one.
    Stream(Streaming),
    /// Not any more.
    Left,
}

impl Counted {
    /// Takes over how it counts.
    pub(super) fn leave(&mut self) -> Self {
        std::mem::replace(self, Self::Left)
    }

    /// So many bytes came from the client and went to it.
    pub(super) fn carried(&self, received: u64, sent: u64) {
        match self {
            Self::Connection(presence) => presence.carried.add(received, sent),
            Self::Stream(streaming) => streaming.carried.add(received, sent),
            Self::Left => {}
        }
    }

    /// Since when, and how much; nothing for whom that is over.
    pub(super) fn record(&self) -> Option<&Carried> {
        match self {
            Self::Connection(presence) => Some(&presence.carried),
            Self::Stream(streaming) => Some(&streaming.carried),
            Self::Left => None,
        }
    }
}

/// What one of them has carried.
pub(super) struct Carried {
    /// When it began, in the worker's milliseconds.
    pub(super) since: u64,
    received: Cell<u64>,
    sent: Cell<u64>,
}

impl Carried {
    fn new(since: u64) -> Self {
        Self { since, received: Cell::new(0), sent: Cell::new(0) }
    }

    /// So many bytes came from the client and went to it.
    pub(super) fn add(&self, received: u64, sent: u64) {
        self.received.set(self.received.get() + received);
        self.sent.set(self.sent.get() + sent);
    }

    /// Bytes from the client and to it, until now.
    pub(super) fn moved(&self) -> (u64, u64) {
        (self.received.get(), self.sent.get())
    }
}

/// A connection counted in, for as long as it lives.
pub(super) struct Presence {
    shared: Arc<Shared>,
    index: usize,
    meter: Arc<NodeBlock>,
    pub(super) carried: Carried,
}

impl Presence {
    pub(super) fn new(shared: &Arc<Shared>, index: usize, meter: &Arc<NodeBlock>, since: u64) -> Self {
        meter.open_clients.add(1);
        meter.accepted.add(1);
        Self { shared: Arc::clone(shared), index, meter: Arc::clone(meter), carried: Carried::new(since) }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.meter.open_clients.sub(1);
        self.shared.leave(self.index);
    }
}

/// A stream counted in, for as long as it lives.
pub(super) struct Streaming {
    meter: Arc<NodeBlock>,
    carried: Carried,
}

impl Streaming {
    pub(super) fn new(meter: &Arc<NodeBlock>, since: u64) -> Self {
        meter.open_streams.add(1);
        Self { meter: Arc::clone(meter), carried: Carried::new(since) }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.meter.open_streams.sub(1);
    }
}
