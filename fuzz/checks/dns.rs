//! What must hold of the answer to any bytes that come as a DNS query.
//!
//! Owns that property, and the names it is asked about. Must never know of the fuzzer.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use evenkeel::dns::answer::{EDNS_PAYLOAD, Transport, answer, come_by_tcp};
use evenkeel::dns::table::Table;
use evenkeel_core::change::{Change, NewLoadBalancer};
use evenkeel_core::name::{LoadBalancerName, Port, ZoneName};
use evenkeel_core::noun::{Listener, Protocol, Scheme};
use evenkeel_core::sightings::Sightings;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Limits, Settings, World};
use hickory_proto::op::{Message, MessageType, ResponseCode};

/// `web-1` over two zones, under a domain of its own as well.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let zones = ["us-east-1a", "us-east-1b"].map(|name| ZoneName::new(name).expect("a zone's name"));
    let mut world = World::empty(Settings {
        region: "us-east-1".into(),
        zones: zones.clone().into(),
        capacity: BTreeMap::new(),
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/16".parse().expect("a pool"),
        instance_pool: "127.81.0.0/16".parse().expect("a pool"),
        instance_pools: Default::default(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits::default(),
    });
    let port = Port::new(80).expect("a port");
    let listener = Listener {
        port,
        protocol: Protocol::Http,
        instance_port: port,
        instance_protocol: Protocol::Http,
        certificate: None,
        policies: Vec::new(),
    };
    let new = NewLoadBalancer {
        name: LoadBalancerName::new("web").expect("a name"),
        scheme: Scheme::InternetFacing,
        listeners: vec![listener],
        zones: zones.into(),
        in_vpc: false,
        security_groups: Vec::new(),
        tags: Default::default(),
        dns_number: 1,
    };
    world.apply(&Change::CreateLoadBalancer(new), Timestamp(0)).expect("a load balancer");
    Table::compile(&world, &Sightings::default(), Some("my.example"), IpAddr::V4(Ipv4Addr::LOCALHOST))
});

/// Whatever comes is answered with what can be read, is about it, and is no larger than may be; or not at all.
pub fn dns_message(data: &[u8]) {
    for transport in [Transport::Udp, Transport::Tcp] {
        let Some(said) = answer(&TABLE, data, transport, 1) else {
            assert!(data.len() < 12 || data[2] & 0x80 != 0, "a query got no answer");
            continue;
        };
        let read = Message::from_vec(&said.bytes).expect("an answer that can be read");
        assert_eq!(said.bytes[..2], data[..2], "an answer to another query");
        assert_eq!(read.metadata.message_type, MessageType::Response);
        assert_eq!(said.bytes[2] & 0x78, data[2] & 0x78, "another operation");
        assert!(!read.metadata.recursion_available && !read.metadata.authentic_data);
        assert_eq!(read.metadata.truncation, said.truncated);
        if said.truncated || read.metadata.response_code != ResponseCode::NoError {
            assert!(read.answers.is_empty());
        }
        match transport {
            Transport::Udp => assert!(said.bytes.len() <= usize::from(EDNS_PAYLOAD)),
            Transport::Tcp => assert!(!said.truncated),
        }
        assert_eq!(answer(&TABLE, data, transport, 1), Some(said), "another answer to the same query");
    }
    assert!(come_by_tcp(data).is_none_or(|bytes| bytes.len() <= 512 && bytes[2] & 0x82 == 0x82));
}
