//! What a user may do: policies of its own, and those it shares with others.
//!
//! Owns their form on the wire, in and out. That a text is a policy is checked here, before it becomes a Change; what it allows
//! is `evenkeel_core::rights`'s to say. Next: [`super::managed_policies`]. Source: IAM API 2010-05-08.

use std::sync::Arc;

use evenkeel_aws::{Error, iam};
use evenkeel_core::change::Change;
use evenkeel_core::name::{IdentityPolicyName, PolicyArn};
use evenkeel_core::refusal::Refusal;

use super::page::Page;
use super::users::{bad_name, existing};
use super::{Asked, managed_policies, refusal, rights, words};

/// The most characters of a policy's text, white space and all (AWS: 131,072).
pub(super) const MOST_CHARACTERS: usize = 131_072;

pub(super) async fn put(asked: &Asked<'_>, input: &iam::PutUserPolicy) -> Result<iam::PutUserPolicyOutput, Error> {
    let user = existing(asked, &input.user_name)?.name.clone();
    let policy = name(&input.policy_name)?;
    let document = document(&input.policy_document)?;
    asked.iam(Change::PutUserPolicy { user, policy, document }).await?;
    Ok(iam::PutUserPolicyOutput {})
}

pub(super) fn get(asked: &Asked<'_>, input: &iam::GetUserPolicy) -> Result<iam::GetUserPolicyOutput, Error> {
    let held = existing(asked, &input.user_name)?;
    let policy = name(&input.policy_name)?;
    let text = held.inline.get(&policy);
    let text = text.ok_or_else(|| refusal::iam(Refusal::NoSuchUserPolicy(policy.clone()).into()))?;
    Ok(iam::GetUserPolicyOutput {
        user_name: held.name.to_string(),
        policy_name: policy.to_string(),
        policy_document: encoded(text),
    })
}

pub(super) fn list(asked: &Asked<'_>, input: &iam::ListUserPolicies) -> Result<iam::ListUserPoliciesOutput, Error> {
    let page = Page::iam("user-policies", input.max_items, input.marker.as_deref())?;
    let names = existing(asked, &input.user_name)?.inline.keys().map(ToString::to_string);
    let (names, marker) = page.cut(names, Clone::clone);
    Ok(iam::ListUserPoliciesOutput { policy_names: names.into(), is_truncated: marker.is_some(), marker })
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &iam::DeleteUserPolicy,
) -> Result<iam::DeleteUserPolicyOutput, Error> {
    let user = existing(asked, &input.user_name)?.name.clone();
    let policy = name(&input.policy_name)?;
    asked.iam(Change::DeleteUserPolicy { user, policy }).await?;
    Ok(iam::DeleteUserPolicyOutput {})
}

pub(super) async fn attach(
    asked: &Asked<'_>,
    input: &iam::AttachUserPolicy,
) -> Result<iam::AttachUserPolicyOutput, Error> {
    let user = existing(asked, &input.user_name)?.name.clone();
    asked.iam(Change::AttachUserPolicy { user, policy: arn(&input.policy_arn)? }).await?;
    Ok(iam::AttachUserPolicyOutput {})
}

pub(super) async fn detach(
    asked: &Asked<'_>,
    input: &iam::DetachUserPolicy,
) -> Result<iam::DetachUserPolicyOutput, Error> {
    let user = existing(asked, &input.user_name)?.name.clone();
    asked.iam(Change::DetachUserPolicy { user, policy: arn(&input.policy_arn)? }).await?;
    Ok(iam::DetachUserPolicyOutput {})
}

pub(super) fn list_attached(
    asked: &Asked<'_>,
    input: &iam::ListAttachedUserPolicies,
) -> Result<iam::ListAttachedUserPoliciesOutput, Error> {
    let page = Page::iam("attached-policies", input.max_items, input.marker.as_deref())?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let all = existing(asked, &input.user_name)?.attached.iter();
    let wanted = all.filter(|arn| managed_policies::path(arn).starts_with(prefix));
    let shown = wanted.map(|arn| iam::AttachedPolicy {
        policy_name: managed_policies::short_name(arn).to_owned(),
        policy_arn: arn.to_string(),
    });
    let (attached, marker) = page.cut(shown, |policy| policy.policy_arn.clone());
    let attached_policies = attached.into();
    Ok(iam::ListAttachedUserPoliciesOutput { attached_policies, is_truncated: marker.is_some(), marker })
}

/// The name of a policy as a call states it.
pub(super) fn name(text: &str) -> Result<IdentityPolicyName, Error> {
    IdentityPolicyName::new(text).map_err(|_| bad_name("policyName", text))
}

/// The ARN of a policy as a call states it.
pub(super) fn arn(text: &str) -> Result<PolicyArn, Error> {
    let bad = || Error::sender("InvalidInput", format!("ARN {} is not valid.", words::quoted(text)));
    PolicyArn::new(text).map_err(|_| bad())
}

/// A policy's text, which must be one.
pub(super) fn document(text: &str) -> Result<Arc<str>, Error> {
    if text.chars().count() > MOST_CHARACTERS {
        let rule = format!("Member must have length less than or equal to {MOST_CHARACTERS}");
        return Err(words::out_of_bounds(text, "policyDocument", &rule));
    }
    rights::read(text).map_err(|why| Error::sender("MalformedPolicyDocument", why))?;
    Ok(text.into())
}

/// A policy's text as IAM gives it out: URL-encoded (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
