//! `evenkeel exec`: a command inside an instance, as its boot and its application run: same files, same variables, same limits.
//!
//! Works on the node that runs the instance, with the rights of whoever may read the data directory. The command becomes this
//! process, so its terminal, signals and exit status are its own. Next: [`crate::agent::launch`].

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use super::boot_log::folder;
use super::failure::Outcome;
use crate::agent::launch;

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

/// Becomes the command.
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
    let mut command = Command::new(program);
    command.args(words).current_dir(&root).env_clear().envs(&env);
    for door in spec.groups.group(spec.instance.as_str()).doors().unwrap_or_default() {
        // Without its limits it would not be as the instance is; where none are held there is no door.
        std::io::Write::write_all(&mut &door, b"0")
            .with_context(|| format!("failed to join the limits of {}", args.id))?;
    }
    Err(command.exec()).with_context(|| format!("failed to run `{name}` in {}", args.id))
}
