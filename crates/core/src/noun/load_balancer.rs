//! Load balancers as intended. Owns the record's shape and AWS's defaults for its attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{InstanceId, LoadBalancerName, ZoneName};
use crate::noun::{Balancing, HealthCheck, Listener};
use crate::time::Timestamp;

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
    /// Names of its security groups; recorded.
    pub security_groups: Vec<String>,
    /// Tags by key, at most 10.
    pub tags: BTreeMap<String, String>,
}
