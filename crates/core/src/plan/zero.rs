//! When groups that may be empty are woken, and when they are emptied: from what comes to their balancers.
//!
//! Owns both rules, and how long nobody has asked anything ([`Idle`]). Pure: what was counted and a clock that never goes back are
//! given. Must never count health checks: nobody tells of them here. What is then done: `world/scaling/zero.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::change::ScalingChange;
use crate::name::{AutoScalingGroupName, LoadBalancerName};
use crate::noun::scaling_group::AutoScalingGroup;
use crate::time::Timestamp;
use crate::world::World;

/// Groups to wake, where requests wait at those balancers and nobody is in service. One group a balancer: others follow only
/// where launches of the first come to nothing.
#[must_use]
pub fn woken(world: &World, waiting: &BTreeSet<LoadBalancerName>) -> Vec<ScalingChange> {
    let mut chosen: BTreeSet<&AutoScalingGroupName> = BTreeSet::new();
    let mut changes = Vec::new();
    for balancer in waiting {
        let behind = || world.scaling_groups().filter(|group| group.balancers.contains(balancer));
        let comes = |group: &AutoScalingGroup| {
            (group.desired > 0 && group.grows() && group.setback.is_none()) || chosen.contains(&group.name)
        };
        if behind().any(|group| comes(group)) {
            continue;
        }
        if let Some(group) = behind().find(|group| group.desired == 0 && group.wakes()) {
            chosen.insert(&group.name);
            changes.push(ScalingChange::Wake { group: group.name.clone(), balancer: balancer.clone() });
        }
    }
    changes
}

/// What a balancer has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests and connections so far, since its road was started.
    pub requests: u64,
    /// Requests and connections that wait, or are in flight, now.
    pub in_hand: u64,
}

/// What all balancers have to do; those that are not there have had nothing.
pub type Loads = BTreeMap<LoadBalancerName, Load>;

/// How long nobody has asked anything of groups. Begins anew with the daemon: then nobody knows what was before.
#[derive(Debug, Default)]
pub struct Idle(BTreeMap<AutoScalingGroupName, (Duration, Asked)>);

/// What of a group stays as it is while nobody asks anything of it.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// The group's id: another may get its name.
    id: String,
    desired: u32,
    requests: u64,
    /// When the newest of its members came into service.
    newest: Option<Timestamp>,
}

impl Idle {
    /// Takes note of what balancers have to do; `None` where that is not known. Groups that are to be emptied.
    pub fn look(&mut self, world: &World, loads: Option<&Loads>, now: Duration) -> Vec<ScalingChange> {
        let before = std::mem::take(&mut self.0);
        let Some(loads) = loads else { return Vec::new() };
        let mut changes = Vec::new();
        for group in world.scaling_groups() {
            let Some(after) = group.idle_after().filter(|_| group.may_sleep()) else { continue };
            let of = || group.balancers.iter().filter_map(|name| loads.get(name));
            if of().any(|load| load.in_hand > 0) {
                continue;
            }
            let asked = Asked {
                id: group.id.clone(),
                desired: group.desired,
                requests: of().map(|load| load.requests).sum(),
                newest: group.active().filter_map(|(_, member)| member.in_service).max(),
            };
            let since = before.get(&group.name).filter(|(_, held)| *held == asked).map_or(now, |(since, _)| *since);
            let idle = now.saturating_sub(since);
            if idle >= Duration::from_secs(after.into()) {
                let idle = u32::try_from(idle.as_secs()).unwrap_or(u32::MAX);
                changes.push(ScalingChange::Sleep { group: group.name.clone(), idle });
            }
            self.0.insert(group.name.clone(), (since, asked));
        }
        changes
    }

    /// When the first of the groups has been quiet for as long as it takes, as things are.
    #[must_use]
    pub fn next(&self, world: &World) -> Option<Duration> {
        let due = |(name, (since, _)): (&AutoScalingGroupName, &(Duration, Asked))| {
            let after = world.scaling_group(name)?.idle_after()?;
            Some(*since + Duration::from_secs(after.into()))
        };
        self.0.iter().filter_map(due).min()
    }
}
