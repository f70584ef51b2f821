//! Certificate Manager's certificates: imported, imported anew, listed, deleted.
//!
//! Owns their form on the wire and their ARNs. What a good certificate is, `crate::certificates` says, as for IAM's
//! ([`super::server_certificates`]); IAM's own are not shown here, as AWS shows none. Next:
//! [`super::requested_certificates`] for those that were requested. Source: ACM API 2015-12-08.

use std::collections::BTreeMap;

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, acm};
use evenkeel_core::change::Change;
use evenkeel_core::name::CertificateArn;
use evenkeel_core::noun::{Certificate, CertificateOrigin, LoadBalancer};

use super::page::Page;
use super::server_certificates::{material, sentence};
use super::words::{self, wire_time};
use super::{Asked, dice, refusal, requested_certificates as requests};

/// The most names that a listing shows of one certificate.
const NAMES_LISTED: usize = 100;

/// What `CertificateArn` must look like.
const ARN_RULE: &str = "Member must satisfy regular expression pattern: \
                        arn:[\\w+=/,.@-]+:acm:[\\w+=/,.@-]*:[0-9]+:[\\w+=,.@-]+(/[\\w+=,.@-]+)*";

pub(super) async fn import(
    asked: &Asked<'_>,
    input: acm::ImportCertificate,
) -> Result<acm::ImportCertificateOutput, Error> {
    let pem = |bytes: &[u8], what: &str| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| Error::validation(format!("The {what} is not PEM: it is not text.")))
    };
    let body = pem(&input.certificate.0, "certificate")?;
    let key = pem(&input.private_key.0, "private key")?;
    let chain = input.certificate_chain.as_ref().map(|chain| pem(&chain.0, "certificate chain")).transpose()?;
    let tags = tags(&input.tags)?;
    let material = material(asked, &body, chain.as_deref(), &key).map_err(|bad| Error::validation(sentence(&bad)))?;
    let Some(arn) = &input.certificate_arn else {
        let certificate = Certificate {
            arn: new_arn(asked)?,
            origin: CertificateOrigin::Imported,
            material: Some(material),
            created: asked.now,
            imported: asked.now,
            tags,
        };
        let certificate_arn = certificate.arn.to_string();
        asked.submit(Change::CreateCertificate(certificate)).await.map_err(refusal::acm)?;
        return Ok(acm::ImportCertificateOutput { certificate_arn });
    };
    let held = existing(asked, arn)?;
    if held.origin != CertificateOrigin::Imported {
        return Err(Error::validation("Only a certificate that was imported can be imported anew."));
    }
    if !tags.is_empty() {
        return Err(Error::validation("Tags go with a new certificate only: use AddTagsToCertificate."));
    }
    let kind = held.material.as_ref().map(|held| held.facts.key_algorithm.as_str());
    if let Some(kind) = kind.filter(|kind| *kind != material.facts.key_algorithm) {
        let new = &material.facts.key_algorithm;
        let text =
            format!("The new certificate must have the key algorithm of the one it replaces: {kind}, not {new}.");
        return Err(Error::validation(text));
    }
    let certificate = held.arn.clone();
    let certificate_arn = certificate.to_string();
    asked.submit(Change::ReplaceCertificate { certificate, material }).await.map_err(refusal::acm)?;
    Ok(acm::ImportCertificateOutput { certificate_arn })
}

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &acm::DescribeCertificate,
) -> Result<acm::DescribeCertificateOutput, Error> {
    let held = existing(asked, &input.certificate_arn)?;
    let summary = summary(asked, held);
    let facts = held.material.as_ref().map(|material| &material.facts);
    let requested = held.requested();
    let asked_for = requested.map(|requested| requested.names.clone());
    let failed = requested.and_then(|requested| requested.failure.as_ref()).filter(|_| summary.status == "FAILED");
    let users = asked.world.users_of(&held.arn).map(|lb| balancer_arn(asked, lb));
    Ok(acm::DescribeCertificateOutput {
        certificate: acm::CertificateDetail {
            certificate_arn: summary.certificate_arn,
            domain_name: summary.domain_name,
            subject_alternative_names: facts.map(|facts| facts.names.clone()).or(asked_for).unwrap_or_default().into(),
            domain_validation_options: requested.map(|r| requests::validations(held, r)).unwrap_or_default(),
            serial: facts.map(|facts| facts.serial.clone()),
            subject: facts.map(|facts| facts.subject.clone()),
            issuer: facts.map(|facts| facts.issuer.clone()),
            created_at: summary.created_at,
            issued_at: summary.issued_at,
            imported_at: summary.imported_at,
            status: summary.status,
            not_before: summary.not_before,
            not_after: summary.not_after,
            key_algorithm: summary.key_algorithm,
            signature_algorithm: facts.map(|facts| facts.signature_algorithm.clone()),
            in_use_by: users.collect(),
            failure_reason: failed.map(|failure| requests::failure_reason(&failure.problem).to_owned()),
            kind: summary.kind,
            renewal_summary: requested.and_then(|requested| requests::renewal(held, requested)),
            renewal_eligibility: summary.renewal_eligibility,
            options: Some(acm::CertificateOptions {
                certificate_transparency_logging_preference: Some("DISABLED".into()),
            }),
        },
    })
}

pub(super) fn get(asked: &Asked<'_>, input: &acm::GetCertificate) -> Result<acm::GetCertificateOutput, Error> {
    let held = existing(asked, &input.certificate_arn)?;
    let Some(material) = &held.material else {
        let text = format!("Certificate {} is not issued yet.", held.arn);
        return Err(Error::sender("RequestInProgressException", text));
    };
    Ok(acm::GetCertificateOutput {
        certificate: material.body_pem.as_ref().to_owned(),
        certificate_chain: Some(material.chain_pem.as_ref().to_owned()).filter(|chain| !chain.is_empty()),
    })
}

pub(super) fn list(asked: &Asked<'_>, input: &acm::ListCertificates) -> Result<acm::ListCertificatesOutput, Error> {
    let page = Page::acm("certificates", input.max_items, input.next_token.as_deref())?;
    let is_descending = match (input.sort_by.as_deref(), input.sort_order.as_deref()) {
        (None, None) => None,
        (Some("CREATED_AT"), None | Some("DESCENDING")) => Some(true),
        (Some("CREATED_AT"), Some("ASCENDING")) => Some(false),
        _ => {
            let text = "SortBy must be CREATED_AT, and SortOrder, which goes with it only, ASCENDING or DESCENDING.";
            return Err(Error::sender("InvalidArgsException", text));
        }
    };
    let includes = input.includes.clone().unwrap_or_default();
    if !includes.key_usage.is_empty() || !includes.extended_key_usage.is_empty() {
        let text = "Certificates cannot be told apart by keyUsage or extendedKeyUsage here: only by keyTypes.";
        return Err(Error::sender("InvalidArgsException", text));
    }
    let is_of_type = |shown: &acm::CertificateSummary| {
        let kind = shown.key_algorithm.as_deref().unwrap_or_default();
        includes.key_types.is_empty() || includes.key_types.iter().any(|wanted| hyphened(wanted) == kind)
    };
    let has_status = |shown: &acm::CertificateSummary| {
        input.certificate_statuses.is_empty() || input.certificate_statuses.contains(&shown.status)
    };
    let all = asked.world.certificates().filter(|held| held.name().is_none()).map(|held| summary(asked, held));
    let wanted = all.filter(|shown| is_of_type(shown) && has_status(shown));
    let key = |shown: &acm::CertificateSummary| {
        let at = shown.created_at.map_or(0, |at| u64::try_from(at.0).unwrap_or_default());
        match is_descending {
            None => shown.certificate_arn.clone(),
            Some(false) => format!("{at:020} {}", shown.certificate_arn),
            Some(true) => format!("{:020} {}", u64::MAX - at, shown.certificate_arn),
        }
    };
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort_by_cached_key(key);
    let (shown, next_token) = page.cut(wanted, key);
    Ok(acm::ListCertificatesOutput { next_token, certificate_summary_list: shown.into() })
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &acm::DeleteCertificate,
) -> Result<acm::DeleteCertificateOutput, Error> {
    let certificate = existing(asked, &input.certificate_arn)?.arn.clone();
    asked.submit(Change::DeleteCertificate { certificate }).await.map_err(refusal::acm)?;
    Ok(acm::DeleteCertificateOutput {})
}

pub(super) async fn add_tags(
    asked: &Asked<'_>,
    input: &acm::AddTagsToCertificate,
) -> Result<acm::AddTagsToCertificateOutput, Error> {
    let certificate = existing(asked, &input.certificate_arn)?.arn.clone();
    not_empty(&input.tags)?;
    let tags = tags(&input.tags)?;
    asked.submit(Change::TagCertificate { certificate, tags }).await.map_err(refusal::acm)?;
    Ok(acm::AddTagsToCertificateOutput {})
}

pub(super) async fn remove_tags(
    asked: &Asked<'_>,
    input: &acm::RemoveTagsFromCertificate,
) -> Result<acm::RemoveTagsFromCertificateOutput, Error> {
    let certificate = existing(asked, &input.certificate_arn)?.arn.clone();
    not_empty(&input.tags)?;
    let tags = input.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    asked.submit(Change::UntagCertificate { certificate, tags }).await.map_err(refusal::acm)?;
    Ok(acm::RemoveTagsFromCertificateOutput {})
}

pub(super) fn list_tags(
    asked: &Asked<'_>,
    input: &acm::ListTagsForCertificate,
) -> Result<acm::ListTagsForCertificateOutput, Error> {
    let held = existing(asked, &input.certificate_arn)?;
    let shown = |(key, value): (&String, &String)| acm::Tag { key: key.clone(), value: Some(value.clone()) };
    Ok(acm::ListTagsForCertificateOutput { tags: held.tags.iter().map(shown).collect() })
}

pub(super) fn new_arn(asked: &Asked<'_>) -> Result<CertificateArn, Error> {
    let settings = asked.world.settings();
    let text = format!("arn:aws:acm:{}:{}:certificate/{}", settings.region, settings.account, dice::request_id());
    CertificateArn::new(text).map_err(|bad| Error::validation(bad.to_string()))
}

fn balancer_arn(asked: &Asked<'_>, lb: &LoadBalancer) -> String {
    let settings = asked.world.settings();
    format!("arn:aws:elasticloadbalancing:{}:{}:loadbalancer/{}", settings.region, settings.account, lb.name)
}

pub(super) fn existing<'w>(asked: &'w Asked<'_>, arn: &str) -> Result<&'w Certificate, Error> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [first, _, service, _, account, resource] = parts[..] else { return Err(no_arn(arn)) };
    if first != "arn" || service != "acm" || account.is_empty() || !account.bytes().all(|b| b.is_ascii_digit()) {
        return Err(no_arn(arn));
    }
    if !resource.starts_with("certificate/") {
        return Err(Error::sender("InvalidArnException", format!("Invalid Arn: {}", words::quoted(arn))));
    }
    let found = CertificateArn::new(arn).ok().and_then(|arn| asked.world.certificate(&arn));
    found.map(AsRef::as_ref).ok_or_else(|| {
        let text = format!("Could not find certificate {}.", words::quoted(arn));
        Error::sender("ResourceNotFoundException", text)
    })
}

fn no_arn(arn: &str) -> Error {
    words::out_of_bounds(arn, "certificateArn", ARN_RULE)
}

pub(super) fn tags(stated: &Members<acm::Tag>) -> Result<BTreeMap<String, String>, Error> {
    let mut tags = BTreeMap::new();
    for tag in stated {
        if tags.insert(tag.key.clone(), tag.value.clone().unwrap_or_default()).is_some() {
            let text = format!("The tag key '{}' comes twice.", words::quoted(&tag.key));
            return Err(Error::sender("InvalidTagException", text));
        }
    }
    Ok(tags)
}

/// Key algorithms are `RSA_2048` in requests and `RSA-2048` in answers.
fn hyphened(algorithm: &str) -> String {
    algorithm.replace('_', "-")
}

fn not_empty(stated: &Members<acm::Tag>) -> Result<(), Error> {
    if stated.is_empty() {
        return Err(words::out_of_bounds("[]", "tags", "Member must have length greater than or equal to 1"));
    }
    Ok(())
}

fn summary(asked: &Asked<'_>, held: &Certificate) -> acm::CertificateSummary {
    let facts = held.material.as_ref().map(|material| &material.facts);
    let requested = held.requested();
    let status = match (facts, requested) {
        (None, Some(requested)) => requests::status(asked, requested),
        (None, None) => "PENDING_VALIDATION",
        (Some(facts), _) if facts.not_after < asked.now => "EXPIRED",
        (Some(_), _) => "ISSUED",
    };
    let asked_for = requested.map(|requested| requested.names.as_slice()).unwrap_or_default();
    let names = facts.map_or(asked_for, |facts| facts.names.as_slice());
    let domain_name = asked_for.first().or(names.first());
    let key_algorithm = facts.map(|facts| facts.key_algorithm.as_str()).or(requested.map(requests::key_algorithm));
    let came = facts.map(|_| wire_time(held.imported));
    acm::CertificateSummary {
        certificate_arn: held.arn.to_string(),
        domain_name: domain_name.cloned(),
        subject_alternative_name_summaries: names.iter().take(NAMES_LISTED).cloned().collect(),
        has_additional_subject_alternative_names: names.len() > NAMES_LISTED,
        status: status.into(),
        kind: if requested.is_some() { "AMAZON_ISSUED" } else { "IMPORTED" }.into(),
        key_algorithm: key_algorithm.map(hyphened),
        in_use: asked.world.users_of(&held.arn).next().is_some(),
        renewal_eligibility: if requested.is_some() && facts.is_some() { "ELIGIBLE" } else { "INELIGIBLE" }.into(),
        not_before: facts.map(|facts| wire_time(facts.not_before)),
        not_after: facts.map(|facts| wire_time(facts.not_after)),
        created_at: Some(wire_time(held.created)),
        issued_at: came.filter(|_| requested.is_some()),
        imported_at: came.filter(|_| requested.is_none()),
    }
}
