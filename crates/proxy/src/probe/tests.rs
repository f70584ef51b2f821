//! The prober against real listeners on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use evenkeel_core::name::{InstanceId, LoadBalancerName, Port, ZoneName};
use evenkeel_core::noun::{Balancing, HealthCheck, HealthTarget};
use evenkeel_core::routes::{BalancerRoutes, Phase, Target};
use rustls::pki_types::PrivateKeyDer;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A listener on a free port; every connection is given to `answer` on a thread of its own.
fn serve(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    // Ends with the test process; nothing waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while reader.read_line(&mut head).unwrap_or(0) > 2 {}
    head
}

fn say(text: &'static str) -> impl Fn(TcpStream) + Send + Sync + 'static {
    move |mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.read(&mut [0; 1]);
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A TLS server with a certificate that nobody signed and whose name fits nothing.
fn serve_tls(text: &'static str) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(vec!["nobody.invalid".into()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    serve(move |mut stream| {
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = rustls::Stream::new(&mut tls, &mut stream);
        if read_head(&mut tls).is_empty() {
            return;
        }
        let _ = tls.write_all(text.as_bytes());
        let _ = tls.read(&mut [0; 1]);
    })
}

fn instance(n: usize) -> InstanceId {
    InstanceId::new(format!("i-{n:08x}")).unwrap()
}

fn key(name: &str, n: usize) -> TargetKey {
    (LoadBalancerName::new(name).unwrap(), instance(n))
}

/// A balancer of targets at these addresses. `check` is without a port: each target has its own.
fn balancer(name: &str, check: &str, interval: Duration, timeout: Duration, at: &[SocketAddr]) -> Arc<BalancerRoutes> {
    let zone = ZoneName::new("a").unwrap();
    let target = |(n, address): (usize, &SocketAddr)| Target {
        instance: instance(n),
        zone: zone.clone(),
        address: address.ip(),
        port: Some(Port::new(address.port()).unwrap()),
        weight: Target::WEIGHT,
        phase: Phase::Serving,
    };
    let (word, path) = check.split_once('/').map_or((check, String::new()), |(word, path)| (word, format!("/{path}")));
    Arc::new(BalancerRoutes {
        name: LoadBalancerName::new(name).unwrap(),
        cross_zone: false,
        idle_timeout: Duration::from_secs(60),
        timeouts: evenkeel_core::routes::Timeouts::default(),
        limits: evenkeel_core::routes::Limits::default(),
        desync: Default::default(),
        balancing: Balancing::default(),
        health_check: HealthCheck {
            target: HealthTarget::parse(&format!("{word}:1{path}")).unwrap(),
            interval,
            timeout,
            unhealthy_threshold: 3,
            healthy_threshold: 2,
        },
        nodes: Vec::new(),
        listeners: Vec::new(),
        targets: at.iter().enumerate().map(target).collect(),
        challenges: Vec::new(),
        access_log: None,
        wakes: false,
    })
}

fn routes(balancers: &[Arc<BalancerRoutes>]) -> Arc<Routes> {
    Arc::new(Routes { generation: 1, balancers: balancers.iter().map(|b| (b.name.clone(), Arc::clone(b))).collect() })
}

fn prober() -> (Prober, Arc<Board>, Receiver<(TargetKey, Transition)>) {
    let board = Arc::new(Board::default());
    let (tell, told) = channel();
    let prober = Prober::start(Arc::clone(&board), move |key, transition| {
        let _ = tell.send((key, transition));
    })
    .unwrap();
    (prober, board, told)
}

fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The verdict on one address: `in service`, or why its first check failed.
fn first_verdict(check: &str, address: SocketAddr) -> String {
    let (prober, board, _told) = prober();
    let timeout = Duration::from_millis(400);
    prober.publish(routes(&[balancer("web", check, Duration::from_secs(5), timeout, &[address])]));
    let verdict = wait_until(check, || prober.verdicts().pop().filter(|(_, verdict)| verdict.why.is_some()));
    assert_eq!(verdict.0, key("web", 0));
    let health = board.state(&verdict.0).health();
    assert_eq!(health, verdict.1.health, "the Board says the same");
    if health == Health::InService { health.to_string() } else { verdict.1.why.unwrap().to_string() }
}

#[test]
fn every_protocol_and_fault_gets_its_verdict() {
    let check = |check: &str, address: SocketAddr, wanted: &str| {
        let verdict = first_verdict(check, address);
        assert!(verdict.starts_with(wanted), "{check} should be `{wanted}`, is `{verdict}`");
    };
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let hold = || {
        serve(|mut stream| {
            let _ = stream.read_to_end(&mut Vec::new());
        })
    };
    check("TCP", hold(), "in service");
    check("TCP", free_port(), "connection refused");
    check("HTTP/ping", serve(say(ok)), "in service");
    check("HTTP/ping", free_port(), "connection refused");
    check("HTTP/ping", serve(say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")), "status 503, 200 wanted");
    check("HTTP/ping", serve(say("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")), "status 302, 200 wanted");
    check("HTTP/ping", serve(say("220 mail.example.com ESMTP\r\n")), "answer is not HTTP");
    check("HTTP/ping", serve(say("HTTP/1.1 200 OK\n\n")), "answer is not HTTP: a line ends without a carriage return");
    check("HTTP/ping", hold(), "no answer within 0.4 s");
    check("HTTP/ping", serve(drop), "connection ");
    check("HTTP/ping", serve(|mut stream| drop(read_head(&mut stream))), "connection closed without an answer");
    check("HTTP/ping", serve(reset), "connection reset");
    let endless = |head: &'static [u8], more: &'static [u8]| {
        serve(move |mut stream| {
            read_head(&mut stream);
            let _ = stream.write_all(head);
            while stream.write_all(more).is_ok() {}
        })
    };
    check("HTTP/ping", endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), "answer's head is longer than 16384 bytes");
    check("HTTP/ping", endless(b"HTTP/1.1 200 OK\r\n\r\n", b"xxxxxxxx"), "in service");
    let drip = serve(|mut stream| {
        read_head(&mut stream);
        while stream.write_all(b"H").is_ok() && stream.set_read_timeout(Some(Duration::from_millis(10))).is_ok() {
            let _ = stream.read(&mut [0; 1]);
        }
    });
    check("HTTP/ping", drip, "answer is not HTTP");
    let slow = serve(|mut stream| {
        read_head(&mut stream);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(10)));
        for byte in ok_forever() {
            if stream.write_all(&[byte]).is_err() {
                break;
            }
            let _ = stream.read(&mut [0; 1]);
        }
    });
    check("HTTP/ping", slow, "no answer within 0.4 s");
    check("SSL", serve_tls(ok), "in service");
    check("SSL", hold(), "no answer within 0.4 s");
    check("SSL", serve(say(ok)), "TLS handshake failed");
    check("SSL", free_port(), "connection refused");
    check("HTTPS/ping", serve_tls(ok), "in service");
    check("HTTPS/ping", serve_tls("HTTP/1.1 500 Oops\r\n\r\n"), "status 500, 200 wanted");
    check("HTTPS/ping", serve_tls("nonsense"), "answer is not HTTP");
    check("HTTPS/ping", serve(say(ok)), "TLS handshake failed");
}

fn ok_forever() -> impl Iterator<Item = u8> {
    b"HTTP/1.1 200 OK\r\n".iter().copied().chain(b"a: b\r\n".iter().copied().cycle())
}

fn reset(mut stream: TcpStream) {
    read_head(&mut stream);
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_connection_that_is_never_made_is_told_from_an_answer_that_never_comes() {
    // A listener whose queue is full drops what comes after.
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(stream);
        assert!(held.len() < 100, "the queue never fills");
    }
    assert_eq!(first_verdict("TCP", address), "no connection within 0.4 s");
}

#[test]
fn the_request_is_awss_own() {
    let (heard, requests): (Sender<String>, _) = channel();
    let address = serve(move |mut stream| {
        let _ = heard.send(read_head(&mut stream));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    assert_eq!(first_verdict("HTTP/a?b=c", address), "in service");
    let wanted = format!(
        "GET /a?b=c HTTP/1.1\r\nhost: {address}\r\nUser-Agent: ELB-HealthChecker/1.0\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"
    );
    assert_eq!(requests.recv_timeout(PATIENCE).unwrap(), wanted);
}

#[test]
fn a_dead_suspect_is_out_within_a_second_and_back_when_it_lives_again() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (prober, board, told) = prober();
    let interval = Duration::from_secs(30);
    prober.publish(routes(&[balancer("web", "TCP", interval, Duration::from_secs(5), &[address])]));
    let next = || told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((next().1.to, board.state(&key("web", 0)).health()), (Health::InService, Health::InService));

    drop(listener);
    let state = board.state(&key("web", 0));
    let died = Instant::now();
    assert!(state.suspect());
    prober.check_now(key("web", 0));
    let (_, out) = next();
    assert_eq!((out.from, out.to, out.why), (Health::InService, Health::Failing, Cause::Refused));
    assert!(died.elapsed() < Duration::from_secs(1), "out after {:?}", died.elapsed());
    assert_eq!(state.health(), Health::Failing);
    let verdict = &prober.verdicts()[0].1;
    let left = verdict.provisional_until.map(|until| until.since(verdict.since));
    assert!(left.is_some_and(|left| left > Duration::from_secs(88)), "three intervals from the suspicion: {left:?}");

    let _listener = TcpListener::bind(address).unwrap();
    let (_, back) = next();
    assert_eq!((back.from, back.to), (Health::Failing, Health::InService));
    wait_until("trusted again", || (!state.is_suspect()).then_some(()));
}

#[test]
fn a_suspect_that_is_well_is_trusted_again_and_stays_in_service() {
    let (heard, checks) = channel();
    let address = serve(move |stream| {
        let _ = heard.send(());
        drop(stream);
    });
    let (prober, board, told) = prober();
    prober.publish(routes(&[balancer("web", "TCP", Duration::from_secs(300), Duration::from_secs(5), &[address])]));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().1.to, Health::InService);
    checks.recv_timeout(PATIENCE).unwrap();
    let state = board.state(&key("web", 0));
    state.suspect();
    prober.check_now(key("web", 0));
    checks.recv_timeout(PATIENCE).expect("a check long before the interval");
    wait_until("trusted", || (!state.is_suspect()).then_some(()));
    assert_eq!(state.health(), Health::InService);
    assert!(told.try_recv().is_err(), "no transition");
}

#[test]
fn thresholds_rule_a_target_that_comes_and_goes() {
    let status = Arc::new(AtomicU64::new(200));
    let now_says = Arc::clone(&status);
    let address = serve(move |mut stream| {
        read_head(&mut stream);
        let status = now_says.load(Ordering::Relaxed);
        let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    });
    let (prober, _board, told) = prober();
    let interval = Duration::from_millis(150);
    prober.publish(routes(&[balancer("web", "HTTP/", interval, Duration::from_millis(140), &[address])]));
    let next = || told.recv_timeout(PATIENCE).unwrap().1;
    assert_eq!(next().to, Health::InService);
    let turned = Instant::now();
    status.store(500, Ordering::Relaxed);
    let out = next();
    assert_eq!((out.to, out.why), (Health::Failing, Cause::Status { status: 500 }));
    assert!(turned.elapsed() >= interval, "not at the first failure");
    status.store(200, Ordering::Relaxed);
    assert_eq!(next().to, Health::Recovering);
    let back = next();
    assert_eq!((back.to, back.why), (Health::InService, Cause::Passed { in_a_row: 2 }));
}

#[test]
fn a_target_that_is_removed_while_it_is_checked_is_let_go_at_once() {
    let (heard, events) = channel();
    let address = serve(move |mut stream| {
        read_head(&mut stream);
        let _ = heard.send("asked");
        let _ = stream.read(&mut [0; 1]);
        let _ = heard.send("closed");
    });
    let (prober, _board, told) = prober();
    let minute = Duration::from_secs(60);
    prober.publish(routes(&[balancer("web", "HTTP/", minute * 2, minute, &[address])]));
    assert_eq!(events.recv_timeout(PATIENCE).unwrap(), "asked");
    prober.publish(routes(&[]));
    assert_eq!(events.recv_timeout(PATIENCE).unwrap(), "closed");
    wait_until("forgotten", || prober.verdicts().is_empty().then_some(()));
    assert!(told.try_recv().is_err());

    // And one that comes back is new.
    prober.publish(routes(&[balancer("web", "TCP", minute * 2, minute, &[address])]));
    let (_, transition) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((transition.from, transition.to), (Health::Initial, Health::InService));
    prober.stop();
}

#[test]
fn five_hundred_targets_are_all_seen_and_a_panicking_listener_of_transitions_ends_nothing() {
    // One address for all: 500 applications would do nothing else.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addresses = [listener.local_addr().unwrap(); 500];
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let board = Arc::new(Board::default());
    let prober = Prober::start(Arc::clone(&board), |_, _| std::panic::resume_unwind(Box::new("as a test"))).unwrap();
    let interval = Duration::from_secs(30);
    prober.publish(routes(&[balancer("web", "TCP", interval, Duration::from_secs(5), &addresses)]));
    wait_until("all in service", || {
        let verdicts = prober.verdicts();
        let good = verdicts.iter().filter(|(_, verdict)| verdict.health == Health::InService).count();
        (good == 500).then_some(())
    });
    wait_until("panics counted", || (prober.panics() == 500).then_some(()));
}

/// Runs alone in a process of its own, because it takes every descriptor there is.
#[test]
#[ignore = "run by a_machine_out_of_descriptors_blames_no_target"]
fn out_of_descriptors() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (prober, _board, told) = prober();
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = Some(64);
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    let (interval, timeout) = (Duration::from_millis(200), Duration::from_millis(150));
    prober.publish(routes(&[balancer("web", "TCP", interval, timeout, &[listener.local_addr().unwrap()])]));
    wait_until("taken in", || (prober.verdicts().len() == 1).then_some(()));
    // Longer than a target that really failed would stay Initial.
    assert!(told.recv_timeout(Duration::from_secs(1)).is_err());
    assert_eq!(prober.verdicts()[0].1.why, None, "no result at all");
    drop(taken);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().1.to, Health::InService);
}

#[test]
fn a_machine_out_of_descriptors_blames_no_target() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "probe::tests::out_of_descriptors", "--ignored", "--test-threads=1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
