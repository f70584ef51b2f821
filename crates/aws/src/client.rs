//! A client without a network: makes signed requests and reads answers. Whoever drives it moves the bytes.
//!
//! Retries nothing and follows nothing. Next: [`crate::sigv4`], [`crate::query`], [`crate::xml`].

use crate::dispatch::Action;
use crate::error::Error;
use crate::http::Request;
use crate::query::{self, Params};
use crate::sigv4::{self, Credentials};
use crate::time::Time;
use crate::xml;

/// The signed request for `input`: a POST of a form to `/`, with `Host`, `Content-Type`, `X-Amz-Date` and
/// `Authorization`. `endpoint_host` is host and port as the `Host` header says them (no port when it is 80).
///
/// # Errors
/// Only an input of a type that no table here holds.
pub fn encode<A: Action>(
    input: &A,
    endpoint_host: &str,
    credentials: &Credentials,
    region: &str,
    now: Time,
) -> Result<Request, query::Error> {
    let mut params = Params::default();
    params.push("Action", A::NAME);
    params.push("Version", A::API.version());
    for (name, value) in query::to_params(input)?.iter() {
        params.push(name, value);
    }
    let mut request = Request {
        method: "POST".into(),
        target: "/".into(),
        headers: vec![
            ("Host".into(), endpoint_host.as_bytes().to_vec()),
            ("Content-Type".into(), b"application/x-www-form-urlencoded; charset=utf-8".to_vec()),
        ],
        body: params.encode().into_bytes(),
    };
    sigv4::sign(&mut request, credentials, region, A::API.signing_name(), now);
    Ok(request)
}

/// Reads the answer to an `A`.
///
/// # Errors
/// The error that the server told; code `UnreadableResponse` if the body is neither answer nor error.
pub fn parse<A: Action>(status: u16, body: &[u8]) -> Result<A::Output, Error> {
    let unreadable = |why: String| Error::told(status, "UnreadableResponse", why);
    let document = std::str::from_utf8(body).map_err(|_| unreadable("read the answer: it is not UTF-8".into()))?;
    if status == 200 {
        return xml::read_answer(A::NAME, document, A::API.dialect()).map_err(unreadable);
    }
    match xml::read_error(document) {
        Some((code, message)) => Err(Error::told(status, code, message)),
        None => Err(unreadable(format!("read the answer: status {status} without an error document"))),
    }
}
