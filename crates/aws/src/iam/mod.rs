//! Identity and Access Management, version 2010-05-08: its inputs, outputs and table of actions.
//!
//! Knows names and shapes, not rules. Next: [`certificate`], and [`crate::dispatch`] for what the table makes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

pub mod certificate;

pub use certificate::*;

use crate::dispatch::{Api, actions};

actions! {
    Api::Iam;
    DeleteServerCertificate => DeleteServerCertificateOutput,
    GetServerCertificate => GetServerCertificateOutput,
    ListServerCertificates => ListServerCertificatesOutput,
    ListServerCertificateTags => ListServerCertificateTagsOutput,
    TagServerCertificate => TagServerCertificateOutput,
    UntagServerCertificate => UntagServerCertificateOutput,
    UpdateServerCertificate => UpdateServerCertificateOutput,
    UploadServerCertificate => UploadServerCertificateOutput,
}
