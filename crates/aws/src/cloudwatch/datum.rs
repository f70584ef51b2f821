//! PutMetricData: what was measured.
//!
//! Next: [`super::statistics`].
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::Dimension;
use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutMetricData {
    pub namespace: Option<String>,
    #[serde(default)]
    pub metric_data: Members<MetricDatum>,
    #[serde(default)]
    pub entity_metric_data: Members<EntityMetricData>,
}

/// Data that belong to an entity besides; which one is not read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntityMetricData {
    #[serde(default)]
    pub metric_data: Members<MetricDatum>,
}

/// One of `value`, `statistic_values` and `values` says what was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDatum {
    pub metric_name: Option<String>,
    #[serde(default)]
    pub dimensions: Members<Dimension>,
    pub timestamp: Option<Time>,
    pub value: Option<f64>,
    pub statistic_values: Option<StatisticSet>,
    #[serde(default)]
    pub values: Members<f64>,
    /// How often each of `values` was measured; once where it is empty.
    #[serde(default)]
    pub counts: Members<f64>,
    pub unit: Option<String>,
    /// Seconds: 1 or 60.
    pub storage_resolution: Option<i32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatisticSet {
    pub sample_count: Option<f64>,
    pub sum: Option<f64>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
}
