//! Requests that wait for an instance to be free, or to boot: AWS's surge queue, one for each node of a balancer.
//!
//! Owns the order in which they are served, over all workers, and the bound of each node. Must never be locked while
//! nobody waits: whoever lets go of an instance looks at one number. A free place is handed over, not thrown among the
//! workers: its ticket's worker is called and finds it taken on its behalf, so that nobody overtakes and nobody polls.
//! Who waits: `io/queue.rs`. Where places come from: [`crate::target`].

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::load::Loads;
use crate::target::{Engaged, TargetState};

/// The instances that would do for one who waits.
pub(crate) type Reach = Arc<[Arc<TargetState>]>;

/// What becomes of one who waited.
#[derive(Debug)]
pub(crate) struct Called {
    /// The key of its connection in its worker.
    pub(crate) key: u64,
    /// Its ticket: the connection may have left, or wait anew, since.
    pub(crate) ticket: u64,
    /// Its place, or nothing when no instance within its reach is in service any more.
    pub(crate) place: Option<Engaged>,
}

/// Where a worker is called.
#[derive(Debug)]
pub(crate) struct Hatch {
    /// Makes the worker's wait return.
    pub(crate) bell: OwnedFd,
    called: Mutex<Vec<Called>>,
    /// An instance has come in service or gone out of it, where workers want to know.
    stirred: AtomicBool,
}

impl Hatch {
    pub(crate) fn new(bell: OwnedFd) -> Self {
        Self { bell, called: Mutex::default(), stirred: AtomicBool::new(false) }
    }

    /// Makes the worker's wait return.
    pub(crate) fn wake(&self) {
        // Only a full counter can refuse, and then the worker is awake already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Whether instances have come or gone since this was asked last.
    pub(crate) fn was_stirred(&self) -> bool {
        self.stirred.load(Ordering::Relaxed) && self.stirred.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn take_called(&self) -> Vec<Called> {
        std::mem::take(&mut *self.called.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn call(&self, called: Called) {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).push(called);
        self.wake();
    }
}

/// How many wait on one node, now and at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Length {
    /// Requests and connections that wait now.
    pub(crate) now: u32,
    /// The most that did at a time, in this minute or the one before it.
    pub(crate) most: u32,
}

/// The highest of late.
#[derive(Debug, Default)]
struct Peak {
    minute: u64,
    /// Of this minute and of the one before.
    most: [u32; 2],
}

impl Peak {
    fn at(&mut self, minute: u64) -> &mut [u32; 2] {
        match minute.saturating_sub(self.minute) {
            0 => {}
            1 => self.most = [0, self.most[0]],
            _ => self.most = [0, 0],
        }
        self.minute = self.minute.max(minute);
        &mut self.most
    }
}

/// All who wait for the instances of one balancer.
#[derive(Debug)]
pub(crate) struct Surge {
    started: Instant,
    waiting: AtomicU32,
    /// What may be in flight on each instance; 0 for no limit.
    limit: AtomicU32,
    /// Whether workers keep connections ready, and so want to know who comes in service and goes.
    stirs: AtomicBool,
    /// Whether instances come when somebody waits: then there may be none to wait for yet.
    wakes: AtomicBool,
    /// Told when somebody begins to wait where instances come for it, and when nobody waits any more.
    calls: Option<Sender<()>>,
    hatches: Arc<[Arc<Hatch>]>,
    line: Mutex<Line>,
    /// Held by who decides whether one more instance of the balancer is to be passed over.
    pub(crate) ejecting: Mutex<()>,
    /// What a choice among the balancer's targets looks at.
    pub(crate) loads: Loads,
}

#[derive(Debug, Default)]
struct Line {
    /// Their ids grow.
    tickets: VecDeque<Ticket>,
    last: u64,
    nodes: BTreeMap<IpAddr, (u32, Peak)>,
}

#[derive(Debug)]
struct Ticket {
    id: u64,
    worker: usize,
    key: u64,
    node: IpAddr,
    reach: Reach,
    stays: bool,
}

/// Who waits, and where.
pub(crate) struct Wish {
    /// The worker of the connection.
    pub(crate) worker: usize,
    /// Its key there.
    pub(crate) key: u64,
    /// The node that it came to.
    pub(crate) node: IpAddr,
    /// How many may wait there.
    pub(crate) most: u32,
    /// The instances that would do.
    pub(crate) reach: Reach,
    /// Whether it waits on while none of them is in service.
    pub(crate) stays: bool,
}

impl Surge {
    pub(crate) fn new(started: Instant, hatches: Arc<[Arc<Hatch>]>, calls: Option<Sender<()>>) -> Self {
        Self {
            started,
            waiting: AtomicU32::new(0),
            limit: AtomicU32::new(0),
            stirs: AtomicBool::new(false),
            wakes: AtomicBool::new(false),
            calls,
            hatches,
            line: Mutex::default(),
            ejecting: Mutex::default(),
            loads: Loads::default(),
        }
    }

    /// Milliseconds since the road was started: the same clock for all workers.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// Whether all workers are told who comes in service and goes.
    pub(crate) fn set_stirs(&self, stirs: bool) {
        self.stirs.store(stirs, Ordering::Relaxed);
    }

    /// Whether instances come when somebody waits. Where they do no more, who waits for one is told at the next look.
    pub(crate) fn set_wakes(&self, wakes: bool) {
        self.wakes.store(wakes, Ordering::Relaxed);
    }

    /// Whether somebody waits for whom no instance is in service, and for whom instances come.
    pub(crate) fn calls(&self) -> bool {
        let is_alone = |ticket: &Ticket| !ticket.reach.iter().any(|state| state.takes_requests());
        self.wakes.load(Ordering::Relaxed) && self.has_line() && self.line().tickets.iter().any(is_alone)
    }

    /// The line has begun, or has ended.
    fn tell(&self) {
        if let Some(calls) = self.calls.as_ref().filter(|_| self.wakes.load(Ordering::Relaxed)) {
            // Who would hear it goes only with the road.
            let _ = calls.send(());
        }
    }

    /// An instance has come in service, or gone out of it.
    pub(crate) fn stir(&self) {
        if self.stirs.load(Ordering::Relaxed) {
            for hatch in self.hatches.iter() {
                hatch.stirred.store(true, Ordering::Release);
                hatch.wake();
            }
        }
    }

    /// Whether anybody waits: then nobody may overtake.
    pub(crate) fn has_line(&self) -> bool {
        // Sequentially consistent, as is the count of what is in flight: who begins to wait looks at the instances after
        // it has shown itself here, and who lets go of an instance looks here after that. One of them sees the other.
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Takes a place at the end of the line; `None` when as many wait on that node as may. Free instances are handed out
    /// at once, in the order of the line.
    pub(crate) fn join(&self, wish: Wish) -> Option<u64> {
        self.hatches.get(wish.worker)?;
        let minute = self.now_ms() / 60_000;
        let mut line = self.line();
        let (waiting, peak) = line.nodes.entry(wish.node).or_default();
        if *waiting >= wish.most {
            return None;
        }
        *waiting += 1;
        let highest = &mut peak.at(minute)[0];
        *highest = (*highest).max(*waiting);
        line.last += 1;
        let id = line.last;
        let Wish { worker, key, node, reach, stays, .. } = wish;
        line.tickets.push_back(Ticket { id, worker, key, node, reach: Arc::clone(&reach), stays });
        if self.waiting.fetch_add(1, Ordering::SeqCst) == 0 {
            self.tell();
        }
        reach.iter().for_each(|state| self.hand_out(&mut line, state));
        Some(id)
    }

    /// Leaves the line. Who was called already finds its place in the worker's hatch.
    pub(crate) fn leave(&self, ticket: u64) {
        let mut line = self.line();
        if let Ok(at) = line.tickets.binary_search_by_key(&ticket, |ticket| ticket.id) {
            self.remove(&mut line, at);
        }
    }

    /// Other instances would do from now on: Routes have changed.
    pub(crate) fn reach(&self, ticket: u64, reach: &Reach) {
        let mut line = self.line();
        if let Ok(at) = line.tickets.binary_search_by_key(&ticket, |ticket| ticket.id) {
            line.tickets[at].reach = Arc::clone(reach);
            reach.iter().for_each(|state| self.hand_out(&mut line, state));
            self.send_away(&mut line);
        }
    }

    /// That instance may have room.
    pub(crate) fn offer(&self, state: &Arc<TargetState>) {
        if self.has_line() {
            self.hand_out(&mut self.line(), state);
        }
    }

    /// Some instance may have gone out of service: who has nobody left to wait for is told.
    pub(crate) fn look_again(&self) {
        if self.has_line() {
            self.send_away(&mut self.line());
        }
    }

    /// How many wait on a node.
    pub(crate) fn length(&self, node: &IpAddr) -> Length {
        let minute = self.now_ms() / 60_000;
        let mut line = self.line();
        line.nodes.get_mut(node).map_or_else(Length::default, |(now, peak)| {
            let [this, before] = *peak.at(minute);
            Length { now: *now, most: this.max(before).max(*now) }
        })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, line: &mut Line, at: usize) -> Option<Ticket> {
        let ticket = line.tickets.remove(at)?;
        if let Some((waiting, _)) = line.nodes.get_mut(&ticket.node) {
            *waiting = waiting.saturating_sub(1);
        }
        if self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.tell();
        }
        Some(ticket)
    }

    /// Gives what room there is on an instance to those who wait longest for it.
    fn hand_out(&self, line: &mut Line, state: &Arc<TargetState>) {
        let (limit, wakes) = (self.limit.load(Ordering::SeqCst), self.wakes.load(Ordering::Relaxed));
        while state.takes_requests() {
            let fits = |ticket: &Ticket| {
                ticket.reach.iter().any(|within| Arc::ptr_eq(within, state))
                    // One that is passed over serves only where nobody else does, and nobody who can wait on.
                    && (!state.is_passed_over()
                        || !(ticket.stays || ticket.reach.iter().any(|other| other.is_live())))
            };
            let Some(at) = line.tickets.iter().position(fits) else { return };
            let place = if wakes { Engaged::opening(state, limit) } else { Engaged::within(state, limit) };
            let Some(place) = place else { return };
            match self.remove(line, at) {
                Some(ticket) => self.call(&ticket, Some(place)),
                None => return,
            }
        }
    }

    fn send_away(&self, line: &mut Line) {
        let (mut at, wakes) = (0, self.wakes.load(Ordering::Relaxed));
        while let Some(ticket) = line.tickets.get(at) {
            if (wakes && ticket.stays) || ticket.reach.iter().any(|state| state.takes_requests()) {
                at += 1;
            } else if let Some(ticket) = self.remove(line, at) {
                self.call(&ticket, None);
            }
        }
    }

    fn call(&self, ticket: &Ticket, place: Option<Engaged>) {
        if let Some(hatch) = self.hatches.get(ticket.worker) {
            hatch.call(Called { key: ticket.key, ticket: ticket.id, place });
        }
    }
}

#[cfg(test)]
mod tests;
