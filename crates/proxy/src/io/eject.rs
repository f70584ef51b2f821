//! Instances that fail requests: when they are passed over for a while.
//!
//! Owns what counts as a failure of an instance, and as a success. Must never pass over the last one: how many may be out
//! is [`evenkeel_core::balance::eject`]'s, as is for how long. What becomes of the request is not decided here either.

use std::sync::PoisonError;
use std::time::Duration;

use evenkeel_core::balance::eject;
use evenkeel_core::health::Health;
use evenkeel_core::routes::Phase;

use super::view::{Lane, Place};
use super::worker::Worker;
use crate::fault::Fault;
use crate::road::{Ejection, Failing};

impl Worker {
    /// An instance answered so, or a connection to it was made (0).
    pub(super) fn praise(&self, lane: &Lane, place: &Place, status: u16) {
        let rule = &lane.balancer.balancing().ejection;
        match (rule.after, status) {
            (0, _) => {}
            (_, 500..) if rule.on_5xx => self.blame(lane, place, Failing::Answers(status)),
            _ => place.state.served(),
        }
    }

    /// An instance failed a request for good.
    pub(super) fn blame_for(&self, lane: &Lane, place: &Place, fault: Fault) {
        // Those that end a single try were counted as it ended.
        if matches!(fault, Fault::SilentInstance | Fault::BadAnswer | Fault::TruncatedAnswer) {
            self.blame(lane, place, Failing::Fault(fault));
        }
    }

    /// An instance failed a request, or a try of one.
    pub(super) fn blame(&self, lane: &Lane, place: &Place, why: Failing) {
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
        lane.meter.ejections.add(1);
        place.meter.ejections.add(1);
        let lasts = Duration::from_millis(ejected.until.saturating_sub(ejected.at));
        // Nobody may be listening: then it is only passed over.
        let _ = self.shared.ejections.send(Ejection { target: place.key.clone(), failures, why, lasts });
    }
}
