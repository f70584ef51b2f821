//! What the proxy's file says of versions of HTTP.
//!
//! Owns the keys `http2` and `instance_http`. Must never say how a version is agreed on: the road does.

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::InstanceHttp;
use toml::Spanned;

use super::{Wrong, wrong};

/// Whether clients may speak HTTP/2. By default those of HTTPS, where both sides agree on it (ALPN, RFC 9113 §3.2).
pub(super) fn http2(said: Option<&Spanned<bool>>, protocol: Protocol) -> Result<bool, Wrong> {
    match said {
        Some(at) if !protocol.sees_requests() => {
            Err(wrong(at, "http2", "needs `protocol = \"http\"` or `\"https\"`: others pass bytes as they are"))
        }
        Some(at) => Ok(*at.get_ref()),
        None => Ok(protocol == Protocol::Https),
    }
}

/// What instances are spoken to in.
pub(super) fn instance_http(said: Option<&Spanned<String>>, protocol: Protocol) -> Result<InstanceHttp, Wrong> {
    let Some(text) = said else { return Ok(InstanceHttp::One) };
    if !protocol.sees_requests() {
        return Err(wrong(text, "instance_http", "needs `protocol = \"http\"` or `\"https\"`"));
    }
    match text.get_ref().as_str() {
        "1.1" => Ok(InstanceHttp::One),
        "2" => Ok(InstanceHttp::Two),
        _ => Err(wrong(text, "instance_http", "must be `1.1` or `2`")),
    }
}
