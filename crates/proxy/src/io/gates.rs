//! A worker's side of listeners: accepting, handing over, pausing, and following a change of Routes.
//!
//! Owns when this worker accepts and which worker gets a client. Must never bind: [`crate::road`] does.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use evenkeel_core::routes::Phase;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::counted::Presence;
use super::greet::{self, Greeter};
use super::listen::{self, Accepted, BACKLOG, Bound};
use super::shared::Arrival;
use super::slots::Slot;
use super::stream::Stream;
use super::view::{GateView, Turnover};
use super::worker::{Worker, wall_clock};

/// Connections taken from a listener before others get their turn, when many wait.
const ACCEPTS: usize = 8;
/// How long accepting rests when no descriptor is to be had.
const PAUSE_MS: u64 = 100;

impl Worker {
    /// Clients wait. One at a time costs no call in vain, because the loop is told again while there are more; when it
    /// is told turn after turn, there are many.
    pub(super) fn on_clients(&mut self, socket: &Bound, gate: &Rc<GateView>) {
        let again = gate.told.replace(self.turns) + 1 == self.turns;
        let haste = if again { (gate.haste.get() * 2).min(ACCEPTS) } else { 1 };
        gate.haste.set(if self.accept(socket, gate, haste) { haste } else { 1 });
    }

    /// Takes up to `most` clients; false when nobody is left.
    fn accept(&mut self, socket: &Bound, gate: &Rc<GateView>, most: usize) -> bool {
        for _ in 0..most {
            if self.shared.clients() >= self.shared.max_clients {
                self.pause();
                return false;
            }
            match listen::accept(socket) {
                Accepted::Nobody => return false,
                Accepted::Exhausted => {
                    self.pause();
                    return false;
                }
                Accepted::Client(client, peer) if !gate.lane.borrow().admits(peer.ip()) => {
                    gate.lane.borrow().meter.turned_away.add(1);
                    // A reset: who may not come in is kept in no queue of the kernel's.
                    let _ = sockopt::set_socket_linger(&client, Some(Duration::ZERO));
                }
                Accepted::Client(client, peer) => {
                    let chosen = self.fewest();
                    let Some(post) = self.shared.posts.get(chosen) else { return false };
                    post.clients.fetch_add(1, Ordering::Relaxed);
                    let mut inbox = (chosen != self.index).then(|| post.inbox());
                    match &mut inbox {
                        Some(inbox) if !inbox.closed => {
                            inbox.arrivals.push(Arrival { socket: client, peer, at: gate.at });
                            post.wake();
                        }
                        _ => {
                            drop(inbox);
                            if chosen != self.index {
                                self.shared.leave(chosen);
                                self.post().clients.fetch_add(1, Ordering::Relaxed);
                            }
                            self.adopt(gate, client, peer);
                        }
                    }
                }
            }
        }
        true
    }

    /// The worker that gets the next client: this one, unless another has clearly fewer.
    fn fewest(&self) -> usize {
        let count = |index: usize| self.shared.posts[index].clients.load(Ordering::Relaxed);
        let own = count(self.index);
        if self.stopping {
            return self.index;
        }
        let least = (0..self.shared.posts.len()).min_by_key(|index| count(*index)).unwrap_or(self.index);
        if own > count(least) + 1 { least } else { self.index }
    }

    /// Takes a client that was counted already.
    pub(super) fn adopt(&mut self, gate: &Rc<GateView>, socket: OwnedFd, peer: SocketAddr) {
        let lane = Rc::clone(&gate.lane.borrow());
        let presence = Presence::new(&self.shared, self.index, &lane.meter, self.now);
        let mut stream = Stream::plain(socket);
        let key = self.slots.add(Slot::Busy);
        if lane.listener.accept_proxy_from.iter().any(|range| range.contains(peer.ip())) {
            if self.watch(&mut stream, key).is_err() {
                self.slots.remove(key);
                return;
            }
            let until = self.now + lane.spans.head;
            self.arm(key, until);
            let greeter = Greeter::new(stream, peer, Rc::clone(gate), presence, until);
            return self.slots.put(key, Slot::Greeter(Box::new(greeter)));
        }
        let ends = greet::ends(&lane, peer);
        self.begin(key, stream, ends, gate, lane, presence);
    }

    /// Rests accepting: without descriptors every wait would return at once, with nothing to be done.
    fn pause(&mut self) {
        if self.paused_until.is_some() {
            return;
        }
        self.post().accept_pauses.fetch_add(1, Ordering::Relaxed);
        self.paused_until = Some(self.now + PAUSE_MS);
        self.unlisten();
    }

    fn unlisten(&self) {
        for fd in self.view.gates().filter_map(|(socket, _)| socket.fd.as_ref()) {
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    /// The road is to stop: no more clients. Where another process has the listeners, those that were announced to this
    /// worker are still its own: nobody else may have been told of them.
    pub(super) fn stop_accepting(&mut self) {
        self.stopping = true;
        self.unlisten();
        self.unstock();
        for (_, gate) in self.view.gates() {
            gate.open.set(false);
            gate.left.set(self.now);
        }
        let shared = Arc::clone(&self.shared);
        let Some(retirement) = shared.retired() else { return self.wind_down() };
        let gates: Vec<_> = self.view.gates().map(|(socket, gate)| (Arc::clone(socket), Rc::clone(gate))).collect();
        for (socket, gate) in gates {
            self.accept(&socket, &gate, BACKLOG as usize);
        }
        self.view.let_go(&retirement.hollow);
        for key in std::mem::take(&mut self.listening).into_values() {
            self.slots.remove(key);
        }
        for key in self.slots.keys(|slot| matches!(slot, Slot::Bundle(bundle) if bundle.is_left())) {
            self.leave(key);
        }
        for key in self.slots.keys(|slot| matches!(slot, Slot::Client(_))) {
            if let Some(Slot::Client(client)) = self.slots.slot(key) {
                // Who was told otherwise already is told with the next answer, if there is one in time.
                if !client.session.answer_is_begun() {
                    client.session.make_last();
                }
                let until = client.deadline(self.connect_ms);
                self.arm(key, until);
            }
        }
        self.post().left.store(true, Ordering::Release);
    }

    pub(super) fn listen(&mut self, socket: &Bound, key: u64) {
        let Some(fd) = &socket.fd else { return };
        let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
        match epoll::add(&self.epoll, fd, EventData::new_u64(key), flags) {
            Ok(()) | Err(Errno::EXIST) => {}
            // No memory now: tried again after a pause.
            Err(_) => self.paused_until = Some(self.now + PAUSE_MS),
        }
    }

    pub(super) fn turn(&mut self, turnover: Turnover) {
        for (socket, gate) in &turnover.closed {
            // Who has connected already is not turned away.
            self.accept(socket, gate, ACCEPTS);
            if let Some(fd) = &socket.fd {
                let _ = epoll::delete(&self.epoll, fd);
            }
            if let Some(key) = self.listening.remove(&socket.address) {
                self.slots.remove(key);
            }
        }
        for (socket, gate) in turnover.opened {
            let key = self.slots.add(Slot::Listener(Arc::clone(&socket), gate));
            self.listening.insert(socket.address, key);
            if self.paused_until.is_none() && !self.stopping {
                self.listen(&socket, key);
            }
        }
        for key in turnover.idle {
            self.close_idle(key);
        }
        for place in turnover.draining {
            if let Phase::Draining { until } = place.phase.get() {
                self.cuts.add(until, wall_clock(), self.now, place);
            }
        }
        if !turnover.closed.is_empty() {
            self.wind_down();
        }
    }

    /// Clients of listeners that are gone: idle ones are closed, others after the answer at hand.
    pub(super) fn wind_down(&mut self) {
        for key in self.slots.keys(|slot| matches!(slot, Slot::Greeter(greeter) if !greeter.gate.open.get())) {
            // Its first bytes may be there already; without them nothing is lost.
            self.touch(key);
            if matches!(self.slots.slot(key), Some(Slot::Greeter(_))) {
                self.slots.remove(key);
            }
        }
        for key in self.slots.keys(|slot| matches!(slot, Slot::Bundle(bundle) if bundle.is_left())) {
            self.leave(key);
        }
        for key in self.slots.keys(|slot| matches!(slot, Slot::Client(client) if !client.gate.open.get())) {
            // A request that has arrived already is answered: closing on it would lose it.
            if let Some(Slot::Client(client)) = self.slots.slot(key) {
                client.session.make_last();
                client.stream.readable = true;
            }
            self.touch(key);
            if let Some(Slot::Client(client)) = self.slots.slot(key) {
                client.session.wind_down();
            }
            self.touch(key);
        }
    }

    /// Accepts again, when the pause is over.
    pub(super) fn resume(&mut self) {
        if self.paused_until.is_some_and(|until| until <= self.now) {
            self.paused_until = None;
            let sockets: Vec<_> =
                self.view.gates().filter(|_| !self.stopping).map(|(socket, _)| Arc::clone(socket)).collect();
            for socket in sockets {
                if let Some(key) = self.listening.get(&socket.address).copied() {
                    self.listen(&socket, key);
                }
            }
        }
    }
}
