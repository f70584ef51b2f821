//! Bodies of 10 GiB, up and down: they pass at the pace of whoever reads them, and the road's memory does not grow.
//!
//! Over HTTP/1.1 all of it. Over HTTP/2 in TLS, which a build for tests carries at a tenth of the speed, as many GiB as
//! `EVENKEEL_BODY_GIB` says, and one where it says nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::InstanceHttp;
use evenkeel_proxy::road::RoadConfig;
use http::{Request, Response};

use crate::h2_rig::{self, Wire};
use crate::rig::{Rig, address, eventually};
use crate::tls_rig::{Made, front};
use crate::{alone, resident};

const GIB: u64 = 1 << 30;
const BLOCK: usize = 256 * 1024;
/// How far the process may grow meanwhile, in KiB: client, road and instance together.
const GROWTH: usize = 16 * 1024;

/// Looks at memory as bytes pass.
struct Gauge {
    before: usize,
    seen: u64,
}

impl Gauge {
    fn new() -> Self {
        Self { before: resident(), seen: 0 }
    }

    fn pass(&mut self, count: usize) {
        let (was, now) = (self.seen, self.seen + count as u64);
        self.seen = now;
        if was >> 26 != now >> 26 {
            let grown = resident().saturating_sub(self.before);
            assert!(grown < GROWTH, "{grown} KiB more after {} MiB", now >> 20);
        }
    }
}

/// Takes what is sent, or sends what is asked for.
fn instance() -> SocketAddr {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut block = vec![b'x'; BLOCK];
                let (head, mut taken) = read_head(&mut stream)?;
                let number = |after: &str| -> u64 {
                    let rest = head.split_once(after).map_or("0", |(_, rest)| rest);
                    rest.split(['\r', ' ']).next().unwrap().parse().unwrap()
                };
                if head.starts_with("GET") {
                    let length = number("/down?");
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                    for _ in 0..length / BLOCK as u64 {
                        stream.write_all(&block)?;
                    }
                    return Ok(());
                }
                let length = number("Content-Length: ");
                while taken < length {
                    let count = stream.read(&mut block)?;
                    assert!(count > 0, "cut after {taken}");
                    taken += count as u64;
                }
                let text = taken.to_string();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
            });
        }
    });
    at
}

/// A head, and how many bytes came after it.
fn read_head(stream: &mut TcpStream) -> std::io::Result<(String, u64)> {
    let (mut bytes, mut block) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let count = stream.read(&mut block)?;
        assert!(count > 0, "an end");
        bytes.extend_from_slice(&block[..count]);
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let after = (bytes.len() - at - 4) as u64;
            return Ok((String::from_utf8(bytes[..at + 4].to_vec()).unwrap(), after));
        }
    }
}

#[test]
fn ten_gib_pass_over_http1_in_constant_memory() {
    let _alone = alone();
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.add_target("a", instance());
    rig.publish();
    let size = 10 * GIB;
    let mut block = vec![b'z'; BLOCK];
    let (began, mut gauge) = (Instant::now(), Gauge::new());
    let mut client = rig.client().stream;
    write!(client, "GET /down?{size} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let (_, mut got) = read_head(&mut client).unwrap();
    while got < size {
        let count = client.read(&mut block).unwrap();
        assert!(count > 0, "cut after {got}");
        got += count as u64;
        gauge.pass(count);
    }
    assert_eq!(got, size);
    drop(client);
    let down = began.elapsed();
    let (began, mut gauge) = (Instant::now(), Gauge::new());
    let mut client = rig.client().stream;
    write!(client, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").unwrap();
    for _ in 0..size / BLOCK as u64 {
        client.write_all(&block).unwrap();
        gauge.pass(BLOCK);
    }
    let (_, _) = read_head(&mut client).unwrap();
    eprintln!("10 GiB down in {down:?}, up in {:?}", began.elapsed());
    let meters = rig.meters();
    assert!(meters.bytes_in > size && meters.bytes_out > size && meters.from_balancer.is_empty(), "{meters:?}");
    assert_eq!(meters.from_instance[1], 2);
    drop(client);
    eventually("nothing is left", || rig.is_empty());
}

/// The same as [`instance`], in HTTP/2 and TLS.
fn modern_instance(made: &Made) -> SocketAddr {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    let mut config = made.server();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let wire = Wire::new(tcp, Some(rustls::Connection::Server(tls)));
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(wire).await?;
                    while let Some(Ok((request, mut answer))) = connection.accept().await {
                        tokio::spawn(async move {
                            let length = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
                            let mut body = request.into_body();
                            let mut taken = 0u64;
                            while let Some(data) = body.data().await {
                                let data = data?;
                                taken += data.len() as u64;
                                body.flow_control().release_capacity(data.len())?;
                            }
                            let mut down = answer.send_response(Response::new(()), false)?;
                            let block = Bytes::from(vec![b'x'; BLOCK]);
                            for _ in 0..length / BLOCK as u64 {
                                h2_rig::send_all(&mut down, block.clone(), false).await?;
                            }
                            down.send_data(taken.to_string().into(), true)
                        });
                    }
                    Ok::<_, h2::Error>(())
                });
            }
        });
    });
    at
}

#[test]
fn endless_bodies_pass_over_http2_in_tls_in_constant_memory() {
    let _alone = alone();
    let size = std::env::var("EVENKEEL_BODY_GIB").ok().and_then(|text| text.parse().ok()).unwrap_or(1) * GIB;
    let made = Made::new(&["a.example"]);
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    let listener = &mut rig.routes.listeners[0];
    (listener.protocol, listener.instance_protocol) = (Protocol::Https, Protocol::Https);
    (listener.tls, listener.http2, listener.instance_http) = (front(&[&made]), true, InstanceHttp::Two);
    rig.add_target("a", modern_instance(&made));
    rig.publish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = h2_rig::client(rig.address(), Some(&made)).await;
        let (began, mut gauge) = (Instant::now(), Gauge::new());
        let request = Request::get(format!("http://a.example/down?{size}")).body(()).unwrap();
        let (answer, _) = client.clone().ready().await.unwrap().send_request(request, true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            gauge.pass(data.len());
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        // The instance says at the end how much it was sent.
        assert_eq!(gauge.seen, size + 1);
        let down = began.elapsed();
        let (began, mut gauge) = (Instant::now(), Gauge::new());
        let request = Request::post("http://a.example/up").body(()).unwrap();
        let (answer, mut up) = client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        let block = Bytes::from(vec![b'z'; BLOCK]);
        for _ in 0..size / BLOCK as u64 {
            h2_rig::send_all(&mut up, block.clone(), false).await.unwrap();
            gauge.pass(BLOCK);
        }
        up.send_data(Bytes::new(), true).unwrap();
        assert_eq!(h2_rig::receive(answer).await.unwrap().text(), size.to_string());
        eprintln!("{} GiB over HTTP/2 in TLS down in {down:?}, up in {:?}", size / GIB, began.elapsed());
    });
    assert!(rig.meters().from_balancer.is_empty());
    drop(runtime);
    eventually("nothing is left", || rig.is_empty());
}
