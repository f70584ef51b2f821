//! Clients and instances that come by IPv6, and how they are named to each other.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::ProxyProtocol;
use evenkeel_proxy::road::RoadConfig;

use crate::origin::Origin;
use crate::rig::{Client, Rig, eventually, free_port};
use crate::tls_rig::{self, Made};

/// A road that listens on `::1`; `None` where the machine has none.
fn road(protocol: Protocol) -> Option<Rig> {
    let loopback = Ipv6Addr::LOCALHOST.into();
    if let Err(why) = TcpListener::bind((loopback, 0)) {
        eprintln!("\n*** SKIPPED: there is no IPv6 loopback: {why} ***\n");
        return None;
    }
    let mut rig = Rig::with(&[], protocol, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.routes.nodes[0].address = loopback;
    rig.routes.listeners[0].bind_port = free_port(loopback);
    Some(rig)
}

#[test]
fn requests_come_and_go_by_ipv6() {
    let Some(mut rig) = road(Protocol::Http) else { return };
    let origin = Origin::start(Ipv6Addr::LOCALHOST.into(), 0);
    rig.add_target("a", origin.address);
    rig.publish();
    let mut client = rig.client();
    let text = client.get("/head").text();
    assert!(text.contains("\r\nX-Forwarded-For: ::1\r\n"), "{text}");
    assert_eq!(client.post("/length", b"abc").text(), "3");
    // Who names no host came to an address.
    client.send("GET /head HTTP/1.0\r\nX-Forwarded-For: fd00::9\r\n\r\n");
    let text = client.read().unwrap().text();
    assert!(text.contains("\r\nHost: [::1]\r\n") && text.contains("\r\nX-Forwarded-For: fd00::9, ::1\r\n"), "{text}");
    // One port by both: neither takes the other's clients.
    let port = rig.address().port();
    assert!(TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_err());
    drop(client);
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn instances_are_reached_in_tls_by_ipv6() {
    let Some(mut rig) = road(Protocol::Http) else { return };
    let made = Made::new(&["::1"]);
    let origin = tls_rig::TlsOrigin::start_on(Ipv6Addr::LOCALHOST.into(), &made, false);
    rig.add_target("a", origin.at);
    rig.routes.listeners[0].instance_protocol = Protocol::Https;
    // It is who its address says.
    rig.routes.listeners[0].instance_tls = tls_rig::believes(&made, None);
    rig.publish();
    assert!(rig.client().get("/").text().contains("X-Forwarded-For: ::1\r\n"));
}

#[test]
fn the_proxy_protocol_names_addresses_of_ipv6() {
    let Some(mut rig) = road(Protocol::Tcp) else { return };
    let instance = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    rig.add_target("a", instance.local_addr().unwrap());
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        rig.routes.listeners[0].proxy_protocol = Some(version);
        rig.publish();
        let mut client = Client::connect(rig.address());
        client.send("hello");
        client.stream.shutdown(Shutdown::Write).unwrap();
        let (mut reached, _) = instance.accept().unwrap();
        let mut got = Vec::new();
        reached.read_to_end(&mut got).unwrap();
        let from = client.stream.local_addr().unwrap().port();
        match version {
            ProxyProtocol::V1 => {
                assert_eq!(String::from_utf8_lossy(&got), format!("PROXY TCP6 ::1 ::1 {from} 80\r\nhello"));
            }
            ProxyProtocol::V2 => {
                let own = Ipv6Addr::LOCALHOST.octets();
                let ports = [from.to_be_bytes(), 80u16.to_be_bytes()].concat();
                let wanted = [b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24", &own[..], &own, &ports, b"hello"].concat();
                assert_eq!(got, wanted);
            }
        }
        reached.write_all(b"bye").unwrap();
        drop(reached);
        let mut back = Vec::new();
        client.stream.read_to_end(&mut back).unwrap();
        assert_eq!(back, b"bye");
    }
    // And is believed from there.
    let mut rig = road(Protocol::Http).unwrap();
    let origin = Origin::start(Ipv6Addr::LOCALHOST.into(), 0);
    rig.add_target("a", origin.address);
    rig.routes.listeners[0].accept_proxy_from = vec!["::1/128".parse().unwrap()];
    rig.publish();
    let mut client = rig.client();
    client.send("PROXY TCP6 fd00::9 fd00::1 4711 443\r\nGET /head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read().unwrap().text().contains("\r\nX-Forwarded-For: fd00::9\r\n"));
}
