//! What would come of changing access keys, for `--dry-run`: or why the daemon would refuse, with its code and text.
//!
//! Asks only what describes. Next: [`crate::cli::identity`] for a user's lines.

use anyhow::Context;
use evenkeel_aws::iam;

use super::{Create, Ids};
use crate::cli::client::Client;
use crate::cli::difference::{Difference, Line, Verb};
use crate::cli::failure::refused;
use crate::cli::identity::{self, Named, key_line};
use crate::cli::streams::Streams;

/// Access keys of one user, and of root (AWS).
const MOST_KEYS: usize = 2;

/// A key that is not there yet.
fn new_key() -> Line {
    Line::new("access key", "(new) Active")
}

/// A key is made, and its user where there is none.
pub(super) fn created(args: &Create, client: &Client) -> anyhow::Result<Difference> {
    let policies =
        args.policies.iter().map(|text| identity::named(client, text)).collect::<anyhow::Result<Vec<Named>>>()?;
    let failed = || "failed to make an access key".to_owned();
    let Some(name) = &args.user else {
        let held = identity::keys(client, None).with_context(failed)?;
        return added(&held, None).with_context(failed);
    };
    let before = identity::lines(client, name).with_context(failed)?;
    let mut after = before.clone().unwrap_or_else(|| vec![Line::new("user", name.as_str())]);
    for policy in &policies {
        if let Named::Own(name, document) = policy {
            identity::examine(client, document).with_context(failed)?;
            let prefix = format!("{name} ");
            after.retain(|line| line.what != "policy" || !line.text.starts_with(&prefix));
        }
        let line = identity::policy_line(policy);
        if !after.contains(&line) {
            after.push(line);
        }
    }
    room(after.iter().filter(|line| line.what == "access key").count()).with_context(failed)?;
    after.push(new_key());
    let verb = if before.is_some() { Verb::Change } else { Verb::Create };
    Ok(Difference::new(name, verb, &before.unwrap_or_default(), &after))
}

/// A key takes the place of another.
pub(super) fn exchanged(
    user: Option<&str>,
    old: &str,
    held: &[iam::AccessKeyMetadata],
    client: &Client,
) -> anyhow::Result<Difference> {
    if let Some(name) = user {
        client.call(&iam::GetUser { user_name: Some(name.to_owned()) })?;
    }
    added(held, Some(old)).context("failed to exchange an access key")
}

fn added(held: &[iam::AccessKeyMetadata], old: Option<&str>) -> anyhow::Result<Difference> {
    room(held.len())?;
    let before: Vec<Line> = held.iter().map(key_line).collect();
    let stays = held.iter().filter(|key| old != Some(key.access_key_id.as_str()));
    let after: Vec<Line> = stays.map(key_line).chain([new_key()]).collect();
    let name = held.first().map_or("yourself", |key| key.user_name.as_str());
    Ok(Difference::new(name, Verb::Change, &before, &after))
}

fn room(held: usize) -> anyhow::Result<()> {
    if held < MOST_KEYS {
        return Ok(());
    }
    refused("LimitExceeded", format_args!("Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}"))
}

/// Each key gets a status, or goes.
pub(super) fn each(args: &Ids, status: Option<&str>, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let one = |id: &String| -> anyhow::Result<Difference> {
        let failed = || format!("failed to change the access key {id}");
        let user = identity::owner(client, id).with_context(failed)?;
        let held = identity::keys(client, user.as_deref()).with_context(failed)?;
        if !held.iter().any(|key| key.access_key_id == *id) {
            let text = format!("The Access Key with id {id} cannot be found.");
            return refused("NoSuchEntity", text).with_context(failed);
        }
        let is_other = |key: &&iam::AccessKeyMetadata| key.access_key_id != *id;
        let others_count = held.iter().filter(is_other).any(|key| key.status == "Active");
        let is_roots = held.iter().any(|key| key.user_name == "root") && user.is_none();
        if is_roots && status != Some("Active") && !others_count {
            let text = format!("{id} is root's last active access key: make another one first.");
            return refused("DeleteConflict", text).with_context(failed);
        }
        let before: Vec<Line> = held.iter().map(key_line).collect();
        let mut after: Vec<Line> = held.iter().filter(is_other).map(key_line).collect();
        after.extend(status.map(|status| Line::new("access key", format!("{id} {status}"))));
        let name = held.first().map_or("yourself", |key| key.user_name.as_str());
        Ok(Difference::new(name, Verb::Change, &before, &after))
    };
    let all = args.ids.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
    Difference::print_all(&all, true, args.attempt.json, streams)
}
