//! What may happen to load balancers (AWS, Elastic Load Balancing API 2012-06-01).
//!
//! Owns names, listeners, zones, registrations, attributes and their rules and quotas. Must never touch the road: the
//! next Routes follow from the rows, in [`crate::routes`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::{AttributesPatch, LogPatch, NewLoadBalancer, Reply};
use crate::name::{CertificateArn, InstanceId, LoadBalancerName, PolicyName, Port, ZoneName};
use crate::noun::{
    Attributes, HealthCheck, InstanceState, LeavingNode, Listener, LoadBalancer, LogTarget, Policy, Scheme, tls_policy,
};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// How long the node of a disabled zone goes on answering: twice the DNS names' time to live of 60 s, after which no
/// honest resolver names it any more.
pub const LEAVING_TIME: Duration = Duration::from_secs(120);

impl World {
    pub(super) fn create_load_balancer(&self, new: &NewLoadBalancer, now: Timestamp) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_LOAD_BALANCER)?;
        let zones: BTreeSet<&ZoneName> = new.zones.iter().collect();
        let listeners = self.merge_listeners(&new.name, &[], &new.listeners)?;
        let Some(first) = listeners.first() else { return Err(Refusal::NoListeners) };
        if zones.is_empty() {
            return Err(Refusal::NoZones);
        }
        if let Some(held) = self.load_balancer(&new.name) {
            return same_or_taken(held, new, &zones, &listeners);
        }
        self.known_groups(&new.security_groups)?;
        let limit = self.settings.limits.load_balancers;
        if self.load_balancers.len() >= limit {
            return Err(Refusal::TooManyLoadBalancers { limit });
        }
        let mut lb = LoadBalancer {
            name: new.name.clone(),
            dns_name: self.dns_name(new)?,
            scheme: new.scheme,
            created: now,
            health_check: HealthCheck::default_for(first.instance_port),
            listeners,
            zones: self.place_nodes(zones, BTreeMap::new())?,
            leaving: BTreeMap::new(),
            instances: BTreeSet::new(),
            draining: BTreeMap::new(),
            attributes: Attributes::default(),
            security_groups: new.security_groups.clone(),
            in_vpc: new.in_vpc,
            policies: BTreeMap::new(),
            backend_policies: BTreeMap::new(),
            tags: new.tags.clone(),
        };
        give_default_policies(&mut lb);
        let reply = Reply::DnsName(lb.dns_name.clone());
        Ok(Decision { reply, writes: vec![Write::Put(Row::LoadBalancer(lb))] })
    }

    pub(super) fn delete_load_balancer(&self, name: &LoadBalancerName) -> Decision {
        match self.load_balancer(name) {
            Some(_) => Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::LoadBalancer(name.clone()))] },
            None => Decision::unchanged(Reply::Unchanged),
        }
    }

    pub(super) fn create_listeners(&self, name: &LoadBalancerName, new: &[Listener]) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        if new.is_empty() {
            return Err(Refusal::NoListeners);
        }
        let listeners = self.merge_listeners(name, &held.listeners, new)?;
        Ok(rewrite(held, Reply::Done, |lb| {
            lb.listeners = listeners;
            give_default_policies(lb);
        }))
    }

    pub(super) fn delete_listeners(&self, name: &LoadBalancerName, ports: &[Port]) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        Ok(rewrite(held, Reply::Done, |lb| {
            lb.listeners.retain(|l| !ports.contains(&l.port));
            let spoken_to: BTreeSet<Port> = lb.listeners.iter().map(|l| l.instance_port).collect();
            lb.backend_policies.retain(|port, _| spoken_to.contains(port));
        }))
    }

    pub(super) fn set_listener_certificate(
        &self,
        name: &LoadBalancerName,
        port: Port,
        certificate: &CertificateArn,
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        let listener = held.listeners.iter().find(|l| l.port == port);
        let listener = listener.ok_or_else(|| Refusal::NoSuchListener { name: name.clone(), port })?;
        if !listener.protocol.is_secure() {
            return Err(Refusal::CertificateNotWanted(listener.protocol));
        }
        self.usable_certificate(certificate)?;
        Ok(rewrite(held, Reply::Done, |lb| {
            for listener in lb.listeners.iter_mut().filter(|l| l.port == port) {
                listener.certificate = Some(certificate.clone());
            }
        }))
    }

    pub(super) fn set_security_groups(&self, name: &LoadBalancerName, groups: &[String]) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        self.known_groups(groups)?;
        Ok(rewrite(held, Reply::Done, |lb| lb.security_groups = groups.to_vec()))
    }

    pub(super) fn register_instances(&self, name: &LoadBalancerName, ids: &[InstanceId]) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        self.all_known(ids)?;
        for id in ids {
            let gone = |s| matches!(s, InstanceState::ShuttingDown | InstanceState::Terminated);
            if self.instance(id).is_some_and(|i| gone(i.state)) && !held.instances.contains(id) {
                return Err(Refusal::InstanceTerminated(id.clone()));
            }
        }
        let mut instances = held.instances.clone();
        instances.extend(ids.iter().cloned());
        let limit = self.settings.limits.registered;
        if instances.len() > limit {
            return Err(Refusal::TooManyRegistered { limit });
        }
        let reply = Reply::Instances(instances.iter().cloned().collect());
        Ok(rewrite(held, reply, |lb| {
            lb.draining.retain(|id, _| !instances.contains(id));
            lb.instances = instances;
        }))
    }

    pub(super) fn deregister_instances(
        &self,
        name: &LoadBalancerName,
        ids: &[InstanceId],
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        let unknown = |id: &&InstanceId| self.instance(id).is_none() && !held.instances.contains(*id);
        let missing: Vec<InstanceId> = ids.iter().filter(unknown).cloned().collect();
        if !missing.is_empty() {
            return Err(Refusal::NoSuchInstances(missing));
        }
        let remaining: BTreeSet<InstanceId> = held.instances.iter().filter(|id| !ids.contains(id)).cloned().collect();
        let running = |id: &InstanceId| self.instance(id).is_some_and(|i| i.state == InstanceState::Running);
        let leaving: Vec<InstanceId> =
            ids.iter().filter(|id| held.instances.contains(*id) && running(id)).cloned().collect();
        let reply = Reply::Instances(remaining.iter().cloned().collect());
        Ok(rewrite(held, reply, |lb| {
            if lb.attributes.draining {
                let until = now.plus(lb.attributes.draining_timeout);
                lb.draining.extend(leaving.into_iter().map(|id| (id, until)));
            }
            lb.instances = remaining;
        }))
    }

    pub(super) fn end_draining(&self, name: &LoadBalancerName, id: &InstanceId) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        Ok(rewrite(held, Reply::Done, |lb| lb.draining.retain(|drained, _| drained != id)))
    }

    pub(super) fn enable_zones(
        &self,
        name: &LoadBalancerName,
        zones: &[ZoneName],
        by_subnet: bool,
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        in_its_network(held, by_subnet)?;
        let mut wanted: BTreeSet<&ZoneName> = zones.iter().collect();
        wanted.extend(held.zones.keys());
        let mut known = held.zones.clone();
        known.extend(held.leaving.iter().map(|(zone, node)| (zone.clone(), node.address)));
        let zones = self.place_nodes(wanted, known)?;
        let reply = Reply::Zones(zones.keys().cloned().collect());
        Ok(rewrite(held, reply, |lb| {
            lb.leaving.retain(|zone, _| !zones.contains_key(zone));
            lb.zones = zones;
        }))
    }

    pub(super) fn disable_zones(
        &self,
        name: &LoadBalancerName,
        zones: &[ZoneName],
        by_subnet: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        in_its_network(held, by_subnet)?;
        for zone in zones {
            self.known_zone(zone)?;
        }
        let (gone, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            held.zones.clone().into_iter().partition(|(zone, _)| zones.contains(zone));
        if kept.is_empty() {
            return Err(Refusal::LastZone);
        }
        let until = now.plus(LEAVING_TIME);
        let reply = Reply::Zones(kept.keys().cloned().collect());
        Ok(rewrite(held, reply, |lb| {
            lb.leaving.extend(gone.into_iter().map(|(zone, address)| (zone, LeavingNode { address, until })));
            lb.zones = kept;
        }))
    }

    pub(super) fn end_leaving(&self, name: &LoadBalancerName, zone: &ZoneName) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        Ok(rewrite(held, Reply::Done, |lb| lb.leaving.retain(|left, _| left != zone)))
    }

    pub(super) fn configure_health_check(
        &self,
        name: &LoadBalancerName,
        check: &HealthCheck,
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        check.validate()?;
        Ok(rewrite(held, Reply::Done, |lb| lb.health_check = check.clone()))
    }

    pub(super) fn modify_attributes(
        &self,
        name: &LoadBalancerName,
        patch: &AttributesPatch,
    ) -> Result<Decision, Refusal> {
        let held = self.existing(name)?;
        let within = |what, value: Option<Duration>, high: u64| match value.map(|v| v.as_secs()) {
            Some(secs) if !(1..=high).contains(&secs) => Err(Refusal::OutOfRange { what, low: 1, high }),
            _ => Ok(()),
        };
        within("ConnectionDraining.Timeout", patch.draining_timeout, 3600)?;
        within("ConnectionSettings.IdleTimeout", patch.idle_timeout, 4000)?;
        let access_log = patched(&held.attributes.access_log, patch.access_log.as_ref())?;
        Ok(rewrite(held, Reply::Done, |lb| {
            let attributes = &mut lb.attributes;
            attributes.access_log = access_log;
            attributes.cross_zone = patch.cross_zone.unwrap_or(attributes.cross_zone);
            attributes.draining = patch.draining.unwrap_or(attributes.draining);
            attributes.draining_timeout = patch.draining_timeout.unwrap_or(attributes.draining_timeout);
            attributes.idle_timeout = patch.idle_timeout.unwrap_or(attributes.idle_timeout);
            attributes.desync = patch.desync.unwrap_or(attributes.desync);
            patch.balancing.iter().for_each(|setting| attributes.balancing.set(setting));
        }))
    }

    /// The balancer, or why there is none.
    pub(super) fn existing(&self, name: &LoadBalancerName) -> Result<&Arc<LoadBalancer>, Refusal> {
        self.load_balancer(name).ok_or_else(|| Refusal::NoSuchLoadBalancer(name.clone()))
    }

    /// Whether a zone is one of ours.
    pub(super) fn known_zone(&self, zone: &ZoneName) -> Result<(), Refusal> {
        if self.settings.zones.contains(zone) { Ok(()) } else { Err(Refusal::NoSuchZone(zone.clone())) }
    }

    /// Listeners held and new ones together, in order of port. New ones are held against every rule.
    fn merge_listeners(
        &self,
        name: &LoadBalancerName,
        held: &[Listener],
        new: &[Listener],
    ) -> Result<Vec<Listener>, Refusal> {
        let mut merged = held.to_vec();
        for listener in new {
            self.check_listener(listener)?;
            match merged.iter().find(|l| l.port == listener.port) {
                Some(same) if same.is_like(listener) => {}
                Some(_) => return Err(Refusal::ListenerConflict { name: name.clone(), port: listener.port }),
                None => merged.push(listener.clone()),
            }
        }
        let limit = self.settings.limits.listeners;
        if merged.len() > limit {
            return Err(Refusal::TooManyListeners { limit });
        }
        let secure = |l: &Listener| l.instance_protocol.is_secure();
        for listener in &merged {
            let port = listener.instance_port;
            if merged.iter().any(|l| l.instance_port == port && secure(l) != secure(listener)) {
                return Err(Refusal::InstancePortConflict { port });
            }
        }
        Ok(merged)
    }

    fn check_listener(&self, listener: &Listener) -> Result<(), Refusal> {
        let (front, back) = (listener.protocol, listener.instance_protocol);
        if front.sees_requests() != back.sees_requests() {
            return Err(Refusal::LayerMismatch { front, back });
        }
        match &listener.certificate {
            None if front.is_secure() => return Err(Refusal::CertificateNeeded),
            Some(_) if !front.is_secure() => return Err(Refusal::CertificateNotWanted(front)),
            Some(arn) => self.usable_certificate(arn)?,
            None => {}
        }
        let settings = &self.settings;
        if listener.port.number() < settings.lowest_port && settings.port_shift == 0 {
            return Err(Refusal::PortNeedsPrivilege { port: listener.port });
        }
        Ok(())
    }

    /// An address for a node in each wanted zone; zones in `known` keep theirs.
    fn place_nodes(
        &self,
        wanted: BTreeSet<&ZoneName>,
        known: BTreeMap<ZoneName, IpAddr>,
    ) -> Result<BTreeMap<ZoneName, IpAddr>, Refusal> {
        let mut used: BTreeSet<IpAddr> = self.load_balancers().flat_map(|lb| node_addresses(lb)).collect();
        let mut placed = BTreeMap::new();
        for zone in wanted {
            if let Some(address) = known.get(zone) {
                placed.insert(zone.clone(), *address);
                continue;
            }
            self.known_zone(zone)?;
            let pool = self.settings.node_pool;
            let address = pool.next(&used).ok_or_else(|| Refusal::PoolExhausted { pool: pool.to_string() })?;
            used.insert(address);
            placed.insert(zone.clone(), address);
        }
        Ok(placed)
    }

    fn dns_name(&self, new: &NewLoadBalancer) -> Result<String, Refusal> {
        let internal = if new.scheme == Scheme::Internal { "internal-" } else { "" };
        let settings = &self.settings;
        let dns_name = format!("{internal}{}-{}.{}.{}", new.name, new.dns_number, settings.region, settings.dns_domain);
        if self.load_balancers().any(|lb| lb.dns_name.eq_ignore_ascii_case(&dns_name)) {
            return Err(Refusal::IdTaken(dns_name));
        }
        Ok(dns_name)
    }
}

/// Every address a balancer listens on, of enabled zones and of leaving ones.
pub(super) fn node_addresses(lb: &LoadBalancer) -> impl Iterator<Item = IpAddr> + '_ {
    lb.zones.values().copied().chain(lb.leaving.values().map(|node| node.address))
}

/// Creating what exists: the same settings are a success, other ones are not.
fn same_or_taken(
    held: &LoadBalancer,
    new: &NewLoadBalancer,
    zones: &BTreeSet<&ZoneName>,
    listeners: &[Listener],
) -> Result<Decision, Refusal> {
    let alike = held.listeners.len() == listeners.len()
        && held.listeners.iter().all(|l| listeners.iter().any(|other| l.is_like(other)));
    let same = held.scheme == new.scheme
        && held.in_vpc == new.in_vpc
        && held.zones.keys().collect::<BTreeSet<_>>() == *zones
        && alike
        && held.security_groups == new.security_groups;
    match (same, held.tags == new.tags) {
        (true, true) => Ok(Decision::unchanged(Reply::DnsName(held.dns_name.clone()))),
        (same, _) => Err(Refusal::LoadBalancerTaken { name: held.name.clone(), only_tags: same }),
    }
}

/// Secure listeners without any policy get AWS's default for what they offer.
fn give_default_policies(lb: &mut LoadBalancer) {
    let bare = |l: &&mut Listener| l.protocol.is_secure() && l.policies.is_empty();
    let Some((name, policy)) = PolicyName::new(tls_policy::DEFAULT).ok().zip(Policy::predefined(tls_policy::DEFAULT))
    else {
        return;
    };
    for listener in lb.listeners.iter_mut().filter(bare) {
        listener.policies.push(name.clone());
        lb.policies.entry(name.clone()).or_insert_with(|| policy.clone());
    }
}

/// Balancers made for zones are changed by zone, those made for subnets by subnet.
fn in_its_network(lb: &LoadBalancer, by_subnet: bool) -> Result<(), Refusal> {
    if lb.in_vpc == by_subnet {
        Ok(())
    } else {
        Err(Refusal::WrongNetwork { name: lb.name.clone(), in_vpc: lb.in_vpc })
    }
}

/// The access log's target after a patch, held against AWS's rules.
fn patched(held: &LogTarget, patch: Option<&LogPatch>) -> Result<LogTarget, Refusal> {
    let Some(patch) = patch else { return Ok(held.clone()) };
    let target = LogTarget {
        enabled: patch.enabled,
        bucket: patch.bucket.clone().or_else(|| held.bucket.clone()),
        prefix: patch.prefix.clone().unwrap_or_else(|| held.prefix.clone()),
        interval: patch.interval.unwrap_or(held.interval),
    };
    if target.enabled && target.bucket.is_none() {
        return Err(Refusal::BadCombination("AccessLog.S3BucketName is needed while AccessLog.Enabled is true"));
    }
    if !matches!(target.interval, 5 | 60) {
        return Err(Refusal::BadCombination("AccessLog.EmitInterval must be 5 or 60 minutes"));
    }
    let prefix = &target.prefix;
    let clean = |part: &str| !part.is_empty() && part != "." && part != "..";
    let well_formed = prefix.is_empty() || (prefix.len() <= 512 && prefix.trim_end_matches('/').split('/').all(clean));
    if !well_formed || prefix.contains("AWSLogs") || prefix.chars().any(char::is_control) {
        return Err(Refusal::BadCombination(
            "AccessLog.S3BucketPrefix must be at most 512 characters, without `AWSLogs`, a leading slash, or empty, `.` or `..` parts",
        ));
    }
    Ok(target)
}

/// One balancer rewritten; no write if it comes out the same.
pub(super) fn rewrite(held: &Arc<LoadBalancer>, reply: Reply, change: impl FnOnce(&mut LoadBalancer)) -> Decision {
    let mut lb = held.as_ref().clone();
    change(&mut lb);
    let writes = if lb == **held { Vec::new() } else { vec![Write::Put(Row::LoadBalancer(lb))] };
    Decision { reply, writes }
}
