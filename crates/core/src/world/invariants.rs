//! What is true of every World, whatever Changes made it. Held after each Change by the simulator and by tests, and
//! once when a Store is loaded: a database that breaks them is refused rather than driven by.

use std::collections::BTreeSet;
use std::fmt;

use super::requests::MOST_CHALLENGES;
use super::{World, balancers, tags};
use crate::noun::InstanceState;

impl World {
    /// Every broken invariant, in words; empty for a sound World.
    #[must_use]
    pub fn broken_invariants(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut demand = |holds: bool, what: fmt::Arguments<'_>| {
            if !holds {
                broken.push(what.to_string());
            }
        };
        let (mut nodes, mut dns_names) = (BTreeSet::new(), BTreeSet::new());
        for lb in self.load_balancers() {
            let name = &lb.name;
            demand(!lb.zones.is_empty(), format_args!("load balancer `{name}` has no zone"));
            demand(dns_names.insert(&lb.dns_name), format_args!("two load balancers are called `{}`", lb.dns_name));
            demand(lb.tags.len() <= tags::PER_LOAD_BALANCER, format_args!("load balancer `{name}` has too many tags"));
            demand(lb.health_check.validate().is_ok(), format_args!("load balancer `{name}` has a bad health check"));
            for address in balancers::node_addresses(lb) {
                demand(nodes.insert(address), format_args!("two nodes have the address {address}"));
            }
            for zone in lb.leaving.keys() {
                demand(!lb.zones.contains_key(zone), format_args!("`{name}` both has and leaves {zone}"));
            }
            let ports: BTreeSet<_> = lb.listeners.iter().map(|l| l.port).collect();
            demand(ports.len() == lb.listeners.len(), format_args!("`{name}` listens twice on one port"));
            let set = lb.listeners.iter().flat_map(|l| &l.policies).chain(lb.backend_policies.values().flatten());
            for policy in set {
                demand(
                    lb.policies.contains_key(policy),
                    format_args!("`{name}` goes by `{policy}`, which it does not have"),
                );
            }
            for listener in &lb.listeners {
                let shown = listener.certificate.as_ref().map(|arn| self.certificate(arn).is_some());
                let sound = if listener.protocol.is_secure() { shown == Some(true) } else { shown.is_none() };
                demand(sound, format_args!("`{name}` has a certificate amiss on port {}", listener.port));
            }
            for port in lb.backend_policies.keys() {
                let spoken_to = lb.listeners.iter().any(|l| l.instance_port == *port);
                demand(spoken_to, format_args!("`{name}` has policies for port {port}, which nobody speaks to"));
            }
            for id in lb.instances.iter().chain(lb.draining.keys()) {
                demand(self.instance(id).is_some(), format_args!("`{name}` names {id}, which does not exist"));
            }
            for id in lb.draining.keys() {
                demand(!lb.instances.contains(id), format_args!("`{name}` both has and drains {id}"));
            }
        }
        let mut addresses = BTreeSet::new();
        for instance in self.instances() {
            let id = &instance.id;
            demand(addresses.insert(instance.address), format_args!("{id} shares {} with another", instance.address));
            demand(instance.boots >= 1, format_args!("{id} was never booted"));
            demand(tags::own(&instance.tags) <= tags::PER_RESOURCE, format_args!("{id} has too many tags"));
            demand(instance.changed_in <= self.generation(), format_args!("{id} changed in the future"));
            demand(
                instance.state != InstanceState::Terminated || instance.changed >= instance.launched,
                format_args!("{id} ended before it was launched"),
            );
        }
        let mut uploaded = BTreeSet::new();
        for certificate in self.certificates() {
            let name = certificate.name().map(str::to_ascii_lowercase);
            let unique = name.is_none_or(|name| uploaded.insert(name));
            demand(unique, format_args!("{} shares its name with another", certificate.arn));
        }
        let pending = self.challenges().count();
        demand(pending <= MOST_CHALLENGES, format_args!("{pending} challenges are pending"));
        let mut names = BTreeSet::new();
        for image in self.images() {
            demand(names.insert(&image.name), format_args!("two images are called `{}`", image.name));
            demand(image.manifest.validate().is_ok(), format_args!("{} has a bad manifest", image.id));
        }
        broken.extend(self.broken_groups());
        broken.extend(self.broken_identities());
        broken.extend(self.broken_topics());
        broken.extend(self.broken_alarms());
        broken.extend(self.broken_templates());
        broken
    }
}
