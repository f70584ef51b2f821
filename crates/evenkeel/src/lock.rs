//! Locks on files, so that two processes never keep one house. Owns the lock and the word of who holds it.
//!
//! The kernel lets go of a lock when its holder dies, however it dies; the text in the file is only for people.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::sys::process::lives;

/// How long a lock is waited for whose holder is dead.
const BURIAL: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A lock that is held: let go when dropped, or when its process ends.
#[derive(Debug)]
pub struct Lock {
    /// None once it was left to another holder.
    file: Option<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Said, not left to the closing of the file: a child between its fork and its exec has the file open too.
        if let Some(file) = &self.file {
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

impl Lock {
    /// The same lock for another process: it is free when both have let go of it.
    ///
    /// # Errors
    /// No descriptor to be had.
    pub fn share(&self) -> io::Result<OwnedFd> {
        let file = self.file.as_ref().ok_or_else(|| io::Error::other("the lock was left to another process"))?;
        Ok(file.try_clone()?.into())
    }

    /// Leaves it to the process that it was shared with.
    pub fn leave(mut self) {
        // Closed and not unlocked: that would hold for both.
        self.file = None;
    }

    /// Goes on with a lock that was shared, and writes this process's id into it.
    ///
    /// # Errors
    /// The system's, when the file cannot be written.
    pub fn take_over(shared: OwnedFd) -> io::Result<Self> {
        let mut file = File::from(shared);
        sign(&mut file)?;
        Ok(Self { file: Some(file) })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

/// Takes the lock, if nobody holds it, and writes the process id into it.
///
/// # Errors
/// The system's, when the file cannot be opened or written.
pub fn try_exclusive(path: &Path) -> io::Result<Option<Lock>> {
    let mut file = OpenOptions::new().create(true).read(true).write(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    sign(&mut file)?;
    Ok(Some(Lock { file: Some(file) }))
}

/// As [`try_exclusive`], but a lock whose holder is dead is waited for, up to 5 s: what a process that was killed had just forked
/// has the file open until its exec.
///
/// # Errors
/// As [`try_exclusive`].
pub fn exclusive(path: &Path) -> io::Result<Option<Lock>> {
    let deadline = Instant::now() + BURIAL;
    let is_dead = || holder(path).and_then(|pid| i32::try_from(pid).ok()).is_some_and(|pid| !lives(pid));
    loop {
        match try_exclusive(path)? {
            None if is_dead() && Instant::now() < deadline => std::thread::sleep(PAUSE),
            taken => return Ok(taken),
        }
    }
}

/// The process id that the holder wrote, if it wrote one.
#[must_use]
pub fn holder(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether somebody holds the lock now.
///
/// # Errors
/// The system's, but for a file that is not there: nobody holds that.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            // Let go at once, and not only by closing: see `Lock`.
            drop(Lock { file: Some(file) });
            Ok(false)
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_says_by_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!is_held(&path).unwrap());
        let held = try_exclusive(&path).unwrap().unwrap();
        assert!(try_exclusive(&path).unwrap().is_none());
        assert!(is_held(&path).unwrap());
        assert_eq!(holder(&path), Some(std::process::id()));
        drop(held);
        assert!(!is_held(&path).unwrap());
        assert!(try_exclusive(&path).unwrap().is_some());
    }

    /// As a child that was forked before its parent was killed, and is not yet at its exec.
    #[test]
    fn a_lock_that_only_a_dead_process_says_it_has_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let held = try_exclusive(&path).unwrap().unwrap();
        std::fs::write(&path, child.id().to_string()).unwrap();
        let (path, begun) = (&path, Instant::now());
        std::thread::scope(|scope| {
            let heir = scope.spawn(|| exclusive(path).unwrap().map(|lock| (lock, begun.elapsed())));
            std::thread::sleep(Duration::from_millis(100));
            drop(held);
            let (lock, waited) = heir.join().unwrap().unwrap();
            assert!(waited >= Duration::from_millis(100), "{waited:?}");
            // One that lives is not waited for.
            let begun = Instant::now();
            assert!(exclusive(path).unwrap().is_none() && begun.elapsed() < BURIAL);
            drop(lock);
        });
    }

    #[test]
    fn a_lock_that_is_shared_is_free_when_both_have_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = try_exclusive(&path).unwrap().unwrap();
        let heir = first.share().unwrap();
        first.leave();
        assert!(is_held(&path).unwrap() && try_exclusive(&path).unwrap().is_none());
        let second = Lock::take_over(heir).unwrap();
        assert_eq!(holder(&path), Some(std::process::id()));
        drop(second);
        assert!(!is_held(&path).unwrap());
    }
}
