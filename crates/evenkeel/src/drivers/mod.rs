//! How an instance really runs. Owns the [`Driver`] trait and the words between a Loop and a driver: what to launch
//! ([`LaunchSpec`]), what was seen ([`Seen`]), how it ended ([`Exit`]).
//!
//! Must never know World: a driver is told what to run and says what it sees; whether that is right is a Loop's to
//! decide. Read [`process`] next for real processes, [`memory`] for the simulator's, [`limits`] for instance types.

pub mod folder;
pub mod limits;
pub mod memory;
pub mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_core::name::{InstanceId, ZoneName};
use evenkeel_core::noun::{InstanceStatus, Manifest};
use evenkeel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use thiserror::Error;

pub use limits::{Limits, limits_for};
pub use memory::MemoryDriver;
pub use process::{ProcessConfig, ProcessDriver};

use crate::sys::usage::Usage;

/// Called after anything that [`Driver::seen`] reports has changed. It runs on the driver's own threads and must
/// return at once; what changed is asked for, not told, so hints may be merged or repeated freely.
pub type Hint = Arc<dyn Fn() + Send + Sync>;

/// The most that [`Driver::console`] answers with: the last 64 KiB, as EC2's GetConsoleOutput.
pub const CONSOLE_LIMIT: usize = 64 * 1024;

/// What keeps an instance apart from the others of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Nothing but its own address: its processes are among all others
    #[default]
    None,
    /// Its own network, process ids, host name, `/tmp` and view of the node's files; needs root
    Namespaces,
    /// A Docker container, on this node or another
    Docker,
}

/// A Docker Engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Where it listens: `unix:///var/run/docker.sock`, `tcp://10.0.0.5:2376`.
    pub host: String,
    /// A folder with `ca.pem`, `cert.pem` and `key.pem`, where it is spoken to over TLS.
    #[serde(default)]
    pub certs: Option<PathBuf>,
    /// The network of its instances: addresses and prefix, as `10.81.0.0/16`.
    pub network: String,
}

/// What keeps instances apart, zone by zone. An instance keeps what it was first started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolations {
    /// In zones that have none of their own.
    pub elsewhere: Isolation,
    /// In zones that have.
    pub zones: BTreeMap<ZoneName, Isolation>,
    /// The engine of zones that have none of their own, where containers are wanted.
    pub engine: Option<Engine>,
    /// Those of zones that have.
    pub engines: BTreeMap<ZoneName, Engine>,
}

impl Isolations {
    /// What keeps an instance apart that is first started in this zone.
    #[must_use]
    pub fn of(&self, zone: &ZoneName) -> Isolation {
        self.zones.get(zone).copied().unwrap_or(self.elsewhere)
    }

    /// The engine of this zone's containers.
    #[must_use]
    pub fn engine_of(&self, zone: &ZoneName) -> Option<&Engine> {
        self.engines.get(zone).or(self.engine.as_ref())
    }

    /// The engines of all zones whose instances are containers.
    #[must_use]
    pub fn used_engines(&self) -> Vec<Engine> {
        let own = self.zones.iter().filter(|(_, isolation)| **isolation == Isolation::Docker);
        let elsewhere = self.engine.iter().filter(|_| self.elsewhere == Isolation::Docker);
        let mut engines: Vec<_> = own.filter_map(|(zone, _)| self.engine_of(zone)).chain(elsewhere).cloned().collect();
        engines.sort_by(|a, b| a.host.cmp(&b.host));
        engines.dedup_by(|a, b| a.host == b.host);
        engines
    }

    /// Whether any zone has this one.
    #[must_use]
    pub fn has(&self, isolation: Isolation) -> bool {
        self.elsewhere == isolation || self.zones.values().any(|own| *own == isolation)
    }
}

impl From<Isolation> for Isolations {
    /// One for all zones.
    fn from(elsewhere: Isolation) -> Self {
        Self { elsewhere, ..Self::default() }
    }
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchSpec {
    /// The instance.
    pub instance: InstanceId,
    /// Which of its starts this is ([`evenkeel_core::noun::Instance::boots`]). One boot is started at most once.
    pub boot: u32,
    /// The image's files; copied at the instance's first boot, kept over later ones.
    pub image_dir: PathBuf,
    /// What the image runs.
    pub manifest: Manifest,
    /// Where it runs: the application's `EVENKEEL_ZONE`.
    pub zone: ZoneName,
    /// Its private address: the application's `HOST`.
    pub address: IpAddr,
    /// What it may use.
    pub limits: Limits,
    /// User data, raw.
    pub user_data: Option<Vec<u8>>,
    /// Whether there is more to boot than the application ([`crate::boot::is_due`]).
    pub boots: bool,
    /// Where it finds its metadata: the application's `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub metadata: Option<String>,
}

/// One instance as the driver sees it: its newest boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The instance.
    pub instance: InstanceId,
    /// Which of its starts.
    pub boot: u32,
    /// How that start fares.
    pub state: SeenState,
}

/// What an instance on this machine is measured by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The instance.
    pub instance: InstanceId,
    /// Its first process: all others are below it.
    pub pid: i32,
    /// The node's end of its network link, where it has one of its own.
    pub link: Option<String>,
}

/// What an instance has used whose processes are elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Elsewhere {
    /// The instance.
    pub instance: InstanceId,
    /// The process on this machine that looks after this start of it.
    pub pid: i32,
    /// When this was so.
    pub at: Instant,
    /// What it has used since this start. Of its tasks there is nothing.
    pub usage: Usage,
    /// Processors that its machine has, where that is known.
    pub cpus: Option<u32>,
    /// Bytes of memory that it may use, where that is known.
    pub memory: Option<u64>,
}

/// How a boot fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenState {
    /// Launched; the application was not started yet.
    Starting,
    /// The instance is up. Whether its application listens is a health check's to say.
    Running {
        /// Since when.
        since: Timestamp,
        /// How its boot and its application fare.
        status: InstanceStatus,
    },
    /// Over: none of its processes is left.
    Ended {
        /// How.
        how: Exit,
    },
}

/// How a boot ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// The application exited with this status.
    Status(i32),
    /// The application, or the agent above it, was ended by this signal.
    Signal(i32),
    /// The application was never started; why, completing "failed to …".
    NeverStarted(String),
    /// The node could not launch it; why, completing "failed to …".
    NotLaunched(String),
    /// The node had no room to launch it, on disk, in memory or for processes; why, completing "failed to …".
    NoRoom(String),
    /// It was stopped while no application ran: its boot was under way or had failed, or the application was about to be
    /// started again.
    Stopped,
    /// Its files took up more of the disk than its image states.
    OverDisk {
        /// MiB that they may take up.
        mib: u32,
    },
    /// It ended while nobody could see how (the machine went down, or its agent was lost).
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "application exited with status {status}"),
            Self::Signal(signal) => write!(f, "application was ended by signal {signal}"),
            Self::NeverStarted(why) => write!(f, "application was never started: failed to {why}"),
            Self::NotLaunched(why) => write!(f, "the node could not launch it: failed to {why}"),
            Self::NoRoom(why) => write!(f, "the node has no room for it: failed to {why}"),
            Self::Stopped => f.write_str("it was stopped while no application ran"),
            Self::OverDisk { mib } => write!(f, "it was ended: its files take up more than the {mib} MiB of its image"),
            Self::Unknown => f.write_str("application ended unseen"),
        }
    }
}

/// An instance's files on this machine.
#[derive(Debug)]
pub enum FilesOf {
    /// Those that it works with.
    Own(PathBuf),
    /// A copy, for as long as this is held.
    Copy(TempDir),
    /// The image's files and its own changes over them, which are whole for as long as this is held.
    Laid {
        /// Where.
        path: PathBuf,
        /// What keeps them there.
        held: OwnedFd,
    },
}

impl FilesOf {
    /// The folder that they are in.
    #[must_use]
    pub fn root(&self) -> &Path {
        match self {
            Self::Own(path) | Self::Laid { path, .. } => path,
            Self::Copy(folder) => folder.path(),
        }
    }
}

/// Why a driver cannot do as told. Completes "failed to launch/stop/remove …".
#[derive(Debug, Error)]
pub enum DriverError {
    /// Launch or remove while a boot is not over.
    #[error("instance `{instance}` still runs its boot {boot}")]
    StillRunning {
        /// The instance.
        instance: InstanceId,
        /// The boot that runs.
        boot: u32,
    },
    /// A launch of a boot older than what was seen.
    #[error("instance `{instance}` was already started for boot {seen}, after the boot {asked} asked for")]
    Stale {
        /// The instance.
        instance: InstanceId,
        /// The boot that was asked for.
        asked: u32,
        /// The newest boot seen.
        seen: u32,
    },
    /// Another process drives the same folder.
    #[error("open `{0}`: another evenkeel process drives the instances there")]
    Held(PathBuf),
    /// The driver cannot launch for a reason of its own.
    #[error("{0}")]
    Refused(String),
    /// The operating system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, naming the thing.
        what: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Runs instances. Every call may be repeated and none waits for a process: what came of it shows in [`Driver::seen`].
pub trait Driver: Send + Sync {
    /// Starts a boot. Repeating it for a boot already seen, running or ended, changes nothing. An error means that
    /// nothing was begun; what goes wrong later shows as [`Exit::NotLaunched`], [`Exit::NoRoom`] or [`Exit::NeverStarted`].
    fn launch(&self, spec: &LaunchSpec) -> Result<(), DriverError>;

    /// Ends an instance in order: TERM to all its processes, KILL to what is left after `grace`. Returns at once; again
    /// with a shorter `grace` hastens it. An unknown or ended instance is left as it is.
    fn stop(&self, instance: &InstanceId, grace: Duration) -> Result<(), DriverError>;

    /// Ends an instance by KILL. Returns at once; an unknown or ended instance is left as it is.
    fn kill(&self, instance: &InstanceId) -> Result<(), DriverError>;

    /// Deletes what an ended instance left: its files and its console. Afterwards it is no longer seen.
    fn remove(&self, instance: &InstanceId) -> Result<(), DriverError>;

    /// Every instance that has not been removed, in the order of ids.
    fn seen(&self) -> Vec<Seen>;

    /// The end of what the application printed over all its boots, at most [`CONSOLE_LIMIT`] bytes; empty before it
    /// printed anything, `NotFound` for an unknown instance.
    fn console(&self, instance: &InstanceId) -> io::Result<Vec<u8>>;

    /// An instance's files, to be read on this machine. The error completes "failed to …".
    fn files(&self, instance: &InstanceId) -> Result<FilesOf, String> {
        Err(format!("find the files of `{instance}`"))
    }

    /// Of each instance that runs and whose processes are on this machine, what it is measured by.
    fn roots(&self) -> Vec<Root> {
        Vec::new()
    }

    /// Of each instance that runs and whose processes are elsewhere, what it has used, or why that is not known; the same of a
    /// place that does not answer at all. Waits for all of them. Errors complete "failed to …".
    fn elsewhere(&self) -> Vec<Result<Elsewhere, String>> {
        Vec::new()
    }

    /// Asks to be hinted after every change. Hints given before stay.
    fn subscribe(&self, hint: Hint);
}

/// Why a boot that was stopped while it waited has ended.
const STOPPED_BEFORE_START: &str = "start the application: it was stopped first";

/// Whether a launch begins something, given the newest boot seen of its instance. The rule is one for all drivers.
fn begins(spec: &LaunchSpec, boot: u32, state: &SeenState) -> Result<bool, DriverError> {
    let instance = || spec.instance.clone();
    match state {
        _ if spec.boot == boot => Ok(false),
        _ if spec.boot < boot => Err(DriverError::Stale { instance: instance(), asked: spec.boot, seen: boot }),
        SeenState::Ended { .. } => Ok(true),
        _ => Err(DriverError::StillRunning { instance: instance(), boot }),
    }
}
