//! Scaling activities.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::Filter;
use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeScalingActivities {
    #[serde(default)]
    pub activity_ids: Members<String>,
    pub auto_scaling_group_name: Option<String>,
    pub include_deleted_groups: Option<bool>,
    pub max_records: Option<i64>,
    pub next_token: Option<String>,
    #[serde(default)]
    pub filters: Members<Filter>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeScalingActivitiesOutput {
    pub activities: Members<Activity>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Activity {
    pub activity_id: String,
    pub auto_scaling_group_name: String,
    pub description: Option<String>,
    pub cause: String,
    pub start_time: Time,
    pub end_time: Option<Time>,
    pub status_code: String,
    pub status_message: Option<String>,
    pub progress: Option<i64>,
    pub details: Option<String>,
    #[serde(rename = "AutoScalingGroupARN")]
    pub auto_scaling_group_arn: Option<String>,
}
