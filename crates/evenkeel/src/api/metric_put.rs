//! PutMetricData: what others measured, looked at and handed to the store.
//!
//! Bounds are AWS's ("CloudWatch service quotas"). All data of a call are looked at before any are taken in. Next: [`super::metric_data`].

use evenkeel_aws::cloudwatch::{MetricDatum, Nothing, PutMetricData};
use evenkeel_aws::{Error, Time};

use super::metric_words::{at_most, combination, invalid, invalid_value, metric, namespace, required, text, unit};
use super::{Asked, unkept};
use crate::metrics::{Bucket, Sample};

/// The most data of a call.
const DATA: usize = 1000;
/// The most values of a datum.
const VALUES: usize = 150;
/// How old data may be, in seconds: two weeks.
const PAST: i64 = 14 * 24 * 3600;
/// How far ahead of our clock, in seconds.
const FUTURE: i64 = 2 * 3600;
/// The largest value is 2 to this power.
const LARGEST: i32 = 360;

pub(super) async fn put(asked: &Asked<'_>, input: PutMetricData) -> Result<Nothing, Error> {
    let metrics = asked.api.metrics.as_ref().ok_or_else(unkept)?;
    let namespace = namespace(&input.namespace, "Namespace")?;
    if namespace.starts_with("AWS/") {
        return Err(invalid_value(namespace, "Namespace"));
    }
    let now = i64::try_from(asked.now.0 / 1000).unwrap_or(i64::MAX);
    let stated =
        || input.metric_data.iter().chain(input.entity_metric_data.iter().flat_map(|each| &each.metric_data.0));
    if stated().next().is_none() {
        return Err(Error::sender("MissingParameter", "The parameter MetricData is required."));
    }
    at_most(stated().count(), DATA, "MetricData")?;
    let samples = stated()
        .enumerate()
        .map(|(index, datum)| sample(namespace, datum, &format!("MetricData.member.{}", index + 1), now))
        .collect::<Result<Vec<_>, _>>()?;
    let limit = || {
        let text = "There is no room for more metrics, or too many samples wait to be written. See `GET /metrics`.";
        Error::sender("LimitExceeded", text)
    };
    match metrics.put_and_wait(samples).await {
        Ok(0) => Ok(Nothing {}),
        Ok(_) => Err(limit()),
        Err(_) => Err(Error::sender("Throttling", "Rate exceeded")),
    }
}

fn sample(namespace: &str, datum: &MetricDatum, at: &str, now: i64) -> Result<Sample, Error> {
    let field = |name: &str| format!("{at}.{name}");
    let name = text(&datum.metric_name, 255, &field("MetricName"))?;
    let metric = metric(namespace, name, &datum.dimensions, &field("Dimensions"))?;
    let unit = unit(datum.unit.as_deref(), &field("Unit"))?.unwrap_or_default();
    let step = match datum.storage_resolution {
        None | Some(60) => 60,
        Some(1) => 1,
        Some(other) => return Err(invalid_value(&other.to_string(), &field("StorageResolution"))),
    };
    let second = second(datum.timestamp, &field("Timestamp"), now)?;
    let bucket = measured(datum, at)?;
    Ok(Sample { metric, unit, at: second.div_euclid(step) * step, bucket })
}

fn second(stated: Option<Time>, parameter: &str, now: i64) -> Result<i64, Error> {
    let Some(Time(millis)) = stated else { return Ok(now) };
    let second = millis.div_euclid(1000);
    if second < now.saturating_sub(PAST) {
        let text = format!("The parameter {parameter} must specify a time no more than two weeks in the past.");
        return Err(invalid(text));
    }
    if second > now.saturating_add(FUTURE) {
        let text = format!("The parameter {parameter} must specify a time no more than two hours in the future.");
        return Err(invalid(text));
    }
    Ok(second)
}

/// What a datum says was measured, in whichever of the three ways.
fn measured(datum: &MetricDatum, at: &str) -> Result<Bucket, Error> {
    let field = |name: &str| format!("{at}.{name}");
    let ways = [
        ("Value", datum.value.is_some()),
        ("StatisticValues", datum.statistic_values.is_some()),
        ("Values", !datum.values.is_empty()),
    ];
    let stated: Vec<String> = ways.iter().filter(|(_, is)| *is).map(|(name, _)| field(name)).collect();
    if let [one, other, ..] = stated.as_slice() {
        let text = format!("The parameters {one} and {other} are mutually exclusive and you have specified both.");
        return Err(combination(text));
    }
    if let Some(value) = datum.value {
        return number(value, &field("Value")).map(Bucket::of);
    }
    if let Some(set) = &datum.statistic_values {
        let of = |value: &Option<f64>, name: &str| {
            let parameter = field(&format!("StatisticValues.{name}"));
            required(value, &parameter).and_then(|value| number(*value, &parameter))
        };
        let (count, sum) = (of(&set.sample_count, "SampleCount")?, of(&set.sum, "Sum")?);
        let (least, most) = (of(&set.minimum, "Minimum")?, of(&set.maximum, "Maximum")?);
        if count < 0.0 {
            return Err(invalid_value(&count.to_string(), &field("StatisticValues.SampleCount")));
        }
        if least > most {
            let text = format!(
                "The parameter {} must be at most {}.",
                field("StatisticValues.Minimum"),
                field("StatisticValues.Maximum")
            );
            return Err(invalid(text));
        }
        return Ok(Bucket::set(count, sum, least, most));
    }
    at_most(datum.values.len(), VALUES, &field("Values"))?;
    if !datum.counts.is_empty() && datum.counts.len() != datum.values.len() {
        let text = format!("The parameters {} and {} must have the same size.", field("Values"), field("Counts"));
        return Err(combination(text));
    }
    let mut all = Vec::with_capacity(datum.values.len());
    for (index, value) in datum.values.iter().enumerate() {
        let value = number(*value, &field("Values"))?;
        let count = number(datum.counts.get(index).copied().unwrap_or(1.0), &field("Counts"))?;
        if count < 0.0 {
            return Err(invalid_value(&count.to_string(), &field("Counts")));
        }
        all.push((value, count));
    }
    // A value that was measured never was not measured.
    Bucket::of_all(all.into_iter().filter(|(_, count)| *count > 0.0)).ok_or_else(|| {
        let names = [field("Value"), field("StatisticValues"), field("Values")].join(", ");
        combination(format!("At least one of the parameters {names} must be specified."))
    })
}

/// A number that can be kept.
fn number(value: f64, parameter: &str) -> Result<f64, Error> {
    let is_kept = value.is_finite() && value.abs() <= 2f64.powi(LARGEST);
    if is_kept { Ok(value) } else { Err(invalid_value(&value.to_string(), parameter)) }
}
