//! How instances fare: status checks and console output.
//!
//! An instance's status is about the instance itself; whether its application is well is the balancer's question, in
//! [`super::health`].

use std::io;
use std::sync::Arc;

use evenkeel_aws::blob::Blob;
use evenkeel_aws::xml::Items;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::noun::{Instance, InstanceState, InstanceStatus};

use super::blocking;
use super::filter::Filters;
use super::page::Page;
use super::words::wire_time;
use super::{Asked, instances, shown, words};

/// How much of a console log is shown: its end (AWS).
const CONSOLE_BYTES: usize = 64 * 1024;

pub(super) const FILTERS: &[&str] = &[
    "availability-zone",
    "event.code",
    "instance-state-code",
    "instance-state-name",
    "instance-status.reachability",
    "instance-status.status",
    "system-status.reachability",
    "system-status.status",
];

/// Running instances, unless all are asked for.
pub(super) fn describe(
    asked: &Asked<'_>,
    input: &ec2::DescribeInstanceStatus,
) -> Result<ec2::DescribeInstanceStatusOutput, Error> {
    if input.max_results.is_some() && !input.instance_ids.is_empty() {
        let text = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(Error::sender("InvalidParameterCombination", text));
    }
    let page = Page::ec2("status", input.max_results, 5, input.next_token.as_deref())?;
    let filters = Filters::read(&input.filters, FILTERS)?;
    let ids = instances::wanted(asked, &input.instance_ids)?;
    words::unless_dry_run(input.dry_run)?;
    let all = input.include_all_instances == Some(true);
    let found = shown::in_launch_order(&asked.world).into_iter().filter(|(_, i)| {
        (all || i.state == InstanceState::Running)
            && ids.as_ref().is_none_or(|ids| ids.contains(&i.id))
            && filters.hold(|name| values(i, name), &i.tags)
    });
    let (page, next_token) = page.cut(found, |(place, _)| place.clone());
    Ok(ec2::DescribeInstanceStatusOutput {
        instance_status_set: page.into_iter().map(|(_, instance)| status(instance)).collect(),
        next_token,
    })
}

pub(super) async fn console(asked: &Asked<'_>, input: &ec2::GetConsoleOutput) -> Result<ec2::ConsoleOutput, Error> {
    let id = words::instance(&input.instance_id)?;
    if asked.world.instance(&id).is_none() {
        return Err(words::no_instances(vec![id]));
    }
    words::unless_dry_run(input.dry_run)?;
    let read = Arc::clone(&asked.api.console);
    let wanted = id.clone();
    let mut output = match blocking(move || read(&wanted)).await? {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            eprintln!("api: failed to read the console of {id}: {error}");
            return Err(Error::receiver("InternalError", format!("The console of {id} could not be read: {error}")));
        }
    };
    output.drain(..output.len().saturating_sub(CONSOLE_BYTES));
    Ok(ec2::ConsoleOutput { instance_id: id.into(), timestamp: wire_time(asked.now), output: Blob(output) })
}

/// What the node says of an instance: whether it is there at all.
fn system(instance: &Instance) -> (&'static str, Option<&'static str>) {
    match instance.state {
        InstanceState::Running => ("ok", Some("passed")),
        InstanceState::Pending => ("initializing", Some("initializing")),
        _ => ("not-applicable", None),
    }
}

/// What the instance says of itself: how its boot and its application fare.
fn own(instance: &Instance) -> (&'static str, Option<&'static str>) {
    let reachability = match (instance.state, &instance.status) {
        (InstanceState::Running, InstanceStatus::Ok) => "passed",
        (InstanceState::Running, InstanceStatus::Impaired { .. }) => "failed",
        (InstanceState::Running, InstanceStatus::Initializing) | (InstanceState::Pending, _) => "initializing",
        _ => return ("not-applicable", None),
    };
    match instance.state {
        InstanceState::Running => (instance.status.as_str(), Some(reachability)),
        _ => ("initializing", Some(reachability)),
    }
}

fn status(instance: &Instance) -> ec2::InstanceStatus {
    let summary = |(status, reachability): (&str, Option<&str>)| {
        let since = (status == "impaired").then(|| wire_time(instance.status_since));
        let detail = |status: &str| ec2::StatusDetail {
            name: "reachability".into(),
            status: status.into(),
            impaired_since: since,
        };
        ec2::StatusSummary { status: status.into(), details: reachability.map(detail).into_iter().collect() }
    };
    ec2::InstanceStatus {
        instance_id: instance.id.to_string(),
        availability_zone: instance.zone.to_string(),
        events_set: Items::default(),
        instance_state: shown::state(instance.state),
        system_status: summary(system(instance)),
        instance_status: summary(own(instance)),
    }
}

fn values(i: &Instance, name: &'static str) -> Vec<String> {
    let (status, reachability) = if name.starts_with("system-status.") { system(i) } else { own(i) };
    match name {
        "availability-zone" => vec![i.zone.to_string()],
        "instance-state-code" => vec![i.state.code().to_string()],
        "instance-state-name" => vec![i.state.as_str().into()],
        "instance-status.status" | "system-status.status" => vec![status.into()],
        "instance-status.reachability" | "system-status.reachability" => {
            reachability.map(Into::into).into_iter().collect()
        }
        // Nothing is ever scheduled.
        _ => Vec::new(),
    }
}
