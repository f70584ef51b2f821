//! `evenkeel enclosure --dir FOLDER`: the first process in the namespaces of an instance, which puts everything in its place
//! there and then reaps whatever loses its parent.
//!
//! Owns what is mounted in the enclosure, and its host name. It goes when its input ends and nothing else is left in the
//! enclosure, which tells the agent so; when it is killed, the kernel ends everything else in there. Must never start
//! anything itself.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_change, mount_remount,
    move_mount, open_tree,
};
use rustix::process::{WaitOptions, wait};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::root;
use crate::drivers::folder::{Folder, Spec};
use crate::sys::process;

/// How long it waits for one process until it looks whether there are others.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// What it says when everything is in place.
pub const READY: &str = "ready";

/// Folders that are the instance's own, empty at each boot, in memory; how much they may hold.
const OWN: [(&str, &str); 3] =
    [("/tmp", "mode=1777,size=256m"), ("/var/tmp", "mode=1777,size=256m"), ("/run", "mode=0755,size=64m")];
/// The devices that are no part of the machine.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];
/// What `/dev` names besides them.
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];
/// The instance's own list of hosts, over the node's.
const HOSTS: &str = "/run/evenkeel-hosts";
/// What is said of the kernel as a whole: to be read, not written.
const OF_THE_NODE: [&str; 5] = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"];

/// Runs until nothing is left in the enclosure. Exit status 2 where it is no first process, 1 for an enclosure that cannot be made,
/// which its output then says, completing "failed to …".
pub fn main(folder: PathBuf) -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("evenkeel enclosure: it is for the first process of a PID namespace");
        return ExitCode::from(2);
    }
    let folder = Folder::new(folder);
    let told = |line: &str| io::stdout().write_all(format!("{line}\n").as_bytes());
    if let Err(why) = furnish(&folder) {
        let _ = told(&why);
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let kept = runtime.and_then(|runtime| {
        runtime.block_on(async {
            // Before it says so, so that no end of a process goes unheard.
            let children = signal(SignalKind::child())?;
            told(READY)?;
            keep(children).await
        })
    });
    match kept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel enclosure: failed to keep it: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reaps until the agent has closed our input and nobody is left.
async fn keep(mut children: tokio::signal::unix::Signal) -> io::Result<()> {
    let mut open = Some(Receiver::from_owned_fd(rustix::io::dup(io::stdin())?)?);
    let mut other: Option<JoinHandle<bool>> = None;
    let mut buffer = [0; 16];
    loop {
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        if open.is_none() && other.is_none() {
            // Those that the agent has started are its children, and not ours to wait for.
            let Some(process) = process::others().into_iter().next() else { return Ok(()) };
            other = Some(tokio::task::spawn_blocking(move || process::ended_within(&process, LOOK_AGAIN)));
        }
        tokio::select! {
            _ = children.recv() => {}
            read = read_some(&mut open, &mut buffer), if open.is_some() => if !matches!(read, Ok(n) if n > 0) {
                open = None;
            },
            _ = ended(&mut other), if other.is_some() => other = None,
        }
    }
}

async fn read_some(open: &mut Option<Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    match open {
        Some(open) => open.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn ended(other: &mut Option<JoinHandle<bool>>) {
    match other {
        // Whatever came of it, we look again.
        Some(other) => drop(other.await),
        None => std::future::pending().await,
    }
}

/// Makes of a copy of the node's mounts those of the instance.
fn furnish(folder: &Folder) -> Result<(), String> {
    let spec = folder.spec().map_err(|error| format!("read `spec.json`: {error}"))?;
    let spec = spec.ok_or_else(|| "find `spec.json`".to_owned())?;
    if spec.manifest.rootfs {
        return root::furnish(folder, &spec);
    }
    let root = folder.root();
    // The folder is one of `<data>/instances`.
    let data_dir = folder.path().ancestors().nth(2).ok_or_else(|| "find the data directory".to_owned())?;
    let resolver = fs::read("/etc/resolv.conf").ok().zip(fs::canonicalize("/etc/resolv.conf").ok());

    at("/", mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC))?;
    // Taken out before everything around it is closed and covered, to be put back at the end.
    let files = taken_out(&root)?;
    let devices = devices()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("read the mounts: {error}"))?;
    for (place, flags) in mounts.lines().filter_map(mounted) {
        close_off(&place, flags)?;
    }
    furnish_kernel()?;
    furnish_devices(&devices)?;
    let is_folder = |path: &str| fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    for (path, options) in OWN.into_iter().filter(|(path, _)| is_folder(path)) {
        own(Path::new(path), options)?;
    }
    if let Some((text, real)) = resolver.filter(|(_, real)| !real.exists()) {
        // It was in a folder that is now the instance's own.
        let made = real.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&real, text));
        made.map_err(|error| format!("write `{}`: {error}", real.display()))?;
    }
    fs::create_dir_all(data_dir).map_err(|error| format!("make `{}`: {error}", data_dir.display()))?;
    own(data_dir, "mode=0755,size=1m")?;
    fs::create_dir_all(&root).map_err(|error| format!("make `{}`: {error}", root.display()))?;
    put_back(&files, &root)?;
    at(&root, mount_remount(&root, MountFlags::BIND | MountFlags::NODEV, c""))?;
    let closed = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    at(data_dir, mount_remount(data_dir, closed, c""))?;
    let name = host_name(&spec);
    hosts(&name, &spec).map_err(|error| format!("make `/etc/hosts`: {error}"))?;
    rustix::system::sethostname(name.as_bytes()).map_err(|error| format!("set the host name: {error}"))
}

/// What is said of the processes in there, and of the kernel.
pub(super) fn furnish_kernel() -> Result<(), String> {
    let of_kernel = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    at("/proc", mount("proc", "/proc", "proc", of_kernel, None))?;
    for path in OF_THE_NODE.into_iter().filter(|path| Path::new(path).exists()) {
        at(path, mount_bind(path, path))?;
        at(path, mount_remount(path, of_kernel | MountFlags::BIND | MountFlags::RDONLY, c""))?;
    }
    Ok(())
}

/// The node's devices that an instance may have, taken out before anything covers them.
pub(super) fn devices() -> Result<Vec<(OwnedFd, PathBuf)>, String> {
    let devices = DEVICES.map(|name| Path::new("/dev").join(name)).into_iter().filter(|path| path.exists());
    devices.map(|path| Ok((taken_out(&path)?, path))).collect()
}

/// A copy of a mount that is nowhere yet.
pub(super) fn taken_out(path: &Path) -> Result<OwnedFd, String> {
    at(path, open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC))
}

pub(super) fn put_back(tree: &OwnedFd, path: &Path) -> Result<(), String> {
    at(path, move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH))
}

/// A `/dev` without the machine's: a read-only mount would not keep root from writing to a disk.
pub(super) fn furnish_devices(devices: &[(OwnedFd, PathBuf)]) -> Result<(), String> {
    let dev = Path::new("/dev");
    let made = |error: io::Error| format!("make `/dev`: {error}");
    own(dev, "mode=0755,size=1m")?;
    for (tree, path) in devices {
        fs::write(path, "").map_err(made)?;
        put_back(tree, path)?;
    }
    for (name, to) in DEVICE_LINKS {
        std::os::unix::fs::symlink(to, dev.join(name)).map_err(made)?;
    }
    let (terminals, shared) = (dev.join("pts"), dev.join("shm"));
    fs::create_dir(&terminals).and_then(|()| fs::create_dir(&shared)).map_err(made)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    at(&terminals, mount("devpts", &terminals, "devpts", flags, c"newinstance,ptmxmode=0666,mode=0620"))?;
    own(&shared, "mode=1777,size=256m")?;
    at(dev, mount_remount(dev, MountFlags::BIND | MountFlags::RDONLY | flags, c""))
}

/// The node's hosts and this one: programs look for the address of their own name.
fn hosts(name: &str, spec: &Spec) -> io::Result<()> {
    let hosts = Path::new("/etc/hosts");
    if !hosts.exists() || !Path::new("/run").is_dir() {
        return Ok(());
    }
    let mut text = fs::read(hosts)?;
    text.extend(format!("\n{} {name}.internal {name}\n", spec.address).as_bytes());
    fs::write(HOSTS, text)?;
    Ok(mount_bind(HOSTS, hosts)?)
}

/// As EC2 names hosts: `ip-10-81-0-5`.
pub(super) fn host_name(spec: &Spec) -> String {
    format!("ip-{}", spec.address.to_string().replace(['.', ':'], "-"))
}

pub(super) fn at<T>(path: impl AsRef<Path>, done: rustix::io::Result<T>) -> Result<T, String> {
    done.map_err(|error| format!("mount `{}`: {error}", path.as_ref().display()))
}

/// An empty folder in memory, over whatever is there.
pub(super) fn own(path: &Path, options: &str) -> Result<(), String> {
    let options = std::ffi::CString::new(options).map_err(|error| error.to_string())?;
    at(path, mount("tmpfs", path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str()))
}

/// Makes a mount read-only, and its devices plain names. One that cannot be found is below another and out of reach.
fn close_off(place: &Path, flags: MountFlags) -> Result<(), String> {
    use rustix::io::Errno;
    match mount_remount(place, flags | MountFlags::BIND | MountFlags::RDONLY | MountFlags::NODEV, c"") {
        Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
        done => at(place, done),
    }
}

/// A line of mountinfo (proc_pid_mountinfo(5)): where it is mounted, and how, since a change must say all of it again.
fn mounted(line: &str) -> Option<(PathBuf, MountFlags)> {
    let mut fields = line.split(' ').skip(4);
    let (place, options) = (unescaped(fields.next()?), fields.next()?);
    let mut flags = MountFlags::empty();
    for option in options.split(',') {
        flags |= match option {
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "noatime" => MountFlags::NOATIME,
            "nodiratime" => MountFlags::NODIRATIME,
            "relatime" => MountFlags::RELATIME,
            "nosymfollow" => MountFlags::NOSYMFOLLOW,
            _ => MountFlags::empty(),
        };
    }
    Some((place, flags))
}

/// Spaces and their like are octal there: `\040`.
fn unescaped(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) if byte == b'\\' => {
                bytes.push(escaped);
                rest = &after[3..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_flags() {
        let line =
            r"36 35 98:0 /mnt1 /mnt/with\040space rw,nosuid,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let (place, flags) = mounted(line).unwrap();
        assert_eq!(place, Path::new("/mnt/with space"));
        assert_eq!(flags, MountFlags::NOSUID | MountFlags::NOATIME);
        assert!(mounted("36 35").is_none());
        assert_eq!(unescaped(r"a\134b\0"), Path::new(r"a\b\0"));
    }
}
