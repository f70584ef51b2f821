//! DescribeInstanceAttribute: one attribute of an instance at a time, each in an element of its own.
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
