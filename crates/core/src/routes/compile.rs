//! From the World to Routes: what the road must know of intent, and no more.
//!
//! Owns the translation. Must never look at health: the road judges that itself, so that it can go on without us.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    AccessLogRoute, BalancerRoutes, Certificate, Challenge, ListenerRoute, Node, Phase, Routes, Target, TlsBack,
    TlsFront,
};
use crate::name::{InstanceId, LoadBalancerName, Port};
use crate::noun::{InstanceState, Listener, LoadBalancer, LogTarget, Material, Policy};
use crate::world::{Settings, World};

/// Compiles the World's Routes.
#[must_use]
pub fn compile(world: &World) -> Routes {
    let woken = woken(world);
    let balancers =
        world.load_balancers().map(|lb| (lb.name.clone(), Arc::new(balancer(world, lb, woken.contains(&lb.name)))));
    Routes { generation: world.generation(), balancers: balancers.collect() }
}

/// The same for a World that came out of `before`, whose Routes are `previous`: a balancer for which nothing has changed is
/// shared with them at the cost of a look, and one that comes out as before is shared too.
#[must_use]
pub fn follow(world: &World, before: &World, previous: &Routes) -> Routes {
    let altered = altered(before, world);
    let (was_woken, woken) = (woken(before), woken(world));
    let same_challenges = before.challenges().eq(world.challenges());
    let balancers = world.load_balancers().map(|lb| {
        let known = previous.balancers.get(&lb.name);
        let untouched = before.load_balancer(&lb.name).is_some_and(|old| Arc::ptr_eq(old, lb))
            && !altered.iter().any(|id| lb.instances.contains(*id) || lb.draining.contains_key(*id))
            && same_certificates(before, world, lb)
            && same_challenges
            && was_woken.contains(&lb.name) == woken.contains(&lb.name)
            && (lb.security_groups.is_empty() || (altered.is_empty() && same_groups(before, world)));
        let routes = match known {
            Some(same) if untouched => Arc::clone(same),
            _ => {
                let routes = balancer(world, lb, woken.contains(&lb.name));
                known.filter(|same| ***same == routes).cloned().unwrap_or_else(|| Arc::new(routes))
            }
        };
        (lb.name.clone(), routes)
    });
    Routes { generation: world.generation(), balancers: balancers.collect() }
}

/// Balancers for which instances come when requests wait.
fn woken(world: &World) -> BTreeSet<&LoadBalancerName> {
    world.scaling_groups().filter(|group| group.holds_requests()).flat_map(|group| &group.balancers).collect()
}

/// Whether what a balancer's listeners show is as it was.
fn same_certificates(before: &World, after: &World, lb: &LoadBalancer) -> bool {
    lb.listeners.iter().filter_map(|l| l.certificate.as_ref()).all(|arn| {
        match (before.certificate(arn), after.certificate(arn)) {
            (Some(was), Some(is)) => Arc::ptr_eq(was, is),
            (was, is) => was.is_none() && is.is_none(),
        }
    })
}

/// Whether every security group is as it was.
fn same_groups(before: &World, after: &World) -> bool {
    before.security_groups().count() == after.security_groups().count()
        && before.security_groups().zip(after.security_groups()).all(|(was, is)| Arc::ptr_eq(was, is))
}

/// Instances that came, went or changed: both Worlds have them in the same order.
fn altered<'a>(before: &'a World, after: &'a World) -> Vec<&'a InstanceId> {
    let (mut old, mut new) = (before.instances().peekable(), after.instances().peekable());
    let mut altered = Vec::new();
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return altered,
            (Some(was), Some(is)) if was.id == is.id => {
                if !Arc::ptr_eq(was, is) {
                    altered.push(&is.id);
                }
                old.next();
                new.next();
            }
            (Some(was), other) if other.is_none_or(|is| was.id < is.id) => {
                altered.push(&was.id);
                old.next();
            }
            _ => altered.extend(new.next().map(|is| &is.id)),
        }
    }
}

fn balancer(world: &World, lb: &LoadBalancer, wakes: bool) -> BalancerRoutes {
    let enabled = lb.zones.iter().map(|(zone, address)| Node { zone: Some(zone.clone()), address: *address });
    // A leaving node stands in no zone any more: it serves from all that remain.
    let leaving = lb.leaving.values().map(|node| Node { zone: None, address: node.address });
    let registered = lb.instances.iter().map(|id| (id, None));
    let draining = lb.draining.iter().map(|(id, until)| (id, Some(*until)));
    let targets = registered.chain(draining).filter_map(|(id, until)| {
        let instance = world.instance(id).filter(|i| i.state == InstanceState::Running)?;
        // One that registers itself while it is made ready for later serves nobody yet.
        if world.membership(id).is_some_and(|(_, member)| member.state.is_warmed()) && until.is_none() {
            return None;
        }
        let phase = match until {
            Some(until) => Phase::Draining { until },
            None if lb.zones.contains_key(&instance.zone) => Phase::Serving,
            None => Phase::ZoneDisabled,
        };
        let (instance, zone, address) = (id.clone(), instance.zone.clone(), instance.address);
        Some(Target { instance, zone, address, port: None, weight: Target::WEIGHT, phase })
    });
    BalancerRoutes {
        name: lb.name.clone(),
        cross_zone: lb.attributes.cross_zone,
        idle_timeout: lb.attributes.idle_timeout,
        timeouts: super::Timeouts::default(),
        limits: super::Limits::default(),
        desync: lb.attributes.desync,
        balancing: lb.attributes.balancing.clone(),
        health_check: lb.health_check.clone(),
        nodes: enabled.chain(leaving).collect(),
        listeners: lb.listeners.iter().map(|l| listener(world, lb, l)).collect(),
        targets: targets.collect(),
        challenges: world.challenges().filter(|challenge| answers(lb, challenge)).cloned().collect(),
        access_log: access_log(world.settings(), &lb.attributes.access_log),
        wakes,
    }
}

/// Whether a balancer has a listener that a challenge may come to. Which balancer a name leads to is not known here: so it
/// is all of them.
fn answers(lb: &LoadBalancer, challenge: &Challenge) -> bool {
    lb.listeners.iter().any(|listener| match challenge {
        Challenge::Http { .. } => listener.protocol.sees_requests(),
        Challenge::Tls { .. } => listener.protocol.is_secure(),
    })
}

fn access_log(settings: &Settings, target: &LogTarget) -> Option<AccessLogRoute> {
    Some(AccessLogRoute {
        bucket: target.bucket.clone().filter(|_| target.enabled)?,
        prefix: target.prefix.trim_end_matches('/').to_owned(),
        minutes: target.interval,
        account: settings.account.clone(),
        region: settings.region.clone(),
    })
}

fn listener(world: &World, lb: &LoadBalancer, listener: &Listener) -> ListenerRoute {
    let settings = world.settings();
    let number = listener.port.number();
    let shifted = if number < settings.lowest_port { number.saturating_add(settings.port_shift) } else { number };
    ListenerRoute {
        bind_port: Port::new(shifted).unwrap_or(listener.port),
        port: listener.port,
        protocol: listener.protocol,
        instance_port: listener.instance_port,
        instance_protocol: listener.instance_protocol,
        tls: listener.protocol.is_secure().then(|| tls_front(world, lb, listener)),
        instance_tls: listener.instance_protocol.is_secure().then(|| tls_back(lb, listener)),
        proxy_protocol: backend(lb, listener)
            .filter(|_| !listener.protocol.sees_requests())
            .find_map(Policy::proxy_protocol),
        accept_proxy_from: Vec::new(),
        allowed_from: world.admitted(&lb.security_groups, listener.port.number()).map(Arc::from),
        http2: false,
        instance_http: super::InstanceHttp::One,
        stickiness: front(lb, listener).find_map(Policy::stickiness),
    }
}

/// What clients are shown and offered. A certificate that is gone leaves none to show, which the road says.
fn tls_front(world: &World, lb: &LoadBalancer, listener: &Listener) -> TlsFront {
    let material = listener.certificate.as_ref().and_then(|arn| world.certificate(arn)?.material.as_ref());
    let certificate = |m: &Material| Certificate { chain_pem: m.shown_pem(), key_pem: Arc::clone(&m.sealed_key) };
    let offer = front(lb, listener).find_map(Policy::offer).unwrap_or_default();
    TlsFront {
        certificates: material.map(certificate).into_iter().collect(),
        oldest: offer.oldest,
        newest: offer.newest,
        ciphers: Some(offer.suites().into_iter().map(str::to_owned).collect()),
        server_order: offer.server_order,
    }
}

/// Whom to believe among instances.
fn tls_back(lb: &LoadBalancer, listener: &Listener) -> TlsBack {
    let keys = backend(lb, listener).flat_map(Policy::public_key_policies);
    let keys = keys.filter_map(|name| lb.policies.get(&name)?.public_key().map(Arc::<str>::from));
    TlsBack { public_keys: keys.collect(), ..TlsBack::default() }
}

/// The policies of a listener.
fn front<'a>(lb: &'a LoadBalancer, listener: &'a Listener) -> impl Iterator<Item = &'a Policy> {
    listener.policies.iter().filter_map(|name| lb.policies.get(name))
}

/// The policies of the port on which a listener speaks to instances.
fn backend<'a>(lb: &'a LoadBalancer, listener: &Listener) -> impl Iterator<Item = &'a Policy> {
    let names = lb.backend_policies.get(&listener.instance_port).into_iter().flatten();
    names.filter_map(|name| lb.policies.get(name))
}
