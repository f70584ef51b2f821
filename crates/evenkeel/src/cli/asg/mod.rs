//! `evenkeel asg`: auto scaling groups, made, shown, sized, changed, deleted.
//!
//! Owns the words for people. What a group does by itself is the daemon's to say: `log` prints its activities with their causes.
//! Next: [`shown`], [`targets`], [`explain`], [`simulate`], [`refresh`], [`pool`], [`super::launch`].

mod explain;
mod pool;
mod refresh;
mod shown;
pub mod simulate;
mod targets;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use evenkeel_aws::{autoscaling as wire, ec2};

use super::client::{Client, pages};
use super::failure::{Outcome, hinted};
use super::launch::{parse_tag, user_data};
use super::settings::Reach;
use super::streams::{Progress, Streams};
use super::wait;
pub use pool::Pool;
pub use refresh::Refresh;

/// Arguments of `evenkeel asg`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel asg create web --image ami-0123456789abcdef0 --max 6 --lb web --wait\n  evenkeel asg list\n  \
        evenkeel asg scale web 4\n  evenkeel asg track web --load 1.5\n  evenkeel asg explain web\n  \
        evenkeel asg refresh web --image ami-0fedcba9876543210 --auto-rollback --wait"
)]
pub struct Asg {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with groups.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List groups
    #[command(visible_alias = "ls")]
    List(List),
    /// Replace a group's members, one after the other, with others from another image or template
    Refresh(Box<Refresh>),
    /// Keep members ready beside those that work: show the warm pool, make it, size it, take it off
    Pool(Pool),
    /// Show a group and its members
    Show(Show),
    /// Make a group, with a launch configuration of its own unless one is named
    Create(Box<Create>),
    /// Say how many members a group is to have
    Scale(Scale),
    /// Change a group's bounds and what its health is judged by
    Set(Set),
    /// Show what a group did, and why, the newest last
    #[command(visible_alias = "activities")]
    Log(Log),
    /// Say why a group has as many members as it has: what its policies read, what they come to, what is in the way
    #[command(visible_alias = "why")]
    Explain(explain::Explain),
    /// Keep a metric of a group at a target, by as many members as it takes
    Track(targets::Track),
    /// Keep a group from doing something by itself
    Suspend(Processes),
    /// Let a group do it again
    Resume(Processes),
    /// Delete a group
    Delete(Delete),
    /// Try policies on a load, given or recorded, without a group
    Simulate(Box<simulate::Simulate>),
}

/// Arguments of `evenkeel asg list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel asg list\n  evenkeel asg list --json")]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel asg show`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel asg show web\n  evenkeel asg show web --json | jq .members")]
pub struct Show {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// What health is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Health {
    /// Instances alone
    Ec2,
    /// Load balancers as well
    Elb,
}

impl Health {
    fn word(self) -> String {
        match self {
            Self::Ec2 => "EC2".into(),
            Self::Elb => "ELB".into(),
        }
    }
}

/// Arguments of `evenkeel asg create`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel asg create web --image ami-0123456789abcdef0 --min 2 --max 6 --lb web --health elb --grace 30 --wait\n  \
        evenkeel asg create jobs --config jobs-2 --min 0 --max 3 --zone us-east-1a"
)]
pub struct Create {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Image that members are launched from; makes a launch configuration
    #[arg(long, short = 'i', value_name = "AMI", required_unless_present = "config", conflicts_with = "config")]
    pub image: Option<String>,
    /// Launch configuration that there is
    #[arg(long, value_name = "NAME")]
    pub config: Option<String>,
    /// Instance type
    #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "m1.small", conflicts_with = "config")]
    pub instance_type: String,
    /// File with user data, at most 16 KiB
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub user_data: Option<PathBuf>,
    /// The fewest members
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min: u32,
    /// The most members
    #[arg(long, value_name = "N")]
    pub max: u32,
    /// How many to begin with [default: the fewest]
    #[arg(long, value_name = "N")]
    pub desired: Option<u32>,
    /// Zone; may be repeated [default: all there are]
    #[arg(long = "zone", short = 'z', value_name = "ZONE")]
    pub zones: Vec<String>,
    /// Load balancer that members go behind; may be repeated
    #[arg(long = "lb", value_name = "NAME")]
    pub balancers: Vec<String>,
    /// What members' health is judged by [default: elb where there is a load balancer, else ec2]
    #[arg(long, value_enum, value_name = "BY")]
    pub health: Option<Health>,
    /// Seconds in service in which a load balancer's verdict does not count
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub grace: u32,
    /// Tag for the group and each member; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    pub tags: Vec<(String, String)>,
    /// Wait until as many as wanted are in service
    #[arg(long, short = 'w')]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = wait::parse_seconds, requires = "wait")]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel asg scale`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel asg scale web 4\n  evenkeel asg scale web 4 --wait")]
pub struct Scale {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How many members there are to be
    #[arg(value_name = "N")]
    pub desired: u32,
    /// Wait until it is so
    #[arg(long, short = 'w')]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = wait::parse_seconds, requires = "wait")]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel asg set`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel asg set web --min 2 --max 8\n  evenkeel asg set web --config web-2     new members are launched with it\n  \
        evenkeel asg set web --health elb --grace 30"
)]
pub struct Set {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The fewest members
    #[arg(long, value_name = "N")]
    pub min: Option<u32>,
    /// The most members
    #[arg(long, value_name = "N")]
    pub max: Option<u32>,
    /// Launch configuration that new members are launched with
    #[arg(long, value_name = "NAME")]
    pub config: Option<String>,
    /// Zone, in place of those it has; may be repeated
    #[arg(long = "zone", short = 'z', value_name = "ZONE")]
    pub zones: Vec<String>,
    /// What members' health is judged by
    #[arg(long, value_enum, value_name = "BY")]
    pub health: Option<Health>,
    /// Seconds in service in which a load balancer's verdict does not count
    #[arg(long, value_name = "SECONDS")]
    pub grace: Option<u32>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel asg log`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel asg log web\n  evenkeel asg log web -n 100 --json | jq .")]
pub struct Log {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How many activities, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub count: usize,
    /// Print JSON, one activity a line
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel asg suspend` and `resume`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel asg suspend web                       everything\n  evenkeel asg suspend web Launch Terminate\n  \
        evenkeel asg resume web"
)]
pub struct Processes {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What: Launch, Terminate, HealthCheck, ReplaceUnhealthy, AZRebalance, AddToLoadBalancer, AlarmNotification,
    /// ScheduledActions, InstanceRefresh [default: all of it]
    #[arg(value_name = "PROCESS")]
    pub processes: Vec<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel asg delete`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel asg delete web\n  evenkeel asg delete web --force     its members, too")]
pub struct Delete {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// End its members
    #[arg(long, short = 'f')]
    pub force: bool,
    /// Wait until it and its members are gone
    #[arg(long, short = 'w')]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = wait::parse_seconds, requires = "wait")]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

impl Asg {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::List(args) => &args.reach,
            Action::Refresh(args) => &args.reach,
            Action::Pool(args) => &args.reach,
            Action::Show(args) => &args.reach,
            Action::Create(args) => &args.reach,
            Action::Scale(args) => &args.reach,
            Action::Set(args) => &args.reach,
            Action::Log(args) => &args.reach,
            Action::Explain(args) => &args.reach,
            Action::Track(args) => &args.reach,
            Action::Suspend(args) | Action::Resume(args) => &args.reach,
            Action::Delete(args) => &args.reach,
            Action::Simulate(args) => &args.reach,
        }
    }
}

/// Carries out a command.
///
/// # Errors
/// What the daemon refuses, and those of the client.
pub fn run(args: &Asg, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::List(args) => {
            let groups = groups(client, &[]).context("failed to list auto scaling groups")?;
            shown::list(&groups, args.json, streams)?;
        }
        Action::Show(args) => {
            let group = existing(client, &args.name)?;
            shown::group(&group, args.json, streams)?;
        }
        Action::Create(args) => return create(args, client, streams),
        Action::Refresh(args) => return refresh::run(args, client, streams),
        Action::Pool(args) => return pool::run(args, client, streams),
        Action::Scale(args) => {
            let input = wire::SetDesiredCapacity {
                auto_scaling_group_name: args.name.clone(),
                desired_capacity: args.desired.into(),
                honor_cooldown: None,
            };
            client.call(&input).with_context(|| format!("failed to scale `{}`", args.name))?;
            if args.wait {
                return settled(client, &args.name, args.timeout, streams);
            }
        }
        Action::Set(args) => set(args, client)?,
        Action::Log(args) => {
            let activities = activities(client, &args.name, args.count)
                .with_context(|| format!("failed to list what `{}` did", args.name))?;
            shown::activities(&activities, args.json, streams)?;
        }
        Action::Explain(args) => explain::run(args, client, streams)?,
        Action::Track(args) => targets::run(args, client)?,
        Action::Suspend(args) => {
            let input = wire::SuspendProcesses {
                auto_scaling_group_name: args.name.clone(),
                scaling_processes: args.processes.clone().into(),
            };
            client.call(&input).with_context(|| format!("failed to suspend processes of `{}`", args.name))?;
        }
        Action::Resume(args) => {
            let input = wire::ResumeProcesses {
                auto_scaling_group_name: args.name.clone(),
                scaling_processes: args.processes.clone().into(),
            };
            client.call(&input).with_context(|| format!("failed to resume processes of `{}`", args.name))?;
        }
        Action::Delete(args) => return delete(args, client, streams),
        Action::Simulate(args) => return simulate::run(args, &|_| Ok(client.clone()), streams),
    }
    Ok(Outcome::Done)
}

fn create(args: &Create, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let failed = || format!("failed to make the auto scaling group `{name}`");
    let zones = match args.zones.as_slice() {
        [] => zones(client).with_context(failed)?,
        stated => stated.to_vec(),
    };
    let made = match (&args.image, &args.config) {
        (Some(image), _) => Some(configure(args, image, client).with_context(failed)?),
        (None, _) => None,
    };
    let tag = |(key, value): &(String, String)| wire::Tag {
        key: key.clone(),
        value: Some(value.clone()),
        propagate_at_launch: Some(true),
        ..wire::Tag::default()
    };
    let health = args.health.unwrap_or(if args.balancers.is_empty() { Health::Ec2 } else { Health::Elb });
    let input = wire::CreateAutoScalingGroup {
        auto_scaling_group_name: name.clone(),
        launch_configuration_name: made.clone().or_else(|| args.config.clone()),
        min_size: args.min.into(),
        max_size: args.max.into(),
        desired_capacity: args.desired.map(Into::into),
        availability_zones: Some(zones.into()),
        load_balancer_names: args.balancers.clone().into(),
        health_check_type: Some(health.word()),
        health_check_grace_period: Some(args.grace.into()),
        tags: args.tags.iter().map(tag).collect(),
        ..wire::CreateAutoScalingGroup::default()
    };
    if let Err(error) = client.call(&input) {
        if let Some(made) = made {
            // Nobody launches with it; what counts is why.
            let _ = client.call(&wire::DeleteLaunchConfiguration { launch_configuration_name: made });
        }
        return Err(error).with_context(failed);
    }
    if args.wait { settled(client, name, args.timeout, streams) } else { Ok(Outcome::Done) }
}

/// A launch configuration of the group's own: its name and the second it is made in.
fn configure(args: &Create, image: &str, client: &Client) -> anyhow::Result<String> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = format!("{}-{seconds}", args.name);
    let user_data = match &args.user_data {
        None => None,
        Some(file) => {
            let raw = user_data(file).with_context(|| format!("failed to read {}", file.display()))?;
            Some(STANDARD.encode(raw))
        }
    };
    client.call(&wire::CreateLaunchConfiguration {
        launch_configuration_name: name.clone(),
        image_id: Some(image.to_owned()),
        instance_type: Some(args.instance_type.clone()),
        user_data,
        ..wire::CreateLaunchConfiguration::default()
    })?;
    Ok(name)
}

fn set(args: &Set, client: &Client) -> anyhow::Result<()> {
    let input = wire::UpdateAutoScalingGroup {
        auto_scaling_group_name: args.name.clone(),
        launch_configuration_name: args.config.clone(),
        min_size: args.min.map(Into::into),
        max_size: args.max.map(Into::into),
        availability_zones: (!args.zones.is_empty()).then(|| args.zones.clone().into()),
        health_check_type: args.health.map(Health::word),
        health_check_grace_period: args.grace.map(Into::into),
        ..wire::UpdateAutoScalingGroup::default()
    };
    let nothing = wire::UpdateAutoScalingGroup {
        auto_scaling_group_name: args.name.clone(),
        ..wire::UpdateAutoScalingGroup::default()
    };
    if input == nothing {
        return Err(hinted("nothing to set", "give `--min`, `--max`, `--config`, `--zone`, `--health` or `--grace`"));
    }
    client.call(&input).with_context(|| format!("failed to change `{}`", args.name)).map(drop)
}

fn delete(args: &Delete, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let name = &args.name;
    let input = wire::DeleteAutoScalingGroup {
        auto_scaling_group_name: name.clone(),
        force_delete: args.force.then_some(true),
    };
    client.call(&input).with_context(|| format!("failed to delete the auto scaling group `{name}`"))?;
    if !args.wait {
        return Ok(Outcome::Done);
    }
    let mut progress = Progress::default();
    let gone = wait::until(args.timeout, || {
        let held = groups(client, std::slice::from_ref(name))?;
        let left: usize = held.iter().map(|group| group.instances.len()).sum();
        progress.show(streams, &format!("waiting for `{name}` to end: {left} members left"))?;
        Ok(held.is_empty().then_some(()))
    })?;
    progress.end(streams)?;
    match gone {
        Some(()) => Ok(Outcome::Done),
        None => bail!("`{name}` still has members after {} s", args.timeout.as_secs()),
    }
}

/// Waits until a group has as many members in service as it is to have, and no others.
fn settled(client: &Client, name: &str, timeout: Duration, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let mut progress = Progress::default();
    let done = wait::until(timeout, || {
        let group = existing(client, name)?;
        let serving = group.instances.iter().filter(|member| member.lifecycle_state == "InService").count();
        let others = group.instances.len() - serving;
        progress.show(streams, &format!("waiting for `{name}`: {serving} of {} in service", group.desired_capacity))?;
        let wanted = usize::try_from(group.desired_capacity).unwrap_or(usize::MAX);
        Ok((serving == wanted && others == 0).then_some(()))
    })?;
    progress.end(streams)?;
    if done.is_some() {
        return Ok(Outcome::Done);
    }
    // What it tried last says most.
    let last = activities(client, name, 1)?.pop();
    let last = last.and_then(|activity| activity.description).unwrap_or_else(|| "nothing was tried".to_owned());
    bail!("`{name}` is not as it is to be after {} s; last: {last}", timeout.as_secs())
}

fn existing(client: &Client, name: &str) -> anyhow::Result<wire::AutoScalingGroup> {
    let found = groups(client, &[name.to_owned()]).with_context(|| format!("failed to find `{name}`"))?;
    let missing =
        || hinted(format!("there is no auto scaling group `{name}`"), "`evenkeel asg list` names those there are");
    found.into_iter().next().ok_or_else(missing)
}

fn groups(client: &Client, names: &[String]) -> anyhow::Result<Vec<wire::AutoScalingGroup>> {
    let mut input = wire::DescribeAutoScalingGroups {
        auto_scaling_group_names: names.iter().cloned().collect(),
        ..wire::DescribeAutoScalingGroups::default()
    };
    pages(|token| {
        input.next_token = token;
        let page = client.call(&input)?;
        Ok((page.auto_scaling_groups.0, page.next_token))
    })
}

/// The newest activities, the newest last.
fn activities(client: &Client, name: &str, count: usize) -> anyhow::Result<Vec<wire::Activity>> {
    let mut input = wire::DescribeScalingActivities {
        auto_scaling_group_name: Some(name.to_owned()),
        max_records: Some(100),
        ..wire::DescribeScalingActivities::default()
    };
    let mut found = Vec::new();
    loop {
        let page = client.call(&input)?;
        found.extend(page.activities.0);
        match page.next_token.filter(|token| !token.is_empty()) {
            Some(token) if found.len() < count => input.next_token = Some(token),
            _ => break,
        }
    }
    found.truncate(count);
    found.reverse();
    Ok(found)
}

fn zones(client: &Client) -> anyhow::Result<Vec<String>> {
    let output = client.call(&ec2::DescribeAvailabilityZones::default())?;
    Ok(output.availability_zone_info.into_iter().map(|zone| zone.zone_name).collect())
}
