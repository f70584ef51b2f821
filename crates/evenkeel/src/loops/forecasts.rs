//! The loop that has forecasts made for the policies that scale by them.
//!
//! Owns when a policy's load is read: for a new policy at once, then every six hours (AWS), and each minute where there is too little of
//! it. What is foreseen is the World's to say, when an hour is met `plan::groups`'. Must never hold a state of its own that matters: the
//! notes of when a load was last read only save work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::change::{Change, ScalingChange};
use evenkeel_core::name::{AutoScalingGroupName, ScalingName};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use tokio::sync::Notify;

use super::{Outcome, SightingsWatch, Statuses, now, reconcile};
use crate::keeper::KeeperHandle;
use crate::metrics::history::history;
use crate::metrics::readings::Values;

/// How often it is looked for a policy whose forecast is due.
const LONGEST: Duration = Duration::from_secs(30);
/// How long until a load is read again of which there was too little.
const AGAIN: Duration = Duration::from_secs(60);
/// Policies that the status names.
const NOTES: usize = 10;

/// When a policy's load was last read, and when its metrics had become what they were.
type Read = BTreeMap<(AutoScalingGroupName, ScalingName), (Timestamp, Timestamp)>;

/// Runs the loop; never returns.
pub async fn run(keeper: KeeperHandle, sightings: SightingsWatch, values: Arc<Values>, statuses: Statuses) {
    let generations = keeper.generations();
    let read: Arc<Mutex<Read>> = Arc::default();
    reconcile("forecasts", statuses, Arc::new(Notify::new()), generations, sightings, LONGEST, || {
        let (keeper, values, read) = (keeper.clone(), Arc::clone(&values), Arc::clone(&read));
        async move { once(&keeper, values, read).await }
    })
    .await;
}

async fn once(keeper: &KeeperHandle, values: Arc<Values>, read: Arc<Mutex<Read>>) -> Outcome {
    let (world, at) = (keeper.world(), now());
    let mut outcome = Outcome::default();
    let looked = tokio::task::spawn_blocking(move || {
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        look(&world, values.as_ref(), &mut read, at)
    });
    let Ok((changes, failed)) = looked.await else {
        outcome.failure = Some("panicked while loads were read".into());
        return outcome;
    };
    outcome.notes = failed.into_iter().take(NOTES).collect();
    for change in changes {
        if let Err(error) = keeper.submit("forecasts", Change::Scale(change)).await {
            outcome.failure.get_or_insert(error.to_string());
        }
    }
    outcome
}

/// What was read for all policies whose turn it is, as far as it is news, and in words what could not be.
fn look(world: &World, values: &Values, read: &mut Read, at: Timestamp) -> (Vec<ScalingChange>, Vec<String>) {
    let (mut changes, mut failed) = (Vec::new(), Vec::new());
    let before = std::mem::take(read);
    let staying = world.scaling_groups().filter(|group| !group.is_going);
    for (group, name, policy) in staying.flat_map(|group| group.policies.iter().map(move |(name, p)| (group, name, p)))
    {
        let Some(predictor) = &policy.predictor else { continue };
        let (key, configured) = ((group.name.clone(), name.clone()), predictor.configured);
        let last = before.get(&key).filter(|(_, of)| *of == configured).map(|(last, _)| *last);
        // Nobody waits for the forecast of a policy that is switched off.
        let waits = !policy.enabled || last.is_some_and(|last| at < last.plus(AGAIN));
        if waits || !predictor.is_due(at) {
            read.extend(last.map(|last| (key, (last, configured))));
            continue;
        }
        read.insert(key, (at, configured));
        let found = match world.predicted(group, policy) {
            Ok(Some(of)) => history(values, &of, at),
            Ok(None) => continue,
            Err(why) => Err(why.to_string()),
        };
        match found {
            Ok((load, relation)) => {
                let (group, name) = (group.name.clone(), name.clone());
                let change = ScalingChange::Foretell { group, name, configured, load, relation };
                let decision = world.decide(&Change::Scale(change.clone()), at);
                if decision.is_ok_and(|decision| !decision.writes.is_empty()) {
                    changes.push(change);
                }
            }
            Err(why) => failed.push(format!("{}/{name}: {why}", group.name)),
        }
    }
    (changes, failed)
}
