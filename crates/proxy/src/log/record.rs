//! What is known of one request or connection once it is over.
//!
//! Owns the record as plain data: it is made by a worker, read by the writer, and knows no socket and no clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Said;
use super::spool::Delivery;
use crate::fault::Fault;
pub use crate::tls::words::Mismatch;

/// What was carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Http,
    /// A connection whose bytes nobody looked at.
    Tcp,
}

/// The listener that a client came to; one for all its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// The balancer's name.
    pub balancer: String,
    /// The zone of the node; `None` for a node of no zone.
    pub zone: Option<String>,
    /// Whether only instances of that zone may be chosen.
    pub own_zone_only: bool,
    /// How long an instance may say nothing.
    pub idle: Duration,
    /// Whether the balancer had an instance registered.
    pub has_instances: bool,
    /// What held where every instance was busy.
    pub queued: Queued,
    /// Where its records go besides, if its balancer has a log of its own.
    pub delivery: Option<Delivery>,
}

/// What holds where every instance is busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Requests that may wait on the node.
    pub most: u32,
    /// For how long each.
    pub wait: Duration,
    /// What may be in flight on an instance; 0 for no limit.
    pub limit: u32,
    /// For how long each where nobody is in service, if instances come for those who wait.
    pub boot: Option<Duration>,
}

/// Who was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The instance's id.
    pub instance: Arc<str>,
    /// Where it was reached.
    pub address: SocketAddr,
}

/// The three times of AWS's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// HTTP: from the request's receipt until it was sent to an instance. TCP: from accepting the connection until its
    /// first byte was sent to an instance.
    pub request: Duration,
    /// HTTP: from then until the first byte of the answer. TCP: the time to connect to the instance.
    pub instance: Duration,
    /// From the first byte of the answer until it began to go to the client.
    pub response: Duration,
}

/// The keys that a TLS client and the road agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The suite, by OpenSSL's name.
    pub cipher: &'static str,
    /// Such as `TLSv1.2`.
    pub protocol: &'static str,
}

/// One request or connection.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was carried.
    pub kind: Kind,
    /// When it was received, or accepted.
    pub at: SystemTime,
    /// From then to its end.
    pub total: Duration,
    /// Where the client came to.
    pub side: Arc<Side>,
    /// The client.
    pub client: SocketAddr,
    /// The instance asked last; `None` when nobody was.
    pub asked: Option<Asked>,
    /// `None` unless an instance answered; for TCP, unless bytes went both ways.
    pub times: Option<Times>,
    /// What the client was told; 0 when it was told nothing, and for TCP.
    pub status: u16,
    /// What the instance answered; 0 for nothing, and for TCP.
    pub instance_status: u16,
    /// Bytes of bodies (HTTP; after a 101, of everything that followed) or of everything (TCP) from the client.
    pub received: u64,
    /// The same to the client.
    pub sent: u64,
    /// What the client asked, where it asked something that could be read.
    pub said: Option<Box<Said>>,
    /// Times that it was tried again.
    pub retries: u32,
    /// What went wrong for good.
    pub fault: Option<Fault>,
    /// It could have been tried again, but too many were.
    pub denied: bool,
    /// TLS on the client's side.
    pub secured: Option<Secured>,
    /// What it and the listener do not have in common.
    pub mismatch: Option<Mismatch>,
}

impl Record {
    /// About how many bytes it holds.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.said.as_ref().map_or(0, |said| said.len())
    }
}
