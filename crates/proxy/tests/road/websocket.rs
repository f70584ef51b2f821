//! WebSocket over HTTP/2 (RFC 8441), to instances that speak HTTP/1.1.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use bytes::Bytes;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::InstanceHttp;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::road::RoadConfig;
use h2::client::SendRequest;
use h2::ext::Protocol as Asked;
use h2::{RecvStream, SendStream};
use http::{Request, StatusCode};

use crate::h2_rig::{client, run, send_all, until};
use crate::rig::{Rig, address, eventually};
use crate::tls_rig::{Made, front};

/// An instance that answers the handshake as RFC 6455 has it, and then sends back what it gets; by path it does worse.
struct Instance {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Instance {
    fn start() -> Self {
        let listener = TcpListener::bind((address(), 0)).unwrap();
        let instance = Self { at: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&instance.asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let asked = Arc::clone(&asked);
                thread::spawn(move || serve(stream, &asked));
            }
        });
        instance
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    use std::io::{Read, Write};
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
        let mut accept = accept(key);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        asked.lock().unwrap().push(head);
        match path.as_str() {
            "/no" => stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?,
            "/feigned" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?,
            path => {
                if path == "/other-key" {
                    accept.replace_range(..1, "_");
                }
                let accept = match path {
                    "/no-key" => String::new(),
                    "/two-keys" => format!("Sec-WebSocket-Accept: {accept}\r\n").repeat(2),
                    _ => format!("Sec-WebSocket-Accept: {accept}\r\n"),
                };
                write!(
                    stream,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}Sec-WebSocket-Protocol: chat\r\n\r\nhello"
                )?;
                let mut from = stream.try_clone()?;
                std::io::copy(&mut from, &mut stream)?;
                return stream.shutdown(Shutdown::Write);
            }
        }
    }
}

fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

fn road(made: Option<&Made>, instance: &Instance) -> Rig {
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    let listener = &mut rig.routes.listeners[0];
    listener.http2 = true;
    if let Some(made) = made {
        (listener.protocol, listener.tls) = (Protocol::Https, front(&[made]));
    }
    rig.add_target("a", instance.at);
    rig.publish();
    rig
}

type Opened = Result<(http::Response<RecvStream>, SendStream<Bytes>), h2::Error>;

async fn open(client: &SendRequest<Bytes>, path: &str, protocol: &'static str) -> Opened {
    let mut request = Request::builder()
        .method("CONNECT")
        .uri(format!("http://a.example{path}"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap();
    request.extensions_mut().insert(Asked::from_static(protocol));
    let (answer, up) = client.clone().ready().await?.send_request(request, false)?;
    Ok((answer.await?, up))
}

/// So many bytes of what comes; fewer at the end.
async fn read(body: &mut RecvStream, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let Some(data) = body.data().await else { break };
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    all
}

fn is_over(rig: &Rig) {
    let outstanding = || rig.road.board().all().iter().map(|(_, state)| state.outstanding()).sum::<u32>();
    eventually("nothing is left", || {
        let meters = rig.meters();
        (meters.open_streams, meters.open_clients, outstanding()) == (0, 0, 0)
    });
}

#[test]
fn a_websocket_is_a_stream_among_others() {
    for made in [None, Some(Made::new(&["a.example"]))] {
        let instance = Instance::start();
        let rig = road(made.as_ref(), &instance);
        run(async {
            let client = client(rig.address(), made.as_ref()).await;
            until("its settings are here", || client.is_extended_connect_protocol_enabled()).await;
            let (answer, mut up) = open(&client, "/chat?a", "websocket").await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let fields: Vec<_> =
                answer.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            assert_eq!(fields, [("sec-websocket-protocol", &b"chat"[..])]);
            let mut down = answer.into_body();
            assert_eq!(read(&mut down, 5).await, b"hello");
            // Others go on beside it, and large bytes go both ways at once.
            let (answer, mut other) = open(&client, "/chat", "websocket").await.unwrap();
            let mut other_down = answer.into_body();
            assert_eq!(read(&mut other_down, 5).await, b"hello");
            let body = Bytes::from((0..3_000_000u32).map(|n| (n % 253) as u8).collect::<Vec<_>>());
            let (sent, got) = tokio::join!(send_all(&mut up, body.clone(), true), read(&mut down, usize::MAX));
            sent.unwrap();
            assert!(got == body, "{} bytes", got.len());
            assert_eq!(rig.meters().open_streams, 1);
            send_all(&mut other, "more".into(), false).await.unwrap();
            assert_eq!(read(&mut other_down, 4).await, b"more");
            // A client that goes takes its instance's connection along.
            other.send_reset(h2::Reason::CANCEL);
            until("both are over", || rig.meters().open_streams == 0).await;
        });
        is_over(&rig);
        let asked = instance.asked.lock().unwrap()[0].clone();
        assert!(
            asked.starts_with("GET /chat?a HTTP/1.1\r\nHost: a.example\r\nsec-websocket-version: 13\r\n"),
            "{asked}"
        );
        assert!(asked.ends_with("\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "{asked}");
        assert_eq!(rig.meters().from_instance, [2, 0, 0, 0, 0]);
    }
}

#[test]
fn only_a_switch_of_protocols_passes_for_one() {
    let instance = Instance::start();
    let rig = road(None, &instance);
    run(async {
        let client = client(rig.address(), None).await;
        until("its settings are here", || client.is_extended_connect_protocol_enabled()).await;
        let status =
            async |path, protocol| open(&client, path, protocol).await.map(|(answer, _)| answer.status().as_u16());
        assert_eq!(status("/no", "websocket").await.unwrap(), 403);
        // Any success would mean to the client that it has a WebSocket.
        assert_eq!(status("/feigned", "websocket").await.unwrap(), 502);
        // An instance that does not answer the road's key may have understood anything.
        for path in ["/other-key", "/no-key", "/two-keys"] {
            assert_eq!(status(path, "websocket").await.unwrap(), 502, "{path}");
        }
        assert_eq!(status("/", "connect-udp").await.unwrap(), 400);
        assert_eq!(status("/", "h2c").await.unwrap(), 400);
    });
    is_over(&rig);
    assert_eq!(instance.asked.lock().unwrap().len(), 5);
    let faults = rig.meters().from_balancer;
    assert_eq!(faults.get(&Fault::BadAnswer), Some(&4), "{faults:?}");
    assert_eq!(faults.get(&Fault::ClientGone), None, "{faults:?}");
}

#[test]
fn where_instances_speak_http2_or_the_listener_goes() {
    let instance = Instance::start();
    let mut rig = road(None, &instance);
    rig.routes.idle_timeout = Duration::from_millis(600);
    rig.publish();
    run(async {
        let client = client(rig.address(), None).await;
        until("its settings are here", || client.is_extended_connect_protocol_enabled()).await;
        let (answer, mut up) = open(&client, "/chat", "websocket").await.unwrap();
        let mut down = answer.into_body();
        rig.routes.listeners[0].instance_http = InstanceHttp::Two;
        rig.publish();
        let (answer, _) = open(&client, "/chat", "websocket").await.unwrap();
        assert_eq!(answer.status().as_u16(), 501);
        // A connection whose listener is gone ends with its last stream, and that by itself.
        rig.routes.listeners.clear();
        rig.publish();
        send_all(&mut up, "still here".into(), false).await.unwrap();
        assert_eq!(read(&mut down, 15).await, b"hellostill here");
        assert_eq!(rig.meters().open_streams, 1);
        until("it has idled too long", || rig.meters().open_streams == 0).await;
    });
    is_over(&rig);
    assert_eq!(rig.meters().from_balancer[&Fault::NoUpgrade], 1);
}
