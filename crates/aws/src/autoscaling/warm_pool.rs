//! Warm pools.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::Instance;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutWarmPool {
    pub auto_scaling_group_name: String,
    pub max_group_prepared_capacity: Option<i64>,
    pub min_size: Option<i64>,
    pub pool_state: Option<String>,
    pub instance_reuse_policy: Option<InstanceReusePolicy>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PutWarmPoolOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceReusePolicy {
    pub reuse_on_scale_in: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeWarmPool {
    pub auto_scaling_group_name: String,
    pub max_records: Option<i64>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeWarmPoolOutput {
    pub warm_pool_configuration: Option<WarmPoolConfiguration>,
    pub instances: Members<Instance>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WarmPoolConfiguration {
    pub max_group_prepared_capacity: Option<i64>,
    pub min_size: Option<i64>,
    pub pool_state: Option<String>,
    /// `PendingDelete` of one that is to go.
    pub status: Option<String>,
    pub instance_reuse_policy: Option<InstanceReusePolicy>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteWarmPool {
    pub auto_scaling_group_name: String,
    pub force_delete: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteWarmPoolOutput {}
