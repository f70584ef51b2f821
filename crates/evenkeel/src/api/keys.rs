//! The API's keys: one access key pair, made at first start, kept where only its owner can read it.
//!
//! Owns `credentials.toml` in the data directory. Must never print a secret, nor accept a file that others may read: what
//! they have read they can use. Next: `evenkeel_aws::sigv4`, which asks for secrets.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use evenkeel_aws::Credentials;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The file's name in the data directory.
pub const FILE: &str = "credentials.toml";

/// Why there are no keys. Completes "failed to …".
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
}

/// The key pair that calls are signed with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    access_key_id: String,
    secret_access_key: String,
}

/// Shows no secret.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
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
        let keys = Self::roll()?;
        keys.write(data_dir)?;
        Ok(keys)
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
        let keys: Self = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            malformed(format!("line {at}: it must hold `access_key_id` and `secret_access_key`, two texts"))
        })?;
        if !(16..=128).contains(&keys.access_key_id.len())
            || !keys.access_key_id.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return Err(malformed("`access_key_id` must be 16 to 128 letters and digits".into()));
        }
        if !(16..=128).contains(&keys.secret_access_key.len())
            || !keys.secret_access_key.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(malformed("`secret_access_key` must be 16 to 128 visible ASCII characters".into()));
        }
        Ok(keys)
    }

    /// The secret of an access key, if it is ours.
    #[must_use]
    pub fn lookup(&self, access_key_id: &str) -> Option<String> {
        (access_key_id == self.access_key_id).then(|| self.secret_access_key.clone())
    }

    /// The pair, for a client to sign with.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: None,
        }
    }

    /// AWS's form: `AKIA` and 16 of base 32; 40 letters and digits.
    fn roll() -> Result<Self, KeysError> {
        const BASE_32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        // 64 letters, so that each of the 6 bits of a roll counts; all of them safe in shells, URLs and boto's files.
        const BASE_64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AZ";
        let mut dice = [0u8; 56];
        rand::fill(&mut dice).map_err(|_| KeysError::NoDice)?;
        let (id, secret) = dice.split_at(16);
        let id: String = id.iter().map(|b| char::from(BASE_32[usize::from(b & 31)])).collect();
        let secret_access_key = secret.iter().map(|b| char::from(BASE_64[usize::from(b & 63)])).collect();
        Ok(Self { access_key_id: format!("AKIA{id}"), secret_access_key })
    }

    /// All or nothing: a crash leaves no half a file, and no file that others could ever read.
    fn write(&self, data_dir: &Path) -> Result<(), KeysError> {
        let path = data_dir.join(FILE);
        let failed = |error| KeysError::Io { what: "write", path: path.clone(), error };
        let text = format!(
            "# The keys of this Evenkeel's API. Keep them to yourself.\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\n",
            self.access_key_id, self.secret_access_key
        );
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(data_dir)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(&path).map_err(|error| failed(error.error))?;
        fs::File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }
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
