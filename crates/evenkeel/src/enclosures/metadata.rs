//! What answers inside an enclosure: the metadata at 169.254.169.254, as on EC2, and the API at the address that it has on
//! the node.
//!
//! Owns the way from a listener inside to the API outside; both ends of it are in the agent, since an enclosure has no way
//! to the node's loopback. Whatever is asked at 169.254.169.254 goes to the instance's own secret place at the API, so that
//! it can never ask for another's. Must never keep anything of what passes.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::cli::metadata::Place;

/// Connections at once, at each door; further ones wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long the API may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(40);
/// From the start of a connection, or an answer's end, to the end of the next request's head.
const HEAD: Duration = Duration::from_secs(30);
/// The longest answer: user data are 16 KiB, and nothing is longer.
const LONGEST: usize = 256 * 1024;
/// How long accepting rests after it failed.
const REST: Duration = Duration::from_millis(50);
/// The headers of a request that mean something to the service.
const HEADERS: [&str; 3] = ["x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds", "x-forwarded-for"];

/// Something that answers inside.
#[derive(Clone, Debug)]
pub struct Door {
    /// Where it answers.
    pub at: SocketAddr,
    leads_to: LeadsTo,
    place: Place,
    data_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeadsTo {
    Metadata,
    Api,
}

impl Door {
    /// Where the API is now: a daemon that was started again may be elsewhere.
    fn place(&self) -> Place {
        self.place.clone().moved(&self.data_dir)
    }
}

/// The doors of an instance that was told this place: the metadata, at the address given, and the API, where it is at an
/// address that means another in each network.
#[must_use]
pub fn doors(told: &str, metadata: SocketAddr, data_dir: &Path) -> Vec<Door> {
    let Some(place) = Place::read(told) else { return Vec::new() };
    let endpoint = place.endpoint();
    let host = endpoint.host().trim_matches(['[', ']']).parse::<IpAddr>();
    let own = host.ok().filter(IpAddr::is_loopback).map(|ip| SocketAddr::new(ip, endpoint.port()));
    let door = |at, leads_to| Door { at, leads_to, place: place.clone(), data_dir: data_dir.to_owned() };
    let api = own.map(|at| door(at, LeadsTo::Api));
    std::iter::once(door(metadata, LeadsTo::Metadata)).chain(api).collect()
}

/// A connection of whatever kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// Answers at a door until it is told to stop; it needs a runtime.
///
/// # Errors
/// What the system says.
pub fn serve(door: Door, listener: TcpListener) -> io::Result<AbortHandle> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let task = tokio::spawn(async move {
        // Dropped with this task, it ends the connections too.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= CONNECTIONS {
                connections.join_next().await;
                continue;
            }
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Where it cannot be said, answers come a little later.
                    let _ = stream.set_nodelay(true);
                    drop(connections.spawn(pass(door.clone(), stream)));
                }
                Err(_) => sleep(REST).await,
            }
        }
    });
    Ok(task.abort_handle())
}

/// Answers one connection to its end.
pub async fn pass(door: Door, stream: impl Stream) {
    // What goes wrong on a connection is that connection's end, and the client's to try again.
    let _ = match door.leads_to {
        LeadsTo::Metadata => metadata(&door, stream).await,
        LeadsTo::Api => api(&door, stream).await,
    };
}

async fn connect(place: &Place) -> io::Result<TcpStream> {
    let endpoint = place.endpoint();
    let host = endpoint.host().trim_matches(['[', ']']);
    let stream = timeout(CONNECT, TcpStream::connect((host, endpoint.port()))).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Bytes both ways, until the API has said all that it will.
async fn api(door: &Door, near: impl Stream) -> io::Result<()> {
    let mut far = connect(&door.place()).await?;
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (tokio::io::split(near), far.split());
    let there = async {
        tokio::io::copy(&mut from_near, &mut to_far).await?;
        to_far.shutdown().await?;
        // A client that has said all may still be answered.
        std::future::pending::<io::Result<u64>>().await
    };
    tokio::select! {
        sent = there => sent.map(drop),
        answered = tokio::io::copy(&mut from_far, &mut to_near) => answered.map(drop),
    }
}

async fn metadata(door: &Door, stream: impl Stream) -> io::Result<()> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let answer = timeout(ANSWER, ask(&door.place(), &request)).await;
        Ok::<_, Infallible>(answer.ok().flatten().unwrap_or_else(|| {
            let mut response = Response::new(Full::new(Bytes::from_static(b"503 - Service Unavailable")));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }))
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(16 * 1024);
    server.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
}

/// Asks in the instance's name; `None` when there is no answer.
async fn ask(place: &Place, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut asked = Request::builder().method(request.method()).uri(format!("{}{path}", place.path()));
    asked = asked.header("host", place.endpoint().authority());
    for name in HEADERS {
        if let Some(value) = request.headers().get(name) {
            asked = asked.header(name, value);
        }
    }
    let asked = asked.body(Empty::<Bytes>::new()).ok()?;
    let stream = TokioIo::new(connect(place).await.ok()?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.ok()?;
    let exchange = async {
        let (head, body) = sender.send_request(asked).await.ok()?.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.ok()?.to_bytes();
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = head.status;
        for (name, value) in head.headers.iter().filter(|(name, _)| is_passed(name.as_str())) {
            response.headers_mut().insert(name, value.clone());
        }
        Some(response)
    };
    let mut connection = pin!(connection);
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The connection ends by itself once all has come; what came is then answered.
        _ = &mut connection => exchange.await,
    }
}

/// The answer's own headers: what its body is, and what the service says of a session.
fn is_passed(name: &str) -> bool {
    name == "content-type" || name == HEADERS[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_has_a_door_where_its_address_means_another_inside() {
        let check = |told: &str, want: &[&str]| {
            let metadata = "169.254.169.254:80".parse().unwrap();
            let doors = doors(told, metadata, Path::new("/"));
            let at: Vec<String> = doors.iter().map(|door| door.at.to_string()).collect();
            assert_eq!(at, want, "{told}");
        };
        check("http://127.0.0.1:7480/metadata/abc", &["169.254.169.254:80", "127.0.0.1:7480"]);
        check("http://[::1]:7480/metadata/abc", &["169.254.169.254:80", "[::1]:7480"]);
        check("http://10.0.0.5:7480/metadata/abc", &["169.254.169.254:80"]);
        check("http://169.254.169.254", &[]);
    }
}
