//! The course of an instance refresh: asked for, begun, paused, watched, given up, rolled back, called off.
//!
//! Owns when each may be, and what each does to the group, its members' marks and what it launches with. Must never choose who
//! is replaced now, nor look at what was seen: [`crate::plan::groups`] does, by the rules in [`crate::scaling::refresh`].

use super::{Decision, World, done, put};
use crate::change::{NewRefresh, RefreshStep};
use crate::name::{AutoScalingGroupName, InstanceId};
use crate::noun::instance_refresh::{
    InstanceRefresh, MOST_ALARMS, ProtectedMembers, REFRESH_STAYS, REFRESHES_KEPT, RefreshMark, RefreshPreferences,
    RefreshStatus, Rollback, StandbyMembers,
};
use crate::noun::launch_template::VersionRef;
use crate::noun::scaling_group::{AutoScalingGroup, LaunchSource, LifecycleState, Member, Process};
use crate::refusal::{BadScaling, Refusal};
use crate::scaling::refresh::percent;
use crate::time::Timestamp;

/// What a refresh does with a member that is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Another one takes its place.
    Replaced,
    /// It is ended; it stood by, and nobody takes its place.
    Ended,
    /// It is waited for.
    Awaited,
    /// It stays.
    Stays,
}

/// What a refresh does with a member; `None` for those that it has nothing to do with.
#[must_use]
pub fn place(refresh: &InstanceRefresh, member: &Member) -> Option<Place> {
    if member.refresh != Some(RefreshMark::Old) {
        return None;
    }
    let preferences = &refresh.preferences;
    match member.state {
        LifecycleState::Standby | LifecycleState::EnteringStandby => Some(match preferences.standby {
            StandbyMembers::Terminate => Place::Ended,
            StandbyMembers::Ignore => Place::Stays,
            StandbyMembers::Wait => Place::Awaited,
        }),
        state if !state.counts() => None,
        // On the way back nothing protects what a refresh has launched.
        _ if !member.is_protected || refresh.status == RefreshStatus::RollbackInProgress => Some(Place::Replaced),
        _ => Some(match preferences.protected {
            ProtectedMembers::Refresh => Place::Replaced,
            ProtectedMembers::Ignore => Place::Stays,
            ProtectedMembers::Wait => Place::Awaited,
        }),
    }
}

/// How a group stands while it is refreshed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many members it is to have that are, or replace, old ones.
    pub total: u32,
    /// How many of them replace others and are well.
    pub updated: u32,
    /// How many count as capacity.
    pub capacity: u32,
    /// How many of those are in service and well; of the new ones those that were for long enough.
    pub healthy: u32,
    /// How many come: new, and not well for long enough.
    pub coming: u32,
    /// How many replacements have begun, or will without being asked for.
    pub begun: u32,
    /// Who is to be replaced and serves.
    pub old: Vec<InstanceId>,
    /// Who is to be replaced and serves nobody.
    pub idle: Vec<InstanceId>,
    /// Who is to be ended.
    pub ended: Vec<InstanceId>,
    /// Who is waited for.
    pub awaited: Vec<InstanceId>,
    /// How many are still to be replaced, ended or waited for.
    pub left: u32,
}

/// Counts a group's members as a refresh sees them.
#[must_use]
pub fn tally(group: &AutoScalingGroup, refresh: &InstanceRefresh) -> Tally {
    let mut tally = Tally::default();
    let mut others = 0;
    // Who is ill is replaced without a refresh, unless the group is kept from it.
    let heals = group.does(Process::ReplaceUnhealthy);
    for (id, member) in &group.members {
        let place = place(refresh, member);
        tally.left += u32::from(matches!(place, Some(Place::Replaced | Place::Ended | Place::Awaited)));
        match place {
            Some(Place::Ended) => tally.ended.push(id.clone()),
            Some(Place::Awaited) => tally.awaited.push(id.clone()),
            _ => {}
        }
        if !member.state.counts() {
            continue;
        }
        tally.capacity += 1;
        let is_new = member.refresh == Some(RefreshMark::New);
        let serves = member.state == LifecycleState::InService;
        let is_well = serves && member.illness.is_none();
        tally.healthy += u32::from(is_well && !is_new);
        tally.coming += u32::from(!serves || (is_new && is_well));
        tally.begun += u32::from(matches!(member.refresh, Some(RefreshMark::New | RefreshMark::Updated)));
        tally.updated += u32::from(is_well && member.refresh == Some(RefreshMark::Updated));
        others += u32::from(member.refresh.is_none() || place == Some(Place::Stays));
        match place {
            Some(Place::Replaced) if is_well => tally.old.push(id.clone()),
            Some(Place::Replaced) if member.illness.is_none() || !heals => tally.idle.push(id.clone()),
            _ => {}
        }
    }
    tally.begun += group.desired.saturating_sub(tally.capacity);
    tally.total = group.desired.saturating_sub(others).max(tally.updated);
    tally
}

/// How many percent are new, and how many members are still to be replaced.
#[must_use]
pub fn progress(group: &AutoScalingGroup, refresh: &InstanceRefresh) -> (u8, u32) {
    if refresh.status.is_over() {
        return (refresh.percent, refresh.left);
    }
    let tally = tally(group, refresh);
    match (refresh.status, &refresh.rollback) {
        (RefreshStatus::Pending, _) => (0, group.capacity()),
        // What was new becomes less again; what was not replaced yet stays as it is.
        (_, Some(rollback)) => {
            let left = u64::from(rollback.percent) * u64::from(tally.left) / u64::from(rollback.deployed.max(1));
            (u8::try_from(left).unwrap_or(100).min(rollback.percent), rollback.left)
        }
        (_, None) => (percent(tally.updated, tally.total, tally.left), tally.left),
    }
}

/// The mark of a member that is launched now.
pub(super) fn marks(group: &AutoScalingGroup) -> Option<RefreshMark> {
    let launches = |status: RefreshStatus| status.replaces() || status == RefreshStatus::Baking;
    group.refresh().filter(|refresh| launches(refresh.status)).map(|_| RefreshMark::New)
}

/// Whether a refresh may end a member now.
pub(super) fn replaces(group: &AutoScalingGroup, member: &Member) -> bool {
    let refresh = group.refresh().filter(|refresh| refresh.status.replaces());
    let place = refresh.and_then(|refresh| place(refresh, member));
    matches!(place, Some(Place::Replaced | Place::Ended))
}

/// Notes that a replacement came to nothing.
pub(super) fn note_failure(group: &mut AutoScalingGroup, id: &InstanceId, why: &str) {
    let mark = group.members.get(id).and_then(|member| member.refresh);
    if !matches!(mark, Some(RefreshMark::New | RefreshMark::Updated)) {
        return;
    }
    if let Some(refresh) = group.refresh_mut() {
        refresh.failures = refresh.failures.saturating_add(1);
        refresh.failure = Some(cut(&format!("{id}: {why}")));
    }
}

/// Calls off what is under way.
pub(super) fn call_off(group: &mut AutoScalingGroup, why: &str, now: Timestamp) {
    if group.refresh().is_some() {
        end(group, RefreshStatus::Cancelled, Some(why.to_owned()), now);
    }
}

impl World {
    pub(super) fn start_refresh(&self, new: &NewRefresh, now: Timestamp) -> Result<Decision, Refusal> {
        let held = self.staying_group(&new.group)?;
        if held.refresh().is_some() {
            return Err(BadScaling::RefreshInProgress.into());
        }
        self.check_preferences(&new.preferences)?;
        let mut group = held.as_ref().clone();
        let refresh = InstanceRefresh {
            id: new.id.clone(),
            status: RefreshStatus::Pending,
            reason: None,
            started: now,
            ended: None,
            desired: new.desired.clone(),
            preferences: new.preferences.clone(),
            progressed: now,
            failures: 0,
            failure: None,
            checkpoint: 0,
            until: None,
            waits: true,
            percent: 0,
            left: 0,
            rollback: None,
        };
        if let Some(desired) = &new.desired {
            // What cannot be launched is better refused than tried.
            self.launch_of(&AutoScalingGroup { launch: desired.clone(), ..group.clone() })?;
        }
        if new.preferences.rolls_back {
            let refused = |why: &str| BadScaling::Refresh(format!("AutoRollback cannot be enabled: {why}"));
            reversible(&group, &refresh).map_err(refused)?;
        }
        group.refreshes.retain(|refresh| refresh.ended.is_some_and(|at| now.since(at) < REFRESH_STAYS));
        if group.refreshes.len() >= REFRESHES_KEPT {
            group.refreshes.drain(..=group.refreshes.len() - REFRESHES_KEPT);
        }
        group.refreshes.push(refresh);
        Ok(done(put(held, group).into_iter().collect()))
    }

    fn check_preferences(&self, preferences: &RefreshPreferences) -> Result<(), Refusal> {
        let bad = |text: &str| Err(BadScaling::Refresh(text.to_owned()).into());
        let percent = |stated: Option<u32>, from, to| stated.is_none_or(|stated| (from..=to).contains(&stated));
        let share = preferences.share;
        if !percent(share.least, 0, 100) {
            return bad("MinHealthyPercentage must be between 0 and 100");
        }
        if !percent(share.most, 100, 200) {
            return bad("MaxHealthyPercentage must be between 100 and 200");
        }
        match (share.least, share.most) {
            (None, Some(_)) => {
                return bad("If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage");
            }
            (Some(least), Some(most)) if most - least > 100 => {
                return bad(
                    "The difference between MinHealthyPercentage and MaxHealthyPercentage cannot be greater than 100",
                );
            }
            _ => {}
        }
        if preferences.checkpoints.iter().any(|at| !(1..=100).contains(at))
            || !preferences.checkpoints.is_sorted_by(|a, b| a < b)
        {
            return bad("CheckpointPercentages must be unique, ascending, and between 1 and 100");
        }
        if preferences.alarms.len() > MOST_ALARMS {
            return bad("AlarmSpecification can have at most 10 alarms");
        }
        match preferences.alarms.iter().find(|name| self.alarm(name).is_none()) {
            Some(missing) => bad(&format!("The alarm {missing} does not exist")),
            None => Ok(()),
        }
    }

    pub(super) fn cancel_refresh(
        &self,
        name: &AutoScalingGroupName,
        waits: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.group(name)?;
        let mut group = held.as_ref().clone();
        let refresh = group.refresh_mut().ok_or_else(|| BadScaling::NoRefresh(name.clone()))?;
        match (waits, refresh.status) {
            (true, RefreshStatus::Pending) => {
                call_off(&mut group, "Cancelled due to user request.", now);
            }
            (true, RefreshStatus::Cancelling) => return Err(BadScaling::NoRefresh(name.clone()).into()),
            (true, _) => {
                (refresh.status, refresh.waits, refresh.until) = (RefreshStatus::Cancelling, true, None);
                refresh.reason = Some("Cancelled due to user request. Waiting for in-flight instances.".to_owned());
            }
            (false, _) => {
                let why =
                    "Cancelled without waiting for ongoing instance launches and terminations due to user request.";
                call_off(&mut group, why, now);
            }
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn roll_back_refresh(&self, name: &AutoScalingGroupName, now: Timestamp) -> Result<Decision, Refusal> {
        use RefreshStatus as S;
        let held = self.group(name)?;
        let runs = |refresh: &&InstanceRefresh| matches!(refresh.status, S::Pending | S::InProgress | S::Baking);
        let refresh = held.refresh().filter(runs).ok_or_else(|| BadScaling::NoRefresh(name.clone()))?;
        reversible(held, refresh).map_err(BadScaling::Irreversible)?;
        let mut group = held.as_ref().clone();
        go_back(&mut group, "Manual rollback was initiated by a user request.".to_owned(), now);
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn move_refresh(
        &self,
        name: &AutoScalingGroupName,
        id: &str,
        step: &RefreshStep,
        now: Timestamp,
    ) -> Decision {
        use RefreshStatus as S;
        let Some(held) = self.scaling_group(name).filter(|group| !group.is_going) else { return done(Vec::new()) };
        let Some(refresh) = held.refresh().filter(|refresh| refresh.id == id) else { return done(Vec::new()) };
        let mut group = held.as_ref().clone();
        match (step, refresh.status) {
            (RefreshStep::Begin, S::Pending) => self.begin(&mut group, now),
            (RefreshStep::Update { instances }, S::InProgress | S::RollbackInProgress | S::Baking) => {
                update(&mut group, instances, now);
            }
            (RefreshStep::Pause { reached }, S::InProgress) => {
                if let Some(refresh) = group.refresh_mut().filter(|refresh| refresh.checkpoint < *reached) {
                    refresh.checkpoint = *reached;
                    let delay = refresh.preferences.checkpoint_delay;
                    let until = now.plus(std::time::Duration::from_secs(delay.into()));
                    // The hour in which it is to come further begins when it may.
                    (refresh.until, refresh.progressed) = (Some(until), until);
                }
            }
            (RefreshStep::Fail { why }, S::InProgress | S::Baking) if refresh.preferences.rolls_back => {
                go_back(&mut group, cut(&format!("Automatic rollback was initiated: {why}")), now);
            }
            (RefreshStep::Fail { why }, S::InProgress | S::Baking) => end(&mut group, S::Failed, Some(cut(why)), now),
            (RefreshStep::Fail { why }, S::RollbackInProgress) => {
                end(&mut group, S::RollbackFailed, Some(cut(why)), now);
            }
            (RefreshStep::Finish, S::InProgress) if refresh.preferences.bake > 0 => {
                let until = now.plus(std::time::Duration::from_secs(refresh.preferences.bake.into()));
                if let Some(refresh) = group.refresh_mut() {
                    (refresh.status, refresh.until) = (S::Baking, Some(until));
                }
            }
            (RefreshStep::Finish, S::InProgress | S::Baking) => {
                if let Some(desired) = refresh.desired.clone() {
                    group.launch = desired;
                }
                end(&mut group, S::Successful, None, now);
            }
            (RefreshStep::Finish, S::RollbackInProgress) => end(&mut group, S::RollbackSuccessful, None, now),
            (RefreshStep::Finish, S::Cancelling) => {
                end(&mut group, S::Cancelled, Some("Cancelled due to user request.".to_owned()), now);
            }
            _ => {}
        }
        done(put(held, group).into_iter().collect())
    }

    fn begin(&self, group: &mut AutoScalingGroup, now: Timestamp) {
        let Some(refresh) = group.refresh_mut() else { return };
        (refresh.status, refresh.progressed) = (RefreshStatus::InProgress, now);
        let skips = refresh.preferences.skips_matching;
        if refresh.desired.is_some() {
            // What stood against launches may stand no more.
            group.setback = None;
        }
        let wanted = self.launch_of(group).ok().map(|(_, source)| source).filter(|_| skips);
        for member in group.members.values_mut() {
            let stays = member.state.counts()
                || member.state.is_pooled()
                || matches!(member.state, LifecycleState::Standby | LifecycleState::EnteringStandby);
            let matches = wanted.is_some() && member.source == wanted;
            member.refresh = (stays && !matches).then_some(RefreshMark::Old);
        }
    }
}

fn update(group: &mut AutoScalingGroup, instances: &[InstanceId], now: Timestamp) {
    let mut any = false;
    for id in instances {
        let new = |member: &&mut Member| {
            let is_well = member.state == LifecycleState::InService && member.illness.is_none();
            is_well && member.refresh == Some(RefreshMark::New)
        };
        if let Some(member) = group.members.get_mut(id).filter(new) {
            (member.refresh, any) = (Some(RefreshMark::Updated), true);
        }
    }
    if let Some(refresh) = group.refresh_mut().filter(|_| any) {
        (refresh.progressed, refresh.failures, refresh.failure) = (now, 0, None);
    }
}

/// Those that replaced others are to be replaced by what was there before.
fn go_back(group: &mut AutoScalingGroup, reason: String, now: Timestamp) {
    let Some((percent, left)) = group.refresh().map(|refresh| progress(group, refresh)) else { return };
    let mut deployed = 0;
    for member in group.members.values_mut() {
        let is_new = matches!(member.refresh, Some(RefreshMark::New | RefreshMark::Updated));
        let goes = is_new && !member.state.is_ending();
        deployed += u32::from(goes);
        member.refresh = goes.then_some(RefreshMark::Old);
        // One that was launched over what there is to be is one of them like any other.
        member.balances &= !goes;
    }
    group.setback = None;
    if let Some(refresh) = group.refresh_mut() {
        refresh.status = RefreshStatus::RollbackInProgress;
        (refresh.progressed, refresh.failures, refresh.failure, refresh.until) = (now, 0, None, None);
        refresh.rollback = Some(Rollback { reason, started: now, percent, left, deployed });
    }
}

fn end(group: &mut AutoScalingGroup, status: RefreshStatus, reason: Option<String>, now: Timestamp) {
    let Some((percent, left)) = group.refresh().map(|refresh| progress(group, refresh)) else { return };
    for member in group.members.values_mut() {
        // Of those that are over then, whoever was not seen well goes first.
        member.refresh = member.refresh.filter(|mark| *mark == RefreshMark::New);
    }
    if let Some(refresh) = group.refresh_mut() {
        (refresh.percent, refresh.left) = (percent, left);
        (refresh.status, refresh.reason, refresh.ended, refresh.until) = (status, reason, Some(now), None);
    }
}

/// Whether there is a way back; if not, why.
fn reversible(group: &AutoScalingGroup, refresh: &InstanceRefresh) -> Result<(), &'static str> {
    match (&refresh.desired, &group.launch) {
        (None, _) => Err("there is no desired configuration specified for the instance refresh"),
        (_, LaunchSource::Template(held)) if !matches!(held.version, VersionRef::Number(_)) => {
            Err("the Auto Scaling group uses the launch template's $Latest or $Default version")
        }
        _ => Ok(()),
    }
}

/// AWS's longest reason.
fn cut(text: &str) -> String {
    text.chars().take(1_023).collect()
}
