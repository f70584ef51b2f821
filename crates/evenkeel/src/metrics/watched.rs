//! What alarms watch: a metric, or an expression over some, in the very periods that an alarm is judged by.
//!
//! Those slide: they begin where the alarm's window does, not at multiples of themselves as GetMetricData's do ([`super::query`]).
//! Must never judge. Next: [`super::read`].

use std::collections::BTreeMap;

use evenkeel_core::alarm::{Datapoint, Window};
use evenkeel_core::noun::alarm::{MetricStat, Query, Watched};
use evenkeel_core::time::Timestamp;

use super::math::{Expression, Line, Scope, Value};
use super::{Metric, Range, Reader, Statistic, Unit};

/// Seconds since the epoch in which a window's periods begin and end.
#[derive(Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
    period: i64,
    now: i64,
}

impl Span {
    fn of(window: &Window, now: i64) -> Self {
        let seconds = |at: Timestamp| i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
        Self { from: seconds(window.start), to: seconds(window.end()), period: i64::from(window.period).max(1), now }
    }

    fn bucket(&self, second: i64) -> Option<usize> {
        usize::try_from((second - self.from).div_euclid(self.period)).ok()
    }
}

/// The values of a window's periods, the oldest first. May block.
///
/// # Errors
/// A statistic, a unit or an expression that is wrong; in words.
pub fn read(reader: &Reader, watched: &Watched, window: &Window, now: i64) -> Result<Vec<Option<Datapoint>>, String> {
    let span = Span::of(window, now);
    let points = match watched {
        Watched::Metric(stat) => measured(reader, stat, span)?,
        Watched::Math(queries) => {
            let line = |stat: &MetricStat| {
                let points = measured(reader, stat, span)?;
                Ok(points.into_iter().map(|(second, (value, _))| (second, value)).collect())
            };
            let points = watched_line(queries, span, line)?.points;
            points.into_iter().map(|(second, value)| (second, (value, None))).collect()
        }
    };
    let mut range = vec![None; window.buckets];
    for (second, (value, samples)) in points {
        let bucket = span.bucket(second);
        if let (Some(place), true) = (bucket.and_then(|bucket| range.get_mut(bucket)), value.is_finite()) {
            let at = Timestamp(u64::try_from(second).unwrap_or_default().saturating_mul(1000));
            *place = Some(Datapoint { at, value, samples });
        }
    }
    Ok(range)
}

/// Whether an alarm can watch this: its statistics, units and expressions are such, and the watched one is a time series.
///
/// # Errors
/// The first thing that is wrong, in words.
pub fn check(watched: &Watched) -> Result<(), String> {
    for stat in watched.stats() {
        parsed(stat)?;
    }
    if let Watched::Math(queries) = watched {
        let span = Span { from: 0, to: 180, period: 60, now: 180 };
        watched_line(queries, span, |_| Ok(BTreeMap::from([(0, 1.0), (60, 2.0), (120, 3.0)])))?;
    }
    Ok(())
}

fn parsed(stat: &MetricStat) -> Result<(Statistic, Option<Unit>), String> {
    let statistic = stat.statistic.parse::<Statistic>().map_err(|bad| bad.to_string())?;
    let unit = |text: &String| text.parse::<Unit>().map_err(|()| format!("`{text}` is no unit"));
    Ok((statistic, stat.unit.as_ref().map(unit).transpose()?))
}

/// Values and numbers of samples by the second in which their period begins.
fn measured(reader: &Reader, stat: &MetricStat, span: Span) -> Result<BTreeMap<i64, (f64, Option<f64>)>, String> {
    let (statistic, unit) = parsed(stat)?;
    let metric = Metric::new(&stat.metric.namespace, &stat.metric.name, stat.metric.dimensions.clone());
    let units = reader.units(&metric);
    let series = match unit {
        Some(unit) => units.into_iter().find(|(_, held)| *held == unit),
        // Without one: the unit that has the newest data.
        None => units.into_iter().next(),
    };
    let Some((series, _)) = series else { return Ok(BTreeMap::new()) };
    let range = Range { from: span.from, to: span.to, period: span.period };
    let buckets = reader.read(series, range, span.now);
    Ok(buckets
        .into_iter()
        .filter_map(|(second, bucket)| Some((second, (statistic.of(&bucket)?, Some(bucket.count)))))
        .collect())
}

/// The one query that is watched, after all that it refers to.
fn watched_line(
    queries: &[Query],
    span: Span,
    line: impl Fn(&MetricStat) -> Result<BTreeMap<i64, f64>, String>,
) -> Result<Line, String> {
    let mut named = BTreeMap::new();
    let mut metrics = Vec::new();
    let mut left = Vec::new();
    for query in queries {
        match (&query.stat, &query.expression) {
            (Some(stat), _) => {
                let label = query.label.clone().unwrap_or_else(|| query.id.clone());
                let points = line(stat)?;
                named.insert(query.id.clone(), Value::Line(Line { label, period: span.period, points }));
                metrics.push(query.id.clone());
            }
            (None, Some(text)) => {
                let wrong = |why| format!("Error in expression '{}': {why}", query.id);
                left.push((query, Expression::parse(text).map_err(wrong)?));
            }
            (None, None) => return Err(format!("`{}` is neither a metric nor an expression", query.id)),
        }
    }
    while !left.is_empty() {
        let waits = |expression: &Expression| {
            let mut waits = false;
            expression.names(&mut |name| waits |= left.iter().any(|(other, _)| other.id == name));
            waits
        };
        let Some(next) = left.iter().position(|(_, expression)| !waits(expression)) else {
            return Err(format!(
                "Error in expression '{}': it refers to itself, by way of others or not",
                left[0].0.id
            ));
        };
        let (query, expression) = left.remove(next);
        let scope = Scope { named: &named, metrics: &metrics, from: span.from, to: span.to, period: span.period };
        let value = expression.eval(&scope).map_err(|why| format!("Error in expression '{}': {why}", query.id))?;
        named.insert(query.id.clone(), value);
    }
    let watched = queries.iter().find(|query| query.watched.unwrap_or(true));
    let watched = watched.ok_or_else(|| "nothing is watched: one of the queries must return data".to_owned())?;
    match named.remove(&watched.id) {
        Some(Value::Line(line)) => Ok(line),
        Some(Value::Lines(lines)) if lines.len() == 1 => Ok(lines.into_iter().next().unwrap_or_default()),
        _ => Err(format!("Error in expression '{}': an alarm watches a single time series", watched.id)),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::noun::alarm::MetricName;

    use super::*;
    use crate::metrics::{Bucket, Limits, Sample, Store};

    const START: i64 = 1_700_000_000 / 3600 * 3600;

    fn stat(name: &str, statistic: &str, period: u32) -> MetricStat {
        let metric =
            MetricName { namespace: "n".into(), name: name.into(), dimensions: vec![("a".into(), "1".into())] };
        MetricStat { metric, period, statistic: statistic.into(), unit: None }
    }

    fn query(id: &str, stat: Option<MetricStat>, expression: Option<&str>) -> Query {
        let expression = expression.map(str::to_owned);
        let watched = Some(id == "watched");
        Query { id: id.into(), stat, expression, label: None, watched, period: None }
    }

    /// `m` is the second counted from the start, for ten minutes; `k` is 2 each second.
    fn store(dir: &tempfile::TempDir) -> Store {
        let mut store = Store::open(dir.path(), Limits::default(), START).unwrap();
        for second in 0..600 {
            for (name, value) in [("m", second as f64), ("k", 2.0)] {
                let metric = Metric::new("n", name, [("a", "1")]);
                let sample = Sample { metric, unit: Unit::Count, at: START + second, bucket: Bucket::of(value) };
                store.put(&[sample], START + second);
            }
        }
        store
    }

    fn window(from: i64, period: u32, buckets: usize) -> Window {
        Window { start: Timestamp(u64::try_from(START + from).unwrap() * 1000), period, buckets }
    }

    #[test]
    fn periods_begin_where_the_window_does() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let check = |watched: Watched, window: Window, wanted: &[Option<f64>]| {
            let range = read(&store.reader(), &watched, &window, START + 600).unwrap();
            let values: Vec<_> = range.iter().map(|point| point.map(|point| point.value)).collect();
            assert_eq!(values, wanted, "{watched:?}");
            for (bucket, point) in range.iter().enumerate() {
                assert!(point.is_none_or(|point| point.at == window.begins(bucket)));
            }
        };
        let metric = |statistic: &str, period| Watched::Metric(stat("m", statistic, period));
        check(metric("Minimum", 10), window(3, 10, 3), &[Some(3.0), Some(13.0), Some(23.0)]);
        check(metric("Maximum", 300), window(60, 300, 2), &[Some(359.0), Some(599.0)]);
        check(metric("SampleCount", 60), window(540, 60, 3), &[Some(60.0), None, None]);
        check(metric("Average", 60), window(-60, 60, 2), &[None, Some(29.5)]);
        let math = Watched::Math(vec![
            query("watched", None, Some("half * 10")),
            query("half", None, Some("m / k")),
            query("m", Some(stat("m", "Maximum", 300)), None),
            query("k", Some(stat("k", "Average", 300)), None),
        ]);
        check(math, window(60, 300, 1), &[Some(359.0 / 2.0 * 10.0)]);
        // Percentiles of many values are within 1 %.
        let range = read(&store.reader(), &metric("p50", 60), &window(0, 60, 1), START + 600).unwrap();
        let point = range[0].unwrap();
        assert!((point.value - 29.0).abs() <= 0.29, "{point:?}");
        assert_eq!(point.samples, Some(60.0));
    }

    #[test]
    fn what_cannot_be_watched_is_said() {
        let check_it = |watched: Watched, wanted: Option<&str>| match (check(&watched), wanted) {
            (Ok(()), None) => {}
            (Err(told), Some(wanted)) if told.contains(wanted) => {}
            (told, wanted) => panic!("{told:?}, wanted {wanted:?}"),
        };
        let math = |expression: &str| {
            let of = |id: &str| query(id, Some(stat("m", "Sum", 60)), None);
            Watched::Math(vec![of("a"), of("b"), query("watched", None, Some(expression))])
        };
        check_it(Watched::Metric(stat("m", "p99", 60)), None);
        check_it(Watched::Metric(stat("m", "Median", 60)), Some("`Median` is no statistic"));
        check_it(Watched::Metric(MetricStat { unit: Some("Furlong".into()), ..stat("m", "Sum", 60) }), Some("Furlong"));
        check_it(math("100 * a / b"), None);
        check_it(math("MAX(METRICS())"), None);
        check_it(math("IF(a > 1, b, 0)"), None);
        check_it(math("a / gone"), Some("Unknown id 'gone'"));
        check_it(math("watched + a"), Some("refers to itself"));
        check_it(math("a +"), Some("Error in expression 'watched'"));
        check_it(math("5"), Some("single time series"));
        check_it(math("METRICS()"), Some("single time series"));
    }
}
