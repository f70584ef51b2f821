//! Warm pools: what people ask of them, and the course of a member that is in one.
//!
//! Owns what follows from where a member of a pool is ([`super::course`] has the others), who is of no use to it, and who may come
//! out of it. Must never choose whom: [`crate::plan::groups`] does.

use super::cause::{self, sentence, told};
use super::course::{IMPAIRED_FOR, Next, Outset};
use super::groups::MOST_MEMBERS;
use super::{Decision, World, Write, done, hooks, put, refresh};
use crate::lifecycle;
use crate::name::{ActivityId, AutoScalingGroupName, InstanceId};
use crate::noun::activity::ActivityStatus;
use crate::noun::instance_refresh::RefreshMark;
use crate::noun::scaling_group::{AutoScalingGroup, LifecycleState, Member, Process, Transition};
use crate::noun::warm_pool::{PoolState, WarmPool};
use crate::noun::{Instance, InstanceState, InstanceStatus};
use crate::refusal::{BadScaling, Refusal};
use crate::time::Timestamp;
use crate::world::Row;

/// What the activity of a member is called that comes out of a pool (AWS).
pub(super) const DRAWN: &str = "Launching a new EC2 instance from warm pool";

impl World {
    pub(super) fn put_pool(&self, name: &AutoScalingGroupName, pool: &WarmPool) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        if held.pool.is_some_and(|pool| pool.is_going) {
            return Err(BadScaling::PoolGoes(name.clone()).into());
        }
        if pool.min > MOST_MEMBERS || pool.prepared.is_some_and(|prepared| prepared > MOST_MEMBERS) {
            return Err(BadScaling::Sizes("A warm pool's sizes must be at most 10000").into());
        }
        let group = AutoScalingGroup { pool: Some(*pool), ..held.as_ref().clone() };
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn delete_pool(
        &self,
        name: &AutoScalingGroupName,
        force: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.group(name)?;
        let pool = held.pool.ok_or_else(|| BadScaling::NoSuchPool(name.clone()))?;
        let mut group = held.as_ref().clone();
        group.pool = (!force && !held.has_empty_pool()).then_some(WarmPool { is_going: true, ..pool });
        if force {
            // Nobody is waited for any more, whatever is said (AWS).
            let warmed = group.members.values_mut().filter(|member| member.state.is_warmed());
            warmed.flat_map(|member| member.waits.values_mut()).for_each(|wait| wait.until = now);
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn end_pool(&self, name: &AutoScalingGroupName) -> Decision {
        let goes = |group: &AutoScalingGroup| group.pool.is_some_and(|pool| pool.is_going);
        let Some(held) = self.scaling_group(name).filter(|group| goes(group) && group.has_empty_pool()) else {
            return done(Vec::new());
        };
        let group = AutoScalingGroup { pool: None, ..held.as_ref().clone() };
        done(put(held, group).into_iter().collect())
    }

    /// Members of a warm pool that are to go: more than there are to be, ill, in a zone that is the group's no more, or older than
    /// what a refresh brings.
    #[must_use]
    pub fn spare_in_pool(&self, group: &AutoScalingGroup, now: Timestamp) -> Vec<InstanceId> {
        let replaces = group.refresh().is_some_and(|refresh| refresh.status.replaces());
        let is_useless = |id: &InstanceId, member: &Member| {
            let ill = self.instance(id).is_some_and(|instance| {
                let is_impaired = matches!(instance.status, InstanceStatus::Impaired { .. });
                let counts = member.state == LifecycleState::WarmedRunning && instance.state == InstanceState::Running;
                counts && is_impaired && now >= instance.status_since.plus(IMPAIRED_FOR)
            });
            let is_old = replaces && member.refresh == Some(RefreshMark::Old);
            ill || is_old || member.illness.is_some() || !group.zones.contains(&member.zone)
        };
        let pooled = || group.members.iter().filter(|(_, member)| member.state.is_pooled());
        let (mut gone, mut kept): (Vec<_>, Vec<_>) = pooled().partition(|(id, member)| is_useless(id, member));
        // Who is not ready goes before those who are, and of equals the newest, who has cost the least.
        kept.sort_by_key(|(id, member)| (member.state.rests(), std::cmp::Reverse(member.since), *id));
        let too_many = kept.len().saturating_sub(usize::try_from(group.pool_size()).unwrap_or(usize::MAX));
        gone.extend(kept.into_iter().take(too_many));
        gone.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// Whether a member of a pool may take up its work: it is ready, or boots, and there is room for it to run.
    #[must_use]
    pub fn may_be_drawn(&self, group: &AutoScalingGroup, id: &InstanceId, member: &Member) -> bool {
        let Some(instance) = self.instance(id) else { return false };
        let replaces = group.refresh().is_some_and(|refresh| refresh.status.replaces());
        let is_old = replaces && member.refresh == Some(RefreshMark::Old);
        if is_old || member.illness.is_some() || !group.zones.contains(&member.zone) {
            return false;
        }
        match (member.state, instance.state) {
            // One that was launched for the pool and boots is as far as one that is launched now will be.
            (LifecycleState::WarmedPending, InstanceState::Pending) => member.in_service.is_none(),
            (LifecycleState::WarmedPending, InstanceState::Running) => {
                member.in_service.is_none() && instance.status == InstanceStatus::Initializing
            }
            (LifecycleState::WarmedRunning, InstanceState::Running) => instance.status == InstanceStatus::Ok,
            (LifecycleState::WarmedStopped, InstanceState::Running) => true,
            (LifecycleState::WarmedStopped | LifecycleState::WarmedRunning, InstanceState::Stopped) => {
                self.start_instances(std::slice::from_ref(id), Timestamp(0)).is_ok()
            }
            _ => false,
        }
    }

    pub(super) fn draw(
        &self,
        name: &AutoScalingGroupName,
        id: &InstanceId,
        activity: &ActivityId,
        now: Timestamp,
    ) -> Decision {
        let wants = |group: &AutoScalingGroup| {
            !group.is_going && group.capacity() < group.desired && group.does(Process::Launch)
        };
        let Some(held) = self.scaling_group(name).filter(|group| wants(group)) else { return done(Vec::new()) };
        let Some(member) = held.members.get(id).filter(|member| self.may_be_drawn(held, id, member)) else {
            return done(Vec::new());
        };
        let mut group = held.as_ref().clone();
        let (from, to) = (group.capacity(), group.capacity() + 1);
        let because = told(&group.why, &[sentence(now, &cause::started(from, to))]);
        let mut writes = self.called_off(member, now);
        match self.instance(id) {
            Some(instance) if instance.state == InstanceState::Stopped => {
                let started = self.start_instances(std::slice::from_ref(id), now);
                writes.extend(started.map_or_else(|_| Vec::new(), |started| started.writes));
            }
            // Balancers that it registered with by itself have passed it over: written anew, it is looked at again.
            Some(instance) => writes.push(Write::Put(Row::Instance(instance.as_ref().clone()))),
            None => {}
        }
        let mark = refresh::marks(&group);
        let is_protected = group.protects_new;
        if let Some(member) = group.members.get_mut(id) {
            (member.state, member.since, member.in_service) = (LifecycleState::Pending, now, None);
            (member.refresh, member.is_protected) = (mark, is_protected);
            member.activity = Some(activity.clone());
            member.waits.clear();
        }
        if to >= group.desired {
            group.why.clear();
        }
        let outset = Outset { activity, what: DRAWN, cause: because, status: ActivityStatus::PreInService };
        writes.push(self.told(&group, id, &outset, now));
        writes.extend(put(held, group));
        done(writes)
    }

    /// Whether a member that is to go because there are to be fewer goes into the pool instead.
    pub(super) fn comes_back(&self, group: &AutoScalingGroup, id: &InstanceId, member: &Member) -> bool {
        let runs = self.instance(id).is_some_and(|instance| instance.state == InstanceState::Running);
        let is_well = member.state == LifecycleState::InService && member.illness.is_none() && runs;
        let is_old = member.refresh == Some(RefreshMark::Old) || !group.zones.contains(&member.zone);
        let has_room = group.pooled() < group.pool_size();
        is_well && !is_old && has_room && group.pool.is_some_and(|pool| pool.reuses && !pool.is_going)
    }

    /// What a member of a pool does next, as [`World::next_of`].
    pub(super) fn next_in_pool(
        &self,
        group: &AutoScalingGroup,
        id: &InstanceId,
        member: &Member,
        now: Timestamp,
    ) -> Option<Next> {
        use InstanceState as I;
        use LifecycleState as L;
        let instance = self.instance(id);
        let state = instance.map_or(I::Terminated, |instance| instance.state);
        // One that has been in service comes back; it keeps nobody waiting who has lost it.
        let comes_back = member.in_service.is_some();
        match (member.state, state) {
            (L::WarmedPending | L::WarmedPendingWait | L::WarmedPendingProceed, I::Terminated | I::ShuttingDown)
                if !comes_back && member.state != L::WarmedPendingProceed =>
            {
                Some(Next::Fail(lost(instance.map(AsRef::as_ref))))
            }
            (_, I::Terminated) => Some(Next::Leave),
            (L::WarmedPending, I::Running | I::Stopped) if comes_back => {
                let waits = group.hooks_before(Transition::Terminating).next().is_some();
                let next = if waits { Next::Wait(Transition::Terminating) } else { into(group, state) };
                (!self.drains(id)).then_some(next)
            }
            (L::WarmedPending, I::Running) => match instance.map(|instance| &instance.status) {
                Some(InstanceStatus::Impaired { why }) => Some(Next::Fail(why.clone())),
                Some(InstanceStatus::Ok) => {
                    let waits = group.hooks_before(Transition::Launching).next().is_some();
                    Some(if waits { Next::Wait(Transition::Launching) } else { into(group, state) })
                }
                _ => None,
            },
            (L::WarmedPending, I::Stopped) => Some(Next::Fail(lost(instance.map(AsRef::as_ref)))),
            (L::WarmedPendingWait, I::Running | I::Stopped) => {
                hooks::outcome(group, member, now).map(|goes_on| match (goes_on, comes_back) {
                    (true, _) => into(group, state),
                    (false, true) => Next::End,
                    (false, false) => Next::Fail("a lifecycle action was abandoned".to_owned()),
                })
            }
            (L::WarmedPendingProceed | L::WarmedRunning, I::Stopped) => Some(Next::Rest),
            // Who was to be stopped and runs was started by somebody, or its stop came to nothing.
            (L::WarmedPendingProceed, I::Running) => Some(into(group, state)),
            (L::WarmedStopped | L::WarmedRunning, I::Running) => {
                let rests = if member.state == L::WarmedRunning { PoolState::Running } else { PoolState::Stopped };
                let is_up = instance.is_some_and(|instance| instance.status == InstanceStatus::Ok);
                let wanted = group.pool.map(|pool| pool.state);
                // One that somebody started, or that is to rest otherwise than it does.
                let moves = wanted == Some(PoolState::Stopped) || (is_up && rests == PoolState::Stopped);
                (moves && wanted.is_some()).then(|| into(group, state))
            }
            (L::WarmedTerminating, _) if self.drains(id) => None,
            // With a pool that was taken off by force nothing is waited for (AWS).
            (L::WarmedTerminating, _)
                if group.pool.is_some() && group.hooks_before(Transition::Terminating).next().is_some() =>
            {
                Some(Next::Wait(Transition::Terminating))
            }
            (L::WarmedTerminating, _) => Some(Next::End),
            (L::WarmedTerminatingWait, _) => hooks::outcome(group, member, now).map(|_| Next::End),
            (L::WarmedTerminatingProceed, state) => (state != I::ShuttingDown).then_some(Next::End),
            _ => None,
        }
    }

    /// Whether requests that an instance has are still waited for.
    pub(super) fn drains(&self, id: &InstanceId) -> bool {
        self.load_balancers().any(|lb| lb.draining.contains_key(id))
    }

    /// The row of an instance that is to be stopped, whatever protects it from the API.
    pub(super) fn parked(&self, id: &InstanceId, now: Timestamp) -> Option<Write> {
        let held = self.instance(id)?;
        let to = lifecycle::wished(held.state, lifecycle::Wish::Stop).filter(|to| *to != held.state)?;
        let mut instance = held.as_ref().clone();
        instance.reason = Some(lifecycle::user_initiated(now));
        self.enter(&mut instance, to, now);
        Some(Write::Put(Row::Instance(instance)))
    }
}

/// What follows once a member may go into the pool: it rests, or is stopped for that.
fn into(group: &AutoScalingGroup, state: InstanceState) -> Next {
    let is_stopped = group.pool.is_none_or(|pool| pool.state == PoolState::Stopped);
    if is_stopped && state == InstanceState::Running { Next::Park } else { Next::Rest }
}

/// How an instance was lost that was on its way.
fn lost(instance: Option<&Instance>) -> String {
    let reason = instance.and_then(|instance| instance.reason.as_ref());
    reason.map_or_else(|| "it ended".to_owned(), |reason| reason.message.clone())
}
