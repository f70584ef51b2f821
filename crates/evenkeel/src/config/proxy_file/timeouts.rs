//! What the proxy's file says of time limits, and of how much there may be at once.
//!
//! Owns the keys `timeouts` and `limits` and what may be in them. Must never say what happens when one passes: the road does.

use std::time::Duration;

use evenkeel_core::routes::{Limits, Timeouts};
use serde::Deserialize;
use toml::Spanned;

use super::{Wrong, number, wrong};

/// As AWS's limit for the idle timeout.
const LONGEST: f64 = 4000.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeoutsEntry {
    handshake: Option<Spanned<f64>>,
    head: Option<Spanned<f64>>,
    body: Option<Spanned<f64>>,
    keep_alive: Option<Spanned<f64>>,
    connect: Option<Spanned<f64>>,
    response: Option<Spanned<f64>>,
    tunnel: Option<Spanned<f64>>,
    pool: Option<Spanned<f64>>,
    least_rate: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsEntry {
    streams: Option<Spanned<i64>>,
    max_header_bytes: Option<Spanned<i64>>,
    max_header_fields: Option<Spanned<i64>>,
}

pub(super) fn timeouts(entry: &TimeoutsEntry) -> Result<Timeouts, Wrong> {
    Ok(Timeouts {
        handshake: span(entry.handshake.as_ref(), "handshake")?,
        head: span(entry.head.as_ref(), "head")?,
        body: span(entry.body.as_ref(), "body")?,
        keep_alive: span(entry.keep_alive.as_ref(), "keep_alive")?,
        connect: span(entry.connect.as_ref(), "connect")?,
        response: span(entry.response.as_ref(), "response")?,
        tunnel: span(entry.tunnel.as_ref(), "tunnel")?,
        pool: span(entry.pool.as_ref(), "pool")?,
        least_rate: whole(entry.least_rate.as_ref(), "timeouts.least_rate", 1, 1 << 30)?,
    })
}

pub(super) fn limits(entry: &LimitsEntry) -> Result<Limits, Wrong> {
    Ok(Limits {
        streams: whole(entry.streams.as_ref(), "limits.streams", 1, 128)?,
        max_header_bytes: whole(entry.max_header_bytes.as_ref(), "limits.max_header_bytes", 256, 65_535)?,
        max_header_fields: whole(entry.max_header_fields.as_ref(), "limits.max_header_fields", 1, 128)?,
    })
}

fn span(said: Option<&Spanned<f64>>, key: &str) -> Result<Option<Duration>, Wrong> {
    let Some(at) = said else { return Ok(None) };
    let seconds = *at.get_ref();
    // What is no number is in no range.
    if (0.1..=LONGEST).contains(&seconds) {
        Ok(Some(Duration::from_millis((seconds * 1000.0) as u64)))
    } else {
        let rule = format_args!("is {seconds}; it must be from 0.1 to {LONGEST} seconds");
        Err(wrong(at, &format!("timeouts.{key}"), rule))
    }
}

fn whole<T: TryFrom<i64>>(said: Option<&Spanned<i64>>, key: &str, least: i64, most: i64) -> Result<Option<T>, Wrong> {
    let Some(at) = said else { return Ok(None) };
    let number = number(at, key, least, most)?;
    T::try_from(number).map(Some).map_err(|_| wrong(at, key, "is too large"))
}
