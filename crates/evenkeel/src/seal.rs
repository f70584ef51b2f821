//! Secrets at rest: what no row, snapshot, record or backup may show is kept sealed, under a key that only its owner reads.
//!
//! Owns `seal.key` in the data directory and the form of sealed text. Must never print a secret, nor use a key file that
//! others may read. Sealing is AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce and 128-bit tag; what a secret is
//! about is authenticated with it, so that a sealed text moved to another place does not open there.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

/// The key file's name in the data directory.
pub const FILE: &str = "seal.key";

/// What the private keys of certificates are sealed as: the road opens them and knows nothing else of a certificate.
pub const CERTIFICATE_KEY: &str = "the private key of a certificate";

/// What the secrets of users' access keys are sealed as.
pub const ACCESS_KEY: &str = "the secret of an access key";

/// What the session tokens of instances are sealed as.
pub const SESSION: &str = "the session of an instance";

/// What the places of instances' metadata are sealed as.
pub const METADATA: &str = "the metadata of an instance";

/// What the session tokens of the metadata service are sealed as.
pub const METADATA_SESSION: &str = "a session of the metadata service";

/// What sealed text begins with: the form, so that another one can follow it.
const PREFIX: &str = "sealed:1:";

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Why a secret cannot be sealed or opened. Completes "failed to …".
#[derive(Debug, Error)]
pub enum SealError {
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
    /// Others may read or write the key.
    #[error(
        "read `{path}`: others may read or write it (its mode is {mode:04o}, and must be 0600): run `chmod 600` on it"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key.
    #[error(
        "read `{path}`: it must hold one line, 32 bytes in base64; restore it from a backup, as what is sealed opens with no other"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The text was not sealed here, for this, or at all.
    #[error(
        "open {about}: it was sealed under another `{FILE}`, or altered; restore the file that was there when it was sealed"
    )]
    Closed {
        /// What the secret is about.
        about: String,
    },
    /// No dice.
    #[error("seal {about}: the system's random number generator failed")]
    NoDice {
        /// What the secret is about.
        about: String,
    },
}

/// Seals and opens secrets with one key.
pub struct Seal(LessSafeKey);

/// Shows no key.
impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// With the key of a data directory, made there if there is none.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn open(data_dir: &Path) -> Result<Self, SealError> {
        match Self::read(data_dir) {
            Err(SealError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key).map_err(|_| SealError::NoDice { about: FILE.into() })?;
        write(data_dir, &key)?;
        Self::read(data_dir)
    }

    /// With the key of a data directory, which must be there.
    ///
    /// # Errors
    /// See [`SealError`]; [`io::ErrorKind::NotFound`] if none was made yet.
    pub fn read(data_dir: &Path) -> Result<Self, SealError> {
        let path = data_dir.join(FILE);
        let failed = |error| SealError::Io { what: "read", path: path.clone(), error };
        let file = File::open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SealError::Exposed { path, mode });
        }
        let text = io::read_to_string(file).map_err(failed)?;
        let key = BASE64_STANDARD.decode(text.trim()).ok().filter(|key| key.len() == KEY_BYTES);
        let key = key.and_then(|key| UnboundKey::new(&AES_256_GCM, &key).ok());
        key.map(|key| Self(LessSafeKey::new(key))).ok_or(SealError::Malformed { path })
    }

    /// Seals a secret that belongs to `about`, such as `certificate arn:…`.
    ///
    /// # Errors
    /// Only no dice.
    pub fn seal(&self, about: &str, secret: &[u8]) -> Result<String, SealError> {
        let no_dice = || SealError::NoDice { about: about.to_owned() };
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| no_dice())?;
        let mut text = secret.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about.as_bytes()), &mut text)
            .map_err(|_| no_dice())?;
        Ok(format!("{PREFIX}{}", BASE64_STANDARD.encode([&nonce[..], &text].concat())))
    }

    /// The secret that was sealed as belonging to `about`.
    ///
    /// # Errors
    /// Text that was sealed under another key or for something else, was altered, or was never sealed.
    pub fn unseal(&self, about: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let opened = || {
            let bytes = BASE64_STANDARD.decode(sealed.strip_prefix(PREFIX)?).ok()?;
            let (nonce, text) = bytes.split_first_chunk::<NONCE_BYTES>()?;
            let mut text = text.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let secret = self.0.open_in_place(nonce, Aad::from(about.as_bytes()), &mut text).ok()?.len();
            text.truncate(secret);
            Some(text)
        };
        opened().ok_or_else(|| SealError::Closed { about: about.to_owned() })
    }
}

/// All or nothing: a crash leaves no half a key, and no file that others could ever read.
fn write(data_dir: &Path, key: &[u8]) -> Result<(), SealError> {
    let path = data_dir.join(FILE);
    let failed = |error| SealError::Io { what: "write", path: path.clone(), error };
    let mut file =
        tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(data_dir).map_err(failed)?;
    writeln!(file, "{}", BASE64_STANDARD.encode(key)).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(&path) {
        // Another process made one first: that one is it.
        Err(raced) if raced.error.kind() == io::ErrorKind::AlreadyExists => {}
        made => drop(made.map_err(|error| failed(error.error))?),
    }
    fs::File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_only_here_and_for_what_it_is_about() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let seal = Seal::open(here.path()).unwrap();
        let sealed = seal.seal("key a", b"hush").unwrap();
        assert!(sealed.starts_with(PREFIX) && !sealed.contains("hush"), "{sealed}");
        assert_ne!(sealed, seal.seal("key a", b"hush").unwrap(), "a nonce was used twice");
        // The next process finds the same key.
        let next = Seal::open(here.path()).unwrap();
        assert_eq!(next.unseal("key a", &sealed).unwrap(), b"hush");
        let closed = |seal: &Seal, about: &str, text: &str| {
            let error = seal.unseal(about, text).unwrap_err().to_string();
            assert!(error.contains(about) && error.contains("another `seal.key`"), "{error}");
        };
        closed(&next, "key b", &sealed);
        closed(&Seal::open(there.path()).unwrap(), "key a", &sealed);
        closed(&next, "key a", "hush");
        closed(&next, "key a", PREFIX);
        let mut altered = sealed.into_bytes();
        let middle = altered.len() / 2;
        altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
        closed(&next, "key a", std::str::from_utf8(&altered).unwrap());
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        Seal::open(dir.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Seal::open(dir.path()), Err(SealError::Exposed { mode: 0o640, .. })));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for text in ["", "AAAA\n", "no base64 at all, which is sad"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(Seal::open(dir.path()), Err(SealError::Malformed { .. })), "{text}");
        }
    }
}
