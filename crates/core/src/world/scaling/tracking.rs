//! Policies that keep a metric at a target: the two alarms of each, and what all of a group's come to together.
//!
//! Owns which metric a policy's alarms watch and how often, that they come and go with it, and how long after a change of the group
//! its metrics still speak of the old one. The arithmetic is [`crate::scaling::tracking`]'s, the decision
//! [`crate::scaling::decide`](mod@crate::scaling::decide)'s. Must never read a metric: readings are arguments.
//!
//! An alarm's state says that something is to be done; what, the group decides over all its policies at once, again and again while
//! one of their alarms goes off. So nothing is lost with whoever was to act on an alarm, and two policies never pull at one group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cause::{keep, sentence, wish};
use super::policies::KEPT;
use super::{Decision, World, Write, done, put};
use crate::alarm::window::LAG;
use crate::change::{NewAlarm, Reply};
use crate::name::{AlarmName, AutoScalingGroupName, ScalingName};
use crate::noun::alarm::{Actions, AlarmSettings, AlarmState, Comparison, MetricName, MetricStat, Query, Watched};
use crate::noun::scaling_group::AutoScalingGroup;
use crate::noun::scaling_policy::{ScalingPolicy, TrackedMetric, Tracker, policy_arn};
use crate::refusal::{BadScaling, Refusal};
use crate::scaling::decide::{self, Rule, Signal};
use crate::scaling::step::Side;
use crate::scaling::{AlarmShape, Behavior, PredefinedMetricType, Reading, tracking};
use crate::time::Timestamp;
use crate::world::alarms::Diary;

/// Namespaces of what is measured here each second: policies on these need not wait for minutes.
const MEASURED: [&str; 3] = ["AWS/AutoScaling", "AWS/EC2", "AWS/ELB"];
/// The period of policies on those that state none, in seconds. AWS's is a minute.
const FINEST: u32 = 1;
/// AWS's minute, which the targets of sums are meant for.
const MINUTE: u32 = 60;

/// One alarm of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackingAlarm {
    /// Its shape.
    pub shape: AlarmShape,
    /// What it is to be.
    pub alarm: NewAlarm,
}

impl World {
    /// The alarms that belong to a policy which tracks a target, the high one first; none of other policies.
    pub fn tracking_alarms(
        &self,
        group: &AutoScalingGroup,
        name: &ScalingName,
        policy: &ScalingPolicy,
    ) -> Result<Vec<TrackingAlarm>, Refusal> {
        let (Rule::Tracking { target, disable_scale_in }, Some(Tracker { metric, alarms: [high, low] })) =
            (&policy.rule, &policy.tracker)
        else {
            return Ok(Vec::new());
        };
        let bad = |why: String| Refusal::from(BadScaling::Policy(why));
        let watched = watched(metric, group).map_err(bad)?;
        let period = Duration::from_secs(watched.period().into());
        let behavior = group.behavior()?;
        let shapes = tracking::alarms(group.name.as_str(), *target, *disable_scale_in, period, &behavior, [high, low]);
        let (region, account) = (&self.settings.region, &self.settings.account);
        let arn = policy_arn(region, account, &policy.id, group.name.as_str(), name.as_str());
        let one = |shape: AlarmShape| {
            let settings = AlarmSettings {
                description: Some(format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {arn}.")),
                actions: Actions { alarm: vec![arn.clone()], ..Actions::default() },
                watched: watched.clone(),
                evaluation_periods: shape.periods,
                datapoints_to_alarm: None,
                threshold: shape.threshold,
                comparison: match shape.side {
                    Side::Above => Comparison::GreaterThanThreshold,
                    Side::Below => Comparison::LessThanThreshold,
                },
                missing: None,
                low_samples: None,
            };
            let name = AlarmName::new(shape.name.as_str()).map_err(|malformed| bad(malformed.to_string()))?;
            let alarm = NewAlarm { name, settings, actions_enabled: true, tags: BTreeMap::new() };
            Ok(TrackingAlarm { shape, alarm })
        };
        shapes.into_iter().map(one).collect()
    }

    /// What is written so that a group's alarms are those of its policies, when it becomes another or goes. Alarms go by their
    /// names alone, whatever has become of what they watch; a policy that is as it was, and whose metric can be told no more (its
    /// balancer has left the group), keeps those it has.
    pub(super) fn alarms_follow(
        &self,
        held: &AutoScalingGroup,
        group: Option<&AutoScalingGroup>,
        now: Timestamp,
    ) -> Result<Vec<Write>, Refusal> {
        let stay: BTreeSet<AlarmName> = group.map(alarm_names).unwrap_or_default();
        let mut diary = Diary::new(self, now);
        let mut writes = Vec::new();
        for gone in alarm_names(held).difference(&stay) {
            writes.extend(self.drop_alarm(gone, &mut diary));
        }
        let all =
            group.into_iter().flat_map(|group| group.policies.iter().map(move |(name, policy)| (group, name, policy)));
        for (group, name, policy) in all {
            match self.tracking_alarms(group, name, policy) {
                Ok(wanted) => {
                    for TrackingAlarm { alarm, .. } in &wanted {
                        writes.extend(self.configure_alarm(alarm, &mut diary, now)?);
                    }
                }
                Err(_) if held.policies.get(name) == Some(policy) => {}
                Err(why) => return Err(why),
            }
        }
        writes.extend(diary.close());
        Ok(writes)
    }

    /// What a group's policies that track targets come to together; `readings` are what their alarms were judged by
    /// ([`AlarmShape::reading`]). `None` where it has no such policy.
    #[must_use]
    pub fn track(
        &self,
        group: &AutoScalingGroup,
        readings: &[(ScalingName, f64)],
        now: Timestamp,
    ) -> Option<decide::Decision> {
        let lag = Duration::from_millis(LAG);
        let (mut settles, mut leaves) = (Duration::ZERO, Duration::ZERO);
        let (mut warmup, mut judged) = (None, Vec::new());
        for (name, policy) in group.policies.iter().filter(|(_, policy)| policy.tracker.is_some()) {
            // What it watches was good when it was put; where it is no more, nobody knows.
            let alarms = self.tracking_alarms(group, name, policy).unwrap_or_default();
            let state = |side: Side| {
                let of = alarms.iter().find(|alarm| alarm.shape.side == side)?;
                let held = self.alarm(&of.alarm.name).filter(|held| held.actions_enabled);
                Some(held.map_or(decide::AlarmState::InsufficientData, |held| signal_of(held.state)))
            };
            for shape in alarms.iter().map(|alarm| &alarm.shape) {
                if shape.side == Side::Above {
                    settles = settles.max(shape.window() + lag);
                }
                leaves = leaves.max(shape.period * 2 + lag);
            }
            warmup = warmup.max(Some(self.warmup(group, policy.warmup)));
            let value = readings.iter().find(|(of, _)| of == name).map(|(_, value)| *value);
            let signal = Signal::Tracking {
                reading: value.map(|value| Reading { value, members: None }),
                high: state(Side::Above).unwrap_or_default(),
                low: state(Side::Below).unwrap_or(decide::AlarmState::Ok),
            };
            judged.push(super::policies::as_judged(name, policy, signal));
        }
        // Whoever has come counts once all that its policies go by was measured with it, and after somebody has gone, nobody
        // else goes before something was measured without.
        let mut situation = self.situation(group, warmup? + settles, now);
        let behavior = group.behavior().unwrap_or_default();
        situation.behavior = Behavior {
            up: decide::Pace { cooldown: behavior.up.cooldown, ..decide::Pace::default() },
            down: decide::Pace { cooldown: behavior.down.cooldown.max(leaves), ..decide::Pace::default() },
        };
        Some(decide::decide(&situation, &judged))
    }

    pub(super) fn scale_to_targets(
        &self,
        name: &AutoScalingGroupName,
        readings: &[(ScalingName, f64)],
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let unchanged = || Ok(Decision::unchanged(Reply::Unchanged));
        let Some(decision) = self.track(held, readings, now) else { return unchanged() };
        let Some(by) = decision.policy.clone().filter(|_| decision.to != held.desired) else { return unchanged() };
        let side = if decision.to > held.desired { Side::Above } else { Side::Below };
        let mut alarms = Vec::new();
        if let Some((name, policy)) = held.policies.iter().find(|(name, _)| name.as_str() == by) {
            alarms = self.tracking_alarms(held, name, policy)?;
        }
        let alarm = alarms.into_iter().find(|alarm| alarm.shape.side == side).map(|alarm| alarm.shape.name);
        let alarm = alarm.unwrap_or_default();
        let what = wish(decision.from, decision.to);
        let what = format!("a monitor alarm {alarm} in state ALARM triggered policy {by} {what}");
        let mut group = held.as_ref().clone();
        keep(&mut group.why, sentence(now, &what));
        (group.desired, group.rest) = (decision.to, None);
        group.history.note(&decision, &Behavior::default());
        group.decisions.push(decide::Decision { alarm: Some(alarm), ..decision });
        if group.decisions.len() > KEPT {
            group.decisions.remove(0);
        }
        Ok(done(put(held, group).into_iter().collect()))
    }
}

/// The names of the alarms of all policies of a group that track a target.
fn alarm_names(group: &AutoScalingGroup) -> BTreeSet<AlarmName> {
    let of = |policy: &ScalingPolicy| match (&policy.rule, &policy.tracker) {
        (Rule::Tracking { target, disable_scale_in }, Some(Tracker { alarms: [high, low], .. })) => {
            let (name, usual) = (group.name.as_str(), (tracking::USUAL_PERIOD, Behavior::default()));
            tracking::alarms(name, *target, *disable_scale_in, usual.0, &usual.1, [high, low])
        }
        _ => Vec::new(),
    };
    // What is no name was none when the policy was put: then it was refused.
    group.policies.values().flat_map(of).filter_map(|shape| AlarmName::new(shape.name).ok()).collect()
}

fn signal_of(state: AlarmState) -> decide::AlarmState {
    match state {
        AlarmState::Ok => decide::AlarmState::Ok,
        AlarmState::Alarm => decide::AlarmState::Alarm,
        AlarmState::InsufficientData => decide::AlarmState::InsufficientData,
    }
}

/// What a policy's alarms watch. Its target is meant for AWS's minutes: of what is summed up each second, or counted by the second
/// of each member, sixty are as much.
fn watched(metric: &TrackedMetric, group: &AutoScalingGroup) -> Result<Watched, String> {
    let counts_bytes = matches!(metric, TrackedMetric::Predefined { metric, .. } if metric.counts_bytes());
    let (metric, statistic, unit, period) = match metric {
        TrackedMetric::Math(queries) => return Ok(Watched::Math(queries.clone())),
        TrackedMetric::Series { metric, statistic, unit, period } => {
            (metric.clone(), statistic.as_str(), unit.clone(), *period)
        }
        TrackedMetric::Predefined { metric, label } => {
            let (namespace, name, statistic) = metric.metric();
            let (namespace, dimension) = match metric {
                PredefinedMetricType::AlbRequestCountPerTarget => {
                    ("AWS/ELB", ("LoadBalancerName", balancer(label.as_deref(), group)?))
                }
                _ => (namespace, ("AutoScalingGroupName", group.name.to_string())),
            };
            let dimensions = vec![(dimension.0.to_owned(), dimension.1)];
            let period = u32::try_from(metric.period().as_secs()).ok().filter(|period| *period != MINUTE);
            (MetricName { namespace: namespace.into(), name: name.into(), dimensions }, statistic, None, period)
        }
    };
    let is_measured = MEASURED.contains(&metric.namespace.as_str());
    let seconds = period.unwrap_or(if is_measured { FINEST } else { MINUTE });
    let stat = MetricStat { metric, period: seconds, statistic: statistic.to_owned(), unit };
    let adds_up = counts_bytes || matches!(statistic, "Sum" | "SampleCount");
    if period.is_some() || seconds == MINUTE || !adds_up {
        return Ok(Watched::Metric(stat));
    }
    let query = |id: &str, stat: Option<MetricStat>, expression: Option<String>| Query {
        id: id.to_owned(),
        watched: Some(expression.is_some()),
        stat,
        expression,
        label: None,
        period: None,
    };
    let a_minute = format!("second * {}", MINUTE / seconds);
    Ok(Watched::Math(vec![query("second", Some(stat), None), query("minute", None, Some(a_minute))]))
}

/// The balancer whose requests are counted: that of the label `app/BALANCER/…`, which may be its name alone, or the group's only one.
pub(super) fn balancer(label: Option<&str>, group: &AutoScalingGroup) -> Result<String, String> {
    let Some(label) = label else {
        let mut all = group.balancers.iter();
        return match (all.next(), all.next()) {
            (Some(one), None) => Ok(one.to_string()),
            _ => {
                Err("ResourceLabel must name the load balancer: the AutoScalingGroup is not behind exactly one".into())
            }
        };
    };
    let name = label.strip_prefix("app/").map_or(Some(label), |rest| rest.split('/').next()).unwrap_or_default();
    match group.balancers.iter().find(|balancer| balancer.as_str() == name) {
        Some(balancer) => Ok(balancer.to_string()),
        None => Err(format!("ResourceLabel `{label}` names no load balancer of the AutoScalingGroup")),
    }
}
