//! `evenkeel asg refresh`: a group's members replaced, watched, called off, rolled back.
//!
//! Owns the words, and the launch template that an image is brought by. How fast it goes is the daemon's to say.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use evenkeel_aws::blob::Blob;
use evenkeel_aws::{autoscaling as wire, ec2};
use serde_json::{Value, json};

use super::existing;
use crate::cli::client::{Client, pages};
use crate::cli::failure::{Outcome, hinted};
use crate::cli::settings::Reach;
use crate::cli::streams::{Progress, Streams};
use crate::cli::table::Table;
use crate::cli::wait;

/// What becomes of members that are protected from scaling in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protected {
    /// They are replaced
    Refresh,
    /// They stay
    Ignore,
    /// It is waited for an hour until they are protected no more
    Wait,
}

/// What becomes of members that stand by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Standby {
    /// They are ended
    Terminate,
    /// They stay
    Ignore,
    /// It is waited for an hour until they are back
    Wait,
}

/// Arguments of `evenkeel asg refresh`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel asg refresh web --image ami-0123456789abcdef0 --auto-rollback --wait\n  \
        evenkeel asg refresh web --template web:3 --min-healthy 100 --max-healthy 150\n  \
        evenkeel asg refresh web --checkpoint 20 --checkpoint 100 --pause 600 --alarm errors\n  \
        evenkeel asg refresh web                       all anew, with what the group launches with\n  \
        evenkeel asg refresh web --status\n  evenkeel asg refresh web --rollback --wait\n\n\
        A small group launches one before it ends one; so it does with any group where --min-healthy is 100."
)]
pub struct Refresh {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Image that members are launched from; makes a launch template, or a version of the group's
    #[arg(long, short = 'i', value_name = "AMI", group = "brings")]
    pub image: Option<String>,
    /// Launch template that members are launched with, by name or id [default version: its default one]
    #[arg(long, value_name = "NAME[:VERSION]", group = "brings")]
    pub template: Option<String>,
    /// Percent of the members that are in service at least [default: 90]
    #[arg(long, value_name = "PERCENT")]
    pub min_healthy: Option<u8>,
    /// Percent of the members that are there at most, 100 to 200 [default: 100, or one more]
    #[arg(long, value_name = "PERCENT", requires = "min_healthy")]
    pub max_healthy: Option<u8>,
    /// Seconds in service until a new member counts [default: the group's warm-up, or its grace]
    #[arg(long, value_name = "SECONDS")]
    pub warmup: Option<u32>,
    /// Percent of new members at which to pause; may be repeated, 100 the last
    #[arg(long = "checkpoint", value_name = "PERCENT")]
    pub checkpoints: Vec<u8>,
    /// Seconds to pause at each [default: 3600]
    #[arg(long, value_name = "SECONDS", requires = "checkpoints")]
    pub pause: Option<u32>,
    /// Spare members that are launched with the same already
    #[arg(long)]
    pub skip_matching: bool,
    /// Go back by itself where it fails
    #[arg(long)]
    pub auto_rollback: bool,
    /// What becomes of members that are protected from scaling in [default: wait]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub protected: Option<Protected>,
    /// What becomes of members that stand by [default: wait]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub standby: Option<Standby>,
    /// Alarm that fails it when it goes off; may be repeated
    #[arg(long = "alarm", value_name = "NAME")]
    pub alarms: Vec<String>,
    /// Seconds to watch it when all are replaced
    #[arg(long, value_name = "SECONDS")]
    pub bake: Option<u32>,
    /// Show refreshes, the newest first
    #[arg(long, group = "instead", conflicts_with = "brings")]
    pub status: bool,
    /// Call off the one under way; who is replaced stays replaced
    #[arg(long, group = "instead", conflicts_with = "brings")]
    pub cancel: bool,
    /// Call off the one under way, and go back to what was there before
    #[arg(long, group = "instead", conflicts_with = "brings")]
    pub rollback: bool,
    /// Print JSON, with --status
    #[arg(long, requires = "status")]
    pub json: bool,
    /// Wait until it is over
    #[arg(long, short = 'w', conflicts_with = "status")]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = wait::parse_seconds, requires = "wait")]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

pub(super) fn run(args: &Refresh, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let auto_scaling_group_name = name.clone();
    if args.status {
        let all = refreshes(client, name).with_context(|| format!("failed to list the refreshes of `{name}`"))?;
        show(&all, args.json, streams)?;
        return Ok(Outcome::Done);
    }
    let (id, wanted) = if args.cancel {
        let input = wire::CancelInstanceRefresh { auto_scaling_group_name, wait_for_transitioning_instances: None };
        let output = client.call(&input).with_context(|| format!("failed to call off the refresh of `{name}`"))?;
        (output.instance_refresh_id, "Cancelled")
    } else if args.rollback {
        let input = wire::RollbackInstanceRefresh { auto_scaling_group_name };
        let output = client.call(&input).with_context(|| format!("failed to roll back the refresh of `{name}`"))?;
        (output.instance_refresh_id, "RollbackSuccessful")
    } else {
        (start(args, client).with_context(|| format!("failed to refresh `{name}`"))?, "Successful")
    };
    match id.filter(|_| args.wait) {
        Some(id) => over(client, args, &id, wanted, streams),
        None => Ok(Outcome::Done),
    }
}

fn start(args: &Refresh, client: &Client) -> anyhow::Result<Option<String>> {
    let mut made = None;
    let template = match (&args.image, &args.template) {
        (Some(image), _) => {
            let group = existing(client, &args.name)?;
            let brought = bring(&group, image, client)?;
            made = Some(brought.clone());
            Some(brought.template)
        }
        (None, Some(stated)) => Some(named(stated)),
        (None, None) => None,
    };
    let percent = |stated: Option<u8>| stated.map(i64::from);
    let checkpoints = || args.checkpoints.iter().copied().map(i64::from).collect();
    let alarms = || wire::AlarmSpecification { alarms: args.alarms.clone().into() };
    let input = wire::StartInstanceRefresh {
        auto_scaling_group_name: args.name.clone(),
        strategy: None,
        desired_configuration: template.map(|template| wire::DesiredConfiguration {
            launch_template: Some(template),
            mixed_instances_policy: None,
        }),
        preferences: Some(wire::RefreshPreferences {
            min_healthy_percentage: percent(args.min_healthy),
            max_healthy_percentage: percent(args.max_healthy),
            instance_warmup: args.warmup.map(Into::into),
            checkpoint_percentages: (!args.checkpoints.is_empty()).then(checkpoints),
            checkpoint_delay: args.pause.map(Into::into),
            skip_matching: args.skip_matching.then_some(true),
            auto_rollback: args.auto_rollback.then_some(true),
            scale_in_protected_instances: args.protected.map(|what| format!("{what:?}")),
            standby_instances: args.standby.map(|what| format!("{what:?}")),
            alarm_specification: (!args.alarms.is_empty()).then(alarms),
            bake_time: args.bake.map(Into::into),
        }),
    };
    let started = client.call(&input);
    if started.is_err()
        && let Some(made) = made
    {
        // Nobody launches with it; what counts is why.
        made.undo(client);
    }
    Ok(started?.instance_refresh_id)
}

/// A launch template that was made for a refresh.
#[derive(Clone)]
struct Brought {
    template: wire::LaunchTemplateSpecification,
    is_whole: bool,
}

impl Brought {
    fn undo(self, client: &Client) {
        let launch_template_id = self.template.launch_template_id;
        if self.is_whole {
            let _ = client.call(&ec2::DeleteLaunchTemplate { launch_template_id, ..Default::default() });
        } else {
            let versions = self.template.version.into_iter().collect();
            let input = ec2::DeleteLaunchTemplateVersions { launch_template_id, versions, ..Default::default() };
            let _ = client.call(&input);
        }
    }
}

/// What the group launches with, but from another image: a version of its template, or a template of its configuration.
fn bring(group: &wire::AutoScalingGroup, image: &str, client: &Client) -> anyhow::Result<Brought> {
    let Some(held) = &group.launch_template else { return configured(group, image, client) };
    let launch_template_id = held.launch_template_id.clone();
    let version = pinned(group, held, client)?;
    let made = client.call(&ec2::CreateLaunchTemplateVersion {
        launch_template_id: launch_template_id.clone(),
        source_version: Some(version),
        version_description: Some(format!("from {image}")),
        launch_template_data: Some(ec2::LaunchTemplateData { image_id: Some(image.to_owned()), ..Default::default() }),
        ..Default::default()
    })?;
    let number = made.launch_template_version.version_number;
    let template = wire::LaunchTemplateSpecification {
        launch_template_id,
        launch_template_name: None,
        version: Some(number.to_string()),
    };
    Ok(Brought { template, is_whole: false })
}

/// The number of the version that a group launches with. Where it launches with whichever is the latest, or the default one, it
/// is that one from now on: the new version is nobody's until the refresh brings it, and there is a way back.
fn pinned(
    group: &wire::AutoScalingGroup,
    held: &wire::LaunchTemplateSpecification,
    client: &Client,
) -> anyhow::Result<String> {
    let stated = held.version.clone().unwrap_or_else(|| "$Default".to_owned());
    if !stated.starts_with('$') {
        return Ok(stated);
    }
    let input = ec2::DescribeLaunchTemplates {
        launch_template_ids: held.launch_template_id.clone().into_iter().collect(),
        ..Default::default()
    };
    let found = client.call(&input)?.launch_templates.0.into_iter().next();
    let found = found.with_context(|| format!("`{}` has no launch template", group.auto_scaling_group_name))?;
    let number =
        if stated == "$Latest" { found.latest_version_number } else { found.default_version_number }.to_string();
    client.call(&wire::UpdateAutoScalingGroup {
        auto_scaling_group_name: group.auto_scaling_group_name.clone(),
        launch_template: Some(wire::LaunchTemplateSpecification {
            launch_template_id: held.launch_template_id.clone(),
            launch_template_name: None,
            version: Some(number.clone()),
        }),
        ..Default::default()
    })?;
    Ok(number)
}

/// A launch template that states what the group's launch configuration does, named after the group and the second.
fn configured(group: &wire::AutoScalingGroup, image: &str, client: &Client) -> anyhow::Result<Brought> {
    let input = wire::DescribeLaunchConfigurations {
        launch_configuration_names: group.launch_configuration_name.clone().into_iter().collect(),
        ..Default::default()
    };
    let found = client.call(&input)?.launch_configurations.0.into_iter().next();
    let held = found.with_context(|| {
        hinted(
            format!("`{}` has no launch configuration any more", group.auto_scaling_group_name),
            "name a launch template with `--template`",
        )
    })?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (ids, names): (Vec<String>, Vec<String>) =
        held.security_groups.0.into_iter().partition(|group| group.starts_with("sg-"));
    let user_data = given(held.user_data).map(|text| STANDARD.decode(text).map(Blob)).transpose();
    let user_data = user_data.context("failed to read the launch configuration's user data")?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let made = client.call(&ec2::CreateLaunchTemplate {
        launch_template_name: Some(format!("{}-{seconds}", group.auto_scaling_group_name)),
        version_description: Some(format!("from {image}")),
        launch_template_data: Some(ec2::LaunchTemplateData {
            image_id: Some(image.to_owned()),
            instance_type: given(Some(held.instance_type)),
            key_name: given(held.key_name),
            user_data,
            security_group_ids: ids,
            security_groups: names,
            ..Default::default()
        }),
        ..Default::default()
    })?;
    let template = wire::LaunchTemplateSpecification {
        launch_template_id: Some(made.launch_template.launch_template_id),
        launch_template_name: None,
        version: Some("1".to_owned()),
    };
    Ok(Brought { template, is_whole: true })
}

/// `NAME`, `lt-…`, either with `:VERSION`.
fn named(stated: &str) -> wire::LaunchTemplateSpecification {
    let (which, version) = match stated.rsplit_once(':') {
        Some((which, version)) => (which, Some(version.to_owned())),
        None => (stated, None),
    };
    let (id, name) = if which.starts_with("lt-") { (Some(which), None) } else { (None, Some(which)) };
    wire::LaunchTemplateSpecification {
        launch_template_id: id.map(str::to_owned),
        launch_template_name: name.map(str::to_owned),
        version,
    }
}

/// Waits until a refresh is over, and says how it ended.
fn over(client: &Client, args: &Refresh, id: &str, wanted: &str, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let mut progress = Progress::default();
    let ended = wait::until(args.timeout, || {
        let held = refreshes(client, name)?.into_iter().find(|held| held.instance_refresh_id.as_deref() == Some(id));
        let Some(held) = held else { bail!("the refresh of `{name}` is not known any more") };
        progress.show(streams, &format!("refreshing `{name}`: {}", line(&held)))?;
        Ok(held.end_time.is_some().then_some(held))
    })?;
    progress.end(streams)?;
    let Some(held) = ended else {
        return Err(hinted(
            format!("the refresh of `{name}` is not over after {} s", args.timeout.as_secs()),
            format!("it goes on; `evenkeel asg refresh {name} --status` shows how"),
        ));
    };
    let status = held.status.as_deref().unwrap_or_default();
    if status == wanted {
        return Ok(Outcome::Done);
    }
    bail!("the refresh of `{name}` is {status}: {}", why(&held))
}

fn line(held: &wire::InstanceRefresh) -> String {
    let (percent, left) = (held.percentage_complete.unwrap_or_default(), held.instances_to_update.unwrap_or_default());
    let reason = held.status_reason.as_deref().unwrap_or_default();
    let text = format!("{} {percent} %, {left} to replace. {reason}", held.status.as_deref().unwrap_or_default());
    text.trim_end().to_owned()
}

fn why(held: &wire::InstanceRefresh) -> String {
    let rollback = held.rollback_details.as_ref().and_then(|details| details.rollback_reason.clone());
    let told: Vec<String> = rollback.into_iter().chain(held.status_reason.clone()).collect();
    if told.is_empty() { "no reason was given".to_owned() } else { told.join(" ") }
}

fn refreshes(client: &Client, name: &str) -> anyhow::Result<Vec<wire::InstanceRefresh>> {
    let mut input = wire::DescribeInstanceRefreshes {
        auto_scaling_group_name: name.to_owned(),
        ..wire::DescribeInstanceRefreshes::default()
    };
    pages(|token| {
        input.next_token = token;
        let page = client.call(&input)?;
        Ok((page.instance_refreshes.0, page.next_token))
    })
}

fn show(all: &[wire::InstanceRefresh], as_json: bool, streams: &mut Streams<'_>) -> io::Result<()> {
    let time = |time: Option<evenkeel_aws::Time>| time.map(|time| time.to_string());
    if as_json {
        let document = |held: &wire::InstanceRefresh| {
            let rollback = held.rollback_details.as_ref();
            json!({
                "id": held.instance_refresh_id, "status": held.status, "reason": held.status_reason,
                "percent": held.percentage_complete, "left": held.instances_to_update,
                "began": time(held.start_time), "ended": time(held.end_time),
                "rolled_back_because": rollback.and_then(|details| details.rollback_reason.clone()),
            })
        };
        let all: Vec<Value> = all.iter().map(document).collect();
        return writeln!(streams.out, "{}", serde_json::to_string_pretty(&all)?);
    }
    let mut table = Table::new(["REFRESH", "STATUS", "REPLACED", "LEFT", "BEGAN", "ENDED", "WHY"]);
    for held in all {
        table.push([
            held.instance_refresh_id.clone().unwrap_or_default(),
            held.status.clone().unwrap_or_default(),
            format!("{} %", held.percentage_complete.unwrap_or_default()),
            held.instances_to_update.unwrap_or_default().to_string(),
            time(held.start_time).unwrap_or_default(),
            time(held.end_time).unwrap_or_else(|| "-".to_owned()),
            if held.status_reason.is_some() || held.rollback_details.is_some() { why(held) } else { String::new() },
        ]);
    }
    table.write(streams)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_named_by_name_or_id_with_a_version() {
        let check = |stated: &str, id: Option<&str>, name: Option<&str>, version: Option<&str>| {
            let read = named(stated);
            let got =
                (read.launch_template_id.as_deref(), read.launch_template_name.as_deref(), read.version.as_deref());
            assert_eq!(got, (id, name, version), "{stated}");
        };
        check("web", None, Some("web"), None);
        check("web:3", None, Some("web"), Some("3"));
        check("web:$Latest", None, Some("web"), Some("$Latest"));
        check("lt-01", Some("lt-01"), None, None);
        check("lt-01:2", Some("lt-01"), None, Some("2"));
    }
}
