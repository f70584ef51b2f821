//! DescribeAlarmHistory: what alarms went through, as JSON in AWS's words.
//!
//! Owns that JSON, and that it keeps to AWS's length and stays JSON: what is least missed goes first. Histories outlive their alarms.

use evenkeel_aws::{Error, cloudwatch};
use evenkeel_core::alarm::reason::MOST_REASON;
use evenkeel_core::noun::alarm::history::{ConfiguredHow, HistoryKind, Told};
use evenkeel_core::noun::alarm::{AlarmSettings, HistoryItem, Query, Watched};
use evenkeel_core::world::Settings;
use serde_json::{Map, Value, json};

use super::{name, one_of, records, wants_metric_alarms};
use crate::api::Asked;
use crate::api::page::Page;
use crate::api::words::wire_time;

/// Characters of an item's data (AWS).
const MOST_DATA: usize = 4095;

pub(in crate::api) fn describe(
    asked: &Asked<'_>,
    input: &cloudwatch::DescribeAlarmHistory,
) -> Result<cloudwatch::DescribeAlarmHistoryOutput, Error> {
    let page = Page::alarms("history", records(input.max_records)?, input.next_token.as_deref())?;
    let alarm = input.alarm_name.as_deref().map(|text| name(Some(text))).transpose()?;
    let kind = input
        .history_item_type
        .as_deref()
        .map(|text| one_of(text, "historyItemType", &HistoryKind::ALL, HistoryKind::as_str))
        .transpose()?;
    let orders = ["TimestampDescending", "TimestampAscending"];
    let order = one_of(input.scan_by.as_deref().unwrap_or(orders[0]), "scanBy", &orders, |word| word)?;
    let is_shown = wants_metric_alarms(&input.alarm_types)?;
    let fits = |item: &HistoryItem| {
        let at = wire_time(item.at);
        is_shown
            && kind.is_none_or(|kind| item.kind() == kind)
            && input.start_date.is_none_or(|start| at >= start)
            && input.end_date.is_none_or(|end| at <= end)
    };
    let world = &asked.world;
    let items: Vec<&HistoryItem> = match &alarm {
        Some(alarm) => world.alarm_history(alarm).map(AsRef::as_ref).filter(|item| fits(item)).collect(),
        None => {
            world.alarm_histories().flat_map(|(_, items)| items).map(AsRef::as_ref).filter(|item| fits(item)).collect()
        }
    };
    let (items, next_token) = page.of_ids(items, |item| &item.id, order == "TimestampDescending");
    Ok(cloudwatch::DescribeAlarmHistoryOutput {
        alarm_history_items: items.into_iter().map(|item| wire(item, world.settings())).collect(),
        next_token,
    })
}

fn wire(item: &HistoryItem, world: &Settings) -> cloudwatch::AlarmHistoryItem {
    cloudwatch::AlarmHistoryItem {
        alarm_name: item.alarm.to_string(),
        alarm_type: "MetricAlarm".into(),
        timestamp: wire_time(item.at),
        history_item_type: item.kind().as_str().to_owned(),
        history_summary: item.summary.clone(),
        history_data: data(item, world),
    }
}

/// The first of these that is short enough; the last always is.
fn fitting(forms: impl IntoIterator<Item = Value>) -> String {
    let mut text = String::new();
    for form in forms {
        text = form.to_string();
        if text.chars().count() <= MOST_DATA {
            break;
        }
    }
    text
}

fn data(item: &HistoryItem, world: &Settings) -> String {
    match &item.told {
        Told::Configured { how, settings, actions_enabled } => {
            let (word, field) = match how {
                ConfiguredHow::Create => ("Create", "createdAlarm"),
                ConfiguredHow::Update => ("Update", "updatedAlarm"),
                ConfiguredHow::Delete => ("Delete", "deletedAlarm"),
            };
            let form = |level: usize| {
                let alarm = configured(item, settings, *actions_enabled, world, level);
                json!({ "version": "1.0", "type": word, field: alarm })
            };
            fitting((0..4).map(form))
        }
        Told::Moved { from, from_reason, from_data, to, reason, data } => {
            let state = |value: &str, reason: &str, data: Option<&String>, length: usize| {
                let mut state = Map::new();
                state.insert("stateValue".into(), value.into());
                state.insert("stateReason".into(), reason.chars().take(length).collect::<String>().into());
                if let Some(data) = data.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
                    state.insert("stateReasonData".into(), data);
                }
                Value::Object(state)
            };
            let form = |old: Option<&String>, new: Option<&String>, length: usize| {
                json!({
                    "version": "1.0",
                    "oldState": state(from.as_str(), from_reason, old, length),
                    "newState": state(to.as_str(), reason, new, length),
                })
            };
            // A character of a reason can be six in JSON.
            fitting([
                form(from_data.as_ref(), data.as_ref(), MOST_REASON),
                form(None, data.as_ref(), MOST_REASON),
                form(None, None, MOST_REASON),
                form(None, None, 300),
            ])
        }
        Told::Acted { action, state, entered, error } => {
            let form = |length: usize| {
                let error = error.as_ref().map(|text| text.chars().take(length).collect::<String>());
                json!({
                    "actionState": if error.is_none() { "Succeeded" } else { "Failed" },
                    "stateValue": state.as_str(),
                    "stateUpdateTimestamp": entered.0,
                    "notificationResource": action,
                    "error": error,
                })
            };
            fitting([form(2000), form(300)])
        }
    }
}

/// An alarm's settings; of each level less of it, of the last what is always short enough.
fn configured(item: &HistoryItem, held: &AlarmSettings, enabled: bool, world: &Settings, level: usize) -> Value {
    let mut alarm = Map::new();
    let mut set = |name: &str, value: Value| drop(alarm.insert(name.to_owned(), value));
    set("alarmName", item.alarm.as_str().into());
    set("threshold", held.threshold.into());
    set("comparisonOperator", held.comparison.as_str().into());
    set("evaluationPeriods", held.evaluation_periods.into());
    if let Some(m) = held.datapoints_to_alarm {
        set("datapointsToAlarm", m.into());
    }
    if let Some(missing) = held.missing {
        set("treatMissingData", missing.as_str().into());
    }
    set("actionsEnabled", enabled.into());
    if level < 1 {
        set("alarmArn", format!("arn:aws:cloudwatch:{}:{}:alarm:{}", world.region, world.account, item.alarm).into());
        set("alarmDescription", held.description.clone().into());
    }
    if level < 2 {
        set("okactions", held.actions.ok.clone().into());
        set("alarmActions", held.actions.alarm.clone().into());
        set("insufficientDataActions", held.actions.insufficient_data.clone().into());
    }
    if level < 3 {
        match &held.watched {
            Watched::Metric(stat) => {
                let pair = |(name, value): &(String, String)| json!({ "name": name, "value": value });
                set("namespace", stat.metric.namespace.as_str().into());
                set("metricName", stat.metric.name.as_str().into());
                set("dimensions", stat.metric.dimensions.iter().map(pair).collect());
                set("period", stat.period.into());
                set("statistic", stat.statistic.as_str().into());
                if let Some(unit) = &stat.unit {
                    set("unit", unit.as_str().into());
                }
            }
            Watched::Math(queries) => set("metrics", queries.iter().map(query).collect()),
        }
    }
    Value::Object(alarm)
}

fn query(held: &Query) -> Value {
    let metric =
        held.stat.as_ref().map(|stat| format!("{}/{} {}", stat.metric.namespace, stat.metric.name, stat.statistic));
    json!({ "id": held.id, "expression": held.expression, "metric": metric, "returnData": held.watched })
}
