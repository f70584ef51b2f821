//! Writes a tree as a tar. Owns that the same tree gives the same bytes, whoever packs it and when; must never leave half
//! an archive under the name it was asked for. Next: [`super::archive`] for compressions.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::archive::{Coding, Encoder};
use super::tree::{Entry, Kind};
use super::{ImageError, failed};

/// Writes the archive `to`, in place of what is there, and returns its size in bytes; `packed` is told how many bytes of
/// files are in it, as they go.
pub fn write(
    root: &Path,
    entries: &[Entry],
    to: &Path,
    coding: Coding,
    packed: &mut dyn FnMut(u64),
) -> Result<u64, ImageError> {
    let what = || format!("write `{}`", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As a program makes files: what of 0666 the umask leaves.
    let mut beside = tempfile::Builder::new();
    let beside = beside.prefix(".evenkeel-").permissions(Permissions::from_mode(0o666));
    let file = beside.tempfile_in(folder).map_err(failed(what()))?;
    let mut archive = Builder::new(Encoder::new(io::BufWriter::with_capacity(64 * 1024, file), coding));
    for entry in entries {
        append(&mut archive, root, entry, packed).map_err(failed(format!("pack `{}`", entry.path.display())))?;
    }
    let file = archive.into_inner().and_then(Encoder::finish).and_then(|file| Ok(file.into_inner()?));
    let file = file.map_err(failed(what()))?;
    let size = file.as_file().metadata().map_err(failed(what()))?.len();
    file.as_file().sync_all().map_err(failed(what()))?;
    file.persist(to).map_err(|error| failed(what())(error.error))?;
    Ok(size)
}

/// Writes the tar alone, uncompressed.
pub fn tar(root: &Path, entries: &[Entry], to: &mut dyn Write) -> Result<(), ImageError> {
    let mut archive = Builder::new(to);
    for entry in entries {
        append(&mut archive, root, entry, &mut |_| {}).map_err(failed(format!("pack `{}`", entry.path.display())))?;
    }
    archive.finish().map_err(failed("pack the image"))
}

/// No owner and no time go in: they are no content of an image.
fn append<W: Write>(to: &mut Builder<W>, root: &Path, entry: &Entry, packed: &mut dyn FnMut(u64)) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match &entry.kind {
        Kind::Folder(mode) => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            to.append_data(&mut header, &entry.path, io::empty())
        }
        Kind::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            to.append_link(&mut header, &entry.path, target)
        }
        Kind::File(mode) => {
            let file = File::open(root.join(&entry.path))?;
            let left = file.metadata()?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(left);
            to.append_data(&mut header, &entry.path, Exactly { file, left, packed })
        }
    }
}

/// As many bytes as a header promised: a file that grows is cut, one that shrinks is an error.
struct Exactly<'a> {
    file: File,
    left: u64,
    packed: &'a mut dyn FnMut(u64),
}

impl Read for Exactly<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read(&mut buf[..most])?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut short while it was read"));
        }
        self.left -= read as u64;
        (self.packed)(read as u64);
        Ok(read)
    }
}
