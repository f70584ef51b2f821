//! Processes that are not our children: who they are, watching, signalling and finding them. Owns [`Identity`], so that a
//! reused pid is never taken for the process it once was; must never act on a bare pid.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, getpid, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// The most of a process's environment that is searched for a mark: 1 MiB.
const ENVIRON_LIMIT: u64 = 1024 * 1024;

/// One process, for as long as the machine is up and beyond: pid, start and the machine's boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid.
    pub pid: i32,
    /// When it started, in clock ticks after the machine's boot (proc(5), `stat`, field 22).
    pub start: u64,
    /// The machine's boot (`/proc/sys/kernel/random/boot_id`).
    pub machine_boot: String,
}

impl Identity {
    /// Who has this pid now. True of the process meant only while that one cannot have been reaped.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start: stat(pid)?.start, machine_boot: machine_boot()? })
    }

    /// Who we are.
    pub fn own() -> io::Result<Self> {
        Self::of(getpid().as_raw_nonzero().get())
    }

    /// A descriptor that becomes readable when the process ends; `None` when it is gone and reaped, whoever has its pid.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        if self.machine_boot != machine_boot()? {
            return Ok(None);
        }
        open(self.pid, self.start)
    }
}

/// Whether there is a process of this pid that has not ended; whichever: pids are used again.
#[must_use]
pub fn lives(pid: i32) -> bool {
    stat(pid).is_ok_and(|stat| !stat.dead)
}

/// What the kernel says of a process.
struct Stat {
    dead: bool,
    parent: i32,
    session: i32,
    start: u64,
}

fn stat(pid: i32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|e| match e.raw_os_error() {
        Some(n) if n == Errno::SRCH.raw_os_error() => io::ErrorKind::NotFound.into(),
        _ => e,
    })?;
    parse_stat(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/<pid>/stat is not as proc(5) says"))
}

/// The command in the second field may hold anything, `)` and newlines too: fields count from its last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    Some(Stat { dead, parent, session: fields.nth(1)?.parse().ok()?, start: fields.nth(15)?.parse().ok()? })
}

fn machine_boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn open(pid: i32, start: u64) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
    let fd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(Errno::SRCH) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    // Asked after the descriptor is held: if the start is right now, it was right then.
    match stat(pid.as_raw_nonzero().get()) {
        Ok(stat) if stat.start == start => Ok(Some(fd)),
        Ok(_) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Sends a signal; a process that has ended already is no error.
pub fn signal(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// No process carries this: with it, only what descends from somebody is meant.
pub const NO_MARK: &str = "=";

/// Every living process, other than the caller, that belongs together: descendants of `root`, members of `listed`, and
/// those of our user that carry `mark` (`NAME=value`) in the environment they were started with. The mark finds those
/// that made themselves somebody else's children.
pub fn together(root: Option<i32>, listed: &[i32], mark: &str) -> Vec<OwnedFd> {
    let own = getpid().as_raw_nonzero().get();
    let user = geteuid().as_raw();
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        // One that ends while we look needs nothing more.
        let Ok(stat) = stat(pid) else { continue };
        all.insert(pid, stat);
    }
    let mut found: BTreeSet<i32> = listed.iter().copied().filter(|pid| all.contains_key(pid)).collect();
    found.extend(all.keys().copied().filter(|&pid| carries(pid, user, mark)));
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    for (&pid, stat) in &all {
        children.entry(stat.parent).or_default().push(pid);
    }
    let mut parents: Vec<i32> = found.iter().copied().chain(root).collect();
    while let Some(parent) = parents.pop() {
        for &child in children.get(&parent).into_iter().flatten() {
            if found.insert(child) {
                parents.push(child);
            }
        }
    }
    found.remove(&own);
    let alive = found.iter().filter_map(|pid| all.get(pid).map(|stat| (*pid, stat))).filter(|(_, stat)| !stat.dead);
    alive.filter_map(|(pid, stat)| open(pid, stat.start).ok().flatten()).collect()
}

fn carries(pid: i32, user: u32, mark: &str) -> bool {
    let folder = format!("/proc/{pid}");
    if !fs::metadata(&folder).is_ok_and(|about| about.uid() == user) {
        return false;
    }
    let mut environ = Vec::new();
    let read = File::open(folder + "/environ").and_then(|f| f.take(ENVIRON_LIMIT).read_to_end(&mut environ));
    read.is_ok() && environ.split(|b| *b == 0).any(|variable| variable == mark.as_bytes())
}

/// Kills everything that `find` finds until it finds nothing. False when something is left after `limit`, which only a
/// process stuck in the kernel can bring about.
pub fn sweep(mut find: impl FnMut() -> Vec<OwnedFd>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let mut left = find();
        if left.is_empty() {
            return true;
        }
        for process in &left {
            // One we may not signal shows as left over at the deadline.
            let _ = signal(process, Signal::KILL);
        }
        while let Some(process) = left.last() {
            if !ended_within(process, deadline.saturating_duration_since(Instant::now())) {
                return false;
            }
            left.pop();
        }
        if Instant::now() >= deadline {
            return false;
        }
    }
}

/// A descriptor of a child of ours that was not reaped yet; readable when it has ended.
pub fn watch(child: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(child).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Every living process of a session (setsid(2)), its leader too.
pub fn in_session(session: i32) -> Vec<OwnedFd> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        // One that ends while we look needs nothing more.
        let Ok(stat) = stat(pid) else { continue };
        if stat.session == session && !stat.dead {
            found.extend(open(pid, stat.start).ok().flatten());
        }
    }
    found
}

/// Every other living process of our PID namespace.
pub fn others() -> Vec<OwnedFd> {
    let own = getpid().as_raw_nonzero().get();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        // One that ends while we look needs nothing more.
        let Ok(stat) = stat(pid) else { continue };
        if pid != own && !stat.dead {
            found.extend(open(pid, stat.start).ok().flatten());
        }
    }
    found
}

/// Whether a process has ended, or does so in time.
pub fn ended_within(process: &OwnedFd, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Timespec::try_from(rest).ok().as_ref()) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn stat_is_read_past_any_command_name() {
        let text = format!("7 (a) S 1 (b) R 42 8 9 {} 777 0", vec!["0"; 15].join(" "));
        let stat = parse_stat(&text).unwrap();
        assert_eq!((stat.dead, stat.parent, stat.session, stat.start), (false, 42, 9, 777));
        assert!(parse_stat("7 (a").is_none());
        assert!(parse_stat("7 (a) R").is_none());
    }

    #[test]
    fn an_identity_is_not_only_a_pid() {
        let own = Identity::own().unwrap();
        assert!(own.open().unwrap().is_some());
        assert!(Identity { start: own.start + 1, ..own.clone() }.open().unwrap().is_none());
        assert!(Identity { machine_boot: "another".into(), ..own }.open().unwrap().is_none());
    }

    #[test]
    fn what_carries_the_mark_is_found_with_its_children_and_swept() {
        let value = format!("sweep-{}", std::process::id());
        let mark = format!("EVENKEEL_TEST_MARK={value}");
        let mut child = Command::new("/bin/sh")
            .args(["-c", "env -i sleep 300 & echo; wait"])
            .env("EVENKEEL_TEST_MARK", value)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        assert!(together(None, &[], &mark).len() >= 2, "the marked shell and its unmarked child");
        assert!(together(None, &[], &mark[..mark.len() - 1]).is_empty(), "a mark is a whole variable");
        assert!(sweep(|| together(None, &[], &mark), Duration::from_secs(5)));
        child.wait().unwrap();
    }
}
