//! From the World to Routes: what the road must know of intent, and no more.
//!
//! Owns the translation. Must never look at health: the road judges that itself, so that it can go on without us.

use std::sync::Arc;

use super::{BalancerRoutes, ListenerRoute, Node, Phase, Routes, Target};
use crate::name::{InstanceId, Port};
use crate::noun::{InstanceState, Listener, LoadBalancer};
use crate::world::{Settings, World};

/// Compiles the World's Routes.
#[must_use]
pub fn compile(world: &World) -> Routes {
    let balancers = world.load_balancers().map(|lb| (lb.name.clone(), Arc::new(balancer(world, lb))));
    Routes { generation: world.generation(), balancers: balancers.collect() }
}

/// The same for a World that came out of `before`, whose Routes are `previous`: a balancer for which nothing has changed is
/// shared with them at the cost of a look, and one that comes out as before is shared too.
#[must_use]
pub fn follow(world: &World, before: &World, previous: &Routes) -> Routes {
    let altered = altered(before, world);
    let balancers = world.load_balancers().map(|lb| {
        let known = previous.balancers.get(&lb.name);
        let untouched = before.load_balancer(&lb.name).is_some_and(|old| Arc::ptr_eq(old, lb))
            && !altered.iter().any(|id| lb.instances.contains(*id) || lb.draining.contains_key(*id));
        let routes = match known {
            Some(same) if untouched => Arc::clone(same),
            _ => {
                let routes = balancer(world, lb);
                known.filter(|same| ***same == routes).cloned().unwrap_or_else(|| Arc::new(routes))
            }
        };
        (lb.name.clone(), routes)
    });
    Routes { generation: world.generation(), balancers: balancers.collect() }
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

fn balancer(world: &World, lb: &LoadBalancer) -> BalancerRoutes {
    let enabled = lb.zones.iter().map(|(zone, address)| Node { zone: Some(zone.clone()), address: *address });
    // A leaving node stands in no zone any more: it serves from all that remain.
    let leaving = lb.leaving.values().map(|node| Node { zone: None, address: node.address });
    let registered = lb.instances.iter().map(|id| (id, None));
    let draining = lb.draining.iter().map(|(id, until)| (id, Some(*until)));
    let targets = registered.chain(draining).filter_map(|(id, until)| {
        let instance = world.instance(id).filter(|i| i.state == InstanceState::Running)?;
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
        listeners: lb.listeners.iter().map(|l| listener(world.settings(), l)).collect(),
        targets: targets.collect(),
    }
}

fn listener(settings: &Settings, listener: &Listener) -> ListenerRoute {
    let number = listener.port.number();
    let shifted = if number < settings.lowest_port { number.saturating_add(settings.port_shift) } else { number };
    ListenerRoute {
        bind_port: Port::new(shifted).unwrap_or(listener.port),
        port: listener.port,
        protocol: listener.protocol,
        instance_port: listener.instance_port,
        instance_protocol: listener.instance_protocol,
        tls: None,
        instance_tls: None,
        proxy_protocol: None,
        accept_proxy_from: Vec::new(),
        http2: false,
        instance_http: super::InstanceHttp::One,
        stickiness: None,
    }
}
