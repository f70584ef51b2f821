//! PutMetricAlarm: what an alarm is to be.
//!
//! Owns the reading of its parameters: which words they take, and which cannot be stated together. What lengths, ranges and ARNs are
//! good is [`evenkeel_core::noun::alarm::check`]'s. What AWS has and nothing here would honour is refused rather than kept.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, cloudwatch};
use evenkeel_core::change::{AlarmChange, NewAlarm};
use evenkeel_core::noun::AlarmSettings;
use evenkeel_core::noun::alarm::{
    Actions, Comparison, LowSamples, MetricName, MetricStat, MissingData, Query, Watched,
};

use super::{name, null, one_of, required, tags};
use crate::api::{Asked, words};
use crate::metrics::{Unit, watched};

/// Statistics that need no parameter (AWS).
const STATISTICS: [&str; 5] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

pub(in crate::api) async fn put(
    asked: &Asked<'_>,
    input: cloudwatch::PutMetricAlarm,
) -> Result<cloudwatch::Nothing, Error> {
    let new = NewAlarm {
        name: name(input.alarm_name.as_deref())?,
        actions_enabled: input.actions_enabled.unwrap_or(true),
        tags: tags(&input.tags)?,
        settings: settings(input)?,
    };
    watched::check(&new.settings.watched).map_err(Error::validation)?;
    asked.alarms(AlarmChange::Put(Box::new(new))).await
}

fn settings(input: cloudwatch::PutMetricAlarm) -> Result<AlarmSettings, Error> {
    if input.threshold_metric_id.is_some() {
        return Err(Error::validation("Anomaly detection is not supported here: state Threshold"));
    }
    if input.evaluation_window.is_some_and(|window| window.wall_clock_window.is_some()) {
        return Err(Error::validation("Wall clock windows are not supported here: windows slide"));
    }
    if input.warm_up_configuration.is_some() {
        return Err(Error::validation("Warm-up periods are not supported here"));
    }
    let watched = if input.metrics.is_empty() {
        Watched::Metric(MetricStat {
            metric: metric(
                required(input.namespace, "namespace")?,
                required(input.metric_name, "metricName")?,
                &input.dimensions,
            )?,
            period: seconds(required(input.period, "period")?, "period")?,
            statistic: match (input.statistic, input.extended_statistic) {
                (Some(statistic), None) => one_of(&statistic, "statistic", &STATISTICS, |word| word)?.to_owned(),
                (None, Some(extended)) if !STATISTICS.contains(&extended.as_str()) => extended,
                _ => return Err(Error::validation("Exactly one of Statistic and ExtendedStatistic must be specified")),
            },
            unit: input.unit.map(unit).transpose()?,
        })
    } else {
        let metric_too = input.metric_name.is_some()
            || input.namespace.is_some()
            || input.statistic.is_some()
            || input.extended_statistic.is_some()
            || input.period.is_some()
            || input.unit.is_some()
            || !input.dimensions.is_empty();
        if metric_too {
            let text = "Metrics cannot be specified together with MetricName, Namespace, Dimensions, Period, Unit, \
                        Statistic or ExtendedStatistic";
            return Err(Error::validation(text));
        }
        Watched::Math(input.metrics.into_iter().map(query).collect::<Result<_, _>>()?)
    };
    let actions = |list: Members<String>| list.0;
    let settings = AlarmSettings {
        description: input.alarm_description,
        actions: Actions {
            ok: actions(input.ok_actions),
            alarm: actions(input.alarm_actions),
            insufficient_data: actions(input.insufficient_data_actions),
        },
        watched,
        evaluation_periods: count(required(input.evaluation_periods, "evaluationPeriods")?, "evaluationPeriods")?,
        datapoints_to_alarm: input.datapoints_to_alarm.map(|n| count(n, "datapointsToAlarm")).transpose()?,
        threshold: required(input.threshold, "threshold")?,
        comparison: comparison(&required(input.comparison_operator, "comparisonOperator")?)?,
        missing: input
            .treat_missing_data
            .map(|text| one_of(&text, "treatMissingData", &MissingData::ALL, MissingData::as_str))
            .transpose()?,
        low_samples: input
            .evaluate_low_sample_count_percentile
            .map(|text| {
                let all = [LowSamples::Evaluate, LowSamples::Ignore];
                one_of(&text, "evaluateLowSampleCountPercentile", &all, LowSamples::as_str)
            })
            .transpose()?,
    };
    let is_simple = |stat: &MetricStat| STATISTICS.contains(&stat.statistic.as_str());
    if settings.low_samples.is_some() && settings.watched.stats().all(is_simple) {
        return Err(Error::validation("EvaluateLowSampleCountPercentile goes with percentiles only"));
    }
    Ok(settings)
}

/// boto 2 writes an alarm that it has read back with the operator's sign.
fn comparison(text: &str) -> Result<Comparison, Error> {
    Ok(match text {
        ">=" => Comparison::GreaterThanOrEqualToThreshold,
        ">" => Comparison::GreaterThanThreshold,
        "<" => Comparison::LessThanThreshold,
        "<=" => Comparison::LessThanOrEqualToThreshold,
        _ => one_of(text, "comparisonOperator", &Comparison::ALL, Comparison::as_str)?,
    })
}

fn query(stated: cloudwatch::MetricDataQuery) -> Result<Query, Error> {
    let stat = match stated.metric_stat {
        None => None,
        Some(stat) => {
            let named = required(stat.metric, "metrics.member.metricStat.metric")?;
            let statistic = required(stat.stat, "metrics.member.metricStat.stat")?;
            let (namespace, name) =
                (required(named.namespace, "namespace")?, required(named.metric_name, "metricName")?);
            Some(MetricStat {
                metric: metric(namespace, name, &named.dimensions)?,
                period: seconds(required(stat.period, "period")?, "period")?,
                statistic,
                unit: stat.unit.map(unit).transpose()?,
            })
        }
    };
    Ok(Query {
        id: required(stated.id, "metrics.member.id")?,
        stat,
        expression: stated.expression,
        label: stated.label.map(|label| label.chars().take(255).collect()),
        watched: stated.return_data,
        period: stated.period.map(|period| seconds(period, "period")).transpose()?,
    })
}

fn metric(namespace: String, name: String, dimensions: &Members<cloudwatch::Dimension>) -> Result<MetricName, Error> {
    let pair = |stated: &cloudwatch::Dimension| {
        let one = |text: &Option<String>, place: &str| text.clone().ok_or_else(|| null(place));
        Ok::<_, Error>((one(&stated.name, "dimensions.member.name")?, one(&stated.value, "dimensions.member.value")?))
    };
    Ok(MetricName { namespace, name, dimensions: dimensions.iter().map(pair).collect::<Result<_, _>>()? })
}

fn unit(text: String) -> Result<String, Error> {
    match text.parse::<Unit>() {
        Ok(_) => Ok(text),
        Err(()) => Err(words::out_of_bounds(&text, "unit", "Member must satisfy enum value set: CloudWatch's units")),
    }
}

fn seconds(stated: i32, place: &str) -> Result<u32, Error> {
    count(stated, place)
}

fn count(stated: i32, place: &str) -> Result<u32, Error> {
    u32::try_from(stated).ok().filter(|n| *n >= 1).ok_or_else(|| {
        let rule = "Member must have value greater than or equal to 1";
        words::out_of_bounds(&stated.to_string(), place, rule)
    })
}
