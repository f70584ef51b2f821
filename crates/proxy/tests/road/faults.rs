//! Faults on either side, at every moment that a worker can be in: each has a stated outcome (docs/spec.md), and after
//! each nothing is left: no connection, nothing in flight, no count that does not come back.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{InstanceHttp, Phase};
use evenkeel_core::time::Timestamp;
use evenkeel_proxy::connections::{Kind, State};
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::road::RoadConfig;

use crate::h2_frames::{PREFACE, frame};
use crate::origin::again;
use crate::rig::{Client, Rig, address, eventually};
use crate::tls_rig::{self, Made};

/// An instance that does as it is told with each connection, given how many there were before.
fn instance(play: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let (at, play) = (listener.local_addr().unwrap(), Arc::new(play));
    thread::spawn(move || {
        for (count, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let play = Arc::clone(&play);
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || play(count, stream));
        }
    });
    at
}

fn one_worker(to: &[SocketAddr]) -> Rig {
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    to.iter().for_each(|at| drop(rig.add_target("a", *at)));
    rig.publish();
    rig
}

/// One request from there, head and body; `None` at the end.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut block = [0; 4096];
        let count = stream.read(&mut block).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase();
        let length = length.split_once("content-length: ").map_or("0", |(_, rest)| rest.lines().next().unwrap());
        if body.len() >= length.parse().unwrap() {
            return Some(text);
        }
    }
}

fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";

#[test]
fn an_instance_that_stalls_amid_its_answer_is_waited_for_no_longer_than_the_idle_timeout() {
    let at = instance(|_, mut stream| {
        request(&mut stream);
        stream.write_all(HALF).unwrap();
        // Until the road has had enough.
        let _ = stream.read(&mut [0; 1]);
    });
    let mut rig = one_worker(&[at]);
    rig.routes.idle_timeout = Duration::from_millis(400);
    rig.publish();
    let mut client = rig.client();
    let began = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // What came is delivered, and cannot pass for the whole.
    assert!(client.read().is_err());
    assert!(began.elapsed() > Duration::from_millis(350) && began.elapsed() < Duration::from_secs(3));
    assert_eq!(rig.meters().from_balancer, [(Fault::TruncatedAnswer, 1)].into());
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn an_instance_that_resets_is_answered_for_or_its_client_cut() {
    // Before it has read, after it has read, and amid its answer.
    let outcome: [(&str, Option<u16>, Fault); 3] = [
        ("unread", Some(504), Fault::ClosedBeforeAnswer),
        ("read", Some(504), Fault::ClosedBeforeAnswer),
        ("amid", None, Fault::TruncatedAnswer),
    ];
    for (when, status, fault) in outcome {
        let (asked, received) = std::sync::mpsc::channel();
        let asked = Mutex::new(asked);
        let at = instance(move |_, mut stream| {
            if when != "unread" {
                request(&mut stream);
            } else {
                let _ = stream.peek(&mut [0; 1]);
            }
            asked.lock().unwrap().send(()).unwrap();
            if when == "amid" {
                stream.write_all(HALF).unwrap();
            }
            reset(&stream);
        });
        let rig = one_worker(&[at]);
        let mut client = rig.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nonce");
        assert_eq!(client.read().ok().map(|answer| answer.status), status, "{when}");
        assert_eq!(rig.meters().from_balancer, [(fault, 1)].into(), "{when}");
        // It was asked once: what may have been acted on is not sent again.
        assert_eq!(received.try_iter().count(), 1, "{when}");
        drop(client);
        eventually("nothing is left", || rig.is_empty());
    }
}

/// Whether a client's preface and the head of a request are among these bytes.
fn has_asked(mut bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(PREFACE) else { return false };
    bytes = rest;
    while let [l0, l1, l2, kind, ..] = bytes {
        if *kind == 1 {
            return true;
        }
        let length = 9 + u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
        bytes = bytes.get(length..).unwrap_or_default();
    }
    false
}

#[test]
fn an_answer_over_http2_is_heard_though_its_connection_breaks_right_after() {
    // Settings; then a head that ends its stream: literal, `:status` by its number in the table, 413.
    let at = instance(|_, mut stream| {
        stream.write_all(&frame(4, 0, 0, b"")).unwrap();
        let (mut all, mut block) = (Vec::new(), [0; 4096]);
        while !has_asked(&all) {
            let count = stream.read(&mut block).unwrap();
            assert!(count > 0, "{}", all.escape_ascii());
            all.extend_from_slice(&block[..count]);
        }
        stream.write_all(&frame(1, 4 | 1, 1, b"\x08\x03413")).unwrap();
        reset(&stream);
    });
    let mut rig = one_worker(&[at]);
    rig.routes.listeners[0].instance_http = InstanceHttp::Two;
    rig.publish();
    let body = [b'x'; 300_000];
    for _ in 0..50 {
        let mut client = rig.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
        // Nobody has to take it.
        let _ = client.stream.write_all(&body);
        assert_eq!(client.read().unwrap().status, 413);
        // Another request on a connection that is about to break may go unanswered.
        drop(client);
        eventually("nothing is left", || rig.is_empty());
    }
    assert_eq!(rig.meters().from_balancer, BTreeMap::new());
}

#[test]
fn what_an_instance_says_unasked_is_nobodys_answer() {
    let at = instance(|_, mut stream| {
        while let Some(text) = request(&mut stream) {
            let path = text.split(' ').nth(1).unwrap();
            let body = format!("{path} ");
            // The right answer, and later, when nothing is asked, another one.
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            thread::park_timeout(Duration::from_micros(500));
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").is_err() {
                return;
            }
        }
    });
    let rig = one_worker(&[at]);
    let mut client = rig.client();
    for round in 0..200 {
        assert_eq!(client.get(&format!("/{round}")).text(), format!("/{round} "));
        // The road has closed it, whether or not it had been given away already.
        eventually("no idle connection is kept", || {
            rig.road.connections(10, Duration::from_secs(5)).rows.iter().all(|row| row.kind != Kind::Pool)
        });
    }
    drop(client);
    eventually("nothing is left", || rig.is_empty());
}

#[test]
fn garbage_is_answered_for_and_goes_to_nobody() {
    for garbage in [&b"\x16\x03\x01\x02\0\x01"[..], b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", &[b'x'; 100_000]]
    {
        let at = instance(move |_, mut stream| {
            request(&mut stream);
            let _ = stream.write_all(garbage);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let rig = one_worker(&[at]);
        let answer = rig.client().get("/");
        assert_eq!((answer.status, answer.body.len()), (502, 0), "{}", garbage[..6].escape_ascii());
        assert_eq!(rig.meters().from_balancer, [(Fault::BadAnswer, 1)].into());
        eventually("nothing is left", || rig.is_empty());
    }
}

#[test]
fn an_idle_connection_that_ends_as_it_is_taken_loses_nothing_harmless_and_repeats_no_post() {
    let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let shared = Arc::clone(&seen);
    let at = instance(move |count, mut stream| {
        let mut served = 0;
        while let Some(text) = request(&mut stream) {
            let line = text.lines().next().unwrap().to_owned();
            *shared.lock().unwrap().entry(line).or_default() += 1;
            stream.write_all(OK).unwrap();
            served += 1;
            if served == 1 + count % 3 {
                // About as long as a client takes to ask again: before, while and after the next request is on its way.
                let until = Instant::now() + Duration::from_micros(count as u64 * 7 % 160);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                if count % 2 == 0 {
                    reset(&stream);
                }
                return;
            }
        }
    });
    let rig = one_worker(&[at]);
    let mut client = rig.client();
    let mut lost = Vec::new();
    for round in 0..3000 {
        assert_eq!(client.get(&format!("/get-{round}")).status, 200, "round {round}");
        let answer = client.post(&format!("/post-{round}"), b"once");
        if answer.status != 200 {
            assert_eq!(answer.line(), "HTTP/1.1 504 GATEWAY_TIMEOUT");
            lost.push(round);
        }
    }
    let seen = seen.lock().unwrap();
    let twice: Vec<_> = seen.iter().filter(|(line, count)| line.starts_with("POST") && **count > 1).collect();
    assert_eq!(twice, Vec::new());
    let meters = rig.meters();
    eprintln!("{} retries, {} of 3000 POSTs met a connection that was ending", meters.retries, lost.len());
    assert_eq!(meters.from_balancer.get(&Fault::ClosedBeforeAnswer).copied().unwrap_or(0), lost.len() as u64);
    drop(client);
    eventually("nothing is left", || rig.is_empty());
}

/// A moment in a client's life: what it says until then, and how the road shows that it is there.
type Moment = (&'static str, &'static str, State);

const MOMENTS: [Moment; 7] = [
    ("connected", "", State::Idle),
    ("half a head", "GET / HTTP/1.1\r\nHo", State::Head),
    ("half a body", "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", State::Body),
    ("half a chunk", "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", State::Body),
    ("asked", "GET /slow?300 HTTP/1.1\r\nHost: a\r\n\r\n", State::Instance),
    ("asked twice", "GET /slow?300 HTTP/1.1\r\nHost: a\r\n\r\nGET /slow?300 HTTP/1.1\r\n", State::Instance),
    ("reading nothing", "GET /big?30000000 HTTP/1.1\r\nHost: a\r\n\r\n", State::Sending),
];

#[test]
fn a_client_that_vanishes_leaves_nothing_whatever_it_was_at() {
    let rig = Rig::new(&["a"]);
    for (what, said, state) in MOMENTS {
        for hard in [true, false] {
            let mut clients: Vec<_> = (0..8).map(|_| rig.client()).collect();
            clients.iter_mut().for_each(|client| client.send(said));
            eventually(what, || {
                let rows = rig.road.connections(100, Duration::from_secs(5)).rows;
                rows.iter().filter(|row| row.kind == Kind::Http && row.state == state).count() == clients.len()
            });
            clients.iter().filter(|_| hard).for_each(|client| reset(&client.stream));
            drop(clients);
            eventually("nothing is left", || rig.is_empty());
        }
    }
    let meters = rig.meters();
    assert_eq!((meters.accepted, meters.open_clients), (7 * 2 * 8, 0));
    // Four of the moments are amid an exchange; who ends softly while it waits is answered.
    assert!(meters.from_balancer[&Fault::ClientGone] >= 4 * 8, "{:?}", meters.from_balancer);
    assert_eq!(rig.client().get("/").status, 200);
}

#[test]
fn a_client_that_vanishes_before_it_is_a_client_leaves_nothing() {
    let (made, origin) = (Made::new(&["a.example"]), crate::origin::Origin::start(address(), 0));
    let secure = tls_rig::rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    let mut greeted = Rig::new(&["a"]);
    greeted.routes.listeners[0].accept_proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    greeted.publish();
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 40]].concat();
    for (rig, said, state) in [(&secure, &hello[..], State::Handshake), (&greeted, b"PROXY TCP4 1.2.", State::Greeting)]
    {
        for hard in [true, false] {
            let mut clients: Vec<_> = (0..8).map(|_| rig.client()).collect();
            clients.iter_mut().for_each(|client| client.send(said));
            eventually("all are there", || {
                let rows = rig.road.connections(100, Duration::from_secs(5)).rows;
                rows.iter().filter(|row| row.state == state).count() == clients.len()
            });
            clients.iter().filter(|_| hard).for_each(|client| reset(&client.stream));
            drop(clients);
            eventually("nothing is left", || rig.is_empty());
        }
    }
}

#[test]
fn a_client_that_vanishes_while_its_instance_is_reached_leaves_nothing() {
    // A listener whose queue is full answers no SYN.
    let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
    let full = rustix::net::socket(family, kind, None).unwrap();
    rustix::net::bind(&full, &SocketAddr::new(address(), 0)).unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let at: SocketAddr = rustix::net::getsockname(&full).unwrap().try_into().unwrap();
    let fill: Vec<_> = (0..4)
        .map(|_| {
            let socket = rustix::net::socket_with(family, kind, rustix::net::SocketFlags::NONBLOCK, None).unwrap();
            let _ = rustix::net::connect(&socket, &at);
            socket
        })
        .collect();
    let rig = one_worker(&[at]);
    for hard in [true, false] {
        let mut client = rig.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nonce");
        eventually("it is being reached", || {
            rig.road.connections(10, Duration::from_secs(5)).rows.iter().any(|row| row.state == State::Connecting)
        });
        if hard {
            reset(&client.stream);
        }
        drop(client);
        eventually("nothing is left", || rig.is_empty());
    }
    drop(fill);
}

#[test]
fn a_tunnel_ends_with_either_of_its_ends_and_leaves_nothing() {
    let at = instance(|count, mut stream| {
        let mut block = [0; 5];
        if stream.read_exact(&mut block).is_ok() && stream.write_all(&block).is_ok() && &block == b"leave" {
            if count % 2 == 0 {
                reset(&stream);
            }
            return;
        }
        let _ = stream.read(&mut block);
    });
    let mut rig = Rig::with(&[], Protocol::Tcp, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.add_target("a", at);
    rig.publish();
    for hard in [true, false] {
        let mut clients: Vec<_> = (0..8).map(|_| rig.client()).collect();
        for client in &mut clients {
            client.send("hello");
            client.stream.read_exact(&mut [0; 5]).unwrap();
        }
        clients.iter().filter(|_| hard).for_each(|client| reset(&client.stream));
        drop(clients);
        eventually("nothing is left", || rig.is_empty());
    }
    // Sixteen have been: the next is even, and so is reset.
    for cut in [true, false] {
        let mut client = rig.client();
        client.send("leave");
        client.stream.read_exact(&mut [0; 5]).unwrap();
        let end = client.stream.read(&mut [0; 1]);
        assert_eq!(end.is_err(), cut, "{end:?}");
        drop(client);
        eventually("nothing is left", || rig.is_empty());
    }
}

/// Not a test: a road with few descriptors, and an instance in the same process.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn starved_road() {
    if std::env::var("ROAD_TEST_STARVED").is_err() {
        return;
    }
    let config = RoadConfig { workers: 2, max_connections: 100_000, ..RoadConfig::default() };
    let mut rig = Rig::with(&[], Protocol::Http, config);
    let at: SocketAddr = std::env::var("ROAD_TEST_STARVED").unwrap().parse().unwrap();
    rig.add_target("a", at);
    rig.publish();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let all = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(open + 40), maximum: all.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    println!("\nat={}", rig.address());
    // A line for each line asked: pauses, whether nothing is left, and the CPU time so far.
    for line in std::io::stdin().lines() {
        let Ok(_) = line else { return };
        let stat = std::fs::read_to_string("/proc/self/stat");
        let ticks: u64 = stat.map_or(0, |stat| {
            let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        });
        println!("now {} {} {ticks}", rig.road.meters().accept_pauses, rig.is_empty());
    }
}

#[test]
fn without_descriptors_clients_wait_and_are_served_when_there_are_some() {
    let origin = crate::origin::Origin::start(address(), 0);
    let mut child = again("faults::starved_road")
        .env("ROAD_TEST_STARVED", origin.address.to_string())
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let at: SocketAddr = lines.find_map(|line| line.strip_prefix("at=")?.parse().ok()).unwrap();
    let mut asks = child.stdin.take().unwrap();
    let mut look = || -> (u64, bool, u64) {
        writeln!(asks, "now").unwrap();
        let line = lines.find(|line| line.starts_with("now ")).unwrap();
        let words: Vec<_> = line.split(' ').collect();
        (words[1].parse().unwrap(), words[2] == "true", words[3].parse().unwrap())
    };
    // Twice as many as it can hold: the kernel takes the rest in, and they wait.
    let mut clients: Vec<_> = (0..90).map(|_| Client::connect(at)).collect();
    eventually("accepting rests", || look().0 > 0);
    let (_, _, before) = look();
    let resting = Instant::now();
    while resting.elapsed() < Duration::from_millis(500) {
        thread::park_timeout(Duration::from_millis(100));
    }
    let (pauses, _, after) = look();
    // In hundredths of a second: it does not spin, and tries ten times a second.
    assert!(after - before <= 25, "{} ms of CPU time in {:?}", (after - before) * 10, resting.elapsed());
    assert!(pauses < 60, "{pauses} pauses");
    // As many as leave make room for as many as wait, until all have been served.
    let mut served = 0;
    while let Some(mut client) = (!clients.is_empty()).then(|| clients.remove(0)) {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = client.read().unwrap();
        // Where none is left for the instance's connection, the client is told.
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        served += u32::from(answer.status == 200);
    }
    assert!(served >= 45, "{served} of 90");
    eventually("nothing is left", || look().1);
    let mut client = Client::connect(at);
    assert_eq!(client.get("/").status, 200);
    drop((client, asks));
    child.wait().unwrap();
}

/// How far ahead the road believes a moment to be that intent names, where the two clocks disagree.
#[test]
fn a_moment_that_is_far_off_by_the_wall_clock_cuts_at_once_or_never_and_never_in_between() {
    let at = instance(|_, mut stream| while request(&mut stream).is_some() && stream.write_all(HALF).is_ok() {});
    for (until, cut) in [(Timestamp(0), true), (Timestamp(u64::MAX), false)] {
        let mut rig = one_worker(&[at]);
        let mut client = rig.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let state = rig.road.board().all()[0].1.clone();
        eventually("it is in flight", || state.outstanding() == 1 && rig.meters().bytes_out > 0);
        rig.routes.targets[0].phase = Phase::Draining { until };
        rig.publish();
        if cut {
            assert!(client.read().is_err());
            eventually("nothing is left", || rig.is_empty());
        } else {
            client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            assert_eq!(client.read().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            assert_eq!(state.outstanding(), 1);
        }
    }
}

#[test]
fn the_wall_clock_decides_nothing() {
    // Where it may be read: for what is written down, for what a certificate or intent says of itself.
    let may = ["log/", "spans/", "tls/", "io/tell.rs", "io/worker.rs", "probe/drive.rs"];
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    let read = AtomicUsize::new(0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            read.fetch_add(text.matches("SystemTime::now").count(), Ordering::Relaxed);
            let name = path.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
            let listed = may.iter().any(|place| name.starts_with(place));
            assert!(listed || !text.contains("SystemTime"), "`{name}` reads the wall clock: nothing may wait by it");
        }
    }
    assert!(read.load(Ordering::Relaxed) >= 3);
}
