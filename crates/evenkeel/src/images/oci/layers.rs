//! The layers of an OCI image, put down one over the other. Owns what of a layer is believed: a path goes through links as it
//! would for somebody whose `/` is the image, so nothing outside is ever written, read or removed. Must never know which
//! layers there are: that is [`super`]'s.
//!
//! What no image here holds is left out and counted: devices and pipes, owners, set-user-id bits, extended attributes. An
//! instance is given its devices, and all of its files are of one owner. Sources: OCI image-spec 1.1, layer.md, with AUFS's
//! whiteouts (`.wh.NAME`, `.wh..wh..opq`).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use aws_lc_rs::digest::{Context, SHA256};
use tar::{Archive, Entry, EntryType};

use crate::images::tree::{self, FOLDER, MOST_NAMES, Shape, file_mode, gib, make_folder};
use crate::images::unpack::{HEADERS, OVERHEAD};
use crate::images::{ImageError, archive, failed};

/// The most links that one path may go through, as in the kernel.
const MOST_LINKS: usize = 40;
/// The most names that are looked up for all paths of an image: forty for each file that there may be.
const MOST_STEPS: usize = 8_000_000;

const WHITEOUT: &[u8] = b".wh.";
/// Names of AUFS's own, of which one alone is for others.
const OWN: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Where layers are put down.
pub(super) struct Target<'a> {
    root: &'a Path,
    /// Bytes that all layers together may still bring, in files and with everything around them.
    room: u64,
    whole: u64,
    /// Entries of all layers, and the bytes of their names.
    entries: usize,
    names: usize,
    steps: usize,
    left_out: LeftOut,
}

/// How much of a kind was left out.
#[derive(Default)]
struct LeftOut {
    devices: usize,
    pipes: usize,
    owners: usize,
    set_id: usize,
    capabilities: usize,
}

impl<'a> Target<'a> {
    /// Layers go into this empty folder.
    pub(super) fn new(root: &'a Path) -> Self {
        let (room, most) = (Shape::Root.most_bytes(), Shape::Root.most_files());
        let whole = room + most as u64 * OVERHEAD;
        Self { root, room, whole, entries: 0, names: 0, steps: 0, left_out: LeftOut::default() }
    }

    /// Puts a layer over what is there, and holds it against the sum that its image gives, in hex.
    pub(super) fn apply(&mut self, layer: File, name: &Path, sum: &str) -> Result<(), ImageError> {
        let reading = || format!("read the layer `{}`", name.display());
        let (stream, meter) = archive::layer(layer, name, self.whole)?;
        let summed = Rc::new(RefCell::new(Context::new(&SHA256)));
        let mut archive = Archive::new(Summed { source: stream, sum: Rc::clone(&summed) });
        let mut made = BTreeSet::new();
        meter.expect(HEADERS);
        for entry in archive.entries().map_err(failed(reading()))? {
            let mut entry = entry.map_err(failed(reading()))?;
            meter.expect(self.room + HEADERS);
            self.put_down(&mut entry, &mut made)?;
            io::copy(&mut entry, &mut io::sink()).map_err(failed(reading()))?;
            meter.expect(HEADERS);
        }
        // What follows the end is padding, and part of what the sum is over.
        let mut rest = archive.into_inner();
        io::copy(&mut rest, &mut io::sink()).map_err(failed(reading()))?;
        self.whole = meter.left();
        drop(rest);
        let found = Rc::into_inner(summed).map(|sum| tree::hex(sum.into_inner())).unwrap_or_default();
        if found != sum {
            return Err(ImageError::Oci(format!("{}: the SHA-256 of what is in it is {found}, not {sum}", reading())));
        }
        Ok(())
    }

    /// Makes a folder where there is none, with those above it.
    pub(super) fn folder(&mut self, path: &Path) -> Result<(), ImageError> {
        let path = relative(path)?;
        self.parents(&path, &mut BTreeSet::new(), &path).map(drop)
    }

    /// Puts a file at the root, in place of whatever is there.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> Result<(), ImageError> {
        let place = self.root.join(name);
        remove(&place).and_then(|()| fs::write(&place, content)).map_err(failed(format!("write `{name}`")))
    }

    /// What was left out, for people.
    pub(super) fn notes(&self) -> Vec<String> {
        let LeftOut { devices, pipes, owners, set_id, capabilities } = self.left_out;
        let counted = [
            (devices, "devices: an instance is given its own"),
            (pipes, "named pipes"),
            (owners, "files and folders of other owners than root: in an instance all are of one owner"),
            (set_id, "set-user-id and set-group-id bits"),
            (capabilities, "files' capabilities"),
        ];
        let some = counted.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}")).collect()
    }

    fn put_down<R: Read>(&mut self, entry: &mut Entry<'_, R>, made: &mut BTreeSet<PathBuf>) -> Result<(), ImageError> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = relative(Path::new(OsStr::from_bytes(&entry.path_bytes())))?;
        let Some(name) = path.file_name() else { return Ok(()) };
        let of_aufs = |part: &OsStr| part.as_bytes().starts_with(OWN) && part.as_bytes() != OPAQUE;
        if path.iter().any(of_aufs) {
            return Ok(());
        }
        self.entries += 1;
        self.names += path.as_os_str().len();
        if self.entries > Shape::Root.most_files() {
            return Err(ImageError::TooManyFiles(Shape::Root.most_files()));
        }
        if self.names > MOST_NAMES {
            return Err(ImageError::Names);
        }
        let above = path.parent().unwrap_or(Path::new(""));
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.whiteout(above, name, made, &path);
        }
        let above = self.parents(above, made, &path)?;
        let place = above.join(name);
        self.note(entry);
        let what = || format!("put down `{}`", path.display());
        let target = self.root.join(&place);
        let mode = entry.header().mode().map_err(failed(what()))?;
        match kind {
            EntryType::Directory => {
                let mode = Shape::Root.folder_mode(mode);
                let there = fs::symlink_metadata(&target).is_ok_and(|about| about.is_dir());
                let done = if there {
                    fs::set_permissions(&target, Permissions::from_mode(mode))
                } else {
                    remove(&target).and_then(|()| make_folder(&target, mode))
                };
                done.map_err(failed(what()))?;
            }
            EntryType::Symlink => {
                let at = entry.link_name_bytes().filter(|at| !at.is_empty());
                let at = at.ok_or_else(|| outside(&path, "it is a link to nowhere"))?;
                let made = remove(&target).and_then(|()| symlink(OsStr::from_bytes(&at), &target));
                made.map_err(failed(what()))?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                remove(&target).map_err(failed(what()))?;
                self.write(entry, &target, mode, &what())?;
            }
            EntryType::Link => self.link(entry, &path, &target)?,
            // They are named in the notes.
            EntryType::Char | EntryType::Block | EntryType::Fifo => return Ok(()),
            _ => return Err(ImageError::Kind { path, kind: "of an unknown kind" }),
        }
        made.insert(place);
        Ok(())
    }

    /// Counts what of an entry is left out.
    fn note<R: Read>(&mut self, entry: &mut Entry<'_, R>) {
        let header = entry.header();
        let kind = header.entry_type();
        let of_others = header.uid().is_ok_and(|id| id != 0) || header.gid().is_ok_and(|id| id != 0);
        let set_id = kind.is_file() && header.mode().is_ok_and(|mode| mode & 0o6000 != 0);
        let left_out = &mut self.left_out;
        left_out.devices += usize::from(matches!(kind, EntryType::Char | EntryType::Block));
        left_out.pipes += usize::from(kind == EntryType::Fifo);
        left_out.owners += usize::from(of_others);
        left_out.set_id += usize::from(set_id);
        let extensions = entry.pax_extensions().ok().flatten();
        let keys =
            extensions.into_iter().flatten().filter_map(|extension| Some(extension.ok()?.key_bytes() == CAPABILITY));
        self.left_out.capabilities += keys.filter(|capability| *capability).count();
    }

    /// Takes away what lower layers have brought, and never what this one has.
    fn whiteout(
        &mut self,
        above: &Path,
        name: &OsStr,
        made: &BTreeSet<PathBuf>,
        path: &Path,
    ) -> Result<(), ImageError> {
        let name = name.as_bytes();
        let what = || format!("put down `{}`", path.display());
        let folder = self.resolved(above, path)?;
        if !fs::symlink_metadata(self.root.join(&folder)).is_ok_and(|about| about.is_dir()) {
            return Ok(());
        }
        if name == OPAQUE {
            return self.empty(&folder, made, path);
        }
        let hidden = &name[WHITEOUT.len()..];
        if hidden.is_empty() || matches!(hidden, b"." | b"..") {
            return Ok(());
        }
        let place = folder.join(OsStr::from_bytes(hidden));
        if made.contains(&place) {
            return Ok(());
        }
        remove(&self.root.join(&place)).map_err(failed(what()))
    }

    /// Removes from a folder all that this layer has not made.
    fn empty(&mut self, folder: &Path, made: &BTreeSet<PathBuf>, path: &Path) -> Result<(), ImageError> {
        let what = || format!("put down `{}`", path.display());
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for item in fs::read_dir(self.root.join(&folder)).map_err(failed(what()))? {
                self.step(1, path)?;
                let item = item.map_err(failed(what()))?;
                let place = folder.join(item.file_name());
                if !made.contains(&place) {
                    remove(&item.path()).map_err(failed(what()))?;
                } else if item.file_type().map_err(failed(what()))?.is_dir() {
                    folders.push(place);
                }
            }
        }
        Ok(())
    }

    /// A second name of a file, or of a link.
    fn link<R: Read>(&mut self, entry: &Entry<'_, R>, path: &Path, target: &Path) -> Result<(), ImageError> {
        let what = || format!("put down `{}`", path.display());
        let at = entry.link_name_bytes().unwrap_or_default();
        let at = relative(Path::new(OsStr::from_bytes(&at)))?;
        let nothing =
            || outside(path, &format!("it is a hard link to `{}`, which is no file of the image", at.display()));
        let name = at.file_name().ok_or_else(nothing)?;
        let source = self.root.join(self.resolved(at.parent().unwrap_or(Path::new("")), path)?).join(name);
        let about = fs::symlink_metadata(&source).map_err(|_| nothing())?;
        if about.is_dir() {
            return Err(nothing());
        }
        if source == target {
            return Ok(());
        }
        remove(target).map_err(failed(what()))?;
        // To be counted as what it becomes in an instance: a file of its own.
        self.room = self.room.checked_sub(about.len()).ok_or_else(too_large)?;
        match fs::hard_link(&source, target) {
            Err(error) if error.kind() == io::ErrorKind::TooManyLinks => fs::copy(&source, target).map(drop),
            linked => linked,
        }
        .map_err(failed(what()))
    }

    fn write(&mut self, source: &mut impl Read, target: &Path, mode: u32, what: &str) -> Result<(), ImageError> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).map_err(failed(what))?;
        let copied = io::copy(&mut source.take(self.room + 1), &mut file).map_err(failed(what))?;
        self.room = self.room.checked_sub(copied).ok_or_else(too_large)?;
        file.flush().and_then(|()| file.set_permissions(Permissions::from_mode(file_mode(mode)))).map_err(failed(what))
    }

    /// Where a folder of the image really is, made where there is none yet.
    fn parents(&mut self, folder: &Path, made: &mut BTreeSet<PathBuf>, path: &Path) -> Result<PathBuf, ImageError> {
        let real = self.resolved(folder, path)?;
        let mut at = PathBuf::new();
        for name in &real {
            at.push(name);
            let place = self.root.join(&at);
            match fs::symlink_metadata(&place) {
                Ok(about) if about.is_dir() => {}
                Ok(_) => return Err(outside(path, "its path goes through a file")),
                Err(_) => {
                    make_folder(&place, FOLDER).map_err(failed(format!("put down `{}`", path.display())))?;
                    made.insert(at.clone());
                }
            }
        }
        Ok(real)
    }

    fn resolved(&mut self, folder: &Path, path: &Path) -> Result<PathBuf, ImageError> {
        let mut steps = 0;
        let real = below(self.root, folder, &mut steps);
        self.step(steps, path)?;
        real.map_err(|why| outside(path, why))
    }

    fn step(&mut self, steps: usize, path: &Path) -> Result<(), ImageError> {
        self.steps += steps;
        if self.steps > MOST_STEPS {
            return Err(outside(path, "the paths of the image go through too many links and folders"));
        }
        Ok(())
    }
}

/// What files may do without being root's, as tar has it (SCHILY).
const CAPABILITY: &[u8] = b"SCHILY.xattr.security.capability";

/// The real place below `root` of a path that is seen from there: its links are followed, absolute ones from `root` on, and
/// nothing is above `root`. What is not there is taken by its name. Counts the names that it has looked up.
pub(super) fn below(root: &Path, path: &Path, steps: &mut usize) -> Result<PathBuf, &'static str> {
    let mut todo: Vec<OsString> = path.iter().rev().map(OsStr::to_owned).collect();
    let (mut at, mut links) = (PathBuf::new(), 0);
    while let Some(name) = todo.pop() {
        match Path::new(&name).components().next() {
            Some(Component::Normal(name)) => {
                *steps += 1;
                at.push(name);
            }
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            Some(Component::RootDir) => {
                at.clear();
                continue;
            }
            _ => continue,
        }
        let Ok(target) = fs::read_link(root.join(&at)) else { continue };
        links += 1;
        if links > MOST_LINKS {
            return Err("its path goes through more than 40 links");
        }
        at.pop();
        todo.extend(target.iter().rev().map(OsStr::to_owned));
    }
    Ok(at)
}

/// A path of a layer, below the root; an absolute one means the same.
fn relative(given: &Path) -> Result<PathBuf, ImageError> {
    let mut path = PathBuf::new();
    for component in given.components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return Err(outside(given, "its path has `..`")),
        }
    }
    Ok(path)
}

/// Removes whatever is there, if anything is; a link itself, and never what it leads to.
fn remove(place: &Path) -> io::Result<()> {
    match fs::symlink_metadata(place) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn outside(path: &Path, why: &str) -> ImageError {
    ImageError::Outside { path: path.to_owned(), why: why.to_owned() }
}

fn too_large() -> ImageError {
    ImageError::TooLarge(gib(Shape::Root.most_bytes()))
}

/// Sums up what is read through it.
struct Summed<R> {
    source: R,
    sum: Rc<RefCell<Context>>,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buf)?;
        self.sum.borrow_mut().update(&buf[..read]);
        Ok(read)
    }
}
