//! DescribeAlarms and DescribeAlarmsForMetric.
//!
//! Owns an alarm's form on the wire. What was not stated is not shown, as in AWS.

use std::collections::BTreeSet;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, cloudwatch};
use evenkeel_core::noun::Alarm;
use evenkeel_core::noun::alarm::{Comparison, LowSamples, MetricStat, MissingData, Query, Watched};
use evenkeel_core::world::Settings;

use super::{names, records, required, state, wants_metric_alarms};
use crate::api::Asked;
use crate::api::page::Page;
use crate::api::words::wire_time;

/// Statistics that are shown as `Statistic`; others as `ExtendedStatistic`.
const SIMPLE: [&str; 5] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

pub(in crate::api) fn describe(
    asked: &Asked<'_>,
    input: &cloudwatch::DescribeAlarms,
) -> Result<cloudwatch::DescribeAlarmsOutput, Error> {
    let page = Page::alarms("alarms", records(input.max_records)?, input.next_token.as_deref())?;
    let prefix = input.alarm_name_prefix.as_deref().filter(|text| !text.is_empty());
    if prefix.is_some() && !input.alarm_names.is_empty() {
        let text = "AlarmNames and AlarmNamePrefix cannot be specified together";
        return Err(Error::sender("InvalidParameterCombination", text));
    }
    if input.children_of_alarm_name.is_some() || input.parents_of_alarm_name.is_some() {
        return Err(Error::validation("There are no composite alarms here, and so neither children nor parents"));
    }
    let wanted: Option<BTreeSet<&str>> = if input.alarm_names.is_empty() {
        None
    } else {
        names(&input.alarm_names)?;
        Some(input.alarm_names.iter().map(String::as_str).collect())
    };
    let state = input.state_value.as_deref().map(state).transpose()?;
    let is_shown = wants_metric_alarms(&input.alarm_types)?;
    let fits = |alarm: &Alarm| {
        is_shown
            && wanted.as_ref().is_none_or(|names| names.contains(alarm.name.as_str()))
            && prefix.is_none_or(|prefix| alarm.name.as_str().starts_with(prefix))
            && state.is_none_or(|state| alarm.state == state)
            && input
                .action_prefix
                .as_ref()
                .is_none_or(|prefix| alarm.settings.actions.all().any(|action| action.starts_with(prefix.as_str())))
    };
    let all = asked.world.alarms().filter(|alarm| fits(alarm));
    let (alarms, next_token) = page.cut(all, |alarm| alarm.name.to_string());
    let settings = asked.world.settings();
    Ok(cloudwatch::DescribeAlarmsOutput {
        composite_alarms: Members::default(),
        metric_alarms: alarms.into_iter().map(|alarm| wire(alarm, settings)).collect(),
        next_token,
    })
}

pub(in crate::api) fn for_metric(
    asked: &Asked<'_>,
    input: &cloudwatch::DescribeAlarmsForMetric,
) -> Result<cloudwatch::DescribeAlarmsForMetricOutput, Error> {
    let namespace = required(input.namespace.as_ref(), "namespace")?;
    let name = required(input.metric_name.as_ref(), "metricName")?;
    let stated =
        |one: &cloudwatch::Dimension| (one.name.clone().unwrap_or_default(), one.value.clone().unwrap_or_default());
    let dimensions: BTreeSet<(String, String)> = input.dimensions.iter().map(stated).collect();
    let statistic = input.statistic.as_ref().or(input.extended_statistic.as_ref());
    let fits = |alarm: &Alarm| {
        let Watched::Metric(stat) = &alarm.settings.watched else { return false };
        stat.metric.namespace == *namespace
            && stat.metric.name == *name
            && stat.metric.dimensions.len() == dimensions.len()
            && stat.metric.dimensions.iter().all(|one| dimensions.contains(one))
            && statistic.is_none_or(|wanted| *wanted == stat.statistic)
            && input.period.is_none_or(|wanted| u32::try_from(wanted) == Ok(stat.period))
            && input.unit.as_ref().is_none_or(|wanted| Some(wanted) == stat.unit.as_ref())
    };
    let settings = asked.world.settings();
    let alarms = asked.world.alarms().filter(|alarm| fits(alarm)).map(|alarm| wire(alarm, settings));
    Ok(cloudwatch::DescribeAlarmsForMetricOutput { metric_alarms: alarms.collect() })
}

fn wire(alarm: &Alarm, world: &Settings) -> cloudwatch::MetricAlarm {
    let settings = &alarm.settings;
    let stat = match &settings.watched {
        Watched::Metric(stat) => Some(stat),
        Watched::Math(_) => None,
    };
    let (simple, extended) = match stat {
        Some(stat) if SIMPLE.contains(&stat.statistic.as_str()) => (Some(stat.statistic.clone()), None),
        Some(stat) => (None, Some(stat.statistic.clone())),
        None => (None, None),
    };
    cloudwatch::MetricAlarm {
        alarm_name: alarm.name.to_string(),
        alarm_arn: alarm.arn(&world.region, &world.account),
        alarm_description: settings.description.clone(),
        alarm_configuration_updated_timestamp: wire_time(alarm.configured),
        actions_enabled: alarm.actions_enabled,
        ok_actions: settings.actions.ok.clone().into(),
        alarm_actions: settings.actions.alarm.clone().into(),
        insufficient_data_actions: settings.actions.insufficient_data.clone().into(),
        state_value: alarm.state.as_str().to_owned(),
        state_reason: alarm.reason.clone(),
        state_reason_data: alarm.reason_data.clone(),
        state_updated_timestamp: wire_time(alarm.updated),
        metric_name: stat.map(|stat| stat.metric.name.clone()),
        namespace: stat.map(|stat| stat.metric.namespace.clone()),
        statistic: simple,
        extended_statistic: extended,
        dimensions: stat.map(dimensions).unwrap_or_default(),
        period: stat.map(|stat| wire_number(stat.period)),
        unit: stat.and_then(|stat| stat.unit.clone()),
        evaluation_periods: wire_number(settings.evaluation_periods),
        datapoints_to_alarm: settings.datapoints_to_alarm.map(wire_number),
        threshold: settings.threshold,
        comparison_operator: Comparison::as_str(settings.comparison).to_owned(),
        treat_missing_data: settings.missing.map(|missing| MissingData::as_str(missing).to_owned()),
        evaluate_low_sample_count_percentile: settings.low_samples.map(|low| LowSamples::as_str(low).to_owned()),
        metrics: match &settings.watched {
            Watched::Metric(_) => None,
            Watched::Math(queries) => Some(queries.iter().map(query).collect()),
        },
        state_transitioned_timestamp: wire_time(alarm.transitioned),
    }
}

fn query(held: &Query) -> cloudwatch::MetricDataQuery {
    let stat = |stat: &MetricStat| cloudwatch::MetricStat {
        metric: Some(cloudwatch::Metric {
            namespace: Some(stat.metric.namespace.clone()),
            metric_name: Some(stat.metric.name.clone()),
            dimensions: dimensions(stat),
        }),
        period: Some(wire_number(stat.period)),
        stat: Some(stat.statistic.clone()),
        unit: stat.unit.clone(),
    };
    cloudwatch::MetricDataQuery {
        id: Some(held.id.clone()),
        metric_stat: held.stat.as_ref().map(stat),
        expression: held.expression.clone(),
        label: held.label.clone(),
        return_data: held.watched,
        period: held.period.map(wire_number),
        account_id: None,
    }
}

fn dimensions(stat: &MetricStat) -> Members<cloudwatch::Dimension> {
    let pair = |(name, value): &(String, String)| cloudwatch::Dimension {
        name: Some(name.clone()),
        value: Some(value.clone()),
    };
    stat.metric.dimensions.iter().map(pair).collect()
}

fn wire_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
