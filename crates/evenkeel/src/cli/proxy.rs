//! `evenkeel proxy FILE.toml`: runs the road and the prober from a file, without API, World or Store.
//!
//! Owns the command's life: start, reload at SIGHUP and when the file changes, hand-over at SIGUSR2 ([`successor`]), drain at SIGTERM or SIGINT. Must never judge the file
//! ([`crate::config::proxy_file`]) or touch a client's bytes ([`evenkeel_proxy::road`]).
//!
//! Everything it has to say goes to stderr, a line each: listeners, health transitions, reloads. Exit status: 0 after a
//! stop that was asked for or a good `--check`; 1 when it could not start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use evenkeel_core::health::Transition;
use evenkeel_core::routes::{Phase, Routes};
use evenkeel_core::time::Timestamp;
use evenkeel_proxy::log::LogConfig;
use evenkeel_proxy::probe::Prober;
use evenkeel_proxy::road::{BindFault, Ejection, Road, RoadConfig};
use evenkeel_proxy::spans::SpansConfig;
use evenkeel_proxy::target::TargetKey;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::proxy_file::{self, ProxyFile};
use crate::link::handover::Legacy;
use crate::sys::say;

mod changes;
mod successor;
mod watch;

/// How long workers may take to drive by the first file.
const SETTLING: Duration = Duration::from_secs(10);

/// Run the proxy alone, from a file: listeners, targets with zones, health checks.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  evenkeel proxy --check web.toml     say what is wrong with the file\n  evenkeel proxy web.toml             changes of the file are taken up, TERM drains and ends\n  kill -USR2 PID                      a new process of the program's file takes over, without losing a connection"
)]
pub struct Args {
    /// The file to drive by (TOML); it and its certificates are read again when they change, and at SIGHUP, and a bad one
    /// changes nothing
    pub file: PathBuf,
    /// Only read the file and say what is wrong with it
    #[arg(long)]
    pub check: bool,
    /// Worker threads, instead of what the file says; 0 for one a core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=proxy_file::THREADS_LIMIT as i64))]
    pub threads: Option<u16>,
    /// Seconds that requests in flight may take to finish, at a stop, after a hand-over and on targets that left the file
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub drain: u64,
    /// Take over from the process at the other end of standard input; SIGUSR2 starts it so
    #[arg(long, hide = true)]
    pub take_over: bool,
}

/// Runs until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<()> {
    let file = read(&args.file, 1)?;
    file.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    if args.check {
        let (balancers, targets) = (file.routes.balancers.len(), file.names.len());
        eprintln!("{} is good: {balancers} balancers, {targets} targets", args.file.display());
        return Ok(());
    }
    crate::sys::files::allow_many();
    let threads = args.threads.map(usize::from).or(file.threads).unwrap_or(0);
    let drain = Duration::from_secs(args.drain);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start signal handling")?;
    runtime.block_on(async {
        // Before anything listens: from then on a SIGHUP must not end the process.
        let mut signals = Signals::new()?;
        let origin = successor::Origin::of_this()?;
        let mut proxy = match args.take_over {
            false => Proxy::start(file, threads, drain, say)?,
            true => {
                let (claim, legacy) = successor::take_over()?;
                let proxy = Proxy::start_from(file, threads, drain, say, legacy)?;
                claim.ready().context("failed to take over")?;
                proxy
            }
        };
        successor::notify();
        let mut watch = watch::Watch::start();
        let (mut refused, mut blind) = (String::new(), false);
        loop {
            let swept = proxy.swept_at();
            if let Err(error) = watch.as_mut().map_or(Ok(()), |watch| {
                let files = proxy.files.iter().map(PathBuf::as_path);
                watch.follow(files.chain([args.file.as_path()]))
            }) {
                watch = Err(error);
            }
            if let Some(error) = watch.as_ref().err().filter(|_| !std::mem::replace(&mut blind, true)) {
                say(&format!("changes of the file are taken up at SIGHUP only: {error:#}"));
            }
            let told = tokio::select! {
                told = signals.next() => told,
                () = stirred(watch.as_mut().ok()) => Told::Stirred,
                () = sleep_until(swept) => Told::Sweep,
            };
            match told {
                Told::Reload => match read(&args.file, proxy.generation() + 1) {
                    Ok(file) => {
                        file.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
                        proxy.reload(file);
                    }
                    Err(error) => say(&format!("kept the old routes: {error:#}")),
                },
                Told::Stirred => match read(&args.file, proxy.generation() + 1) {
                    Ok(file) if proxy.drives_by(&file) => refused.clear(),
                    Ok(file) => {
                        refused.clear();
                        file.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
                        proxy.reload(file);
                    }
                    Err(error) => {
                        // Said once: whatever else happens in that folder makes it read again.
                        let error = format!("{error:#}");
                        if refused != error {
                            say(&format!("kept the old routes: {error}"));
                            refused = error;
                        }
                    }
                },
                Told::Sweep => proxy.sweep(),
                Told::GiveWay => match give_way(&origin, &proxy).await {
                    Ok(pid) => {
                        say(&format!("process {pid} took over"));
                        proxy.road.retire(drain);
                        break;
                    }
                    Err(error) => say(&format!("process {} goes on: {error:#}", std::process::id())),
                },
                Told::Stop => break,
            }
        }
        say(&format!("draining for at most {} s; a second signal stops at once", drain.as_secs()));
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            proxy.stop();
            let _ = ended.send(());
        });
        tokio::select! {
            _ = end => say("stopped"),
            () = signals.stop() => say("stopped with requests in flight"),
        }
        anyhow::Ok(())
    })
}

/// Starts a process that takes over, and waits until it has; its process id. Requests are served meanwhile.
async fn give_way(origin: &successor::Origin, proxy: &Proxy) -> anyhow::Result<u32> {
    let legacy = proxy.legacy()?;
    let successor = origin.start()?;
    let pid = successor.pid();
    say(&format!("process {pid} is to take over"));
    tokio::task::spawn_blocking(move || successor.see(legacy)).await.context("failed to see it serve")??;
    Ok(pid)
}

/// A road and a prober that drive by one file.
pub struct Proxy {
    road: Road,
    prober: Arc<Prober>,
    routes: Arc<Routes>,
    /// What the file says, without what drains.
    wanted: Routes,
    /// The files that it names.
    files: BTreeSet<PathBuf>,
    names: Names,
    /// What cannot change: as first stated, and as last.
    fixed: Fixed,
    stated: Fixed,
    drain: Duration,
    say: fn(&str),
}

/// What takes effect at the start only.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fixed {
    threads: Option<usize>,
    max_connections: Option<usize>,
    log: Option<LogConfig>,
    trace_ids: bool,
    spans: Option<SpansConfig>,
}

impl Fixed {
    fn of(file: &ProxyFile) -> Self {
        let ProxyFile { threads, max_connections, log, trace_ids, spans, .. } = file;
        let (threads, max_connections, trace_ids) = (*threads, *max_connections, *trace_ids);
        Self { threads, max_connections, log: log.clone(), trace_ids, spans: spans.clone() }
    }

    /// Keys that differ.
    fn differs(&self, other: &Self) -> Vec<&'static str> {
        let keys = [
            ("threads", self.threads == other.threads),
            ("max_connections", self.max_connections == other.max_connections),
            ("log", self.log == other.log),
            ("trace_ids", self.trace_ids == other.trace_ids),
            ("spans", self.spans == other.spans),
        ];
        keys.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}

/// How targets are called in lines for people; the prober's thread reads it too.
type Names = Arc<Mutex<BTreeMap<TargetKey, String>>>;

impl Proxy {
    /// Starts both and listens. Errors: a listener that cannot be bound, with all of them named; no thread or
    /// descriptor to be had. `say` is given each line for people.
    pub fn start(file: ProxyFile, threads: usize, drain: Duration, say: fn(&str)) -> anyhow::Result<Self> {
        Self::start_from(file, threads, drain, say, Legacy::default())
    }

    /// As [`Proxy::start`], with what another process leaves: listeners of this file that it has are not bound anew, and
    /// its verdicts on targets of this file hold.
    pub fn start_from(
        file: ProxyFile,
        threads: usize,
        drain: Duration,
        say: fn(&str),
        legacy: Legacy,
    ) -> anyhow::Result<Self> {
        let road = Road::start(RoadConfig {
            workers: threads,
            max_connections: file.max_connections.unwrap_or(0),
            log: file.log.clone(),
            trace_ids: file.trace_ids,
            spans: file.spans.clone(),
            ..RoadConfig::default()
        })
        .context("failed to start workers")?;
        let fixed = Fixed::of(&file);
        let names: Names = Arc::new(Mutex::new(file.names));
        let known = Arc::clone(&names);
        let on_transition = move |key: TargetKey, transition: Transition| {
            let text = lock(&known).get(&key).cloned().unwrap_or_else(|| key.1.to_string());
            say(&format!("{} {text}: {}, was {}: {}", key.0, transition.to, transition.from, transition.why));
        };
        let prober = Arc::new(Prober::start(road.board(), on_transition).context("failed to start health checks")?);
        if let Some(ejections) = road.ejections() {
            let names = Arc::clone(&names);
            std::thread::Builder::new()
                .name("ejections".into())
                .spawn(move || {
                    ejections.iter().for_each(|Ejection { target, failures, why, lasts }| {
                        let name = lock(&names).get(&target).cloned().unwrap_or_else(|| target.1.to_string());
                        let lasts = lasts.as_secs();
                        say(&format!(
                            "{} {name} is passed over for {lasts} s: {failures} failures in a row, the last: {why}",
                            target.0
                        ));
                    });
                })
                .context("failed to start a thread")?;
        }
        if let Some(suspicions) = road.suspicions() {
            let prober = Arc::clone(&prober);
            // Ends with the road, which holds the other end.
            std::thread::Builder::new()
                .name("suspicions".into())
                .spawn(move || suspicions.into_iter().for_each(|key| prober.check_now(key)))
                .context("failed to start a thread")?;
        }
        road.inherit(legacy.estate).context("failed to take over the listeners")?;
        let board = road.board();
        let known = legacy.verdicts;
        known.iter().for_each(|(key, verdict)| board.state(key).set_health(verdict.health));
        let (stated, wanted, files) = (fixed.clone(), file.routes.clone(), file.files);
        let routes = Arc::default();
        let mut proxy = Self { road, prober, routes, wanted, files, names, fixed, stated, drain, say };
        let faults = proxy.publish_with(file.routes, |prober, routes| prober.take_over(routes, known));
        if !proxy.road.settled(SETTLING) {
            return Err(anyhow!("the workers did not start within {} s", SETTLING.as_secs()));
        }
        if !faults.is_empty() {
            return Err(anyhow!("{}", cannot_listen(&faults)));
        }
        Ok(proxy)
    }

    /// Drives by another file. Listeners that cannot be bound are named and tried again at the next reload; all else
    /// takes effect. Targets that are gone may finish what is in flight.
    pub fn reload(&mut self, file: ProxyFile) {
        let stated = Fixed::of(&file);
        for key in stated.differs(&self.fixed) {
            (self.say)(&format!("`{key}` takes effect at the next start"));
        }
        self.stated = stated;
        self.files = file.files;
        let mut routes = file.routes;
        let changes = changes::between(&self.wanted, &routes);
        self.wanted = routes.clone();
        proxy_file::let_drain(&self.routes, &mut routes, now().plus(self.drain));
        // Names of targets that drain are still needed.
        lock(&self.names).extend(file.names);
        let faults = self.publish(routes);
        if !faults.is_empty() {
            (self.say)(&cannot_listen(&faults));
        }
        let changes = if changes.is_empty() { "nothing changed".into() } else { changes.join("; ") };
        (self.say)(&format!("reloaded: generation {}, {} targets: {changes}", self.generation(), self.targets()));
    }

    /// Whether a file says what the last one said.
    #[must_use]
    pub fn drives_by(&self, file: &ProxyFile) -> bool {
        self.wanted.balancers == file.routes.balancers && self.stated == Fixed::of(file)
    }

    /// When the next targets that drain are to be let go of.
    #[must_use]
    pub fn swept_at(&self) -> Option<Timestamp> {
        let targets = self.routes.balancers.values().flat_map(|balancer| &balancer.targets);
        targets.filter_map(|target| until(target.phase)).min()
    }

    /// Lets go of targets whose time to drain is over.
    pub fn sweep(&mut self) {
        let now = now();
        let mut routes = (*self.routes).clone();
        routes.generation += 1;
        for balancer in routes.balancers.values_mut() {
            if balancer.targets.iter().any(|target| until(target.phase).is_some_and(|until| until <= now)) {
                Arc::make_mut(balancer).targets.retain(|target| until(target.phase).is_none_or(|until| until > now));
            }
        }
        let faults = self.publish(routes);
        if !faults.is_empty() {
            (self.say)(&cannot_listen(&faults));
        }
    }

    /// The number of the Routes that it drives by.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.routes.generation
    }

    /// The health checks' side.
    #[must_use]
    pub fn prober(&self) -> &Prober {
        &self.prober
    }

    /// The traffic's side.
    #[must_use]
    pub fn road(&self) -> &Road {
        &self.road
    }

    /// Drains and stops, unless it drains already. Checks go on while requests finish.
    pub fn stop(self) {
        self.road.hurry(self.drain);
        self.road.wait();
    }

    fn targets(&self) -> usize {
        self.routes.balancers.values().map(|balancer| balancer.targets.len()).sum()
    }

    fn publish(&mut self, routes: Routes) -> Vec<BindFault> {
        self.publish_with(routes, Prober::publish)
    }

    /// To the road first: the prober writes on the records that the road has made.
    fn publish_with(&mut self, routes: Routes, tell: impl FnOnce(&Prober, Arc<Routes>)) -> Vec<BindFault> {
        let routes = Arc::new(routes);
        let before = std::mem::replace(&mut self.routes, Arc::clone(&routes));
        let faults = self.road.publish(Arc::clone(&routes));
        tell(&self.prober, Arc::clone(&routes));
        let is_target = |key: &TargetKey| {
            routes.balancers.get(&key.0).is_some_and(|b| b.targets.iter().any(|target| target.instance == key.1))
        };
        lock(&self.names).retain(|key, _| is_target(key));
        let (old, new) = (addresses(&before), addresses(&routes));
        let failed =
            |name: &str, at: &str| faults.iter().any(|f| f.balancer.as_str() == name && at.ends_with(&socket(f)));
        for (at, name) in new.iter().filter(|(at, name)| old.get(*at) != Some(*name) && !failed(name, at)) {
            (self.say)(&format!("{name} listens on {at}"));
        }
        for (at, name) in old.iter().filter(|(at, _)| !new.contains_key(*at)) {
            (self.say)(&format!("{name} no longer listens on {at}"));
        }
        faults
    }
}

/// Every listener as `http://127.0.0.1:80`, and whose it is.
fn addresses(routes: &Routes) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for balancer in routes.balancers.values() {
        for node in &balancer.nodes {
            for listener in &balancer.listeners {
                let at = std::net::SocketAddr::new(node.address, listener.bind_port.number());
                let scheme = listener.protocol.as_str().to_lowercase();
                all.insert(format!("{scheme}://{at}"), balancer.name.to_string());
            }
        }
    }
    all
}

fn socket(fault: &BindFault) -> String {
    format!("//{}", std::net::SocketAddr::new(fault.address, fault.port.number()))
}

fn cannot_listen(faults: &[BindFault]) -> String {
    let mut text = faults.iter().map(|fault| format!("failed to {fault}")).collect::<Vec<_>>().join("\n");
    let privileged =
        |fault: &BindFault| fault.port.number() < 1024 && fault.error.to_lowercase().contains("permission denied");
    if faults.iter().any(privileged) {
        text.push_str(
            "\nhint: ports below 1024 need a privilege: `sudo sysctl net.ipv4.ip_unprivileged_port_start=80`, \
             or `sudo setcap cap_net_bind_service=+ep` on this binary",
        );
    }
    text
}

fn until(phase: Phase) -> Option<Timestamp> {
    match phase {
        Phase::Draining { until } => Some(until),
        Phase::Serving | Phase::ZoneDisabled => None,
    }
}

fn read(path: &Path, generation: u64) -> anyhow::Result<ProxyFile> {
    proxy_file::read(path, generation).with_context(|| format!("failed to read {}", path.display()))
}

enum Told {
    Reload,
    Stirred,
    Sweep,
    GiveWay,
    Stop,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    user: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            user: listen(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.user.recv() => Told::GiveWay,
        }
    }

    async fn stop(&mut self) {
        while !matches!(self.next().await, Told::Stop) {}
    }
}

async fn stirred(watch: Option<&mut watch::Watch>) {
    match watch {
        Some(watch) => watch.stirred().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(now())).await,
        None => std::future::pending().await,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
