//! `kill_instance`: boto 2.49's script. Terminates one instance after another and stops at the first error.
//!
//! Next: [`super::client`]; `evenkeel terminate` does the same in one call.

use anyhow::Context;
use clap::Args;
use evenkeel_aws::ec2::TerminateInstances;

use super::client::Client;
use super::failure::Outcome;
use super::settings::Reach;
use super::streams::Streams;

const EXAMPLES: &str = "\
Examples:
  kill_instance i-0123456789abcdef0
  kill_instance -r us-east-1 i-0123456789abcdef0 i-0fedcba9876543210";

/// Arguments of `kill_instance`.
#[derive(Debug, Clone, Default, Args)]
#[command(version, override_usage = "kill_instance [-r] id [id ...]", after_help = EXAMPLES, infer_long_args = true)]
pub struct KillInstance {
    /// Instances to terminate
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Region [default: AWS_REGION, else us-east-1]
    #[arg(short = 'r', long, value_name = "REGION")]
    pub region: Option<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// What it prints when it is told no instance.
///
/// # Errors
/// Those of writing.
pub fn help(streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    write!(streams.out, "{}", super::alone("kill_instance").render_help())?;
    Ok(Outcome::Failed)
}

/// Terminates the instances.
///
/// # Errors
/// Those of the client, at the first instance that is refused.
pub fn run(args: &KillInstance, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    if let Some(region) = args.region.as_deref()
        && !client.regions()?.iter().any(|served| served == region)
    {
        writeln!(streams.out, "Region {region} not found.")?;
        return Ok(Outcome::Failed);
    }
    for id in &args.ids {
        writeln!(streams.out, "Stopping instance: {id}")?;
        client
            .call(&TerminateInstances { instance_ids: vec![id.clone()], ..Default::default() })
            .with_context(|| format!("failed to terminate {id}"))?;
    }
    Ok(Outcome::Done)
}
