//! The data directory: made, locked, and the places in it.
//!
//! Owns its layout: `daemon.lock`, `state.db`, `credentials.toml`, `seal.key`, `endpoint`, `images/`, `instances/`, `metrics/`, and the road's
//! `road.lock`, `road.sock`, `road.log`, `routes.json`, `access.log`, `spool/`, and `buckets/`. Must never be shared by two daemons.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::lock::Lock;

/// A locked data directory.
#[derive(Debug)]
pub struct House {
    dir: PathBuf,
    _lock: Lock,
}

/// Where the lock of a data directory's daemon is.
#[must_use]
pub fn lock_path(data_dir: &Path) -> PathBuf {
    data_dir.join("daemon.lock")
}

/// Where the database of a data directory is.
#[must_use]
pub fn database_path(data_dir: &Path) -> PathBuf {
    data_dir.join("state.db")
}

impl House {
    /// Makes the directory if need be, for its owner's eyes only, and locks it.
    ///
    /// # Errors
    /// A directory that cannot be made or written, or one that another daemon holds: the text says which process.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("failed to make the data directory `{}`", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("failed to open `{}`", dir.display()))?;
        let path = lock_path(&dir);
        let lock = crate::lock::exclusive(&path).with_context(|| format!("failed to lock `{}`", path.display()))?;
        let Some(lock) = lock else {
            let pid =
                crate::lock::holder(&path).map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
            let at = fs::read_to_string(dir.join("endpoint")).unwrap_or_default();
            let at = if at.trim().is_empty() { String::new() } else { format!(" and answers at {}", at.trim()) };
            bail!("the data directory `{}` is held by {pid}, an evenkeel daemon that runs already{at}", dir.display());
        };
        Ok(Self { dir, _lock: lock })
    }

    /// The directory, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        database_path(&self.dir)
    }

    /// Writes down where the API answers, for command lines that are given nothing else.
    ///
    /// # Errors
    /// The system's.
    pub fn announce(&self, endpoint: &str) -> anyhow::Result<()> {
        let beside = self.dir.join("endpoint.new");
        let mut file = File::create(&beside).context("failed to write `endpoint`")?;
        writeln!(file, "{endpoint}")?;
        fs::rename(beside, self.dir.join("endpoint")).context("failed to write `endpoint`")
    }
}

/// The lowest port this process may bind: 0 with the capability, else what the system says.
#[must_use]
pub fn lowest_port() -> u16 {
    const CAP_NET_BIND_SERVICE: u64 = 1 << 10;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    if capabilities & CAP_NET_BIND_SERVICE != 0 {
        return 0;
    }
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    start.trim().parse().unwrap_or(1024)
}
