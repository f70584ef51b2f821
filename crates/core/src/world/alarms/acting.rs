//! What alarms do.
//!
//! Owns the actions that lie within the World: instances are stopped, ended and started anew, and scaling policies carried out, in
//! the same decision that takes the action off the alarm's list and tells of it. What lies outside, messages to topics, the
//! house does and says so when it is done. Must never do anything twice: what is not on the list is done already.

use std::sync::Arc;

use super::Diary;
use crate::change::Reply;
use crate::name::{AlarmName, InstanceId};
use crate::noun::alarm::action::Deed;
use crate::noun::alarm::{Action, Pending};
use crate::noun::{Alarm, AlarmState};
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::world::{Decision, Row, World, Write};

impl World {
    /// What is next to be done about alarms that are next to do something: alarms and numbers, the oldest of each.
    pub fn pending_actions(&self) -> impl Iterator<Item = (&Arc<Alarm>, &Pending)> {
        self.alarms().filter_map(|alarm| Some((alarm, alarm.pending.first()?)))
    }

    pub(super) fn act_on_alarm(&self, name: &AlarmName, number: u64, now: Timestamp) -> Decision {
        let Some((alarm, pending)) = self.pending_action(name, number) else {
            return Decision::unchanged(Reply::Unchanged);
        };
        let done = match Action::parse(&pending.action) {
            Ok(Action::Instance(deed)) => self.act_on_instance(alarm, deed, now),
            Ok(Action::Scaling(policy)) => self.scale_by_alarm(&policy, alarm, &pending.values, now),
            // A message is not ours to send.
            Ok(Action::Topic(_)) => return Decision::unchanged(Reply::Unchanged),
            Err(why) => Err(why),
        };
        let (writes, error) = match done {
            Ok(writes) => (writes, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        self.settle(alarm, pending, error.as_deref(), writes, now)
    }

    pub(super) fn note_alarm_action(
        &self,
        name: &AlarmName,
        number: u64,
        error: Option<&str>,
        now: Timestamp,
    ) -> Decision {
        match self.pending_action(name, number) {
            Some((alarm, pending)) => self.settle(alarm, pending, error, Vec::new(), now),
            None => Decision::unchanged(Reply::Unchanged),
        }
    }

    /// Only while the state lasts, and after what was to be done on the way into it.
    pub(super) fn repeat_alarm_action(
        &self,
        name: &AlarmName,
        state: AlarmState,
        policy: &str,
        values: &[f64],
        now: Timestamp,
    ) -> Decision {
        let unchanged = || Decision::unchanged(Reply::Unchanged);
        let Some(alarm) = self.alarm(name) else { return unchanged() };
        let actions = alarm.settings.actions.of(state);
        let lasts = alarm.state == state && alarm.actions_enabled && alarm.pending.is_empty();
        if !lasts || !actions.iter().any(|action| action == policy) {
            return unchanged();
        }
        match self.scale_by_alarm(policy, alarm, values, now) {
            Ok(writes) => Decision { reply: Reply::Done, writes },
            Err(_) => unchanged(),
        }
    }

    fn pending_action(&self, name: &AlarmName, number: u64) -> Option<(&Arc<Alarm>, &Pending)> {
        let alarm = self.alarm(name)?;
        let pending = alarm.pending.iter().find(|pending| pending.number == number)?;
        Some((alarm, pending))
    }

    fn settle(
        &self,
        held: &Alarm,
        pending: &Pending,
        error: Option<&str>,
        mut writes: Vec<Write>,
        now: Timestamp,
    ) -> Decision {
        let mut alarm = held.clone();
        alarm.pending.retain(|other| other.number != pending.number);
        let mut diary = Diary::new(self, now);
        diary.acted(&alarm.name, pending, error);
        writes.push(Write::Put(Row::Alarm(alarm)));
        writes.extend(diary.close());
        Decision { reply: Reply::Done, writes }
    }

    /// What is written, or why it cannot be done.
    fn act_on_instance(&self, alarm: &Alarm, deed: Deed, now: Timestamp) -> Result<Vec<Write>, String> {
        let named = alarm.settings.watched.dimension("InstanceId").unwrap_or_default();
        let id = InstanceId::new(named).map_err(|malformed| malformed.to_string())?;
        let ids = [id];
        let decision = match deed {
            Deed::Stop => self.stop_instances(&ids, now),
            Deed::Terminate => self.terminate_instances(&ids, now),
            // An instance that is recovered keeps its id, its address and its files, as one that is rebooted does.
            Deed::Reboot | Deed::Recover => self.all_known(&ids).and_then(|()| self.reboot_instances(&ids, now)),
        };
        let told = |refusal: Refusal| refusal.to_string();
        Ok(decision.map_err(told)?.writes)
    }
}
