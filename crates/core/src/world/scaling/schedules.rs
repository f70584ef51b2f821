//! Scheduled actions: kept, and done when their time comes.
//!
//! Owns AWS's limits on them and what an action does to a group. When it acts next is said by whoever knows the clocks of its time
//! zone. Must never wait for a cooldown: scheduled actions do not (AWS).

use super::cause::{bounds, keep, sentence};
use super::{Decision, World, done, put};
use crate::name::{AutoScalingGroupName, ScalingName};
use crate::noun::scaling_group::Process;
use crate::noun::scaling_policy::ScheduledAction;
use crate::refusal::{BadScaling, Refusal};
use crate::time::Timestamp;

/// Scheduled actions of one group (AWS: 125).
const MOST_ACTIONS: usize = 125;

impl World {
    pub(super) fn put_schedule(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
        action: &ScheduledAction,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(group)?;
        if action.min.is_none() && action.max.is_none() && action.desired.is_none() {
            return Err(BadScaling::Sizes("Either min, max or desired capacity must be specified").into());
        }
        if action.min.zip(action.max).is_some_and(|(min, max)| min > max) {
            return Err(BadScaling::Sizes("Max bound must be greater than or equal to min bound").into());
        }
        let (low, high) = (action.min.unwrap_or(0), action.max.unwrap_or(u32::MAX));
        if action.desired.is_some_and(|desired| !(low..=high).contains(&desired)) {
            return Err(
                BadScaling::Sizes("Desired capacity must be between the specified min size and max size").into()
            );
        }
        if action.start.zip(action.end).is_some_and(|(start, end)| start >= end) {
            return Err(BadScaling::Sizes("End time must be after start time").into());
        }
        if action.next < now || action.end.is_some_and(|end| action.next > end) {
            return Err(
                BadScaling::Sizes("Given start time is in the past, or the action would never take place").into()
            );
        }
        let mut group = held.as_ref().clone();
        let others = group.schedule.iter().filter(|(other, _)| *other != name);
        if let Some((other, _)) = others.into_iter().find(|(_, held)| held.next == action.next) {
            return Err(BadScaling::SameTime(other.clone()).into());
        }
        let id = group.schedule.get(name).map_or_else(|| action.id.clone(), |held| held.id.clone());
        group.schedule.insert(name.clone(), ScheduledAction { id, ..action.clone() });
        if group.schedule.len() > MOST_ACTIONS {
            let what = "scheduled actions per AutoScalingGroup";
            return Err(BadScaling::TooMany { what, limit: MOST_ACTIONS }.into());
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn delete_schedule(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
    ) -> Result<Decision, Refusal> {
        let held = self.group(group)?;
        let mut group = held.as_ref().clone();
        if group.schedule.remove(name).is_none() {
            return Err(BadScaling::NoSuchSchedule(name.clone()).into());
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    /// An action whose time has come: `due` is the time it was due at, so that it acts once; `next` when it does again.
    pub(super) fn act(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
        due: Timestamp,
        next: Option<Timestamp>,
        now: Timestamp,
    ) -> Decision {
        let Some(held) = self.scaling_group(group).filter(|group| !group.is_going) else { return done(Vec::new()) };
        let Some(action) = held.schedule.get(name).filter(|action| action.next == due && now >= due) else {
            return done(Vec::new());
        };
        let mut group = held.as_ref().clone();
        if group.does(Process::ScheduledActions) {
            let (min, max) = (action.min.unwrap_or(group.min), action.max.unwrap_or(group.max));
            // Bounds that were meant for other ones give way to those that are stated.
            group.min = if action.max.is_some() && action.min.is_none() { min.min(max) } else { min };
            group.max = max.max(group.min);
            group.desired = action.desired.unwrap_or(group.desired).clamp(group.min, group.max);
            if group.desired != held.desired {
                group.rest = None;
                let what = bounds("a scheduled action", group.min, group.max, group.desired, held.desired);
                keep(&mut group.why, sentence(now, &what));
            }
        }
        match next.filter(|next| action.end.is_none_or(|end| *next <= end)) {
            Some(next) => {
                if let Some(action) = group.schedule.get_mut(name) {
                    action.next = next;
                }
            }
            None => drop(group.schedule.remove(name)),
        }
        done(put(held, group).into_iter().collect())
    }
}
