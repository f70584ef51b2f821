//! Certificates that the daemon gets from its ACME server: asked for, waited for, asked for anew.
//!
//! Must never speak ACME: the daemon does. Next: [`super::found`] for what became of them.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::acm;

use crate::cli::client::{Client, told};
use crate::cli::failure::{Outcome, hinted};
use crate::cli::settings::Reach;
use crate::cli::streams::Streams;
use crate::cli::wait;
use crate::run::status::Report;

/// Arguments of `evenkeel cert request`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel cert request www.example.com example.com --wait\n  evenkeel cert request www.example.com --tls-alpn     proved by an HTTPS or SSL listener on port 443\n\nThe names must lead to load balancers of this daemon: to an HTTP listener on port 80, or with `--tls-alpn` to an\nHTTPS or SSL listener on port 443. It is renewed by itself."
)]
pub struct Request {
    /// Names that it is to be for; the first one is what it is listed by
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Prove the names over TLS (TLS-ALPN-01) rather than HTTP (HTTP-01)
    #[arg(long)]
    pub tls_alpn: bool,
    /// An RSA key of 2,048 bits rather than one of ECDSA over P-256
    #[arg(long)]
    pub rsa: bool,
    /// Wait until it is issued
    #[arg(long)]
    pub wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = wait::parse_seconds)]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel cert renew`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel cert renew arn:aws:acm:…\n  evenkeel cert renew arn:aws:acm:… --wait")]
pub struct Renew {
    /// ARN
    #[arg(value_name = "ARN")]
    pub arn: String,
    /// Wait until it is issued
    #[arg(long)]
    pub wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = wait::parse_seconds)]
    pub timeout: Duration,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Asks for a certificate and prints its ARN.
///
/// # Errors
/// What the daemon refuses; with `--wait`, one that is not issued in time.
pub(super) fn request(args: &Request, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let (first, others) = args.names.split_first().context("failed to request a certificate: it is for no name")?;
    let input = acm::RequestCertificate {
        domain_name: first.clone(),
        subject_alternative_names: others.iter().cloned().collect(),
        validation_method: Some(if args.tls_alpn { "TLS_ALPN" } else { "HTTP" }.into()),
        key_algorithm: Some(if args.rsa { "RSA_2048" } else { "EC_prime256v1" }.into()),
        ..Default::default()
    };
    let arn = client.call(&input).map_err(|error| match told(&error) {
        Some(refused) if refused.message.contains("--acme-directory") => hinted(
            format!("failed to request a certificate: {}", refused.message),
            "`evenkeel up --help` says which servers there are",
        ),
        _ => error.context("failed to request a certificate"),
    })?;
    let arn = arn.certificate_arn;
    writeln!(streams.out, "{arn}")?;
    streams.out.flush()?;
    if args.wait { until_issued(client, &arn, None, args.timeout) } else { Ok(Outcome::Done) }
}

/// Asks for one anew.
///
/// # Errors
/// As for [`request`].
pub(super) fn renew(args: &Renew, client: &Client) -> anyhow::Result<Outcome> {
    let failed = || format!("failed to renew the certificate `{}`", args.arn);
    let before = described(client, &args.arn).with_context(failed)?.serial;
    client.call(&acm::RenewCertificate { certificate_arn: args.arn.clone() }).with_context(failed)?;
    if args.wait { until_issued(client, &args.arn, before.as_deref(), args.timeout) } else { Ok(Outcome::Done) }
}

fn described(client: &Client, arn: &str) -> anyhow::Result<acm::CertificateDetail> {
    Ok(client.call(&acm::DescribeCertificate { certificate_arn: arn.to_owned() })?.certificate)
}

/// Waits until there is a certificate of another serial number than `before`.
fn until_issued(client: &Client, arn: &str, before: Option<&str>, timeout: Duration) -> anyhow::Result<Outcome> {
    let look = || {
        let detail = described(client, arn)?;
        let is_new = detail.serial.is_some() && detail.serial.as_deref() != before;
        let has_failed = matches!(detail.status.as_str(), "FAILED" | "VALIDATION_TIMED_OUT")
            || detail.renewal_summary.is_some_and(|renewal| renewal.renewal_status == "FAILED");
        Ok(if is_new { Some(true) } else { has_failed.then_some(false) })
    };
    match wait::until(timeout, look)? {
        Some(true) => Ok(Outcome::Done),
        outcome => {
            let why = why(client, arn).map_or_else(String::new, |why| format!(": {why}"));
            let what = if outcome.is_some() {
                format!("failed to get the certificate{why}")
            } else {
                format!("failed to get the certificate within {} s{why}", timeout.as_secs())
            };
            Err(hinted(what, format!("it is tried again by itself; `evenkeel cert show {arn}` says how it fares")))
        }
    }
}

/// What the daemon has to say about a certificate that it works on.
pub(super) fn why(client: &Client, arn: &str) -> Option<String> {
    let report: Report = serde_json::from_slice(&client.status().ok()?).ok()?;
    let notes = &report.loops.get("acme")?.notes;
    // The server's trouble is everybody's; what is about this one ends in its ARN.
    let about = |note: &&String| note.starts_with("the server ") || note.ends_with(arn);
    let told = |note: &String| note.strip_suffix(&format!(": {arn}")).unwrap_or(note).to_owned();
    let lines: Vec<String> = notes.iter().filter(about).map(told).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}
