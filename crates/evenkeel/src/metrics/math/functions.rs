//! The functions of metric math.
//!
//! Of one series an aggregate (`SUM`) is a number, of an array it is a series, as AWS has it. Must never take a value that is
//! missing for 0: that is `FILL`'s.

use std::collections::BTreeMap;

use super::eval::{Scope, bounded, each, tidied};
use super::{BadExpression, Line, Value};

/// AWS's functions that need what is not here, and what that is.
const ABSENT: [(&str, &str); 7] = [
    ("SEARCH", "metrics are named one by one, and found with ListMetrics"),
    ("ANOMALY_DETECTION_BAND", "there is no anomaly detection"),
    ("INSIGHT_RULE_METRIC", "there are no insight rules"),
    ("SERVICE_QUOTA", "there are no service quotas"),
    ("DB_PERF_INSIGHTS", "there are no databases"),
    ("LAMBDA", "there are no functions of one's own"),
    ("SLICE", "metrics are named one by one"),
];

/// The most points of a series that is filled.
const MOST_POINTS: i64 = 100_800;

pub(super) fn call(name: &str, arguments: Vec<Value>, scope: &Scope<'_>) -> Result<Value, BadExpression> {
    let count = arguments.len();
    let mut arguments = arguments.into_iter();
    let wrong = |wanted: &str| Err(BadExpression(format!("{name} takes {wanted}, not {count}")));
    let one = |mut arguments: std::vec::IntoIter<Value>| match (arguments.next(), count) {
        (Some(value), 1) => Ok(value),
        _ => Err(BadExpression(format!("{name} takes 1 argument, not {count}"))),
    };
    match name {
        "ABS" => each(one(arguments)?, name, f64::abs),
        "CEIL" => each(one(arguments)?, name, f64::ceil),
        "FLOOR" => each(one(arguments)?, name, f64::floor),
        "LOG" => each(one(arguments)?, name, f64::ln),
        "LOG10" => each(one(arguments)?, name, f64::log10),
        "AVG" => aggregate(name, one(arguments)?, |values| values.iter().sum::<f64>() / values.len() as f64),
        "SUM" => aggregate(name, one(arguments)?, |values| values.iter().sum()),
        "MIN" => aggregate(name, one(arguments)?, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
        "MAX" => aggregate(name, one(arguments)?, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "STDDEV" => aggregate(name, one(arguments)?, deviation),
        "RUNNING_SUM" => each_line(name, one(arguments)?, |line| {
            let mut sum = 0.0;
            line.points.values_mut().for_each(|value| {
                sum += *value;
                *value = sum;
            });
        }),
        "DIFF" => each_line(name, one(arguments)?, |line| change(line, |by, _| by)),
        "RATE" => each_line(name, one(arguments)?, |line| change(line, |by, seconds| by / seconds)),
        "DIFF_TIME" => each_line(name, one(arguments)?, |line| change(line, |_, seconds| seconds)),
        "EPOCH" => each_line(name, one(arguments)?, |line| {
            line.points.iter_mut().for_each(|(at, value)| *value = *at as f64);
        }),
        "FIRST" | "LAST" => match one(arguments)? {
            Value::Lines(lines) => {
                let mut lines = lines.into_iter();
                let line = if name == "FIRST" { lines.next() } else { lines.next_back() };
                line.map(Value::Line).ok_or_else(|| BadExpression(format!("{name} cannot be of an empty array")))
            }
            value @ Value::Line(_) => Ok(value),
            other => unfit(name, &other),
        },
        "METRIC_COUNT" => match one(arguments)? {
            Value::Lines(lines) => Ok(Value::Scalar(lines.len() as f64)),
            Value::Line(_) => Ok(Value::Scalar(1.0)),
            other => unfit(name, &other),
        },
        "METRICS" => match (arguments.next(), count) {
            (None, _) => metrics("", scope),
            (Some(Value::Text(part)), 1) => metrics(&part, scope),
            (Some(other), 1) => unfit(name, &other),
            _ => wrong("at most 1 argument"),
        },
        "PERIOD" => match one(arguments)? {
            Value::Line(line) => Ok(Value::Scalar(line.period as f64)),
            other => unfit(name, &other),
        },
        "TIME_SERIES" => match one(arguments)? {
            Value::Scalar(value) => {
                let points = grid(scope.from, scope.to, scope.period).map(|at| (at, value)).collect();
                Ok(Value::Line(tidied(Line { label: value.to_string(), period: scope.period, points })))
            }
            other => unfit(name, &other),
        },
        "FILL" => match (arguments.next(), arguments.next(), count) {
            (Some(value), Some(with), 2) => fill(value, &with, scope),
            _ => wrong("2 arguments"),
        },
        "IF" => match (arguments.next(), arguments.next(), arguments.next(), count) {
            (Some(condition), Some(yes), no, 2 | 3) => choose(condition, &yes, no.as_ref()),
            _ => wrong("2 or 3 arguments"),
        },
        _ => Err(BadExpression(match ABSENT.iter().find(|(absent, _)| *absent == name) {
            Some((_, why)) => format!("{name} is not supported here: {why}"),
            None => format!("Unknown function '{name}'"),
        })),
    }
}

fn unfit<T>(name: &str, value: &Value) -> Result<T, BadExpression> {
    Err(BadExpression(format!("{name} cannot be of {}", value.kind())))
}

fn each_line(name: &str, value: Value, with: impl Fn(&mut Line)) -> Result<Value, BadExpression> {
    let of = |mut line: Line| {
        with(&mut line);
        tidied(line)
    };
    match value {
        Value::Line(line) => Ok(Value::Line(of(line))),
        Value::Lines(lines) => Ok(Value::Lines(lines.into_iter().map(of).collect())),
        other => unfit(name, &other),
    }
}

/// Of a series a number, of an array a series: of what is there at each second.
fn aggregate(name: &str, value: Value, with: impl Fn(&[f64]) -> f64) -> Result<Value, BadExpression> {
    match value {
        Value::Line(line) => {
            let values: Vec<f64> = line.points.into_values().collect();
            Ok(Value::Scalar(if values.is_empty() { f64::NAN } else { with(&values) }))
        }
        Value::Lines(lines) => {
            let mut at_each: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (at, value) in lines.iter().flat_map(|line| &line.points) {
                at_each.entry(*at).or_default().push(*value);
            }
            let period = lines.iter().map(|line| line.period).max().unwrap_or_default();
            let points = at_each.into_iter().map(|(at, values)| (at, with(&values))).collect();
            Ok(Value::Line(tidied(Line { label: name.into(), period, points })))
        }
        other => unfit(name, &other),
    }
}

/// Of all values, not of a sample of them.
fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// From each point to the next one that is there.
fn change(line: &mut Line, with: impl Fn(f64, f64) -> f64) {
    let points = std::mem::take(&mut line.points);
    let pairs = points.iter().zip(points.iter().skip(1));
    line.points = pairs.map(|((before, from), (at, to))| (*at, with(to - from, (at - before) as f64))).collect();
}

fn metrics(part: &str, scope: &Scope<'_>) -> Result<Value, BadExpression> {
    let chosen = scope.metrics.iter().filter(|id| id.contains(part));
    let lines = chosen.filter_map(|id| match scope.named.get(id) {
        Some(Value::Line(line)) => Some(line.clone()),
        _ => None,
    });
    bounded(lines.collect()).map(Value::Lines)
}

/// Every second at which a period begins.
fn grid(from: i64, to: i64, period: i64) -> impl Iterator<Item = i64> {
    let period = period.max(1);
    let first = from + (-from).rem_euclid(period);
    (0..MOST_POINTS).map(move |n| first.saturating_add(n.saturating_mul(period))).take_while(move |at| *at < to)
}

fn fill(value: Value, with: &Value, scope: &Scope<'_>) -> Result<Value, BadExpression> {
    if !matches!(with, Value::Scalar(_) | Value::Line(_) | Value::Word(_)) {
        return unfit("FILL with something that", with);
    }
    each_line("FILL", value, |line| {
        let phase = line.points.keys().next().map_or(0, |at| at.rem_euclid(line.period.max(1)));
        let missing: Vec<i64> = grid(scope.from - phase, scope.to - phase, line.period)
            .map(|at| at + phase)
            .filter(|at| !line.points.contains_key(at))
            .collect();
        let filled: Vec<(i64, f64)> =
            missing.into_iter().filter_map(|at| Some((at, filled(line, at, with)?))).collect();
        line.points.extend(filled);
    })
}

fn filled(line: &Line, at: i64, with: &Value) -> Option<f64> {
    let before = || line.points.range(..at).next_back();
    match with {
        Value::Scalar(value) => Some(*value),
        Value::Line(other) => other.points.get(&at).copied(),
        Value::Word("REPEAT") => before().map(|(_, value)| *value),
        // A straight line between the neighbours; beyond the ends the last value goes on.
        _ => match (before(), line.points.range(at..).next()) {
            (Some((t0, v0)), Some((t1, v1))) => Some(v0 + (v1 - v0) * (at - t0) as f64 / (t1 - t0) as f64),
            (Some((_, value)), None) | (None, Some((_, value))) => Some(*value),
            (None, None) => None,
        },
    }
}

fn choose(condition: Value, yes: &Value, no: Option<&Value>) -> Result<Value, BadExpression> {
    let at = |value: &Value, second: i64| match value {
        Value::Scalar(value) => Some(*value),
        Value::Line(line) => line.points.get(&second).copied(),
        _ => None,
    };
    for value in std::iter::once(yes).chain(no) {
        if !matches!(value, Value::Scalar(_) | Value::Line(_)) {
            return unfit("IF", value);
        }
    }
    match condition {
        Value::Scalar(condition) if condition != 0.0 => Ok(yes.clone()),
        Value::Scalar(_) => match no {
            Some(no) => Ok(no.clone()),
            None => Ok(Value::Line(Line::default())),
        },
        Value::Line(mut line) => {
            let points = std::mem::take(&mut line.points);
            let chosen = points.into_iter().filter_map(|(second, condition)| {
                let value = if condition != 0.0 { at(yes, second) } else { no.and_then(|no| at(no, second)) };
                value.map(|value| (second, value))
            });
            line.points = chosen.collect();
            Ok(Value::Line(tidied(line)))
        }
        other => unfit("IF", &other),
    }
}
