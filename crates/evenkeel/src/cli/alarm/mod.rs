//! `evenkeel alarm`: what watches metrics: listed, shown, put, deleted, set by hand, switched on and off, and their history.
//!
//! Next: [`put`], the arguments that make an alarm.

mod put;
mod shown;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use evenkeel_aws::cloudwatch;

pub use put::Put;

use super::client::Client;
use super::failure::Outcome;
use super::settings::Reach;
use super::streams::Streams;

/// Arguments of `evenkeel alarm`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel alarm put busy --metric App/Load --above 0.8 --period 10 --for 3 --alarm-action arn:aws:sns:…:ops\n  evenkeel alarm list --state ALARM\n  evenkeel alarm history busy"
)]
pub struct Alarm {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with alarms.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List alarms and their states
    #[command(visible_alias = "ls")]
    List(List),
    /// Show an alarm: what it watches, its state and why, what it does
    Show(Show),
    /// Make an alarm, or give one that is there other settings
    Put(Box<Put>),
    /// Delete alarms
    Delete(Named),
    /// Show what alarms went through, the newest first
    History(History),
    /// Set an alarm's state by hand, until it is next judged
    SetState(SetState),
    /// Have alarms carry out their actions
    Enable(Named),
    /// Keep alarms from carrying out their actions
    Disable(Named),
}

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Within its threshold
    Ok,
    /// Beyond it
    Alarm,
    /// Nobody knows
    InsufficientData,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// Arguments of `evenkeel alarm list`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel alarm list\n  evenkeel alarm list --state ALARM --json | jq -r '.[].alarm'\n  evenkeel alarm list --prefix web-"
)]
pub struct List {
    /// Only those in this state
    #[arg(long, value_enum, ignore_case = true)]
    pub state: Option<State>,
    /// Only those whose names begin so
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel alarm show`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel alarm show busy\n  evenkeel alarm show busy --json | jq -r .state")]
pub struct Show {
    /// The alarm
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Alarms to act on.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel alarm disable busy idle\n  evenkeel alarm enable busy idle\n  evenkeel alarm delete busy"
)]
pub struct Named {
    /// The alarms
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// What of a history is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Changes of its settings
    Configuration,
    /// Changes of its state
    State,
    /// What it did, or could not do
    Action,
}

/// Arguments of `evenkeel alarm history`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel alarm history busy\n  evenkeel alarm history busy --kind action --json\n  evenkeel alarm history --limit 20"
)]
pub struct History {
    /// The alarm, also one that was deleted; all if none is given
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Only these
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel alarm set-state`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel alarm set-state busy ALARM                    try out what it does\n  evenkeel alarm set-state busy OK --reason 'all is well'"
)]
pub struct SetState {
    /// The alarm
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its state until it is next judged
    #[arg(value_enum, ignore_case = true)]
    pub state: State,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "set by hand")]
    pub reason: String,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

impl Alarm {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::List(args) => &args.reach,
            Action::Show(args) => &args.reach,
            Action::Put(args) => &args.reach,
            Action::Delete(args) | Action::Enable(args) | Action::Disable(args) => &args.reach,
            Action::History(args) => &args.reach,
            Action::SetState(args) => &args.reach,
        }
    }
}

/// Carries out a command.
///
/// # Errors
/// What the daemon refuses, and those of the client.
pub fn run(args: &Alarm, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let named = |what: &str, names: &[String]| format!("failed to {what} {}", names.join(", "));
    match &args.action {
        Action::List(args) => shown::list(args, client, streams)?,
        Action::Show(args) => shown::show(args, client, streams)?,
        Action::History(args) => shown::history(args, client, streams)?,
        Action::Put(args) => {
            let failed = || format!("failed to put the alarm `{}`", args.name);
            client.call(&args.input()?).with_context(failed)?;
        }
        Action::Delete(args) => {
            let input = cloudwatch::DeleteAlarms { alarm_names: args.names.clone().into() };
            client.call(&input).with_context(|| named("delete", &args.names))?;
        }
        Action::Enable(args) => {
            let input = cloudwatch::EnableAlarmActions { alarm_names: args.names.clone().into() };
            client.call(&input).with_context(|| named("enable", &args.names))?;
        }
        Action::Disable(args) => {
            let input = cloudwatch::DisableAlarmActions { alarm_names: args.names.clone().into() };
            client.call(&input).with_context(|| named("disable", &args.names))?;
        }
        Action::SetState(args) => {
            let input = cloudwatch::SetAlarmState {
                alarm_name: Some(args.name.clone()),
                state_value: Some(args.state.word().to_owned()),
                state_reason: Some(args.reason.clone()),
                state_reason_data: None,
            };
            client.call(&input).with_context(|| format!("failed to set the state of `{}`", args.name))?;
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
