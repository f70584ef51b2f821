//! The framing policy: what is refused because it could be read in two ways.
//!
//! Owns every decision on `Content-Length`, `Transfer-Encoding`, `Connection`, `Host` and `Expect`. Must never repair:
//! a message is understood or it is refused. Source: RFC 9112 §6.3, RFC 9110 §7.2, §7.6.1.

use super::body::Framing;
use super::field::{Fields, Name};
use super::scan::is_token_byte;
use crate::fault::Fault;

/// A field the framing depends on is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnderstood;

/// Options one message may name in `Connection`: enough for anything real, few enough to compare with every field.
pub const OPTION_LIMIT: usize = 32;

/// What `Connection` says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection {
    /// `close` is named.
    pub close: bool,
    /// `keep-alive` is named.
    pub keep_alive: bool,
    /// `upgrade` is named.
    pub upgrade: bool,
    /// Any other option is named, so fields must be compared with them.
    pub names_fields: bool,
}

/// The framing of a request (RFC 9112 §6.3). A transfer coding with a length, twice, or in HTTP/1.0 is an attempt to be
/// read in two ways.
pub fn request_framing(bytes: &[u8], fields: &Fields, minor: u8) -> Result<Framing, Fault> {
    let length = content_length(bytes, fields).map_err(|_| Fault::BadRequest)?;
    match coding(bytes, fields) {
        Coding::None => Ok(length.map_or(Framing::None, Framing::Length)),
        Coding::Chunked if minor == 0 || length.is_some() => Err(Fault::BadRequest),
        Coding::Chunked => Ok(Framing::Chunked),
        Coding::Broken => Err(Fault::BadRequest),
        Coding::Unknown if minor == 0 || length.is_some() => Err(Fault::BadRequest),
        Coding::Unknown => Err(Fault::UnknownCoding),
    }
}

/// The framing of a response to a request (`head`: to HEAD). RFC 9112 §6.3.
pub fn response_framing(bytes: &[u8], fields: &Fields, minor: u8, status: u16, head: bool) -> Result<Framing, Fault> {
    let length = content_length(bytes, fields).map_err(|_| Fault::BadAnswer)?;
    let chunked = match coding(bytes, fields) {
        Coding::None => false,
        Coding::Chunked if minor > 0 && length.is_none() => true,
        Coding::Chunked | Coding::Broken | Coding::Unknown => return Err(Fault::BadAnswer),
    };
    Ok(match (head || status < 200 || status == 204 || status == 304, chunked, length) {
        (true, _, _) => Framing::None,
        (_, true, _) => Framing::Chunked,
        (_, _, Some(length)) => Framing::Length(length),
        (_, _, None) => Framing::UntilClose,
    })
}

/// One decimal number in one field; anything else, two equal ones among it, is refused.
pub fn content_length(bytes: &[u8], fields: &Fields) -> Result<Option<u64>, NotUnderstood> {
    let mut all = fields.of(Name::ContentLength);
    let Some(field) = all.next() else { return Ok(None) };
    let value = field.value.of(bytes);
    if all.next().is_some() || value.is_empty() || value.len() > 40 {
        return Err(NotUnderstood);
    }
    let number = value.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    });
    number.map(Some).ok_or(NotUnderstood)
}

enum Coding {
    None,
    Chunked,
    Unknown,
    Broken,
}

fn coding(bytes: &[u8], fields: &Fields) -> Coding {
    let (mut seen, mut chunked, mut unknown) = (false, 0, false);
    let mut last_is_chunked = false;
    for field in fields.of(Name::TransferEncoding) {
        seen = true;
        for word in field.value.of(bytes).split(|b| *b == b',') {
            let word = word.trim_ascii();
            if word.is_empty() || !word.iter().all(|b| is_token_byte(*b)) {
                return Coding::Broken;
            }
            last_is_chunked = word.eq_ignore_ascii_case(b"chunked");
            chunked += u32::from(last_is_chunked);
            unknown |= !last_is_chunked;
        }
    }
    match (seen, chunked, unknown, last_is_chunked) {
        (false, ..) => Coding::None,
        (_, 1, false, _) => Coding::Chunked,
        // `chunked` twice, or not last: the end of the body depends on who reads it.
        (_, 2.., ..) | (_, 1, true, false) => Coding::Broken,
        _ => Coding::Unknown,
    }
}

/// Reads all `Connection` fields; an error when an option is no token or there are more than [`OPTION_LIMIT`].
pub fn connection(bytes: &[u8], fields: &Fields) -> Result<Connection, NotUnderstood> {
    let mut out = Connection::default();
    for (count, option) in options(bytes, fields).enumerate() {
        if count >= OPTION_LIMIT || !option.iter().all(|b| is_token_byte(*b)) {
            return Err(NotUnderstood);
        }
        if option.eq_ignore_ascii_case(b"close") {
            out.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            out.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            out.upgrade = true;
        } else {
            out.names_fields = true;
        }
    }
    Ok(out)
}

/// Whether `Connection` names this field, so that it is not carried on (RFC 9110 §7.6.1).
pub fn is_named(bytes: &[u8], fields: &Fields, name: &[u8]) -> bool {
    options(bytes, fields).any(|option| option.eq_ignore_ascii_case(name))
}

fn options<'a>(bytes: &'a [u8], fields: &'a Fields) -> impl Iterator<Item = &'a [u8]> {
    let values = fields.of(Name::Connection).map(|field| field.value.of(bytes));
    values.flat_map(|value| value.split(|b| *b == b',')).map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// Whether a text may stand in `Host`: a name, IPv4 address or bracketed IPv6 address, and a port (RFC 9110 §7.2).
#[must_use]
pub fn is_host(text: &[u8]) -> bool {
    let (host, port) = if let Some(rest) = text.strip_prefix(b"[") {
        let Some(close) = rest.iter().position(|b| *b == b']') else { return false };
        let (address, after) = rest.split_at(close);
        if address.is_empty() || !address.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')) {
            return false;
        }
        (&b""[..], &after[1..])
    } else {
        let colon = text.iter().position(|b| *b == b':').unwrap_or(text.len());
        text.split_at(colon)
    };
    let sound = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
            )
    };
    host.iter().all(sound) && is_port(port)
}

/// Nothing, or a colon and a port that is no greater than 65535; it may be empty (RFC 3986 §3.2.3).
fn is_port(text: &[u8]) -> bool {
    let Some(digits) = text.strip_prefix(b":") else { return text.is_empty() };
    let number = digits.iter().try_fold(0u32, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(sum * 10 + digit).filter(|sum| *sum <= 65_535)
    });
    digits.len() <= 16 && number.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_addresses_and_ports() {
        let check = |text: &str, good: bool| assert_eq!(is_host(text.as_bytes()), good, "{text:?}");
        for good in ["a", "a.b:80", "127.0.0.1:8080", "[::1]", "[::1]:443", "", "a:", "a_b.c", "xn--e1a"] {
            check(good, true);
        }
        for bad in [
            "a b", "a,b", "u@a", "a/b", "a:b", "a:65536", "\u{e9}", "a\0", "[::1", "[]", "[g]", "[::1]x", "a:1:2",
            "a?b", "a#b",
        ] {
            check(bad, false);
        }
    }
}
