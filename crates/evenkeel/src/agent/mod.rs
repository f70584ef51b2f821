//! The agent: the first process of an instance. Owns the life of one boot: it starts the application, carries its output
//! to the console, reaps whatever the application leaves behind, and ends only when nothing of it is left.
//!
//! Must never talk to the daemon: what it says stands in `status.json` ([`crate::drivers::folder`]), so it neither notices
//! nor minds that the daemon is restarted. It works on one thread, because the application is tied to the thread that
//! started it. Read `course.rs` for what follows from what, `life.rs` for how it is done, [`launch`] for the application's start, [`console`] for its output.

pub mod console;
mod course;
mod cron;
mod disk;
pub mod launch;
mod life;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::drivers::folder::Folder;

/// The exit status of an agent that found another one at work in its folder.
pub const EXIT_HELD: u8 = 75;

/// `evenkeel agent --dir FOLDER --boot N`: runs one boot of one instance. Exit status 0 when it has ended and its status is
/// written, 75 when another agent has the folder, 2 for wrong arguments, 1 for anything else, with a line on stderr.
pub fn main(args: &[String]) -> ExitCode {
    let Some((folder, boot)) = arguments(args) else {
        eprintln!("usage: evenkeel agent --dir FOLDER --boot N (started by evenkeel itself)");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(life::lie_down).build();
    let lived = runtime.map_err(life::AgentError::from).and_then(|r| r.block_on(life::live(&folder, boot)));
    match lived {
        Ok(()) => ExitCode::SUCCESS,
        Err(life::AgentError::Held) => ExitCode::from(EXIT_HELD),
        Err(e) => {
            eprintln!("evenkeel agent: failed to {e}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(args: &[String]) -> Option<(Folder, u32)> {
    match args {
        [dir, folder, boot, number] if dir == "--dir" && boot == "--boot" => {
            Some((Folder::new(PathBuf::from(folder)), number.parse().ok()?))
        }
        _ => None,
    }
}
