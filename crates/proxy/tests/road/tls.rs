//! HTTPS and SSL: handshakes, certificates, TLS to instances, ends that are none.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::health::Health;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::{Routes, TlsBack, TlsVersion};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, HandshakeKind, ProtocolVersion};

use crate::origin::Origin;
use crate::rig::{Client, Rig, address, eventually};
use crate::tcp::mirror;
use crate::tls_rig::{
    Made, TlsOrigin, TlsStream, believes, connect, front, get, read_answer, rig, settings, settings_by,
};

fn both(made: &Made) -> Arc<ClientConfig> {
    Arc::new(settings(&[made], rustls::ALL_VERSIONS))
}

fn plain_origin() -> Origin {
    Origin::start(address(), 0)
}

#[test]
fn both_versions_are_spoken_and_instances_are_told() {
    let (made, origin) = (Made::new(&["a.example"]), plain_origin());
    let mut rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut config = settings(&[&made], &[version]);
        config.alpn_protocols = vec![b"spdy/3".to_vec(), b"http/1.1".to_vec()];
        let mut client = connect(rig.address(), &Arc::new(config), "a.example").unwrap();
        assert_eq!(client.conn.protocol_version(), Some(expected));
        assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..3 {
            let (head, body) = get(&mut client, "/head").unwrap();
            let body = String::from_utf8(body).unwrap();
            assert!(head.starts_with("HTTP/1.1 200") && body.contains("X-Forwarded-Proto: https\r\n"), "{body}");
        }
    }
    rig.routes.listeners[0].tls.as_mut().unwrap().oldest = TlsVersion::Tls13;
    rig.publish();
    let old = Arc::new(settings(&[&made], &[&TLS12]));
    assert!(connect(rig.address(), &old, "a.example").is_err());
    assert!(connect(rig.address(), &both(&made), "a.example").is_ok());
    eventually("it is counted", || rig.meters().handshake_errors == 1);
}

#[test]
fn the_certificate_fits_the_name() {
    let (first, exact) = (Made::new(&["first.example"]), Made::new(&["a.example", "sub.wild.example"]));
    let (wild, origin) = (Made::new(&["*.wild.example"]), plain_origin());
    let mut rig = rig(Protocol::Https, Protocol::Http, &first, &[origin.address]);
    rig.routes.listeners[0].tls = front(&[&first, &exact, &wild]);
    rig.publish();
    let at = rig.address();
    let shown = |name: &str| {
        let mut config = settings(&[&first, &exact, &wild], rustls::ALL_VERSIONS);
        config.resumption = rustls::client::Resumption::disabled();
        // Whatever is shown is to be seen: the name is not verified here.
        let stream = TcpStream::connect(at).unwrap();
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = rustls::StreamOwned::new(rustls::ClientConnection::new(Arc::new(config), name).unwrap(), stream);
        let verified = loop {
            match tls.conn.complete_io(&mut tls.sock) {
                Ok(_) if !tls.conn.is_handshaking() => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        verified.then(|| tls.conn.peer_certificates().unwrap()[0].clone())
    };
    assert_eq!(shown("first.example"), Some(first.der.clone()));
    assert_eq!(shown("A.example"), Some(exact.der.clone()));
    assert_eq!(shown("sub.wild.example"), Some(exact.der.clone()));
    assert_eq!(shown("other.wild.example"), Some(wild.der.clone()));
    assert_eq!(shown("two.labels.wild.example"), None);
    assert_eq!(shown("unknown.example"), None);
}

#[test]
fn instances_are_spoken_to_in_tls_over_connections_that_are_kept() {
    let (made, theirs) = (Made::new(&["a.example"]), Made::new(&["whoever"]));
    let origin = TlsOrigin::start(&theirs, false);
    let mut rig = rig(Protocol::Https, Protocol::Https, &made, &[origin.at]);
    let mut client = connect(rig.address(), &both(&made), "a.example").unwrap();
    for _ in 0..5 {
        let (_, body) = get(&mut client, "/").unwrap();
        assert!(String::from_utf8(body).unwrap().contains("X-Forwarded-Proto: https"));
    }
    assert_eq!(origin.handshakes.load(Ordering::SeqCst), 1);
    assert_eq!(*origin.names.lock().unwrap(), [None]);
    // Whoever wants them verified is not served over connections made without.
    rig.routes.listeners[0].instance_tls = believes(&theirs, Some("whoever"));
    rig.publish();
    assert_eq!(get(&mut client, "/").unwrap().0.lines().next(), Some("HTTP/1.1 200 OK"));
    assert_eq!(origin.handshakes.load(Ordering::SeqCst), 2);
    assert_eq!(origin.names.lock().unwrap()[1].as_deref(), Some("whoever"));
    rig.routes.listeners[0].instance_tls = believes(&theirs, Some("another.name"));
    rig.publish();
    assert!(get(&mut client, "/").unwrap().0.starts_with("HTTP/1.1 503"));
    rig.routes.listeners[0].instance_tls = believes(&made, Some("whoever"));
    rig.publish();
    assert!(get(&mut client, "/").unwrap().0.starts_with("HTTP/1.1 503"));
    assert!(rig.meters().connect_errors >= 2);
    // Plain towards clients.
    rig.routes.listeners[0].protocol = Protocol::Http;
    rig.routes.listeners[0].instance_tls = None;
    rig.publish();
    assert!(rig.client().get("/").text().contains("X-Forwarded-Proto: http\r\n"));
}

#[test]
fn an_instance_whose_handshake_fails_is_passed_over() {
    let (made, origin) = (Made::new(&["a.example"]), plain_origin());
    let good = TlsOrigin::start(&Made::new(&["b.example"]), false);
    // Plain HTTP where TLS is expected.
    let rig = rig(Protocol::Https, Protocol::Https, &made, &[origin.address, good.at]);
    let mut client = connect(rig.address(), &both(&made), "a.example").unwrap();
    for _ in 0..8 {
        write!(client, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nonce").unwrap();
        assert_eq!(read_answer(&mut client).unwrap().1, b"once");
    }
    assert_eq!(origin.hits(), 0);
}

fn round_trip(
    protocol: Protocol,
    behind: Protocol,
    to: SocketAddr,
    made: &Made,
    versions: &[&'static rustls::SupportedProtocolVersion],
) {
    let rig = rig(protocol, behind, made, &[to]);
    let body: Vec<u8> = (0..6_000_000u32).map(|n| (n % 253) as u8).collect();
    let mut got = Vec::new();
    if protocol == Protocol::Tcp {
        let mut client = rig.client().stream;
        let (mut writer, sent) = (client.try_clone().unwrap(), body.clone());
        let sender = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        client.read_to_end(&mut got).unwrap();
        sender.join().unwrap();
    } else {
        let config = Arc::new(settings(&[made], versions));
        let client = connect(rig.address(), &config, "a.example").unwrap();
        got = pump(client, &body);
    }
    assert!(got == body, "{protocol:?} to {behind:?}: {} of {}", got.len(), body.len());
    eventually("the tunnel is over", || rig.meters().open_clients == 0);
    let meters = rig.meters();
    assert_eq!((meters.bytes_in, meters.bytes_out), (6_000_000, 6_000_000));
}

/// Sends all of it and its end, while it reads; what came until the other's end. Fails on one that is a truncation.
fn pump(mut client: TlsStream, body: &[u8]) -> Vec<u8> {
    client.sock.set_nonblocking(true).unwrap();
    let (mut at, mut got, mut ended) = (0, Vec::new(), false);
    let until = Instant::now() + Duration::from_secs(30);
    let mut block = vec![0; 64 * 1024];
    loop {
        assert!(Instant::now() < until, "stuck at {at} sent, {} received", got.len());
        let mut moved = false;
        if at < body.len() && !client.conn.wants_write() {
            at += client.conn.writer().write(&body[at..]).unwrap();
            if at == body.len() {
                client.conn.send_close_notify();
            }
        }
        while client.conn.wants_write() {
            match client.conn.write_tls(&mut client.sock) {
                Ok(_) => moved = true,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        if at == body.len() && !client.conn.wants_write() && !ended {
            client.sock.shutdown(Shutdown::Write).unwrap();
            ended = true;
        }
        match client.conn.read_tls(&mut client.sock) {
            Ok(_) => {
                moved = true;
                client.conn.process_new_packets().unwrap();
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        loop {
            match client.conn.reader().read(&mut block) {
                Ok(0) => return got,
                Ok(n) => got.extend_from_slice(&block[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        if !moved {
            thread::park_timeout(Duration::from_micros(200));
        }
    }
}

#[test]
fn tunnels_carry_bytes_and_their_end_through_tls() {
    let (made, theirs) = (Made::new(&["a.example"]), Made::new(&["b.example"]));
    let secure = TlsOrigin::start(&theirs, true).at;
    for version in [&TLS12, &TLS13] {
        round_trip(Protocol::Ssl, Protocol::Tcp, mirror(), &made, &[version]);
        round_trip(Protocol::Ssl, Protocol::Ssl, secure, &made, &[version]);
    }
    round_trip(Protocol::Tcp, Protocol::Ssl, secure, &made, &[]);
}

#[test]
fn sessions_are_resumed_by_every_worker_and_after_a_new_certificate() {
    let (made, newer, origin) = (Made::new(&["a.example"]), Made::new(&["a.example"]), plain_origin());
    let mut rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    // By ticket, and by id with clients that know no tickets.
    for (version, by_id) in [(&TLS12, false), (&TLS12, true), (&TLS13, false)] {
        let mut config = settings(&[&made, &newer], &[version]);
        if by_id {
            config.resumption = Resumption::in_memory_sessions(8).tls12_resumption(Tls12Resumption::SessionIdOnly);
        }
        let config = Arc::new(config);
        let mut kept = Vec::new();
        for turn in 0..6 {
            let mut client = connect(rig.address(), &config, "a.example").unwrap();
            // Tickets of TLS 1.3 come with the first answer.
            get(&mut client, "/").unwrap();
            let kind = client.conn.handshake_kind().unwrap();
            assert_eq!(kind == HandshakeKind::Resumed, turn > 0, "{version:?}, by id {by_id}, turn {turn}: {kind:?}");
            // Held open, the next ones go to the other worker.
            kept.push(client);
            if turn == 3 {
                rig.routes.listeners[0].tls = front(&[if by_id { &made } else { &newer }]);
                rig.publish();
            }
        }
    }
}

#[test]
fn the_listeners_order_of_suites_decides() {
    let (made, origin) = (Made::new(&["a.example"]), plain_origin());
    let rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    for (version, wanted) in [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
    ] {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        for _ in 0..provider.cipher_suites.len() {
            provider.cipher_suites.rotate_left(1);
            let config = Arc::new(settings_by(provider.clone(), &[&made], &[version]));
            let client = connect(rig.address(), &config, "a.example").unwrap();
            assert_eq!(client.conn.negotiated_cipher_suite().unwrap().suite(), wanted);
        }
    }
}

#[test]
fn certificates_change_under_load_without_loss() {
    let made: Vec<Made> = (0..2).map(|_| Made::new(&["a.example"])).collect();
    let origin = plain_origin();
    let mut rig = rig(Protocol::Https, Protocol::Http, &made[0], &[origin.address]);
    let mut config = settings(&[&made[0], &made[1]], rustls::ALL_VERSIONS);
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let (stop, served, seen) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let at = rig.address();
    let clients: Vec<_> = (0..3)
        .map(|n| {
            let (stop, served, seen, config) =
                (Arc::clone(&stop), Arc::clone(&served), Arc::clone(&seen), Arc::clone(&config));
            let newer = made[1].der.clone();
            thread::spawn(move || {
                let mut client = connect(at, &config, "a.example").unwrap();
                while !stop.load(Ordering::SeqCst) {
                    // One keeps its connection over all changes; the others make new ones.
                    if n > 0 {
                        client = connect(at, &config, "a.example").unwrap();
                    }
                    let newer = client.conn.peer_certificates().unwrap()[0] == newer;
                    seen.fetch_or(if newer { 2 } else { 1 }, Ordering::SeqCst);
                    for _ in 0..3 {
                        assert!(get(&mut client, "/").unwrap().0.starts_with("HTTP/1.1 200"));
                    }
                    served.fetch_add(3, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for turn in 0..100 {
        rig.routes.listeners[0].tls = front(&[&made[turn % 2]]);
        rig.publish();
        let now = served.load(Ordering::SeqCst);
        eventually("requests go on", || served.load(Ordering::SeqCst) >= now + 6);
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(seen.load(Ordering::SeqCst), 3, "both were shown");
    let meters = rig.meters();
    assert_eq!((meters.handshake_errors, meters.from_balancer.len()), (0, 0), "{meters:?}");
    eprintln!("{} requests over 100 changes of the certificate", served.load(Ordering::SeqCst));
}

#[test]
fn a_bad_certificate_is_named_and_hurts_nobody_else() {
    let (made, origin) = (Made::new(&["a.example"]), plain_origin());
    let mut rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    let mut other = rig.routes.listeners[0].clone();
    other.bind_port = crate::rig::free_port(rig.routes.nodes[0].address);
    other.port = other.bind_port;
    other.tls.as_mut().unwrap().certificates[0].key_pem = Made::new(&["x"]).certificate().key_pem;
    rig.routes.listeners.push(other.clone());
    let publish = |rig: &Rig, generation| {
        let balancers = [(rig.routes.name.clone(), Arc::new(rig.routes.clone()))].into();
        let faults = rig.road.publish(Arc::new(Routes { generation, balancers }));
        assert!(rig.road.settled(Duration::from_secs(5)));
        faults.into_iter().map(|fault| (fault.port, fault.error)).collect::<Vec<_>>()
    };
    let mismatch = "certificate 1 has a key that does not match its certificate";
    assert_eq!(publish(&rig, 10), [(other.port, mismatch.to_owned())]);
    assert_eq!(publish(&rig, 11), [(other.port, mismatch.to_owned())], "said again");
    assert!(TcpStream::connect((rig.routes.nodes[0].address, other.port.number())).is_err());
    let config = both(&made);
    let mut client = connect(rig.address(), &config, "a.example").unwrap();
    get(&mut client, "/").unwrap();
    // One that serves already goes on with what it had.
    rig.routes.listeners[0].tls = other.tls.clone();
    let mut faults = publish(&rig, 12);
    assert_eq!(faults.remove(0).1, format!("{mismatch}; those before go on being shown"));
    assert!(get(&mut client, "/").is_ok());
    assert!(get(&mut connect(rig.address(), &config, "a.example").unwrap(), "/").is_ok());
    rig.routes.listeners.iter_mut().for_each(|listener| listener.tls = front(&[&made]));
    assert_eq!(publish(&rig, 13), []);
}

#[test]
fn slow_handshakes_are_cut_and_what_is_no_tls_is_turned_away() {
    let (made, origin) = (Made::new(&["a.example"]), plain_origin());
    let mut rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    rig.routes.idle_timeout = Duration::from_millis(400);
    for protocol in [Protocol::Https, Protocol::Ssl] {
        rig.routes.listeners[0].protocol = protocol;
        rig.routes.listeners[0].instance_protocol = protocol.plain();
        rig.publish();
        let before = rig.meters().handshake_errors;
        let mut silent = rig.client();
        let mut dripping = rig.client();
        let began = Instant::now();
        let mut stream = dripping.stream.try_clone().unwrap();
        // A record's head and then a byte every now and then: bytes must not buy time.
        let dripper = thread::spawn(move || {
            for byte in [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into_iter().chain([7; 100]) {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::park_timeout(Duration::from_millis(30));
            }
        });
        assert!(silent.is_closed() && dripping.is_closed());
        assert!(began.elapsed() > Duration::from_millis(350) && began.elapsed() < Duration::from_secs(3));
        dripper.join().unwrap();
        let too_long = [&[22, 3, 1, 0xff, 0xff][..], &[1; 70_000]].concat();
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            &[0; 4000],
            &[0xff; 70_000],
            &too_long,
            b"\x16\x03\x01\x00\x05hello",
        ] {
            let mut client = rig.client();
            // It may be turned away before all is sent.
            let _ = client.stream.write_all(garbage);
            let mut got = Vec::new();
            let _ = client.stream.read_to_end(&mut got);
            assert!(got.is_empty() || got[0] == 21, "an alert at most: {}", got.escape_ascii());
        }
        eventually("all are counted", || rig.meters().handshake_errors == before + 7);
        eventually("all are gone", || rig.meters().open_clients == 0);
    }
    assert_eq!((origin.hits(), origin.connections()), (0, 0), "no instance is bothered");
}

#[test]
fn large_bodies_go_both_ways() {
    let made = Made::new(&["a.example"]);
    let origin = TlsOrigin::start(&Made::new(&["b.example"]), false);
    let rig = rig(Protocol::Https, Protocol::Https, &made, &[origin.at]);
    let body: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    for version in [&TLS12, &TLS13] {
        let mut client = connect(rig.address(), &Arc::new(settings(&[&made], &[version])), "a.example").unwrap();
        for _ in 0..2 {
            write!(client, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
            client.write_all(&body).unwrap();
            client.flush().unwrap();
            assert!(read_answer(&mut client).unwrap().1 == body);
        }
    }
}

#[test]
fn an_end_without_a_word_is_a_truncation() {
    let made = Made::new(&["a.example"]);
    let origin = TlsOrigin::start(&Made::new(&["b.example"]), false);
    let mut rig = rig(Protocol::Https, Protocol::Https, &made, &[origin.at]);
    let config = both(&made);
    // The instance's end: chunked for the client, so that a missing last chunk shows.
    let mut client = connect(rig.address(), &config, "a.example").unwrap();
    assert_eq!(get(&mut client, "/until-close").unwrap().1, b"until the end");
    assert!(get(&mut client, "/cut").is_err());
    assert!(rig.meters().from_balancer.contains_key(&evenkeel_proxy::fault::Fault::TruncatedAnswer));
    // The balancer's own end is said.
    let mut client = connect(rig.address(), &config, "a.example").unwrap();
    write!(client, "GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert!(all.starts_with(b"HTTP/1.1 200"));
    // The client's end, in a tunnel: the instance must not take what came for everything.
    rig.routes.listeners[0].protocol = Protocol::Ssl;
    rig.routes.listeners[0].instance_protocol = Protocol::Tcp;
    rig.routes.targets.clear();
    let listener = TcpListener::bind((address(), 0)).unwrap();
    rig.add_target("a", listener.local_addr().unwrap());
    rig.publish();
    for orderly in [true, false] {
        let mut client = connect(rig.address(), &config, "a.example").unwrap();
        client.write_all(b"hello").unwrap();
        client.flush().unwrap();
        let (mut instance, _) = listener.accept().unwrap();
        instance.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        instance.read_exact(&mut [0; 5]).unwrap();
        if orderly {
            client.conn.send_close_notify();
            client.flush().unwrap();
        }
        client.sock.shutdown(Shutdown::Write).unwrap();
        let end = instance.read(&mut [0; 1]);
        assert_eq!(end.is_ok_and(|count| count == 0), orderly);
    }
    // The instance's end, in a tunnel.
    for orderly in [true, false] {
        let mut client = connect(rig.address(), &config, "a.example").unwrap();
        let (instance, _) = listener.accept().unwrap();
        if !orderly {
            rustix::net::sockopt::set_socket_linger(&instance, Some(Duration::ZERO)).unwrap();
        }
        drop(instance);
        assert_eq!(client.read(&mut [0; 1]).is_ok_and(|count| count == 0), orderly);
    }
}

/// Writes one byte at a time, and reads no more.
struct Bytewise(TcpStream);

impl Read for Bytewise {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let end = into.len().min(1);
        self.0.read(&mut into[..end])
    }
}

impl Write for Bytewise {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_comes_byte_by_byte_is_understood() {
    let (made, origin) = (Made::new(&["a.example"]), plain_origin());
    let rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    for version in [&TLS12, &TLS13] {
        let name = rustls::pki_types::ServerName::try_from("a.example").unwrap();
        let conn = rustls::ClientConnection::new(Arc::new(settings(&[&made], &[version])), name).unwrap();
        let mut client = rustls::StreamOwned::new(conn, Bytewise(Client::connect(rig.address()).stream));
        for _ in 0..2 {
            write!(client, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 500\r\n\r\n").unwrap();
            client.write_all(&[b'z'; 500]).unwrap();
            client.flush().unwrap();
            assert_eq!(read_answer(&mut client).unwrap().1, [b'z'; 500]);
        }
    }
}

#[test]
fn a_slow_reader_gets_the_whole_last_answer() {
    let (made, origin) = (Made::new(&["a.example"]), plain_origin());
    let rig = rig(Protocol::Https, Protocol::Http, &made, &[origin.address]);
    let mut client = connect(rig.address(), &both(&made), "a.example").unwrap();
    write!(client, "GET /big?9000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    client.flush().unwrap();
    let mut last = 0;
    eventually("the flow stops", || {
        thread::park_timeout(Duration::from_millis(50));
        let now = rig.meters().bytes_out;
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(last < 9_000_000);
    let mut all = Vec::new();
    // An error when the end comes without `close_notify`.
    client.read_to_end(&mut all).unwrap();
    assert!(all.len() > 9_000_000 && all.ends_with(b"xxx"));
    rig.health(Health::InService);
    eventually("it is gone", || rig.meters().open_clients == 0);
}

#[test]
fn two_listeners_to_one_instance_port_do_not_share_connections() {
    let made = Made::new(&["a.example"]);
    let origin = TlsOrigin::start(&made, false);
    let mut rig = rig(Protocol::Https, Protocol::Https, &made, &[origin.at]);
    let mut second = rig.routes.listeners[0].clone();
    second.bind_port = crate::rig::free_port(rig.routes.nodes[0].address);
    second.port = second.bind_port;
    second.instance_tls = Some(TlsBack { name: Some("second.example".into()), ..TlsBack::default() });
    rig.routes.listeners.push(second.clone());
    rig.publish();
    let config = both(&made);
    let at = SocketAddr::new(rig.routes.nodes[0].address, second.bind_port.number());
    for to in [rig.address(), at, rig.address(), at] {
        let mut client = connect(to, &config, "a.example").unwrap();
        get(&mut client, "/").unwrap();
    }
    let mut names = origin.names.lock().unwrap().clone();
    names.sort();
    names.dedup();
    assert_eq!(names, [None, Some("second.example".to_owned())]);
}
