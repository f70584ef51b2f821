//! Which kind of signature a request bears, and its check: version 4 in a header, version 4 in the query string, or
//! version 2 in the parameters.
//!
//! A request that bears more than one is refused: two readers could believe two senders. Next: [`crate::sigv4`],
//! [`crate::sigv2`].

use crate::http::Request;
use crate::query::Params;
use crate::sigv2;
use crate::sigv4::{self, AuthError, Identity};
use crate::time::Time;

/// The versions of signatures that are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// Version 4 alone.
    Four,
    /// Version 2 as well, for clients of before 2014.
    TwoAndFour,
}

/// Checks the signature of a request, of whatever kind it is. `lookup` gives the secret of an access key.
///
/// # Errors
/// Why the request cannot be believed; [`AuthError::to_wire`] words it.
pub fn verify(
    request: &Request,
    versions: Versions,
    lookup: impl Fn(&str) -> Option<String>,
    now: Time,
) -> Result<Identity, AuthError> {
    let mut query = Params::default();
    // What could not be read is not there; a signature over it cannot match.
    let _ = query.read(request.path_and_query().1.as_bytes());
    let in_header = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let in_query = query.first("X-Amz-Algorithm").is_some() || query.first("X-Amz-Signature").is_some();
    let is_old = query.first("Signature").is_some() || query.first("SignatureVersion").is_some();
    if [in_header, in_query, is_old].into_iter().filter(|has| *has).count() > 1 {
        return Err(AuthError::Incomplete("Only one kind of signature is allowed in a request.".into()));
    }
    if !in_header && !in_query && (is_old || sigv2::is_in_body(request)) {
        return match versions {
            Versions::TwoAndFour => sigv2::verify(request, lookup, now),
            Versions::Four => {
                Err(AuthError::Incomplete("Signature version 2 is not accepted here; sign with version 4.".into()))
            }
        };
    }
    sigv4::verify(request, lookup, now)
}
