//! What the daemon says of itself: `evenkeel status`. Owns the report's shape; must never change anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::sightings::instance_health;
use serde::{Deserialize, Serialize};

use crate::dns;
use crate::keeper::KeeperHandle;
use crate::link::Count;
use crate::loops::road::Counts;
use crate::loops::{SightingsWatch, Status, Statuses};
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
    /// Each balancer's instances: registered, and in service.
    pub balancers: BTreeMap<String, (usize, usize)>,
    /// What the road counted since it started.
    pub counts: Vec<Count>,
    /// The loops.
    pub loops: BTreeMap<String, Status>,
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
            balancers: balancers.collect(),
            counts: self.counts.last(),
            loops: self.statuses.all().into_iter().map(|(name, status)| (name.to_owned(), status)).collect(),
        }
    }
}
