//! IAM's server certificates: uploaded, listed, renamed, deleted.
//!
//! Owns their form on the wire and their names and ARNs. What a good certificate is, `crate::certificates` says; keys are
//! sealed here, before anything keeps them. Source: IAM API 2010-05-08.

use std::sync::Arc;

use evenkeel_aws::{Error, iam};
use evenkeel_core::change::Change;
use evenkeel_core::name::CertificateArn;
use evenkeel_core::noun::{Certificate, CertificateOrigin, Material};

use super::page::Page;
use super::users::{path, shown_tags, tags};
use super::words::wire_time;
use super::{Asked, dice, refusal, words};
use crate::certificates::{BadCertificate, examine};
use crate::seal;

pub(super) async fn upload(
    asked: &Asked<'_>,
    input: iam::UploadServerCertificate,
) -> Result<iam::UploadServerCertificateOutput, Error> {
    let name = new_name(&input.server_certificate_name)?;
    let path = path(input.path.as_deref())?;
    let tags = tags(&input.tags)?;
    let material = material(asked, &input.certificate_body, input.certificate_chain.as_deref(), &input.private_key)
        .map_err(malformed)?;
    let arn = arn(asked, &path, &name)?;
    let certificate = Certificate {
        arn,
        origin: CertificateOrigin::Uploaded { name, path, id: dice::identity_id("ASCA")? },
        material: Some(material),
        created: asked.now,
        imported: asked.now,
        tags,
    };
    let output = iam::UploadServerCertificateOutput {
        server_certificate_metadata: metadata(&certificate).unwrap_or_default(),
        tags: shown_tags(&certificate.tags),
    };
    asked.submit(Change::CreateCertificate(certificate)).await.map_err(refusal::iam)?;
    Ok(output)
}

pub(super) fn get(
    asked: &Asked<'_>,
    input: &iam::GetServerCertificate,
) -> Result<iam::GetServerCertificateOutput, Error> {
    let held = existing(asked, &input.server_certificate_name)?;
    let text = |pem: &Arc<str>| pem.as_ref().to_owned();
    let material = held.material.as_ref();
    Ok(iam::GetServerCertificateOutput {
        server_certificate: iam::ServerCertificate {
            server_certificate_metadata: metadata(held).unwrap_or_default(),
            certificate_body: material.map(|m| text(&m.body_pem)).unwrap_or_default(),
            certificate_chain: material.map(|m| text(&m.chain_pem)).filter(|chain| !chain.is_empty()),
            tags: shown_tags(&held.tags),
        },
    })
}

pub(super) fn list(
    asked: &Asked<'_>,
    input: &iam::ListServerCertificates,
) -> Result<iam::ListServerCertificatesOutput, Error> {
    let page = Page::iam("server-certificates", input.max_items, input.marker.as_deref())?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let all = asked.world.certificates().filter_map(|certificate| metadata(certificate));
    let mut wanted: Vec<_> = all.filter(|shown| shown.path.starts_with(prefix)).collect();
    wanted.sort_by(|a, b| a.server_certificate_name.cmp(&b.server_certificate_name));
    let (shown, marker) = page.cut(wanted, |shown| shown.server_certificate_name.clone());
    Ok(iam::ListServerCertificatesOutput {
        server_certificate_metadata_list: shown.into(),
        is_truncated: marker.is_some(),
        marker,
    })
}

pub(super) async fn update(
    asked: &Asked<'_>,
    input: &iam::UpdateServerCertificate,
) -> Result<iam::UpdateServerCertificateOutput, Error> {
    let held = existing(asked, &input.server_certificate_name)?;
    let CertificateOrigin::Uploaded { name, path: held_path, .. } = &held.origin else {
        return Err(absent(&input.server_certificate_name));
    };
    let name = match &input.new_server_certificate_name {
        Some(new) => new_name(new)?,
        None => name.clone(),
    };
    let path = match &input.new_path {
        Some(new) => path(Some(new))?,
        None => held_path.clone(),
    };
    let to = arn(asked, &path, &name)?;
    let change = Change::RenameCertificate { certificate: held.arn.clone(), to, name, path };
    asked.submit(change).await.map_err(refusal::iam)?;
    Ok(iam::UpdateServerCertificateOutput {})
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &iam::DeleteServerCertificate,
) -> Result<iam::DeleteServerCertificateOutput, Error> {
    let certificate = existing(asked, &input.server_certificate_name)?.arn.clone();
    asked.submit(Change::DeleteCertificate { certificate }).await.map_err(refusal::iam)?;
    Ok(iam::DeleteServerCertificateOutput {})
}

pub(super) async fn tag(
    asked: &Asked<'_>,
    input: &iam::TagServerCertificate,
) -> Result<iam::TagServerCertificateOutput, Error> {
    let certificate = existing(asked, &input.server_certificate_name)?.arn.clone();
    let tags = tags(&input.tags)?;
    asked.submit(Change::TagCertificate { certificate, tags }).await.map_err(refusal::iam)?;
    Ok(iam::TagServerCertificateOutput {})
}

pub(super) async fn untag(
    asked: &Asked<'_>,
    input: &iam::UntagServerCertificate,
) -> Result<iam::UntagServerCertificateOutput, Error> {
    let certificate = existing(asked, &input.server_certificate_name)?.arn.clone();
    let tags = input.tag_keys.iter().map(|key| (key.clone(), None)).collect();
    asked.submit(Change::UntagCertificate { certificate, tags }).await.map_err(refusal::iam)?;
    Ok(iam::UntagServerCertificateOutput {})
}

pub(super) fn list_tags(
    asked: &Asked<'_>,
    input: &iam::ListServerCertificateTags,
) -> Result<iam::ListServerCertificateTagsOutput, Error> {
    let page = Page::iam("server-certificate-tags", input.max_items, input.marker.as_deref())?;
    let held = existing(asked, &input.server_certificate_name)?;
    let (shown, marker) = page.cut(shown_tags(&held.tags), |tag| tag.key.clone());
    Ok(iam::ListServerCertificateTagsOutput { tags: shown.into(), is_truncated: marker.is_some(), marker })
}

/// What came in, checked, with its key sealed.
pub(super) fn material(
    asked: &Asked<'_>,
    body: &str,
    chain: Option<&str>,
    key: &str,
) -> Result<Material, BadCertificate> {
    let facts = examine(body, chain, key, asked.now)?;
    let sealed = asked.api.seal.seal(seal::CERTIFICATE_KEY, key.as_bytes());
    let sealed = sealed.map_err(|error| BadCertificate::Key(format!("could not be sealed: {error}")))?;
    let pem = |text: &str| match text.trim() {
        "" => Arc::from(""),
        text => format!("{text}\n").into(),
    };
    let chain_pem = pem(chain.unwrap_or_default());
    Ok(Material { body_pem: pem(body), chain_pem, sealed_key: sealed.into(), facts })
}

/// As IAM words it.
fn malformed(bad: BadCertificate) -> Error {
    match &bad {
        BadCertificate::Mismatch => Error::sender("KeyPairMismatch", sentence(&bad)),
        _ => Error::sender("MalformedCertificate", sentence(&bad)),
    }
}

/// The error as a sentence for people: it begins with a capital and ends with a stop.
pub(super) fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn existing<'w>(asked: &'w Asked<'_>, name: &str) -> Result<&'w Certificate, Error> {
    let found = asked.world.certificates().find(|held| held.name().is_some_and(|own| own.eq_ignore_ascii_case(name)));
    found.map(AsRef::as_ref).ok_or_else(|| absent(name))
}

fn absent(name: &str) -> Error {
    let text = format!("The Server Certificate with name {} cannot be found.", words::quoted(name));
    Error::sender("NoSuchEntity", text).with_status(404)
}

fn new_name(text: &str) -> Result<String, Error> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if (1..=128).contains(&text.len()) && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    let text = words::quoted(text);
    Err(Error::validation(format!(
        "The specified value for serverCertificateName is invalid: '{text}' must contain only alphanumeric characters and/or the following: +=,.@_-, 1 to 128 of them"
    )))
}

fn arn(asked: &Asked<'_>, path: &str, name: &str) -> Result<CertificateArn, Error> {
    let text = format!("arn:aws:iam::{}:server-certificate{path}{name}", asked.world.settings().account);
    CertificateArn::new(text).map_err(|bad| Error::validation(bad.to_string()))
}

/// `None` for those that IAM does not keep.
fn metadata(certificate: &Certificate) -> Option<iam::ServerCertificateMetadata> {
    let CertificateOrigin::Uploaded { name, path, id } = &certificate.origin else { return None };
    let expiration = certificate.material.as_ref().map(|m| wire_time(m.facts.not_after));
    Some(iam::ServerCertificateMetadata {
        path: path.clone(),
        server_certificate_name: name.clone(),
        server_certificate_id: id.clone(),
        arn: certificate.arn.to_string(),
        upload_date: wire_time(certificate.created),
        expiration: expiration.unwrap_or_default(),
    })
}
