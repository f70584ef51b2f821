//! `evenkeel exec`: a command inside an instance, as its boot and its application run: same files, same variables, same limits.
//!
//! Works on the node that runs the instance, with the rights of whoever may read the data directory. Where the instance has no
//! walls the command becomes this process; else it is started within them, and its exit status is ours. Next: [`crate::agent::launch`].

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::boot_log::folder;
use super::failure::Outcome;
use crate::agent::launch;
use crate::drivers::Isolation;
use crate::enclosures::{self, Start};

/// Arguments of `evenkeel exec`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel exec i-0123456789abcdef0 -- sh             a shell in the instance's folder\n  evenkeel exec i-0123456789abcdef0 -- ./manage migrate"
)]
pub struct Exec {
    /// The instance
    #[arg(value_name = "ID")]
    pub id: String,
    /// The command: a program of the image, or one on PATH, and its arguments
    #[arg(value_name = "CMD", required = true, last = true)]
    pub command: Vec<String>,
    /// The daemon's state [default: EVENKEEL_DATA_DIR, else $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Runs the command; its exit status is this process's.
///
/// # Errors
/// No such instance here, one that does not run, or a command that cannot be started. It returns only with one.
pub fn run(args: &Exec) -> anyhow::Result<Outcome> {
    let folder = folder(args.data_dir.as_deref(), &args.id)?;
    let spec = folder.spec().with_context(|| format!("failed to read what {} runs", args.id))?;
    let Some(spec) = spec else { bail!("failed to enter {}: it is only being made", args.id) };
    if !matches!(folder.lock(), Ok(None)) {
        bail!("failed to enter {}: it does not run", args.id);
    }
    let path = std::env::var("PATH").unwrap_or_else(|_| launch::DEFAULT_PATH.into());
    let mut env = launch::environment(&folder, &spec, &path);
    if let Ok(term) = std::env::var("TERM") {
        env.insert("TERM".into(), term);
    }
    let root = folder.root();
    let (name, words) = args.command.split_first().context("failed to run nothing")?;
    let search = env.get("PATH").map_or("", String::as_str);
    let Some(program) = launch::program(name, &root, search) else {
        bail!("failed to find `{name}` in the image of {} or on PATH", args.id);
    };
    let doors = spec.groups.group(spec.instance.as_str()).doors().unwrap_or_default();
    let failed = || format!("failed to run `{name}` in {}", args.id);
    if spec.isolation == Isolation::None {
        let mut command = Command::new(program);
        command.args(words).current_dir(&root).env_clear().envs(&env);
        for door in &doors {
            // Without its limits it would not be as the instance is; where none are held there is no door.
            (&*door).write_all(b"0").with_context(failed)?;
        }
        return Err(command.exec()).with_context(failed);
    }
    let enclosure = enclosures::find(&folder, &spec).map_err(|why| anyhow!("failed to {why}"))?;
    let end = |end: BorrowedFd<'_>| end.try_clone_to_owned().with_context(failed);
    let (input, output) = (end(std::io::stdin().as_fd())?, end(std::io::stdout().as_fd())?);
    let errors = end(std::io::stderr().as_fd())?;
    let start = Start {
        program: &program,
        args: words,
        env: &env,
        dir: &root,
        input: Some(&input),
        output: &output,
        errors: Some(&errors),
        doors: &doors,
    };
    let child = enclosure.start(&start).with_context(failed)?;
    std::process::exit(waited_for(child).with_context(failed)?)
}

/// The exit status of a command, as a shell has it. What a terminal sends to both of us is the command's to follow.
fn waited_for(mut child: Child) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let _heard = (signal(SignalKind::interrupt())?, signal(SignalKind::quit())?);
        tokio::task::spawn_blocking(move || child.wait()).await?
    })?;
    Ok(status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1))
}
