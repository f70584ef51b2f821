//! What the daemon says of itself: `evenkeel status`. Owns the report's shape; must never change anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::name::ZoneName;
use evenkeel_core::sightings::instance_health;
use evenkeel_core::world::World;
use serde::{Deserialize, Serialize};

use crate::dns;
use crate::keeper::KeeperHandle;
use crate::link::Count;
use crate::loops::road::Counts;
use crate::loops::{SightingsWatch, Status, Statuses};
use crate::metrics::Metrics;
use crate::notices::Outbox;

/// The report, as JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
    /// The region.
    pub region: String,
    /// The World's generation.
    pub generation: u64,
    /// The generation that the road drives by; `None` while it is out of reach.
    pub road: Option<u64>,
    /// Listeners that are not served, and why.
    pub bind_faults: Vec<String>,
    /// Instances by state.
    pub instances: BTreeMap<String, usize>,
    /// The zones, by name.
    #[serde(default)]
    pub zones: BTreeMap<String, ZoneReport>,
    /// Each balancer's instances: registered, and in service.
    pub balancers: BTreeMap<String, (usize, usize)>,
    /// What the road counted since it started.
    pub counts: Vec<Count>,
    /// The loops.
    pub loops: BTreeMap<String, Status>,
}

/// What a zone has, and what its instances may use: those that are neither stopped nor terminated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneReport {
    /// How many they are.
    pub instances: usize,
    /// Thousandths of processors that they may use.
    pub used_cpu_millis: u64,
    /// MiB of memory that they may use.
    pub used_memory_mib: u64,
    /// Thousandths of processors that the zone is declared to have, where it is.
    pub declared_cpu_millis: Option<u64>,
    /// MiB of memory that the zone is declared to have, where it is.
    pub declared_memory_mib: Option<u64>,
}

/// The zones of a World, by name.
pub(super) fn zones(world: &World) -> BTreeMap<String, ZoneReport> {
    let report = |zone: &ZoneName| {
        let (usage, capacity) = (world.usage(zone), world.capacity(zone));
        ZoneReport {
            instances: world.instances().filter(|i| i.zone == *zone && i.state.takes_room()).count(),
            used_cpu_millis: usage.cpu_millis,
            used_memory_mib: usage.memory_mib,
            declared_cpu_millis: capacity.cpu_millis,
            declared_memory_mib: capacity.memory_mib,
        }
    };
    world.settings().zones.iter().map(|zone| (zone.to_string(), report(zone))).collect()
}

/// Where a report is made from.
pub struct Reporter {
    /// Intent.
    pub keeper: KeeperHandle,
    /// What was seen.
    pub sightings: SightingsWatch,
    /// The loops' own words.
    pub statuses: Statuses,
    /// The road's counts.
    pub counts: Counts,
    /// The name server's.
    pub dns: Arc<dns::server::Counts>,
    /// What waits for subscribers.
    pub outbox: Arc<Outbox>,
    /// What was measured.
    pub measured: Metrics,
}

impl Reporter {
    /// The report as of now.
    #[must_use]
    pub fn report(&self) -> Report {
        let (world, seen) = (self.keeper.world(), Arc::clone(&self.sightings.borrow()));
        let mut instances = BTreeMap::new();
        for instance in world.instances() {
            *instances.entry(instance.state.as_str().to_owned()).or_default() += 1;
        }
        let balancers = world.load_balancers().map(|lb| {
            let serving = |id| instance_health(&world, &seen, lb, id).state == "InService";
            let in_service = lb.instances.iter().filter(|id| serving(id)).count();
            (lb.name.to_string(), (lb.instances.len(), in_service))
        });
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            region: world.settings().region.clone(),
            generation: world.generation(),
            road: seen.road.as_ref().map(|road| road.applied),
            bind_faults: seen.road.as_ref().map(|road| road.bind_faults.clone()).unwrap_or_default(),
            instances,
            zones: zones(&world),
            balancers: balancers.collect(),
            counts: self.counts.last(),
            loops: self.statuses.all().into_iter().map(|(name, status)| (name.to_owned(), status)).collect(),
        }
    }
}
