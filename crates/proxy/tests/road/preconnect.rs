//! Connections to instances that are there before anybody asks.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{InstanceHttp, Phase};
use evenkeel_proxy::connections::{Connection, Kind, State};
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Client, Rig, address, eventually, free_port};
use crate::tls_rig::{Made, TlsOrigin, believes};

/// A road that keeps so many ready.
fn rig(workers: usize, zones: &[&str], preconnect: u32) -> Rig {
    let mut rig = Rig::with(zones, Protocol::Http, RoadConfig { workers, ..RoadConfig::default() });
    rig.routes.balancing.preconnect = preconnect;
    rig.publish();
    rig
}

/// Connections that are made and have carried nothing.
fn unused(rig: &Rig) -> Vec<Connection> {
    let rows = rig.road.connections(1000, Duration::from_secs(10)).rows;
    rows.into_iter().filter(|row| row.state == State::Unused).collect()
}

fn await_unused(rig: &Rig, count: usize) {
    eventually("so many are ready", || unused(rig).len() == count);
}

/// Says which of its connections each request came on, the first being 0.
fn recorder() -> (SocketAddr, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let (at, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let record = Arc::clone(&asked);
    thread::spawn(move || {
        for (index, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let record = Arc::clone(&record);
            thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if line.is_empty() {
                        record.lock().unwrap().push(index);
                        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                    }
                }
            });
        }
    });
    (at, asked)
}

#[test]
fn each_worker_has_them_before_the_first_request() {
    let rig = rig(2, &["a", "a"], 3);
    await_unused(&rig, 12);
    eventually("both have taken theirs", || rig.origins.iter().all(|origin| origin.connections() == 6));
    let rows = unused(&rig);
    assert!(rows.iter().all(|row| row.kind == Kind::Pool && row.client.is_none()), "{rows:?}");
    for target in &rig.routes.targets {
        let its = rows.iter().filter(|row| row.instance.as_deref() == Some(target.instance.as_str()));
        assert_eq!(its.map(|row| row.worker).sum::<usize>(), 3);
    }
    // They are no requests, and nobody waits for anything.
    assert!(rig.is_empty() && rig.meters().requests == 0);
    let connects: u64 = rig.road.meters().balancers[&rig.routes.name].targets.values().map(|sum| sum.connects).sum();
    assert_eq!(connects, 12);
}

#[test]
fn without_the_setting_there_are_none() {
    let mut rig = rig(1, &["a"], 0);
    assert_eq!(rig.client().post("/", b"x").status, 200);
    assert_eq!((rig.origins[0].connections(), unused(&rig).len()), (1, 0));
    rig.routes.balancing.preconnect = 2;
    rig.publish();
    await_unused(&rig, 2);
    rig.routes.balancing.preconnect = 1;
    rig.publish();
    await_unused(&rig, 1);
    // Those that have served stay.
    rig.routes.balancing.preconnect = 0;
    rig.publish();
    await_unused(&rig, 0);
    eventually("they are closed", || rig.origins[0].open() == 1);
    assert_eq!(rig.client().get("/").status, 200);
    assert_eq!(rig.origins[0].connections(), 3);
}

#[test]
fn who_may_not_meet_one_that_served_gets_one_and_it_is_made_up_for() {
    let (at, asked) = recorder();
    let mut rig = rig(1, &[], 2);
    rig.add_target("a", at);
    rig.publish();
    await_unused(&rig, 2);
    let last = || *asked.lock().unwrap().last().unwrap();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let mut served = Vec::new();
    for round in 0..5 {
        let mut client = rig.client();
        client.send(post);
        assert_eq!(client.read().unwrap().status, 200);
        // It was there before: those that are made up for it come later.
        assert!(last() < 2 + round && !served.contains(&last()), "{served:?}, {}", last());
        served.push(last());
        // Others go on those that have served, and so do requests behind the first.
        client.send(post);
        assert_eq!(client.read().unwrap().status, 200);
        assert!(served.contains(&last()));
        assert_eq!(rig.client().get("/").status, 200);
        assert!(served.contains(&last()));
        await_unused(&rig, 2);
    }
    let meters = rig.meters();
    assert_eq!((meters.requests, meters.connect_errors, meters.retries), (15, 0, 0));
}

#[test]
fn a_burst_that_is_larger_finds_all_of_them_and_makes_the_rest() {
    let rig = rig(1, &["a"], 4);
    await_unused(&rig, 4);
    let mut clients: Vec<_> = (0..20).map(|_| rig.client()).collect();
    for client in &mut clients {
        client.send("POST /slow?200 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    }
    clients.iter_mut().for_each(|client| assert_eq!(client.read().unwrap().status, 200));
    await_unused(&rig, 4);
    eventually("each was on one of its own, and there are four more", || rig.origins[0].connections() == 24);
}

#[test]
fn one_that_breaks_under_a_request_says_nothing_of_its_instance() {
    let rig = rig(1, &["a"], 1);
    await_unused(&rig, 1);
    // What may not be sent twice is not.
    assert_eq!(rig.client().post("/hang-up", b"once").status, 504);
    assert_eq!(rig.hits(), [1]);
    let state = rig.road.board().all()[0].1.clone();
    assert!(!state.is_suspect());
    await_unused(&rig, 1);
    // The rest is sent once more, on a connection that is made for it: that one says something.
    assert_eq!(rig.client().get("/hang-up").status, 504);
    assert_eq!(rig.hits(), [3]);
}

#[test]
fn one_that_was_closed_meanwhile_meets_no_request() {
    let rig = rig(1, &["a"], 2);
    for _ in 0..3 {
        await_unused(&rig, 2);
        let mut client = rig.client();
        rig.origins[0].hang_up();
        assert_eq!(client.post("/length", b"abc").text(), "3");
    }
    let meters = rig.meters();
    assert_eq!((meters.retries, meters.from_balancer.len()), (0, 0));
}

#[test]
fn who_gets_no_requests_has_none() {
    let mut rig = rig(2, &["a", "c"], 2);
    await_unused(&rig, 8);
    let key = (rig.routes.name.clone(), rig.routes.targets[0].instance.clone());
    let state = rig.road.board().state(&key);
    // Out of service, and back.
    state.set_health(Health::Failing);
    eventually("it has none", || rig.origins[0].open() == 0);
    await_unused(&rig, 4);
    state.set_health(Health::InService);
    await_unused(&rig, 8);
    // Draining, in a zone that is not served, and gone.
    for phase in [Phase::ZoneDisabled, Phase::Draining { until: evenkeel_core::time::Timestamp(u64::MAX) }] {
        rig.routes.targets[0].phase = phase;
        rig.publish();
        eventually("it has none", || rig.origins[0].open() == 0);
        rig.routes.targets[0].phase = Phase::Serving;
        rig.publish();
        await_unused(&rig, 8);
    }
    rig.routes.targets.remove(0);
    rig.publish();
    eventually("it has none", || rig.origins[0].open() == 0);
    await_unused(&rig, 4);
    // Who is out of reach of every node, and who has no weight.
    rig.routes.nodes[0].zone = Some(crate::rig::zone("a"));
    rig.publish();
    eventually("it has none", || rig.origins[1].open() == 0);
    rig.routes.nodes[0].zone = None;
    rig.publish();
    await_unused(&rig, 4);
    rig.routes.targets[0].weight = 0;
    rig.publish();
    eventually("it has none", || rig.origins[1].open() == 0);
}

#[test]
fn there_are_no_more_than_may_be_in_flight() {
    let mut rig = rig(2, &["a"], 8);
    rig.routes.balancing.max_in_flight = 3;
    rig.publish();
    await_unused(&rig, 6);
}

#[test]
fn an_instance_that_closes_them_at_once_is_asked_once_a_second() {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let (at, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let mut rig = rig(1, &["a"], 4);
    let id = rig.add_target("a", at);
    rig.routes.balancing.ejection.after = 1;
    let began = Instant::now();
    rig.publish();
    eventually("it is asked again", || taken.load(Ordering::SeqCst) >= 6);
    // Four at first, then one by one.
    assert!(began.elapsed() > Duration::from_millis(1800), "{:?}", began.elapsed());
    let state = rig.road.board().state(&(rig.routes.name.clone(), id));
    assert!(!state.is_suspect() && !state.is_ejected());
    // The other one has its own.
    await_unused(&rig, 4);
}

#[test]
fn an_instance_that_refuses_them_is_checked_at_once_and_then_once_a_second() {
    let mut rig = rig(1, &["a"], 4);
    let ip = address();
    let dead = SocketAddr::new(ip, free_port(ip).number());
    let id = rig.add_target("a", dead);
    let suspicions = rig.road.suspicions().unwrap();
    rig.publish();
    let key = (rig.routes.name.clone(), id);
    assert_eq!(suspicions.recv_timeout(Duration::from_secs(5)).unwrap(), key);
    let state = rig.road.board().state(&key);
    assert!(state.is_suspect());
    // No request has failed by it, and none is sent there.
    assert_eq!(rig.client().post("/", b"x").status, 200);
    assert_eq!((rig.meters().retries, rig.hits()), (0, vec![1]));
    // A check that passes has it tried again, but not in a hurry.
    let began = Instant::now();
    for _ in 0..2 {
        state.trust();
        assert_eq!(suspicions.recv_timeout(Duration::from_secs(5)).unwrap(), key);
    }
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    assert!((3..=6).contains(&rig.meters().connect_errors), "{}", rig.meters().connect_errors);
}

#[test]
fn those_that_grow_old_are_replaced() {
    let mut rig = rig(1, &["a"], 0);
    rig.routes.timeouts.pool = Some(Duration::from_millis(1600));
    rig.routes.balancing.preconnect = 2;
    let began = Instant::now();
    rig.publish();
    eventually("all were replaced twice", || rig.origins[0].connections() >= 6);
    assert!(began.elapsed() > Duration::from_millis(1400), "{:?}", began.elapsed());
    await_unused(&rig, 2);
    // One that its instance closes after a while is replaced at once.
    eventually("they have lasted", || unused(&rig).iter().all(|row| row.age_ms >= 1000));
    rig.origins[0].hang_up();
    await_unused(&rig, 2);
}

#[test]
fn handshakes_with_instances_are_done_before_anybody_asks() {
    let made = Made::new(&["app.internal"]);
    let origin = TlsOrigin::start(&made, false);
    let mut rig = rig(1, &[], 3);
    rig.add_target("a", origin.at);
    rig.routes.listeners[0].instance_protocol = Protocol::Https;
    rig.routes.listeners[0].instance_tls = believes(&made, Some("app.internal"));
    rig.publish();
    await_unused(&rig, 3);
    // Tickets that follow the handshake end none of them.
    eventually("they stay", || unused(&rig).iter().all(|row| row.age_ms >= 300));
    assert_eq!((unused(&rig).len(), origin.handshakes.load(Ordering::SeqCst)), (3, 3));
    let mut client = rig.client();
    for round in 0..3 {
        assert_eq!(client.post("/echo", b"hello").text(), "hello", "{round}");
    }
    eventually("it is made up for", || origin.handshakes.load(Ordering::SeqCst) == 4);
    await_unused(&rig, 3);
    // One whose certificate is not believed is no connection.
    rig.routes.listeners[0].instance_tls = believes(&Made::new(&["app.internal"]), Some("app.internal"));
    rig.publish();
    let state = rig.road.board().all()[0].1.clone();
    eventually("it is suspect", || state.is_suspect());
    assert_eq!(unused(&rig).len(), 0);
    // Believed again, it is tried again when a check says so.
    rig.routes.listeners[0].instance_tls = believes(&made, Some("app.internal"));
    rig.publish();
    eventually("so many are ready", || {
        state.trust();
        unused(&rig).len() == 3
    });
}

#[test]
fn neither_tcp_nor_http2_has_any() {
    let mut rig = rig(1, &["a"], 2);
    await_unused(&rig, 2);
    rig.routes.listeners[0].instance_http = InstanceHttp::Two;
    rig.publish();
    await_unused(&rig, 0);
    rig.routes.listeners[0].instance_http = InstanceHttp::One;
    rig.routes.listeners[0].protocol = Protocol::Tcp;
    rig.routes.listeners[0].instance_protocol = Protocol::Tcp;
    rig.publish();
    eventually("it has none", || rig.origins[0].open() == 0);
    assert_eq!(rig.client().get("/").status, 200);
    assert_eq!((rig.origins[0].connections(), unused(&rig).len()), (3, 0));
}

#[test]
fn changes_under_load_lose_nothing_and_leave_none_behind() {
    let mut rig = rig(2, &["a", "a", "a"], 3);
    let (at, stop, done) = (rig.address(), AtomicBool::new(false), AtomicU64::new(0));
    let failed = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut failed = 0;
                    while !stop.load(Ordering::Relaxed) {
                        failed += u32::from(Client::connect(at).post("/length", b"x").status != 200);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    failed
                })
            })
            .collect();
        for round in 0..60 {
            let state = rig.road.board().state(&(rig.routes.name.clone(), rig.routes.targets[1].instance.clone()));
            match round % 6 {
                0 => rig.routes.targets[0].phase = Phase::ZoneDisabled,
                1 => rig.routes.balancing.preconnect = 1,
                2 => state.set_health(Health::Failing),
                3 => rig.routes.targets[0].phase = Phase::Serving,
                // As if it had been registered anew; with it come those that were out.
                4 => rig.routes.targets[2].instance = crate::rig::instance(100 + round),
                _ => rig.routes.balancing.preconnect = 3,
            }
            if round % 6 != 2 {
                rig.publish();
            }
            let goal = done.load(Ordering::Relaxed) + 20;
            eventually("requests flow", || done.load(Ordering::Relaxed) >= goal);
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<u32>()
    });
    assert_eq!((failed, rig.meters().from_balancer.len(), rig.meters().connect_errors), (0, 0, 0));
    await_unused(&rig, 18);
    eventually("nothing else is left", || {
        let rows = rig.road.connections(1000, Duration::from_secs(10)).rows;
        rig.is_empty() && rows.len() == rig.origins.iter().map(|origin| origin.open()).sum::<usize>()
    });
}

#[test]
fn a_road_that_stops_lets_go_of_them() {
    let rig = rig(1, &["a"], 2);
    await_unused(&rig, 2);
    let mut busy = rig.client();
    busy.send("GET /slow?1500 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is in flight", || rig.hits() == [1]);
    await_unused(&rig, 2);
    eventually("one was made up for it", || rig.origins[0].connections() == 3);
    let Rig { road, origins, .. } = rig;
    let stopping = thread::spawn(move || road.stop(Duration::from_secs(5)));
    eventually("only what is in flight is left", || origins[0].open() == 1);
    assert_eq!(busy.read().unwrap().status, 200);
    stopping.join().unwrap();
    assert_eq!(origins[0].connections(), 3);
}
