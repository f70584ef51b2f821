//! What an instance printed. Owns the bound on it: two files that take turns, so that the newest half MiB at least and
//! one MiB at most is kept, whatever is printed; must never block or fail the application when the disk is full.
//!
//! What a step of the boot printed is kept beside, its last 256 KiB to half a MiB, for its log and for the mail. The boot
//! marks in the midst of its output whose it is ([`crate::boot::mark`]): a mark begins with a secret, so that no step writes
//! into another's log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::drivers::folder::Folder;

/// The most that is kept of one step's log, twice: when it is reached, the older half goes.
const STEP_TURN: u64 = 256 * 1024;
/// The longest mark: the separator, the secret and a number.
const LONGEST_MARK: usize = 96;
/// What a mark begins with.
const SEPARATOR: u8 = 0x1e;
/// The highest number of a step.
const MOST_STEPS: usize = 4096;

/// The most that one of the two files holds: 512 KiB.
pub const TURN: u64 = 512 * 1024;

const NEWER: &str = "console.log";
const OLDER: &str = "console.log.1";

/// The writing end. What cannot be written is dropped.
pub struct Console {
    folder: Folder,
    file: Option<File>,
    size: u64,
    /// What marks begin with, while there may be any.
    secret: Option<String>,
    /// The beginning of what may be a mark.
    held: Vec<u8>,
    /// The log of the step whose output it is.
    step: Option<StepLog>,
}

/// The log of one step.
struct StepLog {
    path: PathBuf,
    file: Option<File>,
    size: u64,
}

/// Where the log of a step is.
#[must_use]
pub fn step_log(folder: &Folder, step: usize) -> PathBuf {
    folder.file(&format!("step-{step}.log"))
}

impl StepLog {
    fn open(folder: &Folder, step: usize) -> Self {
        let path = step_log(folder, step);
        // A step that is done anew goes on in its log.
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).ok();
        let size = file.as_ref().and_then(|f| f.metadata().ok()).map_or(0, |about| about.len());
        Self { path, file, size }
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(STEP_TURN as usize) {
            if self.size + part.len() as u64 > 2 * STEP_TURN {
                // Better a gap than a file without bound.
                let kept = tail_of(&self.path, STEP_TURN as usize).unwrap_or_default();
                let _ = fs::write(&self.path, &kept);
                self.size = kept.len() as u64;
            }
            if let Some(file) = &mut self.file {
                let _ = file.write_all(part);
            }
            self.size += part.len() as u64;
        }
    }
}

impl Console {
    /// Goes on where the boot before ended.
    #[must_use]
    pub fn open(folder: &Folder) -> Self {
        let mut console =
            Self { folder: folder.clone(), file: None, size: 0, secret: None, held: Vec::new(), step: None };
        console.reopen();
        console
    }

    /// From here on there may be marks that begin with this secret; or, without one, none.
    pub fn expect_marks(&mut self, secret: Option<String>) {
        let held = std::mem::take(&mut self.held);
        self.keep(&held);
        self.secret = secret;
        self.step = None;
    }

    /// Appends what was printed, without the marks in it.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.secret.is_none() {
            return self.keep(bytes);
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == SEPARATOR) {
            self.keep(&rest[..at]);
            rest = &rest[at..];
            let end = rest.iter().take(LONGEST_MARK).position(|byte| *byte == b'\n');
            match end.map(|end| (end, self.marked(&rest[1..end]))) {
                Some((end, Some(step))) => {
                    self.step = step.map(|step| StepLog::open(&self.folder, step));
                    rest = &rest[end + 1..];
                }
                // More of it may be on its way.
                None if rest.len() < LONGEST_MARK => {
                    self.held = rest.to_owned();
                    return;
                }
                _ => {
                    self.keep(&rest[..1]);
                    rest = &rest[1..];
                }
            }
        }
        self.keep(rest);
    }

    /// Which step a mark names; the outer `None` when it is no mark of ours.
    fn marked(&self, text: &[u8]) -> Option<Option<usize>> {
        let number = text.strip_prefix(self.secret.as_deref()?.as_bytes())?;
        if number.is_empty() {
            return Some(None);
        }
        let number: usize = std::str::from_utf8(number).ok()?.parse().ok()?;
        (number <= MOST_STEPS).then_some(Some(number))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(step) = &mut self.step {
            step.write(bytes);
        }
        self.append(bytes);
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.size >= TURN {
                // Should it fail, the file is started anew below: better a gap than a file without bound.
                let _ = fs::rename(self.folder.file(NEWER), self.folder.file(OLDER));
                let _ = fs::remove_file(self.folder.file(NEWER));
                self.reopen();
            }
            let room = usize::try_from(TURN - self.size.min(TURN)).unwrap_or(usize::MAX).max(1);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            if let Some(file) = &mut self.file {
                let _ = file.write_all(now);
            }
            self.size += now.len() as u64;
            bytes = later;
        }
    }

    /// Appends a line of the agent's own.
    pub fn note(&mut self, line: &str) {
        self.append(format!("evenkeel: {line}\n").as_bytes());
    }

    fn reopen(&mut self) {
        let path = self.folder.file(NEWER);
        self.file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok();
        self.size = self.file.as_ref().and_then(|f| f.metadata().ok()).map_or(0, |about| about.len());
    }
}

/// The last `limit` bytes of what was printed; nothing when nothing was.
pub fn tail(folder: &Folder, limit: usize) -> io::Result<Vec<u8>> {
    let newer = tail_of(&folder.file(NEWER), limit)?;
    let mut all = tail_of(&folder.file(OLDER), limit - newer.len())?;
    all.extend_from_slice(&newer);
    Ok(all)
}

/// The last `limit` bytes of what a step printed; nothing when nothing was.
///
/// # Errors
/// What the system says.
pub fn step_tail(folder: &Folder, step: usize, limit: usize) -> io::Result<Vec<u8>> {
    tail_of(&step_log(folder, step), limit)
}

fn tail_of(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => {
            let start = file.metadata()?.len().saturating_sub(limit as u64);
            file.seek(SeekFrom::Start(start))?;
            file.take(limit as u64).read_to_end(&mut bytes)?;
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::mark;

    #[test]
    fn a_console_is_bounded_and_keeps_its_end_over_boots() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(dir.path().to_owned());
        assert!(tail(&folder, 10).unwrap().is_empty());
        let mut console = Console::open(&folder);
        console.write(b"first");
        drop(console);
        let mut console = Console::open(&folder);
        console.write(b" second");
        assert_eq!(tail(&folder, 100).unwrap(), b"first second");
        assert_eq!(tail(&folder, 6).unwrap(), b"second");

        console.write(&vec![b'x'; 5 * 1024 * 1024]);
        console.write(b"the end");
        let size = |name| fs::metadata(folder.file(name)).unwrap().len();
        assert!(size(NEWER) <= TURN && size(OLDER) <= TURN);
        let end = tail(&folder, 64 * 1024).unwrap();
        assert_eq!(end.len(), 64 * 1024);
        assert!(end.ends_with(b"xthe end"));
    }

    #[test]
    fn marks_part_the_output_of_steps_wherever_the_pieces_break() {
        let text = [
            b"before\n".as_slice(),
            &mark("secret", Some(1)),
            b"one\x1enot a mark\n",
            &mark("forged", Some(2)),
            &mark("secret", Some(2)),
            b"two\n",
            &mark("secret", None),
            b"after\n\x1e",
        ]
        .concat();
        for size in [1, 2, 3, 7, 1000] {
            let dir = tempfile::TempDir::new().unwrap();
            let folder = Folder::new(dir.path().to_owned());
            let mut console = Console::open(&folder);
            console.expect_marks(Some("secret".into()));
            text.chunks(size).for_each(|piece| console.write(piece));
            console.expect_marks(None);
            let check = |step, want: &[u8]| assert_eq!(step_tail(&folder, step, 1000).unwrap(), want, "{size}, {step}");
            check(1, b"one\x1enot a mark\n\x1eforged2\n");
            check(2, b"two\n");
            check(3, b"");
            let all = tail(&folder, 1000).unwrap();
            assert_eq!(all, b"before\none\x1enot a mark\n\x1eforged2\ntwo\nafter\n\x1e", "{size}");
        }
    }

    #[test]
    fn the_log_of_a_step_is_bounded_and_keeps_its_end() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = Folder::new(dir.path().to_owned());
        let mut console = Console::open(&folder);
        console.expect_marks(Some("secret".into()));
        console.write(&mark("secret", Some(7)));
        console.write(&vec![b'x'; 3 * 1024 * 1024]);
        console.write(b"the end");
        assert!(fs::metadata(step_log(&folder, 7)).unwrap().len() <= 2 * STEP_TURN);
        assert!(step_tail(&folder, 7, 100).unwrap().ends_with(b"xthe end"));
    }
}
