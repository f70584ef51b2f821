//! Requests that an ACME server asks of the balancer itself (RFC 8555 §8.3).
//!
//! Owns which request is one, and its answer. Must never keep another from its instance: only a plain GET for a token that
//! is pending is answered here.

use std::sync::Arc;

use super::{Carried, Ending, Session};
use crate::challenge::Pending;
use crate::log::Said;
use crate::proto::emit::{self, Forwarded};
use crate::proto::{Framing, RequestHead};

impl Session {
    /// Sets what may be asked, from the next request on.
    pub(crate) fn challenge_by(&mut self, pending: Option<&Arc<Pending>>) {
        // Nearly always there is nothing, before and after.
        if self.pending.is_some() || pending.is_some() {
            self.pending = pending.cloned();
        }
    }

    /// Answers a request that asks a challenge; false for any other. The connection is closed after it: whoever asks has
    /// nothing else to say.
    pub(super) fn is_challenge(
        &mut self,
        bytes: &[u8],
        head: &RequestHead,
        front: &Forwarded,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(pending) = &self.pending else { return false };
        if head.method.of(bytes) != b"GET" || head.framing != Framing::None || !head.prefix.is_empty() {
            return false;
        }
        let Some(text) = pending.of_path(head.path.of(bytes)) else { return false };
        emit::own_text(text, out);
        self.notes.request = true;
        self.notes.served = Some(200);
        self.carried = Carried { up: 0, down: text.len() as u64 };
        if self.watched {
            let said = Said::of(bytes, head, front);
            self.said = Some(Box::new(if self.multiplexed { said.over_http2() } else { said }));
        }
        (self.last, self.unread) = (true, true);
        self.ending.get_or_insert(Ending::Close);
        true
    }
}
