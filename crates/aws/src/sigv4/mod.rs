//! Signature version 4: who sent a request, and proof that nobody changed it.
//!
//! A presigned URL may be used again and again until it expires, as in AWS: its signature is over all that it asks for.
//!
//! Insists on no region or service: a scope is taken as the client states it, because boto 2 derives both from the host
//! name (`0/127` for 127.0.0.1). Reads no clock and knows no keys: both are arguments. Source: "AWS Signature Version 4"
//! in the IAM User Guide. Next: `canonical` (what is signed), `stated` (what a request claims), `error`.

mod canonical;
mod error;
mod stated;

pub use error::AuthError;

use aws_lc_rs::{constant_time, hmac};

use crate::http::Request;
use crate::time::Time;
use canonical::hex;
use stated::{PayloadHash, Stated};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far a client's clock may be off, in seconds: 5 minutes, either way.
pub const MAX_SKEW: i64 = 300;

/// Who sent a request, and the scope that it was signed for (version 2 has no scope: both are empty).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The access key that signed.
    pub access_key_id: String,
    /// Region in the scope, as stated: not to be trusted to be one.
    pub region: String,
    /// Service in the scope, as stated: not to be trusted to be one.
    pub service: String,
    /// The token of temporary keys, as stated: whoever issued the key says whether it is its own.
    pub session_token: Option<String>,
}

/// What a client signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Public part.
    pub access_key_id: String,
    /// Secret part.
    pub secret_access_key: String,
    /// For temporary keys.
    pub session_token: Option<String>,
}

/// Shows no secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Checks the signature of a request, in the `Authorization` header or in the query string. `lookup` gives the secret of
/// an access key.
///
/// # Errors
/// Why the request cannot be believed; [`AuthError::to_wire`] words it.
pub fn verify(request: &Request, lookup: impl Fn(&str) -> Option<String>, now: Time) -> Result<Identity, AuthError> {
    let stated = Stated::read(request)?;
    stated.check_time(now)?;
    let payload = match stated.payload(request)? {
        PayloadHash::OfBody => hex(&canonical::sha256(&request.body)),
        PayloadHash::Unsigned => stated::UNSIGNED_PAYLOAD.to_owned(),
    };
    let canonical = canonical::request(request, &stated.signed_headers, stated.presigned, &payload)?;
    let secret = lookup(&stated.access_key_id).ok_or(AuthError::UnknownKey)?;
    let expected = signature(&secret, stated.time, &stated.date, &stated.region, &stated.service, &canonical);
    constant_time::verify_slices_are_equal(expected.as_bytes(), stated.signature.as_bytes())
        .map_err(|_| AuthError::Mismatch)?;
    Ok(Identity {
        access_key_id: stated.access_key_id,
        region: stated.region,
        service: stated.service,
        session_token: stated.session_token,
    })
}

/// Signs a request in place: adds `X-Amz-Date`, `X-Amz-Security-Token` for temporary keys, and `Authorization`. Every
/// header that the request has by then is signed, so it must have `Host`.
pub fn sign(request: &mut Request, credentials: &Credentials, region: &str, service: &str, now: Time) {
    let time = now.basic();
    request.headers.retain(|(name, _)| {
        !["authorization", "x-amz-date", "x-amz-security-token"].iter().any(|own| name.eq_ignore_ascii_case(own))
    });
    request.headers.push(("X-Amz-Date".into(), time.clone().into_bytes()));
    if let Some(token) = &credentials.session_token {
        request.headers.push(("X-Amz-Security-Token".into(), token.clone().into_bytes()));
    }
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    let payload = hex(&canonical::sha256(&request.body));
    let canonical = canonical::text(request, &names, false, &payload);
    let date = &time[..8];
    let signature = signature(&credentials.secret_access_key, now, date, region, service, &canonical);
    let value = format!(
        "{ALGORITHM} Credential={}/{date}/{region}/{service}/aws4_request, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        names.join(";"),
    );
    request.headers.push(("Authorization".into(), value.into_bytes()));
}

fn signature(secret: &str, time: Time, date: &str, region: &str, service: &str, canonical: &str) -> String {
    let text = format!(
        "{ALGORITHM}\n{}\n{date}/{region}/{service}/aws4_request\n{}",
        time.basic(),
        hex(&canonical::sha256(canonical.as_bytes()))
    );
    let mac = |key: &[u8], message: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
    };
    let key = mac(format!("AWS4{secret}").as_bytes(), date);
    let key = [region, service, "aws4_request"].iter().fold(key, |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

#[cfg(test)]
mod tests;
