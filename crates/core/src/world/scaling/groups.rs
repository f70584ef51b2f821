//! What people ask of groups: their sizes, zones, balancers, processes, tags.
//!
//! Owns AWS's limits and the sentences that say what changed a group's wish. Must never touch a member: fewer or more of them
//! follow by plan. Next: [`super::members`].

use std::collections::{BTreeMap, BTreeSet};

use super::cause::{bounds, keep, sentence, wish};
use super::{Decision, World, Write, done, put};
use crate::change::{GroupPatch, NewGroup, Reply};
use crate::name::{AutoScalingGroupName, LoadBalancerName, ZoneName};
use crate::noun::scaling_group::{AutoScalingGroup, GroupTag, IDLE_TAG, LifecycleState, Process, idle_seconds};
use crate::refusal::{BadScaling, Refusal};
use crate::time::Timestamp;
use crate::world::{Key, Row, tags};

/// Groups (AWS: 500).
const MOST_GROUPS: usize = 500;
/// Balancers of one group (AWS: 50).
const MOST_BALANCERS: usize = 50;
/// Tags of one group (AWS: 50).
pub(super) const MOST_TAGS: usize = 50;
/// The most members of a group; AWS has no such limit.
pub(super) const MOST_MEMBERS: u32 = 10_000;
/// The shortest life that members may be given, in seconds (AWS: a day).
const SHORTEST_LIFE: u32 = 86_400;

impl World {
    pub(super) fn create_group(&self, new: &NewGroup, now: Timestamp) -> Result<Decision, Refusal> {
        if let Some(held) = self.scaling_group(&new.name) {
            let taken = if held.is_going { BadScaling::GroupGoes } else { BadScaling::GroupTaken };
            return Err(taken(new.name.clone()).into());
        }
        if self.scaling_groups().count() >= MOST_GROUPS {
            return Err(BadScaling::TooMany { what: "AutoScalingGroups", limit: MOST_GROUPS }.into());
        }
        let desired = new.desired.unwrap_or(new.min);
        let mut group = AutoScalingGroup {
            name: new.name.clone(),
            id: new.id.clone(),
            created: now,
            launch: new.launch.clone(),
            min: new.min,
            max: new.max,
            desired,
            cooldown: new.cooldown,
            zones: new.zones.clone(),
            subnets: new.subnets.clone(),
            balancers: new.balancers.clone(),
            health_check: new.health_check,
            grace: new.grace,
            termination: new.termination.clone(),
            protects_new: new.protects_new,
            max_lifetime: new.max_lifetime,
            warmup: new.warmup,
            suspended: BTreeMap::new(),
            metrics: BTreeSet::new(),
            tags: new.tags.clone(),
            members: BTreeMap::new(),
            why: Vec::new(),
            scaled: None,
            rest: None,
            setback: None,
            hooks: new.hooks.clone(),
            policies: BTreeMap::new(),
            schedule: BTreeMap::new(),
            history: Default::default(),
            decisions: Vec::new(),
            refreshes: Vec::new(),
            notifications: BTreeMap::new(),
            pool: None,
            notices: Vec::new(),
            last_notice: 0,
            is_going: false,
        };
        self.sound(&group)?;
        self.known_balancers(&group.balancers)?;
        super::hooks::check(&group.hooks)?;
        for (name, hook) in new.hooks.iter() {
            self.test_hook(&mut group, name, hook, now)?;
        }
        if desired > 0 {
            let what = format!("a user request created an AutoScalingGroup {}", wish(0, desired));
            keep(&mut group.why, sentence(now, &what));
        }
        Ok(done(vec![Write::Put(Row::AutoScalingGroup(group))]))
    }

    pub(super) fn update_group(
        &self,
        name: &AutoScalingGroupName,
        patch: &GroupPatch,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let mut group = held.as_ref().clone();
        let of = patch.clone();
        if of.launch.is_some() && held.refresh().is_some_and(|refresh| refresh.desired.is_some()) {
            return Err(BadScaling::RefreshHolds.into());
        }
        group.launch = of.launch.unwrap_or(group.launch);
        (group.min, group.max) = (of.min.unwrap_or(group.min), of.max.unwrap_or(group.max));
        group.cooldown = of.cooldown.unwrap_or(group.cooldown);
        if let Some(zones) = of.zones {
            (group.zones, group.subnets) = (zones, of.subnets);
        }
        group.health_check = of.health_check.unwrap_or(group.health_check);
        group.grace = of.grace.unwrap_or(group.grace);
        group.termination = of.termination.unwrap_or(group.termination);
        group.protects_new = of.protects_new.unwrap_or(group.protects_new);
        group.max_lifetime = match of.max_lifetime {
            Some(0) => None,
            stated => stated.or(group.max_lifetime),
        };
        group.warmup = of.warmup.unwrap_or(group.warmup);
        // Bounds that are not stated pull the wish along (AWS); one that is stated must fit them.
        group.desired = match of.desired {
            Some(desired) => desired,
            None if group.min <= group.max => group.desired.clamp(group.min, group.max),
            None => group.desired,
        };
        self.sound(&group)?;
        if group.desired != held.desired {
            group.rest = None;
            let what = bounds("a user request", group.min, group.max, group.desired, held.desired);
            keep(&mut group.why, sentence(now, &what));
        }
        if group.launch != held.launch || group.zones != held.zones {
            // What stood against launches may stand no more.
            group.setback = None;
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn delete_group(
        &self,
        name: &AutoScalingGroupName,
        force: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.group(name)?;
        if held.members.is_empty() && held.notices.is_empty() {
            return self.remove_group(held, now);
        }
        if !force && !held.members.is_empty() {
            let under_way = self.under_way(held).next();
            let leaving = held.members.values().all(|member| !member.state.counts() && member.state.is_ending());
            return Err(match under_way.filter(|_| leaving) {
                Some(activity) => BadScaling::InProgress(activity.id.clone()).into(),
                None => BadScaling::HasMembers.into(),
            });
        }
        let mut group = held.as_ref().clone();
        (group.is_going, group.min, group.desired) = (true, 0, 0);
        // AWS: a forced end waits for no hook.
        group.hooks.clear();
        super::refresh::call_off(&mut group, "The Auto Scaling group was deleted.", now);
        let what = format!("a user request deleted AutoScalingGroup, {}", wish(held.desired, 0));
        keep(&mut group.why, sentence(now, &what));
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn end_group(&self, name: &AutoScalingGroupName, now: Timestamp) -> Result<Decision, Refusal> {
        match self.scaling_group(name).filter(|group| group.is_going && group.has_ended()) {
            Some(held) => self.remove_group(held, now),
            None => Ok(Decision::unchanged(Reply::Unchanged)),
        }
    }

    fn remove_group(&self, held: &AutoScalingGroup, now: Timestamp) -> Result<Decision, Refusal> {
        let mut writes = self.alarms_follow(held, None, now)?;
        writes.push(Write::Remove(Key::AutoScalingGroup(held.name.clone())));
        Ok(done(writes))
    }

    pub(super) fn set_desired(
        &self,
        name: &AutoScalingGroupName,
        desired: u32,
        honor_cooldown: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        if desired > held.max {
            return Err(BadScaling::AboveMax { wanted: desired, max: held.max }.into());
        }
        if desired < held.min {
            return Err(BadScaling::BelowMin { wanted: desired, min: held.min }.into());
        }
        if honor_cooldown {
            if let Some(activity) = self.under_way(held).next() {
                return Err(BadScaling::InProgress(activity.id.clone()).into());
            }
            let cooldown = std::time::Duration::from_secs(held.rest.unwrap_or(held.cooldown).into());
            if held.scaled.is_some_and(|at| now < at.plus(cooldown)) {
                return Err(BadScaling::CoolingDown(name.clone()).into());
            }
        }
        if desired == held.desired {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        let mut group = held.as_ref().clone();
        let what = format!("a user request explicitly set group desired capacity {}", wish(held.desired, desired));
        keep(&mut group.why, sentence(now, &what));
        (group.desired, group.rest) = (desired, None);
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn attach_balancers(
        &self,
        name: &AutoScalingGroupName,
        balancers: &BTreeSet<LoadBalancerName>,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        self.known_balancers(balancers)?;
        let mut group = held.as_ref().clone();
        group.balancers.extend(balancers.iter().cloned());
        if group.balancers.len() > MOST_BALANCERS {
            return Err(
                BadScaling::TooMany { what: "load balancers per AutoScalingGroup", limit: MOST_BALANCERS }.into()
            );
        }
        let in_service = |state: LifecycleState| state == LifecycleState::InService;
        let members: Vec<_> =
            held.members.iter().filter(|(_, member)| in_service(member.state)).map(|(id, _)| id.clone()).collect();
        let mut writes = Vec::new();
        for balancer in balancers {
            writes.extend(self.register_instances(balancer, &members)?.writes);
        }
        writes.extend(put(held, group));
        Ok(done(writes))
    }

    pub(super) fn detach_balancers(
        &self,
        name: &AutoScalingGroupName,
        balancers: &BTreeSet<LoadBalancerName>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.group(name)?;
        let mut group = held.as_ref().clone();
        let mut writes = Vec::new();
        for balancer in balancers {
            if !group.balancers.remove(balancer) {
                return Err(BadScaling::NoSuchBalancer(balancer.clone()).into());
            }
            if let Some(lb) = self.load_balancer(balancer) {
                let members: Vec<_> = held.members.keys().filter(|id| lb.instances.contains(*id)).cloned().collect();
                writes.extend(self.deregister_instances(balancer, &members, now)?.writes);
            }
        }
        writes.extend(put(held, group));
        Ok(done(writes))
    }

    pub(super) fn suspend(
        &self,
        name: &AutoScalingGroupName,
        processes: &BTreeSet<Process>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let mut group = held.as_ref().clone();
        for process in processes {
            group.suspended.entry(*process).or_insert_with(|| format!("User suspended at {}", now.iso()));
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn resume(
        &self,
        name: &AutoScalingGroupName,
        processes: &BTreeSet<Process>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.staying_group(name)?;
        let mut group = held.as_ref().clone();
        let before = group.suspended.len();
        group.suspended.retain(|process, _| !processes.contains(process));
        if group.suspended.len() < before
            && let Some(refresh) = group.refresh_mut()
        {
            // It could not come further; its hour begins anew.
            refresh.progressed = now;
        }
        if processes.contains(&Process::Launch) {
            // Whoever resumes launches wants to see one.
            group.setback = None;
        }
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn set_metrics(
        &self,
        name: &AutoScalingGroupName,
        metrics: &BTreeSet<String>,
    ) -> Result<Decision, Refusal> {
        let held = self.group(name)?;
        let group = AutoScalingGroup { metrics: metrics.clone(), ..held.as_ref().clone() };
        Ok(done(put(held, group).into_iter().collect()))
    }

    pub(super) fn tag_groups(
        &self,
        tags: &[(AutoScalingGroupName, String, GroupTag)],
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let mut groups: BTreeMap<&AutoScalingGroupName, AutoScalingGroup> = BTreeMap::new();
        for (name, key, tag) in tags {
            let held = self.group(name)?;
            let group = groups.entry(name).or_insert_with(|| held.as_ref().clone());
            group.tags.insert(key.clone(), tag.clone());
        }
        for group in groups.values() {
            check_tags(group)?;
        }
        self.put_all(groups, now)
    }

    pub(super) fn untag_groups(
        &self,
        tags: &[(AutoScalingGroupName, String)],
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let mut groups: BTreeMap<&AutoScalingGroupName, AutoScalingGroup> = BTreeMap::new();
        for (name, key) in tags {
            let held = self.group(name)?;
            groups.entry(name).or_insert_with(|| held.as_ref().clone()).tags.remove(key);
        }
        self.put_all(groups, now)
    }

    /// Groups with other tags; how calm their policies are may be among these.
    fn put_all(
        &self,
        groups: BTreeMap<&AutoScalingGroupName, AutoScalingGroup>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let mut writes = Vec::new();
        for (name, group) in groups {
            let held = self.group(name)?;
            writes.extend(self.alarms_follow(held, Some(&group), now)?);
            writes.extend(put(held, group));
        }
        Ok(done(writes))
    }

    /// What must hold of a group whatever it was asked to be.
    fn sound(&self, group: &AutoScalingGroup) -> Result<(), Refusal> {
        let sizes = |rule| Err(BadScaling::Sizes(rule).into());
        if group.min > group.max {
            return sizes("Max bound must be greater than or equal to min bound");
        }
        if group.max > MOST_MEMBERS {
            return sizes("Max bound must be at most 10000");
        }
        if group.desired < group.min {
            return sizes(
                "Desired capacity must be between the specified min size and max size: it is below the min size",
            );
        }
        if group.desired > group.max {
            return sizes(
                "Desired capacity must be between the specified min size and max size: it is above the max size",
            );
        }
        if group.max_lifetime.is_some_and(|life| life < SHORTEST_LIFE) {
            return sizes("MaxInstanceLifetime must be 0 or at least 86400 seconds");
        }
        if group.zones.is_empty() {
            return Err(BadScaling::NoZones.into());
        }
        let mut met: BTreeSet<&ZoneName> = BTreeSet::new();
        for zone in &group.zones {
            self.known_zone(zone)?;
            if !met.insert(zone) {
                return Err(BadScaling::ZoneTwice(zone.clone()).into());
            }
        }
        if self.scaling_group(&group.name).is_none_or(|held| held.launch != group.launch) {
            // What it launches with now may have gone since; then its launches say so.
            self.launch_of(group)?;
        }
        check_tags(group)
    }

    fn known_balancers(&self, balancers: &BTreeSet<LoadBalancerName>) -> Result<(), Refusal> {
        match balancers.iter().find(|name| self.load_balancer(name).is_none()) {
            Some(missing) => Err(BadScaling::NoSuchBalancer(missing.clone()).into()),
            None if balancers.len() > MOST_BALANCERS => {
                Err(BadScaling::TooMany { what: "load balancers per AutoScalingGroup", limit: MOST_BALANCERS }.into())
            }
            None => Ok(()),
        }
    }
}

fn check_tags(group: &AutoScalingGroup) -> Result<(), Refusal> {
    group.behavior()?;
    if group.tags.get(IDLE_TAG).is_some_and(|tag| idle_seconds(&tag.value).is_none()) {
        let rule = "Tag evenkeel:idle-to-zero must be a whole number of seconds from 60 to 86400";
        return Err(BadScaling::Sizes(rule).into());
    }
    tags::check(&group.tags.iter().map(|(key, tag)| (key.clone(), tag.value.clone())).collect(), MOST_TAGS)
}
