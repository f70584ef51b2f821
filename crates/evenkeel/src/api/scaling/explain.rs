//! Why a group has as many members as it has: the answer to `GET /explain?NAME`, for `evenkeel asg explain`.
//!
//! Owns the document: how the group stands, its refresh, who waits for hooks, what its policies read and come to now, and what they
//! decided before. Must never alter anything: what is said of now is what the loop would do, by the same code.

use std::sync::Arc;

use evenkeel_aws::Error;
use evenkeel_core::noun::alarm::AlarmSettings;
use evenkeel_core::noun::{AutoScalingGroup, LifecycleState, ScalingPolicy};
use evenkeel_core::scaling::decide::{Decision, Rule};
use evenkeel_core::scaling::explain;
use evenkeel_core::scaling::forecast::{begins, hour};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use evenkeel_core::world::scaling::progress;
use serde_json::{Value, json};

use super::super::{Api, blocking, unkept};
use super::{policies, refreshes};
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
        "pool": pool(group),
        "refresh": refresh(group, now),
        "waits": waits(group),
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

/// The warm pool, or null.
fn pool(group: &AutoScalingGroup) -> Value {
    let Some(pool) = &group.pool else { return Value::Null };
    let ready = group.members.values().filter(|member| member.state.rests()).count();
    json!({
        "ready": ready, "size": group.pool_size(), "members": group.pooled(), "state": pool.state.as_str(),
        "reuses": pool.reuses, "goes": pool.is_going,
    })
}

/// The refresh that is under way, or null.
fn refresh(group: &AutoScalingGroup, now: Timestamp) -> Value {
    let Some(refresh) = group.refresh() else { return Value::Null };
    let (percent, left) = progress(group, refresh);
    // The way back has none.
    let ahead = if refresh.rollback.is_some() { &[][..] } else { &refresh.preferences.checkpoints };
    let reached = usize::try_from(refresh.checkpoint).unwrap_or(usize::MAX);
    let checkpoints = ahead.iter().enumerate();
    json!({
        "id": refresh.id, "status": refresh.status.as_str(), "since": refresh.started.iso(),
        "percent": percent, "left": left,
        "rollback": refresh.rollback.as_ref().map(|rollback| &rollback.reason),
        "waits_for": refreshes::waits_for(group, refresh, now),
        "checkpoints": checkpoints
            .map(|(index, percent)| json!({ "percent": percent, "reached": index < reached }))
            .collect::<Vec<_>>(),
        "holds_up": refreshes::holds_up(group, refresh),
    })
}

/// Who waits for which hook until when, and what is done if nobody answers. Tokens are not told: who has one may answer.
fn waits(group: &AutoScalingGroup) -> Vec<Value> {
    let members = group.members.iter().flat_map(|(id, member)| member.waits.iter().map(move |wait| (id, member, wait)));
    let told = members.filter_map(|(id, member, (name, wait))| {
        // A hook that is no more is not waited for.
        let hook = group.hooks.get(name).filter(|_| wait.goes_on.is_none())?;
        Some(json!({
            "instance": id.as_str(), "state": member.state.as_str(), "hook": name.as_str(),
            "since": wait.since.iso(), "until": wait.until.iso(),
            "default": if hook.goes_on { "CONTINUE" } else { "ABANDON" },
        }))
    });
    told.collect()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use evenkeel_core::name::{InstanceId, ScalingName};
    use evenkeel_core::noun::instance_refresh::Rollback;
    use evenkeel_core::noun::scaling_group::{Hook, HookWait, Member, Process, Transition};
    use evenkeel_core::noun::{InstanceRefresh, LaunchSource, RefreshMark, RefreshStatus};
    use serde_json::{from_str, from_value};

    use super::*;

    const GROUP: &str = r#"{
        "name": "web", "id": "1", "created": 0, "launch": { "configuration": "web" }, "min": 1, "max": 8, "desired": 4,
        "cooldown": 0, "zones": ["us-east-1a"], "balancers": [], "health_check": "EC2", "grace": 0, "termination": [],
        "protects_new": false, "suspended": {}, "metrics": [], "tags": {}, "members": {}, "why": [], "is_going": false,
        "refreshes": [{
            "id": "a-refresh", "status": "in-progress", "started": 1000, "progressed": 1000, "failures": 0,
            "checkpoint": 1, "waits": true, "percent": 0, "left": 0,
            "preferences": {
                "share": { "least": 50 }, "checkpoints": [20, 100], "checkpoint_delay": 60, "skips_matching": false,
                "rolls_back": true, "protected": "Wait", "standby": "Wait", "alarms": [], "bake": 0
            }
        }]
    }"#;

    /// A group of four, of which one is new and waits for a hook.
    fn group() -> AutoScalingGroup {
        let mut group: AutoScalingGroup = from_str(GROUP).unwrap();
        let launched = |id: u32, state: &str, mark: &str| {
            let member = json!({
                "zone": "us-east-1a", "source": null, "state": state, "since": 0, "in_service": null, "illness": null,
                "is_protected": false, "activity": null, "refresh": mark,
            });
            (InstanceId::new(format!("i-0000000{id}")).unwrap(), from_value::<Member>(member).unwrap())
        };
        group.members = (1..4).map(|id| launched(id, "in-service", "old")).collect();
        group.members.extend([launched(4, "pending-wait", "new")]);
        let hook = |goes_on| Hook {
            transition: Transition::Launching,
            heartbeat: 60,
            goes_on,
            metadata: None,
            target: None,
            role: None,
        };
        let named = |name: &str| ScalingName::new(name).unwrap();
        group.hooks = BTreeMap::from([(named("asked"), hook(false)), (named("answered"), hook(true))]);
        let wait =
            |goes_on| HookWait { token: "secret".into(), since: Timestamp(2_000), until: Timestamp(62_000), goes_on };
        let new: &mut Member = group.members.values_mut().last().unwrap();
        new.waits = BTreeMap::from([
            (named("asked"), wait(None)),
            (named("answered"), wait(Some(true))),
            (named("gone"), wait(None)),
        ]);
        group
    }

    fn changed(change: impl FnOnce(&mut InstanceRefresh)) -> AutoScalingGroup {
        let mut group = group();
        change(group.refreshes.last_mut().unwrap());
        group
    }

    #[test]
    fn a_refresh_says_how_far_it_is_and_what_it_holds_up() {
        let told = refresh(&group(), Timestamp(3_000));
        let waits = "Waiting for remaining instances to be available. For example: i-00000004 is Pending:Wait.";
        let expected = json!({
            "id": "a-refresh", "status": "InProgress", "since": "1970-01-01T00:00:01Z", "percent": 0, "left": 3,
            "rollback": null, "waits_for": waits,
            "checkpoints": [{ "percent": 20, "reached": true }, { "percent": 100, "reached": false }],
            "holds_up": [
                "no other refresh can be started",
                "zones are not evened out, and nobody is replaced for age",
                "scaling in ends the old first, and leaves 2 in service and healthy",
            ],
        });
        assert_eq!(told, expected);
        let paused = refresh(&changed(|refresh| refresh.until = Some(Timestamp(60_000))), Timestamp(3_000));
        assert_eq!(paused["waits_for"], "Waiting at checkpoint 1 until 1970-01-01T00:01:00Z.");
        let brings = changed(|refresh| {
            refresh.status = RefreshStatus::Baking;
            refresh.desired = Some(refresh_source());
        });
        let brings = &refresh(&brings, Timestamp(3_000))["holds_up"];
        assert_eq!(brings[1], "what the group launches with cannot be changed");
        assert!(!brings.to_string().contains("zones"), "{brings}");
        let mut kept = group();
        kept.suspended.insert(Process::InstanceRefresh, "by hand".into());
        assert_eq!(
            refresh(&kept, Timestamp(3_000))["waits_for"],
            "Waiting for the process InstanceRefresh to be resumed."
        );
        let back = refresh(
            &changed(|refresh| {
                refresh.status = RefreshStatus::RollbackInProgress;
                let (started, percent, left, deployed) = (Timestamp(2_000), 25, 3, 1);
                refresh.rollback = Some(Rollback { reason: "it failed".into(), started, percent, left, deployed });
            }),
            Timestamp(3_000),
        );
        assert_eq!((&back["rollback"], &back["checkpoints"]), (&json!("it failed"), &json!([])));
        let over = changed(|refresh| refresh.status = RefreshStatus::Cancelled);
        assert_eq!(refresh(&over, Timestamp(3_000)), Value::Null);
    }

    fn refresh_source() -> LaunchSource {
        from_value(json!({ "configuration": "next" })).unwrap()
    }

    #[test]
    fn hooks_that_nobody_has_answered_are_told_without_their_tokens() {
        let expected = json!([{
            "instance": "i-00000004", "state": "Pending:Wait", "hook": "asked",
            "since": "1970-01-01T00:00:02Z", "until": "1970-01-01T00:01:02Z", "default": "ABANDON",
        }]);
        assert_eq!(Value::from(waits(&group())), expected);
        let mut none = group();
        none.members.values_mut().for_each(|member| member.waits.clear());
        assert!(
            none.members.values().any(|member| member.refresh == Some(RefreshMark::New)) && waits(&none).is_empty()
        );
    }
}
