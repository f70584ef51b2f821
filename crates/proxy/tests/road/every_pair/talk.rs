//! One exchange as either of its ends holds it, the same over HTTP/1 text and HTTP/2 frames: a mouth says a head, pieces of
//! a body, trailers; an ear hears them as they come, and takes nothing for complete that is not.
//!
//! HTTP/1 is read strictly here: a chunk extension, a size that is none, or an end that comes early is an error.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::h2_rig::{Wire, send_all};

pub type Fields = Vec<(String, String)>;

/// How long a body is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    None,
    Length(usize),
    /// Not said: chunks in HTTP/1.1.
    Open,
    /// Not said, and ended by closing where that is possible.
    UntilClose,
}

/// A request's or an answer's.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub method: String,
    pub path: String,
    pub status: u16,
    pub fields: Fields,
}

impl Head {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

pub enum Mouth {
    Text { to: WriteHalf<Wire>, minor: u8, chunked: bool },
    Asks { client: SendRequest<Bytes>, stream: Option<SendStream<Bytes>> },
    Answers { reply: SendResponse<Bytes>, stream: Option<SendStream<Bytes>> },
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

fn broken() -> io::Error {
    ErrorKind::BrokenPipe.into()
}

fn header_map(fields: &[(&str, &str)]) -> HeaderMap {
    let name = |name: &str| HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
    fields.iter().map(|(n, value)| (name(n), HeaderValue::from_str(value).unwrap())).collect()
}

async fn put(to: &mut WriteHalf<Wire>, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

fn lines(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

impl Mouth {
    fn stream(&mut self) -> io::Result<&mut SendStream<Bytes>> {
        match self {
            Self::Asks { stream: Some(stream), .. } | Self::Answers { stream: Some(stream), .. } => Ok(stream),
            _ => Err(broken()),
        }
    }

    async fn text_head(&mut self, first: String, size: Size, fields: &[(&str, &str)]) -> io::Result<()> {
        let Self::Text { to, chunked, .. } = self else { return Err(broken()) };
        let framing = match size {
            Size::Length(length) => format!("Content-Length: {length}\r\n"),
            Size::Open => "Transfer-Encoding: chunked\r\n".to_owned(),
            Size::None | Size::UntilClose => String::new(),
        };
        *chunked = size == Size::Open;
        put(to, format!("{first}{framing}{}\r\n", lines(fields)).as_bytes()).await
    }

    /// Asks; what hears the answer is returned where it is not the connection itself.
    async fn request(
        &mut self,
        (method, path): (&str, &str),
        size: Size,
        fields: &[(&str, &str)],
    ) -> io::Result<Option<ResponseFuture>> {
        if let Self::Text { minor, .. } = self {
            let keeps = if *minor == 0 { "Connection: keep-alive\r\n" } else { "" };
            let first = format!("{method} {path} HTTP/1.{minor}\r\nHost: a.example\r\n{keeps}");
            self.text_head(first, size, fields).await?;
            return Ok(None);
        }
        let Self::Asks { client, stream } = self else { return Err(broken()) };
        let mut request = Request::builder().method(method).uri(format!("http://a.example{path}")).body(()).unwrap();
        *request.headers_mut() = header_map(fields);
        if let Size::Length(length) = size {
            request.headers_mut().insert("content-length", length.into());
        }
        *client = client.clone().ready().await.map_err(other)?;
        let (answer, up) = client.send_request(request, size == Size::None).map_err(other)?;
        *stream = Some(up);
        Ok(Some(answer))
    }

    /// Begins an answer. `end`: there is no body, whatever the fields say.
    pub async fn answer(&mut self, status: u16, size: Size, fields: &[(&str, &str)], end: bool) -> io::Result<()> {
        if matches!(self, Self::Text { .. }) {
            return self.text_head(format!("HTTP/1.1 {status} Whatever\r\n"), size, fields).await;
        }
        let Self::Answers { reply, stream } = self else { return Err(broken()) };
        let mut response = Response::builder().status(status).body(()).unwrap();
        *response.headers_mut() = header_map(fields);
        if let Size::Length(length) = size {
            response.headers_mut().insert("content-length", length.into());
        }
        *stream = Some(reply.send_response(response, end).map_err(other)?);
        Ok(())
    }

    /// A piece of a body.
    pub async fn say(&mut self, data: impl AsRef<[u8]>) -> io::Result<()> {
        let data = data.as_ref();
        match self {
            Self::Text { to, chunked: true, .. } => {
                let mut chunk = format!("{:x};of=\"me;you\"\r\n", data.len()).into_bytes();
                chunk.extend_from_slice(data);
                chunk.extend_from_slice(b"\r\n");
                put(to, &chunk).await
            }
            Self::Text { to, .. } => put(to, data).await,
            _ => send_all(self.stream()?, Bytes::copy_from_slice(data), false).await.map_err(other),
        }
    }

    /// The body's end.
    pub async fn end(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        match self {
            Self::Text { to, chunked: true, .. } => {
                put(to, format!("0;last\r\n{}\r\n", lines(trailers)).as_bytes()).await
            }
            Self::Text { .. } => Ok(()),
            _ if trailers.is_empty() => self.stream()?.send_data(Bytes::new(), true).map_err(other),
            _ => self.stream()?.send_trailers(header_map(trailers)).map_err(other),
        }
    }

    /// Says that nothing more will come on the connection; the other direction stays.
    pub async fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Text { to, .. } => to.shutdown().await,
            _ => Ok(()),
        }
    }

    /// Ends the stream as one that is cut. In HTTP/1 the connection has to be.
    pub fn reset(&mut self, reason: Reason) {
        match self {
            Self::Asks { stream: Some(stream), .. } | Self::Answers { stream: Some(stream), .. } => {
                stream.send_reset(reason);
            }
            Self::Answers { reply, .. } => reply.send_reset(reason),
            _ => {}
        }
    }

    /// Waits until the peer has taken its request back (HTTP/2).
    pub async fn taken_back(&mut self) {
        let _ = match self {
            Self::Answers { stream: Some(stream), .. } => poll_fn(|cx| stream.poll_reset(cx)).await,
            Self::Answers { reply, .. } => poll_fn(|cx| reply.poll_reset(cx)).await,
            _ => std::future::pending().await,
        };
    }
}

/// What is left of a body in HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Done,
    Length(usize),
    /// Bytes of the chunk at hand.
    Chunk(usize),
    UntilClose,
}

pub enum Ear {
    Text { from: ReadHalf<Wire>, held: Vec<u8>, reading: Reading, trailers: Fields },
    Frames { answer: Option<ResponseFuture>, body: Option<RecvStream>, trailers: Fields },
}

impl Ear {
    pub fn text(from: ReadHalf<Wire>) -> Self {
        Self::Text { from, held: Vec::new(), reading: Reading::Done, trailers: Vec::new() }
    }

    pub fn request(body: RecvStream) -> Self {
        Self::Frames { answer: None, body: Some(body), trailers: Vec::new() }
    }

    async fn more(&mut self) -> io::Result<()> {
        let Self::Text { from, held, .. } = self else { return Err(broken()) };
        if from.read_buf(held).await? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Self::Text { held, .. } = self
                && let Some(at) = held.windows(2).position(|two| two == b"\r\n")
            {
                let line: Vec<u8> = held.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn fields(&mut self) -> io::Result<Fields> {
        let mut fields = Fields::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(": ").ok_or(ErrorKind::InvalidData)?;
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// The next head; interim ones too. `to_head`: an answer to HEAD, which has no body.
    pub async fn head(&mut self, to_head: bool) -> io::Result<Head> {
        let pairs = |map: &HeaderMap| {
            map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
        };
        if let Self::Frames { answer, body, trailers } = self {
            trailers.clear();
            let Some(waiting) = answer else { return Err(broken()) };
            if let Some(interim) = poll_fn(|cx| waiting.poll_informational(cx)).await {
                let (interim, ()) = interim.map_err(other)?.into_parts();
                return Ok(Head {
                    status: interim.status.as_u16(),
                    fields: pairs(&interim.headers),
                    ..Head::default()
                });
            }
            let (head, stream) = answer.take().ok_or_else(broken)?.await.map_err(other)?.into_parts();
            *body = Some(stream);
            return Ok(Head { status: head.status.as_u16(), fields: pairs(&head.headers), ..Head::default() });
        }
        let first = self.line().await?;
        let mut head = Head { fields: self.fields().await?, ..Head::default() };
        let is_answer = first.starts_with("HTTP/1.1 ");
        let mut words = first.split(' ');
        (head.method, head.path) =
            (words.next().unwrap_or_default().into(), words.next().unwrap_or_default().to_owned());
        if is_answer {
            head.status = head.path.parse().map_err(|_| ErrorKind::InvalidData)?;
        }
        let bodiless = to_head || (is_answer && (head.status < 200 || matches!(head.status, 204 | 304)));
        let length = head.field("content-length").map(str::parse::<usize>).transpose();
        let read = match length.map_err(|_| ErrorKind::InvalidData)? {
            _ if bodiless => Reading::Done,
            Some(0) => Reading::Done,
            Some(length) => Reading::Length(length),
            None if head.field("transfer-encoding") == Some("chunked") => Reading::Chunk(0),
            None if is_answer => Reading::UntilClose,
            None => Reading::Done,
        };
        let Self::Text { reading, trailers, .. } = self else { return Err(broken()) };
        *reading = read;
        trailers.clear();
        Ok(head)
    }

    /// The next piece of a body, as soon as there is one; `None` at its end.
    pub async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if let Self::Frames { body, trailers, .. } = self {
            let stream = body.as_mut().ok_or_else(broken)?;
            while let Some(data) = stream.data().await {
                let data = data.map_err(other)?;
                stream.flow_control().release_capacity(data.len()).map_err(other)?;
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
            if let Some(said) = stream.trailers().await.map_err(other)? {
                *trailers = said.iter().map(|(n, value)| (n.to_string(), value.to_str().unwrap().to_owned())).collect();
            }
            return Ok(None);
        }
        loop {
            let Self::Text { held, reading, .. } = self else { return Err(broken()) };
            let (want, chunked) = match *reading {
                Reading::Done => return Ok(None),
                Reading::Length(left) => (left, false),
                Reading::Chunk(0) => {
                    let line = self.line().await?;
                    // No sign, no space, no extension.
                    let digits = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let size = usize::from_str_radix(&line, 16).ok().filter(|_| digits);
                    let size = size.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, format!("chunk `{line}`")))?;
                    let said = if size == 0 { self.fields().await? } else { Fields::new() };
                    let Self::Text { reading, trailers, .. } = self else { return Err(broken()) };
                    *trailers = said;
                    *reading = if size == 0 { Reading::Done } else { Reading::Chunk(size) };
                    continue;
                }
                Reading::Chunk(left) => (left, true),
                Reading::UntilClose => (usize::MAX, false),
            };
            if held.is_empty() {
                match self.more().await {
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof && want == usize::MAX => return Ok(None),
                    got => got?,
                }
                continue;
            }
            let count = want.min(held.len());
            let data: Bytes = held.drain(..count).collect();
            *reading = match *reading {
                Reading::UntilClose => Reading::UntilClose,
                Reading::Length(left) if left > count => Reading::Length(left - count),
                Reading::Chunk(left) if left > count => Reading::Chunk(left - count),
                _ if !chunked => Reading::Done,
                _ => {
                    *reading = Reading::Chunk(0);
                    if !self.line().await?.is_empty() {
                        return Err(ErrorKind::InvalidData.into());
                    }
                    return Ok(Some(data));
                }
            };
            return Ok(Some(data));
        }
    }

    /// The rest of a body.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(data) = self.piece().await? {
            all.extend_from_slice(&data);
        }
        Ok(all)
    }

    /// What followed the body, once its end was heard.
    pub fn trailers(&self) -> &Fields {
        let (Self::Text { trailers, .. } | Self::Frames { trailers, .. }) = self;
        trailers
    }

    /// Waits until nothing more can come (HTTP/1).
    pub async fn closed(&mut self) {
        while self.more().await.is_ok() {}
    }
}

/// A client's connection.
pub struct Client {
    pub mouth: Mouth,
    pub ear: Ear,
    /// The socket, to cut it.
    socket: OwnedFd,
    driven: Option<tokio::task::JoinHandle<()>>,
}

impl Client {
    pub fn text(wire: Wire, minor: u8) -> Self {
        let socket = wire.socket();
        let (from, to) = tokio::io::split(wire);
        let mouth = Mouth::Text { to, minor, chunked: false };
        Self { mouth, ear: Ear::text(from), socket, driven: None }
    }

    pub async fn frames(wire: Wire) -> Self {
        let socket = wire.socket();
        let mut builder = h2::client::Builder::new();
        builder.initial_max_send_streams(100);
        let (client, connection) = builder.handshake(wire).await.unwrap();
        let driven = tokio::spawn(async move { drop(connection.await) });
        let mouth = Mouth::Asks { client, stream: None };
        Self {
            mouth,
            ear: Ear::Frames { answer: None, body: None, trailers: Vec::new() },
            socket,
            driven: Some(driven),
        }
    }

    pub async fn ask(&mut self, what: (&str, &str), size: Size, fields: &[(&str, &str)]) -> io::Result<()> {
        let hears = self.mouth.request(what, size, fields).await?;
        if hears.is_some() {
            self.ear = Ear::Frames { answer: hears, body: None, trailers: Vec::new() };
        }
        Ok(())
    }

    /// A request without a body and its answer, to its end.
    pub async fn get(&mut self, path: &str) -> io::Result<(Head, String)> {
        self.ask(("GET", path), Size::None, &[]).await?;
        self.answer(false).await
    }

    /// An answer to its end.
    pub async fn answer(&mut self, to_head: bool) -> io::Result<(Head, String)> {
        let head = self.ear.head(to_head).await?;
        let body = self.ear.rest().await?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Is gone, without a word: with a reset of the connection or, in HTTP/2, of the stream.
    pub fn vanish(mut self) {
        self.mouth.reset(Reason::CANCEL);
        if self.driven.is_none() {
            cut(&self.socket);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // What it has still to say on the connection it says, and then closes.
        drop(self.driven.take());
    }
}

/// Has closing the socket be a reset.
pub fn cut(socket: &OwnedFd) {
    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
}

/// Whether the peer's system has confirmed everything that was sent.
pub fn has_arrived(socket: &OwnedFd) -> bool {
    let ends = [rustix::net::getsockname(socket), rustix::net::getpeername(socket).map(Option::unwrap)];
    let [own, peer] = ends.map(|end| SocketAddrV4::try_from(end.unwrap()).unwrap());
    let word = |end: SocketAddrV4| format!("{:08X}:{:04X}", u32::from_ne_bytes(end.ip().octets()), end.port());
    let pair = format!(": {} {} ", word(own), word(peer));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().find_map(|line| line.split_once(&pair)).map(|(_, rest)| rest.to_owned());
    // Behind the state: what is not confirmed, in hexadecimal digits. A connection that is gone has nothing to confirm.
    line.is_none_or(|line| line.split([' ', ':']).nth(1).unwrap().bytes().all(|digit| digit == b'0'))
}

#[test]
fn what_its_peer_has_no_room_for_has_not_arrived() {
    let listener = std::net::TcpListener::bind((crate::rig::address(), 0)).unwrap();
    let mut own = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = OwnedFd::from(own.try_clone().unwrap());
    assert!(has_arrived(&socket));
    own.set_nonblocking(true).unwrap();
    while std::io::Write::write(&mut own, &[0; 65536]).is_ok() {}
    assert!(!has_arrived(&socket));
}
