//! Who gets what share.

use std::thread;

use evenkeel_core::health::Health;
use evenkeel_core::routes::{Node, Phase};

use crate::rig::{Rig, zone};

fn share(rig: &Rig, requests: usize, clients: usize) {
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = rig.client();
                for _ in 0..requests / clients {
                    assert_eq!(client.get("/").status, 200);
                }
            });
        }
    });
}

/// One request at a time over so many connections, and so over all workers: who is slow to answer does not matter.
fn in_turn(rig: &Rig, requests: usize, clients: usize) {
    let mut clients: Vec<_> = (0..clients).map(|_| rig.client()).collect();
    for _ in 0..requests / clients.len() {
        assert!(clients.iter_mut().all(|client| client.get("/").status == 200));
    }
}

fn assert_shares(rig: &Rig, before: &[u64], wanted: &[f64]) {
    let counts: Vec<u64> = rig.hits().iter().zip(before).map(|(now, before)| now - before).collect();
    let total: u64 = counts.iter().sum();
    for (count, wanted) in counts.iter().zip(wanted) {
        let share = *count as f64 * 100.0 / total as f64;
        assert!((share - wanted).abs() <= 1.0, "{counts:?}, wanted {wanted} %");
    }
}

#[test]
fn zones_with_three_and_one_share_equally_and_cross_zone_instances_do() {
    let mut rig = Rig::new(&["a", "a", "a", "c"]);
    in_turn(&rig, 20_000, 16);
    assert_shares(&rig, &[0; 4], &[50.0 / 3.0, 50.0 / 3.0, 50.0 / 3.0, 50.0]);
    let before = rig.hits();
    rig.routes.cross_zone = true;
    rig.publish();
    in_turn(&rig, 20_000, 16);
    assert_shares(&rig, &before, &[25.0; 4]);
    assert_eq!(rig.meters().requests, 40_000);
    assert_eq!(rig.meters().from_instance[1], 40_000);
    assert_eq!(rig.road.meters().balancers[&rig.routes.name].latency.count(), 40_000);
}

#[test]
fn a_zones_node_sends_to_its_own_instances_only() {
    let mut rig = Rig::new(&["a", "c"]);
    rig.routes.nodes = vec![Node { zone: Some(zone("a")), address: rig.routes.nodes[0].address }];
    rig.publish();
    share(&rig, 100, 2);
    assert_eq!(rig.hits(), [100, 0]);
    rig.routes.cross_zone = true;
    rig.publish();
    share(&rig, 100, 1);
    assert!(rig.hits()[0].abs_diff(150) <= 2, "{:?}", rig.hits());
    // A zone without instances answers 503 while cross-zone balancing is off.
    rig.routes.cross_zone = false;
    rig.routes.nodes[0].zone = Some(zone("d"));
    rig.publish();
    let answer = rig.client().get("/");
    assert_eq!(answer.line(), "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity");
    assert_eq!((answer.field("content-length"), answer.field("connection")), (Some("0"), Some("keep-alive")));
}

#[test]
fn a_disabled_zone_and_what_is_not_in_service_get_exactly_nothing() {
    let mut rig = Rig::new(&["a", "c", "d"]);
    rig.routes.targets[1].phase = Phase::ZoneDisabled;
    rig.publish();
    let key = (rig.routes.name.clone(), rig.routes.targets[2].instance.clone());
    rig.road.board().state(&key).set_health(Health::Failing);
    share(&rig, 200, 4);
    assert_eq!(rig.hits(), [200, 0, 0]);
    rig.health(Health::Initial);
    let mut client = rig.client();
    assert_eq!(client.get("/").status, 503);
    assert_eq!(client.post("/", b"x").status, 503);
    rig.health(Health::InService);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn the_fewest_outstanding_is_chosen() {
    let rig = Rig::new(&["a", "a"]);
    thread::scope(|scope| {
        let mut slow = rig.client();
        slow.send("GET /slow?400 HTTP/1.1\r\nHost: a\r\n\r\n");
        crate::rig::eventually("the slow request is in flight", || {
            rig.road.board().all().iter().any(|(_, state)| state.outstanding() == 1)
        });
        scope.spawn(|| share(&rig, 50, 1)).join().unwrap();
        assert_eq!(slow.read().unwrap().status, 200);
    });
    let mut hits = rig.hits();
    hits.sort_unstable();
    assert_eq!(hits, [1, 50]);
    assert!(rig.road.board().all().iter().all(|(_, state)| state.outstanding() == 0));
}

#[test]
fn connections_are_spread_over_workers_evenly() {
    let rig = Rig::new(&["a"]);
    let mut clients: Vec<_> = (0..20).map(|_| rig.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(rig.meters().open_clients, 20);
}
