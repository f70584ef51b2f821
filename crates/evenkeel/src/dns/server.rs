//! The sockets: datagrams in and out, and connections that bring question after question.
//!
//! Owns both sockets and every bound on what a peer may hold. Must never look into a message. Next: [`super::answer`].

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{Answer, Transport, answer, come_by_tcp};
use super::limit::{Limiter, Verdict};
use super::table::Table;

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long a connection may bring nothing (RFC 7766 §6.2.3), or take nothing of an answer.
const IDLE: Duration = Duration::from_secs(10);
/// How long a connection lasts at most, so that places are never held for ever.
const LIFE: Duration = Duration::from_secs(120);
/// How long accepting rests after it failed, for example for want of file descriptors.
const REST: Duration = Duration::from_millis(50);
/// The most bytes of a question in a datagram: more is cut off, and then malformed.
const QUESTION_BYTES: usize = 4096;

/// What was counted since the daemon started.
#[derive(Debug, Default)]
pub struct Counts {
    /// Answers with something in them, or with nothing of that kind (NODATA).
    pub found: AtomicU64,
    /// Answers that there is no such name.
    pub absent: AtomicU64,
    /// Questions about what is nobody's here, or is not told.
    pub refused: AtomicU64,
    /// Questions that could not be read, or asked for what is not spoken.
    pub malformed: AtomicU64,
    /// Answers that did not fit into a datagram.
    pub truncated: AtomicU64,
    /// Answers kept back from networks that had too many.
    pub limited: AtomicU64,
    /// Questions over TCP.
    pub tcp: AtomicU64,
}

impl Counts {
    /// Each count by its name in metrics.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 7] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("found", read(&self.found)),
            ("absent", read(&self.absent)),
            ("refused", read(&self.refused)),
            ("malformed", read(&self.malformed)),
            ("truncated", read(&self.truncated)),
            ("limited", read(&self.limited)),
            ("tcp", read(&self.tcp)),
        ]
    }

    fn count(&self, answer: &Answer) {
        let one = |count: &AtomicU64| {
            let _ = count.fetch_add(1, Ordering::Relaxed);
        };
        match answer.code {
            ResponseCode::NoError => one(&self.found),
            ResponseCode::NXDomain => one(&self.absent),
            ResponseCode::Refused => one(&self.refused),
            _ => one(&self.malformed),
        }
        if answer.truncated {
            one(&self.truncated);
        }
    }
}

/// Both sockets, bound to one address.
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Where they listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

/// Binds both sockets to one address; port 0 takes any that is free for both.
///
/// # Errors
/// The system's.
pub async fn bind(address: SocketAddr) -> io::Result<Sockets> {
    let tcp = TcpListener::bind(address).await?;
    let udp = UdpSocket::bind(tcp.local_addr()?).await?;
    Ok(Sockets { udp, tcp })
}

/// Answers until a socket breaks.
pub async fn serve(sockets: Sockets, table: Arc<ArcSwap<Table>>, counts: Arc<Counts>) {
    let turns = Arc::new(AtomicUsize::new(0));
    let connections = accept(sockets.tcp, Arc::clone(&table), Arc::clone(&counts), Arc::clone(&turns));
    tokio::select! {
        () = datagrams(sockets.udp, table, counts, turns) => {}
        () = connections => {}
    }
}

async fn datagrams(socket: UdpSocket, table: Arc<ArcSwap<Table>>, counts: Arc<Counts>, turns: Arc<AtomicUsize>) {
    let mut question = vec![0; QUESTION_BYTES];
    let (mut limiter, began) = (Limiter::default(), Instant::now());
    loop {
        let (length, from) = match socket.recv_from(&mut question).await {
            Ok(came) => came,
            // What an earlier answer met on its way (RFC 1122 §4.1.3.3) is no fault of this socket.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => {
                eprintln!("dns: failed to receive: {error}");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let asked = &question[..length];
        // Before anything is read: what is not answered shall cost nothing.
        let bytes = match limiter.judge(from.ip(), began.elapsed().as_secs_f64()) {
            Verdict::Go => {
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                let found = contained(&counts, || answer(&table.load(), asked, Transport::Udp, turn));
                found.map(|found| found.bytes)
            }
            verdict => {
                counts.limited.fetch_add(1, Ordering::Relaxed);
                let sent_away = || come_by_tcp(asked);
                (verdict == Verdict::Slip).then(|| catch_unwind(sent_away).ok().flatten()).flatten()
            }
        };
        if let Some(bytes) = bytes {
            // Whoever cannot be reached asks again.
            let _ = socket.send_to(&bytes, from).await;
        }
    }
}

/// One answer, counted. A panic costs that one, and is counted as what could not be read.
fn contained(counts: &Counts, work: impl FnOnce() -> Option<Answer>) -> Option<Answer> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(found) => found.inspect(|found| counts.count(found)),
        Err(_) => {
            counts.malformed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

async fn accept(listener: TcpListener, table: Arc<ArcSwap<Table>>, counts: Arc<Counts>, turns: Arc<AtomicUsize>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Its end ends every connection that it took.
    let mut taken = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (table, counts, turns) = (Arc::clone(&table), Arc::clone(&counts), Arc::clone(&turns));
                taken.spawn(async move {
                    // How a connection ends is the peer's business.
                    let _ = timeout(LIFE, converse(stream, &table, &counts, &turns)).await;
                    drop(place);
                });
            }
            Err(error) => {
                eprintln!("dns: failed to accept a connection: {error}");
                tokio::time::sleep(REST).await;
            }
        }
        while taken.try_join_next().is_some() {}
    }
}

/// One question after the other, each after its length (RFC 1035 §4.2.2), until the peer has no more.
async fn converse(
    mut stream: TcpStream,
    table: &ArcSwap<Table>,
    counts: &Counts,
    turns: &AtomicUsize,
) -> io::Result<()> {
    let mut question = Vec::new();
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        question.resize(usize::from(length), 0);
        timeout(IDLE, stream.read_exact(&mut question)).await??;
        counts.tcp.fetch_add(1, Ordering::Relaxed);
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        let found = contained(counts, || answer(&table.load(), &question, Transport::Tcp, turn));
        let Some(found) = found else { return Ok(()) };
        let length = u16::try_from(found.bytes.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &found.bytes].concat();
        timeout(IDLE, stream.write_all(&framed)).await??;
    }
}
