//! `evenkeel console`, `stop`, `start`, `reboot` and `terminate`: one call each for any number of instances.
//!
//! Next: [`super::launch`] for where instances come from.

use anyhow::Context;
use clap::Args;
use evenkeel_aws::ec2::{
    GetConsoleOutput, RebootInstances, StartInstances, StateChanges, StopInstances, TerminateInstances,
};

use super::client::Client;
use super::failure::Outcome;
use super::settings::Reach;
use super::streams::Streams;

/// Arguments of `evenkeel console`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel console i-0123456789abcdef0 | tail -20")]
pub struct Console {
    /// The instance
    #[arg(value_name = "ID")]
    pub id: String,
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
    let output = client.call(&input).with_context(|| format!("failed to read the console of {}", args.id))?;
    streams.out.write_all(&output.output.0)?;
    streams.out.flush()?;
    Ok(Outcome::Done)
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
