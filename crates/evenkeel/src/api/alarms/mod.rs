//! CloudWatch's alarms: put, deleted, set by hand, switched on and off, tagged.
//!
//! Owns how callers name them, and errors of values that are wrong in themselves. Must never judge an alarm: `loops/alarms` does.
//! Next: [`put`], what settings may be, [`shown`], [`history`]. Source: CloudWatch API 2010-08-01.

pub(super) mod history;
pub(super) mod put;
pub(super) mod shown;

use std::collections::BTreeMap;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, cloudwatch};
use evenkeel_core::alarm::reason::{MOST_DATA, MOST_REASON};
use evenkeel_core::change::{AlarmChange, Change};
use evenkeel_core::name::AlarmName;
use evenkeel_core::noun::{Alarm, AlarmState};
use evenkeel_core::world::World;

use super::{Asked, refusal, words};

/// The most alarms that one call can name (AWS).
const MOST_NAMED: usize = 100;

pub(super) async fn delete(asked: &Asked<'_>, input: &cloudwatch::DeleteAlarms) -> Result<cloudwatch::Nothing, Error> {
    asked.alarms(AlarmChange::Delete { alarms: names(&input.alarm_names)? }).await
}

pub(super) async fn set_state(
    asked: &Asked<'_>,
    input: cloudwatch::SetAlarmState,
) -> Result<cloudwatch::Nothing, Error> {
    let alarm = name(input.alarm_name.as_deref())?;
    let state = state(&required(input.state_value, "stateValue")?)?;
    let reason = required(input.state_reason, "stateReason")?;
    if reason.chars().count() > MOST_REASON {
        return Err(too_long(&reason, "stateReason", MOST_REASON));
    }
    if let Some(data) = &input.state_reason_data {
        if data.chars().count() > MOST_DATA {
            return Err(too_long(data, "stateReasonData", MOST_DATA));
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(data).is_err() {
            return Err(Error::sender("InvalidFormat", "StateReasonData is not valid JSON"));
        }
    }
    asked.alarms(AlarmChange::SetState { alarm, state, reason, data: input.state_reason_data }).await
}

pub(super) async fn switch(
    asked: &Asked<'_>,
    alarms: &Members<String>,
    enabled: bool,
) -> Result<cloudwatch::Nothing, Error> {
    asked.alarms(AlarmChange::SetActions { alarms: names(alarms)?, enabled }).await
}

pub(super) async fn tag(asked: &Asked<'_>, input: &cloudwatch::TagResource) -> Result<cloudwatch::Nothing, Error> {
    let alarm = resource(&asked.world, input.resource_arn.as_deref())?.name.clone();
    asked.alarms(AlarmChange::Tag { alarm, tags: tags(&input.tags)? }).await
}

pub(super) async fn untag(asked: &Asked<'_>, input: &cloudwatch::UntagResource) -> Result<cloudwatch::Nothing, Error> {
    let alarm = resource(&asked.world, input.resource_arn.as_deref())?.name.clone();
    asked.alarms(AlarmChange::Untag { alarm, keys: input.tag_keys.to_vec() }).await
}

pub(super) fn list_tags(
    asked: &Asked<'_>,
    input: &cloudwatch::ListTagsForResource,
) -> Result<cloudwatch::ListTagsForResourceOutput, Error> {
    let held = resource(&asked.world, input.resource_arn.as_deref())?;
    let tags = held.tags.iter().map(|(key, value)| cloudwatch::Tag { key: key.clone(), value: value.clone() });
    Ok(cloudwatch::ListTagsForResourceOutput { tags: tags.collect() })
}

/// The name in an alarm's ARN.
pub(super) fn named_by(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:aws:cloudwatch:")?;
    let (_, rest) = rest.split_once(':')?;
    let (_, rest) = rest.split_once(':')?;
    rest.strip_prefix("alarm:")
}

/// An alarm that is to exist, as the calls about tags name it.
fn resource<'w>(world: &'w World, arn: Option<&str>) -> Result<&'w Alarm, Error> {
    let arn = arn.filter(|arn| !arn.is_empty()).ok_or_else(|| null("resourceARN"))?;
    let held = named_by(arn).and_then(|name| AlarmName::new(name).ok()).and_then(|name| world.alarm(&name));
    let is_ours = |alarm: &&Alarm| alarm.arn(&world.settings().region, &world.settings().account) == arn;
    held.map(AsRef::as_ref).filter(is_ours).ok_or_else(|| {
        Error::sender("ResourceNotFoundException", format!("{} not found", words::quoted(arn))).with_status(404)
    })
}

fn tags(stated: &Members<cloudwatch::Tag>) -> Result<BTreeMap<String, String>, Error> {
    let mut tags = BTreeMap::new();
    for tag in stated {
        if tags.insert(tag.key.clone(), tag.value.clone()).is_some() {
            return Err(Error::invalid_parameter("Duplicate tag keys found"));
        }
    }
    Ok(tags)
}

/// The name of one alarm.
fn name(stated: Option<&str>) -> Result<AlarmName, Error> {
    let text = stated.filter(|text| !text.is_empty()).ok_or_else(|| null("alarmName"))?;
    AlarmName::new(text).map_err(|bad| words::out_of_bounds(text, "alarmName", &format!("Member {}", bad.rule)))
}

/// Names of some alarms, at least one.
fn names(stated: &Members<String>) -> Result<Vec<AlarmName>, Error> {
    if stated.is_empty() {
        return Err(null("alarmNames"));
    }
    if stated.len() > MOST_NAMED {
        let rule = format!("Member must have length less than or equal to {MOST_NAMED}");
        return Err(words::out_of_bounds(&format!("{} names", stated.len()), "alarmNames", &rule));
    }
    stated.iter().map(|text| name(Some(text))).collect()
}

fn state(text: &str) -> Result<AlarmState, Error> {
    one_of(text, "stateValue", &AlarmState::ALL, AlarmState::as_str)
}

/// A word out of some.
fn one_of<T: Copy>(text: &str, place: &str, all: &[T], word: impl Fn(T) -> &'static str) -> Result<T, Error> {
    all.iter().copied().find(|one| word(*one) == text).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        let rule = format!("Member must satisfy enum value set: [{}]", words.join(", "));
        super::words::out_of_bounds(text, place, &rule)
    })
}

fn required<T>(stated: Option<T>, place: &str) -> Result<T, Error> {
    stated.ok_or_else(|| null(place))
}

/// What is needed, and is not there.
fn null(place: &str) -> Error {
    let text = format!(
        "1 validation error detected: Value null at '{place}' failed to satisfy constraint: Member must not be null"
    );
    Error::validation(text)
}

fn too_long(value: &str, place: &str, most: usize) -> Error {
    words::out_of_bounds(value, place, &format!("Member must have length less than or equal to {most}"))
}

/// How many are wanted of a listing: 1–100, 100 when not stated.
fn records(stated: Option<i32>) -> Result<usize, Error> {
    let most = i32::try_from(MOST_NAMED).unwrap_or(i32::MAX);
    let stated = stated.unwrap_or(most);
    usize::try_from(stated).ok().filter(|n| (1..=MOST_NAMED).contains(n)).ok_or_else(|| {
        let rule = if stated < 1 { "greater than or equal to 1" } else { "less than or equal to 100" };
        words::out_of_bounds(&stated.to_string(), "maxRecords", &format!("Member must have value {rule}"))
    })
}

/// Which types of alarms a listing is to show: whether those that there are here are among them.
fn wants_metric_alarms(types: &Members<String>) -> Result<bool, Error> {
    for kind in types {
        one_of(kind, "alarmTypes", &["CompositeAlarm", "MetricAlarm", "LogAlarm"], |kind| kind)?;
    }
    Ok(types.is_empty() || types.iter().any(|kind| kind == "MetricAlarm"))
}

impl Asked<'_> {
    /// Submits for a call about alarms.
    async fn alarms(&self, change: AlarmChange) -> Result<cloudwatch::Nothing, Error> {
        self.submit(Change::Alarm(change)).await.map_err(refusal::cloudwatch)?;
        Ok(cloudwatch::Nothing {})
    }
}
