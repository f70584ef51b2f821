//! The connections that the road holds, as they are seen from outside.
//!
//! Owns one row's shape and the words for where a connection stands. Must never hold a socket: a worker makes rows on
//! request (`io/table.rs`), between two of its turns.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A client of an HTTP or HTTPS listener; also once it has gone on in another protocol.
    Http,
    /// A client of a TCP or SSL listener, with the instance it is connected to.
    Tcp,
    /// A client's that speaks HTTP/2; its streams have rows of their own, as if each were a client of HTTP.
    H2,
    /// An idle one to an instance, kept for the next request.
    Pool,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The PROXY header has not come yet.
    Greeting,
    /// The TLS handshake is under way.
    Handshake,
    /// Nothing is asked.
    Idle,
    /// Made ahead: it has carried nothing yet.
    Unused,
    /// A request's head has begun.
    Head,
    /// The client is sending a body.
    Body,
    /// It waits for an instance to be free.
    Queued,
    /// A connection to an instance is being made.
    Connecting,
    /// An instance is to take the request or to answer.
    Instance,
    /// The client has to read what was sent.
    Sending,
    /// Bytes go both ways (TCP, or after an upgrade), or streams are open (HTTP/2).
    Open,
    /// The last answer was sent, and the client has yet to close.
    Closing,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Unused => "unused",
            Self::Head => "head",
            Self::Body => "body",
            Self::Queued => "queued",
            Self::Connecting => "connecting",
            Self::Instance => "instance",
            Self::Sending => "sending",
            Self::Open => "open",
            Self::Closing => "closing",
        }
    }
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The worker that drives it.
    pub worker: usize,
    /// What it is for.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// The balancer's name.
    pub balancer: String,
    /// The client; `None` for one of the pool.
    pub client: Option<SocketAddr>,
    /// Where the client came to; `None` for one of the pool.
    pub at: Option<SocketAddr>,
    /// The instance whose connection it holds.
    pub instance: Option<String>,
    /// Milliseconds since it was accepted; since it was put there for one of the pool.
    pub age_ms: u64,
    /// Milliseconds since bytes last moved.
    pub idle_ms: u64,
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
}

/// What a look at the road gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// How many there are, the pool's among them.
    pub total: usize,
    /// All of them, or every so many-th where there are more than were asked for.
    pub rows: Vec<Connection>,
    /// Workers that did not answer in time.
    pub silent: usize,
}
