//! What instances and clients do wrong, and what becomes of it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::road::RoadConfig;

use crate::origin::ProcessOrigin;
use crate::rig::{Client, Rig, address, eventually, free_port};

#[test]
fn a_refused_connection_is_tried_elsewhere_for_any_method() {
    let mut rig = Rig::new(&["a"]);
    let ip = address();
    let dead = SocketAddr::new(ip, free_port(ip).number());
    let id = rig.add_target("a", dead);
    rig.publish();
    let suspicions = rig.road.suspicions().unwrap();
    assert!(rig.road.suspicions().is_none());
    let mut client = rig.client();
    for _ in 0..20 {
        assert_eq!(client.post("/", b"x").status, 200);
    }
    assert_eq!(suspicions.recv_timeout(Duration::from_secs(5)).unwrap(), (rig.routes.name.clone(), id));
    let meters = rig.meters();
    // Once suspect it is passed over, and asked about once.
    assert_eq!((meters.connect_errors, meters.retries), (1, 1));
    assert!(suspicions.try_recv().is_err());
    // When all are suspect they are tried all the same; when all refuse, the client is told.
    rig.origins[0].stop();
    eventually("the instance is seen to be gone", || client.get("/").status == 503);
    assert_eq!(client.get("/").line(), "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity");
}

#[test]
fn an_unreachable_instance_costs_no_more_than_the_connect_timeout() {
    let config = RoadConfig { workers: 1, connect_timeout: Duration::from_millis(200), ..RoadConfig::default() };
    let mut rig = Rig::with(&[], Protocol::Http, config);
    // A listener whose queue is full answers no SYN.
    let full = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    let at = SocketAddr::new(address(), 0);
    rustix::net::bind(&full, &at).unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let at: SocketAddr = rustix::net::getsockname(&full).unwrap().try_into().unwrap();
    let fill: Vec<_> = (0..4)
        .map(|_| {
            let flags = rustix::net::SocketFlags::NONBLOCK;
            let s = rustix::net::socket_with(
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::STREAM,
                flags,
                None,
            )
            .unwrap();
            let _ = rustix::net::connect(&s, &at);
            s
        })
        .collect();
    rig.add_target("a", at);
    rig.add_origin("a");
    rig.publish();
    let began = Instant::now();
    let mut client = rig.client();
    for _ in 0..10 {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(rig.meters().connect_errors, 1);
    drop(fill);
}

#[test]
fn a_connection_closed_before_the_answer_is_retried_only_when_that_is_harmless() {
    let rig = Rig::new(&["a", "a"]);
    let mut client = rig.client();
    // Both instances hang up on a fresh connection, so the retry fails as well.
    let answer = client.get("/hang-up");
    assert_eq!(answer.line(), "HTTP/1.1 504 GATEWAY_TIMEOUT");
    assert_eq!((answer.field("content-length"), answer.field("connection")), (Some("0"), Some("keep-alive")));
    assert_eq!(rig.hits(), [1, 1]);
    assert_eq!(client.post("/hang-up", b"once").status, 504);
    assert_eq!(rig.hits().iter().sum::<u64>(), 3);
    assert_eq!(rig.meters().from_balancer[&Fault::ClosedBeforeAnswer], 2);
}

#[test]
fn an_idle_connection_that_the_instance_closed_is_never_used() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    for _ in 0..20 {
        assert_eq!(client.post("/length", b"abc").text(), "3");
        rig.origins[0].hang_up();
        eventually("the instance has closed it", || rig.origins[0].open() == 0);
    }
    assert_eq!(rig.meters().from_balancer.get(&Fault::ClosedBeforeAnswer), None);
}

#[test]
fn the_first_request_of_a_client_goes_on_a_new_connection_where_it_may_not_be_sent_twice() {
    let rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    let check = |client: &mut Client, is_post: bool, connections: u64| {
        let answer = if is_post { client.post("/length", b"abc") } else { client.get("/length") };
        assert_eq!((answer.status, rig.origins[0].connections()), (200, connections));
    };
    let mut client = rig.client();
    check(&mut client, true, 1);
    check(&mut client, true, 1);
    check(&mut rig.client(), false, 1);
    let mut other = rig.client();
    check(&mut other, true, 2);
    check(&mut other, true, 2);
    check(&mut rig.client(), false, 2);
}

#[test]
fn a_post_never_meets_a_connection_that_was_closed_before() {
    // An instance that ends each connection with its answer, and does not say so.
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.add_target("a", listener.local_addr().unwrap());
    rig.publish();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\nx") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                head.push(byte[0]);
            }
            // The end goes with the last bytes.
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            rustix::net::send(&stream, answer, rustix::net::SendFlags::MORE).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        }
    });
    let mut client = rig.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    for _ in 0..20 {
        client.send(post.repeat(10));
        for _ in 0..10 {
            assert_eq!(client.read().unwrap().text(), "ok");
        }
    }
    let meters = rig.meters();
    assert_eq!((meters.requests, meters.retries, meters.from_balancer.len()), (200, 0, 0));
}

#[test]
fn answers_that_lie_are_not_passed_on() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    let answer = client.get("/garbage");
    assert_eq!((answer.line(), answer.field("connection")), ("HTTP/1.1 502 BAD_GATEWAY", Some("Close")));
    assert!(client.is_closed());
    for path in ["/truncated", "/truncated-chunk"] {
        let mut client = rig.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(client.read().is_err(), "{path} looked complete");
    }
    let mut old = rig.client();
    old.send("GET /truncated-chunk HTTP/1.0\r\n\r\n");
    let mut got = Vec::new();
    let error = std::io::Read::read_to_end(&mut old.stream, &mut got).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(rig.meters().from_balancer[&Fault::TruncatedAnswer], 3);
}

#[test]
fn a_client_that_leaves_frees_its_instance() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    client.send("GET /slow?300 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is in flight", || rig.road.board().all()[0].1.outstanding() == 1);
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
    drop(client);
    eventually("nothing is in flight", || rig.road.board().all()[0].1.outstanding() == 0);
    assert_eq!(rig.meters().from_balancer[&Fault::ClientGone], 1);
    assert_eq!(rig.meters().open_clients, 0);
}

#[test]
fn an_instance_killed_under_load_loses_no_get() {
    let mut rig = Rig::new(&["a"]);
    let mut victims: Vec<_> = (0..3).map(|_| ProcessOrigin::start(address())).collect();
    for victim in &victims {
        rig.add_target("a", victim.address);
    }
    rig.publish();
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for worker in 0..20 {
            let (rig, stop, done, failures) = (&rig, &stop, &done, &failures);
            scope.spawn(move || {
                let mut client = rig.client();
                // 20 clients × 100/s.
                let mut next = Instant::now() + Duration::from_micros(500 * worker);
                while !stop.load(Ordering::Relaxed) {
                    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                    match client.read() {
                        Ok(answer) if answer.status == 200 => {}
                        other => {
                            failures.lock().unwrap().push(format!("{other:?}"));
                            client = rig.client();
                        }
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    next += Duration::from_millis(10);
                    thread::park_timeout(next.saturating_duration_since(Instant::now()));
                }
            });
        }
        let mut goal = 600;
        for victim in &mut victims {
            eventually("traffic flows", || done.load(Ordering::Relaxed) >= goal);
            victim.kill();
            goal = done.load(Ordering::Relaxed) + 600;
        }
        eventually("traffic goes on", || done.load(Ordering::Relaxed) >= goal);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(*failures.lock().unwrap(), Vec::<String>::new());
    let meters = rig.meters();
    eprintln!("{} requests, {} retries, {} refused", meters.requests, meters.retries, meters.connect_errors);
}

#[test]
fn an_unfinished_request_and_a_silent_instance_have_deadlines() {
    let mut rig = Rig::new(&["a"]);
    rig.routes.idle_timeout = Duration::from_millis(400);
    rig.publish();
    let began = Instant::now();
    // Dribbling does not help: the head's deadline is absolute.
    let mut dribble = rig.client();
    let mut half = rig.client();
    half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    let mut silent = rig.client();
    silent.send("GET /slow?3000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut mute = rig.client();
    dribble.send("GET / HTTP/1.1\r\n");
    while began.elapsed() < Duration::from_secs(3) && dribble.stream.write_all(b"a: b\r\n").is_ok() {
        dribble.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        if let Ok(answer) = dribble.read() {
            assert_eq!((answer.line(), answer.field("connection")), ("HTTP/1.1 408 REQUEST_TIMEOUT", Some("Close")));
            break;
        }
    }
    assert!(
        began.elapsed() > Duration::from_millis(350) && began.elapsed() < Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(half.read().unwrap().status, 408);
    assert_eq!(silent.read().unwrap().line(), "HTTP/1.1 504 GATEWAY_TIMEOUT");
    assert!(mute.is_closed());
    assert!(began.elapsed() < Duration::from_secs(3));
    // Idle between requests: closed without a word. Active ones live on.
    let mut client = rig.client();
    for _ in 0..8 {
        assert_eq!(client.get("/slow?100").status, 200);
    }
    assert!(client.is_closed());
}
