//! GetMetricData: many metrics over time, and expressions over them. Alarms name what they watch in the same words
//! ([`MetricDataQuery`]).
//!
//! Next: [`super::metric`].
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::Metric;
use crate::time::{Time, WholeSeconds};
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetMetricData {
    #[serde(default)]
    pub metric_data_queries: Members<MetricDataQuery>,
    pub start_time: Option<Time>,
    pub end_time: Option<Time>,
    pub next_token: Option<String>,
    /// `TimestampDescending`, which is the default, or `TimestampAscending`.
    pub scan_by: Option<String>,
    pub max_datapoints: Option<i32>,
    pub label_options: Option<LabelOptions>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LabelOptions {
    /// Such as `+0130`.
    pub timezone: Option<String>,
}

/// Either `metric_stat` or `expression`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDataQuery {
    pub id: Option<String>,
    pub metric_stat: Option<MetricStat>,
    pub expression: Option<String>,
    pub label: Option<String>,
    pub return_data: Option<bool>,
    /// Seconds; of an expression.
    pub period: Option<i32>,
    pub account_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricStat {
    pub metric: Option<Metric>,
    /// Seconds.
    pub period: Option<i32>,
    pub stat: Option<String>,
    pub unit: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetMetricDataOutput {
    pub metric_data_results: Members<MetricDataResult>,
    /// Absent on the last page.
    pub next_token: Option<String>,
    pub messages: Members<MessageData>,
}

/// `timestamps` and `values` belong together, one by one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MetricDataResult {
    pub id: String,
    pub label: String,
    pub timestamps: Members<WholeSeconds>,
    pub values: Members<f64>,
    /// `Complete`, or `PartialData` where more follows on the next page.
    pub status_code: String,
    pub messages: Option<Members<MessageData>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MessageData {
    pub code: String,
    pub value: String,
}
