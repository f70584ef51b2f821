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
    /// The newest.
    #[serde(default = "newest")]
    pub newest: TlsVersion,
    /// What may be agreed on, by OpenSSL's names, the most wanted first; names that the road does not have are passed
    /// over ([`super::suites`]). `None`: everything that it has. At least one must remain that fits a certificate.
    #[serde(default)]
    pub ciphers: Option<Vec<String>>,
    /// Whether the listener's order decides, rather than the client's.
    #[serde(default = "by_listener")]
    pub server_order: bool,
}

fn newest() -> TlsVersion {
    TlsVersion::Tls13
}

fn by_listener() -> bool {
    true
}

impl Default for TlsFront {
    /// Everything that the road has, in its own order, without a certificate.
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            oldest: TlsVersion::default(),
            newest: newest(),
            ciphers: None,
            server_order: by_listener(),
        }
    }
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
///
/// Both kinds of belief hold where both are stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsBack {
    /// PEM: the authorities one of which must have signed an instance's certificate. `None`: any certificate will do.
    #[serde(default)]
    pub ca_pem: Option<Arc<str>>,
    /// The name that the instance is asked for (SNI), and that a certificate which is verified must have. `None`: not
    /// asked for, and the certificate must have the instance's address.
    #[serde(default)]
    pub name: Option<String>,
    /// Public keys one of which an instance must have, each as the base64 of its DER (SubjectPublicKeyInfo, RFC 5280
    /// §4.1.2.7): the body of a PEM public key without white space. The instance proves that it holds the key; no
    /// chain, name or time is looked at. Also asked of it in SSL and HTTPS health checks. None: not asked for.
    #[serde(default)]
    pub public_keys: Vec<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown_but_kept() {
        let certificate = Certificate { chain_pem: "chain".into(), key_pem: "hush".into() };
        let front = TlsFront { certificates: vec![certificate], oldest: TlsVersion::Tls13, ..TlsFront::default() };
        assert!(!format!("{front:?} {front:#?}").contains("hush"));
        let text = serde_json::to_string(&front).unwrap();
        assert!(text.contains(r#""1.3""#), "{text}");
        assert_eq!(serde_json::from_str::<TlsFront>(&text).unwrap(), front);
        // What was kept before there were such fields.
        assert_eq!(serde_json::from_str::<TlsFront>(r#"{"certificates":[]}"#).unwrap(), TlsFront::default());
        let back = r#"{"ca_pem":null,"name":null}"#;
        assert_eq!(serde_json::from_str::<TlsBack>(back).unwrap(), TlsBack::default());
    }
}
