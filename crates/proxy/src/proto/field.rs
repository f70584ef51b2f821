//! Fields: names and values as spans of the bytes they were read from.
//!
//! Owns the grammar of a field line (RFC 9112 §5) and which names the road acts on. Must never copy a value.

use std::cell::Cell;
use std::ops::Range;

use super::guard::resembles_framing;
use super::scan::{find_control, is_token_byte};

/// Fields a head may have.
pub const FIELD_LIMIT: usize = 128;

/// A piece of a head: the bytes from `start` to before `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The span between two places of a head. A head is shorter than 64 KiB, so they fit.
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: u16::try_from(start).unwrap_or(u16::MAX), end: u16::try_from(end).unwrap_or(u16::MAX) }
    }

    /// The bytes it stands for; nothing where it does not belong to these bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// Whether it holds no byte.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// The names the road acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Name {
    /// Any other: carried as it is, unless `Connection` names it.
    #[default]
    Other,
    /// `Host`.
    Host,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Connection`.
    Connection,
    /// `Expect`.
    Expect,
    /// `X-Forwarded-For`.
    ForwardedFor,
    /// `X-Forwarded-Proto` or `X-Forwarded-Port`: the balancer's own are sent instead.
    ForwardedHow,
    /// For one hop only: `Keep-Alive`, `Proxy-Connection`, `TE`, `HTTP2-Settings`.
    Hop,
    /// `Upgrade`: for one hop only, unless it is carried on as [`super::upgrade`] has it.
    Upgrade,
    /// `Content_Length`, `Transfer--Encoding` and the like, which some servers take for the real ones: never carried.
    LookAlike,
}

impl Name {
    pub(super) fn read(name: &[u8]) -> Self {
        let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
        match name.len() {
            2 if is("te") => Self::Hop,
            4 if is("host") => Self::Host,
            6 if is("expect") => Self::Expect,
            7 if is("upgrade") => Self::Upgrade,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::Hop,
            14 if is("content-length") => Self::ContentLength,
            14 if is("http2-settings") => Self::Hop,
            15 if is("x-forwarded-for") => Self::ForwardedFor,
            16 if is("x-forwarded-port") => Self::ForwardedHow,
            16 if is("proxy-connection") => Self::Hop,
            17 if is("x-forwarded-proto") => Self::ForwardedHow,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            14.. if resembles_framing(name) => Self::LookAlike,
            _ => Self::Other,
        }
    }
}

/// One field line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field {
    /// Which of the names the road acts on it is.
    pub kind: Name,
    /// Its name as written.
    pub name: Span,
    /// Its value without the white space around it.
    pub value: Span,
}

impl Field {
    /// Where the whole line stands, if it was written just as the road writes one: a colon, one space, and nothing after
    /// the value.
    pub(super) fn line(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let (colon, end) = (usize::from(self.name.end), usize::from(self.value.end));
        let plain = usize::from(self.value.start) == colon + 2
            && bytes.get(colon + 1) == Some(&b' ')
            && bytes.get(end..end + 2) == Some(b"\r\n");
        plain.then_some(usize::from(self.name.start)..end + 2)
    }
}

/// All fields of a head, in order.
#[derive(Clone, Debug)]
pub struct Fields {
    list: Vec<Field>,
}

thread_local! {
    /// The list of the head that was read last: the next one takes it over, so that reading allocates nothing.
    static SPARE: Cell<Vec<Field>> = const { Cell::new(Vec::new()) };
}

impl Drop for Fields {
    fn drop(&mut self) {
        // A thread that is ending has nowhere to keep it.
        let _ = SPARE.try_with(|spare| spare.set(std::mem::take(&mut self.list)));
    }
}

/// Why fields are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadField {
    /// The grammar is broken.
    Grammar,
    /// There are more than [`FIELD_LIMIT`].
    TooMany,
}

impl Fields {
    /// Reads the field lines in `bytes[at..end]`, where `end` is after the head's empty line.
    pub fn read(bytes: &[u8], mut at: usize, end: usize) -> Result<Self, BadField> {
        let mut fields = Self { list: SPARE.try_with(Cell::take).unwrap_or_default() };
        fields.list.clear();
        let block = bytes.get(..end.saturating_sub(2)).ok_or(BadField::Grammar)?;
        while at < block.len() {
            let rest = &block[at..];
            let colon = rest.iter().position(|b| !is_token_byte(*b)).ok_or(BadField::Grammar)?;
            if colon == 0 || rest[colon] != b':' {
                return Err(BadField::Grammar);
            }
            let value = &rest[colon + 1..];
            let len = value_len(value).ok_or(BadField::Grammar)?;
            if value[len..].get(..2) != Some(b"\r\n") {
                return Err(BadField::Grammar);
            }
            let from = value[..len].iter().position(|b| !is_blank(*b)).unwrap_or(len);
            let to = value[..len].iter().rposition(|b| !is_blank(*b)).map_or(from, |last| last + 1);
            let base = at + colon + 1;
            if fields.list.len() == FIELD_LIMIT {
                return Err(BadField::TooMany);
            }
            fields.list.push(Field {
                kind: Name::read(&rest[..colon]),
                name: Span::new(at, at + colon),
                value: Span::new(base + from, base + to),
            });
            at = base + len + 2;
        }
        Ok(fields)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list.iter()
    }

    /// Those of one kind, in order.
    pub fn of(&self, kind: Name) -> impl Iterator<Item = &Field> {
        self.iter().filter(move |field| field.kind == kind)
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The length of the field value at the beginning of `bytes`: visible, blank or obs-text; no control but a tab, so
/// neither NUL nor a bare CR. `None` when nothing ends it.
pub(super) fn value_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find_control(&bytes[at..])?;
        if bytes[at] != b'\t' {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_lines_are_read_strictly() {
        let check = |text: &str, out: Result<&[(&str, &str)], BadField>| {
            let bytes = format!("{text}\r\n");
            let read = Fields::read(bytes.as_bytes(), 0, bytes.len()).map(|fields| {
                let text = |span: Span| String::from_utf8_lossy(span.of(bytes.as_bytes())).into_owned();
                fields.iter().map(|f| (text(f.name), text(f.value))).collect::<Vec<_>>()
            });
            let out = out.map(|list| list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>());
            assert_eq!(read, out, "{text:?}");
        };
        check("", Ok(&[]));
        check("A: b\r\n", Ok(&[("A", "b")]));
        check("A:\t b c \t\r\nD:\r\nE: \r\n", Ok(&[("A", "b c"), ("D", ""), ("E", "")]));
        check("A: \u{e9}\r\n", Ok(&[("A", "\u{e9}")]));
        for bad in [
            "A : b\r\n",
            "A\t: b\r\n",
            ": b\r\n",
            "A\r\n",
            "A: b\r\n c\r\n",
            " A: b\r\n",
            "A: b\0\r\n",
            "A: b\rc\r\n",
            "A: \x01\r\n",
            "A: \x7f\r\n",
            "\u{130}A: b\r\n",
            "A(b): c\r\n",
            "A: b\r\r\n",
        ] {
            check(bad, Err(BadField::Grammar));
        }
        check(&"a: b\r\n".repeat(FIELD_LIMIT + 1), Err(BadField::TooMany));
    }
}
