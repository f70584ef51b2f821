//! What is true of groups in every World, whatever Changes made it.
//!
//! Owns these demands; [`World::broken_invariants`] asks for them. Nothing is demanded of what may go without the group: its
//! balancers, the template it launches from, hooks that a member still waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::World;
use super::groups::MOST_TAGS;
use crate::name::InstanceId;
use crate::noun::scaling_group::{AutoScalingGroup, GROUP_TAG, LaunchSource, LifecycleState, Member};
use crate::noun::{Instance, InstanceState};

impl World {
    pub(in crate::world) fn broken_groups(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut met: BTreeMap<&InstanceId, &AutoScalingGroup> = BTreeMap::new();
        for group in self.scaling_groups() {
            self.judge_group(group, &mut broken);
            for (id, member) in &group.members {
                self.judge_member(group, id, member, &mut broken);
                if let Some(other) = met.insert(id, group) {
                    broken.push(format!("{id} is a member of `{}` and of `{}`", other.name, group.name));
                }
            }
        }
        let known = self.members.iter().map(|(id, name)| (id, name.as_str()));
        if !known.eq(met.iter().map(|(id, group)| (*id, group.name.as_str()))) {
            broken.push("members are not found by their ids".to_owned());
        }
        if self.told.values().map(|told| told.len()).sum::<usize>() != self.activities.len() {
            broken.push("scaling activities are not found by their groups".to_owned());
        }
        for instance in self.instances().filter(|instance| instance.state != InstanceState::Terminated) {
            let named = instance.tags.get(GROUP_TAG);
            let is_in = met.get(&instance.id).map(|group| group.name.as_str());
            if named.map(String::as_str) != is_in {
                broken.push(format!("{} bears {named:?} as its group's name, and is in {is_in:?}", instance.id));
            }
        }
        for activity in self.activities().filter(|activity| !activity.status.is_over()) {
            let of = activity.instance.as_ref().and_then(|id| self.membership(id));
            if of.and_then(|(_, member)| member.activity.as_ref()) != Some(&activity.id) {
                broken.push(format!("scaling activity {} is under way with nobody", activity.id));
            }
        }
        broken
    }

    fn judge_group(&self, group: &AutoScalingGroup, broken: &mut Vec<String>) {
        let AutoScalingGroup { name, min, max, desired, .. } = group;
        let mut demand = |holds: bool, what: fmt::Arguments<'_>| {
            if !holds {
                broken.push(format!("group `{name}` {what}"));
            }
        };
        demand(min <= desired && desired <= max, format_args!("is to have {desired}, from {min} to {max}"));
        demand(!group.is_going || *desired == 0, format_args!("goes, and is to have {desired}"));
        let zones: BTreeSet<_> = group.zones.iter().collect();
        demand(!zones.is_empty(), format_args!("has no zone"));
        demand(zones.len() == group.zones.len(), format_args!("has a zone twice"));
        demand(group.tags.len() <= MOST_TAGS, format_args!("has {} tags", group.tags.len()));
        if let LaunchSource::Configuration(of) = &group.launch {
            demand(self.launch_configuration(of).is_some(), format_args!("launches with `{of}`, which does not exist"));
        }
    }

    fn judge_member(&self, group: &AutoScalingGroup, id: &InstanceId, member: &Member, broken: &mut Vec<String>) {
        use LifecycleState as L;
        let mut demand = |holds: bool, what: fmt::Arguments<'_>| {
            if !holds {
                broken.push(format!("{id}, a member of `{}`, {what}", group.name));
            }
        };
        let instance: Option<&Instance> = self.instance(id).map(AsRef::as_ref);
        demand(instance.is_some(), format_args!("does not exist"));
        demand(instance.is_none_or(|held| held.zone == member.zone), format_args!("is not in {}", member.zone));
        let waits = matches!(
            member.state,
            L::PendingWait | L::TerminatingWait | L::WarmedPendingWait | L::WarmedTerminatingWait
        );
        demand(waits || member.waits.is_empty(), format_args!("waits for hooks while it is {}", member.state.as_str()));
        let has_served = matches!(member.state, L::InService | L::EnteringStandby | L::Standby | L::Detaching);
        demand(!has_served || member.in_service.is_some(), format_args!("never came into service"));
        let rests = member.state.rests();
        demand(!rests || member.in_service.is_none(), format_args!("rests, and is in service"));
        let settled = matches!(member.state, L::InService | L::Standby) || rests;
        // One whose launch came to nothing has been told of as that, and is being ended; as is one in the pool that was started.
        let is_told =
            matches!(member.state, L::TerminatingProceed | L::WarmedTerminatingProceed | L::WarmedPendingProceed);
        let may_be_told = settled || is_told;
        let activity = member.activity.as_ref().and_then(|id| self.activity(id));
        match activity {
            None => demand(may_be_told, format_args!("is {} without a scaling activity", member.state.as_str())),
            Some(held) => {
                let own = held.group_id == group.id && held.instance.as_ref() == Some(id);
                demand(own, format_args!("has {} told of another", held.id));
                demand(!settled || held.status.is_over(), format_args!("has come where {} takes it", held.id));
                demand(may_be_told || !held.status.is_over(), format_args!("goes on after {} is over", held.id));
            }
        }
    }
}
