//! The folder of an instance: what driver and agent tell each other, written so that either may die between any two
//! writes. Owns its layout; must never start or signal a process.
//!
//! Agents outlive upgrades, so driver and agent may be of different versions: a new field needs a default.
//!
//! | file | written by | says |
//! | --- | --- | --- |
//! | `root/` | driver | the application's files: copied beside, then renamed; kept over boots |
//! | `user-data` | driver | user data, raw |
//! | `spec.json` | driver | the boot to run. Without it no agent was ever started |
//! | `status.json` | agent | how that boot fares; by the driver only after the agent's death |
//! | `stop.json` | driver | the grace that goes with the TERM sent to the agent |
//! | `lock` | agent | held (flock) as long as an agent lives |
//! | `console.log`, `console.log.1` | agent | what the application printed, see [`crate::agent::console`] |
//! | `container.json` | driver | where its container is, if it is to have one: written before there is any |
//! | `enclosure.json` | agent | whose namespaces it is in, while it is in any, see [`crate::enclosures`] |
//! | `agent.log` | agent | its own complaints |

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use evenkeel_core::name::{InstanceId, ZoneName};
use evenkeel_core::noun::{InstanceStatus, Manifest};
use evenkeel_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Engine, Exit, Isolation, Limits};
use crate::lock::{self, Lock};
use crate::sys::cgroup::Groups;
use crate::sys::process::Identity;

/// The variable that marks every process of an instance.
pub const MARK: &str = "EVENKEEL_INSTANCE_ID";

/// Where in an instance's files its configuration is, written anew by every boot; it holds what the instance was told in
/// secret.
pub const CONFIG: &str = "etc/boto.cfg";

/// Names of the configuration in an instance's files, whole and half written: what no image may have.
pub const TOLD: [&str; 2] = [CONFIG, "etc/boto.cfg.new"];

/// What in a root filesystem something is mounted on in every enclosure: it is not the instance's.
pub const COVERED: [&str; 6] = ["proc", "sys", "dev", "etc/hosts", "etc/hostname", "etc/resolv.conf"];

/// `spec.json`: one boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The instance.
    pub instance: InstanceId,
    /// Which of its starts.
    pub boot: u32,
    /// What to run.
    pub manifest: Manifest,
    /// Where it runs.
    pub zone: ZoneName,
    /// Its private address.
    pub address: IpAddr,
    /// What it may use.
    pub limits: Limits,
    /// Where its control group may be made.
    pub groups: Groups,
    /// Whether there is more to boot than the application.
    #[serde(default)]
    pub boots: bool,
    /// Where it finds its metadata.
    #[serde(default)]
    pub metadata: Option<String>,
    /// What keeps it apart.
    #[serde(default)]
    pub isolation: Isolation,
    /// The image's files, where the instance's own are changes to them alone.
    #[serde(default)]
    pub image: Option<PathBuf>,
    /// Where its container is, if it is in one.
    #[serde(default)]
    pub engine: Option<Engine>,
}

/// `status.json`: how a boot fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The boot it speaks of.
    pub boot: u32,
    /// Who looks after it; absent when the driver wrote it after the agent's death.
    pub agent: Option<Identity>,
    /// The application, once it was started.
    pub application: Option<Identity>,
    /// How it fares.
    pub state: State,
}

/// As [`super::SeenState`], on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The agent is up.
    Starting,
    /// The instance is up: its boot has begun, or where it has none its application was started.
    Running {
        /// Since when.
        since: Timestamp,
        /// How it fares.
        #[serde(default)]
        status: InstanceStatus,
    },
    /// All its processes are gone.
    Ended {
        /// How.
        how: Exit,
    },
}

/// `stop.json`: what goes with a TERM to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The boot it is meant for.
    pub boot: u32,
    /// Milliseconds from TERM to KILL.
    pub grace_ms: u64,
}

/// An instance's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at this path, whether or not it exists.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The application's files.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.file("root")
    }

    /// The boot to run; `None` before there is one.
    pub fn spec(&self) -> io::Result<Option<Spec>> {
        self.read("spec.json")
    }

    /// Sets the boot to run. On disk when it returns: a folder without it is taken for half-made.
    pub fn set_spec(&self, spec: &Spec) -> io::Result<()> {
        self.write("spec.json", spec, true)
    }

    /// How the newest boot fares; `None` when there is nothing legible, as after a power cut.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.read("status.json").ok().flatten()
    }

    /// Says how a boot fares.
    pub fn set_status(&self, status: &Status) -> io::Result<()> {
        self.write("status.json", status, false)
    }

    /// The grace asked for this boot.
    #[must_use]
    pub fn ask(&self, boot: u32) -> Option<Ask> {
        self.read("stop.json").ok().flatten().filter(|ask: &Ask| ask.boot == boot)
    }

    /// Sets the grace that goes with the next TERM.
    pub fn set_ask(&self, ask: &Ask) -> io::Result<()> {
        self.write("stop.json", ask, false)
    }

    /// Takes the agent's lock, until it is dropped; `None` when another agent has it.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        lock::try_exclusive(&self.file("lock"))
    }

    /// Reads one of its JSON files; `None` when it is not there.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whole or not at all: written beside under a name of this process, then renamed.
    pub fn write(&self, name: &str, value: &impl Serialize, sync: bool) -> io::Result<()> {
        let beside = self.file(&format!("{name}.new-{}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(value)?)?;
            if sync {
                file.sync_all()?;
            }
            fs::rename(&beside, self.file(name))
        })();
        if written.is_err() {
            // The first error is the one that counts.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}
