//! The life of one boot: running, stopping, killing, over. Owns the loop that waits for signals, output and deadlines, and
//! tells [`super::course`] what happened; must never poll where an event comes, nor end while a process of the instance is
//! left.
//!
//! The agent is the reaper of everything below the application (prctl(2), PR_SET_CHILD_SUBREAPER): whatever loses its
//! parent becomes its child. So when it has no child left, nothing below it is left either.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evenkeel_core::noun::InstanceStatus;
use evenkeel_core::time::Timestamp;
use rustix::process::{Signal, WaitOptions, getpid, set_child_subreaper, wait};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::console::Console;
use super::course::{Act, Course, Event, Played};
use super::cron::Crontab;
use super::disk::Disk;
use super::launch;
use crate::boot::record::Record;
use crate::boot::{self, Role, cron};
use crate::drivers::folder::{Folder, MARK, Spec, State, Status};
use crate::drivers::{Exit, Isolation};
use crate::enclosures::files::Files;
use crate::enclosures::{self, Enclosure};
use crate::sys::cgroup::Group;
use crate::sys::memory;
use crate::sys::process::{self, Identity, NO_MARK};

/// How long processes that outlive the application have between TERM and KILL; less when the manifest's grace is less.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// How long after a KILL the agent waits for a process that is stuck in the kernel before it gives up on it.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// Whether this agent has just become idle.
static IS_IDLE: AtomicBool = AtomicBool::new(false);

/// What an agent does right before it waits: one that has become idle gives back the code that brought it there. Here hardly
/// anything comes between that and the wait, which would bring code in again.
pub(super) fn lie_down() {
    if IS_IDLE.swap(false, Ordering::Relaxed) {
        // An agent that cannot is as good, and larger.
        let _ = memory::give_back_code();
    }
}

/// How long after the last event an agent counts as idle.
const RESTS_AFTER: Duration = Duration::from_secs(2);
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
    let enclosure = match enclosures::open(folder, &spec) {
        Ok(enclosure) => enclosure,
        Err(why) => {
            let how = Exit::NotLaunched(why);
            console.note(&format!("boot {boot}: {how}"));
            folder.set_status(&Status { state: State::Ended { how }, ..status })?;
            return Ok(());
        }
    };
    let (group, doors) = match join(&spec) {
        Ok(joined) => joined,
        Err(e) => {
            eprintln!("evenkeel agent: failed to limit the instance, so it runs without limits: {e}");
            (spec.groups.group(spec.instance.as_str()), Vec::new())
        }
    };
    let (reader, writer) = io::pipe()?;
    let secret = spec.boots.then(secret).transpose()?;
    console.expect_marks(secret.clone());
    let mut course = Course::new(secret.is_some(), spec.manifest.restart);
    let acts = course.after(Event::Begun, false, Instant::now());
    // What a container has is on its engine's disk.
    let on_node = matches!(spec.isolation, Isolation::None | Isolation::Namespaces);
    let disk = on_node.then(|| Disk::hold(folder.root(), &spec.manifest)).flatten();
    let mut life = Life {
        disk,
        folder,
        spec: &spec,
        status,
        unwritten: false,
        group,
        doors,
        enclosure,
        files: enclosures::files(folder, &spec),
        is_open: true,
        output: writer.into(),
        secret,
        crontab: None,
        rests: None,
        course,
        application: None,
        player: None,
        exit: None,
        phase: Phase::Running,
        how: None,
        console,
    };
    life.carry_out(acts);
    let how = life.run(Receiver::from_owned_fd(reader.into())?, &mut term, &mut child).await;
    life.console.note(&format!("boot {}: {how}", spec.boot));
    life.enclosure.close();
    // A group still in use (a process stuck in the kernel) is removed by the driver, which tries again later.
    let _ = life.group.remove();
    if life.say(State::Ended { how }) {
        Ok(())
    } else {
        // Told by this agent's own end, the driver sees at once that it is over, though not how.
        Err(io::Error::from(io::ErrorKind::StorageFull).into())
    }
}

/// What marks in the output begin with: nobody in the instance can guess it.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the system has no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
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

struct Life<'a> {
    /// What its files may take up, where that is stated.
    disk: Option<Disk>,
    folder: &'a Folder,
    spec: &'a Spec,
    status: Status,
    unwritten: bool,
    group: Group,
    doors: Vec<File>,
    /// Where the application runs.
    enclosure: Box<dyn Enclosure>,
    /// The application's files, as it sees them.
    files: Box<dyn Files>,
    /// Whether it still stands.
    is_open: bool,
    /// The writing end of what the instance prints, for whatever is started.
    output: OwnedFd,
    secret: Option<String>,
    /// What is done again and again, from the application's first start on.
    crontab: Option<Crontab>,
    /// When it counts as idle, if it does not yet.
    rests: Option<Instant>,
    course: Course,
    /// The application's pid, while it lives.
    application: Option<i32>,
    /// The pid of a process of the boot, while it lives.
    player: Option<(Role, i32)>,
    /// How the application ended last.
    exit: Option<Exit>,
    phase: Phase,
    /// Why the boot is over, where the application's exit is not the reason.
    how: Option<Exit>,
    console: Console,
}

impl Life<'_> {
    /// From the boot's beginning until nothing of it is left.
    async fn run(
        &mut self,
        output: Receiver,
        term: &mut tokio::signal::unix::Signal,
        child: &mut tokio::signal::unix::Signal,
    ) -> Exit {
        let mut output = Some(output);
        let mut buffer = vec![0; 16 * 1024];
        // One that ended before SIGCHLD was listened for would never be told of.
        let mut childless = self.reap(&output, &mut buffer);
        loop {
            if self.phase != Phase::Running && childless && self.alone() {
                break;
            }
            let deadline = match self.phase {
                Phase::Running => self.course.due(),
                Phase::Stopping(at) | Phase::Killing(at) => Some(at),
            };
            let chime = self.crontab.as_ref().and_then(|crontab| crontab.wait(now()));
            let again = self.unwritten.then(|| Instant::now() + WRITE_AGAIN);
            tokio::select! {
                biased;
                _ = term.recv() => {
                    self.happened(Event::Asked);
                    if let Phase::Stopping(at) = self.phase {
                        self.phase = Phase::Stopping(at.min(Instant::now() + self.grace()));
                    }
                    childless = self.reap(&output, &mut buffer);
                }
                _ = child.recv() => {
                    childless = self.reap(&output, &mut buffer);
                    if matches!(self.phase, Phase::Killing(_)) {
                        // Whatever was born after the last KILL.
                        self.send(Signal::KILL);
                    }
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => match self.phase {
                    Phase::Running => {
                        self.happened(Event::Due);
                        childless = false;
                    }
                    Phase::Stopping(_) => {
                        self.group.kill();
                        self.send(Signal::KILL);
                        self.phase = Phase::Killing(Instant::now() + KILL_LIMIT);
                    }
                    Phase::Killing(_) => {
                        eprintln!("evenkeel agent: failed to end every process: some are stuck in the kernel");
                        break;
                    }
                },
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                    self.say(self.status.state.clone());
                }
                () = pause(chime), if chime.is_some() && self.phase == Phase::Running => {
                    self.come_round();
                    childless = false;
                }
                () = sleep_until(self.rests.unwrap_or_else(Instant::now)), if self.rests.is_some() => {
                    self.rests = None;
                    IS_IDLE.store(true, Ordering::Relaxed);
                }
                mib = outgrown(&mut self.disk), if self.phase == Phase::Running && self.disk.is_some() => {
                    self.happened(Event::Outgrown(Exit::OverDisk { mib }));
                }
                read = read_some(&mut output, &mut buffer), if output.is_some() => match read {
                    Ok(n) if n > 0 => self.console.write(&buffer[..n]),
                    _ => output = None,
                }
            }
        }
        drain(output.as_ref(), &mut buffer, &mut self.console);
        self.console.expect_marks(None);
        self.how.take().or(self.exit.take()).unwrap_or(Exit::Stopped)
    }

    /// Tells the course what happened, and does what follows.
    fn happened(&mut self, event: Event) {
        let acts = self.course.after(event, self.is_registered(), Instant::now());
        self.carry_out(acts);
    }

    fn carry_out(&mut self, acts: Vec<Act>) {
        self.rests = Some(Instant::now() + RESTS_AFTER);
        for act in acts {
            match act {
                Act::Play(role) => self.play(role),
                Act::Cut => self.cut(),
                Act::Start => self.start(),
                Act::Clear => {
                    if let InstanceStatus::Impaired { why } = self.course.status() {
                        self.console.note(&why);
                    }
                    self.clear();
                }
                Act::End(how) => {
                    self.how = Some(how);
                    self.terminate(self.grace().min(LEFTOVER_GRACE));
                }
                Act::Stop => self.terminate(self.grace()),
            }
        }
        self.show();
    }

    /// Writes down how the instance fares, where that is news.
    fn show(&mut self) {
        if self.course.is_closing() {
            return;
        }
        let since = match &self.status.state {
            State::Running { since, .. } => *since,
            // Where there is nothing to boot it is up once its application is.
            _ if self.secret.is_none() && self.application.is_none() => return,
            _ => now(),
        };
        let state = State::Running { since, status: self.course.status() };
        if self.status.state != state {
            self.say(state);
        }
    }

    /// Makes the enclosure anew where somebody has ended it.
    fn stand(&mut self) -> Result<(), String> {
        if !self.is_open {
            self.enclosure = enclosures::open(self.folder, self.spec)?;
            self.is_open = true;
        }
        Ok(())
    }

    fn play(&mut self, role: Role) {
        if let (Role::Mail, Some(why)) = (role, self.course.failure())
            && let Ok(mut record) = Record::of(self.folder, self.spec.boot)
            && record.failure.is_none()
        {
            record.failure = Some(why.to_owned());
            // On a full disk the mail says less than it could.
            let _ = record.write(self.folder);
        }
        let started = self.stand().and_then(|()| {
            launch::play(self.folder, self.spec.boot, role, self.secret.as_deref(), &self.output, &self.doors)
        });
        match started {
            Ok(pid) => self.player = Some((role, pid)),
            Err(why) => {
                eprintln!("evenkeel agent: failed to {why}");
                // Told as one that broke, it is tried again, and given up in the end.
                self.happened(Event::Played(role, Played::Broke(Exit::NeverStarted(why))));
            }
        }
    }

    fn cut(&self) {
        let Some((_, pid)) = self.player else { return };
        // Not reaped yet, so its pid is its own. What it runs dies with it.
        if let Ok(process) = process::watch(pid) {
            let _ = process::signal(&process, Signal::KILL);
        }
    }

    fn start(&mut self) {
        let started = self.stand().and_then(|()| {
            let command = &self.spec.manifest.command;
            let of = (self.folder, self.spec);
            launch::start(&*self.enclosure, &*self.files, of, command, &self.output, &self.doors)
        });
        if self.crontab.is_none() {
            let entries = cron::entries(self.folder);
            self.crontab = (!entries.is_empty()).then(|| Crontab::new(entries, now()));
        }
        let event = match started {
            Ok(pid) => {
                self.application = Some(pid);
                self.exit = None;
                self.status.application = Identity::of(pid).ok();
                if matches!(self.status.state, State::Running { .. }) {
                    // How it fares may be no news, but who it is is.
                    self.say(self.status.state.clone());
                }
                Event::Started(Ok(()))
            }
            Err(why) => Event::Started(Err(why)),
        };
        self.happened(event);
    }

    /// Starts what is due again.
    fn come_round(&mut self) {
        let Some(mut crontab) = self.crontab.take() else { return };
        for (place, command) in crontab.due(now()) {
            let of = (self.folder, self.spec);
            let started = self
                .stand()
                .and_then(|()| launch::start(&*self.enclosure, &*self.files, of, &command, &self.output, &self.doors));
            if let Some(said) = crontab.started(place, started) {
                self.console.note(&said);
            }
        }
        self.crontab = Some(crontab);
    }

    /// Ends what is left of the application's own session, so that a new one finds its port free.
    fn clear(&self) {
        let Some(leader) = self.status.application.as_ref().map(|identity| identity.pid) else { return };
        process::sweep(|| process::in_session(leader), LEFTOVER_GRACE);
        self.enclosure.clear(leader);
    }

    /// Whether the boot has taken the instance into service.
    fn is_registered(&self) -> bool {
        self.secret.is_some()
            && Record::of(self.folder, self.spec.boot).is_ok_and(|record| !record.registered.is_empty())
    }

    /// Reaps whatever has ended, and does what follows. True when there are no children any more.
    fn reap(&mut self, output: &Option<Receiver>, buffer: &mut [u8]) -> bool {
        loop {
            let (pid, exit) = match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => (
                    pid.as_raw_nonzero().get(),
                    match (status.exit_status(), status.terminating_signal()) {
                        (Some(status), _) => Exit::Status(status),
                        (None, Some(signal)) => Exit::Signal(signal),
                        (None, None) => Exit::Unknown,
                    },
                ),
                Err(rustix::io::Errno::INTR) => continue,
                Ok(None) => return false,
                // What follows from an end may have started another.
                Err(_) => return self.application.is_none() && self.player.is_none(),
            };
            if self.application == Some(pid) {
                self.application = None;
                // What it printed last comes before what is said of it.
                drain(output.as_ref(), buffer, &mut self.console);
                self.exit = Some(exit.clone());
                self.happened(Event::Ended(exit));
            } else if let Some((role, _)) = self.player.filter(|(_, player)| *player == pid) {
                self.player = None;
                drain(output.as_ref(), buffer, &mut self.console);
                let how = self.played(exit);
                self.happened(Event::Played(role, how));
            } else if let Some(said) = self.crontab.as_mut().and_then(|crontab| crontab.ended(pid, &exit)) {
                drain(output.as_ref(), buffer, &mut self.console);
                if let Some(said) = said {
                    self.console.note(&said);
                }
            } else if self.is_open && self.enclosure.holder() == Some(pid) {
                self.is_open = false;
                self.enclosure.close();
            }
        }
    }

    fn played(&self, exit: Exit) -> Played {
        match exit {
            Exit::Status(0) => Played::Done,
            Exit::Status(status) if status == i32::from(boot::EXIT_FAILED) => {
                let record = Record::of(self.folder, self.spec.boot).ok();
                let why = record.and_then(|record| record.failure);
                Played::Failed(why.unwrap_or_else(|| "boot, and nothing says why".to_owned()))
            }
            broke => Played::Broke(broke),
        }
    }

    /// The grace that came with the TERM, or the manifest's.
    fn grace(&self) -> Duration {
        let manifest = Duration::from_secs(self.spec.manifest.stop_grace.into());
        self.folder.ask(self.spec.boot).map_or(manifest, |ask| Duration::from_millis(ask.grace_ms))
    }

    fn terminate(&mut self, grace: Duration) {
        self.send(Signal::TERM);
        self.enclosure.leave();
        self.phase = Phase::Stopping(Instant::now() + grace);
    }

    fn send(&self, signal: Signal) {
        for process in self.left() {
            // One that we may not signal has changed its user; nothing more can be done about it from here.
            let _ = process::signal(&process, signal);
        }
    }

    fn left(&self) -> Vec<OwnedFd> {
        let mark = match self.spec.isolation {
            Isolation::None | Isolation::Namespaces => format!("{MARK}={}", self.spec.instance),
            // On an engine of this node its processes can be seen from here; but what stands for them is what counts.
            Isolation::Docker => NO_MARK.to_owned(),
        };
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

async fn pause(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}

async fn read_some(output: &mut Option<Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    match output {
        Some(output) => output.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// Comes back once its files are larger than they may be: with the MiB that they may be.
async fn outgrown(disk: &mut Option<Disk>) -> u32 {
    match disk {
        Some(disk) => disk.outgrown().await,
        None => std::future::pending().await,
    }
}

/// What was printed and not yet read: at most what a pipe holds. Read past the runtime, which may not have noticed yet that
/// there is something.
fn drain(output: Option<&Receiver>, buffer: &mut [u8], console: &mut Console) {
    let Some(output) = output else { return };
    for _ in 0..64 {
        match rustix::io::read(output, &mut *buffer) {
            Ok(n) if n > 0 => console.write(&buffer[..n]),
            _ => return,
        }
    }
}
