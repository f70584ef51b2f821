//! `evenkeel user`: who has access keys of its own: listed, shown, deleted with all that is its own.
//!
//! Users are made by `evenkeel key create`. Next: [`super::key`], [`super::policy`].

use anyhow::Context;
use clap::{Args, Subcommand};
use evenkeel_aws::iam;
use serde_json::{Value, json};

use super::client::Client;
use super::difference::{Difference, Verb};
use super::failure::{Outcome, refused};
use super::identity::{self, Try};
use super::settings::Reach;
use super::streams::Streams;
use super::table::Table;

/// Arguments of `evenkeel user`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel key create ada --policy ElasticLoadBalancingReadOnly     makes the user ada, too\n  evenkeel user list\n  evenkeel user show ada"
)]
pub struct User {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with users.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List users and their access keys
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a user: keys, policies, tags
    Show(Show),
    /// Delete users with their access keys and policies
    Delete(Delete),
}

/// Arguments of `evenkeel user list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel user list\n  evenkeel user list --json")]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel user show`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel user show ada\n  evenkeel user show ada --json | jq .attached")]
pub struct Show {
    /// The user
    #[arg(value_name = "USER")]
    pub user: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel user delete`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel user delete ada --dry-run\n  evenkeel user delete ada")]
pub struct Delete {
    /// The users
    #[arg(value_name = "USER", required = true)]
    pub users: Vec<String>,
    /// Whether to.
    #[command(flatten)]
    pub attempt: Try,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

impl User {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::List(args) => &args.reach,
            Action::Show(args) => &args.reach,
            Action::Delete(args) => &args.reach,
        }
    }
}

/// Carries out a command.
///
/// # Errors
/// What the daemon refuses, and those of the client.
pub fn run(args: &User, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::List(args) => list(args, client, streams)?,
        Action::Show(args) => show(args, client, streams)?,
        Action::Delete(args) if args.attempt.dry_run => {
            let one = |user: &String| {
                let failed = || format!("failed to delete the user `{user}`");
                match identity::lines(client, user).with_context(failed)? {
                    Some(lines) => Ok(Difference::new(user, Verb::Delete, &lines, &[])),
                    None => {
                        let text = format!("The user with name {user} cannot be found.");
                        refused("NoSuchEntity", text).with_context(failed)
                    }
                }
            };
            let all = args.users.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
            Difference::print_all(&all, true, args.attempt.json, streams)?;
        }
        Action::Delete(args) => {
            for user in &args.users {
                delete(client, user).with_context(|| format!("failed to delete the user `{user}`"))?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let failed = "failed to list users";
    let mut table = Table::new(["USER", "ACCESS KEYS", "CREATED", "ARN"]);
    let mut shown = Vec::new();
    for user in identity::users(client).context(failed)? {
        let keys = identity::keys(client, Some(&user.user_name)).context(failed)?;
        let keys: Vec<String> = keys.into_iter().map(|key| key.access_key_id).collect();
        let created = user.create_date.to_string();
        shown.push(json!({ "user": user.user_name, "arn": user.arn, "created": created, "access_keys": keys }));
        table.push([user.user_name, keys.join(" "), created, user.arn]);
    }
    if args.json {
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&Value::Array(shown))?)?);
    }
    Ok(table.write(streams)?)
}

fn show(args: &Show, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let name = &args.user;
    let failed = || format!("failed to show the user `{name}`");
    let user = client.call(&iam::GetUser { user_name: Some(name.clone()) }).with_context(failed)?.user;
    let keys = identity::keys(client, Some(name)).with_context(failed)?;
    let attached = identity::attached(client, name).with_context(failed)?;
    let own = identity::own(client, name).with_context(failed)?;
    if args.json {
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| json!({ "access_key_id": key.access_key_id, "active": key.status == "Active" }))
            .collect();
        let attached: Vec<&String> = attached.iter().map(|policy| &policy.policy_arn).collect();
        let tags: serde_json::Map<String, Value> =
            user.tags.iter().map(|tag| (tag.key.clone(), json!(tag.value))).collect();
        let shown = json!({
            "user": user.user_name, "arn": user.arn, "created": user.create_date.to_string(),
            "access_keys": keys, "attached": attached, "own": own, "tags": tags,
        });
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown)?)?);
    }
    let mut line = |what: &str, text: &str| writeln!(streams.out, "{what:<10}  {text}");
    line("user", &user.user_name)?;
    line("arn", &user.arn)?;
    line("created", &user.create_date.to_string())?;
    for key in &keys {
        line("access key", &format!("{} {}", key.access_key_id, key.status))?;
    }
    for policy in &attached {
        line("policy", &policy.policy_arn)?;
    }
    for policy in &own {
        line("policy", &format!("{policy} (its own)"))?;
    }
    for tag in &user.tags {
        line("tag", &format!("{}={}", tag.key, tag.value))?;
    }
    Ok(())
}

/// Keys go first: from then on nobody calls in that name.
fn delete(client: &Client, name: &str) -> anyhow::Result<()> {
    let user_name = || name.to_owned();
    for key in identity::keys(client, Some(name))? {
        let access_key_id = key.access_key_id;
        client.call(&iam::DeleteAccessKey { user_name: Some(user_name()), access_key_id })?;
    }
    for policy in identity::attached(client, name)? {
        client.call(&iam::DetachUserPolicy { user_name: user_name(), policy_arn: policy.policy_arn })?;
    }
    for policy_name in identity::own(client, name)? {
        client.call(&iam::DeleteUserPolicy { user_name: user_name(), policy_name })?;
    }
    client.call(&iam::DeleteUser { user_name: user_name() }).map(drop)
}
