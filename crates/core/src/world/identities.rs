//! What may happen to users, access keys and the policies that are attached to users.
//!
//! Owns AWS's limits on them, that names are unique without regard to case, and that nothing goes while something else needs
//! it. Must never judge a request: that is [`crate::rights`]'s. Source: IAM's "IAM and AWS STS quotas".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::Reply;
use crate::name::{AccessKeyId, IdentityPolicyName, PolicyArn, UserName};
use crate::noun::{AccessKey, ManagedPolicy, PolicyVersion, User};
use crate::refusal::Refusal;
use crate::rights::{INLINE_CHARACTERS, MANAGED_CHARACTERS, counted_characters, predefined};
use crate::time::Timestamp;

/// The most users there may be (AWS: 5,000).
pub const MOST_USERS: usize = 5000;
/// The most access keys of a user, or of root (AWS: 2).
pub const MOST_KEYS: usize = 2;
/// The most policies attached to a user (AWS: 10).
pub const MOST_ATTACHED: usize = 10;
/// The most policies that can be attached, not counting the predefined ones (AWS: 1,500).
pub const MOST_POLICIES: usize = 1500;
/// The most versions of a policy (AWS: 5).
pub const MOST_VERSIONS: usize = 5;

impl World {
    pub(super) fn create_user(&self, new: &User) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        self.free_user_name(&new.name, None)?;
        bounded("UsersPerAccount", self.users.len(), MOST_USERS)?;
        Ok(put(Row::User(new.clone())))
    }

    pub(super) fn rename_user(&self, name: &UserName, to: &UserName, path: &str) -> Result<Decision, Refusal> {
        let held = self.existing_user(name)?;
        self.free_user_name(to, Some(name))?;
        let renamed = User { name: to.clone(), path: path.to_owned(), ..held.as_ref().clone() };
        let mut writes = vec![Write::Put(Row::User(renamed))];
        if to != name {
            writes.push(Write::Remove(Key::User(name.clone())));
            writes.extend(
                self.access_keys_of(name)
                    .map(|key| Write::Put(Row::AccessKey(AccessKey { user: to.clone(), ..key.as_ref().clone() }))),
            );
        }
        Ok(Decision { reply: Reply::Done, writes })
    }

    pub(super) fn delete_user(&self, name: &UserName) -> Result<Decision, Refusal> {
        let held = self.existing_user(name)?;
        if self.access_keys_of(name).next().is_some() {
            return Err(Refusal::StillNeeded("delete access keys"));
        }
        if !held.attached.is_empty() {
            return Err(Refusal::StillNeeded("detach all policies"));
        }
        if !held.inline.is_empty() {
            return Err(Refusal::StillNeeded("delete policies"));
        }
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::User(name.clone()))] })
    }

    pub(super) fn tag_user(&self, name: &UserName, new: &BTreeMap<String, String>) -> Result<Decision, Refusal> {
        tags::check(new, tags::PER_RESOURCE)?;
        self.change_user(name, |user| {
            user.tags.extend(new.clone());
            tags::check(&user.tags, tags::PER_RESOURCE)
        })
    }

    pub(super) fn untag_user(&self, name: &UserName, keys: &[String]) -> Result<Decision, Refusal> {
        self.change_user(name, |user| {
            user.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    pub(super) fn put_user_policy(
        &self,
        name: &UserName,
        policy: &IdentityPolicyName,
        document: &Arc<str>,
    ) -> Result<Decision, Refusal> {
        self.change_user(name, |user| {
            user.inline.insert(policy.clone(), Arc::clone(document));
            let all: usize = user.inline.values().map(|text| counted_characters(text)).sum();
            if all <= INLINE_CHARACTERS {
                return Ok(());
            }
            Err(Refusal::PolicyTooLong { what: "user", limit: INLINE_CHARACTERS })
        })
    }

    pub(super) fn delete_user_policy(&self, name: &UserName, policy: &IdentityPolicyName) -> Result<Decision, Refusal> {
        self.change_user(name, |user| {
            user.inline.remove(policy).map(drop).ok_or_else(|| Refusal::NoSuchUserPolicy(policy.clone()))
        })
    }

    pub(super) fn attach_user_policy(&self, name: &UserName, policy: &PolicyArn) -> Result<Decision, Refusal> {
        if predefined(policy.as_str()).is_none() {
            self.existing_policy(policy)?;
        }
        self.change_user(name, |user| {
            user.attached.insert(policy.clone());
            bounded("PoliciesPerUser", user.attached.len() - 1, MOST_ATTACHED)
        })
    }

    pub(super) fn detach_user_policy(&self, name: &UserName, policy: &PolicyArn) -> Result<Decision, Refusal> {
        self.change_user(name, |user| {
            if user.attached.remove(policy) { Ok(()) } else { Err(Refusal::NoSuchManagedPolicy(policy.clone())) }
        })
    }

    pub(super) fn create_access_key(&self, new: &AccessKey) -> Result<Decision, Refusal> {
        self.existing_user(&new.user)?;
        bounded("AccessKeysPerUser", self.access_keys_of(&new.user).count(), MOST_KEYS)?;
        if self.access_key(&new.id).is_some() {
            return Err(Refusal::IdTaken(new.id.to_string()));
        }
        Ok(put(Row::AccessKey(new.clone())))
    }

    pub(super) fn set_access_key_active(
        &self,
        user: &UserName,
        key: &AccessKeyId,
        active: bool,
    ) -> Result<Decision, Refusal> {
        let held = self.existing_key(user, key)?;
        if held.active == active {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        Ok(put(Row::AccessKey(AccessKey { active, ..held.as_ref().clone() })))
    }

    pub(super) fn delete_access_key(&self, user: &UserName, key: &AccessKeyId) -> Result<Decision, Refusal> {
        self.existing_key(user, key)?;
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::AccessKey(key.clone()))] })
    }

    pub(super) fn create_managed_policy(&self, new: &ManagedPolicy) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        for version in new.versions.values() {
            fits(&version.document)?;
        }
        let is_taken = |held: &Arc<ManagedPolicy>| held.name.as_str().eq_ignore_ascii_case(new.name.as_str());
        if self.managed_policies().any(is_taken) {
            return Err(Refusal::ManagedPolicyTaken(new.name.clone()));
        }
        bounded("PoliciesPerAccount", self.managed_policies.len(), MOST_POLICIES)?;
        Ok(put(Row::ManagedPolicy(new.clone())))
    }

    pub(super) fn create_policy_version(
        &self,
        arn: &PolicyArn,
        document: &Arc<str>,
        as_default: bool,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        fits(document)?;
        let mut policy = self.existing_policy(arn)?.as_ref().clone();
        bounded("VersionsPerPolicy", policy.versions.len(), MOST_VERSIONS)?;
        policy.latest += 1;
        policy.versions.insert(policy.latest, PolicyVersion { document: Arc::clone(document), created: now });
        if as_default {
            policy.default = policy.latest;
        }
        policy.updated = now;
        let reply = Reply::PolicyVersion(policy.latest);
        Ok(Decision { reply, ..put(Row::ManagedPolicy(policy)) })
    }

    pub(super) fn set_default_policy_version(
        &self,
        arn: &PolicyArn,
        version: u32,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let held = self.existing_version(arn, version)?;
        if held.default == version {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        Ok(put(Row::ManagedPolicy(ManagedPolicy { default: version, updated: now, ..held.as_ref().clone() })))
    }

    pub(super) fn delete_policy_version(
        &self,
        arn: &PolicyArn,
        version: u32,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let mut policy = self.existing_version(arn, version)?.as_ref().clone();
        if policy.default == version {
            return Err(Refusal::DefaultVersion);
        }
        policy.versions.remove(&version);
        policy.updated = now;
        Ok(put(Row::ManagedPolicy(policy)))
    }

    pub(super) fn delete_managed_policy(&self, arn: &PolicyArn) -> Result<Decision, Refusal> {
        let held = self.existing_policy(arn)?;
        if self.users().any(|user| user.attached.contains(arn)) {
            return Err(Refusal::PolicyAttached);
        }
        if held.versions.len() > 1 {
            return Err(Refusal::StillVersions);
        }
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::ManagedPolicy(arn.clone()))] })
    }

    pub(super) fn tag_managed_policy(
        &self,
        arn: &PolicyArn,
        new: &BTreeMap<String, String>,
    ) -> Result<Decision, Refusal> {
        tags::check(new, tags::PER_RESOURCE)?;
        let mut policy = self.existing_policy(arn)?.as_ref().clone();
        policy.tags.extend(new.clone());
        tags::check(&policy.tags, tags::PER_RESOURCE)?;
        Ok(put(Row::ManagedPolicy(policy)))
    }

    pub(super) fn untag_managed_policy(&self, arn: &PolicyArn, keys: &[String]) -> Result<Decision, Refusal> {
        let mut policy = self.existing_policy(arn)?.as_ref().clone();
        policy.tags.retain(|key, _| !keys.contains(key));
        Ok(put(Row::ManagedPolicy(policy)))
    }

    /// A user by its exact name.
    #[must_use]
    pub fn user(&self, name: &UserName) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// All users, by name.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// An access key of a user.
    #[must_use]
    pub fn access_key(&self, id: &AccessKeyId) -> Option<&Arc<AccessKey>> {
        self.access_keys.get(id)
    }

    /// A user's access keys, by id.
    pub fn access_keys_of(&self, user: &UserName) -> impl Iterator<Item = &Arc<AccessKey>> {
        self.access_keys.values().filter(move |key| key.user == *user)
    }

    /// A policy that can be attached, but for the predefined ones.
    #[must_use]
    pub fn managed_policy(&self, arn: &PolicyArn) -> Option<&Arc<ManagedPolicy>> {
        self.managed_policies.get(arn)
    }

    /// All of those, by ARN.
    pub fn managed_policies(&self) -> impl Iterator<Item = &Arc<ManagedPolicy>> {
        self.managed_policies.values()
    }

    /// The texts of every policy that says what a user may do, and what each is called: its own ones first.
    pub fn policies_of<'w>(&'w self, user: &'w User) -> impl Iterator<Item = (String, &'w str)> {
        let own = user.inline.iter().map(|(name, text)| (name.to_string(), text.as_ref()));
        let text = |arn: &PolicyArn| match predefined(arn.as_str()) {
            Some(policy) => Some(policy.document),
            None => self.managed_policy(arn).and_then(|policy| policy.document()).map(AsRef::as_ref),
        };
        // A policy that is gone, which no Change allows, says nothing: what it denied is not told apart, so deny all.
        let shared = user.attached.iter().map(move |arn| (arn.to_string(), text(arn).unwrap_or_default()));
        own.chain(shared)
    }

    /// What of users, keys and policies is not as it must be, in words.
    pub(super) fn broken_identities(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut names = BTreeSet::new();
        for user in self.users() {
            if !names.insert(user.name.as_str().to_ascii_lowercase()) {
                broken.push(format!("user `{}` shares its name with another", user.name));
            }
            for arn in &user.attached {
                if predefined(arn.as_str()).is_none() && self.managed_policy(arn).is_none() {
                    broken.push(format!("user `{}` goes by {arn}, which does not exist", user.name));
                }
            }
            if self.access_keys_of(&user.name).count() > MOST_KEYS {
                broken.push(format!("user `{}` has too many access keys", user.name));
            }
        }
        for key in self.access_keys.values() {
            if self.user(&key.user).is_none() {
                broken.push(format!("access key {} is of `{}`, who does not exist", key.id, key.user));
            }
        }
        for policy in self.managed_policies() {
            if policy.document().is_none() || policy.versions.keys().any(|number| *number > policy.latest) {
                broken.push(format!("{} has its versions amiss", policy.arn));
            }
        }
        broken
    }

    fn free_user_name(&self, name: &UserName, but: Option<&UserName>) -> Result<(), Refusal> {
        let mut others = self.users().filter(|user| Some(&user.name) != but);
        if others.any(|user| user.name.as_str().eq_ignore_ascii_case(name.as_str())) {
            return Err(Refusal::UserTaken(name.clone()));
        }
        Ok(())
    }

    fn change_user(
        &self,
        name: &UserName,
        change: impl FnOnce(&mut User) -> Result<(), Refusal>,
    ) -> Result<Decision, Refusal> {
        let held = self.existing_user(name)?;
        let mut user = held.as_ref().clone();
        change(&mut user)?;
        if user == **held {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        Ok(put(Row::User(user)))
    }

    fn existing_user(&self, name: &UserName) -> Result<&Arc<User>, Refusal> {
        self.user(name).ok_or_else(|| Refusal::NoSuchUser(name.clone()))
    }

    fn existing_key(&self, user: &UserName, id: &AccessKeyId) -> Result<&Arc<AccessKey>, Refusal> {
        self.existing_user(user)?;
        let held = self.access_key(id).filter(|key| key.user == *user);
        held.ok_or_else(|| Refusal::NoSuchAccessKey(id.clone()))
    }

    fn existing_policy(&self, arn: &PolicyArn) -> Result<&Arc<ManagedPolicy>, Refusal> {
        if predefined(arn.as_str()).is_some() {
            return Err(Refusal::PolicyPredefined(arn.clone()));
        }
        self.managed_policy(arn).ok_or_else(|| Refusal::NoSuchManagedPolicy(arn.clone()))
    }

    fn existing_version(&self, arn: &PolicyArn, version: u32) -> Result<&Arc<ManagedPolicy>, Refusal> {
        let held = self.existing_policy(arn)?;
        if held.versions.contains_key(&version) {
            return Ok(held);
        }
        Err(Refusal::NoSuchPolicyVersion { policy: arn.clone(), version })
    }
}

fn put(row: Row) -> Decision {
    Decision { reply: Reply::Done, writes: vec![Write::Put(row)] }
}

fn fits(document: &str) -> Result<(), Refusal> {
    if counted_characters(document) <= MANAGED_CHARACTERS {
        return Ok(());
    }
    Err(Refusal::PolicyTooLong { what: "policy", limit: MANAGED_CHARACTERS })
}

/// Whether there is room for one more.
fn bounded(what: &'static str, held: usize, limit: usize) -> Result<(), Refusal> {
    if held < limit { Ok(()) } else { Err(Refusal::Quota { what, limit }) }
}

#[cfg(test)]
#[path = "identities_tests.rs"]
mod tests;
