//! The PROXY protocol both ways: to instances of a TCP listener, and from peers that are trusted.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::ProxyProtocol;
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Client, Rig, address, eventually};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn rig(protocol: Protocol) -> Rig {
    Rig::with(&[], protocol, RoadConfig { workers: 2, ..RoadConfig::default() })
}

/// An instance that sends back what it gets, and its end.
fn mirror() -> SocketAddr {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
    at
}

/// What comes back when these bytes are sent and the side is ended.
fn echo(rig: &Rig, parts: &[&[u8]]) -> Vec<u8> {
    let mut client = rig.client();
    for part in parts {
        let _ = client.stream.write_all(part);
    }
    let _ = client.stream.shutdown(Shutdown::Write);
    let mut got = Vec::new();
    let _ = client.stream.read_to_end(&mut got);
    got
}

#[test]
fn an_instance_is_told_who_its_client_is_before_the_first_byte() {
    let mut rig = rig(Protocol::Tcp);
    rig.add_target("a", mirror());
    rig.routes.listeners[0].proxy_protocol = Some(ProxyProtocol::V1);
    rig.publish();
    let mut client = rig.client();
    let (own, node) = (client.stream.local_addr().unwrap(), rig.address().ip());
    client.send("hello");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    client.stream.read_to_end(&mut got).unwrap();
    let wanted = format!("PROXY TCP4 {} {node} {} 80\r\nhello", own.ip(), own.port());
    assert_eq!(String::from_utf8_lossy(&got), wanted);
    rig.routes.listeners[0].proxy_protocol = Some(ProxyProtocol::V2);
    rig.publish();
    let got = echo(&rig, &[b"hello"]);
    assert!(got.starts_with(SIGNATURE) && got.ends_with(b"\0\x50hello"), "{}", got.escape_ascii());
    assert_eq!(got.len(), 16 + 12 + 5);
}

#[test]
fn a_trusted_peer_speaks_for_another_whatever_the_listener() {
    let mut rig = rig(Protocol::Tcp);
    rig.add_target("a", mirror());
    rig.routes.listeners[0].proxy_protocol = Some(ProxyProtocol::V1);
    rig.routes.listeners[0].accept_proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    rig.publish();
    let v1 = b"PROXY TCP6 fd00::9 fd00::1 4711 443\r\n";
    let wanted = b"PROXY TCP6 fd00::9 fd00::1 4711 443\r\nhello";
    assert_eq!(echo(&rig, &[v1, b"hello"]), wanted);
    // In pieces, and with the first bytes right behind it.
    let bytes: Vec<&[u8]> = v1.chunks(1).collect();
    assert_eq!(echo(&rig, &[&bytes[..], &[b"hello"]].concat()), wanted);
    assert_eq!(echo(&rig, &[&[&v1[..], b"hello"].concat()]), wanted);
    let v2 = [SIGNATURE, b"\x21\x11\0\x13\x09\x08\x07\x06\x01\x02\x03\x04\0\x07\x01\xbb\x04\0\x04abcd"].concat();
    assert_eq!(echo(&rig, &[&v2, b"x"]), b"PROXY TCP4 9.8.7.6 1.2.3.4 7 443\r\nx");
    // Who speaks for himself keeps his own address.
    let own = |text: Vec<u8>| assert!(text.starts_with(b"PROXY TCP4 127.0.0.1 ") && text.ends_with(b" 80\r\nx"));
    own(echo(&rig, &[b"PROXY UNKNOWN\r\nx"]));
    own(echo(&rig, &[SIGNATURE, b"\x20\0\0\0x"]));
    own(echo(&rig, &[SIGNATURE, b"\x21\0\0\0x"]));
}

#[test]
fn a_broken_header_closes_the_connection_and_nothing_reaches_an_instance() {
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.routes.listeners[0].accept_proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    rig.publish();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let long = [b"PROXY UNKNOWN ", "a".repeat(200).as_bytes(), b"\r\n"].concat();
    let bad: [&[u8]; 8] = [
        b"",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        &long,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x40\0",
        b"\r\n\r\n\0\r\nQUIT\n\x2f\x11\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
    ];
    for header in bad {
        assert_eq!(echo(&rig, &[header, request]), b"", "{}", header.escape_ascii());
    }
    assert_eq!(rig.hits(), [0]);
    // A client that leaves in the midst, or stays silent, costs nothing.
    drop(echo(&rig, &[b"PROXY TC"]));
    rig.routes.idle_timeout = Duration::from_millis(200);
    rig.publish();
    let mut silent = rig.client();
    assert!(silent.is_closed());
    eventually("all are let go of", || rig.meters().open_clients == 0);
}

#[test]
fn http_is_told_the_real_client_and_only_from_who_is_trusted() {
    let mut rig = Rig::new(&["a"]);
    rig.routes.listeners[0].accept_proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    rig.publish();
    let mut client = rig.client();
    client.send("PROXY TCP4 203.0.113.9 198.51.100.1 4711 80\r\nGET /head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read().unwrap().text().contains("\r\nX-Forwarded-For: 203.0.113.9\r\n"));
    // It holds for the whole connection.
    assert!(client.get("/head").text().contains("\r\nX-Forwarded-For: 203.0.113.9\r\n"));
    rig.routes.listeners[0].accept_proxy_from = vec!["10.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()];
    rig.publish();
    let mut client = Client::connect(rig.address());
    client.send("PROXY TCP4 203.0.113.9 198.51.100.1 4711 80\r\nGET /head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 400);
    assert!(!rig.client().get("/head").text().contains("203.0.113.9"));
}
