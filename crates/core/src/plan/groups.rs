//! The auto scaling groups' plan: from what is wanted, how members fare and what was seen of them to the next steps.
//!
//! Owns when who is launched, ended, and found ill; who and where by the rules in [`crate::scaling`]. Pure and total, as all
//! plans: carried out it leaves an empty one. Must never roll the ids that a step needs, nor carry it out: that is the house's
//! `loops/groups`.

mod pool;
mod refresh;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::change::{Retirement, ScalingChange};
use crate::health::Health;
use crate::name::{ActivityId, AutoScalingGroupName, InstanceId, ScalingName, ZoneName};
use crate::noun::activity::{ACTIVITIES_KEPT, ACTIVITY_STAYS};
use crate::noun::launch_template::{TemplateSpecification, VersionRef};
use crate::noun::scaling_group::{AutoScalingGroup, HealthCheckType, LaunchSource, LifecycleState, Member, Process};
use crate::noun::{InstanceState, InstanceStatus};
use crate::plan::zero;
use crate::scaling::replacement::{Cause, Standing, Unhealthy, replace};
use crate::scaling::termination::{Candidate, Source, choose_many};
use crate::scaling::zones::{Distribution, ZoneCount, next, rebalance};
use crate::sightings::Sightings;
use crate::time::Timestamp;
use crate::world::World;
use crate::world::scaling::{IMPAIRED_FOR, Next};

/// One thing to do. What needs ids gets them from whoever carries it out.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made and carried out one by one; a box buys nothing")]
pub enum Step {
    /// Launch a member.
    Launch {
        /// For which group.
        group: AutoScalingGroupName,
        /// Where: the first that has room.
        zones: Vec<ZoneName>,
        /// Whether it is one more than there are to be, for the zones' balance.
        balances: bool,
        /// Whether it goes into the warm pool.
        pooled: bool,
    },
    /// Have a member of the warm pool take up its work.
    Draw {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        instance: InstanceId,
    },
    /// Begin a member's end.
    Retire {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        instance: InstanceId,
        /// Why.
        why: Retirement,
    },
    /// Let a member take its next step.
    Advance {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which.
        instance: InstanceId,
        /// For how many hooks it needs tokens.
        hooks: usize,
    },
    /// Do what is scheduled. When it is due next depends on its time zone's clocks.
    Act {
        /// Of which group.
        group: AutoScalingGroupName,
        /// Which action.
        name: ScalingName,
        /// When it was due.
        due: Timestamp,
    },
    /// A Change as it is.
    Make(ScalingChange),
}

/// What the groups do next. The dice say between members and zones that nothing tells apart.
#[must_use]
pub fn plan(world: &World, sightings: &Sightings, now: Timestamp, mut dice: impl FnMut() -> u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for group in world.scaling_groups() {
        Planner { world, sightings, group, now }.plan(&mut steps, &mut dice);
    }
    if let Some(road) = &sightings.road {
        steps.extend(zero::woken(world, &road.called).into_iter().map(Step::Make));
    }
    let old = forgotten(world, now);
    if !old.is_empty() {
        steps.push(Step::Make(ScalingChange::ForgetActivities { activities: old }));
    }
    steps
}

/// When something next falls due by time alone.
#[must_use]
pub fn next_deadline(world: &World, now: Timestamp) -> Option<Timestamp> {
    let of_group = |group: &AutoScalingGroup| {
        let seconds = |n: u32| Duration::from_secs(n.into());
        let mut times: Vec<Timestamp> = group.setback.iter().map(|setback| setback.retry).collect();
        times.extend(group.schedule.values().map(|action| action.next));
        times.extend(group.policies.values().filter_map(|policy| policy.next_hour(now)));
        times.extend(refresh::deadlines(group));
        for (id, member) in &group.members {
            times.extend(member.waits.values().filter(|wait| wait.goes_on.is_none()).map(|wait| wait.until));
            let in_service = || member.in_service.filter(|_| member.state == LifecycleState::InService);
            times.extend(in_service().map(|since| since.plus(seconds(group.grace))));
            times.extend(group.warmup.and_then(|warmup| Some(in_service()?.plus(seconds(warmup)))));
            times.extend(world.instance(id).map(|instance| instance.status_since.plus(IMPAIRED_FOR)));
        }
        times
    };
    world.scaling_groups().flat_map(|group| of_group(group)).filter(|at| *at > now).min()
}

/// What is wrong with a member in service; `None` where nothing is, or where that does not count yet.
#[must_use]
pub fn illness(
    world: &World,
    sightings: &Sightings,
    group: &AutoScalingGroup,
    id: &InstanceId,
    member: &Member,
    now: Timestamp,
) -> Option<Cause> {
    let Some(instance) = world.instance(id).filter(|instance| instance.state == InstanceState::Running) else {
        return Some(Cause::NotRunning);
    };
    let grace = Duration::from_secs(group.grace.into());
    if member.in_service.is_none_or(|since| now < since.plus(grace)) {
        return None;
    }
    let is_impaired = matches!(instance.status, InstanceStatus::Impaired { .. });
    if is_impaired && now >= instance.status_since.plus(IMPAIRED_FOR) {
        return Some(Cause::StatusCheck);
    }
    let road = sightings.road.as_ref().filter(|_| group.health_check == HealthCheckType::Elb)?;
    let fails = group.balancers.iter().any(|balancer| {
        let is_there = world.load_balancer(balancer).is_some_and(|lb| lb.instances.contains(id));
        is_there && road.health.get(&(balancer.clone(), id.clone())) == Some(&Health::Failing)
    });
    fails.then_some(Cause::Balancer)
}

struct Planner<'a> {
    world: &'a World,
    sightings: &'a Sightings,
    group: &'a AutoScalingGroup,
    now: Timestamp,
}

impl Planner<'_> {
    fn plan(&self, steps: &mut Vec<Step>, dice: &mut impl FnMut() -> u64) {
        let group = self.group;
        let name = || group.name.clone();
        let before = steps.len();
        for (id, action) in group.schedule.iter().filter(|(_, action)| self.now >= action.next && !group.is_going) {
            steps.push(Step::Act { group: name(), name: id.clone(), due: action.next });
        }
        steps.extend(self.world.hours_to_meet(group, self.now).into_iter().map(Step::Make));
        for (id, member) in &group.members {
            let Some(next) = self.world.next_of(group, id, member, self.now) else { continue };
            let hooks = match next {
                Next::Wait(transition) => group.hooks_before(transition).count(),
                _ => 0,
            };
            steps.push(Step::Advance { group: name(), instance: id.clone(), hooks });
        }
        if group.is_going {
            let stays = |member: &Member| {
                member.state.counts() || member.state.is_pooled() || member.state == LifecycleState::Standby
            };
            for (id, _) in group.members.iter().filter(|(_, member)| stays(member)) {
                steps.push(self.retired(id, Retirement::GroupGoes));
            }
            if group.has_ended() {
                steps.push(Step::Make(ScalingChange::EndGroup { group: name() }));
            }
            return;
        }
        self.find_the_ill(steps);
        if steps.len() > before {
            // What follows depends on what comes of these.
            return;
        }
        self.replace_the_ill(steps);
        self.meet_the_wish(steps, dice);
        self.refresh(steps, dice);
        // Whoever is new is launched where there are the fewest, and is young.
        let is_refreshed = group.refresh().is_some_and(|refresh| refresh.status.replaces());
        if steps.len() == before && !is_refreshed {
            self.renew(steps);
        }
        if steps.len() == before && !is_refreshed {
            self.balance(steps);
        }
        if steps.len() == before {
            // Who is to be in the pool depends on who works.
            self.keep_pool(steps, dice);
        }
    }

    fn retired(&self, id: &InstanceId, why: Retirement) -> Step {
        Step::Retire { group: self.group.name.clone(), instance: id.clone(), why }
    }

    fn in_service(&self) -> impl Iterator<Item = (&InstanceId, &Member)> {
        self.group.members.iter().filter(|(_, member)| member.state == LifecycleState::InService)
    }

    fn find_the_ill(&self, steps: &mut Vec<Step>) {
        if !self.group.does(Process::HealthCheck) {
            return;
        }
        // Who is known to be ill, and may have to wait for its turn, waits no more once it does not run at all.
        let is_to_be_looked_at = |member: &Member| member.illness.is_none_or(|illness| !illness.is_immediate());
        for (id, member) in self.in_service().filter(|(_, member)| is_to_be_looked_at(member)) {
            let worse = |illness: &Cause| member.illness.is_none() || illness.is_immediate();
            let found = illness(self.world, self.sightings, self.group, id, member, self.now).filter(worse);
            if let Some(illness) = found {
                let (group, instance) = (self.group.name.clone(), id.clone());
                steps.push(Step::Make(ScalingChange::MarkIll { group, instance, illness }));
            }
        }
    }

    fn replace_the_ill(&self, steps: &mut Vec<Step>) {
        if !self.group.does(Process::ReplaceUnhealthy) || !self.group.does(Process::Terminate) {
            return;
        }
        let warmup = Duration::from_secs(self.group.warmup.unwrap_or(0).into());
        let is_warm = |member: &Member| member.in_service.is_some_and(|since| self.now >= since.plus(warmup));
        let count = |of: &dyn Fn(&Member) -> bool| {
            u32::try_from(self.group.members.values().filter(|member| of(member)).count()).unwrap_or(u32::MAX)
        };
        let serves = |member: &Member| member.state == LifecycleState::InService && member.illness.is_none();
        let standing = Standing {
            desired: self.group.desired,
            healthy: count(&|member| serves(member) && is_warm(member)),
            coming: count(&|member| {
                matches!(member.state, LifecycleState::Pending | LifecycleState::PendingWait)
                    || (serves(member) && !is_warm(member))
            }),
            going: count(&|member| member.state.is_ending() && !member.state.is_warmed() && member.illness.is_some()),
        };
        let ill: Vec<Unhealthy> = self
            .in_service()
            .filter_map(|(id, member)| Some(Unhealthy { instance: id.clone(), cause: member.illness? }))
            .collect();
        steps.extend(replace(&ill, standing).now.iter().map(|id| self.retired(id, Retirement::Ill)));
    }

    fn meet_the_wish(&self, steps: &mut Vec<Step>, dice: &mut impl FnMut() -> u64) {
        let group = self.group;
        let have = group.capacity();
        if have < group.desired {
            if !group.does(Process::Launch) {
                return;
            }
            // Who is ready does not wait for launches that fail.
            let drawn = self.drawn(group.desired - have);
            let draws =
                |(id, _): &(&InstanceId, &Member)| Step::Draw { group: group.name.clone(), instance: (*id).clone() };
            steps.extend(drawn.iter().map(draws));
            let have = have.saturating_add(u32::try_from(drawn.len()).unwrap_or(u32::MAX));
            if group.setback.as_ref().is_some_and(|setback| self.now < setback.retry) {
                return;
            }
            // After a failure one at a time, to see whether it still fails.
            let most = if group.setback.is_some() { 1 } else { u32::MAX };
            let mut counts = self.zone_counts();
            for (_, member) in &drawn {
                counts.iter_mut().filter(|count| count.zone == member.zone).for_each(|count| count.members += 1);
            }
            for _ in 0..(group.desired - have).min(most) {
                let Some(zones) = zones_for_one_more(&mut counts, dice()) else { return };
                steps.push(Step::Launch { group: group.name.clone(), zones, balances: false, pooled: false });
            }
            return;
        }
        // One that was launched for balance counts once it is in service: until then nobody can be spared for it.
        let balancing = group.members.values().filter(|member| member.balances && member.state.counts()).count();
        let settled = have.saturating_sub(u32::try_from(balancing).unwrap_or(u32::MAX));
        let too_many = self.spared_by_refresh(settled.saturating_sub(group.desired));
        if too_many == 0 || !group.does(Process::Terminate) {
            return;
        }
        // Whoever serves nobody goes first: a member that boots is not worth one that works. Among equals, whom a refresh replaces.
        let serves = |member: &Member| member.state == LifecycleState::InService && member.illness.is_none();
        let goes_first = self.first_to_go();
        let counted = group.members.values().filter(|member| member.state.counts() && !member.balances);
        let serving = u32::try_from(counted.filter(|member| serves(member)).count()).unwrap_or(u32::MAX);
        let mut chosen: Vec<InstanceId> = Vec::new();
        let mut spare = serving.saturating_sub(group.desired);
        for (works, first) in [(false, true), (false, false), (true, true), (true, false)] {
            let left = too_many.saturating_sub(u32::try_from(chosen.len()).unwrap_or(u32::MAX));
            let left = if works { left.min(spare) } else { left };
            let more = self.chosen(left, &chosen, dice, |member| {
                !member.is_protected && serves(member) == works && goes_first(member) == first
            });
            if works {
                spare = spare.saturating_sub(u32::try_from(more.len()).unwrap_or(u32::MAX));
            }
            chosen.extend(more);
        }
        steps.extend(chosen.iter().map(|id| self.retired(id, Retirement::ScaleIn)));
    }

    /// So many of those who may go, by the termination policies, after those who have been chosen already.
    fn chosen(
        &self,
        count: u32,
        before: &[InstanceId],
        dice: &mut impl FnMut() -> u64,
        may_go: impl Fn(&Member) -> bool,
    ) -> Vec<InstanceId> {
        if count == 0 {
            return Vec::new();
        }
        let group = self.group;
        // Those who may not count for their zones all the same.
        let members: Vec<Candidate> = group
            .members
            .iter()
            .filter(|(id, member)| member.state.counts() && !member.balances && !before.contains(id))
            .map(|(id, member)| Candidate { protected: !may_go(member), ..self.candidate(id, member) })
            .collect();
        let chosen = choose_many(&members, &group.zones, &group.termination, count, self.now, dice);
        chosen.into_iter().map(|chosen| chosen.instance).collect()
    }

    fn candidate(&self, id: &InstanceId, member: &Member) -> Candidate {
        let source = match &member.source {
            Some(LaunchSource::Configuration(name)) => {
                let created = self.world.launch_configuration(name).map_or(Timestamp(0), |held| held.created);
                Source::LaunchConfiguration { created }
            }
            Some(LaunchSource::Template(from)) => {
                let is_it = |of: &TemplateSpecification| of.template == from.template;
                let current = matches!(self.group.launching(), LaunchSource::Template(of) if is_it(of));
                let version = match from.version {
                    VersionRef::Number(number) => number.into(),
                    VersionRef::Default | VersionRef::Latest => 0,
                };
                Source::LaunchTemplate { current, version }
            }
            None => Source::Other,
        };
        Candidate {
            id: id.clone(),
            zone: member.zone.clone(),
            launched: self.world.instance(id).map_or(member.since, |instance| instance.launched),
            protected: member.is_protected,
            source,
        }
    }

    /// The oldest of those that have lived long enough, one at a time.
    fn renew(&self, steps: &mut Vec<Step>) {
        let Some(life) = self.group.max_lifetime.filter(|_| self.is_settled()) else { return };
        if !self.group.does(Process::Terminate) || !self.group.does(Process::Launch) {
            return;
        }
        let life = Duration::from_secs(life.into());
        let launched = |id: &InstanceId| self.world.instance(id).map(|instance| instance.launched);
        let old = self.in_service().filter_map(|(id, _)| Some((launched(id)?, id)));
        if let Some((_, id)) = old.filter(|(at, _)| self.now >= at.plus(life)).min() {
            steps.push(self.retired(id, Retirement::Lifetime));
        }
    }

    fn balance(&self, steps: &mut Vec<Step>) {
        let group = self.group;
        let does = |process| group.does(process);
        if !self.is_settled() || !does(Process::AZRebalance) || !does(Process::Launch) || group.setback.is_some() {
            return;
        }
        for step in rebalance(&self.zone_counts(), group.desired, group.max) {
            let zones = vec![step.to];
            steps.push(Step::Launch { group: group.name.clone(), zones, balances: true, pooled: false });
        }
    }

    /// Whether every member that counts is in service, as many as there are to be.
    fn is_settled(&self) -> bool {
        let count = u32::try_from(self.in_service().count()).unwrap_or(u32::MAX);
        count == self.group.desired && self.group.active().all(|(_, m)| m.state == LifecycleState::InService)
    }

    /// Whether what the group launches fits into a zone.
    fn has_room(&self, zone: &ZoneName) -> bool {
        self.world.next_type(self.group).is_some_and(|instance_type| self.world.has_room(zone, &instance_type))
    }

    fn zone_counts(&self) -> Vec<ZoneCount> {
        self.zone_counts_of(|_| true)
    }

    /// How many of those that count are in each zone.
    fn zone_counts_of(&self, is_one: impl Fn(&Member) -> bool) -> Vec<ZoneCount> {
        self.counts_where(|member| member.state.counts() && is_one(member))
    }

    fn counts_where(&self, is_one: impl Fn(&Member) -> bool) -> Vec<ZoneCount> {
        let mut counts: BTreeMap<&ZoneName, u32> = self.group.zones.iter().map(|zone| (zone, 0)).collect();
        for member in self.group.members.values().filter(|member| is_one(member)) {
            *counts.entry(&member.zone).or_default() += 1;
        }
        let count = |(zone, members): (&ZoneName, u32)| ZoneCount {
            zone: zone.clone(),
            members,
            enabled: self.group.zones.contains(zone),
            failing: !self.has_room(zone),
        };
        counts.into_iter().map(count).collect()
    }
}

/// Where one more is launched: in the zone with the fewest, or else in the others, the emptiest first. It is counted there.
fn zones_for_one_more(counts: &mut [ZoneCount], dice: u64) -> Option<Vec<ZoneName>> {
    let zone = next(counts, Distribution::BalancedBestEffort, dice)?.zone.clone();
    counts.iter_mut().filter(|count| count.zone == zone).for_each(|count| count.members += 1);
    counts.sort_by_key(|count| count.members);
    let others = counts.iter().filter(|count| count.enabled && count.zone != zone);
    Some(std::iter::once(zone.clone()).chain(others.map(|count| count.zone.clone())).collect())
}

/// Activities that are older than anyone asks for, or more than are kept of a group.
fn forgotten(world: &World, now: Timestamp) -> Vec<ActivityId> {
    let mut old = Vec::new();
    for told in world.activities_by_group() {
        let too_many = told.len().saturating_sub(ACTIVITIES_KEPT);
        let may_be_old = |place: usize, began: Timestamp| place < too_many || now.since(began) >= ACTIVITY_STAYS;
        let oldest = told.iter().enumerate().take_while(|(place, (began, _))| may_be_old(*place, *began));
        old.extend(oldest.filter_map(|(place, (_, id))| {
            let held = world.activity(id).filter(|held| held.status.is_over())?;
            let is_old = held.ended.is_some_and(|at| now.since(at) >= ACTIVITY_STAYS);
            (place < too_many || is_old).then(|| id.clone())
        }));
    }
    old
}
