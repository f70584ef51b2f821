//! How instances fare: status checks, scheduled events, console output.
//!
//! Next: [`super::instance`].
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{Filter, State};
use crate::blob::Blob;
use crate::time::Time;
use crate::xml::Items;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceStatus {
    #[serde(default, rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Otherwise only running instances are shown.
    pub include_all_instances: Option<bool>,
    pub max_results: Option<i64>,
    pub next_token: Option<String>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeInstanceStatusOutput {
    pub instance_status_set: Items<InstanceStatus>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceStatus {
    pub instance_id: String,
    pub availability_zone: String,
    pub events_set: Items<Event>,
    pub instance_state: State,
    pub system_status: StatusSummary,
    pub instance_status: StatusSummary,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    pub code: String,
    pub description: String,
    pub not_before: Time,
    pub not_after: Option<Time>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusSummary {
    /// `ok`, `impaired`, `initializing`, `insufficient-data` or `not-applicable`.
    pub status: String,
    pub details: Items<StatusDetail>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusDetail {
    /// `reachability`.
    pub name: String,
    /// `passed`, `failed` or `initializing`.
    pub status: String,
    pub impaired_since: Option<Time>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetConsoleOutput {
    pub instance_id: String,
    pub latest: Option<bool>,
    pub dry_run: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsoleOutput {
    pub instance_id: String,
    pub timestamp: Time,
    /// The last 64 KiB.
    pub output: Blob,
}
