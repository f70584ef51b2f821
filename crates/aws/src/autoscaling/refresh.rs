//! Instance refreshes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::LaunchTemplateSpecification;
use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartInstanceRefresh {
    pub auto_scaling_group_name: String,
    pub strategy: Option<String>,
    pub desired_configuration: Option<DesiredConfiguration>,
    pub preferences: Option<RefreshPreferences>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StartInstanceRefreshOutput {
    pub instance_refresh_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelInstanceRefresh {
    pub auto_scaling_group_name: String,
    pub wait_for_transitioning_instances: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CancelInstanceRefreshOutput {
    pub instance_refresh_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RollbackInstanceRefresh {
    pub auto_scaling_group_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RollbackInstanceRefreshOutput {
    pub instance_refresh_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceRefreshes {
    pub auto_scaling_group_name: String,
    #[serde(default)]
    pub instance_refresh_ids: Members<String>,
    pub next_token: Option<String>,
    pub max_records: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstanceRefreshesOutput {
    pub instance_refreshes: Members<InstanceRefresh>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceRefresh {
    pub instance_refresh_id: Option<String>,
    pub auto_scaling_group_name: Option<String>,
    pub status: Option<String>,
    pub status_reason: Option<String>,
    pub start_time: Option<Time>,
    pub end_time: Option<Time>,
    pub percentage_complete: Option<i64>,
    pub instances_to_update: Option<i64>,
    pub progress_details: Option<InstanceRefreshProgressDetails>,
    pub preferences: Option<RefreshPreferences>,
    pub desired_configuration: Option<DesiredConfiguration>,
    pub rollback_details: Option<RollbackDetails>,
    pub strategy: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceRefreshProgressDetails {
    pub live_pool_progress: Option<InstanceRefreshLivePoolProgress>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceRefreshLivePoolProgress {
    pub percentage_complete: Option<i64>,
    pub instances_to_update: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RollbackDetails {
    pub rollback_reason: Option<String>,
    pub rollback_start_time: Option<Time>,
    pub percentage_complete_on_rollback: Option<i64>,
    pub instances_to_update_on_rollback: Option<i64>,
    pub progress_details_on_rollback: Option<InstanceRefreshProgressDetails>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RefreshPreferences {
    pub min_healthy_percentage: Option<i64>,
    pub instance_warmup: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_percentages: Option<Members<i64>>,
    pub checkpoint_delay: Option<i64>,
    pub skip_matching: Option<bool>,
    pub auto_rollback: Option<bool>,
    pub scale_in_protected_instances: Option<String>,
    pub standby_instances: Option<String>,
    pub alarm_specification: Option<AlarmSpecification>,
    pub max_healthy_percentage: Option<i64>,
    pub bake_time: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AlarmSpecification {
    pub alarms: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DesiredConfiguration {
    pub launch_template: Option<LaunchTemplateSpecification>,
    pub mixed_instances_policy: Option<MixedInstancesPolicy>,
}

/// Its template alone is launched with; what mixes is read so that it can be refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MixedInstancesPolicy {
    pub launch_template: Option<MixedLaunchTemplate>,
    pub instances_distribution: Option<InstancesDistribution>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MixedLaunchTemplate {
    pub launch_template_specification: Option<LaunchTemplateSpecification>,
    pub overrides: Members<LaunchTemplateOverrides>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LaunchTemplateOverrides {
    pub instance_type: Option<String>,
    pub weighted_capacity: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstancesDistribution {
    pub on_demand_allocation_strategy: Option<String>,
    pub on_demand_base_capacity: Option<i64>,
    pub on_demand_percentage_above_base_capacity: Option<i64>,
    pub spot_allocation_strategy: Option<String>,
    pub spot_instance_pools: Option<i64>,
    pub spot_max_price: Option<String>,
}
