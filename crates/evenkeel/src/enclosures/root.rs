//! What there is in the enclosure of an instance that has a root filesystem of its own.
//!
//! Owns its mounts: the instance's files become its `/`, with `/proc`, `/sys`, `/dev`, `/etc/hosts`, `/etc/hostname` and
//! `/etc/resolv.conf` as in containers, and nothing of the node is left in sight. Nothing is mounted before the instance's files
//! are the root: so no link in them can lead to where it would be mounted on the node. Next: [`super::first`].

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::first::{at, devices, furnish_devices, furnish_kernel, host_name, own, put_back, taken_out};
use super::overlay;
use crate::drivers::folder::{Folder, Spec};

/// Folders that something is mounted on. They are real ones, whatever the image or the instance has made of them.
const MOUNTED: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Folders that every program expects, and their modes.
const EXPECTED: [(&str, u32); 2] = [("/etc", 0o755), ("/tmp", 0o1777)];
/// Where a file is made that is to be in memory.
const MAKING: &str = "/dev/shm/evenkeel";

/// Makes of a copy of the node's mounts those of the instance.
pub(super) fn furnish(folder: &Folder, spec: &Spec) -> Result<(), String> {
    let root = folder.root();
    let resolver = fs::read("/etc/resolv.conf").unwrap_or_default();
    at("/", mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC))?;
    let files = match &spec.image {
        Some(image) => {
            overlay::mounted(image, folder).map_err(|error| format!("lay its files over its image: {error}"))?
        }
        None => taken_out(&root)?,
    };
    let devices = devices()?;
    put_back(&files, &root)?;
    at(&root, mount_remount(&root, MountFlags::BIND | MountFlags::NODEV, c""))?;
    // The one over the other, and then the one below is let go of (pivot_root(2), NOTES).
    at(&root, chdir(&root).and_then(|()| pivot_root(".", ".")).and_then(|()| unmount(".", UnmountFlags::DETACH)))?;
    at("/", chdir("/"))?;

    for path in MOUNTED {
        made(path, real(Path::new(path)))?;
    }
    for (path, mode) in EXPECTED {
        made(path, if Path::new(path).exists() { Ok(()) } else { folder_of(Path::new(path), mode) })?;
    }
    furnish_kernel()?;
    let of_kernel = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    // It says what the machine has, which few programs ask and none may change.
    if mount("sysfs", "/sys", "sysfs", of_kernel, None).is_ok() && Path::new("/sys/firmware").exists() {
        own(Path::new("/sys/firmware"), "mode=0555,size=4k,ro")?;
    }
    furnish_devices(&devices)?;
    let name = host_name(spec);
    let hosts = format!(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{} {name}.internal {name}\n",
        spec.address
    );
    for (path, content) in [
        ("/etc/hosts", hosts.as_bytes()),
        ("/etc/hostname", format!("{name}\n").as_bytes()),
        ("/etc/resolv.conf", &resolver),
    ] {
        made(path, cover(Path::new(path), content))?;
    }
    rustix::system::sethostname(name.as_bytes()).map_err(|error| format!("set the host name: {error}"))
}

fn made(path: &str, done: io::Result<()>) -> Result<(), String> {
    done.map_err(|error| format!("make `{path}`: {error}"))
}

/// Makes a path a folder and nothing else.
fn real(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    folder_of(path, 0o755)
}

fn folder_of(path: &Path, mode: u32) -> io::Result<()> {
    // A link that leads nowhere.
    if path.is_symlink() {
        fs::remove_file(path)?;
    }
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Mounts a file in memory over one of the image: its own stays as it is.
fn cover(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_file() => {}
        found => {
            match found {
                Ok(about) if about.is_dir() => fs::remove_dir_all(path)?,
                Ok(_) => fs::remove_file(path)?,
                Err(_) => {}
            }
            fs::write(path, "")?;
            fs::set_permissions(path, Permissions::from_mode(0o644))?;
        }
    }
    fs::write(MAKING, content)?;
    fs::set_permissions(MAKING, Permissions::from_mode(0o644))?;
    mount_bind(MAKING, path)?;
    // The mount keeps it.
    fs::remove_file(MAKING)
}
