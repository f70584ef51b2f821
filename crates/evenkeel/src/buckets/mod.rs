//! Buckets: where objects go that others are to read. A folder, or a store that speaks S3's protocol.
//!
//! Owns which bucket is which, and how an object is put there. Must never read one back, and must never show a key in an
//! error. Everything here waits: call it where that is allowed. Next: [`store`], which speaks to S3-style stores.

mod store;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use evenkeel_aws::Credentials;
use evenkeel_aws::Time;
use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::routes::AccessLogRoute;
use serde::Deserialize;
use thiserror::Error;

use store::Store;

/// The environment's names for the keys that requests to stores are signed with.
pub const KEY_ID: &str = "EVENKEEL_BUCKET_ACCESS_KEY_ID";
/// See [`KEY_ID`].
pub const SECRET: &str = "EVENKEEL_BUCKET_SECRET_ACCESS_KEY";

/// Why an object was not put. Completes "failed to …".
#[derive(Debug, Error)]
pub enum BucketError {
    /// Not the name of a bucket.
    #[error("write to bucket `{0}`: its name must be 3 to 63 of a-z 0-9 - . and begin and end with a letter or digit")]
    Name(String),
    /// Not what can stand before a key.
    #[error(
        "write below `{0}`: a prefix is at most 512 of A-Z a-z 0-9 ! - _ . * ' ( ) / without an empty part, `.`, `..` or `AWSLogs`"
    )]
    Prefix(String),
    /// A folder that cannot be written.
    #[error("write to bucket `{bucket}`: `{path}`: {error}")]
    Folder {
        /// The bucket.
        bucket: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A store that does not answer, or cannot be believed.
    #[error("write to bucket `{bucket}` at {at}: {error}")]
    Unreached {
        /// The bucket.
        bucket: String,
        /// The store's host and port.
        at: String,
        /// What went wrong.
        error: io::Error,
    },
    /// A store that says no.
    #[error("write to bucket `{bucket}` at {at}: it said {status} {said}")]
    Refused {
        /// The bucket.
        bucket: String,
        /// The store's host and port.
        at: String,
        /// The status of its answer.
        status: u16,
        /// The code in it, if it is S3's error.
        said: String,
    },
}

/// What a bucket is, as its user states it: `NAME=DIR`, `NAME=http://HOST[:PORT]/BUCKET` or `NAME=https://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    name: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    Store(Store),
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.split_once('=').ok_or("it must be NAME=DIR or NAME=http://HOST[:PORT]/BUCKET")?;
        if !is_name(name) {
            return Err(format!("`{name}` is no bucket: 3 to 63 of a-z 0-9 - . and a letter or digit at both ends"));
        }
        let place = match place {
            "" => return Err("the folder is empty".into()),
            url if url.contains("://") => Place::Store(url.parse()?),
            folder => Place::Folder(folder.into()),
        };
        Ok(Self { name: name.to_owned(), place })
    }
}

/// What requests to stores are signed with, and for which region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketKeys {
    credentials: Credentials,
    region: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    region: Option<String>,
}

impl BucketKeys {
    /// From a file (`access_key_id`, `secret_access_key`, and perhaps `session_token` and `region`, as TOML) that only its
    /// owner may read, or without one from the environment ([`KEY_ID`], [`SECRET`]). `None` where nothing is stated:
    /// then requests are not signed.
    ///
    /// # Errors
    /// A file that cannot be read, or that others may read; in words that show nothing of it.
    pub fn find(file: Option<&Path>, region: &str, env: impl Fn(&str) -> Option<String>) -> io::Result<Option<Self>> {
        let Some(path) = file else {
            let keys = env(KEY_ID).zip(env(SECRET));
            return Ok(keys.map(|(access_key_id, secret_access_key)| Self {
                credentials: Credentials { access_key_id, secret_access_key, session_token: None },
                region: region.to_owned(),
            }));
        };
        let mode = fs::metadata(path)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            let why = format!("`{}`: others may read it (its mode is {mode:04o}, and must be 0600)", path.display());
            return Err(io::Error::other(why));
        }
        let text = fs::read_to_string(path)?;
        // What a parser says may quote the line.
        let read: KeyFile = toml::from_str(&text).map_err(|_| {
            let why = "it must have `access_key_id` and `secret_access_key`, and may have `session_token` and `region`";
            io::Error::other(format!("`{}`: {why}", path.display()))
        })?;
        let KeyFile { access_key_id, secret_access_key, session_token, region: own } = read;
        let credentials = Credentials { access_key_id, secret_access_key, session_token };
        Ok(Some(Self { credentials, region: own.unwrap_or_else(|| region.to_owned()) }))
    }
}

/// Every bucket there is: those that are mapped, and for any other name a folder of the data directory.
#[derive(Debug)]
pub struct Buckets {
    folder: PathBuf,
    mapped: BTreeMap<String, Place>,
    keys: Option<BucketKeys>,
}

impl Buckets {
    /// Those of a data directory.
    #[must_use]
    pub fn new(data_dir: &Path, mappings: &[Mapping], keys: Option<BucketKeys>) -> Self {
        let mapped = mappings.iter().map(|mapping| (mapping.name.clone(), mapping.place.clone())).collect();
        Self { folder: data_dir.join("buckets"), mapped, keys }
    }

    /// Puts an object; one of that key is replaced.
    ///
    /// # Errors
    /// See [`BucketError`]; it may be tried again, and then does no harm.
    pub fn put(&self, bucket: &str, key: &str, body: Vec<u8>, now: Time) -> Result<(), BucketError> {
        if !is_name(bucket) {
            return Err(BucketError::Name(bucket.chars().take(64).collect()));
        }
        match self.mapped.get(bucket) {
            Some(Place::Store(store)) => store.put(bucket, key, body, self.keys.as_ref(), now),
            Some(Place::Folder(folder)) => put_file(bucket, folder, key, &body),
            None => put_file(bucket, &self.folder.join(bucket), key, &body),
        }
    }

    /// Whether a balancer's log can be written there: puts the object that AWS puts when a log is switched on.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, route: &AccessLogRoute, balancer: &LoadBalancerName, now: Time) -> Result<(), BucketError> {
        if !is_prefix(&route.prefix) {
            return Err(BucketError::Prefix(route.prefix.chars().take(64).collect()));
        }
        let text = format!("Enable AccessLog for ELB: {balancer} at {now}\n");
        self.put(&route.bucket, &route.test_key(), text.into_bytes(), now)
    }
}

/// Whether a bucket can be called so (Amazon S3 User Guide, "General purpose bucket naming rules").
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| fits(b) || matches!(b, b'-' | b'.'))
        && [name.bytes().next(), name.bytes().last()].into_iter().flatten().all(fits)
        && !name.contains("..")
}

/// Whether it can stand before `AWSLogs` in a key: what S3 calls safe characters, in parts that a folder can have too.
#[must_use]
pub fn is_prefix(prefix: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!-_.*'()/".contains(&b);
    let part = |part: &str| !matches!(part, "" | "." | ".." | "AWSLogs") && part.len() <= 200;
    prefix.is_empty() || (prefix.len() <= 512 && prefix.bytes().all(fits) && prefix.split('/').all(part))
}

fn put_file(bucket: &str, folder: &Path, key: &str, body: &[u8]) -> Result<(), BucketError> {
    let path = folder.join(key);
    let put = || {
        // What would lead out of the folder is no key that is made here, but this is where it would matter.
        if key.is_empty() || key.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(io::Error::other("a key's parts must not be empty, `.` or `..`"));
        }
        let parent = path.parent().unwrap_or(folder);
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let beside = path.with_file_name(name);
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(body)?;
        file.sync_data()?;
        fs::rename(beside, &path)
    };
    put().map_err(|error| BucketError::Folder { bucket: bucket.to_owned(), path: path.clone(), error })
}

#[cfg(test)]
pub(crate) mod tests;
