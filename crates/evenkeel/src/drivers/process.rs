//! Instances as process trees on this machine, each under its own agent ([`crate::agent`]). Owns
//! `<data>/instances/<id>/` and what is known of each instance's newest boot.
//!
//! Must never be the parent an instance depends on: agents lead their own sessions and write down how they fare, so this
//! driver may be dropped or killed at any moment and opened again, and then finds what runs by pid, start time and the
//! machine's boot. Calls only note what is wanted; `hands.rs` does the slow work, `watch.rs` waits for what happens.

mod hands;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_core::name::InstanceId;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;
use rustix::process::Signal;

use super::folder::{Ask, Folder, Spec, State};
use super::{
    CONSOLE_LIMIT, Driver, DriverError, Elsewhere, Engine, FilesOf, Hint, Isolation, Isolations, LaunchSpec, Root,
    Seen, SeenState, begins,
};
use crate::agent::console;
use crate::enclosures::{docker, namespaces, overlay};
use crate::lock::{self, Lock};
use crate::sys::cgroup::Groups;
use crate::sys::process::{self, Identity};

/// How long an agent may outlive the grace of its stop before it is killed itself.
const BACKSTOP: Duration = Duration::from_secs(8);
/// How long opening waits for the one before to let go of the folder, as a killed daemon's last fork does.
const HELD_LIMIT: Duration = Duration::from_secs(1);

/// What a process driver needs to know.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// The data directory; instances are kept in its `instances`.
    pub data_dir: PathBuf,
    /// The evenkeel binary, run as `evenkeel agent …`.
    pub agent: PathBuf,
    /// Whether instances are held to their limits by control groups, where this machine permits it.
    pub limit: bool,
    /// What keeps instances apart that are first started from now on.
    pub isolation: Isolations,
}

impl ProcessConfig {
    /// The usual: agents run the binary that is running now, limits are held where possible.
    pub fn new(data_dir: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            data_dir: data_dir.into(),
            agent: std::env::current_exe()?,
            limit: true,
            isolation: Isolations::default(),
        })
    }
}

/// The process driver. Dropping it leaves every instance running.
pub struct ProcessDriver {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    limits_note: Option<String>,
}

/// What the driver's threads share.
struct Shared {
    folder: PathBuf,
    agent: PathBuf,
    groups: Groups,
    isolation: Isolations,
    slots: Mutex<BTreeMap<InstanceId, Slot>>,
    hints: Mutex<Vec<Hint>>,
    jobs: Mutex<VecDeque<Job>>,
    job_ready: Condvar,
    wake: OwnedFd,
    changes: OwnedFd,
    closing: AtomicBool,
    discards: AtomicU64,
    _lock: Lock,
}

/// What is known of one instance's newest boot.
struct Slot {
    boot: u32,
    state: SeenState,
    /// The agent, while one is known to live.
    agent: Option<Arc<Watched>>,
    /// Agents of ours that came second, and are still to be reaped.
    strays: Vec<Arc<Watched>>,
    /// The grace asked for, once a stop was.
    stop: Option<Duration>,
    /// Whether a kill was asked for.
    kill: bool,
    /// When the agent is killed, or the wait for one given up.
    overdue: Option<Instant>,
    /// Whether an agent that somebody else started is about to say who it is.
    awaits_agent: bool,
    /// The inotify watch on its folder.
    watch: Option<i32>,
}

impl Slot {
    fn starting(boot: u32) -> Self {
        Self {
            boot,
            state: SeenState::Starting,
            agent: None,
            strays: Vec::new(),
            stop: None,
            kill: false,
            overdue: None,
            awaits_agent: false,
            watch: None,
        }
    }

    fn ended(&self) -> bool {
        matches!(self.state, SeenState::Ended { .. })
    }
}

/// A living agent.
struct Watched {
    identity: Identity,
    process: OwnedFd,
}

/// Slow work.
enum Job {
    /// Make the folder, then start the agent.
    Launch(Box<LaunchSpec>),
    /// Start the agent of a folder that is made.
    Start(InstanceId, u32),
    /// An agent has ended, or none came: find out how the boot ended, and leave nothing of it running.
    Settle(InstanceId, u32, hands::AgentEnd),
    /// Delete what a removed instance left.
    Discard(PathBuf),
}

impl ProcessDriver {
    /// Opens `<data_dir>/instances`, adopts what runs there, and takes up what an interrupted driver left half done. One
    /// process at a time: a second one gets [`DriverError::Held`].
    pub fn open(config: &ProcessConfig) -> Result<Self, DriverError> {
        let folder = config.data_dir.join("instances");
        let io = |what: String| move |source| DriverError::Io { what, source };
        let open = || format!("open `{}`", folder.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io(open()))?;
        let folder = folder.canonicalize().map_err(io(open()))?;
        let lock = hold(&folder).map_err(io(open()))?.ok_or_else(|| DriverError::Held(folder.clone()))?;
        let (groups, limits_note) = if config.limit { Groups::detect() } else { (Groups::default(), None) };
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| io(open())(e.into()))?;
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map_err(|e| io(open())(e.into()))?;
        let shared = Arc::new(Shared {
            folder,
            agent: config.agent.clone(),
            groups,
            isolation: config.isolation.clone(),
            slots: Mutex::default(),
            hints: Mutex::default(),
            jobs: Mutex::default(),
            job_ready: Condvar::new(),
            wake,
            changes,
            closing: AtomicBool::new(false),
            discards: AtomicU64::new(0),
            _lock: lock,
        });
        shared.adopt().map_err(io(format!("read `{}`", shared.folder.display())))?;
        let mut driver = Self { shared, threads: Vec::new(), limits_note };
        let spawn = |name: &str, run: fn(&Shared)| {
            let shared = driver.shared.clone();
            std::thread::Builder::new().name(name.into()).spawn(move || run(&shared))
        };
        let mut threads = vec![spawn("instance-watch", watch::run)];
        threads.extend((0..hands::COUNT).map(|_| spawn("instance-hand", hands::run)));
        for thread in threads {
            driver.threads.push(thread.map_err(io("start a thread".into()))?);
        }
        Ok(driver)
    }

    /// Which limits cannot be held on this machine and why, for the log; `None` when all can, or none are wanted.
    #[must_use]
    pub fn limits_note(&self) -> Option<&str> {
        self.limits_note.as_deref()
    }
}

impl Drop for ProcessDriver {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake();
        // Taken so that no hand misses the bell between its look at `closing` and its wait.
        drop(self.shared.jobs());
        self.shared.job_ready.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to let go of.
            let _ = thread.join();
        }
    }
}

impl ProcessDriver {
    /// The agents that live, and what they run.
    fn running(&self) -> Vec<(i32, Spec)> {
        let agents: Vec<(InstanceId, i32)> = {
            let slots = self.shared.slots();
            slots.iter().filter_map(|(id, slot)| Some((id.clone(), slot.agent.as_ref()?.identity.pid))).collect()
        };
        let with_spec = |(id, pid): (InstanceId, i32)| Some((pid, self.shared.folder_of(&id).spec().ok().flatten()?));
        agents.into_iter().filter_map(with_spec).collect()
    }
}

impl Driver for ProcessDriver {
    fn launch(&self, spec: &LaunchSpec) -> Result<(), DriverError> {
        {
            let mut slots = self.shared.slots();
            let watch = match slots.get(&spec.instance) {
                Some(slot) if !begins(spec, slot.boot, &slot.state)? => return Ok(()),
                Some(slot) => slot.watch,
                None => None,
            };
            slots.insert(spec.instance.clone(), Slot { watch, ..Slot::starting(spec.boot) });
        }
        self.shared.give(Job::Launch(Box::new(spec.clone())));
        self.shared.hint();
        Ok(())
    }

    fn stop(&self, instance: &InstanceId, grace: Duration) -> Result<(), DriverError> {
        let mut slots = self.shared.slots();
        let Some(slot) = slots.get_mut(instance).filter(|slot| !slot.ended()) else { return Ok(()) };
        let grace = slot.stop.map_or(grace, |before| before.min(grace));
        slot.stop = Some(grace);
        let overdue = Instant::now() + grace + BACKSTOP;
        slot.overdue = Some(slot.overdue.map_or(overdue, |before| before.min(overdue)));
        let told = self.shared.tell(instance, slot);
        drop(slots);
        self.shared.wake();
        told.map_err(|source| DriverError::Io { what: format!("signal the agent of `{instance}`"), source })
    }

    fn kill(&self, instance: &InstanceId) -> Result<(), DriverError> {
        let mut slots = self.shared.slots();
        let Some(slot) = slots.get_mut(instance).filter(|slot| !slot.ended()) else { return Ok(()) };
        slot.kill = true;
        let told = self.shared.tell(instance, slot);
        told.map_err(|source| DriverError::Io { what: format!("signal the agent of `{instance}`"), source })
    }

    fn remove(&self, instance: &InstanceId) -> Result<(), DriverError> {
        {
            let mut slots = self.shared.slots();
            if let Some(slot) = slots.get(instance).filter(|slot| !slot.ended()) {
                return Err(DriverError::StillRunning { instance: instance.clone(), boot: slot.boot });
            }
            let discarded = self.shared.discard(instance);
            discarded.map_err(|source| DriverError::Io { what: format!("remove `{instance}`"), source })?;
            // Not there, or still in use by a process stuck in the kernel: then the machine's next boot removes it.
            let _ = self.shared.groups.group(instance.as_str()).remove();
            if slots.remove(instance).is_none() {
                return Ok(());
            }
        }
        self.shared.hint();
        Ok(())
    }

    fn seen(&self) -> Vec<Seen> {
        let slots = self.shared.slots();
        let seen = |(id, slot): (&InstanceId, &Slot)| Seen {
            instance: id.clone(),
            boot: slot.boot,
            state: slot.state.clone(),
        };
        slots.iter().map(seen).collect()
    }

    fn roots(&self) -> Vec<Root> {
        let here = self.running().into_iter().filter(|(_, spec)| spec.isolation != Isolation::Docker);
        let root = |(pid, spec): (i32, Spec)| {
            let has_link = spec.isolation == Isolation::Namespaces;
            Root { link: has_link.then(|| namespaces::link_name(&spec.instance)), instance: spec.instance, pid }
        };
        here.map(root).collect()
    }

    fn elsewhere(&self) -> Vec<Result<Elsewhere, String>> {
        let mut engines: BTreeMap<String, (Engine, BTreeMap<InstanceId, i32>)> = BTreeMap::new();
        for (pid, spec) in self.running() {
            if let Some(engine) = spec.engine.filter(|_| spec.isolation == Isolation::Docker) {
                let (_, pids) = engines.entry(engine.host.clone()).or_insert((engine, BTreeMap::new()));
                pids.insert(spec.instance, pid);
            }
        }
        let asked = |(engine, pids): &(Engine, BTreeMap<InstanceId, i32>)| -> Vec<Result<Elsewhere, String>> {
            let told = docker::usage::of(engine, &pids.keys().cloned().collect::<Vec<_>>());
            let with_pid = |(instance, used): (InstanceId, docker::usage::Used)| {
                let pid = *pids.get(&instance)?;
                let docker::usage::Used { at, usage, cpus, memory } = used;
                Some(Elsewhere { instance, pid, at, usage, cpus, memory })
            };
            told.into_iter().filter_map(|one| one.map(with_pid).transpose()).collect()
        };
        // One that is away holds up none of the others.
        std::thread::scope(|scope| {
            let all: Vec<_> = engines.values().map(|one| scope.spawn(move || asked(one))).collect();
            let lost = |_| vec![Err("ask a Docker Engine: a thread panicked".to_owned())];
            all.into_iter().flat_map(|one| one.join().unwrap_or_else(lost)).collect()
        })
    }

    fn console(&self, instance: &InstanceId) -> io::Result<Vec<u8>> {
        if !self.shared.slots().contains_key(instance) {
            return Err(io::ErrorKind::NotFound.into());
        }
        console::tail(&self.shared.folder_of(instance), CONSOLE_LIMIT)
    }

    fn files(&self, instance: &InstanceId) -> Result<FilesOf, String> {
        if !self.shared.slots().contains_key(instance) {
            return Err(format!("find the files of `{instance}`"));
        }
        let folder = self.shared.folder_of(instance);
        let spec = folder.spec().map_err(|error| format!("read `spec.json` of `{instance}`: {error}"))?;
        if let Some(image) = spec.as_ref().and_then(|spec| spec.image.as_ref()) {
            // Where it runs, as it sees them.
            let held = namespaces::top(&folder).or_else(|_| overlay::mounted(image, &folder));
            let held = held.map_err(|error| format!("open the files of `{instance}`: {error}"))?;
            return Ok(FilesOf::Laid { path: format!("/proc/self/fd/{}", held.as_raw_fd()).into(), held });
        }
        match spec.filter(|spec| spec.isolation == Isolation::Docker) {
            // It may be large, so not where temporary files usually are; and where a daemon that is killed leaves it, the
            // next one deletes it.
            Some(spec) => docker::copy(&spec, &self.shared.folder, GONE).map(FilesOf::Copy),
            None => Ok(FilesOf::Own(folder.root())),
        }
    }

    fn subscribe(&self, hint: Hint) {
        self.shared.hints.lock().unwrap_or_else(PoisonError::into_inner).push(hint);
    }
}

const GONE: &str = ".gone-";

/// Takes the lock on all instances.
fn hold(folder: &std::path::Path) -> io::Result<Option<Lock>> {
    let deadline = Instant::now() + HELD_LIMIT;
    loop {
        match lock::try_exclusive(&folder.join(".lock"))? {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            taken => return Ok(taken),
        }
    }
}

impl Shared {
    /// Finds what there is. Every folder is in one of four conditions: half made (no spec: nothing ever ran), made but not
    /// started (no status of its boot), running (a living agent), or over.
    fn adopt(&self) -> io::Result<()> {
        let mut slots = self.slots();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if name.starts_with(GONE) {
                self.give(Job::Discard(entry.path()));
            }
            let Ok(id) = InstanceId::new(&name) else { continue };
            let folder = Folder::new(entry.path());
            let spec = match folder.spec() {
                Ok(Some(spec)) => spec,
                Ok(None) => {
                    self.discard(&id)?;
                    continue;
                }
                // Not ours to judge: it stays until `remove` names it.
                Err(_) => continue,
            };
            let mut slot = Slot::starting(spec.boot);
            slot.watch = self.watch(&folder).ok();
            let status = folder.status().filter(|status| status.boot == spec.boot);
            match status.map(|status| (status.agent, status.state)) {
                None => self.give(Job::Start(id.clone(), spec.boot)),
                Some((_, State::Ended { how })) => slot.state = SeenState::Ended { how },
                Some((agent, state)) => {
                    if let State::Running { since, status } = state {
                        slot.state = SeenState::Running { since, status };
                    }
                    slot.agent = agent.and_then(watched);
                    if slot.agent.is_none() {
                        self.give(Job::Settle(id.clone(), spec.boot, hands::AgentEnd::Unseen));
                    }
                }
            }
            slots.insert(id, slot);
        }
        Ok(())
    }

    fn folder_of(&self, instance: &InstanceId) -> Folder {
        Folder::new(self.folder.join(instance.as_str()))
    }

    /// Puts an instance's folder out of the way at once, and has it deleted; one that is not there is no error.
    fn discard(&self, instance: &InstanceId) -> io::Result<()> {
        let number = self.discards.fetch_add(1, Ordering::Relaxed);
        let gone = self.folder.join(format!("{GONE}{}-{number}-{instance}", std::process::id()));
        match fs::rename(self.folder_of(instance).path(), &gone) {
            Ok(()) => self.give(Job::Discard(gone)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn watch(&self, folder: &Folder) -> io::Result<i32> {
        let flags = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::ONLYDIR;
        Ok(inotify::add_watch(&self.changes, folder.path(), flags)?)
    }

    /// Sends the agent what was asked for. Without one, whoever starts it asks again.
    fn tell(&self, instance: &InstanceId, slot: &Slot) -> io::Result<()> {
        let Some(agent) = &slot.agent else { return Ok(()) };
        if slot.kill {
            return process::signal(&agent.process, Signal::KILL);
        }
        if let Some(grace) = slot.stop {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            // On a full disk the TERM goes with the manifest's grace, and `overdue` holds to the one asked for.
            let _ = self.folder_of(instance).set_ask(&Ask { boot: slot.boot, grace_ms });
            process::signal(&agent.process, Signal::TERM)?;
        }
        Ok(())
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, job: Job) {
        self.jobs().push_back(job);
        self.job_ready.notify_one();
    }

    /// Makes the watch look again at what it waits for.
    fn wake(&self) {
        // Full means that a wake is on its way already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Never called with the slots locked: a hint may ask the driver what it sees.
    fn hint(&self) {
        let hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for hint in hints {
            // A panic of the one who is hinted must not end the thread that brings the hint.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| hint()));
        }
    }
}

/// The agent, if it is alive.
fn watched(identity: Identity) -> Option<Arc<Watched>> {
    let process = identity.open().ok().flatten()?;
    Some(Arc::new(Watched { identity, process }))
}
