//! The loop that judges alarms and does what they are for.
//!
//! Owns when which alarm is judged, and the order in which an action is done: it stands in the alarm's row from the moment of the
//! transition until it is done, so whoever is killed in between finds it there. What lies within the World is done in the commit
//! that takes it off; a message goes into the outbox under an id that is taken in once. Must never hold a state of its
//! own that matters: the notes of when an alarm was last judged only save work. Next: [`message`], what subscribers read,
//! [`targets`], groups that follow theirs.

pub mod message;
mod targets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::alarm::{Window, judge, reason, window};
use evenkeel_core::change::{AlarmChange, Change};
use evenkeel_core::name::AlarmName;
use evenkeel_core::noun::Alarm;
use evenkeel_core::noun::alarm::action::MOST_VALUES;
use evenkeel_core::noun::alarm::{Action, Pending, Watched};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Outcome, SightingsWatch, Statuses, now, reconcile};
use crate::keeper::KeeperHandle;
use crate::metrics::readings::Values;
use crate::notices::Outbox;

/// How long it sleeps where there are no alarms.
const LONGEST: Duration = Duration::from_secs(30);
/// How long until it tries again what could not be done for now.
const AGAIN: Duration = Duration::from_secs(1);
/// Changes that are under way at a time: they share commits.
const AT_ONCE: usize = 128;
/// Rounds of actions in one run: as many as can wait for one alarm.
const ROUNDS: usize = 50;
/// Alarms that the status names.
const NOTES: usize = 10;

/// What the loop works with.
pub struct Crew {
    /// Whom it tells.
    pub keeper: KeeperHandle,
    /// Sightings, whose changes wake every loop.
    pub sightings: SightingsWatch,
    /// Where values come from.
    pub values: Arc<Values>,
    /// Where messages go.
    pub outbox: Arc<Outbox>,
    /// Where the API answers, for links in messages.
    pub place: String,
}

/// When an alarm was last looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looked {
    configured: Timestamp,
    turn: u64,
    repeat: u64,
}

/// Runs the loop; never returns.
pub async fn run(crew: Crew, statuses: Statuses) {
    let (generations, sightings) = (crew.keeper.generations(), crew.sightings.clone());
    let (crew, looked) = (Arc::new(crew), Arc::new(Mutex::new(BTreeMap::new())));
    reconcile("alarms", statuses, Arc::new(Notify::new()), generations, sightings, LONGEST, || {
        let (crew, looked) = (Arc::clone(&crew), Arc::clone(&looked));
        async move { once(&crew, &looked).await }
    })
    .await;
}

async fn once(crew: &Arc<Crew>, looked: &Arc<Mutex<BTreeMap<AlarmName, Looked>>>) -> Outcome {
    let mut outcome = Outcome::default();
    let (judged, at) = (Arc::clone(crew), now());
    let notes = Arc::clone(looked);
    let found = tokio::task::spawn_blocking(move || {
        let world = judged.keeper.world();
        let mut looked = notes.lock().unwrap_or_else(PoisonError::into_inner);
        look(&world, &judged.values, &mut looked, at)
    })
    .await;
    match found {
        Ok((changes, failed)) => {
            outcome.notes = failed.into_iter().take(NOTES).collect();
            let changes = changes.into_iter().map(Change::Alarm).collect();
            if let Err(why) = submit(crew, changes).await {
                outcome.failure = Some(why);
            }
        }
        Err(_) => {
            // Whoever was judged while it panicked is judged again.
            looked.lock().unwrap_or_else(PoisonError::into_inner).clear();
            outcome.failure = Some("panicked while alarms were judged".into());
        }
    }
    for _ in 0..ROUNDS {
        match act(crew).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(why) => {
                outcome.failure = Some(why);
                outcome.again = Some(AGAIN);
                break;
            }
        }
    }
    let (tracking, at) = (Arc::clone(crew), now());
    let tracked =
        tokio::task::spawn_blocking(move || targets::look(&tracking.keeper.world(), &tracking.values, at)).await;
    match tracked {
        Ok((changes, failed)) => {
            outcome.notes.extend(failed.into_iter().take(NOTES));
            if let Err(why) = submit(crew, changes.into_iter().map(Change::Scale).collect()).await {
                outcome.failure = Some(why);
            }
        }
        Err(_) => outcome.failure = Some("panicked while targets were followed".into()),
    }
    let world = crew.keeper.world();
    let next = world.alarms().map(|alarm| until_next(alarm.settings.watched.period(), now())).min();
    outcome.again = [outcome.again, next].into_iter().flatten().min();
    outcome
}

/// How long until an alarm of such a period is next judged.
fn until_next(period: u32, at: Timestamp) -> Duration {
    let every: u64 = if period < 60 { 1000 } else { 10_000 };
    Duration::from_millis(every - at.0.saturating_sub(window::LAG) % every)
}

/// What follows from the values of all alarms whose turn it is, and in words what could not be read.
fn look(
    world: &World,
    values: &Arc<Values>,
    looked: &mut BTreeMap<AlarmName, Looked>,
    at: Timestamp,
) -> (Vec<AlarmChange>, Vec<String>) {
    let (mut changes, mut failed) = (Vec::new(), Vec::new());
    looked.retain(|name, _| world.alarm(name).is_some());
    for alarm in world.alarms() {
        let period = alarm.settings.watched.period();
        let is =
            Looked { configured: alarm.configured, turn: window::turn(at, period), repeat: window::repeat(at, period) };
        let before = looked.get(&alarm.name).filter(|before| before.configured == is.configured);
        if before.is_some_and(|before| before.turn == is.turn) {
            continue;
        }
        let repeats = before.is_some_and(|before| before.repeat != is.repeat);
        looked.insert(alarm.name.clone(), is);
        match judged(alarm, values, at) {
            Ok(Some(judged)) => changes.extend(judged.changes(world, alarm, repeats, at)),
            Ok(None) => {}
            Err(why) => failed.push(format!("{}: {why}", alarm.name)),
        }
    }
    (changes, failed)
}

/// What the values of one alarm say.
struct Judged {
    state: evenkeel_core::noun::AlarmState,
    reason: String,
    data: Option<String>,
    values: Vec<f64>,
}

/// `None`: its state stays, whatever it is.
fn judged(alarm: &Alarm, values: &Arc<Values>, at: Timestamp) -> Result<Option<Judged>, String> {
    let settings = &alarm.settings;
    let rule = settings.rule();
    let window = Window::at(at, settings.watched.period(), rule.periods);
    let range = values(&settings.watched, &window)?;
    let found = judge(&rule, &range);
    let Some(state) = found.state else { return Ok(None) };
    let values = found.judged.iter().take(MOST_VALUES).map(|point| point.value).collect();
    if state == alarm.state {
        return Ok(Some(Judged { state, reason: String::new(), data: None, values }));
    }
    let (statistic, unit) = match &settings.watched {
        Watched::Metric(stat) => (Some(stat.statistic.as_str()), stat.unit.as_deref()),
        Watched::Math(_) => (None, None),
    };
    let reason = reason::text(&rule, &found, state, settings.datapoints_to_alarm.is_some());
    let data = reason::data(&rule, &found, &window, statistic, unit, at);
    Ok(Some(Judged { state, reason, data: serde_json::to_string(&data).ok(), values }))
}

impl Judged {
    /// The transition, or the scaling actions that are done again because the state lasts.
    fn changes(self, world: &World, alarm: &Alarm, repeats: bool, at: Timestamp) -> Vec<AlarmChange> {
        let name = || alarm.name.clone();
        if self.state != alarm.state {
            let Self { state, reason, data, values } = self;
            return vec![AlarmChange::Enter {
                alarm: name(),
                configured: alarm.configured,
                state,
                reason,
                data,
                values,
            }];
        }
        if !repeats || !alarm.actions_enabled {
            return Vec::new();
        }
        let policies = alarm.settings.actions.of(self.state).iter();
        let policies = policies.filter(|arn| matches!(Action::parse(arn), Ok(Action::Scaling(_))));
        let repeat = |policy: &String| {
            let (policy, values) = (policy.clone(), self.values.clone());
            AlarmChange::Repeat { alarm: name(), state: self.state, policy, values }
        };
        // Most have nothing to add, and that is no news for the record.
        let is_news = |change: &AlarmChange| {
            world.decide(&Change::Alarm(change.clone()), at).is_ok_and(|decision| !decision.writes.is_empty())
        };
        policies.map(repeat).filter(is_news).collect()
    }
}

/// Hands changes in, many at a time.
async fn submit(crew: &Arc<Crew>, changes: Vec<Change>) -> Result<(), String> {
    let mut under_way = JoinSet::new();
    let mut outcome = Ok(());
    for change in changes {
        if under_way.len() >= AT_ONCE
            && let Some(done) = under_way.join_next().await
        {
            outcome = outcome.and(done.unwrap_or_else(|_| Err("a change panicked".into())));
        }
        let keeper = crew.keeper.clone();
        under_way.spawn(async move {
            let done = keeper.submit("alarms", change).await;
            done.map(drop).map_err(|error| error.to_string())
        });
    }
    while let Some(done) = under_way.join_next().await {
        outcome = outcome.and(done.unwrap_or_else(|_| Err("a change panicked".into())));
    }
    outcome
}

/// Does the next thing of each alarm that has something to do: how many there were.
async fn act(crew: &Arc<Crew>) -> Result<usize, String> {
    let world = crew.keeper.world();
    let pending: Vec<(Arc<Alarm>, Pending)> =
        world.pending_actions().map(|(alarm, pending)| (Arc::clone(alarm), pending.clone())).collect();
    let count = pending.len();
    let mut changes = Vec::with_capacity(count);
    let mut told = Vec::new();
    let mut outcome = Ok(());
    for (alarm, pending) in pending {
        let (name, number) = (alarm.name.clone(), pending.number);
        let Ok(Action::Topic(topic)) = Action::parse(&pending.action) else {
            changes.push(AlarmChange::Act { alarm: name, pending: number });
            continue;
        };
        let error = if world.topic(&topic).is_none() {
            Some("Topic does not exist".to_owned())
        } else {
            let notice = message::notice(&world, &alarm, &pending, &topic, &crew.place);
            let (outbox, id) = (Arc::clone(&crew.outbox), notice.id.clone());
            match tokio::task::spawn_blocking(move || outbox.put(&notice)).await {
                Ok(Ok(())) => told.push(id),
                // It stays on the alarm's list, and is tried again.
                Ok(Err(error)) => {
                    outcome = Err(format!("{name}: failed to {error}"));
                    continue;
                }
                Err(_) => {
                    outcome = Err(format!("{name}: panicked while its message was written"));
                    continue;
                }
            }
            None
        };
        changes.push(AlarmChange::Acted { alarm: name, pending: number, error });
    }
    submit(crew, changes.into_iter().map(Change::Alarm).collect()).await?;
    let outbox = Arc::clone(&crew.outbox);
    // Off every list: none of them is put in again.
    let forgotten = tokio::task::spawn_blocking(move || told.iter().for_each(|id| outbox.forget(id))).await;
    forgotten.map_err(|_| "panicked while messages were forgotten".to_owned())?;
    outcome.map(|()| count)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
