//! The files of an instance that is apart from the node, from outside of it.
//!
//! Owns the way to them: every path is walked by the kernel as if they were the root (`openat2`, RESOLVE_IN_ROOT), so neither
//! a link of the image nor one that a process of the instance makes meanwhile leads out. Must never use a path of theirs as a
//! path of the node. Linux 5.6 and later.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::files::{Files, Kind};
use super::namespaces;
use crate::drivers::folder::Folder;

/// Files below what commands see as `/`.
#[derive(Debug)]
pub struct Rooted {
    top: Top,
    /// Where among them the instance's own are.
    root: PathBuf,
}

#[derive(Debug)]
enum Top {
    /// A folder of the node.
    Folder(PathBuf),
    /// What is `/` in the enclosure of the instance with this folder, while there is one.
    Within(Folder),
}

/// What a file is called before it is whole.
const PLACING: &str = ".evenkeel-placing";

impl Rooted {
    /// The files below a folder of the node.
    #[must_use]
    pub fn new(top: PathBuf) -> Self {
        Self { top: Top::Folder(top), root: "/".into() }
    }

    /// What is in the enclosure of the instance with this folder, whose own files are there below `root`.
    #[must_use]
    pub fn within(folder: Folder, root: PathBuf) -> Self {
        Self { top: Top::Within(folder), root }
    }

    fn top(&self) -> Result<OwnedFd, String> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match &self.top {
            Top::Folder(folder) => rustix::fs::open(folder, flags, Mode::empty()).map_err(io::Error::from),
            Top::Within(folder) => namespaces::top(folder),
        };
        opened.map_err(|error| format!("open the instance's files: {error}"))
    }

    fn at(&self, path: &Path, flags: OFlags) -> Result<rustix::io::Result<OwnedFd>, String> {
        Ok(at(&self.top()?, path, flags))
    }

    /// A folder, made with those above it where there is none.
    fn folder(&self, path: &Path) -> Result<OwnedFd, String> {
        let say = |error: Errno| format!("make `{}`: {}", path.display(), io::Error::from(error));
        let top = self.top()?;
        let mut made = PathBuf::from("/");
        let mut folder = at(&top, &made, FOLDER).map_err(say)?;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            made.push(name);
            folder = match at(&top, &made, FOLDER) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(say(error)),
                    }
                    at(&top, &made, FOLDER).map_err(say)?
                }
                opened => opened.map_err(say)?,
            };
        }
        Ok(folder)
    }

    fn place_below(&self, from: &Path, into: &Path) -> Result<(), String> {
        let failed = |path: &Path, error: io::Error| format!("write `{}`: {error}", path.display());
        let folder = self.folder(into)?;
        for entry in fs::read_dir(from).map_err(|error| failed(into, error))? {
            let entry = entry.map_err(|error| failed(into, error))?;
            let (name, to) = (entry.file_name(), into.join(entry.file_name()));
            let about = entry.metadata().map_err(|error| failed(&to, error))?;
            if about.is_dir() {
                let is_new = rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW).is_err();
                self.place_below(&entry.path(), &to)?;
                if is_new {
                    let mode = Mode::from_raw_mode(about.permissions().mode() & 0o7777);
                    let set = rustix::fs::chmodat(&folder, &name, mode, AtFlags::empty());
                    set.map_err(|error| failed(&to, error.into()))?;
                }
            } else if about.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(|error| failed(&to, error))?;
                let linked = remove(&folder, &name).and_then(|()| rustix::fs::symlinkat(&target, &folder, &name));
                linked.map_err(|error| failed(&to, error.into()))?;
            } else {
                let mode = about.permissions().mode();
                put(&entry.path(), &folder, &name, mode).map_err(|error| failed(&to, error))?;
            }
        }
        Ok(())
    }
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// Opens what a path leads to below `top`.
fn at(top: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(top, path, flags | OFlags::CLOEXEC, Mode::empty(), within) {
            // Something was renamed meanwhile, somewhere.
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Puts a file of the node into a folder, whole or not at all.
fn put(file: &Path, folder: &OwnedFd, name: &OsStr, mode: u32) -> io::Result<()> {
    let mut from = File::open(file)?;
    remove(folder, OsStr::new(PLACING))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut to = File::from(rustix::fs::openat(folder, PLACING, flags, Mode::from_raw_mode(0o600))?);
    io::copy(&mut from, &mut to)?;
    to.set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
    Ok(rustix::fs::renameat(folder, PLACING, folder, name)?)
}

fn remove(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The folder and the name of a path.
fn parted(path: &Path) -> Result<(&Path, &OsStr), String> {
    let name = path.file_name().ok_or_else(|| format!("write `{}`: it has no name", path.display()))?;
    Ok((path.parent().unwrap_or(Path::new("/")), name))
}

impl Files for Rooted {
    fn root(&self) -> &Path {
        &self.root
    }

    fn kind(&self, path: &Path) -> Result<Option<Kind>, String> {
        let say = |error: Errno| format!("look at `{}`: {}", path.display(), io::Error::from(error));
        let opened = match self.at(path, OFlags::PATH)? {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            opened => opened.map_err(say)?,
        };
        let about = rustix::fs::fstat(&opened).map_err(say)?;
        Ok(Some(match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        }))
    }

    fn open(&self, path: &Path) -> Result<File, String> {
        let say = |error: io::Error| format!("read `{}`: {error}", path.display());
        // A pipe, which is no file, would keep us waiting.
        let opened = self.at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let file = File::from(opened.map_err(|error| say(error.into()))?);
        if !file.metadata().map_err(say)?.is_file() {
            return Err(format!("read `{}`: it is no file", path.display()));
        }
        Ok(file)
    }

    fn make_dir(&self, path: &Path) -> Result<(), String> {
        self.folder(path).map(drop)
    }

    fn place(&self, file: &Path, to: &Path, mode: u32) -> Result<(), String> {
        let (above, name) = parted(to)?;
        let folder = self.folder(above)?;
        let placed = put(file, &folder, name, mode).and_then(|()| fs::remove_file(file));
        placed.map_err(|error| format!("write `{}`: {error}", to.display()))
    }

    fn place_all(&self, folder: &Path, into: &Path) -> Result<(), String> {
        self.place_below(folder, into)
    }

    fn program(&self, dir: &Path, name: &str, search: &str) -> Result<Option<PathBuf>, String> {
        let runs = |path: &Path| -> Result<bool, String> {
            let Ok(opened) = self.at(path, OFlags::PATH)? else { return Ok(false) };
            let about = rustix::fs::fstat(&opened).map_err(|error| format!("look at `{}`: {error}", path.display()))?;
            let is_file = FileType::from_raw_mode(about.st_mode) == FileType::RegularFile;
            Ok(is_file && about.st_mode & 0o111 != 0)
        };
        let there = dir.join(name);
        if self.kind(&there)? == Some(Kind::File) {
            return Ok(Some(there));
        }
        if name.contains('/') {
            return Ok(None);
        }
        for folder in search.split(':').filter(|folder| folder.starts_with('/')) {
            let path = Path::new(folder).join(name);
            if runs(&path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_are_walked_as_if_the_folder_were_the_root() {
        let dir = tempfile::TempDir::new().unwrap();
        let (top, other) = (dir.path().join("root"), dir.path().join("other"));
        for folder in [top.join("usr/bin"), top.join("etc"), other.clone()] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(other.join("precious"), "precious").unwrap();
        fs::write(top.join("usr/bin/tool"), "x").unwrap();
        fs::set_permissions(top.join("usr/bin/tool"), Permissions::from_mode(0o755)).unwrap();
        symlink("/usr/bin", top.join("bin")).unwrap();
        symlink(&other, top.join("abs")).unwrap();
        symlink("../../../..", top.join("up")).unwrap();
        symlink(other.join("precious"), top.join("etc/secret")).unwrap();
        let files = Rooted::new(top.clone());
        assert_eq!(files.program(Path::new("/"), "tool", "/none:/bin"), Ok(Some("/bin/tool".into())));
        assert_eq!(files.program(Path::new("/"), "/bin/tool", ""), Ok(Some("/bin/tool".into())));
        assert_eq!(files.program(Path::new("/"), "sh", "/none:/bin"), Ok(None));
        assert_eq!(files.program(Path::new("/up/usr"), "./bin/tool", ""), Ok(Some("/up/usr/./bin/tool".into())));
        assert_eq!(files.kind(Path::new("/bin")), Ok(Some(Kind::Folder)));
        assert_eq!(files.kind(Path::new("/up/usr")), Ok(Some(Kind::Folder)));
        assert_eq!(files.kind(Path::new("/etc/secret")), Ok(None));
        files.open(Path::new("/etc/secret")).unwrap_err();
        files.open(Path::new("/usr")).unwrap_err();

        let file = |content: &str| {
            let path = dir.path().join("beside");
            fs::write(&path, content).unwrap();
            path
        };
        // A link that leads nowhere in there is no way out.
        files.place(&file("new"), Path::new("/up/abs/sub/a"), 0o640).unwrap_err();
        files.place(&file("new"), Path::new("/bin/more"), 0o755).unwrap();
        assert_eq!(fs::metadata(top.join("usr/bin/more")).unwrap().permissions().mode() & 0o777, 0o755);
        files.place(&file("mine"), Path::new("/etc/secret"), 0o600).unwrap();
        assert!(fs::symlink_metadata(top.join("etc/secret")).unwrap().is_file(), "a link is replaced, not followed");
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("bin/deep")).unwrap();
        fs::write(tree.join("bin/deep/b"), "new").unwrap();
        symlink("b", tree.join("bin/deep/l")).unwrap();
        files.place_all(&tree, Path::new("/")).unwrap();
        assert_eq!(fs::read_to_string(top.join("usr/bin/deep/l")).unwrap(), "new");
        assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(other.join("precious")).unwrap(), "precious");
    }
}
