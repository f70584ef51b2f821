//! The API's port: connections in, one request after another, every wait and every size bounded.
//!
//! Owns sockets and limits; must never look into a request. A peer costs at most its own connection. Next:
//! [`super::funnel`], which answers.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

use super::{Api, funnel};

/// The bounds of the API's port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// From the end of one answer, or the start of the connection, to the end of the next request's head. Longer than
    /// the 60 s for which boto 2 takes a connection that it keeps for a living one.
    pub idle: Duration,
    /// From the first byte of a head to its end.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// From the end of the body to the answer.
    pub answer: Duration,
    /// How long a peer may take nothing of an answer.
    pub write: Duration,
    /// After the order to stop, for requests that are under way.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            answer: Duration::from_secs(40),
            write: Duration::from_secs(30),
            farewell: Duration::from_secs(10),
        }
    }
}

/// The most bytes of request line and headers together. (hyper itself ends request targets at 65,534 bytes.)
const HEAD_BYTES: usize = 256 * 1024;

/// How long accepting rests after it failed, for example for want of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves the API on a listener until `shutdown` is ready; then requests under way are finished, for 10 s at most.
pub async fn serve(api: Arc<Api>, listener: TcpListener, shutdown: impl Future) {
    serve_within(api, listener, shutdown, Limits::default()).await;
}

pub(super) async fn serve_within(api: Arc<Api>, listener: TcpListener, shutdown: impl Future, limits: Limits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (close, closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            _ = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let (api, closing) = (Arc::clone(&api), closing.clone());
        connections.spawn(async move {
            drive(api, stream, closing, limits).await;
            drop(place);
        });
    }
    drop(listener);
    close.send_replace(true);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.farewell, farewell).await.is_err() {
        eprintln!("api: {} connections were cut off at shutdown", connections.len());
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed: without a permit nothing more could be learned from its error.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                eprintln!("api: failed to accept a connection: {error}");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Whether a peer is a process of this machine.
pub(super) fn is_local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

async fn drive(api: Arc<Api>, stream: TcpStream, mut closing: watch::Receiver<bool>, limits: Limits) {
    // Without it small answers would wait for the peer's delayed acknowledgement; where it fails they do.
    let _ = stream.set_nodelay(true);
    // One that is gone already has no address, and reads nothing.
    let peer = stream.peer_addr().ok().map(|peer| peer.ip());
    let turns = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&turns);
    let service = service_fn(move |request| {
        let (api, turns) = (Arc::clone(&api), Arc::clone(&counted));
        async move {
            turns.fetch_add(1, Ordering::Relaxed);
            let answer = funnel::answer(&api, request, limits, peer).await;
            turns.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream, turns, limits)), service)
    );
    let closed = async {
        // An error means that nobody can order a close any more, which is an order to close as well.
        let _ = closing.wait_for(|closing| *closing).await;
    };
    // How a connection ends is the peer's business: errors here are its mistakes, its silence or its going away.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closed => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A socket whose writes fail when the peer takes nothing for a while, and whose reads fail when a head that was begun
/// does not end.
struct Patient {
    stream: TcpStream,
    limits: Limits,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Even while a head is awaited, odd while a request is answered.
    turns: Arc<AtomicU64>,
    /// The turn in which a head began, and when it must have ended.
    begun: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Patient {
    fn new(stream: TcpStream, turns: Arc<AtomicU64>, limits: Limits) -> Self {
        Self { stream, limits, waiting: None, turns, begun: None }
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.limits.write)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        let turn = self.turns.load(Ordering::Relaxed);
        self.begun.take_if(|(begun, _)| *begun != turn);
        let awaited = turn.is_multiple_of(2);
        if awaited && self.begun.is_none() && into.filled().len() > before {
            self.begun = Some((turn, Box::pin(sleep(self.limits.head))));
        }
        match (&mut self.begun, read) {
            (Some((_, end)), Poll::Pending) => end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            (_, read) => read,
        }
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
