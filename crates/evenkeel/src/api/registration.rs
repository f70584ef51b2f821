//! Instances behind a balancer: putting them there, and taking them away.
//!
//! Next: [`super::health`] for how they fare.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, elb};
use evenkeel_core::change::{Change, Reply};

use super::{Asked, words};

pub(super) async fn register(
    asked: &Asked<'_>,
    input: &elb::RegisterInstancesWithLoadBalancer,
) -> Result<elb::RegisterInstancesWithLoadBalancerOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let instances = words::targets(input.instances.iter().map(|i| i.instance_id.as_str()))?;
    let reply = asked.elb(Change::RegisterInstances { name, instances }).await?;
    Ok(elb::RegisterInstancesWithLoadBalancerOutput { instances: registered(reply) })
}

pub(super) async fn deregister(
    asked: &Asked<'_>,
    input: &elb::DeregisterInstancesFromLoadBalancer,
) -> Result<elb::DeregisterInstancesFromLoadBalancerOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let instances = words::targets(input.instances.iter().map(|i| i.instance_id.as_str()))?;
    let reply = asked.elb(Change::DeregisterInstances { name, instances }).await?;
    Ok(elb::DeregisterInstancesFromLoadBalancerOutput { instances: registered(reply) })
}

fn registered(reply: Reply) -> Members<elb::Instance> {
    match reply {
        Reply::Instances(ids) => ids.into_iter().map(|id| elb::Instance { instance_id: id.into() }).collect(),
        _ => Members::default(),
    }
}
