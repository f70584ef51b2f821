//! What stands for a network here: no key pairs, and the interfaces of balancers' nodes, which tell which address a balancer
//! has in which zone. Next: [`super::balancers`], [`super::groups`], [`super::vpcs`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use evenkeel_aws::{Error, ec2};
use evenkeel_core::name::ZoneName;
use evenkeel_core::noun::LoadBalancer;
use evenkeel_core::noun::instance::host_name;

use super::filter::Filters;
use super::page::Page;
use super::shown;
use super::words::wire_time;
use super::{Asked, words};

/// Who owns what belongs to balancers (AWS).
const ELB: &str = "amazon-elb";

pub(super) const KEY_FILTERS: &[&str] = &["fingerprint", "key-name", "key-pair-id"];

pub(super) const INTERFACE_FILTERS: &[&str] = &[
    "addresses.private-ip-address",
    "attachment.device-index",
    "attachment.instance-id",
    "attachment.instance-owner-id",
    "attachment.status",
    "availability-zone",
    "description",
    "group-id",
    "group-name",
    "interface-type",
    "network-interface-id",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "requester-id",
    "requester-managed",
    "status",
    "subnet-id",
    "vpc-id",
];

/// Key pairs cannot be made here, so there are none; instances record the name they were launched with.
pub(super) fn key_pairs(input: &ec2::DescribeKeyPairs) -> Result<ec2::DescribeKeyPairsOutput, Error> {
    Filters::read(&input.filters, KEY_FILTERS)?;
    if let Some(name) = input.key_names.first().or(input.key_pair_ids.first()) {
        let text = format!("The key pair '{}' does not exist", words::quoted(name));
        return Err(Error::sender("InvalidKeyPair.NotFound", text));
    }
    words::unless_dry_run(input.dry_run)?;
    Ok(ec2::DescribeKeyPairsOutput::default())
}

/// One interface for each balancer's node, by balancer and zone.
pub(super) fn interfaces(
    asked: &Asked<'_>,
    input: &ec2::DescribeNetworkInterfaces,
) -> Result<ec2::DescribeNetworkInterfacesOutput, Error> {
    let filters = Filters::read(&input.filters, INTERFACE_FILTERS)?;
    let page = Page::ec2("interfaces", input.max_results, 5, input.next_token.as_deref())?;
    words::unless_dry_run(input.dry_run)?;
    let account = &asked.world.settings().account;
    let nodes = asked.world.load_balancers().flat_map(|lb| lb.zones.iter().map(move |(zone, at)| (lb, zone, *at)));
    let all: Vec<ec2::NetworkInterface> = nodes.map(|(lb, zone, at)| interface(lb, zone, at, account)).collect();
    let ids = &input.network_interface_ids;
    if let Some(unknown) = ids.iter().find(|id| !all.iter().any(|i| i.network_interface_id == **id)) {
        let text = format!("The networkInterface ID '{}' does not exist", words::quoted(unknown));
        return Err(Error::sender("InvalidNetworkInterfaceID.NotFound", text));
    }
    let wanted = all.into_iter().filter(|i| {
        (ids.is_empty() || ids.contains(&i.network_interface_id))
            && filters.hold(|name| interface_values(i, name), &BTreeMap::new())
    });
    let place =
        |i: &ec2::NetworkInterface| format!("{} {}", i.description, i.availability_zone.as_deref().unwrap_or(""));
    let (shown, next_token) = page.cut(wanted, place);
    Ok(ec2::DescribeNetworkInterfacesOutput { network_interface_set: shown.into(), next_token })
}

fn interface(lb: &LoadBalancer, zone: &ZoneName, address: IpAddr, account: &str) -> ec2::NetworkInterface {
    ec2::NetworkInterface {
        network_interface_id: shown::derived("eni-", &format!("{} {zone}", lb.dns_name)),
        availability_zone: Some(zone.to_string()),
        description: format!("ELB {}", lb.name),
        owner_id: account.to_owned(),
        requester_id: Some(ELB.into()),
        requester_managed: Some(true),
        status: "in-use".into(),
        private_ip_address: address.to_string(),
        private_dns_name: Some(host_name(address)),
        source_dest_check: Some(true),
        attachment: Some(ec2::Attachment {
            attachment_id: Some(shown::derived("eni-attach-", &format!("{} {zone}", lb.dns_name))),
            instance_id: None,
            instance_owner_id: Some(ELB.into()),
            device_index: Some(1),
            status: "attached".into(),
            attach_time: Some(wire_time(lb.created)),
            delete_on_termination: Some(false),
        }),
        ..ec2::NetworkInterface::default()
    }
}

fn interface_values(i: &ec2::NetworkInterface, name: &'static str) -> Vec<String> {
    vec![match name {
        "addresses.private-ip-address" | "private-ip-address" => i.private_ip_address.clone(),
        "attachment.device-index" => "1".into(),
        "attachment.instance-owner-id" | "requester-id" => ELB.into(),
        "attachment.status" => "attached".into(),
        "availability-zone" => return i.availability_zone.iter().cloned().collect(),
        "description" => i.description.clone(),
        "interface-type" => "interface".into(),
        "network-interface-id" => i.network_interface_id.clone(),
        "owner-id" => i.owner_id.clone(),
        "private-dns-name" => return i.private_dns_name.iter().cloned().collect(),
        "requester-managed" => "true".into(),
        "status" => i.status.clone(),
        _ => return Vec::new(),
    }]
}
