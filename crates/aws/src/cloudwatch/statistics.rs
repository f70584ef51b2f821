//! GetMetricStatistics: one metric over time, as the first version of the API has it.
//!
//! Next: [`super::data`], what came after it.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::Dimension;
use crate::time::{Time, WholeSeconds};
use crate::xml::{Entries, Members};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetMetricStatistics {
    pub namespace: Option<String>,
    pub metric_name: Option<String>,
    #[serde(default)]
    pub dimensions: Members<Dimension>,
    pub start_time: Option<Time>,
    pub end_time: Option<Time>,
    /// Seconds.
    pub period: Option<i32>,
    #[serde(default)]
    pub statistics: Members<String>,
    /// Such as `p99` and `tm99`.
    #[serde(default)]
    pub extended_statistics: Members<String>,
    pub unit: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetMetricStatisticsOutput {
    pub label: String,
    pub datapoints: Members<Datapoint>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Datapoint {
    pub timestamp: WholeSeconds,
    pub sample_count: Option<f64>,
    pub average: Option<f64>,
    pub sum: Option<f64>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub unit: Option<String>,
    pub extended_statistics: Option<Entries<f64>>,
}
