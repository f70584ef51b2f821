//! Members: attached, detached, standing by, protected, ended.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{Activity, LaunchTemplateSpecification};
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachInstances {
    #[serde(default)]
    pub instance_ids: Members<String>,
    pub auto_scaling_group_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachInstancesOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAutoScalingInstances {
    #[serde(default)]
    pub instance_ids: Members<String>,
    pub max_records: Option<i64>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAutoScalingInstancesOutput {
    pub auto_scaling_instances: Members<AutoScalingInstanceDetails>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachInstances {
    #[serde(default)]
    pub instance_ids: Members<String>,
    pub auto_scaling_group_name: String,
    pub should_decrement_desired_capacity: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DetachInstancesOutput {
    pub activities: Members<Activity>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnterStandby {
    #[serde(default)]
    pub instance_ids: Members<String>,
    pub auto_scaling_group_name: String,
    pub should_decrement_desired_capacity: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EnterStandbyOutput {
    pub activities: Members<Activity>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExitStandby {
    #[serde(default)]
    pub instance_ids: Members<String>,
    pub auto_scaling_group_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExitStandbyOutput {
    pub activities: Members<Activity>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetInstanceHealth {
    pub instance_id: String,
    pub health_status: String,
    pub should_respect_grace_period: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetInstanceHealthOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetInstanceProtection {
    pub instance_ids: Members<String>,
    pub auto_scaling_group_name: String,
    pub protected_from_scale_in: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetInstanceProtectionOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminateInstanceInAutoScalingGroup {
    pub instance_id: String,
    pub should_decrement_desired_capacity: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TerminateInstanceInAutoScalingGroupOutput {
    pub activity: Option<Activity>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AutoScalingInstanceDetails {
    pub instance_id: String,
    pub instance_type: Option<String>,
    pub auto_scaling_group_name: String,
    pub availability_zone: String,
    pub lifecycle_state: String,
    pub health_status: String,
    pub launch_configuration_name: Option<String>,
    pub launch_template: Option<LaunchTemplateSpecification>,
    pub image_id: Option<String>,
    pub protected_from_scale_in: bool,
}
