//! What the proxy's file says of sticky sessions.
//!
//! Owns the key `stickiness`. Must never say how a cookie is spelled: the road does.

use std::time::Duration;

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::Stickiness;
use serde::Deserialize;
use toml::Spanned;

use super::{Wrong, number, wrong};

/// Four hundred days: browsers keep no cookie for longer.
const LONGEST: i64 = 400 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StickinessEntry {
    expires: Option<Spanned<i64>>,
    application_cookie: Option<Spanned<String>>,
}

pub(super) fn stickiness(entry: &Spanned<StickinessEntry>, protocol: Protocol) -> Result<Stickiness, Wrong> {
    if !protocol.sees_requests() {
        return Err(wrong(entry, "stickiness", "needs `protocol = \"http\"` or `\"https\"`: others have no cookies"));
    }
    match entry.get_ref() {
        StickinessEntry { expires: Some(at), application_cookie: Some(_) } => {
            Err(wrong(at, "expires", "and `application_cookie` exclude each other"))
        }
        StickinessEntry { expires, application_cookie: None } => {
            let seconds = expires.as_ref().map(|at| number(at, "expires", 1, LONGEST)).transpose()?;
            Ok(Stickiness::Duration(seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs()))))
        }
        StickinessEntry { application_cookie: Some(name), .. } => {
            // RFC 6265 §4.1.1: a token.
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let text = name.get_ref();
            if text.is_empty() || text.len() > 255 || !text.bytes().all(is_token) {
                return Err(wrong(name, "application_cookie", "must be 1-255 letters, digits and !#$%&'*+-.^_`|~"));
            }
            if ["AWSELB", "AWSELBCORS"].contains(&text.as_str()) {
                return Err(wrong(name, "application_cookie", format_args!("`{text}` is the balancer's own")));
            }
            Ok(Stickiness::Application(text.as_str().into()))
        }
    }
}
