//! The files of an image as a tree. Owns which entries are allowed, how they are copied, and the digest over them; must
//! never follow a link, so nothing outside the tree is read or written.
//!
//! A link stays inside when its target is relative, has `..` only at its beginning, and no more of them than the link is
//! deep. Folders on the way to a link are real ones, so those `..` are exact; what follows them goes down, through links
//! of which the same holds.
//!
//! In a root filesystem ([`Shape::Root`]) links are absolute as a rule, and mean what is below the root. Only those who have
//! it as their `/` may follow them; the node never does.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use evenkeel_core::noun::Manifest;
use evenkeel_core::noun::image::Size;

use super::{ImageError, MAX_BYTES, MAX_FILES, failed};

/// What of a tree is an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An application's folder: all links stay inside, all folders are alike.
    Folder,
    /// A root filesystem: links are as they are, folders have their modes, and there may be more of everything.
    Root,
}

impl Shape {
    /// That of an image with this manifest.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        if manifest.rootfs { Self::Root } else { Self::Folder }
    }

    /// The most files, folders and links.
    #[must_use]
    pub fn most_files(self) -> usize {
        match self {
            Self::Folder => MAX_FILES,
            Self::Root => 10 * MAX_FILES,
        }
    }

    /// The most bytes in its files.
    #[must_use]
    pub fn most_bytes(self) -> u64 {
        match self {
            Self::Folder => MAX_BYTES,
            Self::Root => 4 * MAX_BYTES,
        }
    }

    /// What of a folder's mode an image keeps: it is always its owner's to use and remove.
    pub(super) fn folder_mode(self, mode: u32) -> u32 {
        match self {
            Self::Folder => FOLDER,
            Self::Root => (mode & 0o1777) | 0o700,
        }
    }
}

/// The most bytes in all paths of a tree together: 64 MiB.
pub(super) const MOST_NAMES: usize = 64 * 1024 * 1024;

/// The mode of a folder that says nothing of it.
pub(super) const FOLDER: u32 = 0o755;

/// One thing in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where, below the root.
    pub path: PathBuf,
    /// What.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder, with its permissions, the sticky bit among them: 0755 but in a root filesystem.
    Folder(u32),
    /// A file, with its permissions (`rwxrwxrwx`).
    File(u32),
    /// A link and its target.
    Link(PathBuf),
}

/// Everything below `root`, folders before what is in them, sorted by path. Fails on what an image may not hold.
pub fn walk(root: &Path, shape: Shape) -> Result<Vec<Entry>, ImageError> {
    look(root, shape, None)
}

/// As [`walk`], of files that an application is using: without the paths `but`, which begin below the root, without what
/// is gone before it was looked at, and without sockets, pipes and devices, which no image holds.
pub fn walk_living(root: &Path, shape: Shape, but: &[PathBuf]) -> Result<Vec<Entry>, ImageError> {
    look(root, shape, Some(but))
}

fn look(root: &Path, shape: Shape, living: Option<&[PathBuf]>) -> Result<Vec<Entry>, ImageError> {
    let gone = |error: &io::Error| living.is_some() && error.kind() == io::ErrorKind::NotFound;
    let but = |path: &PathBuf| living.is_some_and(|but| but.contains(path));
    let mut entries = Vec::new();
    let (mut bytes, mut names) = (0u64, 0);
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let what = || format!("read `{}`", root.join(&folder).display());
        let items = match fs::read_dir(root.join(&folder)) {
            Err(error) if gone(&error) && !folder.as_os_str().is_empty() => continue,
            items => items.map_err(failed(what()))?,
        };
        for item in items {
            let item = item.map_err(failed(what()))?;
            let path = folder.join(item.file_name());
            if but(&path) {
                continue;
            }
            let about = match item.metadata() {
                Err(error) if gone(&error) => continue,
                about => about.map_err(failed(format!("read `{}`", item.path().display())))?,
            };
            let kind = if about.is_dir() {
                folders.push(path.clone());
                Kind::Folder(shape.folder_mode(about.permissions().mode()))
            } else if about.is_symlink() {
                let target = match fs::read_link(item.path()) {
                    Err(error) if gone(&error) => continue,
                    target => target.map_err(failed(format!("read `{}`", path.display())))?,
                };
                if shape == Shape::Folder {
                    stays_inside(&path, &target)?;
                }
                Kind::Link(target)
            } else if about.is_file() {
                bytes = bytes.saturating_add(about.len());
                Kind::File(file_mode(about.permissions().mode()))
            } else if living.is_some() {
                continue;
            } else {
                return Err(ImageError::Kind { path, kind: name_of(about.file_type()) });
            };
            names += path.as_os_str().len();
            if names > MOST_NAMES {
                return Err(ImageError::Names);
            }
            entries.push(Entry { path, kind });
            if entries.len() > shape.most_files() {
                return Err(ImageError::TooManyFiles(shape.most_files()));
            }
            if bytes > shape.most_bytes() {
                return Err(ImageError::TooLarge(gib(shape.most_bytes())));
            }
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// How large a tree is: bytes in its files, and how many files, folders and links.
pub fn size(root: &Path, entries: &[Entry]) -> Result<Size, ImageError> {
    let mut size = Size { entries: u32::try_from(entries.len()).unwrap_or(u32::MAX), bytes: 0 };
    for entry in entries.iter().filter(|entry| matches!(entry.kind, Kind::File(_))) {
        let about = fs::symlink_metadata(root.join(&entry.path));
        size.bytes += about.map_err(failed(format!("read `{}`", entry.path.display())))?.len();
    }
    Ok(size)
}

/// Copies entries of one tree into an empty folder: sharing blocks where the file system can (reflinks), never by hard
/// links, because an application may write to its files.
pub fn copy(from: &Path, entries: &[Entry], to: &Path, shape: Shape) -> Result<(), ImageError> {
    copy_each(from, entries, to, shape, false)
}

/// As [`copy`], of files that an application is using: without those that are gone before their turn.
pub fn copy_living(from: &Path, entries: &[Entry], to: &Path, shape: Shape) -> Result<(), ImageError> {
    copy_each(from, entries, to, shape, true)
}

fn copy_each(from: &Path, entries: &[Entry], to: &Path, shape: Shape, living: bool) -> Result<(), ImageError> {
    let mut left = shape.most_bytes();
    for entry in entries {
        let (source, target) = (from.join(&entry.path), to.join(&entry.path));
        let done = match &entry.kind {
            Kind::Folder(mode) => make_folder(&target, *mode),
            Kind::Link(at) => symlink(at, &target),
            Kind::File(mode) => copy_file(&source, &target, *mode, left).map(|copied| left -= copied),
        };
        match done {
            // Its target's folder is there: what is not found is the source.
            Err(error) if living && error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(failed(format!("copy `{}`", source.display())))?,
        }
    }
    Ok(())
}

/// SHA-256 over what entries are called, are, may and hold, in lower-case hex. Lengths go before contents, so no two
/// different trees give the same bytes.
pub fn digest(root: &Path, entries: &[Entry]) -> Result<String, ImageError> {
    let mut sum = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let text = |sum: &mut Context, text: &OsStr| {
        sum.update(&(text.len() as u64).to_be_bytes());
        sum.update(text.as_bytes());
    };
    for entry in entries {
        text(&mut sum, entry.path.as_os_str());
        match &entry.kind {
            // As before folders had modes, so that no image gets another digest.
            Kind::Folder(FOLDER) => sum.update(b"folder"),
            Kind::Folder(mode) => {
                sum.update(b"folder of mode");
                sum.update(&mode.to_be_bytes());
            }
            Kind::Link(target) => {
                sum.update(b"link");
                text(&mut sum, target.as_os_str());
            }
            Kind::File(mode) => {
                sum.update(b"file");
                sum.update(&mode.to_be_bytes());
                let what = || format!("read `{}`", entry.path.display());
                let mut file = File::open(root.join(&entry.path)).map_err(failed(what()))?;
                sum.update(&file.metadata().map_err(failed(what()))?.len().to_be_bytes());
                loop {
                    match file.read(&mut buffer).map_err(failed(what()))? {
                        0 => break,
                        n => sum.update(&buffer[..n]),
                    }
                }
            }
        }
    }
    Ok(hex(sum))
}

/// A sum in lower-case hex.
pub(super) fn hex(sum: Context) -> String {
    sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 over a file from where it is read, in lower-case hex.
pub(super) fn content(file: &mut File) -> io::Result<String> {
    let mut sum = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(sum)),
            n => sum.update(&buffer[..n]),
        }
    }
}

/// Brings a tree to the disk: file by file while that is cheap, the whole file system when there are many.
pub fn sync(root: &Path, entries: &[Entry]) -> Result<(), ImageError> {
    let synced = if entries.len() > 256 {
        File::open(root).and_then(|f| rustix::fs::syncfs(&f).map_err(io::Error::from))
    } else {
        let solid = entries.iter().filter(|e| !matches!(e.kind, Kind::Link(_))).map(|e| root.join(&e.path));
        solid.chain([root.to_owned()]).try_for_each(|path| File::open(path)?.sync_all())
    };
    synced.map_err(failed(format!("sync `{}`", root.display())))
}

/// Holds a link's target against the rule at the head of this file.
pub fn stays_inside(link: &Path, target: &Path) -> Result<(), ImageError> {
    let depth = link.components().count().saturating_sub(1);
    let ups = target.components().take_while(|c| *c == Component::ParentDir).count();
    let down = target.components().skip(ups).all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if ups <= depth && down {
        return Ok(());
    }
    let why = if target.is_absolute() {
        format!("it is a link to the absolute path `{}`", target.display())
    } else {
        format!("it is a link to `{}`, which leads out of the image or has `..` in its midst", target.display())
    };
    Err(ImageError::Outside { path: link.to_owned(), why })
}

/// What of a file's mode an image keeps: no set-user-id or sticky bits, and always readable by its owner.
pub(super) fn file_mode(mode: u32) -> u32 {
    (mode & 0o777) | 0o400
}

/// Makes a folder of this mode.
pub(super) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Whole GiB.
pub(super) fn gib(bytes: u64) -> u64 {
    bytes >> 30
}

fn copy_file(from: &Path, to: &Path, mode: u32, room: u64) -> io::Result<u64> {
    let source =
        OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()).open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = match rustix::fs::ioctl_ficlone(&target, &source) {
        Ok(()) => source.metadata()?.len(),
        // A file that grows while it is copied must not outgrow the limit.
        Err(_) => io::copy(&mut source.take(room.saturating_add(1)), &mut target)?,
    };
    if copied > room {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it grew above the limit of an image"));
    }
    target.set_permissions(Permissions::from_mode(mode))?;
    Ok(copied)
}

fn name_of(kind: fs::FileType) -> &'static str {
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        "of an unknown kind"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_or_are_refused() {
        let check = |link: &str, target: &str, good: bool| {
            assert_eq!(stays_inside(Path::new(link), Path::new(target)).is_ok(), good, "{link} -> {target}");
        };
        check("a", "b", true);
        check("a", "./b/c", true);
        check("d/a", "../b", true);
        check("d/e/a", "../../b/c", true);
        check("a", "..", false);
        check("a", "../image/b", false);
        check("d/a", "../..", false);
        check("a", "/etc/passwd", false);
        check("d/a", "b/../../..", false);
        check("d/a", "b/..", false);
    }
}
