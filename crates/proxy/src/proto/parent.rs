//! `traceparent` and `tracestate`: where a request stands in a trace (W3C, "Trace Context", 13 January 2021).
//!
//! Owns the fields' grammar, and what becomes of them. A request without a valid `traceparent` gets one, whose trace id is
//! that of `X-Amzn-Trace-Id`; what `tracestate` came with it goes (§3.3.1). One that has a valid one keeps it, unless a
//! span of the road's own stands in between: then that span is the parent. Must never believe a client that asks for
//! spans: whether there is one is for the dice to say, and a client can only decline.

use super::policy;
use super::request::RequestHead;
use super::trace::Trace;

const PARENT: &[u8] = b"traceparent";
const STATE: &[u8] = b"tracestate";
const SAMPLED: u8 = 1;

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace's id, never 0.
    pub trace: u128,
    /// The caller's span, never 0.
    pub span: u64,
    /// Whether the caller recorded it.
    pub sampled: bool,
}

/// The road's own span in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// The trace's id.
    pub trace: u128,
    /// The span's.
    pub span: u64,
    /// The client's span, where it named one.
    pub parent: Option<u64>,
}

/// What becomes of the two fields of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// They go on as they came.
    Keep,
    /// `traceparent` is written anew.
    Write {
        /// What it says.
        parent: Parent,
        /// Whether `tracestate` still belongs to it.
        keeps_state: bool,
    },
}

impl Passage {
    /// Whether a field of the client's is left out.
    #[must_use]
    pub fn drops(self, name: &[u8]) -> bool {
        let is = |wanted: &[u8]| name.len() == wanted.len() && name.eq_ignore_ascii_case(wanted);
        match self {
            Self::Keep => false,
            Self::Write { keeps_state, .. } => is(PARENT) || (!keeps_state && is(STATE)),
        }
    }
}

/// What becomes of a request's fields, and the road's span where there is to be one.
#[must_use]
pub fn of(bytes: &[u8], head: &RequestHead, new: Trace) -> (Passage, Option<SpanIds>) {
    match sent(bytes, head) {
        None => {
            let parent = Parent { trace: new.id(), span: new.span, sampled: new.sampled };
            let span = SpanIds { trace: parent.trace, span: new.span, parent: None };
            (Passage::Write { parent, keeps_state: false }, new.sampled.then_some(span))
        }
        Some(theirs) if theirs.sampled && new.sampled => {
            let span = SpanIds { trace: theirs.trace, span: new.span, parent: Some(theirs.span) };
            (Passage::Write { parent: Parent { span: new.span, ..theirs }, keeps_state: true }, Some(span))
        }
        Some(_) => (Passage::Keep, None),
    }
}

/// What the client sent; nothing where that is invalid, or there are several.
fn sent(bytes: &[u8], head: &RequestHead) -> Option<Parent> {
    let mut fields = head.fields.iter().filter(|field| field.name.of(bytes).eq_ignore_ascii_case(PARENT));
    let field = fields.next()?;
    let hop = head.connection.names_fields && policy::is_named(bytes, &head.fields, field.name.of(bytes));
    if hop || fields.next().is_some() { None } else { read(field.value.of(bytes)) }
}

/// Reads a field's value. Of a version that is not known, what version 00 has is read (§4.3).
#[must_use]
pub fn read(value: &[u8]) -> Option<Parent> {
    let hex = |range: std::ops::Range<usize>| {
        value.get(range)?.iter().try_fold(0u128, |sum, byte| {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            Some(sum << 4 | u128::from(digit))
        })
    };
    let dashes = [2, 35, 52].iter().all(|at| value.get(*at) == Some(&b'-'));
    let (version, trace, span, flags) = (hex(0..2)?, hex(3..35)?, hex(36..52)?, hex(53..55)?);
    let ends = match version {
        0 => value.len() == 55,
        0xff => false,
        _ => matches!(value.get(55), None | Some(b'-')),
    };
    let parent = Parent { trace, span: span as u64, sampled: flags as u8 & SAMPLED != 0 };
    (dashes && ends && trace != 0 && span != 0).then_some(parent)
}

/// Appends the field's value.
pub fn write(parent: Parent, out: &mut Vec<u8>) {
    let mut hex = |word: u128, digits: u32| {
        out.extend((0..digits).rev().map(|at| b"0123456789abcdef"[(word >> (at * 4) & 15) as usize]));
        out.push(b'-');
    };
    hex(0, 2);
    hex(parent.trace, 32);
    hex(u128::from(parent.span), 16);
    out.extend_from_slice(if parent.sampled { b"01" } else { b"00" });
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, Scanner};
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const THEIRS: Parent =
        Parent { trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, span: 0x00f0_67aa_0ba9_02b7, sampled: true };

    #[test]
    fn only_what_the_grammar_has_is_read() {
        assert_eq!(read(GIVEN.as_bytes()), Some(THEIRS));
        let mut out = Vec::new();
        write(THEIRS, &mut out);
        assert_eq!(out, GIVEN.as_bytes());
        assert_eq!(read(GIVEN.replace("-01", "-fe").as_bytes()), Some(Parent { sampled: false, ..THEIRS }));
        let newer = GIVEN.replacen("00", "cc", 1);
        assert!(read(newer.as_bytes()).is_some() && read(format!("{newer}-more").as_bytes()).is_some());
        let bad = [
            GIVEN.replacen("00", "ff", 1),
            GIVEN.to_uppercase(),
            format!("{GIVEN}-"),
            format!("{newer}x"),
            GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GIVEN.replace('-', "_"),
        ];
        assert!(bad.iter().all(|value| read(value.as_bytes()).is_none()));
        assert!((0..55).all(|end| read(&GIVEN.as_bytes()[..end]).is_none()));
    }

    #[test]
    fn a_parent_is_made_kept_or_replaced() {
        let new = Trace { seconds: 1, unique: [2, 3, 4], span: 5, sampled: false };
        let check = |fields: &str, new: Trace| {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let Parsed::Head(head) = RequestHead::read(text.as_bytes(), &mut Scanner::default()) else {
                panic!("{text}")
            };
            of(text.as_bytes(), &head, new)
        };
        let given = format!("Traceparent: {GIVEN}\r\n");
        let made = |sampled| Passage::Write {
            parent: Parent { trace: 0x1_0000_0002_0000_0003_0000_0004, span: 5, sampled },
            keeps_state: false,
        };
        assert_eq!(check("", new), (made(false), None));
        assert_eq!(check("traceparent: junk\r\ntracestate: a=b\r\n", new), (made(false), None));
        assert_eq!(check(&format!("{given}{given}"), new).0, made(false));
        assert_eq!(check(&given, new), (Passage::Keep, None));
        let dice = Trace { sampled: true, ..new };
        let span = SpanIds { trace: new.id(), span: 5, parent: None };
        assert_eq!(check("", dice), (made(true), Some(span)));
        let span = SpanIds { trace: THEIRS.trace, span: 5, parent: Some(THEIRS.span) };
        let replaced = Passage::Write { parent: Parent { span: 5, ..THEIRS }, keeps_state: true };
        assert_eq!(check(&given, dice), (replaced, Some(span)));
        assert!(replaced.drops(b"TraceParent") && !replaced.drops(b"tracestate") && made(true).drops(b"TraceState"));
        assert_eq!(check(&given.replace("-01\r", "-00\r"), dice), (Passage::Keep, None), "a client may decline");
    }
}
