//! What a session says of itself to whoever drives it.
//!
//! Owns the words for whom it waits, what happened and how much it carried. Must never hold anything that decides what is
//! next.

use crate::fault::Fault;
use crate::proto::guard::Finding;

/// Whom a session is waiting for: it decides which deadline holds, and what is said when it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The client may or may not send another request.
    NextRequest,
    /// The client has begun a head.
    Head,
    /// The client is sending a body.
    Body,
    /// An instance is to take the request or to answer.
    Instance,
}

/// What happened since the last look, for the meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// A request was understood.
    pub request: bool,
    /// An instance's final answer has begun: its status.
    pub answered: Option<u16>,
    /// A request is tried again.
    pub retried: bool,
    /// It is not, because too many are.
    pub denied: bool,
    /// The balancer itself had what was asked for: the status of its answer.
    pub served: Option<u16>,
    /// Something failed for good.
    pub fault: Option<Fault>,
    /// A request was not compliant, whatever became of it.
    pub desync: Option<Finding>,
}

/// Bytes of bodies, without their framing, of the exchange at hand or the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the client.
    pub up: u64,
    /// To the client.
    pub down: u64,
}
