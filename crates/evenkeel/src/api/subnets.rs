//! Subnets of load balancers: a zone has one, so that they are zones by another name.
//!
//! Owns the ids of the VPC and its subnets, which follow from account, region and zone, and attaching to and detaching from
//! them. Next: [`super::balancers`].

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, elb};
use evenkeel_core::change::{Change, Reply};
use evenkeel_core::name::ZoneName;
use evenkeel_core::world::Settings;

use super::shown::derived;
use super::{Asked, words};

/// The id of the one VPC.
pub(super) fn vpc_id(settings: &Settings) -> String {
    derived("vpc-", &format!("{} {} vpc", settings.account, settings.region))
}

/// The id of a zone's subnet.
pub(super) fn subnet_id(settings: &Settings, zone: &ZoneName) -> String {
    derived("subnet-", &format!("{} {} subnet {zone}", settings.account, settings.region))
}

/// The zone of a subnet.
pub(super) fn zone_of<'a>(settings: &'a Settings, subnet: &str) -> Option<&'a ZoneName> {
    settings.zones.iter().find(|zone| subnet_id(settings, zone) == subnet)
}

/// The zones of subnets that a call states: each known, no zone twice.
pub(super) fn zones(settings: &Settings, subnets: &Members<String>) -> Result<Vec<ZoneName>, Error> {
    let mut zones: Vec<ZoneName> = Vec::with_capacity(subnets.len());
    for subnet in subnets {
        let Some(zone) = zone_of(settings, subnet) else {
            let text = format!("The subnet ID '{}' does not exist", words::quoted(subnet));
            return Err(Error::sender("SubnetNotFound", text));
        };
        if zones.contains(zone) {
            let text = "ELB cannot be attached to multiple subnets in the same AZ.";
            return Err(Error::sender("InvalidConfigurationRequest", text).with_status(409));
        }
        zones.push(zone.clone());
    }
    Ok(zones)
}

pub(super) async fn attach(
    asked: &Asked<'_>,
    input: &elb::AttachLoadBalancerToSubnets,
) -> Result<elb::AttachLoadBalancerToSubnetsOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let zones = zones(asked.world.settings(), &input.subnets)?;
    let reply = asked.elb(Change::EnableZones { name, zones, by_subnet: true }).await?;
    Ok(elb::AttachLoadBalancerToSubnetsOutput { subnets: attached(asked, reply) })
}

pub(super) async fn detach(
    asked: &Asked<'_>,
    input: &elb::DetachLoadBalancerFromSubnets,
) -> Result<elb::DetachLoadBalancerFromSubnetsOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let zones = zones(asked.world.settings(), &input.subnets)?;
    let reply = asked.elb(Change::DisableZones { name, zones, by_subnet: true }).await?;
    Ok(elb::DetachLoadBalancerFromSubnetsOutput { subnets: attached(asked, reply) })
}

fn attached(asked: &Asked<'_>, reply: Reply) -> Members<String> {
    match reply {
        Reply::Zones(zones) => zones.iter().map(|zone| subnet_id(asked.world.settings(), zone)).collect(),
        _ => Members::default(),
    }
}
