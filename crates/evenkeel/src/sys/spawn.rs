//! What a new process does between its fork and its exec. Owns the two ways Evenkeel starts one; must never call
//! anything in there that allocates, locks or panics, since the child is a copy of one thread of many.

#![allow(unsafe_code)]

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Resource, Signal, getpid, getppid, set_parent_process_death_signal, setrlimit, setsid};

/// The process leads a session of its own: no terminal's signals reach it, nor does the death of the one that starts it.
/// It gets the limit on open files that this process was given, not the one it raised for itself.
pub fn in_new_session(command: &mut Command) {
    let files = super::files::original();
    // SAFETY: the closure makes only system calls, all async-signal-safe, on a value it owns; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            if let Some(limit) = files {
                setrlimit(Resource::Nofile, limit)?;
            }
            Ok(())
        });
    }
}

/// The process leads a session of its own, is killed when the calling thread ends, and joins the control groups whose
/// `cgroup.procs` are given, open for writing. Call it from a thread that lives as long as the process should.
pub fn tied_to_parent(command: &mut Command, groups: Vec<File>) {
    let parent = getpid();
    // SAFETY: the closure makes only system calls, all async-signal-safe, on descriptors it owns; nothing allocates.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            set_parent_process_death_signal(Some(Signal::KILL))?;
            if getppid() != Some(parent) {
                // It died before the signal was asked for, so none will come.
                return Err(Errno::SRCH.into());
            }
            for group in &groups {
                rustix::io::write(group, b"0")?;
            }
            Ok(())
        });
    }
}
