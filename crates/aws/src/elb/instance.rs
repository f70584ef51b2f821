//! Instances behind a load balancer: registering them, taking them out, and how they fare.
//!
//! Next: [`crate::ec2`] for what an instance is.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Instance {
    pub instance_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegisterInstancesWithLoadBalancer {
    pub load_balancer_name: String,
    pub instances: Members<Instance>,
}

/// All instances registered after the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RegisterInstancesWithLoadBalancerOutput {
    pub instances: Members<Instance>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeregisterInstancesFromLoadBalancer {
    pub load_balancer_name: String,
    pub instances: Members<Instance>,
}

/// All instances still registered after the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeregisterInstancesFromLoadBalancerOutput {
    pub instances: Members<Instance>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceHealth {
    pub load_balancer_name: String,
    /// Empty: all that are registered.
    #[serde(default)]
    pub instances: Members<Instance>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstanceHealthOutput {
    pub instance_states: Members<InstanceState>,
}

/// All four are always there: boto 2 prints `None` for an absent one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceState {
    pub instance_id: String,
    /// `InService`, `OutOfService` or `Unknown`.
    pub state: String,
    /// `ELB`, `Instance` or `N/A`.
    pub reason_code: String,
    pub description: String,
}
