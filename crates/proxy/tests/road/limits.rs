//! No connection to be had, and heads that are larger than their balancer allows.

use std::time::Duration;

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::Limits;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::road::RoadConfig;

use crate::h2_rig;
use crate::rig::{Client, Rig, eventually};

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

/// A head of that many bytes, with that many fields.
fn head(bytes: usize, fields: usize) -> String {
    let mut text = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
    (1..fields - 1).for_each(|_| text.push_str("a: b\r\n"));
    let pad = bytes - text.len() - "x: \r\n\r\n".len();
    text + "x: " + &"y".repeat(pad) + "\r\n\r\n"
}

#[test]
fn a_head_is_as_large_as_its_balancer_allows() {
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.routes.listeners[0].http2 = true;
    // A connection from before the bound is held to it by its next request.
    let mut client = rig.client();
    assert_eq!(client.get("/").status, 200);
    let whole = |client: &mut Client, bytes, fields| {
        client.send(head(bytes, fields));
        client.read().unwrap().status
    };
    assert_eq!(whole(&mut client, 65_535, 128), 200);
    rig.routes.limits = Limits { max_header_bytes: Some(1000), max_header_fields: Some(20), ..Limits::default() };
    rig.publish();
    assert_eq!(whole(&mut client, 1000, 20), 200);
    // An empty line before a head is not of it.
    client.send("\r\n");
    assert_eq!(whole(&mut client, 1000, 20), 200);
    for (bytes, fields) in [(1001, 20), (1000, 21)] {
        let mut client = rig.client();
        assert_eq!(whole(&mut client, bytes, fields), 431, "{bytes} {fields}");
        assert!(client.is_closed());
    }
    // One that has no end is refused as soon as it is too long.
    let mut client = rig.client();
    client.send(&head(1100, 5)[..1001]);
    assert_eq!(client.read().unwrap().status, 431);
    assert_eq!(rig.meters().from_balancer, [(Fault::HeadTooLarge, 3)].into());
    // Over HTTP/2 it is one stream's.
    h2_rig::run(async {
        let client = h2_rig::client(rig.address(), None).await;
        let ask = async |name: &str, length: usize| {
            let request = http::Request::get("http://a.example/").header(name, "y".repeat(length)).body(()).unwrap();
            let (answer, _) = client.clone().ready().await.unwrap().send_request(request, true).unwrap();
            answer.await.unwrap().status().as_u16()
        };
        assert_eq!(ask("x", 800).await, 200);
        assert_eq!(ask("x", 1000).await, 431);
        assert_eq!(ask("x", 800).await, 200);
    });
    assert_eq!(rig.origins[0].hits(), 6);
}
