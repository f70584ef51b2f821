//! The road with 1,000 balancers of 100 instances in its Routes: what a change costs, what a request costs beside a road
//! with one balancer of two, and what all of it weighs. In a process where nothing else runs.
#![allow(missing_docs, dead_code, clippy::unwrap_used)]

#[path = "../road/origin.rs"]
mod origin;
#[path = "../road/rig.rs"]
mod rig;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::health::Health;
use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{BalancerRoutes, Routes};
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Rig, address, free_port, instance};

const BALANCERS: u32 = 1_000;
const TARGETS: u32 = 100;
/// Changes whose median counts.
const CHANGES: usize = 51;
/// Rounds of requests, in turns on both roads.
const ROUNDS: usize = 15;
const REQUESTS: u32 = 1_000;

const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

/// Answers every read: each request here comes in one piece.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).is_ok_and(|n| n > 0) && stream.write_all(ANSWER).is_ok() {}
            });
        }
    });
    at
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn threads() -> BTreeSet<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.map(|task| task.unwrap().file_name().into_string().unwrap()).collect()
}

/// A road with one worker, and the worker's thread.
fn road(targets: &[SocketAddr]) -> (Rig, String) {
    let before = threads();
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    let worker = threads().into_iter().find(|id| {
        !before.contains(id)
            && std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).is_ok_and(|name| name.starts_with("road-"))
    });
    for at in targets {
        rig.add_target("a", *at);
    }
    rig.publish();
    (rig, worker.unwrap())
}

/// CPU time of a thread, by the kernel's scheduler.
fn spent(thread: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn ask(client: &mut TcpStream, count: u32) {
    let mut bytes = [0; 4096];
    for _ in 0..count {
        client.write_all(REQUEST).unwrap();
        let mut seen = 0;
        while !bytes[..seen].ends_with(b"\r\n\r\nhello") {
            let got = client.read(&mut bytes[seen..]).unwrap();
            assert!(got > 0, "closed after {:?}", bytes[..seen].escape_ascii().to_string());
            seen += got;
        }
    }
}

/// CPU time of the worker for a request.
fn cost(client: &mut TcpStream, worker: &str) -> Duration {
    let before = spent(worker);
    ask(client, REQUESTS);
    (spent(worker) - before) / REQUESTS
}

/// Everybody but the one that is asked: each has a node that is listened on, and targets of its own.
fn others(model: &BalancerRoutes) -> Vec<Arc<BalancerRoutes>> {
    let each = |n: u32| {
        let mut other = model.clone();
        other.name = LoadBalancerName::new(format!("b-{n}")).unwrap();
        other.nodes[0].address = address();
        other.listeners[0].bind_port = free_port(other.nodes[0].address);
        other.targets = (0..TARGETS)
            .map(|m| {
                let mut target = model.targets[0].clone();
                target.instance = instance(1_000_000 + n * TARGETS + m);
                target
            })
            .collect();
        Arc::new(other)
    };
    (1..BALANCERS).map(each).collect()
}

#[test]
fn a_thousand_balancers_of_a_hundred_cost_a_change_little_and_a_request_nothing() {
    // On one core: which cores two threads wake each other on costs more than anything that is looked for here.
    let allowed = rustix::thread::sched_getaffinity(None).unwrap();
    let mut one = rustix::thread::CpuSet::new();
    one.set((0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap());
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    let ends = [serve(), serve()];
    let many: Vec<SocketAddr> = (0..TARGETS as usize).map(|n| ends[n % 2]).collect();
    let ((small, small_worker), (wide, wide_worker)) = (road(&ends), road(&many));
    let (large, large_worker) = road(&many);
    let model = large.routes.clone();
    let mut all = Routes { generation: 1_000, ..Routes::default() };
    let before = resident();
    all.balancers.extend(others(&model).into_iter().map(|routes| (routes.name.clone(), routes)));
    all.balancers.insert(model.name.clone(), Arc::new(model.clone()));
    let of_routes = resident() - before;
    let publish = |all: &Routes| {
        let all = Arc::new(all.clone());
        let began = Instant::now();
        assert_eq!(large.road.publish(all), []);
        assert!(large.road.settled(Duration::from_secs(30)));
        began.elapsed()
    };
    let first = publish(&all);
    let of_road = resident() - before - of_routes;
    println!(
        "{BALANCERS} balancers of {TARGETS}: {of_routes} KiB of Routes, {of_road} KiB of a road with a worker, at first in {first:?}"
    );
    // Registers and deregisters in turns, somewhere among them.
    let mut times = Vec::new();
    for n in 0..CHANGES {
        let name = LoadBalancerName::new(format!("b-{}", 1 + n * 19 % 999)).unwrap();
        let mut changed = (*all.balancers[&name]).clone();
        if n % 2 == 0 {
            drop(changed.targets.pop());
        } else {
            changed.targets[0].instance = instance(9_000_000 + n as u32);
        }
        all.balancers.insert(name, Arc::new(changed));
        all.generation += 1;
        times.push(publish(&all));
    }
    times.sort();
    let median = times[CHANGES / 2];
    println!("a change: median {median:?}, slowest {:?}", times[CHANGES - 1]);
    assert!(median < Duration::from_millis(10), "{times:?}");
    assert_eq!(large.road.applied(), 1_000 + CHANGES as u64);

    large.health(Health::InService);
    let mut clients = [&small, &wide, &large].map(|rig| TcpStream::connect(rig.address()).unwrap());
    for client in &mut clients {
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        ask(client, 4 * TARGETS);
    }
    let [of_small, of_wide, of_large] = &mut clients;
    let (mut to_wide, mut to_small) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let costs = (cost(of_small, &small_worker), cost(of_wide, &wide_worker), cost(of_large, &large_worker));
        let over = |other: Duration| costs.2.as_secs_f64() / other.as_secs_f64();
        to_wide.push((over(costs.1), costs));
        to_small.push((over(costs.0), costs));
    }
    let middle = |mut ratios: Vec<(f64, (Duration, Duration, Duration))>| {
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        (ratios[ROUNDS / 2].0, ratios[0].0, ratios[ROUNDS - 1].0)
    };
    println!(
        "CPU time of a request, with 1 × 2, 1 × {TARGETS} and {BALANCERS} × {TARGETS}: {:?}",
        to_small[ROUNDS / 2].1
    );
    let (other_balancers, least, most) = middle(to_wide);
    println!("over 1 × {TARGETS}: {other_balancers:.2} ({least:.2} to {most:.2})");
    let (other_targets, least, most) = middle(to_small);
    println!("over 1 × 2: {other_targets:.2} ({least:.2} to {most:.2})");
    // Balancers that are not asked cost nothing.
    assert!(other_balancers < 1.1);
    // Ninety-eight more to choose from and to keep connections to cost little, even as tests are built.
    assert!(other_targets < 1.6);
}
