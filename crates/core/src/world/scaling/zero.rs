//! Scale to zero: a group that may be empty is woken by requests, and emptied when none have come for long enough.
//!
//! Owns what these two do to a group, and the sentences that say so. When they are due is [`crate::plan::zero`]'s; what has
//! changed since then is looked at here once more.

use super::cause::{keep, sentence, wish};
use super::{Decision, World, done, put};
use crate::name::{AutoScalingGroupName, LoadBalancerName};
use crate::time::Timestamp;

impl World {
    /// Requests wait at a balancer for a group that is empty: it gets one member, and its policies do the rest.
    pub(super) fn wake(&self, name: &AutoScalingGroupName, balancer: &LoadBalancerName, now: Timestamp) -> Decision {
        let sleeps = self.scaling_group(name).filter(|group| group.wakes() && group.desired == 0);
        let Some(held) = sleeps.filter(|group| group.balancers.contains(balancer)) else { return done(Vec::new()) };
        let mut group = held.as_ref().clone();
        (group.desired, group.rest) = (1, None);
        let waiting = format!("requests were waiting at load balancer {balancer} while the group was empty");
        keep(&mut group.why, sentence(now, &format!("{waiting}, {}", wish(0, 1))));
        done(put(held, group).into_iter().collect())
    }

    /// No request has come to a group's balancers for so many seconds.
    pub(super) fn sleep(&self, name: &AutoScalingGroupName, idle: u32, now: Timestamp) -> Decision {
        let rests = self.scaling_group(name).filter(|group| group.may_sleep());
        let rests = rests.filter(|group| self.foreseen(group, now).is_none_or(|capacity| capacity == 0));
        let Some(held) = rests.filter(|group| group.idle_after().is_some_and(|after| idle >= after)) else {
            return done(Vec::new());
        };
        let mut group = held.as_ref().clone();
        (group.desired, group.rest) = (0, None);
        let balancers = held.balancers.iter().map(LoadBalancerName::as_str).collect::<Vec<_>>().join(", ");
        let what = if held.balancers.len() == 1 { "load balancer" } else { "load balancers" };
        let quiet = format!("no request had come to {what} {balancers} for {idle} seconds");
        keep(&mut group.why, sentence(now, &format!("{quiet}, {}", wish(held.desired, 0))));
        done(put(held, group).into_iter().collect())
    }
}
