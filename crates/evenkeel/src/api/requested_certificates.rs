//! Certificate Manager's requests: certificates that the daemon gets from an ACME server, and renews.
//!
//! Owns their form on the wire: what may be asked for, and how far a request is in AWS's words. What is done about it is
//! `loops/acme`'s. Next: [`super::managed_certificates`] for all that requested and imported certificates share. Source: ACM
//! API 2015-12-08, RequestCertificate, RenewCertificate, DescribeCertificate.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, acm};
use evenkeel_core::change::{Change, Reply};
use evenkeel_core::noun::requested::MOST_NAMES;
use evenkeel_core::noun::{Certificate, CertificateOrigin, KeyType, Problem, Progress, Proof, Requested};

use super::managed_certificates::{existing, new_arn, tags};
use super::words::{self, wire_time};
use super::{Asked, refusal};

/// What a domain name must look like (ACM's rule, without the asterisk).
const NAME_RULE: &str = "Member must satisfy regular expression pattern: \
                         (\\*\\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])";

pub(super) async fn request(
    asked: &Asked<'_>,
    input: acm::RequestCertificate,
) -> Result<acm::RequestCertificateOutput, Error> {
    let mut requested = read(asked, &input)?;
    if let Some(token) = input.idempotency_token {
        let fits = (1..=32).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            let rule = "Member must satisfy regular expression pattern: \\w+, and have length less than or equal to 32";
            return Err(words::out_of_bounds(&words::quoted(&token), "idempotencyToken", rule));
        }
        requested.token = Some(token);
    }
    if !asked.api.requests {
        return Err(refused(
            "Certificates cannot be requested: the daemon was started without an ACME server to get them from. Start it \
             with --acme-directory URL and --acme-agree-tos.",
        ));
    }
    let certificate = Certificate {
        arn: new_arn(asked)?,
        origin: CertificateOrigin::Requested(Box::new(requested)),
        material: None,
        created: asked.now,
        imported: asked.now,
        tags: tags(&input.tags)?,
    };
    let arn = certificate.arn.clone();
    let reply = asked.submit(Change::CreateCertificate(certificate)).await.map_err(refusal::acm)?;
    let arn = if let Reply::Certificate(same) = reply { same } else { arn };
    Ok(acm::RequestCertificateOutput { certificate_arn: arn.to_string() })
}

pub(super) async fn renew(
    asked: &Asked<'_>,
    input: &acm::RenewCertificate,
) -> Result<acm::RenewCertificateOutput, Error> {
    let certificate = existing(asked, &input.certificate_arn)?.arn.clone();
    asked.submit(Change::RenewCertificate { certificate }).await.map_err(refusal::acm)?;
    Ok(acm::RenewCertificateOutput {})
}

fn read(asked: &Asked<'_>, input: &acm::RequestCertificate) -> Result<Requested, Error> {
    let proof = match input.validation_method.as_deref() {
        None | Some("HTTP") => Proof::Http,
        Some("TLS_ALPN") => Proof::TlsAlpn,
        Some(other) => {
            let other = words::quoted(other);
            return Err(refused(format!(
                "ValidationMethod {other} is not supported: names are proved through the load balancers, by HTTP \
                 (HTTP-01) or TLS_ALPN (TLS-ALPN-01)."
            )));
        }
    };
    let key = match input.key_algorithm.as_deref() {
        None | Some("EC_prime256v1") => KeyType::P256,
        Some("RSA_2048") => KeyType::Rsa2048,
        Some(other) => {
            let other = words::quoted(other);
            return Err(refused(format!(
                "KeyAlgorithm {other} is not supported: it must be EC_prime256v1 or RSA_2048."
            )));
        }
    };
    if input.certificate_authority_arn.is_some() {
        return Err(refused(
            "CertificateAuthorityArn is not supported: certificates come from the daemon's ACME server.",
        ));
    }
    if !input.domain_validation_options.is_empty() {
        let text = "DomainValidationOptions go with validation by mail only, which is not supported.";
        return Err(Error::sender("InvalidDomainValidationOptionsException", text));
    }
    let mut names: Vec<String> = Vec::new();
    for stated in std::iter::once(&input.domain_name).chain(&input.subject_alternative_names) {
        let name = name(stated)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > MOST_NAMES {
        let text = format!("A certificate can be for at most {MOST_NAMES} names, and this one is for {}.", names.len());
        return Err(Error::sender("LimitExceededException", text));
    }
    Ok(Requested::new(names, key, proof, asked.now))
}

/// A domain name in lower case.
fn name(stated: &str) -> Result<String, Error> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let bare = stated.strip_prefix("*.").unwrap_or(stated);
    let labels: Vec<&str> = bare.split('.').collect();
    let is_address = labels.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let good = bare.len() <= 253 && labels.len() > 1 && labels.iter().all(|part| label(part)) && !is_address;
    if !good || labels.last().is_some_and(|last| last.len() < 2) {
        return Err(words::out_of_bounds(&words::quoted(stated), "domainName", NAME_RULE));
    }
    if bare.len() < stated.len() {
        return Err(refused(format!(
            "{stated} cannot be requested: names with an asterisk are proved through DNS only, which is not supported."
        )));
    }
    Ok(stated.to_ascii_lowercase())
}

fn refused(text: impl Into<String>) -> Error {
    Error::sender("InvalidParameterException", text.into())
}

/// The status of one that was requested, as long as it is not there.
pub(super) fn status(asked: &Asked<'_>, requested: &Requested) -> &'static str {
    match requested.progress(false, asked.now) {
        Progress::Pending => "PENDING_VALIDATION",
        Progress::Issued => "ISSUED",
        Progress::Failed => "FAILED",
        Progress::TimedOut => "VALIDATION_TIMED_OUT",
    }
}

/// Why it failed, in the words that Certificate Manager has for it.
pub(super) fn failure_reason(problem: &Problem) -> &'static str {
    match problem.kind.as_str() {
        "caa" => "CAA_ERROR",
        "rejectedIdentifier" | "unsupportedIdentifier" => "DOMAIN_NOT_ALLOWED",
        "unauthorized" | "connection" | "dns" | "tls" | "incorrectResponse" | "unsupported" => {
            "DOMAIN_VALIDATION_DENIED"
        }
        _ => "OTHER",
    }
}

/// How far each name is.
pub(super) fn validations(held: &Certificate, requested: &Requested) -> Members<acm::DomainValidation> {
    let is_new = held.material.is_none();
    let method = match requested.proof {
        Proof::Http => "HTTP",
        Proof::TlsAlpn => "TLS_ALPN",
    };
    let failed = requested.failure.as_ref().filter(|failure| failure.problem.judged);
    let shown = |name: &String| {
        let is_about = |of: &Option<String>| of.as_ref().is_none_or(|of| of == name);
        let status = match failed {
            Some(failure) if is_new && is_about(&failure.problem.name) => "FAILED",
            _ if is_new => "PENDING_VALIDATION",
            _ => "SUCCESS",
        };
        acm::DomainValidation {
            domain_name: name.clone(),
            validation_status: Some(status.into()),
            validation_method: Some(method.into()),
        }
    };
    requested.names.iter().map(shown).collect()
}

/// How its renewal fares, if there is or was one.
pub(super) fn renewal(held: &Certificate, requested: &Requested) -> Option<acm::RenewalSummary> {
    held.material.as_ref()?;
    let failure = requested.failure.as_ref();
    let (status, reason, at) = match (failure, &requested.order) {
        (Some(failure), _) if failure.problem.judged => ("FAILED", Some(failure_reason(&failure.problem)), failure.at),
        (Some(failure), _) => ("PENDING_AUTO_RENEWAL", None, failure.at),
        (None, Some(order)) => ("PENDING_AUTO_RENEWAL", None, order.begun),
        (None, None) if requested.renew => ("PENDING_AUTO_RENEWAL", None, requested.asked),
        (None, None) => ("SUCCESS", None, requested.renewed?),
    };
    Some(acm::RenewalSummary {
        renewal_status: status.into(),
        domain_validation_options: validations(held, requested),
        renewal_status_reason: reason.map(str::to_owned),
        updated_at: wire_time(at),
    })
}

/// The kind of key that it is to have, as requests name it.
pub(super) fn key_algorithm(requested: &Requested) -> &'static str {
    match requested.key {
        KeyType::P256 => "EC_prime256v1",
        KeyType::Rsa2048 => "RSA_2048",
    }
}
