//! What clients and instances see of each other.

use std::io::Write;
use std::net::Shutdown;

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Client, Rig, eventually};

#[test]
fn an_instance_sees_a_clean_request_and_who_sent_it() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    client.send("GET /head HTTP/1.1\r\nHost: h\r\nConnection: X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\nX-Forwarded-For: 9.9.9.9\r\nA: b\r\n\r\n");
    let answer = client.read().unwrap();
    let wanted = "GET /head HTTP/1.1\r\nHost: h\r\nA: b\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\r\n";
    let client_ip = client.stream.local_addr().unwrap().ip().to_string();
    assert_eq!(answer.text(), wanted.replace("127.0.0.1", &client_ip));
}

#[test]
fn connections_are_kept_on_both_sides() {
    // Workers do not share idle connections.
    let config = RoadConfig { workers: 1, ..RoadConfig::default() };
    let rig = Rig::with(&["a"], Protocol::Http, config);
    let mut client = rig.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(rig.origins[0].connections(), 1);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.read().unwrap().field("connection"), Some("close"));
    assert!(client.is_closed());
    // The instance's connection outlives the client's, and an instance may end it after any answer.
    let mut client = rig.client();
    assert_eq!(client.get("/close").text(), "ok");
    assert_eq!(rig.origins[0].connections(), 1);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(rig.origins[0].connections(), 2);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::new(&["a", "a"]);
    let mut client = rig.client();
    let mut wire = Vec::new();
    for n in 0..20 {
        let body = "x".repeat(n);
        write!(wire, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{body}").unwrap();
    }
    client.send(&wire);
    for n in 0..20 {
        assert_eq!(client.read().unwrap().text(), n.to_string());
    }
    // The same, byte by byte.
    for byte in &wire {
        client.send([*byte]);
    }
    for n in 0..20 {
        assert_eq!(client.read().unwrap().text(), n.to_string());
    }
}

#[test]
fn large_bodies_keep_their_place_among_pipelined_answers() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    let sizes = [0, 1, 2047, 2048, 2049, 65_000, 65_536, 300_000, 5];
    for size in sizes {
        client.send(format!("GET /big?{size} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    client.send("GET / HTTP/1.1\r\n\r\n");
    for size in sizes {
        let answer = client.read().unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, size));
        assert!(answer.body.iter().all(|b| *b == answer.body[0]), "{size}");
    }
    assert_eq!(client.read().unwrap().status, 400);
    assert!(client.is_closed());
}

#[test]
fn old_clients_are_answered_as_they_understand() {
    let rig = Rig::new(&["a"]);
    let ask = |wire: &str| {
        let mut client = rig.client();
        client.send(wire);
        client
    };
    let mut client = ask("GET /chunked HTTP/1.0\r\n\r\n");
    let answer = client.read().unwrap();
    assert_eq!((answer.text().as_str(), answer.field("transfer-encoding")), ("abcdefgh", None));
    assert_eq!(answer.field("connection"), Some("close"));
    let mut client = ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.read().unwrap().field("connection"), Some("keep-alive"));
    assert_eq!(client.get("/").status, 200);
    let mut client = ask("GET /until-close HTTP/1.0\r\n\r\n");
    assert_eq!(client.read().unwrap().text(), "until the end");
    let mut client = ask("GET /head HTTP/1.0\r\n\r\n");
    assert!(client.read().unwrap().text().contains(&format!("Host: {}\r\n", rig.address().ip())));
    assert!(client.is_closed());
    let mut client = ask("GET /interim HTTP/1.0\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 200);
}

#[test]
fn answers_without_a_body_leave_the_connection_right() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    client.send("HEAD /big?1000 HTTP/1.1\r\nHost: a\r\n\r\n");
    // This instance sends a body to HEAD: it must reach nobody.
    let answer = client.read_answer(true).unwrap();
    assert_eq!((answer.status, answer.field("content-length")), (200, Some("1000")));
    eventually("the instance's connection is closed", || rig.origins[0].open() == 0);
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read_answer(true).unwrap().field("content-length").is_some());
    assert_eq!(client.get("/204").status, 204);
    assert_eq!(client.get("/304").field("content-length"), Some("500"));
    assert_eq!(client.get("/two").text(), "ok");
    assert_eq!(client.get("/500").line(), "HTTP/1.1 500 Oops");
    assert_eq!(client.get("/interim").status, 103);
    assert_eq!(client.read().unwrap().text(), "final");
    assert_eq!(client.get("/").text(), rig.origins[0].address.to_string());
    assert_eq!(rig.meters().from_instance[4], 1);
}

#[test]
fn what_has_two_readings_is_refused_and_never_reaches_an_instance() {
    let rig = Rig::new(&["a"]);
    let cases = [
        (
            "400 BAD_REQUEST",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        ),
        ("400 BAD_REQUEST", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("405 METHOD_NOT_ALLOWED", &format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(128))),
        ("417 EXPECTATION_FAILED", "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"),
        (
            "431 REQUEST_HEADER_FIELDS_TOO_LARGE",
            &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(200)),
        ),
        ("501 NOT_IMPLEMENTED", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        ("505 HTTP_VERSION_NOT_SUPPORTED", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    for (line, wire) in cases {
        let mut client = rig.client();
        client.send(wire);
        let answer = client.read().unwrap();
        assert_eq!(answer.line(), format!("HTTP/1.1 {line}"));
        assert_eq!((answer.field("content-length"), answer.field("connection")), (Some("0"), Some("Close")));
        assert!(client.is_closed(), "{line}");
    }
    assert_eq!(rig.hits(), [0]);
    // A bad chunk is seen after the head was sent on: the instance must never see the request complete.
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 400);
    assert!(client.is_closed());
    assert_eq!(rig.hits(), [0]);
}

#[test]
fn continue_is_said_by_the_balancer() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    client.send("POST /head HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 100);
    client.send("ok");
    let answer = client.read().unwrap();
    assert_eq!(answer.status, 200);
    assert!(!answer.text().to_ascii_lowercase().contains("expect"));
}

#[test]
fn a_client_that_closed_its_side_is_still_answered() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    client.send("GET /slow?100 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read().unwrap().status, 200);
    assert!(client.is_closed());
    eventually("the client is let go of", || rig.meters().open_clients == 0);
    // Half a body is no request.
    let mut client = rig.client();
    client.send("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.read().is_err());
    assert_eq!(rig.hits(), [1]);
}

#[test]
fn an_answer_before_the_end_of_the_request_is_delivered_and_the_rest_is_no_request() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome");
    let answer = client.read().unwrap();
    assert_eq!((answer.status, answer.field("connection")), (413, Some("close")));
    let _ = client.stream.write_all(b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.is_closed());
    assert_eq!(rig.hits(), [1]);
    assert_eq!(Client::connect(rig.address()).get("/").status, 200);
}
