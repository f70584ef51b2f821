//! A request that asks for another protocol on the same connection (RFC 9110 §7.8).
//!
//! Owns when it may, what is held until it is granted, and what becomes of that when it is not. Must never pass on, or read
//! as a request, a byte that came behind it before the instance has said which it is (RFC 9931, CVE-2026-2833).

use super::exchange::Stage;
use super::{Next, Session};
use crate::fault::Fault;
use crate::h2::websocket;
use crate::proto::emit::{self, Relay};
use crate::proto::field::Fields;
use crate::proto::guard::Tier;
use crate::proto::{Framing, RequestHead, ResponseHead, upgrade};

/// What a request asks to go on in.
#[derive(Debug)]
pub(super) struct Asked {
    /// The protocols, as a list.
    protocols: Vec<u8>,
    /// What an instance has to make of the road's own key; nothing where the key is the client's, who looks for itself.
    accept: Option<String>,
}

/// A client and an instance that are to be left to each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Switched {
    /// What the client has said already, for the instance.
    pub early: Vec<u8>,
    /// The client will send nothing more.
    pub ended: bool,
}

impl Session {
    /// Sets whether upgrades are carried on, from the next request on: an instance that is spoken to in HTTP/2 knows none.
    pub fn carry_upgrades(&mut self, carries: bool) {
        self.plain_hop = !carries;
    }

    /// Looks whether a request's upgrade is carried on. An error where it is not, and the client could not go on without.
    pub(super) fn weigh_upgrade(&self, bytes: &[u8], head: &mut RequestHead) -> Result<(), Fault> {
        if head.upgrades && self.plain_hop && upgrade::names(bytes, &head.fields, b"websocket") {
            return Err(Fault::NoUpgrade);
        }
        // What others may read in another way must not end in bytes that nobody reads. Over HTTP/2 it was no request before.
        if head.upgrades && self.multiplexed && head.finding.tier >= Tier::Ambiguous {
            return Err(Fault::BadRequest);
        }
        head.upgrades &= head.finding.tier < Tier::Ambiguous && !self.plain_hop;
        Ok(())
    }

    /// What an instance may grant.
    pub(super) fn asks(&self, bytes: &[u8], fields: &Fields) -> Box<Asked> {
        let mut protocols = Vec::new();
        upgrade::write_protocols(bytes, fields, &mut protocols);
        let accept = if self.multiplexed { websocket::wanted(bytes, fields) } else { None };
        Box::new(Asked { protocols, accept })
    }

    /// Whether the client is to be heard though its request is complete: what it says then is held, and no more is read
    /// once it has said something.
    pub(super) fn may_be_early(&self) -> bool {
        let waits = |exchange: &super::Exchange| exchange.asks.is_some() && exchange.body.is_done();
        self.held.is_empty() && !self.eof && !self.answer_is_begun() && self.exchange.as_deref().is_some_and(waits)
    }

    /// Whether the client went on in the protocol that it asked for before that was granted. Then nothing of it is read as
    /// a request.
    pub(super) fn is_early(&self) -> bool {
        !self.held.is_empty() && self.exchange.as_ref().is_some_and(|exchange| exchange.asks.is_some())
    }

    /// Whether a final answer would pass for what was asked for: over HTTP/2, any success does (RFC 8441 §5).
    pub(super) fn feigns(&self, status: u16) -> bool {
        self.multiplexed && status < 300 && self.exchange.as_ref().is_some_and(|exchange| exchange.asks.is_some())
    }

    /// The instance says 101, and then `rest`.
    pub(super) fn switch(&mut self, bytes: &[u8], head: &ResponseHead, rest: &[u8], out: &mut Vec<u8>) {
        let Some(exchange) = &mut self.exchange else { return };
        let sent = exchange.body.is_done() && exchange.sent == exchange.up.len() && !exchange.deaf;
        let granted = exchange.asks.as_ref().is_some_and(|asked| {
            upgrade::is_granted(&asked.protocols, bytes, head)
                && asked.accept.as_ref().is_none_or(|accept| websocket::is_accepted(bytes, head, accept))
        });
        if !sent || !granted {
            return self.fail(Fault::BadAnswer, out);
        }
        emit::response(bytes, head, &Relay { framing: Framing::None, minor: 1, close: false }, out);
        if let Some(stick) = &exchange.stick {
            emit::add_fields(out, |out| stick.say(bytes, head, out));
        }
        out.extend_from_slice(rest);
        exchange.stage = Stage::Switched;
        self.notes.answered = Some(head.status);
        self.carried.down += rest.len() as u64;
    }

    /// What is left to be done after [`Next::Tunnel`].
    #[must_use]
    pub fn switched(mut self) -> Switched {
        debug_assert_eq!(self.next(), Next::Tunnel);
        Switched { early: std::mem::take(&mut self.held), ended: self.eof }
    }
}
