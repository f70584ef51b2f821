//! What a launch template states, as requests write it and as answers show it.
//!
//! Everything is optional, and what was not stated is not shown: clients compare the two to see whether anything is to be
//! changed. Next: [`super::launch_template`].
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{IamInstanceProfileSpecification, TagShown, TagSpecification};
use crate::blob::Blob;
use crate::time::Time;
use crate::xml::Items;

/// A shape that requests state and answers show with the same members; only the case of their names differs.
macro_rules! stated_and_shown {
    ($stated:ident, $shown:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $stated {
            $(pub $field: Option<$type>,)*
        }

        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $shown {
            $(pub $field: Option<$type>,)*
        }

        impl From<$stated> for $shown {
            fn from(stated: $stated) -> Self {
                Self { $($field: stated.$field,)* }
            }
        }
    };
}

stated_and_shown!(
    TemplatePlacement,
    TemplatePlacementShown {
        availability_zone: String,
        affinity: String,
        group_name: String,
        host_id: String,
        tenancy: String,
        spread_domain: String,
        host_resource_group_arn: String,
        partition_number: i64,
        group_id: String,
    }
);

stated_and_shown!(
    TemplateEbs,
    TemplateEbsShown {
        encrypted: bool,
        delete_on_termination: bool,
        iops: i64,
        kms_key_id: String,
        snapshot_id: String,
        volume_size: i64,
        volume_type: String,
        throughput: i64,
        volume_initialization_rate: i64,
    }
);

stated_and_shown!(TemplateMonitoring, TemplateMonitoringShown { enabled: bool });

stated_and_shown!(
    TemplateCpuOptions,
    TemplateCpuOptionsShown { core_count: i64, threads_per_core: i64, amd_sev_snp: String }
);

stated_and_shown!(TemplateCreditSpecification, TemplateCreditSpecificationShown { cpu_credits: String });

stated_and_shown!(TemplateHibernationOptions, TemplateHibernationOptionsShown { configured: bool });

stated_and_shown!(TemplateEnclaveOptions, TemplateEnclaveOptionsShown { enabled: bool });

stated_and_shown!(TemplateMaintenanceOptions, TemplateMaintenanceOptionsShown { auto_recovery: String });

stated_and_shown!(
    TemplateMetadataOptions,
    TemplateMetadataOptionsShown {
        http_tokens: String,
        http_put_response_hop_limit: i64,
        http_endpoint: String,
        http_protocol_ipv6: String,
        instance_metadata_tags: String,
    }
);

stated_and_shown!(
    TemplateSpotOptions,
    TemplateSpotOptionsShown {
        max_price: String,
        spot_instance_type: String,
        block_duration_minutes: i64,
        valid_until: Time,
        instance_interruption_behavior: String,
    }
);

stated_and_shown!(TemplateIpv6Address, TemplateIpv6AddressShown { ipv6_address: String });

/// As requests state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateBlockDevice {
    pub device_name: Option<String>,
    pub virtual_name: Option<String>,
    pub ebs: Option<TemplateEbs>,
    pub no_device: Option<String>,
}

/// As answers show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateBlockDeviceShown {
    pub device_name: Option<String>,
    pub virtual_name: Option<String>,
    pub ebs: Option<TemplateEbsShown>,
    pub no_device: Option<String>,
}

impl From<TemplateBlockDevice> for TemplateBlockDeviceShown {
    fn from(stated: TemplateBlockDevice) -> Self {
        let TemplateBlockDevice { device_name, virtual_name, ebs, no_device } = stated;
        Self { device_name, virtual_name, ebs: ebs.map(Into::into), no_device }
    }
}

/// As requests state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateMarketOptions {
    pub market_type: Option<String>,
    pub spot_options: Option<TemplateSpotOptions>,
}

/// As answers show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateMarketOptionsShown {
    pub market_type: Option<String>,
    pub spot_options: Option<TemplateSpotOptionsShown>,
}

impl From<TemplateMarketOptions> for TemplateMarketOptionsShown {
    fn from(stated: TemplateMarketOptions) -> Self {
        Self { market_type: stated.market_type, spot_options: stated.spot_options.map(Into::into) }
    }
}

/// As requests state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateInterface {
    pub associate_public_ip_address: Option<bool>,
    pub delete_on_termination: Option<bool>,
    pub description: Option<String>,
    pub device_index: Option<i64>,
    #[serde(default, rename = "SecurityGroupId")]
    pub groups: Vec<String>,
    pub interface_type: Option<String>,
    pub ipv6_address_count: Option<i64>,
    #[serde(default)]
    pub ipv6_addresses: Vec<TemplateIpv6Address>,
    pub network_interface_id: Option<String>,
    pub private_ip_address: Option<String>,
    pub subnet_id: Option<String>,
    pub network_card_index: Option<i64>,
}

/// As answers show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateInterfaceShown {
    pub associate_public_ip_address: Option<bool>,
    pub delete_on_termination: Option<bool>,
    pub description: Option<String>,
    pub device_index: Option<i64>,
    pub group_set: Option<Items<String>>,
    pub interface_type: Option<String>,
    pub ipv6_address_count: Option<i64>,
    pub ipv6_addresses_set: Option<Items<TemplateIpv6AddressShown>>,
    pub network_interface_id: Option<String>,
    pub private_ip_address: Option<String>,
    pub subnet_id: Option<String>,
    pub network_card_index: Option<i64>,
}

impl From<TemplateInterface> for TemplateInterfaceShown {
    fn from(stated: TemplateInterface) -> Self {
        Self {
            associate_public_ip_address: stated.associate_public_ip_address,
            delete_on_termination: stated.delete_on_termination,
            description: stated.description,
            device_index: stated.device_index,
            group_set: items(stated.groups),
            interface_type: stated.interface_type,
            ipv6_address_count: stated.ipv6_address_count,
            ipv6_addresses_set: items(stated.ipv6_addresses),
            network_interface_id: stated.network_interface_id,
            private_ip_address: stated.private_ip_address,
            subnet_id: stated.subnet_id,
            network_card_index: stated.network_card_index,
        }
    }
}

/// Tags for one kind of thing that a launch makes, as answers show them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateTagsShown {
    pub resource_type: String,
    pub tag_set: Items<TagShown>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchTemplateData {
    pub kernel_id: Option<String>,
    pub ebs_optimized: Option<bool>,
    pub iam_instance_profile: Option<IamInstanceProfileSpecification>,
    #[serde(default, rename = "BlockDeviceMapping")]
    pub block_device_mappings: Vec<TemplateBlockDevice>,
    #[serde(default, rename = "NetworkInterface")]
    pub network_interfaces: Vec<TemplateInterface>,
    pub image_id: Option<String>,
    pub instance_type: Option<String>,
    pub key_name: Option<String>,
    pub monitoring: Option<TemplateMonitoring>,
    pub placement: Option<TemplatePlacement>,
    pub ram_disk_id: Option<String>,
    pub disable_api_termination: Option<bool>,
    pub instance_initiated_shutdown_behavior: Option<String>,
    pub user_data: Option<Blob>,
    #[serde(default, rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
    #[serde(default, rename = "SecurityGroupId")]
    pub security_group_ids: Vec<String>,
    #[serde(default, rename = "SecurityGroup")]
    pub security_groups: Vec<String>,
    pub instance_market_options: Option<TemplateMarketOptions>,
    pub credit_specification: Option<TemplateCreditSpecification>,
    pub cpu_options: Option<TemplateCpuOptions>,
    pub hibernation_options: Option<TemplateHibernationOptions>,
    pub metadata_options: Option<TemplateMetadataOptions>,
    pub enclave_options: Option<TemplateEnclaveOptions>,
    pub maintenance_options: Option<TemplateMaintenanceOptions>,
    pub disable_api_stop: Option<bool>,
}

/// Without instance profiles, which no template here states.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LaunchTemplateDataShown {
    pub kernel_id: Option<String>,
    pub ebs_optimized: Option<bool>,
    pub block_device_mapping_set: Option<Items<TemplateBlockDeviceShown>>,
    pub network_interface_set: Option<Items<TemplateInterfaceShown>>,
    pub image_id: Option<String>,
    pub instance_type: Option<String>,
    pub key_name: Option<String>,
    pub monitoring: Option<TemplateMonitoringShown>,
    pub placement: Option<TemplatePlacementShown>,
    pub ram_disk_id: Option<String>,
    pub disable_api_termination: Option<bool>,
    pub instance_initiated_shutdown_behavior: Option<String>,
    pub user_data: Option<String>,
    pub tag_specification_set: Option<Items<TemplateTagsShown>>,
    pub security_group_id_set: Option<Items<String>>,
    pub security_group_set: Option<Items<String>>,
    pub instance_market_options: Option<TemplateMarketOptionsShown>,
    pub credit_specification: Option<TemplateCreditSpecificationShown>,
    pub cpu_options: Option<TemplateCpuOptionsShown>,
    pub hibernation_options: Option<TemplateHibernationOptionsShown>,
    pub metadata_options: Option<TemplateMetadataOptionsShown>,
    pub enclave_options: Option<TemplateEnclaveOptionsShown>,
    pub maintenance_options: Option<TemplateMaintenanceOptionsShown>,
    pub disable_api_stop: Option<bool>,
}

/// A list that was stated; one that was not is not shown.
fn items<T, S: From<T>>(stated: Vec<T>) -> Option<Items<S>> {
    (!stated.is_empty()).then(|| stated.into_iter().map(Into::into).collect())
}

impl LaunchTemplateDataShown {
    /// What of a launch has no effect here: it is recorded, and shown as it was stated.
    #[must_use]
    pub fn without_effect(stated: LaunchTemplateData) -> Self {
        Self {
            kernel_id: stated.kernel_id,
            ebs_optimized: stated.ebs_optimized,
            block_device_mapping_set: items(stated.block_device_mappings),
            network_interface_set: items(stated.network_interfaces),
            monitoring: stated.monitoring.map(Into::into),
            placement: stated.placement.map(Into::into),
            ram_disk_id: stated.ram_disk_id,
            instance_market_options: stated.instance_market_options.map(Into::into),
            credit_specification: stated.credit_specification.map(Into::into),
            cpu_options: stated.cpu_options.map(Into::into),
            hibernation_options: stated.hibernation_options.map(Into::into),
            metadata_options: stated.metadata_options.map(Into::into),
            enclave_options: stated.enclave_options.map(Into::into),
            maintenance_options: stated.maintenance_options.map(Into::into),
            ..Self::default()
        }
    }
}
