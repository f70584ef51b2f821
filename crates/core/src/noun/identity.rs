//! Who may call: users, their access keys, and the policies that say what they may do.
//!
//! Owns the records' shapes (IAM's, without groups, roles and boundaries). Policies are kept as the text that came in, which is
//! what IAM gives back; whether a text is a policy was checked before it came here, and what it allows is [`crate::rights`]'s to
//! say. Must never hold a secret in the clear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::{AccessKeyId, IdentityPolicyName, PolicyArn, UserName};
use crate::time::Timestamp;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Unique without regard to case.
    pub name: UserName,
    /// `/` or `/…/`.
    pub path: String,
    /// `AIDA` and 17 letters or digits; stays when the name changes.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// At most 50.
    pub tags: BTreeMap<String, String>,
    /// Its own policies, by name: JSON.
    pub inline: BTreeMap<IdentityPolicyName, Arc<str>>,
    /// The policies that it shares with others.
    pub attached: BTreeSet<PolicyArn>,
}

/// One access key of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its id, which is no secret.
    pub id: AccessKeyId,
    /// Whose it is.
    pub user: UserName,
    /// The secret, sealed. Nothing in core opens it.
    pub sealed_secret: Arc<str>,
    /// Whether it counts.
    pub active: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// A policy that can be attached to users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// What it is attached by.
    pub arn: PolicyArn,
    /// Unique without regard to case.
    pub name: IdentityPolicyName,
    /// `/` or `/…/`.
    pub path: String,
    /// `ANPA` and 17 letters or digits.
    pub id: String,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// When its versions changed, last.
    pub updated: Timestamp,
    /// By number; at most 5, at least the default one.
    pub versions: BTreeMap<u32, PolicyVersion>,
    /// The version that counts.
    pub default: u32,
    /// The highest number ever given: none is given twice.
    pub latest: u32,
    /// At most 50.
    pub tags: BTreeMap<String, String>,
}

/// One version of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// JSON.
    pub document: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
}

impl User {
    /// Its ARN in an account.
    #[must_use]
    pub fn arn(&self, account: &str) -> String {
        format!("arn:aws:iam::{account}:user{}{}", self.path, self.name)
    }
}

impl ManagedPolicy {
    /// The text that counts.
    #[must_use]
    pub fn document(&self) -> Option<&Arc<str>> {
        self.versions.get(&self.default).map(|version| &version.document)
    }
}
