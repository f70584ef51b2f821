//! `evenkeel exec`: a command inside an instance, as its boot and its application run: same files, same variables, same limits.
//!
//! Works on the node that runs the instance, with the rights of whoever may read the data directory. The command becomes this
//! process, so its terminal, signals and exit status are its own; one in namespaces or a container cannot, and is waited for. Next:
//! [`crate::agent::launch`].

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
use crate::enclosures;
use crate::enclosures::docker;
use crate::enclosures::namespaces::Namespaces;

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

/// Becomes the command, or ends with its status.
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
    let files = enclosures::files(&folder, &spec);
    let mut env = launch::environment(&folder, &spec, files.root());
    if let Ok(term) = std::env::var("TERM") {
        env.insert("TERM".into(), term);
    }
    let (name, words) = args.command.split_first().context("failed to run nothing")?;
    let search = env.get("PATH").map_or("", String::as_str);
    let Some(program) = files.program(files.root(), name, search).map_err(|why| anyhow!("failed to {why}"))? else {
        bail!("failed to find `{name}` in the image of {} or on PATH", args.id);
    };
    if spec.isolation == Isolation::Docker {
        let words = [program.to_string_lossy().into_owned()].into_iter().chain(words.iter().cloned()).collect();
        let status = docker::enter(&spec, words, &env, files.root()).map_err(|why| anyhow!("failed to {why}"))?;
        std::process::exit(status);
    }
    let mut command = Command::new(program);
    command.args(words).current_dir(files.root()).env_clear().envs(&env);
    let doors = spec.groups.group(spec.instance.as_str()).doors().unwrap_or_default();
    if spec.isolation == Isolation::Namespaces {
        let inside = Namespaces::find(&folder).map_err(|why| anyhow!("failed to {why}"))?;
        let child = inside.enter(command, files.root(), doors);
        let child = child.with_context(|| format!("failed to run `{name}` in {}", args.id))?;
        std::process::exit(waited_for(child)?);
    }
    for door in doors {
        // Without its limits it would not be as the instance is; where none are held there is no door.
        std::io::Write::write_all(&mut &door, b"0")
            .with_context(|| format!("failed to join the limits of {}", args.id))?;
    }
    Err(command.exec()).with_context(|| format!("failed to run `{name}` in {}", args.id))
}

/// The exit status of a command, as a shell has it. What a terminal sends to both of us is the command's to follow.
fn waited_for(mut child: Child) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let _heard = (signal(SignalKind::interrupt())?, signal(SignalKind::quit())?);
        tokio::task::spawn_blocking(move || child.wait()).await?
    })?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}
