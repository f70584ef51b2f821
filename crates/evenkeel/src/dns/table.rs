//! What names there are: zones, hosts and what lies between, compiled from the World and the Sightings.
//!
//! Owns which addresses a name has: those of a balancer's enabled zones that have an instance in service, or all of them where
//! none has (so that a client is told 503 by the balancer rather than nothing by the resolver). Pure. Next: [`super::answer`].

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use evenkeel_core::health::Health;
use evenkeel_core::name::ZoneName;
use evenkeel_core::noun::instance::HOST_DOMAIN;
use evenkeel_core::noun::{InstanceState, LoadBalancer};
use evenkeel_core::sightings::Sightings;
use evenkeel_core::world::World;
use hickory_proto::rr::Name;

/// The addresses of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// For `A`.
    pub v4: Vec<Ipv4Addr>,
    /// For `AAAA`.
    pub v6: Vec<Ipv6Addr>,
}

impl Host {
    fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut host = Self::default();
        for address in addresses {
            match address {
                IpAddr::V4(v4) => host.v4.push(v4),
                IpAddr::V6(v6) => host.v6.push(v6),
            }
        }
        host
    }
}

/// Every name that is answered for. Names are compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    zones: Vec<Name>,
    hosts: HashMap<Name, Host>,
    /// Names that have nothing themselves, but something below them (RFC 8020).
    between: HashSet<Name>,
    serial: u32,
}

impl Table {
    /// Compiles it. `own_domain` gives each balancer a second name; `server` is the name server's own address.
    #[must_use]
    pub fn compile(world: &World, sightings: &Sightings, own_domain: Option<&str>, server: IpAddr) -> Self {
        let settings = world.settings();
        let serial = u32::try_from(world.generation() & u64::from(u32::MAX)).unwrap_or(0).max(1);
        let mut table = Self { serial, ..Self::default() };
        let apexes = [Some(settings.dns_domain.as_str()), Some(HOST_DOMAIN), own_domain];
        for apex in apexes.into_iter().flatten().filter_map(absolute) {
            if !table.zones.contains(&apex) {
                if let Ok(name) = apex.prepend_label("ns") {
                    // An address that stands for all of them cannot be told to anybody.
                    let told = Some(server).filter(|address| !address.is_unspecified());
                    table.add(name, Host::of(told));
                }
                table.zones.push(apex);
            }
        }
        // The most specific zone is found first.
        table.zones.sort_by_key(|zone| std::cmp::Reverse(zone.num_labels()));
        for lb in world.load_balancers() {
            let host = Host::of(addresses(world, sightings, lb));
            let names = [Some(lb.dns_name.clone()), own_domain.map(|domain| format!("{}.{domain}", lb.name))];
            for name in names.into_iter().flatten().filter_map(|text| absolute(&text)) {
                // AWS's prefixes for one family or the other.
                let only = Host { v4: Vec::new(), v6: host.v6.clone() };
                for (prefix, host) in [("dualstack", &host), ("ipv6", &only)] {
                    if let Ok(name) = name.prepend_label(prefix) {
                        table.add(name, host.clone());
                    }
                }
                table.add(name, host.clone());
            }
        }
        for instance in world.instances().filter(|i| i.state != InstanceState::Terminated) {
            let text = instance.host_name();
            if let Some(name) = absolute(&text) {
                table.add(name, Host::of([instance.address]));
            }
        }
        table
    }

    /// The zone that a name lies in.
    #[must_use]
    pub fn zone_of(&self, name: &Name) -> Option<&Name> {
        self.zones.iter().find(|zone| zone.zone_of(name))
    }

    /// A name's addresses.
    #[must_use]
    pub fn host(&self, name: &Name) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// Whether a name exists, with or without addresses of its own.
    #[must_use]
    pub fn exists(&self, name: &Name) -> bool {
        self.hosts.contains_key(name) || self.between.contains(name) || self.zones.contains(name)
    }

    /// The zones' serial number: the World's generation.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    fn add(&mut self, name: Name, host: Host) {
        let mut above = name.base_name();
        while !above.is_root() && self.between.insert(above.clone()) {
            above = above.base_name();
        }
        self.hosts.insert(name, host);
    }
}

/// A name from its root on; `None` for a text that is none.
fn absolute(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?.to_lowercase();
    name.set_fqdn(true);
    Some(name)
}

/// The addresses that a balancer's name has now.
fn addresses(world: &World, sightings: &Sightings, lb: &LoadBalancer) -> Vec<IpAddr> {
    let verdicts = sightings.road.as_ref().map(|road| &road.health);
    let mut live: HashSet<&ZoneName> = HashSet::new();
    for instance in lb.instances.iter().filter_map(|id| world.instance(id)) {
        let running = instance.state == InstanceState::Running && lb.zones.contains_key(&instance.zone);
        let verdict = || verdicts?.get(&(lb.name.clone(), instance.id.clone())).copied();
        if running && !live.contains(&instance.zone) && verdict() == Some(Health::InService) {
            live.insert(&instance.zone);
        }
    }
    // With cross-zone balancing each node reaches the instances of all zones.
    let all = live.is_empty() || lb.attributes.cross_zone;
    lb.zones.iter().filter(|(zone, _)| all || live.contains(zone)).map(|(_, address)| *address).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use evenkeel_core::name::{ImageId, InstanceId, LoadBalancerName, Port, ReservationId, ZoneName};
    use evenkeel_core::noun::{
        Attributes, HealthCheck, Instance, InstanceStatus, Listener, Manifest, Protocol, Scheme, ShutdownBehavior,
    };
    use evenkeel_core::sightings::RoadSeen;
    use evenkeel_core::time::Timestamp;
    use evenkeel_core::world::{Limits, Row, Settings};

    use super::*;

    fn zone(letter: &str) -> ZoneName {
        ZoneName::new(format!("us-east-1{letter}")).unwrap()
    }

    fn instance(n: u8, letter: &str) -> Row {
        Row::Instance(Instance {
            id: InstanceId::new(format!("i-{n:08x}")).unwrap(),
            image: ImageId::new("ami-00000001").unwrap(),
            digest: "00".into(),
            zone: zone(letter),
            address: IpAddr::from([127, 81, 0, n]),
            state: InstanceState::Running,
            reason: None,
            boots: 1,
            launched: Timestamp(1),
            changed: Timestamp(1),
            changed_in: 0,
            status: InstanceStatus::Ok,
            status_since: Timestamp(0),
            reservation: ReservationId::new("r-00000001").unwrap(),
            launch_index: 0,
            instance_type: "m1.small".into(),
            key_name: None,
            groups: vec![],
            user_data: None,
            client_token: None,
            shutdown: ShutdownBehavior::Stop,
            termination_protected: false,
            stop_protected: false,
            source_dest_check: true,
            asked_for: None,
            tags: BTreeMap::new(),
            manifest: Manifest::new("app", vec!["./serve".into()], Port::new(80).unwrap()),
        })
    }

    fn balancer(name: &str, dns_name: &str, zones: &[(&str, u8)], instances: &[u8], cross_zone: bool) -> LoadBalancer {
        let port = Port::new(80).unwrap();
        LoadBalancer {
            name: LoadBalancerName::new(name).unwrap(),
            dns_name: format!("{dns_name}.us-east-1.elb.evenkeel.test"),
            scheme: Scheme::InternetFacing,
            created: Timestamp(1),
            listeners: vec![Listener {
                port,
                protocol: Protocol::Http,
                instance_port: port,
                instance_protocol: Protocol::Http,
                certificate: None,
                policies: vec![],
            }],
            zones: zones.iter().map(|(letter, n)| (zone(letter), IpAddr::from([127, 80, 0, *n]))).collect(),
            leaving: BTreeMap::new(),
            instances: instances.iter().map(|n| InstanceId::new(format!("i-{n:08x}")).unwrap()).collect(),
            draining: BTreeMap::new(),
            health_check: HealthCheck::default_for(port),
            attributes: Attributes { cross_zone, ..Attributes::default() },
            security_groups: vec![],
            in_vpc: false,
            policies: BTreeMap::new(),
            backend_policies: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// `web` is live in zone a alone, `idle` nowhere, `wide` in zone b with cross-zone balancing, `many` has 40 zones.
    pub(in crate::dns) fn table() -> Table {
        let settings = Settings {
            region: "us-east-1".into(),
            zones: vec![zone("a"), zone("b")],
            capacity: BTreeMap::new(),
            account: "000000000000".into(),
            dns_domain: "elb.evenkeel.test".into(),
            node_pool: "127.80.0.0/16".parse().unwrap(),
            instance_pool: "127.81.0.0/16".parse().unwrap(),
            instance_pools: Default::default(),
            lowest_port: 0,
            port_shift: 0,
            limits: Limits::default(),
        };
        let letters: Vec<String> = (0..40).map(|n| format!("z{n}")).collect();
        let many: Vec<(&str, u8)> = letters.iter().map(String::as_str).zip(100..).collect();
        let balancers = [
            balancer("web", "web-1", &[("a", 1), ("b", 2)], &[1, 2], false),
            balancer("idle", "internal-idle-2", &[("a", 3), ("b", 4)], &[2], false),
            balancer("wide", "wide-3", &[("a", 5), ("b", 6)], &[2], true),
            balancer("many", "many-4", &many, &[], false),
        ];
        let rows = balancers.into_iter().map(Row::LoadBalancer).chain([instance(1, "a"), instance(2, "b")]);
        let world = World::load(settings, 42, rows);
        let live: BTreeSet<(&str, u8)> = BTreeSet::from([("web", 1), ("wide", 2)]);
        let health = live.into_iter().map(|(lb, n)| {
            let key = (LoadBalancerName::new(lb).unwrap(), InstanceId::new(format!("i-{n:08x}")).unwrap());
            (key, Health::InService)
        });
        let road = RoadSeen { health: Arc::new(health.collect()), ..RoadSeen::default() };
        Table::compile(&world, &Sightings { road: Some(road) }, Some("example.test"), "127.0.0.1".parse().unwrap())
    }
}
