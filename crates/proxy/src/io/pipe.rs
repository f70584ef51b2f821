//! A client and an instance that are left to each other, driven: bytes both ways.
//!
//! They come from a TCP listener, or from an HTTP one once both have agreed on another protocol (`switch.rs`).
//!
//! Owns the order in which the two directions meet the sockets. Must never look at a byte.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::choose::key_of;
use super::client::{Client, HANDSHAKE_MS, millis};
use super::counted::Counted;
use super::origin::{Connecting, Origin};
use super::queue::{Found, Waiting};
use super::slots::Slot;
use super::stream::{Read, Stream, Write};
use super::tell::Tale;
use super::tls::Shaking;
use super::view::{Lane, Place};
use super::worker::Worker;
use crate::fault::Fault;
use crate::log::Kind;
use crate::proto::pp::{self, Ends};
use crate::request::{ATTEMPTS, Switched};
use crate::road::Failing;
use crate::tunnel::Pipe;

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
    up: Pipe,
    down: Pipe,
    pub(super) tried: Vec<Rc<Place>>,
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
            up: Pipe::default(),
            down: Pipe::default(),
            tried: Vec::new(),
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
        let (mut up, mut down) = (Pipe::default(), Pipe::default());
        down.keep(c.unsent());
        let carried = c.session.carried();
        let Switched { early, ended } = c.session.switched();
        c.tale.carried(carried.up + early.len() as u64, carried.down);
        up.keep(&early);
        if ended {
            up.end();
        }
        let tunnel = Self::new(c.stream, ends, c.lane, now, c.counted);
        Self { origin: c.origin, up, down, opened: true, tale: c.tale, kind: Kind::Http, ..tunnel }
    }

    /// Milliseconds for which it may say nothing.
    fn idle_ms(&self) -> u64 {
        millis(self.lane.idle)
    }

    /// When it is to be looked at again, in the worker's milliseconds.
    pub(super) fn deadline(&self, connect_ms: u64) -> u64 {
        let idle = self.idle_ms();
        match &self.origin {
            None if let Some(waiting) = &self.waiting => waiting.until,
            None if self.client.is_handshaking() => self.last + idle.min(HANDSHAKE_MS),
            Some(origin) if !origin.connected => origin.since + connect_ms.min(idle),
            _ => self.last + idle,
        }
    }
}

impl Worker {
    /// Drives a tunnel as far as it goes now, and puts it back or closes it.
    pub(super) fn drive_tunnel(&mut self, key: u64, mut tunnel: Box<Tunnel>) {
        match self.pump_tunnel(key, &mut tunnel) {
            Ok(true) => self.slots.put(key, Slot::Tunnel(tunnel)),
            Ok(false) => self.end_tunnel(key, *tunnel, None),
            Err(fault) => self.fail_tunnel(key, *tunnel, fault),
        }
    }

    /// Ends a tunnel whose two directions are done.
    fn end_tunnel(&mut self, key: u64, mut tunnel: Tunnel, fault: Option<Fault>) {
        self.tell_tunnel(&mut tunnel, fault);
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
        self.end_tunnel(key, *tunnel, None);
    }

    fn pump_tunnel(&mut self, key: u64, t: &mut Tunnel) -> Result<bool, Fault> {
        for _ in 0..TURNS {
            let Some(origin) = t.origin.as_deref_mut() else {
                if t.client.broken {
                    return Err(Fault::ClientGone);
                }
                // No instance is bothered before somebody is there who speaks TLS.
                match t.client.shake(&mut self.scratch) {
                    Shaking::Pending => return Ok(true),
                    Shaking::Failed => return Err(Fault::ClientGone),
                    Shaking::Done => t.last = self.now,
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
                            t.up.keep(&header);
                        }
                    }
                }
            }
            let scratch = &mut self.scratch;
            let (up, read) = carry(&mut t.client, &mut origin.stream, &mut t.up, scratch).map_err(|end| match end {
                End::Source => Fault::ClientGone,
                End::Sink => Fault::TruncatedAnswer,
            })?;
            let (down, written) =
                carry(&mut origin.stream, &mut t.client, &mut t.down, scratch).map_err(|end| match end {
                    End::Source => Fault::TruncatedAnswer,
                    End::Sink => Fault::ClientGone,
                })?;
            t.lane.meter.bytes_in.add(read);
            t.lane.meter.bytes_out.add(written);
            t.counted.carried(read, written);
            t.tale.carried(read, written);
            if t.up.is_closed() && t.down.is_closed() && t.client.is_flushed() && origin.stream.is_flushed() {
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
        let fault = if t.tried.is_empty() { Fault::NoTarget } else { Fault::ConnectFailed };
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
            Found::Nobody => return Err(fault),
        };
        t.tale.asks(&place, lane.via(&place).port);
        t.origin = self.connect(&lane, &place, key, engaged);
        match &mut t.origin {
            None => {
                lane.meter.connect_errors.add(1);
                self.blame(&lane, &place, Failing::Fault(Fault::ConnectFailed));
            }
            Some(origin) => {
                origin.asked = lane.times().then(Instant::now);
                self.arm(key, self.now + self.connect_ms.min(millis(Duration::from_secs(3600))));
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
            self.blame(&t.lane, &origin.place, Failing::Fault(Fault::ConnectFailed));
            self.discard(*origin);
        }
    }
}

enum End {
    Source,
    Sink,
}

/// Moves what can be moved one way. Returns whether anything moved, and the bytes read.
fn carry(from: &mut Stream, to: &mut Stream, pipe: &mut Pipe, scratch: &mut [u8]) -> Result<(bool, u64), End> {
    let (mut moved, mut read) = (false, 0);
    if !pipe.unsent().is_empty() && to.writable {
        match to.write(pipe.unsent()) {
            Write::Took(count) => {
                pipe.sent(count);
                moved = true;
            }
            Write::NotReady => {}
            Write::Broken => return Err(End::Sink),
        }
    }
    if pipe.wants() && from.readable {
        match from.read(scratch) {
            Read::Bytes(count) => {
                moved = true;
                read = count as u64;
                let took = match if to.writable { to.write(&scratch[..count]) } else { Write::NotReady } {
                    Write::Took(took) => took,
                    Write::NotReady => 0,
                    Write::Broken => return Err(End::Sink),
                };
                pipe.keep(&scratch[took..count]);
            }
            Read::NotReady => {}
            Read::End => {
                pipe.end();
                moved = true;
            }
            Read::Broken => return Err(End::Source),
        }
    }
    if pipe.closes() {
        to.finish();
        moved = true;
    }
    Ok((moved, read))
}
