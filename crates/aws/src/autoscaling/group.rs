//! Groups: their making, sizes and end.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{SuspendedProcess, Tag, TagDescription, WarmPoolConfiguration};
use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAutoScalingGroup {
    pub auto_scaling_group_name: String,
    pub launch_configuration_name: Option<String>,
    pub launch_template: Option<LaunchTemplateSpecification>,
    pub instance_id: Option<String>,
    pub min_size: i64,
    pub max_size: i64,
    pub desired_capacity: Option<i64>,
    pub default_cooldown: Option<i64>,
    pub availability_zones: Option<Members<String>>,
    #[serde(default)]
    pub load_balancer_names: Members<String>,
    #[serde(rename = "TargetGroupARNs", default)]
    pub target_group_arns: Members<String>,
    pub health_check_type: Option<String>,
    pub health_check_grace_period: Option<i64>,
    #[serde(rename = "VPCZoneIdentifier")]
    pub vpc_zone_identifier: Option<String>,
    pub termination_policies: Option<Members<String>>,
    pub new_instances_protected_from_scale_in: Option<bool>,
    #[serde(default)]
    pub lifecycle_hook_specification_list: Members<LifecycleHookSpecification>,
    #[serde(default)]
    pub tags: Members<Tag>,
    pub max_instance_lifetime: Option<i64>,
    pub default_instance_warmup: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAutoScalingGroupOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteAutoScalingGroup {
    pub auto_scaling_group_name: String,
    pub force_delete: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteAutoScalingGroupOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAutoScalingGroups {
    #[serde(default)]
    pub auto_scaling_group_names: Members<String>,
    pub include_instances: Option<bool>,
    pub next_token: Option<String>,
    pub max_records: Option<i64>,
    #[serde(default)]
    pub filters: Members<Filter>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAutoScalingGroupsOutput {
    pub auto_scaling_groups: Members<AutoScalingGroup>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetDesiredCapacity {
    pub auto_scaling_group_name: String,
    pub desired_capacity: i64,
    pub honor_cooldown: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetDesiredCapacityOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateAutoScalingGroup {
    pub auto_scaling_group_name: String,
    pub launch_configuration_name: Option<String>,
    pub launch_template: Option<LaunchTemplateSpecification>,
    pub min_size: Option<i64>,
    pub max_size: Option<i64>,
    pub desired_capacity: Option<i64>,
    pub default_cooldown: Option<i64>,
    pub availability_zones: Option<Members<String>>,
    pub health_check_type: Option<String>,
    pub health_check_grace_period: Option<i64>,
    #[serde(rename = "VPCZoneIdentifier")]
    pub vpc_zone_identifier: Option<String>,
    pub termination_policies: Option<Members<String>>,
    pub new_instances_protected_from_scale_in: Option<bool>,
    pub max_instance_lifetime: Option<i64>,
    pub default_instance_warmup: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateAutoScalingGroupOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableMetricsCollection {
    pub auto_scaling_group_name: String,
    #[serde(default)]
    pub metrics: Members<String>,
    pub granularity: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnableMetricsCollectionOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableMetricsCollection {
    pub auto_scaling_group_name: String,
    #[serde(default)]
    pub metrics: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisableMetricsCollectionOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeMetricCollectionTypes {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeMetricCollectionTypesOutput {
    pub metrics: Members<MetricCollectionType>,
    pub granularities: Members<MetricGranularityType>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AutoScalingGroup {
    pub auto_scaling_group_name: String,
    #[serde(rename = "AutoScalingGroupARN")]
    pub auto_scaling_group_arn: Option<String>,
    pub launch_configuration_name: Option<String>,
    pub launch_template: Option<LaunchTemplateSpecification>,
    pub min_size: i64,
    pub max_size: i64,
    pub desired_capacity: i64,
    pub default_cooldown: i64,
    pub availability_zones: Members<String>,
    pub load_balancer_names: Members<String>,
    /// There are none; clients look for it all the same.
    #[serde(rename = "TargetGroupARNs")]
    pub target_group_arns: Members<String>,
    pub health_check_type: String,
    pub health_check_grace_period: Option<i64>,
    pub instances: Members<Instance>,
    pub created_time: Time,
    pub suspended_processes: Members<SuspendedProcess>,
    #[serde(rename = "VPCZoneIdentifier")]
    pub vpc_zone_identifier: Option<String>,
    pub enabled_metrics: Members<EnabledMetric>,
    pub status: Option<String>,
    pub tags: Members<TagDescription>,
    pub termination_policies: Members<String>,
    pub new_instances_protected_from_scale_in: Option<bool>,
    #[serde(rename = "ServiceLinkedRoleARN")]
    pub service_linked_role_arn: Option<String>,
    pub max_instance_lifetime: Option<i64>,
    pub capacity_rebalance: Option<bool>,
    pub default_instance_warmup: Option<i64>,
    pub warm_pool_configuration: Option<WarmPoolConfiguration>,
    pub warm_pool_size: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EnabledMetric {
    pub metric: Option<String>,
    pub granularity: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance {
    pub instance_id: String,
    pub instance_type: Option<String>,
    pub availability_zone: String,
    pub lifecycle_state: String,
    pub health_status: String,
    pub launch_configuration_name: Option<String>,
    pub launch_template: Option<LaunchTemplateSpecification>,
    pub image_id: Option<String>,
    pub protected_from_scale_in: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchTemplateSpecification {
    pub launch_template_id: Option<String>,
    pub launch_template_name: Option<String>,
    pub version: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MetricCollectionType {
    pub metric: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MetricGranularityType {
    pub granularity: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LifecycleHookSpecification {
    pub lifecycle_hook_name: String,
    pub lifecycle_transition: String,
    pub notification_metadata: Option<String>,
    pub heartbeat_timeout: Option<i64>,
    pub default_result: Option<String>,
    #[serde(rename = "NotificationTargetARN")]
    pub notification_target_arn: Option<String>,
    #[serde(rename = "RoleARN")]
    pub role_arn: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    pub name: Option<String>,
    #[serde(default)]
    pub values: Members<String>,
}
