//! Clients and instances that speak HTTP/2 through the `h2` crate: an independent reading of the same standard.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::InstanceHttp;
use evenkeel_proxy::road::RoadConfig;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::Connection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Rig, address};
use crate::tls_rig::{Made, front, settings};

/// Runs a test's client, for a minute at most.
pub fn run<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), task).await.expect("in time") })
}

/// Waits without keeping others of the same thread from going on.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A connection, in TLS or not.
pub struct Wire {
    tcp: TcpStream,
    tls: Option<Connection>,
    closing: bool,
}

/// The socket as a blocking library sees it.
struct Now<'a, 'b>(&'a mut TcpStream, &'a mut Context<'b>);

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Now<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(into);
        now(Pin::new(&mut *self.0).poll_read(self.1, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl Write for Now<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(Pin::new(&mut *self.0).poll_write(self.1, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire {
    pub fn new(tcp: TcpStream, tls: Option<Connection>) -> Self {
        Self { tcp, tls, closing: false }
    }

    /// The socket once more, to set its options.
    pub fn socket(&self) -> OwnedFd {
        self.tcp.as_fd().try_clone_to_owned().unwrap()
    }

    fn poll_shake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let sent = self.send(cx);
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) else { return Poll::Ready(sent) };
            match tls.read_tls(&mut Now(&mut self.tcp, cx)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            tls.write_tls(&mut Now(&mut self.tcp, cx))?;
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        loop {
            match wire.send(cx) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => {}
            }
            let Some(tls) = &mut wire.tls else { return Pin::new(&mut wire.tcp).poll_read(cx, into) };
            match tls.reader().read(into.initialize_unfilled()) {
                Ok(count) => {
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
            match tls.read_tls(&mut Now(&mut wire.tcp, cx)) {
                Ok(0) => {
                    // An end without a word is a truncation, and told as one.
                    let end = tls.reader().read(&mut []);
                    return Poll::Ready(end.map(drop).or_else(|error| match error.kind() {
                        io::ErrorKind::WouldBlock => Ok(()),
                        _ => Err(error),
                    }));
                }
                Ok(_) => {
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let Some(tls) = &mut self.tls else { return Pin::new(&mut self.tcp).poll_write(cx, bytes) };
            let took = tls.writer().write(bytes)?;
            match self.send(cx) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Err(_) if took == 0 && !bytes.is_empty() => return Poll::Pending,
                // There is room again.
                Ok(()) if took == 0 && !bytes.is_empty() => {}
                _ => return Poll::Ready(Ok(took)),
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.send(cx) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            done => Poll::Ready(done),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let began = std::mem::replace(&mut self.closing, true);
        if let Some(tls) = self.tls.as_mut().filter(|_| !began) {
            tls.send_close_notify();
        }
        match self.send(cx) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
            Ok(()) => {}
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A connection to the road. `made`: in TLS, agreed on HTTP/2.
pub async fn dial(to: SocketAddr, made: Option<&Made>) -> Wire {
    dial_as(to, made, &[b"h2", b"http/1.1"]).await
}

/// The same; in TLS it offers to speak these.
pub async fn dial_as(to: SocketAddr, made: Option<&Made>, alpn: &[&[u8]]) -> Wire {
    let tcp = TcpStream::connect(to).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let tls = made.map(|made| {
        let mut config = settings(&[made], rustls::ALL_VERSIONS);
        config.alpn_protocols = alpn.iter().map(|spoken| spoken.to_vec()).collect();
        let name = ServerName::try_from("a.example").unwrap();
        Connection::Client(rustls::ClientConnection::new(Arc::new(config), name).unwrap())
    });
    let mut wire = Wire::new(tcp, tls);
    std::future::poll_fn(|cx| wire.poll_shake(cx)).await.unwrap();
    wire
}

pub async fn client(to: SocketAddr, made: Option<&Made>) -> SendRequest<Bytes> {
    let wire = dial(to, made).await;
    // What the road allows is not known before its settings are here; RFC 9113 §5.1.2 lets nobody allow less than 100.
    let mut builder = h2::client::Builder::new();
    // A stream that is not read must not take the connection's window from the others.
    builder.initial_max_send_streams(100).initial_connection_window_size(1 << 20);
    let (client, connection) = builder.handshake(wire).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client.ready().await.unwrap()
}

/// A whole answer.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub async fn receive(answer: h2::client::ResponseFuture) -> Result<Reply, h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    let mut reply = Reply { status: head.status.as_u16(), fields: head.headers, ..Reply::default() };
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        reply.body.extend_from_slice(&data);
    }
    reply.trailers = body.trailers().await?;
    Ok(reply)
}

/// Sends all of it, as the windows allow.
pub async fn send_all(to: &mut SendStream<Bytes>, mut data: Bytes, end: bool) -> Result<(), h2::Error> {
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let Some(room) = std::future::poll_fn(|cx| to.poll_capacity(cx)).await else { return Ok(()) };
        let part = data.split_to(room?.min(data.len()));
        to.send_data(part, end && data.is_empty())?;
    }
    Ok(())
}

pub async fn ask(client: &SendRequest<Bytes>, path: &str, body: Option<Bytes>) -> Result<Reply, h2::Error> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let request = Request::builder().method(method).uri(format!("http://a.example{path}")).body(()).unwrap();
    let mut client = client.clone().ready().await?;
    let (answer, mut up) = client.send_request(request, body.is_none())?;
    let sending = async {
        match body {
            Some(body) if body.is_empty() => up.send_data(body, true),
            Some(body) => send_all(&mut up, body, true).await,
            None => Ok(()),
        }
    };
    // An answer may come before all is sent.
    let (_, reply) = tokio::join!(sending, receive(answer));
    reply
}

/// An instance that speaks nothing but HTTP/2, by path.
pub struct H2Origin {
    pub at: SocketAddr,
    pub connections: Arc<AtomicU64>,
    pub requests: Arc<AtomicU64>,
}

impl H2Origin {
    /// With this many streams at once on a connection.
    pub fn start(made: Option<&Made>, streams: u32) -> Self {
        Self::counting(made, streams, Arc::default())
    }

    /// The same, with requests counted together with others'.
    pub fn counting(made: Option<&Made>, streams: u32, requests: Arc<AtomicU64>) -> Self {
        let listener = std::net::TcpListener::bind((address(), 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let origin = Self { at: listener.local_addr().unwrap(), connections: Arc::default(), requests };
        let (connections, requests) = (Arc::clone(&origin.connections), Arc::clone(&origin.requests));
        let config = made.map(|made| {
            let mut config = made.server();
            config.alpn_protocols = vec![b"h2".to_vec()];
            Arc::new(config)
        });
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((tcp, _)) = listener.accept().await {
                    tcp.set_nodelay(true).unwrap();
                    connections.fetch_add(1, Ordering::SeqCst);
                    let tls = config.clone().map(|c| Connection::Server(rustls::ServerConnection::new(c).unwrap()));
                    tokio::spawn(serve(Wire::new(tcp, tls), Arc::clone(&requests), streams));
                }
            });
        });
        origin
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(wire: Wire, requests: Arc<AtomicU64>, streams: u32) {
    let built = h2::server::Builder::new().max_concurrent_streams(streams).handshake::<_, Bytes>(wire).await;
    let Ok(mut connection) = built else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        let before = requests.fetch_add(1, Ordering::SeqCst);
        let path = request.uri().path().to_owned();
        match (path.as_str(), before) {
            // Only who comes first is sent away.
            ("/refuse-first", 0) => {
                let mut answer = answer;
                answer.send_reset(h2::Reason::REFUSED_STREAM);
            }
            ("/leave-first", 0) => {
                connection.graceful_shutdown();
                tokio::spawn(say(request, answer));
            }
            ("/hang-up", _) => return,
            _ => drop(tokio::spawn(say(request, answer))),
        }
    }
}

async fn say(request: Request<RecvStream>, mut answer: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let number: usize = head.uri.query().and_then(|query| query.parse().ok()).unwrap_or(0);
    let ok = || Response::builder().status(200);
    match head.uri.path() {
        // Each piece goes back as it comes, trailers too.
        "/echo" => {
            let mut down = answer.send_response(ok().body(()).unwrap(), false)?;
            while let Some(data) = body.data().await {
                let data = data?;
                body.flow_control().release_capacity(data.len())?;
                send_all(&mut down, data, false).await?;
            }
            match body.trailers().await? {
                Some(trailers) => down.send_trailers(trailers),
                None => down.send_data(Bytes::new(), true),
            }
        }
        "/head" => {
            let text = format!("{} {} {:?}", head.method, head.uri, head.headers);
            let length = ok().header("content-length", text.len()).body(()).unwrap();
            let mut down = answer.send_response(length, head.method == "HEAD")?;
            if head.method == "HEAD" { Ok(()) } else { send_all(&mut down, text.into(), true).await }
        }
        "/big" => {
            let mut down = answer.send_response(ok().body(()).unwrap(), false)?;
            send_all(&mut down, vec![b'x'; number].into(), true).await
        }
        "/trailers" => {
            let mut down = answer.send_response(ok().body(()).unwrap(), false)?;
            down.send_data("abcdefgh".into(), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-trailer", "1".parse().unwrap());
            trailers.insert("set-cookie", "a=b".parse().unwrap());
            down.send_trailers(trailers)
        }
        "/204" => answer.send_response(Response::builder().status(204).body(()).unwrap(), true).map(drop),
        "/304" => {
            let head = Response::builder().status(304).header("content-length", 500).body(()).unwrap();
            answer.send_response(head, true).map(drop)
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(number as u64)).await;
            let mut down = answer.send_response(ok().body(()).unwrap(), false)?;
            down.send_data("slow".into(), true)
        }
        "/cut" => {
            let mut down = answer.send_response(ok().body(()).unwrap(), false)?;
            down.send_data("only this".into(), false)?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            down.send_reset(h2::Reason::INTERNAL_ERROR);
            Ok(())
        }
        "/early" => answer.send_response(Response::builder().status(413).body(()).unwrap(), true).map(drop),
        "/refuse" => {
            answer.send_reset(h2::Reason::REFUSED_STREAM);
            Ok(())
        }
        "/malformed" => answer.send_response(ok().header("content-length", "5x").body(()).unwrap(), true).map(drop),
        _ => {
            let mut down = answer.send_response(ok().body(()).unwrap(), false)?;
            down.send_data("ok".into(), true)
        }
    }
}

/// A road that serves HTTP/2, in TLS where there is a certificate, in front of instances that speak it, in TLS likewise.
pub fn road(front_made: Option<&Made>, origins: &[&H2Origin], secure: bool, workers: usize) -> Rig {
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers, ..RoadConfig::default() });
    let listener = &mut rig.routes.listeners[0];
    listener.http2 = true;
    if let Some(made) = front_made {
        listener.protocol = Protocol::Https;
        listener.tls = front(&[made]);
    }
    if secure {
        listener.instance_protocol = Protocol::Https;
    }
    listener.instance_http = InstanceHttp::Two;
    for origin in origins {
        rig.add_target("a", origin.at);
    }
    rig.publish();
    rig
}
