//! 200 changes a second under full load: instances registered and deregistered, a zone disabled and enabled, certificates
//! swapped. Not one request may fail.
//!
//! A few seconds of it; as many as `EVENKEEL_CHURN_SECONDS` says, where it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Node, Phase, Routes, Target};
use evenkeel_proxy::road::RoadConfig;

use crate::origin::Origin;
use crate::rig::{Client, Rig, address, eventually, free_port, instance, zone};
use crate::tls_rig::{self, Made, front};

/// From one change to the next.
const PACE: Duration = Duration::from_millis(5);
const SECONDS: u64 = 4;

/// What there is to be changed.
struct Stage {
    rig: Rig,
    made: [Made; 2],
    /// Two of each zone stay; the others come and go.
    origins: Vec<Origin>,
    registered: Vec<bool>,
    enabled: bool,
    /// How often an instance was registered: each time it is a new one.
    births: u32,
    generation: u64,
}

impl Stage {
    fn new() -> Self {
        let made = [(); 2].map(|()| Made::new(&["a.example"]));
        let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 2, ..RoadConfig::default() });
        rig.routes.nodes = ["a", "c"].map(|letter| Node { zone: Some(zone(letter)), address: address() }).to_vec();
        let (mut secure, mut modern) = (rig.routes.listeners[0].clone(), rig.routes.listeners[0].clone());
        secure.protocol = Protocol::Https;
        secure.tls = front(&[&made[0]]);
        modern.http2 = true;
        let ports = [(); 2].map(|()| free_port(rig.routes.nodes[0].address));
        (secure.bind_port, modern.bind_port) = (ports[0], ports[1]);
        rig.routes.listeners.extend([secure, modern]);
        let origins: Vec<_> = (0..12).map(|_| Origin::start(address(), 0)).collect();
        let registered = (0..12).map(|n| n < 4).collect();
        let mut stage = Self { rig, made, origins, registered, enabled: true, births: 0, generation: 10 };
        for n in 0..4 {
            stage.register(n);
        }
        stage.publish();
        assert!(stage.rig.road.settled(Duration::from_secs(5)));
        stage
    }

    fn letter(n: usize) -> &'static str {
        if n.is_multiple_of(2) { "a" } else { "c" }
    }

    fn register(&mut self, n: usize) {
        self.registered[n] = true;
        self.births += 1;
        let at = self.origins[n].address;
        let id = instance(self.births * 100 + n as u32);
        self.rig.road.board().state(&(self.rig.routes.name.clone(), id.clone())).set_health(Health::InService);
        self.rig.routes.targets.push(Target {
            instance: id,
            zone: zone(Self::letter(n)),
            address: at.ip(),
            port: evenkeel_core::name::Port::new(at.port()).ok(),
            weight: Target::WEIGHT,
            phase: Phase::Serving,
        });
    }

    /// One change, as the office would have compiled it.
    fn change(&mut self, number: usize) {
        match number % 5 {
            0 => {
                // The one that has been out longest.
                let n = 4 + number / 5 % 8;
                if !self.registered[n] {
                    self.register(n);
                }
            }
            1 => {
                let n = 4 + (number / 5 + 3) % 8;
                if std::mem::take(&mut self.registered[n]) {
                    let at = self.origins[n].address;
                    self.rig.routes.targets.retain(|target| {
                        (target.address, target.port.map(|port| port.number())) != (at.ip(), Some(at.port()))
                    });
                }
            }
            2 | 3 => {
                self.enabled = number % 5 == 3;
                // The node of a disabled zone goes on, and gives to the others.
                self.rig.routes.nodes[1].zone = self.enabled.then(|| zone("c"));
            }
            _ => self.rig.routes.listeners[1].tls = front(&[&self.made[number / 5 % 2]]),
        }
        for target in self.rig.routes.targets.iter_mut().filter(|target| target.zone == zone("c")) {
            target.phase = if self.enabled { Phase::Serving } else { Phase::ZoneDisabled };
        }
    }

    fn publish(&mut self) {
        self.generation += 1;
        let balancers = [(self.rig.routes.name.clone(), Arc::new(self.rig.routes.clone()))].into();
        assert_eq!(self.rig.road.publish(Arc::new(Routes { generation: self.generation, balancers })), []);
    }
}

/// Asks until it is told to stop; says what failed.
fn plain_load(at: std::net::SocketAddr, kept: u32, stop: &AtomicBool, done: &AtomicU64) -> Option<String> {
    loop {
        let mut client = Client::connect(at);
        for n in 0..kept {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            client.send(if n % 2 == 0 {
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            } else {
                "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            });
            match client.read() {
                Ok(answer) if answer.status == 200 => drop(done.fetch_add(1, Ordering::Relaxed)),
                other => return Some(format!("{other:?} to request {n} at {at}")),
            }
        }
    }
}

fn secure_load(at: std::net::SocketAddr, made: &[Made; 2], stop: &AtomicBool, done: &AtomicU64) -> Option<String> {
    let config = Arc::new(tls_rig::settings(&[&made[0], &made[1]], rustls::ALL_VERSIONS));
    while !stop.load(Ordering::Relaxed) {
        let mut client = match tls_rig::connect(at, &config, "a.example") {
            Ok(client) => client,
            Err(error) => return Some(format!("handshake: {error}")),
        };
        for n in 0..50 {
            match tls_rig::get(&mut client, "/") {
                Ok((head, _)) if head.starts_with("HTTP/1.1 200") => drop(done.fetch_add(1, Ordering::Relaxed)),
                other => return Some(format!("{other:?} to request {n} in TLS")),
            }
        }
    }
    None
}

fn modern_load(at: std::net::SocketAddr, stop: &AtomicBool, done: &AtomicU64) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::h2_rig::client(at, None).await;
        while !stop.load(Ordering::Relaxed) {
            let ask = |path: &'static str, body| crate::h2_rig::ask(&client, path, body);
            let both = tokio::join!(ask("/", None), ask("/length", Some(Bytes::from_static(b"abc"))));
            for reply in [both.0, both.1] {
                match reply {
                    Ok(reply) if reply.status == 200 => drop(done.fetch_add(1, Ordering::Relaxed)),
                    other => return Some(format!("{other:?} over HTTP/2")),
                }
            }
        }
        None
    })
}

#[test]
fn two_hundred_changes_a_second_fail_no_request() {
    let seconds = std::env::var("EVENKEEL_CHURN_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let mut stage = Stage::new();
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let made = [Made::clone(&stage.made[0]), Made::clone(&stage.made[1])];
    let at = |node: usize, listener: usize| {
        let port = stage.rig.routes.listeners[listener].bind_port.number();
        std::net::SocketAddr::new(stage.rig.routes.nodes[node].address, port)
    };
    let (plain, secure, modern) = ([at(0, 0), at(1, 0)], [at(0, 1), at(1, 1)], at(1, 2));
    let changes = seconds * 1000 / PACE.as_millis() as u64;
    let (stop, done, made) = (&stop, &done, &made);
    let (took, failed) = thread::scope(|scope| {
        let mut loads = Vec::new();
        for n in 0..6 {
            // Some keep their connection for good, some make new ones all the time.
            let (at, kept) = (plain[n % 2], if n < 4 { u32::MAX } else { 20 });
            loads.push(scope.spawn(move || plain_load(at, kept, stop, done)));
        }
        for at in secure {
            loads.push(scope.spawn(move || secure_load(at, made, stop, done)));
        }
        loads.push(scope.spawn(move || modern_load(modern, stop, done)));
        eventually("there is load", || done.load(Ordering::Relaxed) > 100);
        let began = Instant::now();
        for number in 0..changes {
            stage.change(number as usize);
            stage.publish();
            let due = began + PACE * (number as u32 + 1);
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
        assert!(stage.rig.road.settled(Duration::from_secs(5)));
        let took = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        (took, loads.into_iter().filter_map(|load| load.join().unwrap()).collect::<Vec<_>>())
    });
    let asked = done.load(Ordering::Relaxed);
    println!("{changes} changes in {took:?}, {asked} requests, {} failed", failed.len());
    assert_eq!(failed, Vec::<String>::new());
    assert!(asked > 100 * seconds, "{asked} requests");
    // Behind the pace it would prove nothing.
    assert!(took < Duration::from_secs(seconds) * 5 / 4, "{changes} changes took {took:?}");
    let meters = stage.rig.meters();
    assert_eq!((meters.from_balancer, meters.handshake_errors), ([].into(), 0));
    eventually("nothing is left", || stage.rig.is_empty());
}
