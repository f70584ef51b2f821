//! The course of a member: launched, booted, in service; or out of service, drained, ended.
//!
//! Owns what follows from where a member is and how its instance fares ([`World::next_of`]), and carries each step out whole: a
//! member, its instance, its balancers and the activity that tells of it are one commit, so that nothing is launched and
//! forgotten, or told twice. Must never choose whom: [`crate::plan::groups`] does.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cause::{self, sentence, told};
use super::{Decision, Row, World, Write, done, hooks, put};
use crate::change::{NewInstances, NewMember, Retirement};
use crate::lifecycle::{self, Wish};
use crate::name::{ActivityId, AutoScalingGroupName, GroupId, InstanceId, ZoneName};
use crate::noun::activity::{Activity, ActivityStatus};
use crate::noun::launch_template::{LaunchData, LaunchParameters, TemplateSpecification, VersionRef};
use crate::noun::scaling_group::{
    AutoScalingGroup, GROUP_TAG, LaunchSource, LifecycleState, Member, Process, Setback, Transition,
};
use crate::noun::{InstanceState, InstanceStatus};
use crate::refusal::{BadScaling, Refusal};
use crate::scaling::replacement::Cause;
use crate::time::Timestamp;

/// How long an instance may be impaired before a member in service counts as ill. A restart of its application takes less.
pub const IMPAIRED_FOR: Duration = Duration::from_secs(60);
/// How long after a launch that came to nothing the next is tried: doubled each time, up to the last.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(120);
/// How long launches may fail before the group is kept from them (AWS: a day).
const FAILS_FOR: Duration = Duration::from_secs(24 * 3600);

/// What activities are called that have to do with warm pools (AWS).
const INTO_POOL: &str = "Launching a new EC2 instance into warm pool";
const FROM_POOL: &str = "Terminating EC2 instance from warm pool";

/// What a member does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It comes into service.
    Serve,
    /// It waits for the hooks before a transition.
    Wait(Transition),
    /// It came to nothing, and is ended.
    Fail(String),
    /// Its instance is ended.
    End,
    /// It is no member any more: its instance has ended, or it has left.
    Leave,
    /// It stands by.
    StandBy,
    /// It rests in the warm pool, as its instance is.
    Rest,
    /// Its instance is stopped, so that it rests in the warm pool.
    Park,
}

/// How an activity begins.
pub(super) struct Outset<'a> {
    pub activity: &'a ActivityId,
    pub what: &'static str,
    pub cause: String,
    pub status: ActivityStatus,
}

/// How a member's leave is told of.
struct Leave<'a> {
    activity: &'a ActivityId,
    what: &'static str,
    because: String,
}

impl World {
    /// What a member does next; `None` while there is something to wait for.
    #[must_use]
    pub fn next_of(&self, group: &AutoScalingGroup, id: &InstanceId, member: &Member, now: Timestamp) -> Option<Next> {
        use LifecycleState as L;
        let instance = self.instance(id);
        let state = instance.map_or(InstanceState::Terminated, |instance| instance.state);
        let drained = || !self.drains(id);
        let has_hooks = |before| group.hooks_before(before).next().is_some();
        match member.state {
            L::Pending => match (state, instance.map(|instance| &instance.status)) {
                (InstanceState::Pending, _) | (InstanceState::Running, Some(InstanceStatus::Initializing)) => None,
                (InstanceState::Running, Some(InstanceStatus::Ok)) => {
                    // Hooks are for those that are launched, not for those that come back.
                    let is_new = member.in_service.is_none();
                    let waits = is_new && has_hooks(Transition::Launching);
                    Some(if waits { Next::Wait(Transition::Launching) } else { Next::Serve })
                }
                (InstanceState::Running, Some(InstanceStatus::Impaired { why })) => Some(Next::Fail(why.clone())),
                _ => {
                    let reason = instance.and_then(|instance| instance.reason.as_ref());
                    let why = reason.map_or_else(|| "it ended".to_owned(), |reason| reason.message.clone());
                    Some(Next::Fail(why))
                }
            },
            L::PendingWait if state != InstanceState::Running => Some(Next::Fail("it ended".to_owned())),
            L::PendingWait => hooks::outcome(group, member, now).map(|goes_on| match goes_on {
                true => Next::Serve,
                false => Next::Fail("a lifecycle action was abandoned".to_owned()),
            }),
            L::Terminating | L::TerminatingWait | L::TerminatingProceed if state == InstanceState::Terminated => {
                Some(Next::Leave)
            }
            L::Terminating if !drained() => None,
            // Who never came into service has nothing to say good-bye to.
            L::Terminating if member.in_service.is_some() && has_hooks(Transition::Terminating) => {
                Some(Next::Wait(Transition::Terminating))
            }
            L::Terminating => Some(Next::End),
            L::TerminatingWait => hooks::outcome(group, member, now).map(|_| Next::End),
            L::TerminatingProceed => (state != InstanceState::ShuttingDown).then_some(Next::End),
            // Nobody looks after those: their instance may have been ended by hand.
            L::EnteringStandby | L::Standby if state == InstanceState::Terminated => Some(Next::Leave),
            L::EnteringStandby => drained().then_some(Next::StandBy),
            L::Detaching => drained().then_some(Next::Leave),
            L::InService | L::Standby => None,
            _ => self.next_in_pool(group, id, member, now),
        }
    }

    pub(super) fn launch_member(&self, new: &NewMember, now: Timestamp) -> Decision {
        let Some(held) = self.scaling_group(&new.group).filter(|group| !group.is_going) else {
            return done(Vec::new());
        };
        let is_wanted = match new.pooled {
            true => held.pooled() < held.pool_size(),
            false => held.capacity() < held.desired || new.balances,
        };
        if !is_wanted || !held.does(Process::Launch) || held.members.contains_key(&new.instance) {
            return done(Vec::new());
        }
        let mut group = held.as_ref().clone();
        let (from, to) = (group.capacity(), group.capacity() + 1);
        let ill = group.active().any(|(_, member)| member.state.is_ending() && member.illness.is_some());
        let refresh = super::refresh::marks(&group).filter(|_| !new.pooled);
        let last = match (new.balances, ill && group.why.is_empty()) {
            _ if new.pooled => sentence(now, &cause::pooled(group.pooled())),
            _ if refresh.is_some() && (new.balances || (!ill && group.why.is_empty())) => {
                sentence(now, cause::REFRESHED)
            }
            (true, _) => sentence(now, cause::BALANCED),
            (false, true) => sentence(now, cause::REPLACED),
            (false, false) => sentence(now, &cause::started(from, to)),
        };
        let because = if new.pooled { told(&[], &[last]) } else { told(&group.why, &[last]) };
        let what = if new.pooled { INTO_POOL } else { "Launching a new EC2 instance" };
        let mut activity = Activity {
            id: new.activity.clone(),
            group: group.name.clone(),
            group_id: group.id.clone(),
            instance: None,
            zone: new.zones.first().cloned(),
            description: what.to_owned(),
            cause: because,
            started: now,
            ended: None,
            status: ActivityStatus::PreInService,
            message: None,
        };
        let mut refused = None;
        for zone in &new.zones {
            let launched = self
                .new_instance(&group, new, zone)
                .and_then(|(wanted, source)| Ok((self.run_instances(&wanted, now)?, source)));
            let (Decision { mut writes, .. }, source) = match launched {
                Ok(launched) => launched,
                Err(refusal) => {
                    refused.get_or_insert(refusal);
                    continue;
                }
            };
            for write in &mut writes {
                if let Write::Put(Row::Instance(instance)) = write {
                    instance.tags.insert(GROUP_TAG.to_owned(), group.name.to_string());
                }
            }
            activity.instance = Some(new.instance.clone());
            activity.zone = Some(zone.clone());
            activity.description = format!("{what}: {}", new.instance);
            let member = Member {
                zone: zone.clone(),
                source: Some(source),
                state: if new.pooled { LifecycleState::WarmedPending } else { LifecycleState::Pending },
                since: now,
                in_service: None,
                illness: None,
                is_protected: group.protects_new && !new.pooled,
                activity: Some(activity.id.clone()),
                balances: new.balances,
                refresh,
                waits: BTreeMap::new(),
            };
            group.members.insert(new.instance.clone(), member);
            if to >= group.desired && !new.pooled {
                group.why.clear();
            }
            writes.push(Write::Put(Row::Activity(activity)));
            writes.extend(put(held, group));
            return done(writes);
        }
        let why = refused.map_or_else(|| "there is no zone to launch in".to_owned(), |refusal| refusal.to_string());
        (activity.status, activity.ended, activity.message) = (ActivityStatus::Failed, Some(now), Some(why));
        set_back(&mut group, now);
        let mut writes = vec![Write::Put(Row::Activity(activity))];
        writes.extend(put(held, group));
        done(writes)
    }

    /// The launch of one instance for a group, in a zone, and what it is from.
    fn new_instance(
        &self,
        group: &AutoScalingGroup,
        new: &NewMember,
        zone: &ZoneName,
    ) -> Result<(NewInstances, LaunchSource), Refusal> {
        let (parameters, source) = self.launch_of(group)?;
        let mut launch = parameters.instances(new.reservation.clone(), vec![new.instance.clone()], 1);
        launch.zone = Some(zone.clone());
        let propagated = group.tags.iter().filter(|(_, tag)| tag.propagates);
        launch.tags.extend(propagated.map(|(key, tag)| (key.clone(), tag.value.clone())));
        Ok((launch, source))
    }

    /// What a group's next member is launched with: all of it, and the very version of a template.
    pub(super) fn launch_of(&self, group: &AutoScalingGroup) -> Result<(LaunchParameters, LaunchSource), Refusal> {
        match group.launching() {
            LaunchSource::Configuration(name) => {
                let missing = || BadScaling::NoSuchConfiguration(name.clone());
                let held = self.launch_configuration(name).ok_or_else(missing)?;
                let named = |stated: &String| {
                    let known = GroupId::new(stated).ok().and_then(|id| self.security_group(&id));
                    known.map_or_else(|| stated.clone(), |group| group.name.clone())
                };
                let stated = LaunchData {
                    image: Some(held.image.clone()),
                    instance_type: Some(held.instance_type.clone()),
                    key_name: held.key_name.clone(),
                    group_names: held.groups.iter().map(named).collect(),
                    user_data: held.user_data.clone(),
                    ..LaunchData::default()
                };
                Ok((self.launch_parameters(stated, None)?, LaunchSource::Configuration(name.clone())))
            }
            LaunchSource::Template(specification) => {
                let parameters = self.launch_parameters(LaunchData::default(), Some(specification))?;
                let number =
                    parameters.from.as_ref().map_or(specification.version, |id| VersionRef::Number(id.number()));
                let source = TemplateSpecification { version: number, ..specification.clone() };
                Ok((parameters, LaunchSource::Template(source)))
            }
        }
    }

    /// The type of a group's next member; `None` where it cannot be launched.
    #[must_use]
    pub fn next_type(&self, group: &AutoScalingGroup) -> Option<String> {
        self.launch_of(group).ok().map(|(parameters, _)| parameters.instance_type)
    }

    pub(super) fn retire(
        &self,
        name: &AutoScalingGroupName,
        id: &InstanceId,
        activity: &ActivityId,
        why: Retirement,
        now: Timestamp,
    ) -> Decision {
        let Some(held) = self.scaling_group(name) else { return done(Vec::new()) };
        let Some(member) = held.members.get(id) else { return done(Vec::new()) };
        // Who leaves the group by detaching is on its way out already; who stands by goes with its group alone.
        let may = match member.state {
            LifecycleState::Standby | LifecycleState::EnteringStandby => {
                matches!(why, Retirement::GroupGoes | Retirement::Refresh)
            }
            state if state.is_pooled() => matches!(why, Retirement::GroupGoes | Retirement::Pool),
            state => state.counts(),
        };
        let still = match why {
            Retirement::ScaleIn => held.capacity() > held.desired && !member.is_protected,
            Retirement::Ill => member.illness.is_some(),
            Retirement::GroupGoes => held.is_going,
            Retirement::Balance | Retirement::Lifetime => !held.is_going,
            Retirement::Refresh => super::refresh::replaces(held, member),
            Retirement::Pool => !held.is_going && self.spare_in_pool(held, now).contains(id),
        };
        let allowed = why == Retirement::GroupGoes || held.does(Process::Terminate);
        if !may || !still || !allowed {
            return done(Vec::new());
        }
        let mut group = held.as_ref().clone();
        let (from, to) = (group.capacity(), group.capacity().saturating_sub(1));
        let mut last = match (why, member.illness) {
            (Retirement::Ill, Some(illness)) => vec![sentence(now, cause::ill(illness))],
            (Retirement::Lifetime, _) => {
                let lived =
                    "an instance was taken out of service in response to it having exceeded its maximum lifetime";
                vec![sentence(now, lived)]
            }
            (Retirement::Refresh, _) => vec![sentence(now, cause::REFRESHES)],
            (Retirement::Pool, illness) => vec![sentence(now, &cause::unpooled(group.pooled(), illness))],
            _ => vec![sentence(now, &cause::ended(from, to))],
        };
        if matches!(why, Retirement::ScaleIn | Retirement::Balance | Retirement::Refresh) {
            last.push(sentence(now, &format!("instance {id} was selected for termination")));
        }
        let kept: &[String] = if why == Retirement::ScaleIn || why == Retirement::GroupGoes { &group.why } else { &[] };
        let because = told(kept, &last);
        let comes_back = why == Retirement::ScaleIn && self.comes_back(held, id, member);
        let mut writes = match comes_back {
            true => self.begin_return(&mut group, id, activity, because, now),
            false => self.begin_end(&mut group, id, activity, because, now),
        };
        if group.capacity() <= group.desired && why == Retirement::ScaleIn {
            group.why.clear();
        }
        writes.extend(put(held, group));
        done(writes)
    }

    /// The beginning of a member's end: balancers send it nothing more.
    pub(super) fn begin_end(
        &self,
        group: &mut AutoScalingGroup,
        id: &InstanceId,
        activity: &ActivityId,
        because: String,
        now: Timestamp,
    ) -> Vec<Write> {
        let (to, what) = match group.members.get(id) {
            // Who never was ready, nor in service, has nothing to say good-bye to.
            Some(member) if member.state.is_pooled() && !member.state.rests() && member.in_service.is_none() => {
                (LifecycleState::WarmedTerminatingProceed, FROM_POOL)
            }
            Some(member) if member.state.is_pooled() => (LifecycleState::WarmedTerminating, FROM_POOL),
            _ => (LifecycleState::Terminating, "Terminating EC2 instance"),
        };
        self.begin_leave(group, id, to, Leave { activity, what, because }, now)
    }

    /// The beginning of a member's way back into the warm pool: balancers send it nothing more.
    fn begin_return(
        &self,
        group: &mut AutoScalingGroup,
        id: &InstanceId,
        activity: &ActivityId,
        because: String,
        now: Timestamp,
    ) -> Vec<Write> {
        if let Some(member) = group.members.get_mut(id) {
            (member.refresh, member.is_protected) = (None, false);
        }
        let leave = Leave { activity, what: "Returning EC2 instance to warm pool", because };
        self.begin_leave(group, id, LifecycleState::WarmedPending, leave, now)
    }

    fn begin_leave(
        &self,
        group: &mut AutoScalingGroup,
        id: &InstanceId,
        to: LifecycleState,
        Leave { activity, what, because }: Leave<'_>,
        now: Timestamp,
    ) -> Vec<Write> {
        let mut writes = Vec::new();
        if let Some(member) = group.members.get_mut(id) {
            writes.extend(self.called_off(member, now));
            (member.state, member.since) = (to, now);
            member.activity = Some(activity.clone());
            member.waits.clear();
        }
        let left = self.leave_balancers(std::slice::from_ref(id), now);
        let drains = left.iter().any(|write| match write {
            Write::Put(Row::LoadBalancer(lb)) => lb.draining.contains_key(id),
            _ => false,
        });
        let status = if drains { ActivityStatus::Draining } else { ActivityStatus::InProgress };
        let outset = Outset { activity, what, cause: because, status };
        writes.push(self.told(group, id, &outset, now));
        writes.extend(left);
        writes
    }

    pub(super) fn advance(
        &self,
        name: &AutoScalingGroupName,
        id: &InstanceId,
        tokens: &[String],
        now: Timestamp,
    ) -> Decision {
        let Some(held) = self.scaling_group(name) else { return done(Vec::new()) };
        let Some(member) = held.members.get(id) else { return done(Vec::new()) };
        let Some(next) = self.next_of(held, id, member, now) else { return done(Vec::new()) };
        let mut group = held.as_ref().clone();
        let mut member = member.clone();
        let activity = member.activity.clone();
        let mut writes = Vec::new();
        let mut stays = true;
        let status = match next {
            Next::Serve => {
                let ids = std::slice::from_ref(id);
                let (joined, complaint) = self.join_balancers(&group, ids);
                writes.extend(joined);
                (member.state, member.since, member.in_service) = (LifecycleState::InService, now, Some(now));
                member.waits.clear();
                member.balances = false;
                (group.setback, group.scaled) = (None, Some(now));
                (ActivityStatus::Successful, complaint)
            }
            Next::Wait(before) => {
                member.waits = hooks::begun(group.hooks_before(before), tokens, now);
                let waits = match (member.state, before) {
                    (LifecycleState::WarmedPending, _) => LifecycleState::WarmedPendingWait,
                    (LifecycleState::WarmedTerminating, _) => LifecycleState::WarmedTerminatingWait,
                    (_, Transition::Launching) => LifecycleState::PendingWait,
                    (_, Transition::Terminating) => LifecycleState::TerminatingWait,
                };
                (member.state, member.since) = (waits, now);
                (ActivityStatus::MidLifecycleAction, None)
            }
            Next::Fail(why) => {
                // It is ended as it is: it was behind no balancer, unless it took itself there.
                writes.extend(self.leave_balancers(std::slice::from_ref(id), now));
                writes.extend(self.ended_instance(id, now));
                let pooled = member.state.is_warmed();
                (member.state, member.since) = (ended_from(member.state), now);
                member.illness = (!pooled).then_some(Cause::NotRunning);
                member.waits.clear();
                set_back(&mut group, now);
                super::refresh::note_failure(&mut group, id, &why);
                (ActivityStatus::Failed, Some(format!("Instance failed to come into service: {why}")))
            }
            Next::End => {
                writes.extend(self.ended_instance(id, now));
                (member.state, member.since) = (ended_from(member.state), now);
                member.waits.clear();
                (ActivityStatus::InProgress, None)
            }
            Next::Leave => {
                stays = false;
                if !member.state.is_warmed() {
                    group.scaled = Some(now);
                }
                writes.extend(self.unmarked(id));
                (ActivityStatus::Successful, None)
            }
            Next::StandBy => {
                (member.state, member.since) = (LifecycleState::Standby, now);
                (ActivityStatus::Successful, None)
            }
            Next::Rest => {
                let runs = self.instance(id).is_some_and(|instance| instance.state == InstanceState::Running);
                let rests = if runs { LifecycleState::WarmedRunning } else { LifecycleState::WarmedStopped };
                if member.in_service.is_none() {
                    // One that was launched came to something.
                    group.setback = None;
                }
                // It comes out of the pool as one that is new.
                (member.state, member.since, member.in_service) = (rests, now, None);
                member.waits.clear();
                (ActivityStatus::Successful, None)
            }
            Next::Park => {
                writes.extend(self.leave_balancers(std::slice::from_ref(id), now));
                writes.extend(self.parked(id, now));
                (member.state, member.since) = (LifecycleState::WarmedPendingProceed, now);
                member.waits.clear();
                (ActivityStatus::InProgress, None)
            }
        };
        // One that came to nothing has been told of as that.
        let is_over = self.activity_of(&member).is_some_and(|held| held.status.is_over());
        if !is_over {
            writes.extend(self.moved_on(activity.as_ref(), status.0, status.1, now));
        }
        if stays {
            group.members.insert(id.clone(), member);
        } else {
            group.members.remove(id);
        }
        writes.extend(put(held, group));
        done(writes)
    }

    pub(super) fn mark_ill(&self, name: &AutoScalingGroupName, id: &InstanceId, illness: Cause) -> Decision {
        let Some(held) = self.scaling_group(name) else { return done(Vec::new()) };
        let mut group = held.as_ref().clone();
        if let Some(member) = group.members.get_mut(id)
            && member.state == LifecycleState::InService
        {
            let worse = member.illness.is_none_or(|held| illness.is_immediate() && !held.is_immediate());
            member.illness = if worse { Some(illness) } else { member.illness };
            super::refresh::note_failure(&mut group, id, cause::found(illness));
        }
        done(put(held, group).into_iter().collect())
    }

    /// Members behind their group's balancers, and what there is to say where they cannot be.
    pub(super) fn join_balancers(&self, group: &AutoScalingGroup, ids: &[InstanceId]) -> (Vec<Write>, Option<String>) {
        let (mut writes, mut complaint) = (Vec::new(), None);
        if !group.does(Process::AddToLoadBalancer) {
            return (writes, complaint);
        }
        for balancer in group.balancers.iter().filter(|name| self.load_balancer(name).is_some()) {
            match self.register_instances(balancer, ids) {
                Ok(registered) => writes.extend(registered.writes),
                Err(refusal) => complaint = Some(format!("{balancer}: {refusal}")),
            }
        }
        (writes, complaint)
    }

    /// Instances away from every balancer.
    pub(super) fn leave_balancers(&self, ids: &[InstanceId], now: Timestamp) -> Vec<Write> {
        let mut writes = Vec::new();
        for lb in self.load_balancers() {
            let there: Vec<InstanceId> = ids.iter().filter(|id| lb.instances.contains(*id)).cloned().collect();
            if !there.is_empty() {
                // Refused only where the balancer or the instance is not there.
                writes
                    .extend(self.deregister_instances(&lb.name, &there, now).map_or_else(|_| Vec::new(), |d| d.writes));
            }
        }
        writes
    }

    /// The row of an instance whose end begins, whatever protects it from the API: that its group may end it is what being a
    /// member means (AWS).
    fn ended_instance(&self, id: &InstanceId, now: Timestamp) -> Option<Write> {
        let held = self.instance(id)?;
        let to = lifecycle::wished(held.state, Wish::Terminate).filter(|to| *to != held.state)?;
        let mut instance = held.as_ref().clone();
        instance.reason = Some(lifecycle::user_initiated(now));
        self.enter(&mut instance, to, now);
        Some(Write::Put(Row::Instance(instance)))
    }

    /// The row of an instance that bears its group's name.
    pub(super) fn marked(&self, id: &InstanceId, group: &AutoScalingGroup) -> Option<Write> {
        let mut instance = self.instance(id)?.as_ref().clone();
        instance.tags.insert(GROUP_TAG.to_owned(), group.name.to_string());
        Some(Write::Put(Row::Instance(instance)))
    }

    /// The row of an instance that bears no group's name any more, where it runs on.
    fn unmarked(&self, id: &InstanceId) -> Option<Write> {
        let held = self.instance(id).filter(|held| held.state != InstanceState::Terminated)?;
        let mut instance = held.as_ref().clone();
        instance.tags.remove(GROUP_TAG)?;
        Some(Write::Put(Row::Instance(instance)))
    }

    /// The row of an activity that begins.
    pub(super) fn told(&self, group: &AutoScalingGroup, id: &InstanceId, outset: &Outset<'_>, now: Timestamp) -> Write {
        Write::Put(Row::Activity(Activity {
            id: outset.activity.clone(),
            group: group.name.clone(),
            group_id: group.id.clone(),
            instance: Some(id.clone()),
            zone: self.instance(id).map(|instance| instance.zone.clone()),
            description: format!("{}: {id}", outset.what),
            cause: outset.cause.clone(),
            started: now,
            ended: outset.status.is_over().then_some(now),
            status: outset.status,
            message: None,
        }))
    }

    /// What was under way with a member, called off.
    pub(super) fn called_off(&self, member: &Member, now: Timestamp) -> Vec<Write> {
        let latest = self.activity_of(member).filter(|held| !held.status.is_over()).map(|held| held.id.clone());
        self.moved_on(latest.as_ref(), ActivityStatus::Cancelled, None, now).into_iter().collect()
    }

    fn activity_of(&self, member: &Member) -> Option<&std::sync::Arc<Activity>> {
        self.activity(member.activity.as_ref()?)
    }
}

/// The state in which a member's instance is ended.
fn ended_from(state: LifecycleState) -> LifecycleState {
    if state.is_warmed() { LifecycleState::WarmedTerminatingProceed } else { LifecycleState::TerminatingProceed }
}

/// Notes a launch that came to nothing, and, after a day of them, keeps the group from more.
fn set_back(group: &mut AutoScalingGroup, now: Timestamp) {
    let setback = group.setback.get_or_insert(Setback { failures: 0, retry: now, since: now });
    setback.failures = setback.failures.saturating_add(1);
    let pause = FIRST_RETRY.saturating_mul(1 << (setback.failures - 1).min(10)).min(LAST_RETRY);
    setback.retry = now.plus(pause);
    if now.since(setback.since) > FAILS_FOR {
        let why = format!("Administrative suspension at {}: launches have failed for a day", now.iso());
        group.suspended.entry(Process::Launch).or_insert(why);
    }
}
