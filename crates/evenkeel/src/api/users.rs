//! IAM's users: made, shown, renamed, tagged, deleted.
//!
//! Owns their form on the wire, and what of IAM's names and paths other handlers of IAM read as well. There are no groups, so
//! every user is in none. Next: [`super::access_keys`], [`super::user_policies`]. Source: IAM API 2010-05-08.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, iam};
use evenkeel_core::change::Change;
use evenkeel_core::name::UserName;
use evenkeel_core::noun::User;
use evenkeel_core::refusal::Refusal;

use super::caller::Caller;
use super::page::Page;
use super::words::{self, wire_time};
use super::{Asked, dice, refusal};

pub(super) async fn create(asked: &Asked<'_>, input: iam::CreateUser) -> Result<iam::CreateUserOutput, Error> {
    if input.permissions_boundary.is_some() {
        return Err(Error::sender("InvalidInput", "Permissions boundaries are not supported."));
    }
    let user = User {
        name: UserName::new(&input.user_name).map_err(|_| bad_name("userName", &input.user_name))?,
        path: path(input.path.as_deref())?,
        id: dice::identity_id("AIDA")?,
        created: asked.now,
        tags: tags(&input.tags)?,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
    };
    let shown = shown(asked, &user, true);
    asked.iam(Change::CreateUser(user)).await?;
    Ok(iam::CreateUserOutput { user: shown })
}

pub(super) fn get(asked: &Asked<'_>, input: &iam::GetUser) -> Result<iam::GetUserOutput, Error> {
    let user = match (&input.user_name, &asked.caller) {
        (Some(name), _) => shown(asked, existing(asked, name)?, true),
        (None, Caller::User(user)) => shown(asked, user, true),
        (None, Caller::Root) => {
            let settings = asked.world.settings();
            // The account is as old as its default security group, which was made at first start.
            let created = asked.world.security_groups().map(|group| group.created).min().unwrap_or(asked.now);
            iam::User {
                path: String::new(),
                user_name: "root".into(),
                user_id: settings.account.clone(),
                arn: asked.caller.arn(settings),
                create_date: wire_time(created),
                tags: Members::default(),
            }
        }
        (None, Caller::Instance(_)) => {
            let text = "Must specify userName when calling with non-User credentials";
            return Err(Error::validation(text));
        }
    };
    Ok(iam::GetUserOutput { user })
}

pub(super) fn list(asked: &Asked<'_>, input: &iam::ListUsers) -> Result<iam::ListUsersOutput, Error> {
    let page = Page::iam("users", input.max_items, input.marker.as_deref())?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let wanted = asked.world.users().filter(|user| user.path.starts_with(prefix));
    let (users, marker) = page.cut(wanted.map(|user| shown(asked, user, false)), |user| user.user_name.clone());
    Ok(iam::ListUsersOutput { users: users.into(), is_truncated: marker.is_some(), marker })
}

pub(super) async fn update(asked: &Asked<'_>, input: &iam::UpdateUser) -> Result<iam::UpdateUserOutput, Error> {
    let held = existing(asked, &input.user_name)?;
    let to = match &input.new_user_name {
        Some(new) => UserName::new(new).map_err(|_| bad_name("newUserName", new))?,
        None => held.name.clone(),
    };
    let path = match &input.new_path {
        Some(new) => path(Some(new))?,
        None => held.path.clone(),
    };
    asked.iam(Change::RenameUser { user: held.name.clone(), to, path }).await?;
    Ok(iam::UpdateUserOutput {})
}

pub(super) async fn delete(asked: &Asked<'_>, input: &iam::DeleteUser) -> Result<iam::DeleteUserOutput, Error> {
    let user = existing(asked, &input.user_name)?.name.clone();
    asked.iam(Change::DeleteUser { user }).await?;
    Ok(iam::DeleteUserOutput {})
}

pub(super) async fn tag(asked: &Asked<'_>, input: &iam::TagUser) -> Result<iam::TagUserOutput, Error> {
    let user = existing(asked, &input.user_name)?.name.clone();
    asked.iam(Change::TagUser { user, tags: tags(&input.tags)? }).await?;
    Ok(iam::TagUserOutput {})
}

pub(super) async fn untag(asked: &Asked<'_>, input: &iam::UntagUser) -> Result<iam::UntagUserOutput, Error> {
    let user = existing(asked, &input.user_name)?.name.clone();
    asked.iam(Change::UntagUser { user, keys: input.tag_keys.to_vec() }).await?;
    Ok(iam::UntagUserOutput {})
}

pub(super) fn list_tags(asked: &Asked<'_>, input: &iam::ListUserTags) -> Result<iam::ListUserTagsOutput, Error> {
    let page = Page::iam("user-tags", input.max_items, input.marker.as_deref())?;
    let held = existing(asked, &input.user_name)?;
    let (tags, marker) = page.cut(shown_tags(&held.tags), |tag| tag.key.clone());
    Ok(iam::ListUserTagsOutput { tags: tags.into(), is_truncated: marker.is_some(), marker })
}

pub(super) fn list_groups(
    asked: &Asked<'_>,
    input: &iam::ListGroupsForUser,
) -> Result<iam::ListGroupsForUserOutput, Error> {
    Page::iam("user-groups", input.max_items, input.marker.as_deref())?;
    existing(asked, &input.user_name)?;
    Ok(iam::ListGroupsForUserOutput::default())
}

/// A user that is to exist. A name that breaks the rules of names cannot.
pub(super) fn existing<'w>(asked: &'w Asked<'_>, name: &str) -> Result<&'w User, Error> {
    let absent = || {
        let text = format!("The user with name {} cannot be found.", words::quoted(name));
        Error::sender("NoSuchEntity", text).with_status(404)
    };
    let name = UserName::new(name).map_err(|_| absent())?;
    let held = asked.world.user(&name).ok_or_else(|| refusal::iam(Refusal::NoSuchUser(name).into()))?;
    Ok(held)
}

/// IAM's error for a name that cannot be one.
pub(super) fn bad_name(place: &str, text: &str) -> Error {
    let rule = "Member must satisfy regular expression pattern: [\\w+=,.@-]+";
    words::out_of_bounds(text, place, rule)
}

/// A path as a call states it.
pub(super) fn path(stated: Option<&str>) -> Result<String, Error> {
    let path = stated.filter(|path| !path.is_empty()).unwrap_or("/");
    let shaped = path.starts_with('/') && path.ends_with('/') && path.len() <= 512;
    if shaped && path.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
        return Ok(path.to_owned());
    }
    let path = words::quoted(path);
    Err(Error::validation(format!(
        "The specified value for path is invalid: '{path}' must begin and end with / and contain only visible ASCII characters, at most 512"
    )))
}

/// Tags as a call of IAM states them.
pub(super) fn tags(stated: &Members<iam::Tag>) -> Result<BTreeMap<String, String>, Error> {
    let mut tags = BTreeMap::new();
    for tag in stated {
        if tags.insert(tag.key.clone(), tag.value.clone()).is_some() {
            return Err(Error::sender("InvalidInput", format!("Duplicate tag key '{}'", words::quoted(&tag.key))));
        }
    }
    Ok(tags)
}

/// Tags as IAM shows them.
pub(super) fn shown_tags(tags: &BTreeMap<String, String>) -> Members<iam::Tag> {
    tags.iter().map(|(key, value)| iam::Tag { key: key.clone(), value: value.clone() }).collect()
}

/// AWS's listings show no tags.
fn shown(asked: &Asked<'_>, user: &User, with_tags: bool) -> iam::User {
    iam::User {
        path: user.path.clone(),
        user_name: user.name.to_string(),
        user_id: user.id.clone(),
        arn: user.arn(&asked.world.settings().account),
        create_date: wire_time(user.created),
        tags: if with_tags { shown_tags(&user.tags) } else { Members::default() },
    }
}
