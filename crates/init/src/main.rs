//! The program in every container of Evenkeel. Without arguments it is the container's first process: it keeps the container,
//! reaps whatever loses its parent, and ends when it is told to leave and nobody else is left. With arguments it does one
//! small thing there and ends.
//!
//! It is static and has no dependency, so that it runs in an image that is empty otherwise. Must never decide anything: what
//! runs in a container, and when, is the house's.

mod commands;
mod doors;
mod files;
mod sys;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long the first process waits for a signal at a time, while it stays.
const WHILE: Duration = Duration::from_secs(3600);
/// Between two looks for others, once it is to leave: those that the house started are not its children.
const LOOK: Duration = Duration::from_millis(20);
/// How the first process is asked whether there is anybody else: with no signal.
const NOBODY: i32 = 0;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] => first(),
        ["doors", ..] => doors::run(&args[1..]),
        ["put", size, mode, path] => files::put(size, mode, path),
        ["get", path] => files::get(path),
        ["kind", path] => files::kind(path),
        ["mkdir", path] => files::make_dir(Path::new(path)),
        ["which", name, root, search] => files::which(name, root, search),
        ["signal", number] => number.parse().map_err(io::Error::other).and_then(all),
        ["signal", number, tag] => {
            number.parse().map_err(io::Error::other).and_then(|number| commands::signal(tag, number))
        }
        ["run", tag, user, program, ..] => match commands::run(tag, user, program, &args[4..]) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        ["leave"] => sys::signal(1, sys::USR1),
        _ => {
            eprintln!(
                "usage: init [doors ADDRESS…|put SIZE MODE PATH|get PATH|kind PATH|mkdir PATH|which NAME ROOT SEARCH|signal NUMBER [TAG]|run TAG USER PROGRAM ARG…|leave]"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(commands::CANNOT)
        }
    }
}

fn first() -> io::Result<()> {
    let signals = sys::Held::hold(&[sys::CHLD, sys::USR1])?;
    let mut leaves = false;
    loop {
        while sys::reap().is_some() {}
        if leaves && sys::signal(-1, NOBODY).is_err() {
            return Ok(());
        }
        leaves |= signals.wait(if leaves { LOOK } else { WHILE }) == Some(sys::USR1);
    }
}

/// Signals everybody but the first process and this one.
fn all(number: i32) -> io::Result<()> {
    match sys::signal(-1, number) {
        // Nobody is there.
        Err(error) if error.raw_os_error() == Some(3) => Ok(()),
        done => done,
    }
}
