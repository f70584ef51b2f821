//! Alarms: what watches a metric, and what it does about it.
//!
//! Owns the record's shape (CloudWatch's) and the rules that an alarm keeps by itself: its lengths, what goes with what. Must never
//! hold metrics' values. What may happen to alarms is [`crate::world`]'s, how they are judged [`crate::alarm`]'s. Next:
//! [`action`], what an alarm can do, [`check`], [`history`].

pub mod action;
pub mod check;
pub mod history;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use action::{Action, Pending};
pub use check::BadAlarm;
pub use history::HistoryItem;

use crate::alarm::Rule;
use crate::alarm::judge::samples_for;
use crate::name::AlarmName;
use crate::time::Timestamp;

/// The most actions for one state (AWS).
pub const MOST_ACTIONS: usize = 5;
/// The most dimensions of a metric (AWS).
pub const MOST_DIMENSIONS: usize = 30;
/// The most queries of an alarm on an expression, and the most of them that are metrics (AWS).
pub const MOST_QUERIES: usize = 20;
/// See [`MOST_QUERIES`].
pub const MOST_METRICS: usize = 10;
/// Seconds that an alarm may look back: a day, or a week where its period is an hour or more (AWS).
pub const LONGEST: u64 = 86_400;
/// See [`LONGEST`].
pub const LONGEST_OF_HOURS: u64 = 7 * 86_400;
/// The longest period, in seconds.
pub const LONGEST_PERIOD: u32 = 86_400;

/// What an alarm is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// Within its threshold.
    Ok,
    /// Beyond it.
    Alarm,
    /// Nobody knows.
    InsufficientData,
}

impl AlarmState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Alarm, Self::InsufficientData];

    /// CloudWatch's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// How a value is held against a threshold: the value comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `>=`
    GreaterThanOrEqualToThreshold,
    /// `>`
    GreaterThanThreshold,
    /// `<`
    LessThanThreshold,
    /// `<=`
    LessThanOrEqualToThreshold,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::GreaterThanOrEqualToThreshold,
        Self::GreaterThanThreshold,
        Self::LessThanThreshold,
        Self::LessThanOrEqualToThreshold,
    ];

    /// CloudWatch's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GreaterThanOrEqualToThreshold => "GreaterThanOrEqualToThreshold",
            Self::GreaterThanThreshold => "GreaterThanThreshold",
            Self::LessThanThreshold => "LessThanThreshold",
            Self::LessThanOrEqualToThreshold => "LessThanOrEqualToThreshold",
        }
    }

    /// As a sentence has it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Self::GreaterThanThreshold => "greater than",
            Self::LessThanThreshold => "less than",
            Self::LessThanOrEqualToThreshold => "less than or equal to",
        }
    }

    /// Whether a value breaches a threshold.
    #[must_use]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::GreaterThanThreshold => value > threshold,
            Self::LessThanThreshold => value < threshold,
            Self::LessThanOrEqualToThreshold => value <= threshold,
        }
    }
}

/// What stands for a datapoint that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MissingData {
    /// Nothing; with none at all nobody knows.
    #[default]
    Missing,
    /// Nothing; with none at all the state stays.
    Ignore,
    /// One that breaches.
    Breaching,
    /// One that does not.
    NotBreaching,
}

impl MissingData {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Missing, Self::Ignore, Self::Breaching, Self::NotBreaching];

    /// CloudWatch's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ignore => "ignore",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
        }
    }
}

/// What is done about a percentile of few samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LowSamples {
    /// It is judged like any other.
    Evaluate,
    /// The state stays.
    Ignore,
}

impl LowSamples {
    /// CloudWatch's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::Ignore => "ignore",
        }
    }
}

/// A series of values by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricName {
    /// 1–255 characters.
    pub namespace: String,
    /// 1–255 characters.
    pub name: String,
    /// Names and values, in the order stated; at most [`MOST_DIMENSIONS`].
    pub dimensions: Vec<(String, String)>,
}

/// A metric's values, a statistic over each period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricStat {
    /// Whose.
    pub metric: MetricName,
    /// In seconds.
    pub period: u32,
    /// `Average`, `p99.9` and the like, checked by the caller.
    pub statistic: String,
    /// Only values of this unit; `None` for any.
    pub unit: Option<String>,
}

/// One step of an expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// What others call it by.
    pub id: String,
    /// A metric; else it is an expression.
    pub stat: Option<MetricStat>,
    /// Over others' ids, checked by the caller.
    pub expression: Option<String>,
    /// For people.
    pub label: Option<String>,
    /// Whether it is what is watched; of one query exactly.
    pub watched: Option<bool>,
    /// In seconds; of expressions that stand by themselves.
    pub period: Option<u32>,
}

/// What an alarm watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Watched {
    /// A metric.
    Metric(MetricStat),
    /// The value of one of these.
    Math(Vec<Query>),
}

impl Watched {
    /// Seconds of a period.
    #[must_use]
    pub fn period(&self) -> u32 {
        match self {
            Self::Metric(stat) => stat.period,
            Self::Math(queries) => {
                let stated = |query: &Query| query.stat.as_ref().map(|stat| stat.period).or(query.period);
                queries.iter().filter_map(stated).max().unwrap_or(60)
            }
        }
    }

    /// The metrics that it looks at.
    pub fn stats(&self) -> impl Iterator<Item = &MetricStat> {
        let (one, many) = match self {
            Self::Metric(stat) => (Some(stat), &[][..]),
            Self::Math(queries) => (None, &queries[..]),
        };
        one.into_iter().chain(many.iter().filter_map(|query| query.stat.as_ref()))
    }

    /// The value of a dimension of the one metric it watches.
    #[must_use]
    pub fn dimension(&self, name: &str) -> Option<&str> {
        let Self::Metric(stat) = self else { return None };
        stat.metric.dimensions.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// What is done on the way into each state: ARNs, at most [`MOST_ACTIONS`] each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions {
    /// Into `OK`.
    pub ok: Vec<String>,
    /// Into `ALARM`.
    pub alarm: Vec<String>,
    /// Into `INSUFFICIENT_DATA`.
    pub insufficient_data: Vec<String>,
}

impl Actions {
    /// Those of a state.
    #[must_use]
    pub fn of(&self, state: AlarmState) -> &[String] {
        match state {
            AlarmState::Ok => &self.ok,
            AlarmState::Alarm => &self.alarm,
            AlarmState::InsufficientData => &self.insufficient_data,
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.ok.iter().chain(&self.alarm).chain(&self.insufficient_data)
    }
}

/// What PutMetricAlarm states; `None` is what was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmSettings {
    /// For people, at most 1024 characters.
    pub description: Option<String>,
    /// What it does.
    pub actions: Actions,
    /// What it watches.
    pub watched: Watched,
    /// N.
    pub evaluation_periods: u32,
    /// M; N where it is not stated.
    pub datapoints_to_alarm: Option<u32>,
    /// The threshold, a finite number.
    pub threshold: f64,
    /// How it is compared.
    pub comparison: Comparison,
    /// What stands for missing datapoints.
    pub missing: Option<MissingData>,
    /// What is done about percentiles of few samples.
    pub low_samples: Option<LowSamples>,
}

impl AlarmSettings {
    /// How it is judged.
    #[must_use]
    pub fn rule(&self) -> Rule {
        let periods = self.evaluation_periods.max(1) as usize;
        let percentile = match &self.watched {
            Watched::Metric(stat) => stat.statistic.strip_prefix('p').and_then(|p| p.parse::<f64>().ok()),
            Watched::Math(_) => None,
        };
        let is_choosy = self.low_samples == Some(LowSamples::Ignore);
        Rule {
            periods,
            to_alarm: self.datapoints_to_alarm.map_or(periods, |m| m as usize).clamp(1, periods),
            comparison: self.comparison,
            threshold: self.threshold,
            missing: self.missing.unwrap_or_default(),
            fewest_samples: percentile.filter(|_| is_choosy).and_then(samples_for),
        }
    }
}

/// One alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name.
    pub name: AlarmName,
    /// What it is to be.
    pub settings: AlarmSettings,
    /// When that was last put.
    pub configured: Timestamp,
    /// Whether it does anything.
    pub actions_enabled: bool,
    /// The state.
    pub state: AlarmState,
    /// Why.
    pub reason: String,
    /// Why, as JSON.
    pub reason_data: Option<String>,
    /// When its state was last set, to another or to the same.
    pub updated: Timestamp,
    /// When it was last another.
    pub transitioned: Timestamp,
    /// Tags by key, at most 50.
    pub tags: BTreeMap<String, String>,
    /// What is still to be done about transitions, the oldest first.
    pub pending: Vec<Pending>,
    /// What was given to the last of them that there was.
    pub last_pending: u64,
}

impl Alarm {
    /// Its Amazon Resource Name.
    #[must_use]
    pub fn arn(&self, region: &str, account: &str) -> String {
        format!("arn:aws:cloudwatch:{region}:{account}:alarm:{}", self.name)
    }
}
