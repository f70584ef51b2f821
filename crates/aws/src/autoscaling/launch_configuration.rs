//! Launch configurations.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLaunchConfiguration {
    pub launch_configuration_name: String,
    pub image_id: Option<String>,
    pub key_name: Option<String>,
    #[serde(default)]
    pub security_groups: Members<String>,
    pub user_data: Option<String>,
    pub instance_id: Option<String>,
    pub instance_type: Option<String>,
    pub kernel_id: Option<String>,
    pub ramdisk_id: Option<String>,
    #[serde(default)]
    pub block_device_mappings: Members<BlockDeviceMapping>,
    pub instance_monitoring: Option<InstanceMonitoring>,
    pub spot_price: Option<String>,
    pub iam_instance_profile: Option<String>,
    pub ebs_optimized: Option<bool>,
    pub associate_public_ip_address: Option<bool>,
    pub placement_tenancy: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateLaunchConfigurationOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLaunchConfiguration {
    pub launch_configuration_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLaunchConfigurationOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLaunchConfigurations {
    #[serde(default)]
    pub launch_configuration_names: Members<String>,
    pub next_token: Option<String>,
    pub max_records: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeLaunchConfigurationsOutput {
    pub launch_configurations: Members<LaunchConfiguration>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LaunchConfiguration {
    pub launch_configuration_name: String,
    #[serde(rename = "LaunchConfigurationARN")]
    pub launch_configuration_arn: Option<String>,
    pub image_id: String,
    pub key_name: Option<String>,
    pub security_groups: Members<String>,
    pub user_data: Option<String>,
    pub instance_type: String,
    pub block_device_mappings: Members<BlockDeviceMapping>,
    pub instance_monitoring: Option<InstanceMonitoring>,
    pub created_time: Time,
    pub ebs_optimized: Option<bool>,
    pub associate_public_ip_address: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceMonitoring {
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BlockDeviceMapping {
    pub virtual_name: Option<String>,
    pub device_name: String,
    pub ebs: Option<Ebs>,
    pub no_device: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ebs {
    pub snapshot_id: Option<String>,
    pub volume_size: Option<i64>,
    pub volume_type: Option<String>,
    pub delete_on_termination: Option<bool>,
    pub iops: Option<i64>,
    pub encrypted: Option<bool>,
    pub throughput: Option<i64>,
}
