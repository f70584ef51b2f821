//! Connections to instances that are made before anybody asks for one.
//!
//! Owns how they are made, put where requests find them, and closed. Must never cost anything where no balancer asks for it,
//! have a request wait for one, or blame an instance for what no request has seen. How many, and when: `stock.rs`. They lie
//! on the shelves of `view.rs`, apart from those that have served; who gets one: `origin.rs`, and `docs/decisions.md`,
//! "Connections that are made ahead".

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use evenkeel_core::balance::Standing;
use evenkeel_core::name::LoadBalancerName;
use rustix::event::epoll::EventFlags;

use super::origin::{Connecting, Origin, Past};
use super::slots::Slot;
use super::stock::{Backoff, LASTS_MS, PASS_MS, Stock};
use super::view::{Place, Turnover, Via};
use super::worker::Worker;

/// Connections that a worker makes at a time: handshakes must not keep requests waiting.
const MAKING: usize = 32;
/// Places that are looked at before others get their turn.
const LOOKS: usize = 1024;

impl Worker {
    /// After a change of Routes: what is to be kept to whom now. What nobody wants any more is closed.
    pub(super) fn restock(&mut self, turnover: &Turnover) {
        if self.stopping {
            return;
        }
        let gates = turnover.opened.iter().chain(&turnover.closed).map(|(_, gate)| &gate.balancer);
        let mut touched: BTreeSet<&LoadBalancerName> = turnover.altered.iter().chain(gates).collect();
        let wants: BTreeSet<_> = touched.iter().copied().filter(|name| self.view.preconnect(name) > 0).collect();
        if self.ahead.stocks.is_empty() && wants.is_empty() {
            return;
        }
        touched.retain(|name| wants.contains(name) || self.ahead.is_at(self.ahead.first(name), name));
        let all = std::mem::take(&mut self.ahead.stocks);
        let (old, mut kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|s| touched.contains(&s.place.key.0));
        let mut old: BTreeMap<_, _> =
            old.into_iter().map(|stock| ((Rc::as_ptr(&stock.place), stock.via), stock)).collect();
        let mut met = BTreeSet::new();
        for (_, gate) in self.view.gates().filter(|(_, gate)| wants.contains(&gate.balancer)) {
            let lane = gate.lane.borrow();
            // Over TCP an instance may speak first, or wait for a PROXY header that names a client; over HTTP/2 one
            // connection serves many.
            if !lane.sees_requests() || lane.by_http2() {
                continue;
            }
            for place in lane.within() {
                let id = (Rc::as_ptr(place), lane.via(place));
                if met.insert(id) {
                    let making = old.remove(&id).map(|stock| stock.making).unwrap_or_default();
                    let (place, lane) = (Rc::clone(place), Rc::clone(&lane));
                    kept.push(Stock { place, via: id.1, lane, goal: 0, making });
                }
            }
        }
        kept.sort_by(|a, b| a.place.key.0.cmp(&b.place.key.0));
        self.ahead.stocks = kept;
        self.ahead.share_out();
        self.ahead.at = self.ahead.at.min(self.ahead.stocks.len());
        self.ahead.due = match self.ahead.due {
            _ if self.ahead.stocks.is_empty() => None,
            due => due.or(Some(self.now + PASS_MS)),
        };
        self.ahead.changed.extend(wants.into_iter().cloned());
        old.into_values().for_each(|stock| self.give_up(stock));
    }

    /// Nothing is kept any more: the road is to stop.
    pub(super) fn unstock(&mut self) {
        self.ahead.due = None;
        for stock in std::mem::take(&mut self.ahead.stocks) {
            self.give_up(stock);
        }
    }

    fn give_up(&mut self, stock: Stock) {
        for key in stock.making {
            self.slots.remove(key);
            self.ahead.under_way -= 1;
        }
        while self.close_oldest(&stock.place, stock.via) {}
    }

    /// Closes the oldest of those that have carried nothing; false where there is none.
    fn close_oldest(&mut self, place: &Place, via: Via) -> bool {
        let Some(key) = place.oldest(via) else { return false };
        place.unshelve(via, key);
        self.close_idle(key);
        true
    }

    /// Makes what is missing where one was taken, and goes on with the pass over everything when it is due.
    pub(super) fn stock_up(&mut self) {
        let mut short = std::mem::take(&mut self.ahead.short);
        for (place, via) in short.drain(..) {
            if let Some(at) = self.ahead.find(&place, via) {
                self.tend(at);
            }
        }
        self.ahead.short = short;
        self.look_at_changed();
        if self.ahead.due.is_none_or(|due| due > self.now) {
            return;
        }
        if self.ahead.at == 0 {
            self.ahead.stirred = false;
        }
        let end = self.ahead.stocks.len();
        for _ in 0..LOOKS {
            if self.ahead.at >= end {
                return self.ahead.passed(self.now);
            }
            if !self.tend(self.ahead.at) {
                // The first that is made goes on with it.
                self.ahead.due = Some(self.now + PASS_MS);
                return;
            }
            self.ahead.at += 1;
        }
    }

    /// Looks at what Routes have changed; many at once are left to the pass, which takes turns.
    fn look_at_changed(&mut self) {
        let mut looks = 0;
        for balancer in std::mem::take(&mut self.ahead.changed) {
            let mut at = self.ahead.first(&balancer);
            while self.ahead.is_at(at, &balancer) {
                if looks == LOOKS {
                    self.ahead.due = Some(self.now);
                    return;
                }
                if !self.tend(at) {
                    return;
                }
                (at, looks) = (at + 1, looks + 1);
            }
        }
    }

    /// Looks at what is kept of one; false where more are to be made than may be at a time.
    fn tend(&mut self, at: usize) -> bool {
        let Some(stock) = self.ahead.stocks.get_mut(at) else { return true };
        // What a panic has cost is not being made any more.
        let slots = &mut self.slots;
        let before = stock.making.len();
        stock.making.retain(|key| matches!(slots.slot(*key), Some(Slot::Ahead(_))));
        self.ahead.under_way -= before - stock.making.len();
        let (place, via, making) = (Rc::clone(&stock.place), stock.via, stock.making.len());
        let (held, room) = place.stocked(via);
        let goal = match place.standing() {
            Standing::Live => stock.goal,
            // Whoever is passed over still gets what nobody else can take.
            Standing::Suspect => held.min(stock.goal),
            Standing::Out => 0,
        };
        for _ in goal..held {
            self.close_oldest(&place, via);
        }
        let missing = goal.saturating_sub(held + making).min(room.saturating_sub(making));
        let most = MAKING.saturating_sub(self.ahead.under_way);
        if missing > 0 && most == 0 {
            return false;
        }
        let (backoff, count) = place.backoff.get().next(self.now, missing, making);
        place.backoff.set(backoff);
        for _ in 0..count.min(most) {
            if !self.make_ahead(at) {
                return true;
            }
        }
        count <= most
    }

    /// Begins one; false when that failed at once.
    fn make_ahead(&mut self, at: usize) -> bool {
        let Some(stock) = self.ahead.stocks.get(at) else { return false };
        let (place, via, lane) = (Rc::clone(&stock.place), stock.via, Rc::clone(&stock.lane));
        let key = self.slots.add(Slot::Busy);
        let Some(stream) = self.reach_out(&lane, &place, via, key) else {
            self.slots.remove(key);
            lane.meter.connect_errors.add(1);
            place.backoff.set(Backoff::Rests(self.now + LASTS_MS));
            return false;
        };
        let span = lane.spans.connect(self.connect_ms);
        self.slots.put(key, Slot::Ahead(Box::new(Origin::ahead(key, stream, &place, via, (self.now, span)))));
        self.arm(key, self.now + span);
        if let Some(stock) = self.ahead.stocks.get_mut(at) {
            stock.making.push(key);
            self.ahead.under_way += 1;
        }
        true
    }

    /// Goes on with a connection that is being made ahead.
    pub(super) fn drive_ahead(&mut self, key: u64, mut origin: Box<Origin>) {
        match origin.settle(&mut self.scratch) {
            Connecting::Failed => self.ahead_failed(key, &origin),
            Connecting::Made if origin.stream.is_flushed() => self.stock(key, origin),
            Connecting::Made | Connecting::Pending => self.slots.put(key, Slot::Ahead(origin)),
        }
    }

    /// One could not be made: as when it is for a request, but no request has failed by it.
    pub(super) fn ahead_failed(&mut self, key: u64, origin: &Origin) {
        let place = &origin.place;
        self.slots.remove(key);
        if let Some(at) = self.ahead.find(place, origin.via()) {
            self.ahead.stocks[at].lane.meter.connect_errors.add(1);
        }
        place.meter.connect_errors.add(1);
        place.suspect(&self.shared);
        place.backoff.set(Backoff::Rests(self.now + LASTS_MS));
        self.over(place, origin.via(), key);
    }

    /// One is no longer being made: another may be.
    fn over(&mut self, place: &Rc<Place>, via: Via, key: u64) {
        let waits = self.ahead.under_way >= MAKING;
        self.ahead.ended(place, via, key);
        if waits && self.ahead.due.is_some() {
            self.ahead.due = Some(self.now);
        }
    }

    /// One is made: it is put where requests find it.
    fn stock(&mut self, key: u64, mut origin: Box<Origin>) {
        let (place, via) = (Rc::clone(&origin.place), origin.via());
        self.over(&place, via, key);
        let wanted = self.ahead.find(&place, via).map(|at| &self.ahead.stocks[at]);
        let Some((pool, goal)) = wanted.map(|stock| (stock.lane.spans.pool, stock.goal)) else {
            return self.discard(*origin);
        };
        if !origin.stream.is_silent() || !place.stock(via, key) {
            place.backoff.set(Backoff::Rests(self.now + LASTS_MS));
            origin.stream.part();
            return self.discard(*origin);
        }
        // Those that were made together do not all grow old together.
        let rank = place.stocked(via).0.min(goal) as u64;
        origin.since = self.now;
        origin.idle_ms = pool - pool / 4 / goal.max(1) as u64 * rank.saturating_sub(1);
        let until = self.now + origin.idle_ms;
        self.slots.put(key, Slot::Idle(origin));
        self.arm(key, until);
    }

    /// Whether what an idle connection says harms nobody: in TLS, tickets follow the handshake.
    pub(super) fn is_harmless(&mut self, key: u64, flags: EventFlags) -> bool {
        let now = self.now;
        let Some(Slot::Idle(origin)) = self.slots.slot(key) else { return false };
        if origin.past != Past::Unused {
            return false;
        }
        origin.mark(flags);
        let harmless = origin.stream.is_secure() && !origin.stream.has_ended() && origin.stream.is_silent();
        if !harmless {
            self.ahead.lost(origin, now);
        }
        harmless
    }

    /// An idle connection has waited for as long as it may.
    pub(super) fn outgrow(&mut self, key: u64) {
        if let Some(Slot::Idle(origin)) = self.slots.slot(key)
            && origin.past == Past::Unused
            && self.now >= origin.since + LASTS_MS
        {
            self.ahead.falls_short(&origin.place, origin.via());
        }
        self.close_idle(key);
    }
}
