//! The state that follows from datapoints.
//!
//! Owns M of N and the rules for missing data, as AWS tables them: every row of those tables is a test here. Where a later edition
//! of them says nothing of a row that an earlier one has, the earlier one holds. Must never say it in words: [`super::reason`].

use crate::noun::alarm::{AlarmState, Comparison, MissingData};
use crate::time::Timestamp;

/// What an alarm judges by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// N: datapoints that are judged. At least 1.
    pub periods: usize,
    /// M: how many of them must breach. 1–N.
    pub to_alarm: usize,
    /// How a datapoint is held against the threshold.
    pub comparison: Comparison,
    /// The threshold.
    pub threshold: f64,
    /// What stands for a datapoint that is not there.
    pub missing: MissingData,
    /// Datapoints of fewer samples than this leave the state as it is; `None` where every number of samples is enough.
    pub fewest_samples: Option<f64>,
}

/// A metric's value over one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Datapoint {
    /// When the period begins.
    pub at: Timestamp,
    /// The statistic.
    pub value: f64,
    /// Samples it was made of; `None` where that means nothing, such as for an expression.
    pub samples: Option<f64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The state that follows; `None`: the one there is stays.
    pub state: Option<AlarmState>,
    /// The datapoints that were judged, the newest first; at most N.
    pub judged: Vec<Datapoint>,
    /// How many of them breach.
    pub breaching: usize,
    /// How many were lacking to N.
    pub lacking: usize,
}

/// How many samples a percentile needs to mean something: 10/(1-p) in the upper half, 10/p in the lower. `percentile` is 0–100;
/// `None` at its ends, which need none.
#[must_use]
pub fn samples_for(percentile: f64) -> Option<f64> {
    match percentile / 100.0 {
        p if (0.5..1.0).contains(&p) => Some(10.0 / (1.0 - p)),
        p if p > 0.0 && p < 0.5 => Some(10.0 / p),
        _ => None,
    }
}

/// Judges an evaluation range: one entry a period, the oldest first, `None` where there is no datapoint.
#[must_use]
pub fn judge(rule: &Rule, range: &[Option<Datapoint>]) -> Finding {
    let breaches = |point: &Datapoint| rule.comparison.holds(point.value, rule.threshold);
    let judged: Vec<Datapoint> = range.iter().rev().flatten().take(rule.periods).copied().collect();
    let breaching = judged.iter().filter(|point| breaches(point)).count();
    let lacking = rule.periods - judged.len();
    let is_sparse = |point: &Datapoint| {
        rule.fewest_samples.is_some_and(|fewest| point.samples.is_some_and(|samples| samples < fewest))
    };
    let settled = |breaching: usize| Some(if breaching >= rule.to_alarm { AlarmState::Alarm } else { AlarmState::Ok });
    let state = if judged.iter().any(is_sparse) {
        None
    } else {
        match rule.missing {
            // What is missing is asked for only where there is less than N.
            _ if lacking == 0 => settled(breaching),
            MissingData::Breaching => settled(breaching + lacking),
            MissingData::NotBreaching => settled(breaching),
            // What is there is enough to say so either way.
            MissingData::Missing | MissingData::Ignore if breaching >= rule.to_alarm || breaching < judged.len() => {
                settled(breaching)
            }
            MissingData::Ignore => None,
            // A few that breach, and none that does not: the next may not, so the oldest must have been there for M periods.
            MissingData::Missing => {
                let oldest = range.iter().position(Option::is_some).map_or(0, |at| range.len() - at);
                let is_old = oldest >= rule.to_alarm;
                Some(if is_old { AlarmState::Alarm } else { AlarmState::InsufficientData })
            }
        }
    };
    Finding { state, judged, breaching, lacking }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
