//! What zones have room for: declared capacity against the limits of the instances that run or may run there.
//!
//! Owns which zone a launch gets, how many of it fit, and what a start needs. Must never end anything: where a declaration
//! has become smaller than what is in use, only what would be added is refused. Source: EC2 user guide, "Troubleshoot instance
//! launch issues", on insufficient capacity.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::World;
use crate::name::ZoneName;
use crate::noun::image::Resources;
use crate::noun::{Capacity, Instance, InstanceState, InstanceType, Usage};
use crate::refusal::Refusal;

impl World {
    /// What a zone is declared to have.
    #[must_use]
    pub fn capacity(&self, zone: &ZoneName) -> Capacity {
        self.settings.capacity.get(zone).copied().unwrap_or_default()
    }

    /// What the instances of a zone may use that are neither stopped nor terminated.
    #[must_use]
    pub fn usage(&self, zone: &ZoneName) -> Usage {
        let there = self.instances().filter(|i| i.zone == *zone && i.state.takes_room());
        there.fold(Usage::default(), |sum, i| sum.plus(Usage::of(&i.instance_type, 1)))
    }

    /// Whether instances of a type may be launched in a zone. One that has no limits cannot be counted: it is offered only where
    /// there is nothing to count.
    #[must_use]
    pub fn offers(&self, zone: &ZoneName, instance_type: &str) -> bool {
        InstanceType::named(instance_type).is_some() || self.capacity(zone).is_undeclared()
    }

    /// Whether one more instance of a type fits into a zone.
    #[must_use]
    pub fn has_room(&self, zone: &ZoneName, instance_type: &str) -> bool {
        self.room(zone, instance_type) > 0
    }

    /// How many more instances of a type fit into a zone.
    fn room(&self, zone: &ZoneName, instance_type: &str) -> u64 {
        let capacity = self.capacity(zone);
        match InstanceType::named(instance_type) {
            _ if capacity.is_undeclared() => u64::MAX,
            Some(known) => capacity.room(self.usage(zone), known),
            None => 0,
        }
    }

    /// The zone of a launch of `count` instances, of which `least` must fit, and how many fit. Where no zone is wanted it is
    /// the one with room for the most of them, among equals the one with the fewest instances, then the first in order.
    pub(super) fn place(
        &self,
        wanted: Option<&ZoneName>,
        instance_type: &str,
        least: usize,
        count: usize,
    ) -> Result<(ZoneName, usize), Refusal> {
        let zones = &self.settings.zones;
        if zones.is_empty() {
            return Err(Refusal::NoZones);
        }
        let offered = |zone: &&ZoneName| self.offers(zone, instance_type);
        let fit = |zone: &ZoneName| usize::try_from(self.room(zone, instance_type)).unwrap_or(usize::MAX).min(count);
        let living = |zone: &ZoneName| self.living().filter(|i| i.zone == *zone).count();
        let best = match wanted {
            Some(zone) => Some(zone).filter(offered),
            None => zones.iter().filter(offered).min_by_key(|zone| (count - fit(zone), living(zone))),
        };
        let instance_type = instance_type.to_owned();
        let Some(zone) = best else {
            let others = zones.iter().filter(offered).cloned().collect();
            return Err(Refusal::TypeNotOffered { instance_type, zone: wanted.cloned(), others });
        };
        match fit(zone) {
            room if room >= least => Ok((zone.clone(), room)),
            _ => {
                let others = zones.iter().filter(|zone| fit(zone) >= least).cloned().collect();
                Err(Refusal::NoCapacity { instance_type, zone: wanted.cloned(), others })
            }
        }
    }

    /// Refuses to start stopped instances, each named once, where they do not fit into their zones all together.
    pub(super) fn room_to_start(&self, instances: &[&Arc<Instance>]) -> Result<(), Refusal> {
        let stopped = || instances.iter().filter(|i| i.state == InstanceState::Stopped);
        let mut added: BTreeMap<&ZoneName, Usage> = BTreeMap::new();
        for instance in stopped() {
            let sum = added.entry(&instance.zone).or_default();
            *sum = sum.plus(Usage::of(&instance.instance_type, 1));
        }
        for (zone, sum) in added {
            // One whose type has no limits adds nothing, and is started however full its zone is.
            let counts = |i: &&&Arc<Instance>| i.zone == *zone && InstanceType::named(&i.instance_type).is_some();
            let Some(first) = stopped().find(counts) else { continue };
            if !self.capacity(zone).holds(self.usage(zone).plus(sum)) {
                let (instance_type, zone) = (first.instance_type.clone(), Some(zone.clone()));
                return Err(Refusal::NoCapacity { instance_type, zone, others: Vec::new() });
            }
        }
        Ok(())
    }
}

/// Refuses a type that gives less than what an image needs; one without limits gives as much as there is.
pub(super) fn suits(needs: &Resources, instance_type: &str) -> Result<(), Refusal> {
    let Some(known) = InstanceType::named(instance_type) else { return Ok(()) };
    let processors = ("thousandths of a processor", needs.cpu_millis, known.cpu_millis);
    let memory = ("MiB of memory", needs.memory_mib, known.memory_mib);
    for (what, needs, gives) in [processors, memory] {
        if let Some(needs) = needs.filter(|needs| *needs > gives) {
            return Err(Refusal::TypeTooSmall { instance_type: instance_type.to_owned(), what, needs, gives });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
