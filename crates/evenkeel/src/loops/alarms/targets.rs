//! Groups whose policies track targets, scaled while one of their alarms goes off.
//!
//! Owns when that is looked at: whenever alarms were judged. What is read is [`crate::metrics::readings`]'s, what it comes to the
//! World's ([`World::track`]).

use std::sync::Arc;

use evenkeel_core::change::{Change, ScalingChange};
use evenkeel_core::noun::{AlarmState, AutoScalingGroup};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;

use crate::metrics::readings::{Values, readings};

/// What follows for all groups, as far as it is news, and in words what could not be read.
pub(super) fn look(world: &World, values: &Arc<Values>, at: Timestamp) -> (Vec<ScalingChange>, Vec<String>) {
    let (mut changes, mut failed) = (Vec::new(), Vec::new());
    for group in world.scaling_groups().filter(|group| !group.is_going && goes_off(world, group)) {
        let (readings, not_read) = readings(world, group, values.as_ref(), at);
        failed.extend(not_read.into_iter().map(|why| format!("{}: {why}", group.name)));
        let change = ScalingChange::Track { group: group.name.clone(), readings };
        let decision = world.decide(&Change::Scale(change.clone()), at);
        if decision.is_ok_and(|decision| !decision.writes.is_empty()) {
            changes.push(change);
        }
    }
    (changes, failed)
}

fn goes_off(world: &World, group: &AutoScalingGroup) -> bool {
    let tracking = group.policies.iter().filter(|(_, policy)| policy.enabled && policy.tracker.is_some());
    let mut alarms = tracking.flat_map(|(name, policy)| world.tracking_alarms(group, name, policy).unwrap_or_default());
    alarms.any(|of| world.alarm(&of.alarm.name).is_some_and(|alarm| alarm.state == AlarmState::Alarm))
}
