//! What an ACME server asks the balancer, and the answer: proof that its names are ours (RFC 8555 §8, RFC 8737).
//!
//! Owns the shape of challenges that are pending. Must never speak ACME: whoever asks for a certificate puts a challenge
//! into Routes, waits until the road drives by them, and takes it out when it is over. Private keys in it are as those of
//! [`Certificate`]: never shown.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Certificate;

/// Where an HTTP-01 challenge is asked, before its token (RFC 8555 §8.3).
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// What a TLS-ALPN-01 challenge is asked in, by its name in ALPN (RFC 8737 §6.2).
pub const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// One challenge that is pending, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
    /// HTTP-01: `GET /.well-known/acme-challenge/TOKEN` over HTTP and HTTPS listeners is answered with the key
    /// authorization, whether or not there is an instance.
    Http {
        /// The token: base64url characters.
        token: String,
        /// The token, a dot, and the thumbprint of the account's key.
        key_authorization: Arc<str>,
    },
    /// TLS-ALPN-01: a client of an HTTPS or SSL listener that speaks nothing but `acme-tls/1` and asks for the name is
    /// shown this certificate, and nothing else.
    Tls {
        /// The name (SNI); for an address, as RFC 8738 §6 writes it. Any case.
        name: String,
        /// It signed itself, for that name alone, with the extension `acmeIdentifier` (RFC 8737 §3).
        certificate: Certificate,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_keep_their_keys_to_themselves() {
        let certificate = Certificate { chain_pem: "chain".into(), key_pem: "hush".into() };
        let challenge = Challenge::Tls { name: "a.example".into(), certificate };
        assert!(!format!("{challenge:?}").contains("hush"));
        let text = serde_json::to_string(&challenge).unwrap();
        assert_eq!(serde_json::from_str::<Challenge>(&text).unwrap(), challenge);
    }
}
