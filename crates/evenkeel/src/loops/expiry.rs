//! The loop that lets go of what time has ended: drained instances, nodes of disabled zones, old records.
//!
//! Owns nothing but the asking; what is due is `plan::expiry`'s to say.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::plan::expiry;
use tokio::sync::Notify;

use super::{Outcome, SightingsWatch, Statuses, now, reconcile};
use crate::keeper::KeeperHandle;

/// Runs the loop; never returns.
pub async fn run(keeper: KeeperHandle, sightings: SightingsWatch, statuses: Statuses) {
    let generations = keeper.generations();
    let seen = sightings.clone();
    reconcile("expiry", statuses, Arc::new(Notify::new()), generations, sightings, Duration::from_secs(60), || {
        let (keeper, seen) = (keeper.clone(), seen.clone());
        async move {
            let (world, seen) = (keeper.world(), Arc::clone(&seen.borrow()));
            let mut outcome = Outcome::default();
            for change in expiry::due(&world, &seen, now()) {
                if let Err(error) = keeper.submit("expiry", change).await {
                    outcome.failure = Some(error.to_string());
                }
            }
            let next = expiry::next_deadline(&keeper.world());
            outcome.again = next.map(|at| at.since(now()).max(Duration::from_millis(10)));
            outcome
        }
    })
    .await;
}
