//! Traffic against small servers that misbehave in one way each, with exact accounts.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Loss, Plan, Post, Snapshot, Traffic, addresses};

/// A server that answers the n-th request it gets, counted from 1, as told; closes when told `false`.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
}

type Script = dyn Fn(u64, &str, &mut TcpStream) -> bool + Send + Sync;

impl Server {
    fn new(script: impl Fn(u64, &str, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let (script, counted): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&requests));
        // Ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, counted) = (Arc::clone(&script), Arc::clone(&counted));
                thread::spawn(move || serve(stream, &*script, &counted));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, script: &Script, counted: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            request.push(byte[0]);
        }
        let mut text = String::from_utf8(request).unwrap();
        if let Some(length) = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")) {
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            text.push_str(std::str::from_utf8(&body).unwrap());
        }
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        if !script(number, &text, &mut stream) {
            return;
        }
    }
}

fn identity(instance: &str, zone: &str) -> String {
    format!(r#"{{"instance":"{instance}","zone":"{zone}","version":"v1"}}"#)
}

fn answer(stream: &mut TcpStream, body: &str, extra: &str) -> bool {
    let text = format!("HTTP/1.1 200 OK\r\n{extra}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).is_ok()
}

fn good(instance: &'static str, zone: &'static str) -> Server {
    Server::new(move |_, _, stream| answer(stream, &identity(instance, zone), ""))
}

/// Closes with a reset: unread input makes the kernel send one.
fn reset(stream: &TcpStream) -> bool {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
    false
}

fn plan(server: &Server) -> Plan {
    Plan { connections: 1, timeout: Duration::from_millis(200), ..Plan::new(addresses(vec![server.address]), 200) }
}

/// Runs until `enough` holds.
#[track_caller]
fn run(plan: Plan, enough: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let traffic = Traffic::start(plan).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !enough(&traffic.snapshot()) {
        assert!(Instant::now() < until, "{:?}", traffic.snapshot());
        thread::park_timeout(Duration::from_millis(5));
    }
    let end = traffic.stop();
    assert_eq!(end.sent, end.ok + end.lost(), "every request ends once");
    end
}

/// Runs against a server where every third request is lost in one way.
#[track_caller]
fn check(loss: Loss, why: &str, script: impl Fn(&mut TcpStream) -> bool + Send + Sync + 'static) {
    let server =
        Server::new(
            move |number, _, stream| {
                if number.is_multiple_of(3) { script(stream) } else { answer(stream, &identity("i-1", "a"), "") }
            },
        );
    let end = run(plan(&server), |so_far| so_far.ok >= 6);
    assert_eq!(end.sent, server.requests(), "nothing is sent twice");
    assert_eq!(end.lost(), server.requests() / 3, "{end:?}");
    assert_eq!(end.failed.keys().collect::<Vec<_>>(), [&loss]);
    assert!(end.failures.iter().all(|failure| failure.why.contains(why)), "{:?}", end.failures);
    assert!(end.failures.iter().all(|failure| failure.sent <= failure.lost && failure.to == Some(server.address)));
    assert_eq!(end.instances["i-1"].answers, end.ok);
}

#[test]
fn each_fault_of_a_server_is_counted_by_its_kind_and_said_in_words() {
    check(Loss::Reset, "broke", |stream| reset(stream));
    check(Loss::Cut, "ended after 0 bytes", |_| false);
    check(Loss::Cut, "ended after 40 bytes", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi").unwrap();
        false
    });
    check(Loss::Malformed, "where its body ends", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhi").unwrap();
        false
    });
    check(Loss::WrongBody, "which instance", |stream| answer(stream, "hi", ""));
    check(Loss::Status(503), "503", |stream| {
        stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").is_ok()
    });
    check(Loss::Timeout, "within 200ms", |stream| {
        // Nothing, until the client has given up.
        let _ = stream.read(&mut [0; 1]);
        false
    });
    check(Loss::Timeout, "within 200ms", |stream| {
        // A byte now and then must not win more time.
        while stream.write_all(b"H").is_ok() {
            thread::park_timeout(Duration::from_millis(20));
        }
        false
    });
}

#[test]
fn good_servers_share_evenly_and_the_pace_is_held() {
    let servers = [good("i-1", "a"), good("i-2", "b")];
    let both = addresses(servers.iter().map(|server| server.address).collect());
    let end = run(Plan { connections: 4, ..Plan::new(both, 1000) }, |so_far| so_far.ok >= 1000);
    assert_eq!((end.lost(), end.ok), (0, end.sent));
    assert!(end.zones["a"].abs_diff(end.zones["b"]) <= 1, "{:?}", end.zones);
    assert_eq!(end.versions["v1"], end.ok);
    assert!(end.at >= Duration::from_millis(995), "too fast: {:?}", end.at);
    assert!(end.connections <= 8, "{}", end.connections);
}

#[test]
fn connections_closed_in_order_between_requests_cost_nothing() {
    let closing = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&closing);
    let server = Server::new(move |number, _, stream| {
        let body = identity("i-1", "a");
        match number % 3 {
            // Says so first.
            0 => {
                answer(stream, &body, "Connection: close\r\n");
                false
            }
            // Does not, but the client sees the end before it sends.
            1 => {
                answer(stream, &body, "");
                stream.shutdown(Shutdown::Both).unwrap();
                *counted.lock().unwrap() += 1;
                false
            }
            _ => answer(stream, &body, ""),
        }
    });
    let end = run(Plan { rate: 60, ..plan(&server) }, |so_far| so_far.ok >= 30);
    assert_eq!((end.lost(), end.ok), (0, server.requests()));
    assert!(*closing.lock().unwrap() >= 9);
    assert!((20..=end.ok).contains(&end.connections), "{}", end.connections);
}

#[test]
fn connections_are_changed_after_their_share_of_requests() {
    let server = good("i-1", "a");
    let end = run(Plan { requests_per_connection: Some(10), ..plan(&server) }, |so_far| so_far.ok >= 40);
    assert_eq!((end.lost(), end.connections), (0, end.sent.div_ceil(10)));
    let server = Server::new(|_, text, stream| {
        assert!(text.contains("\r\nConnection: close\r\n"));
        answer(stream, &identity("i-1", "a"), "Connection: close\r\n");
        false
    });
    let end = run(Plan { requests_per_connection: Some(1), ..plan(&server) }, |so_far| so_far.ok >= 10);
    assert_eq!((end.lost(), end.connections), (0, end.sent));
}

#[test]
fn posts_must_come_back_and_are_marked_as_not_to_be_repeated() {
    let server = Server::new(|_, text, stream| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        match head.split(' ').next() {
            Some("POST") if head.starts_with("POST /echo ") => answer(stream, body, ""),
            Some("POST") => answer(stream, "other", ""),
            _ => answer(stream, &identity("i-1", "a"), ""),
        }
    });
    let with = |path: &str| {
        let post = Post { every: 4, path: path.into(), body: b"abc".to_vec() };
        run(Plan { post: Some(post), ..plan(&server) }, |so_far| so_far.ok + so_far.lost() >= 40)
    };
    let end = with("/echo");
    assert_eq!((end.lost(), end.ok - end.instances["i-1"].answers), (0, end.sent.div_ceil(4)));
    let end = with("/other");
    assert_eq!(end.failed.get(&Loss::WrongBody), Some(&end.sent.div_ceil(4)));
    assert!(end.failures.iter().all(|failure| !failure.idempotent));
}

#[test]
fn addresses_are_followed_and_nobody_there_is_a_loss() {
    let (one, two) = (good("i-1", "a"), good("i-2", "b"));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let where_to = addresses(vec![one.address]);
    let traffic =
        Traffic::start(Plan { timeout: Duration::from_millis(500), ..Plan::new(where_to.clone(), 500) }).unwrap();
    let wait = |enough: &dyn Fn(&Snapshot) -> bool| {
        let until = Instant::now() + Duration::from_secs(20);
        while !enough(&traffic.snapshot()) {
            assert!(Instant::now() < until, "{:?}", traffic.snapshot());
            thread::park_timeout(Duration::from_millis(5));
        }
    };
    wait(&|so_far| so_far.ok >= 20);
    where_to.store(Arc::new(vec![two.address]));
    wait(&|so_far| so_far.zones.get("b").is_some_and(|answers| *answers >= 20));
    let before = one.requests();
    wait(&|so_far| so_far.zones["b"] >= 50);
    assert_eq!(one.requests(), before);
    assert_eq!(traffic.snapshot().lost(), 0);
    where_to.store(Arc::new(vec![gone]));
    wait(&|so_far| so_far.failed.get(&Loss::Refused).is_some_and(|lost| *lost >= 5));
    where_to.store(Arc::new(Vec::new()));
    wait(&|so_far| so_far.failed.get(&Loss::NoAddress).is_some_and(|lost| *lost >= 5));
    let end = traffic.stop();
    assert_eq!(end.sent, end.ok + end.lost());
    assert_eq!(end.failed.len(), 2, "{:?}", end.failed);
    assert_eq!(end.ok, one.requests() + two.requests());
}

#[test]
fn a_request_that_had_to_wait_for_its_turn_counts_the_wait() {
    let server = Server::new(|number, _, stream| {
        if number == 1 {
            thread::park_timeout(Duration::from_millis(150));
        }
        answer(stream, &identity("i-1", "a"), "")
    });
    let end = run(plan(&server), |so_far| so_far.ok >= 31);
    // The first kept the only connection for 150 ms, while 30 more came due: half of them waited 75 ms and more.
    assert!(end.latencies.quantile(0.5) >= Duration::from_millis(50), "{:?}", end.latencies);
    assert_eq!(end.lost(), 0);
}

#[test]
fn stopping_waits_for_what_is_in_flight_and_only_for_that() {
    let server = Server::new(|_, _, stream| {
        thread::park_timeout(Duration::from_millis(100));
        answer(stream, &identity("i-1", "a"), "")
    });
    let began = Instant::now();
    let end = run(Plan { rate: 1, connections: 8, ..plan(&server) }, |so_far| so_far.in_flight() == 1);
    assert_eq!((end.sent, end.ok), (1, 1));
    assert!(began.elapsed() < Duration::from_secs(5));
}
