//! The one thread that sends spans to the collector.
//!
//! Owns batches and every wait for the collector. A batch that it does not take, or not in time, is dropped and counted: a
//! request is never held up, and nothing is tried twice. Must never keep a road that ends for more than [`FAREWELL`].

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::SpansConfig;
use super::otlp;
use super::queue::{self, Fate, Inbox, Spans};
use crate::log::Record;

/// Spans in one batch.
const BATCH: usize = 512;
/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How often it is looked whether the road ends.
const LOOK: Duration = Duration::from_millis(200);
/// The collector's time to be reached, and then to take a batch and to answer.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
/// The most that a road waits for its last spans.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read for its status.
const HEAD: usize = 64;

/// Spans that are being sent.
#[derive(Debug)]
pub(crate) struct Exporter {
    fate: Arc<Fate>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts the thread; returns what each worker gets a copy of. Errors: no thread.
    pub(crate) fn start(config: SpansConfig) -> io::Result<(Self, Spans)> {
        let (fate, ending) = (Arc::new(Fate::default()), Arc::new(AtomicBool::new(false)));
        let (spans, inbox) = queue::open(&fate);
        let sender = Sender { config, inbox, fate: Arc::clone(&fate), ending: Arc::clone(&ending), told: false };
        let thread = thread::Builder::new().name("spans".into()).spawn(move || sender.run())?;
        Ok((Self { fate, ending, thread: Some(thread) }, spans))
    }

    /// Spans that the collector took, and those that were dropped.
    pub(crate) fn fate(&self) -> (u64, u64) {
        (self.fate.sent.load(Ordering::Relaxed), self.fate.dropped.load(Ordering::Relaxed))
    }

    /// Sends what waits, if the collector is quick, and ends.
    pub(crate) fn end(&mut self) {
        self.ending.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return };
        let until = Instant::now() + FAREWELL;
        while !thread.is_finished() && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(5));
        }
        // One that still waits for a collector ends by itself, or with the process.
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.end();
    }
}

struct Sender {
    config: SpansConfig,
    inbox: Inbox,
    fate: Arc<Fate>,
    ending: Arc<AtomicBool>,
    /// The present trouble was told.
    told: bool,
}

impl Sender {
    fn run(mut self) {
        loop {
            // Read before the queue: what was told before the end is sent.
            let ending = self.ending.load(Ordering::Acquire);
            let batch = self.gather(ending);
            if !batch.is_empty() {
                self.send(&batch);
            } else if ending {
                return;
            }
        }
    }

    fn gather(&self, ending: bool) -> Vec<Record> {
        let mut batch = Vec::new();
        let mut until = Instant::now() + LOOK;
        while batch.len() < BATCH && (!self.ending.load(Ordering::Acquire) || ending) {
            let patience = if ending { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) };
            match self.inbox.next(patience) {
                Ok(record) => {
                    if batch.is_empty() {
                        until = Instant::now() + GATHER;
                    }
                    batch.push(*record);
                }
                Err(_) => break,
            }
        }
        batch
    }

    fn send(&mut self, batch: &[Record]) {
        let count = batch.len() as u64;
        match self.post(&otlp::body(&self.config.service, batch)) {
            Ok(()) => {
                self.told = false;
                self.fate.sent.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) => {
                self.fate.dropped.fetch_add(count, Ordering::Relaxed);
                if !std::mem::replace(&mut self.told, true) {
                    eprintln!(
                        "spans: failed to send to {}: {error}; they are dropped and counted",
                        self.config.endpoint
                    );
                }
            }
        }
    }

    fn post(&self, body: &[u8]) -> io::Result<()> {
        let endpoint = &self.config.endpoint;
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (endpoint.host.as_str(), endpoint.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => return self.post_on(stream, body),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn post_on(&self, mut stream: TcpStream, body: &[u8]) -> io::Result<()> {
        let endpoint = &self.config.endpoint;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(ANSWER))?;
        let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {host}:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            endpoint.path,
            endpoint.port,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let until = Instant::now() + ANSWER;
        let (mut answer, mut filled) = ([0; HEAD], 0);
        while filled < 12 {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut answer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        // Success is 200; whatever else it says, nothing is sent again.
        match &answer[..12] {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2', _, _] => Ok(()),
            other => Err(io::Error::other(format!("it said `{}`", other.escape_ascii()))),
        }
    }
}
