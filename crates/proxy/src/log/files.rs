//! A log's files: the one being written, and older ones by number.
//!
//! Owns rotation. Must never lose a line that was written: files are renamed, and only those beyond the number kept are
//! removed; whoever begins a new file holds a lock on the one before, so that two processes do not both do it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::LogConfig;

/// The files of one log.
#[derive(Debug)]
pub(crate) struct Files {
    config: LogConfig,
    file: File,
    size: u64,
}

impl Files {
    /// Opens the file, to go on where it ends; it is made for its owner's eyes only.
    pub(crate) fn open(config: LogConfig) -> io::Result<Self> {
        let file = open(&config)?;
        let size = file.metadata()?.len();
        Ok(Self { config, file, size })
    }

    /// Writes whole lines; begins a new file first when this one would grow beyond its limit.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let limit = self.config.rotate_bytes;
        if limit > 0 && self.size > 0 && self.size + lines.len() as u64 > limit {
            // While one road takes over from another both write the file, and each knows only what it wrote itself.
            let full = self.file.try_clone()?;
            flock(&full, FlockOperation::LockExclusive)?;
            let begun = self.reopen_if_gone().and_then(|gone| if gone { Ok(()) } else { self.rotate() });
            flock(&full, FlockOperation::Unlock)?;
            begun?;
        }
        self.file.write_all(lines)?;
        self.size += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let keep = self.config.keep;
        if keep == 0 {
            self.file.set_len(0)?;
            self.size = 0;
            return Ok(());
        }
        for number in (1..keep).rev() {
            rename(self.numbered(number), self.numbered(number + 1))?;
        }
        rename(self.config.path.clone(), self.numbered(1))?;
        self.file = open(&self.config)?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.config.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Opens the file anew where somebody took it away; true when that was so.
    pub(crate) fn reopen_if_gone(&mut self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let there = fs::metadata(&self.config.path).map(|there| (there.dev(), there.ino()));
        let held = self.file.metadata().map(|held| (held.dev(), held.ino()))?;
        let gone = there.as_ref().ok() != Some(&held);
        if gone {
            self.file = open(&self.config)?;
            self.size = self.file.metadata()?.len();
        }
        Ok(gone)
    }
}

fn open(config: &LogConfig) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(&config.path)
}

fn rename(from: PathBuf, to: PathBuf) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Format;

    #[test]
    fn files_are_begun_anew_by_size_and_kept_by_number() {
        let dir = crate::log::writer::tests::folder("rotation");
        let config = LogConfig { path: dir.join("a.log"), format: Format::Aws, rotate_bytes: 10, keep: 2 };
        let mut files = Files::open(config.clone()).unwrap();
        for line in ["one\n", "two\n", "three\n", "four4\n", "five5\n", "a line beyond the limit\n", "7\n"] {
            files.write(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
        assert_eq!(read("a.log").as_deref(), Some("7\n"));
        assert_eq!(read("a.log.1").as_deref(), Some("a line beyond the limit\n"));
        assert_eq!(read("a.log.2").as_deref(), Some("five5\n"));
        assert_eq!(read("a.log.3"), None);
        // One that comes later goes on where it ended, and knows how long it is.
        let mut files = Files::open(config).unwrap();
        files.write(b"1234567\n").unwrap();
        assert_eq!(read("a.log").as_deref(), Some("7\n1234567\n"));
        files.write(b"9\n").unwrap();
        assert_eq!(read("a.log").as_deref(), Some("9\n"));
        assert_eq!(read("a.log.1").as_deref(), Some("7\n1234567\n"));
        // Two processes, one of which has a new file begun: the other goes on in that, and begins none.
        let mut other = Files::open(LogConfig { path: dir.join("a.log"), ..files.config.clone() }).unwrap();
        other.write(b"other 1\n").unwrap();
        files.write(b"files two\n").unwrap();
        assert_eq!(read("a.log").as_deref(), Some("files two\n"));
        assert_eq!(read("a.log.1").as_deref(), Some("9\nother 1\n"));
        other.write(b"other 2\n").unwrap();
        assert_eq!(read("a.log").as_deref(), Some("files two\nother 2\n"));
        files.write(b"9\n").unwrap();
        assert_eq!(read("a.log").as_deref(), Some("9\n"));
        // Somebody else's rotation.
        fs::rename(dir.join("a.log"), dir.join("taken")).unwrap();
        files.reopen_if_gone().unwrap();
        files.write(b"new\n").unwrap();
        assert_eq!((read("a.log").as_deref(), read("taken").as_deref()), (Some("new\n"), Some("9\n")));
        fs::remove_dir_all(dir).unwrap();
    }
}
