//! Lifecycle hooks and the answers to them.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompleteLifecycleAction {
    pub lifecycle_hook_name: String,
    pub auto_scaling_group_name: String,
    pub lifecycle_action_token: Option<String>,
    pub lifecycle_action_result: String,
    pub instance_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteLifecycleActionOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLifecycleHook {
    pub lifecycle_hook_name: String,
    pub auto_scaling_group_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLifecycleHookOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLifecycleHooks {
    pub auto_scaling_group_name: String,
    #[serde(default)]
    pub lifecycle_hook_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeLifecycleHooksOutput {
    pub lifecycle_hooks: Members<LifecycleHook>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeLifecycleHookTypes {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeLifecycleHookTypesOutput {
    pub lifecycle_hook_types: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutLifecycleHook {
    pub lifecycle_hook_name: String,
    pub auto_scaling_group_name: String,
    pub lifecycle_transition: Option<String>,
    #[serde(rename = "RoleARN")]
    pub role_arn: Option<String>,
    #[serde(rename = "NotificationTargetARN")]
    pub notification_target_arn: Option<String>,
    pub notification_metadata: Option<String>,
    pub heartbeat_timeout: Option<i64>,
    pub default_result: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutLifecycleHookOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordLifecycleActionHeartbeat {
    pub lifecycle_hook_name: String,
    pub auto_scaling_group_name: String,
    pub lifecycle_action_token: Option<String>,
    pub instance_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordLifecycleActionHeartbeatOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LifecycleHook {
    pub lifecycle_hook_name: Option<String>,
    pub auto_scaling_group_name: Option<String>,
    pub lifecycle_transition: Option<String>,
    #[serde(rename = "NotificationTargetARN")]
    pub notification_target_arn: Option<String>,
    #[serde(rename = "RoleARN")]
    pub role_arn: Option<String>,
    pub notification_metadata: Option<String>,
    pub heartbeat_timeout: Option<i64>,
    pub global_timeout: Option<i64>,
    pub default_result: Option<String>,
}
