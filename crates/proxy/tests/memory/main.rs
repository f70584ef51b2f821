//! What the road holds in memory, in a process where nothing else runs: idle clients, slow readers, slow instances.
#![allow(missing_docs, dead_code, clippy::unwrap_used)]

#[path = "../road/origin.rs"]
mod origin;
mod pairs;
#[path = "../road/rig.rs"]
mod rig;
#[path = "../road/tls_rig.rs"]
mod tls_rig;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::origin::again;
use crate::rig::{Client, Rig, eventually};

/// One at a time: each measures the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's resident memory in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_slow_reader_slows_its_instance_and_holds_no_memory() {
    let _alone = alone();
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    let before = resident();
    client.send("GET /big?100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut block = vec![0; 64 * 1024];
    let mut total = client.stream.read(&mut block).unwrap();
    // Nobody reads: the road's count of bytes sent comes to rest, far below the whole.
    let mut last = 0;
    eventually("the flow stops", || {
        thread::park_timeout(Duration::from_millis(100));
        let now = rig.meters().bytes_out;
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(last < 60_000_000, "{last}");
    assert!(resident() < before + 40_000, "{} KiB before, {} KiB now", before, resident());
    while total < 100_000_000 {
        let n = client.stream.read(&mut block).unwrap();
        assert!(n > 0, "cut after {total}");
        total += n;
    }
}

#[test]
fn an_instance_that_does_not_read_slows_its_client() {
    let _alone = alone();
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    let size = 50_000_000;
    client.send(format!("POST /no-read?600 HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"));
    let mut writer = client.stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let block = vec![b'z'; 50_000];
        for _ in 0..size / block.len() {
            writer.write_all(&block).unwrap();
        }
    });
    let before = resident();
    let mut last = 0;
    eventually("the flow stops", || {
        thread::park_timeout(Duration::from_millis(100));
        let now = rig.meters().bytes_in;
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(last < size as u64 && resident() < before + 60_000, "{last} bytes, {} KiB", resident());
    assert_eq!(client.read().unwrap().body.len(), size);
    sender.join().unwrap();
}

const IDLE: usize = 10_000;

/// Not a test: a process that holds idle connections, each after one request.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn idle_clients() {
    let Ok(at) = std::env::var("ROAD_TEST_IDLE") else { return };
    let at: SocketAddr = at.parse().unwrap();
    let mut held: Vec<TcpStream> = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut client = Client::connect(at);
        assert_eq!(client.get("/").status, 200);
        held.push(client.stream);
    }
    println!("\nheld={}", held.len());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit < IDLE as u64 * 3 / 2 + 500 {
        eprintln!("SKIPPED: {IDLE} connections need a limit of {} open files, it is {limit}", IDLE * 3 / 2 + 500);
        return;
    }
    let _alone = alone();
    let rig = Rig::new(&["a"]);
    assert_eq!(rig.client().get("/").status, 200);
    let before = resident();
    let mut child = again("idle_clients")
        .env("ROAD_TEST_IDLE", rig.address().to_string())
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = lines.find_map(|line| line.unwrap().strip_prefix("held=").map(str::to_owned));
    assert_eq!(held.as_deref(), Some("10000"));
    thread::spawn(move || lines.for_each(drop));
    eventually("all are counted", || rig.meters().open_clients == IDLE as u64);
    let each = (resident().saturating_sub(before)) * 1024 / IDLE;
    eprintln!("{each} bytes of resident memory for each idle connection");
    assert!(each < 1024, "{each} bytes each");
    assert_eq!(rig.client().get("/").status, 200);
    drop(child.stdin.take());
    child.wait().unwrap();
    eventually("all are gone", || rig.meters().open_clients == 0);
}

const IDLE_TLS: usize = 4_000;

/// Not a test: a process that holds idle TLS connections, each after one request.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn idle_tls_clients() {
    let Ok(at) = std::env::var("ROAD_TEST_IDLE_TLS") else { return };
    let at: SocketAddr = at.parse().unwrap();
    // Whoever answers is believed: the certificate is in the other process.
    let made: Vec<u8> = std::env::var("ROAD_TEST_CERTIFICATE").unwrap().bytes().collect();
    let der: Vec<u8> =
        made.chunks(2).map(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap()).collect();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der.into()).unwrap();
    let version = if std::env::var("ROAD_TEST_VERSION").unwrap() == "1.2" {
        &rustls::version::TLS12
    } else {
        &rustls::version::TLS13
    };
    let config = tls_rig::settings(&[], &[version]);
    let mut config = rustls::ClientConfig::builder_with_provider(config.crypto_provider().clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let config = std::sync::Arc::new(config);
    let mut held = Vec::with_capacity(IDLE_TLS);
    for _ in 0..IDLE_TLS {
        let mut client = tls_rig::connect(at, &config, "a.example").unwrap();
        assert!(tls_rig::get(&mut client, "/").unwrap().0.starts_with("HTTP/1.1 200"));
        // Only the socket: what the client's side of the session costs is not measured.
        held.push(client.sock);
    }
    println!("\nheld={}", held.len());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn idle_tls_connections_keep_to_their_budget() {
    let _alone = alone();
    for version in ["1.2", "1.3"] {
        let made = tls_rig::Made::new(&["a.example"]);
        let origin = origin::Origin::start(rig::address(), 0);
        let (https, http) = (evenkeel_core::noun::Protocol::Https, evenkeel_core::noun::Protocol::Http);
        let rig = tls_rig::rig(https, http, &made, &[origin.address]);
        let before = resident();
        let mut child = again("idle_tls_clients")
            .env("ROAD_TEST_IDLE_TLS", rig.address().to_string())
            .env("ROAD_TEST_VERSION", version)
            .env("ROAD_TEST_CERTIFICATE", made.der.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines.find_map(|line| line.unwrap().strip_prefix("held=").map(str::to_owned));
        assert_eq!(held, Some(IDLE_TLS.to_string()));
        thread::spawn(move || lines.for_each(drop));
        eventually("all are counted", || rig.meters().open_clients == IDLE_TLS as u64);
        let each = (resident().saturating_sub(before)) * 1024 / IDLE_TLS;
        eprintln!("{each} bytes of resident memory for each idle connection of TLS {version}");
        assert!(each < 7 * 1024, "{each} bytes each");
        drop(child.stdin.take());
        child.wait().unwrap();
        eventually("all are gone", || rig.meters().open_clients == 0);
    }
}
