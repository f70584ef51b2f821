//! A client's HTTP connection, driven.
//!
//! Owns the order in which a [`Session`]'s wishes meet the sockets. Must never interpret a byte: the session does.
//! Start at `pump`.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::choose::key_of;
use super::counted::Counted;
use super::origin::{Connecting, Origin};
use super::pace::{LUMP, Pace};
use super::queue::{Found, Waiting};
use super::slots::Slot;
use super::stream::{Read, Stream, Write};
use super::tell::Tale;
use super::view::{GateView, Lane, Place};
use super::worker::Worker;
use crate::fault::Fault;
use crate::handover::IDLE_GRACE;
use crate::request::{Next, Reuse, Session, Waits};
use crate::road::Failing;

/// Moves of one connection before others get their turn.
const TURNS: u32 = 32;
/// How long a connection that is closed waits for the client to see why.
pub(super) const LINGER_MS: u64 = 2000;
/// How long a client may take for its TLS handshake, where its idle timeout is not shorter.
pub(super) const HANDSHAKE_MS: u64 = 10_000;

/// A client and the instance connection it holds at the moment.
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    pub(super) gate: Rc<GateView>,
    pub(super) lane: Rc<Lane>,
    pub(super) session: Session,
    /// Bytes the client has not taken yet; while there are any, its instance is not read.
    pub(super) pending: Vec<u8>,
    flushed: usize,
    pub(super) origin: Option<Box<Origin>>,
    /// Its place in the line for an instance, while it waits for one.
    pub(super) waiting: Option<Box<Waiting>>,
    /// Places tried for this request; true for those not to be tried again in any way.
    pub(super) tried: Vec<(Rc<Place>, bool)>,
    /// When bytes last moved, in the worker's milliseconds.
    pub(super) last: u64,
    /// When the head at hand, or lingering, began.
    pub(super) since: u64,
    pub(super) lingering: bool,
    pace: Pace,
    began: Option<Instant>,
    pub(super) tale: Tale,
    /// Its first bytes, while it is open whether it speaks HTTP/2.
    pub(super) first: Option<Vec<u8>>,
    /// It does.
    pub(super) turned: bool,
    pub(super) counted: Counted,
}

impl Client {
    pub(super) fn new(stream: Stream, peer: SocketAddr, gate: Rc<GateView>, now: u64, counted: Counted) -> Self {
        let lane = Rc::clone(&gate.lane.borrow());
        // A handshake, and the head that comes with its end, has an absolute deadline from the first moment on.
        let since = if stream.is_handshaking() { now } else { 0 };
        Self {
            stream,
            peer,
            gate,
            lane,
            session: Session::default(),
            pending: Vec::new(),
            flushed: 0,
            origin: None,
            waiting: None,
            tried: Vec::new(),
            last: now,
            since,
            lingering: false,
            pace: Pace::default(),
            began: None,
            tale: Tale::default(),
            first: None,
            turned: false,
            counted,
        }
    }

    /// Whether its first bytes could be the beginning of HTTP/2.
    fn is_unclear(&self) -> bool {
        self.first.as_ref().is_some_and(|first| !first.is_empty())
    }

    /// What it has been said and has not taken.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.pending[self.flushed..]
    }

    /// Whether nobody but the client is waited for. Where its stream waits for others of its connection, that lags.
    fn lags(&self) -> bool {
        (!self.pending.is_empty() && !self.stream.is_crowded_out())
            || !self.stream.is_flushed()
            || self.session.waits() == Waits::Body
    }

    /// Whether nobody but its instance is waited for.
    fn awaits_instance(&self) -> bool {
        self.origin.is_some() && !self.lingering && !self.owes_reading() && self.session.waits() == Waits::Instance
    }

    /// Bytes that it has moved, in both directions.
    fn moved(&self) -> u64 {
        self.counted.record().map_or(0, |carried| carried.moved().0 + carried.moved().1)
    }

    /// The same, without what its connection holds for it.
    fn took(&self) -> u64 {
        self.moved().saturating_sub(self.stream.holds())
    }

    /// Whether there is something that it has to take before anything else goes on.
    fn owes_reading(&self) -> bool {
        !self.pending.is_empty() || !self.stream.is_flushed()
    }

    /// Whether there is something that its instance has to take.
    fn is_sending_up(&self) -> bool {
        let origin = self.origin.as_deref().filter(|origin| origin.connected);
        origin.is_some_and(|origin| !self.session.unsent().is_empty() || !origin.stream.is_flushed())
    }

    /// Begins to watch how fast it is when it is waited for, and ends it when it is not.
    fn watch(&mut self, now: u64) {
        let lags = self.lane.spans.least > 0 && self.lags();
        self.pace.watch(lags, now, self.took());
    }

    /// Whether it moves less than it has to.
    fn crawls(&mut self, now: u64) -> bool {
        let spare = if self.owes_reading() { LUMP } else { 0 };
        self.pace.is_behind(now, self.took(), self.lane.spans.least, spare)
    }

    /// When it is to be looked at again, in the worker's milliseconds.
    pub(super) fn deadline(&self, connect_ms: u64) -> u64 {
        if self.lingering {
            return self.since + LINGER_MS;
        }
        if let Some(waiting) = &self.waiting {
            return waiting.until;
        }
        let spans = &self.lane.spans;
        let at = match &self.origin {
            _ if self.owes_reading() => self.last + spans.body,
            // A handshake is the beginning of a head: what is sent slowly there gets no more time.
            None if self.stream.is_handshaking() => self.since + spans.handshake,
            Some(origin) if !origin.connected => origin.since + spans.connect(connect_ms),
            _ => match self.session.waits() {
                _ if self.is_unclear() => self.since + spans.head,
                Waits::Head => self.since + spans.head,
                // Nobody comes here any more: it is only waited for a request that may be on its way.
                Waits::NextRequest if !self.gate.open.get() => {
                    self.last.max(self.gate.left.get()) + spans.keep_alive.min(millis(IDLE_GRACE))
                }
                Waits::NextRequest if self.moved() == 0 => self.last + spans.head,
                Waits::NextRequest => self.last + spans.keep_alive,
                Waits::Body => self.last + spans.body,
                Waits::Instance => self.last + spans.response,
            },
        };
        self.pace.due().map_or(at, |due| at.min(due))
    }
}

pub(super) fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

impl Worker {
    /// Drives a client as far as it goes now, and puts it back or closes it.
    pub(super) fn drive_client(&mut self, key: u64, mut client: Box<Client>) {
        let goes_on = self.look_and_pump(key, &mut client);
        self.put_back(key, client, goes_on);
    }

    fn look_and_pump(&mut self, key: u64, client: &mut Client) -> bool {
        client.stream.look();
        if let Some(origin) = client.origin.as_deref_mut() {
            origin.stream.look();
        }
        self.pump(key, client)
    }

    /// Puts a client back that was driven, or closes it.
    fn put_back(&mut self, key: u64, mut client: Box<Client>, goes_on: bool) {
        let switches = !goes_on && client.session.next() == Next::Tunnel;
        // Whose answer comes within a tick or so, and who then is closed, never is registered.
        let listens = if goes_on { !client.awaits_instance() } else { client.turned || switches };
        if listens && self.watch(&mut client.stream, key).is_err() {
            self.end_client(key, client);
        } else if goes_on {
            if client.lane.spans.vary || self.stopping {
                client.watch(self.now);
                self.arm(key, client.deadline(self.connect_ms));
            }
            self.slots.put(key, Slot::Client(client));
        } else if client.turned {
            self.turn_client(key, *client);
        } else if switches {
            self.switch(key, *client);
        } else {
            self.end_client(key, client);
        }
    }

    fn end_client(&mut self, key: u64, mut client: Box<Client>) {
        if let Some(origin) = client.origin.take() {
            self.discard(*origin);
        }
        self.count(&mut client);
        self.tell_client(&mut client);
        if client.stream.is_handshaking() {
            client.lane.meter.handshake_errors.add(1);
            self.tell_mismatch(&mut client);
        }
        self.out.clear();
        self.passed = 0..0;
        self.slots.remove(key);
    }

    /// False when the connection is over.
    fn pump(&mut self, key: u64, c: &mut Client) -> bool {
        if c.lingering {
            return self.linger(c);
        }
        // Who has ended its side while it waits will hardly want the answer, and others wait who do.
        let gone = c.stream.broken || (c.waiting.is_some() && c.stream.has_ended());
        if gone && c.session.is_busy() {
            c.session.client_gone(&mut self.out);
        }
        for _ in 0..TURNS {
            let mut moved = self.flush(c);
            match c.session.next() {
                Next::Wait => {}
                Next::Borrow => moved |= self.borrow(key, c),
                Next::GiveBack { reuse } => {
                    self.give_back(c, reuse);
                    moved = true;
                }
                Next::Close if c.pending.is_empty() && self.out.is_empty() && c.stream.is_flushed() => {
                    return self.close(key, c);
                }
                Next::Close => {}
                Next::Tunnel => return false,
                Next::Abort => {
                    c.stream.abort();
                    return false;
                }
            }
            moved |= self.send_up(key, c);
            moved |= self.read_origin(c);
            moved |= self.read_client(c);
            if c.stream.is_answered() {
                c.stream.part();
                return false;
            }
            self.count(c);
            // Let go before the client is told: whoever acts on the answer finds nothing in flight.
            if let Next::GiveBack { reuse } = c.session.next() {
                self.give_back(c, reuse);
                moved = true;
            }
            // A client that is gone leaves something to be undone.
            moved |= self.deliver(c);
            if c.turned || c.session.next() == Next::Tunnel {
                return false;
            }
            if !moved {
                return true;
            }
        }
        self.again.push(key);
        true
    }

    /// Gets a connection to an instance: an idle one where that is safe, a new one otherwise. False while it waits.
    fn borrow(&mut self, key: u64, c: &mut Client) -> bool {
        let lane = Rc::clone(&c.lane);
        let is = |place: &Rc<Place>, tried: &Rc<Place>| Rc::ptr_eq(place, tried);
        let held = c.session.shown().filter(|_| c.tried.is_empty()).and_then(|shown| lane.holder(shown));
        let hash = lane.hashes().map_or(0, |_| c.session.key().unwrap_or_else(|| key_of(c.peer.ip())));
        let tried = |place: &Rc<Place>| c.tried.iter().any(|(tried, _)| is(place, tried));
        let mut found = self.find(key, &lane, hash, held, tried, &mut c.waiting);
        if matches!(found, Found::Nobody) && !c.tried.is_empty() {
            // When only an old connection was at fault, its instance may answer on a new one.
            let done = |place: &Rc<Place>| c.tried.iter().any(|(tried, done)| *done && is(place, tried));
            found = self.find(key, &lane, hash, None, done, &mut c.waiting);
        }
        let (place, engaged) = match found {
            Found::At(place, engaged) => (place, engaged),
            Found::Waits => return false,
            Found::Full => {
                c.session.queue_full(&mut self.out);
                return true;
            }
            Found::Nobody => {
                match self.view.lane_now(&lane) {
                    // Its listener has new Routes since the request began, with instances in them perhaps.
                    Some(now) if c.tried.is_empty() => c.lane = now,
                    _ => c.session.no_target(&mut self.out),
                }
                return true;
            }
        };
        if c.session.sticks() {
            c.session.held_by(&lane.tag(&place));
        }
        c.tale.asks(&place, lane.via(&place).port);
        c.origin = if lane.by_http2() {
            self.join(&lane, &place, key, engaged)
        } else {
            let reuse = if c.tried.is_empty() { c.session.reuse() } else { Reuse::Never };
            self.lend(&place, lane.via(&place), key, reuse, engaged)
                .map_or_else(|engaged| self.connect(&lane, &place, key, engaged), Some)
        };
        match &mut c.origin {
            Some(origin) => {
                origin.asked = lane.times().then(Instant::now);
                c.session.lent();
                if lane.by_http2() {
                    c.session.may_be_refused();
                }
                if !origin.connected {
                    self.arm(key, self.now + lane.spans.connect(self.connect_ms));
                }
            }
            None => {
                lane.meter.connect_errors.add(1);
                self.blame(&lane, &place, Failing::Fault(Fault::ConnectFailed));
                c.tried.push((place, true));
                c.session.not_connected(&mut self.out);
            }
        }
        c.last = self.now;
        true
    }

    /// Lets go of the instance, and goes on with what the client has already sent.
    fn give_back(&mut self, c: &mut Client, reuse: bool) {
        c.waiting = None;
        if let Some(origin) = c.origin.take() {
            if reuse {
                self.shelve(origin, c.lane.spans.pool);
            } else {
                self.discard(*origin);
            }
        }
        if c.session.tries_again() && !c.lane.balancer.may_retry(self.now) {
            c.session.tries_no_more(&mut self.out);
        }
        self.count(c);
        c.session.given_back();
        if !c.session.is_busy() {
            self.tell_client(c);
            c.tried = Vec::new();
            if self.is_closing(c) && self.shared.retired().is_none() {
                c.session.wind_down();
            }
            self.enter(c);
            if !c.session.is_drained() {
                // The next request may be answered at once, after what is still to be said on this one.
                self.out.extend_from_slice(&self.scratch[std::mem::take(&mut self.passed)]);
            }
            let front = self.front(c);
            c.session.advance(&front, &mut self.out);
            self.note_head(c);
        }
    }

    /// Whether its listener is gone, or the road is to stop.
    fn is_closing(&self, c: &Client) -> bool {
        !c.gate.open.get() || self.stopping
    }

    /// A request takes the listener's present state with it, for its whole life.
    pub(super) fn enter(&self, c: &mut Client) {
        let lane = c.gate.lane.borrow();
        if !Rc::ptr_eq(&lane, &c.lane) {
            c.lane = Rc::clone(&lane);
        }
        c.session.bound_by(c.lane.bounds);
        c.session.watch(self.hears(&c.lane));
        c.session.guard_by(c.lane.desync());
        c.session.challenge_by(c.lane.pending());
        c.session.stick_by(c.lane.listener.stickiness.as_ref());
        c.session.carry_upgrades(!c.lane.by_http2());
        c.session.hash_by(c.lane.hashes());
        if self.is_closing(c) {
            c.session.make_last();
        }
    }

    fn send_up(&mut self, key: u64, c: &mut Client) -> bool {
        let Some(origin) = c.origin.as_deref_mut() else { return false };
        if !origin.connected {
            match origin.settle(&mut self.scratch) {
                Connecting::Pending => return false,
                Connecting::Made => {}
                Connecting::Failed => {
                    self.connect_failed(c);
                    return true;
                }
            }
        }
        if !origin.stream.writable || c.session.unsent().is_empty() {
            return false;
        }
        match origin.stream.write(c.session.unsent()) {
            Write::Took(count) => {
                c.session.sent(count);
                if c.session.unsent().is_empty() {
                    c.tale.sent();
                }
            }
            Write::NotReady if origin.stream.crowd().is_some() => self.join_another(key, c),
            Write::NotReady => return false,
            Write::Broken => {
                // It may have answered before it closed: reading tells.
                c.session.not_sent();
                origin.stream.broken = true;
                origin.stream.readable = true;
            }
        }
        c.last = self.now;
        true
    }

    fn connect_failed(&mut self, c: &mut Client) {
        let mut fault = Fault::ConnectFailed;
        if let Some(origin) = &c.origin {
            fault = origin.why_not();
            c.lane.meter.connect_errors.add(1);
            origin.place.meter.connect_errors.add(1);
            origin.place.suspect(&self.shared);
            self.blame(&c.lane, &origin.place, Failing::Fault(fault));
            c.tried.push((Rc::clone(&origin.place), true));
        }
        match fault {
            Fault::NotTrusted => c.session.not_trusted(&mut self.out),
            _ => c.session.not_connected(&mut self.out),
        }
    }

    fn read_origin(&mut self, c: &mut Client) -> bool {
        let Some(origin) = c.origin.as_deref_mut() else { return false };
        if !origin.connected
            || !origin.stream.readable
            || !c.pending.is_empty()
            || self.has_words()
            || !c.session.wants_origin()
        {
            return false;
        }
        let orderly = match origin.stream.read(&mut self.scratch) {
            Read::Bytes(count) => {
                self.passed = c.session.origin_bytes(&self.scratch[..count], &mut self.out);
                c.last = self.now;
                return true;
            }
            Read::NotReady => return false,
            // After a reset has been told once, only an end can be read.
            Read::End => !origin.stream.broken,
            Read::Broken => false,
        };
        if origin.stream.was_refused() {
            c.tried.push((Rc::clone(&origin.place), true));
            c.session.not_taken(&mut self.out);
            return true;
        }
        c.lane.meter.resets.add(1);
        origin.place.meter.resets.add(1);
        if c.session.origin_closed(orderly, &mut self.out) {
            // An old connection may just have idled too long; a new one that breaks says something of its instance.
            if origin.is_new() {
                if !orderly {
                    origin.place.suspect(&self.shared);
                }
                self.blame(&c.lane, &origin.place, Failing::Fault(Fault::ClosedBeforeAnswer));
            }
            c.tried.push((Rc::clone(&origin.place), origin.is_new()));
        }
        true
    }

    fn read_client(&mut self, c: &mut Client) -> bool {
        if !c.stream.readable || !c.pending.is_empty() || self.has_words() || !c.session.wants_client() {
            return false;
        }
        let shaking = c.stream.is_handshaking();
        match c.stream.read(&mut self.scratch) {
            Read::Bytes(count) if c.first.is_some() => self.hear_first(c, count),
            Read::Bytes(count) => {
                c.last = self.now;
                c.lane.meter.bytes_in.add(count as u64);
                c.counted.carried(count as u64, 0);
                if !c.session.is_busy() {
                    self.enter(c);
                }
                let front = self.front(c);
                c.session.client_bytes(&self.scratch[..count], &front, &mut self.out);
                self.note_head(c);
                true
            }
            Read::NotReady => {
                if shaking && !c.stream.is_handshaking() {
                    c.last = self.now;
                    c.since = 0;
                }
                false
            }
            Read::End => {
                c.session.client_eof(&mut self.out);
                true
            }
            Read::Broken => {
                c.session.client_gone(&mut self.out);
                true
            }
        }
    }

    /// A head has an absolute deadline, from its first byte on.
    pub(super) fn note_head(&mut self, c: &mut Client) {
        if c.session.waits() != Waits::Head {
            c.since = 0;
        } else if c.since == 0 {
            c.since = self.now.max(1);
        }
    }

    /// Whether there is something for the client at hand.
    fn has_words(&self) -> bool {
        !self.out.is_empty() || !self.passed.is_empty()
    }

    /// Sends what the session has to say; what is not taken waits.
    fn deliver(&mut self, c: &mut Client) -> bool {
        if !self.has_words() {
            return false;
        }
        // The end goes out with the last bytes where closing follows at once.
        let last = c.session.next() == Next::Close && c.session.is_drained();
        let mut passed = std::mem::take(&mut self.passed);
        let mut took = 0;
        c.tale.tells();
        if c.pending.is_empty() && c.stream.writable {
            match c.stream.write_both(&self.out, &self.scratch[passed.clone()], last) {
                Write::Took(count) => took = count,
                Write::NotReady => {}
                Write::Broken => {
                    self.out.clear();
                    passed = 0..0;
                    c.session.client_gone(&mut self.out);
                    c.stream.broken = true;
                }
            }
        }
        c.last = self.now;
        c.lane.meter.bytes_out.add(took as u64);
        c.counted.carried(0, took as u64);
        let said = took.min(self.out.len());
        c.pending.extend_from_slice(&self.out[said..]);
        c.pending.extend_from_slice(&self.scratch[passed][took - said..]);
        self.out.clear();
        c.stream.broken || (last && c.pending.is_empty())
    }

    fn flush(&mut self, c: &mut Client) -> bool {
        if c.pending.is_empty() || !c.stream.writable {
            return false;
        }
        match c.stream.write(&c.pending[c.flushed..]) {
            Write::Took(count) => {
                c.flushed += count;
                c.last = self.now;
                c.lane.meter.bytes_out.add(count as u64);
                c.counted.carried(0, count as u64);
                if c.flushed == c.pending.len() {
                    c.pending = Vec::new();
                    c.flushed = 0;
                }
                true
            }
            Write::NotReady => false,
            Write::Broken => {
                c.pending = Vec::new();
                c.flushed = 0;
                c.session.client_gone(&mut self.out);
                self.out.clear();
                true
            }
        }
    }

    /// Closes, in a way that lets the client read the last answer: a reset would take it away.
    fn close(&mut self, key: u64, c: &mut Client) -> bool {
        self.count(c);
        if c.stream.broken || c.stream.is_handshaking() {
            return false;
        }
        if c.stream.is_strand() || (c.session.is_drained() && c.stream.has_rest()) {
            c.stream.part();
            return false;
        }
        c.stream.finish();
        c.lingering = true;
        c.since = self.now;
        self.arm(key, self.now + LINGER_MS);
        self.linger(c)
    }

    fn linger(&mut self, c: &mut Client) -> bool {
        for _ in 0..TURNS {
            if !c.stream.readable {
                return true;
            }
            match c.stream.read(&mut self.scratch) {
                Read::Bytes(_) => {}
                Read::NotReady => return true,
                Read::End | Read::Broken => return false,
            }
        }
        // Whoever sends that much after it was told to stop is not waited for.
        false
    }

    /// A client's deadline has passed.
    pub(super) fn client_late(&mut self, key: u64, mut c: Box<Client>) {
        if c.lingering {
            self.slots.remove(key);
            return;
        }
        let mut goes_on = true;
        let (down, up) = (c.owes_reading(), c.is_sending_up());
        if down || up {
            // An event tells of room only once a third of what the kernel holds is taken: who reads slowly has long begun.
            // A stream that waits for its connection is cut with it, if at all.
            let went = down && (c.stream.press() || c.stream.is_crowded_out());
            if went || (up && c.origin.as_deref_mut().is_some_and(|origin| origin.stream.press())) {
                c.last = self.now;
            }
            goes_on = self.look_and_pump(key, &mut c);
            c.watch(self.now);
        }
        if !goes_on || (!c.crawls(self.now) && c.deadline(self.connect_ms) > self.now) {
            return self.put_back(key, c, goes_on);
        }
        if c.owes_reading() {
            c.pending = Vec::new();
            c.flushed = 0;
            c.session.stalled(&mut self.out);
        } else if c.waiting.take().is_some() {
            c.session.waited_too_long(&mut self.out);
        } else if c.origin.as_ref().is_some_and(|origin| !origin.connected) {
            self.connect_failed(&mut c);
        } else {
            c.session.timed_out(&mut self.out);
        }
        self.drive_client(key, c);
    }

    /// Its instance may not be used any longer.
    pub(super) fn cut_client(&mut self, key: u64, mut c: Box<Client>) {
        c.session.cut(&mut self.out);
        self.drive_client(key, c);
    }

    fn count(&mut self, c: &mut Client) {
        let notes = c.session.take_notes();
        if notes == crate::request::Notes::default() {
            return;
        }
        let meter = &c.lane.meter;
        if notes.request {
            meter.requests.add(1);
            c.lane.balancer.asked(self.now);
            c.began = Some(Instant::now());
        }
        if let Some(finding) = notes.desync {
            meter.desynced(finding);
        }
        if notes.retried {
            meter.retries.add(1);
        }
        if notes.denied {
            meter.denied.add(1);
        }
        if let Some(status) = notes.answered {
            let class = usize::from(status / 100).clamp(1, 5) - 1;
            meter.from_instance[class].add(1);
            if let Some(origin) = &mut c.origin {
                origin.place.meter.answers[class].add(1);
                origin.answered(self.now);
                self.praise(&c.lane, &origin.place, status);
            }
            if let Some(began) = c.began.take() {
                let took = began.elapsed();
                c.lane.balancer.latency.record(took);
                meter.record(took);
            }
        }
        if let Some(fault) = notes.fault {
            meter.from_balancer[fault.index()].add(1);
            if let Some(origin) = &c.origin {
                self.blame_for(&c.lane, &origin.place, fault);
            }
        }
        self.note(c, &notes);
    }
}
