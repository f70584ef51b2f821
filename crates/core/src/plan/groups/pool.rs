//! The warm pool's plan: who goes into it, who comes out of it to work, who is of no use to it.
//!
//! Owns the order in which members are drawn. Nobody is launched into a pool while the group itself lacks members, or is refreshed:
//! what serves goes first. Must never judge who may be drawn or is spare: the World does.

use std::collections::BTreeMap;

use super::{Planner, Step, zones_for_one_more};
use crate::change::{Retirement, ScalingChange};
use crate::name::{InstanceId, ZoneName};
use crate::noun::scaling_group::{LifecycleState, Member, Process};

impl Planner<'_> {
    /// So many of those in the pool, for the work: each where there are the fewest members, and of those there whoever is the
    /// nearest to being ready.
    pub(super) fn drawn(&self, count: u32) -> Vec<(&InstanceId, &Member)> {
        let ready = |state: LifecycleState| match state {
            LifecycleState::WarmedRunning => 0,
            LifecycleState::WarmedStopped => 1,
            _ => 2,
        };
        let mut left: Vec<(&InstanceId, &Member)> =
            self.group.members.iter().filter(|(_, member)| member.state.is_pooled()).collect();
        let mut there: BTreeMap<&ZoneName, u32> = BTreeMap::new();
        for member in self.group.members.values().filter(|member| member.state.counts()) {
            *there.entry(&member.zone).or_default() += 1;
        }
        let mut drawn = Vec::new();
        while u32::try_from(drawn.len()).is_ok_and(|len| len < count) {
            let nearest = left.iter().enumerate().min_by_key(|(_, (id, member))| {
                let is_booting = ready(member.state) == 2;
                let have = there.get(&member.zone).copied().unwrap_or_default();
                (is_booting, have, ready(member.state), member.since, *id)
            });
            let Some(at) = nearest.map(|(at, _)| at) else { break };
            let (id, member) = left.swap_remove(at);
            // Whether there is room is a look at the whole zone: only those are asked about who would come.
            if !self.world.may_be_drawn(self.group, id, member) {
                continue;
            }
            *there.entry(&member.zone).or_default() += 1;
            drawn.push((id, member));
        }
        drawn
    }

    /// Who is to leave the pool, and who is to come into it.
    pub(super) fn keep_pool(&self, steps: &mut Vec<Step>, dice: &mut impl FnMut() -> u64) {
        let group = self.group;
        if group.does(Process::Terminate) {
            let spare = self.world.spare_in_pool(group, self.now);
            steps.extend(spare.iter().map(|id| self.retired(id, Retirement::Pool)));
        }
        let Some(pool) = group.pool else { return };
        if pool.is_going && group.has_empty_pool() {
            steps.push(Step::Make(ScalingChange::EndPool { group: group.name.clone() }));
        }
        let is_refreshed = group.refresh().is_some_and(|refresh| refresh.status.replaces());
        let lacks = group.pool_size().saturating_sub(group.pooled());
        let waits = group.setback.as_ref().is_some_and(|setback| self.now < setback.retry);
        if lacks == 0 || waits || is_refreshed || group.capacity() < group.desired || !group.does(Process::Launch) {
            return;
        }
        // After a failure one at a time, to see whether it still fails.
        let most = if group.setback.is_some() { 1 } else { u32::MAX };
        // Those who are to be drawn one day are to be evened out with those who work.
        let mut counts = self.counts_where(|member| member.state.counts() || member.state.is_pooled());
        for _ in 0..lacks.min(most) {
            let Some(zones) = zones_for_one_more(&mut counts, dice()) else { return };
            steps.push(Step::Launch { group: group.name.clone(), zones, balances: false, pooled: true });
        }
    }
}
