//! Sightings: what was last seen of targets and of the road. Never stored, always re-collectable.
//!
//! Owns that picture and AWS's words for it ([`instance_health`]). Must never be written by anyone but the loops that
//! see, nor decide anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::health::Health;
use crate::name::{InstanceId, LoadBalancerName};
use crate::noun::{InstanceState, LoadBalancer};
use crate::world::World;

/// What was last seen, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// The road, once it has reported.
    pub road: Option<RoadSeen>,
}

/// What the road last reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoadSeen {
    /// The generation of Routes that all its workers drive by.
    pub applied: u64,
    /// The last verdict on each target. Shared, because it is by far the largest and changes the least.
    pub health: Arc<BTreeMap<(LoadBalancerName, InstanceId), Health>>,
    /// Requests and connections in flight on each target that has any.
    pub outstanding: BTreeMap<(LoadBalancerName, InstanceId), u32>,
    /// Listeners that could not be bound, in words.
    pub bind_faults: Vec<String>,
    /// Balancers at which requests wait for instances that are yet to come.
    pub called: BTreeSet<LoadBalancerName>,
    /// Targets in service that are passed over for failing requests, and how they do.
    pub passed_over: BTreeMap<(LoadBalancerName, InstanceId), String>,
}

impl RoadSeen {
    /// What is in flight on an instance, over all balancers.
    #[must_use]
    pub fn outstanding_on(&self, instance: &InstanceId) -> u32 {
        self.outstanding.iter().filter(|((_, i), _)| i == instance).map(|(_, n)| n).sum()
    }
}

/// An instance's health as DescribeInstanceHealth words it (AWS, Classic Load Balancers, "Instance states").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceHealth {
    /// Whether it is `InService`, `OutOfService` or `Unknown`.
    pub state: &'static str,
    /// `N/A`, `ELB` or `Instance`.
    pub reason_code: &'static str,
    /// AWS's sentence.
    pub description: String,
}

/// Words an instance's health behind a balancer. The caller has seen that the instance exists.
#[must_use]
pub fn instance_health(
    world: &World,
    sightings: &Sightings,
    balancer: &LoadBalancer,
    instance: &InstanceId,
) -> InstanceHealth {
    let out = |reason_code, description: &str| InstanceHealth {
        state: "OutOfService",
        reason_code,
        description: description.to_owned(),
    };
    let draining = balancer.draining.contains_key(instance);
    if !draining && !balancer.instances.contains(instance) {
        return out("Instance", "Instance is not currently registered with the LoadBalancer.");
    }
    let Some(record) = world.instance(instance) else {
        return out("Instance", "Instance is in terminated state.");
    };
    match record.state {
        InstanceState::Running => {}
        InstanceState::Pending => return out("Instance", "Instance is in pending state."),
        InstanceState::Stopping | InstanceState::Stopped => {
            return out("Instance", "Instance is in stopped state.");
        }
        InstanceState::ShuttingDown | InstanceState::Terminated => {
            return out("Instance", "Instance is in terminated state.");
        }
    }
    if draining {
        return InstanceHealth {
            state: "InService",
            reason_code: "N/A",
            description: "Instance deregistration currently in progress.".into(),
        };
    }
    if world.membership(instance).is_some_and(|(_, member)| member.state.is_warmed()) {
        // AWS has no words for one that is registered by somebody else than its group.
        return out("Instance", "Instance is in the warm pool of its Auto Scaling group.");
    }
    let in_flight = || sightings.road.as_ref().is_some_and(|road| road.outstanding_on(instance) > 0);
    if balancer.leaving.contains_key(&record.zone) && in_flight() {
        return out("ELB", "Disable Availability Zone is currently in progress.");
    }
    if !balancer.zones.contains_key(&record.zone) {
        return out(
            "ELB",
            "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.",
        );
    }
    let Some(road) = &sightings.road else {
        return InstanceHealth {
            state: "Unknown",
            reason_code: "ELB",
            description: "A transient error occurred. Please try again later.".into(),
        };
    };
    let key = (balancer.name.clone(), instance.clone());
    match road.health.get(&key).copied().unwrap_or_default() {
        // Checks pass, so AWS's words for its state stand; only the description has more to say.
        Health::InService if let Some(how) = road.passed_over.get(&key) => InstanceHealth {
            state: "InService",
            reason_code: "N/A",
            description: format!("Instance is passed over for a while: {how}."),
        },
        Health::InService => InstanceHealth { state: "InService", reason_code: "N/A", description: "N/A".into() },
        Health::Initial => out("ELB", "Instance registration is still in progress."),
        Health::Failing => out(
            "Instance",
            "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
        ),
        Health::Recovering => out(
            "Instance",
            "Instance has not passed the configured HealthyThreshold number of health checks consecutively.",
        ),
    }
}
