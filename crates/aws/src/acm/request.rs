//! Certificates that are requested: what is asked for, and how far it is.
//!
//! Next: [`super::certificate`] for what they are once they were issued.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::Tag;
use crate::time::Time;
use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestCertificate {
    pub domain_name: String,
    /// `HTTP`, or Evenkeel's own `TLS_ALPN`.
    pub validation_method: Option<String>,
    #[serde(default)]
    pub subject_alternative_names: Members<String>,
    /// 1 to 32 letters, digits and underscores.
    pub idempotency_token: Option<String>,
    /// For validation by mail.
    #[serde(default)]
    pub domain_validation_options: Members<DomainValidationOption>,
    /// For a private authority of AWS's.
    pub certificate_authority_arn: Option<String>,
    #[serde(default)]
    pub tags: Members<Tag>,
    /// `RSA_2048`, `EC_prime256v1` …
    pub key_algorithm: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DomainValidationOption {
    pub domain_name: String,
    pub validation_domain: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RequestCertificateOutput {
    pub certificate_arn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RenewCertificate {
    pub certificate_arn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewCertificateOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DomainValidation {
    pub domain_name: String,
    /// `PENDING_VALIDATION`, `SUCCESS` or `FAILED`.
    pub validation_status: Option<String>,
    /// `HTTP`, or Evenkeel's own `TLS_ALPN`.
    pub validation_method: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RenewalSummary {
    /// `PENDING_AUTO_RENEWAL`, `SUCCESS` or `FAILED`.
    pub renewal_status: String,
    pub domain_validation_options: Members<DomainValidation>,
    /// Of the reasons of `FailureReason`.
    pub renewal_status_reason: Option<String>,
    pub updated_at: Time,
}
