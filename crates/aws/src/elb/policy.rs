//! Policies, certificates and networks of load balancers: what is made for listeners and instance ports, and set on them.
//!
//! Next: [`super::balancer`] for the listeners themselves.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAppCookieStickinessPolicy {
    pub load_balancer_name: String,
    pub policy_name: String,
    pub cookie_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAppCookieStickinessPolicyOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLBCookieStickinessPolicy {
    pub load_balancer_name: String,
    pub policy_name: String,
    /// Seconds; absent or 0 means until the browser closes.
    pub cookie_expiration_period: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateLBCookieStickinessPolicyOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLoadBalancerPolicy {
    pub load_balancer_name: String,
    pub policy_name: String,
    pub policy_type_name: String,
    #[serde(default)]
    pub policy_attributes: Members<PolicyAttribute>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateLoadBalancerPolicyOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyAttribute {
    pub attribute_name: String,
    pub attribute_value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLoadBalancerPolicy {
    pub load_balancer_name: String,
    pub policy_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLoadBalancerPolicyOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLoadBalancerPolicies {
    /// Absent: the predefined policies.
    pub load_balancer_name: Option<String>,
    /// Empty: all.
    #[serde(default)]
    pub policy_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeLoadBalancerPoliciesOutput {
    pub policy_descriptions: Members<PolicyDescription>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyDescription {
    pub policy_name: String,
    pub policy_type_name: String,
    pub policy_attribute_descriptions: Members<PolicyAttribute>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLoadBalancerPolicyTypes {
    /// Empty: all.
    #[serde(default)]
    pub policy_type_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeLoadBalancerPolicyTypesOutput {
    pub policy_type_descriptions: Members<PolicyTypeDescription>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyTypeDescription {
    pub policy_type_name: String,
    pub description: String,
    pub policy_attribute_type_descriptions: Members<PolicyAttributeTypeDescription>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyAttributeTypeDescription {
    pub attribute_name: String,
    /// `Boolean`, `Long` or `String`.
    pub attribute_type: String,
    pub description: Option<String>,
    pub default_value: Option<String>,
    /// `ONE`, `ZERO_OR_ONE`, `ONE_OR_MORE` or `ZERO_OR_MORE`.
    pub cardinality: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetLoadBalancerPoliciesOfListener {
    pub load_balancer_name: String,
    pub load_balancer_port: i64,
    /// In place of those there are; empty for none.
    pub policy_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLoadBalancerPoliciesOfListenerOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetLoadBalancerPoliciesForBackendServer {
    pub load_balancer_name: String,
    pub instance_port: i64,
    /// In place of those there are; empty for none.
    pub policy_names: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLoadBalancerPoliciesForBackendServerOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetLoadBalancerListenerSSLCertificate {
    pub load_balancer_name: String,
    pub load_balancer_port: i64,
    #[serde(rename = "SSLCertificateId")]
    pub ssl_certificate_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLoadBalancerListenerSSLCertificateOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ApplySecurityGroupsToLoadBalancer {
    pub load_balancer_name: String,
    pub security_groups: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ApplySecurityGroupsToLoadBalancerOutput {
    pub security_groups: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachLoadBalancerToSubnets {
    pub load_balancer_name: String,
    pub subnets: Members<String>,
}

/// All subnets attached after the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AttachLoadBalancerToSubnetsOutput {
    pub subnets: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachLoadBalancerFromSubnets {
    pub load_balancer_name: String,
    pub subnets: Members<String>,
}

/// All subnets attached after the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DetachLoadBalancerFromSubnetsOutput {
    pub subnets: Members<String>,
}
