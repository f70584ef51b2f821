//! Unpacks a tar into an empty folder. Owns what of a tar is believed: no path that leads out of the folder or through a
//! link, nothing but files, folders and links, nothing above the limits of a root filesystem. What the tar's own manifest
//! allows, which may come last, is looked at once all is there, by [`super::tree`]. [`super::archive`] has compressions.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

use super::tree::{FOLDER, Shape, file_mode, gib, make_folder};
use super::{ImageError, archive, failed};

/// Padding and headers that an entry of a tar may have on top of its contents, where they are all alike: 4 KiB.
pub(super) const OVERHEAD: u64 = 4 * 1024;

/// The most that one entry's headers may be, a long name and extended attributes among them: 1 MiB.
pub(super) const HEADERS: u64 = 1024 * 1024;

/// Unpacks the tar at `path` into `to`, which must be empty.
pub(super) fn unpack(path: &Path, to: &Path) -> Result<(), ImageError> {
    let reading = || format!("read `{}`", path.display());
    let about = fs::metadata(path).map_err(failed(reading()))?;
    let (most, mut room) = (Shape::Root.most_files(), Shape::Root.most_bytes());
    let whole = room + most as u64 * OVERHEAD;
    if about.len() > whole {
        return Err(ImageError::TooLarge(gib(room)));
    }
    let (stream, meter) = archive::open(path, whole)?;
    let mut archive = Archive::new(stream);
    meter.expect(HEADERS);
    for (count, entry) in archive.entries().map_err(failed(reading()))?.enumerate() {
        let mut entry = entry.map_err(failed(reading()))?;
        if count >= most {
            return Err(ImageError::TooManyFiles(most));
        }
        // One byte more than there is room for tells too much from enough; the rest is the entry's padding.
        meter.expect(room + HEADERS);
        unpack_entry(&mut entry, to, &mut room)?;
        // What nobody read of it is no header of the next one.
        io::copy(&mut entry, &mut io::sink()).map_err(failed(reading()))?;
        meter.expect(HEADERS);
    }
    Ok(())
}

fn unpack_entry<R: Read>(entry: &mut Entry<'_, R>, to: &Path, room: &mut u64) -> Result<(), ImageError> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let path = inside(&entry.path_bytes())?;
    let what = || format!("unpack `{}`", path.display());
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    make_parents(to, &path)?;
    let target = to.join(&path);
    match kind {
        EntryType::Directory => match make_folder(&target, folder_mode(entry, &what())?) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && is_folder(&target) => Ok(()),
            made => made.map_err(failed(what())),
        },
        EntryType::Symlink => {
            let at = link_target(entry, &path)?;
            symlink(&at, &target).map_err(failed(what()))
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mode = entry.header().mode().map_err(failed(what()))?;
            write_file(entry, &target, mode, room, &what())
        }
        EntryType::Link => {
            // A hard link names an earlier file of the tar; a copy keeps the two apart, as two files of an image are.
            let at = inside(link_target(entry, &path)?.as_os_str().as_bytes())?;
            let source = to.join(&at);
            if at.parent().is_some_and(|p| !is_folder_path(to, p)) || !is_plain_file(&source) {
                let why = format!("it is a hard link to `{}`, which is no file of the image", at.display());
                return Err(ImageError::Outside { path, why });
            }
            let mut source = File::open(&source).map_err(failed(what()))?;
            let mode = source.metadata().map_err(failed(what()))?.permissions().mode();
            write_file(&mut source, &target, mode, room, &what())
        }
        EntryType::Char | EntryType::Block => Err(ImageError::Kind { path, kind: "a device" }),
        EntryType::Fifo => Err(ImageError::Kind { path, kind: "a named pipe" }),
        _ => Err(ImageError::Kind { path, kind: "of an unknown kind" }),
    }
}

fn folder_mode<R: Read>(entry: &Entry<'_, R>, what: &str) -> Result<u32, ImageError> {
    entry.header().mode().map(|mode| Shape::Root.folder_mode(mode)).map_err(failed(what))
}

fn link_target<R: Read>(entry: &Entry<'_, R>, path: &Path) -> Result<PathBuf, ImageError> {
    match entry.link_name_bytes() {
        Some(target) => Ok(PathBuf::from(OsStr::from_bytes(&target))),
        None => Err(ImageError::Outside { path: path.to_owned(), why: "it is a link to nowhere".into() }),
    }
}

/// A tar's path as one below the image's root.
fn inside(bytes: &[u8]) -> Result<PathBuf, ImageError> {
    let given = Path::new(OsStr::from_bytes(bytes));
    let refuse = |why: &str| Err(ImageError::Outside { path: given.to_owned(), why: why.into() });
    let mut path = PathBuf::new();
    for component in given.components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => return refuse("its path has `..`"),
            Component::RootDir | Component::Prefix(_) => return refuse("its path is absolute"),
        }
    }
    Ok(path)
}

/// Makes the folders above `path`, and refuses to go through anything that is not a real folder.
fn make_parents(to: &Path, path: &Path) -> Result<(), ImageError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let mut at = to.to_owned();
    for name in parent {
        at.push(name);
        if !is_folder(&at) {
            if fs::symlink_metadata(&at).is_ok() {
                let why = "its path goes through a link or a file".to_owned();
                return Err(ImageError::Outside { path: path.to_owned(), why });
            }
            make_folder(&at, FOLDER).map_err(failed(format!("unpack `{}`", path.display())))?;
        }
    }
    Ok(())
}

fn is_folder_path(to: &Path, path: &Path) -> bool {
    let mut at = to.to_owned();
    path.iter().all(|name| {
        at.push(name);
        is_folder(&at)
    })
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

fn is_plain_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file())
}

fn write_file(source: &mut impl Read, target: &Path, mode: u32, room: &mut u64, what: &str) -> Result<(), ImageError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).map_err(failed(what))?;
    let copied = io::copy(&mut source.take(*room + 1), &mut file).map_err(failed(what))?;
    *room = room.checked_sub(copied).ok_or(ImageError::TooLarge(gib(Shape::Root.most_bytes())))?;
    file.set_permissions(Permissions::from_mode(file_mode(mode))).map_err(failed(what))
}
