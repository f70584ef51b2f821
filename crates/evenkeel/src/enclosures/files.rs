//! The files of an instance as its own commands see them.
//!
//! Owns the [`Files`] trait, by which a boot reads and writes them wherever they are, and [`OnNode`]: a folder of the node.
//! All paths are as a command of the instance would write them. Must never follow a link out of the instance's files, nor
//! leave a file half written under its own name.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Something else: a device, a socket.
    Other,
}

/// An instance's files. Every error completes "failed to …".
pub trait Files {
    /// The folder that commands start in.
    fn root(&self) -> &Path;

    /// What is at a path, links followed; `None` where nothing is.
    ///
    /// # Errors
    /// They cannot be asked, or the path leads out of them.
    fn kind(&self, path: &Path) -> Result<Option<Kind>, String>;

    /// A file to read from its beginning.
    ///
    /// # Errors
    /// It is not there or cannot be read, or the path leads out of the instance's files.
    fn open(&self, path: &Path) -> Result<File, String>;

    /// Makes a folder and those above it; one that is there is left as it is.
    ///
    /// # Errors
    /// What the system says, or a path that leads out of the instance's files.
    fn make_dir(&self, path: &Path) -> Result<(), String>;

    /// Puts a file of the node at a path with this mode, whole or not at all, and makes the folders above. The file may be
    /// gone from the node afterwards.
    ///
    /// # Errors
    /// What the system says, or a path that leads out of the instance's files.
    fn place(&self, file: &Path, to: &Path, mode: u32) -> Result<(), String>;

    /// Puts everything in a folder of the node into a folder of the instance, which is made if need be; what is there
    /// under the same names is replaced. It may be gone from the node afterwards.
    ///
    /// # Errors
    /// What the system says, a file where a folder is to be or the other way round, or a path that leads out of the
    /// instance's files.
    fn place_all(&self, folder: &Path, into: &Path) -> Result<(), String>;

    /// Where a program is that is started in this folder. A name is looked for there first, then, when it has no `/`, on the
    /// search path.
    ///
    /// # Errors
    /// They cannot be asked.
    fn program(&self, dir: &Path, name: &str, search: &str) -> Result<Option<PathBuf>, String>;
}

/// A path of the instance's files, from what somebody wrote: absolute ones are meant within them.
///
/// # Errors
/// One with `..` in it.
pub fn inside(root: &Path, path: &str) -> Result<PathBuf, String> {
    let mut at = root.to_owned();
    for component in Path::new(path).strip_prefix(root).unwrap_or(Path::new(path)).components() {
        match component {
            Component::Normal(name) => at.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(format!("use `{path}`: it has `..` in it")),
        }
    }
    Ok(at)
}

/// Files in a folder of the node, which commands see where it is.
#[derive(Clone, Debug)]
pub struct OnNode {
    root: PathBuf,
}

impl OnNode {
    /// The files in this folder.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The path, if no link on the way leads out of the files.
    fn checked(&self, path: &Path) -> Result<PathBuf, String> {
        let out = || format!("use `{}`: it leads out of the instance's files", path.display());
        let mut at = self.root.clone();
        for component in path.strip_prefix(&self.root).map_err(|_| out())?.components() {
            let Component::Normal(name) = component else { return Err(out()) };
            at.push(name);
            let linked = fs::symlink_metadata(&at).is_ok_and(|about| about.is_symlink());
            let stays = |real: PathBuf| self.root.canonicalize().is_ok_and(|root| real.starts_with(root));
            if linked && !at.canonicalize().is_ok_and(stays) {
                return Err(out());
            }
        }
        Ok(at)
    }

    fn place_below(&self, folder: &Path, into: &Path) -> Result<(), String> {
        let failed = |path: &Path, error: io::Error| format!("write `{}`: {error}", path.display());
        self.make_dir(into)?;
        for entry in fs::read_dir(folder).map_err(|error| failed(into, error))? {
            let entry = entry.map_err(|error| failed(into, error))?;
            let to = into.join(entry.file_name());
            let about = entry.metadata().map_err(|error| failed(&to, error))?;
            if !about.is_dir() {
                // A link is replaced, not followed.
                fs::rename(entry.path(), &to).map_err(|error| failed(&to, error))?;
                continue;
            }
            let is_new = fs::symlink_metadata(&to).is_err();
            self.place_below(&entry.path(), &to)?;
            if is_new {
                fs::set_permissions(&to, about.permissions()).map_err(|error| failed(&to, error))?;
            }
        }
        Ok(())
    }
}

impl Files for OnNode {
    fn root(&self) -> &Path {
        &self.root
    }

    fn kind(&self, path: &Path) -> Result<Option<Kind>, String> {
        match fs::metadata(self.checked(path)?) {
            Ok(about) if about.is_file() => Ok(Some(Kind::File)),
            Ok(about) if about.is_dir() => Ok(Some(Kind::Folder)),
            Ok(_) => Ok(Some(Kind::Other)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(format!("look at `{}`: {error}", path.display())),
        }
    }

    fn open(&self, path: &Path) -> Result<File, String> {
        File::open(self.checked(path)?).map_err(|error| format!("read `{}`: {error}", path.display()))
    }

    fn make_dir(&self, path: &Path) -> Result<(), String> {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(self.checked(path)?);
        made.map_err(|error| format!("make `{}`: {error}", path.display()))
    }

    fn place(&self, file: &Path, to: &Path, mode: u32) -> Result<(), String> {
        let to = self.checked(to)?;
        if let Some(parent) = to.parent() {
            self.make_dir(parent)?;
        }
        let placed = fs::set_permissions(file, fs::Permissions::from_mode(mode)).and_then(|()| fs::rename(file, &to));
        placed.map_err(|error| format!("write `{}`: {error}", to.display()))
    }

    fn place_all(&self, folder: &Path, into: &Path) -> Result<(), String> {
        self.place_below(folder, into)
    }

    fn program(&self, dir: &Path, name: &str, search: &str) -> Result<Option<PathBuf>, String> {
        let there = |path: PathBuf| fs::metadata(&path).is_ok_and(|about| about.is_file()).then_some(path);
        // `join` of an absolute path is that path: programs of the node can be run too.
        if let Some(found) = there(dir.join(name)) {
            return Ok(Some(found));
        }
        if name.contains('/') {
            return Ok(None);
        }
        let may_run = |path: &PathBuf| fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o111 != 0);
        let mut folders = search.split(':').filter(|folder| folder.starts_with('/'));
        Ok(folders.find_map(|folder| there(Path::new(folder).join(name)).filter(may_run)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_the_image_first() {
        let dir = tempfile::TempDir::new().unwrap();
        fs::write(dir.path().join("ls"), "").unwrap();
        let files = OnNode::new(dir.path().to_owned());
        let check = |name: &str, want: Option<PathBuf>| {
            assert_eq!(files.program(dir.path(), name, "relative:/bin"), Ok(want), "{name}")
        };
        check("ls", Some(dir.path().join("ls")));
        check("./ls", Some(dir.path().join("./ls")));
        check("sh", Some("/bin/sh".into()));
        check("/bin/sh", Some("/bin/sh".into()));
        check("./sh", None);
        check("no-such-program", None);
    }

    #[test]
    fn absolute_paths_are_meant_within_the_files() {
        let check = |path: &str, want: Option<&str>| {
            assert_eq!(inside(Path::new("/a/root"), path).ok().as_deref(), want.map(Path::new), "{path}");
        };
        check("etc/x", Some("/a/root/etc/x"));
        check("/etc/x", Some("/a/root/etc/x"));
        check("/a/root/etc/x", Some("/a/root/etc/x"));
        check("/a/rooted", Some("/a/root/a/rooted"));
        check("./x/./y", Some("/a/root/x/y"));
        check("x/../../y", None);
    }

    #[test]
    fn nothing_is_placed_through_a_link_that_leads_out() {
        let dir = tempfile::TempDir::new().unwrap();
        let (root, other) = (dir.path().join("root"), dir.path().join("other"));
        fs::create_dir_all(root.join("in")).unwrap();
        fs::create_dir_all(&other).unwrap();
        std::os::unix::fs::symlink(&other, root.join("out")).unwrap();
        std::os::unix::fs::symlink(root.join("in"), root.join("stays")).unwrap();
        let files = OnNode::new(root.clone());
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, "new").unwrap();
            path
        };
        assert!(files.place(&file("a"), &root.join("out/a"), 0o600).unwrap_err().contains("leads out"));
        files.place(&file("a"), &root.join("stays/sub/a"), 0o640).unwrap();
        assert_eq!(fs::metadata(root.join("in/sub/a")).unwrap().permissions().mode() & 0o777, 0o640);
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("out")).unwrap();
        fs::write(tree.join("out/b"), "new").unwrap();
        assert!(files.place_all(&tree, &root).unwrap_err().contains("leads out"));
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
        fs::rename(tree.join("out"), tree.join("in")).unwrap();
        files.place_all(&tree, &root).unwrap();
        assert_eq!(fs::read(root.join("in/b")).unwrap(), b"new");
        assert_eq!(files.kind(&root.join("in/b")), Ok(Some(Kind::File)));
        assert_eq!(files.kind(&root.join("in/none")), Ok(None));
    }
}
