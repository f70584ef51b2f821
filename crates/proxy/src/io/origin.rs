//! Connections to instances.
//!
//! Owns how one is made, lent, shelved and closed by a worker. Must never decide whether a request is tried again:
//! [`crate::request`] does.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::slots::Slot;
use super::stream::Stream;
use super::tls::Shaking;
use super::view::{Lane, Place, Via};
use super::worker::Worker;
use crate::fault::Fault;
use crate::log::record::Mismatch;
use crate::request::Reuse;
use crate::target::Engaged;

/// A connection to an instance.
pub(super) struct Origin {
    /// Its own key; it keeps it for life, whoever holds it.
    pub(super) key: u64,
    pub(super) stream: Stream,
    pub(super) place: Rc<Place>,
    via: Via,
    /// The connection is made, but a handshake may be under way.
    reached: bool,
    pub(super) connected: bool,
    pub(super) past: Past,
    /// When it was begun or shelved, in the worker's milliseconds.
    pub(super) since: u64,
    /// How long it may idle, or take to be made ahead.
    pub(super) idle_ms: u64,
    engaged: Option<Engaged>,
    /// When it was lent, where answers are timed for the choice of an instance.
    pub(super) asked: Option<Instant>,
}

/// What lies behind a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Nothing: it is made for the request at hand.
    New,
    /// It was made ahead and has waited, but carried nothing.
    Unused,
    /// It has served a request before.
    Served,
}

/// Where a connection that is being made stands.
pub(super) enum Connecting {
    Pending,
    Made,
    Failed,
}

impl Origin {
    /// A stream of a connection that may have to be made yet.
    pub(super) fn of_strand(
        key: u64,
        stream: Stream,
        place: &Rc<Place>,
        via: Via,
        (past, now): (Past, u64),
        engaged: Engaged,
    ) -> Self {
        let begun = Self::begun(key, stream, place, via, now);
        Self { reached: true, past, engaged: Some(engaged), ..begun }
    }

    /// One whose making has begun, for nobody yet.
    fn begun(key: u64, stream: Stream, place: &Rc<Place>, via: Via, now: u64) -> Self {
        Self {
            key,
            stream,
            place: Rc::clone(place),
            via,
            reached: false,
            connected: false,
            past: Past::New,
            since: now,
            idle_ms: 0,
            engaged: None,
            asked: None,
        }
    }

    /// One that is being made for nobody yet, and may take so long for it.
    pub(super) fn ahead(key: u64, stream: Stream, place: &Rc<Place>, via: Via, (now, span): (u64, u64)) -> Self {
        Self { past: Past::Unused, idle_ms: span, ..Self::begun(key, stream, place, via, now) }
    }

    /// Whether it was made for the request at hand: one that has waited may just have idled too long, and says nothing of
    /// its instance when it breaks.
    pub(super) fn is_new(&self) -> bool {
        self.past == Past::New
    }

    /// What its failing is to be called when it could not be made.
    pub(super) fn why_not(&self) -> Fault {
        match self.stream.mismatch() {
            Some(Mismatch::Trust) => Fault::NotTrusted,
            _ => Fault::ConnectFailed,
        }
    }

    /// How it reaches its place.
    pub(super) fn via(&self) -> Via {
        self.via
    }

    /// Lets go of its place on the instance, for another connection to it.
    pub(super) fn disengage(&mut self) -> Option<Engaged> {
        self.engaged.take()
    }

    /// The instance answered: that counts for the choice where it is timed.
    pub(super) fn answered(&mut self, now: u64) {
        if let Some(asked) = self.asked.take() {
            let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.place.state.answered(micros, now);
        }
    }

    /// Takes note of an event.
    pub(super) fn mark(&mut self, flags: EventFlags) {
        self.stream.mark(flags);
    }

    /// Looks whether it has been made, and goes on with its handshake.
    pub(super) fn settle(&mut self, scratch: &mut [u8]) -> Connecting {
        if self.connected {
            return Connecting::Made;
        }
        if !self.reached {
            if !self.stream.writable && !self.stream.broken {
                return Connecting::Pending;
            }
            if self.stream.connected().is_err() || self.stream.broken {
                return Connecting::Failed;
            }
            self.reached = true;
        }
        match self.stream.shake(scratch) {
            Shaking::Pending => Connecting::Pending,
            Shaking::Failed => Connecting::Failed,
            Shaking::Done => {
                self.connected = true;
                self.engaged.iter_mut().for_each(Engaged::opened);
                if !self.stream.is_strand() {
                    self.place.meter.connects.add(1);
                }
                Connecting::Made
            }
        }
    }
}

impl Worker {
    /// Takes an idle connection to that place, if there is one that may be used; gives `engaged` back otherwise. Those that
    /// turn out to be over are closed.
    pub(super) fn lend(
        &mut self,
        place: &Rc<Place>,
        via: Via,
        owner: u64,
        reuse: Reuse,
        mut engaged: Engaged,
    ) -> Result<Box<Origin>, Engaged> {
        while let Some(key) = place.lend(via, reuse) {
            if let Some(Slot::Idle(mut origin)) = self.slots.take(key) {
                if reuse != Reuse::Freely && !origin.stream.is_quiet() {
                    self.ahead.lost(&origin, self.now);
                    origin.stream.part();
                    self.slots.remove(key);
                    continue;
                }
                if origin.past == Past::Unused {
                    self.ahead.falls_short(place, via);
                }
                self.slots.put(key, Slot::Lent(owner));
                engaged.opened();
                origin.engaged = Some(engaged);
                place.meter.requests.add(1);
                return Ok(origin);
            }
        }
        Err(engaged)
    }

    /// Begins a new connection. `None` when it failed at once; then it is counted, and the place suspect.
    pub(super) fn connect(
        &mut self,
        lane: &Lane,
        place: &Rc<Place>,
        owner: u64,
        engaged: Engaged,
    ) -> Option<Box<Origin>> {
        place.meter.requests.add(1);
        let via = lane.via(place);
        let key = self.slots.add(Slot::Lent(owner));
        let Some(stream) = self.reach_out(lane, place, via, key) else {
            self.slots.remove(key);
            return None;
        };
        Some(Box::new(Origin { engaged: Some(engaged), ..Origin::begun(key, stream, place, via, self.now) }))
    }

    /// Begins a connection to that place for that key. `None` when it failed at once; then it is counted, and the place
    /// suspect.
    pub(super) fn reach_out(&mut self, lane: &Lane, place: &Place, via: Via, key: u64) -> Option<Stream> {
        let session = match &lane.back {
            Some(back) => match back.session(place.address, lane.by_http2()) {
                Ok(session) => Some(session),
                Err(_) => {
                    // Ours: no randomness, or an address that no certificate could have.
                    place.meter.connect_errors.add(1);
                    return None;
                }
            },
            None => None,
        };
        let begun = Stream::connect(SocketAddr::new(place.address, via.port), session).and_then(|mut stream| {
            self.watch(&mut stream, key)?;
            Ok(stream)
        });
        match begun {
            Ok(stream) => Some(stream),
            Err(error) => {
                place.meter.connect_errors.add(1);
                let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL, Errno::NOSPC];
                if !ours.contains(&error) {
                    place.suspect(&self.shared);
                }
                None
            }
        }
    }

    /// Puts a connection back for the next request, where it may still be used; closes it otherwise.
    pub(super) fn shelve(&mut self, mut origin: Box<Origin>, idle_ms: u64) {
        origin.engaged = None;
        // Bytes nobody asked for, or the end, or a stream, whose one request is over: such a connection must not meet another request.
        if !origin.stream.is_silent() || !origin.stream.is_flushed() || !origin.place.shelve(origin.via, origin.key) {
            origin.stream.part();
            return self.discard(*origin);
        }
        let key = origin.key;
        origin.past = Past::Served;
        origin.since = self.now;
        origin.idle_ms = idle_ms;
        self.slots.put(key, Slot::Idle(origin));
        self.arm(key, self.now + idle_ms);
    }

    /// Closes a connection that is held.
    pub(super) fn discard(&mut self, origin: Origin) {
        self.slots.remove(origin.key);
    }

    /// Closes an idle connection.
    pub(super) fn close_idle(&mut self, key: u64) {
        if matches!(self.slots.slot(key), Some(Slot::Idle(_)))
            && let Some(Slot::Idle(mut origin)) = self.slots.remove(key)
        {
            origin.stream.part();
            origin.place.unshelve(origin.via, key);
        } else if matches!(self.slots.slot(key), Some(Slot::Bundle(_))) {
            self.leave(key);
        }
    }
}
