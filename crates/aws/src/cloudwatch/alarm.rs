//! Alarms: put, shown, deleted, set by hand, and their history.
//!
//! Next: [`super::data`], whose queries name what an alarm watches where it is not one metric.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{Dimension, MetricDataQuery};
use crate::time::Time;
use crate::xml::Members;

/// Either a metric, by the fields from `metric_name` to `unit`, or `metrics`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutMetricAlarm {
    pub alarm_name: Option<String>,
    pub alarm_description: Option<String>,
    pub actions_enabled: Option<bool>,
    #[serde(rename = "OKActions", default)]
    pub ok_actions: Members<String>,
    #[serde(default)]
    pub alarm_actions: Members<String>,
    #[serde(default)]
    pub insufficient_data_actions: Members<String>,
    pub metric_name: Option<String>,
    pub namespace: Option<String>,
    pub statistic: Option<String>,
    /// Such as `p99`.
    pub extended_statistic: Option<String>,
    #[serde(default)]
    pub dimensions: Members<Dimension>,
    /// Seconds.
    pub period: Option<i32>,
    pub unit: Option<String>,
    pub evaluation_periods: Option<i32>,
    pub datapoints_to_alarm: Option<i32>,
    pub threshold: Option<f64>,
    pub comparison_operator: Option<String>,
    /// `missing`, which is the default, `ignore`, `breaching` or `notBreaching`.
    pub treat_missing_data: Option<String>,
    /// `evaluate`, which is the default, or `ignore`.
    pub evaluate_low_sample_count_percentile: Option<String>,
    #[serde(default)]
    pub metrics: Members<MetricDataQuery>,
    #[serde(default)]
    pub tags: Members<Tag>,
    /// Of an anomaly detection band.
    pub threshold_metric_id: Option<String>,
    pub evaluation_window: Option<EvaluationWindow>,
    pub warm_up_configuration: Option<WarmUpConfiguration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EvaluationWindow {
    pub wall_clock_window: Option<WallClockWindow>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WallClockWindow {
    pub timezone: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WarmUpConfiguration {
    pub warm_up_period_duration_in_minutes: Option<i32>,
    pub only_start_evaluating_after_warm_up_period_ends: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAlarms {
    #[serde(default)]
    pub alarm_names: Members<String>,
    pub alarm_name_prefix: Option<String>,
    /// `MetricAlarm` and others.
    #[serde(default)]
    pub alarm_types: Members<String>,
    pub children_of_alarm_name: Option<String>,
    pub parents_of_alarm_name: Option<String>,
    pub state_value: Option<String>,
    pub action_prefix: Option<String>,
    pub max_records: Option<i32>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAlarmsOutput {
    /// Always empty here.
    pub composite_alarms: Members<String>,
    pub metric_alarms: Members<MetricAlarm>,
    /// Absent on the last page.
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MetricAlarm {
    pub alarm_name: String,
    pub alarm_arn: String,
    pub alarm_description: Option<String>,
    pub alarm_configuration_updated_timestamp: Time,
    pub actions_enabled: bool,
    #[serde(rename = "OKActions")]
    pub ok_actions: Members<String>,
    pub alarm_actions: Members<String>,
    pub insufficient_data_actions: Members<String>,
    pub state_value: String,
    pub state_reason: String,
    /// JSON.
    pub state_reason_data: Option<String>,
    pub state_updated_timestamp: Time,
    pub metric_name: Option<String>,
    pub namespace: Option<String>,
    pub statistic: Option<String>,
    pub extended_statistic: Option<String>,
    pub dimensions: Members<Dimension>,
    pub period: Option<i32>,
    pub unit: Option<String>,
    pub evaluation_periods: i32,
    pub datapoints_to_alarm: Option<i32>,
    pub threshold: f64,
    pub comparison_operator: String,
    pub treat_missing_data: Option<String>,
    pub evaluate_low_sample_count_percentile: Option<String>,
    /// Present where it watches an expression.
    pub metrics: Option<Members<MetricDataQuery>>,
    pub state_transitioned_timestamp: Time,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAlarmsForMetric {
    pub metric_name: Option<String>,
    pub namespace: Option<String>,
    pub statistic: Option<String>,
    pub extended_statistic: Option<String>,
    #[serde(default)]
    pub dimensions: Members<Dimension>,
    pub period: Option<i32>,
    pub unit: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAlarmsForMetricOutput {
    pub metric_alarms: Members<MetricAlarm>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAlarmHistory {
    pub alarm_name: Option<String>,
    #[serde(default)]
    pub alarm_types: Members<String>,
    /// `ConfigurationUpdate`, `StateUpdate` or `Action`.
    pub history_item_type: Option<String>,
    pub start_date: Option<Time>,
    pub end_date: Option<Time>,
    pub max_records: Option<i32>,
    pub next_token: Option<String>,
    /// `TimestampDescending`, which is the default, or `TimestampAscending`.
    pub scan_by: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAlarmHistoryOutput {
    pub alarm_history_items: Members<AlarmHistoryItem>,
    /// Absent on the last page.
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AlarmHistoryItem {
    pub alarm_name: String,
    pub alarm_type: String,
    pub timestamp: Time,
    pub history_item_type: String,
    pub history_summary: String,
    /// JSON.
    pub history_data: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteAlarms {
    #[serde(default)]
    pub alarm_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetAlarmState {
    pub alarm_name: Option<String>,
    pub state_value: Option<String>,
    pub state_reason: Option<String>,
    /// JSON.
    pub state_reason_data: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableAlarmActions {
    #[serde(default)]
    pub alarm_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableAlarmActions {
    #[serde(default)]
    pub alarm_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResource {
    #[serde(rename = "ResourceARN")]
    pub resource_arn: Option<String>,
    #[serde(default)]
    pub tags: Members<Tag>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResource {
    #[serde(rename = "ResourceARN")]
    pub resource_arn: Option<String>,
    #[serde(default)]
    pub tag_keys: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResource {
    #[serde(rename = "ResourceARN")]
    pub resource_arn: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListTagsForResourceOutput {
    pub tags: Members<Tag>,
}
