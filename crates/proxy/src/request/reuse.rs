//! Which connections to instances a request may go on.
//!
//! Owns how much of a risk it may take: an idle connection may be closed by its instance just as a request is put on it, and
//! then nobody knows whether that was looked at. Must never let a request that may not be sent twice be the first thing by
//! which that is found out, where it can be known before. Why so: `docs/decisions.md`, "Connections that are used again".

use super::Session;

/// What a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Any idle connection: should it be closed, the request is sent again.
    Freely,
    /// An idle connection whose socket has been asked and has nothing to say.
    Checked,
    /// One that has carried no request: an idle one that was made ahead, asked as above, or a new one.
    Unused,
    /// One that is made now: what is there already may all be as bad as the one that failed.
    Never,
}

impl Session {
    /// What the request at hand may go on, on its first try.
    #[must_use]
    pub fn reuse(&self) -> Reuse {
        match &self.exchange {
            // All of it is here, and will be when it is to be sent again.
            Some(exchange) if exchange.idempotent && exchange.body.is_done() => Reuse::Freely,
            Some(exchange) if exchange.idempotent || self.seasoned => Reuse::Checked,
            _ => Reuse::Unused,
        }
    }
}
