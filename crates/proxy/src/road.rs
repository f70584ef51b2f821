//! The road as its owner sees it: start, publish, look, stop.
//!
//! Owns the workers' threads and the listening sockets. Must never touch a client's bytes: [`crate::io`] does that,
//! one worker a thread. Start reading at [`Road::publish`], then go to `io/worker.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_core::name::{LoadBalancerName, Port};
use evenkeel_core::routes::{BalancerRoutes, ListenerRoute, Phase, Routes};
use thiserror::Error;

use crate::challenge::Pending;
use crate::connections::Connections;
use crate::fault::Fault;
use crate::handover::Inherited;
use crate::io::listen::{self, Bound};
use crate::io::shared::{Gate, Plan, PlannedBalancer, Shared};
use crate::io::table::Look;
use crate::log::{LogConfig, cause};
use crate::meter::{self, Meters};
use crate::spans::SpansConfig;
use crate::surge::Length;
use crate::target::{Board, TargetKey};
use crate::tls::secured::Secured;

/// How a road is built.
#[derive(Clone, Debug)]
pub struct RoadConfig {
    /// Worker threads; 0 for one a core.
    pub workers: usize,
    /// Client connections over all workers; 0 for what the limit on open files permits (two of three descriptors,
    /// because an active client needs a second one, to its instance).
    pub max_connections: usize,
    /// How long a connection to an instance may take to be made.
    pub connect_timeout: Duration,
    /// The access log; none costs nothing.
    pub log: Option<LogConfig>,
    /// The folder for records of balancers that have a log of their own ([`crate::log::spool`]); without it they have none.
    pub spool: Option<PathBuf>,
    /// Whether requests get `X-Amzn-Trace-Id` and `traceparent`; AWS's Classic Load Balancers send none.
    pub trace_ids: bool,
    /// Spans of some requests; with them all requests get the two fields, and none costs nothing.
    pub spans: Option<SpansConfig>,
}

impl Default for RoadConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            max_connections: 0,
            connect_timeout: Duration::from_secs(2),
            log: None,
            spool: None,
            trace_ids: false,
            spans: None,
        }
    }
}

/// A listener that is not served, and why. It is tried again at the next [`Road::publish`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("listen on {address}:{port} for `{balancer}`: {error}")]
pub struct BindFault {
    /// The balancer that wants it.
    pub balancer: LoadBalancerName,
    /// The node's address.
    pub address: IpAddr,
    /// The port that could not be bound.
    pub port: Port,
    /// The reason, in the system's words or the road's.
    pub error: String,
}

/// A target that is passed over for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Which.
    pub target: TargetKey,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub why: Failing,
    /// For how long.
    pub lasts: Duration,
}

/// How a target failed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// By a fault.
    Fault(Fault),
    /// By an answer of this status, where that counts.
    Answers(u16),
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => f.write_str(cause::label(*fault)),
            Self::Answers(status) => write!(f, "status {status}"),
        }
    }
}

/// A running road. Dropping it stops it without draining.
#[derive(Debug)]
pub struct Road {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) bound: Mutex<BTreeMap<SocketAddr, Weak<Bound>>>,
    /// What the road before left, until the first Routes.
    pub(crate) inherited: Mutex<Inherited>,
    suspicions: Mutex<Option<Receiver<TargetKey>>>,
    ejections: Mutex<Option<Receiver<Ejection>>>,
    calls: Mutex<Option<Receiver<()>>>,
}

impl Road {
    /// Starts the workers; nothing is listened on before the first [`Road::publish`]. Errors: no thread, epoll or
    /// eventfd to be had, or an access log that cannot be opened.
    pub fn start(config: RoadConfig) -> io::Result<Self> {
        let (teller, suspicions) = mpsc::channel();
        let (ejector, ejections) = mpsc::channel();
        let (caller, calls) = mpsc::channel();
        let shared = Arc::new(Shared::new(&config, teller, ejector, caller)?);
        let threads = crate::io::start_workers(&shared)?;
        Ok(Self {
            shared,
            threads: Mutex::new(threads),
            bound: Mutex::new(BTreeMap::new()),
            inherited: Mutex::default(),
            suspicions: Mutex::new(Some(suspicions)),
            ejections: Mutex::new(Some(ejections)),
            calls: Mutex::new(Some(calls)),
        })
    }

    /// Drives by these Routes from now on: binds new listeners before it returns, lets go of those that are gone, and
    /// wakes the workers. Balancers that are the same as before cost one comparison. Returns the listeners that could
    /// not be served; calling again with the same Routes tries those again. Does nothing once the road is stopped, and
    /// binds nothing once it retires.
    pub fn publish(&self, routes: Arc<Routes>) -> Vec<BindFault> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let retired = self.shared.retired().is_some();
        if self.shared.stopping().is_some() && !retired {
            // Nobody is left to accept: a socket that listens would only swallow clients.
            return Vec::new();
        }
        let mut inherited = std::mem::take(&mut *self.inherited.lock().unwrap_or_else(PoisonError::into_inner));
        let before = self.shared.plan.load_full();
        let mut plan = Plan { generation: routes.generation, ..Plan::default() };
        let mut faults = Vec::new();
        let mut taken: BTreeMap<SocketAddr, &LoadBalancerName> = BTreeMap::new();
        let mut live = BTreeMap::new();
        for (name, balancer) in &routes.balancers {
            let planned = match before.balancers.get(name) {
                Some(old) if Arc::ptr_eq(&old.routes, balancer) || old.routes == *balancer => Arc::clone(old),
                old => Arc::new(self.planned(balancer, old.map(Arc::as_ref), &inherited)),
            };
            for (node_index, node) in balancer.nodes.iter().enumerate() {
                for (listener_index, listener) in balancer.listeners.iter().enumerate() {
                    let address = SocketAddr::new(node.address, listener.bind_port.number());
                    let mut fault = |error: String| {
                        let (balancer, address, port) = (name.clone(), node.address, listener.bind_port);
                        faults.push(BindFault { balancer, address, port, error });
                    };
                    if (node_index, listener_index) == (0, 0) {
                        planned.unanswered.iter().for_each(|why| fault(why.clone()));
                    }
                    if let Some(secured) = planned.secured.get(listener_index) {
                        secured.fault.iter().for_each(|why| fault(why.clone()));
                        if !secured.serves(listener) {
                            continue;
                        }
                    }
                    if let Some(other) = taken.get(&address) {
                        fault(format!("already listened on for `{other}`"));
                        continue;
                    }
                    let socket = match bound.get(&address).and_then(Weak::upgrade) {
                        Some(socket) => socket,
                        None if retired => continue,
                        None => match inherited.socket(address).map_or_else(|| listen::bind(address), Ok) {
                            Ok(socket) => Arc::new(socket),
                            Err(error) => {
                                fault(error.to_string());
                                continue;
                            }
                        },
                    };
                    taken.insert(address, name);
                    live.insert(address, Arc::downgrade(&socket));
                    plan.gates.push(Gate { balancer: Arc::clone(&planned), node_index, listener_index, socket });
                }
            }
            plan.balancers.insert(name.clone(), planned);
        }
        self.forget_targets(&before, &plan);
        // A socket that workers have not yet let go of must be found again if the next Routes want it back.
        bound.retain(|_, socket| socket.strong_count() > 0);
        bound.extend(live);
        self.shared.publish(plan);
        faults
    }

    /// The generation of the Routes that every worker drives by; 0 before the first.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.shared.applied()
    }

    /// Waits until every worker drives by the Routes last published; false when `limit` passed first.
    #[must_use]
    pub fn settled(&self, limit: Duration) -> bool {
        self.shared.settled(limit)
    }

    /// The live state of every target: probes write health there, workers read it.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.shared.board)
    }

    /// Targets that workers ask to be checked at once, each once until it is trusted again. Whoever asks first gets
    /// the receiver; later callers get `None`.
    #[must_use]
    pub fn suspicions(&self) -> Option<Receiver<TargetKey>> {
        self.suspicions.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Targets that are passed over for failing requests, as it happens. Whoever asks first gets the receiver; later
    /// callers get `None`.
    #[must_use]
    pub fn ejections(&self) -> Option<Receiver<Ejection>> {
        self.ejections.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Told when requests begin to wait for instances that are yet to come, and when none do any more; at which balancers says
    /// [`Self::called`]. Whoever asks first gets the receiver; later callers get `None`.
    #[must_use]
    pub fn calls(&self) -> Option<Receiver<()>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Balancers at which somebody waits now while no instance is in service, and for which instances come.
    #[must_use]
    pub fn called(&self) -> Vec<LoadBalancerName> {
        let plan = self.shared.plan.load();
        let waits = plan.balancers.iter().filter(|(_, balancer)| balancer.surge.calls());
        waits.map(|(name, _)| name.clone()).collect()
    }

    /// Everything counted since the start, summed over the workers now.
    #[must_use]
    pub fn meters(&self) -> Meters {
        let mut meters = meter::sum(self.shared.posts.iter().map(|post| &post.book));
        for post in &self.shared.posts {
            meters.panics += post.panics.load(Ordering::Relaxed);
            meters.accept_pauses += post.accept_pauses.load(Ordering::Relaxed);
        }
        let plan = self.shared.plan.load();
        for (name, balancer) in &plan.balancers {
            for node in &balancer.routes.nodes {
                let length = balancer.surge.length(&node.address);
                if length != Length::default() {
                    let nodes = &mut meters.balancers.entry(name.clone()).or_default().nodes;
                    let sum = nodes.entry(node.zone.clone()).or_default();
                    sum.surge_queue += u64::from(length.now);
                    sum.surge_queue_max = sum.surge_queue_max.max(length.most.into());
                }
            }
        }
        meters.log_dropped = self.shared.log_dropped();
        (meters.spans_sent, meters.spans_dropped) = self.shared.spans();
        meters
    }

    /// The connections that the workers hold: of each worker at most `limit`, evenly picked where it has more. A worker
    /// that does not come round within `patience` is counted and left out.
    #[must_use]
    pub fn connections(&self, limit: usize, patience: Duration) -> Connections {
        let (answer, answers) = mpsc::sync_channel(self.shared.posts.len());
        for post in &self.shared.posts {
            let look = Look { limit, answer: answer.clone() };
            post.looks.lock().unwrap_or_else(PoisonError::into_inner).push(look);
            post.wake();
        }
        drop(answer);
        let until = Instant::now() + patience;
        let mut all = Connections { silent: self.shared.posts.len(), ..Connections::default() };
        while all.silent > 0
            && let Ok(seen) = answers.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            all.total += seen.total;
            all.rows.extend(seen.rows);
            all.silent -= 1;
        }
        all
    }

    /// How many worker threads drive.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.posts.len()
    }

    /// Stops: no new connections, idle ones closed, requests in flight finished with `Connection: close`; what is left
    /// after `drain` is cut. Returns when all workers have ended.
    pub fn stop(&self, drain: Duration) {
        self.end(drain);
    }

    fn end(&self, drain: Duration) {
        self.shared.stop(Instant::now() + drain);
        self.join();
    }

    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker contains its panics; if one still ended so, there is nothing left to wait for.
            let _ = thread.join();
        }
        self.shared.end_log();
        // The plan holds the listening sockets: let go of them with the last worker.
        self.shared.publish(Plan::default());
    }

    fn planned(
        &self,
        routes: &Arc<BalancerRoutes>,
        before: Option<&PlannedBalancer>,
        inherited: &Inherited,
    ) -> PlannedBalancer {
        let key = |target: &evenkeel_core::routes::Target| (routes.name.clone(), target.instance.clone());
        let states: Vec<_> = routes.targets.iter().map(|target| self.shared.board.state(&key(target))).collect();
        for (target, state) in routes.targets.iter().zip(&states) {
            state.set_open(target.phase == Phase::Serving);
        }
        let surge = self.shared.board.surge(&routes.name);
        surge.set_limit(routes.balancing.max_in_flight);
        surge.set_stirs(routes.balancing.preconnect > 0);
        surge.set_wakes(routes.wakes);
        let was = |listener: &ListenerRoute| {
            let before = before?;
            let mut listeners = before.routes.listeners.iter().zip(&before.secured);
            listeners.find(|(old, _)| old.port == listener.port)
        };
        let secured = |listener| Secured::new(listener, was(listener), inherited.keys(&routes.name, listener.port));
        let secured = routes.listeners.iter().map(secured).collect();
        let known = before.filter(|before| before.routes.challenges == routes.challenges);
        let (pending, unanswered) = match known {
            Some(before) => (before.pending.clone(), before.unanswered.clone()),
            None => Pending::new(&routes.challenges),
        };
        PlannedBalancer { routes: Arc::clone(routes), states, surge, secured, pending, unanswered }
    }

    /// A target that comes back later is a new one, without its old verdict.
    fn forget_targets(&self, before: &Plan, after: &Plan) {
        for (name, old) in &before.balancers {
            let new = after.balancers.get(name);
            if new.is_some_and(|new| Arc::ptr_eq(new, old)) {
                continue;
            }
            let stay: BTreeSet<_> =
                new.iter().flat_map(|new| new.routes.targets.iter().map(|target| &target.instance)).collect();
            for target in &old.routes.targets {
                if !stay.contains(&target.instance) {
                    self.shared.board.forget(&(name.clone(), target.instance.clone()));
                }
            }
            match new {
                Some(new) => new.surge.look_again(),
                None => self.shared.board.forget_balancer(name),
            }
        }
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}
