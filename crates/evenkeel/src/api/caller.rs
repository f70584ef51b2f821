//! Who is calling: root, a user, or an instance.
//!
//! Owns how an access key becomes a caller, and what each is called. Root's keys are in a file ([`super::keys`]), users' in the
//! World, sealed; an instance's are made on demand and are nowhere: its session token holds them, sealed, until they expire.
//! Must never say what a caller may do: that is [`super::rights`]'s.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evenkeel_aws::{Credentials, Request};
use evenkeel_core::name::{AccessKeyId, InstanceId};
use evenkeel_core::noun::{InstanceState, User};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Settings, World};
use serde::{Deserialize, Serialize};

use super::keys::{self, Keys};
use crate::seal::{self, Seal};

/// How long an instance's keys count. Half an hour before their end new ones are to be had.
pub const INSTANCE_KEYS_LAST: Duration = Duration::from_secs(6 * 3600);

/// The name of the role that instances act in.
pub const INSTANCE_ROLE: &str = "evenkeel-instance";

/// What the keys of instances begin with, as all temporary ones do.
const TEMPORARY: &str = "ASIA";

/// Who signed a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Caller {
    /// The owner, who may do everything.
    Root,
    /// A user, who may do what its policies allow.
    User(Arc<User>),
    /// An instance, which may act on itself.
    Instance(InstanceId),
}

/// What a session token says.
#[derive(Serialize, Deserialize)]
struct Session {
    instance: InstanceId,
    access_key_id: String,
    secret_access_key: String,
    expires: Timestamp,
}

/// Keys of an instance.
#[derive(Clone, Debug)]
pub struct InstanceKeys {
    /// With their session token.
    pub credentials: Credentials,
    /// Until when they count.
    pub expires: Timestamp,
}

/// Where access keys are looked up.
pub(super) struct Directory<'a> {
    pub keys: &'a Keys,
    pub seal: &'a Seal,
    pub world: &'a World,
    /// The session token that the request states.
    pub token: Option<String>,
    pub now: Timestamp,
}

impl Directory<'_> {
    /// The secret of an access key that counts.
    pub fn secret(&self, access_key_id: &str) -> Option<String> {
        if let Some(secret) = self.keys.lookup(access_key_id) {
            return Some(secret);
        }
        if access_key_id.starts_with(TEMPORARY) {
            return self.session(access_key_id).map(|session| session.secret_access_key);
        }
        let id = AccessKeyId::new(access_key_id).ok()?;
        let key = self.world.access_key(&id).filter(|key| key.active)?;
        let secret = self.seal.unseal(seal::ACCESS_KEY, &key.sealed_secret);
        let secret = secret.inspect_err(|error| eprintln!("api: access key {id} cannot be used: failed to {error}"));
        String::from_utf8(secret.ok()?).ok()
    }

    /// Whose a key is. One that is nobody's any more is `None`.
    pub fn caller(&self, access_key_id: &str) -> Option<Caller> {
        if self.keys.lookup(access_key_id).is_some() {
            return Some(Caller::Root);
        }
        if access_key_id.starts_with(TEMPORARY) {
            return self.session(access_key_id).map(|session| Caller::Instance(session.instance));
        }
        let key = self.world.access_key(&AccessKeyId::new(access_key_id).ok()?)?;
        self.world.user(&key.user).cloned().map(Caller::User)
    }

    /// What the stated token says, if it goes with the key, has not expired and its instance is alive.
    fn session(&self, access_key_id: &str) -> Option<Session> {
        let sealed = String::from_utf8(URL_SAFE_NO_PAD.decode(self.token.as_ref()?).ok()?).ok()?;
        let session: Session = serde_json::from_slice(&self.seal.unseal(seal::SESSION, &sealed).ok()?).ok()?;
        let alive = |state| !matches!(state, InstanceState::Terminated | InstanceState::Stopped);
        let lives = self.world.instance(&session.instance).is_some_and(|instance| alive(instance.state));
        (session.access_key_id == access_key_id && session.expires > self.now && lives).then_some(session)
    }
}

/// Fresh keys for an instance.
///
/// # Errors
/// Why there are none, as a sentence's end: "failed to …".
pub fn instance_keys(seal: &Seal, instance: &InstanceId, now: Timestamp) -> Result<InstanceKeys, String> {
    let pair = keys::roll().map_err(|error| error.to_string())?;
    let access_key_id = format!("{TEMPORARY}{}", &pair.access_key_id[4..]);
    let expires = now.plus(INSTANCE_KEYS_LAST);
    let session = Session {
        instance: instance.clone(),
        access_key_id: access_key_id.clone(),
        secret_access_key: pair.secret_access_key.clone(),
        expires,
    };
    let session = serde_json::to_vec(&session).map_err(|error| format!("write a session: {error}"))?;
    let sealed = seal.seal(seal::SESSION, &session).map_err(|error| error.to_string())?;
    let token = URL_SAFE_NO_PAD.encode(sealed);
    let credentials =
        Credentials { access_key_id, secret_access_key: pair.secret_access_key, session_token: Some(token) };
    Ok(InstanceKeys { credentials, expires })
}

/// The session token that a request states, in any version's place.
pub(super) fn stated_token(request: &Request) -> Option<String> {
    if let Some(token) = request.header("x-amz-security-token") {
        return Some(token.to_owned());
    }
    let mut query = evenkeel_aws::query::Params::default();
    query.read(request.path_and_query().1.as_bytes()).ok()?;
    query.first("X-Amz-Security-Token").map(ToOwned::to_owned)
}

impl Caller {
    /// Its ARN.
    pub fn arn(&self, settings: &Settings) -> String {
        let account = &settings.account;
        match self {
            Self::Root => format!("arn:aws:iam::{account}:root"),
            Self::User(user) => user.arn(account),
            Self::Instance(id) => format!("arn:aws:sts::{account}:assumed-role/{INSTANCE_ROLE}/{id}"),
        }
    }

    /// The id that policies know it by (`aws:userid`).
    pub fn id(&self, settings: &Settings) -> String {
        match self {
            Self::Root => settings.account.clone(),
            Self::User(user) => user.id.clone(),
            Self::Instance(id) => format!("AROAEVENKEELINSTANCE:{id}"),
        }
    }

    /// Who it was, for the audit record: names as well as the key, because keys go.
    pub fn actor(&self, access_key_id: &str) -> String {
        match self {
            Self::Root => access_key_id.to_owned(),
            Self::User(user) => format!("{access_key_id} user/{}", user.name),
            Self::Instance(id) => format!("{access_key_id} {id}"),
        }
    }
}
