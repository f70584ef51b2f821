//! An HTTP/2 connection, driven: to a client, or to an instance.
//!
//! Owns the order in which a [`Mux`](crate::h2::Mux)'s wishes meet the socket, and turns the streams that a client opens
//! into clients of the worker, each with a session of its own. Must never interpret a byte: the mux does. Start at
//! `pump_bundle`; `trunk.rs` says how streams and their connection tell each other.

use std::net::SocketAddr;
use std::rc::Rc;

use super::client::{Client, LINGER_MS};
use super::counted::{Carried, Counted, Presence, Streaming};
use super::origin::{Origin, Past};
use super::pace::{LUMP, Pace};
use super::slots::Slot;
use super::spans::Spans;
use super::stream::{Read, Stream, Write};
use super::tls::Shaking;
use super::trunk::{Bells, Strand, Trunk};
use super::view::{GateView, Lane, Place, Via};
use super::worker::Worker;
use crate::fault::Fault;
use crate::h2::Role;
use crate::h2::mux::OUT_LIMIT;
use crate::target::Engaged;

/// Moves of one connection before others get their turn.
const TURNS: u32 = 32;
/// Connections to an instance that a request tries because those before had no room for it.
const HOPS: u8 = 3;
/// How soon a stream's deadline is looked at for the first time.
const STREAM_LOOK_MS: u64 = 1000;
/// How long a client that is told that the connection will end has for its last requests.
const LEAVE_MS: u64 = 1000;

/// A connection that speaks HTTP/2.
pub(super) struct Bundle {
    pub(super) stream: Stream,
    trunk: Rc<Trunk>,
    end: End,
    /// Frames that are being sent, and how many bytes of them have gone.
    sending: Vec<u8>,
    sent: usize,
    /// When bytes last went, in the worker's milliseconds.
    pub(super) last: u64,
    /// When it began, had a stream last, was told to leave, or began to linger.
    since: u64,
    pub(super) lingering: bool,
    pace: Pace,
    /// It had streams when it was driven last.
    busy: bool,
    /// Its streams are the last ones, whether or not the peer knows.
    left: bool,
}

/// Who is there.
enum End {
    Client { peer: SocketAddr, gate: Rc<GateView>, presence: Presence },
    Instance { place: Rc<Place>, reached: bool, made: bool, spans: Spans },
}

impl Bundle {
    /// A client's.
    pub(super) fn front(
        stream: Stream,
        peer: SocketAddr,
        gate: Rc<GateView>,
        presence: Presence,
        bells: &Rc<Bells>,
        (key, now): (u64, u64),
    ) -> Self {
        let streams = gate.lane.borrow().streams;
        let end = End::Client { peer, gate, presence };
        let secured = stream.agreed();
        Self::new(stream, end, Trunk::new(Role::Server, streams, secured, bells), (key, now))
    }

    fn new(stream: Stream, end: End, trunk: Rc<Trunk>, (key, now): (u64, u64)) -> Self {
        trunk.name(key);
        Self {
            stream,
            trunk,
            end,
            sending: Vec::new(),
            sent: 0,
            last: now,
            since: now,
            lingering: false,
            pace: Pace::default(),
            busy: false,
            left: false,
        }
    }

    /// So many bytes came from a client and went to it.
    fn carried(&self, received: usize, sent: usize) {
        if let End::Client { presence, .. } = &self.end {
            presence.carried.add(received as u64, sent as u64);
        }
    }

    /// Takes bytes that were read already.
    pub(super) fn hear(&self, bytes: &[u8], now: u64) {
        self.carried(bytes.len(), 0);
        self.trunk.with(|mux| mux.receive(bytes, now));
    }

    /// A client's: who it is, where it came in, what it carried, and how many streams it has.
    pub(super) fn seen(&self) -> Option<(SocketAddr, Rc<Lane>, &Carried, usize)> {
        let End::Client { peer, gate, presence } = &self.end else { return None };
        Some((*peer, Rc::clone(&gate.lane.borrow()), &presence.carried, self.trunk.streams()))
    }

    /// Whether it is a client's whose listener is gone.
    pub(super) fn is_left(&self) -> bool {
        matches!(&self.end, End::Client { gate, .. } if !gate.open.get())
    }

    fn is_sent(&self) -> bool {
        self.sending.is_empty() && self.stream.is_flushed()
    }

    /// The least that a client has to take while it is watched, and what it has taken of everything.
    fn due_of_client(&self) -> Option<(u64, u64)> {
        let End::Client { gate, presence, .. } = &self.end else { return None };
        let sent = presence.carried.moved().1;
        Some((gate.lane.borrow().spans.least, sent.saturating_sub(self.stream.holds())))
    }

    /// Begins to watch how fast a client is when it does not take what there is, and ends it when it does.
    fn watch(&mut self, now: u64) {
        if let Some((least, took)) = self.due_of_client() {
            self.pace.watch(least > 0 && !self.is_sent(), now, took);
        }
    }

    /// Whether a client takes less than it has to.
    fn crawls(&mut self, now: u64) -> bool {
        self.due_of_client().is_some_and(|(least, took)| self.pace.is_behind(now, took, least, LUMP))
    }

    /// When it is to be looked at again, in the worker's milliseconds.
    pub(super) fn deadline(&self, connect_ms: u64) -> u64 {
        let (spans, is_client) = match &self.end {
            End::Client { gate, .. } => (gate.lane.borrow().spans, true),
            End::Instance { spans, .. } => (*spans, false),
        };
        let (stuck, idle) = if is_client { (spans.body, spans.keep_alive) } else { (spans.response, spans.pool) };
        let (greeted, leaving, over) = self.trunk.with(|mux| (mux.is_greeted(), mux.is_leaving(), mux.is_over()));
        match () {
            () if self.lingering => self.since + LINGER_MS,
            () if !self.is_sent() => self.pace.due().unwrap_or(u64::MAX).min(self.last + stuck),
            () if !greeted && is_client => self.since + spans.handshake,
            () if !greeted => self.since + spans.connect(connect_ms),
            () if leaving && !over && is_client && !self.left => self.since + LEAVE_MS,
            // What dribbles in keeps nobody: only streams do, and they have deadlines of their own.
            () if self.trunk.streams() == 0 => self.since + idle,
            () => u64::MAX / 4,
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.trunk.with(|mux| mux.end());
        self.trunk.ring_waiting();
    }
}

impl Worker {
    /// Drives an HTTP/2 connection as far as it goes now, and puts it back or closes it.
    pub(super) fn drive_bundle(&mut self, key: u64, mut bundle: Box<Bundle>) {
        bundle.trunk.answered();
        if self.pump_bundle(key, &mut bundle) {
            // Idleness begins when the last stream is over, however long ago it was heard of.
            let was_busy = std::mem::replace(&mut bundle.busy, bundle.trunk.streams() > 0);
            if (was_busy || bundle.busy) && !bundle.trunk.with(|mux| mux.is_leaving()) {
                bundle.since = self.now;
            }
            bundle.watch(self.now);
            self.arm(key, bundle.deadline(self.connect_ms).min(self.now + 60_000));
            self.slots.put(key, Slot::Bundle(bundle));
        } else {
            self.end_bundle(key, *bundle);
        }
    }

    fn end_bundle(&mut self, key: u64, bundle: Bundle) {
        if let End::Instance { place, .. } = &bundle.end {
            place.untie(key);
        }
        self.slots.remove(key);
    }

    /// False when the connection is over.
    fn pump_bundle(&mut self, key: u64, b: &mut Bundle) -> bool {
        if b.lingering {
            return self.linger_bundle(b);
        }
        if !self.reach(b) {
            return !b.trunk.with(|mux| mux.is_over());
        }
        for _ in 0..TURNS {
            let mut moved = self.send_frames(b);
            if b.stream.broken {
                self.hear_last(b);
                return false;
            }
            if b.trunk.with(|mux| mux.is_over()) && b.sending.is_empty() {
                return self.close_bundle(key, b);
            }
            moved |= self.read_frames(b);
            if !moved {
                return true;
            }
        }
        self.again.push(key);
        true
    }

    /// Goes on with a connection that is being made; false while it is not there, or when it failed.
    fn reach(&mut self, b: &mut Bundle) -> bool {
        let End::Instance { place, reached, made, .. } = &mut b.end else { return true };
        if *made {
            return true;
        }
        let failed = if !*reached {
            if !b.stream.writable && !b.stream.broken {
                return false;
            }
            *reached = true;
            b.stream.broken || b.stream.connected().is_err()
        } else {
            b.stream.broken
        };
        match b.stream.shake(&mut self.scratch) {
            _ if failed => b.trunk.with(|mux| mux.end()),
            Shaking::Pending => return false,
            Shaking::Failed => {
                b.trunk.mismatch.set(b.stream.mismatch());
                b.trunk.with(|mux| mux.end());
            }
            // Without having agreed, nobody knows what the instance would take the preface for.
            Shaking::Done if b.stream.is_secure() && b.stream.spoken() != Some(b"h2") => b.trunk.with(|mux| mux.end()),
            Shaking::Done => {
                *made = true;
                place.meter.connects.add(1);
                return true;
            }
        }
        b.trunk.ring_waiting();
        false
    }

    /// Sends what the socket takes.
    fn send_frames(&mut self, b: &mut Bundle) -> bool {
        let mut moved = false;
        loop {
            if b.sending.is_empty() {
                let spent = std::mem::take(&mut b.sending);
                b.sending = b.trunk.with(|mux| mux.take_out(spent));
                b.sent = 0;
                // There is room again for whoever waits for it, even if nothing is left to be sent: the last of it may have
                // gone before. Who waits for the connection itself waits on.
                if b.trunk.with(|mux| {
                    mux.flushed();
                    mux.is_greeted() && !mux.is_full()
                }) {
                    b.trunk.ring_waiting();
                }
                if b.sending.is_empty() {
                    return moved;
                }
            }
            if !b.stream.writable {
                return moved;
            }
            match b.stream.write(&b.sending[b.sent..]) {
                Write::Took(count) => {
                    b.sent += count;
                    b.last = self.now;
                    b.carried(0, count);
                    moved = true;
                }
                Write::NotReady => return moved,
                Write::Broken => {
                    b.stream.broken = true;
                    return true;
                }
            }
            if b.sent < b.sending.len() {
                return moved;
            }
            b.sending.clear();
        }
    }

    /// Reads frames, and begins to serve the streams they open.
    fn read_frames(&mut self, b: &mut Bundle) -> bool {
        // Whoever does not read what it makes the road say is not read either.
        if !b.stream.readable || b.trunk.with(|mux| mux.is_full()) || b.sending.len() >= OUT_LIMIT {
            self.serve_opened(b);
            return false;
        }
        let was_greeted = b.trunk.with(|mux| mux.is_greeted());
        let moved = match b.stream.read(&mut self.scratch) {
            Read::Bytes(count) => {
                b.carried(count, 0);
                let bytes = &self.scratch[..count];
                b.trunk.with(|mux| mux.receive(bytes, self.now));
                true
            }
            Read::NotReady => false,
            Read::End | Read::Broken => {
                b.stream.broken = true;
                true
            }
        };
        if !was_greeted && b.trunk.with(|mux| mux.is_greeted()) {
            b.trunk.ring_waiting();
        }
        self.serve_opened(b) || moved
    }

    /// What the peer said before the connection broke still counts: an instance may have answered.
    fn hear_last(&mut self, b: &mut Bundle) {
        for _ in 0..TURNS {
            let Read::Bytes(count) = b.stream.read(&mut self.scratch) else { return };
            b.hear(&self.scratch[..count], self.now);
        }
    }

    /// Makes each stream that the client has opened a client of its own.
    fn serve_opened(&mut self, b: &mut Bundle) -> bool {
        let End::Client { peer, gate, .. } = &b.end else { return false };
        let lane = Rc::clone(&gate.lane.borrow());
        lane.meter.from_balancer[Fault::BadRequest.index()].add(b.trunk.with(|mux| mux.take_malformed()));
        let mut any = false;
        while let Some(id) = b.trunk.with(|mux| mux.next_opened()) {
            any = true;
            let key = self.slots.add(Slot::Busy);
            let stream = Stream::strand(Strand::opened(&b.trunk, id, key));
            let counted = Counted::Stream(Streaming::new(&lane.meter, self.now));
            let mut client = Client::new(stream, *peer, Rc::clone(gate), self.now, counted);
            // A client numbers its streams from 1 on (RFC 9113 §5.1.1).
            client.session.is_one_of_many(id == 1);
            client.session.watch(self.hears(&lane));
            // Hardly a stream lives so long: what it files at its real deadline would lie there long after it.
            self.arm(key, client.deadline(self.connect_ms).min(self.now + STREAM_LOOK_MS));
            self.slots.put(key, Slot::Client(Box::new(client)));
            self.bells.ring(key);
        }
        any
    }

    /// Closes, in a way that lets the peer read why.
    fn close_bundle(&mut self, key: u64, b: &mut Bundle) -> bool {
        if !b.stream.is_flushed() {
            return true;
        }
        b.stream.finish();
        b.lingering = true;
        b.since = self.now;
        self.arm(key, self.now + LINGER_MS);
        self.linger_bundle(b)
    }

    fn linger_bundle(&mut self, b: &mut Bundle) -> bool {
        for _ in 0..TURNS {
            if !b.stream.readable {
                return !b.stream.broken;
            }
            match b.stream.read(&mut self.scratch) {
                Read::Bytes(_) => {}
                Read::NotReady => return true,
                Read::End | Read::Broken => return false,
            }
        }
        false
    }

    /// No more streams on that connection: a client is told, an instance's is closed after its last one.
    pub(super) fn leave(&mut self, key: u64) {
        if let Some(Slot::Bundle(bundle)) = self.slots.slot(key) {
            match &bundle.end {
                End::Client { .. } => {
                    if !bundle.trunk.with(|mux| mux.is_leaving()) {
                        bundle.since = self.now;
                    }
                    bundle.trunk.with(|mux| mux.leave());
                }
                End::Instance { place, .. } => {
                    place.untie(key);
                    bundle.trunk.with(|mux| mux.leave_now());
                }
            }
            self.touch(key);
        }
    }

    /// A connection's deadline has passed.
    pub(super) fn bundle_late(&mut self, key: u64, mut bundle: Box<Bundle>) {
        if !bundle.lingering && !bundle.is_sent() {
            // As with a client: no event tells of little room.
            if bundle.stream.press() {
                bundle.last = self.now;
            }
            self.send_frames(&mut bundle);
            if !bundle.crawls(self.now) && (bundle.stream.broken || bundle.deadline(self.connect_ms) > self.now) {
                return self.drive_bundle(key, bundle);
            }
        }
        let greeted = bundle.trunk.with(|mux| mux.is_greeted());
        if bundle.lingering || !bundle.is_sent() || !greeted {
            if let End::Instance { place, .. } = &bundle.end
                && !greeted
            {
                place.suspect(&self.shared);
            }
            bundle.stream.abort();
            return self.end_bundle(key, *bundle);
        }
        if let End::Instance { place, .. } = &bundle.end {
            place.untie(key);
        }
        bundle.trunk.with(|mux| mux.leave_now());
        bundle.left = true;
        self.drive_bundle(key, bundle);
    }

    /// Gets a stream to an instance that is spoken to in HTTP/2: on a connection that has room, or on a new one. `None`
    /// when that failed at once; then it is counted.
    pub(super) fn join(&mut self, lane: &Lane, place: &Rc<Place>, owner: u64, engaged: Engaged) -> Option<Box<Origin>> {
        place.meter.requests.add(1);
        self.board(lane, place, (owner, 0), engaged)
    }

    fn board(
        &mut self,
        lane: &Lane,
        place: &Rc<Place>,
        (owner, hops): (u64, u8),
        engaged: Engaged,
    ) -> Option<Box<Origin>> {
        let via = lane.via(place);
        let trunk = place.trunk(via).or_else(|| self.lay(lane, place, via))?;
        let key = self.slots.add(Slot::Lent(owner));
        let past = if trunk.used.get() { Past::Served } else { Past::New };
        let stream = Stream::strand(Strand::promised(&trunk, owner, hops));
        Some(Box::new(Origin::of_strand(key, stream, place, via, (past, self.now), engaged)))
    }

    /// Nothing was sent on a stream, because its connection takes no more of them: another connection may.
    pub(super) fn join_another(&mut self, key: u64, c: &mut Client) {
        let Some(mut origin) = c.origin.take() else { return };
        let place = Rc::clone(&origin.place);
        let crowd = origin.stream.crowd();
        let (engaged, asked) = (origin.disengage(), origin.asked);
        self.discard(*origin);
        if let Some((allowed, hops)) = crowd.filter(|(_, hops)| *hops < HOPS)
            && let Some(engaged) = engaged
        {
            place.streams.set(allowed.max(1));
            let lane = Rc::clone(&c.lane);
            c.origin = self.board(&lane, &place, (key, hops + 1), engaged);
        }
        if let Some(origin) = &mut c.origin {
            origin.asked = asked;
            self.arm(key, self.now + c.lane.spans.connect(self.connect_ms));
        } else {
            c.lane.meter.connect_errors.add(1);
            c.tried.push((place, true));
            c.session.not_connected(&mut self.out);
        }
    }

    /// Begins a connection for streams.
    fn lay(&mut self, lane: &Lane, place: &Rc<Place>, via: Via) -> Option<Rc<Trunk>> {
        let key = self.slots.add(Slot::Busy);
        let Some(stream) = self.reach_out(lane, place, via, key) else {
            self.slots.remove(key);
            return None;
        };
        let scheme = if stream.is_secure() { "https" } else { "http" };
        let end = End::Instance { place: Rc::clone(place), reached: false, made: false, spans: lane.spans };
        let trunk = Trunk::new(Role::Client { scheme }, place.streams.get(), None, &self.bells);
        let bundle = Bundle::new(stream, end, Rc::clone(&trunk), (key, self.now));
        place.tie(via, &trunk);
        self.arm(key, bundle.deadline(self.connect_ms));
        self.slots.put(key, Slot::Bundle(Box::new(bundle)));
        Some(trunk)
    }
}
