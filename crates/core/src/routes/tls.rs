//! What a listener needs to speak TLS, as plain data.
//!
//! Owns its shape: PEM text as its user gave it. Must never parse it (the road does, and says what is wrong with it),
//! and must never let a private key into a log: [`Certificate`] shows none.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFront {
    /// At least one. The first whose names fit what the client asks for is shown; the first of all where none fits or
    /// the client does not say.
    pub certificates: Vec<Certificate>,
    /// The oldest version that is spoken.
    #[serde(default)]
    pub oldest: TlsVersion,
}

/// A certificate, the ones that lead from it to its root, and its private key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// PEM: its own certificate first.
    pub chain_pem: Arc<str>,
    /// PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key_pem: Arc<str>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain_pem", &self.chain_pem).field("key_pem", &"(secret)").finish()
    }
}

/// A version of TLS. Older ones are not spoken at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// TLS towards instances. None of it means: encrypted, but whoever answers is believed, as Classic Load Balancers do
/// without a policy (AWS, "Configure back-end instance authentication").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsBack {
    /// PEM: the authorities one of which must have signed an instance's certificate. `None`: any certificate will do.
    pub ca_pem: Option<Arc<str>>,
    /// The name that the instance is asked for (SNI), and that a certificate which is verified must have. `None`: not
    /// asked for, and the certificate must have the instance's address.
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown_but_kept() {
        let certificate = Certificate { chain_pem: "chain".into(), key_pem: "hush".into() };
        let front = TlsFront { certificates: vec![certificate], oldest: TlsVersion::Tls13 };
        assert!(!format!("{front:?} {front:#?}").contains("hush"));
        let text = serde_json::to_string(&front).unwrap();
        assert!(text.contains(r#""1.3""#), "{text}");
        assert_eq!(serde_json::from_str::<TlsFront>(&text).unwrap(), front);
    }
}
