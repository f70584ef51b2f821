//! `evenkeel key`: access keys of users and of root: made, shown, switched off and on, exchanged, deleted, tried out.
//!
//! Prints a secret once, when it is made, and must never keep one. Next: [`pair`] for how it is printed, [`rotate`] for how one is
//! exchanged, [`super::user`] and [`super::policy`] for whose they are and what they allow.

mod foresee;
mod pair;
mod rotate;

use anyhow::Context;
use clap::{Args, Subcommand};
use evenkeel_aws::iam;
use serde_json::{Value, json};

use super::client::{Client, told};
use super::failure::Outcome;
use super::identity::{self, Named, Try};
use super::settings::Reach;
use super::streams::Streams;
use super::table::Table;
pub use pair::Print;

/// Arguments of `evenkeel key`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:
  evenkeel key create ada --policy ElasticLoadBalancingFullAccess
  evenkeel key can ada elasticloadbalancing:DeleteLoadBalancer
  evenkeel key list
  evenkeel key rotate"
)]
pub struct Key {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with access keys.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List access keys: whose they are, whether they count, when they were used
    #[command(visible_alias = "ls")]
    List(List),
    /// Make an access key, and its user where there is none; prints the secret, this once
    Create(Create),
    /// Let access keys count no more, until they are enabled
    Disable(Ids),
    /// Let access keys count again
    Enable(Ids),
    /// Delete access keys
    Delete(Ids),
    /// Exchange an access key: make a new one, prove it, delete the old one
    Rotate(Rotate),
    /// Say whether a user may do something, and which policy decides
    Can(Can),
}

/// Arguments of `evenkeel key list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel key list\n  evenkeel key list ada --json")]
pub struct List {
    /// Only this user's [default: your own and, as far as you may see them, everybody's]
    #[arg(value_name = "USER")]
    pub user: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel key create`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel key create ada --policy ElasticLoadBalancingReadOnly
  evenkeel key create deploy --policy ./deploy.json --json
  eval \"$(evenkeel key create ada --env)\"")]
pub struct Create {
    /// The user, who is made where there is none [default: yourself]
    #[arg(value_name = "USER")]
    pub user: Option<String>,
    /// What the user may do: a policy's name or ARN, or a file with one; may be repeated
    #[arg(long = "policy", value_name = "POLICY", requires = "user")]
    pub policies: Vec<String>,
    /// Print the difference that it would make, and make none
    #[arg(long)]
    pub dry_run: bool,
    /// How to print it.
    #[command(flatten)]
    pub print: Print,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel key disable`, `enable` and `delete`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel key disable AKIAIOSFODNN7EXAMPLE
  evenkeel key enable AKIAIOSFODNN7EXAMPLE
  evenkeel key delete AKIAIOSFODNN7EXAMPLE")]
pub struct Ids {
    /// The access keys
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Whether to.
    #[command(flatten)]
    pub attempt: Try,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel key rotate`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel key rotate                 your own: root's is then in the data directory, for the next command
  evenkeel key rotate ada --json
  evenkeel key rotate ada --key AKIAIOSFODNN7EXAMPLE")]
pub struct Rotate {
    /// Whose [default: your own]
    #[arg(value_name = "USER")]
    pub user: Option<String>,
    /// Which is to go [default: the one that signs; of another user the only one]
    #[arg(long, value_name = "ID")]
    pub key: Option<String>,
    /// Print the difference that it would make, and make none
    #[arg(long)]
    pub dry_run: bool,
    /// How to print it.
    #[command(flatten)]
    pub print: Print,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel key can`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Exit code 0: yes; 1: no. Conditions are judged without what a real request would say of itself.

Examples:
  evenkeel key can ada elasticloadbalancing:DescribeLoadBalancers
  evenkeel key can ada elasticloadbalancing:DeleteLoadBalancer arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/web")]
pub struct Can {
    /// The user
    #[arg(value_name = "USER")]
    pub user: String,
    /// What: service:Action
    #[arg(value_name = "ACTION")]
    pub action: String,
    /// On what: an ARN
    #[arg(value_name = "RESOURCE", default_value = "*")]
    pub resource: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

impl Key {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::List(args) => &args.reach,
            Action::Create(args) => &args.reach,
            Action::Disable(args) | Action::Enable(args) | Action::Delete(args) => &args.reach,
            Action::Rotate(args) => &args.reach,
            Action::Can(args) => &args.reach,
        }
    }
}

/// Carries out a command.
///
/// # Errors
/// What the daemon refuses, and those of the client.
pub fn run(args: &Key, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::List(args) => list(args, client, streams)?,
        Action::Create(args) if args.dry_run => {
            foresee::created(args, client)?.print(true, args.print.json, streams)?;
        }
        Action::Create(args) => create(args, client, streams)?,
        Action::Disable(args) if args.attempt.dry_run => foresee::each(args, Some("Inactive"), client, streams)?,
        Action::Enable(args) if args.attempt.dry_run => foresee::each(args, Some("Active"), client, streams)?,
        Action::Delete(args) if args.attempt.dry_run => foresee::each(args, None, client, streams)?,
        Action::Disable(args) => each(args, "disable", |id, user| set(client, id, user, "Inactive"), client)?,
        Action::Enable(args) => each(args, "enable", |id, user| set(client, id, user, "Active"), client)?,
        Action::Delete(args) => each(
            args,
            "delete",
            |access_key_id, user_name| client.call(&iam::DeleteAccessKey { user_name, access_key_id }).map(drop),
            client,
        )?,
        Action::Rotate(args) => rotate::run(args, client, streams)?,
        Action::Can(args) => return can(args, client, streams),
    }
    Ok(Outcome::Done)
}

fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let failed = "failed to list access keys";
    let mut keys = identity::keys(client, args.user.as_deref()).context(failed)?;
    if args.user.is_none() {
        let users = match identity::users(client) {
            Ok(users) => users,
            // One's own keys may be shown all the same.
            Err(error) if identity::is_denied(&error) => Vec::new(),
            Err(error) => return Err(error).context(failed),
        };
        for user in users {
            let more = identity::keys(client, Some(&user.user_name)).context(failed)?;
            keys.extend(more.into_iter().filter(|key| key.user_name == user.user_name));
        }
        keys.sort_by(|a, b| (&a.user_name, &a.access_key_id).cmp(&(&b.user_name, &b.access_key_id)));
        keys.dedup_by(|a, b| a.access_key_id == b.access_key_id);
    }
    let mut table = Table::new(["USER", "ACCESS KEY", "STATUS", "CREATED", "LAST USED"]);
    let mut shown = Vec::new();
    for key in keys {
        let used = client.call(&iam::GetAccessKeyLastUsed { access_key_id: key.access_key_id.clone() });
        let used = used.ok().and_then(|used| used.access_key_last_used.last_used_date).map(|at| at.to_string());
        let created = key.create_date.to_string();
        shown.push(json!({
            "user": key.user_name,
            "access_key_id": key.access_key_id,
            "active": key.status == "Active",
            "created": created,
            "last_used": used,
        }));
        table.push([key.user_name, key.access_key_id, key.status, created, used.unwrap_or_default()]);
    }
    if args.json {
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&Value::Array(shown))?)?);
    }
    Ok(table.write(streams)?)
}

fn create(args: &Create, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    // What is named must be there before anything is made.
    let policies =
        args.policies.iter().map(|text| identity::named(client, text)).collect::<anyhow::Result<Vec<Named>>>()?;
    if let Some(name) = &args.user {
        match client.call(&iam::CreateUser { user_name: name.clone(), ..Default::default() }) {
            Err(error) if told(&error).is_none_or(|error| error.code != "EntityAlreadyExists") => {
                return Err(error).with_context(|| format!("failed to make the user `{name}`"));
            }
            _ => {}
        }
        for policy in &policies {
            identity::give(client, name, policy).with_context(|| format!("failed to give `{name}` its policies"))?;
        }
    }
    let made = client.call(&iam::CreateAccessKey { user_name: args.user.clone() });
    let made = made.context("failed to make an access key")?.access_key;
    pair::print(&made, &args.print, client, streams)
}

/// Does something to each key, of whose user it may be.
fn each(
    args: &Ids,
    what: &str,
    mut change: impl FnMut(String, Option<String>) -> anyhow::Result<()>,
    client: &Client,
) -> anyhow::Result<()> {
    for id in &args.ids {
        let changed = identity::owner(client, id).and_then(|user| change(id.clone(), user));
        changed.with_context(|| format!("failed to {what} the access key {id}"))?;
    }
    Ok(())
}

fn set(client: &Client, access_key_id: String, user_name: Option<String>, status: &str) -> anyhow::Result<()> {
    client.call(&iam::UpdateAccessKey { user_name, access_key_id, status: status.to_owned() }).map(drop)
}

fn can(args: &Can, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let Can { user, action, resource, .. } = args;
    let failed = || format!("failed to try out what `{user}` may do");
    let asked = iam::GetUser { user_name: Some(user.clone()) };
    let input = iam::SimulatePrincipalPolicy {
        policy_source_arn: client.call(&asked).with_context(failed)?.user.arn,
        action_names: vec![action.clone()].into(),
        resource_arns: vec![resource.clone()].into(),
        ..Default::default()
    };
    let results = client.call(&input).with_context(failed)?.evaluation_results;
    let result = results.into_iter().next().with_context(failed)?;
    let is_allowed = result.eval_decision == "allowed";
    let policy = result.matched_statements.first().map(|statement| statement.source_policy_id.clone());
    if args.json {
        let shown = json!({
            "user": user, "action": action, "resource": resource, "allowed": is_allowed,
            "decision": result.eval_decision, "policy": policy,
        });
        writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown)?)?;
    } else {
        let because = match (&policy, is_allowed) {
            (Some(policy), true) => format!("yes: {policy} allows it"),
            (Some(policy), false) => format!("no: {policy} denies it"),
            (None, true) => "yes".to_owned(),
            (None, false) => "no: no policy allows it".to_owned(),
        };
        writeln!(streams.out, "{because}")?;
    }
    Ok(if is_allowed { Outcome::Done } else { Outcome::Failed })
}

#[cfg(test)]
mod tests;
