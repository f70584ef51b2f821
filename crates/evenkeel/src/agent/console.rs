//! What an application printed. Owns the bound on it: two files that take turns, so that the newest half MiB at least and
//! one MiB at most is kept, whatever is printed; must never block or fail the application when the disk is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::drivers::folder::Folder;

/// The most that one of the two files holds: 512 KiB.
pub const TURN: u64 = 512 * 1024;

const NEWER: &str = "console.log";
const OLDER: &str = "console.log.1";

/// The writing end. What cannot be written is dropped.
pub struct Console {
    folder: Folder,
    file: Option<File>,
    size: u64,
}

impl Console {
    /// Goes on where the boot before ended.
    #[must_use]
    pub fn open(folder: &Folder) -> Self {
        let mut console = Self { folder: folder.clone(), file: None, size: 0 };
        console.reopen();
        console
    }

    /// Appends what the application printed.
    pub fn write(&mut self, mut bytes: &[u8]) {
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
        self.write(format!("evenkeel: {line}\n").as_bytes());
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
}
