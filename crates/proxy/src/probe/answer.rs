//! The answer to an HTTP check, byte by byte: is it a well-formed head with status 200?
//!
//! Owns the strictness: what the road would refuse from a target must not count as healthy either. Must never keep more
//! than one head, or wait for a body: the head is the verdict. Next: [`super::talk`].

use evenkeel_core::health::Cause;

/// The longest head, interim ones included, in bytes.
pub const HEAD_LIMIT: u32 = 16 * 1024;

const PREFIX: &[u8] = b"HTTP/1.";

/// What has come so far.
#[derive(Debug, Default)]
pub struct Answer {
    line: Vec<u8>,
    total: u32,
    status: Option<u16>,
}

impl Answer {
    /// Takes more bytes; `Some` once the verdict is clear. Bytes behind it are ignored.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Result<(), Cause>> {
        for &byte in bytes {
            if self.total >= HEAD_LIMIT {
                return Some(Err(Cause::TooLong { limit: HEAD_LIMIT }));
            }
            self.total += 1;
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                match self.end_line(&line) {
                    Ok(None) => {}
                    Ok(Some(200)) => return Some(Ok(())),
                    Ok(Some(status)) => return Some(Err(Cause::Status { status })),
                    Err(rule) => return Some(Err(Cause::Garbled { rule: rule.into() })),
                }
                self.line = line;
                self.line.clear();
            } else if self.status.is_none() && PREFIX.get(self.line.len() - 1).is_some_and(|&wanted| wanted != byte) {
                // Something else listens there, and may never end its line.
                return Some(Err(Cause::Garbled { rule: "it does not begin with `HTTP/1.`".into() }));
            }
        }
        None
    }

    /// The final status, once it is known and, for 200, the head is complete.
    fn end_line(&mut self, line: &[u8]) -> Result<Option<u16>, &'static str> {
        let line = line.strip_suffix(b"\r\n").ok_or("a line ends without a carriage return")?;
        let Some(status) = self.status else {
            let status = status_line(line).ok_or("its status line is malformed")?;
            self.status = Some(status);
            let more = status == 200 || ((100..200).contains(&status) && status != 101);
            return Ok((!more).then_some(status));
        };
        if line.is_empty() {
            self.status = None;
            return Ok((status == 200).then_some(200));
        }
        let colon = line.iter().position(|&b| b == b':').ok_or("a header has no colon")?;
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().all(|&b| is_token(b)) {
            return Err("a header's name is malformed");
        }
        if value.iter().any(|&b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            return Err("a header's value holds a control character");
        }
        Ok(None)
    }
}

/// `HTTP/1.x SP 3DIGIT [SP reason]` (RFC 9112, section 4); the last space is often forgotten and harmless.
fn status_line(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(PREFIX)?;
    let (version, rest) = rest.split_first()?;
    let (code, reason) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let reason_fits = reason.is_empty() || reason[0] == b' ';
    let visible = reason.iter().all(|&b| b == b'\t' || (b >= 0x20 && b != 0x7f));
    if !matches!(version, b'0' | b'1') || !reason_fits || !visible || !(b'1'..=b'9').contains(&code[0]) {
        return None;
    }
    code.iter().all(u8::is_ascii_digit).then(|| code.iter().fold(0, |sum, b| sum * 10 + u16::from(b - b'0')))
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &[u8]) -> Option<Result<(), Cause>> {
        Answer::default().take(text)
    }

    fn bytewise(text: &[u8]) -> Option<Result<(), Cause>> {
        let mut answer = Answer::default();
        text.iter().find_map(|b| answer.take(std::slice::from_ref(b)))
    }

    #[test]
    fn only_a_well_formed_200_passes() {
        let check = |text: &str, wanted: Option<Result<(), &str>>| {
            let words = |got: Option<Result<(), Cause>>| got.map(|r| r.map_err(|cause| cause.to_string()));
            let wanted = wanted.map(|r| r.map_err(str::to_owned));
            assert_eq!(words(whole(text.as_bytes())), wanted, "{text:?}");
            assert_eq!(words(bytewise(text.as_bytes())), wanted, "{text:?} byte by byte");
        };
        let garbled = |rule: &'static str| Some(Err(rule));
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Some(Ok(())));
        check("HTTP/1.0 200\r\n\r\n", Some(Ok(())));
        check("HTTP/1.1 200 \r\n\r\n", Some(Ok(())));
        check("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Some(Ok(())));
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None);
        check("HTTP/1.1 200 OK", None);
        check("", None);
        check("HTTP/1.1 204 No Content\r\n", Some(Err("status 204, 200 wanted")));
        check("HTTP/1.1 302 Found\r\n", Some(Err("status 302, 200 wanted")));
        check("HTTP/1.1 503 Service Unavailable\r\n", Some(Err("status 503, 200 wanted")));
        check("HTTP/1.1 101 Switching Protocols\r\n", Some(Err("status 101, 200 wanted")));
        check("SSH-2.0-OpenSSH", garbled("answer is not HTTP: it does not begin with `HTTP/1.`"));
        check("HTTP/2 200\r\n", garbled("answer is not HTTP: it does not begin with `HTTP/1.`"));
        check("HTTP/1.2 200 OK\r\n", garbled("answer is not HTTP: its status line is malformed"));
        check("HTTP/1.1  200 OK\r\n", garbled("answer is not HTTP: its status line is malformed"));
        check("HTTP/1.1 2000 OK\r\n", garbled("answer is not HTTP: its status line is malformed"));
        check("HTTP/1.1 +20 OK\r\n", garbled("answer is not HTTP: its status line is malformed"));
        check("HTTP/1.1 20\r\n", garbled("answer is not HTTP: its status line is malformed"));
        check("HTTP/1.1 099 X\r\n", garbled("answer is not HTTP: its status line is malformed"));
        check("HTTP/1.1 200 OK\n", garbled("answer is not HTTP: a line ends without a carriage return"));
        check("HTTP/1.1 200 OK\r\nnonsense\r\n", garbled("answer is not HTTP: a header has no colon"));
        check("HTTP/1.1 200 OK\r\nA : b\r\n", garbled("answer is not HTTP: a header's name is malformed"));
        check("HTTP/1.1 200 OK\r\n a: b\r\n", garbled("answer is not HTTP: a header's name is malformed"));
        check(
            "HTTP/1.1 200 OK\r\na: b\0\r\n",
            garbled("answer is not HTTP: a header's value holds a control character"),
        );
    }

    #[test]
    fn an_endless_head_is_cut_at_the_limit() {
        let check = |text: Vec<u8>| assert_eq!(whole(&text), Some(Err(Cause::TooLong { limit: HEAD_LIMIT })));
        check([b"HTTP/1.1 200 OK\r\n".as_slice(), &b"a: b\r\n".repeat(4_000)].concat());
        check([b"HTTP/1.1 200 ".as_slice(), &[b'x'; 20_000]].concat());
        check(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_alike_however_they_are_cut(text: Vec<u8>, ok: bool) {
            let text = if ok { [b"HTTP/1.1 200 OK\r\n".as_slice(), &text].concat() } else { text };
            prop_assert_eq!(whole(&text), bytewise(&text));
        }
    }
}
