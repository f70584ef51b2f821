//! Load balancers and their zones (AWS, Elastic Load Balancing API 2012-06-01).
//!
//! Owns how a balancer is read from a call and shown in an answer. Next: [`super::listeners`], [`super::registration`],
//! [`super::health`], [`super::attributes`], [`super::policies`], [`super::subnets`].

use std::collections::BTreeSet;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, elb};
use evenkeel_core::change::{Change, NewLoadBalancer, Reply};
use evenkeel_core::name::ZoneName;
use evenkeel_core::noun::load_balancer::MOST_GROUPS;
use evenkeel_core::noun::{LoadBalancer, Scheme};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::world::Settings;

use super::page::Page;
use super::shown::DEFAULT_GROUP;
use super::subnets::{subnet_id, vpc_id};
use super::words::wire_time;
use super::{Asked, dice, health, listeners, policies, refusal, tags, words};

pub(super) async fn create(
    asked: &Asked<'_>,
    input: elb::CreateLoadBalancer,
) -> Result<elb::CreateLoadBalancerOutput, Error> {
    let in_vpc = input.subnets.as_ref().is_some_and(|subnets| !subnets.is_empty());
    let new = NewLoadBalancer {
        name: words::new_balancer(&input.load_balancer_name)?,
        scheme: scheme(input.scheme.as_deref())?,
        listeners: listeners::read(&input.listeners)?,
        zones: zones(asked, input.availability_zones, input.subnets)?,
        in_vpc,
        security_groups: groups(input.security_groups.unwrap_or_default())?,
        tags: tags::of_balancer(input.tags)?,
        dns_number: 0,
    };
    let roll = || Ok(Change::CreateLoadBalancer(NewLoadBalancer { dns_number: dice::dns_number()?, ..new.clone() }));
    match asked.rolled(roll).await?.map_err(refusal::elb)? {
        Reply::DnsName(dns_name) => Ok(elb::CreateLoadBalancerOutput { dns_name }),
        _ => Err(Error::receiver("InternalFailure", "An internal error has occurred")),
    }
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &elb::DeleteLoadBalancer,
) -> Result<elb::DeleteLoadBalancerOutput, Error> {
    // What cannot exist is as gone as AWS promises it to be after this call.
    if let Ok(name) = words::balancer(&input.load_balancer_name) {
        asked.elb(Change::DeleteLoadBalancer { name }).await?;
    }
    Ok(elb::DeleteLoadBalancerOutput {})
}

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &elb::DescribeLoadBalancers,
) -> Result<elb::DescribeLoadBalancersOutput, Error> {
    let page = Page::elb("balancers", input.page_size, input.marker.as_deref())?;
    let found: Vec<&LoadBalancer> = if input.load_balancer_names.is_empty() {
        asked.world.load_balancers().map(AsRef::as_ref).collect()
    } else {
        let names: BTreeSet<&String> = input.load_balancer_names.iter().collect();
        names.into_iter().map(|name| existing(asked, name)).collect::<Result<_, _>>()?
    };
    let (shown, next_marker) = page.cut(found, |lb| lb.name.to_string());
    let settings = asked.world.settings();
    Ok(elb::DescribeLoadBalancersOutput {
        load_balancer_descriptions: shown.into_iter().map(|lb| description(lb, settings)).collect(),
        next_marker,
    })
}

pub(super) async fn apply_groups(
    asked: &Asked<'_>,
    input: elb::ApplySecurityGroupsToLoadBalancer,
) -> Result<elb::ApplySecurityGroupsToLoadBalancerOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let groups = groups(input.security_groups)?;
    let output = elb::ApplySecurityGroupsToLoadBalancerOutput { security_groups: groups.clone().into() };
    asked.elb(Change::SetSecurityGroups { name, groups }).await?;
    Ok(output)
}

pub(super) async fn enable_zones(
    asked: &Asked<'_>,
    input: &elb::EnableAvailabilityZonesForLoadBalancer,
) -> Result<elb::EnableAvailabilityZonesForLoadBalancerOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let zones = words::balancer_zones(&input.availability_zones)?;
    let reply = asked.elb(Change::EnableZones { name, zones, by_subnet: false }).await?;
    Ok(elb::EnableAvailabilityZonesForLoadBalancerOutput { availability_zones: enabled(reply) })
}

pub(super) async fn disable_zones(
    asked: &Asked<'_>,
    input: &elb::DisableAvailabilityZonesForLoadBalancer,
) -> Result<elb::DisableAvailabilityZonesForLoadBalancerOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let zones = words::balancer_zones(&input.availability_zones)?;
    let reply = asked.elb(Change::DisableZones { name, zones, by_subnet: false }).await?;
    Ok(elb::DisableAvailabilityZonesForLoadBalancerOutput { availability_zones: enabled(reply) })
}

/// The balancer of that exact name.
pub(super) fn existing<'w>(asked: &'w Asked<'_>, name: &str) -> Result<&'w LoadBalancer, Error> {
    let name = words::balancer(name)?;
    match asked.world.load_balancer(&name) {
        Some(lb) => Ok(lb),
        None => Err(refusal::elb(Refusal::NoSuchLoadBalancer(name).into())),
    }
}

fn enabled(reply: Reply) -> Members<String> {
    match reply {
        Reply::Zones(zones) => zones.into_iter().map(String::from).collect(),
        _ => Members::default(),
    }
}

fn scheme(stated: Option<&str>) -> Result<Scheme, Error> {
    match stated {
        None | Some("" | "internet-facing") => Ok(Scheme::InternetFacing),
        Some("internal") => Ok(Scheme::Internal),
        Some(other) => {
            let text = format!("The scheme '{}' is invalid: it is internet-facing or internal", words::quoted(other));
            Err(Error::sender("InvalidScheme", text))
        }
    }
}

/// Zones, stated as such or by their subnets.
fn zones(
    asked: &Asked<'_>,
    zones: Option<Members<String>>,
    subnets: Option<Members<String>>,
) -> Result<Vec<ZoneName>, Error> {
    let (zones, subnets) = (zones.unwrap_or_default(), subnets.unwrap_or_default());
    match (zones.is_empty(), subnets.is_empty()) {
        (false, false) => Err(Error::validation("Only one of SubnetIds or AvailabilityZones may be specified")),
        (_, true) => words::balancer_zones(&zones),
        (true, false) => super::subnets::zones(asked.world.settings(), &subnets),
    }
}

/// Ids of the right form, at most 5.
fn groups(stated: Members<String>) -> Result<Vec<String>, Error> {
    let groups = stated.0;
    if groups.len() > MOST_GROUPS {
        let text = format!("A load balancer may have at most {MOST_GROUPS} security groups");
        return Err(Error::sender("InvalidConfigurationRequest", text).with_status(409));
    }
    let well_formed = |id: &String| {
        id.strip_prefix("sg-")
            .is_some_and(|hex| matches!(hex.len(), 8 | 17) && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    match groups.iter().find(|id| !well_formed(id)) {
        Some(bad) => {
            let text = format!("The security group '{}' does not exist", words::quoted(bad));
            Err(Error::sender("InvalidSecurityGroup", text))
        }
        None => Ok(groups),
    }
}

fn description(lb: &LoadBalancer, settings: &Settings) -> elb::LoadBalancerDescription {
    let internal = lb.scheme == Scheme::Internal;
    elb::LoadBalancerDescription {
        load_balancer_name: lb.name.to_string(),
        dns_name: lb.dns_name.clone(),
        canonical_hosted_zone_name: (!internal).then(|| lb.dns_name.clone()),
        canonical_hosted_zone_name_id: hosted_zone(&settings.region).map(str::to_owned),
        listener_descriptions: lb.listeners.iter().map(listeners::description).collect(),
        policies: policies::sorted(lb),
        backend_server_descriptions: policies::of_instance_ports(lb),
        availability_zones: lb.zones.keys().map(ToString::to_string).collect(),
        subnets: lb.zones.keys().filter(|_| lb.in_vpc).map(|zone| subnet_id(settings, zone)).collect(),
        // Of balancers for zones there is none to be told: Terraform would look the source group up in it.
        vpc_id: lb.in_vpc.then(|| vpc_id(settings)),
        instances: lb.instances.iter().map(|id| elb::Instance { instance_id: id.to_string() }).collect(),
        health_check: health::shown(&lb.health_check),
        source_security_group: Some(elb::SourceSecurityGroup {
            owner_alias: if lb.in_vpc { settings.account.clone() } else { "amazon-elb".into() },
            group_name: if lb.in_vpc { DEFAULT_GROUP } else { "amazon-elb-sg" }.into(),
        }),
        security_groups: lb.security_groups.clone().into(),
        created_time: wire_time(lb.created),
        scheme: if internal { "internal" } else { "internet-facing" }.into(),
    }
}

/// Route 53's zone of a region's balancers; it is fixed by AWS, and tools expect to be told.
fn hosted_zone(region: &str) -> Option<&'static str> {
    Some(match region {
        "us-east-1" => "Z35SXDOTRQ7X7K",
        "us-east-2" => "Z3AADJGX6KTTL2",
        "us-west-1" => "Z368ELLRRE2KJ0",
        "us-west-2" => "Z1H1FL5HABSF5",
        "eu-west-1" => "Z32O12XQLNTSW2",
        "eu-central-1" => "Z215JYRZR1TBD5",
        "ap-southeast-1" => "Z1LMS91P8CMLE5",
        "ap-southeast-2" => "Z1GM3OXH4ZPM65",
        "ap-northeast-1" => "Z14GRHDCWA56QT",
        "sa-east-1" => "Z2P70J7HTTTPLU",
        _ => return None,
    })
}
