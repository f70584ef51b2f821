//! WebSocket and every other `Upgrade` through HTTP listeners.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{InstanceHttp, Phase};
use evenkeel_core::time::Timestamp;
use evenkeel_proxy::fault::Fault;
use rustls::{ServerConnection, StreamOwned};

use crate::rig::{Rig, address, eventually, free_port};
use crate::tls_rig::{self, Made, TlsStream};

const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

/// A connection, plain or TLS, whose sending side can be ended.
pub trait Wire: Read + Write + Send {
    fn end(&mut self) -> std::io::Result<()>;
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn end(&mut self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream {
    fn end(&mut self) -> std::io::Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        self.sock.shutdown(Shutdown::Write)
    }

    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) -> std::io::Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        self.sock.shutdown(Shutdown::Write)
    }

    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// Reads to the empty line.
fn head(from: &mut dyn Wire) -> std::io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if from.read(&mut byte)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// An instance that switches protocols, by path.
pub struct Switcher {
    pub at: SocketAddr,
    /// Heads of requests, in order.
    pub asked: Arc<Mutex<Vec<String>>>,
    /// What was said to it in another protocol, where it does not send that back.
    pub heard: Arc<Mutex<Vec<u8>>>,
}

impl Switcher {
    pub fn start(made: Option<&Made>) -> Self {
        let listener = TcpListener::bind((address(), 0)).unwrap();
        let config = made.map(|made| Arc::new(made.server()));
        let switcher = Self { at: listener.local_addr().unwrap(), asked: Arc::default(), heard: Arc::default() };
        let (asked, heard) = (Arc::clone(&switcher.asked), Arc::clone(&switcher.heard));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, asked, heard) = (config.clone(), Arc::clone(&asked), Arc::clone(&heard));
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut wire: Box<dyn Wire> = match config {
                        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
                        None => Box::new(stream),
                    };
                    let _ = serve(&mut *wire, &asked, &heard);
                });
            }
        });
        switcher
    }
}

fn serve(wire: &mut dyn Wire, asked: &Mutex<Vec<String>>, heard: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    loop {
        let head = head(wire)?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        asked.lock().unwrap().push(head);
        match path.as_str() {
            "/echo" => {
                wire.write_all(SWITCHED)?;
                return echo(wire);
            }
            // Greets in the same breath.
            "/greets" => {
                wire.write_all(&[SWITCHED, b"hello"].concat())?;
                return echo(wire);
            }
            // Whatever comes before it has answered is too early.
            "/holds" => {
                wire.socket().set_read_timeout(Some(Duration::from_millis(300)))?;
                let mut early = [0; 64];
                if let Ok(count) = wire.read(&mut early) {
                    heard.lock().unwrap().extend_from_slice(&early[..count]);
                }
                wire.socket().set_read_timeout(None)?;
                wire.write_all(SWITCHED)?;
                return echo(wire);
            }
            // Ends its side at once, and hears to the end.
            "/ends" => {
                wire.write_all(&[SWITCHED, b"bye"].concat())?;
                wire.end()?;
                let mut all = Vec::new();
                wire.read_to_end(&mut all)?;
                heard.lock().unwrap().extend_from_slice(&all);
                return Ok(());
            }
            // Hears to the end, and answers then.
            "/hears" => {
                wire.write_all(SWITCHED)?;
                let mut all = Vec::new();
                wire.read_to_end(&mut all)?;
                write!(wire, "heard {} bytes", all.len())?;
                return wire.end();
            }
            "/other" => {
                wire.write_all(&String::from_utf8_lossy(SWITCHED).replace("websocket", "other").into_bytes())?
            }
            "/unasked" => wire.write_all(SWITCHED)?,
            "/no" => wire.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?,
            _ => wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?,
        }
        wire.flush()?;
    }
}

fn echo(wire: &mut dyn Wire) -> std::io::Result<()> {
    wire.flush()?;
    let mut block = vec![0; 64 * 1024];
    loop {
        let count = wire.read(&mut block)?;
        if count == 0 {
            return wire.end();
        }
        wire.write_all(&block[..count])?;
        wire.flush()?;
    }
}

fn ask(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
    )
}

/// A client that has been given what it asked for.
fn switched(wire: &mut dyn Wire, path: &str) {
    wire.write_all(ask(path).as_bytes()).unwrap();
    wire.flush().unwrap();
    let head = head(wire).unwrap();
    let wanted = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(head, wanted);
}

/// Sends that, and gets it back.
fn talk(wire: &mut dyn Wire, bytes: &[u8]) {
    wire.write_all(bytes).unwrap();
    wire.flush().unwrap();
    let mut back = vec![0; bytes.len()];
    wire.read_exact(&mut back).unwrap();
    assert!(back == bytes);
}

fn plain(made: &[&Switcher]) -> Rig {
    let mut rig = Rig::new(&[]);
    for switcher in made {
        rig.add_target("a", switcher.at);
    }
    rig.publish();
    rig
}

fn outstanding(rig: &Rig) -> u32 {
    rig.road.board().all().iter().map(|(_, state)| state.outstanding()).sum()
}

fn is_over(rig: &Rig) {
    eventually("nothing is left", || rig.meters().open_clients == 0 && outstanding(rig) == 0);
}

#[test]
fn bytes_cross_both_ways_over_every_pair() {
    for (front, back) in [
        (Protocol::Http, Protocol::Http),
        (Protocol::Http, Protocol::Https),
        (Protocol::Https, Protocol::Http),
        (Protocol::Https, Protocol::Https),
    ] {
        let made = Made::new(&["a.example"]);
        let switcher = Switcher::start((back == Protocol::Https).then_some(&made));
        let rig = tls_rig::rig(front, back, &made, &[switcher.at]);
        let config = Arc::new(tls_rig::settings(&[&made], rustls::ALL_VERSIONS));
        let mut wire: Box<dyn Wire> = match front {
            Protocol::Https => Box::new(tls_rig::connect(rig.address(), &config, "a.example").unwrap()),
            _ => Box::new(rig.client().stream),
        };
        switched(&mut *wire, "/echo");
        let asked = switcher.asked.lock().unwrap().concat();
        let from = wire.socket().local_addr().unwrap().ip();
        let proto = if front == Protocol::Https { "https" } else { "http" };
        let wanted = format!(
            "GET /echo HTTP/1.1\r\nHost: test\r\nSec-WebSocket-Key: k\r\nX-Forwarded-For: {from}\r\nX-Forwarded-Proto: {proto}\r\nX-Forwarded-Port: 80\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        assert_eq!(asked, wanted);
        talk(&mut *wire, b"hello");
        assert_eq!((rig.meters().open_clients, outstanding(&rig)), (1, 1));
        let block: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        for _ in 0..40 {
            talk(&mut *wire, &block);
        }
        wire.end().unwrap();
        let mut rest = Vec::new();
        wire.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
        is_over(&rig);
        let meters = rig.meters();
        assert_eq!((meters.requests, meters.from_instance), (1, [1, 0, 0, 0, 0]), "{front} {back}");
        assert_eq!(meters.from_balancer.values().sum::<u64>(), 0, "{meters:?}");
        assert!(meters.bytes_in >= 4_000_005 && meters.bytes_out >= 4_000_005, "{meters:?}");
    }
}

#[test]
fn large_bytes_cross_both_ways_at_once() {
    let switcher = Switcher::start(None);
    let rig = plain(&[&switcher]);
    let mut client = rig.client().stream;
    switched(&mut client, "/echo");
    let body: Vec<u8> = (0..6_000_000u32).map(|n| (n % 253) as u8).collect();
    let (mut writer, sent) = (client.try_clone().unwrap(), body.clone());
    let sender = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert!(got == body);
    sender.join().unwrap();
    is_over(&rig);
}

#[test]
fn what_is_said_before_the_101_waits_for_it() {
    let switcher = Switcher::start(None);
    let rig = plain(&[&switcher]);
    for apart in [false, true] {
        let mut client = rig.client().stream;
        let asked = ask("/holds");
        if apart {
            let before = switcher.asked.lock().unwrap().len();
            client.write_all(asked.as_bytes()).unwrap();
            eventually("it is asked", || switcher.asked.lock().unwrap().len() > before);
            client.write_all(b"GET /evil HTTP/1.1\r\n\r\n").unwrap();
        } else {
            client.write_all(format!("{asked}GET /evil HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        }
        assert!(head(&mut client).unwrap().starts_with("HTTP/1.1 101"));
        let mut back = [0; 22];
        client.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"GET /evil HTTP/1.1\r\n\r\n");
        talk(&mut client, b"and on");
        assert_eq!(*switcher.heard.lock().unwrap(), b"", "before it had answered");
    }
    assert_eq!(rig.meters().requests, 2);
}

#[test]
fn an_instance_may_speak_at_once() {
    let switcher = Switcher::start(None);
    let rig = plain(&[&switcher]);
    let mut client = rig.client().stream;
    switched(&mut client, "/greets");
    let mut hello = [0; 5];
    client.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
    talk(&mut client, b"hi");
}

#[test]
fn an_upgrade_that_is_declined_is_an_answer() {
    let switcher = Switcher::start(None);
    let rig = plain(&[&switcher]);
    let mut client = rig.client();
    for _ in 0..2 {
        client.send(ask("/no"));
        let answer = client.read().unwrap();
        assert_eq!((answer.status, answer.text().as_str(), answer.field("connection")), (403, "no", None));
    }
    assert_eq!(client.get("/").text(), "ok");
    // Who went on as if it had been granted is not read any further.
    client.send(format!("{}GET /evil HTTP/1.1\r\nHost: a\r\n\r\n", ask("/no")));
    let answer = client.read().unwrap();
    assert_eq!((answer.status, answer.field("connection")), (403, Some("close")));
    assert!(client.is_closed());
    let asked = switcher.asked.lock().unwrap().concat();
    assert!(!asked.contains("/evil"), "{asked}");
    is_over(&rig);
}

#[test]
fn an_answer_that_nobody_asked_for_is_none() {
    let switcher = Switcher::start(None);
    let rig = plain(&[&switcher]);
    for request in ["GET /unasked HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), ask("/other")] {
        let mut client = rig.client();
        client.send(request);
        let answer = client.read().unwrap();
        assert_eq!((answer.status, answer.field("connection")), (502, Some("Close")));
        assert!(client.is_closed());
    }
    assert_eq!(rig.meters().from_balancer[&Fault::BadAnswer], 2);
    is_over(&rig);
}

#[test]
fn an_upgrade_is_tried_elsewhere_when_a_connection_is_refused() {
    let switcher = Switcher::start(None);
    let mut rig = plain(&[&switcher]);
    let ip = address();
    rig.add_target("a", SocketAddr::new(ip, free_port(ip).number()));
    rig.publish();
    let mut clients: Vec<_> = (0..4).map(|_| rig.client().stream).collect();
    for client in &mut clients {
        switched(client, "/echo");
        talk(client, b"hello");
    }
    let meters = rig.meters();
    assert!(meters.connect_errors > 0 && meters.retries > 0, "{meters:?}");
    assert_eq!(outstanding(&rig), 4);
    drop(clients);
    is_over(&rig);
}

#[test]
fn each_side_may_end_first() {
    let switcher = Switcher::start(None);
    let rig = plain(&[&switcher]);
    let mut client = rig.client().stream;
    switched(&mut client, "/hears");
    client.write_all(&[b'x'; 100_000]).unwrap();
    client.end().unwrap();
    let mut got = String::new();
    client.read_to_string(&mut got).unwrap();
    assert_eq!(got, "heard 100000 bytes");
    let mut client = rig.client().stream;
    switched(&mut client, "/ends");
    let mut got = String::new();
    client.read_to_string(&mut got).unwrap();
    assert_eq!(got, "bye");
    client.write_all(&[b'y'; 100_000]).unwrap();
    client.end().unwrap();
    eventually("it is heard", || switcher.heard.lock().unwrap().len() == 100_000);
    is_over(&rig);
}

#[test]
fn an_idle_one_is_closed() {
    let switcher = Switcher::start(None);
    let mut rig = plain(&[&switcher]);
    rig.routes.idle_timeout = Duration::from_millis(300);
    rig.publish();
    let mut client = rig.client();
    switched(&mut client.stream, "/echo");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(600) {
        talk(&mut client.stream, b"still here");
        thread::park_timeout(Duration::from_millis(50));
    }
    let began = Instant::now();
    assert!(client.is_closed());
    assert!(began.elapsed() > Duration::from_millis(200) && began.elapsed() < Duration::from_secs(3));
    is_over(&rig);
}

#[test]
fn draining_leaves_them_alone_until_its_end() {
    let switcher = Switcher::start(None);
    let mut rig = plain(&[&switcher]);
    let mut client = rig.client();
    switched(&mut client.stream, "/echo");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let until = Timestamp(now.as_millis() as u64).plus(Duration::from_millis(900));
    rig.routes.targets[0].phase = Phase::Draining { until };
    rig.publish();
    let began = Instant::now();
    talk(&mut client.stream, b"still here");
    assert!(client.is_closed());
    assert!(began.elapsed() > Duration::from_millis(500) && began.elapsed() < Duration::from_secs(3));
    assert_eq!(rig.meters().from_balancer[&Fault::Cut], 1);
    is_over(&rig);
}

#[test]
fn they_outlive_their_listener_and_a_road_that_stops_cuts_them_at_the_end() {
    let switcher = Switcher::start(None);
    let mut rig = plain(&[&switcher]);
    let mut client = rig.client();
    switched(&mut client.stream, "/echo");
    rig.routes.listeners[0].bind_port = free_port(rig.address().ip());
    rig.publish();
    talk(&mut client.stream, b"still here");
    let mut other = rig.client();
    switched(&mut other.stream, "/echo");
    let mut idle = rig.client();
    assert_eq!(idle.get("/").text(), "ok");
    thread::scope(|scope| {
        let began = Instant::now();
        let stopped = scope.spawn(|| rig.road.stop(Duration::from_millis(500)));
        // It has heard: who asks for nothing is let go.
        assert!(idle.is_closed());
        talk(&mut other.stream, b"still here");
        assert!(client.is_closed() && other.is_closed());
        assert!(began.elapsed() > Duration::from_millis(400) && began.elapsed() < Duration::from_secs(3));
        stopped.join().unwrap();
    });
    let meters = rig.road.meters();
    let total = meters.balancers[&rig.routes.name].total();
    assert_eq!((total.open_clients, total.from_balancer[&Fault::Cut]), (0, 2));
}

#[test]
fn an_instance_that_is_spoken_to_in_http2_is_asked_for_none() {
    let switcher = Switcher::start(None);
    let mut rig = plain(&[&switcher]);
    rig.routes.listeners[0].instance_http = InstanceHttp::Two;
    rig.publish();
    let mut client = rig.client();
    client.send(ask("/echo"));
    let answer = client.read().unwrap();
    assert_eq!((answer.line(), answer.field("connection")), ("HTTP/1.1 501 NOT_IMPLEMENTED", Some("Close")));
    assert!(client.is_closed());
    assert_eq!(rig.meters().from_balancer[&Fault::NoUpgrade], 1);
    assert!(switcher.asked.lock().unwrap().is_empty());
}

#[test]
fn stickiness_is_told_with_the_101() {
    let switchers = [Switcher::start(None), Switcher::start(None)];
    let mut rig = plain(&[&switchers[0], &switchers[1]]);
    rig.routes.listeners[0].stickiness = Some(evenkeel_core::routes::Stickiness::Duration(None));
    rig.publish();
    let mut client = rig.client().stream;
    client.write_all(ask("/echo").as_bytes()).unwrap();
    let head = head(&mut client).unwrap();
    assert!(head.contains("\r\nSet-Cookie: AWSELB="), "{head}");
    talk(&mut client, b"hello");
}
