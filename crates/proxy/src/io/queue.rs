//! Who gets which instance, and who waits for one: the worker's side of the surge queue.
//!
//! Owns the moment at which a place on an instance is taken: it is held by [`Engaged`] from there on, so that no limit is
//! ever exceeded. Must never overtake: while anybody waits, whoever comes waits behind. The order of the line is
//! [`crate::surge`]'s; what a client is told when it is full, [`crate::request`]'s.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::choose::Chosen;
use super::client::millis;
use super::slots::Slot;
use super::view::{Lane, Place};
use super::worker::Worker;
use crate::surge::{Called, Reach, Surge, Wish};
use crate::target::Engaged;

/// How often a choice is made anew because another worker was faster. Then it is as if all were busy.
const RACES: u32 = 8;

/// A place in the line, for as long as it is kept.
pub(super) struct Waiting {
    surge: Arc<Surge>,
    ticket: u64,
    /// How long it lasts, in the worker's milliseconds.
    pub(super) until: u64,
    /// It was called: with a place on an instance, or because none is in service any more.
    called: Option<Option<Engaged>>,
    queued: Rc<Cell<usize>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.surge.leave(self.ticket);
        self.queued.set(self.queued.get().saturating_sub(1));
    }
}

/// What came of looking for an instance.
pub(super) enum Found {
    /// This one, with a place taken on it.
    At(Rc<Place>, Engaged),
    /// Nothing yet: it waits, and its key is touched when it is called.
    Waits,
    /// Nothing: as many wait as may.
    Full,
    /// Nobody is in service.
    Nobody,
}

impl Worker {
    /// Finds an instance for the connection of that key: `held` where its client sticks to one, otherwise one that
    /// `passed` does not name.
    pub(super) fn find(
        &mut self,
        key: u64,
        lane: &Rc<Lane>,
        hash: u64,
        held: Option<Rc<Place>>,
        passed: impl Fn(&Rc<Place>) -> bool,
        waiting: &mut Option<Box<Waiting>>,
    ) -> Found {
        if let Some(held) = waiting {
            let Some(called) = held.called.take() else { return Found::Waits };
            *waiting = None;
            if let Some(engaged) = called
                && let Some(place) = lane.balancer.places.iter().find(|p| Arc::ptr_eq(&p.state, engaged.state()))
            {
                return Found::At(Rc::clone(place), engaged);
            }
        }
        let balancing = lane.balancer.balancing();
        let surge = lane.balancer.surge();
        let limit = balancing.max_in_flight;
        if (limit == 0 && !lane.balancer.wakes()) || !surge.has_line() {
            for _ in 0..RACES {
                let place = match &held {
                    Some(place) => Rc::clone(place),
                    None => match lane.choose(&mut self.chooser, hash, self.now, &passed) {
                        Chosen::At(place) => place,
                        Chosen::Full => break,
                        Chosen::Nobody if lane.balancer.wakes() => break,
                        Chosen::Nobody => return Found::Nobody,
                    },
                };
                if let Some(engaged) = Engaged::within(&place.state, limit) {
                    return Found::At(place, engaged);
                }
                if held.is_some() {
                    break;
                }
            }
        }
        let reach = reach(lane, held, &passed);
        let stays = !reach.iter().any(|state| state.takes_requests());
        if stays && !self.may_stay(lane, passed) {
            return Found::Nobody;
        }
        let (worker, node, most) = (self.index, lane.address.ip(), balancing.queue_length);
        let Some(ticket) = surge.join(Wish { worker, key, node, most, reach, stays }) else { return Found::Full };
        self.queued.set(self.queued.get() + 1);
        let wait = if stays { balancing.boot_wait.max(balancing.queue_wait) } else { balancing.queue_wait };
        let until = self.now + millis(wait);
        let (surge, queued) = (Arc::clone(surge), Rc::clone(&self.queued));
        *waiting = Some(Box::new(Waiting { surge, ticket, until, called: None, queued }));
        self.arm(key, until);
        Found::Waits
    }

    /// Whether a request for which nobody is in service waits for somebody to come. Not by Routes that are no longer those of its
    /// listener: who has come may stand in the new ones. Nor does one that was tried: what failed then stands.
    fn may_stay(&self, lane: &Rc<Lane>, passed: impl Fn(&Rc<Place>) -> bool) -> bool {
        lane.balancer.wakes() && self.view.lane_now(lane).is_none() && !lane.balancer.places.iter().any(passed)
    }

    /// Tells those of this worker's connections that were called.
    pub(super) fn answer_calls(&mut self) {
        for Called { key, ticket, place } in self.post().hatch.take_called() {
            let waiting = match self.slots.slot(key) {
                Some(Slot::Client(client)) => client.waiting.as_mut(),
                Some(Slot::Tunnel(tunnel)) => tunnel.waiting.as_mut(),
                _ => None,
            };
            // Otherwise it has left: the place is let go of, and goes to the next in line.
            if let Some(waiting) = waiting.filter(|waiting| waiting.ticket == ticket) {
                waiting.called = Some(place);
                self.contain(|worker| worker.touch(key));
            }
        }
    }

    /// After a change of Routes: who waits does so for the instances that there are now.
    pub(super) fn wait_anew(&mut self) {
        if self.queued.get() == 0 {
            return;
        }
        let waits = |slot: &Slot| match slot {
            Slot::Client(client) => client.waiting.is_some(),
            Slot::Tunnel(tunnel) => tunnel.waiting.is_some(),
            _ => false,
        };
        for key in self.slots.keys(waits) {
            let (lane, waiting, reach) = match self.slots.slot(key) {
                Some(Slot::Client(c)) => {
                    let Some(lane) = self.view.lane_now(&c.lane) else { continue };
                    let held = c.session.shown().filter(|_| c.tried.is_empty()).and_then(|shown| lane.holder(shown));
                    let reach = reach(&lane, held, |place| c.tried.iter().any(|(tried, _)| Rc::ptr_eq(tried, place)));
                    c.lane = Rc::clone(&lane);
                    (lane, c.waiting.as_deref(), reach)
                }
                Some(Slot::Tunnel(t)) => {
                    let Some(lane) = self.view.lane_now(&t.lane) else { continue };
                    let reach = reach(&lane, None, |place| t.tried.iter().any(|tried| Rc::ptr_eq(tried, place)));
                    t.lane = Rc::clone(&lane);
                    (lane, t.waiting.as_deref(), reach)
                }
                _ => continue,
            };
            if let Some(waiting) = waiting.filter(|waiting| Arc::ptr_eq(&waiting.surge, lane.balancer.surge())) {
                waiting.surge.reach(waiting.ticket, &reach);
            }
        }
    }
}

fn reach(lane: &Lane, held: Option<Rc<Place>>, passed: impl Fn(&Rc<Place>) -> bool) -> Reach {
    match held {
        Some(place) => [Arc::clone(&place.state)].into(),
        None => lane.reach(passed),
    }
}
