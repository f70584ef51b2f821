//! What an instance refresh does next: who is launched and ended for it, when it pauses, when it is done or given up.
//!
//! Owns whom it is, and what is seen of new members before they count. How many at once is said by
//! [`crate::scaling::refresh`]; each step is judged by the World ([`crate::world::scaling`]).

use std::time::Duration;

use super::{Planner, Step, zones_for_one_more};
use crate::change::{RefreshStep, Retirement, ScalingChange};
use crate::health::Health;
use crate::name::InstanceId;
use crate::noun::AlarmState;
use crate::noun::instance_refresh::{InstanceRefresh, RefreshMark, RefreshStatus};
use crate::noun::scaling_group::{AutoScalingGroup, LifecycleState, Member, Process};
use crate::scaling::refresh::{Fleet, LASTS_FOR, STALLS_FOR, allowance, at_checkpoint, has_failed, reached};
use crate::time::Timestamp;
use crate::world::scaling::{Place, Tally, place, tally};

/// When a refresh next has something to do by time alone.
pub(super) fn deadlines(group: &AutoScalingGroup) -> Vec<Timestamp> {
    let Some(refresh) = group.refresh() else { return Vec::new() };
    let warmup = group.refresh_warmup(refresh);
    let mut times: Vec<Timestamp> = refresh.until.into_iter().collect();
    times.extend([refresh.progressed.plus(STALLS_FOR), refresh.started.plus(LASTS_FOR)]);
    let new = group.members.values().filter(|member| member.refresh == Some(RefreshMark::New));
    times.extend(new.filter_map(|member| Some(member.in_service?.plus(warmup))));
    times
}

impl Planner<'_> {
    /// How many of those that are too many may go now: while a refresh is under way no more than its least share spares.
    pub(super) fn spared_by_refresh(&self, too_many: u32) -> u32 {
        let Some(refresh) = self.group.refresh().filter(|_| too_many > 0) else { return too_many };
        let tally = tally(self.group, refresh);
        if self.moves(refresh) && !(tally.old.is_empty() && tally.idle.is_empty()) {
            // Then it ends the old, and nobody else has to go.
            return 0;
        }
        let least = refresh.preferences.share.least_of(self.group.desired);
        too_many.min(tally.healthy.saturating_sub(least))
    }

    /// Who goes first of those that are too many: the old, or whoever a refresh that was given up had not seen well.
    pub(super) fn first_to_go(&self) -> impl Fn(&Member) -> bool + use<> {
        let mark = if self.group.refresh().is_some() { RefreshMark::Old } else { RefreshMark::New };
        move |member| member.refresh == Some(mark)
    }

    /// Whether it replaces members now: it is neither paused nor kept from it.
    fn moves(&self, refresh: &InstanceRefresh) -> bool {
        let is_paused = refresh.until.is_some_and(|until| self.now < until);
        refresh.status.replaces() && !is_paused && self.group.does(Process::InstanceRefresh)
    }

    pub(super) fn refresh(&self, steps: &mut Vec<Step>, dice: &mut impl FnMut() -> u64) {
        let Some(refresh) = self.group.refresh() else { return };
        if refresh.status == RefreshStatus::Cancelling {
            if !refresh.waits || !self.is_under_way() {
                steps.push(self.moved(refresh, RefreshStep::Finish));
            }
            return;
        }
        if !self.group.does(Process::InstanceRefresh) {
            return;
        }
        let step = match refresh.status {
            RefreshStatus::Pending => Some(RefreshStep::Begin),
            _ => self.trouble(refresh).map(|why| RefreshStep::Fail { why }).or_else(|| self.updated(refresh)),
        };
        if let Some(step) = step {
            steps.push(self.moved(refresh, step));
            return;
        }
        let is_over = refresh.until.is_none_or(|until| self.now >= until);
        match refresh.status {
            RefreshStatus::Baking if is_over => steps.push(self.moved(refresh, RefreshStep::Finish)),
            _ if self.moves(refresh) => self.replace(refresh, steps, dice),
            _ => {}
        }
    }

    fn moved(&self, refresh: &InstanceRefresh, step: RefreshStep) -> Step {
        let (group, id) = (self.group.name.clone(), refresh.id.clone());
        Step::Make(ScalingChange::MoveRefresh { group, id, step })
    }

    /// Whether a member that the refresh has to do with comes or goes.
    fn is_under_way(&self) -> bool {
        let moves = |state: LifecycleState| {
            state.is_ending() || matches!(state, LifecycleState::Pending | LifecycleState::PendingWait)
        };
        self.group.members.values().any(|member| member.refresh.is_some() && moves(member.state))
    }

    /// Why it is to be given up.
    fn trouble(&self, refresh: &InstanceRefresh) -> Option<String> {
        let rings = |name: &&crate::name::AlarmName| {
            self.world.alarm(name).is_some_and(|alarm| alarm.state == AlarmState::Alarm)
        };
        if refresh.status != RefreshStatus::RollbackInProgress
            && let Some(alarm) = refresh.preferences.alarms.iter().find(rings)
        {
            return Some(format!("the alarm {alarm} is in the ALARM state."));
        }
        if has_failed(refresh.failures, self.group.desired) {
            let last = refresh.failure.as_deref().unwrap_or("unknown");
            return Some(format!("{} replacements in a row came to nothing. The last: {last}.", refresh.failures));
        }
        if refresh.status.replaces() && self.now >= refresh.started.plus(LASTS_FOR) {
            return Some("it was not done after 14 days.".to_owned());
        }
        None
    }

    /// New members that were well for long enough.
    fn updated(&self, refresh: &InstanceRefresh) -> Option<RefreshStep> {
        let warmup = self.group.refresh_warmup(refresh);
        let is_updated = |(id, member): &(&InstanceId, &Member)| {
            let is_new = member.refresh == Some(RefreshMark::New) && member.illness.is_none();
            let is_warm = member.in_service.is_some_and(|since| self.now >= since.plus(warmup));
            is_new && is_warm && self.is_seen_well(id)
        };
        let instances: Vec<InstanceId> = self.in_service().filter(is_updated).map(|(id, _)| id.clone()).collect();
        (!instances.is_empty()).then_some(RefreshStep::Update { instances })
    }

    /// Whether the balancers that a member is behind send it requests. AWS asks them only where they judge its health; here
    /// nobody makes way for one that serves nobody.
    fn is_seen_well(&self, id: &InstanceId) -> bool {
        let behind = |balancer: &&crate::name::LoadBalancerName| {
            self.world.load_balancer(balancer).is_some_and(|lb| lb.instances.contains(id))
        };
        self.group.balancers.iter().filter(behind).all(|balancer| {
            let road = self.sightings.road.as_ref();
            let health = road.and_then(|road| road.health.get(&(balancer.clone(), id.clone())));
            health == Some(&Health::InService)
        })
    }

    fn replace(&self, refresh: &InstanceRefresh, steps: &mut Vec<Step>, dice: &mut impl FnMut() -> u64) {
        let tally = tally(self.group, refresh);
        let is_settled = tally.coming == 0 && tally.capacity == self.group.desired;
        let checkpoints = &refresh.preferences.checkpoints;
        // The way back has no checkpoints.
        let checkpoints = if refresh.rollback.is_some() { &[][..] } else { checkpoints.as_slice() };
        let behind = reached(checkpoints, tally.total, tally.updated);
        let is_last = !checkpoints.is_empty() && usize::try_from(behind).is_ok_and(|n| n == checkpoints.len());
        if is_settled && (tally.left == 0 || (is_last && checkpoints.last() < Some(&100))) {
            steps.push(self.moved(refresh, RefreshStep::Finish));
            return;
        }
        if is_settled && behind > refresh.checkpoint && !is_last {
            steps.push(self.moved(refresh, RefreshStep::Pause { reached: behind }));
            return;
        }
        if self.is_stalled(refresh) {
            steps.push(self.moved(refresh, RefreshStep::Fail { why: stalled(&tally) }));
            return;
        }
        let ahead = checkpoints.get(usize::try_from(refresh.checkpoint).unwrap_or(usize::MAX));
        let more = match self.group.does(Process::Launch) && self.group.does(Process::Terminate) {
            // Nobody goes for whom nobody can come, nor the other way round.
            false => 0,
            true => ahead.map_or(u32::MAX, |at| at_checkpoint(tally.total, *at).saturating_sub(tally.begun)),
        };
        self.come_and_go(refresh, &tally, more, steps, dice);
    }

    fn come_and_go(
        &self,
        refresh: &InstanceRefresh,
        tally: &Tally,
        more: u32,
        steps: &mut Vec<Step>,
        dice: &mut impl FnMut() -> u64,
    ) {
        let group = self.group;
        let goes = |member: &Member| place(refresh, member) == Some(Place::Replaced);
        // Those who stay are to be evened out in the end.
        let zones = self.zone_counts_of(|member| !goes(member));
        let count = |ids: &[InstanceId]| u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let has_room = zones.iter().any(|zone| zone.enabled && !zone.failing);
        let fleet = Fleet {
            desired: group.desired,
            capacity: tally.capacity,
            healthy: tally.healthy,
            old: count(&tally.old),
            idle: count(&tally.idle),
            coming: tally.coming,
            has_room,
        };
        let allowed = allowance(refresh.preferences.share, fleet, more);
        let waits = group.setback.as_ref().is_some_and(|setback| self.now < setback.retry);
        if !waits {
            // After a failure one at a time, to see whether it still fails.
            let most = if group.setback.is_some() { 1 } else { u32::MAX };
            let mut zones = zones;
            for _ in 0..allowed.launch.min(most) {
                let Some(zones) = zones_for_one_more(&mut zones, dice()) else { break };
                steps.push(Step::Launch { group: group.name.clone(), zones, balances: true, pooled: false });
            }
        }
        if !group.does(Process::Terminate) {
            return;
        }
        let is_well = |member: &Member| member.state == LifecycleState::InService && member.illness.is_none();
        let idle = self.chosen(allowed.end_idle, &[], dice, |member| goes(member) && !is_well(member));
        let old = self.chosen(allowed.end, &[], dice, |member| goes(member) && is_well(member));
        let going = tally.ended.iter().chain(&idle).chain(&old);
        steps.extend(going.map(|id| self.retired(id, Retirement::Refresh)));
    }

    /// Whether it has come no further for an hour, in which it could have.
    fn is_stalled(&self, refresh: &InstanceRefresh) -> bool {
        let warmup = self.group.refresh_warmup(refresh);
        let mut since = refresh.progressed;
        for member in self.group.members.values().filter(|member| member.refresh == Some(RefreshMark::New)) {
            if member.state == LifecycleState::PendingWait {
                return false;
            }
            let warm = member.in_service.map_or(Duration::ZERO, |_| warmup);
            since = since.max(member.since.plus(warm));
        }
        self.now >= since.plus(STALLS_FOR)
    }
}

/// Why it came no further.
fn stalled(tally: &Tally) -> String {
    match tally.awaited.first() {
        Some(id) if tally.old.is_empty() && tally.idle.is_empty() => {
            format!(
                "instances were protected from scale in, or in Standby, for an hour. For example: {id} was not replaced."
            )
        }
        _ => "no instance was replaced for an hour.".to_owned(),
    }
}
