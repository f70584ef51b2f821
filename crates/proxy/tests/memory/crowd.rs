//! Many open connections: each is served, costs little while it idles, and is served again.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;

use crate::origin::{Origin, again};
use crate::rig::{Client, Rig, address, eventually};
use crate::{alone, resident, tls_rig};

/// Connections that are held and served.
const CROWD: usize = 15_000;
/// Descriptors that are no client's.
const RESERVE: usize = 600;

/// A road that takes them in. Nobody idles for too long while the others come.
fn road() -> Rig {
    let config = RoadConfig { workers: 2, max_connections: CROWD + 100, ..RoadConfig::default() };
    let mut rig = Rig::with(&[], Protocol::Http, config);
    rig.routes.idle_timeout = Duration::from_secs(600);
    rig
}

/// As many as the limit on open files allows, which both processes have; said loudly where that is fewer.
fn crowd() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let allowed = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(RESERVE);
    if allowed < CROWD {
        eprintln!("\n*** ONLY {allowed} of {CROWD} connections: the limit is {limit} open files ***\n");
    }
    allowed.min(CROWD)
}

/// Clients in a process of their own.
struct Clients {
    child: Child,
    tell: ChildStdin,
    told: Receiver<String>,
}

impl Clients {
    fn start(test: &str, variables: &[(&str, String)]) -> Self {
        let mut command = again(test);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
        let (tell, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (say, told) = std::sync::mpsc::channel();
        thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, tell, told }
    }

    /// Waits until they say that.
    fn say(&self, what: &str) {
        while self.told.recv_timeout(Duration::from_secs(120)).unwrap_or_else(|_| panic!("never: {what}")) != what {}
    }

    /// Has them ask again, and then leave.
    fn ask_again(&mut self) {
        writeln!(self.tell, "again").unwrap();
        self.say("served again");
    }

    fn leave(mut self) {
        writeln!(self.tell, "leave").unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// Not a test: how clients in a process of their own live.
fn live<C>(count: usize, connect: impl Fn() -> C, ask: impl Fn(&mut C)) {
    let mut held: Vec<C> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = connect();
        ask(&mut client);
        held.push(client);
    }
    println!("\nserved");
    let mut orders = std::io::stdin().lines();
    orders.next().unwrap().unwrap();
    held.iter_mut().for_each(ask);
    println!("\nserved again");
    let _ = orders.next();
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not a test: a process that holds connections.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn clients() {
    let Some(at) = variable("ROAD_TEST_CROWD_AT") else { return };
    let at: SocketAddr = at.parse().unwrap();
    let count = variable("ROAD_TEST_CROWD").unwrap().parse().unwrap();
    live(count, || Client::connect(at), |client| assert_eq!(client.get("/").status, 200));
}

/// Not a test: a process that holds connections in TLS.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn secure_clients() {
    let Some(at) = variable("ROAD_TEST_CROWD_AT") else { return };
    let at: SocketAddr = at.parse().unwrap();
    let count = variable("ROAD_TEST_CROWD").unwrap().parse().unwrap();
    let made = variable("ROAD_TEST_CERTIFICATE").unwrap();
    let der: Vec<u8> =
        (0..made.len()).step_by(2).map(|at| u8::from_str_radix(&made[at..at + 2], 16).unwrap()).collect();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der.into()).unwrap();
    let version = match variable("ROAD_TEST_VERSION").as_deref() {
        Some("1.2") => &rustls::version::TLS12,
        _ => &rustls::version::TLS13,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    live(
        count,
        || tls_rig::connect(at, &config, "a.example").unwrap(),
        |client| assert!(tls_rig::get(client, "/").unwrap().0.starts_with("HTTP/1.1 200")),
    );
}

/// Has that many clients served, and again after they have idled; says what each costs meanwhile.
fn hold(rig: &Rig, test: &str, count: usize, variables: &[(&str, String)]) -> usize {
    let all = [("ROAD_TEST_CROWD_AT", rig.address().to_string()), ("ROAD_TEST_CROWD", count.to_string())];
    let before = resident();
    let mut clients = Clients::start(test, &[&all[..], variables].concat());
    clients.say("served");
    eventually("all are counted", || rig.meters().open_clients == count as u64);
    let each = resident().saturating_sub(before) * 1024 / count;
    clients.ask_again();
    let meters = rig.meters();
    assert_eq!((meters.open_clients, meters.accepted), (count as u64, count as u64));
    assert_eq!(meters.from_instance[1], 2 * count as u64);
    // What served them all at once is not kept for them.
    let after = resident().saturating_sub(before) * 1024 / count;
    assert!(after < each + 512, "{each} bytes each, then {after}");
    clients.leave();
    eventually("nothing is left", || rig.is_empty());
    each
}

#[test]
fn fifteen_thousand_connections_are_held_and_served_at_little_cost() {
    let _alone = alone();
    let mut rig = road();
    rig.add_origin("a");
    rig.publish();
    let count = crowd();
    let each = hold(&rig, "crowd::clients", count, &[]);
    eprintln!("{count} connections: {each} bytes of resident memory for each");
    assert!(each < 614, "{each} bytes each");
    assert_eq!(rig.client().get("/").status, 200);
}

#[test]
fn as_many_in_tls_keep_to_their_budget() {
    let _alone = alone();
    for (version, most) in [("1.2", 4_000), ("1.3", CROWD)] {
        let made = tls_rig::Made::new(&["a.example"]);
        let origin = Origin::start(address(), 0);
        let mut rig = road();
        rig.routes.listeners[0].protocol = Protocol::Https;
        rig.routes.listeners[0].tls = tls_rig::front(&[&made]);
        rig.add_target("a", origin.address);
        rig.publish();
        let certificate = made.der.iter().map(|byte| format!("{byte:02x}")).collect();
        let variables = [("ROAD_TEST_CERTIFICATE", certificate), ("ROAD_TEST_VERSION", version.to_owned())];
        let (count, began) = (crowd().min(most), Instant::now());
        let each = hold(&rig, "crowd::secure_clients", count, &variables);
        eprintln!(
            "{count} connections in TLS {version}: {each} bytes of resident memory for each, {:?}",
            began.elapsed()
        );
        assert!(each < 7 * 1024, "{each} bytes each");
    }
}
