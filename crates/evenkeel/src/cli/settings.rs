//! Where the daemon is and which keys sign: flags, then the environment, then inside an instance its metadata, then the data
//! directory.
//!
//! Reads two files of the data directory, `endpoint` and `credentials.toml`, and no other: everything else is asked over
//! the API. Next: [`super::client`].

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use evenkeel_aws::Credentials;
use serde::Deserialize;

use super::failure::hinted;
use super::http::Endpoint;
use super::metadata::{Place, VARIABLE};

/// The region where nothing says otherwise.
pub const DEFAULT_REGION: &str = "us-east-1";

/// Options of every command that talks to the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Connection")]
pub struct Reach {
    /// Where the daemon is [default: AWS_ENDPOINT_URL, else the data directory's `endpoint`]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Access key [default: AWS_ACCESS_KEY_ID, else the data directory's]
    #[arg(long, value_name = "ID", requires = "secret_access_key")]
    pub access_key_id: Option<String>,
    /// Secret key; better kept in AWS_SECRET_ACCESS_KEY, as others can read command lines
    #[arg(long, value_name = "SECRET", requires = "access_key_id", hide_default_value = true)]
    pub secret_access_key: Option<String>,
    /// The daemon's state [default: EVENKEEL_DATA_DIR, else $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Everything that is needed to talk to a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub endpoint: Endpoint,
    /// What signs.
    pub credentials: Credentials,
    /// The region that signatures name.
    pub region: String,
}

/// How settings read the environment; tests give their own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. A variable that is set to nothing counts as not set.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Flags first, then `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY`, and `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`, then the data directory. The two keys always come from one place. Where no data directory is named,
    /// an instance's metadata come before it.
    ///
    /// # Errors
    /// Neither says where the daemon is, or with which keys; or what it says is malformed.
    pub fn resolve(reach: &Reach, region: Option<&str>, environment: Environment<'_>) -> anyhow::Result<Self> {
        let dir = data_dir(reach.data_dir.as_deref(), environment);
        let url = reach.endpoint_url.clone().or_else(|| environment("AWS_ENDPOINT_URL"));
        let flags = reach.access_key_id.clone().zip(reach.secret_access_key.clone());
        let pair = flags.or_else(|| environment("AWS_ACCESS_KEY_ID").zip(environment("AWS_SECRET_ACCESS_KEY")));
        let is_whole = url.is_some() && pair.is_some();
        let is_named = reach.data_dir.is_some() || environment("EVENKEEL_DATA_DIR").is_some();
        let place = environment(VARIABLE).filter(|_| !is_whole && !is_named).and_then(|url| Place::read(&url));
        let told = place.map(|place| place.settings()).transpose()?;
        let endpoint = match (url, &told) {
            (Some(url), _) => parse_endpoint(&url)?,
            (None, Some(told)) => told.endpoint.clone(),
            (None, None) => read_endpoint(dir.as_deref())?,
        };
        let credentials = match (pair, &told) {
            (Some((access_key_id, secret_access_key)), _) => {
                Credentials { access_key_id, secret_access_key, session_token: None }
            }
            (None, Some(told)) => told.credentials.clone(),
            (None, None) => read_credentials(dir.as_deref())?,
        };
        let stated = region.map(str::to_owned).or_else(|| environment("AWS_REGION"));
        let region = stated
            .or_else(|| environment("AWS_DEFAULT_REGION"))
            .or_else(|| told.map(|told| told.region))
            .unwrap_or_else(|| DEFAULT_REGION.to_owned());
        Ok(Self { endpoint, credentials, region })
    }
}

/// The data directory: the flag, else `EVENKEEL_DATA_DIR`, else `evenkeel` under `XDG_DATA_HOME`, else under
/// `~/.local/share`. `None` if none of them is there to tell.
pub fn data_dir(flag: Option<&Path>, environment: Environment<'_>) -> Option<PathBuf> {
    if let Some(dir) = flag {
        return Some(dir.to_owned());
    }
    if let Some(dir) = environment("EVENKEEL_DATA_DIR") {
        return Some(dir.into());
    }
    // The XDG base directory specification: a relative path in it is to be ignored.
    let xdg = environment("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let base = xdg.or_else(|| Some(PathBuf::from(environment("HOME")?).join(".local/share")))?;
    Some(base.join("evenkeel"))
}

fn parse_endpoint(url: &str) -> anyhow::Result<Endpoint> {
    url.parse().map_err(anyhow::Error::msg)
}

fn read_endpoint(dir: Option<&Path>) -> anyhow::Result<Endpoint> {
    let (path, text) = read(dir, "endpoint", "where the daemon is")?;
    parse_endpoint(text.trim()).with_context(|| format!("failed to read {}", path.display()))
}

/// `credentials.toml` of the data directory.
#[derive(Deserialize)]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
}

fn read_credentials(dir: Option<&Path>) -> anyhow::Result<Credentials> {
    let (path, text) = read(dir, "credentials.toml", "with which keys to sign")?;
    // The parser's own message would quote the line, and the line may be the secret.
    let keys: Keys = toml::from_str(&text).map_err(|_| {
        anyhow::anyhow!("failed to read {}: it needs `access_key_id` and `secret_access_key`", path.display())
    })?;
    Ok(Credentials {
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key,
        session_token: None,
    })
}

fn read(dir: Option<&Path>, name: &str, purpose: impl fmt::Display) -> anyhow::Result<(PathBuf, String)> {
    let hint =
        "start the daemon with `evenkeel up`, or set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    let Some(dir) = dir else {
        return Err(hinted(format!("nothing says {purpose}, and neither HOME nor EVENKEEL_DATA_DIR is set"), hint));
    };
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(hinted(format!("nothing says {purpose}: there is no {}", path.display()), hint))
        }
        Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
