//! What may happen to instances (AWS, EC2 API).
//!
//! Owns launches, wishes and reports. Must never start a process: the plan to do so follows from the rows, in
//! [`crate::plan`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::{NewInstances, Reply, Seen, Transition};
use crate::lifecycle::{self, Wish};
use crate::name::{InstanceId, ZoneName};
use crate::noun::image::ImageState;
use crate::noun::{Instance, InstanceState, InstanceStatus};
use crate::refusal::Refusal;
use crate::time::Timestamp;

impl World {
    pub(super) fn run_instances(&self, new: &NewInstances, now: Timestamp) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        if let Some(token) = &new.client_token
            && let Some(first) = self.instances().find(|i| i.client_token.as_ref() == Some(token))
        {
            return self.same_launch(token, first, new);
        }
        if new.min_count < 1 || (new.ids.len() as u64) < u64::from(new.min_count) {
            return Err(Refusal::BadCombination("MinCount must be at least 1 and at most MaxCount"));
        }
        let image = self.image(&new.image).ok_or_else(|| Refusal::NoSuchImage(new.image.clone()))?;
        if image.state != ImageState::Available {
            return Err(Refusal::ImageUnavailable(image.id.clone()));
        }
        if let Some(zone) = &new.zone {
            self.known_zone(zone)?;
        }
        if let Some(id) = new.ids.iter().find(|id| self.instance(id).is_some()) {
            return Err(Refusal::IdTaken(id.to_string()));
        }
        let (limit, running) = (self.settings.limits.instances, self.living().count());
        let count = new.ids.len().min(limit.saturating_sub(running));
        if count < new.min_count as usize {
            return Err(Refusal::InstanceLimit { wanted: new.min_count as usize, running, limit });
        }
        let zone = new.zone.clone().or_else(|| self.emptiest_zone()).ok_or(Refusal::NoZones)?;
        let mut used: BTreeSet<IpAddr> = self.instances().map(|i| i.address).collect();
        let mut writes = Vec::with_capacity(count);
        for (index, id) in (0u32..).zip(&new.ids[..count]) {
            let pool = self.settings.instance_pool_of(&zone);
            let address = pool.next(&used).ok_or_else(|| Refusal::PoolExhausted { pool: pool.to_string() })?;
            used.insert(address);
            writes.push(Write::Put(Row::Instance(Instance {
                id: id.clone(),
                reservation: new.reservation.clone(),
                launch_index: index,
                image: image.id.clone(),
                manifest: image.manifest.clone(),
                digest: image.digest.clone(),
                zone: zone.clone(),
                address,
                instance_type: new.instance_type.clone(),
                key_name: new.key_name.clone(),
                groups: new.groups.clone(),
                user_data: new.user_data.clone(),
                client_token: new.client_token.clone(),
                state: InstanceState::Pending,
                reason: None,
                launched: now,
                changed: now,
                changed_in: self.generation + 1,
                status: InstanceStatus::Initializing,
                status_since: now,
                shutdown: new.shutdown,
                termination_protected: new.termination_protected,
                boots: 1,
                tags: new.tags.clone(),
            })));
        }
        Ok(Decision { reply: Reply::Reservation(new.reservation.clone()), writes })
    }

    pub(super) fn terminate_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        for id in ids {
            if self.instance(id).is_some_and(|i| i.termination_protected && i.state != InstanceState::Terminated) {
                return Err(Refusal::TerminationProtected(id.clone()));
            }
        }
        self.wish(ids, Wish::Terminate, "terminated", now)
    }

    pub(super) fn stop_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        self.wish(ids, Wish::Stop, "stopped", now)
    }

    pub(super) fn start_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        let (limit, running) = (self.settings.limits.instances, self.living().count());
        if running > limit {
            return Err(Refusal::InstanceLimit { wanted: ids.len(), running, limit });
        }
        self.wish(ids, Wish::Start, "started", now)
    }

    pub(super) fn reboot_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        let mut writes = Vec::new();
        for held in self.distinct(ids) {
            if lifecycle::wished(held.state, Wish::Reboot).is_none() {
                return Err(wrong_state(held, "rebooted"));
            }
            // One that is still starting up is as fresh as a reboot could make it.
            if held.state == InstanceState::Running {
                let mut instance = held.as_ref().clone();
                instance.boots += 1;
                (instance.status, instance.status_since) = (InstanceStatus::Initializing, now);
                writes.push(Write::Put(Row::Instance(instance)));
            }
        }
        Ok(Decision { reply: Reply::Done, writes })
    }

    pub(super) fn report(&self, id: &InstanceId, boot: u32, seen: &Seen, now: Timestamp) -> Decision {
        let Some(held) = self.instance(id).filter(|i| i.boots == boot) else {
            return Decision::unchanged(Reply::Unchanged);
        };
        let (state, reason) = lifecycle::observed(held.state, seen, held.shutdown);
        let status = match seen {
            Seen::Running { status } if state == InstanceState::Running => status,
            _ => &held.status,
        };
        if state == held.state && *status == held.status {
            return Decision::unchanged(Reply::Unchanged);
        }
        let mut instance = held.as_ref().clone();
        if *status != held.status {
            (instance.status, instance.status_since) = (status.clone(), now);
        }
        if state != held.state {
            instance.reason = reason.or(instance.reason);
            self.enter(&mut instance, state, now);
        }
        Decision { reply: Reply::Done, writes: vec![Write::Put(Row::Instance(instance))] }
    }

    pub(super) fn forget_instance(&self, id: &InstanceId) -> Decision {
        let gone = self.instance(id).is_some_and(|i| i.state == InstanceState::Terminated);
        if !gone {
            return Decision::unchanged(Reply::Unchanged);
        }
        let mut writes = vec![Write::Remove(Key::Instance(id.clone()))];
        for lb in self.load_balancers().filter(|lb| lb.instances.contains(id) || lb.draining.contains_key(id)) {
            let mut lb = lb.as_ref().clone();
            lb.instances.remove(id);
            lb.draining.remove(id);
            writes.push(Write::Put(Row::LoadBalancer(lb)));
        }
        Decision { reply: Reply::Done, writes }
    }

    /// Refuses if any id is unknown, naming every one.
    pub(super) fn all_known(&self, ids: &[InstanceId]) -> Result<(), Refusal> {
        let missing: Vec<InstanceId> = ids.iter().filter(|id| self.instance(id).is_none()).cloned().collect();
        if missing.is_empty() { Ok(()) } else { Err(Refusal::NoSuchInstances(missing)) }
    }

    fn wish(&self, ids: &[InstanceId], wish: Wish, wanted: &'static str, now: Timestamp) -> Result<Decision, Refusal> {
        let (mut writes, mut transitions) = (Vec::new(), Vec::new());
        for held in self.distinct(ids) {
            let to = lifecycle::wished(held.state, wish).ok_or_else(|| wrong_state(held, wanted))?;
            transitions.push(Transition { instance: held.id.clone(), from: held.state, to });
            if to == held.state {
                continue;
            }
            let mut instance = held.as_ref().clone();
            match wish {
                Wish::Start => {
                    instance.reason = None;
                    instance.launched = now;
                    (instance.status, instance.status_since) = (InstanceStatus::Initializing, now);
                    instance.boots += 1;
                }
                Wish::Terminate | Wish::Stop | Wish::Reboot => instance.reason = Some(lifecycle::user_initiated()),
            }
            self.enter(&mut instance, to, now);
            writes.push(Write::Put(Row::Instance(instance)));
        }
        Ok(Decision { reply: Reply::Transitions(transitions), writes })
    }

    fn enter(&self, instance: &mut Instance, state: InstanceState, now: Timestamp) {
        instance.state = state;
        instance.changed = now;
        instance.changed_in = self.generation + 1;
    }

    /// The instances of a call, each once, in the order given.
    fn distinct<'w>(&'w self, ids: &[InstanceId]) -> Vec<&'w Arc<Instance>> {
        let mut met = BTreeSet::new();
        ids.iter().filter(|id| met.insert(*id)).filter_map(|id| self.instance(id)).collect()
    }

    /// The zone with the fewest living instances; the first in order among equals.
    fn emptiest_zone(&self) -> Option<ZoneName> {
        let count = |zone: &ZoneName| self.living().filter(|i| i.zone == *zone).count();
        self.settings.zones.iter().min_by_key(|zone| count(zone)).cloned()
    }

    /// A launch repeated with its token: the same wish finds the reservation made then.
    fn same_launch(&self, token: &str, first: &Instance, new: &NewInstances) -> Result<Decision, Refusal> {
        let same = first.image == new.image
            && first.instance_type == new.instance_type
            && first.key_name == new.key_name
            && first.user_data == new.user_data
            && new.zone.as_ref().is_none_or(|zone| *zone == first.zone);
        if same {
            Ok(Decision::unchanged(Reply::Reservation(first.reservation.clone())))
        } else {
            Err(Refusal::TokenReused(token.to_owned()))
        }
    }
}

fn wrong_state(instance: &Instance, wanted: &'static str) -> Refusal {
    Refusal::WrongState { instance: instance.id.clone(), state: instance.state, wanted }
}
