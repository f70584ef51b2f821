//! What would come of uploading or deleting certificates, for `--dry-run`: or why the daemon would refuse, with its code.
//!
//! Asks only what describes; a certificate is held against its key, its chain and the clock by the daemon's own rules
//! (`crate::certificates`). Next: [`super::found`].

use anyhow::Context;
use evenkeel_core::time::Timestamp;

use super::found;
use super::{Delete, is_managed};
use crate::certificates::{BadCertificate, examine};
use crate::cli::client::{Client, now};
use crate::cli::difference::{Difference, Line, Verb};
use crate::cli::failure::refused;
use crate::cli::streams::Streams;

/// A certificate is kept under a name.
pub(super) fn uploaded(
    client: &Client,
    name: &str,
    body: &str,
    key: &str,
    chain: Option<&str>,
) -> anyhow::Result<Difference> {
    let failed = || format!("failed to upload the certificate `{name}`");
    let at = Timestamp(u64::try_from(now().0).unwrap_or_default());
    let facts = match examine(body, chain, key, at) {
        Ok(facts) => facts,
        Err(bad @ BadCertificate::Mismatch) => return refused("KeyPairMismatch", bad).with_context(failed),
        Err(bad) => return refused("MalformedCertificate", bad).with_context(failed),
    };
    if found::uploaded(client).with_context(failed)?.iter().any(|held| held == name) {
        let text = format!("The Server Certificate with name {name} already exists.");
        return refused("EntityAlreadyExists", text).with_context(failed);
    }
    let until = evenkeel_aws::Time(i64::try_from(facts.not_after.0).unwrap_or(i64::MAX));
    let line = Line::new("certificate", format!("{name} for {} until {}", facts.names.join(", "), found::date(until)));
    Ok(Difference::new(name, Verb::Create, &[], &[line]))
}

/// Certificates go that no listener shows.
pub(super) fn deleted(args: &Delete, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let balancers = client.load_balancers(&[]).context("failed to list load balancers")?;
    let one = |name: &String| -> anyhow::Result<Difference> {
        let failed = || format!("failed to delete the certificate `{name}`");
        let (line, arn) = found::line(client, name).with_context(failed)?;
        if let Some(listener) = found::users(&balancers, &arn).first() {
            let user = listener.split(':').next().unwrap_or_default();
            let code = if is_managed(&arn) { "ResourceInUseException" } else { "DeleteConflict" };
            let text = format!("Certificate: {arn} is currently in use by {user}");
            return refused(code, text).with_context(failed);
        }
        Ok(Difference::new(name, Verb::Delete, &[line], &[]))
    };
    let all = args.names.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
    Difference::print_all(&all, true, args.attempt.json, streams)
}
