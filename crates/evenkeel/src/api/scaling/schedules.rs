//! Scheduled actions: kept one by one or in batches, shown, deleted.
//!
//! Owns how their times are read, and when one acts first by its time zone's clocks. When it acts again is found by
//! [`crate::loops::groups`] with the same clocks.

use evenkeel_aws::{Error, Time, autoscaling as wire};
use evenkeel_core::change::ScalingChange;
use evenkeel_core::name::{AutoScalingGroupName, ScalingName};
use evenkeel_core::noun::ScheduledAction;
use evenkeel_core::noun::scaling_policy::action_arn;
use evenkeel_core::scaling::Recurrence;
use evenkeel_core::time::Timestamp;

use super::super::page::Page;
use super::super::{Asked, dice, words};
use super::{at_most, group, shown, size};
use crate::time_zones::Zone;

pub(in super::super) async fn put(
    asked: &Asked<'_>,
    input: wire::PutScheduledUpdateGroupAction,
) -> Result<wire::PutScheduledUpdateGroupActionOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    let stated = wire::ScheduledUpdateGroupActionRequest {
        scheduled_action_name: input.scheduled_action_name,
        // Time is StartTime's name of before.
        start_time: input.start_time.or(input.time),
        end_time: input.end_time,
        recurrence: input.recurrence,
        min_size: input.min_size,
        max_size: input.max_size,
        desired_capacity: input.desired_capacity,
        time_zone: input.time_zone,
    };
    put_one(asked, &group, stated).await?;
    Ok(wire::PutScheduledUpdateGroupActionOutput {})
}

/// Those that are refused are named, with why; the others are kept.
pub(in super::super) async fn put_many(
    asked: &Asked<'_>,
    input: wire::BatchPutScheduledUpdateGroupAction,
) -> Result<wire::BatchPutScheduledUpdateGroupActionOutput, Error> {
    at_most(input.scheduled_update_group_actions.len(), 50, "scheduledUpdateGroupActions")?;
    let group = group(&input.auto_scaling_group_name)?;
    super::groups::existing(asked, &group)?;
    let mut failed = Vec::new();
    for stated in input.scheduled_update_group_actions {
        let name = stated.scheduled_action_name.clone();
        if let Err(error) = put_one(asked, &group, stated).await {
            failed.push(failure(name, error));
        }
    }
    Ok(wire::BatchPutScheduledUpdateGroupActionOutput { failed_scheduled_update_group_actions: failed.into() })
}

async fn put_one(
    asked: &Asked<'_>,
    group: &AutoScalingGroupName,
    stated: wire::ScheduledUpdateGroupActionRequest,
) -> Result<(), Error> {
    let name = action_name(&stated.scheduled_action_name)?;
    let recurrence = match shown::given(stated.recurrence) {
        None => None,
        Some(text) => {
            let bad = |bad: &dyn std::fmt::Display| Error::validation(format!("Given recurrence string: {bad}"));
            Some(Recurrence::new(&text).map_err(|error| bad(&error))?)
        }
    };
    let zone = match shown::given(stated.time_zone) {
        None => None,
        Some(text) => {
            let unknown = || Error::validation(format!("Invalid TimeZone {}", words::quoted(&text)));
            Some(Zone::named(&text).ok_or_else(unknown)?)
        }
    };
    let (start, end) = (stated.start_time.map(moment), stated.end_time.map(moment));
    let from = start.unwrap_or(asked.now);
    if start.is_some_and(|start| start < asked.now) {
        return Err(Error::validation("Given start time is in the past"));
    }
    let clocks = zone.clone().unwrap_or_else(Zone::utc);
    let next = match &recurrence {
        // The start itself may be a turn.
        Some(again) => clocks.next(again, Timestamp(from.0.saturating_sub(1))),
        None => start,
    };
    let next =
        next.ok_or_else(|| Error::validation("Either StartTime or a Recurrence that comes must be specified"))?;
    let count = |stated: Option<i64>, place| stated.map(|stated| size(stated, place)).transpose();
    let action = ScheduledAction {
        id: dice::uuid()?,
        start,
        end,
        recurrence,
        time_zone: zone.map(|zone| zone.name().to_owned()),
        min: count(stated.min_size, "minSize")?,
        max: count(stated.max_size, "maxSize")?,
        desired: count(stated.desired_capacity, "desiredCapacity")?,
        next,
    };
    asked.scale(ScalingChange::PutSchedule { group: group.clone(), name, action }).await.map(drop)
}

pub(in super::super) async fn delete(
    asked: &Asked<'_>,
    input: &wire::DeleteScheduledAction,
) -> Result<wire::DeleteScheduledActionOutput, Error> {
    let (group, name) = (group(&input.auto_scaling_group_name)?, action_name(&input.scheduled_action_name)?);
    asked.scale(ScalingChange::DeleteSchedule { group, name }).await?;
    Ok(wire::DeleteScheduledActionOutput {})
}

pub(in super::super) async fn delete_many(
    asked: &Asked<'_>,
    input: wire::BatchDeleteScheduledAction,
) -> Result<wire::BatchDeleteScheduledActionOutput, Error> {
    at_most(input.scheduled_action_names.len(), 50, "scheduledActionNames")?;
    let group = group(&input.auto_scaling_group_name)?;
    super::groups::existing(asked, &group)?;
    let mut failed = Vec::new();
    for text in input.scheduled_action_names {
        let done = match action_name(&text) {
            Ok(name) => asked.scale(ScalingChange::DeleteSchedule { group: group.clone(), name }).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            failed.push(failure(text, error));
        }
    }
    Ok(wire::BatchDeleteScheduledActionOutput { failed_scheduled_actions: failed.into() })
}

pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeScheduledActions,
) -> Result<wire::DescribeScheduledActionsOutput, Error> {
    let names = &input.scheduled_action_names;
    at_most(names.len(), 50, "scheduledActionNames")?;
    let page = Page::autoscaling("scheduled", input.max_records, input.next_token.as_deref())?;
    let of = shown::given(input.auto_scaling_group_name.clone()).map(|name| group(&name)).transpose()?;
    if let Some(of) = &of {
        super::groups::existing(asked, of)?;
    }
    let all = asked.world.scaling_groups().filter(|group| of.as_ref().is_none_or(|of| group.name == *of));
    let all = all.flat_map(|group| group.schedule.iter().map(move |(name, action)| (&group.name, name, action)));
    let (from, to) = (input.start_time.map(moment), input.end_time.map(moment));
    let chosen = all.filter(|(_, name, action)| match names.is_empty() {
        // With names stated, times are passed over (AWS).
        false => names.iter().any(|wanted| wanted == name.as_str()),
        true => from.is_none_or(|from| action.next >= from) && to.is_none_or(|to| action.next <= to),
    });
    let key = |(group, name, _): &(&AutoScalingGroupName, &ScalingName, &ScheduledAction)| format!("{group}\n{name}");
    let (held, next_token) = page.cut(chosen, key);
    let settings = asked.world.settings();
    let shown = held.into_iter().map(|(group, name, action)| wire::ScheduledUpdateGroupAction {
        auto_scaling_group_name: Some(group.to_string()),
        scheduled_action_name: Some(name.to_string()),
        scheduled_action_arn: Some(action_arn(
            &settings.region,
            &settings.account,
            &action.id,
            group.as_str(),
            name.as_str(),
        )),
        // As AWS shows it: when it acts next.
        time: Some(words::wire_time(action.next)),
        start_time: Some(words::wire_time(action.next)),
        end_time: action.end.map(words::wire_time),
        recurrence: action.recurrence.as_ref().map(|again| again.as_str().to_owned()),
        min_size: action.min.map(Into::into),
        max_size: action.max.map(Into::into),
        desired_capacity: action.desired.map(Into::into),
        time_zone: action.time_zone.clone(),
    });
    Ok(wire::DescribeScheduledActionsOutput { scheduled_update_group_actions: shown.collect(), next_token })
}

fn action_name(text: &str) -> Result<ScalingName, Error> {
    ScalingName::new(text).map_err(|bad| Error::validation(format!("Scheduled action name {}", bad.rule)))
}

fn moment(time: Time) -> Timestamp {
    Timestamp(u64::try_from(time.0).unwrap_or(0))
}

fn failure(name: String, error: Error) -> wire::FailedScheduledUpdateGroupActionRequest {
    wire::FailedScheduledUpdateGroupActionRequest {
        scheduled_action_name: name,
        error_code: Some(error.code.into_owned()),
        error_message: Some(error.message),
    }
}
