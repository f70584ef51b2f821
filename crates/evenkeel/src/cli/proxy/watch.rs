//! Sees that somebody changed the proxy's file, or a certificate that it names.
//!
//! Owns the watches, on folders and not on files: editors and tools replace a file by renaming another one, or a symbolic
//! link above it. Must never say that something did change: only that it is worth reading again. Where the system gives no
//! watch, SIGHUP is left.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// What is written in several steps is read when it has been left alone for so long.
const QUIET: Duration = Duration::from_millis(100);
/// But no later than so long after the first step.
const PATIENCE: Duration = Duration::from_secs(1);

/// The folders that are watched.
pub(super) struct Watch {
    events: Arc<OwnedFd>,
    folders: BTreeSet<PathBuf>,
    stirs: Receiver<()>,
}

impl Watch {
    /// Starts a thread that waits for events. It ends with the process.
    pub(super) fn start() -> anyhow::Result<Self> {
        let flags = CreateFlags::NONBLOCK | CreateFlags::CLOEXEC;
        let events = Arc::new(inotify::init(flags).context("failed to watch files")?);
        let (tell, stirs) = channel(1);
        let heard = Arc::clone(&events);
        let thread = std::thread::Builder::new().name("files".into());
        thread.spawn(move || hear(&heard, &tell)).context("failed to start a thread")?;
        Ok(Self { events, folders: BTreeSet::new(), stirs })
    }

    /// Watches the folders of these files too; those that are watched already stay so.
    pub(super) fn follow<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
        for file in files {
            let folder = match file.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            if self.folders.contains(folder) {
                continue;
            }
            let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
            inotify::add_watch(&self.events, folder, flags)
                .with_context(|| format!("failed to watch `{}`", folder.display()))?;
            self.folders.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Waits until something has happened in one of the folders, and it is quiet there.
    pub(super) async fn stirred(&mut self) {
        if self.stirs.recv().await.is_none() {
            // Nothing more will be seen.
            std::future::pending().await
        }
    }
}

fn hear(events: &OwnedFd, tell: &Sender<()>) {
    while wait(events, None) && drain(events) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && wait(events, Some(QUIET)) {
            if !drain(events) {
                return;
            }
        }
        // One that waits already is enough; nobody waits any more when the process ends.
        if let Err(tokio::sync::mpsc::error::TrySendError::Closed(())) = tell.try_send(()) {
            return;
        }
    }
}

/// Whether there are events, within that time or at all.
fn wait(events: &OwnedFd, limit: Option<Duration>) -> bool {
    let limit = limit.map(|limit| Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) });
    loop {
        match poll(&mut [PollFd::new(events, PollFlags::IN)], limit.as_ref()) {
            Err(Errno::INTR) => {}
            found => return matches!(found, Ok(1..)),
        }
    }
}

/// Takes all events that are there; false when there will be no more.
fn drain(events: &OwnedFd) -> bool {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(events, &mut space);
    loop {
        match reader.next() {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return error == Errno::AGAIN,
        }
    }
}
