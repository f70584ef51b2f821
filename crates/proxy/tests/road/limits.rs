//! No connection to be had.

use std::time::Duration;

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Rig, eventually};

#[test]
fn at_the_cap_clients_wait_and_nothing_spins() {
    let config = RoadConfig { workers: 2, max_connections: 4, ..RoadConfig::default() };
    let rig = Rig::with(&["a"], Protocol::Http, config);
    let mut held: Vec<_> = (0..4).map(|_| rig.client()).collect();
    held.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    let mut waiting = rig.client();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("accepting rests", || rig.road.meters().accept_pauses > 0);
    waiting.stream.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    assert!(waiting.read().is_err());
    assert!(rig.road.meters().accept_pauses < 20);
    held.pop();
    waiting.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(waiting.read().unwrap().status, 200);
}
