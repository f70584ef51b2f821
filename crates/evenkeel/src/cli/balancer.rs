//! `evenkeel addresses` and `evenkeel wait`: what one wants to know of a load balancer that `elbadmin` does not tell.
//!
//! Next: [`super::elbadmin`] for everything else about load balancers.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::elb::InstanceState;

use super::client::Client;
use super::failure::{Outcome, hinted};
use super::settings::Reach;
use super::streams::{Progress, Streams};
use super::wait::{self, parse_seconds};

/// Arguments of `evenkeel addresses`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel addresses web\n  curl http://$(evenkeel addresses web | awk 'NR==1{print $2}')/"
)]
pub struct Addresses {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel wait`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel wait web\n  evenkeel wait web i-0123456789abcdef0 --timeout 60")]
pub struct Wait {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Instances to wait for [default: all that are registered, and at least one]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = parse_seconds)]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Prints zone and address of each node, one a line.
///
/// # Errors
/// No such load balancer, and those of the client.
pub fn addresses(args: &Addresses, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let failed = || format!("failed to ask for the addresses of `{name}`");
    let mut nodes: Vec<(String, String)> = client
        .interfaces(&format!("ELB {name}"))
        .with_context(failed)?
        .into_iter()
        .map(|node| (node.availability_zone.unwrap_or_default(), node.private_ip_address))
        .collect();
    if nodes.is_empty() && client.load_balancer(name).with_context(failed)?.is_none() {
        let hint = "`elbadmin list` names all load balancers";
        return Err(hinted(format!("{}: there is no such load balancer", failed()), hint));
    }
    nodes.sort();
    for (zone, address) in nodes {
        writeln!(streams.out, "{zone} {address}")?;
    }
    Ok(Outcome::Done)
}

/// Waits until the instances are in service.
///
/// # Errors
/// Those of the client. Time that is over is no error but [`Outcome::Failed`], after a line for each instance.
pub fn wait(args: &Wait, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let mut progress = Progress::default();
    let mut last = Vec::new();
    let done = wait::until(args.timeout, || {
        last = client.instance_health(&args.name, &args.ids)?;
        progress.show(streams, &summary(&last))?;
        Ok((!last.is_empty() && last.iter().all(in_service)).then_some(()))
    });
    progress.end(streams)?;
    if done.with_context(|| format!("failed to wait for the instances of `{}`", args.name))?.is_some() {
        return Ok(Outcome::Done);
    }
    let seconds = args.timeout.as_secs_f64();
    if last.is_empty() {
        writeln!(streams.err, "error: `{}` still has no instances after {seconds} seconds", args.name)?;
        writeln!(streams.err, "hint: elbadmin add {} INSTANCE…", args.name)?;
    }
    for state in last.iter().filter(|state| !in_service(state)) {
        let (id, name, description) = (&state.instance_id, &state.state, &state.description);
        writeln!(streams.err, "error: {id} is still {name} after {seconds} seconds: {description}")?;
    }
    Ok(Outcome::Failed)
}

fn in_service(state: &InstanceState) -> bool {
    state.state == "InService"
}

/// `1 of 3 in service; i-2: Instance registration is still in progress.`
fn summary(states: &[InstanceState]) -> String {
    let good = states.iter().filter(|state| in_service(state)).count();
    let first = states.iter().find(|state| !in_service(state));
    let because = first.map(|state| format!("; {}: {}", state.instance_id, state.description)).unwrap_or_default();
    format!("{good} of {} in service{because}", states.len())
}

#[cfg(test)]
#[path = "balancer_tests.rs"]
mod tests;
