//! Images: registering, describing, taking away.
//!
//! Next: [`super::launch`], which starts instances of them.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{BlockDeviceMapping, Filter, ProductCode, StateReason, TagShown, TagSpecification};
use crate::xml::Items;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegisterImage {
    pub name: String,
    /// Where the image lies; for Evenkeel a folder or tar file.
    pub image_location: Option<String>,
    pub description: Option<String>,
    pub architecture: Option<String>,
    pub kernel_id: Option<String>,
    pub ramdisk_id: Option<String>,
    pub root_device_name: Option<String>,
    #[serde(default, rename = "BlockDeviceMapping")]
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    pub virtualization_type: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterImageOutput {
    pub image_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateImage {
    pub instance_id: String,
    pub name: String,
    pub description: Option<String>,
    pub no_reboot: Option<bool>,
    #[serde(default, rename = "BlockDeviceMapping")]
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    #[serde(default, rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateImageOutput {
    pub image_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeregisterImage {
    pub image_id: String,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImages {
    #[serde(default, rename = "ImageId")]
    pub image_ids: Vec<String>,
    #[serde(default, rename = "Owner")]
    pub owners: Vec<String>,
    #[serde(default, rename = "ExecutableBy")]
    pub executable_users: Vec<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    pub include_deprecated: Option<bool>,
    pub max_results: Option<i64>,
    pub next_token: Option<String>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeImagesOutput {
    pub images_set: Items<Image>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    pub image_id: String,
    pub image_location: String,
    /// `pending`, `available` or `failed`.
    pub image_state: String,
    pub image_owner_id: String,
    pub creation_date: String,
    pub is_public: bool,
    pub product_codes: Items<ProductCode>,
    pub architecture: String,
    /// `machine`.
    pub image_type: String,
    pub kernel_id: Option<String>,
    pub ramdisk_id: Option<String>,
    pub platform: Option<String>,
    pub state_reason: Option<StateReason>,
    pub name: String,
    pub description: String,
    pub root_device_type: String,
    pub root_device_name: String,
    pub block_device_mapping: Items<BlockDevice>,
    pub virtualization_type: String,
    pub tag_set: Items<TagShown>,
    pub hypervisor: String,
    pub source_instance_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockDevice {
    pub device_name: String,
    pub virtual_name: Option<String>,
    pub ebs: Option<EbsBlockDeviceShown>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EbsBlockDeviceShown {
    pub snapshot_id: Option<String>,
    /// GiB.
    pub volume_size: Option<i64>,
    pub delete_on_termination: bool,
    pub volume_type: String,
}
