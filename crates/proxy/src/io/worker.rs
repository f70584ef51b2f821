//! One worker: its loop, and who is called when something is ready.
//!
//! Owns a readiness loop and everything in it: connections never change their worker, so nothing here is locked. Must
//! never block but in its one wait. Read `run`, then `gates.rs` for listeners, `client.rs` for HTTP and
//! `pipe.rs` for TCP.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::time::Timestamp;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::carry::Channels;
use super::choose::Chooser;
use super::client::millis;
use super::eject::Returns;
use super::shared::{Arrival, Post, Shared};
use super::slots::{Slot, Slots};
use super::stock::Ahead;
use super::stream::{INTEREST, Stream};
use super::trunk::Bells;
use super::view::{Place, View};
use crate::drain::{self, Cuts};
use crate::fault::Fault;
use crate::log::teller::Teller;
use crate::proto::trace::Ids;
use crate::wheel::Wheel;

/// Bytes read at once; every connection of a worker reads into the same ones.
const SCRATCH: usize = 64 * 1024;
const WAKE: u64 = u64::MAX;
/// How often bells are answered before the loop looks at its sockets again.
const BELLS: usize = 16;

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) epoll: OwnedFd,
    pub(super) slots: Slots,
    wheel: Wheel,
    pub(super) view: View,
    pub(super) ahead: Ahead,
    pub(super) cuts: Cuts<Rc<Place>>,
    /// Balancers that may have counts of something that is gone.
    leftover: BTreeSet<LoadBalancerName>,
    pub(super) listening: BTreeMap<SocketAddr, u64>,
    pub(super) scratch: Box<[u8]>,
    /// Bytes for the client at hand.
    pub(super) out: Vec<u8>,
    /// What in `scratch` is for the client at hand, after `out`. Nothing may be read there until it is delivered.
    pub(super) passed: Range<usize>,
    /// Pipes of the kernel's that tunnels go through while much flows.
    pub(super) channels: Channels,
    pub(super) chooser: Chooser,
    /// Instances that it had passed over.
    pub(super) returns: Returns,
    /// How many of its connections wait for an instance.
    pub(super) queued: Rc<Cell<usize>>,
    /// Connections that had more to do than their turn allowed.
    pub(super) again: Vec<u64>,
    /// Streams of HTTP/2 connections, and those connections, that have news for each other.
    pub(super) bells: Rc<Bells>,
    due: Vec<(u64, u64)>,
    started: Instant,
    /// Milliseconds since the road was started, as of this turn of the loop.
    pub(super) now: u64,
    /// How often it has waited.
    pub(super) turns: u64,
    pub(super) connect_ms: u64,
    sequence: u64,
    pub(super) paused_until: Option<u64>,
    pub(super) stopping: bool,
    /// Where records of the access log go, if anywhere.
    pub(super) teller: Option<Teller>,
    /// Where ids for `X-Amzn-Trace-Id` and `traceparent` come from, if they are sent.
    pub(super) ids: Option<Ids>,
}

/// What a worker is built from; the worker itself is made on its own thread, because it must not leave it.
pub(super) struct Blueprint {
    shared: Arc<Shared>,
    index: usize,
    epoll: OwnedFd,
}

impl Blueprint {
    pub(super) fn new(shared: Arc<Shared>, index: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let post = shared.posts.get(index).ok_or(io::ErrorKind::NotFound)?;
        epoll::add(&epoll, &post.hatch.bell, EventData::new_u64(WAKE), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { shared, index, epoll })
    }

    pub(super) fn run(self) {
        self.build().run();
    }

    fn build(self) -> Worker {
        let connect_ms = millis(self.shared.connect_timeout);
        let teller = self.shared.posts.get(self.index).and_then(|post| post.teller.clone());
        let seed = || std::hash::RandomState::new().hash_one(self.index);
        let ids = self.shared.trace.then(|| Ids::sampling(seed(), self.shared.spans_per_million));
        let started = self.shared.board.started();
        let room = self.shared.room_ahead;
        Worker {
            shared: self.shared,
            index: self.index,
            epoll: self.epoll,
            slots: Slots::default(),
            wheel: Wheel::new(),
            view: View::default(),
            ahead: Ahead::new(room),
            cuts: Cuts::default(),
            leftover: BTreeSet::new(),
            listening: BTreeMap::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            out: Vec::new(),
            passed: 0..0,
            channels: Channels::default(),
            chooser: Chooser::new(seed()),
            returns: Returns::default(),
            queued: Rc::default(),
            again: Vec::new(),
            bells: Rc::default(),
            due: Vec::new(),
            started,
            now: 1,
            turns: 1,
            connect_ms,
            sequence: 0,
            paused_until: None,
            stopping: false,
            teller,
            ids,
        }
    }
}

impl Worker {
    pub(super) fn post(&self) -> &Post {
        &self.shared.posts[self.index]
    }

    fn run(mut self) {
        let mut events: Vec<Event> = Vec::with_capacity(512);
        while self.turn_round(&mut events) {}
    }

    /// Waits once and does what there is to do; false when the worker is done for good.
    fn turn_round(&mut self, events: &mut Vec<Event>) -> bool {
        self.look_at_clock();
        self.contain(Self::follow);
        if self.is_done() {
            return false;
        }
        self.contain(Self::expire);
        if self.ahead.calls(self.now) {
            self.contain(Self::stock_up);
        }
        let timeout = self.patience();
        events.clear();
        // An interrupted wait is an empty one.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref());
        self.look_at_clock();
        self.turns += 1;
        // Idle connections that have ended go first, so that no request of this turn is given to one.
        for idle_first in [true, false] {
            for event in events.iter() {
                let (key, flags) = (event.data.u64(), event.flags);
                if matches!(self.slots.slot(key), Some(Slot::Idle(_))) == idle_first {
                    self.contain(|worker| worker.on_event(key, flags));
                }
            }
        }
        for key in std::mem::take(&mut self.again) {
            self.contain(|worker| worker.touch(key));
        }
        self.answer_bells();
        true
    }

    /// Drives those that have news for each other, until there is no more; what makes news without end waits its turn.
    fn answer_bells(&mut self) {
        for _ in 0..BELLS {
            let rung = self.bells.take();
            if rung.is_empty() {
                return;
            }
            for key in rung {
                self.contain(|worker| worker.touch(key));
            }
        }
        self.again.append(&mut self.bells.take());
    }

    /// Registers a connection, once and for all that can happen to it; what has happened already is told then.
    pub(super) fn watch(&self, stream: &mut Stream, key: u64) -> Result<(), Errno> {
        register(&self.epoll, stream, key)
    }

    /// Runs one step; a panic in it costs the connection it was about, and is counted.
    pub(super) fn contain(&mut self, step: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_ok() {
            return;
        }
        self.post().panics.fetch_add(1, Ordering::Relaxed);
        self.out.clear();
        self.passed = 0..0;
        for owner in self.slots.keys(|slot| matches!(slot, Slot::Busy)) {
            self.slots.remove(owner);
            for lent in self.slots.keys(|slot| matches!(slot, Slot::Lent(by) if *by == owner)) {
                self.slots.remove(lent);
            }
        }
    }

    fn look_at_clock(&mut self) {
        self.now = millis(self.started.elapsed()) + 1;
    }

    fn on_event(&mut self, key: u64, flags: EventFlags) {
        if key == WAKE {
            return self.on_wake();
        }
        match self.slots.slot(key) {
            // An event for something that is gone.
            None | Some(Slot::Busy) => {}
            Some(Slot::Listener(socket, gate)) => {
                let (socket, gate) = (Arc::clone(socket), Rc::clone(gate));
                self.on_clients(&socket, &gate);
            }
            Some(Slot::Client(client)) => {
                if client.stream.mark(flags) {
                    client.last = self.now;
                }
                self.touch(key);
            }
            Some(Slot::Greeter(greeter)) => {
                greeter.stream.mark(flags);
                self.touch(key);
            }
            Some(Slot::Tunnel(tunnel)) => {
                tunnel.client.mark(flags);
                self.touch(key);
            }
            Some(Slot::Bundle(bundle)) => {
                if bundle.stream.mark(flags) {
                    bundle.last = self.now;
                }
                self.touch(key);
            }
            Some(Slot::Idle(_)) => {
                // Nothing was asked, so whatever it says is not for anyone.
                if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
                    && !self.is_harmless(key, flags)
                {
                    self.close_idle(key);
                }
            }
            Some(Slot::Ahead(origin)) => {
                origin.mark(flags);
                self.touch(key);
            }
            Some(Slot::Lent(owner)) => {
                let owner = *owner;
                let origin = match self.slots.slot(owner) {
                    Some(Slot::Client(client)) => client.origin.as_deref_mut(),
                    Some(Slot::Tunnel(tunnel)) => tunnel.origin.as_deref_mut(),
                    _ => None,
                };
                if let Some(origin) = origin.filter(|origin| origin.key == key) {
                    origin.mark(flags);
                    self.touch(owner);
                }
            }
        }
    }

    /// Drives whatever the key stands for.
    pub(super) fn touch(&mut self, key: u64) {
        match self.slots.take(key) {
            Some(Slot::Client(client)) => self.drive_client(key, client),
            Some(Slot::Greeter(greeter)) => self.greet(key, greeter),
            Some(Slot::Tunnel(tunnel)) => self.drive_tunnel(key, tunnel),
            Some(Slot::Bundle(bundle)) => self.drive_bundle(key, bundle),
            Some(Slot::Ahead(origin)) => self.drive_ahead(key, origin),
            Some(other) => self.slots.put(key, other),
            None => {}
        }
    }

    fn on_wake(&mut self) {
        let mut count = [0u8; 8];
        // Edge-triggered: an unread counter would do no harm, but it must not overflow.
        let _ = rustix::io::read(&self.post().hatch.bell, &mut count);
        self.show_connections();
        self.answer_calls();
        if self.post().hatch.was_stirred() {
            self.ahead.stir(self.now);
        }
        let arrivals = self.post().take_arrivals();
        if !arrivals.is_empty() {
            // Who sent them may know newer Routes, with listeners of which nothing is known here yet.
            self.follow();
        }
        for Arrival { socket, peer, at } in arrivals {
            match self.view.gate(&at) {
                Some(gate) => self.adopt(&gate, socket, peer),
                None => self.shared.leave(self.index),
            }
        }
    }

    /// Looks whether there are new Routes, or the road is to stop.
    fn follow(&mut self) {
        let sequence = self.shared.sequence.load(Ordering::Acquire);
        if sequence != self.sequence {
            self.sequence = sequence;
            let plan = self.shared.plan.load_full();
            let mut turnover = self.view.turn(&plan, &self.shared.posts[self.index].book);
            self.restock(&turnover);
            self.leftover.append(&mut turnover.altered);
            self.turn(turnover);
            self.wait_anew();
            // Only what has changed can leave counts behind, for as long as somebody counts on them.
            let book = &self.shared.posts[self.index].book;
            self.leftover.retain(|name| !book.settle(name, plan.balancers.get(name).map(|known| &*known.routes)));
            self.post().generation.store(plan.generation, Ordering::Release);
            self.post().sequence.store(sequence, Ordering::Release);
        }
        if !self.stopping && self.shared.stopping().is_some() {
            self.stop_accepting();
        }
    }

    fn is_done(&mut self) -> bool {
        let Some(at) = self.shared.stopping() else { return false };
        if self.post().clients.load(Ordering::Relaxed) > 0 && Instant::now() < at {
            return false;
        }
        let mut inbox = self.post().inbox();
        if !inbox.arrivals.is_empty() && Instant::now() < at {
            return false;
        }
        inbox.closed = true;
        drop(inbox);
        for key in self.slots.keys(|slot| matches!(slot, Slot::Client(_) | Slot::Tunnel(_))) {
            self.contain(|worker| worker.cut(key));
        }
        self.answer_bells();
        for key in self.slots.keys(|slot| matches!(slot, Slot::Bundle(_))) {
            self.contain(|worker| worker.leave(key));
        }
        true
    }

    /// Takes the instance away from whoever holds it.
    fn cut(&mut self, key: u64) {
        match self.slots.take(key) {
            Some(Slot::Client(client)) => self.cut_client(key, client),
            Some(Slot::Tunnel(tunnel)) => self.fail_tunnel(key, *tunnel, Fault::Cut),
            Some(other) => self.slots.put(key, other),
            None => {}
        }
    }

    /// Does what the time has come for.
    fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.due(self.now, &mut due);
        for (key, tick) in due.drain(..) {
            self.contain(|worker| worker.ring(key, tick));
        }
        self.due = due;
        if self.cuts.next().is_some_and(|at| at <= self.now) {
            for cut in self.cuts.due(self.now) {
                if drain::holds(cut.until, cut.what.phase.get()) {
                    self.cut_place(&cut.what);
                }
            }
        }
        self.let_back();
        self.resume();
    }

    fn cut_place(&mut self, place: &Rc<Place>) {
        let holds = |slot: &Slot| {
            let origin = match slot {
                Slot::Client(client) => client.origin.as_ref(),
                Slot::Tunnel(tunnel) => tunnel.origin.as_ref(),
                _ => None,
            };
            origin.is_some_and(|origin| Rc::ptr_eq(&origin.place, place))
        };
        for key in self.slots.keys(holds) {
            self.cut(key);
        }
    }

    /// A wheel's entry is due: it may be an old one, or the deadline may have moved on.
    fn ring(&mut self, key: u64, tick: u64) {
        match self.slots.armed(key) {
            Some(armed) if *armed == tick => *armed = 0,
            _ => return,
        }
        let connect_ms = self.connect_ms;
        let deadline = match self.slots.slot(key) {
            Some(Slot::Client(client)) => {
                let deadline = client.deadline(connect_ms);
                let heard = register(&self.epoll, &mut client.stream, key);
                // No memory now: tried again with the next tick.
                if heard.is_ok() { deadline } else { deadline.min(self.now + 1) }
            }
            Some(Slot::Tunnel(tunnel)) => tunnel.deadline(connect_ms),
            Some(Slot::Greeter(greeter)) => greeter.until,
            Some(Slot::Bundle(bundle)) => bundle.deadline(connect_ms),
            Some(Slot::Idle(origin) | Slot::Ahead(origin)) => origin.since + origin.idle_ms,
            _ => return,
        };
        if deadline > self.now {
            return self.arm(key, deadline);
        }
        match self.slots.take(key) {
            Some(Slot::Client(client)) => {
                self.arm(key, self.now + 1000);
                self.client_late(key, client);
            }
            Some(Slot::Tunnel(tunnel)) => {
                self.arm(key, self.now + 1000);
                self.tunnel_late(key, tunnel);
            }
            Some(Slot::Greeter(greeter)) => self.dismiss(key, &greeter, Fault::RequestTimeout),
            Some(Slot::Bundle(bundle)) => {
                self.arm(key, self.now + 1000);
                self.bundle_late(key, bundle);
            }
            Some(Slot::Ahead(origin)) => self.ahead_failed(key, &origin),
            Some(other) => {
                self.slots.put(key, other);
                self.outgrow(key);
            }
            None => {}
        }
    }

    /// Has the key looked at no later than `at`.
    pub(super) fn arm(&mut self, key: u64, at: u64) {
        let Some(armed) = self.slots.armed(key) else { return };
        if *armed == 0 || at.div_ceil(crate::wheel::TICK_MS) < *armed {
            *armed = self.wheel.arm(key, at);
        }
    }

    /// How long the loop may sleep.
    fn patience(&self) -> Option<Timespec> {
        let stop = self.shared.stopping().map(|at| self.now + millis(at.saturating_duration_since(Instant::now())) + 1);
        let returns = [self.returns.next(), self.ahead.next(self.now)];
        let moments = [self.wheel.next_ms(), self.cuts.next(), self.paused_until, stop].into_iter().chain(returns);
        // What a deadline had somebody say is on its way to its connection.
        let rests = self.again.is_empty() && self.bells.are_still();
        let next = if rests { moments.flatten().min()? } else { self.now };
        let wait = next.saturating_sub(self.now);
        Some(Timespec { tv_sec: (wait / 1000) as i64, tv_nsec: (wait % 1000 * 1_000_000) as i64 })
    }
}

fn register(epoll: &OwnedFd, stream: &mut Stream, key: u64) -> Result<(), Errno> {
    if let Some(fd) = stream.fd().filter(|_| !stream.registered) {
        epoll::add(epoll, fd, EventData::new_u64(key), INTEREST)?;
        stream.registered = true;
    }
    Ok(())
}

/// For what intent names by the wall clock; nothing waits by it.
pub(super) fn wall_clock() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis))
}

#[cfg(test)]
mod tests;
