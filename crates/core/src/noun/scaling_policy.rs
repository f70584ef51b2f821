//! Scaling policies and scheduled actions: what changes how many members a group is to have.
//!
//! Owns the records' shapes. What a policy comes to is [`crate::scaling::decide`](mod@crate::scaling::decide)'s.

use serde::{Deserialize, Serialize};

use crate::noun::alarm::{MetricName, Query};
use crate::noun::predictor::Predictor;
use crate::scaling::decide::Rule;
use crate::scaling::{PredefinedMetricType, Recurrence};
use crate::time::Timestamp;

/// A scaling policy of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingPolicy {
    /// A random UUID, part of its ARN.
    pub id: String,
    /// Whether it counts.
    pub enabled: bool,
    /// What it goes by.
    pub rule: Rule,
    /// Seconds until a new member's metrics count, where the policy has its own.
    pub warmup: Option<u32>,
    /// What it keeps at its target; of policies that track one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracker: Option<Tracker>,
    /// What it forecasts; of policies that scale by a forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor: Option<Box<Predictor>>,
}

/// What a policy that tracks a target goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    /// The metric.
    pub metric: TrackedMetric,
    /// Random UUIDs, parts of the names of its high and its low alarm.
    pub alarms: [String; 2],
}

/// A metric to be kept at a target, as stated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrackedMetric {
    /// One that need not be described.
    Predefined {
        /// Which.
        metric: PredefinedMetricType,
        /// Which of those there are: `app/BALANCER/…/targetgroup/…`.
        label: Option<String>,
    },
    /// One series.
    Series {
        /// Which.
        metric: MetricName,
        /// `Average`, `Minimum`, `Maximum`, `SampleCount` or `Sum`.
        statistic: String,
        /// Only values of this unit.
        unit: Option<String>,
        /// Seconds, where stated.
        period: Option<u32>,
    },
    /// The value of one of these; whose metrics state no period of their own, theirs is 60 s.
    Math(Vec<Query>),
}

/// A scheduled action of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledAction {
    /// A random UUID, part of its ARN.
    pub id: String,
    /// When it first may act; the moment itself where it does not recur.
    pub start: Option<Timestamp>,
    /// When it acts no more.
    pub end: Option<Timestamp>,
    /// When again.
    pub recurrence: Option<Recurrence>,
    /// By whose clocks; UTC when not stated.
    pub time_zone: Option<String>,
    /// The fewest members from then on.
    pub min: Option<u32>,
    /// The most members from then on.
    pub max: Option<u32>,
    /// How many there are to be from then on.
    pub desired: Option<u32>,
    /// When it acts next.
    pub next: Timestamp,
}

/// A policy's Amazon Resource Name.
#[must_use]
pub fn policy_arn(region: &str, account: &str, id: &str, group: &str, policy: &str) -> String {
    format!(
        "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{id}:autoScalingGroupName/{group}:policyName/{policy}"
    )
}

/// A scheduled action's Amazon Resource Name.
#[must_use]
pub fn action_arn(region: &str, account: &str, id: &str, group: &str, action: &str) -> String {
    format!(
        "arn:aws:autoscaling:{region}:{account}:scheduledUpdateGroupAction:{id}:autoScalingGroupName/{group}:scheduledActionName/{action}"
    )
}
