//! Places: the region there is, and its zones.

use std::collections::BTreeMap;

use evenkeel_aws::xml::Items;
use evenkeel_aws::{Error, ec2};

use super::filter::Filters;
use super::{Asked, words};

pub(super) const ZONE_FILTERS: &[&str] =
    &["group-name", "message", "opt-in-status", "region-name", "state", "zone-id", "zone-name", "zone-type"];

pub(super) const REGION_FILTERS: &[&str] = &["endpoint", "opt-in-status", "region-name"];

pub(super) fn zones(
    asked: &Asked<'_>,
    input: &ec2::DescribeAvailabilityZones,
) -> Result<ec2::DescribeAvailabilityZonesOutput, Error> {
    let filters = Filters::read(&input.filters, ZONE_FILTERS)?;
    let settings = asked.world.settings();
    let zone = |(index, name): (usize, &evenkeel_core::name::ZoneName)| ec2::AvailabilityZone {
        opt_in_status: Some("opt-in-not-required".into()),
        zone_name: name.to_string(),
        zone_state: "available".into(),
        region_name: settings.region.clone(),
        zone_id: Some(zone_id(&settings.region, index)),
        group_name: Some(settings.region.clone()),
        network_border_group: Some(settings.region.clone()),
        zone_type: Some("availability-zone".into()),
        message_set: Items::default(),
    };
    let all: Vec<ec2::AvailabilityZone> = settings.zones.iter().enumerate().map(zone).collect();
    let named = |name: &String| all.iter().any(|zone| zone.zone_name == *name);
    let numbered = |id: &String| all.iter().any(|zone| zone.zone_id.as_ref() == Some(id));
    let unknown = input.zone_names.iter().find(|n| !named(n)).or(input.zone_ids.iter().find(|id| !numbered(id)));
    if let Some(unknown) = unknown {
        return Err(Error::invalid_parameter(format!("Invalid availability zone: [{}]", words::quoted(unknown))));
    }
    words::unless_dry_run(input.dry_run)?;
    let wanted = |zone: &ec2::AvailabilityZone| {
        let values = |name| match name {
            "group-name" | "region-name" => vec![zone.region_name.clone()],
            "opt-in-status" => vec!["opt-in-not-required".into()],
            "state" => vec![zone.zone_state.clone()],
            "zone-id" => zone.zone_id.iter().cloned().collect(),
            "zone-name" => vec![zone.zone_name.clone()],
            "zone-type" => vec!["availability-zone".into()],
            _ => Vec::new(),
        };
        (input.zone_names.is_empty() || input.zone_names.contains(&zone.zone_name))
            && (input.zone_ids.is_empty() || zone.zone_id.as_ref().is_some_and(|id| input.zone_ids.contains(id)))
            && filters.hold(values, &BTreeMap::new())
    };
    let availability_zone_info = all.iter().filter(|zone| wanted(zone)).cloned().collect();
    Ok(ec2::DescribeAvailabilityZonesOutput { availability_zone_info })
}

/// A zone's id: `use1-az1` is the first one of `us-east-1`.
pub(super) fn zone_id(region: &str, index: usize) -> String {
    format!("{}-az{}", short(region), index + 1)
}

/// The one region. Its endpoint is where the caller reached us: that works for it, whatever lies between.
pub(super) fn regions(asked: &Asked<'_>, input: &ec2::DescribeRegions) -> Result<ec2::DescribeRegionsOutput, Error> {
    let filters = Filters::read(&input.filters, REGION_FILTERS)?;
    let region = &asked.world.settings().region;
    if let Some(unknown) = input.region_names.iter().find(|name| *name != region) {
        return Err(Error::invalid_parameter(format!("Invalid region names provided: {}", words::quoted(unknown))));
    }
    words::unless_dry_run(input.dry_run)?;
    let values = |name| {
        vec![match name {
            "endpoint" => asked.host.clone(),
            "region-name" => region.clone(),
            _ => "opt-in-not-required".into(),
        }]
    };
    let shown = filters.hold(values, &BTreeMap::new()).then(|| ec2::Region {
        region_name: region.clone(),
        region_endpoint: asked.host.clone(),
        opt_in_status: Some("opt-in-not-required".into()),
    });
    Ok(ec2::DescribeRegionsOutput { region_info: shown.into_iter().collect() })
}

/// A region's short name, which zone ids begin with: `use1` of `us-east-1`.
fn short(region: &str) -> String {
    let parts: Vec<&str> = region.split('-').collect();
    let [area, direction, number] = parts[..] else { return region.to_owned() };
    let direction = match direction {
        "north" => "n",
        "south" => "s",
        "east" => "e",
        "west" => "w",
        "central" => "c",
        "northeast" => "ne",
        "northwest" => "nw",
        "southeast" => "se",
        "southwest" => "sw",
        _ => return region.to_owned(),
    };
    format!("{area}{direction}{number}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn zone_ids_begin_as_awss_do() {
        let check = |region: &str, want: &str| assert_eq!(super::short(region), want);
        check("us-east-1", "use1");
        check("ap-southeast-2", "apse2");
        check("home", "home");
        check("my-own-1", "my-own-1");
    }
}
