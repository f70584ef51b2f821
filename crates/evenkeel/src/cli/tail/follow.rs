//! Keeping up with a log that is written, and rotated, by somebody else.
//!
//! Owns where it has read to. Must never hold more than a line: one beyond [`LINE_LIMIT`] is passed over.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The longest line that is read: a record's longest strings, each byte escaped.
pub const LINE_LIMIT: usize = 1 << 20;

/// A reader of a log.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    part: Vec<u8>,
    /// The line at hand is too long.
    skipping: bool,
}

impl Follower {
    /// Of the log at that path, which need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, part: Vec::new(), skipping: false }
    }

    /// Gives every whole line there is, those of the newest older file first.
    ///
    /// # Errors
    /// The system's, and those of `take`.
    pub fn begin(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        // Opened first: what is rotated from here on is still found.
        self.file = open(&self.path)?;
        if let Some(mut older) = open(Path::new(&older))?.filter(|older| !is_same(Some(older), self.file.as_ref())) {
            self.read(&mut older, &mut take)?;
        }
        self.more(take)
    }

    /// Gives every whole line that came since the last call, over a rotation as well.
    ///
    /// # Errors
    /// As [`Follower::begin`].
    pub fn more(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            let read = self.read(&mut file, &mut take);
            self.file = Some(file);
            read?;
        }
        let now = open(&self.path)?;
        if is_same(now.as_ref(), self.file.as_ref()) || now.is_none() {
            return Ok(());
        }
        // The old file may have got its last lines just before it was renamed.
        if let Some(mut old) = self.file.take() {
            self.read(&mut old, &mut take)?;
        }
        if let Some(mut now) = now {
            let read = self.read(&mut now, &mut take);
            self.file = Some(now);
            read?;
        }
        Ok(())
    }

    /// Bytes held of a line whose end has not come.
    #[must_use]
    pub fn held(&self) -> usize {
        self.part.len()
    }

    fn read(&mut self, file: &mut File, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        // Somebody may have emptied it.
        if file.metadata()?.len() < file.stream_position()? {
            file.seek(SeekFrom::Start(0))?;
            (self.part, self.skipping) = (Vec::new(), false);
        }
        let mut block = vec![0; 64 * 1024];
        loop {
            let count = match file.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut rest = &block[..count];
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                if !std::mem::take(&mut self.skipping) {
                    if self.part.is_empty() {
                        take(&rest[..end])?;
                    } else {
                        self.part.extend_from_slice(&rest[..end]);
                        take(&self.part)?;
                    }
                }
                self.part.clear();
                rest = &rest[end + 1..];
            }
            if !self.skipping {
                self.part.extend_from_slice(rest);
            }
            if self.part.len() > LINE_LIMIT {
                (self.part, self.skipping) = (Vec::new(), true);
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_same(a: Option<&File>, b: Option<&File>) -> bool {
    let id = |file: Option<&File>| file?.metadata().ok().map(|m: fs::Metadata| (m.dev(), m.ino()));
    id(a).is_some() && id(a) == id(b)
}
