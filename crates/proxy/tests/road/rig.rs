//! A road, its Routes, and a client that reads answers strictly.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use evenkeel_core::health::Health;
use evenkeel_core::name::{InstanceId, LoadBalancerName, Port, ZoneName};
use evenkeel_core::noun::{Balancing, DesyncMode, HealthCheck, Protocol};
use evenkeel_core::routes::{
    BalancerRoutes, InstanceHttp, Limits, ListenerRoute, Node, Phase, Routes, Target, Timeouts,
};
use evenkeel_proxy::connections::Kind;
use evenkeel_proxy::meter::NodeMeters;
use evenkeel_proxy::road::{Road, RoadConfig};

use crate::origin::Origin;

/// A loopback address of its own for whoever asks, different in every test process that runs at the time.
pub fn address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::SeqCst);
    let process = std::process::id() % 120 + 100;
    Ipv4Addr::new(127, process as u8, (n / 250) as u8, (n % 250 + 2) as u8).into()
}

/// A port that was free just now on that address.
pub fn free_port(ip: IpAddr) -> Port {
    Port::new(TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port()).unwrap()
}

pub fn zone(letter: &str) -> ZoneName {
    ZoneName::new(format!("us-east-1{letter}")).unwrap()
}

pub fn balancer_name() -> LoadBalancerName {
    LoadBalancerName::new("test").unwrap()
}

pub fn instance(n: u32) -> InstanceId {
    InstanceId::new(format!("i-{n:08x}")).unwrap()
}

pub struct Rig {
    pub road: Road,
    pub routes: BalancerRoutes,
    pub origins: Vec<Origin>,
    generation: u64,
}

impl Rig {
    /// A road with one HTTP listener on one node of no zone, in front of instances in these zones, all in service.
    pub fn new(zones: &[&str]) -> Self {
        Self::with(zones, Protocol::Http, RoadConfig { workers: 2, ..RoadConfig::default() })
    }

    pub fn with(zones: &[&str], protocol: Protocol, config: RoadConfig) -> Self {
        let road = Road::start(config).unwrap();
        let node = address();
        let port = free_port(node);
        let listener = ListenerRoute {
            bind_port: port,
            port: Port::new(80).unwrap(),
            protocol,
            instance_port: Port::new(1).unwrap(),
            instance_protocol: protocol,
            tls: None,
            instance_tls: None,
            proxy_protocol: None,
            accept_proxy_from: Vec::new(),
            allowed_from: None,
            http2: false,
            instance_http: InstanceHttp::One,
            stickiness: None,
        };
        let routes = BalancerRoutes {
            name: balancer_name(),
            cross_zone: false,
            idle_timeout: Duration::from_secs(20),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            desync: DesyncMode::default(),
            balancing: Balancing::default(),
            health_check: HealthCheck::default_for(Port::new(80).unwrap()),
            nodes: vec![Node { zone: None, address: node }],
            listeners: vec![listener],
            targets: Vec::new(),
            challenges: Vec::new(),
            access_log: None,
            wakes: false,
        };
        let mut rig = Self { road, routes, origins: Vec::new(), generation: 0 };
        for letter in zones {
            rig.add_origin(letter);
        }
        rig.publish();
        rig
    }

    /// One more instance, in service once published.
    pub fn add_origin(&mut self, letter: &str) -> InstanceId {
        let origin = Origin::start(address(), 0);
        let id = self.add_target(letter, origin.address);
        self.origins.push(origin);
        id
    }

    pub fn add_target(&mut self, letter: &str, at: SocketAddr) -> InstanceId {
        let id = instance(self.routes.targets.len() as u32 + 1);
        self.routes.targets.push(Target {
            instance: id.clone(),
            zone: zone(letter),
            address: at.ip(),
            port: Some(Port::new(at.port()).unwrap()),
            weight: Target::WEIGHT,
            phase: Phase::Serving,
        });
        id
    }

    /// Publishes what `routes` says now, with every target in service, and waits until all workers drive by it.
    pub fn publish(&mut self) {
        self.health(Health::InService);
        self.publish_unjudged();
    }

    /// The same, without a word on anybody's health.
    pub fn publish_unjudged(&mut self) {
        self.generation += 1;
        let balancers = [(self.routes.name.clone(), Arc::new(self.routes.clone()))].into();
        let began = Instant::now();
        let faults = self.road.publish(Arc::new(Routes { generation: self.generation, balancers }));
        assert_eq!(faults, []);
        assert!(self.road.settled(Duration::from_secs(5)));
        assert_eq!(self.road.applied(), self.generation);
        assert!(began.elapsed() < Duration::from_millis(2000), "took {:?}", began.elapsed());
    }

    pub fn health(&self, health: Health) {
        for target in &self.routes.targets {
            self.road.board().state(&(self.routes.name.clone(), target.instance.clone())).set_health(health);
        }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.routes.nodes[0].address, self.routes.listeners[0].bind_port.number())
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub fn hits(&self) -> Vec<u64> {
        self.origins.iter().map(Origin::hits).collect()
    }

    /// Whether nothing is open and nothing in flight: no client, no stream, no request on any target, and no connection
    /// but idle ones to instances.
    pub fn is_empty(&self) -> bool {
        let (meters, board) = (self.meters(), self.road.board());
        let in_flight: u32 = board.all().iter().map(|(_, state)| state.outstanding()).sum();
        let held = self.road.connections(1000, Duration::from_secs(5));
        meters.open_clients == 0
            && meters.open_streams == 0
            && in_flight == 0
            && held.silent == 0
            && held.rows.iter().all(|row| row.kind == Kind::Pool)
    }

    pub fn meters(&self) -> NodeMeters {
        let meters = self.road.meters();
        assert_eq!(meters.panics, 0);
        meters.balancers.get(&self.routes.name).map(|balancer| balancer.total()).unwrap_or_default()
    }
}

/// Waits until a condition holds; panics when it does not within ten seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// A client that reads answers to the byte.
pub struct Client {
    pub stream: TcpStream,
    held: Vec<u8>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// Lines with their ends.
    pub trailers: String,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.head.lines().skip(1).filter_map(|l| l.split_once(": "));
        found.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, held: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.read().unwrap()
    }

    pub fn post(&mut self, target: &str, body: &[u8]) -> Answer {
        let mut wire =
            format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        wire.extend_from_slice(body);
        self.send(wire);
        self.read().unwrap()
    }

    /// The next answer to a request other than HEAD; an error when the connection ends before it is complete.
    pub fn read(&mut self) -> std::io::Result<Answer> {
        self.read_answer(false)
    }

    /// So many bytes that follow the last answer; some may have come with it.
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        while self.held.len() < count {
            self.more().unwrap();
        }
        self.held.drain(..count).collect()
    }

    pub fn read_answer(&mut self, to_head: bool) -> std::io::Result<Answer> {
        let end = loop {
            if let Some(at) = self.held.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.held.drain(..end).collect()).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer { status, head, ..Answer::default() };
        if to_head || status < 200 || status == 204 || status == 304 {
            return Ok(answer);
        }
        if let Some(length) = answer.field("content-length").map(|l| l.parse::<usize>().unwrap()) {
            while self.held.len() < length {
                self.more()?;
            }
            answer.body = self.held.drain(..length).collect();
        } else if answer.field("transfer-encoding") == Some("chunked") {
            let mut last = false;
            loop {
                let line = loop {
                    if let Some(at) = self.held.windows(2).position(|w| w == b"\r\n") {
                        break String::from_utf8(self.held.drain(..at + 2).collect()).unwrap();
                    }
                    self.more()?;
                };
                if last {
                    if line == "\r\n" {
                        break;
                    }
                    answer.trailers += &line;
                    continue;
                }
                let size = usize::from_str_radix(line.trim(), 16).unwrap();
                if size == 0 {
                    last = true;
                    continue;
                }
                while self.held.len() < size + 2 {
                    self.more()?;
                }
                let data: Vec<u8> = self.held.drain(..size + 2).collect();
                answer.body.extend_from_slice(&data[..size]);
            }
        } else {
            while self.more().is_ok() {}
            answer.body = std::mem::take(&mut self.held);
        }
        Ok(answer)
    }

    fn more(&mut self) -> std::io::Result<()> {
        let mut block = vec![0; 64 * 1024];
        match self.stream.read(&mut block)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.held.extend_from_slice(&block[..n]);
                Ok(())
            }
        }
    }

    /// Whether the road has closed the connection, with nothing more to read.
    pub fn is_closed(&mut self) -> bool {
        assert!(self.held.is_empty(), "unread: {}", self.held.escape_ascii());
        match self.stream.read(&mut [0; 1]) {
            Ok(n) => n == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
