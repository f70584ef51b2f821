//! Locks on files, so that two processes never keep one house. Owns the lock and the word of who holds it.
//!
//! The kernel lets go of a lock when its holder dies, however it dies; the text in the file is only for people.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A lock that is held: let go when dropped, or when its process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Said, not left to the closing of the file: a child between its fork and its exec has the file open too.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Takes the lock, if nobody holds it, and writes the process id into it.
///
/// # Errors
/// The system's, when the file cannot be opened or written.
pub fn try_exclusive(path: &Path) -> io::Result<Option<Lock>> {
    let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut lock = Lock { file };
    lock.file.set_len(0)?;
    write!(lock.file, "{}", std::process::id())?;
    Ok(Some(lock))
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
            drop(Lock { file });
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
}
