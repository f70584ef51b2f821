//! Signature version 2, as clients of before 2014 sign: over method, host, path and every parameter of the query protocol.
//!
//! Headers are not signed, but for `Host`; so a request with this signature is read as its parameters alone, in the query
//! protocol, and one with a body of any other kind is refused. Reads no clock and knows no keys. Source: "Signature
//! Version 2 signing process" in the AWS General Reference of 2014. Next: [`crate::sigv4`], which today's clients use.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_encode;

use crate::dispatch;
use crate::form;
use crate::http::Request;
use crate::query::{Params, RESERVED};
use crate::sigv4::{AuthError, Identity};
use crate::time::Time;

/// How far `Timestamp` may be from now, in seconds: 15 minutes, either way.
pub const MAX_SKEW: i64 = 900;

/// The farthest that `Expires` may be in the future, in seconds: a week, as for presigned URLs of version 4.
pub const MAX_EXPIRES: i64 = 604_800;

/// Whether the form in the body bears a signature of this version.
pub(crate) fn is_in_body(request: &Request) -> bool {
    !request.body.is_empty() && form::named(request).is_none() && {
        let (params, _) = dispatch::parameters(request);
        params.first("SignatureVersion").is_some() && params.first("Signature").is_some()
    }
}

/// Checks the signature among the parameters of a request. `lookup` gives the secret of an access key.
///
/// # Errors
/// Why the request cannot be believed.
pub fn verify(request: &Request, lookup: impl Fn(&str) -> Option<String>, now: Time) -> Result<Identity, AuthError> {
    let incomplete = |text: String| AuthError::Incomplete(text);
    if form::named(request).is_some() {
        return Err(incomplete("Signature version 2 is for the query protocol; sign with version 4.".into()));
    }
    if request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-encoding")) {
        return Err(incomplete("Signature version 2 does not cover a Content-Encoding; sign with version 4.".into()));
    }
    let (params, malformed) = dispatch::parameters(request);
    if malformed.is_some() {
        return Err(incomplete("The parameters cannot be read.".into()));
    }
    let mut pairs: Vec<(&str, &str)> = params.iter().collect();
    pairs.sort_unstable();
    if let Some(pair) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let name: String = pair[0].0.chars().take(64).collect();
        return Err(incomplete(format!("The parameter '{name}' comes twice.")));
    }
    let required = |name: &str| {
        let value = params.first(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'.")))
    };
    let access_key_id = required("AWSAccessKeyId")?;
    let stated = STANDARD.decode(required("Signature")?).map_err(|_| AuthError::Mismatch)?;
    let version = required("SignatureVersion")?;
    if version != "2" {
        let version: String = version.chars().take(16).collect();
        return Err(incomplete(format!("Unsupported SignatureVersion: '{version}'.")));
    }
    let algorithm = match required("SignatureMethod")? {
        "HmacSHA256" => hmac::HMAC_SHA256,
        "HmacSHA1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        other => {
            let other: String = other.chars().take(32).collect();
            return Err(incomplete(format!("Unsupported SignatureMethod: '{other}'.")));
        }
    };
    check_time(&params, now)?;
    let secret = lookup(access_key_id).ok_or(AuthError::UnknownKey)?;
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let canonical = canonical(&pairs);
    let matches = |host: &str| hmac::verify(&key, text(request, host, &canonical).as_bytes(), &stated).is_ok();
    // boto signs the host without its port, others sign the header as it stands.
    let host = request.header("host").unwrap_or_default().to_ascii_lowercase();
    let portless = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    if !matches(&host) && !portless.is_some_and(|(host, _)| matches(host)) {
        return Err(AuthError::Mismatch);
    }
    Ok(Identity {
        access_key_id: access_key_id.to_owned(),
        region: String::new(),
        service: String::new(),
        session_token: params.first("SecurityToken").map(str::to_owned),
    })
}

/// Either when it was signed, or until when it holds.
fn check_time(params: &Params, now: Time) -> Result<(), AuthError> {
    let read = |name: &str, text: &str| {
        let time = text.parse::<Time>();
        time.map_err(|_| AuthError::Incomplete(format!("{name} must be a date and time in ISO 8601.")))
    };
    match (params.first("Timestamp"), params.first("Expires")) {
        (Some(text), None) => {
            let time = read("Timestamp", text)?;
            // Stamps carry whole seconds: a clock in the midst of one is not yet past it.
            let is_late = time.plus_seconds(MAX_SKEW + 1) <= now;
            if is_late || time > now.plus_seconds(MAX_SKEW) {
                return Err(AuthError::Stale(format!("Request has expired. Timestamp date is {time}.")));
            }
            Ok(())
        }
        (None, Some(text)) => {
            let time = read("Expires", text)?;
            if time < now {
                return Err(AuthError::Stale(format!("Request has expired. Expires date is {time}.")));
            }
            if time > now.plus_seconds(MAX_EXPIRES) {
                return Err(AuthError::Incomplete(format!("Expires must be at most {MAX_EXPIRES} seconds from now.")));
            }
            Ok(())
        }
        (Some(_), Some(_)) => {
            Err(AuthError::Incomplete("A request has either 'Timestamp' or 'Expires', not both.".into()))
        }
        (None, None) => {
            Err(AuthError::Incomplete("AWS query-string parameters must include 'Timestamp' or 'Expires'.".into()))
        }
    }
}

/// The parameters but the signature, sorted and encoded as RFC 3986 has it.
fn canonical(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| percent_encode(text.as_bytes(), RESERVED).to_string();
    let signed = pairs.iter().filter(|(name, _)| *name != "Signature");
    signed.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

fn text(request: &Request, host: &str, canonical: &str) -> String {
    let (path, _) = request.path_and_query();
    format!("{}\n{host}\n{path}\n{canonical}", request.method)
}

#[cfg(test)]
mod tests;
