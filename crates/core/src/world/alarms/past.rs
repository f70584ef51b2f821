//! What is kept of alarms' lives.
//!
//! Owns for how long (AWS: 14 days) and how much, and that it outlives its alarm. Items are rows of their own, found by their alarm.
//! What is due is [`crate::plan::expiry`]'s to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::change::Reply;
use crate::name::AlarmName;
use crate::noun::alarm::HistoryItem;
use crate::noun::alarm::history::Told;
use crate::time::Timestamp;
use crate::world::{Decision, Key, Row, World, Write};

/// For how long an item is kept (AWS).
pub const KEPT: Duration = Duration::from_secs(14 * 86_400);
/// The most items of one alarm: past it the oldest goes.
pub const MOST_ITEMS: usize = 500;
/// The most alarms, living and deleted, of which anything is kept: past it, that of the one deleted longest ago goes.
pub const MOST_PASTS: usize = 10_000;
/// Characters of a summary (AWS).
const MOST_SUMMARY: usize = 255;

/// What is kept of one alarm, by [`HistoryItem::id`].
pub(in crate::world) type Past = BTreeMap<String, Arc<HistoryItem>>;

/// What one decision tells.
pub(in crate::world) struct Diary<'w> {
    world: &'w World,
    now: Timestamp,
    items: Vec<HistoryItem>,
}

impl<'w> Diary<'w> {
    pub(in crate::world) fn new(world: &'w World, now: Timestamp) -> Self {
        Self { world, now, items: Vec::new() }
    }

    pub(super) fn tell(&mut self, alarm: &AlarmName, summary: String, told: Told) {
        // A decision with writes makes a generation of its own, so no two items have one id, and later ones have greater ones.
        let id = format!("{:020}-{:04}", self.world.generation + 1, self.items.len());
        let summary = summary.chars().take(MOST_SUMMARY).collect();
        self.items.push(HistoryItem { id, alarm: alarm.clone(), at: self.now, summary, told });
    }

    /// The rows of it, and those that make room.
    pub(in crate::world) fn close(self) -> Vec<Write> {
        let mut told: BTreeMap<&AlarmName, usize> = BTreeMap::new();
        for item in &self.items {
            *told.entry(&item.alarm).or_default() += 1;
        }
        let mut writes = Vec::new();
        let mut strangers = 0;
        for (alarm, new) in told {
            match self.world.alarm_pasts.get(alarm) {
                Some(past) => {
                    let room = MOST_ITEMS.saturating_sub(new);
                    let over = past.len().saturating_sub(room);
                    let goes = |(n, item): &(usize, &Arc<HistoryItem>)| *n < over || is_old(item, self.now);
                    writes.extend(past.values().enumerate().filter(goes).map(|(_, item)| remove(item)));
                }
                None => strangers += 1,
            }
        }
        let over = (self.world.alarm_pasts.len() + strangers).saturating_sub(MOST_PASTS);
        if over > 0 {
            let dead = self.world.alarm_pasts.iter().filter(|(alarm, _)| self.world.alarm(alarm).is_none());
            let told_of = |alarm: &AlarmName| self.items.iter().any(|item| item.alarm == *alarm);
            let mut dead: Vec<&Arc<Past>> = dead.filter(|(alarm, _)| !told_of(alarm)).map(|(_, past)| past).collect();
            dead.sort_by_key(|past| past.keys().next_back());
            writes.extend(dead.into_iter().take(over).flat_map(|past| past.values().map(|item| remove(item))));
        }
        writes.extend(self.items.into_iter().map(|item| Write::Put(Row::AlarmHistory(item))));
        writes
    }
}

impl World {
    /// What is kept of an alarm, the oldest first; of one that was deleted as well.
    pub fn alarm_history(&self, alarm: &AlarmName) -> impl DoubleEndedIterator<Item = &Arc<HistoryItem>> {
        self.alarm_pasts.get(alarm).into_iter().flat_map(|past| past.values())
    }

    /// What is kept of all alarms, by alarm, the oldest of each first.
    pub fn alarm_histories(
        &self,
    ) -> impl Iterator<Item = (&AlarmName, impl DoubleEndedIterator<Item = &Arc<HistoryItem>>)> {
        self.alarm_pasts.iter().map(|(alarm, past)| (alarm, past.values()))
    }

    pub(super) fn forget_alarm_history(&self, alarm: &AlarmName, now: Timestamp) -> Decision {
        let old = self.alarm_history(alarm).filter(|item| is_old(item, now)).map(|item| remove(item));
        Decision { reply: Reply::Done, writes: old.collect() }
    }

    pub(in crate::world) fn put_history(&mut self, item: HistoryItem) {
        let past = self.alarm_pasts.entry(item.alarm.clone()).or_default();
        Arc::make_mut(past).insert(item.id.clone(), Arc::new(item));
    }

    pub(in crate::world) fn remove_history(&mut self, alarm: &AlarmName, id: &str) {
        if let Some(past) = self.alarm_pasts.get_mut(alarm) {
            Arc::make_mut(past).remove(id);
            if past.is_empty() {
                self.alarm_pasts.remove(alarm);
            }
        }
    }

    pub(super) fn broken_past(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (alarm, past) in &self.alarm_pasts {
            if past.is_empty() || past.len() > MOST_ITEMS {
                broken.push(format!("the history of alarm `{alarm}` has {} items", past.len()));
            }
            let in_order = past.values().zip(past.values().skip(1)).all(|(earlier, later)| earlier.id < later.id);
            if !in_order || past.values().any(|item| item.alarm != *alarm) {
                broken.push(format!("the history of alarm `{alarm}` is not its own"));
            }
        }
        if self.alarm_pasts.len() > MOST_PASTS + self.alarms.len() {
            broken.push(format!("{} alarms have a history", self.alarm_pasts.len()));
        }
        broken
    }
}

fn is_old(item: &HistoryItem, now: Timestamp) -> bool {
    now.since(item.at) >= KEPT
}

fn remove(item: &HistoryItem) -> Write {
    Write::Remove(Key::AlarmHistory(item.alarm.clone(), item.id.clone()))
}
