//! Algorithms, weights and slow start, between real instances.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::health::Health;
use evenkeel_core::noun::{Algorithm, HashOn, Protocol};
use evenkeel_core::routes::{Node, Phase, Stickiness};
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Client, Rig, address, eventually, zone};

fn rig(zones: &[&str], algorithm: Algorithm) -> Rig {
    let mut rig = Rig::with(zones, Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.routes.balancing.algorithm = algorithm;
    rig.publish();
    rig
}

/// Requests in a row that each instance got.
fn hits_of(rig: &Rig, requests: usize) -> Vec<u64> {
    let before = rig.hits();
    let mut client = rig.client();
    for _ in 0..requests {
        assert_eq!(client.get("/").status, 200);
    }
    rig.hits().iter().zip(&before).map(|(now, before)| now - before).collect()
}

/// Asks with a header field; says which instance answered.
fn ask(client: &mut Client, field: &str) -> String {
    client.send(format!("GET / HTTP/1.1\r\nHost: test\r\n{field}\r\n\r\n"));
    let answer = client.read().unwrap();
    assert_eq!(answer.status, 200);
    answer.text()
}

#[test]
fn weights_are_shares_under_every_algorithm() {
    let mut rig = rig(&["a", "a", "a"], Algorithm::Aws);
    for (target, weight) in rig.routes.targets.iter_mut().zip([1, 3, 6]) {
        target.weight = weight;
    }
    for algorithm in [Algorithm::Aws, Algorithm::RoundRobin, Algorithm::LeastOutstanding] {
        rig.routes.balancing.algorithm = algorithm;
        rig.publish();
        let hits = hits_of(&rig, 300);
        let off = hits.iter().zip([30, 90, 180]).map(|(hits, wanted)| hits.abs_diff(wanted)).max();
        assert!(off <= Some(3), "{algorithm:?}: {hits:?}");
    }
    rig.routes.balancing.algorithm = Algorithm::PowerOfTwo;
    rig.publish();
    let hits = hits_of(&rig, 600);
    assert!(hits[0] < hits[1] && hits[1] < hits[2] && hits[0] > 20, "{hits:?}");
}

#[test]
fn weights_stay_within_zones() {
    let mut rig = rig(&["a", "a", "c"], Algorithm::Aws);
    rig.routes.targets[0].weight = 100;
    rig.routes.targets[1].weight = 100;
    rig.publish();
    assert_eq!(hits_of(&rig, 200), [50, 50, 100]);
    rig.routes.nodes = vec![Node { zone: Some(zone("c")), address: rig.routes.nodes[0].address }];
    rig.publish();
    assert_eq!(hits_of(&rig, 20), [0, 0, 20]);
}

#[test]
fn without_weight_only_those_who_stick_come() {
    let mut rig = rig(&["a", "a"], Algorithm::Aws);
    rig.routes.listeners[0].stickiness = Some(Stickiness::Duration(None));
    rig.publish();
    let mut client = rig.client();
    let first = client.get("/");
    let cookie = first.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let home = rig.hits().iter().position(|hits| *hits == 1).unwrap();
    rig.routes.targets[home].weight = 0;
    rig.publish();
    assert_eq!(hits_of(&rig, 20)[home], 0);
    let before = rig.hits()[home];
    for _ in 0..5 {
        ask(&mut client, &format!("Cookie: {cookie}"));
    }
    assert_eq!(rig.hits()[home], before + 5);
    // With nobody of any weight there is nobody for others.
    rig.routes.targets[1 - home].weight = 0;
    rig.publish();
    assert_eq!(client.get("/").status, 503);
}

#[test]
fn a_key_keeps_its_instance_and_few_move() {
    for what in ["header", "cookie"] {
        let mut rig = rig(&["a", "a", "a", "a"], Algorithm::ConsistentHash);
        rig.routes.balancing.hash_on = match what {
            "header" => HashOn::Header("X-User".into()),
            _ => HashOn::Cookie("user".into()),
        };
        rig.publish();
        let homes = |rig: &Rig| -> BTreeMap<u32, String> {
            let home = |n: u32| {
                // Another connection each time, and another spelling of the name.
                let field = if what == "header" { format!("x-user: u{n}") } else { format!("Cookie: a=1; user=u{n}") };
                ask(&mut rig.client(), &field)
            };
            (0..60).map(|n| (n, home(n))).collect()
        };
        let before = homes(&rig);
        assert_eq!(homes(&rig), before);
        let names: Vec<String> = rig.origins.iter().map(|origin| origin.address.to_string()).collect();
        assert!(names.iter().all(|name| before.values().any(|home| home == name)), "{before:?}");
        // Only the keys of an instance that goes move, and they come back with it.
        rig.routes.targets[1].phase = Phase::ZoneDisabled;
        rig.publish();
        let without = homes(&rig);
        assert!(before.iter().all(|(n, home)| without[n] == *home || *home == names[1]));
        assert!(without.values().all(|home| *home != names[1]));
        rig.routes.targets[1].phase = Phase::Serving;
        rig.publish();
        assert_eq!(homes(&rig), before);
    }
}

#[test]
fn a_client_keeps_its_instance_by_its_address() {
    let rig = rig(&["a", "a", "c", "c"], Algorithm::ConsistentHash);
    let hits: Vec<u64> = (0..3)
        .map(|_| hits_of(&rig, 10))
        .fold(vec![0; 4], |sum, hits| sum.iter().zip(hits).map(|(sum, hits)| sum + hits).collect());
    assert!(hits.contains(&30), "{hits:?}");
    // The same holds for TCP.
    let mut rig = Rig::with(&["a", "a", "a"], Protocol::Tcp, RoadConfig { workers: 2, ..RoadConfig::default() });
    rig.routes.balancing.algorithm = Algorithm::ConsistentHash;
    rig.publish();
    for _ in 0..10 {
        assert_eq!(rig.client().get("/").status, 200);
    }
    assert!(rig.hits().contains(&10), "{:?}", rig.hits());
}

/// An instance that takes so long for each answer.
fn sluggish(takes: Duration) -> SocketAddr {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if line.is_empty() {
                        thread::sleep(takes);
                        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                    }
                }
            });
        }
    });
    at
}

#[test]
fn the_least_latency_is_preferred() {
    let mut rig = rig(&["a"], Algorithm::LeastLatency);
    rig.add_target("a", sluggish(Duration::from_millis(100)));
    rig.publish();
    // Asked once, it is known to be slow.
    let hits = hits_of(&rig, 200)[0];
    assert!(hits >= 190, "{hits}");
    assert!(rig.meters().requests - hits >= 1);
}

#[test]
fn a_newcomer_starts_slowly() {
    let ramp = Duration::from_secs(4);
    let mut rig = rig(&["a", "a"], Algorithm::RoundRobin);
    rig.routes.balancing.slow_start = ramp;
    rig.publish();
    let settled = Instant::now();
    eventually("those of the beginning have their full share", || settled.elapsed() > ramp);
    rig.add_origin("a");
    let came = Instant::now();
    rig.publish();
    let hits = hits_of(&rig, 90);
    let grown = came.elapsed().as_secs_f64() / ramp.as_secs_f64();
    // It has at most what it had in the end, from the first moment on.
    let most = 45.0 * grown.clamp(0.05, 1.0) + 2.0;
    assert!(hits[2] >= 1 && hits[2] as f64 <= most, "{hits:?} after {grown} of the ramp");
    eventually("it has its full share", || came.elapsed() > ramp);
    let hits = hits_of(&rig, 90);
    assert!(hits.iter().all(|hits| hits.abs_diff(30) <= 2), "{hits:?}");
    // One that was out of service begins anew.
    let key = (rig.routes.name.clone(), rig.routes.targets[0].instance.clone());
    rig.road.board().state(&key).set_health(Health::Failing);
    let came = Instant::now();
    rig.road.board().state(&key).set_health(Health::InService);
    let hits = hits_of(&rig, 90);
    let grown = came.elapsed().as_secs_f64() / ramp.as_secs_f64();
    assert!(hits[0] as f64 <= 45.0 * grown.clamp(0.05, 1.0) + 2.0, "{hits:?} after {grown} of the ramp");
}
