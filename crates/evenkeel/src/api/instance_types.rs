//! DescribeInstanceTypes, DescribeInstanceTypeOfferings: the types whose limits are known, and where they may be launched.
//!
//! Owns what is said of a type, which is what holds here: processors and memory, on the node's own architecture. The table is
//! core's. Types that are not in it can be launched where nothing is counted, but nothing is known of them. Next:
//! [`super::launch`].

use std::collections::BTreeMap;

use evenkeel_aws::{Error, ec2};
use evenkeel_core::name::ZoneName;
use evenkeel_core::noun::InstanceType;

use super::filter::Filters;
use super::page::Page;
use super::places::zone_id;
use super::{Asked, shown, words};

pub(super) const FILTERS: &[&str] = &[
    "auto-recovery-supported",
    "bare-metal",
    "burstable-performance-supported",
    "current-generation",
    "dedicated-hosts-supported",
    "free-tier-eligible",
    "hibernation-supported",
    "hypervisor",
    "instance-storage-supported",
    "instance-type",
    "memory-info.size-in-mib",
    "processor-info.supported-architecture",
    "supported-root-device-type",
    "supported-usage-class",
    "supported-virtualization-type",
    "vcpu-info.default-cores",
    "vcpu-info.default-threads-per-core",
    "vcpu-info.default-vcpus",
];

pub(super) const OFFERING_FILTERS: &[&str] = &["instance-type", "location"];

/// Names that one call may state (AWS).
const MOST_NAMES: usize = 100;

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &ec2::DescribeInstanceTypes,
) -> Result<ec2::DescribeInstanceTypesOutput, Error> {
    let names = &input.instance_types;
    if input.max_results.is_some() && !names.is_empty() {
        let text = "The parameter InstanceType cannot be used with the parameter MaxResults";
        return Err(Error::sender("InvalidParameterCombination", text));
    }
    if names.len() > MOST_NAMES {
        return Err(Error::invalid_parameter(format!("At most {MOST_NAMES} instance types can be stated in one call")));
    }
    if let Some(most) = input.max_results.filter(|most| *most > 100) {
        let text = format!(
            "Value ( {most} ) for parameter maxResults is invalid. Expecting a value less than or equal to 100."
        );
        return Err(Error::invalid_parameter(text));
    }
    let page = Page::ec2("types", input.max_results, 5, input.next_token.as_deref())?;
    let filters = Filters::read(&input.filters, FILTERS)?;
    let unknown: Vec<String> =
        names.iter().filter(|name| InstanceType::named(name).is_none()).map(|name| words::quoted(name)).collect();
    if !unknown.is_empty() {
        let text = format!("The following supplied instance types do not exist: [{}]", unknown.join(", "));
        return Err(Error::sender("InvalidInstanceType", text));
    }
    words::unless_dry_run(input.dry_run)?;
    // One that no zone takes is not there.
    let offered =
        |known: &&InstanceType| asked.world.settings().zones.iter().any(|z| asked.world.offers(z, known.name));
    let wanted = InstanceType::all().iter().filter(offered).map(about).filter(|known| {
        (names.is_empty() || names.contains(&known.instance_type))
            && filters.hold(|name| values(known, name), &BTreeMap::new())
    });
    let (shown, next_token) = page.cut(wanted, |known| known.instance_type.clone());
    Ok(ec2::DescribeInstanceTypesOutput { instance_type_set: shown.into(), next_token })
}

pub(super) fn offerings(
    asked: &Asked<'_>,
    input: &ec2::DescribeInstanceTypeOfferings,
) -> Result<ec2::DescribeInstanceTypeOfferingsOutput, Error> {
    let page = Page::ec2("offerings", input.max_results, 5, input.next_token.as_deref())?;
    let filters = Filters::read(&input.filters, OFFERING_FILTERS)?;
    let settings = asked.world.settings();
    let stated = input.location_type.as_deref().filter(|text| !text.is_empty()).unwrap_or("region");
    let zones = || settings.zones.iter().enumerate();
    // Each place with the zones that it is.
    let (kind, places): (_, Vec<(String, Vec<&ZoneName>)>) = match stated {
        "region" => ("region", vec![(settings.region.clone(), settings.zones.iter().collect())]),
        "availability-zone" => ("availability-zone", zones().map(|(_, zone)| (zone.to_string(), vec![zone])).collect()),
        "availability-zone-id" => {
            let of = |(index, zone)| (zone_id(&settings.region, index), vec![zone]);
            ("availability-zone-id", zones().map(of).collect())
        }
        other => {
            let why = "It must be region, availability-zone or availability-zone-id.";
            return Err(words::bad_value("LocationType", other, why));
        }
    };
    words::unless_dry_run(input.dry_run)?;
    let mut all = Vec::new();
    for (location, zones) in &places {
        let offered = |known: &&InstanceType| zones.iter().any(|zone| asked.world.offers(zone, known.name));
        all.extend(InstanceType::all().iter().filter(offered).map(|known| ec2::InstanceTypeOffering {
            instance_type: known.name.to_owned(),
            location_type: kind.to_owned(),
            location: location.clone(),
        }));
    }
    let values = |offering: &ec2::InstanceTypeOffering, name: &str| match name {
        "location" => vec![offering.location.clone()],
        _ => vec![offering.instance_type.clone()],
    };
    let place = |offering: &ec2::InstanceTypeOffering| format!("{} {}", offering.location, offering.instance_type);
    all.sort_by_key(place);
    let wanted = all.into_iter().filter(|offering| filters.hold(|name| values(offering, name), &BTreeMap::new()));
    let (shown, next_token) = page.cut(wanted, place);
    Ok(ec2::DescribeInstanceTypeOfferingsOutput { instance_type_offering_set: shown.into(), next_token })
}

fn about(known: &InstanceType) -> ec2::InstanceTypeInfo {
    let list = |text: &str| vec![text.to_owned()].into();
    let cpus = i64::from(known.cpu_millis / 1000);
    ec2::InstanceTypeInfo {
        instance_type: known.name.to_owned(),
        current_generation: !known.is_previous(),
        free_tier_eligible: false,
        supported_usage_classes: list("on-demand"),
        supported_root_device_types: list("ebs"),
        supported_virtualization_types: list("hvm"),
        bare_metal: false,
        hypervisor: Some("xen".into()),
        processor_info: ec2::ProcessorInfo { supported_architectures: list(shown::architecture()) },
        v_cpu_info: ec2::VCpuInfo { default_v_cpus: cpus, default_cores: cpus, default_threads_per_core: 1 },
        memory_info: ec2::MemoryInfo { size_in_mib: known.memory_mib.into() },
        instance_storage_supported: false,
        hibernation_supported: false,
        burstable_performance_supported: false,
        dedicated_hosts_supported: false,
        auto_recovery_supported: false,
    }
}

fn values(known: &ec2::InstanceTypeInfo, name: &str) -> Vec<String> {
    vec![match name {
        "auto-recovery-supported" => known.auto_recovery_supported.to_string(),
        "bare-metal" => known.bare_metal.to_string(),
        "burstable-performance-supported" => known.burstable_performance_supported.to_string(),
        "current-generation" => known.current_generation.to_string(),
        "dedicated-hosts-supported" => known.dedicated_hosts_supported.to_string(),
        "free-tier-eligible" => known.free_tier_eligible.to_string(),
        "hibernation-supported" => known.hibernation_supported.to_string(),
        "hypervisor" => return known.hypervisor.iter().cloned().collect(),
        "instance-storage-supported" => known.instance_storage_supported.to_string(),
        "instance-type" => known.instance_type.clone(),
        "memory-info.size-in-mib" => known.memory_info.size_in_mib.to_string(),
        "processor-info.supported-architecture" => return known.processor_info.supported_architectures.to_vec(),
        "supported-root-device-type" => return known.supported_root_device_types.to_vec(),
        "supported-usage-class" => return known.supported_usage_classes.to_vec(),
        "supported-virtualization-type" => return known.supported_virtualization_types.to_vec(),
        "vcpu-info.default-cores" => known.v_cpu_info.default_cores.to_string(),
        "vcpu-info.default-threads-per-core" => known.v_cpu_info.default_threads_per_core.to_string(),
        "vcpu-info.default-vcpus" => known.v_cpu_info.default_v_cpus.to_string(),
        _ => return Vec::new(),
    }]
}
