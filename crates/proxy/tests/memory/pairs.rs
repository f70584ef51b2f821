//! Clients and instances that are left to each other: what a pair of their connections costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;

use evenkeel_core::noun::Protocol;
use evenkeel_proxy::road::RoadConfig;

use crate::origin::again;
use crate::rig::{Rig, eventually};
use crate::{alone, resident};

const PAIRS: usize = 4_000;
const ASK: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

fn wait_for_the_end() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn echo(stream: &mut TcpStream, bytes: usize) {
    let mut block = vec![0; bytes];
    stream.read_exact(&mut block).unwrap();
    stream.write_all(&block).unwrap();
}

/// Not a test: a process with an instance that keeps each connection open after one echo, behind a 101 where it is asked.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn echoing_instance() {
    let Ok(asks) = std::env::var("ROAD_TEST_ECHO") else { return };
    let listener = TcpListener::bind((crate::rig::address(), 0)).unwrap();
    println!("\nlistening={}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut held = Vec::with_capacity(PAIRS);
        for mut stream in listener.incoming().map_while(Result::ok) {
            if asks == "http" {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                stream.write_all(SWITCHED.as_bytes()).unwrap();
            }
            echo(&mut stream, 100);
            held.push(stream);
        }
    });
    wait_for_the_end();
}

/// Not a test: a process that holds connections, each after one echo.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn echoed_clients() {
    let Ok(at) = std::env::var("ROAD_TEST_ECHOED") else { return };
    let (at, asks) = (at.parse::<SocketAddr>().unwrap(), std::env::var("ROAD_TEST_ECHO").unwrap());
    let mut held = Vec::with_capacity(PAIRS);
    for _ in 0..PAIRS {
        let mut stream = TcpStream::connect(at).unwrap();
        if asks == "http" {
            stream.write_all(ASK.as_bytes()).unwrap();
            let mut head = vec![0; SWITCHED.len()];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(String::from_utf8_lossy(&head), SWITCHED);
        }
        stream.write_all(&[b'x'; 100]).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        held.push(stream);
    }
    println!("\nheld={}", held.len());
    wait_for_the_end();
}

#[test]
fn pairs_of_connections_cost_little() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit < PAIRS as u64 * 2 + 500 {
        eprintln!("SKIPPED: {PAIRS} pairs need a limit of {} open files, it is {limit}", PAIRS * 2 + 500);
        return;
    }
    let _alone = alone();
    for (asks, protocol) in [("tcp", Protocol::Tcp), ("http", Protocol::Http)] {
        let start = |test: &str, at: &str| {
            let mut command = again(test);
            command.env("ROAD_TEST_ECHO", asks).env("ROAD_TEST_ECHOED", at);
            command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap()
        };
        let said = |child: &mut std::process::Child, what: &str| {
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let found = lines.find_map(|line| line.unwrap().split_once(what).map(|(_, said)| said.to_owned())).unwrap();
            thread::spawn(move || lines.for_each(drop));
            found
        };
        let mut instance = start("pairs::echoing_instance", "");
        let at: SocketAddr = said(&mut instance, "listening=").parse().unwrap();
        let mut rig = Rig::with(&[], protocol, RoadConfig { workers: 2, ..RoadConfig::default() });
        rig.add_target("a", at);
        rig.publish();
        let before = resident();
        let mut clients = start("pairs::echoed_clients", &rig.address().to_string());
        assert_eq!(said(&mut clients, "held="), PAIRS.to_string());
        assert_eq!(rig.meters().open_clients, PAIRS as u64);
        let each = (resident().saturating_sub(before)) * 1024 / PAIRS;
        eprintln!("{each} bytes of resident memory for each pair over {asks}");
        assert!(each < 5 * 512, "{each} bytes each over {asks}");
        drop(clients.stdin.take());
        clients.wait().unwrap();
        // It has its sides open still.
        drop(instance.stdin.take());
        instance.wait().unwrap();
        eventually("all are gone", || rig.meters().open_clients == 0);
    }
}

#[test]
fn a_slow_reader_in_another_protocol_holds_no_memory() {
    let _alone = alone();
    let listener = TcpListener::bind((crate::rig::address(), 0)).unwrap();
    let mut rig = Rig::new(&[]);
    rig.add_target("a", listener.local_addr().unwrap());
    rig.publish();
    const TOTAL: usize = 60_000_000;
    let instance = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 16 * 1024];
        assert!(stream.read(&mut head).unwrap() > 0);
        stream.write_all(SWITCHED.as_bytes()).unwrap();
        let block = vec![b'x'; 50_000];
        for _ in 0..TOTAL / block.len() {
            stream.write_all(&block).unwrap();
        }
    });
    let before = resident();
    let mut client = rig.client();
    client.send(ASK);
    assert_eq!(client.read().unwrap().status, 101);
    // Nobody reads: the road's count of bytes sent comes to rest, far below the whole.
    let mut last = 0;
    eventually("the flow stops", || {
        thread::park_timeout(std::time::Duration::from_millis(100));
        let now = rig.meters().bytes_out;
        std::mem::replace(&mut last, now) == now && now > 10_000
    });
    assert!(last < TOTAL as u64 / 2, "{last}");
    assert!(resident() < before + 10_000, "{} KiB before, {} KiB now", before, resident());
    let copied = std::io::copy(&mut client.stream, &mut std::io::sink()).unwrap();
    // What came with the head is read already.
    assert!(copied > TOTAL as u64 - 100_000, "{copied}");
    instance.join().unwrap();
}
