//! What the road allocates for a request on a connection that is kept alive: nothing. In a process where client and
//! instance allocate nothing either, so that every allocation counted is the road's.
#![allow(missing_docs, dead_code, clippy::unwrap_used)]

#[path = "../road/origin.rs"]
mod origin;
#[path = "../road/rig.rs"]
mod rig;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::rig::{Rig, address};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\nX-A:  b \r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

/// Answers every read whose end completes a message: each request here comes in one piece.
fn instance(listener: TcpListener) {
    for stream in listener.incoming() {
        thread::spawn(move || {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            while stream.read(&mut bytes).is_ok_and(|n| n > 0) && stream.write_all(ANSWER).is_ok() {}
        });
    }
}

fn ask(client: &mut TcpStream, request: &[u8]) {
    client.write_all(request).unwrap();
    let mut bytes = [0; 4096];
    let mut seen = 0;
    while !bytes[..seen].ends_with(b"\r\n\r\nhello") {
        let got = client.read(&mut bytes[seen..]).unwrap();
        assert!(got > 0, "closed after {:?}", bytes[..seen].escape_ascii().to_string());
        seen += got;
    }
}

#[test]
fn a_request_on_a_connection_that_is_kept_alive_allocates_nothing() {
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    for _ in 0..2 {
        let listener = TcpListener::bind((address(), 0)).unwrap();
        rig.add_target("a", listener.local_addr().unwrap());
        thread::spawn(move || instance(listener));
    }
    rig.publish();
    let listener = (rig.routes.nodes[0].address, rig.routes.listeners[0].bind_port.number());
    let mut clients = [(); 4].map(|()| TcpStream::connect(listener).unwrap());
    clients.iter().for_each(|client| client.set_read_timeout(Some(Duration::from_secs(10))).unwrap());
    let mut round = |count| {
        for n in 0..count {
            for client in &mut clients {
                ask(client, if n % 2 == 0 { REQUEST } else { POST });
            }
        }
    };
    // A connection's first moments are not its steady state: the wheel has it looked at once, a tick after it came.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(100) {
        round(10);
    }
    let region = Region::new(COUNTED);
    round(500);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "over 2000 requests: {change:?}");
}
