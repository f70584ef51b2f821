//! Settings inside an instance: where the daemon is and which keys sign, from the metadata service of Evenkeel's own.
//!
//! Must never ask another's: the place that an instance is given has a path, where AWS's has none. Next: [`super::settings`].

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use evenkeel_aws::{Credentials, Request};
use serde::Deserialize;

use super::http::{self, Endpoint};
use super::settings::Settings;

/// The variable that names the place; the SDKs read it as well.
pub const VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// What the paths of our own service begin with.
const PREFIX: &str = "/metadata/";

/// Where credentials are, below the place.
const CREDENTIALS: &str = "latest/meta-data/iam/security-credentials";

/// The most folders of metadata that wait to be read.
const MOST_FOLDERS: usize = 64;

/// What is told of keys; the rest is the SDKs'.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    token: String,
}

/// One instance's place at the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    endpoint: Endpoint,
    path: String,
}

impl Place {
    /// The place that a URL names, if it is one of ours.
    #[must_use]
    pub fn read(url: &str) -> Option<Self> {
        let (authority, rest) = url.split_once(PREFIX)?;
        let path = format!("{PREFIX}{}", rest.trim_end_matches('/'));
        Some(Self { endpoint: authority.parse().ok()?, path })
    }

    /// Settings for this instance, with fresh keys.
    ///
    /// # Errors
    /// A service that does not answer, or does not know this instance any more.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let role = self.get(CREDENTIALS)?;
        let keys = self.get(&format!("{CREDENTIALS}/{}", role.trim()))?;
        let keys: Keys =
            serde_json::from_str(&keys).context("failed to read the keys that the metadata service gave")?;
        Ok(Settings {
            endpoint: self.endpoint.clone(),
            credentials: Credentials {
                access_key_id: keys.access_key_id,
                secret_access_key: keys.secret_access_key,
                session_token: Some(keys.token),
            },
            region: self.get("latest/meta-data/placement/region")?,
        })
    }

    /// Every value below `latest/meta-data/`, by its path there; keys are left out, because they expire.
    ///
    /// # Errors
    /// A service that does not answer, or does not know this instance any more.
    pub fn values(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut values = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for name in self.get(&format!("latest/meta-data/{folder}"))?.lines() {
                let path = format!("{folder}{name}");
                if path.ends_with('/') && folders.len() < MOST_FOLDERS {
                    folders.push(path);
                } else if !path.starts_with("iam/") {
                    values.insert(path.clone(), self.get(&format!("latest/meta-data/{path}"))?);
                }
            }
        }
        Ok(values)
    }

    /// The same place where the daemon answers now, if it says so in its data directory: started again, it may be elsewhere.
    #[must_use]
    pub fn moved(self, data_dir: &Path) -> Self {
        let told = std::fs::read_to_string(data_dir.join("endpoint")).ok();
        match told.and_then(|text| text.trim().parse().ok()) {
            Some(endpoint) => Self { endpoint, ..self },
            None => self,
        }
    }

    /// Where the daemon answers.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What its paths begin with: the instance's secret.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let request = Request {
            method: "GET".into(),
            target: format!("{}/{path}", self.path),
            headers: vec![("host".into(), self.endpoint.authority().into_bytes())],
            body: Vec::new(),
        };
        let (status, body) = http::exchange(&self.endpoint, &request).context("failed to ask the metadata service")?;
        if status != 200 {
            // The path before it is this instance's secret.
            bail!("the metadata service answered {status} to `{path}`");
        }
        String::from_utf8(body).with_context(|| format!("failed to read what the metadata service says of `{path}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_place_of_our_own_is_asked() {
        let place = Place::read("http://127.0.0.1:7480/metadata/abc/").unwrap();
        assert_eq!((place.endpoint.port(), place.path.as_str()), (7480, "/metadata/abc"));
        for other in ["http://169.254.169.254", "http://169.254.169.254/", "http://[fd00:ec2::254]/latest", "x"] {
            assert_eq!(Place::read(other), None, "{other}");
        }
    }
}
