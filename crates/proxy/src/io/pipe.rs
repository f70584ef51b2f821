//! A client and an instance that are left to each other, driven: bytes both ways.
//!
//! They come from a TCP listener, or from an HTTP one once both have agreed on another protocol (`switch.rs`).
//!
//! Owns the order in which the two directions meet the sockets; `carry.rs` moves the bytes. Must never look at one.

use std::rc::Rc;
use std::time::Instant;

use super::carry::{End, Way};
use super::choose::key_of;
use super::client::Client;
use super::counted::Counted;
use super::origin::{Connecting, Origin};
use super::queue::{Found, Waiting};
use super::slots::Slot;
use super::stream::Stream;
use super::tell::Tale;
use super::tls::Shaking;
use super::view::{Lane, Place};
use super::worker::Worker;
use crate::fault::Fault;
use crate::log::Kind;
use crate::proto::pp::{self, Ends};
use crate::request::{ATTEMPTS, Switched};
use crate::road::Failing;

/// Moves of one tunnel before others get their turn.
const TURNS: u32 = 32;

/// A client, its instance, and the bytes between them.
pub(super) struct Tunnel {
    pub(super) client: Stream,
    /// Whom it speaks for, and where it came to.
    pub(super) ends: Ends,
    pub(super) lane: Rc<Lane>,
    pub(super) origin: Option<Box<Origin>>,
    /// Its place in the line for an instance, while it waits for one.
    pub(super) waiting: Option<Box<Waiting>>,
    up: Way,
    down: Way,
    pub(super) tried: Vec<Rc<Place>>,
    /// Why the last of them could not be connected to.
    failed: Fault,
    pub(super) last: u64,
    began: Instant,
    opened: bool,
    pub(super) tale: Tale,
    pub(super) counted: Counted,
    /// What it is for the log: a request whose client and instance went on in another protocol, or a TCP connection.
    pub(super) kind: Kind,
}

impl Tunnel {
    pub(super) fn new(client: Stream, ends: Ends, lane: Rc<Lane>, now: u64, counted: Counted) -> Self {
        Self {
            client,
            ends,
            lane,
            origin: None,
            waiting: None,
            up: Way::default(),
            down: Way::default(),
            tried: Vec::new(),
            failed: Fault::ConnectFailed,
            last: now,
            began: Instant::now(),
            opened: false,
            tale: Tale::default(),
            counted,
            kind: Kind::Tcp,
        }
    }

    /// One whose instance has answered with 101.
    pub(super) fn switched(mut c: Client, ends: Ends, now: u64) -> Self {
        let (mut up, mut down) = (Way::default(), Way::default());
        down.pipe.keep(c.unsent());
        let carried = c.session.carried();
        let Switched { early, ended } = c.session.switched();
        c.tale.carried(carried.up + early.len() as u64, carried.down);
        up.pipe.keep(&early);
        if ended {
            up.pipe.end();
        }
        let tunnel = Self::new(c.stream, ends, c.lane, now, c.counted);
        Self { origin: c.origin, up, down, opened: true, tale: c.tale, kind: Kind::Http, ..tunnel }
    }

    /// Holds no pipe that another could use.
    fn rest(&mut self, worker: &mut Worker) {
        self.up.rest(&mut worker.channels);
        self.down.rest(&mut worker.channels);
    }

    /// When it is to be looked at again, in the worker's milliseconds.
    pub(super) fn deadline(&self, connect_ms: u64) -> u64 {
        let spans = &self.lane.spans;
        match &self.origin {
            None if let Some(waiting) = &self.waiting => waiting.until,
            None if self.client.is_handshaking() => self.last + spans.handshake,
            Some(origin) if !origin.connected => origin.since + spans.connect(connect_ms),
            _ => self.last + spans.tunnel,
        }
    }
}

impl Worker {
    /// Drives a tunnel as far as it goes now, and puts it back or closes it.
    pub(super) fn drive_tunnel(&mut self, key: u64, mut tunnel: Box<Tunnel>) {
        tunnel.client.look();
        match self.pump_tunnel(key, &mut tunnel) {
            Ok(true) => {
                tunnel.rest(self);
                self.slots.put(key, Slot::Tunnel(tunnel));
            }
            Ok(false) => self.end_tunnel(key, *tunnel, None),
            Err(fault) => self.fail_tunnel(key, *tunnel, fault),
        }
    }

    /// Ends a tunnel whose two directions are done.
    fn end_tunnel(&mut self, key: u64, mut tunnel: Tunnel, fault: Option<Fault>) {
        self.tell_tunnel(&mut tunnel, fault);
        tunnel.rest(self);
        if let Some(origin) = tunnel.origin.take() {
            self.discard(*origin);
        }
        if tunnel.client.is_handshaking() {
            tunnel.lane.meter.handshake_errors.add(1);
        }
        self.slots.remove(key);
    }

    /// Cuts a tunnel so that neither side can take it for done.
    pub(super) fn fail_tunnel(&mut self, key: u64, tunnel: Tunnel, fault: Fault) {
        tunnel.lane.meter.from_balancer[fault.index()].add(1);
        if tunnel.opened {
            tunnel.client.abort();
            if let Some(origin) = &tunnel.origin {
                origin.stream.abort();
            }
        }
        self.end_tunnel(key, tunnel, Some(fault));
    }

    /// A tunnel's deadline has passed.
    pub(super) fn tunnel_late(&mut self, key: u64, mut tunnel: Box<Tunnel>) {
        if tunnel.origin.as_ref().is_some_and(|origin| !origin.connected) {
            self.tunnel_not_connected(&mut tunnel);
            return self.drive_tunnel(key, tunnel);
        }
        if tunnel.waiting.take().is_some() {
            return self.fail_tunnel(key, *tunnel, Fault::QueueTimeout);
        }
        if tunnel.opened {
            // As with a client: no event tells of little room, and whose peer reads slowly does not idle.
            let went = tunnel.client.press() | tunnel.origin.as_deref_mut().is_some_and(|origin| origin.stream.press());
            if went {
                tunnel.last = self.now;
            }
            self.drive_tunnel(key, tunnel);
            match self.slots.take(key) {
                Some(Slot::Tunnel(driven)) if driven.deadline(self.connect_ms) <= self.now => tunnel = driven,
                Some(other) => return self.slots.put(key, other),
                None => return,
            }
        }
        self.end_tunnel(key, *tunnel, None);
    }

    fn pump_tunnel(&mut self, key: u64, t: &mut Tunnel) -> Result<bool, Fault> {
        for _ in 0..TURNS {
            let Some(origin) = t.origin.as_deref_mut() else {
                // Who has left without a word will hardly want an instance's.
                if t.client.broken || (t.waiting.is_some() && t.client.has_left()) {
                    return Err(Fault::ClientGone);
                }
                // No instance is bothered before somebody is there who speaks TLS.
                match t.client.shake(&mut self.scratch) {
                    Shaking::Pending => return Ok(true),
                    Shaking::Failed if t.client.mismatch().is_some() => return Err(Fault::HandshakeFailed),
                    Shaking::Failed => return Err(Fault::ClientGone),
                    Shaking::Done => t.last = self.now,
                }
                if t.client.is_answered() {
                    t.client.part();
                    return Ok(false);
                }
                if self.open_tunnel(key, t)? {
                    continue;
                }
                return Ok(true);
            };
            if !origin.connected {
                match origin.settle(&mut self.scratch) {
                    Connecting::Pending if t.client.broken => return Err(Fault::ClientGone),
                    Connecting::Pending => return Ok(true),
                    Connecting::Failed => {
                        self.tunnel_not_connected(t);
                        continue;
                    }
                    Connecting::Made => {
                        self.arm(key, self.now + t.lane.spans.tunnel);
                        t.opened = true;
                        t.lane.meter.requests.add(1);
                        let took = t.began.elapsed();
                        t.lane.balancer.latency.record(took);
                        t.lane.meter.record(took);
                        origin.answered(self.now);
                        self.praise(&t.lane, &origin.place, 0);
                        t.tale.connected(took);
                        t.tried = Vec::new();
                        if let Some(version) = t.lane.listener.proxy_protocol {
                            let mut header = Vec::new();
                            pp::write(version, &t.ends, &mut header);
                            t.up.pipe.keep(&header);
                        }
                    }
                }
            }
            let (scratch, channels) = (&mut self.scratch, &mut self.channels);
            let (up, read) =
                t.up.carry(&mut t.client, &mut origin.stream, scratch, channels).map_err(|end| match end {
                    End::Source => Fault::ClientGone,
                    End::Sink => Fault::TruncatedAnswer,
                })?;
            let (down, written) =
                t.down.carry(&mut origin.stream, &mut t.client, scratch, channels).map_err(|end| match end {
                    End::Source => Fault::TruncatedAnswer,
                    End::Sink => Fault::ClientGone,
                })?;
            t.lane.meter.bytes_in.add(read);
            t.lane.meter.bytes_out.add(written);
            t.counted.carried(read, written);
            t.tale.carried(read, written);
            if t.up.pipe.is_closed() && t.down.pipe.is_closed() && t.client.is_flushed() && origin.stream.is_flushed() {
                return Ok(false);
            }
            if !up && !down {
                return Ok(true);
            }
            t.last = self.now;
        }
        self.again.push(key);
        Ok(true)
    }

    /// False while it waits for an instance.
    fn open_tunnel(&mut self, key: u64, t: &mut Tunnel) -> Result<bool, Fault> {
        let fault = if t.tried.is_empty() { Fault::NoTarget } else { t.failed };
        if t.tried.len() >= usize::from(ATTEMPTS) {
            return Err(fault);
        }
        let lane = Rc::clone(&t.lane);
        match (t.waiting.is_some(), t.tried.is_empty()) {
            (true, _) => {}
            (false, true) => lane.balancer.asked(self.now),
            (false, false) if lane.balancer.may_retry(self.now) => {}
            (false, false) => {
                lane.meter.denied.add(1);
                t.tale.denied();
                return Err(fault);
            }
        }
        let hash = lane.hashes().map_or(0, |_| key_of(t.ends.source.ip()));
        let tried = |place: &Rc<Place>| t.tried.iter().any(|tried| Rc::ptr_eq(tried, place));
        let (place, engaged) = match self.find(key, &lane, hash, None, tried, &mut t.waiting) {
            Found::At(place, engaged) => (place, engaged),
            Found::Waits => return Ok(false),
            Found::Full => return Err(Fault::QueueFull),
            Found::Nobody => {
                let now = self.view.lane_now(&lane).filter(|_| t.tried.is_empty()).ok_or(fault)?;
                // Its listener has new Routes since it came, with instances in them perhaps.
                t.lane = now;
                return self.open_tunnel(key, t);
            }
        };
        t.tale.asks(&place, lane.via(&place).port);
        t.origin = self.connect(&lane, &place, key, engaged);
        match &mut t.origin {
            None => {
                lane.meter.connect_errors.add(1);
                t.failed = Fault::ConnectFailed;
                self.blame(&lane, &place, Failing::Fault(t.failed));
            }
            Some(origin) => {
                origin.asked = lane.times().then(Instant::now);
                self.arm(key, self.now + lane.spans.connect(self.connect_ms));
            }
        }
        t.tried.push(place);
        Ok(true)
    }

    fn tunnel_not_connected(&mut self, t: &mut Tunnel) {
        if let Some(origin) = t.origin.take() {
            t.lane.meter.connect_errors.add(1);
            origin.place.meter.connect_errors.add(1);
            origin.place.suspect(&self.shared);
            t.failed = origin.why_not();
            self.blame(&t.lane, &origin.place, Failing::Fault(t.failed));
            self.discard(*origin);
        }
    }
}
