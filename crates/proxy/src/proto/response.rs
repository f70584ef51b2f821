//! A response's head.
//!
//! Owns the status line and what the head as a whole means. As strict as with requests: an instance whose answer has
//! two readings is answered for with 502 (RFC 9112 §6.3).

use super::body::Framing;
use super::field::{Fields, Span};
use super::policy::{self, Connection};
use super::scan::{Scan, Scanner, find};
use crate::fault::Fault;

/// What an instance answers, as spans of the bytes it was read from.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Bytes to take away.
    pub len: usize,
    /// The status, 100 to 999.
    pub status: u16,
    /// The reason as written, perhaps nothing.
    pub reason: Span,
    /// The minor version, 0 or 1.
    pub minor: u8,
    /// All fields.
    pub fields: Fields,
    /// Where the body ends.
    pub framing: Framing,
    /// What `Connection` says.
    pub connection: Connection,
}

impl ResponseHead {
    /// Reads the head at the beginning of `bytes`, which must begin with what `scanner` was given before; `Ok(None)`
    /// while it is not complete. `to_head`: the request was HEAD.
    pub fn read(bytes: &[u8], scanner: &mut Scanner, to_head: bool) -> Result<Option<Self>, Fault> {
        match scanner.search(bytes, false) {
            Scan::More => Ok(None),
            Scan::Head { end, .. } => read(bytes, end, to_head).map(Some),
            Scan::Broken | Scan::LineTooLong | Scan::TooLong => Err(Fault::BadAnswer),
        }
    }

    /// Whether the instance keeps the connection for another request. HTTP/1.0 instances are not trusted to.
    #[must_use]
    pub fn persists(&self) -> bool {
        self.minor > 0 && !self.connection.close && self.framing != Framing::UntilClose
    }
}

fn read(bytes: &[u8], end: usize, to_head: bool) -> Result<ResponseHead, Fault> {
    let bad = Fault::BadAnswer;
    let line_len = find(&bytes[..end], b'\r').ok_or(bad)?;
    if bytes[line_len + 1] != b'\n' {
        return Err(bad);
    }
    let line = &bytes[..line_len];
    let minor = match line.get(..9) {
        Some(b"HTTP/1.0 ") => 0,
        Some(b"HTTP/1.1 ") => 1,
        _ => return Err(bad),
    };
    let digits = line.get(9..12).filter(|d| d.iter().all(u8::is_ascii_digit)).ok_or(bad)?;
    let status = digits.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    // The space before an empty reason is often left out; nothing else can be meant.
    let reason = match line.get(12) {
        None => Span::default(),
        Some(b' ') => Span::new(13, line_len),
        Some(_) => return Err(bad),
    };
    let visible = |b: &u8| *b == b'\t' || (*b >= 0x20 && *b != 0x7f);
    if status < 100 || !reason.of(bytes).iter().all(visible) {
        return Err(bad);
    }
    let fields = Fields::read(bytes, line_len + 2, end).map_err(|_| bad)?;
    let framing = policy::response_framing(bytes, &fields, minor, status, to_head)?;
    let connection = policy::connection(bytes, &fields).map_err(|_| bad)?;
    Ok(ResponseHead { len: end, status, reason, minor, fields, framing, connection })
}
