//! One answer, read strictly: status line, headers, a body whose end is certain.
//!
//! Owns what counts as a complete answer. Does no I/O, and must never guess: an answer whose end is not stated is
//! malformed. Source: RFC 9112 §4, §6, §7.1. Next: [`super::sender`], which reads the bytes.

use serde::Deserialize;

/// The longest answer accepted, head and body together, in bytes.
pub(super) const LIMIT: usize = 1 << 20;

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body, decoded.
    pub body: Vec<u8>,
    /// Whether the server will close the connection.
    pub close: bool,
}

/// Who answered, as the sample application says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Origin {
    pub instance: String,
    pub zone: String,
    pub version: String,
}

impl Answer {
    /// Who answered, if the body says so.
    pub fn origin(&self) -> Option<Origin> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// The answer that all of `bytes` is, or `None` while some of it is missing.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Answer>, &'static str> {
    let mut rest = bytes;
    loop {
        let Some(end) = find(rest, b"\r\n\r\n") else {
            return if bytes.len() > LIMIT { Err("it is longer than 1 MiB") } else { Ok(None) };
        };
        let head = std::str::from_utf8(&rest[..end]).map_err(|_| "its head is not text")?;
        rest = &rest[end + 4..];
        let mut lines = head.split("\r\n");
        let status = status(lines.next().unwrap_or_default())?;
        let framing = framing(lines)?;
        if (100..200).contains(&status) {
            continue;
        }
        let body = match framing.body {
            _ if matches!(status, 204 | 304) => Some((Vec::new(), rest)),
            Body::Length(length) if length > LIMIT => return Err("it is longer than 1 MiB"),
            Body::Length(length) => rest.split_at_checked(length).map(|(body, rest)| (body.to_vec(), rest)),
            Body::Chunked => chunks(rest)?,
            Body::Unstated => return Err("it does not say where its body ends"),
        };
        return match body {
            None if bytes.len() > LIMIT => Err("it is longer than 1 MiB"),
            None => Ok(None),
            Some((_, rest)) if !rest.is_empty() => Err("more follows it than it said"),
            Some((body, _)) => Ok(Some(Answer { status, body, close: framing.close })),
        };
    }
}

enum Body {
    Length(usize),
    Chunked,
    Unstated,
}

struct Framing {
    body: Body,
    close: bool,
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn status(line: &str) -> Result<u16, &'static str> {
    const BAD: &str = "its status line is malformed";
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or(BAD)?;
    let digits = rest.get(..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).ok_or(BAD)?;
    if !(rest.len() == 3 || rest.as_bytes()[3] == b' ') {
        return Err(BAD);
    }
    digits.parse().ok().filter(|status| (100..600).contains(status)).ok_or(BAD)
}

fn framing<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Framing, &'static str> {
    let mut framing = Framing { body: Body::Unstated, close: false };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err("a header's name is malformed");
        }
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let length = value.parse().ok().filter(|_| digits).ok_or("its Content-Length is malformed")?;
            framing.body = match framing.body {
                Body::Unstated => Body::Length(length),
                _ => return Err("it says twice where its body ends"),
            };
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err("its Transfer-Encoding is unknown");
            }
            framing.body = match framing.body {
                Body::Unstated => Body::Chunked,
                _ => return Err("it says twice where its body ends"),
            };
        } else if name.eq_ignore_ascii_case("connection") {
            framing.close |= value.split(',').any(|word| word.trim().eq_ignore_ascii_case("close"));
        }
    }
    Ok(framing)
}

/// A body, and what follows it.
type Cut<'a> = (Vec<u8>, &'a [u8]);

/// A chunked body.
fn chunks(mut rest: &[u8]) -> Result<Option<Cut<'_>>, &'static str> {
    const BAD: &str = "a chunk's size is malformed";
    let mut body = Vec::new();
    loop {
        let Some(end) = find(rest, b"\r\n") else {
            return if rest.len() > 64 { Err(BAD) } else { Ok(None) };
        };
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| BAD)?;
        let digits = line.split(';').next().unwrap_or_default();
        if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BAD);
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| BAD)?;
        rest = &rest[end + 2..];
        if size == 0 {
            // Trailers end with an empty line.
            return Ok(match rest.strip_prefix(b"\r\n") {
                Some(rest) => Some((body, rest)),
                None => find(rest, b"\r\n\r\n").map(|end| (body, &rest[end + 4..])),
            });
        }
        if size > LIMIT {
            return Err("it is longer than 1 MiB");
        }
        let Some((chunk, after)) = rest.split_at_checked(size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Ok(None),
            _ => return Err("a chunk is longer than its size"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Option<(u16, &str, bool)>, &str>) {
        let read = parse(text.as_bytes());
        let read = read.map(|answer| answer.map(|a| (a.status, String::from_utf8(a.body).unwrap(), a.close)));
        let read = read.as_ref().map(|answer| answer.as_ref().map(|(s, b, c)| (*s, b.as_str(), *c)));
        assert_eq!(read.map_err(|why| *why), expected, "{text:?}");
    }

    #[test]
    fn whole_answers_are_read_and_parts_of_them_are_not() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, "hi", false)),
            ("HTTP/1.1 503\r\ncontent-length:0\r\nConnection: x, Close\r\n\r\n", (503, "", true)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
                (200, "hi!", false),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", (200, "", false)),
            ("HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 204 Nothing\r\n\r\n", (204, "", false)),
        ] {
            check(text, Ok(Some(expected)));
            for end in 0..text.len() {
                check(&text[..end], Ok(None));
            }
            let more = format!("{text}x");
            check(&more, Err("more follows it than it said"));
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_the_rule() {
        let head = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n");
        for status in ["HTTP/1.0 200 OK", "HTTP/1.1 20x OK", "HTTP/1.1 2000", "HTTP/1.1  200", "x", "HTTP/1.1 099 a"] {
            check(&format!("{status}\r\nContent-Length: 0\r\n\r\n"), Err("its status line is malformed"));
        }
        check(&head("X: y"), Err("it does not say where its body ends"));
        check(&head("X"), Err("a header has no colon"));
        check(&head("X : y"), Err("a header's name is malformed"));
        check(&head("Content-Length: +1"), Err("its Content-Length is malformed"));
        check(&head("Content-Length: 99999999999999999999999"), Err("its Content-Length is malformed"));
        check(&head("Content-Length: 1048577"), Err("it is longer than 1 MiB"));
        check(&head("Content-Length: 0\r\nContent-Length: 0"), Err("it says twice where its body ends"));
        check(&head("Content-Length: 0\r\nTransfer-Encoding: chunked"), Err("it says twice where its body ends"));
        check(&head("Transfer-Encoding: gzip"), Err("its Transfer-Encoding is unknown"));
        let chunked = |body: &str| format!("{}{body}", head("Transfer-Encoding: chunked"));
        check(&chunked("x\r\n"), Err("a chunk's size is malformed"));
        check(&chunked("\r\n"), Err("a chunk's size is malformed"));
        check(&chunked("1\r\nabc"), Err("a chunk is longer than its size"));
        check(&chunked("ffffffff\r\n"), Err("it is longer than 1 MiB"));
    }

    #[test]
    fn the_sample_applications_answer_says_who_it_is() {
        let body = br#"{"instance":"i-1","version":"v2","zone":"a"}"#.to_vec();
        let origin = Answer { status: 200, body, close: false }.origin().unwrap();
        assert_eq!((&*origin.instance, &*origin.zone, &*origin.version), ("i-1", "a", "v2"));
        assert_eq!(Answer { status: 200, body: b"hi".to_vec(), close: false }.origin(), None);
    }
}
