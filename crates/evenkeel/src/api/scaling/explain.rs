//! Why a group has as many members as it has: the answer to `GET /explain?NAME`, for `evenkeel asg explain`.
//!
//! Owns the document: how the group stands, what its policies read and come to now, and what they decided before. Must never alter
//! anything: what is said of now is what the loop would do, by the same code.

use std::sync::Arc;

use evenkeel_aws::Error;
use evenkeel_core::noun::alarm::AlarmSettings;
use evenkeel_core::noun::{AutoScalingGroup, LifecycleState, ScalingPolicy};
use evenkeel_core::scaling::decide::{Decision, Rule};
use evenkeel_core::scaling::explain;
use evenkeel_core::scaling::forecast::{begins, hour};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use serde_json::{Value, json};

use super::super::{Api, blocking, unkept};
use super::policies;
use crate::metrics::readings::{Values, readings};
use crate::metrics::watched;

/// Hours to come that are put in words.
const HOURS: usize = 6;

/// The document on the group of that name.
pub(in crate::api) async fn page(api: &Api, name: &str, now: Timestamp) -> Result<Vec<u8>, Error> {
    let name = super::group(name)?;
    let world = api.keeper.world();
    let missing = || Error::validation(format!("AutoScalingGroup name not found - AutoScalingGroup {name} not found"));
    let group = Arc::clone(world.scaling_group(&name).ok_or_else(missing)?);
    let reader = api.metrics.as_ref().ok_or_else(unkept)?.reader().clone();
    let seconds = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    let document = blocking(move || {
        let values: Box<Values> = Box::new(move |of, window| watched::read(&reader, of, window, seconds));
        document(&world, &group, &values, now)
    });
    Ok(document.await?.to_string().into_bytes())
}

fn document(world: &World, group: &AutoScalingGroup, values: &Values, now: Timestamp) -> Value {
    let (read, failed) = readings(world, group, values, now);
    let serving = group.members.values().filter(|member| member.state == LifecycleState::InService).count();
    let policies: Vec<Value> = group
        .policies
        .iter()
        .map(|(name, policy)| {
            let arn = policies::arn(world, group, name, policy);
            let alarms = world.alarms().filter(|alarm| alarm.settings.actions.all().any(|action| *action == arn));
            let alarms = alarms.map(|alarm| {
                json!({
                    "name": alarm.name.as_str(), "state": alarm.state.as_str(), "since": alarm.transitioned.iso(),
                    "reason": alarm.reason, "rule": rule(&alarm.settings),
                })
            });
            json!({
                "name": name.as_str(), "type": policies::kind(&policy.rule), "enabled": policy.enabled,
                "reading": read.iter().find(|(of, _)| of == name).map(|(_, value)| *value),
                "alarms": alarms.collect::<Vec<_>>(),
                "forecast": forecast(policy, now),
            })
        })
        .collect();
    let told = |decision: &Decision| json!({ "at": decision.at.iso(), "lines": explain::lines(decision), "decision": decision });
    let suspended: serde_json::Map<String, Value> =
        group.suspended.iter().map(|(process, why)| (process.as_str().to_owned(), json!(why))).collect();
    json!({
        "group": group.name.as_str(), "at": now.iso(),
        "desired": group.desired, "min": group.min, "max": group.max, "in_service": serving,
        "suspended": suspended, "foreseen": world.foreseen(group, now),
        "why": group.why,
        "setback": group.setback.as_ref().map(|setback| {
            json!({ "failures": setback.failures, "retry": setback.retry.iso(), "since": setback.since.iso() })
        }),
        "policies": policies,
        "unread": failed,
        "now": world.track(group, &read, now).as_ref().map(told),
        "schedule": group.schedule.iter().map(|(name, action)| {
            json!({ "name": name.as_str(), "next": action.next.iso(), "min": action.min, "max": action.max, "desired": action.desired })
        }).collect::<Vec<_>>(),
        "decisions": group.decisions.iter().map(told).collect::<Vec<_>>(),
    })
}

/// What is foreseen for a policy that scales by a forecast; nothing of others.
fn forecast(policy: &ScalingPolicy, now: Timestamp) -> Option<Value> {
    let (Rule::Predictive { target, .. }, Some(predictor)) = (&policy.rule, &policy.predictor) else { return None };
    let outlook = predictor.outlook.as_ref();
    let hours = outlook.into_iter().flat_map(|outlook| {
        let to_come = outlook.hours().filter(|(at, _)| *at >= hour(now));
        to_come.map(
            |(at, load)| json!({ "from": begins(at).iso(), "load": load, "capacity": outlook.capacity(at, *target) }),
        )
    });
    let hours: Vec<Value> = hours.collect();
    Some(json!({
        "lack": predictor.lack,
        "made": outlook.map(|outlook| outlook.made.iso()),
        "accuracy": outlook.and_then(|outlook| outlook.accuracy),
        "lines": outlook.map(|outlook| explain::outlook(outlook, *target, now, HOURS)).unwrap_or_default(),
        "hours": hours,
    }))
}

/// `> 50 for 3 × 1 s`
fn rule(settings: &AlarmSettings) -> String {
    use evenkeel_core::noun::alarm::Comparison as C;
    let sign = match settings.comparison {
        C::GreaterThanOrEqualToThreshold => ">=",
        C::GreaterThanThreshold => ">",
        C::LessThanThreshold => "<",
        C::LessThanOrEqualToThreshold => "<=",
    };
    let (threshold, periods, period) = (settings.threshold, settings.evaluation_periods, settings.watched.period());
    match settings.datapoints_to_alarm.filter(|m| *m != periods) {
        Some(m) => format!("{sign} {threshold} for {m} of {periods} × {period} s"),
        None => format!("{sign} {threshold} for {periods} × {period} s"),
    }
}
