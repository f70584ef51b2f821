//! The loop that makes instances be what they are meant to be.
//!
//! Owns the carrying out of `plan::instances`: launches, stops, reports, removals, each as soon as it is due. Must never
//! decide what an instance should be. A launch copies files and may take long, so it goes on beside the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use evenkeel_core::change::{Change, EndedBy, Seen};
use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::Instance;
use evenkeel_core::plan::instances::{self, Condition, Sight, Step};
use tokio::sync::Notify;

use super::{Outcome, SightingsWatch, Statuses, now, reconcile};
use crate::boot;
use crate::drivers::{self, Driver, Exit, LaunchSpec, SeenState, limits_for};
use crate::keeper::KeeperHandle;

/// Where an image's files are, by digest.
pub type ImagePath = Arc<dyn Fn(&str) -> std::path::PathBuf + Send + Sync>;

/// Where an instance finds its metadata.
pub type MetadataPlace = Arc<dyn Fn(&InstanceId) -> Result<String, String> + Send + Sync>;

/// Launches under way, so that none is begun twice.
type Busy = Arc<Mutex<BTreeSet<InstanceId>>>;

/// What the loop works with.
#[derive(Clone)]
pub struct Crew {
    /// Intent.
    pub keeper: KeeperHandle,
    /// Who runs instances.
    pub driver: Arc<dyn Driver>,
    /// Where images are.
    pub image_path: ImagePath,
    /// Where metadata is.
    pub metadata: MetadataPlace,
    /// What was seen.
    pub sightings: SightingsWatch,
}

/// Runs the loop; never returns.
pub async fn run(crew: Crew, statuses: Statuses) {
    let hint = Arc::new(Notify::new());
    let ring = Arc::clone(&hint);
    crew.driver.subscribe(Arc::new(move || ring.notify_one()));
    let busy = Busy::default();
    let (generations, sightings) = (crew.keeper.generations(), crew.sightings.clone());
    let woken = Arc::clone(&hint);
    reconcile("instances", statuses, hint, generations, sightings, Duration::from_secs(30), || {
        let (crew, busy, woken) = (crew.clone(), Arc::clone(&busy), Arc::clone(&woken));
        async move { pass(&crew, &busy, &woken).await }
    })
    .await;
}

/// One plan, carried out.
async fn pass(crew: &Crew, busy: &Busy, woken: &Arc<Notify>) -> Outcome {
    let world = crew.keeper.world();
    let seen: BTreeMap<InstanceId, Sight> = crew.driver.seen().into_iter().map(sight).collect();
    let sightings = Arc::clone(&crew.sightings.borrow());
    let mut outcome = Outcome::default();
    let launching = busy.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (id, _) in seen.iter().filter(|(id, s)| world.instance(id).is_none() && runs(s)) {
        outcome.notes.push(format!("{id} runs here, but is not in the state: it is left alone"));
    }
    for step in instances::plan(&world, &sightings, &seen, now()) {
        let failed = match step {
            Step::Launch(id) if launching.contains(&id) => None,
            Step::Launch(id) => {
                if let Some(instance) = world.instance(&id) {
                    launch(crew.clone(), Arc::clone(instance), Arc::clone(busy), Arc::clone(woken));
                }
                None
            }
            Step::Stop(id) => {
                let grace = world.instance(&id).map_or(0, |i| i.manifest.stop_grace);
                let stopped = crew.driver.stop(&id, Duration::from_secs(grace.into()));
                stopped.err().map(|e| format!("failed to stop {id}: {e}"))
            }
            Step::Remove(id) => crew.driver.remove(&id).err().map(|e| format!("failed to remove {id}: {e}")),
            Step::Report { instance, boot, seen } => {
                let change = Change::Report { instance, boot, seen };
                crew.keeper.submit("instances", change).await.err().map(|e| e.to_string())
            }
        };
        outcome.failure = outcome.failure.or(failed);
    }
    let next = instances::next_deadline(&world);
    outcome.again = next.map(|at| at.since(now()).max(Duration::from_millis(20)));
    outcome
}

/// Launches beside the loop; a launch that cannot begin is reported as an end.
fn launch(crew: Crew, instance: Arc<Instance>, busy: Busy, woken: Arc<Notify>) {
    busy.lock().unwrap_or_else(PoisonError::into_inner).insert(instance.id.clone());
    tokio::spawn(async move {
        let (id, boot) = (instance.id.clone(), instance.boots);
        let driver = Arc::clone(&crew.driver);
        let launched = match spec(&instance, &crew) {
            Ok(spec) => tokio::task::spawn_blocking(move || driver.launch(&spec).map_err(|e| e.to_string())).await,
            Err(why) => Ok(Err(why)),
        };
        let failure = match launched {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why),
            Err(_) => Some("the launch panicked".to_owned()),
        };
        if let Some(why) = failure {
            let how = format!("failed to launch: {why}");
            let seen = Seen::Ended { how, orderly: false, never_started: true, by: EndedBy::Node };
            let change = Change::Report { instance: id.clone(), boot, seen };
            if let Err(error) = crew.keeper.submit("instances", change).await {
                eprintln!("instances: failed to report that {id} did not launch: {error}");
            }
        }
        busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        woken.notify_one();
    });
}

fn spec(instance: &Instance, crew: &Crew) -> Result<LaunchSpec, String> {
    let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text);
    let user_data = instance.user_data.as_ref().map(decode).transpose();
    let user_data = user_data.map_err(|e| format!("the user data is not base64: {e}"))?;
    Ok(LaunchSpec {
        instance: instance.id.clone(),
        boot: instance.boots,
        image_dir: (crew.image_path)(&instance.digest),
        manifest: instance.manifest.clone(),
        zone: instance.zone.clone(),
        address: instance.address,
        limits: limits_for(&instance.instance_type),
        boots: boot::is_due(user_data.as_deref().unwrap_or_default(), &instance.manifest),
        user_data,
        metadata: Some((crew.metadata)(&instance.id)?),
    })
}

/// A driver's words in the plan's.
fn sight(seen: drivers::Seen) -> (InstanceId, Sight) {
    let condition = match seen.state {
        SeenState::Starting => Condition::Starting,
        SeenState::Running { status, .. } => Condition::Running(status),
        SeenState::Ended { how } => Condition::Ended {
            orderly: matches!(how, Exit::Status(0) | Exit::Stopped),
            never_started: matches!(how, Exit::NeverStarted(_) | Exit::NotLaunched(_) | Exit::NoRoom(_)),
            by: match how {
                Exit::Unknown | Exit::NotLaunched(_) => EndedBy::Node,
                Exit::NoRoom(_) => EndedBy::WantOfRoom,
                Exit::Status(_) | Exit::Signal(_) | Exit::NeverStarted(_) | Exit::OverDisk { .. } | Exit::Stopped => {
                    EndedBy::Itself
                }
            },
            how: how.to_string(),
        },
    };
    (seen.instance, Sight { boot: seen.boot, condition })
}

fn runs(sight: &Sight) -> bool {
    !matches!(sight.condition, Condition::Ended { .. })
}
