//! The files of an image with an instance's own changes over them (overlayfs): so any number of instances of a root filesystem
//! have its files once, and one that starts copies nothing.
//!
//! Owns the mount, which is nowhere: whoever holds it reads it, or puts it into a namespace, and with its last holder it is
//! gone. Must never be used where the image's files can be written to: the kernel takes care that a change is the instance's
//! alone. Linux 5.2 and later, as root, on a file system that bears it (overlayfs.rst: `trusted.` attributes, no overlay
//! itself); elsewhere an instance has a copy.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

use crate::drivers::folder::Folder;

/// The kernel's own folder beside the changes, in an instance's.
const WORK: &str = "work";

/// Makes the instance's folder for changes, in place of a copy of the image. False where this node cannot have it so; then
/// nothing is left of it.
///
/// # Errors
/// What the system says.
pub fn prepare(image: &Path, folder: &Folder) -> io::Result<bool> {
    let (work, partial) = (folder.file(WORK), folder.file("root.partial"));
    for old in [&work, &partial] {
        match fs::remove_dir_all(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::create_dir(&work)?;
    fs::create_dir(&partial)?;
    // What it is when it is seen as `/`.
    fs::set_permissions(&partial, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    if mount(image, &partial, &work).is_ok() {
        fs::rename(&partial, folder.root())?;
        return Ok(true);
    }
    fs::remove_dir_all(&work)?;
    fs::remove_dir_all(&partial)?;
    Ok(false)
}

/// Whether what is in an instance's folder are changes alone.
#[must_use]
pub fn is_used(folder: &Folder) -> bool {
    folder.file(WORK).is_dir()
}

/// The instance's files, whole.
///
/// # Errors
/// What the system says.
pub fn mounted(image: &Path, folder: &Folder) -> io::Result<OwnedFd> {
    mount(image, &folder.root(), &folder.file(WORK))
}

fn mount(image: &Path, changes: &Path, work: &Path) -> io::Result<OwnedFd> {
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let mut held = Vec::new();
    for (key, folder) in [("lowerdir", image), ("upperdir", changes), ("workdir", work)] {
        // By its descriptor: in a path, `:` and `,` would mean something.
        let opened = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        fsconfig_set_string(&overlay, key, format!("/proc/self/fd/{}", opened.as_raw_fd()))?;
        held.push(opened);
    }
    fsconfig_create(&overlay)?;
    Ok(fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NODEV)?)
}
