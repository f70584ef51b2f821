//! IAM's access keys: users' and root's, made, listed, switched off and on, deleted.
//!
//! Owns their form on the wire. A secret is shown once, when it is made; users' are sealed before anything keeps them. Without a
//! user's name a call is about whoever makes it: so root rotates its own keys, of which one that counts always stays. Next:
//! [`super::keys`] for root's. Source: IAM API 2010-05-08.

use std::sync::Arc;

use evenkeel_aws::{Credentials, Error, iam};
use evenkeel_core::change::Change;
use evenkeel_core::name::{AccessKeyId, UserName};
use evenkeel_core::noun::AccessKey;
use evenkeel_core::refusal::Refusal;
use evenkeel_core::world::identities::MOST_KEYS;

use super::caller::Caller;
use super::keys::{self, KeysError};
use super::page::Page;
use super::words::{self, wire_time};
use super::{Asked, blocking, refusal, users};
use crate::seal;

/// Whose keys a call is about.
enum Owner {
    Root,
    User(UserName),
}

pub(super) async fn create(
    asked: &Asked<'_>,
    input: &iam::CreateAccessKey,
) -> Result<iam::CreateAccessKeyOutput, Error> {
    let (user_name, made) = match owner(asked, input.user_name.as_deref())? {
        Owner::Root => {
            let (keys, now) = (Arc::clone(&asked.api.keys), asked.now);
            let made = blocking(move || keys.add(now)).await?.map_err(root_refused)?;
            eprintln!("api: {} made root's access key {}", asked.actor, made.access_key_id);
            ("root".to_owned(), made)
        }
        Owner::User(user) => {
            let made = keys::roll().map_err(root_refused)?;
            let broken = |why: String| Error::receiver("ServiceFailure", format!("The key was not made: {why}."));
            let sealed = asked.api.seal.seal(seal::ACCESS_KEY, made.secret_access_key.as_bytes());
            let key = AccessKey {
                id: AccessKeyId::new(&made.access_key_id).map_err(|bad| broken(bad.to_string()))?,
                user: user.clone(),
                sealed_secret: sealed.map_err(|error| broken(error.to_string()))?.into(),
                active: true,
                created: asked.now,
            };
            asked.iam(Change::CreateAccessKey(key)).await?;
            (user.to_string(), made)
        }
    };
    let Credentials { access_key_id, secret_access_key, .. } = made;
    let status = status(true).to_owned();
    let create_date = wire_time(asked.now);
    let access_key = iam::AccessKey { user_name, access_key_id, status, secret_access_key, create_date };
    Ok(iam::CreateAccessKeyOutput { access_key })
}

pub(super) fn list(asked: &Asked<'_>, input: &iam::ListAccessKeys) -> Result<iam::ListAccessKeysOutput, Error> {
    let page = Page::iam("access-keys", input.max_items, input.marker.as_deref())?;
    let shown = |user: &str, id: &str, active: bool, created| iam::AccessKeyMetadata {
        user_name: user.to_owned(),
        access_key_id: id.to_owned(),
        status: status(active).to_owned(),
        create_date: wire_time(created),
    };
    let all: Vec<_> = match owner(asked, input.user_name.as_deref())? {
        Owner::Root => {
            asked.api.keys.list().iter().map(|key| shown("root", &key.id, key.active, key.created)).collect()
        }
        Owner::User(user) => {
            let keys = asked.world.access_keys_of(&user);
            keys.map(|key| shown(key.user.as_str(), key.id.as_str(), key.active, key.created)).collect()
        }
    };
    let (keys, marker) = page.cut(all, |key| key.access_key_id.clone());
    Ok(iam::ListAccessKeysOutput { access_key_metadata: keys.into(), is_truncated: marker.is_some(), marker })
}

pub(super) async fn update(
    asked: &Asked<'_>,
    input: &iam::UpdateAccessKey,
) -> Result<iam::UpdateAccessKeyOutput, Error> {
    let active = match input.status.as_str() {
        "Active" => true,
        "Inactive" => false,
        other => {
            let rule = "Member must satisfy enum value set: [Active, Inactive]";
            return Err(words::out_of_bounds(other, "status", rule));
        }
    };
    match owner(asked, input.user_name.as_deref())? {
        Owner::Root => {
            let (keys, id) = (Arc::clone(&asked.api.keys), input.access_key_id.clone());
            blocking(move || keys.set_active(&id, active)).await?.map_err(root_refused)?;
            let id = words::quoted(&input.access_key_id);
            eprintln!("api: {} set root's access key {id} to {}", asked.actor, status(active));
        }
        Owner::User(user) => {
            let key = stated(&input.access_key_id)?;
            asked.iam(Change::SetAccessKeyActive { user, key, active }).await?;
        }
    }
    Ok(iam::UpdateAccessKeyOutput {})
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &iam::DeleteAccessKey,
) -> Result<iam::DeleteAccessKeyOutput, Error> {
    match owner(asked, input.user_name.as_deref())? {
        Owner::Root => {
            let (keys, id) = (Arc::clone(&asked.api.keys), input.access_key_id.clone());
            blocking(move || keys.remove(&id)).await?.map_err(root_refused)?;
            eprintln!("api: {} deleted root's access key {}", asked.actor, words::quoted(&input.access_key_id));
        }
        Owner::User(user) => {
            let key = stated(&input.access_key_id)?;
            asked.iam(Change::DeleteAccessKey { user, key }).await?;
        }
    }
    asked.api.guard.forget(&input.access_key_id);
    Ok(iam::DeleteAccessKeyOutput {})
}

pub(super) fn last_used(
    asked: &Asked<'_>,
    input: &iam::GetAccessKeyLastUsed,
) -> Result<iam::GetAccessKeyLastUsedOutput, Error> {
    let id = stated(&input.access_key_id)?;
    let is_roots = || asked.api.keys.list().iter().any(|key| key.id == id.as_str());
    let user_name = match asked.world.access_key(&id) {
        Some(key) => Some(key.user.to_string()),
        None if is_roots() => None,
        None => return Err(refusal::iam(Refusal::NoSuchAccessKey(id).into())),
    };
    let used = asked.api.guard.last_used(id.as_str());
    let region = if used.is_some() { asked.world.settings().region.clone() } else { "N/A".into() };
    let (last_used_date, service_name) = match used {
        Some((at, service)) => (Some(wire_time(at)), service),
        None => (None, "N/A"),
    };
    let access_key_last_used = iam::AccessKeyLastUsed { last_used_date, service_name: service_name.into(), region };
    Ok(iam::GetAccessKeyLastUsedOutput { user_name, access_key_last_used })
}

fn owner(asked: &Asked<'_>, name: Option<&str>) -> Result<Owner, Error> {
    match (name, &asked.caller) {
        // AWS calls root's keys nobody's; our listings call their owner `root`, and take that name back.
        (None | Some("root"), Caller::Root) if name.is_none() || users::existing(asked, "root").is_err() => {
            Ok(Owner::Root)
        }
        (Some(name), _) => Ok(Owner::User(users::existing(asked, name)?.name.clone())),
        (None, Caller::User(user)) => Ok(Owner::User(user.name.clone())),
        (None, Caller::Root | Caller::Instance(_)) => {
            Err(Error::validation("Must specify userName when calling with non-User credentials"))
        }
    }
}

fn stated(id: &str) -> Result<AccessKeyId, Error> {
    let rule = "Member must satisfy regular expression pattern: [\\w]+, of 16 to 128 characters";
    AccessKeyId::new(id).map_err(|_| words::out_of_bounds(id, "accessKeyId", rule))
}

fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

/// Why root's keys stay as they are, as IAM words it.
fn root_refused(error: KeysError) -> Error {
    match error {
        KeysError::TooMany => refusal::iam(Refusal::Quota { what: "AccessKeysPerUser", limit: MOST_KEYS }.into()),
        KeysError::NoSuchKey(id) => {
            let text = format!("The Access Key with id {} cannot be found.", words::quoted(&id));
            Error::sender("NoSuchEntity", text).with_status(404)
        }
        KeysError::Last(id) => {
            let text = format!("{id} is root's last active access key: make another one first.");
            Error::sender("DeleteConflict", text).with_status(409)
        }
        error => Error::receiver("ServiceFailure", format!("The keys stay as they are: failed to {error}.")),
    }
}
