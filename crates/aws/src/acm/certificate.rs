//! Certificates: imported, described, listed, deleted.
//!
//! PEM travels as bytes on the way in and as text on the way out. Next: [`super::tag`]; [`crate::iam`] for the server
//! certificates that listeners may name as well.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DomainValidation, RenewalSummary, Tag};
use crate::blob::Blob;
use crate::time::Time;
use crate::xml::Members;

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportCertificate {
    /// `None`: a new one; else in place of that one's content.
    pub certificate_arn: Option<String>,
    pub certificate: Blob,
    /// PEM, without a passphrase.
    pub private_key: Blob,
    pub certificate_chain: Option<Blob>,
    /// Only with a new one.
    #[serde(default)]
    pub tags: Members<Tag>,
}

/// Shows no key.
impl fmt::Debug for ImportCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportCertificate").field("certificate_arn", &self.certificate_arn).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImportCertificateOutput {
    pub certificate_arn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeCertificate {
    pub certificate_arn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeCertificateOutput {
    pub certificate: CertificateDetail,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CertificateDetail {
    pub certificate_arn: String,
    pub domain_name: Option<String>,
    pub subject_alternative_names: Members<String>,
    /// Of a requested one.
    pub domain_validation_options: Members<DomainValidation>,
    pub serial: Option<String>,
    pub subject: Option<String>,
    pub issuer: Option<String>,
    pub created_at: Option<Time>,
    pub issued_at: Option<Time>,
    pub imported_at: Option<Time>,
    /// `ISSUED`, `EXPIRED`, `PENDING_VALIDATION` …
    pub status: String,
    pub not_before: Option<Time>,
    pub not_after: Option<Time>,
    /// `RSA-2048`, `EC-prime256v1` …
    pub key_algorithm: Option<String>,
    pub signature_algorithm: Option<String>,
    /// ARNs of the load balancers that show it.
    pub in_use_by: Members<String>,
    /// `DOMAIN_VALIDATION_DENIED`, `CAA_ERROR` … where the status is `FAILED`.
    pub failure_reason: Option<String>,
    /// `IMPORTED`, or `AMAZON_ISSUED` for one that was requested.
    #[serde(rename = "Type")]
    pub kind: String,
    pub renewal_summary: Option<RenewalSummary>,
    /// `ELIGIBLE` or `INELIGIBLE`.
    pub renewal_eligibility: String,
    pub options: Option<CertificateOptions>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CertificateOptions {
    /// `ENABLED` or `DISABLED`.
    pub certificate_transparency_logging_preference: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCertificate {
    pub certificate_arn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetCertificateOutput {
    /// PEM.
    pub certificate: String,
    /// PEM, nearest first.
    pub certificate_chain: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListCertificates {
    /// Empty: all.
    #[serde(default)]
    pub certificate_statuses: Members<String>,
    pub includes: Option<Filters>,
    pub next_token: Option<String>,
    /// 1 to 1000.
    pub max_items: Option<i64>,
    /// `CREATED_AT`.
    pub sort_by: Option<String>,
    /// `ASCENDING` or `DESCENDING`.
    pub sort_order: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filters {
    #[serde(default)]
    pub extended_key_usage: Members<String>,
    #[serde(default)]
    pub key_usage: Members<String>,
    /// `RSA_2048`, `EC_prime256v1` …
    #[serde(default)]
    pub key_types: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListCertificatesOutput {
    /// Absent on the last page.
    pub next_token: Option<String>,
    pub certificate_summary_list: Members<CertificateSummary>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CertificateSummary {
    pub certificate_arn: String,
    pub domain_name: Option<String>,
    pub subject_alternative_name_summaries: Members<String>,
    pub has_additional_subject_alternative_names: bool,
    pub status: String,
    #[serde(rename = "Type")]
    pub kind: String,
    pub key_algorithm: Option<String>,
    pub in_use: bool,
    pub renewal_eligibility: String,
    pub not_before: Option<Time>,
    pub not_after: Option<Time>,
    pub created_at: Option<Time>,
    pub issued_at: Option<Time>,
    pub imported_at: Option<Time>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteCertificate {
    pub certificate_arn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteCertificateOutput {}
