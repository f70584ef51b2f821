//! A Docker Engine: how it is reached, and how a caller that waits asks it something.
//!
//! Owns connections, their limits, and what an engine's error is called. Must never know an instance. Engines from 20.10 on
//! are spoken to; the version of the API is agreed on with each.

use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};

use crate::drivers::Engine;

/// How long the beginning of an answer may take, in seconds: loading a large image takes longest.
const ANSWER: u64 = 120;
/// How long it may take to be there at all.
const THERE: Duration = Duration::from_secs(10);
/// What the folder of certificates has, as Docker's own clients want it.
const CERTIFICATES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

impl Engine {
    /// Connects and agrees on a version.
    ///
    /// # Errors
    /// Completes "failed to …": an address that is none, certificates that cannot be read, an engine that is not there.
    pub async fn connect(&self) -> Result<Docker, String> {
        let say = |why: String| format!("reach the Docker Engine at `{}`: {why}", self.host);
        let docker = self.client().map_err(say)?;
        match tokio::time::timeout(THERE, docker.negotiate_version()).await {
            Ok(agreed) => agreed.map_err(|error| say(told(&error))),
            Err(_) => Err(say(format!("it does not answer within {} s", THERE.as_secs()))),
        }
    }

    fn client(&self) -> Result<Docker, String> {
        let made = match (self.host.split_once("://"), &self.certs) {
            (Some(("unix", path)), _) => Docker::connect_with_unix(path, ANSWER, API_DEFAULT_VERSION),
            (Some(("tcp" | "http", address)), None) => {
                Docker::connect_with_http(&format!("tcp://{address}"), ANSWER, API_DEFAULT_VERSION)
            }
            (Some(("tcp" | "https", address)), Some(folder)) => {
                let [ca, cert, key] = CERTIFICATES.map(|name| folder.join(name));
                if let Some(missing) = [&ca, &cert, &key].into_iter().find(|path| !Path::is_file(path)) {
                    return Err(format!("find `{}`", missing.display()));
                }
                Docker::connect_with_ssl(&format!("tcp://{address}"), &key, &cert, &ca, ANSWER, API_DEFAULT_VERSION)
            }
            _ => return Err("it is to begin with unix:// or tcp://".into()),
        };
        made.map_err(|error| told(&error))
    }

    /// Does something with it, on a thread of its own: the caller waits, whether or not it is part of a runtime.
    ///
    /// # Errors
    /// Completes "failed to …".
    pub fn wait<T: Send>(&self, work: impl AsyncFnOnce(Docker) -> Result<T, String> + Send) -> Result<T, String> {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| format!("start a runtime: {error}"))?;
                runtime.block_on(async { work(self.connect().await?).await })
            });
            asked.join().unwrap_or_else(|_| Err("ask the Docker Engine: a thread panicked".into()))
        })
    }
}

/// An engine's error in words.
#[must_use]
pub fn told(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        error => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            text
        }
    }
}

/// Whether an engine answered with this status.
#[must_use]
pub fn answered(error: &Error, status: u16) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code, .. } if *status_code == status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_leads_nowhere_is_named() {
        let check = async |host: &str, certs: Option<&str>, want: &str| {
            let engine = Engine { host: host.into(), certs: certs.map(Into::into), network: "10.0.0.0/16".into() };
            let why = engine.connect().await.unwrap_err();
            assert!(why.contains(host) && why.contains(want), "{why}");
        };
        check("/var/run/docker.sock", None, "unix:// or tcp://").await;
        check("unix:///nowhere/docker.sock", None, "/nowhere/docker.sock").await;
        check("tcp://127.0.0.1:1", None, "refused").await;
        check("tcp://127.0.0.1:1", Some("/nowhere"), "/nowhere/ca.pem").await;
    }
}
