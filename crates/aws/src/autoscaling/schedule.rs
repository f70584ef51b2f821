//! Scheduled actions.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutScheduledUpdateGroupAction {
    pub auto_scaling_group_name: String,
    pub scheduled_action_name: String,
    pub time: Option<Time>,
    pub start_time: Option<Time>,
    pub end_time: Option<Time>,
    pub recurrence: Option<String>,
    pub min_size: Option<i64>,
    pub max_size: Option<i64>,
    pub desired_capacity: Option<i64>,
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutScheduledUpdateGroupActionOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteScheduledAction {
    pub auto_scaling_group_name: String,
    pub scheduled_action_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteScheduledActionOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeScheduledActions {
    pub auto_scaling_group_name: Option<String>,
    #[serde(default)]
    pub scheduled_action_names: Members<String>,
    pub start_time: Option<Time>,
    pub end_time: Option<Time>,
    pub next_token: Option<String>,
    pub max_records: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeScheduledActionsOutput {
    pub scheduled_update_group_actions: Members<ScheduledUpdateGroupAction>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchPutScheduledUpdateGroupAction {
    pub auto_scaling_group_name: String,
    pub scheduled_update_group_actions: Members<ScheduledUpdateGroupActionRequest>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BatchPutScheduledUpdateGroupActionOutput {
    pub failed_scheduled_update_group_actions: Members<FailedScheduledUpdateGroupActionRequest>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchDeleteScheduledAction {
    pub auto_scaling_group_name: String,
    pub scheduled_action_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BatchDeleteScheduledActionOutput {
    pub failed_scheduled_actions: Members<FailedScheduledUpdateGroupActionRequest>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ScheduledUpdateGroupAction {
    pub auto_scaling_group_name: Option<String>,
    pub scheduled_action_name: Option<String>,
    #[serde(rename = "ScheduledActionARN")]
    pub scheduled_action_arn: Option<String>,
    pub time: Option<Time>,
    pub start_time: Option<Time>,
    pub end_time: Option<Time>,
    pub recurrence: Option<String>,
    pub min_size: Option<i64>,
    pub max_size: Option<i64>,
    pub desired_capacity: Option<i64>,
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduledUpdateGroupActionRequest {
    pub scheduled_action_name: String,
    pub start_time: Option<Time>,
    pub end_time: Option<Time>,
    pub recurrence: Option<String>,
    pub min_size: Option<i64>,
    pub max_size: Option<i64>,
    pub desired_capacity: Option<i64>,
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FailedScheduledUpdateGroupActionRequest {
    pub scheduled_action_name: String,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}
