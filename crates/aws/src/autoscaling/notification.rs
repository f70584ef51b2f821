//! Topics that groups tell of their activities.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutNotificationConfiguration {
    pub auto_scaling_group_name: String,
    #[serde(rename = "TopicARN")]
    pub topic_arn: String,
    pub notification_types: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutNotificationConfigurationOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteNotificationConfiguration {
    pub auto_scaling_group_name: String,
    #[serde(rename = "TopicARN")]
    pub topic_arn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteNotificationConfigurationOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeNotificationConfigurations {
    #[serde(default)]
    pub auto_scaling_group_names: Members<String>,
    pub next_token: Option<String>,
    pub max_records: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeNotificationConfigurationsOutput {
    pub notification_configurations: Members<NotificationConfiguration>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NotificationConfiguration {
    pub auto_scaling_group_name: Option<String>,
    #[serde(rename = "TopicARN")]
    pub topic_arn: Option<String>,
    pub notification_type: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeAutoScalingNotificationTypes {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAutoScalingNotificationTypesOutput {
    pub auto_scaling_notification_types: Members<String>,
}
