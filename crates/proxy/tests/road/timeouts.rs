//! Each time limit by itself, while the idle timeout is far away.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Timeouts, TlsFront};
use evenkeel_proxy::road::RoadConfig;

use crate::h2_rig;
use crate::rig::{Client, Rig, address, eventually};
use crate::tls_rig::Made;

const SHORT: Duration = Duration::from_millis(300);

/// A road with an idle timeout of 20 s and this.
fn rig(protocol: Protocol, zones: &[&str], timeouts: Timeouts) -> Rig {
    let mut rig = Rig::with(zones, protocol, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.routes.timeouts = timeouts;
    rig.publish();
    rig
}

/// What takes about [`SHORT`]: not less, and far from the idle timeout.
fn takes_short<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    assert!(took >= SHORT - Duration::from_millis(20) && took < Duration::from_secs(8), "{what}: {took:?}");
    done
}

fn end(stream: &mut TcpStream) {
    // Closed or reset: it is over.
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_head_is_whole_in_time_however_it_dribbles_and_a_connection_begins_in_time() {
    let rig = rig(Protocol::Http, &["a"], Timeouts { head: Some(SHORT), ..Timeouts::default() });
    let mut silent = rig.client();
    takes_short("nothing is said", || end(&mut silent.stream));
    let mut slow = rig.client();
    slow.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    slow.send("GET / HTTP/1.1\r\nHost: test\r\n");
    let answer = takes_short("a head that dribbles", || {
        loop {
            match slow.read() {
                Ok(answer) => return answer,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => slow.send("X: y\r\n"),
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert_eq!(answer.status, 408);
    // Between requests, and for an answer, it is not what counts.
    let mut client = rig.client();
    assert_eq!(client.get("/").status, 200);
    std::thread::park_timeout(3 * SHORT);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_body_moves_in_time() {
    let rig = rig(Protocol::Http, &["a"], Timeouts { body: Some(SHORT), ..Timeouts::default() });
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    let answer = takes_short("a body that ends", || client.read().unwrap());
    assert_eq!(answer.status, 408);
}

#[test]
fn a_client_comes_back_in_time_or_not_at_all() {
    let rig = rig(Protocol::Http, &["a"], Timeouts { keep_alive: Some(SHORT), ..Timeouts::default() });
    let mut client = rig.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").status, 200);
    }
    takes_short("an idle client", || end(&mut client.stream));
}

#[test]
fn an_instance_answers_in_time() {
    let mut rig = rig(Protocol::Http, &[], Timeouts { response: Some(SHORT), ..Timeouts::default() });
    // Connected to, and never accepted.
    let silent = TcpListener::bind((address(), 0)).unwrap();
    rig.add_target("a", silent.local_addr().unwrap());
    rig.publish();
    let mut client = rig.client();
    let answer = takes_short("a silent instance", || client.get("/"));
    assert_eq!(answer.status, 504);
}

#[test]
fn a_stream_is_told_at_once_that_its_time_is_up() {
    let mut rig = rig(Protocol::Http, &[], Timeouts { response: Some(SHORT), ..Timeouts::default() });
    let silent = TcpListener::bind((address(), 0)).unwrap();
    rig.add_target("a", silent.local_addr().unwrap());
    rig.routes.listeners[0].http2 = true;
    rig.publish();
    h2_rig::run(async {
        let client = h2_rig::client(rig.address(), None).await;
        let mut fastest = Duration::MAX;
        // The worker has nothing else to do that would wake it. Others may keep this one waiting.
        for _ in 0..5 {
            let began = Instant::now();
            assert_eq!(h2_rig::ask(&client, "/", None).await.unwrap().status, 504);
            fastest = fastest.min(began.elapsed());
        }
        assert!(fastest >= SHORT - Duration::from_millis(20) && fastest < 2 * SHORT, "{fastest:?}");
    });
}

#[test]
fn a_connection_to_an_instance_is_made_in_time_handshake_included() {
    let mut rig = rig(Protocol::Http, &[], Timeouts { connect: Some(SHORT), ..Timeouts::default() });
    let silent = TcpListener::bind((address(), 0)).unwrap();
    rig.routes.listeners[0].instance_protocol = Protocol::Https;
    rig.add_target("a", silent.local_addr().unwrap());
    rig.publish();
    let mut client = rig.client();
    let answer = takes_short("a handshake that does not begin", || client.get("/"));
    assert_eq!(answer.status, 503);
}

#[test]
fn a_pooled_connection_is_closed_in_time() {
    let rig = rig(Protocol::Http, &["a"], Timeouts { pool: Some(SHORT), ..Timeouts::default() });
    let mut client = rig.client();
    assert_eq!(client.get("/").status, 200);
    let pooled = || rig.road.connections(100, Duration::from_secs(5)).total;
    assert_eq!(pooled(), 2);
    takes_short("a pooled connection", || eventually("the pool is empty", || pooled() == 1));
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_tunnel_moves_in_time() {
    let mut rig = rig(Protocol::Tcp, &[], Timeouts { tunnel: Some(SHORT), ..Timeouts::default() });
    rig.add_target("a", crate::tcp::mirror());
    rig.publish();
    let mut client = rig.client();
    for _ in 0..4 {
        std::thread::park_timeout(SHORT / 2);
        client.send("x");
        client.stream.read_exact(&mut [0]).unwrap();
    }
    takes_short("a tunnel", || end(&mut client.stream));
}

#[test]
fn a_handshake_is_over_in_time() {
    let made = Made::new(&["a.example"]);
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    let listener = &mut rig.routes.listeners[0];
    listener.protocol = Protocol::Https;
    listener.tls = Some(TlsFront { certificates: vec![made.certificate()], ..TlsFront::default() });
    rig.routes.timeouts.handshake = Some(SHORT);
    rig.publish();
    let mut client = rig.client();
    client.stream.write_all(&[22]).unwrap();
    takes_short("a handshake", || end(&mut client.stream));
}

#[test]
fn http2_allows_as_many_streams_as_stated() {
    let mut rig = rig(Protocol::Http, &["a"], Timeouts::default());
    rig.routes.limits.streams = Some(7);
    rig.routes.listeners[0].http2 = true;
    rig.publish();
    let mut client = rig.client();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let mut head = [0; 9];
    client.stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "SETTINGS come first");
    let mut settings = vec![0; usize::from(head[2])];
    client.stream.read_exact(&mut settings).unwrap();
    assert!(settings.chunks(6).any(|one| one == [0, 3, 0, 0, 0, 7]), "{settings:?}");
}

/// Sends or takes a byte now and then, for as long as it is let.
fn crawl(mut client: Client, mut step: impl FnMut(&mut TcpStream) -> std::io::Result<()>) -> Duration {
    let began = Instant::now();
    while step(&mut client.stream).is_ok() && began.elapsed() < Duration::from_secs(19) {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    began.elapsed()
}

#[test]
fn whoever_crawls_is_cut_and_whoever_is_only_slow_is_not() {
    let rig = rig(Protocol::Http, &["a"], Timeouts { least_rate: Some(1000), ..Timeouts::default() });
    let upload = |size: usize| {
        let mut client = rig.client();
        client.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000\r\n\r\n");
        crawl(client, move |stream| {
            stream.write_all(&vec![b'x'; size])?;
            match stream.read(&mut [0; 100]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
                // Answered, or cut.
                _ => Err(std::io::ErrorKind::Other.into()),
            }
        })
    };
    std::thread::scope(|scope| {
        let crawls = scope.spawn(|| upload(1));
        let slow = scope.spawn(|| upload(1000));
        let crawls = crawls.join().unwrap();
        assert!(crawls > Duration::from_secs(9) && crawls < Duration::from_secs(15), "a crawling upload: {crawls:?}");
        let slow = slow.join().unwrap();
        assert!(slow >= Duration::from_secs(19), "a slow upload was cut after {slow:?}");
    });
}
