//! Files that only grow: records with a length and a checksum, written at the end, read from the beginning.
//!
//! A record that is torn or broken costs itself: reading goes on at the next one that is whole. Must never know what is in them.
//! Next: [`super::store`] and [`super::catalog`], which do.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// The first bytes of each record.
const MARK: [u8; 4] = *b"\xe7EKr";

/// Bytes before a record's content: mark, length, checksum.
const HEAD: usize = 12;

/// The most bytes of a record's content.
pub(super) const MOST: usize = 64 * 1024 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Frames {
    file: File,
    length: u64,
}

impl Frames {
    /// Opens a file to write on at its end; makes it if need be.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Writes a record. One that could not be written in full is cut off again, so that the next one is not lost with it.
    pub fn append(&mut self, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(|_| io::Error::other("a record is too large"))?;
        let mut record = Vec::with_capacity(HEAD + content.len());
        record.extend_from_slice(&MARK);
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        record.extend_from_slice(content);
        if let Err(error) = self.file.write_all(&record) {
            // Where this fails as well, reading finds the next mark.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// Waits until what was written is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Shows the content of every whole record of a file, in order. Returns how many bytes were none: 0 of a file in order.
pub(super) fn each(path: &Path, mut see: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let (mut at, mut lost) = (0, 0);
    while at < bytes.len() {
        match record(&bytes[at..]) {
            Some(content) => {
                see(content);
                at += HEAD + content.len();
            }
            None => {
                let next = bytes[at + 1..].windows(MARK.len()).position(|window| window == MARK);
                let skipped = next.map_or(bytes.len() - at, |next| next + 1);
                lost += skipped as u64;
                at += skipped;
            }
        }
    }
    Ok(lost)
}

fn record(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= MOST)?;
    let content = rest.get(..length)?;
    (crc32fast::hash(content) == u32::from_le_bytes(*checksum)).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_torn_or_broken_costs_itself_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut frames = Frames::open(&path).unwrap();
        for text in ["first", "second", "third"] {
            frames.append(text.as_bytes()).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(frames.length, whole.len() as u64);
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut found = Vec::new();
            let lost = each(&path, |content| found.push(String::from_utf8(content.to_vec()).unwrap())).unwrap();
            (found.join(" "), lost)
        };
        assert_eq!(read(&whole), ("first second third".into(), 0));
        assert_eq!(read(&whole[..whole.len() - 1]), ("first second".into(), HEAD as u64 + 4));
        let mut broken = whole.clone();
        broken[HEAD + 5 + HEAD] ^= 1;
        assert_eq!(read(&broken), ("first third".into(), HEAD as u64 + 6));
        // A length that lies.
        let mut broken = whole;
        broken[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&broken), ("second third".into(), HEAD as u64 + 5));
        assert_eq!(read(b"no record at all").0, "");
        // What is written after a torn end is found.
        std::fs::write(&path, &broken[..20]).unwrap();
        Frames::open(&path).unwrap().append(b"after").unwrap();
        let mut found = Vec::new();
        assert_eq!(each(&path, |content| found.extend_from_slice(content)).unwrap(), 20);
        assert_eq!(found, b"after");
    }
}
