//! The outbox: notices that wait, a file each, until every recipient has them or time is over.
//!
//! Owns that what was taken in is on disk before anybody is told so, and comes back after a crash; that each recipient is told in
//! order, one thing at a time, at least once; that what is said to be there once is taken in once, whoever is killed; and every bound: how many wait, how long, how often one is tried. A recipient that is
//! slow or hostile holds up nobody else. Everything that touches files waits: call it where that is allowed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Notice;

/// The most notices that wait.
pub const MOST_NOTICES: usize = 10_000;
/// The most bytes that wait.
pub const MOST_BYTES: u64 = 256 << 20;
/// The most notices that wait for one recipient: past it the oldest is given up.
pub const MOST_WAITING: usize = 1000;
/// For how long a recipient is tried.
pub const KEPT: Duration = Duration::from_secs(3600);
/// The first pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A file that is longer is none of ours: texts of 256 KiB, escaped, and what is around them.
const FILE_LIMIT: u64 = 8 << 20;
/// What a file of notices ends in, one that says who has its notice already, and one that is left of a notice that was to be taken in
/// once, when everybody has it.
const NOTICE: &str = "json";
const DONE: &str = "done";
const ONCE: &str = "once";

/// Why a notice was not taken in. Completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Too much waits already.
    #[error("take in a message: {MOST_NOTICES} messages or {MOST_BYTES} bytes wait to be delivered already")]
    Full,
    /// The disk says no.
    #[error("write to `{path}`: {error}")]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Something to be told to somebody now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// To which subscription.
    pub subscription: String,
    /// Which file of the outbox has it.
    pub file: String,
}

/// What came of a [`Job`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has it.
    Delivered,
    /// Nobody wants it any more.
    Unwanted,
    /// It will never take it, and why.
    Refused(String),
    /// It did not take it now, and why.
    Failed(String),
}

/// What was counted since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Notices that recipients took.
    pub delivered: u64,
    /// Notices that recipients did not get: refused, or their time was over.
    pub given_up: u64,
    /// Notices that wait.
    pub waiting: usize,
}

/// All that waits.
pub struct Outbox {
    dir: PathBuf,
    held: Mutex<Held>,
    /// Rung when there is something to do.
    pub ring: Notify,
}

#[derive(Default)]
struct Held {
    lines: BTreeMap<String, Line>,
    notices: BTreeMap<String, Entry>,
    bytes: u64,
    /// Ids of notices that are not taken in again, with their files' names.
    once: BTreeMap<String, String>,
    /// Whose turn it was last.
    last: String,
    taken_in: u64,
    delivered: u64,
    given_up: u64,
}

/// A file of a notice.
struct Entry {
    at: u64,
    bytes: u64,
    /// Recipients that do not have it yet.
    left: usize,
    /// Whether it is not to be taken in again when it is gone.
    once: bool,
}

/// What waits for one recipient, the oldest first.
#[derive(Default)]
struct Line {
    waiting: VecDeque<String>,
    fails: u32,
    not_before: Option<Instant>,
    is_busy: bool,
    why: String,
}

impl Outbox {
    /// Opens the outbox of a data directory, with all that waits in it.
    ///
    /// # Errors
    /// The folder cannot be made or read. A file that cannot is told of, and left.
    pub fn open(data_dir: &Path) -> Result<Self, OutboxError> {
        let dir = data_dir.join("notices");
        let disk = |error| OutboxError::Disk { path: dir.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(disk)?;
        let mut held = Held::default();
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(disk)? {
            let path = entry.map_err(disk)?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
            match (name, path.extension().and_then(|kind| kind.to_str())) {
                (Some(name), Some(NOTICE)) => names.push(name),
                (Some(name), Some(ONCE)) => held.not_again(&name),
                // Begun, and nobody was told that it was taken in.
                (_, Some("new")) => drop(fs::remove_file(&path)),
                _ => {}
            }
        }
        names.sort();
        for name in names {
            match read(&dir, &name) {
                Ok((notice, bytes)) => held.enter(&name, &notice, bytes, &done_with(&dir, &name)),
                Err(error) => eprintln!("notices: `{}/{name}.{NOTICE}` is left alone: {error}", dir.display()),
            }
        }
        let finished: Vec<String> =
            held.notices.iter().filter(|(_, entry)| entry.left == 0).map(|(name, _)| name.clone()).collect();
        for name in finished {
            held.remove(&dir, &name);
        }
        Ok(Self { dir, held: Mutex::new(held), ring: Notify::new() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a notice in: once this returns, it is on disk. One that is marked as [`Notice::once`], and that was taken in before, is
    /// taken in no more, until it is forgotten ([`Self::forget`]).
    ///
    /// # Errors
    /// Too much waits already, or the disk says no; then nothing was taken in.
    pub fn put(&self, notice: &Notice) -> Result<(), OutboxError> {
        if notice.to.is_empty() || (notice.once && self.held().once.contains_key(&notice.id)) {
            return Ok(());
        }
        let text = serde_json::to_vec(notice)
            .map_err(|error| OutboxError::Disk { path: self.dir.clone(), error: error.into() })?;
        let bytes = text.len() as u64;
        let name = {
            let mut held = self.held();
            if held.notices.len() >= MOST_NOTICES || held.bytes + bytes > MOST_BYTES {
                return Err(OutboxError::Full);
            }
            held.taken_in += 1;
            let name = format!("{:013}-{:06}-{}", notice.at, held.taken_in, notice.id);
            // Its place is taken before it is written, so that many at a time cannot go past the bounds.
            held.notices.insert(name.clone(), Entry { at: notice.at, bytes, left: usize::MAX, once: false });
            held.bytes += bytes;
            name
        };
        if let Err(error) = self.write(&name, &text) {
            self.held().remove(&self.dir, &name);
            return Err(OutboxError::Disk { path: self.dir.join(&name), error });
        }
        let mut held = self.held();
        if let Some(entry) = held.notices.remove(&name) {
            held.bytes -= entry.bytes;
        }
        held.enter(&name, notice, bytes, &[]);
        for subscription in &notice.to {
            held.shorten(&self.dir, subscription);
        }
        drop(held);
        self.ring.notify_one();
        Ok(())
    }

    /// Whoever put these in once will not do so again: nothing is kept of others.
    pub fn keep_only(&self, ids: &BTreeSet<String>) {
        let others: Vec<String> = self.held().once.keys().filter(|id| !ids.contains(*id)).cloned().collect();
        others.iter().for_each(|id| self.forget(id));
    }

    /// Whoever put this in once will not do so again.
    pub fn forget(&self, id: &str) {
        let mut held = self.held();
        let Some(name) = held.once.remove(id) else { return };
        match held.notices.get_mut(&name) {
            Some(entry) => entry.once = false,
            None => remove_file(&self.dir, &name, ONCE),
        }
    }

    fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let (new, whole) = (self.path(name, "new"), self.path(name, NOTICE));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, &whole)?;
        File::open(&self.dir)?.sync_all()
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.dir.join(format!("{name}.{kind}"))
    }

    /// Up to `most` things to be told now, at most one for each recipient; each must be [`Self::settle`]d.
    pub fn take(&self, now: Instant, most: usize) -> Vec<Job> {
        let mut held = self.held();
        let Held { lines, last, .. } = &mut *held;
        // From where it stopped the last time, so that the first in the alphabet are not always served first.
        let (before, after): (Vec<_>, Vec<_>) = lines.iter_mut().partition(|(name, _)| **name <= *last);
        let mut jobs = Vec::new();
        for (subscription, line) in after.into_iter().chain(before) {
            if jobs.len() == most {
                break;
            }
            let is_due = !line.is_busy && line.not_before.is_none_or(|at| at <= now);
            if let (true, Some(file)) = (is_due, line.waiting.front()) {
                line.is_busy = true;
                jobs.push(Job { subscription: subscription.clone(), file: file.clone() });
            }
        }
        if let Some(job) = jobs.last() {
            *last = job.subscription.clone();
        }
        jobs
    }

    /// When something is next to be told without anything new coming.
    pub fn next_due(&self) -> Option<Instant> {
        let held = self.held();
        held.lines.values().filter(|line| !line.is_busy).filter_map(|line| line.not_before).min()
    }

    /// The notice of a job.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn read(&self, job: &Job) -> io::Result<Notice> {
        Ok(read(&self.dir, &job.file)?.0)
    }

    /// Notes what came of a job; `wall` is now in milliseconds since 1970.
    pub fn settle(&self, job: &Job, ended: Ended, now: Instant, wall: u64) {
        let mut held = self.held();
        let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        let is_late = held.notices.get(&job.file).is_none_or(|entry| wall.saturating_sub(entry.at) >= kept);
        let Some(line) = held.lines.get_mut(&job.subscription) else { return };
        line.is_busy = false;
        if let Ended::Failed(why) = &ended {
            let pause = FIRST_PAUSE.saturating_mul(1 << line.fails.min(16)).min(LAST_PAUSE);
            line.fails = line.fails.saturating_add(1);
            line.not_before = Some(now + pause);
            line.why.clone_from(why);
            if !is_late {
                return;
            }
        } else {
            (line.fails, line.not_before) = (0, None);
        }
        line.waiting.pop_front();
        if line.waiting.is_empty() {
            held.lines.remove(&job.subscription);
        }
        match ended {
            Ended::Delivered => held.delivered += 1,
            Ended::Unwanted => {}
            Ended::Refused(why) | Ended::Failed(why) => {
                held.given_up += 1;
                eprintln!("notices: gave up a message to {}: {why}", job.subscription);
            }
        }
        held.finish(&self.dir, &job.file, &job.subscription);
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let held = self.held();
        Counts { delivered: held.delivered, given_up: held.given_up, waiting: held.notices.len() }
    }

    /// A line for each recipient that does not take what it is sent, at most `most`.
    pub fn notes(&self, most: usize) -> Vec<String> {
        let held = self.held();
        let failing = held.lines.iter().filter(|(_, line)| line.fails > 0);
        let note = |(name, line): (&String, &Line)| format!("{name}: {}; {} wait", line.why, line.waiting.len());
        failing.take(most).map(note).collect()
    }
}

impl Held {
    /// Puts a notice into the lines of those who do not have it.
    fn enter(&mut self, name: &str, notice: &Notice, bytes: u64, done: &[String]) {
        let mut left = 0;
        for subscription in notice.to.iter().filter(|to| !done.contains(to)) {
            self.lines.entry(subscription.clone()).or_default().waiting.push_back(name.to_owned());
            left += 1;
        }
        self.bytes += bytes;
        self.notices.insert(name.to_owned(), Entry { at: notice.at, bytes, left, once: notice.once });
        if notice.once {
            self.once.insert(notice.id.clone(), name.to_owned());
        }
    }

    /// Notes what is left of a notice; its id is the end of its name, after when it came and its number.
    fn not_again(&mut self, name: &str) {
        if let Some(id) = name.splitn(3, '-').nth(2) {
            self.once.insert(id.to_owned(), name.to_owned());
        }
    }

    /// Gives the oldest up where too much waits for one recipient; never what is being told just now.
    fn shorten(&mut self, dir: &Path, subscription: &str) {
        let Some(line) = self.lines.get_mut(subscription) else { return };
        if line.waiting.len() <= MOST_WAITING {
            return;
        }
        if let Some(name) = line.waiting.remove(usize::from(line.is_busy)) {
            self.given_up += 1;
            self.finish(dir, &name, subscription);
        }
    }

    /// A recipient is done with a notice.
    fn finish(&mut self, dir: &Path, name: &str, subscription: &str) {
        let Some(entry) = self.notices.get_mut(name) else { return };
        entry.left = entry.left.saturating_sub(1);
        if entry.left == 0 {
            self.remove(dir, name);
            return;
        }
        // What is lost of it in a crash is told once more.
        let noted = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join(format!("{name}.{DONE}")));
        if let Err(error) = noted.and_then(|mut file| writeln!(file, "{subscription}")) {
            eprintln!("notices: failed to note that {subscription} has `{name}`: {error}");
        }
    }

    fn remove(&mut self, dir: &Path, name: &str) {
        let entry = self.notices.remove(name);
        self.bytes = self.bytes.saturating_sub(entry.as_ref().map_or(0, |entry| entry.bytes));
        // In one step: whoever is killed leaves the one file or the other.
        let kept = entry.is_some_and(|entry| entry.once).then(|| {
            let (whole, left) = (dir.join(format!("{name}.{NOTICE}")), dir.join(format!("{name}.{ONCE}")));
            fs::rename(whole, left)
        });
        if let Some(Err(error)) = kept {
            eprintln!("notices: failed to keep what is left of `{name}`: {error}");
        }
        for kind in [NOTICE, DONE, "new"] {
            remove_file(dir, name, kind);
        }
    }
}

fn remove_file(dir: &Path, name: &str, kind: &str) {
    match fs::remove_file(dir.join(format!("{name}.{kind}"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            eprintln!("notices: failed to remove `{name}.{kind}`: {error}");
        }
        _ => {}
    }
}

fn read(dir: &Path, name: &str) -> io::Result<(Notice, u64)> {
    let path = dir.join(format!("{name}.{NOTICE}"));
    let bytes = fs::metadata(&path)?.len();
    if bytes > FILE_LIMIT {
        return Err(io::Error::other("it is too long to be a message"));
    }
    Ok((serde_json::from_slice(&fs::read(&path)?)?, bytes))
}

/// Who has a notice already.
fn done_with(dir: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(dir.join(format!("{name}.{DONE}"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
