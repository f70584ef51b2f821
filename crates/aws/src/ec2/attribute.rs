//! DescribeInstanceAttribute, ModifyInstanceAttribute, ResetInstanceAttribute: one attribute of an instance at a time, each in an
//! element or parameter of its own.
//!
//! Next: [`super::instance`] for what is told of an instance all at once; its user data are told only here.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{BooleanValue, Group, InstanceBlockDevice, ProductCode};
use crate::blob::Blob;
use crate::xml::Items;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceAttribute {
    pub instance_id: String,
    /// `userData`, `instanceType` …
    pub attribute: Option<String>,
    pub dry_run: Option<bool>,
}

/// Only what was asked for is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeInstanceAttributeOutput {
    pub instance_id: String,
    pub instance_type: Option<TextValue>,
    pub kernel: Option<TextValue>,
    pub ramdisk: Option<TextValue>,
    pub user_data: Option<BlobValue>,
    pub disable_api_termination: Option<BooleanValue>,
    pub disable_api_stop: Option<BooleanValue>,
    pub instance_initiated_shutdown_behavior: Option<TextValue>,
    pub root_device_name: Option<TextValue>,
    pub block_device_mapping: Option<Items<InstanceBlockDevice>>,
    pub product_codes: Option<Items<ProductCode>>,
    pub source_dest_check: Option<BooleanValue>,
    pub group_set: Option<Items<Group>>,
    pub ebs_optimized: Option<BooleanValue>,
    pub sriov_net_support: Option<TextValue>,
    pub enclave_options: Option<EnclaveOptions>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnclaveOptions {
    pub enabled: bool,
}

/// A text, or an empty element where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TextValue {
    pub value: Option<String>,
}

/// Bytes, or an empty element where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlobValue {
    pub value: Option<Blob>,
}

/// One of them is stated: by a parameter of its own, or by `attribute` and `value`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyInstanceAttribute {
    pub instance_id: String,
    /// `userData`, `instanceType` …
    pub attribute: Option<String>,
    pub value: Option<String>,
    pub instance_type: Option<TextStated>,
    pub kernel: Option<TextStated>,
    pub ramdisk: Option<TextStated>,
    pub user_data: Option<BlobStated>,
    pub disable_api_termination: Option<BooleanStated>,
    pub disable_api_stop: Option<BooleanStated>,
    pub instance_initiated_shutdown_behavior: Option<TextStated>,
    #[serde(default, rename = "BlockDeviceMapping")]
    pub block_device_mappings: Vec<InstanceBlockDeviceStated>,
    pub source_dest_check: Option<BooleanStated>,
    #[serde(default, rename = "GroupId")]
    pub group_ids: Vec<String>,
    pub ebs_optimized: Option<BooleanStated>,
    pub sriov_net_support: Option<TextStated>,
    pub ena_support: Option<BooleanStated>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResetInstanceAttribute {
    pub instance_id: String,
    /// `kernel`, `ramdisk` or `sourceDestCheck`.
    pub attribute: Option<String>,
    pub dry_run: Option<bool>,
}

/// A volume of an instance, as requests state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceBlockDeviceStated {
    pub device_name: Option<String>,
    pub virtual_name: Option<String>,
    pub no_device: Option<String>,
    pub ebs: Option<EbsInstanceBlockDeviceStated>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EbsInstanceBlockDeviceStated {
    pub volume_id: Option<String>,
    pub delete_on_termination: Option<bool>,
}

/// A text as requests state it; [`TextValue`] is how answers show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TextStated {
    pub value: Option<String>,
}

/// Bytes as requests state them; [`BlobValue`] is how answers show them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BlobStated {
    pub value: Option<Blob>,
}

/// A yes or no as requests state it; [`BooleanValue`] is how answers show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BooleanStated {
    pub value: Option<bool>,
}
