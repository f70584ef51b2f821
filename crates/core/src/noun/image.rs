//! Images: what instances are started from. Owns the manifest (`image.toml`) and its rules; must never touch the files
//! themselves: those are the drivers' to copy and the image store's to keep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::{ImageId, InstanceId, Port};
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
    /// A path, `/` and up to 1,023 more characters, that the application answers with 200 over HTTP once it is ready.
    /// Without one it is ready when it accepts a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Seconds within which it must be ready after its start; 1–3600.
    #[serde(default = "default_ready_within")]
    pub ready_within: u16,
    /// What becomes of an application that ends by failure.
    #[serde(default)]
    pub restart: Restart,
    /// What is done at every boot before the application starts, in order: at most 64 installers of up to 1,024
    /// characters each, written as `docs/boot.md` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installers: Vec<String>,
    /// Files and folders of the image, up to 64, that hold state: they belong to an instance, and no image made from it
    /// has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<String>,
    /// What an instance needs. A type that gives less is refused.
    #[serde(default, skip_serializing_if = "Resources::is_unstated")]
    pub resources: Resources,
    /// The files are a whole root filesystem: an instance's commands see them as `/`. Its links may be absolute.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rootfs: bool,
    /// Whom the application runs as in a root filesystem, as Docker has it: `NAME`, `NAME:GROUP`, or numbers for either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where the application starts in a root filesystem: an absolute path of at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
}

/// What becomes of an application that ends by failure: with a status other than 0, or by a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is started again, later and later; its instance stays.
    #[default]
    OnFailure,
    /// Its instance ends.
    Never,
}

/// What an instance of an image needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Thousandths of a processor, 1–1,024,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// MiB of memory, 1–16,777,216.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// MiB of disk that the files of an instance may take up, 1–16,777,216.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u32>,
}

impl Resources {
    /// Whether nothing is stated.
    #[must_use]
    pub fn is_unstated(&self) -> bool {
        *self == Self::default()
    }
}

fn default_grace() -> u16 {
    10
}

fn default_ready_within() -> u16 {
    60
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
    /// A path that no application can be asked for.
    #[error("`health` must be a path of at most 1024 visible ASCII characters that begins with `/`, and is `{0}`")]
    Health(String),
    /// A wait outside its limits.
    #[error("`ready_within` must be 1 to 3600 seconds, and is {0}")]
    ReadyWithin(u16),
    /// More entries than the limit.
    #[error("`{0}` must have at most 64 entries")]
    TooMany(&'static str),
    /// An installer that says nothing or too much.
    #[error("`installers` must have 1 to 1024 characters on one line each, and one is `{0}`")]
    Installer(String),
    /// A path of state outside the image.
    #[error("`state` must name paths in the image, without `..`, and one is `{0}`")]
    State(String),
    /// A resource outside its limits.
    #[error("`resources.{0}` must be 1 to {1}, and is {2}")]
    Resource(&'static str, u32, u32),
    /// What only a root filesystem has.
    #[error("`{0}` is for images with `rootfs = true`")]
    NeedsRootfs(&'static str),
    /// A user or group that no system has.
    #[error(
        "`user` must be NAME or NAME:GROUP, each 1 to 64 letters, digits, `_`, `.` and `-`, or a number, and is `{0}`"
    )]
    User(String),
    /// A place that is none in a root filesystem.
    #[error("`working_dir` must be an absolute path of at most 1024 characters, without `..`, and is `{0}`")]
    WorkingDir(String),
}

/// The variables that every instance is given and no manifest may set.
pub const RESERVED_ENV: [&str; 4] = ["HOST", "PORT", "EVENKEEL_INSTANCE_ID", "EVENKEEL_ZONE"];

/// The most installers, or entries of state, that a manifest names.
const MOST_ENTRIES: usize = 64;
/// The most characters of a health path or an installer.
const LONGEST_LINE: usize = 1024;
/// The most MiB of anything: 16 TiB.
const MOST_MIB: u32 = 16 * 1024 * 1024;
/// The most thousandths of a processor: 1,024 processors.
const MOST_CPU: u32 = 1024 * 1000;

impl Manifest {
    /// What an image of this name that runs this command at this port needs to say; all else is as when left out.
    #[must_use]
    pub fn new(name: &str, command: Vec<String>, port: Port) -> Self {
        Self {
            name: name.to_owned(),
            version: None,
            description: String::new(),
            command,
            port,
            env: BTreeMap::new(),
            stop_grace: default_grace(),
            health: None,
            ready_within: default_ready_within(),
            restart: Restart::default(),
            installers: Vec::new(),
            state: Vec::new(),
            resources: Resources::default(),
            rootfs: false,
            user: None,
            working_dir: None,
        }
    }

    /// Holds the manifest against its rules.
    pub fn validate(&self) -> Result<(), BadManifest> {
        valid_name(&self.name)?;
        self.validate_boot()?;
        self.validate_root()?;
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

impl Manifest {
    /// What only root filesystems have.
    fn validate_root(&self) -> Result<(), BadManifest> {
        for (name, stated) in [("user", self.user.is_some()), ("working_dir", self.working_dir.is_some())] {
            if stated && !self.rootfs {
                return Err(BadManifest::NeedsRootfs(name));
            }
        }
        let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let named = |name: &str| (1..=64).contains(&name.len()) && name.chars().all(good);
        let user = |text: &str| text.split(':').count() <= 2 && text.split(':').all(named);
        if let Some(bad) = self.user.as_ref().filter(|text| !user(text)) {
            return Err(BadManifest::User(bad.chars().take(130).collect()));
        }
        let place = |path: &str| {
            path.starts_with('/')
                && path.chars().count() <= LONGEST_LINE
                && !path.contains('\0')
                && path.split('/').all(|part| !matches!(part, "." | ".."))
        };
        if let Some(bad) = self.working_dir.as_ref().filter(|path| !place(path)) {
            return Err(BadManifest::WorkingDir(bad.chars().take(LONGEST_LINE).collect()));
        }
        Ok(())
    }

    /// What the boot goes by.
    fn validate_boot(&self) -> Result<(), BadManifest> {
        let visible = |path: &String| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
        if let Some(path) = self.health.as_ref().filter(|path| path.len() > LONGEST_LINE || !visible(path)) {
            return Err(BadManifest::Health(path.chars().take(LONGEST_LINE).collect()));
        }
        if !(1..=3600).contains(&self.ready_within) {
            return Err(BadManifest::ReadyWithin(self.ready_within));
        }
        for (name, entries) in [("installers", self.installers.len()), ("state", self.state.len())] {
            if entries > MOST_ENTRIES {
                return Err(BadManifest::TooMany(name));
            }
        }
        let line = |text: &str| !text.trim().is_empty() && text.chars().count() <= LONGEST_LINE;
        let says = |text: &&String| line(text) && !text.chars().any(char::is_control);
        if let Some(bad) = self.installers.iter().find(|text| !says(text)) {
            return Err(BadManifest::Installer(bad.chars().take(LONGEST_LINE).collect()));
        }
        let inside = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if let Some(bad) = self.state.iter().find(|path| path.contains('\0') || !inside(path)) {
            return Err(BadManifest::State(bad.clone()));
        }
        let Resources { cpu_millis, memory_mib, disk_mib } = self.resources;
        let stated = [("cpu_millis", MOST_CPU, cpu_millis), ("memory_mib", MOST_MIB, memory_mib)];
        for (name, most, value) in stated.into_iter().chain([("disk_mib", MOST_MIB, disk_mib)]) {
            if let Some(value) = value.filter(|value| !(1..=most).contains(value)) {
                return Err(BadManifest::Resource(name, most, value));
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

/// Whether instances can be started from an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// Its files are being taken from an instance.
    Pending,
    /// They can.
    #[default]
    Available,
    /// They never can: its files could not be taken.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// How large an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Files, folders and links.
    pub entries: u32,
    /// Bytes in its files.
    pub bytes: u64,
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
    /// How large it is; not known of those registered by earlier versions.
    #[serde(default)]
    pub size: Option<Size>,
    /// Whether instances can be started from it.
    #[serde(default)]
    pub state: ImageState,
    /// The instance it was made from.
    #[serde(default)]
    pub source: Option<InstanceId>,
    /// When it was registered.
    pub created: Timestamp,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest::new("my app", vec!["./serve".into()], Port::new(8080).unwrap())
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
        check(|m| m.health = Some("/ok?now=1".into()), Ok(()));
        check(|m| m.health = Some("ok".into()), Err(BadManifest::Health("ok".into())));
        check(|m| m.health = Some("/a b".into()), Err(BadManifest::Health("/a b".into())));
        check(|m| m.ready_within = 0, Err(BadManifest::ReadyWithin(0)));
        check(|m| m.installers = vec!["./setup".into(); 65], Err(BadManifest::TooMany("installers")));
        check(|m| m.installers = vec![" ".into()], Err(BadManifest::Installer(" ".into())));
        check(|m| m.installers = vec!["a\nb".into()], Err(BadManifest::Installer("a\nb".into())));
        check(|m| m.state = vec!["var/db".into()], Ok(()));
        for outside in ["/var", "../x", "a/../b", "", "a//b"] {
            let mut m = manifest();
            m.state = vec![outside.into()];
            assert_eq!(m.validate(), Err(BadManifest::State(outside.into())));
        }
        check(|m| m.resources.cpu_millis = Some(0), Err(BadManifest::Resource("cpu_millis", MOST_CPU, 0)));
        check(|m| m.user = Some("www".into()), Err(BadManifest::NeedsRootfs("user")));
        check(|m| m.working_dir = Some("/srv".into()), Err(BadManifest::NeedsRootfs("working_dir")));
        for (user, good) in [("www-data", true), ("1000:0", true), ("a:b:c", false), (":0", false), ("a b", false)] {
            let mut m = manifest();
            (m.rootfs, m.user) = (true, Some(user.into()));
            assert_eq!(m.validate().is_ok(), good, "{user}");
        }
        for (place, good) in [("/", true), ("/srv/app/", true), ("srv", false), ("/srv/../..", false), ("", false)] {
            let mut m = manifest();
            (m.rootfs, m.working_dir) = (true, Some(place.into()));
            assert_eq!(m.validate().is_ok(), good, "{place}");
        }
    }
}
