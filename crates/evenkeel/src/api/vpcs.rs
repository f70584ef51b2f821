//! The one VPC, its subnets, and what the account is told it has: described, never made.
//!
//! There is one network here, the machine's own; each zone has one subnet, so that tools which think in subnets find what they
//! look for. Their ids follow from account, region and zone ([`super::subnets`]).

use std::collections::BTreeMap;

use evenkeel_aws::{Error, ec2};

use super::filter::Filters;
use super::groups::no_vpc;
use super::page::Page;
use super::places::zone_id;
use super::subnets::{subnet_id, vpc_id, zone_of};
use super::{Asked, words};

pub(super) const FILTERS: &[&str] = &[
    "cidr",
    "cidr-block-association.cidr-block",
    "dhcp-options-id",
    "is-default",
    "isDefault",
    "owner-id",
    "state",
    "vpc-id",
];

pub(super) const SUBNET_FILTERS: &[&str] = &[
    "availability-zone",
    "availabilityZone",
    "availability-zone-id",
    "available-ip-address-count",
    "cidr-block",
    "cidr",
    "cidrBlock",
    "default-for-az",
    "defaultForAz",
    "map-public-ip-on-launch",
    "owner-id",
    "state",
    "subnet-arn",
    "subnet-id",
    "vpc-id",
];

pub(super) fn describe(asked: &Asked<'_>, input: &ec2::DescribeVpcs) -> Result<ec2::DescribeVpcsOutput, Error> {
    let filters = Filters::read(&input.filters, FILTERS)?;
    let page = Page::ec2("vpcs", input.max_results, 5, input.next_token.as_deref())?;
    let settings = asked.world.settings();
    let vpc = ec2::Vpc {
        vpc_id: vpc_id(settings),
        owner_id: settings.account.clone(),
        state: "available".into(),
        cidr_block: settings.instance_pool.to_string(),
        dhcp_options_id: "default".into(),
        instance_tenancy: "default".into(),
        is_default: true,
        ..ec2::Vpc::default()
    };
    if let Some(unknown) = input.vpc_ids.iter().find(|id| **id != vpc.vpc_id) {
        return Err(no_vpc(unknown));
    }
    words::unless_dry_run(input.dry_run)?;
    let values = |name| {
        vec![match name {
            "dhcp-options-id" => vpc.dhcp_options_id.clone(),
            "is-default" | "isDefault" => "true".into(),
            "owner-id" => vpc.owner_id.clone(),
            "state" => vpc.state.clone(),
            "vpc-id" => vpc.vpc_id.clone(),
            _ => vpc.cidr_block.clone(),
        }]
    };
    let wanted = filters.hold(values, &BTreeMap::new()).then(|| vpc.clone());
    let (found, next_token) = page.cut(wanted, |vpc| vpc.vpc_id.clone());
    Ok(ec2::DescribeVpcsOutput { vpc_set: found.into(), next_token })
}

pub(super) fn subnets(asked: &Asked<'_>, input: &ec2::DescribeSubnets) -> Result<ec2::DescribeSubnetsOutput, Error> {
    let filters = Filters::read(&input.filters, SUBNET_FILTERS)?;
    let page = Page::ec2("subnets", input.max_results, 5, input.next_token.as_deref())?;
    let settings = asked.world.settings();
    if let Some(unknown) = input.subnet_ids.iter().find(|id| zone_of(settings, id).is_none()) {
        return Err(no_subnet(unknown));
    }
    words::unless_dry_run(input.dry_run)?;
    let free = settings.limits.instances.saturating_sub(asked.world.instances().count());
    let mut all: Vec<ec2::Subnet> = settings
        .zones
        .iter()
        .enumerate()
        .map(|(index, zone)| {
            let id = subnet_id(settings, zone);
            ec2::Subnet {
                subnet_arn: format!("arn:aws:ec2:{}:{}:subnet/{id}", settings.region, settings.account),
                subnet_id: id,
                state: "available".into(),
                owner_id: settings.account.clone(),
                vpc_id: vpc_id(settings),
                cidr_block: settings.instance_pool_of(zone).to_string(),
                available_ip_address_count: i64::try_from(free).unwrap_or(i64::MAX),
                availability_zone: zone.to_string(),
                availability_zone_id: zone_id(&settings.region, index),
                default_for_az: true,
                map_public_ip_on_launch: true,
                ..ec2::Subnet::default()
            }
        })
        .collect();
    all.sort_by(|a, b| a.subnet_id.cmp(&b.subnet_id));
    let wanted = all.into_iter().filter(|subnet| {
        let values = |name| {
            vec![match name {
                "availability-zone" | "availabilityZone" => subnet.availability_zone.clone(),
                "availability-zone-id" => subnet.availability_zone_id.clone(),
                "available-ip-address-count" => subnet.available_ip_address_count.to_string(),
                "default-for-az" | "defaultForAz" | "map-public-ip-on-launch" => "true".into(),
                "owner-id" => subnet.owner_id.clone(),
                "state" => subnet.state.clone(),
                "subnet-arn" => subnet.subnet_arn.clone(),
                "subnet-id" => subnet.subnet_id.clone(),
                "vpc-id" => subnet.vpc_id.clone(),
                _ => subnet.cidr_block.clone(),
            }]
        };
        (input.subnet_ids.is_empty() || input.subnet_ids.contains(&subnet.subnet_id))
            && filters.hold(values, &BTreeMap::new())
    });
    let (found, next_token) = page.cut(wanted, |subnet| subnet.subnet_id.clone());
    Ok(ec2::DescribeSubnetsOutput { subnet_set: found.into(), next_token })
}

pub(super) fn attribute(
    asked: &Asked<'_>,
    input: &ec2::DescribeVpcAttribute,
) -> Result<ec2::DescribeVpcAttributeOutput, Error> {
    let vpc = vpc_id(asked.world.settings());
    if input.vpc_id != vpc {
        return Err(no_vpc(&input.vpc_id));
    }
    let stated = input.attribute.as_deref().ok_or_else(|| words::missing("attribute"))?;
    let mut output = ec2::DescribeVpcAttributeOutput { vpc_id: vpc, ..Default::default() };
    let yes = |value| Some(ec2::BooleanValue { value });
    match stated {
        "enableDnsSupport" => output.enable_dns_support = yes(true),
        "enableDnsHostnames" => output.enable_dns_hostnames = yes(true),
        "enableNetworkAddressUsageMetrics" => output.enable_network_address_usage_metrics = yes(false),
        other => return Err(words::bad_value("attribute", other, "Unknown attribute.")),
    }
    words::unless_dry_run(input.dry_run)?;
    Ok(output)
}

pub(super) fn account(
    asked: &Asked<'_>,
    input: &ec2::DescribeAccountAttributes,
) -> Result<ec2::DescribeAccountAttributesOutput, Error> {
    let settings = asked.world.settings();
    let all = [
        ("supported-platforms", vec!["EC2".to_owned(), "VPC".to_owned()]),
        ("default-vpc", vec![vpc_id(settings)]),
        ("max-instances", vec![settings.limits.instances.to_string()]),
        ("vpc-max-security-groups-per-interface", vec!["5".to_owned()]),
        ("max-elastic-ips", vec!["0".to_owned()]),
        ("vpc-max-elastic-ips", vec!["0".to_owned()]),
    ];
    let named = |name: &String| all.iter().any(|(held, _)| held == name);
    if let Some(unknown) = input.attribute_names.iter().find(|name| !named(name)) {
        return Err(words::bad_value("attributeName", unknown, "Unknown attribute."));
    }
    words::unless_dry_run(input.dry_run)?;
    let wanted = |(name, _): &(&str, Vec<String>)| {
        input.attribute_names.is_empty() || input.attribute_names.iter().any(|stated| stated == name)
    };
    let shown = all.into_iter().filter(wanted).map(|(name, values)| ec2::AccountAttribute {
        attribute_name: name.to_owned(),
        attribute_value_set: values
            .into_iter()
            .map(|attribute_value| ec2::AccountAttributeValue { attribute_value })
            .collect(),
    });
    Ok(ec2::DescribeAccountAttributesOutput { account_attribute_set: shown.collect() })
}

pub(super) fn no_subnet(id: &str) -> Error {
    Error::sender("InvalidSubnetID.NotFound", format!("The subnet ID '{}' does not exist", words::quoted(id)))
}
