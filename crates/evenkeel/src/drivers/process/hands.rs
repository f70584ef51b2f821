//! The threads that do slow work: copying images, starting agents, sweeping up after them, deleting folders. Owns the
//! order of those writes; must never hold the slots locked over any of it.
//!
//! A launch may be cut off anywhere: before `spec.json` is there nothing was started, and the folder is swept; after it,
//! the next driver starts the agent again. Should two agents then be on their way, one gets the folder's lock and the
//! other one leaves; and none runs a boot that has a status already.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use evenkeel_core::name::InstanceId;

use super::{Job, SeenState, Shared, watched};
use crate::agent::EXIT_HELD;
use crate::agent::launch::DEFAULT_PATH;
use crate::drivers::folder::{Folder, MARK, Spec, State, Status};
use crate::drivers::{Exit, Isolation, LaunchSpec, STOPPED_BEFORE_START};
use crate::enclosures::{self, docker, overlay};
use crate::images::ImageError;
use crate::images::tree::{self, Shape};
use crate::sys::cgroup::Groups;
use crate::sys::process::{self, Identity};
use crate::sys::spawn;

/// How many work at once: what one disk bears, and no huge image holds up the others.
pub(super) const COUNT: usize = 4;
/// How long an agent that somebody else started may take to say so.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long killed processes may take to be gone.
const SWEEP_LIMIT: Duration = Duration::from_secs(5);

/// Why an image that is a root filesystem cannot be run here.
const ROOTFS: &str = "start a root filesystem (`rootfs = true`): it runs in namespaces or in Docker, not among the node's \
                      own processes";

/// What the watch saw of an agent's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentEnd {
    /// Exited with this status.
    Exited(i32),
    /// Ended by this signal.
    Killed(i32),
    /// Ended, or never came, and nobody saw how.
    Unseen,
}

/// Works until the driver closes. What is left in the queue then, the next driver finds on disk.
pub(super) fn run(shared: &Shared) {
    while let Some(job) = next(shared) {
        // A panic costs its job, not the thread that all later ones need.
        let _ = catch_unwind(AssertUnwindSafe(|| work(shared, job)));
    }
}

fn work(shared: &Shared, job: Job) {
    match job {
        Job::Launch(spec) => match make(shared, &spec) {
            Ok(()) => begin(shared, &spec.instance, spec.boot),
            // Without its spec no agent ever ran it.
            Err(how) => finish(shared, &spec.instance, spec.boot, how),
        },
        Job::Start(id, boot) => begin(shared, &id, boot),
        Job::Settle(id, boot, end) => settle(shared, &id, boot, end),
        // What cannot be deleted now is tried again when the driver is next opened.
        Job::Discard(path) => discard(&path),
    }
}

fn next(shared: &Shared) -> Option<Job> {
    let mut jobs = shared.jobs();
    loop {
        if shared.closing.load(Ordering::Acquire) {
            return None;
        }
        if let Some(job) = jobs.pop_front() {
            return Some(job);
        }
        jobs = shared.job_ready.wait(jobs).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Makes the folder of a boot. The last write is `spec.json`.
fn make(shared: &Shared, spec: &LaunchSpec) -> Result<(), Exit> {
    let folder = shared.folder_of(&spec.instance);
    match DirBuilder::new().mode(0o700).create(folder.path()) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed(&e, format!("make `{}`: {e}", folder.path().display())));
        }
        _ => {}
    }
    // Its files, its address and what it has on the node are of the kind that it began with.
    let before = folder.spec().ok().flatten().map(|before| (before.isolation, before.engine));
    let ways = &shared.isolation;
    let (isolation, engine) = before.unwrap_or_else(|| (ways.of(&spec.zone), ways.engine_of(&spec.zone).cloned()));
    let engine = engine.filter(|_| isolation == Isolation::Docker);
    if spec.manifest.rootfs && isolation == Isolation::None {
        return Err(Exit::NeverStarted(ROOTFS.into()));
    }
    let root = folder.root();
    if let Some(engine) = &engine {
        docker::make(&folder, engine, spec).map_err(Exit::NotLaunched)?;
    } else if !root.exists() && !shares(spec, isolation, &folder)? {
        let partial = folder.file("root.partial");
        let copied = copy(spec, &partial, &root);
        if let Err(how) = copied {
            // On a full disk this is what makes room again.
            let _ = fs::remove_dir_all(&partial);
            return Err(how);
        }
    }
    let written = (|| {
        let bytes = spec.user_data.as_deref().unwrap_or_default();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(folder.file("user-data"))?.write_all(bytes)?;
        folder.set_spec(&Spec {
            instance: spec.instance.clone(),
            boot: spec.boot,
            manifest: spec.manifest.clone(),
            zone: spec.zone.clone(),
            address: spec.address,
            limits: spec.limits,
            // A container has its engine's.
            groups: if engine.is_some() { Groups::default() } else { shared.groups.clone() },
            boots: spec.boots,
            metadata: spec.metadata.clone(),
            isolation,
            image: overlay::is_used(&folder).then(|| spec.image_dir.clone()),
            engine: engine.clone(),
        })
    })();
    written.map_err(|e: io::Error| failed(&e, format!("write to `{}`: {e}", folder.path().display())))
}

/// Deletes the folder of a removed instance, last what says what else there is of it.
fn discard(path: &Path) {
    match enclosures::discard(&Folder::new(path.to_owned())) {
        // What cannot be deleted now is tried again when the driver is next opened.
        Ok(()) => drop(fs::remove_dir_all(path)),
        Err(why) => eprintln!("instances: failed to {why}; it is tried again at the next start"),
    }
}

/// Gives an instance the image's files without a copy, where that can be.
fn shares(spec: &LaunchSpec, isolation: Isolation, folder: &Folder) -> Result<bool, Exit> {
    if !spec.manifest.rootfs || isolation != Isolation::Namespaces {
        return Ok(false);
    }
    let prepared = overlay::prepare(&spec.image_dir, folder);
    prepared.map_err(|error| failed(&error, format!("make `{}`: {error}", folder.root().display())))
}

/// What a boot has come to that failed at this.
fn failed(error: &io::Error, why: String) -> Exit {
    use io::ErrorKind as E;
    match error.kind() {
        // The last one is what says that there may be no more processes.
        E::StorageFull | E::QuotaExceeded | E::OutOfMemory | E::WouldBlock => Exit::NoRoom(why),
        _ => Exit::NotLaunched(why),
    }
}

fn copy(spec: &LaunchSpec, partial: &Path, root: &Path) -> Result<(), Exit> {
    let say = |e: io::Error| failed(&e, format!("copy the image to `{}`: {e}", partial.display()));
    let tell = |error: ImageError| {
        let why = format!("copy the image: {error}");
        match &error {
            ImageError::Io { source, .. } => failed(source, why),
            _ => Exit::NotLaunched(why),
        }
    };
    match fs::remove_dir_all(partial) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(say(e)),
        _ => {}
    }
    let (image, shape) = (&spec.image_dir, Shape::of(&spec.manifest));
    let entries = tree::walk(image, shape).map_err(tell)?;
    fs::create_dir(partial).map_err(say)?;
    tree::copy(image, &entries, partial, shape).map_err(tell)?;
    fs::rename(partial, root).map_err(say)
}

/// Starts the agent of a made folder, or closes the boot.
fn begin(shared: &Shared, id: &InstanceId, boot: u32) {
    if let Err(how) = start(shared, id, boot) {
        close(shared, id, boot, |_| how);
    }
}

fn start(shared: &Shared, id: &InstanceId, boot: u32) -> Result<(), Exit> {
    let folder = shared.folder_of(id);
    {
        // Before the agent can write anything, so that no change goes unseen.
        let say = |e: io::Error| failed(&e, format!("watch `{}`: {e}", folder.path().display()));
        let watch = shared.watch(&folder).map_err(say)?;
        let mut slots = shared.slots();
        let Some(slot) = slots.get_mut(id).filter(|slot| slot.boot == boot) else { return Ok(()) };
        slot.watch = Some(watch);
        if slot.kill || slot.stop.is_some() {
            return Err(Exit::NeverStarted(STOPPED_BEFORE_START.into()));
        }
    }
    let agent = &shared.agent;
    let say = |e: io::Error| failed(&e, format!("start the agent `{}`: {e}", agent.display()));
    let log = File::create(folder.file("agent.log")).map_err(say)?;
    let mut command = Command::new(agent);
    command.args(["agent", "--dir"]).arg(folder.path()).args(["--boot", &boot.to_string()]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or(DEFAULT_PATH.into())).current_dir("/");
    command.stdin(Stdio::null()).stdout(log.try_clone().map_err(say)?).stderr(log);
    spawn::in_new_session(&mut command);
    let child = command.spawn().map_err(say)?;
    // Nobody reaps it before the watch knows it, so its pid is its own until then.
    let found = i32::try_from(child.id()).map_err(io::Error::other).and_then(Identity::of).map_err(say)?;
    let found = watched(found).ok_or_else(|| say(io::ErrorKind::NotFound.into()))?;
    {
        let mut slots = shared.slots();
        if let Some(slot) = slots.get_mut(id).filter(|slot| slot.boot == boot) {
            slot.agent = Some(found);
            // One that cannot be signalled has ended, which the watch is about to see.
            let _ = shared.tell(id, slot);
        }
    }
    shared.wake();
    Ok(())
}

/// Finds out how a boot ended whose agent is gone.
fn settle(shared: &Shared, id: &InstanceId, boot: u32, end: AgentEnd) {
    if end == AgentEnd::Exited(EXIT_HELD.into()) {
        let folder = shared.folder_of(id);
        let free = matches!(folder.lock(), Ok(Some(_)));
        if free && folder.status().is_none_or(|status| status.boot != boot) {
            // Whoever had the folder let go of it without having run anything.
            return begin(shared, id, boot);
        }
    }
    let told = shared.slots().get(id).is_some_and(|slot| slot.boot == boot && (slot.kill || slot.stop.is_some()));
    close(shared, id, boot, |status| match (status, end) {
        (None, _) if told => Exit::NeverStarted(STOPPED_BEFORE_START.into()),
        (None, end) => Exit::NotLaunched(never(end, &shared.folder_of(id))),
        (Some(_), AgentEnd::Killed(signal)) => Exit::Signal(signal),
        (Some(_), _) => Exit::Unknown,
    });
}

/// Ends a boot that no agent ends: sweeps what is left of it and writes down how it ended, holding the agent's lock, so that
/// an agent still on its way finds the boot closed. When another agent has the lock, the boot is that one's.
fn close(shared: &Shared, id: &InstanceId, boot: u32, how: impl FnOnce(Option<&Status>) -> Exit) {
    let folder = shared.folder_of(id);
    let lock = folder.lock();
    let status = folder.status().filter(|status| status.boot == boot);
    if let Some(Status { state: State::Ended { how }, .. }) = status {
        drop(lock);
        return finish(shared, id, boot, how);
    }
    if let Ok(None) = lock {
        return await_the_other(shared, id, boot, status);
    }
    let group = shared.groups.group(id.as_str());
    group.kill();
    let mark = format!("{MARK}={id}");
    // Whatever withstands this is stuck in the kernel, and no longer runs.
    process::sweep(|| process::together(None, &group.members(), &mark), SWEEP_LIMIT);
    let _ = group.remove();
    if let Ok(Some(spec)) = folder.spec() {
        enclosures::sweep(&spec);
    }
    let how = how(status.as_ref());
    let application = status.and_then(|status| status.application);
    // On a full disk the next driver comes to the same answer by itself.
    let _ = folder.set_status(&Status { boot, agent: None, application, state: State::Ended { how: how.clone() } });
    drop(lock);
    finish(shared, id, boot, how);
}

/// Another agent has the folder: watch it, or wait until it says who it is.
fn await_the_other(shared: &Shared, id: &InstanceId, boot: u32, status: Option<Status>) {
    let other = status.and_then(|status| status.agent).and_then(watched);
    {
        let mut slots = shared.slots();
        let Some(slot) = slots.get_mut(id).filter(|slot| slot.boot == boot && slot.agent.is_none()) else { return };
        slot.awaits_agent = other.is_none();
        if slot.awaits_agent {
            slot.overdue = Some(Instant::now() + START_LIMIT);
        }
        slot.agent = other;
        // One that cannot be signalled has ended, which the watch is about to see.
        let _ = shared.tell(id, slot);
    }
    shared.wake();
}

fn never(end: AgentEnd, folder: &Folder) -> String {
    let how = match end {
        AgentEnd::Exited(status) => format!("it exited with status {status}"),
        AgentEnd::Killed(signal) => format!("it was ended by signal {signal}"),
        AgentEnd::Unseen => "it ended unseen".to_owned(),
    };
    let log = fs::read(folder.file("agent.log")).unwrap_or_default();
    let last = String::from_utf8_lossy(&log).lines().last().map(|line| format!(": {line}")).unwrap_or_default();
    format!("start the application: its agent came to nothing, {how}{last}")
}

fn finish(shared: &Shared, id: &InstanceId, boot: u32, how: Exit) {
    {
        let mut slots = shared.slots();
        let Some(slot) = slots.get_mut(id).filter(|slot| slot.boot == boot && !slot.ended()) else { return };
        slot.state = SeenState::Ended { how };
        slot.agent = None;
        slot.overdue = None;
    }
    shared.hint();
}
