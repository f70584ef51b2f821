//! Root's access keys: one pair made at first start, at most two at a time, kept where only their owner can read them.
//!
//! Owns `credentials.toml` in the data directory: the pair that clients on this machine sign with first, then the other one,
//! which counts as well until it is deleted. So keys are rotated without a moment in which none works. Must never print a
//! secret, accept a file that others may read (what they have read they can use), nor give up the last key that counts. Users'
//! keys are the World's. Next: `evenkeel_aws::sigv4`, which asks for secrets.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use aws_lc_rs::rand;
use evenkeel_aws::Credentials;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::identities::MOST_KEYS;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The file's name in the data directory.
pub const FILE: &str = "credentials.toml";

/// Why there are no keys, or why they stay as they are. Completes "failed to …".
#[derive(Debug, Error)]
pub enum KeysError {
    /// The system said no.
    #[error("{what} `{path}`: {error}")]
    Io {
        /// `read`, `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Others may read or write it.
    #[error(
        "read `{path}`: others may read or write it (its mode is {mode:04o}, and must be 0600): run `chmod 600` on it if nobody did, else delete it, and new keys are made at the next start"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no key pair.
    #[error("read `{path}`: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No dice.
    #[error("make keys: the system's random number generator failed")]
    NoDice,
    /// There are two.
    #[error("make keys: there are {MOST_KEYS} already")]
    TooMany,
    /// No such key.
    #[error("find the access key `{0}`")]
    NoSuchKey(String),
    /// Without it nobody could call.
    #[error("give up `{0}`: it is root's last access key that counts")]
    Last(String),
}

/// Root's key pairs.
pub struct Keys {
    path: PathBuf,
    /// The first is the one that clients on this machine sign with, and counts.
    pairs: RwLock<Vec<Pair>>,
    /// Held while the file is changed.
    change: Mutex<()>,
}

/// One pair.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default = "yes")]
    active: bool,
    /// In ms since 1970; 0 for those of before it was kept.
    #[serde(default)]
    created: u64,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    created: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    other: Vec<Pair>,
}

/// One of root's keys, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKey {
    /// Its id.
    pub id: String,
    /// Whether it counts.
    pub active: bool,
    /// When it was made; 0 if that was before it was kept.
    pub created: Timestamp,
}

/// Shows no secret.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys in a data directory, made there if there are none.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn open(data_dir: &Path) -> Result<Self, KeysError> {
        match Self::read(data_dir) {
            Err(KeysError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let (path, pairs) = (data_dir.join(FILE), vec![Pair::roll(Timestamp(0))?]);
        write(&path, &pairs, false)?;
        Ok(Self::of(path, pairs))
    }

    /// The keys in a data directory.
    ///
    /// # Errors
    /// See [`KeysError`]; [`io::ErrorKind::NotFound`] if none were made yet.
    pub fn read(data_dir: &Path) -> Result<Self, KeysError> {
        let path = data_dir.join(FILE);
        let failed = |error| KeysError::Io { what: "read", path: path.clone(), error };
        let file = File::open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeysError::Exposed { path, mode });
        }
        let text = io::read_to_string(file).map_err(failed)?;
        let malformed = |why: String| KeysError::Malformed { path: path.clone(), why };
        // The parser's own message would repeat the line it stumbled over, secret and all.
        let Written { access_key_id, secret_access_key, created, other } = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            malformed(format!("line {at}: it must hold `access_key_id` and `secret_access_key`, two texts"))
        })?;
        let mut pairs = vec![Pair { access_key_id, secret_access_key, active: true, created }];
        pairs.extend(other);
        if pairs.len() > MOST_KEYS {
            return Err(malformed(format!("it must hold at most {MOST_KEYS} keys")));
        }
        for pair in &pairs {
            if !(16..=128).contains(&pair.access_key_id.len())
                || !pair.access_key_id.bytes().all(|b| b.is_ascii_alphanumeric())
            {
                return Err(malformed("`access_key_id` must be 16 to 128 letters and digits".into()));
            }
            if !(16..=128).contains(&pair.secret_access_key.len())
                || !pair.secret_access_key.bytes().all(|b| b.is_ascii_graphic())
            {
                return Err(malformed("`secret_access_key` must be 16 to 128 visible ASCII characters".into()));
            }
        }
        Ok(Self::of(path, pairs))
    }

    fn of(path: PathBuf, pairs: Vec<Pair>) -> Self {
        Self { path, pairs: RwLock::new(pairs), change: Mutex::new(()) }
    }

    /// The secret of an access key, if it is root's and counts.
    #[must_use]
    pub fn lookup(&self, access_key_id: &str) -> Option<String> {
        let pairs = self.pairs();
        let found = pairs.iter().find(|pair| pair.access_key_id == access_key_id && pair.active);
        found.map(|pair| pair.secret_access_key.clone())
    }

    /// The pair for a client on this machine to sign with.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        // There is always one: `read`, `open` and `change` see to that.
        self.pairs()[0].credentials()
    }

    /// Root's keys, by id.
    #[must_use]
    pub fn list(&self) -> Vec<RootKey> {
        let shown = |pair: &Pair| RootKey {
            id: pair.access_key_id.clone(),
            active: pair.active,
            created: Timestamp(pair.created),
        };
        let mut all: Vec<RootKey> = self.pairs().iter().map(shown).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Another pair, which clients on this machine sign with from now on; the one before still counts. Blocking.
    ///
    /// # Errors
    /// [`KeysError::TooMany`], or that it could not be kept: then nothing has changed.
    pub fn add(&self, now: Timestamp) -> Result<Credentials, KeysError> {
        let pair = Pair::roll(now)?;
        let made = pair.credentials();
        self.change(|pairs| {
            if pairs.len() >= MOST_KEYS {
                return Err(KeysError::TooMany);
            }
            pairs.insert(0, pair);
            Ok(())
        })?;
        Ok(made)
    }

    /// Lets a key count, or not. Blocking.
    ///
    /// # Errors
    /// [`KeysError::NoSuchKey`], [`KeysError::Last`], or that it could not be kept: then nothing has changed.
    pub fn set_active(&self, id: &str, active: bool) -> Result<(), KeysError> {
        self.change(|pairs| {
            let pair = pairs.iter_mut().find(|pair| pair.access_key_id == id);
            pair.ok_or_else(|| KeysError::NoSuchKey(id.to_owned()))?.active = active;
            Ok(())
        })
        .map_err(|error| last(error, id))
    }

    /// A key's end. Blocking.
    ///
    /// # Errors
    /// As [`Self::set_active`].
    pub fn remove(&self, id: &str) -> Result<(), KeysError> {
        self.change(|pairs| {
            let before = pairs.len();
            pairs.retain(|pair| pair.access_key_id != id);
            if pairs.len() < before { Ok(()) } else { Err(KeysError::NoSuchKey(id.to_owned())) }
        })
        .map_err(|error| last(error, id))
    }

    /// On disk first, and in the same order as here.
    fn change(&self, change: impl FnOnce(&mut Vec<Pair>) -> Result<(), KeysError>) -> Result<(), KeysError> {
        let _changing: MutexGuard<'_, ()> = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pairs = self.pairs().clone();
        change(&mut pairs)?;
        if !pairs.iter().any(|pair| pair.active) {
            return Err(KeysError::Last(String::new()));
        }
        pairs.sort_by_key(|pair| !pair.active);
        write(&self.path, &pairs, true)?;
        *self.pairs.write().unwrap_or_else(PoisonError::into_inner) = pairs;
        Ok(())
    }

    fn pairs(&self) -> std::sync::RwLockReadGuard<'_, Vec<Pair>> {
        self.pairs.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last(error: KeysError, id: &str) -> KeysError {
    match error {
        KeysError::Last(_) => KeysError::Last(id.to_owned()),
        other => other,
    }
}

/// A fresh pair in AWS's form: `AKIA` and 16 of base 32; 40 letters and digits.
///
/// # Errors
/// No dice.
pub(super) fn roll() -> Result<Credentials, KeysError> {
    const BASE_32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    // 64 letters, so that each of the 6 bits of a roll counts; all of them safe in shells, URLs and boto's files.
    const BASE_64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AZ";
    let mut dice = [0u8; 56];
    rand::fill(&mut dice).map_err(|_| KeysError::NoDice)?;
    let (id, secret) = dice.split_at(16);
    let id: String = id.iter().map(|b| char::from(BASE_32[usize::from(b & 31)])).collect();
    let secret_access_key = secret.iter().map(|b| char::from(BASE_64[usize::from(b & 63)])).collect();
    Ok(Credentials { access_key_id: format!("AKIA{id}"), secret_access_key, session_token: None })
}

fn yes() -> bool {
    true
}

impl Pair {
    fn roll(now: Timestamp) -> Result<Self, KeysError> {
        let Credentials { access_key_id, secret_access_key, .. } = roll()?;
        Ok(Self { access_key_id, secret_access_key, active: true, created: now.0 })
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: None,
        }
    }
}

/// All or nothing: a crash leaves no half a file, and no file that others could ever read.
fn write(path: &Path, pairs: &[Pair], over: bool) -> Result<(), KeysError> {
    let failed = |error| KeysError::Io { what: "write", path: path.to_owned(), error };
    let [first, other @ ..] = pairs else { return Err(KeysError::Last(String::new())) };
    let written = Written {
        access_key_id: first.access_key_id.clone(),
        secret_access_key: first.secret_access_key.clone(),
        created: first.created,
        other: other.to_vec(),
    };
    let text = toml::to_string(&written).map_err(|error| failed(io::Error::other(error)))?;
    let text = format!("# The keys of this Evenkeel's API. Keep them to yourself.\n{text}");
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(dir).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let kept = if over { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|error| failed(error.error))?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_only_their_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let made = Keys::open(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        let again = Keys::open(dir.path()).unwrap().credentials();
        assert_eq!(again, made.credentials());
        assert_eq!((again.access_key_id.len(), again.secret_access_key.len()), (20, 40));
        assert_eq!(made.lookup(&again.access_key_id), Some(again.secret_access_key.clone()));
        assert_eq!(made.lookup("AKIAOTHER"), None);
        assert!(!format!("{made:?}").contains(&again.secret_access_key));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn keys_are_rotated_without_a_moment_in_which_none_counts() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path()).unwrap();
        let old = keys.credentials().access_key_id;
        let new = keys.add(Timestamp(7)).unwrap();
        let reopened = || Keys::read(dir.path()).unwrap();
        for keys in [&keys, &reopened()] {
            assert!(keys.lookup(&old).is_some() && keys.lookup(&new.access_key_id).is_some());
            assert_eq!(keys.credentials(), new, "clients on this machine take up the new one");
        }
        assert!(matches!(keys.add(Timestamp(8)), Err(KeysError::TooMany)));
        assert!(matches!(keys.remove("AKIAOTHER"), Err(KeysError::NoSuchKey(_))));
        keys.set_active(&new.access_key_id, false).unwrap();
        assert_eq!(reopened().credentials().access_key_id, old, "what does not count is not signed with");
        assert_eq!(reopened().lookup(&new.access_key_id), None);
        assert!(matches!(keys.remove(&old), Err(KeysError::Last(id)) if id == old));
        assert!(matches!(keys.set_active(&old, false), Err(KeysError::Last(_))));
        keys.set_active(&new.access_key_id, true).unwrap();
        keys.remove(&old).unwrap();
        assert_eq!(reopened().list(), [RootKey { id: new.access_key_id, active: true, created: Timestamp(7) }]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Keys::open(dir.path()).unwrap();
        fs::set_permissions(dir.path().join(FILE), Permissions::from_mode(0o640)).unwrap();
        let error = Keys::open(dir.path()).unwrap_err();
        assert!(matches!(error, KeysError::Exposed { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("mode is 0640"), "{error}");
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused_without_repeating_it() {
        let check = |text: &str, why: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = Keys::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hush"), "{error}");
        };
        check("", "line 1");
        check("access_key_id = \"AKIA\"\nsecret_access_key = \"hush", "line 2");
        check("access_key_id = \"A\"\nsecret_access_key = \"hushhushhushhush\"", "`access_key_id` must be");
        check("access_key_id = \"AKIAAAAAAAAAAAAAAAAA\"\nsecret_access_key = \"hush\"", "`secret_access_key` must be");
    }
}
