//! A road is replaced by another process while everything goes on: nothing refused, nothing cut, nobody asked anew.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel::link::handover::{self, Claim, Legacy};
use evenkeel::link::road::Place;
use evenkeel::traffic::{self, Plan, Post, Snapshot, Traffic};
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{PROGRAM, Rig, kill9, processes_of, read_answer};
use crate::steady::Steady;

const PATIENCE: Duration = Duration::from_secs(20);

fn road_of(dir: &Path) -> i32 {
    std::fs::read_to_string(dir.join("road.lock")).unwrap().trim().parse().unwrap_or(0)
}

fn replace_road(rig: &Rig) {
    let before = road_of(rig.data_dir());
    let run = Command::new(PROGRAM).args(["replace-road", "--data-dir"]).arg(rig.data_dir()).output().unwrap();
    assert!(run.status.success(), "{}\n{}", String::from_utf8_lossy(&run.stderr), rig.log());
    assert_ne!(road_of(rig.data_dir()), before, "{}", rig.log());
}

/// Begins a hand-over as a new road does.
fn ask(rig: &Rig) -> (Claim, Legacy) {
    let stream = Place::new(rig.data_dir()).connect_to("handover.sock").unwrap();
    handover::ask(stream).unwrap()
}

/// Roads of a data directory that live.
fn roads(dir: &Path) -> usize {
    let is_road = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"road")
    };
    processes_of(dir).iter().filter(|pid| is_road(pid)).count()
}

/// A new connection for each request.
fn strangers(rig: &Rig, rate: u32) -> Traffic {
    let nodes = rig.nodes("test").into_iter().map(|(_, address)| address).collect();
    let plan = Plan { requests_per_connection: Some(1), ..Plan::new(traffic::addresses(nodes), rate) };
    Traffic::start(plan).unwrap()
}

fn lost(of: &Snapshot) -> Vec<String> {
    of.failures.iter().map(|failure| format!("{failure:?}")).collect()
}

/// A request whose body is not all sent yet, so that it is in flight for exactly as long as the test wants it to be.
struct Held(TcpStream);

impl Held {
    fn send(to: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nConnection: close\r\n\r\n1")
            .unwrap();
        Self(stream)
    }

    fn release(mut self) -> u16 {
        self.0.write_all(b"2").unwrap();
        read_answer(&mut self.0).unwrap().0
    }
}

#[test]
fn ten_hand_overs_in_a_row_lose_nothing() {
    let mut rig = Rig::start_alone();
    let ids = rig.serving(&[("us-east-1a", 2)]);
    let post = Post { every: 5, path: "/echo".into(), body: b"once".to_vec() };
    let regulars = Steady::start_plan(&rig, "test", 800, Some(post));
    let strangers = strangers(&rig, 300);
    for round in 1..=10 {
        let sent = regulars.snapshot().sent;
        replace_road(&rig);
        rig.wait("traffic over the new road", PATIENCE, |_| (regulars.snapshot().sent > sent + 200).then_some(()));
        let health = rig.health("test");
        assert!(health.iter().all(|(_, health)| health == "InService: N/A"), "round {round}: {health:?}");
    }
    // Changes still come through, and the office speaks with the last of them.
    rig.remove("test", &ids[..1]);
    rig.add("test", &ids[..1]);
    rig.wait_in_service("test", &ids);
    let (regulars, strangers) = (regulars.end(), strangers.stop());
    assert_eq!((lost(&regulars), lost(&strangers)), (vec![], vec![]), "{}", rig.log());
    println!("10 hand-overs: {} and {} requests", regulars.sent, strangers.sent);
    rig.wait("the old roads to end", PATIENCE, |rig| (roads(rig.data_dir()) == 1).then_some(()));
    rig.finish();
}

#[test]
fn a_daemon_of_another_build_replaces_the_road_of_the_one_before() {
    let mut rig = Rig::start();
    rig.serving(&[("us-east-1a", 1)]);
    let steady = Steady::start(&rig, "test", 300);
    let old = road_of(rig.data_dir());
    // The same daemon again leaves it alone.
    rig.kill_daemon();
    rig.up();
    let input = evenkeel_aws::ec2::DescribeInstances::default();
    rig.call(&input).unwrap();
    rig.kill_daemon();
    assert_eq!(road_of(rig.data_dir()), old);
    // A program runs as before with something behind its end, but it is another file.
    let program = rig.file("another-build");
    std::fs::copy(PROGRAM, &program).unwrap();
    std::fs::OpenOptions::new().append(true).open(&program).unwrap().write_all(b"more").unwrap();
    rig.program = program;
    rig.up();
    rig.wait("the new build's road", PATIENCE, |rig| (road_of(rig.data_dir()) != old).then_some(()));
    rig.wait("the old road's end", PATIENCE, |rig| (roads(rig.data_dir()) == 1).then_some(()));
    let sent = steady.snapshot().sent;
    rig.wait("traffic over the new road", PATIENCE, |_| (steady.snapshot().sent > sent + 100).then_some(()));
    assert_eq!(steady.stop().lost, Vec::<String>::new(), "{}", rig.log());
    rig.finish();
}

#[test]
fn a_new_road_that_does_not_come_to_its_end_changes_nothing() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 1)]);
    let steady = Steady::start(&rig, "test", 300);
    let old = road_of(rig.data_dir());
    drop(ask(&rig));
    let (claim, legacy) = ask(&rig);
    assert_eq!(legacy.estate.sockets.len(), 1);
    // While it is handed over nothing changes; afterwards it does.
    rig.remove("test", &ids);
    drop((claim, legacy));
    rig.add("test", &ids);
    rig.wait_in_service("test", &ids);
    assert_eq!(road_of(rig.data_dir()), old);
    let sent = steady.snapshot().sent;
    rig.wait("traffic over the old road", PATIENCE, |_| (steady.snapshot().sent > sent + 100).then_some(()));
    drop(steady.stop());
    replace_road(&rig);
    rig.finish();
}

#[test]
fn an_old_road_that_is_killed_in_the_middle_leaves_everything_to_the_new_one() {
    let mut rig = Rig::start();
    rig.serving(&[("us-east-1a", 1)]);
    let node = rig.nodes("test")[0].1;
    let (claim, legacy) = ask(&rig);
    kill9(road_of(rig.data_dir()));
    claim.ready().unwrap();
    // Nobody accepts now, and nobody is refused.
    let mut waits = TcpStream::connect(node).unwrap();
    waits.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(legacy.routes.balancers.len(), 1);
    drop(legacy);
    rig.wait("a road to serve", PATIENCE, |rig| {
        rig.get(node, "/").is_ok_and(|(status, _)| status == 200).then_some(())
    });
    rig.finish();
}

#[test]
fn whoever_is_killed_at_whatever_moment_one_road_serves() {
    let mut rig = Rig::start();
    rig.serving(&[("us-east-1a", 1)]);
    let node = rig.nodes("test")[0].1;
    let mut old = road_of(rig.data_dir());
    for (round, pause) in [0, 20, 40, 60, 90, 120, 160, 200].into_iter().enumerate() {
        let mut command = Command::new(PROGRAM);
        command.args(["road", "--replace", "--data-dir"]).arg(rig.data_dir()).args(["--drain", "1"]);
        let log = std::fs::File::options().append(true).open(rig.file("road.log")).unwrap();
        let mut new = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        // Any moment will do: that is what is shown.
        std::thread::park_timeout(Duration::from_millis(pause));
        if round % 2 == 0 {
            // The old one may have ended by itself.
            let _ = kill_process(Pid::from_raw(old).unwrap(), Signal::KILL);
        } else {
            new.kill().unwrap();
        }
        // The daemon may be replacing it once more, by one with its own options: then that one is meant.
        let served = rig.wait("one road to serve", PATIENCE, |rig| {
            let serves = rig.get(node, "/").is_ok_and(|(status, _)| status == 200);
            let _ = new.try_wait();
            let named = road_of(rig.data_dir());
            let one = roads(rig.data_dir()) == 1 && processes_of(rig.data_dir()).contains(&named);
            (serves && one).then_some(named)
        });
        let ours = i32::try_from(new.id()).unwrap();
        if served == ours {
            // Its parent is this test and not the daemon: it would not be collected by anybody else.
            std::thread::spawn(move || new.wait());
        } else {
            drop(new.wait());
        }
        old = served;
    }
    rig.finish();
}

#[test]
fn a_long_request_ends_on_the_old_road_and_its_instance_waits_for_it() {
    let mut rig = Rig::start();
    let ids = rig.serving(&[("us-east-1a", 1)]);
    let node = rig.nodes("test")[0].1;
    let held = Held::send(node);
    let requests = |rig: &Rig| -> u64 {
        let mut status = Command::new(PROGRAM);
        status.args(["status", "--json", "--data-dir"]).arg(rig.data_dir()).env_remove("AWS_ENDPOINT_URL");
        let run = status.output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        report["counts"].as_array().unwrap().iter().filter_map(|count| count["requests"].as_u64()).sum()
    };
    rig.wait("the request to be in flight", PATIENCE, |rig| (requests(rig) > 0).then_some(()));
    replace_road(&rig);
    replace_road(&rig);
    assert_eq!(rig.get(node, "/").unwrap().0, 200);
    assert_eq!(roads(rig.data_dir()), 2, "the road with the request, and the last one: {}", rig.log());
    rig.terminate(&ids);
    // The road hears of it, and both roads say that it may go only when the request has ended.
    rig.wait("the road to send it nothing more", PATIENCE, |rig| {
        rig.get(node, "/").is_ok_and(|(status, _)| status == 503).then_some(())
    });
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(rig.state(&ids[0]).0, "shutting-down", "{}", rig.log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(held.release(), 200, "{}", rig.log());
    rig.wait_state(&ids[0], "terminated");
    rig.wait("the old road to end", PATIENCE, |rig| (roads(rig.data_dir()) == 1).then_some(()));
    rig.finish();
}

/// `evenkeel proxy` with a process of its own, and whoever takes over from it. All are ended with it.
struct Proxy {
    folder: tempfile::TempDir,
    first: Child,
    lines: std::sync::mpsc::Receiver<String>,
    pid: u32,
}

impl Proxy {
    fn start(folder: tempfile::TempDir) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("proxy").arg(folder.path().join("proxy.toml")).args(["--threads", "2", "--drain", "20"]);
        let mut first = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, lines) = std::sync::mpsc::channel();
        let errors = BufReader::new(first.stderr.take().unwrap());
        std::thread::spawn(move || errors.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        let pid = first.id();
        Self { folder, first, lines, pid }
    }

    fn wait_for(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return line;
            }
            all.push(line);
        }
        panic!("not said: {text}\n{}", all.join("\n"));
    }

    fn hand_over(&mut self) {
        kill_process(Pid::from_raw(self.pid.cast_signed()).unwrap(), Signal::USR2).unwrap();
        let line = self.wait_for(" took over");
        self.pid = line.split(' ').nth(1).unwrap().parse().unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for pid in processes_of(self.folder.path()) {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        let _ = self.first.wait();
    }
}

/// Answers every request at once.
fn application() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let mut line = String::new();
                    let mut any = false;
                    while reader.read_line(&mut line).unwrap_or(0) > 2 {
                        (any, line) = (true, String::new());
                    }
                    if !any || stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// One request over TLS, and whether the session was resumed.
fn ask_secure(config: &Arc<rustls::ClientConfig>, port: u16) -> std::io::Result<bool> {
    let name = rustls::pki_types::ServerName::try_from("a.example").unwrap();
    let conn = rustls::ClientConnection::new(Arc::clone(config), name).unwrap();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = rustls::StreamOwned::new(conn, stream);
    tls.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    tls.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(tls.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed))
}

#[test]
fn a_proxy_hands_over_under_tls_and_sessions_resume() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(folder.path().join("web.pem"), pem("CERTIFICATE", made.cert.der())).unwrap();
    std::fs::write(folder.path().join("web.key"), pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    let claim = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = claim.local_addr().unwrap().port();
    drop(claim);
    let text = format!(
        "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n\
         health_check = {{ target = \"HTTP:1/\", interval = 300, timeout = 2 }}\n\
         [[balancer.listener]]\nport = {port}\nprotocol = \"https\"\n\
         certificates = [{{ chain = \"web.pem\", key = \"web.key\" }}]\n\
         [[balancer.target]]\naddress = \"{}\"\n",
        application()
    );
    std::fs::write(folder.path().join("proxy.toml"), &text).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());

    let mut proxy = Proxy::start(folder);
    proxy.wait_for(": in service");
    assert!(!ask_secure(&config, port).unwrap());
    let (ending, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (config, ending, sent) = (Arc::clone(&config), Arc::clone(&ending), Arc::clone(&sent));
            std::thread::spawn(move || {
                let mut anew = 0;
                while !ending.load(Ordering::Relaxed) {
                    anew += usize::from(!ask_secure(&config, port).unwrap());
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                anew
            })
        })
        .collect();
    for _ in 0..10 {
        let before = sent.load(Ordering::Relaxed);
        proxy.hand_over();
        let until = Instant::now() + PATIENCE;
        while sent.load(Ordering::Relaxed) < before + 50 {
            assert!(Instant::now() < until, "no traffic over the new process");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
    ending.store(true, Ordering::Relaxed);
    // A ticket is good for one session; who finds none left, because another client had it, begins anew.
    let anew: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    println!("{} sessions, {anew} of them begun anew", sent.load(Ordering::Relaxed));
    let resumed = (0..20).filter(|_| ask_secure(&config, port).unwrap()).count();
    proxy.hand_over();
    assert!(ask_secure(&config, port).unwrap() && resumed > 0, "sessions are not resumed over a hand-over");
    // One that cannot serve leaves it as it is.
    std::fs::write(proxy.folder.path().join("proxy.toml"), "nonsense").unwrap();
    kill_process(Pid::from_raw(proxy.pid.cast_signed()).unwrap(), Signal::USR2).unwrap();
    proxy.wait_for(&format!("process {} goes on", proxy.pid));
    assert!(ask_secure(&config, port).is_ok());
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
