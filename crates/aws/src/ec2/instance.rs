//! Instances: describing, stopping, starting, terminating.
//!
//! Elements that boto 2's scripts print as text are `String`, empty rather than absent. Lists are those boto 2 knows:
//! one that it does not makes it lose the rest of the instance. Next: [`super::launch`], [`super::status`].
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{Filter, NetworkInterface, Tag};
use crate::time::Time;
use crate::xml::Items;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstances {
    /// Empty: all.
    #[serde(default, rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    /// 5 to 1000; not together with ids.
    pub max_results: Option<i64>,
    pub next_token: Option<String>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeInstancesOutput {
    pub reservation_set: Items<Reservation>,
    /// Absent on the last page.
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reservation {
    pub reservation_id: String,
    pub owner_id: String,
    pub requester_id: Option<String>,
    /// What boto 2's `list_instances` prints under `Groups`: every item needs its name.
    pub group_set: Items<Group>,
    pub instances_set: Items<Instance>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    pub group_id: String,
    pub group_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Instance {
    pub instance_id: String,
    pub image_id: String,
    pub instance_state: State,
    pub private_dns_name: String,
    /// The public name; boto 2 calls it `public_dns_name`.
    pub dns_name: String,
    /// Why the state last changed; empty while nothing did.
    pub reason: String,
    pub key_name: String,
    pub ami_launch_index: i64,
    pub product_codes: Items<ProductCode>,
    pub instance_type: String,
    pub launch_time: Time,
    pub placement: PlacementShown,
    pub monitoring: Monitoring,
    pub subnet_id: Option<String>,
    pub vpc_id: Option<String>,
    pub private_ip_address: String,
    /// The public address.
    pub ip_address: String,
    pub source_dest_check: Option<bool>,
    pub group_set: Items<Group>,
    pub state_reason: Option<StateReason>,
    pub architecture: String,
    pub root_device_type: String,
    pub root_device_name: String,
    pub block_device_mapping: Items<InstanceBlockDevice>,
    pub virtualization_type: String,
    pub client_token: String,
    pub tag_set: Items<TagShown>,
    pub hypervisor: String,
    pub network_interface_set: Items<NetworkInterface>,
    pub iam_instance_profile: Option<IamInstanceProfile>,
    pub ebs_optimized: bool,
}

/// `pending` 0, `running` 16, `shutting-down` 32, `terminated` 48, `stopping` 64, `stopped` 80.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    pub code: i64,
    pub name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StateReason {
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProductCode {
    pub product_code: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// Where to launch, as requests state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Placement {
    pub availability_zone: Option<String>,
    pub group_name: Option<String>,
    pub tenancy: Option<String>,
}

/// Where an instance is, as answers show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlacementShown {
    pub availability_zone: String,
    pub group_name: String,
    pub tenancy: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Monitoring {
    pub state: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceBlockDevice {
    pub device_name: String,
    pub ebs: Option<EbsInstanceBlockDevice>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EbsInstanceBlockDevice {
    pub volume_id: String,
    pub status: String,
    pub attach_time: Time,
    pub delete_on_termination: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IamInstanceProfile {
    pub arn: String,
    pub id: String,
}

/// A tag as answers show it; [`Tag`] is how requests state it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TagShown {
    pub key: String,
    pub value: String,
}

impl From<Tag> for TagShown {
    fn from(tag: Tag) -> Self {
        Self { key: tag.key, value: tag.value.unwrap_or_default() }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminateInstances {
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    pub force: Option<bool>,
    pub skip_os_shutdown: Option<bool>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StopInstances {
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    pub hibernate: Option<bool>,
    pub skip_os_shutdown: Option<bool>,
    pub force: Option<bool>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartInstances {
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    pub additional_info: Option<String>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RebootInstances {
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    pub dry_run: Option<bool>,
}

/// The answer of Terminate, Stop and Start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StateChanges {
    pub instances_set: Items<StateChange>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StateChange {
    pub instance_id: String,
    pub current_state: State,
    pub previous_state: State,
}
