//! Images: what instances are started from. Owns the manifest (`image.toml`) and its rules; must never touch the files
//! themselves: those are the drivers' to copy and the image store's to keep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::{ImageId, Port};
use crate::time::Timestamp;

/// What `image.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The image's name, 3–128 characters of `[A-Za-z0-9 ()./_'@[]-]` (AWS, RegisterImage).
    pub name: String,
    /// The owner's own word for this build, free text up to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// For people, up to 255 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The application: a program and its arguments. A relative program is looked for in the image's folder first,
    /// then on `PATH`. `${HOST}`, `${PORT}` and the other variables of the environment are filled in.
    pub command: Vec<String>,
    /// The port that the application listens on at its instance's own address. It reads it as `PORT`.
    pub port: Port,
    /// Variables for the application, on top of `HOST`, `PORT`, `EVENKEEL_INSTANCE_ID` and `EVENKEEL_ZONE`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Seconds between the polite TERM and the KILL when an instance is stopped; 0–300.
    #[serde(default = "default_grace")]
    pub stop_grace: u16,
}

fn default_grace() -> u16 {
    10
}

/// Why a manifest is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadManifest {
    /// A name outside AWS's alphabet or length.
    #[error("`name` must be 3 to 128 characters of letters, digits and ` ()./_'@[]-`, and is `{0}`")]
    Name(String),
    /// No program to run.
    #[error("`command` must name a program")]
    Command,
    /// Something too long.
    #[error("`{0}` must be at most {1} characters")]
    TooLong(&'static str, usize),
    /// A variable name a process cannot carry.
    #[error("`env` has a variable named `{0}`: names are letters, digits and `_`, and do not begin with a digit")]
    Variable(String),
    /// A variable that Evenkeel itself sets.
    #[error("`env` sets `{0}`, which Evenkeel sets for every instance")]
    Reserved(String),
    /// A NUL byte, which no process can be given.
    #[error("`{0}` has a NUL character")]
    Nul(&'static str),
    /// A grace above the limit.
    #[error("`stop_grace` must be at most 300 seconds, and is {0}")]
    Grace(u16),
}

/// The variables that every instance is given and no manifest may set.
pub const RESERVED_ENV: [&str; 4] = ["HOST", "PORT", "EVENKEEL_INSTANCE_ID", "EVENKEEL_ZONE"];

impl Manifest {
    /// Holds the manifest against its rules.
    pub fn validate(&self) -> Result<(), BadManifest> {
        valid_name(&self.name)?;
        if self.command.first().is_none_or(String::is_empty) {
            return Err(BadManifest::Command);
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return Err(BadManifest::Nul("command"));
        }
        if self.description.chars().count() > 255 {
            return Err(BadManifest::TooLong("description", 255));
        }
        if self.version.as_ref().is_some_and(|v| v.chars().count() > 128) {
            return Err(BadManifest::TooLong("version", 128));
        }
        if self.stop_grace > 300 {
            return Err(BadManifest::Grace(self.stop_grace));
        }
        for (name, value) in &self.env {
            let first_ok = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
            if !first_ok || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(BadManifest::Variable(name.clone()));
            }
            if RESERVED_ENV.contains(&name.as_str()) {
                return Err(BadManifest::Reserved(name.clone()));
            }
            if value.contains('\0') {
                return Err(BadManifest::Nul("env"));
            }
        }
        Ok(())
    }
}

/// Holds an image name against AWS's alphabet and length.
pub fn valid_name(name: &str) -> Result<(), BadManifest> {
    let good = |c: char| c.is_ascii_alphanumeric() || " ()./_'@[]-".contains(c);
    if (3..=128).contains(&name.chars().count()) && name.chars().all(good) {
        Ok(())
    } else {
        Err(BadManifest::Name(name.chars().take(128).collect()))
    }
}

/// A registered image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The name it is registered under; one image a name.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it runs.
    pub manifest: Manifest,
    /// Where it was registered from, for people (a folder, a tar).
    pub location: String,
    /// SHA-256 over its files, in hex: the folder it is kept in.
    pub digest: String,
    /// When it was registered.
    pub created: Timestamp,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            name: "my app".into(),
            version: None,
            description: String::new(),
            command: vec!["./serve".into()],
            port: Port::new(8080).unwrap(),
            env: BTreeMap::new(),
            stop_grace: 10,
        }
    }

    #[test]
    fn a_manifest_is_held_against_its_rules() {
        let check = |change: fn(&mut Manifest), want: Result<(), BadManifest>| {
            let mut m = manifest();
            change(&mut m);
            assert_eq!(m.validate(), want);
        };
        check(|_| (), Ok(()));
        check(|m| m.name = "ab".into(), Err(BadManifest::Name("ab".into())));
        check(|m| m.command.clear(), Err(BadManifest::Command));
        check(|m| m.command = vec!["a\0".into()], Err(BadManifest::Nul("command")));
        check(|m| m.stop_grace = 301, Err(BadManifest::Grace(301)));
        check(|m| drop(m.env.insert("PORT".into(), "1".into())), Err(BadManifest::Reserved("PORT".into())));
        check(|m| drop(m.env.insert("1A".into(), "1".into())), Err(BadManifest::Variable("1A".into())));
        check(|m| drop(m.env.insert("A".into(), "1\0".into())), Err(BadManifest::Nul("env")));
    }
}
