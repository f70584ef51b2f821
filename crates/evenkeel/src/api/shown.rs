//! Instances as EC2 shows them, and as its filters see them.
//!
//! Owns the mapping from the record to the wire. Elements that boto 2's scripts print are empty rather than absent. Must
//! never change anything. Next: [`super::instances`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_lc_rs::digest;
use evenkeel_aws::ec2;
use evenkeel_core::name::ReservationId;
use evenkeel_core::noun::instance::host_name;
use evenkeel_core::noun::{Instance, InstanceState};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Settings, World};

use super::dice::hex;
use super::subnets::{subnet_id, vpc_id};
use super::words::wire_time;
use super::{filter::Filters, groups, tags};

/// The group of everything that names none.
pub(super) use evenkeel_core::noun::security_group::DEFAULT as DEFAULT_GROUP;

pub(super) const ROOT_DEVICE: &str = "/dev/sda1";

/// Every filter on instances that is known.
pub(super) const FILTERS: &[&str] = &[
    "architecture",
    "availability-zone",
    "client-token",
    "dns-name",
    "group-id",
    "group-name",
    "hypervisor",
    "image-id",
    "instance-id",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "key-name",
    "launch-index",
    "launch-time",
    "monitoring-state",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "reason",
    "requester-id",
    "reservation-id",
    "root-device-name",
    "root-device-type",
    "state-reason-code",
    "state-reason-message",
    "subnet-id",
    "tenancy",
    "virtualization-type",
    "vpc-id",
];

/// Instances in launch order, newest last: by reservation, and in it by launch index. With each its place, as text that
/// sorts the same way.
pub(super) fn in_launch_order(world: &World) -> Vec<(String, &Instance)> {
    let mut launched: BTreeMap<&ReservationId, Timestamp> = BTreeMap::new();
    for instance in world.instances() {
        let first = launched.entry(&instance.reservation).or_insert(instance.launched);
        *first = (*first).min(instance.launched);
    }
    let place = |i: &Instance| {
        let at = launched.get(&i.reservation).copied().unwrap_or(i.launched).0;
        format!("{at:020} {} {:010}", i.reservation, i.launch_index)
    };
    let mut ordered: Vec<(String, &Instance)> = world.instances().map(|i| (place(i), i.as_ref())).collect();
    ordered.sort_by(|a, b| a.0.cmp(&b.0));
    ordered
}

/// Instances that stand together in a reservation, as reservations.
pub(super) fn reservations(instances: &[&Instance], world: &World) -> Vec<ec2::Reservation> {
    let groups = instances.chunk_by(|a, b| a.reservation == b.reservation);
    groups
        .filter_map(|chunk| {
            let first = chunk.first()?;
            Some(ec2::Reservation {
                reservation_id: first.reservation.to_string(),
                owner_id: world.settings().account.clone(),
                requester_id: None,
                group_set: groups_of(first, world).into(),
                instances_set: chunk.iter().map(|i| instance(i, world)).collect(),
            })
        })
        .collect()
}

pub(super) fn state(state: InstanceState) -> ec2::State {
    ec2::State { code: state.code().into(), name: state.as_str().into() }
}

/// The default group's id: fixed for an account and region.
pub(super) fn default_group_id(settings: &Settings) -> String {
    derived("sg-", &format!("{} {} {DEFAULT_GROUP}", settings.account, settings.region))
}

/// An id that follows from a text.
pub(super) fn derived(prefix: &str, text: &str) -> String {
    let mut hex = hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hex.truncate(17);
    format!("{prefix}{hex}")
}

/// This machine, by EC2's names.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

pub(super) fn fits(filters: &Filters, instance: &Instance, world: &World) -> bool {
    filters.hold(|name| values(instance, world, name), &instance.tags)
}

fn instance(i: &Instance, world: &World) -> ec2::Instance {
    let settings = world.settings();
    let (private, public) = addresses(i);
    let name = |address: Option<IpAddr>| address.map(host_name).unwrap_or_default();
    let text = |address: Option<IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    ec2::Instance {
        instance_id: i.id.to_string(),
        image_id: i.image.to_string(),
        instance_state: state(i.state),
        private_dns_name: name(private),
        dns_name: name(public),
        reason: reason(i),
        key_name: i.key_name.clone().unwrap_or_default(),
        ami_launch_index: i.launch_index.into(),
        instance_type: i.instance_type.clone(),
        launch_time: wire_time(i.launched),
        placement: ec2::PlacementShown {
            availability_zone: i.zone.to_string(),
            group_name: String::new(),
            tenancy: "default".into(),
        },
        monitoring: ec2::Monitoring { state: "disabled".into() },
        private_ip_address: text(private),
        ip_address: text(public),
        group_set: groups_of(i, world).into(),
        subnet_id: Some(subnet_id(settings, &i.zone)),
        vpc_id: Some(vpc_id(settings)),
        source_dest_check: Some(i.source_dest_check),
        state_reason: state_reason(i),
        architecture: architecture().into(),
        root_device_type: "ebs".into(),
        root_device_name: ROOT_DEVICE.into(),
        virtualization_type: "hvm".into(),
        client_token: i.client_token.clone().unwrap_or_default(),
        tag_set: tags::shown(&i.tags),
        hypervisor: "xen".into(),
        ..ec2::Instance::default()
    }
}

/// The private and the public address. They are one here, but EC2 shows a public one only while the instance runs, and
/// none at all of a terminated one.
fn addresses(i: &Instance) -> (Option<IpAddr>, Option<IpAddr>) {
    match i.state {
        InstanceState::Terminated => (None, None),
        InstanceState::Stopped => (Some(i.address), None),
        _ => (Some(i.address), Some(i.address)),
    }
}

/// EC2's `StateReason`: of one that comes, that it comes.
fn state_reason(i: &Instance) -> Option<ec2::StateReason> {
    let pending = || ec2::StateReason { code: "pending".into(), message: "pending".into() };
    let coming = (i.state == InstanceState::Pending).then(pending);
    i.reason.as_ref().map(|r| ec2::StateReason { code: r.code.clone(), message: r.message.clone() }).or(coming)
}

/// EC2's `StateTransitionReason`.
fn reason(i: &Instance) -> String {
    match &i.reason {
        None => String::new(),
        Some(reason) if reason.code == "Client.UserInitiatedShutdown" => {
            let at = wire_time(reason.at.unwrap_or(i.changed)).to_string();
            let (day, time) = (at.get(..10).unwrap_or_default(), at.get(11..19).unwrap_or_default());
            format!("User initiated ({day} {time} GMT)")
        }
        Some(reason) => reason.message.clone(),
    }
}

pub(super) fn groups_of(i: &Instance, world: &World) -> Vec<ec2::Group> {
    let group = |name: &String| ec2::Group {
        group_id: groups::id_of(world, name).unwrap_or_default(),
        group_name: name.clone(),
    };
    i.groups.iter().map(group).collect()
}

fn values(i: &Instance, world: &World, name: &'static str) -> Vec<String> {
    let settings = world.settings();
    let (private, public) = addresses(i);
    let list = |address: Option<IpAddr>| address.map(|a| a.to_string()).into_iter().collect::<Vec<_>>();
    vec![match name {
        "architecture" => architecture().into(),
        "availability-zone" => i.zone.to_string(),
        "client-token" => i.client_token.clone().unwrap_or_default(),
        "dns-name" => public.map(host_name).unwrap_or_default(),
        "group-id" | "instance.group-id" => {
            return i.groups.iter().filter_map(|name| groups::id_of(world, name)).collect();
        }
        "group-name" | "instance.group-name" => return i.groups.clone(),
        "hypervisor" => "xen".into(),
        "image-id" => i.image.to_string(),
        "instance-id" => i.id.to_string(),
        "instance-state-code" => i.state.code().to_string(),
        "instance-state-name" => i.state.as_str().into(),
        "instance-type" => i.instance_type.clone(),
        "ip-address" => return list(public),
        "key-name" => return i.key_name.iter().cloned().collect(),
        "launch-index" => i.launch_index.to_string(),
        "launch-time" => wire_time(i.launched).to_string(),
        "monitoring-state" => "disabled".into(),
        "owner-id" => settings.account.clone(),
        "private-dns-name" => private.map(host_name).unwrap_or_default(),
        "private-ip-address" => return list(private),
        "reason" => reason(i),
        "reservation-id" => i.reservation.to_string(),
        "root-device-name" => ROOT_DEVICE.into(),
        "root-device-type" => "ebs".into(),
        "state-reason-code" => return i.reason.iter().map(|r| r.code.clone()).collect(),
        "state-reason-message" => return i.reason.iter().map(|r| r.message.clone()).collect(),
        "subnet-id" => subnet_id(settings, &i.zone),
        "tenancy" => "default".into(),
        "virtualization-type" => "hvm".into(),
        "vpc-id" => vpc_id(settings),
        // Nobody launches for another.
        _ => return Vec::new(),
    }]
}
