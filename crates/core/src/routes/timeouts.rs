//! How long anything of a load balancer may take, beyond its idle timeout.
//!
//! Owns the shape and the defaults: nothing stated means that the idle timeout governs, as AWS has it. Must never hold a
//! clock: the road has.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time limits, each instead of the idle timeout. All are at least 1 ms; the road acts within 16 ms of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// A client's TLS handshake, all of it; 10 s or the idle timeout, whichever is shorter, where nothing is stated.
    pub handshake: Option<Duration>,
    /// A request's head, all of it, from its first byte; the first byte of a new connection; a PROXY header.
    pub head: Option<Duration>,
    /// Between two moments at which a client sends something of its request's body, or takes something of its answer.
    pub body: Option<Duration>,
    /// Between a client's requests.
    pub keep_alive: Option<Duration>,
    /// A connection to an instance, its handshake included; 2 s or the idle timeout, whichever is shorter, where nothing is
    /// stated.
    pub connect: Option<Duration>,
    /// Until an instance begins to answer, and between two moments at which it sends something of its answer, or takes
    /// something of the request.
    pub response: Option<Duration>,
    /// Between two moments at which anything moves, in either direction, over TCP and SSL listeners.
    pub tunnel: Option<Duration>,
    /// How long a connection to an instance may wait for its next request.
    pub pool: Option<Duration>,
    /// Bytes a second that a client must move on average, over each ten seconds in which only it is waited for; none where
    /// nothing is stated. Whoever sends or takes a byte now and then has no other limit.
    pub least_rate: Option<u32>,
}
