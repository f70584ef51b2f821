//! Certificate Manager, version 2015-12-08, which its clients speak in AWS JSON 1.1: its inputs, outputs and table of
//! actions.
//!
//! Knows names and shapes, not rules. Next: [`certificate`], [`request`], [`tag`], and [`crate::dispatch`] for what the table makes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

pub mod certificate;
pub mod request;
pub mod tag;

pub use certificate::*;
pub use request::*;
pub use tag::*;

use crate::dispatch::{Api, actions};

actions! {
    Api::Acm;
    AddTagsToCertificate => AddTagsToCertificateOutput,
    DeleteCertificate => DeleteCertificateOutput,
    DescribeCertificate => DescribeCertificateOutput,
    GetCertificate => GetCertificateOutput,
    ImportCertificate => ImportCertificateOutput,
    ListCertificates => ListCertificatesOutput,
    ListTagsForCertificate => ListTagsForCertificateOutput,
    RemoveTagsFromCertificate => RemoveTagsFromCertificateOutput,
    RenewCertificate => RenewCertificateOutput,
    RequestCertificate => RequestCertificateOutput,
}
