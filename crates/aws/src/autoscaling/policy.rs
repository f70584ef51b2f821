//! Scaling policies.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::predictive::PredictiveScalingConfiguration;
use super::target::TargetTrackingConfiguration;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutScalingPolicy {
    pub auto_scaling_group_name: String,
    pub policy_name: String,
    pub policy_type: Option<String>,
    pub adjustment_type: Option<String>,
    pub min_adjustment_step: Option<i64>,
    pub min_adjustment_magnitude: Option<i64>,
    pub scaling_adjustment: Option<i64>,
    pub cooldown: Option<i64>,
    pub metric_aggregation_type: Option<String>,
    #[serde(default)]
    pub step_adjustments: Members<StepAdjustment>,
    pub estimated_instance_warmup: Option<i64>,
    pub target_tracking_configuration: Option<TargetTrackingConfiguration>,
    pub predictive_scaling_configuration: Option<PredictiveScalingConfiguration>,
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PutScalingPolicyOutput {
    #[serde(rename = "PolicyARN")]
    pub policy_arn: Option<String>,
    pub alarms: Members<Alarm>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeletePolicy {
    pub auto_scaling_group_name: Option<String>,
    pub policy_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeletePolicyOutput {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribePolicies {
    pub auto_scaling_group_name: Option<String>,
    #[serde(default)]
    pub policy_names: Members<String>,
    #[serde(default)]
    pub policy_types: Members<String>,
    pub next_token: Option<String>,
    pub max_records: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribePoliciesOutput {
    pub scaling_policies: Members<ScalingPolicy>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExecutePolicy {
    pub auto_scaling_group_name: Option<String>,
    pub policy_name: String,
    pub honor_cooldown: Option<bool>,
    pub metric_value: Option<f64>,
    pub breach_threshold: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutePolicyOutput {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ScalingPolicy {
    pub auto_scaling_group_name: Option<String>,
    pub policy_name: Option<String>,
    #[serde(rename = "PolicyARN")]
    pub policy_arn: Option<String>,
    pub policy_type: Option<String>,
    pub adjustment_type: Option<String>,
    pub min_adjustment_step: Option<i64>,
    pub min_adjustment_magnitude: Option<i64>,
    pub scaling_adjustment: Option<i64>,
    pub cooldown: Option<i64>,
    pub step_adjustments: Members<StepAdjustment>,
    pub metric_aggregation_type: Option<String>,
    pub estimated_instance_warmup: Option<i64>,
    pub alarms: Members<Alarm>,
    pub target_tracking_configuration: Option<TargetTrackingConfiguration>,
    pub predictive_scaling_configuration: Option<PredictiveScalingConfiguration>,
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StepAdjustment {
    pub metric_interval_lower_bound: Option<f64>,
    pub metric_interval_upper_bound: Option<f64>,
    pub scaling_adjustment: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Alarm {
    pub alarm_name: Option<String>,
    #[serde(rename = "AlarmARN")]
    pub alarm_arn: Option<String>,
}
