//! The loop that makes auto scaling groups have the members they are to have.
//!
//! Owns the carrying out of `plan::groups`, each step a Change, and the dice for the ids that a step needs. Must never decide who
//! comes or goes. Instances themselves are [`super::instances`]'s. Next: [`message`], what subscribers read.

pub mod message;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use evenkeel_core::change::{Change, NewMember, ScalingChange};
use evenkeel_core::name::{ActivityId, InstanceId, Malformed, ReservationId};
use evenkeel_core::noun::ScheduledAction;
use evenkeel_core::plan::groups::{self, Step};
use evenkeel_core::plan::zero::Idle;
use evenkeel_core::time::Timestamp;
use thiserror::Error;
use tokio::sync::Notify;

use super::road::Counts;
use super::{Outcome, SightingsWatch, Statuses, now, reconcile};
use crate::dice::{self, NoDice};
use crate::keeper::{KeeperHandle, Rejected};
use crate::notices::Outbox;
use crate::time_zones::Zone;

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(5);
/// How long until it is tried again to tell what could not be told.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a step was not done. Completes "failed to …".
#[derive(Debug, Error)]
enum StepError {
    #[error("make an id: {0}")]
    Dice(#[from] NoDice),
    #[error("make an id: {0}")]
    Id(#[from] Malformed),
    #[error("{what}: {why}")]
    Rejected { what: &'static str, why: Rejected },
}

/// What the loop works with.
pub struct Crew {
    /// Whom it tells.
    pub keeper: KeeperHandle,
    /// What was seen.
    pub sightings: SightingsWatch,
    /// What the road counts.
    pub counts: Counts,
    /// Where messages go.
    pub outbox: Arc<Outbox>,
    /// Where the API answers, for links in messages.
    pub place: String,
}

/// Runs the loop; never returns.
pub async fn run(crew: Crew, statuses: Statuses) {
    let (generations, sightings) = (crew.keeper.generations(), crew.sightings.clone());
    let quiet = Arc::new(Quiet { began: Instant::now(), counts: crew.counts.clone(), idle: Mutex::default() });
    let crew = Arc::new(crew);
    reconcile("groups", statuses, Arc::new(Notify::new()), generations, sightings, LONGEST, || {
        let (crew, quiet) = (Arc::clone(&crew), Arc::clone(&quiet));
        async move { pass(&crew, &quiet).await }
    })
    .await;
}

/// What is known of groups that nobody asks anything of.
struct Quiet {
    began: Instant,
    counts: Counts,
    idle: Mutex<Idle>,
}

impl Quiet {
    /// Groups to empty, and how soon there may be the next.
    fn look(&self, keeper: &KeeperHandle, sightings: &SightingsWatch) -> (Vec<ScalingChange>, Option<Duration>) {
        let world = keeper.world();
        // A road that is not heard may have anything in flight.
        let loads = sightings.borrow().road.as_ref().and_then(|_| self.counts.loads());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = idle.look(&world, loads.as_ref(), self.began.elapsed());
        let next = idle.next(&world).map(|at| at.saturating_sub(self.began.elapsed()));
        (changes, next)
    }
}

async fn pass(crew: &Crew, quiet: &Quiet) -> Outcome {
    let (keeper, sightings) = (&crew.keeper, &crew.sightings);
    let (world, seen) = (keeper.world(), Arc::clone(&sightings.borrow()));
    let mut outcome = Outcome::default();
    // Without dice the first of equals is taken; ids are then not to be had, which is said.
    let roll = || dice::bytes().map_or(0, u64::from_le_bytes);
    let (emptied, next_quiet) = quiet.look(keeper, sightings);
    let steps = groups::plan(&world, &seen, now(), roll).into_iter().chain(emptied.into_iter().map(Step::Make));
    for step in steps {
        if let Err(error) = carry_out(keeper, step).await {
            outcome.failure.get_or_insert(format!("failed to {error}"));
        }
    }
    let told = tell(crew).await;
    // What could not be told stays to be told.
    let again = told.is_err().then_some(AGAIN);
    if let Err(why) = told {
        outcome.failure.get_or_insert(why);
    }
    let next = groups::next_deadline(&keeper.world(), now());
    let next = next.map(|at| at.since(now())).into_iter().chain(next_quiet).chain(again).min();
    outcome.again = next.map(|wait| wait.max(Duration::from_millis(20)));
    outcome
}

/// Hands in what groups have to tell, the oldest of each first. It is off a group's list only once it is on disk elsewhere, and
/// there under an id that is taken in once: whoever is killed in between loses nothing and says nothing twice.
async fn tell(crew: &Crew) -> Result<(), String> {
    let world = crew.keeper.world();
    for group in world.scaling_groups() {
        for held in &group.notices {
            let id = message::id(group, held);
            if let Some(notice) = message::notice(&world, group, held, &crew.place) {
                let outbox = Arc::clone(&crew.outbox);
                let put = tokio::task::spawn_blocking(move || outbox.put(&notice)).await;
                let put = put.map_err(|_| format!("{}: panicked while its message was written", group.name))?;
                put.map_err(|error| format!("{}: failed to {error}", group.name))?;
            }
            let told = ScalingChange::Told { group: group.name.clone(), number: held.number };
            let done = crew.keeper.submit("groups", Change::Scale(told)).await;
            done.map_err(|error| format!("{}: {error}", group.name))?;
            let outbox = Arc::clone(&crew.outbox);
            let forgotten = tokio::task::spawn_blocking(move || outbox.forget(&id)).await;
            forgotten.map_err(|_| "panicked while a message was forgotten".to_owned())?;
        }
    }
    Ok(())
}

async fn carry_out(keeper: &KeeperHandle, step: Step) -> Result<(), StepError> {
    let change = match step {
        Step::Launch { group, zones, balances, pooled } => ScalingChange::Launch(NewMember {
            group,
            instance: InstanceId::new(dice::id("i-")?)?,
            reservation: ReservationId::new(dice::id("r-")?)?,
            activity: activity()?,
            zones,
            balances,
            pooled,
        }),
        Step::Draw { group, instance } => ScalingChange::Draw { group, instance, activity: activity()? },
        Step::Retire { group, instance, why } => ScalingChange::Retire { group, instance, activity: activity()?, why },
        Step::Advance { group, instance, hooks } => {
            let tokens = (0..hooks).map(|_| dice::uuid()).collect::<Result<_, _>>()?;
            ScalingChange::Advance { group, instance, tokens }
        }
        Step::Act { group, name, due } => {
            let world = keeper.world();
            let action = world.scaling_group(&group).and_then(|group| group.schedule.get(&name));
            let next = action.and_then(next_turn);
            ScalingChange::Act { group, name, due, next }
        }
        Step::Make(change) => change,
    };
    let what = change.name();
    keeper.submit("groups", Change::Scale(change)).await.map_err(|why| StepError::Rejected { what, why })?;
    Ok(())
}

/// When an action acts again, by its time zone's clocks. A turn that was missed is not made up for.
fn next_turn(action: &ScheduledAction) -> Option<Timestamp> {
    let zone = action.time_zone.as_deref().and_then(Zone::named).unwrap_or_else(Zone::utc);
    zone.next(action.recurrence.as_ref()?, now())
}

fn activity() -> Result<ActivityId, StepError> {
    Ok(ActivityId::new(dice::uuid()?)?)
}
