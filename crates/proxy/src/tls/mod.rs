//! TLS settings: from the PEM text of Routes to what connections are made with.
//!
//! Owns what is believed and shown, and says what is wrong with a certificate. Must never touch a socket: `io/tls.rs`
//! does. Next: [`front`] towards clients, [`back`] towards instances, [`der`] for what a certificate says of itself.

pub(crate) mod back;
mod der;
pub(crate) mod front;
pub(crate) mod hello;
mod pinned;
pub(crate) mod secured;
mod sessions;
pub(crate) mod tickets;
pub(crate) mod words;

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use evenkeel_core::routes::{SUITES, TlsBack, TlsFront, TlsVersion};
use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, SupportedProtocolVersion};
use thiserror::Error;

/// What makes a listener's TLS settings useless. Completes "failed to listen: …".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlsFault {
    /// HTTPS and SSL cannot be spoken without one.
    #[error("TLS listeners need a certificate")]
    NoCertificate,
    /// The chain of a certificate.
    #[error("certificate {number} has a chain that {why}")]
    Chain {
        /// Counted from 1.
        number: usize,
        /// The rule it breaks.
        why: String,
    },
    /// The key of a certificate.
    #[error("certificate {number} has a key that {why}")]
    Key {
        /// Counted from 1.
        number: usize,
        /// The rule it breaks.
        why: String,
    },
    /// Nothing remains that could be agreed on.
    #[error("{0}")]
    Suites(String),
    /// A public key for instances.
    #[error("public key {number} for instances {why}")]
    PublicKey {
        /// Counted from 1.
        number: usize,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The authorities for instances.
    #[error("the authorities for instances {0}")]
    Authorities(String),
    /// The name of instances.
    #[error("`{0}` is no name that an instance could have")]
    Name(String),
    /// The library refuses, or has no randomness.
    #[error("{0}")]
    Library(String),
}

/// Whether a listener could be served with these; otherwise what is wrong. What is only worth a word is returned: a
/// certificate that has expired is still shown, because clients that pin it go on working.
pub fn check_front(front: &TlsFront, now: SystemTime) -> Result<Vec<String>, TlsFault> {
    let identities = front::identities(front)?;
    front::suites(front, &identities)?;
    Ok(identities.iter().enumerate().filter_map(|(at, identity)| identity.warning(at + 1, now)).collect())
}

/// Whether instances could be spoken to with these; otherwise what is wrong.
pub fn check_back(back: &TlsBack) -> Result<(), TlsFault> {
    back::Back::new(back).map(drop)
}

/// The one crypto library, loaded once. Its suites stand in the order of [`SUITES`]: that of AWS's predefined policies, the
/// cheapest of equal worth first ("Predefined SSL security policies for Classic Load Balancers").
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let load = || {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(|suite| rank(suite.suite()));
        Arc::new(provider)
    };
    Arc::clone(PROVIDER.get_or_init(load))
}

fn rank(suite: CipherSuite) -> usize {
    let name = words::cipher(suite);
    SUITES.iter().position(|known| known.name == name).unwrap_or(SUITES.len())
}

/// The library's name for a version.
fn version(version: TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::Tls12 => &rustls::version::TLS12,
        TlsVersion::Tls13 => &rustls::version::TLS13,
    }
}

fn library(error: rustls::Error) -> TlsFault {
    TlsFault::Library(error.to_string())
}

#[cfg(test)]
mod tests;
