//! The table of connections, as a road under a little traffic shows it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::connections::{Connection, Connections, Kind, State};
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Rig, eventually};

fn look(rig: &Rig) -> Connections {
    let seen = rig.road.connections(100, Duration::from_secs(10));
    assert_eq!((seen.silent, seen.total), (0, seen.rows.len()), "{seen:#?}");
    seen
}

/// Waits for a client's row that fits, and returns it.
fn row(rig: &Rig, client: &TcpStream, state: State) -> Connection {
    let (from, mut found) = (client.local_addr().unwrap(), None);
    eventually(state.as_str(), || {
        found = look(rig).rows.into_iter().find(|row| row.client == Some(from) && row.state == state);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn each_connection_says_where_it_stands() {
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 2, ..RoadConfig::default() });
    assert_eq!(look(&rig), Connections::default());
    let mut idle = rig.client();
    assert_eq!(idle.get("/").status, 200);
    let seen = row(&rig, &idle.stream, State::Idle);
    assert_eq!((seen.kind, seen.at, &seen.instance), (Kind::Http, Some(rig.address()), &None));
    assert_eq!(seen.balancer, rig.routes.name.to_string());
    assert!(seen.received > 20 && seen.sent > 20 && seen.idle_ms <= seen.age_ms, "{seen:?}");
    let pooled: Vec<_> = look(&rig).rows.into_iter().filter(|row| row.kind == Kind::Pool).collect();
    assert_eq!(pooled.len(), 1);
    assert_eq!((&pooled[0].instance, pooled[0].client), (&Some(rig.routes.targets[0].instance.to_string()), None));

    let mut half = rig.client();
    half.send("POST / HT");
    assert_eq!(row(&rig, &half.stream, State::Head).received, 9);
    half.send("TP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    row(&rig, &half.stream, State::Body);
    half.send("llo");
    half.read().unwrap();
    row(&rig, &half.stream, State::Idle);

    let mut waits = rig.client();
    waits.send("GET /slow?2000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let seen = row(&rig, &waits.stream, State::Instance);
    assert_eq!(seen.instance, Some(rig.routes.targets[0].instance.to_string()));

    let switcher = crate::upgrade::Switcher::start(None);
    rig.routes.targets.clear();
    let id = rig.add_target("a", switcher.at);
    rig.publish();
    let mut switched = rig.client();
    switched.send("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(switched.read().unwrap().status, 101);
    let before = row(&rig, &switched.stream, State::Open);
    switched.send("hello");
    eventually("its bytes are counted", || row(&rig, &switched.stream, State::Open).sent == before.sent + 5);
    let seen = row(&rig, &switched.stream, State::Open);
    assert_eq!((seen.kind, seen.instance, seen.received), (Kind::Http, Some(id.to_string()), before.received + 5));

    drop((idle, half, waits, switched));
    eventually("they are gone", || look(&rig).rows.iter().all(|row| row.kind == Kind::Pool));
}

#[test]
fn tunnels_are_shown_and_many_connections_are_sampled() {
    let mut rig = Rig::with(&[], Protocol::Tcp, RoadConfig { workers: 1, ..RoadConfig::default() });
    let mirror = std::net::TcpListener::bind((crate::rig::address(), 0)).unwrap();
    let id = rig.add_target("a", mirror.local_addr().unwrap());
    rig.publish();
    let mut clients: Vec<_> = (0..40).map(|_| TcpStream::connect(rig.address()).unwrap()).collect();
    let mut instances: Vec<_> = (0..40).map(|_| mirror.accept().unwrap().0).collect();
    clients[0].write_all(b"hello").unwrap();
    for client in &clients {
        let seen = row(&rig, client, State::Open);
        assert_eq!((seen.kind, seen.instance), (Kind::Tcp, Some(id.to_string())));
    }
    eventually("bytes are counted", || row(&rig, &clients[0], State::Open).received == 5);
    let sampled = rig.road.connections(10, Duration::from_secs(10));
    assert_eq!((sampled.total, sampled.rows.len()), (40, 10));
    drop(clients);
    instances.iter_mut().for_each(|instance| drop(instance.read(&mut [0; 16])));
    drop(instances);
    eventually("they are gone", || look(&rig) == Connections::default());
}
