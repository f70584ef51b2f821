//! `evenkeel asg pool`: members that a group keeps ready, shown, made, sized, taken off.
//!
//! Owns the words. Who goes into a pool and comes out of it is the daemon's to say.

use std::io;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use evenkeel_aws::autoscaling as wire;
use serde_json::json;

use super::existing;
use crate::cli::client::{Client, pages};
use crate::cli::failure::{Outcome, hinted};
use crate::cli::settings::Reach;
use crate::cli::streams::{Progress, Streams};
use crate::cli::table::Table;
use crate::cli::wait;

/// How members rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rests {
    /// Their instances are stopped, and start again when they are needed
    Stopped,
    /// Their instances run, and serve nobody
    Running,
}

/// Arguments of `evenkeel asg pool`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel asg pool web --prepared 6 --reuse --wait    as many ready as make six with those that work\n  \
        evenkeel asg pool web --min 2 --state running        two at least, and up\n  \
        evenkeel asg pool web                                show it\n  \
        evenkeel asg pool web --delete --wait\n\n\
        What is not stated stays as it is. A group with a pool grows by whoever is ready before it launches anybody."
)]
pub struct Pool {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How many there are to be with those that the group is to have, or `max` for as many as the group may have [default: max]
    #[arg(long, value_name = "N", value_parser = parse_prepared)]
    pub prepared: Option<i64>,
    /// The fewest in the pool [default: 0]
    #[arg(long, value_name = "N")]
    pub min: Option<u32>,
    /// How they rest [default: stopped]
    #[arg(long, value_enum, value_name = "HOW")]
    pub state: Option<Rests>,
    /// Whether those who go because there are to be fewer come back into it [default: false]
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub reuse: Option<bool>,
    /// Take it off, and end all in it
    #[arg(long, conflicts_with_all = ["prepared", "min", "state", "reuse", "json"])]
    pub delete: bool,
    /// With --delete: wait for no hook
    #[arg(long, requires = "delete")]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Wait until all are ready, or gone
    #[arg(long, short = 'w')]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = wait::parse_seconds, requires = "wait")]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

fn parse_prepared(text: &str) -> Result<i64, String> {
    match text {
        "max" => Ok(-1),
        _ => text.parse::<u32>().map(i64::from).map_err(|_| "expected a number, or `max`".to_owned()),
    }
}

pub(super) fn run(args: &Pool, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    if args.delete {
        let force_delete = args.force.then_some(true);
        let input = wire::DeleteWarmPool { auto_scaling_group_name: name.clone(), force_delete };
        client.call(&input).with_context(|| format!("failed to take off the warm pool of `{name}`"))?;
        return if args.wait { gone(client, args, streams) } else { Ok(Outcome::Done) };
    }
    let held = pool(client, name).with_context(|| format!("failed to show the warm pool of `{name}`"))?;
    let is_put = args.prepared.is_some() || args.min.is_some() || args.state.is_some() || args.reuse.is_some();
    if is_put {
        let before = held.warm_pool_configuration.unwrap_or_default();
        let reuses = before.instance_reuse_policy.and_then(|policy| policy.reuse_on_scale_in);
        let state = args.state.map(|state| if state == Rests::Running { "Running" } else { "Stopped" }.to_owned());
        let input = wire::PutWarmPool {
            auto_scaling_group_name: name.clone(),
            max_group_prepared_capacity: args.prepared.or(before.max_group_prepared_capacity),
            min_size: args.min.map(i64::from).or(before.min_size),
            pool_state: state.or(before.pool_state),
            instance_reuse_policy: Some(wire::InstanceReusePolicy { reuse_on_scale_in: args.reuse.or(reuses) }),
        };
        client.call(&input).with_context(|| format!("failed to put the warm pool of `{name}`"))?;
        return if args.wait { ready(client, args, streams) } else { Ok(Outcome::Done) };
    }
    if held.warm_pool_configuration.is_none() && !args.json {
        let hint = format!("make one with `evenkeel asg pool {name} --prepared N`");
        return Err(hinted(format!("`{name}` has no warm pool"), hint));
    }
    if args.wait {
        return ready(client, args, streams);
    }
    show(&held, args.json, streams)?;
    Ok(Outcome::Done)
}

/// A pool whole.
fn pool(client: &Client, name: &str) -> anyhow::Result<wire::DescribeWarmPoolOutput> {
    let mut configuration = None;
    let mut input = wire::DescribeWarmPool { auto_scaling_group_name: name.to_owned(), ..Default::default() };
    let instances = pages(|token| {
        input.next_token = token;
        let page = client.call(&input)?;
        configuration = page.warm_pool_configuration;
        Ok((page.instances.0, page.next_token))
    })?;
    Ok(wire::DescribeWarmPoolOutput {
        warm_pool_configuration: configuration,
        instances: instances.into(),
        next_token: None,
    })
}

fn rests(instance: &wire::Instance) -> bool {
    matches!(instance.lifecycle_state.as_str(), "Warmed:Stopped" | "Warmed:Running")
}

/// Waits until as many are ready as there are to be.
fn ready(client: &Client, args: &Pool, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let (mut progress, mut told) = (Progress::default(), String::new());
    let done = wait::until(args.timeout, || {
        let held = pool(client, name)?;
        let Some(configuration) = &held.warm_pool_configuration else { bail!("`{name}` has no warm pool any more") };
        let wanted = size(configuration, &existing(client, name)?);
        let ready = held.instances.iter().filter(|instance| rests(instance)).count();
        told = format!("{ready} of {wanted} are ready");
        progress.show(streams, &format!("waiting for the warm pool of `{name}`: {told}"))?;
        Ok((i64::try_from(ready) == Ok(wanted) && ready == held.instances.len()).then_some(()))
    })?;
    progress.end(streams)?;
    over(done, args, &told)
}

fn gone(client: &Client, args: &Pool, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let (mut progress, mut told) = (Progress::default(), String::new());
    let done = wait::until(args.timeout, || {
        let held = pool(client, name)?;
        told = format!("{} are left", held.instances.len());
        progress.show(streams, &format!("waiting for the warm pool of `{name}` to go: {told}"))?;
        Ok((held.warm_pool_configuration.is_none() && held.instances.is_empty()).then_some(()))
    })?;
    progress.end(streams)?;
    over(done, args, &told)
}

fn over(done: Option<()>, args: &Pool, told: &str) -> anyhow::Result<Outcome> {
    let (name, seconds) = (&args.name, args.timeout.as_secs());
    match done {
        Some(()) => Ok(Outcome::Done),
        None => Err(hinted(
            format!("the warm pool of `{name}` is not as it is to be after {seconds} s: {told}"),
            format!("`evenkeel asg log {name}` says what was tried"),
        )),
    }
}

/// How many there are to be in it (AWS, "Core concepts" of warm pools).
fn size(pool: &wire::WarmPoolConfiguration, group: &wire::AutoScalingGroup) -> i64 {
    let prepared = pool.max_group_prepared_capacity.unwrap_or(group.max_size);
    (prepared - group.desired_capacity).max(pool.min_size.unwrap_or(0))
}

fn show(held: &wire::DescribeWarmPoolOutput, as_json: bool, streams: &mut Streams<'_>) -> io::Result<()> {
    if as_json {
        let instance = |instance: &wire::Instance| {
            json!({
                "id": instance.instance_id, "state": instance.lifecycle_state, "health": instance.health_status,
                "zone": instance.availability_zone,
            })
        };
        let pool = held.warm_pool_configuration.as_ref().map(|pool| {
            json!({
                "prepared": pool.max_group_prepared_capacity, "min": pool.min_size, "state": pool.pool_state,
                "status": pool.status, "reuse": reuses(pool),
                "instances": held.instances.iter().map(instance).collect::<Vec<_>>(),
            })
        });
        return writeln!(streams.out, "{}", serde_json::to_string_pretty(&pool)?);
    }
    let Some(pool) = &held.warm_pool_configuration else { return Ok(()) };
    let mut line = |what: &str, text: &str| writeln!(streams.out, "{what:<9}  {text}");
    if let Some(status) = &pool.status {
        line("status", status)?;
    }
    let prepared = pool.max_group_prepared_capacity.map_or_else(|| "the group's most".to_owned(), |n| n.to_string());
    line("prepared", &prepared)?;
    line("min", &pool.min_size.unwrap_or(0).to_string())?;
    line("rest", pool.pool_state.as_deref().unwrap_or("Stopped"))?;
    line("reuse", if reuses(pool) { "yes" } else { "no" })?;
    if held.instances.is_empty() {
        return Ok(());
    }
    writeln!(streams.out)?;
    let mut table = Table::new(["INSTANCE", "STATE", "HEALTH", "ZONE"]);
    for instance in &held.instances {
        table.push([
            instance.instance_id.clone(),
            instance.lifecycle_state.clone(),
            instance.health_status.clone(),
            instance.availability_zone.clone(),
        ]);
    }
    table.write(streams)
}

fn reuses(pool: &wire::WarmPoolConfiguration) -> bool {
    pool.instance_reuse_policy.as_ref().and_then(|policy| policy.reuse_on_scale_in) == Some(true)
}
