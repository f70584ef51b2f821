//! Instances that fail requests: when they are passed over for a while.
//!
//! Owns what counts as a failure of an instance, and as a success. Must never pass over the last one: how many may be out
//! is [`evenkeel_core::balance::eject`]'s, as is for how long. What becomes of the request is not decided here either.
//! Nobody looks whether an instance's time is up but who chooses: so who waits in the queue is told (`let_back`).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use evenkeel_core::balance::eject;
use evenkeel_core::health::Health;
use evenkeel_core::routes::Phase;

use super::view::{Lane, Place};
use super::worker::Worker;
use crate::fault::Fault;
use crate::road::{Ejection, Failing};
use crate::target::TargetState;

/// Instances that a worker has had passed over, by the moment at which that ends: one is there for each at most.
#[derive(Default)]
pub(super) struct Returns {
    /// By the road's milliseconds, and a number for those of the same moment.
    list: BTreeMap<(u64, u64), Arc<TargetState>>,
    last: u64,
}

impl Returns {
    fn add(&mut self, until: u64, state: &Arc<TargetState>) {
        self.last += 1;
        self.list.insert((until, self.last), Arc::clone(state));
    }

    /// When somebody is to be let back, in the worker's milliseconds, which are one ahead of the road's.
    pub(super) fn next(&self) -> Option<u64> {
        self.list.first_key_value().map(|((until, _), _)| until + 1)
    }

    fn due(&mut self, now: u64) -> Option<Arc<TargetState>> {
        let first = self.list.first_entry().filter(|first| first.key().0 < now)?;
        Some(first.remove())
    }
}

impl Worker {
    /// Has those who wait for an instance hear of the ones that are not passed over any more.
    pub(super) fn let_back(&mut self) {
        while let Some(state) = self.returns.due(self.now) {
            state.come_back();
        }
    }

    /// An instance answered so, or a connection to it was made (0).
    pub(super) fn praise(&mut self, lane: &Lane, place: &Place, status: u16) {
        let rule = &lane.balancer.balancing().ejection;
        match (rule.after, status) {
            (0, _) => {}
            (_, 500..) if rule.on_5xx => self.blame(lane, place, Failing::Answers(status)),
            _ => place.state.served(),
        }
    }

    /// An instance failed a request for good.
    pub(super) fn blame_for(&mut self, lane: &Lane, place: &Place, fault: Fault) {
        // Those that end a single try were counted as it ended.
        if matches!(fault, Fault::SilentInstance | Fault::BadAnswer | Fault::TruncatedAnswer) {
            self.blame(lane, place, Failing::Fault(fault));
        }
    }

    /// An instance failed a request, or a try of one.
    pub(super) fn blame(&mut self, lane: &Lane, place: &Place, why: Failing) {
        let rule = &lane.balancer.balancing().ejection;
        if rule.after == 0 {
            return;
        }
        let failures = place.state.failed();
        if failures < rule.after {
            return;
        }
        // One at a time: together they would pass over more than may be.
        let surge = lane.balancer.surge();
        let _alone = surge.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        if place.state.is_ejected() {
            return;
        }
        let places = || lane.balancer.places.iter().zip(&lane.balancer.zone_of);
        let zone = places().find(|(other, _)| std::ptr::eq(other.as_ref(), place)).map(|(_, zone)| *zone);
        let (mut live, mut out) = (0, 0);
        for (other, _) in places().filter(|(_, at)| Some(**at) == zone) {
            let serves = other.phase.get() == Phase::Serving && other.state.health() == Health::InService;
            live += u32::from(serves);
            out += u32::from(serves && other.state.is_ejected());
        }
        if !eject::may(live, out, rule.share) {
            return;
        }
        let ejected = place.state.eject(rule.base);
        self.returns.add(ejected.until, &place.state);
        lane.meter.ejections.add(1);
        place.meter.ejections.add(1);
        let lasts = Duration::from_millis(ejected.until.saturating_sub(ejected.at));
        // Nobody may be listening: then it is only passed over.
        let _ = self.shared.ejections.send(Ejection { target: place.key.clone(), failures, why, lasts });
    }
}
