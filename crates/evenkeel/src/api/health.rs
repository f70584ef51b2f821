//! Health: what instances are asked, and how they fare.
//!
//! Owns both on the wire. Verdicts are the road's, their wording is `evenkeel_core::sightings`'s.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_aws::{Error, elb};
use evenkeel_core::change::Change;
use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::{HealthCheck, HealthTarget};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::sightings::instance_health;

use super::{Asked, balancers, refusal, words};

pub(super) async fn configure(
    asked: &Asked<'_>,
    input: elb::ConfigureHealthCheck,
) -> Result<elb::ConfigureHealthCheckOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let stated = input.health_check;
    let target = HealthTarget::parse(&stated.target).map_err(|bad| refusal::elb(Refusal::from(bad).into()))?;
    // What does not fit its type is outside every limit: as 0, and at the type's end, the World refuses it.
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0));
    let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    let health_check = HealthCheck {
        target,
        interval: seconds(stated.interval),
        timeout: seconds(stated.timeout),
        unhealthy_threshold: count(stated.unhealthy_threshold),
        healthy_threshold: count(stated.healthy_threshold),
    };
    let output = elb::ConfigureHealthCheckOutput { health_check: shown(&health_check) };
    asked.elb(Change::ConfigureHealthCheck { name, health_check }).await?;
    Ok(output)
}

/// Instances in the order asked for, each once; or all that are registered, and then those that are draining.
pub(super) fn describe(
    asked: &Asked<'_>,
    input: &elb::DescribeInstanceHealth,
) -> Result<elb::DescribeInstanceHealthOutput, Error> {
    let balancer = balancers::existing(asked, &input.load_balancer_name)?;
    let known = |id: &InstanceId| {
        asked.world.instance(id).is_some() || balancer.instances.contains(id) || balancer.draining.contains_key(id)
    };
    let ids: Vec<InstanceId> = if input.instances.is_empty() {
        let draining = balancer.draining.keys().filter(|id| !balancer.instances.contains(*id));
        balancer.instances.iter().chain(draining).cloned().collect()
    } else {
        let ids = words::targets(input.instances.iter().map(|i| i.instance_id.as_str()))?;
        if let Some(unknown) = ids.iter().find(|id| !known(id)) {
            return Err(words::no_target(unknown.as_str()));
        }
        let mut met = BTreeSet::new();
        ids.into_iter().filter(|id| met.insert(id.clone())).collect()
    };
    let sightings = Arc::clone(&asked.api.sightings.borrow());
    let state = |id: InstanceId| {
        let health = instance_health(&asked.world, &sightings, balancer, &id);
        elb::InstanceState {
            instance_id: id.into(),
            state: health.state.into(),
            reason_code: health.reason_code.into(),
            description: health.description,
        }
    };
    Ok(elb::DescribeInstanceHealthOutput { instance_states: ids.into_iter().map(state).collect() })
}

pub(super) fn shown(check: &HealthCheck) -> elb::HealthCheck {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    elb::HealthCheck {
        target: check.target.to_string(),
        interval: seconds(check.interval),
        timeout: seconds(check.timeout),
        unhealthy_threshold: check.unhealthy_threshold.into(),
        healthy_threshold: check.healthy_threshold.into(),
    }
}
