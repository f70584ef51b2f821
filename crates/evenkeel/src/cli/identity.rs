//! What is asked of IAM and takes more than one call: lists by page, whose a key is, which policy is meant.
//!
//! Only asks. Next: [`super::key`], [`super::user`], [`super::policy`].

use std::path::Path;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::iam;
use percent_encoding::percent_decode_str;

use super::client::{Client, pages, told};
use super::difference::Line;
use super::failure::hinted;

/// A policy that somebody names: one that is there for all, or a file whose content is for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its ARN.
    Managed(String),
    /// A name for it, and its document.
    Own(String, String),
}

/// All users.
///
/// # Errors
/// Those of the client.
pub fn users(client: &Client) -> anyhow::Result<Vec<iam::User>> {
    let mut input = iam::ListUsers::default();
    pages(|marker| {
        input.marker = marker;
        let page = client.call(&input)?;
        Ok((page.users.0, page.marker))
    })
}

/// The access keys of a user; without a name those of whoever asks.
///
/// # Errors
/// Those of the client.
pub fn keys(client: &Client, user: Option<&str>) -> anyhow::Result<Vec<iam::AccessKeyMetadata>> {
    let mut input = iam::ListAccessKeys { user_name: user.map(str::to_owned), ..Default::default() };
    pages(|marker| {
        input.marker = marker;
        let page = client.call(&input)?;
        Ok((page.access_key_metadata.0, page.marker))
    })
}

/// Policies that are attached to a user.
///
/// # Errors
/// Those of the client.
pub fn attached(client: &Client, user: &str) -> anyhow::Result<Vec<iam::AttachedPolicy>> {
    let mut input = iam::ListAttachedUserPolicies { user_name: user.to_owned(), ..Default::default() };
    pages(|marker| {
        input.marker = marker;
        let page = client.call(&input)?;
        Ok((page.attached_policies.0, page.marker))
    })
}

/// Names of the policies that are a user's own.
///
/// # Errors
/// Those of the client.
pub fn own(client: &Client, user: &str) -> anyhow::Result<Vec<String>> {
    let mut input = iam::ListUserPolicies { user_name: user.to_owned(), ..Default::default() };
    pages(|marker| {
        input.marker = marker;
        let page = client.call(&input)?;
        Ok((page.policy_names.0, page.marker))
    })
}

/// All policies that can be attached.
///
/// # Errors
/// Those of the client.
pub fn policies(client: &Client) -> anyhow::Result<Vec<iam::Policy>> {
    let mut input = iam::ListPolicies::default();
    pages(|marker| {
        input.marker = marker;
        let page = client.call(&input)?;
        Ok((page.policies.0, page.marker))
    })
}

/// Whose key it is; `None` for whoever asks: root, or a user who may not ask.
///
/// # Errors
/// Those of the client; no such key.
pub fn owner(client: &Client, id: &str) -> anyhow::Result<Option<String>> {
    match client.call(&iam::GetAccessKeyLastUsed { access_key_id: id.to_owned() }) {
        Ok(output) => Ok(output.user_name),
        Err(error) if is_denied(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the caller may not do that.
pub fn is_denied(error: &anyhow::Error) -> bool {
    told(error).is_some_and(|error| error.code == "AccessDenied")
}

/// The ARN of a policy by its ARN or name.
///
/// # Errors
/// No such policy, and those of the client.
pub fn arn(client: &Client, text: &str) -> anyhow::Result<String> {
    if text.starts_with("arn:") {
        return Ok(text.to_owned());
    }
    let found = policies(client).context("failed to list policies")?.into_iter().find(|held| held.policy_name == text);
    found.map(|held| held.arn).ok_or_else(|| {
        let hint = "`evenkeel policy list` names all that can be attached; a file's name stands for what is in it";
        hinted(format!("failed to find the policy `{text}`: there is none of that name"), hint)
    })
}

/// A policy that somebody names: an ARN, a file, or the name of one that is there.
///
/// # Errors
/// Those of [`arn`] and of [`document`].
pub fn named(client: &Client, text: &str) -> anyhow::Result<Named> {
    let path = Path::new(text);
    if text.starts_with("arn:") || !path.is_file() {
        return arn(client, text).map(Named::Managed);
    }
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Named::Own(stem, document(path)?))
}

/// A policy's document in a file.
///
/// # Errors
/// A file that cannot be read, or is no JSON.
pub fn document(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
        let what = format!("failed to read {}: it is no JSON: {error}", path.display());
        return Err(hinted(what, "a policy is `{\"Version\": \"2012-10-17\", \"Statement\": […]}`"));
    }
    Ok(text)
}

/// Gives a policy to a user.
///
/// # Errors
/// Those of the client.
pub fn give(client: &Client, user: &str, policy: &Named) -> anyhow::Result<()> {
    let user_name = user.to_owned();
    match policy.clone() {
        Named::Managed(policy_arn) => client.call(&iam::AttachUserPolicy { user_name, policy_arn }).map(drop),
        Named::Own(policy_name, policy_document) => {
            client.call(&iam::PutUserPolicy { user_name, policy_name, policy_document }).map(drop)
        }
    }
}

/// Whether a change is only to be foretold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub struct Try {
    /// Print the difference that it would make, and make none
    #[arg(long)]
    pub dry_run: bool,
    /// Print that difference as JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}

/// What a user has: itself, keys, policies with what they say. `None` where there is none of that name.
///
/// # Errors
/// Those of the client.
pub fn lines(client: &Client, user: &str) -> anyhow::Result<Option<Vec<Line>>> {
    let keys = match keys(client, Some(user)) {
        Err(error) if told(&error).is_some_and(|error| error.code == "NoSuchEntity") => return Ok(None),
        keys => keys?,
    };
    let mut lines = vec![Line::new("user", user)];
    lines.extend(keys.iter().map(key_line));
    if user == "root" {
        return Ok(Some(lines));
    }
    lines.extend(attached(client, user)?.into_iter().map(|held| Line::new("policy", held.policy_arn)));
    for policy_name in own(client, user)? {
        let input = iam::GetUserPolicy { user_name: user.to_owned(), policy_name: policy_name.clone() };
        lines.push(own_line(
            &policy_name,
            &percent_decode_str(&client.call(&input)?.policy_document).decode_utf8_lossy(),
        ));
    }
    Ok(Some(lines))
}

/// A key, and whether it counts.
pub fn key_line(key: &iam::AccessKeyMetadata) -> Line {
    Line::new("access key", format!("{} {}", key.access_key_id, key.status))
}

/// A policy that is a user's own, with what it says.
pub fn own_line(name: &str, document: &str) -> Line {
    Line::new("policy", format!("{name} {}", compact(document)))
}

/// A policy as lines show it.
pub fn policy_line(policy: &Named) -> Line {
    match policy {
        Named::Managed(arn) => Line::new("policy", arn.as_str()),
        Named::Own(name, document) => own_line(name, document),
    }
}

/// A document in one spelling, where it is JSON.
pub fn compact(document: &str) -> String {
    serde_json::from_str::<serde_json::Value>(document).map_or_else(|_| document.to_owned(), |value| value.to_string())
}

/// Has the daemon read a policy, which changes nothing, so that it says what is wrong with it.
///
/// # Errors
/// What is wrong, and those of the client.
pub fn examine(client: &Client, document: &str) -> anyhow::Result<()> {
    let input = iam::SimulateCustomPolicy {
        policy_input_list: vec![document.to_owned()].into(),
        action_names: vec!["iam:GetUser".to_owned()].into(),
        ..Default::default()
    };
    client.call(&input).map(drop).context("it would be refused")
}

/// A document as IAM shows it, decoded and laid out where it is JSON.
pub fn decoded(document: &str) -> String {
    let text = percent_decode_str(document).decode_utf8_lossy();
    let laid_out =
        serde_json::from_str::<serde_json::Value>(&text).and_then(|value| serde_json::to_string_pretty(&value));
    laid_out.unwrap_or_else(|_| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_decoded_and_laid_out() {
        let check = |encoded: &str, expected: &str| assert_eq!(decoded(encoded), expected);
        check("%7B%22a%22%3A1%7D", "{\n  \"a\": 1\n}");
        check("%C3%A4 no JSON", "ä no JSON");
    }

    #[test]
    fn a_file_that_is_no_json_is_told_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.json");
        std::fs::write(&path, "{").unwrap();
        assert!(document(&path).unwrap_err().to_string().contains("it is no JSON"));
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(document(&path).unwrap(), "{}");
    }
}
