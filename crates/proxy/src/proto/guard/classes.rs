//! AWS's classes: what is wrong with a head, read as leniently as anybody does.
//!
//! Owns the classification of a whole head. Must never decide what becomes of it: [`super::treat`] does. It is called
//! for heads that are refused or carry a look-alike of a framing field, so it may take its time.

use super::{Finding, Reason, Tier, is_blank, trim};
use crate::proto::body::Framing;
use crate::proto::scan::is_token_byte;

/// How close a name comes to another when everything but letters and digits is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    Same,
    Close,
    Far,
}

const LENGTH: &[u8] = b"content-length";
const CODING: &[u8] = b"transfer-encoding";

/// Whether a name that is neither could be taken for `Content-Length` or `Transfer-Encoding`.
pub fn resembles_framing(name: &[u8]) -> bool {
    let first = name.iter().find(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase);
    match first {
        Some(b'c') => likeness(LENGTH, name) == Likeness::Close,
        Some(b't') => likeness(CODING, name) == Likeness::Close,
        _ => false,
    }
}

/// The class of a head that was read strictly and has no look-alikes among its fields.
pub fn of_strict(method: &[u8], odd_version: bool, framing: Framing) -> Finding {
    let mut finding = Finding::default();
    if matches!(method, b"GET" | b"HEAD") {
        match framing {
            Framing::Length(0) => finding.raise(Tier::Acceptable, Reason::GetHeadZeroContentLength),
            Framing::Length(_) => finding.raise(Tier::Ambiguous, Reason::UndefinedContentLengthSemantics),
            Framing::Chunked => finding.raise(Tier::Ambiguous, Reason::UndefinedTransferEncodingSemantics),
            Framing::None | Framing::UntilClose => {}
        }
    }
    if odd_version {
        finding.raise(Tier::Acceptable, Reason::NonCompliantVersion);
    }
    finding
}

/// The class of a head: from its method to its empty line.
#[must_use]
pub fn classify(head: &[u8]) -> Finding {
    let mut finding = Finding::default();
    let mut rest = head;
    let line = next_line(&mut rest, &mut finding);
    let (method, uri, version) = request_line(line, &mut finding);
    let fields = field_lines(rest, &mut finding);
    of_parts(method, uri, version, &fields, finding)
}

/// The class of a request in parts, as a server that splits leniently would hand them over; `found` is what splitting
/// has found already.
#[must_use]
pub fn of_parts(method: &[u8], uri: &[u8], version: &[u8], fields: &[(&[u8], &[u8])], found: Finding) -> Finding {
    let mut finding = found;
    let (mut lengths, mut codings): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        let (length, coding) = (likeness(LENGTH, name), likeness(CODING, name));
        let tier = name_tier(name).max(value_tier(value));
        match tier {
            Tier::Severe => finding.raise(tier, Reason::BadHeader),
            other => finding.raise(other, Reason::NonCompliantHeader),
        }
        let bare = trim(name);
        if bare.is_empty() || bare[0] == b':' {
            finding.raise(Tier::Ambiguous, Reason::EmptyHeader);
            continue;
        }
        if tier == Tier::Severe && length != Likeness::Same && coding != Likeness::Same {
            continue;
        }
        if length == Likeness::Close || coding == Likeness::Close {
            finding.raise(Tier::Ambiguous, Reason::SuspiciousHeader);
        }
        if coding != Likeness::Far {
            codings.push(value);
        } else if length != Likeness::Far {
            lengths.push(value);
        }
    }
    let version = trim_or(version, b"HTTP/0.9");
    framing(method, version, &lengths, &codings, &mut finding);
    if !method.iter().all(|b| is_token_byte(*b)) {
        finding.raise(Tier::Severe, Reason::BadMethod);
    }
    check_version(version, &mut finding);
    check_uri(uri, &mut finding);
    finding
}

fn trim_or<'a>(text: &'a [u8], otherwise: &'a [u8]) -> &'a [u8] {
    if trim(text).is_empty() { otherwise } else { text }
}

/// What stands before the next LF, without a CR at its end.
fn next_line<'a>(rest: &mut &'a [u8], finding: &mut Finding) -> &'a [u8] {
    let at = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let line = &rest[..at];
    *rest = rest.get(at + 1..).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or_else(|| {
        finding.raise(Tier::Acceptable, Reason::NonCrLfLineTermination);
        line
    })
}

/// Method, target and version: the first word, the last, and whatever is between.
fn request_line<'a>(line: &'a [u8], finding: &mut Finding) -> (&'a [u8], &'a [u8], &'a [u8]) {
    let Some(space) = line.iter().position(|b| *b == b' ') else {
        finding.raise(Tier::Ambiguous, Reason::MissingUri);
        return (line, b"", b"");
    };
    let (method, rest) = (&line[..space], &line[space + 1..]);
    // What is no token at the end of the line belongs to the last word.
    let ends = rest.iter().rposition(|b| is_token_byte(*b)).unwrap_or(0);
    match rest[..ends].iter().rposition(|b| *b == b' ') {
        Some(at) => (method, &rest[..at], &rest[at + 1..]),
        None if rest.starts_with(b"HTTP/1.") || rest.is_empty() => {
            finding.raise(Tier::Ambiguous, Reason::MissingUri);
            (method, b"", rest)
        }
        None => (method, rest, b""),
    }
}

fn field_lines<'a>(mut rest: &'a [u8], finding: &mut Finding) -> Vec<(&'a [u8], &'a [u8])> {
    let mut fields = Vec::new();
    let mut before: Option<&[u8]> = None;
    let mut media_type = false;
    loop {
        if rest.is_empty() {
            finding.raise(Tier::Ambiguous, Reason::MissingLastEmptyLine);
            return fields;
        }
        if !rest.contains(&b'\n') {
            finding.raise(Tier::Ambiguous, Reason::PartialHeaderLine);
        }
        let line = next_line(&mut rest, finding);
        if line.is_empty() {
            return fields;
        }
        let folded = is_blank(line[0]);
        let colon = line.iter().position(|b| *b == b':');
        let (name, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        if !folded && colon.is_some() {
            media_type = name.eq_ignore_ascii_case(b"content-type");
            before = Some(name);
        }
        match before {
            // A value that goes on; with a colon in it, it may be a field to others.
            Some(before) if folded && (media_type || colon.is_none()) => fields.push((before, name)),
            _ => fields.push((name, value)),
        }
        if !folded && colon.is_none() {
            finding.raise(Tier::Ambiguous, Reason::MissingHeaderColon);
        }
        if folded && !media_type {
            finding.raise(Tier::Ambiguous, Reason::MultilineHeader);
        }
    }
}

fn framing(method: &[u8], version: &[u8], lengths: &[&[u8]], codings: &[&[u8]], finding: &mut Finding) {
    if version <= b"HTTP/1.0".as_slice() && !codings.is_empty() {
        return finding.raise(Tier::Ambiguous, Reason::UndefinedTransferEncodingSemantics);
    }
    if version < b"HTTP/1.0".as_slice() && !lengths.is_empty() {
        return finding.raise(Tier::Ambiguous, Reason::UndefinedContentLengthSemantics);
    }
    let mut chunked = false;
    for coding in codings.iter().flat_map(|value| value.split(|b| *b == b',')) {
        let word = trim(coding.split(|b| *b == b';').next().unwrap_or_default());
        let is = |text: &[u8]| word.eq_ignore_ascii_case(text);
        if is(b"chunked") {
            if chunked {
                finding.raise(Tier::Severe, Reason::MultipleTransferEncodingChunked);
            }
            chunked = true;
        } else if !(is(b"compress") || is(b"deflate") || is(b"gzip") || is(b"identity")) {
            finding.raise(Tier::Severe, Reason::BadTransferEncoding);
        }
    }
    let mut length: Option<u64> = None;
    for value in lengths {
        match (decimal(trim(value)), length) {
            (None, _) => finding.raise(Tier::Severe, Reason::BadContentLength),
            (Some(new), Some(old)) if new != old => finding.raise(Tier::Severe, Reason::MultipleContentLength),
            (Some(_), Some(_)) => finding.raise(Tier::Ambiguous, Reason::DuplicateContentLength),
            (new, None) => length = new,
        }
    }
    if matches!(method, b"GET" | b"HEAD") {
        if !codings.is_empty() {
            finding.raise(Tier::Ambiguous, Reason::UndefinedTransferEncodingSemantics);
        }
        match length {
            Some(0) => finding.raise(Tier::Acceptable, Reason::GetHeadZeroContentLength),
            Some(_) => finding.raise(Tier::Ambiguous, Reason::UndefinedContentLengthSemantics),
            None => {}
        }
    }
    if length.is_some() && !codings.is_empty() {
        finding.raise(Tier::Ambiguous, Reason::BothTeClPresent);
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    });
    digits.filter(|_| !text.is_empty())
}

fn check_version(version: &[u8], finding: &mut Finding) {
    match trim(version) {
        b"HTTP/0.9" => finding.raise(Tier::Acceptable, Reason::NonCompliantVersion),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => {
            if version.len() != 8 || *minor > b'1' {
                finding.raise(Tier::Acceptable, Reason::NonCompliantVersion);
            }
        }
        _ => finding.raise(Tier::Severe, Reason::BadVersion),
    }
}

fn check_uri(uri: &[u8], finding: &mut Finding) {
    for byte in uri {
        match byte {
            0x21..=0x7e | 0x80.. => {}
            0 | b'\r' | b'\n' => finding.raise(Tier::Severe, Reason::BadUri),
            b' ' => finding.raise(Tier::Acceptable, Reason::SpaceInUri),
            _ => finding.raise(Tier::Ambiguous, Reason::AmbiguousUri),
        }
    }
}

fn worst(bytes: &[u8], good: impl Fn(u8) -> bool) -> Tier {
    let tier = |byte: &u8| match byte {
        byte if good(*byte) => Tier::Compliant,
        0 | b'\r' | b'\n' => Tier::Severe,
        _ => Tier::Acceptable,
    };
    bytes.iter().map(tier).max().unwrap_or_default()
}

fn name_tier(name: &[u8]) -> Tier {
    worst(name, is_token_byte)
}

fn value_tier(value: &[u8]) -> Tier {
    worst(value, |byte| is_blank(byte) || (byte > b' ' && byte != 0x7f))
}

fn likeness(wanted: &[u8], name: &[u8]) -> Likeness {
    let skip = |from: usize, over: fn(u8) -> bool| {
        name.get(from..).and_then(|rest| rest.iter().position(|b| !over(*b))).map_or(name.len(), |step| from + step)
    };
    let mark: fn(u8) -> bool = |byte| !byte.is_ascii_alphanumeric();
    if name.len() < wanted.len() {
        return Likeness::Far;
    }
    let mut at = skip(0, mark);
    let mut same = at == 0 && name.len() == wanted.len();
    for letter in wanted {
        if at == name.len() {
            return Likeness::Far;
        }
        let (fits, next) = letter_at(*letter, name, at);
        if *letter == b'-' {
            same &= fits;
            at = skip(next, mark);
        } else if fits {
            at = skip(next, |byte| byte <= b' ');
        } else {
            break;
        }
    }
    match (at == name.len(), skip(at, mark) == name.len()) {
        (true, _) if same => Likeness::Same,
        (false, false) => Likeness::Far,
        _ => Likeness::Close,
    }
}

/// Whether that letter stands there, as itself or as one that becomes it in upper case; and where the next one begins.
fn letter_at(letter: u8, name: &[u8], at: usize) -> (bool, usize) {
    if name[at].to_ascii_lowercase() == letter {
        return (true, at + 1);
    }
    match (letter, name.get(at..at + 2)) {
        // U+017F (long s) and U+0131 (dotless i).
        (b's', Some([0xc5, 0xbf])) | (b'i', Some([0xc4, 0xb1])) => (true, at + 2),
        _ => (false, at + 1),
    }
}
