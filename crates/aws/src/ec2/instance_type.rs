//! Instance types: what there are, and in which places they are offered.
//!
//! Next: [`super::launch`], which names one.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::Filter;
use crate::xml::Items;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceTypes {
    /// Empty: all.
    #[serde(default, rename = "InstanceType")]
    pub instance_types: Vec<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    /// 5 to 100; not together with names.
    pub max_results: Option<i64>,
    pub next_token: Option<String>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeInstanceTypesOutput {
    pub instance_type_set: Items<InstanceTypeInfo>,
    /// Absent on the last page.
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceTypeInfo {
    pub instance_type: String,
    pub current_generation: bool,
    pub free_tier_eligible: bool,
    pub supported_usage_classes: Items<String>,
    pub supported_root_device_types: Items<String>,
    pub supported_virtualization_types: Items<String>,
    pub bare_metal: bool,
    pub hypervisor: Option<String>,
    pub processor_info: ProcessorInfo,
    pub v_cpu_info: VCpuInfo,
    pub memory_info: MemoryInfo,
    pub instance_storage_supported: bool,
    pub hibernation_supported: bool,
    pub burstable_performance_supported: bool,
    pub dedicated_hosts_supported: bool,
    pub auto_recovery_supported: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessorInfo {
    pub supported_architectures: Items<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VCpuInfo {
    #[serde(rename = "defaultVCpus")]
    pub default_v_cpus: i64,
    pub default_cores: i64,
    pub default_threads_per_core: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryInfo {
    #[serde(rename = "sizeInMiB")]
    pub size_in_mib: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceTypeOfferings {
    /// `region` (the default), `availability-zone` or `availability-zone-id`.
    pub location_type: Option<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    /// 5 to 1000.
    pub max_results: Option<i64>,
    pub next_token: Option<String>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeInstanceTypeOfferingsOutput {
    pub instance_type_offering_set: Items<InstanceTypeOffering>,
    /// Absent on the last page.
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceTypeOffering {
    pub instance_type: String,
    pub location_type: String,
    pub location: String,
}
