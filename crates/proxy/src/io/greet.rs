//! Connections from peers that say first whom they speak for (PROXY protocol).
//!
//! Owns them until that header is complete, and what becomes of them then. Must never take a byte behind the header:
//! it is looked at where it lies, so what follows may be anything, a TLS handshake among it. Who may send one is
//! decided by address, in `gates.rs`.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::RecvFlags;
use rustls::server::UnbufferedServerConnection;

use super::client::Client;
use super::counted::{Counted, Presence};
use super::pipe::Tunnel;
use super::slots::Slot;
use super::stream::{Read, Stream};
use super::view::{GateView, Lane};
use super::worker::Worker;
use crate::fault::Fault;
use crate::proto::pp::{self, Ends, Greeting, V2_LIMIT};

/// A connection whose header is not complete yet.
pub(super) struct Greeter {
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    pub(super) gate: Rc<GateView>,
    pub(super) presence: Presence,
    /// When it is closed, in the worker's milliseconds: dribbled bytes move nothing.
    pub(super) until: u64,
}

impl Greeter {
    pub(super) fn new(stream: Stream, peer: SocketAddr, gate: Rc<GateView>, presence: Presence, until: u64) -> Self {
        Self { stream, peer, gate, presence, until }
    }
}

/// A connection as this listener itself sees it.
pub(super) fn ends(lane: &Lane, peer: SocketAddr) -> Ends {
    Ends { source: peer, destination: SocketAddr::new(lane.address.ip(), lane.listener.port.number()) }
}

impl Worker {
    /// Looks whether the header is complete.
    pub(super) fn greet(&mut self, key: u64, mut greeter: Box<Greeter>) {
        if greeter.stream.broken {
            return self.dismiss(key, &greeter, Fault::ClientGone);
        }
        if !greeter.stream.readable {
            return self.slots.put(key, Slot::Greeter(greeter));
        }
        let seen = &mut self.scratch[..V2_LIMIT];
        let Some(fd) = greeter.stream.fd() else { return self.dismiss(key, &greeter, Fault::ClientGone) };
        let count = match retry_on_intr(|| rustix::net::recv(fd, &mut *seen, RecvFlags::PEEK)) {
            Ok((_, count)) if count > 0 => count,
            Err(Errno::AGAIN) => {
                greeter.stream.readable = false;
                return self.slots.put(key, Slot::Greeter(greeter));
            }
            Ok(_) | Err(_) => return self.dismiss(key, &greeter, Fault::ClientGone),
        };
        match pp::read(&self.scratch[..count]) {
            // Nothing more will come.
            Greeting::More if greeter.stream.has_ended() => self.dismiss(key, &greeter, Fault::ClientGone),
            // What is there was seen: the next bytes make an event of their own.
            Greeting::More => {
                greeter.stream.readable = false;
                self.slots.put(key, Slot::Greeter(greeter));
            }
            Greeting::Broken => self.dismiss(key, &greeter, Fault::BadRequest),
            Greeting::Read { len, ends } => match greeter.stream.read(&mut self.scratch[..len]) {
                Read::Bytes(took) if took == len => {
                    greeter.stream.readable = true;
                    self.welcome(key, *greeter, ends);
                }
                _ => self.dismiss(key, &greeter, Fault::ClientGone),
            },
        }
    }

    fn welcome(&mut self, key: u64, greeter: Greeter, said: Option<Ends>) {
        let Greeter { stream, peer, gate, presence, .. } = greeter;
        let lane = Rc::clone(&gate.lane.borrow());
        let ends = said.unwrap_or_else(|| ends(&lane, peer));
        self.begin(key, stream, ends, &gate, lane, presence);
    }

    /// Drives a connection that is known to begin with its client's own bytes, inside TLS where the listener speaks it.
    pub(super) fn begin(
        &mut self,
        key: u64,
        mut stream: Stream,
        ends: Ends,
        gate: &Rc<GateView>,
        lane: Rc<Lane>,
        presence: Presence,
    ) {
        if let Some(front) = &lane.front {
            // Only without randomness: then nobody can be served.
            let Ok(session) = UnbufferedServerConnection::new(Arc::clone(&front.config)) else {
                self.slots.remove(key);
                return;
            };
            stream = stream.secured(session, lane.pending().cloned());
        }
        if lane.sees_requests() {
            // Most have sent their request by now, and of those many are gone before they would have to be registered.
            stream.readable = true;
            self.arm(key, self.now + 1);
            let mut client = Client::new(stream, ends.source, Rc::clone(gate), self.now, Counted::Connection(presence));
            client.first = lane.listener.speaks_http2().then(Vec::new);
            client.session.watch(self.hears(&client.lane));
            self.drive_client(key, Box::new(client));
        } else if self.watch(&mut stream, key).is_err() {
            self.slots.remove(key);
        } else {
            let patience = if lane.front.is_some() { lane.spans.handshake } else { lane.spans.head };
            self.arm(key, self.now + patience);
            let mut tunnel = Tunnel::new(stream, ends, lane, self.now, Counted::Connection(presence));
            if self.hears(&tunnel.lane) {
                tunnel.tale.begin(None);
            }
            self.drive_tunnel(key, Box::new(tunnel));
        }
    }

    /// Closes a connection whose header is broken, late or cut short. There is nobody who would understand an answer.
    pub(super) fn dismiss(&mut self, key: u64, greeter: &Greeter, fault: Fault) {
        greeter.gate.lane.borrow().meter.from_balancer[fault.index()].add(1);
        self.slots.remove(key);
    }
}
