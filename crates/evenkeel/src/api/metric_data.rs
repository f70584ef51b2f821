//! ListMetrics, GetMetricStatistics and GetMetricData: what there is in the store.
//!
//! Reads on threads that may block. Must never write. Next: [`crate::metrics::query`].

use std::collections::BTreeMap;

use evenkeel_aws::cloudwatch::{
    Datapoint, Dimension, DimensionFilter, GetMetricData, GetMetricDataOutput, GetMetricStatistics,
    GetMetricStatisticsOutput, ListMetrics, ListMetricsOutput, Metric as Stated, MetricDataQuery, MetricDataResult,
};
use evenkeel_aws::time::WholeSeconds;
use evenkeel_aws::{Error, Time};

use super::metric_words::{
    at_most, combination, invalid, invalid_value, metric, namespace, of_structure, period, required, text, unit,
};
use super::{Asked, blocking, unkept};
use crate::metrics::math::{Expression, Line, Value};
use crate::metrics::query::{self, Measured, Query, Source};
use crate::metrics::{Filter, Metric, Range, Reader, Statistic};

/// Metrics on a page of ListMetrics.
const LISTED: usize = 500;
/// How long ago `PT3H` is, in seconds.
const RECENTLY: i64 = 3 * 3600;
/// The most points that GetMetricStatistics answers.
const STATISTICS: i64 = 1440;
/// The most points on a page of GetMetricData.
const POINTS: usize = 100_800;
/// The most queries of GetMetricData.
const QUERIES: usize = 500;
const DAY: i64 = 86_400;

fn now(asked: &Asked<'_>) -> i64 {
    i64::try_from(asked.now.0 / 1000).unwrap_or(i64::MAX)
}

fn reader(asked: &Asked<'_>) -> Result<Reader, Error> {
    asked.api.metrics.as_ref().map(|metrics| metrics.reader().clone()).ok_or_else(unkept)
}

pub(super) fn list(asked: &Asked<'_>, input: &ListMetrics) -> Result<ListMetricsOutput, Error> {
    let reader = reader(asked)?;
    let stated = |value: &Option<String>, most: usize, name: &str| match value {
        Some(_) => text(value, most, name).map(|text| Some(text.to_owned())),
        None => Ok(None),
    };
    at_most(input.dimensions.len(), 10, "Dimensions")?;
    let dimension = |(index, filter): (usize, &DimensionFilter)| {
        let at = |part: &str| format!("Dimensions.member.{}.{part}", index + 1);
        Ok((text(&filter.name, 255, &at("Name"))?.to_owned(), stated(&filter.value, 1024, &at("Value"))?))
    };
    let within = match input.recently_active.as_deref() {
        None => None,
        Some("PT3H") => Some(RECENTLY),
        Some(other) => return Err(invalid_value(other, "RecentlyActive")),
    };
    let filter = Filter {
        namespace: stated(&input.namespace, 255, "Namespace")?,
        name: stated(&input.metric_name, 255, "MetricName")?,
        dimensions: input.dimensions.iter().enumerate().map(dimension).collect::<Result<_, Error>>()?,
        within,
    };
    let after = match &input.next_token {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid_value(token, "NextToken"))?,
    };
    let account = &asked.world.settings().account;
    let (found, next) = match &input.owning_account {
        Some(owner) if owner != account => (Vec::new(), None),
        _ => reader.list(&filter, after, LISTED, now(asked)),
    };
    let owners =
        input.include_linked_accounts.unwrap_or(false).then(|| found.iter().map(|_| account.clone()).collect());
    Ok(ListMetricsOutput {
        metrics: found.iter().map(|metric| shown(metric)).collect(),
        next_token: next.map(|id| id.to_string()),
        owning_accounts: owners,
    })
}

fn shown(metric: &Metric) -> Stated {
    let dimension =
        |(name, value): &(String, String)| Dimension { name: Some(name.clone()), value: Some(value.clone()) };
    Stated {
        namespace: Some(metric.namespace.clone()),
        metric_name: Some(metric.name.clone()),
        dimensions: metric.dimensions().iter().map(dimension).collect(),
    }
}

/// The seconds from one time to before another, which must come after it.
fn span(start: &Option<Time>, end: &Option<Time>) -> Result<(i64, i64), Error> {
    let (Time(from), Time(to)) = (*required(start, "StartTime")?, *required(end, "EndTime")?);
    // The last second counts if any of it does.
    let (from, to) = (from.div_euclid(1000), to.saturating_add(999).div_euclid(1000));
    if from >= to {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    Ok((from, to))
}

pub(super) async fn statistics(
    asked: &Asked<'_>,
    input: GetMetricStatistics,
) -> Result<GetMetricStatisticsOutput, Error> {
    let reader = reader(asked)?;
    let namespace = namespace(&input.namespace, "Namespace")?;
    let name = text(&input.metric_name, 255, "MetricName")?.to_owned();
    let metric = metric(namespace, &name, &input.dimensions, "Dimensions")?;
    let (from, to) = span(&input.start_time, &input.end_time)?;
    let period = period(*required(&input.period, "Period")?, "Period")?;
    if input.statistics.is_empty() && input.extended_statistics.is_empty() {
        let text = "At least one of the parameters Statistics and ExtendedStatistics must be specified.";
        return Err(combination(text));
    }
    at_most(input.statistics.len(), 5, "Statistics")?;
    at_most(input.extended_statistics.len(), 10, "ExtendedStatistics")?;
    let of = |list: &[String], is_extended: bool, parameter: &str| {
        let read = |text: &String| {
            let statistic = text.parse::<Statistic>().ok().filter(|statistic| statistic.is_extended() == is_extended);
            statistic.map(|statistic| (text.clone(), statistic)).ok_or_else(|| invalid_value(text, parameter))
        };
        list.iter().map(read).collect::<Result<Vec<_>, _>>()
    };
    let plain = of(&input.statistics, false, "Statistics")?;
    let extended = of(&input.extended_statistics, true, "ExtendedStatistics")?;
    let unit = unit(input.unit.as_deref(), "Unit")?;
    let now = now(asked);
    // Of the time that is asked for, not of the whole minutes that it becomes.
    let wanted = points_within(&input.start_time, &input.end_time, period);
    let from = begun(from, period, now);
    if wanted > STATISTICS {
        return Err(combination(format!(
            "You have requested up to {wanted} datapoints, which exceeds the limit of {STATISTICS}. You may reduce the \
             datapoints requested by increasing Period, or decreasing the time range."
        )));
    }
    let points = blocking(move || {
        let mut points = Vec::new();
        let series = reader.units(&metric).into_iter().filter(|(_, held)| unit.is_none_or(|unit| unit == *held));
        for (id, unit) in series {
            for (at, bucket) in reader.read(id, Range { from, to, period }, now) {
                let mut point =
                    Datapoint { timestamp: second(at), unit: Some(unit.text().to_owned()), ..Datapoint::default() };
                for (_, statistic) in &plain {
                    let value = statistic.of(&bucket);
                    match statistic {
                        Statistic::SampleCount => point.sample_count = value,
                        Statistic::Average => point.average = value,
                        Statistic::Sum => point.sum = value,
                        Statistic::Minimum => point.minimum = value,
                        _ => point.maximum = value,
                    }
                }
                let values = extended.iter().filter_map(|(name, of)| Some((name.clone(), of.of(&bucket)?)));
                let values: BTreeMap<String, f64> = values.collect();
                // A point of which nothing is known is none.
                if plain.is_empty() && values.is_empty() {
                    continue;
                }
                point.extended_statistics = (!values.is_empty()).then(|| values.into());
                points.push(point);
            }
        }
        points
    })
    .await?;
    Ok(GetMetricStatisticsOutput { label: name, datapoints: points.into() })
}

fn points_within(start: &Option<Time>, end: &Option<Time>, period: i64) -> i64 {
    let millis = end.zip(*start).map_or(0, |(end, start)| end.0.saturating_sub(start.0));
    let period = period.saturating_mul(1000);
    millis.div_euclid(period) + i64::from(millis % period != 0)
}

/// Where the first period begins: as AWS does, what is asked for is moved back to a whole minute, and to one of the
/// resolution that is left of it where it is old.
fn begun(from: i64, period: i64, now: i64) -> i64 {
    let step = match now.saturating_sub(from) {
        _ if period < 60 => period,
        age if age < 15 * DAY => 60,
        age if age < 63 * DAY => 300,
        _ => 3600,
    };
    from.div_euclid(step) * step
}

fn second(second: i64) -> WholeSeconds {
    WholeSeconds::of(Time(second.saturating_mul(1000)))
}

/// Where the next page begins: at which query and line of its answer, and after how many of its points.
type Place = (usize, usize, usize);

pub(super) async fn data(asked: &Asked<'_>, input: GetMetricData) -> Result<GetMetricDataOutput, Error> {
    let reader = reader(asked)?;
    if input.metric_data_queries.is_empty() {
        return Err(Error::sender("MissingParameter", "The parameter MetricDataQueries is required."));
    }
    if input.metric_data_queries.len() > QUERIES {
        return Err(Error::validation(format!(
            "The collection MetricDataQueries must not have a size greater than {QUERIES}."
        )));
    }
    let (from, to) = span(&input.start_time, &input.end_time)?;
    let queries = queries(&input.metric_data_queries)?;
    let is_ascending = match input.scan_by.as_deref() {
        None | Some("TimestampDescending") => false,
        Some("TimestampAscending") => true,
        Some(other) => return Err(invalid_value(other, "ScanBy")),
    };
    let most = match input.max_datapoints {
        None => POINTS,
        Some(most) => usize::try_from(most)
            .ok()
            .filter(|most| (1..=POINTS).contains(most))
            .ok_or_else(|| invalid_value(&most.to_string(), "MaxDatapoints"))?,
    };
    let place = match &input.next_token {
        None => (0, 0, 0),
        Some(token) => {
            placed(token).ok_or_else(|| Error::sender("InvalidNextToken", "The token is not one of ours."))?
        }
    };
    let now = now(asked);
    let asked_for = queries.clone();
    let answers = blocking(move || query::run(&reader, &asked_for, from, to, now)).await?;
    let answers = answers.map_err(|bad| Error::validation(bad.to_string()))?;
    let is_returned = |at: usize| input.metric_data_queries[at].return_data != Some(false);
    let mut lines = Vec::new();
    for (at, (query, answer)) in queries.iter().zip(answers).enumerate().filter(|(at, _)| is_returned(*at)) {
        let found = match answer {
            Value::Line(line) => vec![line],
            Value::Lines(lines) => lines,
            _ => {
                let text = format!("Error in expression '{}': The result must be a time series", query.id);
                return Err(Error::validation(text));
            }
        };
        lines.extend(found.into_iter().enumerate().map(|(nth, line)| (at, nth, query.id.as_str(), line)));
    }
    Ok(page(lines, place, most, is_ascending))
}

/// As many points as fit on a page, from a place on.
fn page(lines: Vec<(usize, usize, &str, Line)>, place: Place, most: usize, is_ascending: bool) -> GetMetricDataOutput {
    let mut output = GetMetricDataOutput::default();
    let mut room = most;
    for (at, nth, id, line) in lines {
        if (at, nth) < (place.0, place.1) {
            continue;
        }
        let skipped = if (at, nth) == (place.0, place.1) { place.2 } else { 0 };
        let count = line.points.len().saturating_sub(skipped);
        if room == 0 && count > 0 {
            output.next_token = Some(format!("{at}.{nth}.{skipped}"));
            return output;
        }
        let mut points: Vec<(i64, f64)> = line.points.into_iter().collect();
        if !is_ascending {
            points.reverse();
        }
        let taken = &points[points.len() - count..][..count.min(room)];
        output.metric_data_results.push(MetricDataResult {
            id: id.to_owned(),
            label: line.label,
            timestamps: taken.iter().map(|(at, _)| second(*at)).collect(),
            values: taken.iter().map(|(_, value)| *value).collect(),
            status_code: if taken.len() < count { "PartialData" } else { "Complete" }.into(),
            messages: None,
        });
        if taken.len() < count {
            output.next_token = Some(format!("{at}.{nth}.{}", skipped + taken.len()));
            return output;
        }
        room -= taken.len();
    }
    output
}

fn placed(token: &str) -> Option<Place> {
    let mut parts = token.split('.').map(|part| part.parse().ok());
    let place = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(place)
}

/// Reads queries, as GetMetricData and alarms state them.
fn queries(stated: &[MetricDataQuery]) -> Result<Vec<Query>, Error> {
    let mut queries: Vec<Query> = Vec::with_capacity(stated.len());
    for (index, query) in stated.iter().enumerate() {
        let at = |part: &str| format!("MetricDataQueries.member.{}.{part}", index + 1);
        let id = text(&query.id, 255, &at("Id"))?;
        let is_id = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_id {
            return Err(Error::validation(format!(
                "The value {} for parameter {} is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                id.chars().take(64).collect::<String>(),
                at("Id")
            )));
        }
        if queries.iter().any(|held| held.id == id) {
            return Err(Error::validation(format!(
                "The values for parameter id in MetricDataQueries are not unique: {id}"
            )));
        }
        let source = match (&query.metric_stat, &query.expression) {
            (Some(stat), None) => {
                let at = |part: &str| at(&format!("MetricStat.{part}"));
                let metric = of_structure(required(&stat.metric, &at("Metric"))?, &at("Metric"))?;
                let period = period(*required(&stat.period, &at("Period"))?, &at("Period"))?;
                let statistic = required(&stat.stat, &at("Stat"))?;
                let statistic =
                    statistic.parse().map_err(|_| Error::validation(invalid_value(statistic, &at("Stat")).message))?;
                Source::Metric(Measured { metric, unit: unit(stat.unit.as_deref(), &at("Unit"))?, period, statistic })
            }
            (None, Some(expression)) => {
                let parsed = Expression::parse(expression)
                    .map_err(|why| Error::validation(format!("Error in expression '{id}': {why}")))?;
                Source::Expression(parsed, query.period.map(|seconds| period(seconds, &at("Period"))).transpose()?)
            }
            (Some(_), Some(_)) => {
                let text = format!(
                    "The parameters {} and {} are mutually exclusive and you have specified both.",
                    at("MetricStat"),
                    at("Expression")
                );
                return Err(Error::validation(text));
            }
            (None, None) => {
                let text =
                    format!("One of the parameters {} and {} must be specified.", at("MetricStat"), at("Expression"));
                return Err(Error::validation(text));
            }
        };
        queries.push(Query { id: id.to_owned(), source, label: query.label.clone() });
    }
    Ok(queries)
}
