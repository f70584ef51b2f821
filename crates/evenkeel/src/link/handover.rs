//! The hand-over from one process that serves to the next: four messages over a Unix socket, and the descriptors.
//!
//! Owns the conversation, both ends of it, and its limits. Must never leave it open who serves: until `Yours` has been sent
//! the old process goes on whatever happens to the new one, and from then on the new one does. Both accept from the same
//! sockets meanwhile, so nobody is refused. Who asks and answers: [`super::road`] and [`crate::cli::proxy`].
//!
//! ```text
//! new                                    old
//!  Ask { protocol, build, pid }  ─────►   stops taking in changes
//!  ◄─────  Estate { routes, verdicts, tickets, … } and the descriptors, or Refuse
//!  starts its workers on them
//!  Ready  ─────►                          accepts nothing more
//!  ◄─────  Yours, or Refuse               drains and ends
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use evenkeel_core::routes::Routes;
use evenkeel_proxy::handover::{Estate, Tickets};
use evenkeel_proxy::probe::Verdict;
use evenkeel_proxy::target::TargetKey;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sockopt,
};
use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::build;
use super::frame;

/// The version of this conversation; others are refused.
pub const PROTOCOL: u32 = 1;
/// How long the old process waits until the new one serves.
pub const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long either end waits for any other message.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Descriptors in one message; the kernel takes 253.
const BATCH: usize = 128;
/// Descriptors at most: as many listeners as the World allows, on three nodes each.
const DESCRIPTORS: usize = 150_000;

/// What the new process says.
#[derive(Debug, Serialize, Deserialize)]
enum FromNew {
    Ask { protocol: u32, build: String, pid: u32 },
    Ready,
}

/// What the old process says.
#[derive(Debug, Serialize, Deserialize)]
enum FromOld {
    Refuse { why: String },
    Estate(Box<Will>),
    Yours,
}

/// What is written down of an estate; its descriptors follow.
#[derive(Debug, Serialize, Deserialize)]
struct Will {
    protocol: u32,
    build: String,
    pid: u32,
    sockets: usize,
    locked: bool,
    routes: Routes,
    verdicts: Vec<(TargetKey, Verdict)>,
    tickets: Vec<Tickets>,
}

/// What one process leaves to the next.
#[derive(Debug, Default)]
pub struct Legacy {
    /// What the old one drives by.
    pub routes: Routes,
    /// What it knows of the targets.
    pub verdicts: Vec<(TargetKey, Verdict)>,
    /// Its sockets and the keys of its tickets.
    pub estate: Estate,
    /// The lock that it holds, if it holds one: shared with the new one, so that it is never free.
    pub lock: Option<OwnedFd>,
}

/// Why nothing was handed over. Completes "failed to take over: …".
#[derive(Debug, Error)]
pub enum Kept {
    /// The other end says why.
    #[error("{0}")]
    Refused(String),
    /// The conversation broke.
    #[error("{0}")]
    Broken(#[from] io::Error),
}

/// A hand-over that has begun, as the new process sees it.
#[derive(Debug)]
pub struct Claim {
    stream: UnixStream,
    old: Option<OwnedFd>,
}

/// Asks the process at the other end for everything. It serves on until [`Claim::ready`].
///
/// # Errors
/// A process that refuses, or with which it cannot be spoken.
pub fn ask(mut stream: UnixStream) -> Result<(Claim, Legacy), Kept> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (build, pid) = (build::id().to_owned(), std::process::id());
    frame::write(&mut stream, &FromNew::Ask { protocol: PROTOCOL, build, pid })?;
    let will = match frame::read(&mut stream)? {
        FromOld::Estate(will) => *will,
        FromOld::Refuse { why } => return Err(Kept::Refused(why)),
        FromOld::Yours => return Err(Kept::Refused("it gives away before it shows what".into())),
    };
    if will.protocol != PROTOCOL {
        return Err(Kept::Refused(other_protocol(will.protocol)));
    }
    let old = i32::try_from(will.pid).ok().and_then(Pid::from_raw);
    let old = old.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let mut sockets = receive(&stream, will.sockets + usize::from(will.locked))?;
    let lock = if will.locked { sockets.pop() } else { None };
    let estate = Estate { sockets, tickets: will.tickets };
    Ok((Claim { stream, old }, Legacy { routes: will.routes, verdicts: will.verdicts, estate, lock }))
}

impl Claim {
    /// Says that this process serves; from the moment that it returns it is the one. Also when the old process died
    /// meanwhile: then nobody else is left.
    ///
    /// # Errors
    /// The old process goes on, and this one must end.
    pub fn ready(mut self) -> Result<(), Kept> {
        let answer = frame::write(&mut self.stream, &FromNew::Ready).and_then(|()| frame::read(&mut self.stream));
        match answer {
            Ok(FromOld::Yours) => Ok(()),
            Ok(FromOld::Refuse { why }) => Err(Kept::Refused(why)),
            Ok(FromOld::Estate(_)) => Err(Kept::Refused("it does not answer what was said".into())),
            Err(error) => self.judge(error),
        }
    }

    /// The old process said nothing. It may have died; and if it is only slow, from now on it cannot say `Yours` any more.
    fn judge(&mut self, error: io::Error) -> Result<(), Kept> {
        let late = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        if late {
            self.stream.shutdown(std::net::Shutdown::Both)?;
            // What it had said before that is still to be read.
            if matches!(frame::read(&mut self.stream), Ok(FromOld::Yours)) {
                return Ok(());
            }
        }
        if self.old.as_ref().is_some_and(|old| has_ended(old, PATIENCE)) {
            return Ok(());
        }
        Err(Kept::Broken(error))
    }
}

/// Whether a process has ended, or does so within that time.
fn has_ended(process: &OwnedFd, limit: Duration) -> bool {
    let limit = Timespec { tv_sec: i64::try_from(limit.as_secs()).unwrap_or(0), tv_nsec: 0 };
    let mut ends = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut ends, Some(&limit)), Ok(1..))
}

/// Who takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its process id.
    pub pid: u32,
    /// What it was built from; see [`build::id`].
    pub build: String,
}

/// Answers a process that wants to take over: gives it what `legacy` makes, and waits until it serves. Then `may_go` is
/// asked for a last time; when it has nothing against it, the other process has everything.
///
/// # Errors
/// This process goes on: the other one went away, was too slow or is not understood, or there was something against it.
pub fn answer(
    mut stream: UnixStream,
    legacy: impl FnOnce(&Successor) -> Result<Legacy, String>,
    may_go: impl FnOnce() -> Result<(), String>,
) -> Result<Successor, Kept> {
    let given = give(&mut stream, legacy, may_go);
    if let Err(kept) = &given {
        // It may be gone, or not read any more; then it sees the end of the connection.
        let _ = frame::write(&mut stream, &FromOld::Refuse { why: kept.to_string() });
    }
    given
}

fn give(
    stream: &mut UnixStream,
    legacy: impl FnOnce(&Successor) -> Result<Legacy, String>,
    may_go: impl FnOnce() -> Result<(), String>,
) -> Result<Successor, Kept> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if sockopt::socket_peercred(&*stream).map_err(io::Error::from)?.uid != geteuid() {
        return Err(Kept::Refused("it belongs to another user".into()));
    }
    let successor = match frame::read(stream)? {
        FromNew::Ask { protocol: PROTOCOL, build, pid } => Successor { pid, build },
        FromNew::Ask { protocol, .. } => return Err(Kept::Refused(other_protocol(protocol))),
        FromNew::Ready => return Err(Kept::Refused("it is ready for nothing".into())),
    };
    let Legacy { routes, verdicts, estate, lock } = legacy(&successor).map_err(Kept::Refused)?;
    let will = Will {
        protocol: PROTOCOL,
        build: build::id().to_owned(),
        pid: std::process::id(),
        sockets: estate.sockets.len(),
        locked: lock.is_some(),
        routes,
        verdicts,
        tickets: estate.tickets,
    };
    frame::write(stream, &FromOld::Estate(Box::new(will)))?;
    let descriptors: Vec<BorrowedFd<'_>> = estate.sockets.iter().chain(&lock).map(AsFd::as_fd).collect();
    for batch in descriptors.chunks(BATCH) {
        send(stream, batch)?;
    }
    stream.set_read_timeout(Some(READY_LIMIT))?;
    match frame::read(stream) {
        Ok(FromNew::Ready) => {}
        Ok(FromNew::Ask { .. }) => return Err(Kept::Refused("it asks again".into())),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            return Err(Kept::Refused(format!("it was not ready within {} s", READY_LIMIT.as_secs())));
        }
        Err(error) => return Err(error.into()),
    }
    may_go().map_err(Kept::Refused)?;
    frame::write(stream, &FromOld::Yours)?;
    Ok(successor)
}

fn other_protocol(theirs: u32) -> String {
    format!("one of the two hands over by version {theirs}, the other by {PROTOCOL}")
}

fn send(stream: &UnixStream, batch: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !rights.push(SendAncillaryMessage::ScmRights(batch)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    rustix::net::sendmsg(stream, &[IoSlice::new(&[1])], &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    if count > DESCRIPTORS {
        return Err(io::Error::other(format!("{count} descriptors are announced; the limit is {DESCRIPTORS}")));
    }
    let mut descriptors = Vec::with_capacity(count);
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    while descriptors.len() < count {
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let got =
            rustix::net::recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut rights, RecvFlags::CMSG_CLOEXEC)?;
        let before = descriptors.len();
        for message in rights.drain() {
            if let RecvAncillaryMessage::ScmRights(sent) = message {
                descriptors.extend(sent);
            }
        }
        if got.bytes == 0 || descriptors.len() == before {
            return Err(io::Error::other(format!("{} of {count} descriptors came", descriptors.len())));
        }
    }
    Ok(descriptors)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn legacy(sockets: usize) -> Legacy {
        let fd = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let estate = Estate { sockets: (0..sockets).map(|_| fd()).collect(), tickets: Vec::new() };
        let routes = Routes { generation: 7, ..Routes::default() };
        Legacy { routes, verdicts: Vec::new(), estate, lock: Some(fd()) }
    }

    /// Plays both ends: what came of it at each.
    fn check(
        new: impl FnOnce(UnixStream) -> Result<(), Kept> + Send + 'static,
        may_go: Result<(), String>,
        sockets: usize,
    ) -> (Result<(), String>, Result<Successor, String>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let new = std::thread::spawn(move || new(theirs));
        let old = answer(ours, |_| Ok(legacy(sockets)), || may_go).map_err(|kept| kept.to_string());
        (new.join().unwrap().map_err(|kept| kept.to_string()), old)
    }

    #[test]
    fn everything_comes_over_in_any_number() {
        for sockets in [0, 1, BATCH - 1, BATCH, 3 * BATCH + 5] {
            let new = move |stream| {
                let (claim, legacy) = ask(stream)?;
                assert_eq!((legacy.estate.sockets.len(), legacy.routes.generation), (sockets, 7));
                assert!(legacy.lock.is_some());
                claim.ready()
            };
            let (new, old) = check(new, Ok(()), sockets);
            assert_eq!(new, Ok(()));
            assert_eq!(old, Ok(Successor { pid: std::process::id(), build: build::id().to_owned() }));
        }
    }

    #[test]
    fn the_old_one_goes_on_when_the_new_one_does_not_come_to_its_end() {
        let leaves = |stream| ask(stream).map(drop);
        let (_, old) = check(leaves, Ok(()), 2);
        assert!(old.is_err());
        let silent = |stream: UnixStream| {
            drop(stream);
            Ok(())
        };
        let (_, old) = check(silent, Ok(()), 2);
        assert!(old.is_err());
        let other = |mut stream: UnixStream| {
            let version = PROTOCOL + 1;
            frame::write(&mut stream, &FromNew::Ask { protocol: version, build: String::new(), pid: 1 })?;
            match frame::read(&mut stream)? {
                FromOld::Refuse { why } => Err(Kept::Refused(why)),
                other => panic!("{other:?}"),
            }
        };
        let (new, old) = check(other, Ok(()), 2);
        let said = "one of the two hands over by version 2, the other by 1".to_owned();
        assert_eq!((new, old), (Err(said.clone()), Err(said)));
    }

    #[test]
    fn the_new_one_gives_up_when_the_old_one_does_not_go() {
        let ready = |stream| ask(stream).and_then(|(claim, _)| claim.ready());
        let (new, old) = check(ready, Err("it is told to end".into()), 1);
        assert_eq!((new, old), (Err("it is told to end".into()), Err("it is told to end".into())));
        // Gone without a word, but alive: somebody else may serve.
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let new = std::thread::spawn(move || ready(theirs));
        assert!(matches!(frame::read(&mut ours), Ok(FromNew::Ask { protocol: PROTOCOL, .. })));
        drop(ours);
        assert!(new.join().unwrap().is_err());
    }
}
