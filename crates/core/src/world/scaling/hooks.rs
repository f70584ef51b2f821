//! Lifecycle hooks: waits that members make before they go on, and the answers to them.
//!
//! Owns AWS's limits, and whether a wait is over. Who waits when is [`super::course`]'s.

use std::collections::BTreeMap;

use super::{Decision, World, done, put};
use crate::change::{Answer, Waiting};
use crate::name::{AutoScalingGroupName, ScalingName};
use crate::noun::scaling_group::{AutoScalingGroup, Hook, HookWait, Member};
use crate::refusal::{BadScaling, Refusal};
use crate::time::Timestamp;

/// Hooks of one group (AWS: 50).
const MOST_HOOKS: usize = 50;

/// Holds hooks against AWS's limits.
pub(super) fn check(hooks: &BTreeMap<ScalingName, Hook>) -> Result<(), Refusal> {
    if hooks.len() > MOST_HOOKS {
        return Err(BadScaling::TooMany { what: "lifecycle hooks per AutoScalingGroup", limit: MOST_HOOKS }.into());
    }
    if hooks.values().any(|hook| !(30..=7_200).contains(&hook.heartbeat)) {
        return Err(BadScaling::Sizes("Heartbeat Timeout must be between 30 seconds and 7200 seconds").into());
    }
    Ok(())
}

/// What has come of a member's waits; `None` while one is not over. Where somebody says to give up, that stands at once.
pub(super) fn outcome(group: &AutoScalingGroup, member: &Member, now: Timestamp) -> Option<bool> {
    let answer = |(name, wait): (&ScalingName, &HookWait)| {
        wait.goes_on.or_else(|| match group.hooks.get(name) {
            // One that is no more has nothing to say.
            None => Some(true),
            Some(hook) => (now >= wait.until).then_some(hook.goes_on),
        })
    };
    let answers: Vec<Option<bool>> = member.waits.iter().map(answer).collect();
    if answers.contains(&Some(false)) {
        return Some(false);
    }
    answers.iter().all(Option::is_some).then_some(true)
}

/// The waits that a member begins.
pub(super) fn begun<'h>(
    hooks: impl Iterator<Item = (&'h ScalingName, &'h Hook)>,
    tokens: &[String],
    now: Timestamp,
) -> BTreeMap<ScalingName, HookWait> {
    let waits = hooks.zip(tokens).map(|((name, hook), token)| {
        let until = now.plus(std::time::Duration::from_secs(hook.heartbeat.into()));
        (name.clone(), HookWait { token: token.clone(), since: now, until, goes_on: None })
    });
    waits.collect()
}

impl World {
    pub(super) fn put_hook(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
        hook: &Hook,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(group)?;
        let mut group = held.as_ref().clone();
        group.hooks.insert(name.clone(), hook.clone());
        check(&group.hooks)?;
        if held.hooks.get(name).is_none_or(|held| held.target != hook.target) {
            self.test_hook(&mut group, name, hook, now)?;
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn delete_hook(&self, group: &AutoScalingGroupName, name: &ScalingName) -> Result<Decision, Refusal> {
        let held = self.group(group)?;
        let mut group = held.as_ref().clone();
        if group.hooks.remove(name).is_none() {
            return Err(BadScaling::NoSuchHook { hook: name.clone(), group: group.name }.into());
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn answer_hook(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
        who: &Waiting,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.group(group)?;
        let mut group = held.as_ref().clone();
        let Some(hook) = held.hooks.get(name) else {
            return Err(BadScaling::NoSuchHook { hook: name.clone(), group: group.name }.into());
        };
        let is_meant = |id: &crate::name::InstanceId, wait: &HookWait| match who {
            Waiting::Token(token) => wait.token == *token,
            Waiting::Instance(instance) => id == instance,
        };
        let waits = group.members.iter_mut().filter_map(|(id, member)| Some((id, member.waits.get_mut(name)?)));
        let open = waits.filter(|(id, wait)| wait.goes_on.is_none() && now < wait.until && is_meant(id, wait));
        let Some((_, wait)) = open.into_iter().next() else {
            let what = match who {
                Waiting::Token(token) => format!("token {token}"),
                Waiting::Instance(instance) => format!("instance ID {instance}"),
            };
            return Err(BadScaling::NoSuchAction(what).into());
        };
        match answer {
            Answer::Continue => wait.goes_on = Some(true),
            Answer::Abandon => wait.goes_on = Some(false),
            Answer::Heartbeat => {
                let put_off = now.plus(std::time::Duration::from_secs(hook.heartbeat.into()));
                wait.until = put_off.min(wait.since.plus(hook.longest()));
            }
        }
        Ok(done(put(held, group).into_iter().collect()))
    }
}
