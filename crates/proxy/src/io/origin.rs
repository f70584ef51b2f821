//! Connections to instances.
//!
//! Owns how one is made, lent, shelved and closed by a worker. Must never decide whether a request is tried again:
//! [`crate::request`] does.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use super::slots::Slot;
use super::stream::{INTEREST, Read, Stream};
use super::view::Place;
use super::worker::Worker;
use crate::target::TargetState;

/// A connection to an instance.
pub(super) struct Origin {
    /// Its own key; it keeps it for life, whoever holds it.
    pub(super) key: u64,
    pub(super) stream: Stream,
    pub(super) place: Rc<Place>,
    pub(super) port: u16,
    pub(super) connected: bool,
    /// It has served a request before.
    pub(super) reused: bool,
    /// When it was begun or shelved, in the worker's milliseconds.
    pub(super) since: u64,
    /// How long it may idle.
    pub(super) idle_ms: u64,
    engaged: Option<Engaged>,
}

/// One more in flight on a target, for as long as it lives.
struct Engaged(Arc<TargetState>);

impl Engaged {
    fn on(state: &Arc<TargetState>) -> Self {
        state.begin();
        Self(Arc::clone(state))
    }
}

impl Drop for Engaged {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Where a connection that is being made stands.
pub(super) enum Connecting {
    Pending,
    Made,
    Failed,
}

impl Origin {
    /// Takes note of an event.
    pub(super) fn mark(&mut self, flags: EventFlags) {
        self.stream.mark(flags);
    }

    /// Looks whether it has been made.
    pub(super) fn settle(&mut self) -> Connecting {
        if self.connected {
            return Connecting::Made;
        }
        if !self.stream.writable && !self.stream.broken {
            return Connecting::Pending;
        }
        match self.stream.connected() {
            Ok(()) if !self.stream.broken => {
                self.connected = true;
                self.place.meter.connects.add(1);
                Connecting::Made
            }
            _ => Connecting::Failed,
        }
    }
}

impl Worker {
    /// Takes an idle connection to that place, if there is one.
    pub(super) fn lend(&mut self, place: &Rc<Place>, port: u16, owner: u64) -> Option<Box<Origin>> {
        while let Some(key) = place.lend(port) {
            if let Some(Slot::Idle(mut origin)) = self.slots.take(key) {
                self.slots.put(key, Slot::Lent(owner));
                origin.reused = true;
                origin.engaged = Some(Engaged::on(&place.state));
                place.meter.requests.add(1);
                return Some(origin);
            }
        }
        None
    }

    /// Begins a new connection. `None` when it failed at once; then it is counted, and the place suspect.
    pub(super) fn connect(&mut self, place: &Rc<Place>, port: u16, owner: u64) -> Option<Box<Origin>> {
        place.meter.requests.add(1);
        let key = self.slots.add(Slot::Lent(owner));
        let begun = Stream::connect(SocketAddr::new(place.address, port)).and_then(|stream| {
            epoll::add(&self.epoll, stream.fd(), EventData::new_u64(key), INTEREST)?;
            Ok(stream)
        });
        match begun {
            Ok(stream) => Some(Box::new(Origin {
                key,
                stream,
                place: Rc::clone(place),
                port,
                connected: false,
                reused: false,
                since: self.now,
                idle_ms: 0,
                engaged: Some(Engaged::on(&place.state)),
            })),
            Err(error) => {
                self.slots.remove(key);
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
        // Not into the scratch: what was read last may still be on its way. Bytes nobody asked for, or the end: such a connection must not meet another request.
        let silent = !origin.stream.readable || matches!(origin.stream.read(&mut [0]), Read::NotReady);
        if !silent || !origin.place.shelve(origin.port, origin.key) {
            return self.discard(*origin);
        }
        let key = origin.key;
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
            && let Some(Slot::Idle(origin)) = self.slots.remove(key)
        {
            origin.place.unshelve(origin.port, key);
        }
    }
}
