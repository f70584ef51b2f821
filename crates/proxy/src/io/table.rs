//! A look at what a worker holds.
//!
//! Owns how a slot reads as a row. Must never keep the worker for long: it makes at most as many rows as were asked for,
//! and passes over the rest.

use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;

use super::client::Client;
use super::counted::Carried;
use super::h2::Bundle;
use super::origin::{Origin, Past};
use super::pipe::Tunnel;
use super::slots::Slot;
use super::view::Lane;
use super::worker::Worker;
use crate::connections::{Connection, Connections, Kind, State};
use crate::request::Waits;

/// Somebody wants to see a worker's connections.
#[derive(Debug)]
pub(crate) struct Look {
    /// Rows at most.
    pub(crate) limit: usize,
    /// Has room for the answer.
    pub(crate) answer: SyncSender<Connections>,
}

impl Worker {
    /// Answers those who wait for a look.
    pub(super) fn show_connections(&mut self) {
        for look in self.post().take_looks() {
            let seen = self.connections(look.limit);
            // Who has stopped waiting needs no answer.
            let _ = look.answer.try_send(seen);
        }
    }

    fn connections(&self, limit: usize) -> Connections {
        let is_one = |slot: &&Slot| {
            use Slot::{Ahead, Bundle, Client, Greeter, Idle, Tunnel};
            matches!(slot, Client(_) | Tunnel(_) | Greeter(_) | Bundle(_) | Idle(_) | Ahead(_))
        };
        let total = self.slots.iter().filter(is_one).count();
        let step = total.div_ceil(limit.max(1)).max(1);
        let rows = self.slots.iter().filter(is_one).step_by(step).filter_map(|slot| self.row(slot));
        Connections { total, rows: rows.collect(), silent: 0 }
    }

    fn row(&self, slot: &Slot) -> Option<Connection> {
        match slot {
            Slot::Client(client) => self.client_row(client),
            Slot::Tunnel(tunnel) => self.tunnel_row(tunnel),
            Slot::Greeter(greeter) => {
                let lane = greeter.gate.lane.borrow();
                let row = self.of(&lane, greeter.peer, &greeter.presence.carried);
                Some(Connection { state: State::Greeting, ..row })
            }
            Slot::Bundle(bundle) => self.bundle_row(bundle),
            Slot::Idle(origin) => {
                let state = if origin.past == Past::Unused { State::Unused } else { State::Idle };
                Some(self.pool_row(origin, state))
            }
            Slot::Ahead(origin) => Some(self.pool_row(origin, State::Connecting)),
            _ => None,
        }
    }

    fn pool_row(&self, origin: &Origin, state: State) -> Connection {
        Connection {
            worker: self.index,
            kind: Kind::Pool,
            state,
            balancer: origin.place.key.0.to_string(),
            client: None,
            at: None,
            instance: Some(origin.place.called.to_string()),
            age_ms: self.now.saturating_sub(origin.since),
            idle_ms: self.now.saturating_sub(origin.since),
            received: 0,
            sent: 0,
        }
    }

    fn client_row(&self, c: &Client) -> Option<Connection> {
        let state = if c.lingering {
            State::Closing
        } else if c.stream.is_handshaking() {
            State::Handshake
        } else if !c.pending.is_empty() || !c.stream.is_flushed() {
            State::Sending
        } else if c.waiting.is_some() {
            State::Queued
        } else if c.origin.as_ref().is_some_and(|origin| !origin.connected) {
            State::Connecting
        } else {
            match c.session.waits() {
                Waits::NextRequest => State::Idle,
                Waits::Head => State::Head,
                Waits::Body => State::Body,
                Waits::Instance => State::Instance,
            }
        };
        let row = self.of(&c.lane, c.peer, c.counted.record()?);
        Some(Connection {
            state,
            instance: called(c.origin.as_deref()),
            idle_ms: self.now.saturating_sub(c.last),
            ..row
        })
    }

    fn tunnel_row(&self, t: &Tunnel) -> Option<Connection> {
        let state = match &t.origin {
            _ if t.client.is_handshaking() => State::Handshake,
            _ if t.waiting.is_some() => State::Queued,
            Some(origin) if origin.connected => State::Open,
            _ => State::Connecting,
        };
        let row = self.of(&t.lane, t.ends.source, t.counted.record()?);
        Some(Connection {
            state,
            instance: called(t.origin.as_deref()),
            idle_ms: self.now.saturating_sub(t.last),
            ..row
        })
    }

    /// A connection that speaks HTTP/2 beside its streams, which have rows of their own; those to instances have none.
    fn bundle_row(&self, b: &Bundle) -> Option<Connection> {
        let (client, lane, carried, streams) = b.seen()?;
        let state = match () {
            () if b.lingering => State::Closing,
            () if streams > 0 => State::Open,
            () => State::Idle,
        };
        let row = self.of(&lane, client, carried);
        Some(Connection { kind: Kind::H2, state, idle_ms: self.now.saturating_sub(b.last), ..row })
    }

    /// What is the same of all clients.
    fn of(&self, lane: &Lane, client: SocketAddr, carried: &Carried) -> Connection {
        let age_ms = self.now.saturating_sub(carried.since);
        let (received, sent) = carried.moved();
        Connection {
            worker: self.index,
            kind: if lane.sees_requests() { Kind::Http } else { Kind::Tcp },
            state: State::Idle,
            balancer: lane.side.balancer.clone(),
            client: Some(client),
            at: Some(lane.address),
            instance: None,
            age_ms,
            idle_ms: age_ms,
            received,
            sent,
        }
    }
}

fn called(origin: Option<&Origin>) -> Option<String> {
    origin.map(|origin| origin.place.called.to_string())
}
