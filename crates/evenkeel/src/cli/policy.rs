//! `evenkeel policy`: what users may do, in AWS's policy language: kept under a name, listed, shown, given and taken.
//!
//! Judges nothing: the daemon reads a policy when it is put, and says what is wrong. Next: [`super::key`], whose `can` tries
//! policies out.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use evenkeel_aws::iam;
use evenkeel_core::refusal::Refusal;
use evenkeel_core::world::identities::MOST_VERSIONS;
use serde_json::{Value, json};

use super::client::{Client, pages, told};
use super::difference::{Difference, Line, Verb};
use super::failure::{Outcome, refused};
use super::identity::{self, Named, Try};
use super::settings::Reach;
use super::streams::Streams;
use super::table::Table;

/// Arguments of `evenkeel policy`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel policy put deploy ./deploy.json\n  evenkeel policy attach ada deploy\n  evenkeel policy list"
)]
pub struct Policy {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with policies.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List policies that can be attached to users
    #[command(visible_alias = "ls")]
    List(List),
    /// Print a policy, as JSON
    Show(Show),
    /// Keep a policy under a name; one that is there and says other gets a new version. Prints its ARN
    Put(Put),
    /// Attach policies to a user
    Attach(On),
    /// Detach policies from a user, or delete those that are its own
    Detach(On),
    /// Delete policies that are attached to nobody
    Delete(Delete),
}

/// Arguments of `evenkeel policy list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel policy list\n  evenkeel policy list --json")]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel policy show`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel policy show ElasticLoadBalancingReadOnly\n  evenkeel policy show deploy --user ada     a policy that is a user's own"
)]
pub struct Show {
    /// Name or ARN
    #[arg(value_name = "POLICY")]
    pub policy: String,
    /// The user whose own it is
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel policy put`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel policy put deploy ./deploy.json
  evenkeel policy put deploy ./deploy.json --user ada     as ada's own, of which there is no ARN")]
pub struct Put {
    /// Name to keep it under
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The policy, in JSON
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Make it this user's own
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Whether to.
    #[command(flatten)]
    pub attempt: Try,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel policy attach` and `detach`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel policy attach ada ElasticLoadBalancingReadOnly deploy\n  evenkeel policy detach ada deploy"
)]
pub struct On {
    /// The user
    #[arg(value_name = "USER")]
    pub user: String,
    /// Names or ARNs
    #[arg(value_name = "POLICY", required = true)]
    pub policies: Vec<String>,
    /// Whether to.
    #[command(flatten)]
    pub attempt: Try,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel policy delete`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel policy delete deploy")]
pub struct Delete {
    /// Names or ARNs
    #[arg(value_name = "POLICY", required = true)]
    pub policies: Vec<String>,
    /// Whether to.
    #[command(flatten)]
    pub attempt: Try,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

impl Policy {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::List(args) => &args.reach,
            Action::Show(args) => &args.reach,
            Action::Put(args) => &args.reach,
            Action::Attach(args) | Action::Detach(args) => &args.reach,
            Action::Delete(args) => &args.reach,
        }
    }
}

/// Carries out a command.
///
/// # Errors
/// Files that cannot be read, what the daemon refuses, and those of the client.
pub fn run(args: &Policy, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::List(args) => list(args, client, streams)?,
        Action::Show(args) => {
            let failed = || format!("failed to show the policy `{}`", args.policy);
            let document = document(args, client).with_context(failed)?;
            writeln!(streams.out, "{}", identity::decoded(&document))?;
        }
        Action::Put(args) if args.attempt.dry_run => {
            let failed = || format!("failed to put the policy `{}`", args.name);
            foreseen_put(args, client).with_context(failed)?.print(true, args.attempt.json, streams)?;
        }
        Action::Attach(args) if args.attempt.dry_run => {
            foreseen_on(args, true, client)?.print(true, args.attempt.json, streams)?;
        }
        Action::Detach(args) if args.attempt.dry_run => {
            foreseen_on(args, false, client)?.print(true, args.attempt.json, streams)?;
        }
        Action::Delete(args) if args.attempt.dry_run => {
            let one = |policy: &String| {
                foreseen_delete(policy, client).with_context(|| format!("failed to delete the policy `{policy}`"))
            };
            let all = args.policies.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
            Difference::print_all(&all, true, args.attempt.json, streams)?;
        }
        Action::Put(args) => put(args, client, streams)?,
        Action::Attach(args) => {
            for policy in &args.policies {
                let attached =
                    identity::named(client, policy).and_then(|named| identity::give(client, &args.user, &named));
                attached.with_context(|| format!("failed to attach `{policy}` to `{}`", args.user))?;
            }
        }
        Action::Detach(args) => {
            for policy in &args.policies {
                let detached = detach(client, &args.user, policy);
                detached.with_context(|| format!("failed to detach `{policy}` from `{}`", args.user))?;
            }
        }
        Action::Delete(args) => {
            for policy in &args.policies {
                delete(client, policy).with_context(|| format!("failed to delete the policy `{policy}`"))?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let mut table = Table::new(["POLICY", "USERS", "VERSION", "ARN"]);
    let mut shown = Vec::new();
    for policy in identity::policies(client).context("failed to list policies")? {
        let users = policy.attachment_count;
        shown.push(json!({
            "name": policy.policy_name, "arn": policy.arn, "users": users, "version": policy.default_version_id,
        }));
        table.push([policy.policy_name, users.to_string(), policy.default_version_id, policy.arn]);
    }
    if args.json {
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&Value::Array(shown))?)?);
    }
    Ok(table.write(streams)?)
}

fn document(args: &Show, client: &Client) -> anyhow::Result<String> {
    if let Some(user) = &args.user {
        let input = iam::GetUserPolicy { user_name: user.clone(), policy_name: args.policy.clone() };
        return Ok(client.call(&input)?.policy_document);
    }
    let policy_arn = identity::arn(client, &args.policy)?;
    let version_id = client.call(&iam::GetPolicy { policy_arn: policy_arn.clone() })?.policy.default_version_id;
    let held = client.call(&iam::GetPolicyVersion { policy_arn, version_id })?;
    held.policy_version.document.context("the daemon showed no document")
}

fn put(args: &Put, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let failed = || format!("failed to put the policy `{}`", args.name);
    let (policy_name, policy_document) = (args.name.clone(), identity::document(&args.file)?);
    if let Some(user) = &args.user {
        let input = iam::PutUserPolicy { user_name: user.clone(), policy_name, policy_document };
        return client.call(&input).map(drop).with_context(failed);
    }
    let input = iam::CreatePolicy { policy_name, policy_document: policy_document.clone(), ..Default::default() };
    let arn = match client.call(&input) {
        Ok(made) => made.policy.arn,
        Err(error) if told(&error).is_some_and(|error| error.code == "EntityAlreadyExists") => {
            let arn = identity::arn(client, &args.name)?;
            let held = client.call(&iam::GetPolicy { policy_arn: arn.clone() }).with_context(failed)?.policy;
            if in_force(client, &held).with_context(failed)? == identity::compact(&policy_document) {
                return Ok(writeln!(streams.out, "{arn}")?);
            }
            make_room(client, &arn).with_context(failed)?;
            let input =
                iam::CreatePolicyVersion { policy_arn: arn.clone(), policy_document, set_as_default: Some(true) };
            client.call(&input).with_context(failed)?;
            arn
        }
        Err(error) => return Err(error).with_context(failed),
    };
    Ok(writeln!(streams.out, "{arn}")?)
}

fn versions(client: &Client, arn: &str) -> anyhow::Result<Vec<iam::PolicyVersion>> {
    let mut input = iam::ListPolicyVersions { policy_arn: arn.to_owned(), ..Default::default() };
    pages(|marker| {
        input.marker = marker;
        let page = client.call(&input)?;
        Ok((page.versions.0, page.marker))
    })
}

/// The oldest version that is not in force goes, where there are as many as there may be.
fn make_room(client: &Client, arn: &str) -> anyhow::Result<()> {
    let held = versions(client, arn)?;
    let number = |version: &iam::PolicyVersion| version.version_id.trim_start_matches('v').parse::<u64>().unwrap_or(0);
    let oldest = held.iter().filter(|version| !version.is_default_version).min_by_key(|version| number(version));
    if let (Some(oldest), true) = (oldest, held.len() >= MOST_VERSIONS) {
        let version_id = oldest.version_id.clone();
        client.call(&iam::DeletePolicyVersion { policy_arn: arn.to_owned(), version_id })?;
    }
    Ok(())
}

fn detach(client: &Client, user: &str, policy: &str) -> anyhow::Result<()> {
    let user_name = user.to_owned();
    let attached = identity::attached(client, user)?;
    if let Some(held) = attached.into_iter().find(|held| held.policy_arn == policy || held.policy_name == policy) {
        return client.call(&iam::DetachUserPolicy { user_name, policy_arn: held.policy_arn }).map(drop);
    }
    if policy.starts_with("arn:") {
        return client.call(&iam::DetachUserPolicy { user_name, policy_arn: policy.to_owned() }).map(drop);
    }
    client.call(&iam::DeleteUserPolicy { user_name, policy_name: policy.to_owned() }).map(drop)
}

fn delete(client: &Client, policy: &str) -> anyhow::Result<()> {
    let policy_arn = identity::arn(client, policy)?;
    // One that is attached is refused as it is, with all its versions.
    if client.call(&iam::GetPolicy { policy_arn: policy_arn.clone() })?.policy.attachment_count == 0 {
        for version in versions(client, &policy_arn)?.into_iter().filter(|version| !version.is_default_version) {
            let version_id = version.version_id;
            client.call(&iam::DeletePolicyVersion { policy_arn: policy_arn.clone(), version_id })?;
        }
    }
    client.call(&iam::DeletePolicy { policy_arn }).map(drop)
}

/// A policy's document as it is in force, in one spelling.
fn in_force(client: &Client, policy: &iam::Policy) -> anyhow::Result<String> {
    let (policy_arn, version_id) = (policy.arn.clone(), policy.default_version_id.clone());
    let held = client.call(&iam::GetPolicyVersion { policy_arn, version_id })?.policy_version.document;
    Ok(identity::compact(&identity::decoded(&held.unwrap_or_default())))
}

fn foreseen_put(args: &Put, client: &Client) -> anyhow::Result<Difference> {
    let (name, document) = (&args.name, identity::document(&args.file)?);
    identity::examine(client, &document)?;
    let new = identity::own_line(name, &document);
    if let Some(user) = &args.user {
        let Some(before) = identity::lines(client, user)? else { return no_user(user) };
        let prefix = format!("{name} ");
        let is_other = |line: &&Line| line.what != "policy" || !line.text.starts_with(&prefix);
        let after: Vec<Line> = before.iter().filter(is_other).cloned().chain([new]).collect();
        return Ok(Difference::new(user, Verb::Change, &before, &after));
    }
    let held = identity::policies(client)?.into_iter().find(|held| held.policy_name == *name);
    Ok(match held {
        Some(held) => {
            let before = Line::new("policy", format!("{name} {}", in_force(client, &held)?));
            Difference::new(name, Verb::Change, &[before], &[new])
        }
        None => Difference::new(name, Verb::Create, &[], &[new]),
    })
}

fn no_user<T>(user: &str) -> anyhow::Result<T> {
    refused("NoSuchEntity", format_args!("The user with name {user} cannot be found."))
}

fn foreseen_on(args: &On, is_attached: bool, client: &Client) -> anyhow::Result<Difference> {
    let user = &args.user;
    let failed = || format!("failed to change the policies of `{user}`");
    let Some(before) = identity::lines(client, user).with_context(failed)? else {
        return no_user(user).with_context(failed);
    };
    let mut after = before.clone();
    for policy in &args.policies {
        if is_attached {
            let named = identity::named(client, policy)?;
            if let Named::Own(name, document) = &named {
                identity::examine(client, document).with_context(failed)?;
                let prefix = format!("{name} ");
                after.retain(|line| line.what != "policy" || !line.text.starts_with(&prefix));
            }
            let line = identity::policy_line(&named);
            if !after.contains(&line) {
                after.push(line);
            }
            continue;
        }
        let (prefix, suffix) = (format!("{policy} "), format!("/{policy}"));
        let is_it = |line: &Line| {
            let Line { what, text } = line;
            *what == "policy" && (text == policy || text.starts_with(&prefix) || text.ends_with(&suffix))
        };
        if !after.iter().any(is_it) {
            let text = format!("The user policy with name {policy} cannot be found.");
            return refused("NoSuchEntity", text).with_context(failed);
        }
        after.retain(|line| !is_it(line));
    }
    Ok(Difference::new(user, Verb::Change, &before, &after))
}

fn foreseen_delete(policy: &str, client: &Client) -> anyhow::Result<Difference> {
    let policy_arn = identity::arn(client, policy)?;
    let held = client.call(&iam::GetPolicy { policy_arn })?.policy;
    if held.arn.starts_with("arn:aws:iam::aws:") {
        return refused("AccessDenied", format_args!("Policy {} is predefined and cannot be changed.", held.arn));
    }
    if held.attachment_count > 0 {
        return refused("DeleteConflict", Refusal::PolicyAttached);
    }
    let line = Line::new("policy", format!("{} {}", held.policy_name, in_force(client, &held)?));
    Ok(Difference::new(&held.policy_name, Verb::Delete, &[line], &[]))
}
