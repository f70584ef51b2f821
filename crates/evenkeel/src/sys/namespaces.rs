//! Namespaces (namespaces(7)): making a set of them, and starting a process in one that is there.
//!
//! A set is known by its first process, as pid 1 of its PID namespace: when it ends, the kernel ends all others in it, and
//! the network and mounts go with the last. Must never leave the calling thread in another namespace than it was in, nor
//! know what is mounted or configured in one.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Gid, PidfdFlags, Signal, Uid, chdir, getpid, pidfd_open, set_parent_process_death_signal, setsid,
};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags, capabilities, move_into_link_name_space,
    move_into_thread_name_spaces, remove_capability_from_bounding_set, set_thread_gid, set_thread_groups,
    set_thread_uid, unshare_unsafe,
};

/// What root may still do in a set of namespaces: what programs that expect a machine of their own need, and nothing by
/// which the node is governed. It is the usual set of containers (Docker, "Linux kernel capabilities") without MKNOD.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::AUDIT_WRITE);
/// One above the highest capability that a kernel may know: they are 64 at most.
const CAPABILITIES: u32 = 64;

/// Which session a process is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// One that it leads.
    Own,
    /// Its parent's, with its terminal.
    Parents,
}

/// Whom a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

/// Whether this process may make namespaces and what belongs to them.
#[must_use]
pub fn are_permitted() -> bool {
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN | CapabilitySet::SETPCAP;
    rustix::process::geteuid().is_root() && capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Starts the first process of a new set: PID, mount, network, host name and IPC. It leads a session of its own, joins the
/// control groups whose `cgroup.procs` are given, open for writing, and is killed when the calling thread ends.
///
/// # Errors
/// What the system says; `PermissionDenied` without the privilege.
pub fn first(command: &mut Command, doors: Vec<File>) -> io::Result<Child> {
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC;
    let parent = pidfd_open(getpid(), PidfdFlags::empty())?;
    // SAFETY: the closure makes only system calls, all async-signal-safe, on descriptors it owns; nothing allocates. The
    // table of descriptors is not unshared.
    unsafe {
        command.pre_exec(move || {
            tie(parent.as_fd(), &doors, Session::Own)?;
            Ok(unshare_unsafe(flags)?)
        });
    }
    // SAFETY: descriptors are not unshared; only children of this thread are concerned, until it comes back below.
    let leave = || Ok(unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?);
    with_children_elsewhere(leave, || command.spawn())
}

/// Starts a command in the set whose first process is given, in the folder `dir` of that set. It is tied as [`first`] is,
/// in the session that is stated, and as root may do there only what a program on a machine of its own needs; as anybody
/// else nothing besides.
///
/// # Errors
/// What the system says; `NotFound` (ESRCH) when the set is gone.
pub fn start(
    command: &mut Command,
    first: &OwnedFd,
    dir: &Path,
    doors: Vec<File>,
    session: Session,
    who: Option<Who>,
) -> io::Result<Child> {
    let who = who.map(|who| {
        let groups: Vec<Gid> = who.groups.into_iter().map(Gid::from_raw).collect();
        (Uid::from_raw(who.uid), Gid::from_raw(who.gid), groups)
    });
    let dir = CString::new(dir.as_os_str().as_bytes())?;
    let parent = pidfd_open(getpid(), PidfdFlags::empty())?;
    let set = first.try_clone()?;
    // SAFETY: the closure makes only system calls, all async-signal-safe, on values it owns; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            tie(parent.as_fd(), &doors, session)?;
            let spaces = ThreadNameSpaceType::MOUNT
                | ThreadNameSpaceType::NETWORK
                | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
                | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION;
            move_into_thread_name_spaces(set.as_fd(), spaces)?;
            chdir(dir.as_c_str())?;
            confine()?;
            if let Some((uid, gid, groups)) = &who {
                set_thread_groups(groups)?;
                set_thread_gid(*gid)?;
                set_thread_uid(*uid)?;
                // Whom root had it run as says nothing of who may end it; the change has taken this back (prctl(2)).
                set_parent_process_death_signal(Some(Signal::KILL))?;
            }
            Ok(())
        });
    }
    let enter = || Ok(move_into_thread_name_spaces(first.as_fd(), ThreadNameSpaceType::PROCESS_ID)?);
    with_children_elsewhere(enter, || command.spawn())
}

/// Does something in the network of a set, on a thread of its own: sockets made there stay there.
///
/// # Errors
/// What the system or `work` says.
pub fn in_network<T: Send>(first: &OwnedFd, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_thread_name_spaces(first.as_fd(), ThreadNameSpaceType::NETWORK)?;
            work()
        });
        inside.join().unwrap_or_else(|_| Err(io::Error::other("a thread in another network panicked")))
    })
}

/// Ties the calling process, between its fork and its exec, to its parent and to control groups. The parent may be in
/// another PID namespace, where it has no pid that could be asked for.
fn tie(parent: BorrowedFd<'_>, doors: &[File], session: Session) -> io::Result<()> {
    if session == Session::Own {
        setsid()?;
    }
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if poll(&mut [PollFd::from_borrowed_fd(parent, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0 {
        // It died before the signal was asked for, so none will come.
        return Err(Errno::SRCH.into());
    }
    for door in doors {
        rustix::io::write(door, b"0")?;
    }
    Ok(())
}

/// Gives up what is not kept. It holds from the exec on: a program that root starts gets what is in the bounding set.
fn confine() -> io::Result<()> {
    for number in 0..CAPABILITIES {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if KEPT.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Beyond the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Runs `spawn` while children of this thread are born in another PID namespace.
fn with_children_elsewhere(
    go: impl FnOnce() -> io::Result<()>,
    spawn: impl FnOnce() -> io::Result<Child>,
) -> io::Result<Child> {
    let home = File::open("/proc/thread-self/ns/pid")?;
    go()?;
    let spawned = spawn();
    if let Err(e) = move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::ProcessID)) {
        // Whatever is started next would be in the wrong place: so this one must not seem to have gone well.
        if let Ok(mut child) = spawned {
            let _ = child.kill();
        }
        return Err(e.into());
    }
    spawned
}
