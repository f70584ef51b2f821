//! IAM's managed policies: made, shown, given other versions, deleted; and the predefined ones.
//!
//! Owns their form on the wire. Predefined ones have one version, were made at the beginning of time and stay. Next:
//! `evenkeel_core::rights`. Source: IAM API 2010-05-08.

use std::collections::BTreeMap;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, Time, iam};
use evenkeel_core::change::{Change, Reply};
use evenkeel_core::name::PolicyArn;
use evenkeel_core::noun::{ManagedPolicy, PolicyVersion};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::rights::{PREDEFINED, Predefined, predefined};

use super::page::Page;
use super::user_policies::{arn, document, encoded, name};
use super::users::{self, shown_tags, tags};
use super::words::{self, wire_time};
use super::{Asked, dice, refusal};

/// A policy of either kind.
enum Held<'w> {
    Own(&'w ManagedPolicy),
    Predefined(&'static Predefined),
}

pub(super) async fn create(asked: &Asked<'_>, input: &iam::CreatePolicy) -> Result<iam::CreatePolicyOutput, Error> {
    const MOST_DESCRIPTION: usize = 1000;
    let (name, path) = (name(&input.policy_name)?, users::path(input.path.as_deref())?);
    let description = input.description.clone().unwrap_or_default();
    if description.chars().count() > MOST_DESCRIPTION {
        let rule = format!("Member must have length less than or equal to {MOST_DESCRIPTION}");
        return Err(words::out_of_bounds(&description, "description", &rule));
    }
    let account = &asked.world.settings().account;
    let version = PolicyVersion { document: document(&input.policy_document)?, created: asked.now };
    let policy = ManagedPolicy {
        arn: arn(&format!("arn:aws:iam::{account}:policy{path}{name}"))?,
        name,
        path,
        id: dice::identity_id("ANPA")?,
        description,
        created: asked.now,
        updated: asked.now,
        versions: BTreeMap::from([(1, version)]),
        default: 1,
        latest: 1,
        tags: tags(&input.tags)?,
    };
    let shown = shown(asked, &Held::Own(&policy), true);
    asked.iam(Change::CreateManagedPolicy(policy)).await?;
    Ok(iam::CreatePolicyOutput { policy: shown })
}

pub(super) fn get(asked: &Asked<'_>, input: &iam::GetPolicy) -> Result<iam::GetPolicyOutput, Error> {
    Ok(iam::GetPolicyOutput { policy: shown(asked, &held(asked, &input.policy_arn)?, true) })
}

pub(super) fn list(asked: &Asked<'_>, input: &iam::ListPolicies) -> Result<iam::ListPoliciesOutput, Error> {
    let page = Page::iam("policies", input.max_items, input.marker.as_deref())?;
    let (own, predefined) = match input.scope.as_deref() {
        None | Some("All") => (true, true),
        Some("Local") => (true, false),
        Some("AWS") => (false, true),
        Some(other) => {
            return Err(words::out_of_bounds(other, "scope", "Member must satisfy enum value set: [AWS, Local, All]"));
        }
    };
    if usage_is_of_boundaries(input.policy_usage_filter.as_deref())? {
        return Ok(iam::ListPoliciesOutput::default());
    }
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let owns = asked.world.managed_policies().filter(|_| own).map(|policy| Held::Own(policy));
    let given = PREDEFINED.iter().filter(|_| predefined).map(Held::Predefined);
    let mut all: Vec<_> = owns.chain(given).map(|policy| shown(asked, &policy, false)).collect();
    all.retain(|policy| policy.path.starts_with(prefix));
    if input.only_attached == Some(true) {
        all.retain(|policy| policy.attachment_count > 0);
    }
    all.sort_by(|a, b| a.arn.cmp(&b.arn));
    let (policies, marker) = page.cut(all, |policy| policy.arn.clone());
    Ok(iam::ListPoliciesOutput { policies: policies.into(), is_truncated: marker.is_some(), marker })
}

pub(super) async fn delete(asked: &Asked<'_>, input: &iam::DeletePolicy) -> Result<iam::DeletePolicyOutput, Error> {
    asked.iam(Change::DeleteManagedPolicy { policy: arn(&input.policy_arn)? }).await?;
    Ok(iam::DeletePolicyOutput {})
}

pub(super) async fn create_version(
    asked: &Asked<'_>,
    input: &iam::CreatePolicyVersion,
) -> Result<iam::CreatePolicyVersionOutput, Error> {
    let (policy, document) = (arn(&input.policy_arn)?, document(&input.policy_document)?);
    let as_default = input.set_as_default.unwrap_or_default();
    let reply = asked.iam(Change::CreatePolicyVersion { policy, document, as_default }).await?;
    let Reply::PolicyVersion(number) = reply else {
        return Err(Error::receiver("ServiceFailure", "The version was made, but its number is not known."));
    };
    let policy_version = iam::PolicyVersion {
        document: None,
        version_id: format!("v{number}"),
        is_default_version: as_default,
        create_date: wire_time(asked.now),
    };
    Ok(iam::CreatePolicyVersionOutput { policy_version })
}

pub(super) fn get_version(
    asked: &Asked<'_>,
    input: &iam::GetPolicyVersion,
) -> Result<iam::GetPolicyVersionOutput, Error> {
    let held = held(asked, &input.policy_arn)?;
    let number = number(&input.version_id)?;
    let found = versions(&held).into_iter().find(|(held, ..)| *held == number);
    let (_, shown, text) = found.ok_or_else(|| match arn(&input.policy_arn) {
        Ok(policy) => refusal::iam(Refusal::NoSuchPolicyVersion { policy, version: number }.into()),
        Err(bad) => bad,
    })?;
    let policy_version = iam::PolicyVersion { document: Some(encoded(text)), ..shown };
    Ok(iam::GetPolicyVersionOutput { policy_version })
}

pub(super) fn list_versions(
    asked: &Asked<'_>,
    input: &iam::ListPolicyVersions,
) -> Result<iam::ListPolicyVersionsOutput, Error> {
    let page = Page::iam("policy-versions", input.max_items, input.marker.as_deref())?;
    let held = held(asked, &input.policy_arn)?;
    // Newest first, as AWS lists them; the order of the page's key is then that of what is still to come.
    let newest_first = |number: u32| format!("{:010}", u32::MAX - number);
    let mut all = versions(&held);
    all.reverse();
    let (shown, marker) = page.cut(all, |(number, ..)| newest_first(*number));
    let versions = shown.into_iter().map(|(_, shown, _)| shown).collect();
    Ok(iam::ListPolicyVersionsOutput { versions, is_truncated: marker.is_some(), marker })
}

pub(super) async fn set_default_version(
    asked: &Asked<'_>,
    input: &iam::SetDefaultPolicyVersion,
) -> Result<iam::SetDefaultPolicyVersionOutput, Error> {
    let (policy, version) = (arn(&input.policy_arn)?, number(&input.version_id)?);
    asked.iam(Change::SetDefaultPolicyVersion { policy, version }).await?;
    Ok(iam::SetDefaultPolicyVersionOutput {})
}

pub(super) async fn delete_version(
    asked: &Asked<'_>,
    input: &iam::DeletePolicyVersion,
) -> Result<iam::DeletePolicyVersionOutput, Error> {
    let (policy, version) = (arn(&input.policy_arn)?, number(&input.version_id)?);
    asked.iam(Change::DeletePolicyVersion { policy, version }).await?;
    Ok(iam::DeletePolicyVersionOutput {})
}

pub(super) async fn tag(asked: &Asked<'_>, input: &iam::TagPolicy) -> Result<iam::TagPolicyOutput, Error> {
    asked.iam(Change::TagManagedPolicy { policy: arn(&input.policy_arn)?, tags: tags(&input.tags)? }).await?;
    Ok(iam::TagPolicyOutput {})
}

pub(super) async fn untag(asked: &Asked<'_>, input: &iam::UntagPolicy) -> Result<iam::UntagPolicyOutput, Error> {
    let keys = input.tag_keys.to_vec();
    asked.iam(Change::UntagManagedPolicy { policy: arn(&input.policy_arn)?, keys }).await?;
    Ok(iam::UntagPolicyOutput {})
}

pub(super) fn list_tags(asked: &Asked<'_>, input: &iam::ListPolicyTags) -> Result<iam::ListPolicyTagsOutput, Error> {
    let page = Page::iam("policy-tags", input.max_items, input.marker.as_deref())?;
    let tags = match held(asked, &input.policy_arn)? {
        Held::Own(policy) => shown_tags(&policy.tags),
        Held::Predefined(_) => Members::default(),
    };
    let (tags, marker) = page.cut(tags, |tag| tag.key.clone());
    Ok(iam::ListPolicyTagsOutput { tags: tags.into(), is_truncated: marker.is_some(), marker })
}

pub(super) fn list_entities(
    asked: &Asked<'_>,
    input: &iam::ListEntitiesForPolicy,
) -> Result<iam::ListEntitiesForPolicyOutput, Error> {
    let page = Page::iam("policy-entities", input.max_items, input.marker.as_deref())?;
    let policy = arn(&input.policy_arn)?;
    held(asked, &input.policy_arn)?;
    let of_users = match input.entity_filter.as_deref() {
        None | Some("User") => true,
        Some("Role" | "Group" | "LocalManagedPolicy" | "AWSManagedPolicy") => false,
        Some(other) => {
            let rule = "Member must satisfy enum value set: [Role, User, Group, LocalManagedPolicy, AWSManagedPolicy]";
            return Err(words::out_of_bounds(other, "entityFilter", rule));
        }
    };
    let of_users = of_users && !usage_is_of_boundaries(input.policy_usage_filter.as_deref())?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let goes_by_it = asked.world.users().filter(|user| user.attached.contains(&policy));
    let wanted = goes_by_it.filter(|user| of_users && user.path.starts_with(prefix));
    let shown = wanted.map(|user| iam::PolicyUser { user_name: user.name.to_string(), user_id: user.id.clone() });
    let (users, marker) = page.cut(shown, |user| user.user_name.clone());
    Ok(iam::ListEntitiesForPolicyOutput {
        policy_users: users.into(),
        is_truncated: marker.is_some(),
        marker,
        ..Default::default()
    })
}

/// What comes after a policy's path in its ARN.
pub(super) fn short_name(arn: &PolicyArn) -> &str {
    arn.as_str().rsplit('/').next().unwrap_or_default()
}

/// The path in a policy's ARN.
pub(super) fn path(arn: &PolicyArn) -> &str {
    let rest = arn.as_str().split_once(":policy").map_or("/", |(_, rest)| rest);
    rest.rfind('/').map_or("/", |end| &rest[..=end])
}

/// A filter for boundaries leaves nothing: there are none.
fn usage_is_of_boundaries(filter: Option<&str>) -> Result<bool, Error> {
    match filter {
        None | Some("PermissionsPolicy") => Ok(false),
        Some("PermissionsBoundary") => Ok(true),
        Some(other) => {
            let rule = "Member must satisfy enum value set: [PermissionsPolicy, PermissionsBoundary]";
            Err(words::out_of_bounds(other, "policyUsageFilter", rule))
        }
    }
}

fn held<'w>(asked: &'w Asked<'_>, text: &str) -> Result<Held<'w>, Error> {
    if let Some(policy) = predefined(text) {
        return Ok(Held::Predefined(policy));
    }
    let arn = arn(text)?;
    let policy = asked.world.managed_policy(&arn);
    policy.map(|policy| Held::Own(policy)).ok_or_else(|| refusal::iam(Refusal::NoSuchManagedPolicy(arn).into()))
}

/// Number, form and text of each version, oldest first.
fn versions<'w>(held: &Held<'w>) -> Vec<(u32, iam::PolicyVersion, &'w str)> {
    let shown = |number: u32, is_default, created| iam::PolicyVersion {
        document: None,
        version_id: format!("v{number}"),
        is_default_version: is_default,
        create_date: created,
    };
    match held {
        Held::Predefined(policy) => vec![(1, shown(1, true, Time(0)), policy.document)],
        Held::Own(policy) => {
            let version = |(number, version): (&u32, &'w PolicyVersion)| {
                let shown = shown(*number, *number == policy.default, wire_time(version.created));
                (*number, shown, version.document.as_ref())
            };
            policy.versions.iter().map(version).collect()
        }
    }
}

/// `v3`.
fn number(text: &str) -> Result<u32, Error> {
    let rule = "Member must satisfy regular expression pattern: v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?";
    let digits = text.strip_prefix('v').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| words::out_of_bounds(text, "versionId", rule))
}

/// AWS's listings show neither tags nor description.
fn shown(asked: &Asked<'_>, held: &Held<'_>, whole: bool) -> iam::Policy {
    let attached = |arn: &str| {
        let count = asked.world.users().filter(|user| user.attached.iter().any(|held| held.as_str() == arn)).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    match held {
        Held::Predefined(policy) => iam::Policy {
            policy_name: policy.name.into(),
            policy_id: policy.id.into(),
            attachment_count: attached(&policy.arn()),
            arn: policy.arn(),
            path: "/".into(),
            default_version_id: "v1".into(),
            is_attachable: true,
            description: whole.then(|| policy.description.into()),
            ..iam::Policy::default()
        },
        Held::Own(policy) => iam::Policy {
            policy_name: policy.name.to_string(),
            policy_id: policy.id.clone(),
            arn: policy.arn.to_string(),
            path: policy.path.clone(),
            default_version_id: format!("v{}", policy.default),
            attachment_count: attached(policy.arn.as_str()),
            permissions_boundary_usage_count: 0,
            is_attachable: true,
            description: Some(policy.description.clone()).filter(|text| whole && !text.is_empty()),
            create_date: wire_time(policy.created),
            update_date: wire_time(policy.updated),
            tags: if whole { shown_tags(&policy.tags) } else { Members::default() },
        },
    }
}
