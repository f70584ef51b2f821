//! What a policy that tracks a target goes by.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetTrackingConfiguration {
    pub predefined_metric_specification: Option<PredefinedMetricSpecification>,
    pub customized_metric_specification: Option<CustomizedMetricSpecification>,
    pub target_value: f64,
    pub disable_scale_in: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PredefinedMetricSpecification {
    pub predefined_metric_type: String,
    pub resource_label: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CustomizedMetricSpecification {
    pub metric_name: Option<String>,
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Members<MetricDimension>,
    pub statistic: Option<String>,
    pub unit: Option<String>,
    pub period: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Members<TargetTrackingMetricDataQuery>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDimension {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetTrackingMetricDataQuery {
    pub id: String,
    pub expression: Option<String>,
    pub metric_stat: Option<TargetTrackingMetricStat>,
    pub label: Option<String>,
    pub period: Option<i64>,
    pub return_data: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetTrackingMetricStat {
    pub metric: TargetTrackingMetric,
    pub stat: String,
    pub unit: Option<String>,
    pub period: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetTrackingMetric {
    pub namespace: String,
    pub metric_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Members<MetricDimension>,
}
