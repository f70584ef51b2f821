//! Requests that come while nobody is in service wait, where instances come for them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Node, Phase};
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::road::RoadConfig;

use crate::h2_rig;
use crate::queue::{Patient, ask, assert_calm, last, waiting, workers};
use crate::rig::{Client, Rig, address, balancer_name, eventually, zone};
use crate::tls_rig::{self, Made};
use crate::upgrade::Switcher;

/// A road without an instance, for which instances come.
fn empty(protocol: Protocol, config: RoadConfig) -> Rig {
    let mut rig = Rig::with(&[], protocol, config);
    rig.routes.wakes = true;
    rig.publish();
    rig
}

/// So many ask one after the other.
fn crowd(rig: &Rig, count: u64) -> Vec<Client> {
    (1..=count).map(|n| ask(rig, &format!("/{n}"), n)).collect()
}

fn paths(count: u64) -> Vec<String> {
    (1..=count).map(|n| format!("/{n}")).collect()
}

#[test]
fn who_comes_first_waits_for_the_first_instance_and_all_are_let_go_at_once() {
    let mut rig = empty(Protocol::Http, workers(2));
    let calls = rig.road.calls().unwrap();
    assert_eq!(rig.road.called(), []);
    let mut clients = crowd(&rig, 6);
    calls.recv_timeout(Duration::from_secs(10)).expect("it is told at once");
    assert_eq!(rig.road.called(), [balancer_name()]);
    // One that boots is not asked yet, nor is one that fails its checks.
    let patient = Patient::start();
    rig.add_target("a", patient.address);
    rig.publish_unjudged();
    rig.health(Health::Failing);
    clients.push(ask(&rig, "/7", 7));
    assert!(patient.asked().is_empty() && rig.road.called() == [balancer_name()]);
    rig.health(Health::InService);
    eventually("all are asked", || patient.asked().len() == 7);
    let mut asked = patient.asked();
    asked.sort();
    assert_eq!(asked, paths(7));
    calls.recv_timeout(Duration::from_secs(10)).expect("it is told that nobody waits any more");
    assert_eq!((rig.road.called(), waiting(&rig)), (vec![], 0));
    (0..7).for_each(|_| patient.answer());
    assert!(clients.iter_mut().all(|client| client.read().unwrap().status == 200));
    // Who comes then is served as ever.
    let mut after = rig.client();
    after.send("GET /8 HTTP/1.1\r\nHost: a\r\n\r\n");
    patient.waits_with(&["/8"]);
    patient.answer();
    assert_eq!(after.read().unwrap().status, 200);
    assert_calm(&rig);
    let meters = rig.meters();
    assert_eq!((meters.surge_queue_max, meters.requests, meters.from_balancer.len()), (7, 8, 0));
}

#[test]
fn they_are_let_go_in_their_order_where_an_instance_takes_one_at_a_time() {
    let mut rig = empty(Protocol::Http, workers(2));
    rig.routes.balancing.max_in_flight = 1;
    rig.publish();
    let mut clients = crowd(&rig, 8);
    let patient = Patient::start();
    rig.add_target("a", patient.address);
    // Both workers know it before it is in service: else it goes to whoever's worker knows it first.
    rig.publish_unjudged();
    rig.health(Health::InService);
    for path in paths(8) {
        patient.waits_with(&[&path]);
        patient.answer();
    }
    assert!(clients.iter_mut().all(|client| client.read().unwrap().status == 200));
    assert_calm(&rig);
}

#[test]
fn the_wait_is_bounded_in_number_and_in_time() {
    let path = std::env::temp_dir().join(format!("evenkeel-road-{}-zero.log", std::process::id()));
    let log = Some(LogConfig { path: path.clone(), format: Format::Json, rotate_bytes: 0, keep: 0 });
    let mut rig = empty(Protocol::Http, RoadConfig { workers: 2, log, ..RoadConfig::default() });
    let balancing = &mut rig.routes.balancing;
    (balancing.queue_length, balancing.queue_wait, balancing.boot_wait) =
        (2, Duration::from_secs(1), Duration::from_secs(2));
    rig.publish();
    let began = Instant::now();
    let mut clients = crowd(&rig, 2);
    assert_eq!(rig.client().get("/no-room").status, 503);
    eventually("it is counted", || rig.meters().spillover() == 1);
    assert!(clients.iter_mut().all(|client| client.read().unwrap().status == 503));
    assert!(began.elapsed() > Duration::from_millis(1900), "{:?}", began.elapsed());
    let record = last(&path, 3);
    assert_eq!(record["cause"], "waited in the queue for 2 s: no instance came in service");
    assert_eq!(rig.meters().from_balancer[&Fault::QueueTimeout], 2);
    // Where instances come no more, nobody waits, and who waits is told.
    let mut waits = ask(&rig, "/3", 1);
    rig.routes.wakes = false;
    rig.publish();
    assert_eq!((waits.read().unwrap().status, rig.client().get("/4").status), (503, 503));
    assert_eq!(rig.meters().from_balancer[&Fault::NoTarget], 2);
    assert_calm(&rig);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn who_goes_away_is_not_waited_for() {
    let rig = empty(Protocol::Http, workers(2));
    let mut clients = crowd(&rig, 3);
    let reset = |client: Client| {
        rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
    };
    reset(clients.remove(0));
    eventually("it has left", || waiting(&rig) == 2);
    drop(clients);
    eventually("all have left", || waiting(&rig) == 0);
    assert_eq!(rig.road.called(), []);
    let rig = empty(Protocol::Tcp, workers(2));
    let (one, other, mut third) = (rig.client(), rig.client(), rig.client());
    eventually("they wait", || waiting(&rig) == 3);
    reset(one);
    // It has said nothing and ends: nobody is there any more.
    drop(other);
    eventually("two have left", || waiting(&rig) == 1);
    // This one has said something, and is there for the answer.
    third.send("hello");
    third.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(waiting(&rig), 1);
}

#[test]
fn connections_streams_and_websockets_wait_as_requests_do() {
    // TCP, and TLS in front of it.
    let made = Made::new(&["test"]);
    for protocol in [Protocol::Tcp, Protocol::Ssl] {
        let mut rig = tls_rig::rig(protocol, Protocol::Tcp, &made, &[]);
        rig.routes.wakes = true;
        rig.publish();
        let at = rig.address();
        let settings = Arc::new(tls_rig::settings(&[&made], rustls::ALL_VERSIONS));
        let asks = thread::spawn(move || match protocol {
            Protocol::Tcp => tls_rig::get(&mut TcpStream::connect(at).unwrap(), "/"),
            _ => tls_rig::get(&mut tls_rig::connect(at, &settings, "test").unwrap(), "/"),
        });
        eventually("it waits", || waiting(&rig) == 1);
        rig.add_origin("a");
        rig.publish();
        assert!(asks.join().unwrap().unwrap().0.starts_with("HTTP/1.1 200"), "{protocol:?}");
    }
    // A WebSocket.
    let mut rig = empty(Protocol::Http, workers(1));
    let switcher = Switcher::start(None);
    let mut client = rig.client();
    client.send("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    eventually("it waits", || waiting(&rig) == 1);
    rig.add_target("a", switcher.at);
    rig.publish();
    assert_eq!(client.read().unwrap().status, 101);
    // Streams of one HTTP/2 connection, and a body that comes meanwhile.
    let mut rig = empty(Protocol::Http, workers(1));
    rig.routes.listeners[0].http2 = true;
    rig.publish();
    let mut posts = rig.client();
    posts.send("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    eventually("one waits", || waiting(&rig) == 1);
    let mut body = posts.stream.try_clone().unwrap();
    let sends = thread::spawn(move || body.write_all(&vec![b'x'; 300_000]).unwrap());
    h2_rig::run(async {
        let client = h2_rig::client(rig.address(), None).await;
        let asks: Vec<_> = (0..10)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { h2_rig::ask(&client, "/", None).await.unwrap().status })
            })
            .collect();
        h2_rig::until("all wait", || waiting(&rig) == 11).await;
        rig.add_origin("a");
        rig.publish();
        for ask in asks {
            assert_eq!(ask.await.unwrap(), 200);
        }
    });
    assert_eq!(posts.read().unwrap().status, 200);
    sends.join().unwrap();
}

#[test]
fn a_zone_without_an_instance_sends_to_the_others() {
    let mut rig = empty(Protocol::Http, workers(2));
    let other = address();
    rig.routes.nodes[0].zone = Some(zone("a"));
    rig.routes.nodes.push(Node { zone: Some(zone("b")), address: other });
    rig.publish();
    let at = (other, rig.address().port());
    let mut there = Client::connect(at.into());
    there.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut here = ask(&rig, "/", 2);
    rig.add_origin("a");
    rig.publish();
    assert_eq!((there.read().unwrap().status, here.read().unwrap().status), (200, 200));
    assert_eq!((there.get("/").status, here.get("/").status, rig.hits()), (200, 200, vec![4]));
    // Once it has one of its own, it keeps to that.
    rig.add_origin("b");
    rig.publish();
    (0..10).for_each(|_| assert_eq!(there.get("/").status, 200));
    assert_eq!(rig.hits(), [4, 10]);
    // Without the prospect of an instance it stands alone, as ever.
    rig.routes.wakes = false;
    rig.routes.targets[1].phase = Phase::ZoneDisabled;
    rig.publish();
    assert_eq!((there.get("/").status, here.get("/").status), (503, 200));
}

/// Instances come and go at the same moments at which requests do, over and over: nobody is forgotten, and none is refused.
#[test]
fn nobody_is_forgotten_whenever_an_instance_comes() {
    let mut rig = empty(Protocol::Http, workers(2));
    for round in 0..30 {
        let at = rig.address();
        let asks: Vec<_> = (0..20)
            .map(|n| {
                thread::spawn(move || {
                    thread::park_timeout(Duration::from_micros(n * 100));
                    Client::connect(at).get("/").status
                })
            })
            .collect();
        rig.add_origin("a");
        rig.publish_unjudged();
        if round % 3 == 0 {
            eventually("all wait", || waiting(&rig) == 20);
        }
        rig.health(Health::InService);
        for ask in asks {
            assert_eq!(ask.join().unwrap(), 200, "round {round}");
        }
        rig.routes.targets.clear();
        rig.publish_unjudged();
    }
    assert_calm(&rig);
    assert_eq!(rig.hits().iter().sum::<u64>(), 600);
}

/// As many as come at once to a group that is empty.
#[test]
fn two_hundred_at_once_are_all_answered() {
    let mut rig = empty(Protocol::Http, workers(2));
    let mut clients: Vec<Client> = (0..200).map(|_| rig.client()).collect();
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    eventually("all wait", || waiting(&rig) == 200);
    rig.add_origin("a");
    rig.publish();
    assert!(clients.iter_mut().all(|client| client.read().unwrap().status == 200));
    assert_eq!((rig.hits(), rig.meters().spillover()), (vec![200], 0));
    let mut rest = Vec::new();
    clients[0].stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(clients[0].stream.read_to_end(&mut rest).unwrap(), 0);
}

/// An instance whose program takes connections one at a time, each only once the one before has been served, and has few of
/// them wait: what does not fit is lost, and comes again a second later.
#[test]
fn an_instance_that_takes_connections_slowly_is_not_run_over() {
    let listener = std::net::TcpListener::bind((address(), 0)).unwrap();
    rustix::net::listen(&listener, 5).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            thread::park_timeout(Duration::from_millis(1));
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    });
    let mut rig = empty(Protocol::Http, workers(2));
    let mut clients = crowd(&rig, 30);
    rig.add_target("a", at);
    rig.publish();
    assert!(clients.iter_mut().all(|client| client.read().unwrap().status == 200));
    assert_calm(&rig);
    assert_eq!(rig.meters().connect_errors, 0);
}

/// One that fails its first request is not given all others as well: they wait for one that is well.
#[test]
fn who_waits_is_not_thrown_at_an_instance_that_refuses() {
    let mut rig = empty(Protocol::Http, workers(2));
    let mut clients = crowd(&rig, 20);
    // Nobody listens there.
    rig.add_target("a", (address(), 1).into());
    rig.publish();
    eventually("the first have failed", || rig.meters().connect_errors > 0);
    rig.health(Health::Failing);
    rig.add_origin("a");
    rig.publish_unjudged();
    let target = rig.routes.targets[1].instance.clone();
    rig.road.board().state(&(balancer_name(), target)).set_health(Health::InService);
    let answers: Vec<u16> = clients.iter_mut().map(|client| client.read().unwrap().status).collect();
    let failed = answers.iter().filter(|status| **status == 503).count();
    assert!((1..=4).contains(&failed), "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 20 - failed);
}
