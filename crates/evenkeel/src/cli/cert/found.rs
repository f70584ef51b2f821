//! The certificates that are there, IAM's and Certificate Manager's: their names, until when they hold, who shows them.
//!
//! Next: [`super`].

use anyhow::Context;
use evenkeel_aws::{Time, acm, elb, iam};
use serde_json::{Value, json};

use super::requested::why;
use super::{List, Show, is_managed, own_name};
use crate::cli::client::{Client, now};
use crate::cli::difference::Line;
use crate::cli::streams::Streams;
use crate::cli::table::Table;

const MILLIS_A_DAY: i64 = 86_400_000;

/// One certificate, of either API.
struct Found {
    name: String,
    arn: String,
    expires: Time,
    /// As AWS names it, where it is not there yet: `PENDING_VALIDATION`.
    status: Option<String>,
}

impl Found {
    /// Until when it holds, or how far it is.
    fn fares(&self) -> String {
        match &self.status {
            Some(status) => status.to_lowercase().replace('_', " "),
            None => expiry(self.expires, now()),
        }
    }
}

/// Prints all, by name.
pub(super) fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let balancers = client.load_balancers(&[]).context("failed to list load balancers")?;
    let mut found = all(client).context("failed to list certificates")?;
    found.sort_by(|a, b| (&a.name, &a.arn).cmp(&(&b.name, &b.arn)));
    if args.json {
        let shown: Vec<Value> = found.iter().map(|one| as_json(one, &users(&balancers, &one.arn))).collect();
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown)?)?);
    }
    let mut table = Table::new(["NAME", "EXPIRES", "SHOWN BY", "ARN"]);
    for one in found {
        let (fares, users) = (one.fares(), users(&balancers, &one.arn).join(","));
        table.push([one.name, fares, users, one.arn]);
    }
    Ok(table.write(streams)?)
}

/// Prints one.
pub(super) fn show(args: &Show, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let failed = || format!("failed to show the certificate `{}`", args.name);
    let (one, body, chain) = one(client, &args.name).with_context(failed)?;
    let requested = if is_managed(&one.arn) { why(client, &one.arn) } else { None };
    if args.pem && one.status.is_some() {
        anyhow::bail!("{}: it is not issued yet", failed());
    }
    if args.pem {
        write!(streams.out, "{body}{}", chain.unwrap_or_default())?;
        return Ok(());
    }
    let users = users(&client.load_balancers(&[]).with_context(failed)?, &one.arn);
    if args.json {
        writeln!(streams.out, "{}", serde_json::to_string_pretty(&as_json(&one, &users))?)?;
        return Ok(());
    }
    let shown = if users.is_empty() { "nobody".to_owned() } else { users.join(", ") };
    writeln!(streams.out, "name:      {}\narn:       {}", one.name, one.arn)?;
    let label = if one.status.is_some() { "status:  " } else { "expires: " };
    writeln!(streams.out, "{label}  {}\nshown by:  {shown}", one.fares())?;
    if let Some(why) = requested {
        writeln!(streams.out, "request:   {why}")?;
    }
    Ok(())
}

/// The ARN of a certificate by its name; an ARN is its own.
///
/// # Errors
/// No such certificate, and those of the client.
pub(in crate::cli) fn arn(client: &Client, name: &str) -> anyhow::Result<String> {
    if name.starts_with("arn:") {
        return Ok(name.to_owned());
    }
    let input = iam::GetServerCertificate { server_certificate_name: name.to_owned() };
    let held = client.call(&input).with_context(|| format!("failed to find the certificate `{name}`"))?;
    Ok(held.server_certificate.server_certificate_metadata.arn)
}

/// The names of all certificates of IAM's.
///
/// # Errors
/// Those of the client.
pub(super) fn uploaded(client: &Client) -> anyhow::Result<Vec<String>> {
    let all = all(client).context("failed to list certificates")?;
    Ok(all.into_iter().filter(|found| !is_managed(&found.arn)).map(|found| found.name).collect())
}

/// A certificate as differences tell it, and its ARN.
///
/// # Errors
/// No such certificate, and those of the client.
pub(super) fn line(client: &Client, name: &str) -> anyhow::Result<(Line, String)> {
    let (found, ..) = one(client, name)?;
    let until = if found.status.is_some() { found.fares() } else { format!("until {}", date(found.expires)) };
    Ok((Line::new("certificate", format!("{} {until}", found.name)), found.arn))
}

/// `2027-01-01`.
pub(super) fn date(at: Time) -> String {
    at.to_string().chars().take(10).collect()
}

/// The ARNs of all certificates.
///
/// # Errors
/// Those of the client.
pub(in crate::cli) fn arns(client: &Client) -> anyhow::Result<Vec<String>> {
    Ok(all(client).context("failed to list certificates")?.into_iter().map(|found| found.arn).collect())
}

fn all(client: &Client) -> anyhow::Result<Vec<Found>> {
    let uploaded = client.call(&iam::ListServerCertificates { max_items: Some(1000), ..Default::default() })?;
    let managed = client.call(&acm::ListCertificates::default())?;
    let uploaded = uploaded.server_certificate_metadata_list.into_iter().map(of_iam);
    let managed = managed.certificate_summary_list.into_iter().map(|summary| Found {
        name: summary.domain_name.unwrap_or_default(),
        arn: summary.certificate_arn,
        expires: summary.not_after.unwrap_or_default(),
        status: summary.not_after.is_none().then_some(summary.status),
    });
    Ok(uploaded.chain(managed).collect())
}

/// A certificate, its PEM and its chain's.
fn one(client: &Client, name: &str) -> anyhow::Result<(Found, String, Option<String>)> {
    if is_managed(name) {
        let certificate_arn = name.to_owned();
        let detail = client.call(&acm::DescribeCertificate { certificate_arn: certificate_arn.clone() })?.certificate;
        let found = Found {
            name: detail.domain_name.unwrap_or_default(),
            arn: detail.certificate_arn,
            expires: detail.not_after.unwrap_or_default(),
            status: detail.not_after.is_none().then_some(detail.status),
        };
        if found.status.is_some() {
            return Ok((found, String::new(), None));
        }
        let held = client.call(&acm::GetCertificate { certificate_arn })?;
        return Ok((found, held.certificate, held.certificate_chain));
    }
    let server_certificate_name = own_name(name).to_owned();
    let held = client.call(&iam::GetServerCertificate { server_certificate_name })?.server_certificate;
    Ok((of_iam(held.server_certificate_metadata), held.certificate_body, held.certificate_chain))
}

fn of_iam(metadata: iam::ServerCertificateMetadata) -> Found {
    Found { name: metadata.server_certificate_name, arn: metadata.arn, expires: metadata.expiration, status: None }
}

/// `web:443`: the listeners that show a certificate.
pub(super) fn users(balancers: &[elb::LoadBalancerDescription], arn: &str) -> Vec<String> {
    let listeners = balancers.iter().flat_map(|balancer| {
        let listeners = balancer.listener_descriptions.iter().map(|described| &described.listener);
        listeners.map(move |listener| (&balancer.load_balancer_name, listener))
    });
    let showing = listeners.filter(|(_, listener)| listener.ssl_certificate_id.as_deref() == Some(arn));
    showing.map(|(name, listener)| format!("{name}:{}", listener.load_balancer_port)).collect()
}

/// `2027-01-01 (36 days)`, `2026-01-01 (expired)`.
fn expiry(at: Time, now: Time) -> String {
    let date = date(at);
    match (at.0 - now.0).div_euclid(MILLIS_A_DAY) {
        ..=-1 => format!("{date} (expired)"),
        1 => format!("{date} (1 day)"),
        days => format!("{date} ({days} days)"),
    }
}

fn as_json(one: &Found, users: &[String]) -> Value {
    let expires = one.status.is_none().then(|| one.expires.to_string());
    let status = one.status.as_deref().unwrap_or("ISSUED");
    json!({ "name": one.name, "arn": one.arn, "status": status, "expires": expires, "shown_by": users })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_date_and_days_from_now() {
        let check = |millis: i64, expected: &str| {
            assert_eq!(expiry(Time(1_704_067_200_000 + millis), Time(1_704_067_200_000)), expected);
        };
        check(0, "2024-01-01 (0 days)");
        check(-1, "2023-12-31 (expired)");
        check(MILLIS_A_DAY, "2024-01-02 (1 day)");
        check(36 * MILLIS_A_DAY + 5, "2024-02-06 (36 days)");
    }
}
