//! What may happen to alarms.
//!
//! Owns how many there may be, and that a state, what is to be done about it and what is told of it are written together: whoever is
//! killed between them loses none and doubles none. Must never judge datapoints: [`crate::alarm`] has. Next: [`acting`], what
//! is done about a state, [`past`], what is kept of it. Source: CloudWatch API 2010-08-01.

pub mod acting;
pub mod past;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use past::Diary;

use super::{Decision, Key, Row, World, Write, tags};
use crate::alarm::reason::UNCHECKED;
use crate::change::{AlarmChange, NewAlarm, Reply};
use crate::name::AlarmName;
use crate::noun::alarm::action::{MOST_PENDING, MOST_VALUES};
use crate::noun::alarm::history::{ConfiguredHow, Told};
use crate::noun::alarm::{Action, Pending};
use crate::noun::{Alarm, AlarmState};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The most alarms (AWS).
pub const MOST_ALARMS: usize = 5000;

/// A state to go into, and why.
pub(super) struct Entrance<'a> {
    state: AlarmState,
    reason: &'a str,
    data: Option<&'a str>,
    /// The datapoints that were judged, the newest first.
    values: &'a [f64],
}

impl World {
    pub(super) fn change_alarms(&self, change: &AlarmChange, now: Timestamp) -> Result<Decision, Refusal> {
        match change {
            AlarmChange::Put(new) => self.put_alarm(new, now),
            AlarmChange::Delete { alarms } => self.delete_alarms(alarms, now),
            AlarmChange::SetState { alarm, state, reason, data } => {
                let entrance = Entrance { state: *state, reason, data: data.as_deref(), values: &[] };
                let held = self.existing_alarm(alarm)?;
                Ok(self.enter_alarm_state(held, &entrance, now))
            }
            AlarmChange::SetActions { alarms, enabled } => Ok(self.set_alarm_actions(alarms, *enabled, now)),
            AlarmChange::Tag { alarm, tags } => self.tag_alarm(alarm, tags),
            AlarmChange::Untag { alarm, keys } => self.untag_alarm(alarm, keys),
            AlarmChange::Enter { alarm, configured, state, reason, data, values } => {
                let entrance = Entrance { state: *state, reason, data: data.as_deref(), values };
                Ok(match self.alarm(alarm) {
                    Some(held) if held.configured == *configured && held.state != *state => {
                        self.enter_alarm_state(held, &entrance, now)
                    }
                    _ => Decision::unchanged(Reply::Unchanged),
                })
            }
            AlarmChange::Act { alarm, pending } => Ok(self.act_on_alarm(alarm, *pending, now)),
            AlarmChange::Acted { alarm, pending, error } => {
                Ok(self.note_alarm_action(alarm, *pending, error.as_deref(), now))
            }
            AlarmChange::Repeat { alarm, state, policy, values } => {
                Ok(self.repeat_alarm_action(alarm, *state, policy, values, now))
            }
            AlarmChange::Forget { alarm } => Ok(self.forget_alarm_history(alarm, now)),
        }
    }

    fn put_alarm(&self, new: &NewAlarm, now: Timestamp) -> Result<Decision, Refusal> {
        let mut diary = Diary::new(self, now);
        let Some(write) = self.configure_alarm(new, &mut diary, now)? else {
            return Ok(Decision::unchanged(Reply::Unchanged));
        };
        let mut writes = vec![write];
        writes.extend(diary.close());
        Ok(Decision { reply: Reply::Done, writes })
    }

    /// The row of an alarm that is to be so; `None` where it is.
    pub(super) fn configure_alarm(
        &self,
        new: &NewAlarm,
        diary: &mut Diary<'_>,
        now: Timestamp,
    ) -> Result<Option<Write>, Refusal> {
        new.settings.validate()?;
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        let held = self.alarm(&new.name);
        if held.is_some_and(|held| held.settings == new.settings && held.actions_enabled == new.actions_enabled) {
            return Ok(None);
        }
        if held.is_none() && self.alarms.len() >= MOST_ALARMS {
            return Err(Refusal::TooManyAlarms { limit: MOST_ALARMS });
        }
        let mut alarm = held.map_or_else(|| fresh(new, now), |held| held.as_ref().clone());
        let how = if held.is_some() { ConfiguredHow::Update } else { ConfiguredHow::Create };
        let watches_another = alarm.settings.watched != new.settings.watched;
        alarm.settings = new.settings.clone();
        alarm.actions_enabled = new.actions_enabled;
        // No two settings of an alarm are of the same moment: what was judged by one is no news of the other.
        alarm.configured = if held.is_some() { now.max(Timestamp(alarm.configured.0 + 1)) } else { now };
        diary.configured(&alarm, how);
        // Nothing is known of another metric yet.
        if watches_another && alarm.state != AlarmState::InsufficientData {
            diary.moved(&alarm, AlarmState::InsufficientData, UNCHECKED, None);
            alarm.state = AlarmState::InsufficientData;
            alarm.reason = UNCHECKED.to_owned();
            alarm.reason_data = None;
            (alarm.updated, alarm.transitioned) = (now, now);
        }
        Ok(Some(Write::Put(Row::Alarm(alarm))))
    }

    /// An alarm's end, where it is there.
    pub(super) fn drop_alarm(&self, name: &AlarmName, diary: &mut Diary<'_>) -> Option<Write> {
        diary.configured(self.alarm(name)?, ConfiguredHow::Delete);
        Some(Write::Remove(Key::Alarm(name.clone())))
    }

    fn delete_alarms(&self, names: &[AlarmName], now: Timestamp) -> Result<Decision, Refusal> {
        let names: BTreeSet<&AlarmName> = names.iter().collect();
        let missing: Vec<AlarmName> =
            names.iter().filter(|name| self.alarm(name).is_none()).map(|name| (*name).clone()).collect();
        if !missing.is_empty() {
            return Err(Refusal::NoSuchAlarms(missing));
        }
        let mut diary = Diary::new(self, now);
        let mut writes: Vec<Write> = names.iter().filter_map(|name| self.drop_alarm(name, &mut diary)).collect();
        writes.extend(diary.close());
        Ok(Decision { reply: Reply::Done, writes })
    }

    fn set_alarm_actions(&self, names: &[AlarmName], enabled: bool, now: Timestamp) -> Decision {
        let names: BTreeSet<&AlarmName> = names.iter().collect();
        let mut diary = Diary::new(self, now);
        let mut writes = Vec::new();
        for held in names.iter().filter_map(|name| self.alarm(name)) {
            if held.actions_enabled == enabled {
                continue;
            }
            let mut alarm = held.as_ref().clone();
            alarm.actions_enabled = enabled;
            diary.configured(&alarm, ConfiguredHow::Update);
            writes.push(Write::Put(Row::Alarm(alarm)));
        }
        writes.extend(diary.close());
        Decision { reply: Reply::Done, writes }
    }

    fn tag_alarm(&self, name: &AlarmName, new: &BTreeMap<String, String>) -> Result<Decision, Refusal> {
        tags::check(new, tags::PER_RESOURCE)?;
        let held = self.existing_alarm(name)?;
        let mut alarm = held.as_ref().clone();
        alarm.tags.extend(new.clone());
        tags::check(&alarm.tags, tags::PER_RESOURCE)?;
        Ok(put_if_other(held, alarm))
    }

    fn untag_alarm(&self, name: &AlarmName, keys: &[String]) -> Result<Decision, Refusal> {
        let held = self.existing_alarm(name)?;
        let mut alarm = held.as_ref().clone();
        alarm.tags.retain(|key, _| !keys.contains(key));
        Ok(put_if_other(held, alarm))
    }

    /// The state, what it asks for and what is told of it, in one.
    fn enter_alarm_state(&self, held: &Arc<Alarm>, entrance: &Entrance<'_>, now: Timestamp) -> Decision {
        let mut alarm = held.as_ref().clone();
        let mut diary = Diary::new(self, now);
        if entrance.state != alarm.state {
            diary.moved(&alarm, entrance.state, entrance.reason, entrance.data);
            self.ask_for_actions(&mut alarm, entrance, now, &mut diary);
            alarm.transitioned = now;
        }
        alarm.state = entrance.state;
        entrance.reason.clone_into(&mut alarm.reason);
        alarm.reason_data = entrance.data.map(str::to_owned);
        alarm.updated = now;
        let mut writes = vec![Write::Put(Row::Alarm(alarm))];
        writes.extend(diary.close());
        Decision { reply: Reply::Done, writes }
    }

    /// Puts what is to be done on the way into a state into the alarm's row, where it stays until it is done.
    fn ask_for_actions(&self, alarm: &mut Alarm, entrance: &Entrance<'_>, now: Timestamp, diary: &mut Diary<'_>) {
        if !alarm.actions_enabled {
            return;
        }
        for action in alarm.settings.actions.of(entrance.state).to_vec() {
            alarm.last_pending += 1;
            alarm.pending.push(Pending {
                number: alarm.last_pending,
                action,
                from: alarm.state,
                to: entrance.state,
                reason: entrance.reason.to_owned(),
                at: now,
                values: entrance.values.iter().take(MOST_VALUES).copied().collect(),
            });
        }
        while alarm.pending.len() > MOST_PENDING {
            let oldest = alarm.pending.remove(0);
            diary.acted(&alarm.name, &oldest, Some("too much waits to be done already"));
        }
    }

    pub(super) fn existing_alarm(&self, name: &AlarmName) -> Result<&Arc<Alarm>, Refusal> {
        self.alarm(name).ok_or_else(|| Refusal::NoSuchAlarms(vec![name.clone()]))
    }

    /// Broken invariants of alarms, in words.
    pub(super) fn broken_alarms(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for alarm in self.alarms() {
            let name = &alarm.name;
            if let Err(bad) = alarm.settings.validate() {
                broken.push(format!("alarm `{name}`: {bad}"));
            }
            if alarm.tags.len() > tags::PER_RESOURCE {
                broken.push(format!("alarm `{name}` has too many tags"));
            }
            if alarm.pending.len() > MOST_PENDING {
                broken.push(format!("alarm `{name}` has too much to do"));
            }
            let numbers: BTreeSet<u64> = alarm.pending.iter().map(|pending| pending.number).collect();
            if numbers.len() != alarm.pending.len() || numbers.last().is_some_and(|last| *last > alarm.last_pending) {
                broken.push(format!("alarm `{name}` has one thing to do twice"));
            }
            if alarm.pending.iter().any(|pending| Action::parse(&pending.action).is_err()) {
                broken.push(format!("alarm `{name}` has something to do that is no action"));
            }
        }
        broken.extend(self.broken_past());
        broken
    }
}

fn fresh(new: &NewAlarm, now: Timestamp) -> Alarm {
    Alarm {
        name: new.name.clone(),
        settings: new.settings.clone(),
        configured: now,
        actions_enabled: new.actions_enabled,
        state: AlarmState::InsufficientData,
        reason: UNCHECKED.to_owned(),
        reason_data: None,
        updated: now,
        transitioned: now,
        tags: new.tags.clone(),
        pending: Vec::new(),
        last_pending: 0,
    }
}

fn put_if_other(held: &Alarm, alarm: Alarm) -> Decision {
    if alarm == *held {
        return Decision::unchanged(Reply::Unchanged);
    }
    Decision { reply: Reply::Done, writes: vec![Write::Put(Row::Alarm(alarm))] }
}

impl Diary<'_> {
    fn configured(&mut self, alarm: &Alarm, how: ConfiguredHow) {
        let done = match how {
            ConfiguredHow::Create => "created",
            ConfiguredHow::Update => "updated",
            ConfiguredHow::Delete => "deleted",
        };
        let told = Told::Configured {
            how,
            settings: Box::new(alarm.settings.clone()),
            actions_enabled: alarm.actions_enabled,
        };
        self.tell(&alarm.name, format!("Alarm \"{}\" {done}", alarm.name), told);
    }

    fn moved(&mut self, alarm: &Alarm, to: AlarmState, reason: &str, data: Option<&str>) {
        let summary = format!("Alarm updated from {} to {}", alarm.state.as_str(), to.as_str());
        let told = Told::Moved {
            from: alarm.state,
            from_reason: alarm.reason.clone(),
            from_data: alarm.reason_data.clone(),
            to,
            reason: reason.to_owned(),
            data: data.map(str::to_owned),
        };
        self.tell(&alarm.name, summary, told);
    }

    fn acted(&mut self, alarm: &AlarmName, pending: &Pending, error: Option<&str>) {
        let summary = match error {
            None => format!("Successfully executed action {}", pending.action),
            Some(_) => format!("Failed to execute action {}", pending.action),
        };
        let told = Told::Acted {
            action: pending.action.clone(),
            state: pending.to,
            entered: pending.at,
            error: error.map(str::to_owned),
        };
        self.tell(alarm, summary, told);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
