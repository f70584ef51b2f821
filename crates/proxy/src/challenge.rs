//! ACME challenges that are pending on a balancer, as connections look at them.
//!
//! Owns who is given which answer. Must never cost anything where none is pending: then there is no [`Pending`] at all.
//! Who asks: `request.rs` (HTTP-01), `io/tls.rs` (TLS-ALPN-01).

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::routes::{CHALLENGE_PATH, CHALLENGE_PROTOCOL, Challenge};
use rustls::ServerConfig;

use crate::tls::hello::{self, Heard};
use crate::tls::{TlsFault, front};

/// All that are pending on one balancer.
#[derive(Debug, Default)]
pub struct Pending {
    /// Key authorizations by token.
    http: BTreeMap<Box<str>, Arc<str>>,
    /// How the challenge of a name is answered.
    tls: BTreeMap<Box<str>, Arc<ServerConfig>>,
}

impl Pending {
    /// Of these; none where there are none. Those that cannot be answered are left out, and the first of them is told.
    #[must_use]
    pub(crate) fn new(challenges: &[Challenge]) -> (Option<Arc<Self>>, Option<String>) {
        let (mut pending, mut fault) = (Self::default(), None);
        for challenge in challenges {
            match challenge {
                Challenge::Http { token, key_authorization } => {
                    pending.http.insert(token.as_str().into(), Arc::clone(key_authorization));
                }
                Challenge::Tls { name, .. } => match settings(challenge) {
                    Ok(Some(settings)) => _ = pending.tls.insert(name.to_ascii_lowercase().into(), settings),
                    Ok(None) => {}
                    Err(why) => _ = fault.get_or_insert(format!("the challenge for `{name}` is not answered: {why}")),
                },
            }
        }
        let any = !pending.http.is_empty() || !pending.tls.is_empty();
        (any.then(|| Arc::new(pending)), fault)
    }

    /// What a request for this path is answered, if it asks a challenge.
    #[must_use]
    pub(crate) fn of_path(&self, path: &[u8]) -> Option<&Arc<str>> {
        let token = path.strip_prefix(CHALLENGE_PATH.as_bytes())?;
        self.http.get(std::str::from_utf8(token).ok()?)
    }

    /// How a client is to be spoken to whose first bytes these are: as the challenge that it asks wants it, or as always.
    /// `None`: it cannot be told yet.
    pub(crate) fn of_hello(&self, bytes: &[u8]) -> Option<Option<&Arc<ServerConfig>>> {
        match hello::listen(bytes) {
            _ if self.tls.is_empty() => Some(None),
            Heard::More => None,
            Heard::Asks(name) => Some(self.tls.get(name.as_str())),
            Heard::Other => Some(None),
        }
    }
}

/// Whether a challenge could be answered; otherwise what is wrong with its certificate.
///
/// # Errors
/// As for a listener's certificates.
pub fn check(challenge: &Challenge) -> Result<(), TlsFault> {
    settings(challenge).map(drop)
}

fn settings(challenge: &Challenge) -> Result<Option<Arc<ServerConfig>>, TlsFault> {
    match challenge {
        Challenge::Http { .. } => Ok(None),
        Challenge::Tls { certificate, .. } => front::showing(certificate, CHALLENGE_PROTOCOL).map(Some),
    }
}
