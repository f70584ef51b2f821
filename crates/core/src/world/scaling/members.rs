//! What people ask of members: to come, to leave, to stand by, to end, to be spared.
//!
//! Owns when each may be asked, and what it does to the group's wish. Must never end an instance: a member that is to end goes
//! its course ([`super::course`]).

use super::cause::{sentence, told};
use super::course::Outset;
use super::{Decision, World, done, put};
use crate::name::{ActivityId, AutoScalingGroupName, InstanceId};
use crate::noun::InstanceState;
use crate::noun::activity::ActivityStatus;
use crate::noun::scaling_group::{AutoScalingGroup, LifecycleState, Member};
use crate::refusal::{BadScaling, Refusal};
use crate::scaling::replacement::Cause;
use crate::time::Timestamp;

impl World {
    pub(super) fn set_member_protection(
        &self,
        name: &AutoScalingGroupName,
        instances: &[InstanceId],
        is_protected: bool,
    ) -> Result<Decision, Refusal> {
        let held = self.group(name)?;
        let mut group = held.as_ref().clone();
        for id in instances {
            let member = member(&mut group, id)?;
            if member.state != LifecycleState::InService && !member.state.counts() {
                let (instance, state) = (id.clone(), member.state);
                return Err(BadScaling::WrongState { instance, state, wanted: "protected" }.into());
            }
            member.is_protected = is_protected;
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn set_health(
        &self,
        instance: &InstanceId,
        is_healthy: bool,
        respects_grace: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let (held, _) = self.membership(instance).ok_or_else(|| BadScaling::NoMember(instance.clone()))?;
        let mut group = held.as_ref().clone();
        let grace = std::time::Duration::from_secs(group.grace.into());
        let member = member(&mut group, instance)?;
        let in_grace = member.in_service.is_none_or(|since| now < since.plus(grace));
        if is_healthy {
            member.illness = None;
        } else if !(respects_grace && in_grace) && member.illness.is_none() {
            member.illness = Some(Cause::SetByUser);
            super::refresh::note_failure(&mut group, instance, super::cause::found(Cause::SetByUser));
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn attach_instances(
        &self,
        name: &AutoScalingGroupName,
        instances: &[(InstanceId, ActivityId)],
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let mut group = held.as_ref().clone();
        let more = u32::try_from(instances.len()).unwrap_or(u32::MAX);
        if group.desired.saturating_add(more) > group.max {
            return Err(no_room(&group, "attach", more).into());
        }
        let mut writes = Vec::new();
        for (id, activity) in instances {
            let instance = self.instance(id).ok_or_else(|| Refusal::NoSuchInstances(vec![id.clone()]))?;
            if let Some((other, _)) = self.membership(id) {
                let (instance, group) = (id.clone(), other.name.clone());
                return Err(BadScaling::MemberElsewhere { instance, group }.into());
            }
            if instance.state != InstanceState::Running {
                return Err(BadScaling::NotRunning(id.clone()).into());
            }
            if !group.zones.contains(&instance.zone) {
                return Err(BadScaling::ElsewhereZone { instance: id.clone(), zone: instance.zone.clone() }.into());
            }
            let (from, to) = (group.desired, group.desired + 1);
            let came = "an instance was attached in response to a user request";
            let what = format!("{came}, increasing the capacity from {from} to {to}");
            let outset = Outset {
                activity,
                what: "Attaching an existing EC2 instance",
                cause: told(&[], &[sentence(now, &what)]),
                status: ActivityStatus::Successful,
            };
            writes.push(self.told(&group, id, &outset, now));
            let attached = Member {
                zone: instance.zone.clone(),
                source: None,
                state: LifecycleState::InService,
                since: now,
                in_service: Some(now),
                illness: None,
                is_protected: group.protects_new,
                activity: Some(activity.clone()),
                balances: false,
                refresh: None,
                waits: Default::default(),
            };
            if group.members.insert(id.clone(), attached).is_none() {
                group.desired = to;
            }
            writes.extend(self.marked(id, &group));
        }
        let ids: Vec<InstanceId> = instances.iter().map(|(id, _)| id.clone()).collect();
        writes.extend(self.join_balancers(&group, &ids).0);
        writes.extend(put(held, group));
        Ok(done(writes))
    }

    pub(super) fn detach_instances(
        &self,
        name: &AutoScalingGroupName,
        instances: &[(InstanceId, ActivityId)],
        decrement: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let may = |state: LifecycleState| matches!(state, LifecycleState::InService | LifecycleState::Standby);
        let to = Leaving {
            may: &may,
            wanted: "detached",
            what: "Detaching EC2 instance",
            verb: "detach",
            told: |id| format!("instance {id} was detached in response to a user request"),
            state: LifecycleState::Detaching,
        };
        self.leave(name, instances, decrement, &to, now)
    }

    pub(super) fn enter_standby(
        &self,
        name: &AutoScalingGroupName,
        instances: &[(InstanceId, ActivityId)],
        decrement: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let to = Leaving {
            may: &|state| state == LifecycleState::InService,
            wanted: "put into standby",
            what: "Moving EC2 instance to Standby",
            verb: "put into standby",
            told: |id| format!("instance {id} was moved to standby in response to a user request"),
            state: LifecycleState::EnteringStandby,
        };
        self.leave(name, instances, decrement, &to, now)
    }

    fn leave(
        &self,
        name: &AutoScalingGroupName,
        instances: &[(InstanceId, ActivityId)],
        decrement: bool,
        to: &Leaving<'_>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let mut group = held.as_ref().clone();
        let mut writes = Vec::new();
        for (id, activity) in instances {
            let from = group.desired;
            let min = group.min;
            let sizes = no_room(&group, to.verb, u32::try_from(instances.len()).unwrap_or(u32::MAX));
            let member = member(&mut group, id)?;
            if !(to.may)(member.state) {
                let (instance, state) = (id.clone(), member.state);
                return Err(BadScaling::WrongState { instance, state, wanted: to.wanted }.into());
            }
            let counted = member.state.counts();
            (member.state, member.since, member.activity) = (to.state, now, Some(activity.clone()));
            let mut what = (to.told)(id);
            if decrement && counted {
                if from <= min {
                    return Err(sizes.into());
                }
                group.desired = from - 1;
                what.push_str(&format!(", shrinking the capacity from {from} to {}", from - 1));
            }
            let status = ActivityStatus::InProgress;
            let outset = Outset { activity, what: to.what, cause: told(&[], &[sentence(now, &what)]), status };
            writes.push(self.told(&group, id, &outset, now));
        }
        let ids: Vec<InstanceId> = instances.iter().map(|(id, _)| id.clone()).collect();
        writes.extend(self.leave_balancers(&ids, now));
        writes.extend(put(held, group));
        Ok(done(writes))
    }

    pub(super) fn exit_standby(
        &self,
        name: &AutoScalingGroupName,
        instances: &[(InstanceId, ActivityId)],
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let mut group = held.as_ref().clone();
        let more = u32::try_from(instances.len()).unwrap_or(u32::MAX);
        if group.desired.saturating_add(more) > group.max {
            return Err(no_room(&group, "move out of standby", more).into());
        }
        let mut writes = Vec::new();
        for (id, activity) in instances {
            let (from, to) = (group.desired, group.desired + 1);
            let member = member(&mut group, id)?;
            if member.state != LifecycleState::Standby {
                let (instance, state) = (id.clone(), member.state);
                return Err(BadScaling::WrongState { instance, state, wanted: "moved out of standby" }.into());
            }
            // It comes into service as a new one does: once its instance is seen to be well.
            (member.state, member.since, member.activity) = (LifecycleState::Pending, now, Some(activity.clone()));
            let moved = format!("instance {id} was moved out of standby in response to a user request");
            let what = format!("{moved}, increasing the capacity from {from} to {to}");
            let outset = Outset {
                activity,
                what: "Moving EC2 instance out of Standby",
                cause: told(&[], &[sentence(now, &what)]),
                status: ActivityStatus::PreInService,
            };
            group.desired = to;
            writes.push(self.told(&group, id, &outset, now));
        }
        writes.extend(put(held, group));
        Ok(done(writes))
    }

    pub(super) fn terminate_member(
        &self,
        instance: &InstanceId,
        activity: &ActivityId,
        decrement: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let (held, found) = self.membership(instance).ok_or_else(|| BadScaling::NoMember(instance.clone()))?;
        if found.state.is_ending() || found.state == LifecycleState::Detaching {
            let (instance, state) = (instance.clone(), found.state);
            return Err(BadScaling::WrongState { instance, state, wanted: "terminated" }.into());
        }
        let mut group = held.as_ref().clone();
        let mut what = format!("instance {instance} was taken out of service in response to a user request");
        if decrement && found.state.counts() {
            let from = group.desired;
            if from <= group.min {
                return Err(no_room(&group, "terminate", 1).into());
            }
            group.desired = from - 1;
            what.push_str(&format!(", shrinking the capacity from {from} to {}", from - 1));
        }
        let mut writes = self.begin_end(&mut group, instance, activity, told(&[], &[sentence(now, &what)]), now);
        writes.extend(put(held, group));
        Ok(done(writes))
    }
}

/// How members leave their work.
struct Leaving<'a> {
    may: &'a dyn Fn(LifecycleState) -> bool,
    wanted: &'static str,
    what: &'static str,
    verb: &'static str,
    told: fn(&InstanceId) -> String,
    state: LifecycleState,
}

fn member<'g>(group: &'g mut AutoScalingGroup, id: &InstanceId) -> Result<&'g mut Member, BadScaling> {
    let name = group.name.clone();
    group.members.get_mut(id).ok_or(BadScaling::NotMember { instance: id.clone(), group: name })
}

fn no_room(group: &AutoScalingGroup, what: &'static str, count: u32) -> BadScaling {
    let AutoScalingGroup { min, max, desired, .. } = *group;
    BadScaling::NoRoom { group: group.name.clone(), min, max, desired, what, count }
}
