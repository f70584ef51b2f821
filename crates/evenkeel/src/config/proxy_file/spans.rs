//! What the proxy's file says of spans.

use evenkeel_proxy::spans::SpansConfig;
use serde::Deserialize;
use toml::Spanned;

use super::{Wrong, wrong};

/// What the proxy is called where nothing says.
const SERVICE: &str = "evenkeel";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpansEntry {
    endpoint: Spanned<String>,
    share: Option<Spanned<f64>>,
    service: Option<Spanned<String>>,
}

pub(super) fn spans(entry: &SpansEntry) -> Result<SpansConfig, Wrong> {
    let endpoint = entry.endpoint.get_ref().parse().map_err(|rule| wrong(&entry.endpoint, "spans.endpoint", rule))?;
    let per_million = match &entry.share {
        None => crate::config::SPANS_SHARE,
        Some(share) => crate::config::per_million(*share.get_ref())
            .ok_or_else(|| wrong(share, "spans.share", "must be a share of requests from 0.0 to 1.0"))?,
    };
    let service = match &entry.service {
        None => SERVICE.to_owned(),
        Some(name) if name.get_ref().is_empty() => return Err(wrong(name, "spans.service", "is empty")),
        Some(name) => name.get_ref().clone(),
    };
    Ok(SpansConfig { endpoint, per_million, service })
}
