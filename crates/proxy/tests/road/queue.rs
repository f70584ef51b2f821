//! Limits on what is in flight on an instance, and who waits for one to be free.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Phase, Stickiness};
use evenkeel_proxy::connections::State;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::log::{Format, LogConfig};
use evenkeel_proxy::road::RoadConfig;
use serde_json::Value;

use crate::h2_rig;
use crate::rig::{Answer, Client, Rig, address, eventually};

/// An instance that answers a request when it is told to.
#[derive(Clone)]
pub struct Patient {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, TcpStream)>>>,
}

impl Patient {
    pub fn start() -> Self {
        let listener = TcpListener::bind((address(), 0)).unwrap();
        let patient = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&patient.asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let asked = Arc::clone(&asked);
                thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    while let Some(Ok(line)) = lines.next() {
                        if let Some(path) = line.strip_prefix("GET ") {
                            let path = path.split(' ').next().unwrap_or_default().to_owned();
                            asked.lock().unwrap().push((path, stream.try_clone().unwrap()));
                        }
                    }
                });
            }
        });
        patient
    }

    /// What was asked and not yet answered, oldest first.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    pub fn waits_with(&self, paths: &[&str]) {
        eventually(&format!("it is asked {paths:?}"), || self.asked() == paths);
    }

    /// Answers the oldest.
    pub fn answer(&self) {
        let (_, mut stream) = self.asked.lock().unwrap().remove(0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    }
}

/// A road in front of so many patient instances, each of which takes one request at a time.
fn limited(instances: usize, config: RoadConfig) -> (Rig, Vec<Patient>) {
    let mut rig = Rig::with(&[], Protocol::Http, config);
    let patients: Vec<Patient> = (0..instances).map(|_| Patient::start()).collect();
    for patient in &patients {
        rig.add_target("a", patient.address);
    }
    rig.routes.balancing.max_in_flight = 1;
    rig.publish();
    (rig, patients)
}

pub fn workers(workers: usize) -> RoadConfig {
    RoadConfig { workers, ..RoadConfig::default() }
}

pub fn waiting(rig: &Rig) -> u64 {
    rig.meters().surge_queue
}

/// Asks, and waits until so many wait in the queue.
pub fn ask(rig: &Rig, path: &str, queued: u64) -> Client {
    let mut client = rig.client();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    eventually(&format!("{queued} wait, with {path}"), || waiting(rig) == queued);
    client
}

pub fn assert_calm(rig: &Rig) {
    eventually("nothing is in flight", || rig.road.board().all().iter().all(|(_, state)| state.outstanding() == 0));
    assert_eq!(waiting(rig), 0);
}

#[test]
fn whoever_comes_while_all_are_busy_is_served_in_order() {
    let (rig, patients) = limited(2, workers(2));
    let mut first: Vec<Client> = ["/1", "/2"].map(|path| ask(&rig, path, 0)).into();
    eventually("both are asked", || patients.iter().all(|patient| patient.asked().len() == 1));
    // The connections of those who wait are on both workers.
    let mut others: Vec<Client> = (3..9).map(|n| ask(&rig, &format!("/{n}"), n - 2)).collect();
    let queued = rig.road.connections(100, Duration::from_secs(10));
    assert_eq!(queued.rows.iter().filter(|row| row.state == State::Queued).count(), 6);
    assert!(patients.iter().all(|patient| patient.asked().len() == 1));
    for n in 3..9 {
        // One of the two becomes free, in turn; the one that has waited longest gets it.
        let free = &patients[n % 2];
        free.answer();
        free.waits_with(&[&format!("/{n}")]);
        assert_eq!(waiting(&rig), 8 - n as u64);
    }
    patients.iter().for_each(Patient::answer);
    for client in first.iter_mut().chain(&mut others) {
        assert_eq!(client.read().unwrap().status, 200);
    }
    assert_calm(&rig);
    let meters = rig.meters();
    assert_eq!((meters.surge_queue_max, meters.spillover(), meters.requests), (6, 0, 8));
}

#[test]
fn the_queue_is_bounded_exactly_and_says_why_it_refuses() {
    let path = std::env::temp_dir().join(format!("evenkeel-road-{}-queue.log", std::process::id()));
    let log = Some(LogConfig { path: path.clone(), format: Format::Json, rotate_bytes: 0, keep: 0 });
    let (mut rig, patients) = limited(1, RoadConfig { workers: 2, log, ..RoadConfig::default() });
    rig.routes.balancing.queue_length = 2;
    rig.routes.balancing.queue_wait = Duration::from_secs(600);
    rig.publish();
    let mut all = vec![ask(&rig, "/1", 0)];
    patients[0].waits_with(&["/1"]);
    all.extend([ask(&rig, "/2", 1), ask(&rig, "/3", 2)]);
    for n in 1..=3 {
        let answer = rig.client().get("/no-room");
        assert_eq!(answer.line(), "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity");
        assert_eq!(answer.field("connection"), Some("keep-alive"));
        eventually("it is counted", || rig.meters().spillover() == n);
    }
    assert_eq!(waiting(&rig), 2);
    let refused = last(&path, 3);
    assert_eq!((&refused["fault"], &refused["status"]), (&"queue_full".into(), &503.into()));
    assert_eq!(refused["cause"], "queue full: 2 requests wait already: every instance in service has 1 in flight");
    // With no room at all nobody waits.
    rig.routes.balancing.queue_length = 0;
    rig.publish();
    assert_eq!(rig.client().get("/").status, 503);
    for (client, path) in all.iter_mut().zip(["/1", "/2", "/3"]) {
        patients[0].waits_with(&[path]);
        patients[0].answer();
        assert_eq!(client.read().unwrap().text(), "ok");
    }
    assert_calm(&rig);
    std::fs::remove_file(path).unwrap();
}

/// The last record once there are so many.
pub fn last(path: &PathBuf, count: usize) -> Value {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    eventually("the records are written", || read().lines().count() >= count);
    serde_json::from_str(read().lines().last().unwrap()).unwrap()
}

#[test]
fn nobody_waits_for_ever() {
    let path = std::env::temp_dir().join(format!("evenkeel-road-{}-wait.log", std::process::id()));
    let log = Some(LogConfig { path: path.clone(), format: Format::Json, rotate_bytes: 0, keep: 0 });
    let (mut rig, patients) = limited(1, RoadConfig { workers: 1, log, ..RoadConfig::default() });
    rig.routes.balancing.queue_wait = Duration::from_secs(1);
    rig.publish();
    let mut first = ask(&rig, "/1", 0);
    patients[0].waits_with(&["/1"]);
    let began = Instant::now();
    let mut second = ask(&rig, "/2", 1);
    assert_eq!(second.read().unwrap().status, 503);
    assert!(began.elapsed() > Duration::from_millis(950), "{:?}", began.elapsed());
    let record = last(&path, 1);
    assert_eq!(record["fault"], "queue_timeout");
    assert_eq!(record["cause"], "waited in the queue for 1 s: every instance in service has 1 in flight");
    // Its connection goes on.
    second.send("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it waits anew", || waiting(&rig) == 1);
    patients[0].answer();
    patients[0].waits_with(&["/3"]);
    patients[0].answer();
    assert_eq!((first.read().unwrap().status, second.read().unwrap().status), (200, 200));
    assert_calm(&rig);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn who_leaves_frees_its_place() {
    let (rig, patients) = limited(1, workers(2));
    let mut first = ask(&rig, "/1", 0);
    patients[0].waits_with(&["/1"]);
    let second = ask(&rig, "/2", 1);
    let third = ask(&rig, "/3", 2);
    let mut fourth = ask(&rig, "/4", 3);
    // One with a reset, one by closing in good order.
    rustix::net::sockopt::set_socket_linger(&second.stream, Some(Duration::ZERO)).unwrap();
    drop(second);
    eventually("it is not waited for", || waiting(&rig) == 2);
    drop(third);
    eventually("nor is the other", || waiting(&rig) == 1);
    patients[0].answer();
    patients[0].waits_with(&["/4"]);
    patients[0].answer();
    assert_eq!((first.read().unwrap().status, fourth.read().unwrap().status), (200, 200));
    assert_calm(&rig);
    assert_eq!(rig.meters().from_balancer[&Fault::ClientGone], 2);
}

#[test]
fn without_an_instance_in_service_nobody_waits() {
    let (mut rig, patients) = limited(1, workers(2));
    let mut first = ask(&rig, "/1", 0);
    patients[0].waits_with(&["/1"]);
    let mut second = ask(&rig, "/2", 1);
    rig.health(Health::Failing);
    assert_eq!(second.read().unwrap().status, 503);
    assert_eq!(rig.client().get("/").status, 503);
    // One that is back serves who comes; one that drains serves what it has.
    rig.health(Health::InService);
    let mut third = ask(&rig, "/3", 1);
    rig.routes.targets[0].phase = Phase::ZoneDisabled;
    rig.publish();
    assert_eq!(third.read().unwrap().status, 503);
    patients[0].answer();
    assert_eq!(first.read().unwrap().status, 200);
    assert_calm(&rig);
    assert_eq!(rig.meters().from_balancer[&Fault::NoTarget], 3);
}

#[test]
fn a_change_of_routes_finds_those_who_wait() {
    let (mut rig, patients) = limited(1, workers(2));
    let mut clients = vec![ask(&rig, "/1", 0)];
    patients[0].waits_with(&["/1"]);
    clients.extend([ask(&rig, "/2", 1), ask(&rig, "/3", 2), ask(&rig, "/4", 3)]);
    // One more instance takes one of them. Workers take up Routes one after the other, so it need not be the first of all.
    let new = Patient::start();
    rig.add_target("a", new.address);
    rig.publish();
    eventually("the new one is asked", || new.asked().len() == 1 && waiting(&rig) == 2);
    // A higher limit, the one after it: and without a limit nobody waits.
    rig.routes.balancing.max_in_flight = 2;
    rig.publish();
    eventually("nobody waits", || waiting(&rig) == 0);
    eventually("all are asked", || patients[0].asked().len() + new.asked().len() == 4);
    clients.extend([ask(&rig, "/5", 1)]);
    rig.routes.balancing.max_in_flight = 0;
    rig.publish();
    eventually("all are asked", || patients[0].asked().len() + new.asked().len() == 5);
    // A listener that goes lets those who wait finish; a balancer that goes has nobody left for them.
    rig.routes.balancing.max_in_flight = 2;
    rig.publish();
    clients.push(ask(&rig, "/6", 1));
    let mut late = clients.pop().unwrap();
    let listeners = std::mem::take(&mut rig.routes.listeners);
    rig.publish();
    // Those that are asked now: the last one comes to one of them amid this.
    let asked = [&patients[0], &new].map(|patient| (patient, patient.asked().len()));
    asked.iter().for_each(|(patient, count)| (0..*count).for_each(|_| patient.answer()));
    eventually("the last one is asked", || [&patients[0], &new].iter().any(|patient| patient.asked() == ["/6"]));
    [&patients[0], &new].iter().filter(|patient| !patient.asked().is_empty()).for_each(|patient| patient.answer());
    let answer = late.read().unwrap();
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    assert!(clients.iter_mut().all(|client| client.read().unwrap().status == 200));
    rig.routes.listeners = listeners;
    assert_calm(&rig);
}

#[test]
fn stopping_serves_those_who_wait_first() {
    let (rig, patients) = limited(1, workers(2));
    let mut first = ask(&rig, "/1", 0);
    patients[0].waits_with(&["/1"]);
    let mut second = ask(&rig, "/2", 1);
    let mut third = ask(&rig, "/3", 2);
    thread::scope(|scope| {
        scope.spawn(|| rig.road.stop(Duration::from_secs(10)));
        patients[0].answer();
        patients[0].waits_with(&["/2"]);
        patients[0].answer();
        patients[0].waits_with(&["/3"]);
        patients[0].answer();
        for client in [&mut first, &mut second, &mut third] {
            assert_eq!(client.read().unwrap().status, 200);
        }
    });
}

#[test]
fn a_client_that_sticks_waits_for_its_own_instance() {
    let (mut rig, patients) = limited(2, workers(2));
    rig.routes.listeners[0].stickiness = Some(Stickiness::Duration(None));
    rig.publish();
    let asked = || patients.iter().position(|patient| !patient.asked().is_empty());
    let mut first = rig.client();
    first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("one is asked", || asked().is_some());
    let home = asked().unwrap();
    patients[home].answer();
    let cookie = |answer: &Answer| answer.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let cookie = cookie(&first.read().unwrap());
    let sticky = |path: &str, queued: u64| {
        let mut client = rig.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
        eventually("it waits, or not", || waiting(&rig) == queued);
        client
    };
    let mut second = sticky("/2", 0);
    patients[home].waits_with(&["/2"]);
    let mut third = sticky("/3", 1);
    // The other instance is free, and is given to whoever comes.
    let mut other = ask(&rig, "/4", 1);
    patients[1 - home].waits_with(&["/4"]);
    patients[1 - home].answer();
    assert_eq!(other.read().unwrap().status, 200);
    patients[home].answer();
    patients[home].waits_with(&["/3"]);
    patients[home].answer();
    assert_eq!((second.read().unwrap().status, third.read().unwrap().status), (200, 200));
    assert_calm(&rig);
}

#[test]
fn tcp_connections_wait_as_requests_do() {
    let mut rig = Rig::with(&["a"], Protocol::Tcp, workers(2));
    rig.routes.balancing.max_in_flight = 1;
    rig.routes.balancing.queue_length = 1;
    rig.publish();
    let mut first = rig.client();
    assert_eq!(first.get("/").status, 200);
    let mut second = rig.client();
    second.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it waits", || waiting(&rig) == 1);
    assert!(rig.client().is_closed(), "there is no room for a third");
    assert_eq!((rig.meters().spillover(), rig.origins[0].connections()), (1, 1));
    first.stream.shutdown(Shutdown::Both).unwrap();
    assert_eq!(second.read().unwrap().status, 200);
    assert_eq!(rig.origins[0].connections(), 2);
    // One that waits and is reset leaves; one whose time is up is closed.
    let third = rig.client();
    eventually("it waits", || waiting(&rig) == 1);
    rustix::net::sockopt::set_socket_linger(&third.stream, Some(Duration::ZERO)).unwrap();
    drop(third);
    eventually("it has left", || waiting(&rig) == 0);
    rig.routes.balancing.queue_wait = Duration::from_secs(1);
    rig.publish();
    let mut fourth = rig.client();
    assert_eq!(fourth.stream.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(rig.meters().from_balancer[&Fault::QueueTimeout], 1);
    drop(second);
    assert_calm(&rig);
}

#[test]
fn streams_wait_as_requests_do() {
    let (mut rig, patients) = limited(1, workers(1));
    rig.routes.listeners[0].http2 = true;
    rig.publish();
    h2_rig::run(async {
        let client = h2_rig::client(rig.address(), None).await;
        let ask = |path: &'static str| {
            let client = client.clone();
            tokio::spawn(async move { h2_rig::ask(&client, path, None).await.unwrap().status })
        };
        let first = ask("/1");
        h2_rig::until("it is asked", || patients[0].asked() == ["/1"]).await;
        let second = ask("/2");
        h2_rig::until("one waits", || waiting(&rig) == 1).await;
        let third = ask("/3");
        h2_rig::until("two wait", || waiting(&rig) == 2).await;
        // A stream that is reset leaves the line.
        second.abort();
        h2_rig::until("one waits", || waiting(&rig) == 1).await;
        patients[0].answer();
        h2_rig::until("the next is asked", || patients[0].asked() == ["/3"]).await;
        patients[0].answer();
        assert_eq!((first.await.unwrap(), third.await.unwrap()), (200, 200));
    });
    assert_calm(&rig);
}

/// Many clients, few places: none is lost, and no instance ever has more than it may.
#[test]
fn the_limit_holds_over_workers_under_load() {
    let mut rig = Rig::with(&["a", "a"], Protocol::Http, workers(2));
    rig.routes.balancing.max_in_flight = 2;
    rig.publish();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = rig.client();
                for _ in 0..200 {
                    assert_eq!(client.get("/").status, 200);
                    assert!(rig.road.board().all().iter().all(|(_, state)| state.outstanding() <= 2));
                }
            });
        }
    });
    assert_calm(&rig);
    let meters = rig.meters();
    assert_eq!((meters.requests, meters.from_instance[1], meters.spillover()), (3200, 3200, 0));
    assert!(meters.surge_queue_max <= 12, "{meters:?}");
}
