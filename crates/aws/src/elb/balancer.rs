//! Load balancers, their listeners, zones and health check.
//!
//! Next: [`super::instance`] for what stands behind them, [`super::attribute`] for how they behave.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{Instance, Tag};
use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLoadBalancer {
    pub load_balancer_name: String,
    pub listeners: Members<Listener>,
    /// `None` when not stated: zones and subnets exclude each other.
    pub availability_zones: Option<Members<String>>,
    pub subnets: Option<Members<String>>,
    pub security_groups: Option<Members<String>>,
    pub scheme: Option<String>,
    #[serde(default)]
    pub tags: Members<Tag>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateLoadBalancerOutput {
    #[serde(rename = "DNSName")]
    pub dns_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLoadBalancer {
    pub load_balancer_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLoadBalancerOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLoadBalancers {
    /// Empty: all.
    #[serde(default)]
    pub load_balancer_names: Members<String>,
    pub marker: Option<String>,
    /// 1 to 400; 400 when not stated.
    pub page_size: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeLoadBalancersOutput {
    pub load_balancer_descriptions: Members<LoadBalancerDescription>,
    /// Absent on the last page.
    pub next_marker: Option<String>,
}

/// Holds every list that AWS sends and none besides: boto 2 loses the rest of a balancer after a list it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoadBalancerDescription {
    pub load_balancer_name: String,
    #[serde(rename = "DNSName")]
    pub dns_name: String,
    pub canonical_hosted_zone_name: Option<String>,
    #[serde(rename = "CanonicalHostedZoneNameID")]
    pub canonical_hosted_zone_name_id: Option<String>,
    pub listener_descriptions: Members<ListenerDescription>,
    pub policies: Policies,
    pub backend_server_descriptions: Members<BackendServerDescription>,
    pub availability_zones: Members<String>,
    pub subnets: Members<String>,
    #[serde(rename = "VPCId")]
    pub vpc_id: Option<String>,
    pub instances: Members<Instance>,
    pub health_check: HealthCheck,
    pub source_security_group: Option<SourceSecurityGroup>,
    pub security_groups: Members<String>,
    pub created_time: Time,
    pub scheme: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listener {
    /// In any case: boto 2's `elbadmin` sends what the user typed.
    pub protocol: String,
    pub load_balancer_port: i64,
    pub instance_protocol: Option<String>,
    pub instance_port: i64,
    #[serde(rename = "SSLCertificateId")]
    pub ssl_certificate_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListenerDescription {
    pub listener: Listener,
    pub policy_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Policies {
    pub app_cookie_stickiness_policies: Members<AppCookieStickinessPolicy>,
    #[serde(rename = "LBCookieStickinessPolicies")]
    pub lb_cookie_stickiness_policies: Members<LbCookieStickinessPolicy>,
    pub other_policies: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AppCookieStickinessPolicy {
    pub policy_name: String,
    pub cookie_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LbCookieStickinessPolicy {
    pub policy_name: String,
    /// Seconds; absent means until the browser closes.
    pub cookie_expiration_period: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BackendServerDescription {
    pub instance_port: i64,
    pub policy_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SourceSecurityGroup {
    pub owner_alias: String,
    pub group_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLoadBalancerListeners {
    pub load_balancer_name: String,
    pub listeners: Members<Listener>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateLoadBalancerListenersOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLoadBalancerListeners {
    pub load_balancer_name: String,
    pub load_balancer_ports: Members<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLoadBalancerListenersOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableAvailabilityZonesForLoadBalancer {
    pub load_balancer_name: String,
    pub availability_zones: Members<String>,
}

/// All zones enabled after the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EnableAvailabilityZonesForLoadBalancerOutput {
    pub availability_zones: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableAvailabilityZonesForLoadBalancer {
    pub load_balancer_name: String,
    pub availability_zones: Members<String>,
}

/// All zones enabled after the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DisableAvailabilityZonesForLoadBalancerOutput {
    pub availability_zones: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConfigureHealthCheck {
    pub load_balancer_name: String,
    pub health_check: HealthCheck,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigureHealthCheckOutput {
    pub health_check: HealthCheck,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthCheck {
    /// `TCP:80`, `HTTP:80/ping` …
    pub target: String,
    /// Seconds, 5 to 300.
    pub interval: i64,
    /// Seconds, 2 to 60 and below the interval.
    pub timeout: i64,
    /// 2 to 10.
    pub unhealthy_threshold: i64,
    /// 2 to 10.
    pub healthy_threshold: i64,
}
