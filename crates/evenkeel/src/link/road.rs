//! The road's own process: drives by what the office last said, and goes on when the office is gone.
//!
//! Owns the process's life: one road a data directory, the last good Routes on disk (`routes.json`), the socket
//! (`road.sock`) that one office at a time holds. Must never need the office to serve: it starts from its own disk. How it
//! gives way to its next process: [`succession`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use evenkeel_core::health::Health;
use evenkeel_core::name::{InstanceId, LoadBalancerName};
use evenkeel_core::routes::{BalancerRoutes, Phase, Routes};
use evenkeel_proxy::log::LogConfig;
use evenkeel_proxy::meter::{BalancerMeters, Meters};
use evenkeel_proxy::probe::Prober;
use evenkeel_proxy::road::{BindFault, Ejection, Road, RoadConfig};
use evenkeel_proxy::spans::SpansConfig;
use evenkeel_proxy::target::{Board, TargetKey, TargetState};

use tokio::signal::unix::{SignalKind, signal};

use super::elders::Elders;
use super::secrets::Secrets;
use super::{Count, FromRoad, NodeCount, Report, RoadCount, RoadOptions, ToRoad, VERSION, apply, frame};
use super::{build, elders, handover, look};
use crate::lock::Lock;
use crate::sys::say;

mod succession;

/// The least time between two reports: news that come together travel together.
const SPACING: Duration = Duration::from_millis(5);
/// How often targets that finish their last requests are looked at.
const DEPARTING: Duration = Duration::from_millis(20);
/// How often counts are reported, and failed listeners tried again.
const TICK: Duration = Duration::from_secs(1);
/// A file of the access log, and how many older ones are kept.
const LOG_BYTES: u64 = 64 << 20;
const LOGS_KEPT: u32 = 4;

/// Where the road's files are, in the data directory.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

impl Place {
    /// In this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self(data_dir.to_owned())
    }
    /// A socket. Addressed through the directory's descriptor, because a socket's path may be 107 bytes at most and
    /// a data directory's may be longer.
    pub(super) fn bind(&self, name: &str) -> io::Result<UnixListener> {
        let dir = fs::File::open(&self.0)?;
        let path = short_path(&dir, name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        UnixListener::bind(&path)
    }
    /// Connects to the road that serves here.
    ///
    /// # Errors
    /// The system's: `NotFound` or `ConnectionRefused` when no road runs.
    pub fn connect(&self) -> io::Result<UnixStream> {
        self.connect_to("road.sock")
    }
    pub(super) fn dir(&self) -> &Path {
        &self.0
    }
    /// Connects to whoever answers at a socket of this name.
    ///
    /// # Errors
    /// The system's.
    pub fn connect_to(&self, name: &str) -> io::Result<UnixStream> {
        let dir = fs::File::open(&self.0)?;
        UnixStream::connect(short_path(&dir, name))
    }
    fn routes(&self) -> PathBuf {
        self.0.join("routes.json")
    }
    /// The access log; older ones have `.1` to `.4` after it.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        self.0.join("access.log")
    }
    /// Where access logs of balancers wait for their way to a bucket.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }
    /// Held by the running road.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("road.lock")
    }
}

fn short_path(dir: &fs::File, name: &str) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

/// What the threads of this process share.
struct Shared {
    road: Road,
    prober: Prober,
    place: Place,
    secrets: Secrets,
    options: RoadOptions,
    lock: Mutex<Option<Lock>>,
    elders: Elders,
    desk: Mutex<Desk>,
    bell: Condvar,
}

/// What there is to report.
#[derive(Default)]
struct Desk {
    routes: Arc<Routes>,
    bind_faults: Vec<BindFault>,
    departing: Vec<Departing>,
    /// Targets that are passed over for failing requests: until when, and how.
    passed_over: Vec<(TargetKey, Instant, String)>,
    /// Counts up with every office that connects; an older one's threads end when they see it.
    office: u64,
    news: bool,
    /// Whether verdicts or the set of targets may have changed since they were last reported.
    verdicts: bool,
    leave: Option<Duration>,
    /// Another process is taking over: what it was given must stay true until it has, or has not.
    handing: bool,
    /// Another process has taken over.
    retired: bool,
}

/// A target that gets nothing new.
struct Departing {
    key: TargetKey,
    state: Arc<TargetState>,
    /// The Routes that first left it out. Until every worker drives by them it may still be sent requests.
    since: u64,
}

/// Runs the road of a data directory until an office tells it to leave, TERM comes, or another process has taken over.
///
/// # Errors
/// Another road that runs here, or a system that gives no thread or socket.
pub fn run(data_dir: &Path, options: RoadOptions) -> anyhow::Result<()> {
    let place = Place::new(data_dir);
    let Some(lock) = crate::lock::try_exclusive(&place.lock())
        .with_context(|| format!("failed to lock `{}`", place.lock().display()))?
    else {
        bail!("another road runs in `{}`", data_dir.display());
    };
    crate::sys::files::allow_many();
    let shared = start(&place, options)?;
    *shared.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
    if let Some(routes) = last_good(&place) {
        shared.publish(routes);
    }
    shared.serve()
}

/// Takes over from the road that runs in a data directory, and then is the one.
///
/// # Errors
/// No road that could be taken over, or one that goes on: then it does so as if nobody had asked.
pub fn replace(data_dir: &Path, options: RoadOptions) -> anyhow::Result<()> {
    let place = Place::new(data_dir);
    crate::sys::files::allow_many();
    let stream = place.connect_to("handover.sock").context("failed to reach the road that is to be replaced")?;
    let (claim, legacy) = handover::ask(stream).context("failed to take over")?;
    let shared = start(&place, options)?;
    let lock = shared.begin(legacy)?;
    claim.ready().context("failed to take over")?;
    *shared.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(Lock::take_over(lock)?);
    say(&format!("road: process {} with build {} has taken over", std::process::id(), build::id()));
    shared.serve()
}

/// A road that does not yet drive by anything.
fn start(place: &Place, options: RoadOptions) -> anyhow::Result<Arc<Shared>> {
    let log = options.access_log.map(|format| LogConfig {
        path: place.access_log(),
        format,
        rotate_bytes: LOG_BYTES,
        keep: LOGS_KEPT,
    });
    let spans = options.spans.clone().map(|(endpoint, per_million)| SpansConfig {
        endpoint,
        per_million,
        service: "evenkeel".to_owned(),
    });
    let config = RoadConfig {
        workers: options.workers,
        log,
        spool: Some(place.spool()),
        trace_ids: options.trace_ids,
        spans,
        ..RoadConfig::default()
    };
    let road = Road::start(config).context("failed to start the workers")?;
    let suspicions = road.suspicions();
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let prober = Prober::start(road.board(), move |_, _| {
        // The other end goes only when this process does.
        let _ = tell.send(());
    })
    .context("failed to start the prober")?;
    let shared = Arc::new(Shared {
        road,
        prober,
        place: place.clone(),
        secrets: Secrets::new(place.dir()),
        options,
        lock: Mutex::default(),
        elders: Elders::default(),
        desk: Mutex::default(),
        bell: Condvar::new(),
    });
    spawn("transitions", {
        let shared = Arc::clone(&shared);
        move || told.iter().for_each(|()| shared.ring())
    })?;
    if let Some(suspicions) = suspicions {
        let shared = Arc::clone(&shared);
        spawn("suspicions", move || suspicions.iter().for_each(|key| shared.prober.check_now(key)))?;
    }
    if let Some(calls) = shared.road.calls() {
        let shared = Arc::clone(&shared);
        spawn("calls", move || calls.iter().for_each(|()| shared.nudge()))?;
    }
    if let Some(ejections) = shared.road.ejections() {
        let shared = Arc::clone(&shared);
        spawn("ejections", move || ejections.iter().for_each(|ejection| shared.pass_over(&ejection)))?;
    }
    Ok(shared)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(work).with_context(|| format!("failed to start `{name}`"))?;
    Ok(())
}

impl AsRef<Road> for Shared {
    fn as_ref(&self) -> &Road {
        &self.road
    }
}

impl Shared {
    /// Answers whoever has to do with the road, and returns when it has ended.
    fn serve(self: &Arc<Self>) -> anyhow::Result<()> {
        spawn("keep-routes", {
            let shared = Arc::clone(self);
            move || shared.keep_newest()
        })?;
        let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let term = waiting.block_on(async { signal(SignalKind::terminate()) }).context("failed to catch TERM")?;
        spawn("signals", {
            let shared = Arc::clone(self);
            move || {
                let mut term = term;
                waiting.block_on(term.recv());
                shared.leave(Duration::from_secs(10));
            }
        })?;
        self.find_elders();
        let bind = |name: &str| self.place.bind(name).with_context(|| format!("failed to bind `{name}`"));
        let looks = bind("look.sock")?;
        spawn("looks", {
            let shared = Arc::clone(self);
            move || look::answer_all(&looks, shared.as_ref(), &shared.options.arguments())
        })?;
        let heirs = bind("handover.sock")?;
        spawn("heirs", {
            let shared = Arc::clone(self);
            move || shared.receive_heirs(&heirs)
        })?;
        let listener = bind("road.sock")?;
        spawn("doorman", {
            let shared = Arc::clone(self);
            move || shared.receive_offices(&listener, false)
        })?;
        match self.tend() {
            Some(drain) => {
                self.road.stop(drain);
                self.outlive_elders(drain);
            }
            None => {
                self.road.wait();
                let _ = fs::remove_file(self.place.dir().join(elders::socket_name(std::process::id())));
            }
        }
        Ok(())
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to report.
    fn ring(&self) {
        let mut desk = self.desk();
        (desk.news, desk.verdicts) = (true, true);
        drop(desk);
        self.bell.notify_all();
    }

    /// A target failed too many requests.
    fn pass_over(&self, ejection: &Ejection) {
        let Ejection { target, failures, why, lasts } = ejection;
        let how = format!("{failures} failures in a row, the last: {why}");
        say(&format!("road: {} {} is passed over for {} s: {how}", target.0, target.1, lasts.as_secs()));
        let mut desk = self.desk();
        desk.passed_over.retain(|(key, _, _)| key != target);
        desk.passed_over.push((target.clone(), Instant::now() + *lasts, how));
        desk.news = true;
        drop(desk);
        self.bell.notify_all();
    }

    fn leave(&self, drain: Duration) {
        let mut desk = self.desk();
        desk.leave = Some(drain);
        let retired = desk.retired;
        drop(desk);
        self.bell.notify_all();
        if retired {
            self.road.hurry(drain);
        }
    }

    /// There is something to report, but not of health.
    fn nudge(&self) {
        self.desk().news = true;
        self.bell.notify_all();
    }

    /// Drives by new Routes: the workers first, then the prober, then the disk.
    fn publish(&self, routes: Routes) {
        let routes = Arc::new(routes);
        let mut desk = self.desk();
        let (gone, back) = departures(&desk.routes, &routes);
        let board = self.road.board();
        desk.departing.retain(|departing| !back.contains(&departing.key));
        let since = routes.generation;
        desk.departing.extend(gone.into_iter().map(|key| Departing { state: board.state(&key), key, since }));
        let opened = self.secrets.opened(&routes);
        desk.bind_faults = self.road.publish(Arc::clone(&opened));
        self.prober.publish(opened);
        desk.routes = Arc::clone(&routes);
        drop(desk);
        if !self.road.settled(Duration::from_secs(1)) {
            say(&format!("road: a worker is late to drive by generation {}", routes.generation));
        }
        self.ring();
    }

    /// Keeps the newest Routes on disk, one write at a time: those that came meanwhile are written together. Ends with
    /// the process.
    fn keep_newest(&self) {
        let mut kept = Arc::clone(&self.desk().routes);
        loop {
            let mut desk = self.desk();
            while desk.routes.generation == kept.generation && !desk.retired {
                desk = self.bell.wait(desk).unwrap_or_else(PoisonError::into_inner);
            }
            if desk.retired {
                // They are the next road's to keep.
                return;
            }
            let routes = Arc::clone(&desk.routes);
            drop(desk);
            if let Err(error) = keep(&self.place, &routes) {
                say(&format!("road: failed to keep the routes on disk: {error}"));
            }
            kept = routes;
        }
    }

    /// Tries listeners again that could not be bound, until told to leave; then how long to drain. `None` when another
    /// process has taken over.
    fn tend(&self) -> Option<Duration> {
        let mut desk = self.desk();
        loop {
            if desk.retired {
                return None;
            }
            if !desk.handing && desk.leave.is_some() {
                return desk.leave;
            }
            desk = self.bell.wait_timeout(desk, TICK).unwrap_or_else(PoisonError::into_inner).0;
            if !desk.bind_faults.is_empty() && desk.leave.is_none() && !desk.handing && !desk.retired {
                desk.bind_faults = self.road.publish(self.secrets.opened(&desk.routes));
            }
        }
    }

    /// Takes offices in, one after the other; a new one takes the place of the one before. `as_elder` at the door of a road
    /// that has been replaced: to the next road it is what it was to the office.
    fn receive_offices(self: &Arc<Self>, listener: &UnixListener, as_elder: bool) {
        for stream in listener.incoming() {
            let served = stream.and_then(|stream| {
                let office = {
                    let mut desk = self.desk();
                    if desk.retired != as_elder {
                        // Too late: the next road is at that door in a moment.
                        return Ok(());
                    }
                    desk.office += 1;
                    desk.office
                };
                self.bell.notify_all();
                let writer = stream.try_clone()?;
                let (reading, writing) = (Arc::clone(self), Arc::clone(self));
                let thread = |name: &str| std::thread::Builder::new().name(name.into());
                thread("from-office").spawn(move || reading.listen_to(stream, office))?;
                thread("to-office").spawn(move || writing.report_to(writer, office))?;
                Ok(())
            });
            if let Err(error) = served {
                say(&format!("road: failed to take in an office: {error}"));
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    fn listen_to(&self, mut stream: UnixStream, office: u64) {
        loop {
            let message = match frame::read::<ToRoad>(&mut stream) {
                Ok(message) => message,
                Err(error) => {
                    if error.kind() != io::ErrorKind::UnexpectedEof {
                        say(&format!("road: failed to understand the office: {error}"));
                    }
                    drop(stream.shutdown(std::net::Shutdown::Both));
                    return;
                }
            };
            {
                let mut desk = self.desk();
                // Nothing may change while it is handed over, but for the end.
                while desk.handing && desk.office == office && !matches!(message, ToRoad::Leave { .. }) {
                    desk = self.bell.wait(desk).unwrap_or_else(PoisonError::into_inner);
                }
                if desk.office != office {
                    return;
                }
            }
            match message {
                ToRoad::Publish { generation, whole, changed, removed } => {
                    let held = Arc::clone(&self.desk().routes);
                    self.publish(apply(&held, generation, whole, changed, &removed));
                }
                ToRoad::Leave { drain_ms } => self.leave(Duration::from_millis(drain_ms)),
            }
        }
    }

    fn report_to(&self, mut stream: UnixStream, office: u64) {
        let (build, options) = (build::id().to_owned(), self.options.arguments());
        let hello = FromRoad::Hello { version: VERSION, pid: std::process::id(), build, options };
        let mut told = BTreeMap::new();
        let mut next_counts = Instant::now();
        let mut first = true;
        let mut sent = frame::write(&mut stream, &hello);
        while sent.is_ok() {
            let (judge, waits);
            let mut report = Report { applied: self.road.applied(), ..Report::default() };
            {
                let mut desk = self.desk();
                if desk.office != office {
                    // Told, if this road was replaced and not only its office.
                    if desk.retired {
                        drop(desk);
                        let _ = frame::write(&mut stream, &FromRoad::Moved);
                    }
                    drop(stream.shutdown(std::net::Shutdown::Both));
                    return;
                }
                desk.news = false;
                judge = std::mem::take(&mut desk.verdicts) || first;
                let applied = report.applied;
                desk.departing.retain(|departing| departing.since > applied || departing.state.outstanding() > 0);
                let busy = desk.departing.iter().map(|d| (d.key.0.clone(), d.key.1.clone(), d.state.outstanding()));
                report.departing = busy.filter(|(_, _, count)| *count > 0).collect();
                waits = !desk.departing.is_empty();
                desk.passed_over.retain(|(_, until, _)| *until > Instant::now());
                let over = desk.passed_over.iter().map(|(key, _, how)| (key.0.clone(), key.1.clone(), how.clone()));
                report.passed_over = over.collect();
                report.bind_faults = desk.bind_faults.iter().map(ToString::to_string).collect();
            }
            report.called = self.road.called();
            if judge {
                report.health = self.verdict_news(&mut told);
            }
            first = false;
            if Instant::now() >= next_counts {
                next_counts = Instant::now() + TICK;
                let meters = self.road.meters();
                report.counts = counts(&meters, &self.road.board());
                report.nodes = nodes(&meters);
                let (log_dropped, panics, accept_pauses) = (meters.log_dropped, meters.panics, meters.accept_pauses);
                let (spans_sent, spans_dropped) = (meters.spans_sent, meters.spans_dropped);
                report.road = Some(RoadCount { log_dropped, spans_sent, spans_dropped, panics, accept_pauses });
            }
            self.elders.complete(&mut report);
            sent = frame::write(&mut stream, &FromRoad::Report(report));
            let patience = if waits { DEPARTING } else { TICK };
            self.await_news(office, patience);
        }
    }

    /// Waits until there is news, an other office, or patience ends.
    fn await_news(&self, office: u64, patience: Duration) {
        let until = Instant::now() + patience;
        let mut desk = self.desk();
        let mut waited = SPACING;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if desk.office != office || left.is_zero() || (desk.news && waited.is_zero()) {
                return;
            }
            let nap = if desk.news { waited } else { left };
            if desk.news {
                waited = Duration::ZERO;
            }
            desk = self.bell.wait_timeout(desk, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn verdict_news(
        &self,
        told: &mut BTreeMap<TargetKey, Health>,
    ) -> Vec<(LoadBalancerName, InstanceId, Option<Health>)> {
        let now: BTreeMap<TargetKey, Health> =
            self.prober.verdicts().into_iter().map(|(key, verdict)| (key, verdict.health)).collect();
        let fresh = now.iter().filter(|(key, health)| told.get(*key) != Some(health));
        let fresh = fresh.map(|(key, health)| (key, Some(*health)));
        let gone = told.keys().filter(|key| !now.contains_key(*key)).map(|key| (key, None));
        let news = fresh.chain(gone).map(|((lb, id), health)| (lb.clone(), id.clone(), health)).collect();
        *told = now;
        news
    }
}

fn counts(meters: &Meters, board: &Board) -> Vec<Count> {
    let mut counts = Vec::new();
    let mut in_flight: BTreeMap<TargetKey, u32> =
        board.all().into_iter().map(|(key, state)| (key, state.outstanding())).collect();
    for (balancer, m) in &meters.balancers {
        let own: u64 = m.total().from_balancer.values().sum();
        counts.push(Count { balancer: balancer.to_string(), errors: own, ..Count::default() });
        for (instance, target) in &m.targets {
            counts.push(Count {
                balancer: balancer.to_string(),
                instance: instance.to_string(),
                requests: target.requests,
                errors: target.answers[4],
                connect_errors: target.connect_errors,
                in_flight: in_flight.remove(&(balancer.clone(), instance.clone())).unwrap_or(0),
            });
        }
    }
    counts
}

fn nodes(meters: &Meters) -> Vec<NodeCount> {
    let of = |(name, balancer): (&LoadBalancerName, &BalancerMeters)| -> Vec<NodeCount> {
        balancer.nodes.iter().map(|(zone, node)| NodeCount::of(name, zone.as_ref(), node)).collect()
    };
    meters.balancers.iter().flat_map(of).collect()
}

/// Targets that get nothing new from now on, and targets that do. Balancers that did not change are not looked into.
fn departures(before: &Routes, after: &Routes) -> (Vec<TargetKey>, Vec<TargetKey>) {
    let serving = |balancer: Option<&Arc<BalancerRoutes>>| -> BTreeSet<TargetKey> {
        let targets = balancer.into_iter().flat_map(|b| b.targets.iter().map(move |t| (b, t)));
        let serving = targets.filter(|(_, t)| t.phase == Phase::Serving);
        serving.map(|(b, t)| (b.name.clone(), t.instance.clone())).collect()
    };
    let (mut gone, mut back) = (Vec::new(), Vec::new());
    let names: BTreeSet<&LoadBalancerName> = before.balancers.keys().chain(after.balancers.keys()).collect();
    for name in names {
        let (old, new) = (before.balancers.get(name), after.balancers.get(name));
        if old.zip(new).is_some_and(|(old, new)| Arc::ptr_eq(old, new)) {
            continue;
        }
        let (old, new) = (serving(old), serving(new));
        gone.extend(old.difference(&new).cloned());
        back.extend(new.difference(&old).cloned());
    }
    (gone, back)
}

/// The Routes this road last drove by. Broken ones are left out with a word: the office brings new ones.
fn last_good(place: &Place) -> Option<Routes> {
    let text = match fs::read(place.routes()) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                say(&format!("road: failed to read `{}`: {error}", place.routes().display()));
            }
            return None;
        }
    };
    match serde_json::from_slice::<Routes>(&text) {
        Ok(routes) => Some(routes),
        Err(error) => {
            say(&format!("road: `{}` cannot be read and is passed over: {error}", place.routes().display()));
            None
        }
    }
}

/// Keeps Routes on disk by writing beside and renaming. They hold private keys, so that their owner alone may read
/// them. Not synced: after a power cut the office comes first anyway.
fn keep(place: &Place, routes: &Routes) -> io::Result<()> {
    let beside = place.routes().with_extension("json.new");
    // Of a stranger's making, or wider than it should be: a mode given to `open` holds only for a file it creates.
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    serde_json::to_writer(io::BufWriter::new(&mut file), routes).map_err(io::Error::other)?;
    file.flush()?;
    fs::rename(beside, place.routes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path());
        // Left by whoever, readable by all.
        let beside = place.routes().with_extension("json.new");
        fs::write(&beside, "old").unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
        for generation in [1, 2] {
            keep(&place, &Routes { generation, ..Routes::default() }).unwrap();
            assert_eq!(fs::metadata(place.routes()).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(last_good(&place).unwrap().generation, generation);
        }
    }
}
