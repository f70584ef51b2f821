//! `evenkeel env`: what a shell must know so that AWS clients talk to this daemon, and the same as a boto.cfg.
//!
//! Prints secrets, as it must; writes them only to files that their owner alone can read. Does not look at the
//! variables it prints: those may still aim elsewhere. Next: [`super::settings`].

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::client::Client;
use super::failure::{Outcome, hinted};
use super::settings::{DEFAULT_REGION, Reach, Settings, process_environment};
use super::streams::Streams;

const EXAMPLES: &str = "\
Examples:
  eval \"$(evenkeel env)\"                                   in sh, bash and zsh
  evenkeel env --shell fish | source                       in fish
  eval \"$(evenkeel env --boto-config ~/.evenkeel.boto)\"    also for boto 2 and its scripts

Settings come from the options and the data directory, not from AWS_… variables that are already set.";

/// First line of every boto.cfg written here: a file without it is somebody else's.
const MARK: &str = "# Written by `evenkeel env --boto-config`, which writes it anew each time.";

/// The shell that is to read the settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// sh, bash, dash, zsh
    #[default]
    Sh,
    /// fish
    Fish,
}

/// Arguments of `evenkeel env`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct Env {
    /// Also write a configuration for boto 2, with the keys in it, and point BOTO_CONFIG at it
    #[arg(long, value_name = "FILE")]
    pub boto_config: Option<PathBuf>,
    /// Shell that is to read the output
    #[arg(long, value_enum, default_value_t)]
    pub shell: Shell,
    /// Region [default: the daemon's, else us-east-1]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Prints the settings.
///
/// # Errors
/// Nothing says where the daemon is, or the boto.cfg cannot be written.
pub fn run(args: &Env, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let settings = Settings::resolve(&args.reach, args.region.as_deref(), &|name| {
        if name.starts_with("AWS_") { None } else { process_environment(name) }
    })?;
    let region = match &args.region {
        Some(region) => region.clone(),
        None => daemon_region(&settings, streams)?,
    };
    let settings = Settings { region, ..settings };
    let boto_config = match &args.boto_config {
        Some(file) => {
            let file = std::path::absolute(file).context("failed to find the current directory")?;
            write_privately(&file, &boto_cfg(&settings))?;
            let text = file.to_str().with_context(|| format!("failed to print {}: not UTF-8", file.display()))?;
            Some(text.to_owned())
        }
        None => None,
    };
    write!(streams.out, "{}", script(&settings, boto_config.as_deref(), args.shell))?;
    Ok(Outcome::Done)
}

/// The region of the daemon, asked of it. Settings are of use before it runs, too: then the default, and a word about it.
fn daemon_region(settings: &Settings, streams: &mut Streams<'_>) -> anyhow::Result<String> {
    match Client::new(settings.clone()).regions() {
        Ok(regions) => Ok(regions.into_iter().next().unwrap_or_else(|| DEFAULT_REGION.into())),
        Err(error) => {
            writeln!(
                streams.err,
                "warning: failed to ask the daemon for its region, assuming {DEFAULT_REGION}: {error:#}"
            )?;
            Ok(DEFAULT_REGION.into())
        }
    }
}

/// The lines for the shell. A session token of another account would go along with every call, so it goes.
pub(super) fn script(settings: &Settings, boto_config: Option<&str>, shell: Shell) -> String {
    let endpoint = settings.endpoint.to_string();
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", &settings.credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &settings.credentials.secret_access_key),
        ("AWS_DEFAULT_REGION", &settings.region),
        ("AWS_REGION", &settings.region),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    variables.extend(boto_config.map(|file| ("BOTO_CONFIG", file)));
    let mut text = String::new();
    for (name, value) in variables {
        text += &match shell {
            Shell::Sh => format!("export {name}={}\n", quoted_sh(value)),
            Shell::Fish => format!("set -gx {name} {}\n", quoted_fish(value)),
        };
    }
    text += match shell {
        Shell::Sh => "unset AWS_SESSION_TOKEN AWS_SECURITY_TOKEN\n",
        Shell::Fish => "set -e AWS_SESSION_TOKEN\nset -e AWS_SECURITY_TOKEN\n",
    };
    text
}

/// In single quotes nothing has a meaning but the quote itself.
fn quoted_sh(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// In fish's single quotes the backslash has one, too.
fn quoted_fish(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// boto 2 in proxy mode: it keeps AWS's host names, so that scopes are right, and every service and region works.
fn boto_cfg(settings: &Settings) -> String {
    let literal = |value: &str| value.replace('%', "%%");
    let endpoint = &settings.endpoint;
    format!(
        "{MARK}\n\
         [Credentials]\n\
         aws_access_key_id = {}\n\
         aws_secret_access_key = {}\n\
         \n\
         [Boto]\n\
         is_secure = False\n\
         proxy = {}\n\
         proxy_port = {}\n\
         num_retries = 2\n\
         ec2_region_name = {region}\n\
         ec2_region_endpoint = ec2.{region}.amazonaws.com\n\
         elb_region_name = {region}\n\
         elb_region_endpoint = elasticloadbalancing.{region}.amazonaws.com\n",
        literal(&settings.credentials.access_key_id),
        literal(&settings.credentials.secret_access_key),
        endpoint.host(),
        endpoint.port(),
        region = literal(&settings.region),
    )
}

/// Writes beside the file and renames, with mode 0600 from the start. Overwrites only what was written here before.
fn write_privately(file: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("failed to write {}", file.display());
    match OpenOptions::new().read(true).open(file) {
        Ok(existing) => {
            let mut start = Vec::new();
            existing.take(MARK.len() as u64).read_to_end(&mut start).with_context(failed)?;
            if start != MARK.as_bytes() {
                return Err(hinted(
                    format!("failed to write {}: it exists and was not written by evenkeel", file.display()),
                    "choose another file; BOTO_CONFIG makes boto read only that one",
                ));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(failed),
    }
    let mut aside = file.as_os_str().to_owned();
    aside.push(format!(".new-{}", std::process::id()));
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).with_context(failed)?;
    let result = written.write_all(text.as_bytes()).and_then(|()| fs::rename(&aside, file));
    if result.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_file(&aside);
    }
    result.with_context(failed)
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
