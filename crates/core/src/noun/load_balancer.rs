//! Load balancers as intended. Owns the record's shape and AWS's defaults for its attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{InstanceId, LoadBalancerName, PolicyName, Port, ZoneName};
use crate::noun::{Balancing, HealthCheck, Listener, Policy};
use crate::time::Timestamp;

/// Security groups that one balancer may have (AWS: 5).
pub const MOST_GROUPS: usize = 5;

/// Whether a balancer is meant for everybody or for insiders; it shows in its DNS name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// For everybody.
    #[default]
    InternetFacing,
    /// For insiders: `internal-` leads its DNS name.
    Internal,
}

/// How strictly ambiguous HTTP framing is dealt with, by AWS's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DesyncMode {
    /// Counted only.
    Monitor,
    /// Ambiguous requests are normalised and their connections closed; severe ones refused.
    #[default]
    Defensive,
    /// Everything not compliant is refused.
    Strictest,
}

/// Attributes that ModifyLoadBalancerAttributes changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Whether every node spreads over the instances of all enabled zones. Off by default (AWS's API default).
    pub cross_zone: bool,
    /// Whether deregistration waits for what is in flight. Off by default.
    pub draining: bool,
    /// The longest wait, 1–3600 s, 300 by default; kept while `draining` is off.
    pub draining_timeout: Duration,
    /// How long a connection may carry nothing, 1–4000 s, 60 by default.
    pub idle_timeout: Duration,
    /// `elb.http.desyncmitigationmode`.
    pub desync: DesyncMode,
    /// `evenkeel.balance.*`.
    #[serde(default)]
    pub balancing: Balancing,
    /// Where the access log goes.
    #[serde(default)]
    pub access_log: LogTarget,
}

/// Where a balancer's access log goes, and how often; kept while it is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTarget {
    /// Whether it is written.
    pub enabled: bool,
    /// The bucket; needed while it is written.
    pub bucket: Option<String>,
    /// What stands before `AWSLogs` in each object's key; empty for nothing.
    pub prefix: String,
    /// Minutes that an object covers: 5 or 60, 60 by default.
    pub interval: u16,
}

impl Default for LogTarget {
    fn default() -> Self {
        Self { enabled: false, bucket: None, prefix: String::new(), interval: 60 }
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            cross_zone: false,
            draining: false,
            draining_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(60),
            desync: DesyncMode::default(),
            balancing: Balancing::default(),
            access_log: LogTarget::default(),
        }
    }
}

/// A node whose zone was disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingNode {
    /// The address that DNS caches may still hold.
    pub address: IpAddr,
    /// When it stops listening.
    pub until: Timestamp,
}

/// One load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// Its name, unique here.
    pub name: LoadBalancerName,
    /// What people point a CNAME at.
    pub dns_name: String,
    /// Who it is meant for.
    pub scheme: Scheme,
    /// When it was created.
    pub created: Timestamp,
    /// What it listens for, by port.
    pub listeners: Vec<Listener>,
    /// Enabled zones and the node address it has in each. Never empty.
    pub zones: BTreeMap<ZoneName, IpAddr>,
    /// Nodes of zones just disabled: they still answer, from the other zones, until nobody's DNS cache names them.
    pub leaving: BTreeMap<ZoneName, LeavingNode>,
    /// Registered instances.
    pub instances: BTreeSet<InstanceId>,
    /// Instances deregistered but still finishing, and when they are cut.
    pub draining: BTreeMap<InstanceId, Timestamp>,
    /// What instances are asked.
    pub health_check: HealthCheck,
    /// Attributes.
    pub attributes: Attributes,
    /// Ids of its security groups.
    pub security_groups: Vec<String>,
    /// Whether it was made for subnets rather than zones; its zones are then those of its subnets.
    #[serde(default)]
    pub in_vpc: bool,
    /// Its policies by name, in use or not.
    #[serde(default)]
    pub policies: BTreeMap<PolicyName, Policy>,
    /// The policies of instance ports; ports without any are not in it.
    #[serde(default)]
    pub backend_policies: BTreeMap<Port, Vec<PolicyName>>,
    /// Tags by key, at most 10.
    pub tags: BTreeMap<String, String>,
}
