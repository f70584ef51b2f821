//! Elastic Load Balancing (Classic), version 2012-06-01: its inputs, outputs and table of actions.
//!
//! Knows names and shapes, not rules: what is a valid port or name is decided by the handlers. Next: [`balancer`],
//! [`instance`], [`attribute`], [`tag`], and [`crate::dispatch`] for what the table makes.

pub mod attribute;
pub mod balancer;
pub mod instance;
pub mod tag;

pub use attribute::*;
pub use balancer::*;
pub use instance::*;
pub use tag::*;

use crate::dispatch::{Api, actions};

actions! {
    Api::Elb;
    AddTags => AddTagsOutput,
    ConfigureHealthCheck => ConfigureHealthCheckOutput,
    CreateLoadBalancer => CreateLoadBalancerOutput,
    CreateLoadBalancerListeners => CreateLoadBalancerListenersOutput,
    DeleteLoadBalancer => DeleteLoadBalancerOutput,
    DeleteLoadBalancerListeners => DeleteLoadBalancerListenersOutput,
    DeregisterInstancesFromLoadBalancer => DeregisterInstancesFromLoadBalancerOutput,
    DescribeInstanceHealth => DescribeInstanceHealthOutput,
    DescribeLoadBalancerAttributes => DescribeLoadBalancerAttributesOutput,
    DescribeLoadBalancers => DescribeLoadBalancersOutput,
    DescribeTags => DescribeTagsOutput,
    DisableAvailabilityZonesForLoadBalancer => DisableAvailabilityZonesForLoadBalancerOutput,
    EnableAvailabilityZonesForLoadBalancer => EnableAvailabilityZonesForLoadBalancerOutput,
    ModifyLoadBalancerAttributes => ModifyLoadBalancerAttributesOutput,
    RegisterInstancesWithLoadBalancer => RegisterInstancesWithLoadBalancerOutput,
    RemoveTags => RemoveTagsOutput,
}
