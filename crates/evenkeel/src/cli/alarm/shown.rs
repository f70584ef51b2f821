//! `evenkeel alarm list`, `show` and `history`.
//!
//! Owns how alarms look to people, and to programs in JSON.

use anyhow::Context;
use evenkeel_aws::cloudwatch::{self, MetricAlarm};
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::failure::refused;
use super::super::streams::Streams;
use super::super::table::Table;
use super::{History, Kind, List, Show};

/// Pages of a listing: more than there can be.
const MOST_PAGES: usize = 10_000;

pub(super) fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let input = cloudwatch::DescribeAlarms {
        state_value: args.state.map(|state| state.word().to_owned()),
        alarm_name_prefix: args.prefix.clone(),
        ..cloudwatch::DescribeAlarms::default()
    };
    let alarms = alarms(client, input).context("failed to list alarms")?;
    if args.json {
        let all: Vec<Value> = alarms.iter().map(shown).collect();
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&all)?)?);
    }
    let mut table = Table::new(["ALARM", "STATE", "SINCE", "ACTIONS", "WATCHES"]);
    for alarm in alarms {
        let actions = if alarm.actions_enabled { "on" } else { "off" }.to_owned();
        let since = alarm.state_transitioned_timestamp.to_string();
        let watches = watches(&alarm);
        table.push([alarm.alarm_name, alarm.state_value, since, actions, watches]);
    }
    Ok(table.write(streams)?)
}

pub(super) fn show(args: &Show, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let name = &args.name;
    let failed = || format!("failed to show the alarm `{name}`");
    let input = cloudwatch::DescribeAlarms { alarm_names: vec![name.clone()].into(), ..Default::default() };
    let Some(alarm) = alarms(client, input).with_context(failed)?.into_iter().next() else {
        return refused("ResourceNotFound", format!("The alarm '{name}' does not exist")).with_context(failed);
    };
    if args.json {
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown(&alarm))?)?);
    }
    let mut line = |what: &str, text: &str| writeln!(streams.out, "{what:<12}  {text}");
    line("alarm", &alarm.alarm_name)?;
    line("arn", &alarm.alarm_arn)?;
    if let Some(text) = &alarm.alarm_description {
        line("description", text)?;
    }
    line("state", &format!("{} since {}", alarm.state_value, alarm.state_transitioned_timestamp))?;
    line("because", &alarm.state_reason)?;
    line("watches", &watches(&alarm))?;
    for dimension in &alarm.dimensions {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        line("on", &format!("{}={}", text(&dimension.name), text(&dimension.value)))?;
    }
    for query in alarm.metrics.iter().flatten() {
        line("with", &said(query))?;
    }
    if let Some(missing) = &alarm.treat_missing_data {
        line("missing data", missing)?;
    }
    line("actions", if alarm.actions_enabled { "on" } else { "off" })?;
    for (state, actions) in actions(&alarm) {
        for action in actions {
            line(&format!("into {state}"), action)?;
        }
    }
    Ok(())
}

pub(super) fn history(args: &History, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let kind = args.kind.map(|kind| match kind {
        Kind::Configuration => "ConfigurationUpdate",
        Kind::State => "StateUpdate",
        Kind::Action => "Action",
    });
    let mut input = cloudwatch::DescribeAlarmHistory {
        alarm_name: args.name.clone(),
        history_item_type: kind.map(str::to_owned),
        ..cloudwatch::DescribeAlarmHistory::default()
    };
    let wanted = args.limit as usize;
    let mut items = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = client.call(&input).context("failed to show the history")?;
        items.extend(page.alarm_history_items);
        input.next_token = page.next_token;
        if items.len() >= wanted || input.next_token.is_none() {
            break;
        }
    }
    items.truncate(wanted);
    if args.json {
        let item = |item: &cloudwatch::AlarmHistoryItem| {
            json!({
                "alarm": item.alarm_name, "at": item.timestamp.to_string(), "kind": item.history_item_type,
                "summary": item.history_summary,
                "data": serde_json::from_str::<Value>(&item.history_data).unwrap_or(Value::Null),
            })
        };
        let all: Vec<Value> = items.iter().map(item).collect();
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&all)?)?);
    }
    let mut table = Table::new(["AT", "ALARM", "WHAT", "WHY"]);
    for item in items {
        let why = why(&item.history_data);
        table.push([item.timestamp.to_string(), item.alarm_name, item.history_summary, why]);
    }
    Ok(table.write(streams)?)
}

/// The reason within an item's data.
fn why(data: &str) -> String {
    let data: Value = serde_json::from_str(data).unwrap_or(Value::Null);
    let text = data["newState"]["stateReason"].as_str().or_else(|| data["error"].as_str());
    text.unwrap_or_default().to_owned()
}

fn alarms(client: &Client, mut input: cloudwatch::DescribeAlarms) -> anyhow::Result<Vec<MetricAlarm>> {
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = client.call(&input)?;
        all.extend(page.metric_alarms);
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            break;
        }
    }
    Ok(all)
}

fn actions(alarm: &MetricAlarm) -> [(&'static str, &[String]); 3] {
    [
        ("ALARM", &alarm.alarm_actions),
        ("OK", &alarm.ok_actions),
        ("INSUFFICIENT_DATA", &alarm.insufficient_data_actions),
    ]
}

/// `Average of App/Load > 0.8, 3 of 5 × 10 s`.
fn watches(alarm: &MetricAlarm) -> String {
    let sign = match alarm.comparison_operator.as_str() {
        "GreaterThanThreshold" => ">",
        "GreaterThanOrEqualToThreshold" => ">=",
        "LessThanThreshold" => "<",
        _ => "<=",
    };
    let what = match &alarm.metrics {
        Some(queries) => {
            let watched = queries.iter().find(|query| query.return_data.unwrap_or(true));
            watched.map(said).unwrap_or_default()
        }
        None => {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            let statistic = text(&alarm.statistic) + &text(&alarm.extended_statistic);
            format!("{statistic} of {}/{}", text(&alarm.namespace), text(&alarm.metric_name))
        }
    };
    let periods = alarm.evaluation_periods;
    let m = alarm.datapoints_to_alarm.unwrap_or(periods);
    let period =
        alarm.period.or_else(|| alarm.metrics.iter().flatten().find_map(|query| query.metric_stat.as_ref()?.period));
    format!("{what} {sign} {}, {m} of {periods} × {} s", alarm.threshold, period.unwrap_or(60))
}

fn said(query: &cloudwatch::MetricDataQuery) -> String {
    let id = query.id.clone().unwrap_or_default();
    match (&query.expression, &query.metric_stat) {
        (Some(expression), _) => format!("{id} = {expression}"),
        (None, Some(stat)) => {
            let text = |part: Option<&String>| part.cloned().unwrap_or_default();
            let metric = stat.metric.as_ref();
            let namespace = text(metric.and_then(|metric| metric.namespace.as_ref()));
            let name = text(metric.and_then(|metric| metric.metric_name.as_ref()));
            format!("{id} = {} of {namespace}/{name}", text(stat.stat.as_ref()))
        }
        (None, None) => id,
    }
}

fn shown(alarm: &MetricAlarm) -> Value {
    let dimension = |one: &cloudwatch::Dimension| (one.name.clone().unwrap_or_default(), json!(one.value));
    let dimensions: serde_json::Map<String, Value> = alarm.dimensions.iter().map(dimension).collect();
    json!({
        "alarm": alarm.alarm_name, "arn": alarm.alarm_arn, "description": alarm.alarm_description,
        "state": alarm.state_value, "since": alarm.state_transitioned_timestamp.to_string(),
        "reason": alarm.state_reason,
        "reason_data": alarm.state_reason_data.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
        "namespace": alarm.namespace, "metric": alarm.metric_name, "dimensions": dimensions,
        "statistic": alarm.statistic.as_ref().or(alarm.extended_statistic.as_ref()), "unit": alarm.unit,
        "math": alarm.metrics.as_ref().map(|queries| queries.iter().map(said).collect::<Vec<_>>()),
        "period": alarm.period, "of": alarm.evaluation_periods,
        "for": alarm.datapoints_to_alarm.unwrap_or(alarm.evaluation_periods),
        "comparison": alarm.comparison_operator, "threshold": alarm.threshold,
        "missing_data": alarm.treat_missing_data.as_deref().unwrap_or("missing"),
        "actions_enabled": alarm.actions_enabled, "alarm_actions": alarm.alarm_actions.0,
        "ok_actions": alarm.ok_actions.0, "insufficient_data_actions": alarm.insufficient_data_actions.0,
    })
}
