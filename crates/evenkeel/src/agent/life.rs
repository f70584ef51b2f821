//! The life of one boot: running, stopping, killing, over. Owns the loop that waits for signals, output and deadlines;
//! must never poll where an event comes, nor end while a process of the instance is left.
//!
//! The agent is the reaper of everything below the application (prctl(2), PR_SET_CHILD_SUBREAPER): whatever loses its
//! parent becomes its child. So when it has no child left, nothing below it is left either.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evenkeel_core::time::Timestamp;
use rustix::process::{Signal, WaitOptions, getpid, set_child_subreaper, wait};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::console::Console;
use super::launch::{self, DEFAULT_PATH};
use crate::drivers::Exit;
use crate::drivers::folder::{Folder, MARK, Spec, State, Status};
use crate::sys::cgroup::Group;
use crate::sys::process::{self, Identity};

/// How long processes that outlive the application have between TERM and KILL; less when the manifest's grace is less.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// How long after a KILL the agent waits for a process that is stuck in the kernel before it gives up on it.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long until a status that could not be written (a full disk) is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// Why an agent gives up. Completes "failed to …".
#[derive(Debug, Error)]
pub(super) enum AgentError {
    /// Another agent has the folder.
    #[error("take the folder: another agent has it")]
    Held,
    /// The folder does not ask for this boot.
    #[error("find boot {0} in `spec.json`")]
    NoSpec(u32),
    /// The operating system said no.
    #[error("run: {0}")]
    Io(#[from] io::Error),
}

/// Runs one boot to its end. A boot that was run already is left as it is.
pub(super) async fn live(folder: &Folder, boot: u32) -> Result<(), AgentError> {
    let mut term = signal(SignalKind::terminate())?;
    let mut child = signal(SignalKind::child())?;
    // Taken over so that neither ends the agent; an instance is stopped by TERM.
    let _ignored = (signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?);
    let Some(_lock) = folder.lock()? else { return Err(AgentError::Held) };
    let spec = folder.spec()?.filter(|s| s.boot == boot).ok_or(AgentError::NoSpec(boot))?;
    if folder.status().is_some_and(|s| s.boot >= boot) {
        return Ok(());
    }
    set_child_subreaper(Some(getpid())).map_err(io::Error::from)?;
    let agent = Identity::own()?;
    let status = Status { boot, agent: Some(agent), application: None, state: State::Starting };
    // Unwritten, the driver could not find this agent again: then nothing may be started.
    folder.set_status(&status)?;

    let mut console = Console::open(folder);
    let (group, doors) = match join(&spec) {
        Ok(joined) => joined,
        Err(e) => {
            eprintln!("evenkeel agent: failed to limit the instance, so it runs without limits: {e}");
            (spec.groups.group(spec.instance.as_str()), Vec::new())
        }
    };
    let (reader, writer) = io::pipe()?;
    let path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.into());
    let started = launch::start(folder, &spec, &path, writer.into(), doors);
    let mut boot = Boot { folder, spec: &spec, status, unwritten: false, group };
    let how = match started {
        Ok(pid) => {
            boot.status.application = Identity::of(pid).ok();
            boot.say(State::Running { since: now() });
            let output = Receiver::from_owned_fd(reader.into())?;
            boot.run(pid, output, &mut console, &mut term, &mut child).await
        }
        Err(why) => Exit::NeverStarted(why),
    };
    console.note(&format!("boot {}: {how}", spec.boot));
    // A group still in use (a process stuck in the kernel) is removed by the driver, which tries again later.
    let _ = boot.group.remove();
    if boot.say(State::Ended { how }) {
        Ok(())
    } else {
        // Told by this agent's own end, the driver sees at once that it is over, though not how.
        Err(io::Error::from(io::ErrorKind::StorageFull).into())
    }
}

fn join(spec: &Spec) -> io::Result<(Group, Vec<File>)> {
    let group = spec.groups.make(spec.instance.as_str(), spec.limits.cpu_millis, spec.limits.memory)?;
    let doors = group.doors()?;
    Ok((group, doors))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How far the end of a boot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not begun.
    Running,
    /// All were sent TERM; KILL follows at this time.
    Stopping(Instant),
    /// All were sent KILL; what is left at this time is given up.
    Killing(Instant),
}

struct Boot<'a> {
    folder: &'a Folder,
    spec: &'a Spec,
    status: Status,
    unwritten: bool,
    group: Group,
}

impl Boot<'_> {
    /// From the application's start until nothing is left of it.
    async fn run(
        &mut self,
        application: i32,
        output: Receiver,
        console: &mut Console,
        term: &mut tokio::signal::unix::Signal,
        child: &mut tokio::signal::unix::Signal,
    ) -> Exit {
        let mut output = Some(output);
        let mut buffer = vec![0; 16 * 1024];
        let mut phase = Phase::Running;
        let mut exit = None;
        // One that ended before SIGCHLD was listened for would never be told of.
        let mut childless = reap(application, &mut exit);
        loop {
            if let (Some(_), Phase::Running) = (&exit, phase) {
                let grace = self.grace(Duration::from_secs(self.spec.manifest.stop_grace.into()));
                phase = self.terminate(grace.min(LEFTOVER_GRACE));
            }
            if childless && self.alone() {
                break;
            }
            let deadline = match phase {
                Phase::Running => None,
                Phase::Stopping(at) | Phase::Killing(at) => Some(at),
            };
            let again = self.unwritten.then(|| Instant::now() + WRITE_AGAIN);
            tokio::select! {
                biased;
                _ = term.recv() => {
                    let grace = self.grace(Duration::from_secs(self.spec.manifest.stop_grace.into()));
                    phase = match phase {
                        Phase::Running => self.terminate(grace),
                        Phase::Stopping(at) => Phase::Stopping(at.min(Instant::now() + grace)),
                        killing @ Phase::Killing(_) => killing,
                    };
                }
                _ = child.recv() => {
                    childless = reap(application, &mut exit);
                    if matches!(phase, Phase::Killing(_)) {
                        // Whatever was born after the last KILL.
                        self.send(Signal::KILL);
                    }
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    if matches!(phase, Phase::Killing(_)) {
                        eprintln!("evenkeel agent: failed to end every process: some are stuck in the kernel");
                        break;
                    }
                    self.group.kill();
                    self.send(Signal::KILL);
                    phase = Phase::Killing(Instant::now() + KILL_LIMIT);
                }
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                    self.say(self.status.state.clone());
                }
                read = read_some(&mut output, &mut buffer), if output.is_some() => match read {
                    Ok(n) if n > 0 => console.write(&buffer[..n]),
                    _ => output = None,
                }
            }
        }
        drain(output, &mut buffer, console);
        exit.unwrap_or(Exit::Unknown)
    }

    /// The grace that came with the TERM, or the manifest's.
    fn grace(&self, manifest: Duration) -> Duration {
        self.folder.ask(self.spec.boot).map_or(manifest, |ask| Duration::from_millis(ask.grace_ms))
    }

    fn terminate(&self, grace: Duration) -> Phase {
        self.send(Signal::TERM);
        Phase::Stopping(Instant::now() + grace)
    }

    fn send(&self, signal: Signal) {
        for process in self.left() {
            // One that we may not signal has changed its user; nothing more can be done about it from here.
            let _ = process::signal(&process, signal);
        }
    }

    fn left(&self) -> Vec<std::os::fd::OwnedFd> {
        let mark = format!("{MARK}={}", self.spec.instance);
        process::together(Some(getpid().as_raw_nonzero().get()), &self.group.members(), &mark)
    }

    /// Without children nothing below us is left; what carries the mark all the same has another reaper, and is killed.
    fn alone(&self) -> bool {
        process::sweep(|| self.left(), KILL_LIMIT)
    }

    /// Writes the status. False, and to be tried again, when the disk does not take it.
    fn say(&mut self, state: State) -> bool {
        self.status.state = state;
        let written = self.folder.set_status(&self.status);
        if let (Err(e), false) = (&written, self.unwritten) {
            eprintln!("evenkeel agent: failed to write `status.json`: {e}");
        }
        self.unwritten = written.is_err();
        !self.unwritten
    }
}

/// Reaps whatever has ended. True when there are no children any more.
fn reap(application: i32, exit: &mut Option<Exit>) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == application => {
                *exit = Some(match (status.exit_status(), status.terminating_signal()) {
                    (Some(status), _) => Exit::Status(status),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => Exit::Unknown,
                });
            }
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

async fn read_some(output: &mut Option<Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    match output {
        Some(output) => output.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// What was printed last and not yet read: at most what a pipe holds, since nobody writes any more. Read past the runtime,
/// which may not have noticed yet that there is something.
fn drain(output: Option<Receiver>, buffer: &mut [u8], console: &mut Console) {
    let Some(Ok(output)) = output.map(Receiver::into_nonblocking_fd) else { return };
    let mut output = File::from(output);
    for _ in 0..64 {
        match output.read(buffer) {
            Ok(n) if n > 0 => console.write(&buffer[..n]),
            _ => return,
        }
    }
}
