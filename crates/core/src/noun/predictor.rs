//! Policies that scale by a forecast: what they go by, as stated, and what was foreseen for them.
//!
//! Owns the records' shapes and AWS's words for predefined metrics. What is read for a forecast, and what comes of one, is
//! [`crate::world`]'s; how one is made [`crate::scaling::forecast`]'s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::noun::alarm::Query;
use crate::scaling::PredefinedMetricType;
use crate::scaling::forecast::{self, Accuracy, Model, Relation};
use crate::time::Timestamp;

/// How long a forecast counts until there is a newer one (AWS: it is made anew every 6 hours).
pub const NEWER_AFTER: Duration = Duration::from_secs(6 * 3600);
/// Hours that have been, whose forecasts are kept.
pub const KEPT: u64 = 48;

/// What a policy goes by that scales by a forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    /// Its load, and the metric that is to be at the target.
    pub metrics: PredictedMetrics,
    /// How many members there were, where it is not the group's own record that says so.
    pub capacity: Option<Vec<Query>>,
    /// When these became what they are.
    pub configured: Timestamp,
    /// What was last foreseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<Outlook>,
    /// Why there is none, or none that is newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lack: Option<String>,
    /// The last hour that it brought the capacity of about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<u64>,
}

/// A policy's metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PredictedMetrics {
    /// Two that belong together.
    Pair {
        /// Which.
        pair: PredefinedPair,
        /// Which balancer's: `app/BALANCER/…/targetgroup/…`.
        label: Option<String>,
    },
    /// One each.
    Each {
        /// The load of all members together.
        load: LoadMetric,
        /// What is to be at the target.
        scaling: ScalingMetric,
    },
}

/// A load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadMetric {
    /// One that need not be described.
    Predefined {
        /// Which.
        metric: PredefinedLoad,
        /// Which balancer's.
        label: Option<String>,
    },
    /// The hourly value of one of these.
    Math(Vec<Query>),
}

/// A metric that is to be at a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingMetric {
    /// One that need not be described.
    Predefined {
        /// Which; none of high resolution.
        metric: PredefinedMetricType,
        /// Which balancer's.
        label: Option<String>,
    },
    /// The hourly value of one of these.
    Math(Vec<Query>),
}

/// Pairs of metrics that a policy may name without describing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredefinedPair {
    /// CPU utilization: of all together, and the mean.
    #[serde(rename = "ASGCPUUtilization")]
    AsgCpuUtilization,
    /// Bytes received.
    #[serde(rename = "ASGNetworkIn")]
    AsgNetworkIn,
    /// Bytes sent.
    #[serde(rename = "ASGNetworkOut")]
    AsgNetworkOut,
    /// Requests: in an hour, and of each target in a minute.
    #[serde(rename = "ALBRequestCount")]
    AlbRequestCount,
}

impl PredefinedPair {
    /// All of them, in AWS's order.
    pub const ALL: [Self; 4] =
        [Self::AsgCpuUtilization, Self::AsgNetworkIn, Self::AsgNetworkOut, Self::AlbRequestCount];

    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsgCpuUtilization => "ASGCPUUtilization",
            Self::AsgNetworkIn => "ASGNetworkIn",
            Self::AsgNetworkOut => "ASGNetworkOut",
            Self::AlbRequestCount => "ALBRequestCount",
        }
    }

    /// The pair of that name, as AWS writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its load.
    #[must_use]
    pub fn load(self) -> PredefinedLoad {
        match self {
            Self::AsgCpuUtilization => PredefinedLoad::AsgTotalCpuUtilization,
            Self::AsgNetworkIn => PredefinedLoad::AsgTotalNetworkIn,
            Self::AsgNetworkOut => PredefinedLoad::AsgTotalNetworkOut,
            Self::AlbRequestCount => PredefinedLoad::AlbTargetGroupRequestCount,
        }
    }
}

/// Loads that a policy may name without describing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredefinedLoad {
    /// The CPU utilization of all members together.
    #[serde(rename = "ASGTotalCPUUtilization")]
    AsgTotalCpuUtilization,
    /// Bytes that all members received.
    #[serde(rename = "ASGTotalNetworkIn")]
    AsgTotalNetworkIn,
    /// Bytes that all members sent.
    #[serde(rename = "ASGTotalNetworkOut")]
    AsgTotalNetworkOut,
    /// Requests of a target group.
    #[serde(rename = "ALBTargetGroupRequestCount")]
    AlbTargetGroupRequestCount,
}

impl PredefinedLoad {
    /// All of them, in AWS's order.
    pub const ALL: [Self; 4] = [
        Self::AsgTotalCpuUtilization,
        Self::AsgTotalNetworkIn,
        Self::AsgTotalNetworkOut,
        Self::AlbTargetGroupRequestCount,
    ];

    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsgTotalCpuUtilization => "ASGTotalCPUUtilization",
            Self::AsgTotalNetworkIn => "ASGTotalNetworkIn",
            Self::AsgTotalNetworkOut => "ASGTotalNetworkOut",
            Self::AlbTargetGroupRequestCount => "ALBTargetGroupRequestCount",
        }
    }

    /// Whether it counts what members receive or send.
    #[must_use]
    pub fn counts_bytes(self) -> bool {
        matches!(self, Self::AsgTotalNetworkIn | Self::AsgTotalNetworkOut)
    }

    /// The load of that name, as AWS writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What was foreseen for a policy, with the last two days of what had been foreseen before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// When it was made.
    pub made: Timestamp,
    /// The number of the first hour, from the Unix epoch.
    pub first: u64,
    /// The load of each hour from then on.
    pub load: Vec<f64>,
    /// How it was made.
    pub model: Model,
    /// Of how many hours.
    pub known: usize,
    /// How far off such forecasts were on the last days.
    pub accuracy: Option<Accuracy>,
    /// What the metric at the target has to do with the load.
    pub relation: Relation,
}

impl Outlook {
    /// The hours that were foreseen, with the load of each.
    pub fn hours(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        (self.first..).zip(self.load.iter().copied())
    }

    /// The load of an hour.
    #[must_use]
    pub fn load(&self, hour: u64) -> Option<f64> {
        let place = usize::try_from(hour.checked_sub(self.first)?).ok()?;
        self.load.get(place).copied()
    }

    /// The capacity of an hour, at a target.
    #[must_use]
    pub fn capacity(&self, hour: u64, target: f64) -> Option<u32> {
        Some(forecast::capacity(self.load(hour)?, self.relation.of_each(target)))
    }
}

impl Predictor {
    /// The first of its metrics that counts what each member receives or sends.
    #[must_use]
    pub fn counts_bytes(&self) -> Option<&'static str> {
        let of_load = |load: PredefinedLoad| load.counts_bytes().then(|| load.as_str());
        let (load, scaling) = match &self.metrics {
            PredictedMetrics::Pair { pair, .. } => return of_load(pair.load()),
            PredictedMetrics::Each { load, scaling } => (load, scaling),
        };
        let load = match load {
            LoadMetric::Predefined { metric, .. } => of_load(*metric),
            LoadMetric::Math(_) => None,
        };
        load.or(match scaling {
            ScalingMetric::Predefined { metric, .. } if metric.counts_bytes() => Some(metric.as_str()),
            _ => None,
        })
    }

    /// Whether there is to be a newer outlook.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.outlook.as_ref().is_none_or(|outlook| now >= outlook.made.plus(NEWER_AFTER))
    }
}
