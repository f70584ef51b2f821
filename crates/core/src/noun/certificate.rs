//! Certificates as intended: what HTTPS and SSL listeners show their clients.
//!
//! Owns the record's shape, of both kinds that AWS has: IAM's server certificates, by name and path, and Certificate
//! Manager's, by a random id. Must never hold a private key in the clear, nor parse a certificate: what is known of one comes
//! with it as [`Facts`]. Next: [`super::requested`] for those that are asked of an ACME server.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Requested;
use crate::name::CertificateArn;
use crate::time::Timestamp;

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// What listeners name it by.
    pub arn: CertificateArn,
    /// How it came here.
    pub origin: CertificateOrigin,
    /// What is shown and signed with; `None` until a requested certificate was issued.
    pub material: Option<Material>,
    /// When the record was made.
    pub created: Timestamp,
    /// When its material came, last.
    pub imported: Timestamp,
    /// Tags by key, at most 50.
    pub tags: BTreeMap<String, String>,
}

/// How a certificate came here, and so which API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateOrigin {
    /// IAM's UploadServerCertificate.
    Uploaded {
        /// Its name, unique among the account's, without regard to case.
        name: String,
        /// Its path, `/` or `/…/`.
        path: String,
        /// `ASCA` and 17 letters or digits; stays when the name changes.
        id: String,
    },
    /// Certificate Manager's ImportCertificate.
    Imported,
    /// Certificate Manager's RequestCertificate.
    Requested(Box<Requested>),
}

/// A certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// PEM: the certificate itself.
    pub body_pem: Arc<str>,
    /// PEM: those that lead from it to its root, nearest first; empty for none.
    pub chain_pem: Arc<str>,
    /// The private key, sealed. Nothing in core opens it.
    pub sealed_key: Arc<str>,
    /// What the certificate says.
    pub facts: Facts,
}

/// What a certificate says (RFC 5280), read when it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its subject, as RFC 4514 writes it.
    pub subject: String,
    /// Its issuer, likewise.
    pub issuer: String,
    /// The names and addresses it is for: the subject's common name first, then the alternative names, each once.
    pub names: Vec<String>,
    /// Its serial number, in hexadecimal octets with colons.
    pub serial: String,
    /// From when it holds.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// The key's kind, as Certificate Manager names it: `RSA-2048`, `EC-prime256v1`.
    pub key_algorithm: String,
    /// Who signed it and how: `SHA256WITHRSA`.
    pub signature_algorithm: String,
}

impl Certificate {
    /// Its name, if IAM keeps it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.origin {
            CertificateOrigin::Uploaded { name, .. } => Some(name),
            CertificateOrigin::Imported | CertificateOrigin::Requested(_) => None,
        }
    }

    /// What was asked for, if it was asked for here.
    #[must_use]
    pub fn requested(&self) -> Option<&Requested> {
        match &self.origin {
            CertificateOrigin::Requested(requested) => Some(requested),
            CertificateOrigin::Uploaded { .. } | CertificateOrigin::Imported => None,
        }
    }
}

impl Material {
    /// The certificate and the chain, as a server shows them.
    #[must_use]
    pub fn shown_pem(&self) -> Arc<str> {
        if self.chain_pem.is_empty() {
            return Arc::clone(&self.body_pem);
        }
        let (body, chain) = (self.body_pem.trim_end(), self.chain_pem.trim());
        format!("{body}\n{chain}\n").into()
    }
}
