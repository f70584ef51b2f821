//! What the choice of an instance asks of a request, and what becomes of one that gets none.
//!
//! Owns the key that a request is hashed by and how waiting and trying again end. Must never choose or wait itself: the
//! driver does.

use evenkeel_core::balance::hash;
use evenkeel_core::noun::HashOn;

use super::Session;
use super::exchange::Stage;
use crate::fault::Fault;
use crate::proto::{RequestHead, cookie};

/// The key of a request, where it has what is hashed.
pub(super) fn key(what: &HashOn, bytes: &[u8], head: &RequestHead) -> Option<u64> {
    let value = match what {
        HashOn::ClientAddress => None,
        HashOn::Header(name) => {
            let named =
                |field: &&crate::proto::field::Field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes());
            head.fields.iter().find(named).map(|field| field.value.of(bytes))
        }
        HashOn::Cookie(name) => cookie::shown(bytes, &head.fields, name),
    };
    value.filter(|value| !value.is_empty()).map(hash::of)
}

impl Session {
    /// Sets what requests, from the next one on, are hashed by.
    pub fn hash_by(&mut self, what: Option<&HashOn>) {
        if self.hash_on.as_ref() != what {
            self.hash_on = what.cloned();
        }
    }

    /// The key of the request at hand; `None` where it lacks what is hashed.
    #[must_use]
    pub fn key(&self) -> Option<u64> {
        self.exchange.as_ref().and_then(|exchange| exchange.key)
    }

    /// Every instance is busy, and as many wait as may.
    pub fn queue_full(&mut self, out: &mut Vec<u8>) {
        self.fail(Fault::QueueFull, out);
    }

    /// No instance was free for as long as it may wait.
    pub fn waited_too_long(&mut self, out: &mut Vec<u8>) {
        self.fail(Fault::QueueTimeout, out);
    }

    /// Whether the request is about to be tried again.
    #[must_use]
    pub fn tries_again(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.stage == Stage::Retrying)
    }

    /// The try that was about to be made cannot be afforded: what failed last stands.
    pub fn tries_no_more(&mut self, out: &mut Vec<u8>) {
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.stage == Stage::Retrying) else {
            return;
        };
        exchange.stage = Stage::Holding;
        self.notes.denied = true;
        let fault = exchange.failed.unwrap_or(Fault::ClosedBeforeAnswer);
        self.fail(fault, out);
    }
}
