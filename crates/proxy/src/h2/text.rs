//! Header lists as strict HTTP/1 text, and back.
//!
//! Owns what is malformed (RFC 9113 §8.1.1, §8.2, §8.3): a list has exactly one reading as text, or it is refused. Must
//! never repair, with one exception that the standard asks for: split cookies become one (§8.2.3). What is sound here is
//! read again by [`crate::proto`], so that limits and the guard hold as for everybody.

use h2::ext::Protocol;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, request};

use super::websocket;
use crate::proto::emit;
use crate::proto::field::Name;
use crate::proto::policy;
use crate::proto::scan::is_token_byte;
use crate::proto::{RequestHead, ResponseHead};

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
    /// Bytes that are no body: what they are, both ends have yet to agree on.
    Raw,
}

/// Appends a request's head as text. `ended`: nothing follows it. `key`: what an instance is asked with where the client
/// asks for a WebSocket.
pub fn request(head: &request::Parts, ended: bool, key: Option<&str>, out: &mut Vec<u8>) -> Result<Body, Malformed> {
    let key = key.filter(|_| asks_for_websocket(head));
    let (mut host, mut length, mut cookies, mut size) = (None, None, false, 0);
    for (name, value) in &head.headers {
        let value = value.as_bytes();
        check(name, value)?;
        size += name.as_str().len() + value.len() + 4;
        match *name {
            COOKIE => cookies = true,
            HOST if host.replace(value).is_some() => return Err(Malformed),
            CONTENT_LENGTH if length.replace(number(value)?).is_some() => return Err(Malformed),
            TE if value != b"trailers" => return Err(Malformed),
            _ => {}
        }
    }
    let authority = match (head.uri.authority().map(|authority| authority.as_str().as_bytes()), host) {
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
    if key.is_some() && length.is_some() {
        return Err(Malformed);
    }
    // HTTP/1.1 has no other method for it (RFC 6455 §4.1).
    let method = if key.is_some() { b"GET" } else { head.method.as_str().as_bytes() };
    if !method.iter().all(|b| is_token_byte(*b)) {
        return Err(Malformed);
    }
    // The first line, `host` and what says where the body ends are no longer than that, with few exceptions.
    out.reserve(size + 2 * authority.len() + head.uri.path().len() + 96);
    out.extend_from_slice(method);
    out.push(b' ');
    if head.method == Method::CONNECT && key.is_none() {
        // Understood, and refused as it is in HTTP/1.
        out.extend_from_slice(authority);
    } else {
        let path = head.uri.path_and_query().ok_or(Malformed)?.as_str().as_bytes();
        let is_origin = path.first() == Some(&b'/') || (path == b"*" && head.method == Method::OPTIONS);
        let visible = path.iter().all(|b| matches!(b, 0x21..=0x7e) && *b != b'#');
        let known = head.uri.scheme().is_none_or(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        if !is_origin || !visible || !known {
            return Err(Malformed);
        }
        out.extend_from_slice(path);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(authority);
    out.extend_from_slice(b"\r\n");
    for (name, value) in &head.headers {
        let is_ours = key.is_some() && websocket::is_of_http1(name.as_str().as_bytes());
        if ![HOST, TE, COOKIE].contains(name) && !is_ours {
            line(name.as_str(), value.as_bytes(), out);
        }
    }
    if cookies {
        let mut before: &[u8] = b"cookie: ";
        for cookie in head.headers.get_all(COOKIE) {
            out.extend_from_slice(before);
            out.extend_from_slice(cookie.as_bytes());
            before = b"; ";
        }
        out.extend_from_slice(b"\r\n");
    }
    if let Some(key) = key {
        line("connection", b"upgrade", out);
        line("upgrade", b"websocket", out);
        line("sec-websocket-key", key.as_bytes(), out);
    }
    let body = match length {
        _ if key.is_some() => Body::Raw,
        Some(length) => Body::Length(length),
        None if ended => Body::None,
        None => Body::Chunks,
    };
    finish(body, out);
    Ok(body)
}

/// Whether a client asks to go on as a WebSocket (RFC 8441 §5).
pub fn asks_for_websocket(head: &request::Parts) -> bool {
    let protocol = head.extensions.get::<Protocol>().map(Protocol::as_str);
    head.method == Method::CONNECT && protocol == Some("websocket")
}

/// Appends an answer's head as text. `to_head`: the request was HEAD. An interim answer has no body.
pub fn answer(head: &Response<()>, ended: bool, to_head: bool, out: &mut Vec<u8>) -> Result<Body, Malformed> {
    let mut length = None;
    for (name, value) in head.headers() {
        check(name, value.as_bytes())?;
        if (*name == CONTENT_LENGTH && length.replace(number(value.as_bytes())?).is_some()) || *name == TE {
            return Err(Malformed);
        }
    }
    let status = head.status().as_u16();
    let bodiless = to_head || status < 200 || status == 204 || status == 304;
    // An upgrade is not a thing of HTTP/2 (RFC 9113 §8.6), and an interim answer ends nothing.
    if status == 101 || (status < 200 && ended) || (ended && !bodiless && length.is_some_and(|length| length > 0)) {
        return Err(Malformed);
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    emit::decimal(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(head.status().canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    head.headers().iter().for_each(|(name, value)| line(name.as_str(), value.as_bytes(), out));
    let body = match length {
        _ if bodiless => Body::None,
        Some(length) => Body::Length(length),
        None if ended => {
            line("content-length", b"0", out);
            Body::None
        }
        None => Body::Chunks,
    };
    finish(body, out);
    Ok(body)
}

/// Appends trailers as lines.
pub fn trailers(fields: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Malformed> {
    for (name, value) in fields {
        check(name, value.as_bytes())?;
        line(name.as_str(), value.as_bytes(), out);
    }
    Ok(())
}

/// A request that the road itself wrote as text.
pub fn request_to_send(bytes: &[u8], head: &RequestHead, scheme: &str) -> Result<Request<()>, Malformed> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method.of(bytes)).map_err(|_| Malformed)?;
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path(head.path.of(bytes))?);
    match head.host.map(|host| host.of(bytes)).filter(|host| !host.is_empty()) {
        Some(host) => {
            uri.authority = Some(Authority::try_from(host).map_err(|_| Malformed)?);
            uri.scheme = Some(Scheme::try_from(scheme).map_err(|_| Malformed)?);
        }
        // An HTTP/1.0 client need not say what it wants it from.
        None => *request.version_mut() = Version::HTTP_11,
    }
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Malformed)?;
    for field in head.fields.iter() {
        if !matches!(field.kind, Name::Host | Name::TransferEncoding | Name::Connection | Name::Hop | Name::Upgrade) {
            add(request.headers_mut(), field.name.of(bytes), field.value.of(bytes))?;
        }
    }
    // The road takes trailers, whoever asked (RFC 9110 §10.1.4); servers of gRPC speak to nobody who does not.
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

/// An answer that the road itself wrote as text.
pub fn answer_to_send(bytes: &[u8], head: &ResponseHead) -> Result<Response<()>, Malformed> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(head.status).map_err(|_| Malformed)?;
    for field in head.fields.iter() {
        if !matches!(field.kind, Name::TransferEncoding | Name::Connection | Name::Hop | Name::Upgrade) {
            add(answer.headers_mut(), field.name.of(bytes), field.value.of(bytes))?;
        }
    }
    Ok(answer)
}

/// A 101 that the road itself wrote as text, and by which a client goes on as a WebSocket.
pub fn switch_to_send(bytes: &[u8], head: &ResponseHead) -> Result<Response<()>, Malformed> {
    let mut answer = answer_to_send(bytes, head)?;
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().remove("sec-websocket-accept");
    Ok(answer)
}

/// Trailers that the road itself wrote as lines.
pub fn trailers_to_send(lines: &[u8]) -> Result<HeaderMap, Malformed> {
    let mut fields = HeaderMap::new();
    for line in lines.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(colon) = line.iter().position(|b| *b == b':') {
            add(&mut fields, &line[..colon], line[colon + 1..].trim_ascii())?;
        }
    }
    Ok(fields)
}

fn add(fields: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    let name = HeaderName::from_bytes(name).map_err(|_| Malformed)?;
    let value = HeaderValue::from_bytes(value).map_err(|_| Malformed)?;
    fields.try_append(name, value).map(drop).map_err(|_| Malformed)
}

/// A path as `http` takes it. What HTTP/1 lets through beyond RFC 3986 §3.3 is escaped, which means the same.
fn path(bytes: &[u8]) -> Result<PathAndQuery, Malformed> {
    if let Ok(path) = PathAndQuery::try_from(bytes) {
        return Ok(path);
    }
    let mut escaped = String::new();
    for byte in bytes {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => escaped.push_str(&format!("%{byte:02X}")),
            _ => escaped.push(char::from(*byte)),
        }
    }
    PathAndQuery::try_from(escaped).map_err(|_| Malformed)
}

/// A field that is no pseudo-field, has no white space around its value, and says nothing of the connection. That a name
/// is in lower case and nearly a token, and that a value has no controls but tabs, their types say.
fn check(name: &HeaderName, value: &[u8]) -> Result<(), Malformed> {
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    let of_connection = matches!(*name, CONNECTION | TRANSFER_ENCODING | UPGRADE)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
        // The one character that `http` takes for a part of names, and that is none (RFC 9110 §5.6.2).
        || name.as_str().contains('"');
    if blank(value.first()) || blank(value.last()) || of_connection {
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

fn line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn finish(body: Body, out: &mut Vec<u8>) {
    out.extend_from_slice(if body == Body::Chunks { b"transfer-encoding: chunked\r\n\r\n" } else { b"\r\n" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn said(method: &str, uri: &str, list: &[(&str, &str)], ended: bool) -> Result<String, Malformed> {
        let mut asked = Request::new(());
        *asked.method_mut() = method.parse().unwrap();
        *asked.uri_mut() = uri.parse().unwrap();
        *asked.headers_mut() = fields(list);
        let mut out = Vec::new();
        request(&asked.into_parts().0, ended, Some("key"), &mut out).map(|_| String::from_utf8(out).unwrap())
    }

    const SOUND: &str = "https://test/a?b";

    #[test]
    fn a_name_is_a_token() {
        for byte in 0..=255u8 {
            let Ok(name) = HeaderName::from_lowercase(&[byte]) else { continue };
            assert_eq!(check(&name, b"x").is_ok(), crate::proto::scan::is_token_byte(byte), "{byte}");
        }
    }

    #[test]
    fn requests_become_text() {
        let head = "GET /a?b HTTP/1.1\r\nhost: test\r\n";
        assert_eq!(said("GET", SOUND, &[], true), Ok(format!("{head}\r\n")));
        assert_eq!(said("GET", SOUND, &[], false), Ok(format!("{head}transfer-encoding: chunked\r\n\r\n")));
        let length = [("content-length", "5"), ("host", "TEST"), ("te", "trailers")];
        assert_eq!(said("GET", SOUND, &length, false), Ok(format!("{head}content-length: 5\r\n\r\n")));
        let cookies = [("cookie", "a=1"), ("x", ""), ("cookie", "b=2")];
        assert_eq!(said("GET", SOUND, &cookies, true), Ok(format!("{head}x: \r\ncookie: a=1; b=2\r\n\r\n")));
        assert_eq!(said("GET", "/a?b", &[("host", "test")], true), Ok(format!("{head}\r\n")));
        let connect = said("CONNECT", "a:1", &[], false).unwrap();
        assert!(connect.starts_with("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n"), "{connect}");
        let mut asked = Request::new(());
        *asked.method_mut() = Method::CONNECT;
        *asked.uri_mut() = SOUND.parse().unwrap();
        *asked.headers_mut() = fields(&[("sec-websocket-version", "13"), ("sec-websocket-key", "mine")]);
        asked.extensions_mut().insert(Protocol::from_static("websocket"));
        let (mut parts, mut out) = (asked.into_parts().0, Vec::new());
        assert_eq!(request(&parts, false, Some("key"), &mut out), Ok(Body::Raw));
        let wanted = "GET /a?b HTTP/1.1\r\nhost: test\r\nsec-websocket-version: 13\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: key\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&out), wanted);
        parts.headers.insert("content-length", 5.into());
        assert_eq!(request(&parts, false, Some("key"), &mut Vec::new()), Err(Malformed));
        // Another protocol is refused as a plain CONNECT is.
        (parts.headers, out) = (HeaderMap::new(), Vec::new());
        parts.extensions.insert(Protocol::from_static("connect-udp"));
        request(&parts, false, Some("key"), &mut out).unwrap();
        assert!(out.starts_with(b"CONNECT test HTTP/1.1\r\n"));
        let all = said("OPTIONS", "*", &[("host", "a")], true).unwrap();
        assert_eq!(all, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
    }

    #[test]
    fn what_could_be_read_in_another_way_is_malformed() {
        for more in [
            ("a", " x"),
            ("a", "x\t"),
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
        ] {
            assert_eq!(said("GET", SOUND, &[more], true), Err(Malformed), "{more:?}");
        }
        for twice in ["host", "content-length"] {
            let value = if twice == "host" { "test" } else { "5" };
            assert_eq!(said("GET", SOUND, &[(twice, value), (twice, value)], false), Err(Malformed), "{twice}");
        }
        for uri in ["ftp://test/", "http://user@test/", "http://:80/", "/", "*", "test:80", "http://test/\u{e9}"] {
            assert_eq!(said("GET", uri, &[], true), Err(Malformed), "{uri}");
        }
        assert_eq!(said("GET", "*", &[("host", "test")], true), Err(Malformed));
    }

    #[test]
    fn answers_become_text() {
        let check = |status: u16, list: &[(&str, &str)], ended, to_head, out: Option<&str>| {
            let mut head = Response::new(());
            *head.status_mut() = StatusCode::from_u16(status).unwrap();
            *head.headers_mut() = fields(list);
            let mut text = Vec::new();
            let read = answer(&head, ended, to_head, &mut text).ok();
            assert_eq!(read.map(|_| String::from_utf8(text).unwrap()).as_deref(), out, "{status} {list:?}");
        };
        check(200, &[], true, false, Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        check(200, &[], false, false, Some("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"));
        check(200, &[("content-length", "7")], true, true, Some("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"));
        check(200, &[], true, true, Some("HTTP/1.1 200 OK\r\n\r\n"));
        check(103, &[("link", "x")], false, false, Some("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"));
        check(299, &[], true, true, Some("HTTP/1.1 299 \r\n\r\n"));
        check(101, &[], false, false, None);
        check(100, &[], true, false, None);
        check(200, &[("connection", "close")], true, false, None);
        check(200, &[("content-length", "7")], true, false, None);
        check(200, &[("content-length", "7"), ("content-length", "7")], false, false, None);
    }

    #[test]
    fn text_becomes_requests() {
        let check = |text: &str, out: Option<&str>| {
            let crate::proto::Parsed::Head(head) = RequestHead::read(text.as_bytes(), &mut Default::default()) else {
                panic!("{text}");
            };
            let asked = request_to_send(text.as_bytes(), &head, "http").ok();
            assert_eq!(asked.map(|asked| asked.uri().to_string()).as_deref(), out, "{text}");
        };
        check("GET /a?b=%20 HTTP/1.1\r\nHost: test:80\r\n\r\n", Some("http://test:80/a?b=%20"));
        check("GET /\"<>\\^`{|}?\"<` HTTP/1.0\r\n\r\n", Some("/%22%3C%3E%5C%5E%60%7B%7C%7D?%22%3C%60"));
        check("GET /<a>?`b` HTTP/1.1\r\nHost: a\r\n\r\n", Some("http://a/%3Ca%3E?%60b%60"));
        check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Some("http://a*"));
    }
}
