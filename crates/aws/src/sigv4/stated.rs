//! What a request states about its own signature: key, scope, time, signed headers, payload; and whether those agree
//! with each other and with the clock.
//!
//! Believes nothing of it: that is decided by the signature, in [`super::verify`].

use super::canonical::{hex, sha256};
use super::{ALGORITHM, AuthError, MAX_SKEW};
use crate::http::Request;
use crate::query::Params;
use crate::time::Time;

pub(super) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Longest life of a presigned URL, in seconds: a week.
const MAX_EXPIRES: i64 = 604_800;

/// What a presigned URL states about itself: each once.
const IN_QUERY: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

pub(super) struct Stated {
    pub access_key_id: String,
    pub date: String,
    pub region: String,
    pub service: String,
    pub time: Time,
    /// Lower case, sorted.
    pub signed_headers: Vec<String>,
    pub signature: String,
    pub presigned: bool,
    pub session_token: Option<String>,
    /// Seconds; only in presigned URLs.
    expires: Option<i64>,
}

pub(super) enum PayloadHash {
    OfBody,
    Unsigned,
}

impl Stated {
    pub fn read(request: &Request) -> Result<Self, AuthError> {
        let mut authorizations = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let stated = match (authorizations.next(), authorizations.next()) {
            (Some(_), Some(_)) => return Err(AuthError::Incomplete("More than one Authorization header.".into())),
            (Some(_), None) => Self::from_header(request)?,
            (None, _) => Self::from_query(request)?,
        };
        stated.check_scope()?;
        stated.check_headers(request)?;
        Ok(stated)
    }

    fn from_header(request: &Request) -> Result<Self, AuthError> {
        let incomplete = |text: &str| AuthError::Incomplete(text.into());
        let header = request.header("authorization").ok_or(incomplete("Authorization header is not readable text."))?;
        let (algorithm, fields) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            let algorithm: String = algorithm.chars().take(64).collect();
            return Err(AuthError::Incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'")));
        }
        let given = || fields.split(',').filter_map(|field| field.trim().split_once('='));
        for wanted in ["Credential", "SignedHeaders", "Signature"] {
            if given().filter(|(name, _)| *name == wanted).count() > 1 {
                return Err(AuthError::Incomplete(format!("Authorization header has '{wanted}' more than once.")));
            }
        }
        let field =
            |wanted: &str| given().find_map(|(name, value)| (name == wanted && !value.is_empty()).then_some(value));
        let (credential, signed, signature) = (field("Credential"), field("SignedHeaders"), field("Signature"));
        let absent: Vec<String> = [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed)]
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| format!("Authorization header requires '{name}' parameter."))
            .collect();
        let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature) else {
            return Err(AuthError::Incomplete(absent.join(" ")));
        };
        let time = match (request.header("x-amz-date"), request.header("date")) {
            (Some(text), _) => Time::from_basic(text)
                .ok_or(incomplete("Date must be in ISO-8601 'basic format'. Got a malformed X-Amz-Date header."))?,
            (None, Some(text)) => Time::from_basic(text)
                .or_else(|| Time::from_http_date(text))
                .ok_or(incomplete("The Date header is not a date."))?,
            (None, None) => {
                return Err(incomplete(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
                ));
            }
        };
        let token = request.header("x-amz-security-token").map(str::to_owned);
        Self::new(credential, signed, signature, time, None, token)
    }

    fn from_query(request: &Request) -> Result<Self, AuthError> {
        let mut params = Params::default();
        // What could not be read is not there; a signature over it cannot match.
        let _ = params.read(request.path_and_query().1.as_bytes());
        let Some(algorithm) = params.first("X-Amz-Algorithm") else { return Err(AuthError::Missing) };
        if let Some(twice) = IN_QUERY.iter().find(|name| params.iter().filter(|(given, _)| given == *name).count() > 1)
        {
            return Err(AuthError::Incomplete(format!("The parameter '{twice}' comes twice.")));
        }
        if algorithm != ALGORITHM {
            let algorithm: String = algorithm.chars().take(64).collect();
            return Err(AuthError::Incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'")));
        }
        let required = |name: &str| {
            params
                .first(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| AuthError::Incomplete(format!("AWS query-string parameters must include '{name}'.")))
        };
        let time = Time::from_basic(required("X-Amz-Date")?)
            .ok_or(AuthError::Incomplete("Date must be in ISO-8601 'basic format'.".into()))?;
        let expires = match params.first("X-Amz-Expires") {
            None => None,
            Some(text) => {
                Some(text.parse().ok().filter(|seconds| (1..=MAX_EXPIRES).contains(seconds)).ok_or_else(|| {
                    AuthError::Incomplete(format!("X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds."))
                })?)
            }
        };
        Self::new(
            required("X-Amz-Credential")?,
            required("X-Amz-SignedHeaders")?,
            required("X-Amz-Signature")?,
            time,
            Some(expires.unwrap_or(MAX_SKEW)),
            params.first("X-Amz-Security-Token").map(str::to_owned),
        )
    }

    fn new(
        credential: &str,
        signed: &str,
        signature: &str,
        time: Time,
        expires: Option<i64>,
        session_token: Option<String>,
    ) -> Result<Self, AuthError> {
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [terminator, service, region, date, access_key_id] = parts[..] else {
            return Err(AuthError::Incomplete(
                "Credential must have at least 5 slash-delimited elements: key, date, region, service, 'aws4_request'."
                    .into(),
            ));
        };
        if terminator != "aws4_request" {
            return Err(AuthError::Contradiction(
                "Credential should be scoped with a valid terminator: 'aws4_request'.".into(),
            ));
        }
        let mut signed_headers: Vec<String> =
            signed.split(';').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect();
        signed_headers.sort();
        signed_headers.dedup();
        if !signed_headers.iter().any(|name| name == "host") {
            return Err(AuthError::Contradiction("'Host' must be a 'SignedHeader' in the AWS Authorization.".into()));
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            time,
            signed_headers,
            signature: signature.to_owned(),
            presigned: expires.is_some(),
            session_token,
            expires,
        })
    }

    fn check_scope(&self) -> Result<(), AuthError> {
        let time = self.time.basic();
        if self.date == time[..8] {
            return Ok(());
        }
        let stated: String = self.date.chars().take(16).collect();
        Err(AuthError::Contradiction(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{stated}' != \
             '{}', from '{time}'.",
            &time[..8]
        )))
    }

    /// What decides the meaning of a request must be signed, or somebody on the way could have put it there.
    fn check_headers(&self, request: &Request) -> Result<(), AuthError> {
        // The hash of the body is compared with the body, and a token with the key that it belongs to.
        const EXEMPT: [&str; 2] = ["x-amz-content-sha256", "x-amz-security-token"];
        const DECISIVE: [&str; 2] = ["content-encoding", "smithy-protocol"];
        let mut stated = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        let unsigned = stated.find(|name| {
            let matters =
                (name.starts_with("x-amz-") && !EXEMPT.contains(&name.as_str())) || DECISIVE.contains(&name.as_str());
            matters && !self.signed_headers.contains(name)
        });
        if let Some(name) = unsigned {
            let name: String = name.chars().take(64).collect();
            return Err(AuthError::Contradiction(format!(
                "There were headers present in the request which were not signed: {name}"
            )));
        }
        let dates = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-amz-date")).count();
        if dates > 1 {
            return Err(AuthError::Incomplete("More than one X-Amz-Date header.".into()));
        }
        Ok(())
    }

    /// Not signed in the future, and not too long ago: 5 minutes, or what a presigned URL states.
    pub fn check_time(&self, now: Time) -> Result<(), AuthError> {
        let earliest = now.plus_seconds(-self.expires.unwrap_or(MAX_SKEW));
        let latest = now.plus_seconds(MAX_SKEW);
        // Signatures carry whole seconds: a clock in the midst of one is not yet past it.
        if self.time.plus_seconds(1).0 <= earliest.0 {
            return Err(AuthError::Expired(format!(
                "Signature expired: {} is now earlier than {} ({} - {} min.)",
                self.time.basic(),
                earliest.basic(),
                now.basic(),
                self.expires.unwrap_or(MAX_SKEW) / 60,
            )));
        }
        if self.time > latest {
            return Err(AuthError::Expired(format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                self.time.basic(),
                latest.basic(),
                now.basic(),
            )));
        }
        Ok(())
    }

    /// The hash that was signed is always the real body's, unless a signed header says that the body is not.
    pub fn payload(&self, request: &Request) -> Result<PayloadHash, AuthError> {
        const HEADER: &str = "x-amz-content-sha256";
        let mut headers = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HEADER)).map(|(_, v)| v);
        let Some(stated) = headers.next() else { return Ok(PayloadHash::OfBody) };
        let stated = stated.trim_ascii();
        let signed = self.signed_headers.iter().any(|name| name == HEADER);
        if stated == UNSIGNED_PAYLOAD.as_bytes() && signed && headers.next().is_none() {
            return Ok(PayloadHash::Unsigned);
        }
        if stated.eq_ignore_ascii_case(hex(&sha256(&request.body)).as_bytes()) {
            return Ok(PayloadHash::OfBody);
        }
        Err(AuthError::Contradiction(
            "The provided 'x-amz-content-sha256' header does not match what was computed.".into(),
        ))
    }
}
