//! Several questions at once: metrics, and expressions over them, by id.
//!
//! What GetMetricData and alarms ask. Bounded: all metrics of a question together span at most [`MOST_POINTS`] periods. Must
//! never know who asks. Next: [`super::math`].

use std::collections::BTreeMap;

use super::math::{self, BadExpression, Expression, Line, Scope, Value};
use super::{Metric, Range, Reader, Statistic, Unit};

/// Periods of all metrics of a question together.
pub const MOST_POINTS: i64 = 1_000_000;

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// By which expressions refer to it.
    pub id: String,
    /// What is asked.
    pub source: Source,
    /// What it is called in a legend.
    pub label: Option<String>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A metric.
    Metric(Measured),
    /// Something of other questions; with the seconds of a period, where it is made of none.
    Expression(Expression, Option<i64>),
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Which.
    pub metric: Metric,
    /// Without one: the unit that has the newest data.
    pub unit: Option<Unit>,
    /// Seconds.
    pub period: i64,
    /// What of each period.
    pub statistic: Statistic,
}

/// Why questions cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    /// An expression is wrong.
    #[error("Error in expression '{0}': {1}")]
    Expression(String, BadExpression),
    /// They ask for too much.
    #[error("You have requested up to {0} datapoints, which exceeds the limit of {MOST_POINTS}.")]
    TooMuch(i64),
}

impl Measured {
    /// Its points from one second to before another. Periods begin at multiples of themselves. May block.
    #[must_use]
    pub fn read(&self, reader: &Reader, from: i64, to: i64, now: i64) -> BTreeMap<i64, f64> {
        let range = Range { from: from.div_euclid(self.period) * self.period, to, period: self.period };
        let units = reader.units(&self.metric);
        let series = match self.unit {
            Some(unit) => units.into_iter().find(|(_, held)| *held == unit),
            None => units.into_iter().next(),
        };
        let Some((series, _)) = series else { return BTreeMap::new() };
        let buckets = reader.read(series, range, now);
        buckets.into_iter().filter_map(|(at, bucket)| Some((at, self.statistic.of(&bucket)?))).collect()
    }
}

/// The answers, one for each question, in order. May block.
///
/// # Errors
/// An expression that is wrong, refers to nobody or to itself; too many periods.
pub fn run(reader: &Reader, queries: &[Query], from: i64, to: i64, now: i64) -> Result<Vec<Value>, BadQuery> {
    let measured = || {
        queries.iter().filter_map(|query| match &query.source {
            Source::Metric(measured) => Some((query, measured)),
            Source::Expression(..) => None,
        })
    };
    let wanted = measured().map(|(_, measured)| (to - from) / measured.period.max(1) + 1).sum();
    if wanted > MOST_POINTS {
        return Err(BadQuery::TooMuch(wanted));
    }
    let mut named = BTreeMap::new();
    for (query, measured) in measured() {
        let label = query.label.clone().unwrap_or_else(|| measured.metric.name.clone());
        let line = Line { label, period: measured.period, points: measured.read(reader, from, to, now) };
        named.insert(query.id.clone(), Value::Line(line));
    }
    let metrics: Vec<String> = measured().map(|(query, _)| query.id.clone()).collect();
    let coarsest = measured().map(|(_, measured)| measured.period).max().unwrap_or(60);
    for query in ordered(queries)? {
        let Source::Expression(expression, period) = &query.source else { continue };
        let scope = Scope { named: &named, metrics: &metrics, from, to, period: period.unwrap_or(coarsest).max(1) };
        let wrong = |why| BadQuery::Expression(query.id.clone(), why);
        let mut value = expression.eval(&scope).map_err(wrong)?;
        if let Value::Line(line) = &mut value {
            line.label = query.label.clone().unwrap_or_else(|| query.id.clone());
        }
        named.insert(query.id.clone(), value);
    }
    Ok(queries.iter().map(|query| named.get(&query.id).cloned().unwrap_or(Value::Lines(Vec::new()))).collect())
}

/// Questions so that each comes after those that it refers to.
fn ordered(queries: &[Query]) -> Result<Vec<&Query>, BadQuery> {
    let mut left: Vec<&Query> = queries.iter().collect();
    let mut done = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |query: &&Query| match &query.source {
            Source::Metric(_) => false,
            Source::Expression(expression, _) => {
                let mut waits = false;
                expression.names(&mut |name| waits |= left.iter().any(|other| other.id == name));
                waits
            }
        };
        let (waiting, ready): (Vec<_>, Vec<_>) = left.iter().copied().partition(waits);
        if ready.is_empty() {
            let why = math::BadExpression("It refers to itself, by way of others or not".into());
            return Err(BadQuery::Expression(waiting[0].id.clone(), why));
        }
        done.extend(ready);
        left = waiting;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Bucket, Limits, Sample, Store};

    const START: i64 = 1_700_000_000 / 3600 * 3600;

    fn metric() -> Metric {
        Metric::new("n", "m", [("a", "1")])
    }

    fn expression(id: &str, text: &str) -> Query {
        Query { id: id.into(), source: Source::Expression(Expression::parse(text).unwrap(), None), label: None }
    }

    fn measured(id: &str, statistic: Statistic) -> Query {
        let source = Source::Metric(Measured { metric: metric(), unit: None, period: 60, statistic });
        Query { id: id.into(), source, label: Some("label".into()) }
    }

    #[test]
    fn expressions_follow_what_they_refer_to_in_whatever_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Limits::default(), START).unwrap();
        for second in 0..180 {
            let bucket = Bucket::of(second as f64);
            store.put(&[Sample { metric: metric(), unit: Unit::Count, at: START + second, bucket }], START);
        }
        let queries = [
            expression("e2", "e1 * 2"),
            measured("m1", Statistic::Sum),
            expression("e1", "m1 / m2"),
            measured("m2", Statistic::SampleCount),
        ];
        let now = START + 180;
        let answers = run(&store.reader(), &queries, START, now, now).unwrap();
        let Value::Line(line) = &answers[0] else { panic!("{answers:?}") };
        assert_eq!(line.points.values().copied().collect::<Vec<_>>(), [59.0, 179.0, 299.0]);
        assert_eq!((line.label.as_str(), line.period), ("e2", 60));
        let Value::Line(line) = &answers[1] else { panic!("{answers:?}") };
        assert_eq!((line.label.as_str(), line.points.len()), ("label", 3));
        // Periods begin at multiples of themselves, and the last second is not asked for.
        let answers = run(&store.reader(), &queries[1..2], START + 30, START + 120, now).unwrap();
        let Value::Line(line) = &answers[0] else { panic!("{answers:?}") };
        assert_eq!(line.points.keys().copied().collect::<Vec<_>>(), [START, START + 60]);
    }

    #[test]
    fn what_refers_to_itself_or_asks_for_too_much_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Limits::default(), START).unwrap();
        let told =
            |queries: &[Query], to: i64| run(&store.reader(), queries, START, to, START).unwrap_err().to_string();
        let circle = [expression("a", "b + 1"), expression("b", "a + 1")];
        assert_eq!(told(&circle, START + 60), "Error in expression 'a': It refers to itself, by way of others or not");
        assert_eq!(told(&[expression("a", "gone")], START + 60), "Error in expression 'a': Unknown id 'gone'");
        let many: Vec<_> = (0..10).map(|n| measured(&format!("m{n}"), Statistic::Sum)).collect();
        assert!(told(&many, START + 60 * 200_000).contains("exceeds the limit"));
    }
}
