//! `evenkeel console`, `stop`, `start`, `reboot` and `terminate`: one call each for any number of instances.
//!
//! Next: [`super::launch`] for where instances come from.

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::ec2::{
    GetConsoleOutput, RebootInstances, StartInstances, StateChanges, StopInstances, TerminateInstances,
};

use super::client::{Client, told};
use super::failure::Outcome;
use super::settings::Reach;
use super::streams::Streams;

/// Arguments of `evenkeel console`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel console i-0123456789abcdef0 | tail -20\n  evenkeel logs i-0123456789abcdef0 -f"
)]
pub struct Console {
    /// The instance
    #[arg(value_name = "ID")]
    pub id: String,
    /// Go on printing what comes, until the instance is gone
    #[arg(short, long)]
    pub follow: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// The instances to act on, and how to reach the daemon.
#[derive(Debug, Clone, Default, Args)]
pub struct On {
    /// The instances
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel stop`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel stop i-0123456789abcdef0")]
pub struct Stop {
    /// On what.
    #[command(flatten)]
    pub on: On,
}

/// Arguments of `evenkeel start`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel start i-0123456789abcdef0")]
pub struct Start {
    /// On what.
    #[command(flatten)]
    pub on: On,
}

/// Arguments of `evenkeel reboot`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel reboot i-0123456789abcdef0")]
pub struct Reboot {
    /// On what.
    #[command(flatten)]
    pub on: On,
}

/// Arguments of `evenkeel terminate`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel terminate i-0123456789abcdef0 i-0fedcba9876543210")]
pub struct Terminate {
    /// On what.
    #[command(flatten)]
    pub on: On,
}

/// Prints the console, byte for byte.
///
/// # Errors
/// Those of the client.
pub fn console(args: &Console, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let input = GetConsoleOutput { instance_id: args.id.clone(), latest: Some(true), dry_run: None };
    let mut seen = Vec::new();
    loop {
        let output = match client.call(&input) {
            Ok(output) => output.output.0,
            // One that was followed to its end is no failure.
            Err(error) if args.follow && !seen.is_empty() && is_gone(&error) => return Ok(Outcome::Done),
            Err(error) => return Err(error).with_context(|| format!("failed to read the console of {}", args.id)),
        };
        if !args.follow {
            streams.out.write_all(&output)?;
            streams.out.flush()?;
            return Ok(Outcome::Done);
        }
        // Not through `streams`, which forgive a reader that is gone: this would follow for nobody, for ever.
        let mut out = std::io::stdout().lock();
        match out.write_all(news(&seen, &output)).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Outcome::Done),
            written => written?,
        }
        seen = output;
        std::thread::sleep(LOOK);
    }
}

/// How often it is asked whether there is more.
const LOOK: Duration = Duration::from_millis(500);
/// How much of what was seen last is looked for in what comes.
const OVERLAP: usize = 1024;

fn is_gone(error: &anyhow::Error) -> bool {
    told(error).is_some_and(|error| error.code == "InvalidInstanceID.NotFound")
}

/// What of a console's end is new after what was seen of it. Where nothing of that is left, all of it is.
pub(super) fn news<'a>(seen: &[u8], output: &'a [u8]) -> &'a [u8] {
    if let Some(rest) = output.strip_prefix(seen) {
        return rest;
    }
    let last = &seen[seen.len().saturating_sub(OVERLAP)..];
    let at = output.windows(last.len()).rposition(|window| window == last);
    at.map_or(output, |at| &output[at + last.len()..])
}

/// Stops instances; prints id and new state of each.
///
/// # Errors
/// Those of the client.
pub fn stop(args: &Stop, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let input = StopInstances { instance_ids: args.on.ids.clone(), ..Default::default() };
    changed(client.call(&input).with_context(|| args.on.failed("stop"))?, streams)
}

/// Starts instances; prints id and new state of each.
///
/// # Errors
/// Those of the client.
pub fn start(args: &Start, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let input = StartInstances { instance_ids: args.on.ids.clone(), ..Default::default() };
    changed(client.call(&input).with_context(|| args.on.failed("start"))?, streams)
}

/// Reboots instances. They stay `running`, so there is nothing to print.
///
/// # Errors
/// Those of the client.
pub fn reboot(args: &Reboot, client: &Client) -> anyhow::Result<Outcome> {
    let input = RebootInstances { instance_ids: args.on.ids.clone(), dry_run: None };
    client.call(&input).with_context(|| args.on.failed("reboot"))?;
    Ok(Outcome::Done)
}

/// Terminates instances; prints id and new state of each.
///
/// # Errors
/// Those of the client.
pub fn terminate(args: &Terminate, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let input = TerminateInstances { instance_ids: args.on.ids.clone(), ..Default::default() };
    changed(client.call(&input).with_context(|| args.on.failed("terminate"))?, streams)
}

impl On {
    fn failed(&self, what: &str) -> String {
        format!("failed to {what} {}", self.ids.join(", "))
    }
}

fn changed(changes: StateChanges, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    for change in changes.instances_set {
        writeln!(streams.out, "{} {}", change.instance_id, change.current_state.name)?;
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
