//! The instances' plan: from what is intended and what a driver sees to the next steps.
//!
//! Owns that comparison, pure and total: every pair of intended and seen state has its steps, so a restart, a missed
//! event and the happy case are one path, and a plan carried out leaves an empty plan. Must never carry a step out:
//! that is the house's `loops/instances`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::change::{EndedBy, Seen};
use crate::name::InstanceId;
use crate::noun::{Instance, InstanceState, InstanceStatus};
use crate::sightings::{RoadSeen, Sightings};
use crate::time::Timestamp;
use crate::world::World;

/// The longest that stopping an instance waits for requests in flight on it. Longer waits are what deregistering with
/// connection draining is for.
pub const STOP_WAITS: Duration = Duration::from_secs(5);

/// What a driver sees of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Which boot of it.
    pub boot: u32,
    /// How it is.
    pub condition: Condition,
}

/// How a driver sees that an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Being made; the application is not started yet.
    Starting,
    /// It is up, and fares like this.
    Running(InstanceStatus),
    /// It ended; nothing of it runs any more.
    Ended {
        /// How, in words.
        how: String,
        /// Whether in good order.
        orderly: bool,
        /// Whether it never ran at all.
        never_started: bool,
        /// By whose doing.
        by: EndedBy,
    },
}

/// One step towards what is intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start this boot of an instance.
    Launch(InstanceId),
    /// Stop it in good order: TERM, grace, KILL.
    Stop(InstanceId),
    /// Tell the World what was seen.
    Report {
        /// Of which instance.
        instance: InstanceId,
        /// Of which boot.
        boot: u32,
        /// What.
        seen: Seen,
    },
    /// Remove what is left of one that the World does not know any more.
    Remove(InstanceId),
}

/// The steps that lead from what is seen to what is intended, in order of instance id.
#[must_use]
pub fn plan(world: &World, sightings: &Sightings, seen: &BTreeMap<InstanceId, Sight>, now: Timestamp) -> Vec<Step> {
    let known = world.instances().filter_map(|i| step(i, seen.get(&i.id), sightings, now));
    let ended = |sight: &Sight| matches!(sight.condition, Condition::Ended { .. });
    // One that runs but is unknown is left alone: it can only come from a Store that is not the one it was made by.
    let strangers = seen.iter().filter(|(id, sight)| world.instance(id).is_none() && ended(sight));
    known.chain(strangers.map(|(id, _)| Step::Remove(id.clone()))).collect()
}

/// When the plan may next change without any event: the end of the nearest wait.
#[must_use]
pub fn next_deadline(world: &World) -> Option<Timestamp> {
    let waits =
        |i: &&std::sync::Arc<Instance>| matches!(i.state, InstanceState::ShuttingDown | InstanceState::Stopping);
    world.instances().filter(waits).map(|i| i.changed.plus(STOP_WAITS)).min()
}

fn step(instance: &Instance, sight: Option<&Sight>, sightings: &Sightings, now: Timestamp) -> Option<Step> {
    let id = || instance.id.clone();
    let report = |seen| Some(Step::Report { instance: instance.id.clone(), boot: instance.boots, seen });
    let gone = |why: &str| Seen::Ended { how: why.to_owned(), orderly: false, never_started: false, by: EndedBy::Node };
    let current = sight.filter(|s| s.boot == instance.boots);
    let ended = |s: &Sight| match &s.condition {
        Condition::Ended { how, orderly, never_started, by } => {
            Some(Seen::Ended { how: how.clone(), orderly: *orderly, never_started: *never_started, by: *by })
        }
        Condition::Starting | Condition::Running(_) => None,
    };
    let running = |s: &Sight| match &s.condition {
        Condition::Running(status) => Some(Seen::Running { status: status.clone() }),
        Condition::Starting | Condition::Ended { .. } => None,
    };
    let older_lives = sight.is_some_and(|s| s.boot != instance.boots && ended(s).is_none());
    match instance.state {
        // A boot that is not the wanted one has to end before the wanted one can begin.
        InstanceState::Pending | InstanceState::Running if older_lives => Some(Step::Stop(id())),
        InstanceState::Pending => match current {
            None => Some(Step::Launch(id())),
            Some(s) => running(s).or_else(|| ended(s)).and_then(report),
        },
        InstanceState::Running => match (current, sight) {
            (Some(Sight { condition: Condition::Running(status), .. }), _) if *status == instance.status => None,
            (Some(s), _) => running(s).or_else(|| ended(s)).and_then(report),
            (None, Some(_)) => Some(Step::Launch(id())),
            (None, None) => report(gone("everything of it is gone from this node")),
        },
        InstanceState::ShuttingDown | InstanceState::Stopping => match sight {
            None => report(gone("nothing of it runs")),
            Some(s) => match ended(s) {
                Some(seen) => report(seen),
                None if may_stop(instance, sightings, now) => Some(Step::Stop(id())),
                None => None,
            },
        },
        InstanceState::Stopped | InstanceState::Terminated => {
            sight.filter(|s| ended(s).is_none()).map(|_| Step::Stop(id()))
        }
    }
}

/// Whether stopping now cuts nobody off: the road has heard that nothing more goes there, and nothing is in flight. A
/// road that is out of reach may still be sending, so then only the longest wait ends it.
fn may_stop(instance: &Instance, sightings: &Sightings, now: Timestamp) -> bool {
    let heard = |road: &RoadSeen| road.applied >= instance.changed_in && road.outstanding_on(&instance.id) == 0;
    sightings.road.as_ref().is_some_and(heard) || now.since(instance.changed) >= STOP_WAITS
}
