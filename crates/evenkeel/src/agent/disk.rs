//! What an instance's files take up on the disk, where its image states `resources.disk_mib`. Owns the two ways in which that
//! is held: the kernel lets no file of the instance grow above it, and the agent measures all files again and again. Must
//! never follow a link, hold up the agent, nor be counted on to the byte: between two measurements an instance can write.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_core::noun::Manifest;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Between two measurements, at least.
const REST: Duration = Duration::from_secs(2);
/// How many times as long as a measurement takes nothing is measured after it.
const IDLE: u32 = 20;
/// What the agent's own files may need in any case: the console and the records of the boot.
const OWN: u64 = 16 * MIB;
const MIB: u64 = 1024 * 1024;
/// What the system counts a file's blocks in (stat(2)).
const BLOCK: u64 = 512;

/// The measuring.
pub(super) struct Disk {
    root: PathBuf,
    mib: u32,
    due: Instant,
    measuring: Option<JoinHandle<(u64, Duration)>>,
}

impl Disk {
    /// Begins to hold what the manifest states, of this process and those that it starts; `None` where it states nothing.
    pub(super) fn hold(root: PathBuf, manifest: &Manifest) -> Option<Self> {
        let mib = manifest.resources.disk_mib?;
        let most = Some((u64::from(mib) * MIB).max(OWN));
        if let Err(error) = setrlimit(Resource::Fsize, Rlimit { current: most, maximum: most }) {
            eprintln!("evenkeel agent: failed to limit the size of files: {}", std::io::Error::from(error));
        }
        Some(Self { root, mib, due: Instant::now() + REST, measuring: None })
    }

    /// Comes back once the files are larger than they may be, with what they may be. It may be dropped and called again.
    pub(super) async fn outgrown(&mut self) -> u32 {
        let limit = u64::from(self.mib) * MIB;
        loop {
            let Some(measuring) = &mut self.measuring else {
                sleep_until(self.due).await;
                let root = self.root.clone();
                self.measuring = Some(tokio::task::spawn_blocking(move || {
                    let begun = std::time::Instant::now();
                    (measure(&root, limit), begun.elapsed())
                }));
                continue;
            };
            let (used, took) = measuring.await.unwrap_or_default();
            self.measuring = None;
            self.due = Instant::now() + REST.max(took * IDLE);
            if used > limit {
                return self.mib;
            }
        }
    }
}

/// What everything below a folder takes up, or more than `enough`. What goes meanwhile is not counted.
fn measure(root: &Path, enough: u64) -> u64 {
    let mut linked = HashSet::new();
    let (mut used, mut folders) = (0u64, vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.nlink() > 1 && !linked.insert((about.dev(), about.ino())) {
                continue;
            }
            used = used.saturating_add(about.blocks() * BLOCK);
            if used > enough {
                return used;
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_disk_is_counted_once() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = dir.path().join("deep");
        std::fs::create_dir(&folder).unwrap();
        let before = measure(dir.path(), u64::MAX);
        std::fs::write(folder.join("a"), vec![1; 1 << 20]).unwrap();
        std::fs::hard_link(folder.join("a"), folder.join("b")).unwrap();
        std::fs::File::create(folder.join("sparse")).unwrap().set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("/", folder.join("all")).unwrap();
        // Some file systems put blocks down late.
        std::fs::File::open(folder.join("a")).unwrap().sync_all().unwrap();
        let grown = measure(dir.path(), u64::MAX) - before;
        assert!((1 << 20..2 << 20).contains(&grown), "{grown}");
        assert!(measure(dir.path(), 1000) > 1000);
        assert_eq!(measure(&dir.path().join("nowhere"), 0), 0);
    }
}
