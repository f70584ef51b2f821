//! Instances that fail requests while their health checks pass, and what trying again may cost.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::road::{Failing, RoadConfig};

use crate::queue::Patient;
use crate::rig::{Rig, address, eventually};

/// An instance that hangs up on requests, or answers 500, for as long as it is ill.
struct Ill {
    address: SocketAddr,
    ill: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

fn ill(answers: Option<u16>) -> Ill {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let (at, ill, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)), Arc::default());
    let shared = Ill { address: at, ill: Arc::clone(&ill), asked: Arc::clone(&asked) };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (ill, asked) = (Arc::clone(&ill), Arc::clone(&asked));
            thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines().map_while(Result::ok).filter(String::is_empty) {
                    assert_eq!(line, "");
                    asked.fetch_add(1, Ordering::SeqCst);
                    let status = match (ill.load(Ordering::SeqCst), answers) {
                        (false, _) => 200,
                        (true, Some(status)) => status,
                        (true, None) => return,
                    };
                    if write!(writer, "HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    shared
}

fn rig(well: &[&str], ill: &[&Ill]) -> Rig {
    let mut rig = Rig::with(well, Protocol::Http, RoadConfig { workers: 2, ..RoadConfig::default() });
    for one in ill {
        rig.add_target("a", one.address);
    }
    rig.routes.balancing.ejection.after = 3;
    rig.routes.balancing.ejection.base = Duration::from_secs(600);
    rig.publish();
    rig
}

fn is_out(rig: &Rig, target: usize) -> bool {
    rig.road.board().state(&(rig.routes.name.clone(), rig.routes.targets[target].instance.clone())).is_ejected()
}

#[test]
fn who_fails_in_a_row_is_passed_over_and_comes_back() {
    let sick = ill(None);
    let mut rig = rig(&["a", "a"], &[&sick]);
    rig.routes.balancing.ejection.base = Duration::from_secs(2);
    rig.publish();
    let ejections = rig.road.ejections().unwrap();
    assert!(rig.road.ejections().is_none());
    let mut client = rig.client();
    let began = Instant::now();
    for _ in 0..60 {
        assert_eq!(client.get("/").status, 200);
    }
    let ejected = ejections.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(ejected.target.1, rig.routes.targets[2].instance);
    assert_eq!((ejected.failures, ejected.lasts), (3, Duration::from_secs(2)));
    assert_eq!(ejected.why, Failing::Fault(Fault::ClosedBeforeAnswer));
    if began.elapsed() < Duration::from_millis(1900) {
        assert_eq!(sick.asked.load(Ordering::SeqCst), 3);
        assert!(is_out(&rig, 2) && !is_out(&rig, 0));
    }
    let meters = rig.road.meters().balancers[&rig.routes.name].clone();
    assert_eq!((meters.total().ejections, meters.targets[&rig.routes.targets[2].instance].ejections), (1, 1));
    // Still ill after its time, it is passed over for longer.
    eventually("its time is up", || !is_out(&rig, 2));
    eventually("it is out again", || {
        assert_eq!(client.get("/").status, 200);
        is_out(&rig, 2)
    });
    assert_eq!(ejections.recv_timeout(Duration::from_secs(5)).unwrap().lasts, Duration::from_secs(4));
    // Well again after that, it serves.
    sick.ill.store(false, Ordering::SeqCst);
    eventually("its time is up", || !is_out(&rig, 2));
    let asked = sick.asked.load(Ordering::SeqCst);
    for _ in 0..30 {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(sick.asked.load(Ordering::SeqCst) >= asked + 8);
    assert!(ejections.try_recv().is_err());
}

#[test]
fn who_waits_is_served_by_one_whose_time_is_over_though_nobody_else_lets_go() {
    let (sick, busy) = (ill(Some(500)), Patient::start());
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 2, ..RoadConfig::default() });
    rig.add_target("a", sick.address);
    rig.add_target("a", busy.address);
    rig.routes.balancing.max_in_flight = 1;
    rig.routes.balancing.queue_wait = Duration::from_secs(60);
    rig.routes.balancing.ejection.after = 1;
    rig.routes.balancing.ejection.on_5xx = true;
    rig.routes.balancing.ejection.base = Duration::from_secs(3);
    rig.publish();
    // One is asked for something and keeps at it, the other is out: whichever came first.
    let mut held = Vec::new();
    eventually("one is busy and one is out", || {
        if busy.asked().is_empty() || !is_out(&rig, 0) {
            held.push(rig.client());
            held.last_mut().unwrap().send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
            eventually("it is asked, or answered", || {
                let meters = rig.meters();
                meters.requests == held.len() as u64
                    && busy.asked().len() as u64 + meters.from_instance[4] == meters.requests
            });
        }
        !busy.asked().is_empty() && is_out(&rig, 0)
    });
    let out_since = Instant::now();
    sick.ill.store(false, Ordering::SeqCst);
    let mut waits: Vec<_> = (0..3).map(|_| rig.client()).collect();
    for client in &mut waits {
        client.send("GET /waits HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    eventually("they wait", || rig.meters().surge_queue == 3);
    assert!(is_out(&rig, 0) && out_since.elapsed() < Duration::from_secs(3));
    for client in &mut waits {
        assert_eq!(client.read().unwrap().status, 200);
    }
    let took = out_since.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!((busy.asked().len(), rig.meters().surge_queue), (1, 0));
}

#[test]
fn off_by_default_and_reset_by_a_success() {
    let sick = ill(Some(500));
    let mut rig = rig(&["a"], &[&sick]);
    let mut client = rig.client();
    // The instance's own 5xx do not count unless it is asked for.
    (0..20).for_each(|_| drop(client.get("/")));
    assert!(!is_out(&rig, 1));
    rig.routes.balancing.ejection.on_5xx = true;
    rig.routes.balancing.ejection.after = 0;
    rig.publish();
    (0..20).for_each(|_| drop(client.get("/")));
    assert!(!is_out(&rig, 1));
    // Two failures and a success, again and again.
    rig.routes.balancing.ejection.after = 3;
    rig.publish();
    for _ in 0..5 {
        for wanted in [500, 500, 200] {
            sick.ill.store(wanted == 500, Ordering::SeqCst);
            eventually("it is asked", || client.get("/").status == wanted && sick.asked.load(Ordering::SeqCst) > 0);
            if wanted == 200 {
                let asked = sick.asked.load(Ordering::SeqCst);
                eventually("it answers well", || {
                    client.get("/");
                    sick.asked.load(Ordering::SeqCst) > asked
                });
            }
        }
    }
    assert!(!is_out(&rig, 1));
    sick.ill.store(true, Ordering::SeqCst);
    eventually("it is out", || {
        client.get("/");
        is_out(&rig, 1)
    });
    let asked = sick.asked.load(Ordering::SeqCst);
    (0..20).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!(sick.asked.load(Ordering::SeqCst), asked);
}

#[test]
fn some_are_always_left() {
    let sick: Vec<Ill> = (0..4).map(|_| ill(None)).collect();
    let mut rig = rig(&[], &sick.iter().collect::<Vec<_>>());
    let mut client = rig.client();
    let out = |rig: &Rig| (0..4).filter(|target| is_out(rig, *target)).count();
    eventually("half of them are out", || {
        client.get("/");
        out(&rig) == 2
    });
    (0..30).for_each(|_| drop(client.get("/")));
    assert_eq!(out(&rig), 2, "no more than half of them");
    rig.routes.balancing.ejection.share = 100;
    rig.publish();
    eventually("all but one are out", || {
        client.get("/");
        out(&rig) == 3
    });
    (0..30).for_each(|_| drop(client.get("/")));
    assert_eq!(out(&rig), 3, "the last one never");
}

#[test]
fn an_outage_is_not_multiplied() {
    let path = std::env::temp_dir().join(format!("evenkeel-road-{}-budget.log", std::process::id()));
    let log = Some(LogConfig { path: path.clone(), format: Format::Json, rotate_bytes: 0, keep: 0 });
    let sick: Vec<Ill> = (0..3).map(|_| ill(None)).collect();
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, log, ..RoadConfig::default() });
    for one in &sick {
        rig.add_target("a", one.address);
    }
    rig.routes.balancing.retries.percent = 20;
    rig.routes.balancing.retries.floor = 0;
    rig.publish();
    let mut client = rig.client();
    for _ in 0..100 {
        assert_eq!(client.get("/").line(), "HTTP/1.1 504 GATEWAY_TIMEOUT");
    }
    let asked: u64 = sick.iter().map(|one| one.asked.load(Ordering::SeqCst)).sum();
    assert!((100..=120).contains(&asked), "{asked}");
    let meters = rig.meters();
    assert_eq!(meters.retries + 100, asked);
    assert!(meters.denied >= 80, "{meters:?}");
    // What was denied says so, in the record of its request.
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    eventually("the records are written", || read().lines().count() == 100);
    let denied = read().lines().filter(|line| line.contains("not tried again, because too many requests are")).count();
    assert_eq!(denied as u64, meters.denied);
    std::fs::remove_file(path).unwrap();
    // With a floor, the few may.
    rig.routes.balancing.retries.floor = 10;
    rig.publish();
    let before = rig.meters().retries;
    client.get("/");
    assert!(rig.meters().retries > before);
}
