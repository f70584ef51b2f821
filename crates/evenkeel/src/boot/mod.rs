//! The boot of an instance: what it is told, what is installed, and how it comes into service.
//!
//! Runs in short-lived processes below the instance's agent, so that the agent stays small and whatever is killed is
//! followed by one that goes on: `install` (the queue), `finish` (readiness and registration), `leave` (the way
//! out), `mail` (the report).
//! Owns `boot.json` ([`record`]). Must never start the application: that is the agent's. Read [`queue`] for what is done
//! in which order, [`userdata`] for what a launch can say, [`installer`] for the words of it, [`run`] for how.

mod accounts;
mod built_in;
pub mod cloud;
mod command;
pub mod cron;
mod finish;
pub mod ini;
pub mod installer;
mod packages;
pub mod queue;
pub mod record;
mod report;
mod run;
mod site;
pub mod userdata;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

pub use built_in::ENVIRONMENT;
use evenkeel_core::noun::Manifest;
use record::Record;
use site::Site;
use userdata::UserData;

use crate::drivers::folder::Folder;

/// How long the way out of service may take in all, draining included, where the instance ends by itself.
const LEAVE: Duration = Duration::from_secs(300);
/// How long, where it is stopped: well below what the driver grants an agent beyond its grace.
const LEAVE_ASKED: Duration = Duration::from_secs(3);

/// What one of these processes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The queue.
    Install,
    /// Readiness and registration.
    Finish,
    /// Deregistration.
    Leave,
    /// The report of the boot.
    Mail,
}

impl Role {
    /// Its word on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Finish => "finish",
            Self::Leave => "leave",
            Self::Mail => "mail",
        }
    }

    fn named(word: &str) -> Option<Self> {
        [Self::Install, Self::Finish, Self::Leave, Self::Mail].into_iter().find(|role| role.as_str() == word)
    }
}

/// The exit status of a boot that came to nothing, and has said why in its record.
pub const EXIT_FAILED: u8 = 3;

/// The variable that holds what marks begin with; see [`mark`].
pub const MARKS: &str = "EVENKEEL_BOOT_MARKS";

/// `evenkeel boot ROLE --dir FOLDER --boot N`. Exit status 0 when it is done, [`EXIT_FAILED`] when it came to nothing, 2 for
/// wrong arguments, 1 when not even that could be written down.
pub fn main(args: &[String]) -> ExitCode {
    let Some((role, folder, boot)) = arguments(args) else {
        eprintln!("usage: evenkeel boot install|finish|leave|mail --dir FOLDER --boot N (started by evenkeel itself)");
        return ExitCode::from(2);
    };
    match play(role, folder, boot) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(why) => {
            say(&format!("the boot failed to {why}"));
            ExitCode::FAILURE
        }
    }
}

fn arguments(args: &[String]) -> Option<(Role, Folder, u32)> {
    match args {
        [role, dir, folder, boot, number] if dir == "--dir" && boot == "--boot" => {
            Some((Role::named(role)?, Folder::new(PathBuf::from(folder)), number.parse().ok()?))
        }
        _ => None,
    }
}

fn play(role: Role, folder: Folder, boot: u32) -> Result<bool, String> {
    let read = |what: &str, error: std::io::Error| format!("read `{what}`: {error}");
    let spec = folder.spec().map_err(|error| read("spec.json", error))?;
    let spec = spec.filter(|spec| spec.boot == boot).ok_or_else(|| format!("find boot {boot} in `spec.json`"))?;
    let mut record = Record::of(&folder, boot).map_err(|error| read(record::FILE, error))?;
    let mut site = match Site::open(folder.clone(), spec) {
        Ok(site) => site,
        // What cannot be read says nothing of whom to write to either.
        Err(_) if role != Role::Install => return Ok(true),
        Err(why) => {
            say(&format!("the boot failed to {why}"));
            record.failure = Some(why);
            record.write(&folder).map_err(|error| format!("write `{}`: {error}", record::FILE))?;
            return Ok(false);
        }
    };
    match role {
        Role::Install => run::install(&mut site, &mut record),
        Role::Finish => finish::finish(&site, &mut record),
        Role::Mail => report::deliver(&site, &mut record),
        Role::Leave => {
            // Whoever stops the instance has waited for requests in flight before, and ends the agent if it outlasts its grace.
            let limit = if folder.ask(boot).is_some() { LEAVE_ASKED } else { LEAVE };
            std::thread::spawn(move || {
                std::thread::sleep(limit);
                std::process::exit(0)
            });
            finish::leave(&site, &mut record);
            Ok(true)
        }
    }
}

/// Says a line on the instance's console.
fn say(line: &str) {
    // One that cannot be heard any more has been stopped.
    let _ = std::io::stdout().write_all(format!("evenkeel: {line}\n").as_bytes());
}

/// Whether an instance has anything to boot: installers, user data that say something to the boot or fail to, or an
/// application whose readiness can be asked for.
#[must_use]
pub fn is_due(user_data: &[u8], manifest: &Manifest) -> bool {
    let says = || UserData::read(user_data).map_or(true, |data| data.says_something());
    !manifest.installers.is_empty() || manifest.health.is_some() || says()
}

/// What tells the agent, in the midst of the output, whose it is from here on: the separator, the secret it gave us, and a
/// step's number, or nothing for no step's.
#[must_use]
pub fn mark(secret: &str, step: Option<usize>) -> Vec<u8> {
    let step = step.map(|number| number.to_string()).unwrap_or_default();
    format!("\x1e{secret}{step}\n").into_bytes()
}

fn mark_step(step: Option<usize>) {
    if let Ok(secret) = std::env::var(MARKS) {
        let _ = std::io::stdout().write_all(&mark(&secret, step));
    }
}
