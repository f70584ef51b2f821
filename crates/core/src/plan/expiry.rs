//! What intent lets go of with time: drained instances, nodes of disabled zones, records of the terminated, subscriptions that
//! nobody confirmed, what was told of alarms.

use std::time::Duration;

use crate::change::{AlarmChange, Change};
use crate::noun::topic::CONFIRMED_WITHIN;
use crate::noun::{Instance, InstanceState};
use crate::sightings::Sightings;
use crate::time::Timestamp;
use crate::world::World;
use crate::world::alarms::past;

/// How long the record of a terminated instance stays (AWS: about an hour).
pub const TERMINATED_STAYS: Duration = Duration::from_secs(3600);

/// The Changes that are due.
#[must_use]
pub fn due(world: &World, sightings: &Sightings, now: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    for lb in world.load_balancers() {
        for (instance, until) in &lb.draining {
            let idle = sightings.road.as_ref().is_some_and(|road| {
                let key = (lb.name.clone(), instance.clone());
                road.applied >= world.generation() && !road.outstanding.contains_key(&key)
            });
            let runs = world.instance(instance).is_some_and(|i| i.state == InstanceState::Running);
            if idle || !runs || now >= *until {
                changes.push(Change::EndDraining { name: lb.name.clone(), instance: instance.clone() });
            }
        }
        for (zone, node) in &lb.leaving {
            if now >= node.until {
                changes.push(Change::EndLeaving { name: lb.name.clone(), zone: zone.clone() });
            }
        }
    }
    for instance in forgettable(world) {
        if now.since(instance.changed) >= TERMINATED_STAYS {
            changes.push(Change::ForgetInstance { instance: instance.id.clone() });
        }
    }
    for held in world.subscriptions() {
        if held.confirmed.is_none() && now.since(held.asked) >= CONFIRMED_WITHIN {
            changes.push(Change::Unsubscribe { subscription: held.arn.clone() });
        }
    }
    for (alarm, mut items) in world.alarm_histories() {
        if items.next().is_some_and(|oldest| now.since(oldest.at) >= past::KEPT) {
            changes.push(Change::Alarm(AlarmChange::Forget { alarm: alarm.clone() }));
        }
    }
    changes
}

/// When something next falls due by time alone.
#[must_use]
pub fn next_deadline(world: &World) -> Option<Timestamp> {
    let balancers = world.load_balancers();
    let waits = balancers.flat_map(|lb| lb.draining.values().copied().chain(lb.leaving.values().map(|n| n.until)));
    let gone = forgettable(world);
    let unconfirmed = world.subscriptions().filter(|held| held.confirmed.is_none());
    let unconfirmed = unconfirmed.map(|held| held.asked.plus(CONFIRMED_WITHIN));
    let told = world.alarm_histories().filter_map(|(_, mut items)| Some(items.next()?.at.plus(past::KEPT)));
    waits.chain(gone.map(|i| i.changed.plus(TERMINATED_STAYS))).chain(unconfirmed).chain(told).min()
}

/// Instances that are terminated, except members: a group that may not replace them yet, still tells of them.
fn forgettable(world: &World) -> impl Iterator<Item = &Instance> {
    let terminated = world.instances().filter(|instance| instance.state == InstanceState::Terminated);
    terminated.map(AsRef::as_ref).filter(|instance| world.membership(&instance.id).is_none())
}
