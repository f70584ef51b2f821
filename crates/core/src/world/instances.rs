//! What may happen to instances (AWS, EC2 API).
//!
//! Owns launches, wishes and reports. Must never start a process: the plan to do so follows from the rows, in
//! [`crate::plan`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::capacity::suits;
use super::{Decision, Key, Row, World, Write, tags};
use crate::change::{InstanceAttribute, NewInstances, Protection, Reply, Seen, Transition};
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
        suits(&image.manifest.resources, &new.instance_type)?;
        let (zone, count) = self.place(new.zone.as_ref(), &new.instance_type, new.min_count as usize, count)?;
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
                asked_for: new.client_token.as_ref().and(new.asked_for.clone()),
                state: InstanceState::Pending,
                reason: None,
                launched: now,
                changed: now,
                changed_in: self.generation + 1,
                status: InstanceStatus::Initializing,
                status_since: now,
                shutdown: new.shutdown,
                termination_protected: new.termination_protected,
                stop_protected: new.stop_protected,
                source_dest_check: true,
                boots: 1,
                tags: new.tags.clone(),
            })));
        }
        Ok(Decision { reply: Reply::Reservation(new.reservation.clone()), writes })
    }

    pub(super) fn terminate_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        self.unless_protected(ids, Wish::Terminate, now)
    }

    pub(super) fn stop_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        self.unless_protected(ids, Wish::Stop, now)
    }

    pub(super) fn start_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        let (limit, running) = (self.settings.limits.instances, self.living().count());
        if running > limit {
            return Err(Refusal::InstanceLimit { wanted: ids.len(), running, limit });
        }
        self.room_to_start(&self.distinct(ids))?;
        self.wish(ids, Wish::Start, now)
    }

    pub(super) fn reboot_instances(&self, ids: &[InstanceId], now: Timestamp) -> Result<Decision, Refusal> {
        self.all_known(ids)?;
        let mut writes = Vec::new();
        for held in self.distinct(ids) {
            if lifecycle::wished(held.state, Wish::Reboot).is_none() {
                return Err(wrong_state(held, Wish::Reboot.fulfilled()));
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
        let (state, reason) = lifecycle::observed(held.state, seen, held.shutdown, held.boots, now);
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
        if !gone || self.membership(id).is_some() {
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

    pub(super) fn set_instance_attribute(
        &self,
        id: &InstanceId,
        attribute: &InstanceAttribute,
    ) -> Result<Decision, Refusal> {
        let held = self.instance(id).ok_or_else(|| Refusal::NoSuchInstances(vec![id.clone()]))?;
        if matches!(held.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
            return Err(wrong_state(held, "modified"));
        }
        // What an instance is given at its start is not changed under it.
        let is_given = matches!(attribute, InstanceAttribute::UserData(_) | InstanceAttribute::Type(_));
        if is_given && held.state != InstanceState::Stopped {
            return Err(Refusal::NotStopped(id.clone()));
        }
        let mut instance = held.as_ref().clone();
        match attribute {
            InstanceAttribute::TerminationProtected(value) => instance.termination_protected = *value,
            InstanceAttribute::StopProtected(value) => instance.stop_protected = *value,
            InstanceAttribute::Shutdown(behavior) => instance.shutdown = *behavior,
            InstanceAttribute::UserData(text) => instance.user_data.clone_from(text),
            InstanceAttribute::Type(name) => {
                if !self.offers(&held.zone, name) {
                    let zone = Some(held.zone.clone());
                    return Err(Refusal::TypeNotOffered { instance_type: name.clone(), zone, others: Vec::new() });
                }
                suits(&held.manifest.resources, name)?;
                instance.instance_type.clone_from(name);
            }
            InstanceAttribute::Groups(names) => instance.groups.clone_from(names),
            InstanceAttribute::SourceDestCheck(value) => instance.source_dest_check = *value,
        }
        if instance == **held {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Put(Row::Instance(instance))] })
    }

    /// A wish that protection may stand against. Where it does, it holds all instances of the zone, and only those (AWS, "Terminate
    /// multiple instances with termination protection").
    fn unless_protected(&self, ids: &[InstanceId], wish: Wish, now: Timestamp) -> Result<Decision, Refusal> {
        let named = self.distinct(ids);
        let guarded = || named.iter().filter_map(|instance| Some((*instance, protection(instance, wish)?)));
        let Some((first, by)) = guarded().next() else { return self.wish(ids, wish, now) };
        let zones: BTreeSet<&ZoneName> = guarded().map(|(instance, _)| &instance.zone).collect();
        let others: Vec<InstanceId> =
            named.iter().filter(|i| !zones.contains(&i.zone)).map(|instance| instance.id.clone()).collect();
        let instance = first.id.clone();
        if others.is_empty() {
            return Err(Refusal::Protected { instance, wish, by });
        }
        let done = self.wish(&others, wish, now)?;
        Ok(Decision { reply: Reply::Protected { instance, wish, by }, writes: done.writes })
    }

    fn wish(&self, ids: &[InstanceId], wish: Wish, now: Timestamp) -> Result<Decision, Refusal> {
        let (mut writes, mut transitions) = (Vec::new(), Vec::new());
        for held in self.distinct(ids) {
            let to = lifecycle::wished(held.state, wish).ok_or_else(|| wrong_state(held, wish.fulfilled()))?;
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
                Wish::Terminate | Wish::Stop | Wish::Reboot => instance.reason = Some(lifecycle::user_initiated(now)),
            }
            self.enter(&mut instance, to, now);
            writes.push(Write::Put(Row::Instance(instance)));
        }
        Ok(Decision { reply: Reply::Transitions(transitions), writes })
    }

    pub(super) fn enter(&self, instance: &mut Instance, state: InstanceState, now: Timestamp) {
        instance.state = state;
        instance.changed = now;
        instance.changed_in = self.generation + 1;
    }

    /// The instances of a call, each once, in the order given.
    fn distinct<'w>(&'w self, ids: &[InstanceId]) -> Vec<&'w Arc<Instance>> {
        let mut met = BTreeSet::new();
        ids.iter().filter(|id| met.insert(*id)).filter_map(|id| self.instance(id)).collect()
    }

    /// A launch repeated with its token: the same wish finds the reservation made then.
    fn same_launch(&self, token: &str, first: &Instance, new: &NewInstances) -> Result<Decision, Refusal> {
        let alike = first.image == new.image
            && first.instance_type == new.instance_type
            && first.key_name == new.key_name
            && first.user_data == new.user_data
            && new.zone.as_ref().is_none_or(|zone| *zone == first.zone);
        // What was asked for is told by its digest; an instance may have been given other attributes since.
        let same = match (&first.asked_for, &new.asked_for) {
            (Some(first), Some(new)) => first == new,
            _ => alike,
        };
        if same {
            Ok(Decision::unchanged(Reply::Reservation(first.reservation.clone())))
        } else {
            Err(Refusal::TokenReused(token.to_owned()))
        }
    }
}

/// What of an instance stands against a wish. What has ended already, or is stopped, is not in danger of it.
fn protection(instance: &Instance, wish: Wish) -> Option<Protection> {
    let stop = instance.stop_protected.then_some(Protection::Stop);
    match (wish, instance.state) {
        (_, InstanceState::Terminated) | (Wish::Stop, InstanceState::Stopped) => None,
        (Wish::Terminate, _) => instance.termination_protected.then_some(Protection::Termination).or(stop),
        (Wish::Stop, _) => stop,
        (Wish::Start | Wish::Reboot, _) => None,
    }
}

fn wrong_state(instance: &Instance, wanted: &'static str) -> Refusal {
    Refusal::WrongState { instance: instance.id.clone(), state: instance.state, wanted }
}
