//! Whom groups tell what: topics that were named, and what is to be told them.
//!
//! Owns that what is to be told is written in the same decision as what it tells of, and stays in the group's row until somebody has
//! it: whoever is killed in between loses nothing. Must never send anything. Next: [`crate::noun::group_notice`].

use std::collections::BTreeSet;

use super::warm_pool::DRAWN;
use super::{Decision, World, done, put};
use crate::name::{AutoScalingGroupName, ScalingName, TopicArn};
use crate::noun::group_notice::{GroupNotice, GroupTold, MOST_NOTICES, NotificationType, PoolPassage};
use crate::noun::scaling_group::{AutoScalingGroup, Hook, LifecycleState};
use crate::noun::{Activity, ActivityStatus};
use crate::refusal::{BadScaling, Refusal};
use crate::time::Timestamp;
use crate::world::{Row, Write};

/// Topics of one group (AWS: 10).
const MOST_TOPICS: usize = 10;

impl World {
    pub(super) fn put_notifications(
        &self,
        name: &AutoScalingGroupName,
        topic: &TopicArn,
        kinds: &BTreeSet<NotificationType>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        if self.topic(topic).is_none() {
            return Err(BadScaling::NoSuchTopic(topic.clone()).into());
        }
        let mut group = held.as_ref().clone();
        group.notifications.insert(topic.clone(), kinds.clone());
        if group.notifications.len() > MOST_TOPICS {
            let what = "notification topics per AutoScalingGroup";
            return Err(BadScaling::TooMany { what, limit: MOST_TOPICS }.into());
        }
        // Put again as it is, it is tested again, as AWS does.
        tell(&mut group, topic, GroupTold::Test { hook: None }, now);
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn delete_notifications(
        &self,
        name: &AutoScalingGroupName,
        topic: &TopicArn,
    ) -> Result<Decision, Refusal> {
        let held = self.group(name)?;
        let mut group = held.as_ref().clone();
        if group.notifications.remove(topic).is_none() {
            return Err(BadScaling::NoSuchNotifications(topic.clone()).into());
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    /// Somebody else has it now.
    pub(super) fn was_told(&self, name: &AutoScalingGroupName, number: u64) -> Decision {
        let Some(held) = self.scaling_group(name) else { return done(Vec::new()) };
        let mut group = held.as_ref().clone();
        group.notices.retain(|notice| notice.number != number);
        done(put(held, group).into_iter().collect())
    }

    /// Tests the topic of a hook that is put.
    pub(super) fn test_hook(
        &self,
        group: &mut AutoScalingGroup,
        name: &ScalingName,
        hook: &Hook,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(topic) = &hook.target else { return Ok(()) };
        if self.topic(topic).is_none() {
            return Err(BadScaling::NoSuchTopic(topic.clone()).into());
        }
        tell(group, topic, GroupTold::Test { hook: Some(name.clone()) }, now);
        Ok(())
    }

    /// Adds to a decision what is to be told of it: activities that are over with it, members that wait from then on.
    pub(super) fn tell_of(&self, decision: &mut Decision, now: Timestamp) {
        let ended: Vec<Activity> = decision
            .writes
            .iter()
            .filter_map(|write| match write {
                Write::Put(Row::Activity(activity)) => Some(activity),
                _ => None,
            })
            .filter(|activity| activity.status.is_over())
            .filter(|activity| self.activity(&activity.id).is_none_or(|held| !held.status.is_over()))
            .cloned()
            .collect();
        for activity in &ended {
            let Some(event) = event(activity) else { continue };
            let Some(group) = self.written(decision, &activity.group) else { continue };
            let told = GroupTold::Activity { event, activity: activity.id.clone() };
            let wanted = group.notifications.iter().filter(|(_, kinds)| kinds.contains(&event));
            let topics: Vec<TopicArn> = wanted.map(|(topic, _)| topic.clone()).collect();
            topics.iter().for_each(|topic| tell(group, topic, told.clone(), now));
        }
        for write in &mut decision.writes {
            if let Write::Put(Row::AutoScalingGroup(group)) = write {
                self.tell_of_waits(group, now);
            }
        }
    }

    /// The row of a group in a decision, put there where it is not; `None` where the group goes with it.
    fn written<'d>(&self, decision: &'d mut Decision, name: &AutoScalingGroupName) -> Option<&'d mut AutoScalingGroup> {
        let is_it = |write: &Write| matches!(write, Write::Put(Row::AutoScalingGroup(group)) if group.name == *name);
        let at = match decision.writes.iter().position(is_it) {
            Some(at) => at,
            None => {
                let held = self.scaling_group(name)?;
                decision.writes.push(Write::Put(Row::AutoScalingGroup(held.as_ref().clone())));
                decision.writes.len() - 1
            }
        };
        match decision.writes.get_mut(at) {
            Some(Write::Put(Row::AutoScalingGroup(group))) => Some(group),
            _ => None,
        }
    }

    fn tell_of_waits(&self, group: &mut AutoScalingGroup, now: Timestamp) {
        let before = self.scaling_group(&group.name);
        let mut begun = Vec::new();
        for (instance, member) in &group.members {
            for (name, wait) in &member.waits {
                let held = before.and_then(|group| group.members.get(instance)?.waits.get(name));
                if held.is_some_and(|held| held.token == wait.token) {
                    continue;
                }
                let Some((hook, topic)) = group.hooks.get(name).and_then(|hook| Some((hook, hook.target.as_ref()?)))
                else {
                    continue;
                };
                let from_pool = || {
                    let latest = member.activity.as_ref().and_then(|id| self.activity(id));
                    latest.is_some_and(|activity| activity.description.starts_with(DRAWN))
                };
                let pool = match member.state {
                    LifecycleState::WarmedPendingWait => Some(PoolPassage::In),
                    LifecycleState::WarmedTerminatingWait => Some(PoolPassage::Out),
                    LifecycleState::PendingWait if from_pool() => Some(PoolPassage::Out),
                    _ => None,
                };
                let told = GroupTold::Wait {
                    pool,
                    instance: instance.clone(),
                    hook: name.clone(),
                    transition: hook.transition,
                    token: wait.token.clone(),
                    metadata: hook.metadata.clone(),
                };
                begun.push((topic.clone(), told));
            }
        }
        begun.into_iter().for_each(|(topic, told)| tell(group, &topic, told, now));
    }
}

fn tell(group: &mut AutoScalingGroup, topic: &TopicArn, told: GroupTold, now: Timestamp) {
    group.last_notice += 1;
    group.notices.push(GroupNotice { number: group.last_notice, topic: topic.clone(), at: now, told });
    if group.notices.len() > MOST_NOTICES {
        group.notices.remove(0);
    }
}

/// What an activity that is over is told as; `None` for those that AWS does not tell of.
fn event(activity: &Activity) -> Option<NotificationType> {
    let well = activity.status == ActivityStatus::Successful;
    let what = activity.description.split_once(' ').map(|(what, _)| what);
    match (what, well) {
        (Some("Launching"), true) => Some(NotificationType::Launch),
        (Some("Launching"), false) => Some(NotificationType::LaunchError),
        (Some("Terminating"), true) => Some(NotificationType::Terminate),
        (Some("Terminating"), false) => Some(NotificationType::TerminateError),
        _ => None,
    }
}
