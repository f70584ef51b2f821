//! The canonical form of a request: what both sides hash.
//!
//! Checks nothing but that the signed headers are there. Next: [`super::stated`] for what the request claims.

use aws_lc_rs::digest;
use percent_encoding::{AsciiSet, percent_decode, percent_encode};

use super::AuthError;
use crate::http::Request;
use crate::query::RESERVED;

/// As [`RESERVED`], but slashes of a path stay.
const PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The canonical request, once every header in `signed` is known to be there.
pub(super) fn request(
    request: &Request,
    signed: &[String],
    presigned: bool,
    payload: &str,
) -> Result<String, AuthError> {
    let absent =
        signed.iter().find(|name| !request.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name)));
    match absent {
        Some(_) => Err(AuthError::Mismatch),
        None => Ok(text(request, signed, presigned, payload)),
    }
}

pub(super) fn text(request: &Request, signed: &[String], presigned: bool, payload: &str) -> String {
    let (path, query) = request.path_and_query();
    let mut out = format!("{}\n{}\n{}\n", request.method, uri(path), self::query(query, presigned));
    for name in signed {
        out.push_str(name);
        out.push(':');
        out.push_str(&values(request, name));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&signed.join(";"));
    out.push('\n');
    out.push_str(payload);
    out
}

/// Without `.`, `..` and doubled slashes, then percent-encoded as it stands: AWS encodes the encoded path once more for
/// every service but S3.
fn uri(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    if parts.is_empty() {
        return "/".into();
    }
    let tail = if path.ends_with('/') { "/" } else { "" };
    percent_encode(format!("/{}{tail}", parts.join("/")).as_bytes(), PATH).to_string()
}

/// Decoded and encoded anew, so that what is signed is what the parameters are read as; sorted by name, then value.
fn query(query: &str, presigned: bool) -> String {
    let encode = |text: &str| {
        let spaced: Vec<u8> = text.bytes().map(|b| if b == b'+' { b' ' } else { b }).collect();
        let bytes: Vec<u8> = percent_decode(&spaced).collect();
        percent_encode(&bytes, RESERVED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .filter(|(name, _)| !(presigned && name == "X-Amz-Signature"))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// All values of a header, joined by commas, with runs of blanks as one space.
fn values(request: &Request, name: &str) -> String {
    request
        .headers
        .iter()
        .filter(|(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| String::from_utf8_lossy(value).split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(",")
}

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}
