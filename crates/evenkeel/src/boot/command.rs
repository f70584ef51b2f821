//! One command of a boot: started in the instance's files, with the boot's output, for a time.
//!
//! Owns its start, its limit and its end. Must never leave anything of a command running that had its time. What a command
//! prints goes straight to the agent, which keeps it; so what it leaves running may go on printing.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::enclosures::files::Files;
use crate::enclosures::{Enclosure, Start};
use crate::sys::process::{self, NO_MARK};

/// How long what was sent TERM has until KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long KILL may take.
const SWEEP: Duration = Duration::from_secs(5);

/// Runs a command to its end.
///
/// # Errors
/// Completes "failed to …": it could not be started, exited with another status than 0, or took longer than `limit`.
pub fn run(
    enclosure: &dyn Enclosure,
    files: &dyn Files,
    words: &[String],
    env: &BTreeMap<String, String>,
    limit: Duration,
) -> Result<(), String> {
    let Some((name, args)) = words.split_first() else { return Err("run nothing".into()) };
    let search = env.get("PATH").map_or("", String::as_str);
    let program = files.program(files.root(), name, search)?;
    let program = program.ok_or_else(|| format!("find `{name}` in the image or on PATH"))?;
    let say = |what: &str, error: io::Error| format!("{what} `{name}`: {error}");
    let output = io::stdout().as_fd().try_clone_to_owned().map_err(|error| say("start", error))?;
    // Our own groups are the instance's.
    let command = Start { program: &program, args, env, user: None, dir: files.root(), output: &output, doors: &[] };
    let mut child = enclosure.start(&command).map_err(|error| say("start", error))?;
    let pid = i32::try_from(child.id()).map_err(|_| format!("start `{name}`: its pid is out of range"))?;
    // Nobody else reaps it, so its pid is its own until then.
    let watched = process::watch(pid).map_err(|error| say("watch", error))?;
    if !process::ended_within(&watched, limit) {
        let left = || process::together(Some(pid), &[pid], NO_MARK);
        for process in left() {
            // One that has ended meanwhile needs no signal.
            let _ = process::signal(&process, Signal::TERM);
        }
        process::ended_within(&watched, GRACE);
        process::sweep(left, SWEEP);
        enclosure.clear(pid);
        let _ = child.wait();
        return Err(format!("run `{name}`: it took longer than {} s", limit.as_secs()));
    }
    let status = child.wait().map_err(|error| say("wait for", error))?;
    if status.success() { Ok(()) } else { Err(format!("run `{name}`: {status}")) }
}
