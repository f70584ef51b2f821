//! Commands that the house starts in the container. Each has a keeper, this program, which ends it when its input ends: then
//! whoever stands for the command outside has gone. And each has a tag, by which it is found again, and under which the
//! number of its keeper is kept: that leads a session of its own, so whatever is in that session, carries the tag or descends
//! from one that does, is the command's.
//!
//! Owns both. Must never signal the first process.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use evenkeel_init::{ENDED, TAG};

use crate::sys;

/// Where numbers of processes are kept.
const NOTES: &str = "/.evenkeel/commands";
/// Exit status of a command that cannot be started, as shells have it.
pub const CANNOT: u8 = 126;
/// What shells add to a signal's number for an exit status.
const SIGNALLED: u8 = 128;
const KILL: i32 = 9;
/// What a keeper outlives: HUP, INT, QUIT, USR1, USR2, TERM.
const ENDINGS: [i32; 6] = [1, 2, 3, 10, 12, 15];

/// Runs a program, as root or as a user, its group and further groups by their numbers, and ends with its exit status; 128
/// and the signal's number, where a signal ended it. The program prints to standard output alone; on standard error its
/// keeper says how it ended, since others may go on printing.
pub fn run(tag: &str, user: &str, program: &str, args: &[String]) -> io::Result<ExitCode> {
    let said =
        |what: &str, error: &dyn std::fmt::Display| io::Error::other(format!("evenkeel: failed to {what}: {error}"));
    fs::create_dir_all(NOTES)
        .and_then(|()| fs::write(note(tag), std::process::id().to_string()))
        .map_err(|error| said("take note of a command", &error))?;
    // What is sent to all is the program's to follow; it ends, and its keeper with it.
    sys::outlive(&ENDINGS).map_err(|error| said("catch signals", &error))?;
    let errors = io::stdout().as_fd().try_clone_to_owned()?;
    let mut command = Command::new(program);
    command.args(args).env(TAG, tag).stdin(Stdio::null()).stderr(errors);
    if !user.is_empty() {
        let numbers = user.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>();
        match numbers.map_err(io::Error::other)?.as_slice() {
            [user, group, others @ ..] => sys::run_as(&mut command, *user, *group, others.to_vec()),
            _ => return Err(said("read whom to run it as", &user)),
        }
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        // That of the program itself was looked for before.
        io::ErrorKind::NotFound => said(&format!("run `{program}`"), &"its interpreter or loader was not found"),
        _ => said(&format!("run `{program}`"), &error),
    })?;
    let owned = tag.to_owned();
    std::thread::Builder::new().spawn(move || {
        let mut input = io::stdin().lock();
        // Nothing is ever written to it.
        let _ = io::copy(&mut input, &mut io::sink());
        // What cannot be signalled has ended.
        let _ = signal(&owned, KILL);
        std::process::exit(i32::from(SIGNALLED) + KILL);
    })?;
    let status = child.wait()?;
    let by_signal = status.signal().and_then(|number| u8::try_from(number).ok()).map(|number| SIGNALLED + number);
    let code = status.code().and_then(|code| u8::try_from(code).ok()).or(by_signal);
    let code = code.unwrap_or(u8::MAX);
    writeln!(io::stderr(), "{ENDED}{code}")?;
    Ok(ExitCode::from(code))
}

/// Signals a command and all that belongs to it.
pub fn signal(tag: &str, number: i32) -> io::Result<()> {
    let leader: Option<u32> = fs::read_to_string(note(tag)).ok().and_then(|text| text.trim().parse().ok());
    let mark = format!("{TAG}={tag}");
    let all = processes()?;
    let is_marked = |pid: u32| {
        // That of another user's process cannot be read, nor that of one that has ended.
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let mut belong: BTreeSet<u32> = all
        .iter()
        .filter(|process| Some(process.session) == leader || is_marked(process.pid))
        .map(|process| process.pid)
        .collect();
    loop {
        let more: Vec<u32> = all
            .iter()
            .filter(|process| belong.contains(&process.parent) && !belong.contains(&process.pid))
            .map(|process| process.pid)
            .collect();
        if more.is_empty() {
            break;
        }
        belong.extend(more);
    }
    let keeper = leader.unwrap_or(0);
    for pid in belong.into_iter().filter(|pid| *pid > 1 && *pid != keeper) {
        // One that has ended meanwhile needs no signal.
        let _ = i32::try_from(pid).map(|pid| sys::signal(pid, number));
    }
    if number == KILL {
        // It is a few bytes, and gone with the container.
        let _ = fs::remove_file(note(tag));
    }
    Ok(())
}

fn note(tag: &str) -> PathBuf {
    PathBuf::from(NOTES).join(tag)
}

struct Process {
    pid: u32,
    parent: u32,
    session: u32,
}

fn processes() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended meanwhile has none.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        processes.extend(read(pid, &stat));
    }
    Ok(processes)
}

/// A line of proc_pid_stat(5). The name in parentheses may hold anything.
fn read(pid: u32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let (_state, parent, _group, session) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Process { pid, parent: parent.parse().ok()?, session: session.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let process = read(7, "7 (a) b) (c) S 3 7 5 0 -1 4194304").unwrap();
        assert_eq!((process.pid, process.parent, process.session), (7, 3, 5));
        assert!(read(7, "7 (a").is_none());
        assert!(processes().unwrap().iter().any(|process| process.pid == std::process::id()));
    }
}
