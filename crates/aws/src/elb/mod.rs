//! Elastic Load Balancing (Classic), version 2012-06-01: its inputs, outputs and table of actions.
//!
//! Knows names and shapes, not rules: what is a valid port or name is decided by the handlers. Next: [`balancer`],
//! [`policy`], [`instance`], [`attribute`], [`tag`], [`limit`], and [`crate::dispatch`] for what the table makes.

pub mod attribute;
pub mod balancer;
pub mod instance;
pub mod limit;
pub mod policy;
pub mod tag;

pub use attribute::*;
pub use balancer::*;
pub use instance::*;
pub use limit::*;
pub use policy::*;
pub use tag::*;

use crate::dispatch::{Api, actions};

actions! {
    Api::Elb;
    AddTags => AddTagsOutput,
    ApplySecurityGroupsToLoadBalancer => ApplySecurityGroupsToLoadBalancerOutput,
    AttachLoadBalancerToSubnets => AttachLoadBalancerToSubnetsOutput,
    ConfigureHealthCheck => ConfigureHealthCheckOutput,
    CreateAppCookieStickinessPolicy => CreateAppCookieStickinessPolicyOutput,
    CreateLBCookieStickinessPolicy => CreateLBCookieStickinessPolicyOutput,
    CreateLoadBalancer => CreateLoadBalancerOutput,
    CreateLoadBalancerListeners => CreateLoadBalancerListenersOutput,
    CreateLoadBalancerPolicy => CreateLoadBalancerPolicyOutput,
    DeleteLoadBalancer => DeleteLoadBalancerOutput,
    DeleteLoadBalancerListeners => DeleteLoadBalancerListenersOutput,
    DeleteLoadBalancerPolicy => DeleteLoadBalancerPolicyOutput,
    DeregisterInstancesFromLoadBalancer => DeregisterInstancesFromLoadBalancerOutput,
    DescribeAccountLimits => DescribeAccountLimitsOutput,
    DescribeInstanceHealth => DescribeInstanceHealthOutput,
    DescribeLoadBalancerAttributes => DescribeLoadBalancerAttributesOutput,
    DescribeLoadBalancerPolicies => DescribeLoadBalancerPoliciesOutput,
    DescribeLoadBalancerPolicyTypes => DescribeLoadBalancerPolicyTypesOutput,
    DescribeLoadBalancers => DescribeLoadBalancersOutput,
    DescribeTags => DescribeTagsOutput,
    DetachLoadBalancerFromSubnets => DetachLoadBalancerFromSubnetsOutput,
    DisableAvailabilityZonesForLoadBalancer => DisableAvailabilityZonesForLoadBalancerOutput,
    EnableAvailabilityZonesForLoadBalancer => EnableAvailabilityZonesForLoadBalancerOutput,
    ModifyLoadBalancerAttributes => ModifyLoadBalancerAttributesOutput,
    RegisterInstancesWithLoadBalancer => RegisterInstancesWithLoadBalancerOutput,
    RemoveTags => RemoveTagsOutput,
    SetLoadBalancerListenerSSLCertificate => SetLoadBalancerListenerSSLCertificateOutput,
    SetLoadBalancerPoliciesForBackendServer => SetLoadBalancerPoliciesForBackendServerOutput,
    SetLoadBalancerPoliciesOfListener => SetLoadBalancerPoliciesOfListenerOutput,
}
