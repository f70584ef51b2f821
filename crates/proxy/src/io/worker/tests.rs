//! A worker turned by hand, with real sockets: what a panic costs, and whom.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use evenkeel_core::health::Health;
use evenkeel_core::name::{InstanceId, LoadBalancerName, Port, ZoneName};
use evenkeel_core::noun::{Balancing, DesyncMode, HealthCheck, Protocol};
use evenkeel_core::routes::{BalancerRoutes, InstanceHttp, ListenerRoute, Node, Phase, Target};

use super::*;
use crate::io::listen;
use crate::io::shared::{Gate, Plan, PlannedBalancer};
use crate::meter;
use crate::road::RoadConfig;
use crate::target::TargetState;
use crate::tls::secured::Secured;

fn built() -> Worker {
    let config = RoadConfig { workers: 1, ..RoadConfig::default() };
    let (suspicion, ejections, calls) =
        (std::sync::mpsc::channel().0, std::sync::mpsc::channel().0, std::sync::mpsc::channel().0);
    let shared = Arc::new(Shared::new(&config, suspicion, ejections, calls).unwrap());
    Blueprint::new(shared, 0).unwrap().build()
}

#[test]
fn a_panic_ends_one_connection_and_is_counted() {
    let mut worker = built();
    let broken = worker.slots.add(Slot::Busy);
    let its = worker.slots.add(Slot::Lent(broken));
    let other = worker.slots.add(Slot::Lent(0));
    worker.out.push(b'x');
    worker.contain(|_| panic!("as a test"));
    assert_eq!(worker.post().panics.load(Ordering::Relaxed), 1);
    assert!(worker.slots.slot(broken).is_none() && worker.slots.slot(its).is_none());
    assert!(worker.slots.slot(other).is_some() && worker.out.is_empty());
}

/// Has the worker drive one listener in front of one instance; returns where it listens, and the instance's live state.
fn publish(worker: &Worker, instance: SocketAddr) -> (SocketAddr, Arc<TargetState>) {
    let socket = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let bound: SocketAddr = rustix::net::getsockname(socket.fd.as_ref().unwrap()).unwrap().try_into().unwrap();
    let port = Port::new(bound.port()).unwrap();
    let (name, id) = (LoadBalancerName::new("test").unwrap(), InstanceId::new("i-00000001").unwrap());
    let listener = ListenerRoute {
        bind_port: port,
        port,
        protocol: Protocol::Http,
        instance_port: port,
        instance_protocol: Protocol::Http,
        tls: None,
        instance_tls: None,
        proxy_protocol: None,
        accept_proxy_from: Vec::new(),
        allowed_from: None,
        http2: false,
        instance_http: InstanceHttp::One,
        stickiness: None,
    };
    let target = Target {
        instance: id.clone(),
        zone: ZoneName::new("us-east-1a").unwrap(),
        address: instance.ip(),
        port: Port::new(instance.port()).ok(),
        phase: Phase::Serving,
        weight: Target::WEIGHT,
    };
    let state = worker.shared.board.state(&(name.clone(), id));
    state.set_health(Health::InService);
    let secured = vec![Secured::new(&listener, None, &[])];
    let routes = BalancerRoutes {
        name: name.clone(),
        cross_zone: false,
        idle_timeout: Duration::from_secs(60),
        timeouts: evenkeel_core::routes::Timeouts::default(),
        limits: evenkeel_core::routes::Limits::default(),
        desync: DesyncMode::default(),
        balancing: Balancing::default(),
        health_check: HealthCheck::default_for(port),
        nodes: vec![Node { zone: None, address: bound.ip() }],
        listeners: vec![listener],
        targets: vec![target],
        challenges: Vec::new(),
        access_log: None,
        wakes: false,
    };
    let (states, surge) = (vec![Arc::clone(&state)], worker.shared.board.surge(&name));
    let planned =
        Arc::new(PlannedBalancer { routes: Arc::new(routes), states, surge, secured, pending: None, unanswered: None });
    let socket = Arc::new(listen::Bound { fd: socket.fd, address: bound });
    let gate = Gate { balancer: Arc::clone(&planned), node_index: 0, listener_index: 0, socket };
    worker.shared.publish(Plan { generation: 1, balancers: [(name, planned)].into(), gates: vec![gate] });
    (bound, state)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Turns the worker until that holds.
fn turn_until(worker: &mut Worker, what: &str, holds: impl Fn(&mut Worker) -> bool) {
    let (mut events, until) = (Vec::with_capacity(64), Instant::now() + Duration::from_secs(10));
    while !holds(worker) {
        assert!(Instant::now() < until, "never: {what}");
        // The wait must return: nobody else may have anything to say.
        worker.post().wake();
        assert!(worker.turn_round(&mut events));
    }
}

#[test]
fn a_client_that_a_worker_with_newer_routes_hands_over_is_taken() {
    let mut worker = built();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = connect(door.local_addr().unwrap());
    let (accepted, peer) = door.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    // It has not looked at the Routes yet when it is woken.
    let (at, _) = publish(&worker, peer);
    worker.post().clients.fetch_add(1, Ordering::Relaxed);
    worker.post().inbox().arrivals.push(Arrival { socket: accepted.into(), peer, at });
    worker.on_wake();
    assert_eq!(worker.slots.keys(|slot| matches!(slot, Slot::Client(_))).len(), 1);
    client.set_nonblocking(true).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_panic_amid_a_request_costs_its_connections_and_nobody_elses() {
    let instance = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut worker = built();
    let (at, state) = publish(&worker, instance.local_addr().unwrap());
    let clients = |worker: &mut Worker| worker.shared.clients();
    let ask = |client: &mut TcpStream| client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    turn_until(&mut worker, "it drives by the Routes", |worker| worker.shared.applied() == 1);
    let (mut broken, mut idle) = (connect(at), connect(at));
    turn_until(&mut worker, "both are there", |worker| clients(worker) == 2);
    ask(&mut broken);
    let asked = |slot: &Slot| {
        let Slot::Client(client) = slot else { return false };
        client.origin.as_ref().is_some_and(|origin| origin.connected) && client.session.unsent().is_empty()
    };
    turn_until(&mut worker, "one waits for the instance", |worker| !worker.slots.keys(asked).is_empty());
    assert_eq!(state.outstanding(), 1);
    let (mut served, _) = instance.accept().unwrap();
    let busy = worker.slots.keys(asked);
    // What a bug between taking a connection up and putting it back does.
    worker.contain(|worker| {
        let taken = worker.slots.take(busy[0]);
        assert!(taken.is_none(), "a bug");
    });
    assert_eq!(worker.post().panics.load(Ordering::Relaxed), 1);
    // Nothing is left of it: neither connection, nor in any count.
    assert_eq!((clients(&mut worker), state.outstanding()), (1, 0));
    let counted = meter::sum([&worker.post().book].into_iter());
    assert_eq!(counted.balancers.values().map(|balancer| balancer.total().open_clients).sum::<u64>(), 1);
    assert_eq!(worker.slots.keys(|slot| matches!(slot, Slot::Busy | Slot::Lent(_))), Vec::<u64>::new());
    let mut request = Vec::new();
    served.read_to_end(&mut request).unwrap();
    assert!(request.starts_with(b"GET / HTTP/1.1\r\n"));
    assert!(broken.read(&mut [0; 1]).map_or(true, |count| count == 0));
    // The others go on, and new ones come.
    for client in [&mut idle, &mut connect(at)] {
        ask(client);
        turn_until(&mut worker, "it waits for the instance", |_| state.outstanding() == 1);
        let (mut served, _) = instance.accept().unwrap();
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").unwrap();
        turn_until(&mut worker, "it is answered", |_| state.outstanding() == 0);
        let mut answer = [0; 512];
        let count = client.read(&mut answer).unwrap();
        assert!(answer[..count].ends_with(b"ok"));
    }
    assert_eq!(worker.post().panics.load(Ordering::Relaxed), 1);
}
