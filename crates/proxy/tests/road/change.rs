//! New Routes take effect at once, and drop nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use evenkeel_core::health::Health;
use evenkeel_core::name::{LoadBalancerName, Port};
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Phase, Routes};
use evenkeel_core::time::Timestamp;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::road::{Road, RoadConfig};

use crate::rig::{Client, Rig, address, eventually, free_port};

fn draining_for(span: Duration) -> Phase {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Phase::Draining { until: Timestamp(now.as_millis() as u64).plus(span) }
}

#[test]
fn instances_come_and_go_under_load_and_nothing_is_lost() {
    let mut rig = Rig::new(&["a", "c"]);
    let (stop, done, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let at = rig.address();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::connect(at);
                while !stop.load(Ordering::Relaxed) {
                    failed.fetch_add(u64::from(client.post("/length", b"x").status != 200), Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..10 {
            rig.add_origin(if round % 2 == 0 { "a" } else { "c" });
            rig.publish();
            let goal = done.load(Ordering::Relaxed) + 100;
            eventually("requests flow", || done.load(Ordering::Relaxed) >= goal);
            // The oldest drains, then leaves for good.
            rig.routes.targets[0].phase = draining_for(Duration::from_secs(60));
            rig.publish();
            let key = (rig.routes.name.clone(), rig.routes.targets[0].instance.clone());
            let state = rig.road.board().state(&key);
            eventually("it has drained", || state.outstanding() == 0);
            let hits = rig.origins[0].hits();
            let goal = done.load(Ordering::Relaxed) + 100;
            eventually("requests flow", || done.load(Ordering::Relaxed) >= goal);
            assert_eq!(rig.origins[0].hits(), hits);
            let mut moved = rig.routes.targets.remove(0);
            moved.instance = crate::rig::instance(round + 100);
            rig.publish();
            drop(rig.origins.remove(0));
            // Ids are made from the count of targets: keep it, so that none comes twice.
            for (index, target) in rig.routes.targets.iter_mut().enumerate() {
                target.instance = crate::rig::instance(1000 + round * 10 + index as u32);
            }
            rig.publish();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert!(done.load(Ordering::Relaxed) >= 2000);
}

#[test]
fn draining_lets_requests_finish_and_cuts_them_at_its_end() {
    let mut rig = Rig::new(&["a"]);
    let mut quick = rig.client();
    quick.send("GET /slow?300 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut slow = rig.client();
    slow.send("GET /slow?5000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut begun = rig.client();
    begun.send("GET /drip?2000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let state = rig.road.board().all()[0].1.clone();
    eventually("all are in flight", || state.outstanding() == 3);
    let began = Instant::now();
    rig.routes.targets[0].phase = draining_for(Duration::from_millis(900));
    rig.publish();
    assert_eq!(rig.client().get("/").status, 503);
    assert_eq!(quick.read().unwrap().status, 200);
    assert_eq!(slow.read().unwrap().status, 504);
    assert!(began.elapsed() > Duration::from_millis(800) && began.elapsed() < Duration::from_secs(2));
    assert!(begun.read().is_err());
    assert_eq!(state.outstanding(), 0);
    assert_eq!(rig.meters().from_balancer[&Fault::Cut], 2);
}

#[test]
fn a_target_that_leaves_closes_its_idle_connections_and_finishes_its_requests() {
    let mut rig = Rig::new(&["a"]);
    let mut client = rig.client();
    assert_eq!(client.get("/").status, 200);
    let mut slow = rig.client();
    slow.send("GET /slow?500 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("both are connected", || rig.road.board().all()[0].1.outstanding() == 1);
    assert!(rig.origins[0].open() >= 1);
    rig.routes.targets.clear();
    rig.publish();
    eventually("idle ones are closed", || rig.origins[0].open() <= 1);
    assert_eq!(client.get("/").status, 503);
    assert_eq!(slow.read().unwrap().status, 200);
    eventually("all are closed", || rig.origins[0].open() == 0);
    assert!(rig.road.board().all().is_empty());
}

#[test]
fn listeners_are_added_and_removed() {
    let mut rig = Rig::new(&["a"]);
    let first = rig.address();
    let mut idle = rig.client();
    assert_eq!(idle.get("/").status, 200);
    let mut busy = rig.client();
    busy.send("GET /slow?300 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is in flight", || rig.road.board().all()[0].1.outstanding() == 1);
    let mut half = rig.client();
    half.send("GET / HTTP/1.1\r\nHo");
    // A second listener on the same node.
    let mut second = rig.routes.listeners[0].clone();
    second.bind_port = free_port(first.ip());
    rig.routes.listeners.push(second.clone());
    rig.publish();
    let mut other = Client::connect((first.ip(), second.bind_port.number()).into());
    assert_eq!(other.get("/").status, 200);
    // The first leaves: idle clients are closed, requests in flight finish.
    let began = Instant::now();
    rig.routes.listeners.remove(0);
    rig.publish();
    assert!(idle.is_closed());
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    eventually("nobody listens", || std::net::TcpStream::connect(first).is_err());
    let answer = busy.read().unwrap();
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    assert!(busy.is_closed());
    // Who has begun to ask is answered.
    half.send("st: a\r\n\r\n");
    let answer = half.read().unwrap();
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    assert!(half.is_closed());
    assert_eq!(other.get("/").status, 200);
    // And comes back, speaking something else.
    second.bind_port = Port::new(first.port()).unwrap();
    second.protocol = Protocol::Tcp;
    second.instance_protocol = Protocol::Tcp;
    rig.routes.listeners.push(second);
    rig.publish();
    assert_eq!(Client::connect(first).get("/").status, 200);
    assert_eq!(other.get("/").status, 200);
}

#[test]
fn requests_that_race_with_the_end_of_their_listener_are_answered() {
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    let kept = rig.routes.listeners.clone();
    for _ in 0..20 {
        let mut clients: Vec<_> = (0..8).map(|_| rig.client()).collect();
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
        // All have sent before the listener goes, so all are answered.
        clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        rig.routes.listeners.clear();
        rig.publish();
        clients.iter_mut().for_each(|client| assert_eq!(client.read().unwrap().status, 200));
        clients.iter_mut().for_each(|client| assert!(client.is_closed()));
        rig.routes.listeners = kept.clone();
        rig.publish();
    }
}

#[test]
fn a_port_that_is_taken_is_reported_and_tried_again() {
    let rig = Rig::new(&["a"]);
    let taken = std::net::TcpListener::bind((address(), 0)).unwrap();
    let at = taken.local_addr().unwrap();
    let mut routes = rig.routes.clone();
    routes.nodes[0].address = at.ip();
    routes.listeners[0].bind_port = Port::new(at.port()).unwrap();
    let mut secure = routes.listeners[0].clone();
    secure.protocol = Protocol::Https;
    routes.listeners.push(secure);
    let publish = |road: &Road, routes: &evenkeel_core::routes::BalancerRoutes, generation| {
        let balancers = [(routes.name.clone(), Arc::new(routes.clone()))].into();
        road.publish(Arc::new(Routes { generation, balancers }))
    };
    let faults = publish(&rig.road, &routes, 2);
    assert_eq!(faults.len(), 2);
    assert!(faults[0].to_string().contains("Address already in use"), "{}", faults[0]);
    assert_eq!(faults[1].error, "TLS listeners need a certificate");
    assert_eq!((faults[0].address, faults[0].port.number()), (at.ip(), at.port()));
    drop(taken);
    let faults = publish(&rig.road, &routes, 2);
    assert_eq!(faults.len(), 1);
    assert_eq!(Client::connect(at).get("/").status, 200);
}

#[test]
fn one_change_among_a_hundred_balancers_is_quick() {
    let mut rig = Rig::new(&["a"]);
    let mut all = Routes { generation: 100, ..Routes::default() };
    for n in 0..100u32 {
        let mut other = rig.routes.clone();
        other.name = LoadBalancerName::new(format!("b-{n}")).unwrap();
        other.nodes.clear();
        other.targets = (0..50)
            .map(|m| {
                let mut target = rig.routes.targets[0].clone();
                target.instance = crate::rig::instance(n * 1000 + m);
                target
            })
            .collect();
        all.balancers.insert(other.name.clone(), Arc::new(other));
    }
    all.balancers.insert(rig.routes.name.clone(), Arc::new(rig.routes.clone()));
    assert_eq!(rig.road.publish(Arc::new(all.clone())), []);
    assert!(rig.road.settled(Duration::from_secs(5)));
    rig.add_origin("a");
    let id = rig.routes.targets[1].instance.clone();
    all.balancers.insert(rig.routes.name.clone(), Arc::new(rig.routes.clone()));
    all.generation += 1;
    rig.road.board().state(&(rig.routes.name.clone(), id)).set_health(Health::InService);
    let began = Instant::now();
    assert_eq!(rig.road.publish(Arc::new(all)), []);
    assert!(rig.road.settled(Duration::from_secs(5)));
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    assert_eq!(rig.road.applied(), 101);
    let mut client = rig.client();
    (0..4).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!(rig.hits(), [2, 2]);
}

#[test]
fn stopping_drains() {
    let rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 2, ..RoadConfig::default() });
    let at = rig.address();
    let mut idle = rig.client();
    assert_eq!(idle.get("/").status, 200);
    let mut busy = rig.client();
    busy.send("GET /slow?300 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut late = rig.client();
    late.send("GET /slow?9000 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("both are in flight", || rig.road.board().all()[0].1.outstanding() == 2);
    let Rig { road, origins, .. } = rig;
    let began = Instant::now();
    let stopping = thread::spawn(move || road.stop(Duration::from_secs(1)));
    assert!(idle.is_closed());
    assert_eq!(busy.read().unwrap().status, 200);
    assert!(late.read().is_err() || began.elapsed() < Duration::from_secs(3));
    stopping.join().unwrap();
    assert!(began.elapsed() > Duration::from_millis(900) && began.elapsed() < Duration::from_secs(3));
    assert!(std::net::TcpStream::connect(at).is_err());
    drop(origins);
}
