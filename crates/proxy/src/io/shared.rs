//! What the workers and the road's owner share.
//!
//! Owns the plan behind its one atomic pointer, and each worker's post box. Must never be locked per request: a worker
//! compares one number a loop, and takes a lock only when connections are handed over to it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::routes::{BalancerRoutes, ListenerRoute};
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, getrlimit};

use super::listen::Bound;
use super::table::Look;
use crate::challenge::Pending;
use crate::log::teller::Teller;
use crate::log::writer::Log;
use crate::meter::Book;
use crate::road::{Ejection, RoadConfig};
use crate::spans::export::Exporter;
use crate::surge::{Hatch, Surge};
use crate::target::{Board, TargetKey, TargetState};
use crate::tls::secured::Secured;

/// Routes as published, with the sockets and target states that belong to them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) generation: u64,
    pub(crate) balancers: BTreeMap<LoadBalancerName, Arc<PlannedBalancer>>,
    pub(crate) gates: Vec<Gate>,
}

/// One balancer and its targets' states, in the order of its targets. The same `Arc` means: nothing changed.
#[derive(Debug)]
pub(crate) struct PlannedBalancer {
    pub(crate) routes: Arc<BalancerRoutes>,
    pub(crate) states: Vec<Arc<TargetState>>,
    /// Those who wait for one of them.
    pub(crate) surge: Arc<Surge>,
    /// In the order of its listeners.
    pub(crate) secured: Vec<Secured>,
    /// Challenges that it may be asked now.
    pub(crate) pending: Option<Arc<Pending>>,
    /// What is wrong with one of them.
    pub(crate) unanswered: Option<String>,
}

/// A bound socket and what is served on it.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) balancer: Arc<PlannedBalancer>,
    pub(crate) node_index: usize,
    pub(crate) listener_index: usize,
    pub(crate) socket: Arc<Bound>,
}

impl Gate {
    pub(crate) fn listener(&self) -> Option<&ListenerRoute> {
        self.balancer.routes.listeners.get(self.listener_index)
    }
}

/// A connection that one worker accepted for another.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: SocketAddr,
    pub(crate) at: SocketAddr,
}

/// Connections for a worker.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) arrivals: Vec<Arrival>,
    /// The worker has ended: nobody comes for them.
    pub(crate) closed: bool,
}

/// How a road ends whose listeners another one has.
#[derive(Debug)]
pub(crate) struct Retirement {
    /// What stands for the listeners' sockets from now on.
    pub(crate) hollow: BTreeMap<SocketAddr, Arc<Bound>>,
}

/// What others may see of a worker, and leave for it.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) hatch: Arc<Hatch>,
    pub(crate) inbox: Mutex<Inbox>,
    /// Those who want to see its connections.
    pub(crate) looks: Mutex<Vec<Look>>,
    /// Client connections it holds, those in its inbox among them.
    pub(crate) clients: AtomicUsize,
    pub(crate) sequence: AtomicU64,
    pub(crate) generation: AtomicU64,
    pub(crate) book: Book,
    pub(crate) panics: AtomicU64,
    pub(crate) accept_pauses: AtomicU64,
    /// It accepts nothing more.
    pub(crate) left: AtomicBool,
    /// The worker's way to the access log and the spans.
    pub(crate) teller: Option<Teller>,
}

impl Post {
    /// Makes the worker's wait return.
    pub(crate) fn wake(&self) {
        self.hatch.wake();
    }

    pub(crate) fn take_looks(&self) -> Vec<Look> {
        std::mem::take(&mut *self.looks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn take_arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.inbox().arrivals)
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that is shared.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) plan: ArcSwap<Plan>,
    pub(crate) sequence: AtomicU64,
    pub(crate) board: Arc<Board>,
    pub(crate) posts: Vec<Post>,
    pub(crate) suspicion: Sender<TargetKey>,
    pub(crate) ejections: Sender<Ejection>,
    pub(crate) max_clients: usize,
    /// Connections to instances that each worker may make ahead and keep.
    pub(crate) room_ahead: usize,
    pub(crate) connect_timeout: Duration,
    /// Whether requests get `X-Amzn-Trace-Id` and `traceparent`.
    pub(crate) trace: bool,
    /// How many of a million requests have a span.
    pub(crate) spans_per_million: u32,
    pub(crate) spans: Mutex<Option<Exporter>>,
    pub(crate) log: Mutex<Option<Log>>,
    stopping: AtomicBool,
    stop_at: Mutex<Option<Instant>>,
    retirement: OnceLock<Retirement>,
}

impl Shared {
    pub(crate) fn new(
        config: &RoadConfig,
        suspicion: Sender<TargetKey>,
        ejections: Sender<Ejection>,
        calls: Sender<()>,
    ) -> io::Result<Self> {
        let workers = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let (log, lines) = match (&config.log, &config.spool) {
            (None, None) => (None, Vec::new()),
            (log, spool) => {
                let told = |e: io::Error| match log {
                    Some(log) => io::Error::new(e.kind(), format!("access log `{}`: {e}", log.path.display())),
                    None => e,
                };
                let (log, lines) = Log::start(log.clone(), spool.clone(), workers).map_err(told)?;
                (Some(log), lines)
            }
        };
        let (spans, export) = match &config.spans {
            None => (None, None),
            Some(spans) => Exporter::start(spans.clone()).map(|(exporter, queue)| (Some(exporter), Some(queue)))?,
        };
        let mut lines = lines.into_iter();
        let mut posts = Vec::with_capacity(workers);
        for _ in 0..workers {
            posts.push(Post {
                hatch: Arc::new(Hatch::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)),
                inbox: Mutex::default(),
                looks: Mutex::default(),
                clients: AtomicUsize::new(0),
                sequence: AtomicU64::new(0),
                generation: AtomicU64::new(0),
                book: Book::default(),
                panics: AtomicU64::new(0),
                accept_pauses: AtomicU64::new(0),
                left: AtomicBool::new(false),
                teller: Teller::new(lines.next(), config.log.is_some(), export.clone()),
            });
        }
        let room_ahead = (permitted(6) / workers.max(1)).max(1);
        let board = Board::new(posts.iter().map(|post| Arc::clone(&post.hatch)).collect(), Some(calls));
        Ok(Self {
            plan: ArcSwap::from_pointee(Plan::default()),
            sequence: AtomicU64::new(0),
            board: Arc::new(board),
            posts,
            suspicion,
            ejections,
            max_clients: if config.max_connections == 0 { permitted_clients() } else { config.max_connections },
            room_ahead,
            connect_timeout: config.connect_timeout,
            trace: config.trace_ids || spans.is_some(),
            spans_per_million: config.spans.as_ref().map_or(0, |spans| spans.per_million),
            spans: Mutex::new(spans),
            log: Mutex::new(log),
            stopping: AtomicBool::new(false),
            stop_at: Mutex::new(None),
            retirement: OnceLock::new(),
        })
    }

    pub(crate) fn publish(&self, plan: Plan) {
        self.plan.store(Arc::new(plan));
        self.sequence.fetch_add(1, Ordering::Release);
        self.posts.iter().for_each(Post::wake);
    }

    pub(crate) fn applied(&self) -> u64 {
        self.posts.iter().map(|post| post.generation.load(Ordering::Acquire)).min().unwrap_or(0)
    }

    pub(crate) fn settled(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let wanted = self.sequence.load(Ordering::Acquire);
        while self.posts.iter().any(|post| post.sequence.load(Ordering::Acquire) < wanted) {
            if Instant::now() >= until {
                return false;
            }
            std::thread::park_timeout(Duration::from_micros(100));
        }
        true
    }

    /// Waits until no worker accepts any more.
    pub(crate) fn all_left(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while !self.posts.iter().all(|post| post.left.load(Ordering::Acquire)) && Instant::now() < until {
            std::thread::park_timeout(Duration::from_micros(100));
        }
    }

    /// Stops at the latest at `at`, but leaves the listeners to another process.
    pub(crate) fn retire(&self, retirement: Retirement, at: Instant) {
        if self.retirement.set(retirement).is_ok() {
            self.stop(at);
        }
    }

    pub(crate) fn retired(&self) -> Option<&Retirement> {
        self.retirement.get()
    }

    /// As [`Self::stop`], where that is sooner.
    pub(crate) fn hurry(&self, at: Instant) {
        if self.stopping().is_none_or(|before| at < before) {
            self.stop(at);
        }
    }

    pub(crate) fn stop(&self, at: Instant) {
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        self.stopping.store(true, Ordering::Release);
        self.posts.iter().for_each(Post::wake);
    }

    /// When what is still in flight is cut, once the road was told to stop.
    pub(crate) fn stopping(&self) -> Option<Instant> {
        if !self.stopping.load(Ordering::Acquire) {
            return None;
        }
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records of the access log that were dropped.
    pub(crate) fn log_dropped(&self) -> u64 {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Log::dropped)
    }

    /// Spans that a collector took, and those that were dropped.
    pub(crate) fn spans(&self) -> (u64, u64) {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or((0, 0), Exporter::fate)
    }

    /// Writes what the access log still holds and sends the last spans; nothing is written after.
    pub(crate) fn end_log(&self) {
        if let Some(log) = self.log.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            log.end();
        }
        if let Some(spans) = self.spans.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            spans.end();
        }
    }

    /// A client of that worker is gone.
    pub(crate) fn leave(&self, index: usize) {
        if let Some(post) = self.posts.get(index) {
            post.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn clients(&self) -> usize {
        self.posts.iter().map(|post| post.clients.load(Ordering::Relaxed)).sum()
    }
}

/// Two of three descriptors that the process may open, less a reserve for everything that is not a client.
fn permitted_clients() -> usize {
    (permitted(3) * 2).max(16)
}

/// That part of the descriptors that the process may open, less that reserve.
fn permitted(part: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    let limit = usize::try_from(limit).unwrap_or(1 << 20);
    limit.saturating_sub(64) / part
}
