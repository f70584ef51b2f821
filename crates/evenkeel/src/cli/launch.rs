//! `evenkeel run`: launching instances, and waiting until they run or saying why they do not.
//!
//! Next: [`super::instance`] for what can be done with them then, [`super::balancer`] for putting them to work.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::blob::Blob;
use evenkeel_aws::ec2::{GetConsoleOutput, Instance, Placement, RunInstances, Tag, TagSpecification};

use super::client::{Client, told};
use super::failure::Outcome;
use super::settings::Reach;
use super::streams::{Progress, Streams};
use super::wait;

/// EC2's limit on user data, in bytes before base64.
const MAX_USER_DATA: u64 = 16 << 10;
/// So many last lines of the console are shown of an instance that did not come up.
const CONSOLE_LINES: usize = 20;

const EXAMPLES: &str = "\
Examples:
  evenkeel run ami-0123456789abcdef0 --zone us-east-1a --count 2
  evenkeel run ami-0123456789abcdef0 --zone us-east-1b --tag Name=web --user-data boot.cfg --wait
  elbadmin add web $(evenkeel run ami-0123456789abcdef0 --wait)";

/// Arguments of `evenkeel run`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    /// Image to launch
    #[arg(value_name = "AMI")]
    pub image: String,
    /// Availability zone [default: the daemon chooses]
    #[arg(long, short = 'z', value_name = "ZONE")]
    pub zone: Option<String>,
    /// How many instances
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    pub count: i64,
    /// Launch fewer if need be, but no fewer than this [default: the count]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub min: Option<i64>,
    /// Instance type
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    pub instance_type: Option<String>,
    /// Name of a key pair
    #[arg(long, short = 'k', value_name = "NAME")]
    pub key: Option<String>,
    /// Tag for each instance; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    pub tags: Vec<(String, String)>,
    /// File with user data, at most 16 KiB
    #[arg(long, value_name = "FILE")]
    pub user_data: Option<PathBuf>,
    /// Wait until all run; exit with 1 and say why if one does not
    #[arg(long, short = 'w')]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = wait::parse_seconds, requires = "wait")]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

pub(super) fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form KEY=VALUE".into()),
    }
}

/// Launches, prints the ids one a line, and waits if asked to.
///
/// # Errors
/// The user data cannot be read, and those of the client.
pub fn run(args: &Run, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let reservation =
        client.call(&input(args)?).with_context(|| format!("failed to launch instances of {}", args.image))?;
    let ids: Vec<String> = reservation.instances_set.into_iter().map(|instance| instance.instance_id).collect();
    for id in &ids {
        writeln!(streams.out, "{id}")?;
    }
    streams.out.flush()?;
    if args.wait { wait_running(client, &ids, args.timeout, streams) } else { Ok(Outcome::Done) }
}

fn input(args: &Run) -> anyhow::Result<RunInstances> {
    let user_data = match &args.user_data {
        Some(file) => Some(Blob(user_data(file).with_context(|| format!("failed to read {}", file.display()))?)),
        None => None,
    };
    let tags: Vec<Tag> =
        args.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: Some(value.clone()) }).collect();
    let specification = TagSpecification { resource_type: "instance".into(), tags };
    Ok(RunInstances {
        image_id: Some(args.image.clone()),
        min_count: args.min.unwrap_or(args.count),
        max_count: args.count,
        key_name: args.key.clone(),
        user_data,
        instance_type: args.instance_type.clone(),
        placement: args.zone.clone().map(|zone| Placement { availability_zone: Some(zone), ..Default::default() }),
        tag_specifications: if specification.tags.is_empty() { Vec::new() } else { vec![specification] },
        ..Default::default()
    })
}

pub(super) fn user_data(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_USER_DATA + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_USER_DATA {
        anyhow::bail!("user data is limited to {MAX_USER_DATA} bytes");
    }
    Ok(bytes)
}

fn wait_running(
    client: &Client,
    ids: &[String],
    timeout: Duration,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Outcome> {
    let mut progress = Progress::default();
    let mut last = Vec::new();
    let settled = wait::until(timeout, || {
        last = look(client, ids)?;
        progress.show(streams, &summary(ids, &last))?;
        Ok(ids.iter().all(|id| find(&last, id).is_none_or(|i| i.instance_state.name != "pending")).then_some(()))
    });
    progress.end(streams)?;
    settled.context("failed to wait for the instances")?;
    let mut outcome = Outcome::Done;
    for id in ids {
        let found = find(&last, id);
        if found.is_some_and(|instance| instance.instance_state.name == "running") {
            continue;
        }
        outcome = Outcome::Failed;
        writeln!(streams.err, "error: {}", why_not(id, found, timeout))?;
        if let Some(tail) = console_tail(client, id) {
            writeln!(streams.err, "its console ended with:\n{tail}")?;
        }
    }
    Ok(outcome)
}

/// The instances as the daemon sees them; one that it no longer knows makes it refuse the question, so then all are
/// asked for.
pub(super) fn look(client: &Client, ids: &[String]) -> anyhow::Result<Vec<Instance>> {
    let found = match client.reservations(Vec::new(), ids.to_vec()) {
        Err(error) if told(&error).is_some_and(|error| error.code == "InvalidInstanceID.NotFound") => {
            client.reservations(Vec::new(), Vec::new())?
        }
        found => found?,
    };
    let mut instances: Vec<Instance> = found.into_iter().flat_map(|reservation| reservation.instances_set).collect();
    instances.retain(|instance| ids.contains(&instance.instance_id));
    Ok(instances)
}

pub(super) fn find<'a>(instances: &'a [Instance], id: &str) -> Option<&'a Instance> {
    instances.iter().find(|instance| instance.instance_id == id)
}

/// `waiting for 3 instances: 1 pending, 2 running`.
fn summary(ids: &[String], instances: &[Instance]) -> String {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for id in ids {
        *counts.entry(find(instances, id).map_or("gone", |i| i.instance_state.name.as_str())).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let plural = if ids.len() == 1 { "" } else { "s" };
    format!("waiting for {} instance{plural}: {}", ids.len(), counts.join(", "))
}

pub(super) fn why_not(id: &str, found: Option<&Instance>, timeout: Duration) -> String {
    let Some(instance) = found else { return format!("{id} is gone") };
    let state = &instance.instance_state.name;
    if state == "pending" {
        return format!("{id} is still pending after {} seconds", timeout.as_secs_f64());
    }
    match instance.state_reason.as_ref().map(|reason| reason.message.as_str()).filter(|message| !message.is_empty()) {
        Some(message) => format!("{id} is {state}: {message}"),
        None if !instance.reason.is_empty() => format!("{id} is {state}: {}", instance.reason),
        None => format!("{id} is {state}"),
    }
}

/// The end of its console, indented. The launch has failed already: if the console cannot be had, that adds nothing.
pub(super) fn console_tail(client: &Client, id: &str) -> Option<String> {
    let input = GetConsoleOutput { instance_id: id.to_owned(), latest: Some(true), dry_run: None };
    let output = client.call(&input).ok()?.output.0;
    let text = String::from_utf8_lossy(&output);
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    let tail = &lines[lines.len().saturating_sub(CONSOLE_LINES)..];
    (!tail.is_empty()).then(|| tail.join("\n"))
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
