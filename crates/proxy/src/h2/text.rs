//! Header lists as strict HTTP/1 text, and back.
//!
//! Owns what is malformed (RFC 9113 §8.1.1, §8.2, §8.3): a list has exactly one reading as text, or it is refused. Must
//! never repair, with one exception that the standard asks for: split cookies become one (§8.2.3). What is sound here is
//! read again by [`crate::proto`], so that limits and the guard hold as for everybody.

use super::hpack;
use super::list::List;
use crate::proto::emit;
use crate::proto::field::Name;
use crate::proto::policy;
use crate::proto::scan::is_token_byte;
use crate::proto::{Framing, RequestHead, ResponseHead};

/// A list that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// That many bytes.
    Length(u64),
    /// Chunks: nobody said how many bytes.
    Chunks,
}

/// Appends a request's head as text. `ended`: nothing follows it.
pub fn request(list: &List, ended: bool, out: &mut Vec<u8>) -> Result<Body, Malformed> {
    let [mut method, mut scheme, mut authority, mut path] = [None; 4];
    let (mut host, mut length, mut regular) = (None, None, false);
    for (name, value) in list.iter() {
        if let Some(pseudo) = name.strip_prefix(b":") {
            let place = match pseudo {
                b"method" => &mut method,
                b"scheme" => &mut scheme,
                b"authority" => &mut authority,
                b"path" => &mut path,
                _ => return Err(Malformed),
            };
            if regular || place.replace(value).is_some() {
                return Err(Malformed);
            }
            continue;
        }
        regular = true;
        check(name, value)?;
        match name {
            b"host" if host.replace(value).is_some() => return Err(Malformed),
            b"content-length" if length.replace(number(value)?).is_some() => return Err(Malformed),
            b"te" if value != b"trailers" => return Err(Malformed),
            _ => {}
        }
    }
    let method =
        method.filter(|method| !method.is_empty() && method.iter().all(|b| is_token_byte(*b))).ok_or(Malformed)?;
    let authority = match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => return Err(Malformed),
        (Some(authority), _) => authority,
        (None, host) => host.ok_or(Malformed)?,
    };
    if authority.is_empty() || authority.starts_with(b":") || !policy::is_host(authority) {
        return Err(Malformed);
    }
    if ended && length.is_some_and(|length| length > 0) {
        return Err(Malformed);
    }
    out.extend_from_slice(method);
    out.push(b' ');
    if method == b"CONNECT" {
        // Understood, and refused as it is in HTTP/1.
        if scheme.is_some() || path.is_some() {
            return Err(Malformed);
        }
        out.extend_from_slice(authority);
    } else {
        let path = path.ok_or(Malformed)?;
        let is_origin = path.first() == Some(&b'/') || (path == b"*" && method == b"OPTIONS");
        let visible = path.iter().all(|b| matches!(b, 0x21..=0x7e) && *b != b'#');
        let known = scheme.is_some_and(|s| s.eq_ignore_ascii_case(b"http") || s.eq_ignore_ascii_case(b"https"));
        if !is_origin || !visible || !known {
            return Err(Malformed);
        }
        out.extend_from_slice(path);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(authority);
    out.extend_from_slice(b"\r\n");
    let mut cookies = false;
    for (name, value) in list.iter().filter(|(name, _)| !name.starts_with(b":")) {
        match name {
            b"host" | b"te" => {}
            b"cookie" => cookies = true,
            _ => line(name, value, out),
        }
    }
    if cookies {
        let mut before: &[u8] = b"cookie: ";
        for (_, value) in list.iter().filter(|(name, _)| *name == b"cookie") {
            out.extend_from_slice(before);
            out.extend_from_slice(value);
            before = b"; ";
        }
        out.extend_from_slice(b"\r\n");
    }
    let body = match length {
        Some(length) => Body::Length(length),
        None if ended => Body::None,
        None => Body::Chunks,
    };
    finish(body, out);
    Ok(body)
}

/// Appends an answer's head as text, and says its status. `to_head`: the request was HEAD.
pub fn answer(list: &List, ended: bool, to_head: bool, out: &mut Vec<u8>) -> Result<(u16, Body), Malformed> {
    let (mut status, mut length, mut regular) = (None, None, false);
    for (name, value) in list.iter() {
        if name.first() == Some(&b':') {
            if regular || name != b":status" || status.replace(value).is_some() {
                return Err(Malformed);
            }
            continue;
        }
        regular = true;
        check(name, value)?;
        if (name == b"content-length" && length.replace(number(value)?).is_some()) || name == b"te" {
            return Err(Malformed);
        }
    }
    let status = match status {
        Some([a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => {
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
        }
        _ => return Err(Malformed),
    };
    let bodiless = to_head || status < 200 || status == 204 || status == 304;
    // An upgrade is not a thing of HTTP/2 (RFC 9113 §8.6), and an interim answer ends nothing.
    if status == 101 || (status < 200 && ended) || (ended && !bodiless && length.is_some_and(|length| length > 0)) {
        return Err(Malformed);
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    emit::decimal(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    list.iter().filter(|(name, _)| !name.starts_with(b":")).for_each(|(name, value)| line(name, value, out));
    let body = match length {
        _ if bodiless => Body::None,
        Some(length) => Body::Length(length),
        None if ended => {
            line(b"content-length", b"0", out);
            Body::None
        }
        None => Body::Chunks,
    };
    finish(body, out);
    Ok((status, body))
}

/// Appends trailers as lines.
pub fn trailers(list: &List, out: &mut Vec<u8>) -> Result<(), Malformed> {
    for (name, value) in list.iter() {
        check(name, value)?;
        line(name, value, out);
    }
    Ok(())
}

/// Appends the block of a request that the road itself wrote as text.
pub fn request_block(bytes: &[u8], head: &RequestHead, scheme: &str, out: &mut Vec<u8>) {
    hpack::field(b":method", head.method.of(bytes), out);
    hpack::field(b":scheme", scheme.as_bytes(), out);
    hpack::field(b":authority", head.host.map(|host| host.of(bytes)).unwrap_or_default(), out);
    hpack::field(b":path", head.path.of(bytes), out);
    for field in head.fields.iter() {
        if !matches!(field.kind, Name::Host | Name::TransferEncoding | Name::Connection | Name::Hop) {
            hpack::field(field.name.of(bytes), field.value.of(bytes), out);
        }
    }
    // The road takes trailers, whoever asked (RFC 9110 §10.1.4); servers of gRPC speak to nobody who does not.
    hpack::field(b"te", b"trailers", out);
}

/// Appends the block of an answer that the road itself wrote as text.
pub fn answer_block(bytes: &[u8], head: &ResponseHead, out: &mut Vec<u8>) {
    hpack::status(head.status, out);
    for field in head.fields.iter() {
        if !matches!(field.kind, Name::TransferEncoding | Name::Connection | Name::Hop) {
            hpack::field(field.name.of(bytes), field.value.of(bytes), out);
        }
    }
}

/// Appends the block of trailers that the road itself wrote as lines.
pub fn trailer_block(lines: &[u8], out: &mut Vec<u8>) {
    for line in lines.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(colon) = line.iter().position(|b| *b == b':') {
            hpack::field(&line[..colon], line[colon + 1..].trim_ascii(), out);
        }
    }
}

/// Where a body of the road's own text ends, once its head is written.
pub(super) fn is_empty(framing: Framing) -> bool {
    matches!(framing, Framing::None | Framing::Length(0))
}

/// A field that is no pseudo-field: a name in lower case, a value without controls and without white space around it, and
/// nothing that speaks of the connection.
fn check(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    let named = !name.is_empty() && name.iter().all(|b| is_token_byte(*b) && !b.is_ascii_uppercase());
    let sound = value.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f));
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    let of_connection: [&[u8]; 5] =
        [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"];
    if !named || !sound || blank(value.first()) || blank(value.last()) || of_connection.contains(&name) {
        return Err(Malformed);
    }
    Ok(())
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    Ok(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

fn line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn finish(body: Body, out: &mut Vec<u8>) {
    out.extend_from_slice(if body == Body::Chunks { b"transfer-encoding: chunked\r\n\r\n" } else { b"\r\n" });
}

/// What HTTP/1 says beside a number (RFC 9110 §15).
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "test"), (":path", "/a?b")];

    fn list<'a>(fields: &'a [(&'a str, &'a str)]) -> List {
        fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
    }

    fn said(fields: &[(&str, &str)], ended: bool) -> Result<String, Malformed> {
        let mut out = Vec::new();
        request(&list(fields), ended, &mut out).map(|_| String::from_utf8(out).unwrap())
    }

    #[test]
    fn requests_become_text() {
        let with = |more: &[(&'static str, &'static str)]| [&SOUND, more].concat();
        let head = "GET /a?b HTTP/1.1\r\nhost: test\r\n";
        assert_eq!(said(&SOUND, true), Ok(format!("{head}\r\n")));
        assert_eq!(said(&SOUND, false), Ok(format!("{head}transfer-encoding: chunked\r\n\r\n")));
        let length = with(&[("content-length", "5"), ("host", "TEST"), ("te", "trailers")]);
        assert_eq!(said(&length, false), Ok(format!("{head}content-length: 5\r\n\r\n")));
        let cookies = with(&[("cookie", "a=1"), ("x", ""), ("cookie", "b=2")]);
        assert_eq!(said(&cookies, true), Ok(format!("{head}x: \r\ncookie: a=1; b=2\r\n\r\n")));
        let connect = said(&[(":method", "CONNECT"), (":authority", "a:1")], false);
        assert!(connect.unwrap().starts_with("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n"));
    }

    #[test]
    fn what_could_be_read_in_another_way_is_malformed() {
        for more in [
            ("Upper", "x"),
            ("", "x"),
            ("a b", "x"),
            ("a:b", "x"),
            ("a\r\nb", "x"),
            ("a\0", "x"),
            ("a", "x\r\ny: z"),
            ("a", "x\ny"),
            ("a", "x\0"),
            ("a", " x"),
            ("a", "x\t"),
            ("a", "\u{7f}"),
            ("connection", "close"),
            ("connection", "x"),
            ("keep-alive", "1"),
            ("proxy-connection", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("te", "trailers, gzip"),
            ("te", "Trailers"),
            ("host", "other"),
            ("host", "test:80"),
            ("content-length", ""),
            ("content-length", "+5"),
            ("content-length", "5, 5"),
            ("content-length", "5 "),
            ("content-length", "99999999999999999999"),
            ("content-length", "5"),
            (":path", "/late"),
            (":status", "200"),
            (":protocol", "websocket"),
            (":x", "y"),
            ("\u{e9}", "x"),
        ] {
            let fields = [&SOUND[..], &[more]].concat();
            assert_eq!(said(&fields, true), Err(Malformed), "{more:?}");
        }
        for (at, value) in [
            (0, ""),
            (0, "G T"),
            (0, "GET / HTTP/1.1\r\nA:"),
            (0, "CONNECT"),
            (1, ""),
            (1, "ftp"),
            (1, "http\r\n"),
            (2, ""),
            (2, "a b"),
            (2, "user@test"),
            (2, "a\r\nb: c"),
            (2, ":80"),
            (2, "a/b"),
            (3, ""),
            (3, "a"),
            (3, "*"),
            (3, "/a b"),
            (3, "/a\r\nb: c"),
            (3, "/a#b"),
            (3, "/\u{e9}"),
            (3, "http://other/"),
            (3, "/\0"),
            (3, "/ HTTP/1.1\r\nx: "),
        ] {
            let mut fields = SOUND;
            fields[at].1 = value;
            assert_eq!(said(&fields, true), Err(Malformed), "{at} {value:?}");
        }
        for missing in 0..4 {
            let mut fields = SOUND.to_vec();
            fields.remove(missing);
            assert_eq!(said(&fields, true), Err(Malformed), "{missing}");
            let twice = [&SOUND[..], &[SOUND[missing]]].concat();
            assert_eq!(said(&twice, true), Err(Malformed), "{missing}");
        }
        let two = [&SOUND[..], &[("content-length", "5"), ("content-length", "5")]].concat();
        assert_eq!(said(&two, false), Err(Malformed));
    }

    #[test]
    fn answers_become_text() {
        let check = |fields: &[(&str, &str)], ended, to_head, out: Option<&str>| {
            let mut text = Vec::new();
            let read = answer(&list(fields), ended, to_head, &mut text).ok();
            assert_eq!(read.map(|_| String::from_utf8(text).unwrap()).as_deref(), out, "{fields:?}");
        };
        let ok = (":status", "200");
        check(&[ok], true, false, Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        check(&[ok], false, false, Some("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"));
        check(&[ok, ("content-length", "7")], true, true, Some("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"));
        check(&[ok], true, true, Some("HTTP/1.1 200 OK\r\n\r\n"));
        check(&[(":status", "103"), ("link", "x")], false, false, Some("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"));
        check(&[(":status", "299")], true, true, Some("HTTP/1.1 299 \r\n\r\n"));
        for bad in ["", "20", "2000", "099", "abc", "101", "+20", "2 0"] {
            check(&[(":status", bad)], false, false, None);
        }
        check(&[], true, false, None);
        check(&[ok, ok], true, false, None);
        check(&[("a", "b"), ok], true, false, None);
        check(&[ok, (":path", "/")], true, false, None);
        check(&[ok, ("connection", "close")], true, false, None);
        check(&[ok, ("content-length", "7")], true, false, None);
        check(&[(":status", "100")], true, false, None);
    }
}
