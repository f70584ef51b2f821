//! Traffic: an HTTP/1.1 client that sends at a steady rate and accounts for every request.
//!
//! Owns the pace: request number n is due at n / rate, whether or not earlier ones were answered, and its latency counts
//! from then. A request is lost if it got no complete 2xx answer; nothing is sent twice. Used by the demo and by tests;
//! must never know anything of Evenkeel but the sample application's answer. Next: [`sender`], [`answer`], [`tally`].

mod answer;
mod sender;
mod tally;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

pub use tally::{Failure, Latencies, Loss, Seen, Snapshot};

use tally::Tally;

/// Where requests go: each address in turn, as it was last stored. Connections to addresses no longer in it are closed
/// once they are idle.
pub type Addresses = Arc<ArcSwap<Vec<SocketAddr>>>;

/// Addresses that may be replaced while traffic flows.
#[must_use]
pub fn addresses(first: Vec<SocketAddr>) -> Addresses {
    Arc::new(ArcSwap::from_pointee(first))
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to.
    pub addresses: Addresses,
    /// Requests a second, at least 1.
    pub rate: u32,
    /// The most requests in flight at once, 1 to 512; a thread each. When all wait for answers, requests go late.
    pub connections: usize,
    /// The `Host` header's value.
    pub host: String,
    /// The path that is asked for with GET.
    pub path: String,
    /// Whether an answer to GET must say which instance it is from, as the sample application's `/` does.
    pub identity: bool,
    /// Requests with a method that may not be sent twice, in the midst of the others.
    pub post: Option<Post>,
    /// After so many requests a connection is closed; `None` for never, 1 for a new connection each.
    pub requests_per_connection: Option<u32>,
    /// The most that connecting may take, and that the whole of a request may take; each at least 1 ms.
    pub timeout: Duration,
}

/// POSTs whose answer must be their own body, as the sample application's `/echo` does.
#[derive(Clone, Debug)]
pub struct Post {
    /// Every so-manieth request is one.
    pub every: u32,
    /// The path.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Plan {
    /// A plan of keep-alive GETs for the sample application's `/`: 32 at once at most, 5 s each.
    #[must_use]
    pub fn new(addresses: Addresses, rate: u32) -> Self {
        Self {
            addresses,
            rate,
            connections: 32,
            host: "traffic.test".into(),
            path: "/".into(),
            identity: true,
            post: None,
            requests_per_connection: Some(500),
            timeout: Duration::from_secs(5),
        }
    }

    fn head(&self, method: &str, path: &str) -> String {
        let close = if self.requests_per_connection == Some(1) { "Connection: close\r\n" } else { "" };
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: evenkeel-traffic\r\n{close}", self.host)
    }
}

/// What all senders share.
#[derive(Debug)]
struct Course {
    plan: Plan,
    /// The bytes of a GET.
    get: Vec<u8>,
    /// The bytes of a POST.
    post: Vec<u8>,
    began: Instant,
    next: AtomicU64,
    ended: AtomicBool,
}

/// Traffic that flows until it is stopped or dropped.
#[derive(Debug)]
pub struct Traffic {
    course: Arc<Course>,
    tallies: Vec<Arc<Mutex<Tally>>>,
    senders: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Starts sending.
    ///
    /// # Errors
    /// The system's, when it has no threads left.
    pub fn start(mut plan: Plan) -> io::Result<Self> {
        // Zero would mean no limit, or be refused by the system.
        plan.timeout = plan.timeout.max(Duration::from_millis(1));
        let get = format!("{}\r\n", plan.head("GET", &plan.path)).into_bytes();
        let post = plan.post.as_ref().map_or_else(Vec::new, |post| {
            let head = plan.head("POST", &post.path);
            let mut bytes = format!("{head}Content-Length: {}\r\n\r\n", post.body.len()).into_bytes();
            bytes.extend_from_slice(&post.body);
            bytes
        });
        let senders = plan.connections.clamp(1, 512);
        let course = Arc::new(Course {
            plan,
            get,
            post,
            began: Instant::now(),
            next: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let mut traffic = Self { course, tallies: Vec::new(), senders: Vec::new() };
        for _ in 0..senders {
            let (course, tally) = (Arc::clone(&traffic.course), Arc::new(Mutex::new(Tally::default())));
            traffic.tallies.push(Arc::clone(&tally));
            let sender = thread::Builder::new().name("traffic".into()).spawn(move || sender::run(&course, &tally))?;
            traffic.senders.push(sender);
        }
        Ok(traffic)
    }

    /// When it started: all times in [`Snapshot`] are since then.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.course.began
    }

    /// The time since it started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.course.began.elapsed()
    }

    /// What has become of the requests so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut whole = Snapshot { at: self.elapsed(), ..Snapshot::default() };
        for tally in &self.tallies {
            tally.lock().unwrap_or_else(PoisonError::into_inner).add_to(&mut whole);
        }
        whole.failures.sort_by_key(|failure| failure.lost);
        whole
    }

    /// Sends no more, waits for what is in flight (twice the timeout at most), and says what became of all.
    #[must_use]
    pub fn stop(mut self) -> Snapshot {
        self.end();
        self.snapshot()
    }

    fn end(&mut self) {
        self.course.ended.store(true, Ordering::Release);
        self.senders.iter().for_each(|sender| sender.thread().unpark());
        for sender in self.senders.drain(..) {
            // A sender that panicked has said so; what it counted stays counted.
            let _ = sender.join();
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.end();
    }
}
