//! TCP listeners: bytes both ways, whatever they are.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Rig, address, eventually, free_port};

fn rig(zones: &[&str]) -> Rig {
    Rig::with(zones, Protocol::Tcp, RoadConfig { workers: 2, ..RoadConfig::default() })
}

/// An instance that sends back what it gets, and its end.
pub fn mirror() -> SocketAddr {
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

#[test]
fn connections_go_round_robin() {
    let rig = Rig::with(&["a", "a", "a"], Protocol::Tcp, RoadConfig { workers: 1, ..RoadConfig::default() });
    let mut clients: Vec<_> = (0..12).map(|_| rig.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(rig.hits(), [4, 4, 4]);
    assert_eq!(rig.meters().requests, 12);
}

#[test]
fn half_closed_connections_go_on_the_other_way() {
    let mut rig = rig(&[]);
    rig.add_target("a", mirror());
    rig.publish();
    let mut client = rig.client();
    let body: Vec<u8> = (0..6_000_000u32).map(|n| (n % 253) as u8).collect();
    let mut writer = client.stream.try_clone().unwrap();
    let sent = body.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    client.stream.read_to_end(&mut got).unwrap();
    assert!(got == body);
    sender.join().unwrap();
    eventually("the tunnel is over", || rig.meters().open_clients == 0);
    let meters = rig.meters();
    assert_eq!((meters.bytes_in, meters.bytes_out), (6_000_000, 6_000_000));
}

#[test]
fn a_refused_connection_is_tried_elsewhere_and_nobody_there_closes() {
    let mut rig = rig(&["a"]);
    let ip = address();
    rig.add_target("a", SocketAddr::new(ip, free_port(ip).number()));
    rig.publish();
    for _ in 0..6 {
        assert_eq!(rig.client().get("/").status, 200);
    }
    assert_eq!(rig.meters().connect_errors, 1);
    rig.health(evenkeel_core::health::Health::Failing);
    assert!(rig.client().is_closed());
}

#[test]
fn tunnels_outlive_their_target_and_idle_ones_are_closed() {
    let mut rig = rig(&[]);
    rig.add_target("a", mirror());
    rig.publish();
    let mut client = rig.client();
    let echo = |client: &mut crate::rig::Client| {
        client.send("hello");
        let mut got = [0; 5];
        client.stream.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
    };
    echo(&mut client);
    rig.routes.targets.clear();
    rig.publish();
    echo(&mut client);
    drop(client);
    rig.routes.idle_timeout = Duration::from_millis(300);
    rig.add_target("a", mirror());
    rig.publish();
    let mut client = rig.client();
    let began = Instant::now();
    echo(&mut client);
    assert!(client.is_closed());
    assert!(began.elapsed() > Duration::from_millis(250) && began.elapsed() < Duration::from_secs(3));
}
