//! Server certificates: what HTTPS and SSL listeners show.
//!
//! Next: [`crate::elb`] for the listeners that name them by ARN.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::xml::Members;

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UploadServerCertificate {
    pub path: Option<String>,
    pub server_certificate_name: String,
    /// PEM: the certificate itself.
    pub certificate_body: String,
    /// PEM, without a passphrase.
    pub private_key: String,
    /// PEM: those that lead from it to its root, nearest first.
    pub certificate_chain: Option<String>,
    #[serde(default)]
    pub tags: Members<Tag>,
}

/// Shows no key.
impl fmt::Debug for UploadServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadServerCertificate")
            .field("server_certificate_name", &self.server_certificate_name)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UploadServerCertificateOutput {
    pub server_certificate_metadata: ServerCertificateMetadata,
    pub tags: Members<Tag>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServerCertificateMetadata {
    pub path: String,
    pub server_certificate_name: String,
    pub server_certificate_id: String,
    pub arn: String,
    pub upload_date: Time,
    pub expiration: Time,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetServerCertificate {
    pub server_certificate_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetServerCertificateOutput {
    pub server_certificate: ServerCertificate,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServerCertificate {
    pub server_certificate_metadata: ServerCertificateMetadata,
    pub certificate_body: String,
    pub certificate_chain: Option<String>,
    pub tags: Members<Tag>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListServerCertificates {
    /// `/` when not stated.
    pub path_prefix: Option<String>,
    pub marker: Option<String>,
    /// 1 to 1000; 100 when not stated.
    pub max_items: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListServerCertificatesOutput {
    pub server_certificate_metadata_list: Members<ServerCertificateMetadata>,
    pub is_truncated: bool,
    /// Absent on the last page.
    pub marker: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateServerCertificate {
    pub server_certificate_name: String,
    pub new_path: Option<String>,
    pub new_server_certificate_name: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateServerCertificateOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteServerCertificate {
    pub server_certificate_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteServerCertificateOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagServerCertificate {
    pub server_certificate_name: String,
    pub tags: Members<Tag>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagServerCertificateOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagServerCertificate {
    pub server_certificate_name: String,
    pub tag_keys: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UntagServerCertificateOutput {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListServerCertificateTags {
    pub server_certificate_name: String,
    pub marker: Option<String>,
    /// 1 to 1000; 100 when not stated.
    pub max_items: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListServerCertificateTagsOutput {
    pub tags: Members<Tag>,
    pub is_truncated: bool,
    /// Absent on the last page.
    pub marker: Option<String>,
}
