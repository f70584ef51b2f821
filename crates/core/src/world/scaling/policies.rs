//! Scaling policies: kept, executed by somebody or by an alarm.
//!
//! Owns AWS's limits on them, how a group stands when one is executed, and what is written of what came out. The rules are
//! [`crate::scaling::decide`](mod@crate::scaling::decide)'s.

use std::time::Duration;

use super::cause::{keep, sentence, wish};
use super::{Decision, World, Write, done, put};
use crate::change::{Reply, Trigger};
use crate::name::{AutoScalingGroupName, ScalingName};
use crate::noun::Alarm;
use crate::noun::alarm::Comparison;
use crate::noun::scaling_group::{AutoScalingGroup, LifecycleState, Process};
use crate::noun::scaling_policy::{ScalingPolicy, policy_arn};
use crate::refusal::{BadScaling, Refusal};
use crate::scaling::decide::{self, AlarmSignal, AlarmState, Rule, Signal, Situation};
use crate::scaling::{Behavior, Bounds, Cooldown, Side, Warming, cooldown, step, tracking};
use crate::time::Timestamp;

/// Policies of one group (AWS: 50).
const MOST_POLICIES: usize = 50;
/// The last decisions that changed a group's wish; older ones are told of in its activities.
pub(super) const KEPT: usize = 20;

impl World {
    pub(super) fn put_policy(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
        policy: &ScalingPolicy,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(group)?;
        let bad = |why: &str| Err(BadScaling::Policy(why.to_owned()).into());
        match &policy.rule {
            Rule::Simple { adjustment, .. } => {
                adjustment.check().map_err(|bad| BadScaling::Policy(bad.to_string()))?;
            }
            Rule::Step { steps, .. } => step::check(steps).map_err(|bad| BadScaling::Policy(bad.to_string()))?,
            Rule::Tracking { target, .. } => {
                tracking::check_target(*target).map_err(|bad| BadScaling::Policy(bad.to_string()))?;
                if policy.tracker.is_none() {
                    return bad("a policy that tracks a target needs a metric");
                }
            }
            Rule::Predictive { .. } => self.check_predictive(held, policy)?,
        }
        let mut group = held.as_ref().clone();
        let mut policy = policy.clone();
        if let Some(before) = group.policies.get(name) {
            // Its ARN stands in alarms, and its alarms in others' dashboards: they stay the policy's as long as its name does.
            policy.id.clone_from(&before.id);
            if let (Some(tracker), Some(before)) = (&mut policy.tracker, &before.tracker) {
                tracker.alarms.clone_from(&before.alarms);
            }
        }
        super::predicting::configure(&mut policy, group.policies.get(name), now);
        group.policies.insert(name.clone(), policy);
        if group.policies.len() > MOST_POLICIES {
            return Err(
                BadScaling::TooMany { what: "scaling policies per AutoScalingGroup", limit: MOST_POLICIES }.into()
            );
        }
        let mut writes = self.alarms_follow(held, Some(&group), now)?;
        writes.extend(put(held, group));
        Ok(done(writes))
    }

    pub(super) fn delete_policy_of_group(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.group(group)?;
        let mut group = held.as_ref().clone();
        if group.policies.remove(name).is_none() {
            return Err(BadScaling::NoSuchPolicy(name.clone()).into());
        }
        let mut writes = self.alarms_follow(held, Some(&group), now)?;
        writes.extend(put(held, group));
        Ok(done(writes))
    }

    pub(super) fn execute_policy(
        &self,
        group: &AutoScalingGroupName,
        name: &ScalingName,
        trigger: &Trigger,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(group)?;
        let policy = held.policies.get(name).ok_or_else(|| BadScaling::NoSuchPolicy(name.clone()))?;
        let situation = self.situation(held, self.warmup(held, policy.warmup), now);
        let decision = match trigger {
            Trigger::Asked { metric, honor_cooldown } => {
                let judged = as_judged(name, policy, Signal::Alarms(Vec::new()));
                decide::execute(&situation, &judged, *metric, *honor_cooldown).map_err(|why| match why {
                    decide::NotExecuted::Blocked(block) => BadScaling::Blocked(block),
                    other => BadScaling::Policy(other.to_string()),
                })?
            }
            Trigger::Alarm(signal) => {
                let signal = AlarmSignal { state: AlarmState::Alarm, ..signal.clone() };
                decide::decide(&situation, &[as_judged(name, policy, Signal::Alarms(vec![signal]))])
            }
        };
        if decision.to == held.desired {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        let by = match trigger {
            Trigger::Asked { .. } => format!("a user request executed policy {name}"),
            Trigger::Alarm(signal) => format!("a monitor alarm {} in state ALARM triggered policy {name}", signal.name),
        };
        let group = decided(held, policy, &by, decision);
        Ok(done(put(held, group).into_iter().collect()))
    }

    /// Carries a policy out because an alarm is in the state that it is an action of: what is written, or why it cannot be.
    /// `values` are the datapoints that the alarm was judged by.
    pub(in crate::world) fn scale_by_alarm(
        &self,
        arn: &str,
        alarm: &Alarm,
        values: &[f64],
        now: Timestamp,
    ) -> Result<Vec<Write>, String> {
        let missing = || format!("No policy found with ARN {arn}");
        let (group, name) = self.policy_by_arn(arn).ok_or_else(missing)?;
        let held = self.scaling_group(group).and_then(|group| group.policies.get(name));
        if held.is_some_and(|policy| policy.tracker.is_some()) {
            // Its group looks at all such policies together, for as long as the state lasts.
            return Ok(Vec::new());
        }
        let side = match alarm.settings.comparison {
            Comparison::GreaterThanThreshold | Comparison::GreaterThanOrEqualToThreshold => Side::Above,
            Comparison::LessThanThreshold | Comparison::LessThanOrEqualToThreshold => Side::Below,
        };
        let signal = AlarmSignal {
            name: alarm.name.to_string(),
            state: AlarmState::Alarm,
            side,
            threshold: alarm.settings.threshold,
            datapoints: values.to_vec(),
        };
        let done = self.execute_policy(group, name, &Trigger::Alarm(signal), now);
        Ok(done.map_err(|refusal| refusal.to_string())?.writes)
    }

    /// The policy of an ARN, with its group.
    #[must_use]
    pub fn policy_by_arn(&self, arn: &str) -> Option<(&AutoScalingGroupName, &ScalingName)> {
        let (region, account) = (&self.settings.region, &self.settings.account);
        let all = self.scaling_groups().flat_map(|group| group.policies.iter().map(move |held| (group, held)));
        let mut found = all.filter(|(group, (name, policy))| {
            policy_arn(region, account, &policy.id, group.name.as_str(), name.as_str()) == arn
        });
        found.next().map(|(group, (name, _))| (&group.name, name))
    }

    /// How long a new member of a group takes until its metrics count; `own` is what a policy says of it, in seconds.
    pub(super) fn warmup(&self, group: &AutoScalingGroup, own: Option<u32>) -> Duration {
        cooldown::warmup(own.map(seconds), group.warmup.map(seconds), seconds(group.cooldown))
    }

    /// How a group stands, whose new members take so long until they count.
    pub(super) fn situation(&self, group: &AutoScalingGroup, takes: Duration, now: Timestamp) -> Situation {
        let resting = seconds(group.cooldown);
        let (mut warm, mut warming) = (0, Vec::new());
        for (id, member) in group.members.iter().filter(|(_, member)| member.state.counts()) {
            let serves = member.in_service.filter(|_| member.state == LifecycleState::InService);
            let until = serves.map(|since| since.plus(takes));
            if until.is_some_and(|until| now >= until) {
                warm += 1;
            } else {
                warming.push(Warming { instance: id.clone(), until });
            }
        }
        Situation {
            now,
            desired: group.desired,
            bounds: Bounds { min: group.min, max: group.max },
            warm,
            warming,
            activity: self.under_way(group).next().map(|activity| activity.id.to_string()),
            cooldown: group
                .scaled
                .map(|since| Cooldown { since, length: cooldown::length(group.rest.map(seconds), resting) }),
            suspended: !group.does(Process::AlarmNotification),
            foreseen: self.foreseen(group, now),
            behavior: Behavior::default(),
            history: group.history.clone(),
        }
    }
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

/// A policy as the rules judge it.
pub(super) fn as_judged(name: &ScalingName, policy: &ScalingPolicy, signal: Signal) -> decide::Policy {
    decide::Policy { name: name.to_string(), enabled: policy.enabled, rule: policy.rule.clone(), signal }
}

/// A group that does as was decided, and keeps why.
fn decided(held: &AutoScalingGroup, policy: &ScalingPolicy, by: &str, decision: decide::Decision) -> AutoScalingGroup {
    let mut group = held.clone();
    group.rest = match &policy.rule {
        Rule::Simple { cooldown: Some(own), .. } => u32::try_from(own.as_secs()).ok(),
        _ => None,
    };
    keep(&mut group.why, sentence(decision.at, &format!("{by} {}", wish(decision.from, decision.to))));
    group.desired = decision.to;
    group.history.note(&decision, &Behavior::default());
    group.decisions.push(decision);
    if group.decisions.len() > KEPT {
        group.decisions.remove(0);
    }
    group
}
