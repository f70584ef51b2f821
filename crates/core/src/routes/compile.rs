//! From the World to Routes: what the road must know of intent, and no more.
//!
//! Owns the translation. Must never look at health: the road judges that itself, so that it can go on without us.

use std::sync::Arc;

use super::{BalancerRoutes, ListenerRoute, Node, Phase, Routes, Target};
use crate::name::Port;
use crate::noun::{InstanceState, Listener, LoadBalancer};
use crate::world::{Settings, World};

/// Compiles the World's Routes. Balancers that come out as in `previous` are shared with it.
#[must_use]
pub fn compile(world: &World, previous: &Routes) -> Routes {
    let balancers = world.load_balancers().map(|lb| {
        let routes = balancer(world, lb);
        match previous.balancers.get(&lb.name) {
            Some(same) if **same == routes => (lb.name.clone(), Arc::clone(same)),
            _ => (lb.name.clone(), Arc::new(routes)),
        }
    });
    Routes { generation: world.generation(), balancers: balancers.collect() }
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
        Some(Target { instance: id.clone(), zone: instance.zone.clone(), address: instance.address, port: None, phase })
    });
    BalancerRoutes {
        name: lb.name.clone(),
        cross_zone: lb.attributes.cross_zone,
        idle_timeout: lb.attributes.idle_timeout,
        timeouts: super::Timeouts::default(),
        desync: lb.attributes.desync,
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
