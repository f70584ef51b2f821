//! What std cannot ask the system: signals, the end of any child, and who somebody is.
//!
//! Owns all `unsafe` of this crate. Declarations are those of the C library of Linux (signal(7), waitpid(2), setgroups(2)).

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

/// A child has ended.
pub const CHLD: c_int = 17;
/// How the first process is told to leave.
pub const USR1: c_int = 10;

const BLOCK: c_int = 0;
const WNOHANG: c_int = 1;

/// As large as any C library of Linux has it.
#[repr(C)]
struct SignalSet([u64; 16]);

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    #[link_name = "signal"]
    fn set_handler(signal: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn setgroups(count: usize, groups: *const u32) -> c_int;
    fn setgid(group: u32) -> c_int;
    fn setuid(user: u32) -> c_int;
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn sigtimedwait(set: *const SignalSet, about: *mut c_void, limit: *const TimeSpec) -> c_int;
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sends a signal to a process, or by −1 to all but the first and the caller; 0 only asks whether there is any.
///
/// # Errors
/// No such process, or one that may not be signalled.
pub fn signal(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) touches no memory of ours.
    checked(unsafe { kill(pid, signal) }).map(drop)
}

/// Reaps a child that has ended; `None` when none has.
pub fn reap() -> Option<i32> {
    let mut status = 0;
    // SAFETY: `status` is ours and outlives the call.
    let pid = unsafe { waitpid(-1, &raw mut status, WNOHANG) };
    (pid > 0).then_some(pid)
}

extern "C" fn nothing(_: c_int) {}

/// Has these signals do nothing to this process; what it starts is none the wiser.
///
/// # Errors
/// What the system says.
pub fn outlive(signals: &[i32]) -> io::Result<()> {
    for number in signals {
        // SAFETY: the handler touches nothing, so it may run at any time. A handler, unlike a signal that is ignored, is
        // not handed on to another program.
        if unsafe { set_handler(*number, nothing) } == usize::MAX {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Has a command run as a user, its group and further groups.
pub fn run_as(command: &mut Command, user: u32, group: u32, others: Vec<u32>) {
    let become_it = move || {
        // SAFETY: the groups are ours and outlive the call; the others touch no memory. All are async-signal-safe.
        unsafe {
            checked(setgroups(others.len(), others.as_ptr()))?;
            checked(setgid(group))?;
            checked(setuid(user))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls on values that it owns; nothing allocates.
    unsafe { command.pre_exec(become_it) };
}

/// Signals that wait until they are asked for.
pub struct Held(SignalSet);

impl Held {
    /// Holds these signals back in this thread, and in those that it starts.
    ///
    /// # Errors
    /// What the system says.
    pub fn hold(signals: &[i32]) -> io::Result<Self> {
        let mut set = SignalSet([0; 16]);
        // SAFETY: the set is ours, is as large as any that the C library has, and outlives each call.
        unsafe {
            checked(sigemptyset(&raw mut set))?;
            for signal in signals {
                checked(sigaddset(&raw mut set, *signal))?;
            }
            checked(sigprocmask(BLOCK, &raw const set, std::ptr::null_mut()))?;
        }
        Ok(Self(set))
    }

    /// Waits for one of them; `None` when none has come within the limit.
    pub fn wait(&self, limit: Duration) -> Option<i32> {
        let limit = TimeSpec {
            seconds: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: limit.subsec_nanos().into(),
        };
        // SAFETY: set and limit are ours and outlive the call; who sent the signal is not asked for.
        let signal = unsafe { sigtimedwait(&raw const self.0, std::ptr::null_mut(), &raw const limit) };
        (signal > 0).then_some(signal)
    }
}
