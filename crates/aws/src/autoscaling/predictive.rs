//! What a policy that scales by a forecast goes by, and its forecasts.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::target::MetricDimension;
use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PredictiveScalingConfiguration {
    pub metric_specifications: Members<PredictiveScalingMetricSpecification>,
    pub mode: Option<String>,
    pub scheduling_buffer_time: Option<i64>,
    pub max_capacity_breach_behavior: Option<String>,
    pub max_capacity_buffer: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PredictiveScalingMetricSpecification {
    pub target_value: f64,
    pub predefined_metric_pair_specification: Option<PredictiveScalingPredefinedMetric>,
    pub predefined_scaling_metric_specification: Option<PredictiveScalingPredefinedMetric>,
    pub predefined_load_metric_specification: Option<PredictiveScalingPredefinedMetric>,
    pub customized_scaling_metric_specification: Option<PredictiveScalingCustomizedMetric>,
    pub customized_load_metric_specification: Option<PredictiveScalingCustomizedMetric>,
    pub customized_capacity_metric_specification: Option<PredictiveScalingCustomizedMetric>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PredictiveScalingPredefinedMetric {
    pub predefined_metric_type: String,
    pub resource_label: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PredictiveScalingCustomizedMetric {
    pub metric_data_queries: Members<MetricDataQuery>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDataQuery {
    pub id: String,
    pub expression: Option<String>,
    pub metric_stat: Option<MetricStat>,
    pub label: Option<String>,
    pub return_data: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricStat {
    pub metric: Metric,
    pub stat: String,
    pub unit: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    pub namespace: String,
    pub metric_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Members<MetricDimension>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPredictiveScalingForecast {
    pub auto_scaling_group_name: String,
    pub policy_name: String,
    pub start_time: Time,
    pub end_time: Time,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetPredictiveScalingForecastOutput {
    pub load_forecast: Members<LoadForecast>,
    pub capacity_forecast: CapacityForecast,
    pub update_time: Time,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoadForecast {
    pub timestamps: Members<Time>,
    pub values: Members<f64>,
    pub metric_specification: PredictiveScalingMetricSpecification,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CapacityForecast {
    pub timestamps: Members<Time>,
    pub values: Members<f64>,
}
