//! Key pairs and network interfaces: only described, never made, by the actions here.
//!
//! Next: [`super::instance`], which carries them.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{Filter, Group};
use crate::time::Time;
use crate::xml::Items;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyPairs {
    #[serde(default, rename = "KeyName")]
    pub key_names: Vec<String>,
    #[serde(default, rename = "KeyPairId")]
    pub key_pair_ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    pub include_public_key: Option<bool>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeKeyPairsOutput {
    pub key_set: Items<KeyPair>,
}

/// Without the tags of later versions: boto 2 would lose the rest of the pair after them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyPair {
    pub key_pair_id: String,
    pub key_name: String,
    pub key_fingerprint: String,
    pub key_type: Option<String>,
    pub create_time: Option<Time>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeNetworkInterfaces {
    #[serde(default, rename = "NetworkInterfaceId")]
    pub network_interface_ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    pub max_results: Option<i64>,
    pub next_token: Option<String>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeNetworkInterfacesOutput {
    pub network_interface_set: Items<NetworkInterface>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkInterface {
    pub network_interface_id: String,
    pub subnet_id: Option<String>,
    pub vpc_id: Option<String>,
    pub availability_zone: Option<String>,
    /// `ELB <name>` for a load balancer's node.
    pub description: String,
    pub owner_id: String,
    pub requester_id: Option<String>,
    pub requester_managed: Option<bool>,
    /// `available` or `in-use`.
    pub status: String,
    pub mac_address: Option<String>,
    pub private_ip_address: String,
    pub private_dns_name: Option<String>,
    pub source_dest_check: Option<bool>,
    pub group_set: Items<Group>,
    pub attachment: Option<Attachment>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attachment {
    pub attachment_id: Option<String>,
    pub instance_id: Option<String>,
    /// `amazon-elb` for a load balancer's node.
    pub instance_owner_id: Option<String>,
    pub device_index: Option<i64>,
    pub status: String,
    pub attach_time: Option<Time>,
    pub delete_on_termination: Option<bool>,
}
