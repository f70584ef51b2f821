//! Whether settings make an alarm.
//!
//! Owns the rules that need nothing else: lengths, ranges, what goes with what. AWS's texts where AWS has one. What is left to whoever
//! knows statistics and expressions: whether they are any.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{
    Action, AlarmSettings, LONGEST, LONGEST_OF_HOURS, LONGEST_PERIOD, MOST_ACTIONS, MOST_DIMENSIONS, MOST_METRICS,
    MOST_QUERIES, MetricStat, Query, Watched,
};

/// Why settings make no alarm. Completes "failed to …"; where AWS has a text it is AWS's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAlarm {
    /// A number or a length outside its range.
    #[error("{0}")]
    Value(String),
    /// Things that do not go together.
    #[error("{0}")]
    Combination(String),
}

impl AlarmSettings {
    /// Holds the settings against the rules that need nothing else.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn validate(&self) -> Result<(), BadAlarm> {
        let value = |holds: bool, what: &str| if holds { Ok(()) } else { Err(BadAlarm::Value(what.to_owned())) };
        let both = |holds: bool, what: &str| if holds { Ok(()) } else { Err(BadAlarm::Combination(what.to_owned())) };
        let described = self.description.as_ref().map_or(0, |text| text.chars().count());
        value(described <= 1024, "AlarmDescription cannot be longer than 1024 characters")?;
        value(self.threshold.is_finite(), "Threshold must be a finite number")?;
        value(self.evaluation_periods >= 1, "EvaluationPeriods must be at least 1")?;
        let to_alarm = self.datapoints_to_alarm.unwrap_or(self.evaluation_periods);
        both(
            (1..=self.evaluation_periods).contains(&to_alarm),
            "DatapointsToAlarm must be at least 1 and at most EvaluationPeriods",
        )?;
        let period = self.watched.period();
        let limit = if period >= 3600 { LONGEST_OF_HOURS } else { LONGEST };
        both(
            u64::from(self.evaluation_periods) * u64::from(period) <= limit,
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400, or <= 604800 for periods of an hour and more)",
        )?;
        for actions in [&self.actions.ok, &self.actions.alarm, &self.actions.insufficient_data] {
            value(actions.len() <= MOST_ACTIONS, "at most 5 actions can be set for one state")?;
        }
        for arn in self.actions.all() {
            let action = Action::parse(arn).map_err(BadAlarm::Value)?;
            if matches!(action, Action::Instance(_)) {
                let is_math = matches!(self.watched, Watched::Math(_));
                both(!is_math, "Alarms based on metric math expressions cannot perform EC2 actions")?;
                let names = self.watched.dimension("InstanceId").is_some();
                both(names, "EC2 actions need a metric with the dimension InstanceId")?;
            }
        }
        for stat in self.watched.stats() {
            check_stat(stat)?;
        }
        if let Watched::Math(queries) = &self.watched {
            check_queries(queries)?;
        }
        Ok(())
    }
}

/// A period that alarms can have: 1, 5, 10, 20, 30 (AWS: from 10) or a multiple of 60, in seconds.
#[must_use]
pub fn is_period(seconds: u32) -> bool {
    matches!(seconds, 1 | 5 | 10 | 20 | 30) || (seconds > 0 && seconds.is_multiple_of(60) && seconds <= LONGEST_PERIOD)
}

fn check_stat(stat: &MetricStat) -> Result<(), BadAlarm> {
    let value = |holds: bool, what: &str| if holds { Ok(()) } else { Err(BadAlarm::Value(what.to_owned())) };
    let is_long = |text: &str, most: usize| !(1..=most).contains(&text.chars().count());
    value(is_period(stat.period), "Period must be 1, 5, 10, 20, 30 or a multiple of 60 of at most 86400")?;
    value(!is_long(&stat.metric.namespace, 255), "Namespace must be 1 to 255 characters")?;
    value(!stat.metric.namespace.starts_with(':'), "Namespace must not begin with a colon")?;
    value(!is_long(&stat.metric.name, 255), "MetricName must be 1 to 255 characters")?;
    let dimensions = &stat.metric.dimensions;
    value(dimensions.len() <= MOST_DIMENSIONS, "at most 30 dimensions can be set")?;
    let mut names = BTreeSet::new();
    for (name, text) in dimensions {
        value(!is_long(name, 255), "Dimension names must be 1 to 255 characters")?;
        value(!is_long(text, 1024), "Dimension values must be 1 to 1024 characters")?;
        value(names.insert(name), "No Dimension name may be there more than once")?;
    }
    Ok(())
}

fn check_queries(queries: &[Query]) -> Result<(), BadAlarm> {
    let value = |holds: bool, what: &str| if holds { Ok(()) } else { Err(BadAlarm::Value(what.to_owned())) };
    value((1..=MOST_QUERIES).contains(&queries.len()), "Metrics must be 1 to 20 queries")?;
    let metrics = queries.iter().filter(|query| query.stat.is_some()).count();
    value(metrics <= MOST_METRICS, "an alarm on an expression can watch at most 10 metrics")?;
    let mut ids = BTreeSet::new();
    for query in queries {
        let begins = query.id.starts_with(|c: char| c.is_ascii_lowercase());
        let good = query.id.len() <= 255 && query.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        value(begins && good, "Id must begin with a lower-case letter, of letters, digits and _ (at most 255)")?;
        value(ids.insert(&query.id), "no two of Metrics can have the same Id")?;
        let length = query.expression.as_ref().map_or(1, |text| text.chars().count());
        value((1..=2048).contains(&length), "Expression must be 1 to 2048 characters")?;
        if query.stat.is_some() == query.expression.is_some() {
            return Err(BadAlarm::Combination("each of Metrics must have either MetricStat or Expression".into()));
        }
        if query.period.is_some_and(|seconds| !is_period(seconds)) {
            return Err(BadAlarm::Value("Period must be 1, 5, 10, 20, 30 or a multiple of 60 of at most 86400".into()));
        }
    }
    let periods: BTreeSet<u32> =
        queries.iter().filter_map(|query| query.stat.as_ref().map(|stat| stat.period)).collect();
    if periods.len() > 1 {
        return Err(BadAlarm::Combination("All metrics of an alarm must have the same period".into()));
    }
    let watched = queries.iter().filter(|query| query.watched.unwrap_or(true)).count();
    if watched != 1 {
        return Err(BadAlarm::Combination("Exactly one element of Metrics must have ReturnData set to true".into()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
